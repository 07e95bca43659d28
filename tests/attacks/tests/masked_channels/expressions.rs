//! A26: what is computed from the column or from its row.

use super::super::{Attack, Sides, part, shows};

const TEXTS: &[Attack] = &[
    part(&["select substr(ssn, 1, 6) from people where id = 1"], "536-22"),
    part(
        &["select substring(ssn from 1 for 3) || '/' || right(ssn, 4) from people where id = 1"],
        "536/8726",
    ),
    part(&["select left(ssn, 3), right(ssn, 4) || '!' from people where id = 1"], "8726!"),
    part(
        &["select substring(ssn similar '%-#\"%#\"-%' escape '#') || '.' || 22 from people where id = 1"],
        "22.22",
    ),
    shows(&["select ssn || '' from people"]),
    shows(&["select ssn::varchar from people"]),
    shows(&["select ssn::varchar(20) as ssn from people"]),
    shows(&["select ssn::name from people"]),
    shows(&["select ssn::char(11) from people"]),
    shows(&["select cast(ssn as text) from people"]),
    shows(&["select ssn collate \"C\" from people"]),
    part(&["select ssn::bytea from people"], "3533362d32322d38373236"),
    part(&["select reverse(ssn) from people"], "6278-22-635"),
    part(&["select encode(ssn::bytea, 'base64') from people"], "NTM2LTIyLTg3MjY="),
    part(&["select encode(ssn::bytea, 'hex') from people"], "3533362d32322d38373236"),
    part(&["select encode(('.' || ssn)::bytea, 'base64') from people"], "LjUzNi0yMi04NzI2"),
    part(&["select md5(ssn) from people"], "999c9e5a520c6a5d03cc5cb24856d51d"),
    part(
        &["select sha256(ssn::bytea) from people"],
        "2b4ff3e9266330c23b8e04f45e835c998c2923c948a82ecf20914fe27d458f49",
    ),
    part(&["select translate(ssn, '0123456789', 'abcdefghij') from people"], "fdg-cc-ihcg"),
    part(&["select replace(ssn, '-', '_') from people"], "536_22_8726"),
    part(&["select regexp_replace(ssn, '-', '') from people"], "53622-8726"),
    part(&["select overlay(ssn placing '..' from 4 for 1) from people"], "536..22-8726"),
    part(&["select split_part(ssn, '-', 1) || '+' || split_part(ssn, '-', 3) from people"], "536+8726"),
    part(&["select regexp_split_to_array(ssn, '-') from people"], "{536,22,8726}"),
    part(&["select regexp_matches(ssn, '(...)-(..)') from people"], "{536,22}"),
    part(&["select string_to_array(ssn, '-')::text from people"], "{536,22,8726}"),
    shows(&["select lpad(ssn, 20, '.') from people"]),
    shows(&["select concat('.', ssn), concat_ws('.', 'x', ssn) from people"]),
    shows(&["select format('%s', ssn) from people"]),
    shows(&["select format('%1$L', ssn) from people"]),
    shows(&["select quote_literal(ssn), quote_nullable(ssn), quote_ident(ssn) from people"]),
    shows(&["select coalesce(ssn, ''), nullif(ssn, ''), greatest(ssn, '0'), least(ssn, '9') from people"]),
    shows(&["select case when id = 1 then ssn else '' end from people"]),
    shows(&["select case ssn when '' then '' else ssn end from people"]),
    part(&["select convert_to(ssn, 'UTF8') from people"], "3533362d32322d38373236"),
    shows(&["select convert_from(ssn::bytea, 'UTF8') from people"]),
    part(&["select to_tsvector('simple', ssn)::text from people"], "'-8726'"),
    shows(&["select initcap(ssn), lower(ssn), btrim(ssn), normalize(ssn) from people"]),
    part(
        &[
            "select string_agg(ascii(c)::text, '.' order by n) from people, unnest(string_to_array(ssn, null)) with ordinality u (c, n) where id = 1",
        ],
        "53.51.54.45.50.50.45.56.55.50.54",
    ),
    part(
        &[
            "select string_agg(ascii(substr(ssn, n, 1))::text, '.' order by n) from people, generate_series(1, 11) n where id = 1",
        ],
        "53.51.54.45.50.50.45.56.55.50.54",
    ),
    part(
        &[
            "select string_agg(get_byte(ssn::bytea, n)::text, '.' order by n) from people, generate_series(0, 10) n where id = 1",
        ],
        "53.51.54.45.50.50.45.56.55.50.54",
    ),
    part(&["select replace(ssn, '-', '')::bigint + 1 from people where id = 1"], "536228727"),
    part(&["select interval '1 day' * left(ssn, 3)::int from people where id = 1"], "536 days"),
    shows(&["select u from people, unnest(array[ssn]) u"]),
    shows(&["select r.x from people, regexp_split_to_table(ssn, ',') r (x)"]),
    shows(&["select (array[ssn, name])[1] from people"]),
    shows(&["select array[ssn] from people"]),
    shows(&["select array[[ssn], [name]] from people"]),
    shows(&["select '{}'::text[] || ssn from people"]),
    shows(&["select array_append('{}', ssn) from people"]),
];

