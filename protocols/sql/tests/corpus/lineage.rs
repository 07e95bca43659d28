//! Queries that carry `people.ssn` to their answer by many ways (A25-A27).
//!
//! Tables: `people (id, ssn, name, a, b)`, `others (id, name, a, c)`, a view `seen (id, ssn)`, a function
//! `our_own(int)` that gives away an ssn.

/// FROM items that go by `p`, and have `id` and `ssn`.
const SOURCES: &[&str] = &[
    "people p",
    "people as p(id, ssn)",
    "seen p",
    "only people p",
    "(select * from people) p",
    "(select id, ssn from people) p",
    "(select ssn, id from people) p(ssn, id)",
    "(with q as (select * from people) select * from q) p",
    "(with q(ssn, id) as (select ssn, id from people) select * from q) p",
    "(people p0 join others o0 using (id)) p",
    "(people p0 natural full join (select 1 as id) o0) p",
    "others o, lateral (select people.* from people where people.id = o.id) p",
    "others o left join people p on p.id = o.id",
    "(select max(ssn) as ssn, 1 as id from people) p",
    "(select lower(ssn) as ssn, id from people) p",
    "(values (1, (select ssn from people limit 1))) p(id, ssn)",
    "(select id, ssn from people union all select id, name from others) p",
    "(select 1 as id, our_own(1) as ssn) p",
    "(select o.id, s.ssn from others o, people s) p",
    "(select id, (select ssn from people limit 1) as ssn from others) p",
    "people p0, lateral (values (p0.id, p0.ssn)) p(id, ssn)",
    "people p0, lateral (values (p0.*)) p(id, ssn)",
    "people p0, lateral (select (p0).ssn, (p0).id) p",
    "people p0, lateral json_to_record(to_json(p0)) p(id int, ssn text)",
    "people p0, lateral jsonb_populate_record(null::people, to_jsonb(p0)) p",
    "rows from (unnest(array(select id from people), array(select ssn from people))) p(id, ssn)",
];

/// What is selected from them.
const EXPRESSIONS: &[&str] = &[
    "ssn",
    "p.ssn",
    "*",
    "p.*",
    "id, ssn",
    "upper(ssn)",
    "p.ssn || ''",
    "ssn::varchar",
    "ssn collate \"C\"",
    "(select ssn)",
    "(select p.ssn)",
    "(select upper(ssn))",
    "array[ssn]",
    "array(select ssn)",
    "row(ssn, 1)",
    "(row(ssn, 1))::text",
    "row_to_json(p)",
    "to_jsonb(p)",
    "p",
    "p::text",
    "p.row_to_json",
    "p.to_jsonb",
    "(p).to_json",
    "(p).ssn",
    "row(p.*)",
    "concat(p)",
    "p.concat",
    "(select p)",
    "array_agg(p) over ()",
    "(select max(ssn) from people)",
    "max(ssn) over ()",
    "max(id) over w, first_value(p.ssn) over w",
    "string_agg(ssn, '') over (order by id)",
    "coalesce(null, ssn)",
    "greatest(ssn, 'a')",
    "nullif(ssn, 'a')",
    "case when id = 1 then ssn end",
    "case ssn when 'a' then 'b' else ssn end",
    "json_build_object('a', ssn)",
    "xmlforest(ssn)",
    "xmlelement(name x, ssn)",
    "(select q.x from (select p.ssn as x) q)",
    "(select x from (values (p.ssn)) v(x))",
    "(select x from (values (1, ssn)) v(y, x))",
    "(array(select ssn from people))[1]",
    "unnest(array[ssn])",
    "regexp_split_to_table(ssn, 'x')",
    "(with q as (select ssn) select ssn from q)",
    "(with ssn as (select p.ssn) select ssn from ssn)",
    "format('%s', ssn)",
    "substr(ssn, 1), 1 as ssn",
    "replace('x', 'x', ssn)",
    "our_own(id)",
    "(select our_own(1))",
    "query_to_xml('select ssn from people', true, true, '')",
    "id, count(*) over (), now()",
    "(select ssn from people order by id limit 1) as id",
    "lag(ssn, 0) over (order by id)",
];

/// What is done with the query.
const WRAPPERS: &[fn(&str) -> String] = &[
    |query| query.to_owned(),
    |query| format!("select * from ({query}) w"),
    |query| format!("select w.* from others, ({query}) w"),
    |query| format!("with w as ({query}) select * from w"),
    |query| format!("with w as materialized ({query}), people as (select * from w) select * from people"),
    |query| format!("select y from ({query}) w(y)"),
    |query| format!("select y::text || '' from ({query}) w(y)"),
    |query| format!("select w from ({query}) w"),
    |query| format!("select (select y::text from ({query}) w(y) limit 1)"),
    |query| format!("({query}) union all ({query})"),
    |query| format!("select to_json(w) from ({query}) w"),
    |query| format!("select * from others o cross join lateral ({query}) w(id)"),
    |query| format!("with recursive w(y) as (({query}) union ({query})) select * from w"),
    |query| format!("insert into others (c) select y from ({query}) w(y) returning c"),
    |query| format!("with w as (insert into others (c) {query} returning *) select w from w"),
    |query| format!("update people u set name = y::text from ({query}) w(y) returning u.name, u.id"),
    |query| {
        format!(
            "update people u set (a, name) = (select 1, y::text from ({query}) w(y) limit 1) returning *"
        )
    },
    |query| format!("insert into people values (7, 'x') returning name, ({query} limit 1)"),
    |query| format!("delete from others using ({query}) w(y) returning w.*"),
    |query| {
        format!(
            "merge into others t using ({query}) w(y) on false when not matched then insert (c) values (w.y) returning t.c"
        )
    },
    |query| format!("with w as (insert into others (c) {query} returning c) select upper(c) from w"),
];

/// All of them with all: more than 20,000.
pub fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    for source in SOURCES {
        for expression in EXPRESSIONS {
            let query = format!("select {expression} from {source} window w as (order by p.ssn)");
            cases.extend(WRAPPERS.iter().map(|wrap| wrap(&query)));
        }
    }
    cases
}