const ROWS: &[Attack] = &[
    shows(&["select p from people p"]),
    shows(&["select people from people"]),
    shows(&["select (people).ssn from people"]),
    shows(&["select (p).* from people p"]),
    shows(&["select ssn(p) from people p"]),
    shows(&["select ssn(people.*) from people"]),
    shows(&["select people::text from people"]),
    shows(&["select row(p.*) from people p"]),
    shows(&["select row(p.*)::text from people p"]),
    shows(&["select row(ssn, 1) from people"]),
    shows(&["select (row(ssn, 1)).f1 from people"]),
    shows(&["select q from (select ssn from people) q"]),
    shows(&["select (q.p).ssn from (select p from people p) q"]),
    shows(&["select x.ssn from (select (p).* from people p) x"]),
    shows(&["select (q.a[1]).ssn from (select array_agg(p order by id) as a from people p) q"]),
    shows(&["select (u).ssn from (select unnest(array_agg(p)) as u from people p) q"]),
    shows(&[
        "select u.e from (select array_agg(p) as a from people p) q, unnest(q.a) u (a, b, c, d, e, f)",
    ]),
    shows(&["with q as (select p from people p) select (p).ssn from q"]),
    shows(&["select (select p from people p where id = 1)"]),
    shows(&["select ((select p from people p where id = 1)).ssn"]),
    shows(&["select coalesce(p, null) from people p"]),
    shows(&["select (case when true then p end).ssn from people p"]),
    shows(&["update people p set city = city where id = 1 returning p"]),
    shows(&["update people p set city = city where id = 1 returning (p).ssn"]),
    shows(&["select b from lab.by_view b"]),
    shows(&["select (b).s from lab.by_view b"]),
    shows(&["select row_to_json(p) from people p"]),
    shows(&["select to_jsonb(p) ->> 'ssn' from people p"]),
    shows(&["select to_json(ssn), json_build_array(ssn), json_build_object('a', ssn) from people"]),
    shows(&["select jsonb_build_object(ssn, 1) from people"]),
    shows(&["select to_jsonb(q) from (select ssn as a from people) q"]),
    shows(&["select e.value from people p, jsonb_each_text(to_jsonb(p)) e"]),
    shows(&["select (jsonb_populate_record(null::people, to_jsonb(p))).ssn from people p"]),
    shows(&["select r.ssn from people p, jsonb_to_record(to_jsonb(p)) as r (ssn text)"]),
    shows(&["select jsonb_path_query(to_jsonb(p), '$.ssn') from people p"]),
    shows(&[
        "select v.s from people p, xmltable('/r' passing xmlelement(name r, ssn) columns s text path '.') v",
    ]),
    shows(&["select hstore(p) from people p"]),
    shows(&["select hstore(p) -> 'ssn' from people p"]),
    shows(&["select (each(hstore(p))).value from people p"]),
];

const AGGREGATES: &[Attack] = &[
    shows(&["select max(ssn) from people"]),
    shows(&["select min(ssn) from people where id = 1"]),
    shows(&["select string_agg(ssn, ',') from people"]),
    shows(&["select array_agg(ssn) from people"]),
    shows(&["select json_agg(ssn) from people"]),
    shows(&["select jsonb_agg(p) from people p"]),
    shows(&["select json_object_agg(id, ssn) from people"]),
    shows(&["select array_agg(p) from people p"]),
    shows(&["select mode() within group (order by ssn) from people where id = 1"]),
    shows(&["select percentile_disc(1) within group (order by ssn) from people"]),
    shows(&["select string_agg(distinct ssn, ',') filter (where id = 1) from people"]),
    shows(&["select ssn, count(*) from people group by rollup (ssn)"]),
    shows(&["select max(ssn) over () from people"]),
    shows(&["select lag(ssn) over (order by id) from people"]),
    shows(&["select lead(ssn, 0) over () from people"]),
    shows(&["select first_value(ssn) over w from people window w as (order by id)"]),
    shows(&["select nth_value(ssn, 1) over (order by id) from people"]),
    shows(&["select (select max(q.ssn) from people q where q.id = p.id) from people p"]),
    shows(&["select (max(p.ssn) || '') from people p group by id having id = 1"]),
    shows(&["select xmlagg(xmlelement(name a, ssn)) from people"]),
];

/// Functions of PostgreSQL's that read tables, and do not say so in the text, or say it in a text.
const DOCUMENTS: &[Attack] = &[
    shows(&["select xmlforest(ssn) from people"]),
    shows(&["select xmlelement(name a, xmlattributes(ssn as b)) from people"]),
    shows(&["select xmlconcat(xmlcomment('a'), xmlelement(name a, ssn)) from people"]),
    shows(&["select xmlpi(name a, ssn) from people"]),
    shows(&["select table_to_xml('people', true, false, '')"]),
    shows(&["select table_to_xml(U&'\\0070eople'::regclass, true, false, '')"]),
    shows(&["select table_to_xml(('peo' || 'ple')::regclass, true, false, '')"]),
    shows(&["select table_to_xml(oid, true, false, '') from pg_class where relname = 'people'"]),
    shows(&["select table_to_xml_and_xmlschema('people', true, false, '')"]),
    shows(&["select query_to_xml('select ssn from people', true, false, '')"]),
    shows(&["select query_to_xml('select s' || 'sn from peo' || 'ple', true, false, '')::text"]),
    shows(&["select query_to_xml_and_xmlschema('table people', true, false, '')"]),
    shows(&["select schema_to_xml('public', true, false, '')"]),
    shows(&["select database_to_xml(true, false, '')"]),
    shows(&["select xpath('//ssn/text()', query_to_xml('table people', true, false, ''))"]),
    shows(&[
        "begin",
        "declare c cursor for select ssn from people",
        "select cursor_to_xml('c', 10, true, false, '')",
        "commit",
    ]),
    part(
        &["select word from ts_stat('select array_to_tsvector(array[ssn]) from people')"],
        super::super::SECRET,
    ),
    shows(&[
        "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, quote_literal(ssn)::tsquery from people where id = 1')",
    ]),
    shows(&["select * from crosstab('select id, 1, ssn from people order by 1') as c (id bigint, s text)"]),
    shows(&[
        "select query_to_xml('table people', true, false, '') is document, query_to_xml('table people', true, false, '')",
    ]),
];

fn sides() -> Sides {
    Sides::prepare(
        "create extension hstore; create extension tablefunc",
        "create view lab.by_view as select id, ssn as s from people",
    )
}

#[test]
fn a026_no_function_of_the_value_shows_it() {
    sides().hide(TEXTS);
}

#[test]
fn a026_no_row_shows_the_value() {
    sides().hide(ROWS);
}

#[test]
fn a026_no_aggregate_shows_the_value() {
    sides().hide(AGGREGATES);
}

#[test]
fn a026_no_document_shows_the_value() {
    sides().hide(DOCUMENTS);
}
