//! A27: places to put a value, from which it could be read again as somebody's own.

use gatewright_e2e::Postgres;

use super::super::{Attack, Sides, part, shows};

const TABLES: &[Attack] = &[
    shows(&["create temp table t as select ssn as a from people", "select a from t"]),
    shows(&["create temp table t as table people", "table t"]),
    shows(&["create temp table t (a, b) as select id, ssn from people with data", "select b from t"]),
    shows(&["create table lab.taken as select ssn || '' as a from people", "select a from lab.taken"]),
    shows(&["create unlogged table lab.fast as select p from people p", "select p from lab.fast"]),
    shows(&["select ssn as a into temp t from people", "select a from t"]),
    shows(&["select * into lab.into_it from people", "table lab.into_it"]),
    shows(&["prepare q as select ssn as a from people", "create temp table t as execute q", "table t"]),
    shows(&[
        "create materialized view lab.shown as select id, ssn as a from people",
        "select a from lab.shown",
    ]),
    shows(&["create view lab.seen as select ssn || '' as a from people", "select a from lab.seen"]),
    shows(&["create temp view v as select reverse(reverse(ssn)) as a from people", "select a from v"]),
    shows(&["insert into scratch select ssn from people", "select note from scratch"]),
    shows(&["insert into scratch select 'x' || ssn from people", "select note from scratch"]),
    shows(&[
        "insert into scratch values ((select ssn from people where id = 1))",
        "select note from scratch",
    ]),
    shows(&["insert into scratch select ssn from people returning note"]),
    shows(&["with m as (insert into scratch select ssn from people returning note) select note from m"]),
    shows(&["with s as (select ssn from people) insert into scratch select ssn from s returning note"]),
    shows(&[
        "update lab.notes set body = ssn from people where people.id = 1",
        "select body from lab.notes",
    ]),
    shows(&[
        "update lab.notes set body = (select ssn from people where id = 1)",
        "select body from lab.notes",
    ]),
    shows(&["update lab.notes set (body) = (select max(ssn) from people where id = 1) returning body"]),
    shows(&[
        "insert into lab.notes values (1, 'x') on conflict (id) do update set body = (select ssn from people where id = 1) returning body",
    ]),
    shows(&[
        "merge into lab.notes n using people p on p.id = n.id when matched then update set body = p.ssn",
        "select body from lab.notes",
    ]),
    shows(&[
        "merge into lab.notes n using people p on false when not matched and p.id = 1 then insert values (100, p.ssn)",
        "select body from lab.notes",
    ]),
    shows(&[
        "create table lab.born (a text default 'x')",
        "insert into lab.born select ssn from people",
        "table lab.born",
    ]),
    shows(&[
        "create temp table t (a text, b text generated always as (a) stored)",
        "insert into t select ssn from people",
        "select b from t",
    ]),
    shows(&[
        "create temp table t (like people including all)",
        "insert into t select * from people",
        "table t",
    ]),
];

/// A column that nobody masks gets what is in the one that is.
const OWN_TABLE: &[Attack] = &[
    shows(&["begin", "update people set city = ssn", "select city from people", "rollback"]),
    shows(&["begin", "update people set city = ssn where id = 1 returning city", "rollback"]),
    shows(&["begin", "update people set city = ssn, ssn = city", "select city from people", "rollback"]),
    shows(&[
        "begin",
        "update people p set name = q.ssn from people q where p.id = q.id",
        "select name from people",
        "rollback",
    ]),
    shows(&[
        "begin",
        "insert into people select id + 100, ssn, 'e', 'c', 's', 'c' from people",
        "select name from people",
        "rollback",
    ]),
    shows(&[
        "begin",
        "alter table people rename column ssn to other",
        "select other from people",
        "rollback",
    ]),
    shows(&["begin", "alter table people rename to persons", "select ssn from persons", "rollback"]),
    shows(&["begin", "alter table people set schema lab", "select ssn from lab.people", "rollback"]),
    shows(&[
        "begin",
        "alter table people add column copied text generated always as (ssn) stored",
        "select copied from people",
        "rollback",
    ]),
    shows(&[
        "begin",
        "create table lab.child () inherits (people)",
        "insert into lab.child table people",
        "table lab.child",
        "rollback",
    ]),
    shows(&[
        "begin",
        "alter table people alter column city type text using ssn",
        "select city from people",
        "rollback",
    ]),
    shows(&[
        "begin",
        "create rule r as on insert to scratch do also select ssn from people",
        "insert into scratch values ('x')",
        "rollback",
    ]),
    shows(&[
        "begin",
        "create view lab.people as select id, ssn as name from people",
        "set search_path = lab",
        "select name from people",
        "rollback",
    ]),
];

/// What is no table keeps values too.
const OTHERS: &[Attack] = &[
    shows(&["select set_config('lab.kept', ssn, false) from people where id = 1", "show lab.kept"]),
    shows(&[
        "select count(set_config('lab.kept', ssn, false)) from people where id = 1",
        "select current_setting('lab.kept', true)",
    ]),
    shows(&[
        "select 1 from people where id = 1 and set_config('lab.kept', ssn, false) is not null",
        "select current_setting('lab.kept', true)",
    ]),
    shows(&[
        "begin",
        "select set_config('lab.kept', ssn, true) from people where id = 1",
        "show lab.kept",
        "commit",
    ]),
    shows(&[
        "select set_config('application_name', ssn, false) from people where id = 1",
        "show application_name",
    ]),
    shows(&[
        "select set_config('application_name', ssn, false) from people where id = 1",
        "select setting from pg_settings where name = 'application_name'",
    ]),
    shows(&[
        "select set_config('search_path', quote_ident(ssn), false) from people where id = 1",
        "select current_setting('search_path')",
    ]),
    shows(&[
        "prepare k (text) as select set_config('lab.kept', $1, false)",
        "do $$ begin execute (select format('execute k(%L)', ssn) from people where id = 1); end $$",
        "select current_setting('lab.kept', true)",
    ]),
    part(
        &["select lo_from_bytea(4711, ssn::bytea) from people where id = 1", "select lo_get(4711)"],
        "3533362d32322d38373236",
    ),
    shows(&[
        "select lo_from_bytea(4712, ssn::bytea) from people where id = 1",
        "select convert_from(lo_get(4712), 'UTF8')",
    ]),
    shows(&[
        "select lo_create(4713)",
        "select lo_put(4713, 0, ssn::bytea) from people where id = 1",
        "select convert_from(loread(lo_open(4713, 262144), 100), 'UTF8')",
    ]),
    part(
        &[
            "select setval('lab.counted', replace(ssn, '-', '')::bigint) from people where id = 1",
            "select nextval('lab.counted')",
        ],
        "536228727",
    ),
    part(
        &[
            "select setval('lab.counted', replace(ssn, '-', '')::bigint) from people where id = 1",
            "select last_value from lab.counted",
        ],
        "536228726",
    ),
    part(
        &[
            "select setval('lab.counted', replace(ssn, '-', '')::bigint) from people where id = 1",
            "select last_value from pg_sequences",
        ],
        "536228726",
    ),
    part(
        &[
            "select pg_advisory_lock(replace(ssn, '-', '')::bigint) from people where id = 1",
            "select objid from pg_locks where locktype = 'advisory'",
        ],
        "536228726",
    ),
    part(
        &[
            "begin",
            "select 1 from people where id = 1 and pg_try_advisory_xact_lock(replace(ssn, '-', '')::bigint)",
            "select objid from pg_locks where locktype = 'advisory'",
            "commit",
        ],
        "536228726",
    ),
    shows(&[
        "do $$ begin execute (select format('comment on table scratch is %L', ssn) from people where id = 1); end $$",
        "select obj_description('scratch'::regclass)",
    ]),
    shows(&[
        "do $$ begin execute (select format('create table lab.%I ()', ssn) from people where id = 1); end $$",
        "select relname from pg_class",
    ]),
    shows(&[
        "do $$ begin execute (select format('alter table scratch alter note set default %L', ssn) from people where id = 1); end $$",
        "select pg_get_expr(adbin, adrelid) from pg_attrdef",
    ]),
    shows(&[
        "do $$ begin execute (select format('prepare p as select %L', ssn) from people where id = 1); end $$",
        "execute p",
    ]),
    shows(&[
        "do $$ begin execute (select format('prepare p as select %L', ssn) from people where id = 1); end $$",
        "select statement from pg_prepared_statements",
    ]),
    shows(&[
        "do $$ begin execute (select format('listen %I', ssn) from people where id = 1); end $$",
        "select pg_listening_channels()",
    ]),
    shows(&[
        "create function pg_temp.f() returns text language sql as 'select max(ssn) from people where id = 1'",
        "select pg_temp.f()",
    ]),
    shows(&[
        "create function lab.f() returns setof people language sql as 'select * from people'",
        "select (lab.f()).ssn",
    ]),
    shows(&[
        "create procedure lab.p(inout a text) language sql as 'select max(ssn) from people where id = 1'",
        "call lab.p('')",
    ]),
    shows(&[
        "create operator lab.=== (leftarg = text, rightarg = text, function = textcat)",
        "select ssn operator(lab.===) '' from people",
    ]),
    shows(&[
        "create aggregate lab.all_of (text) (sfunc = textcat, stype = text)",
        "select lab.all_of(ssn) from people",
    ]),
    shows(&["create domain lab.d as text", "select ssn::lab.d from people"]),
    shows(&["create cast (people as text) with inout", "select cast(p as text) from people p"]),
];

/// Nothing has come from a masked column into anything that is no masked column, whatever the client was told.
fn nothing_is_kept(sides: &Sides) {
    let postgres = &sides.scene.postgres;
    let open = "select string_agg(query_to_xml(format('select %s from %s', case when c.relname = 'people' then 'id, name, city' else '*' end, c.oid::regclass), true, false, '')::text, '') \
                from pg_class c where relkind in ('r', 'S') and relnamespace in ('public'::regnamespace, 'lab'::regnamespace)";
    let kept = |postgres: &Postgres, database| {
        let objects = "select coalesce(string_agg(encode(lo_get(oid), 'escape'), ''), '') from pg_largeobject_metadata";
        let names = "select string_agg(relname, ' ') from pg_class";
        [open, objects, names].map(|sql| postgres.sql(database, sql).unwrap()).join(" ").to_lowercase()
    };
    let found = |kept: &str| sides.needles.iter().find(|needle| kept.contains(needle.as_str())).cloned();
    let elsewhere = kept(postgres, "shown");
    assert!(found(&elsewhere).is_some(), "where nothing is masked it was put elsewhere");
    let kept = kept(postgres, "postgres");
    assert_eq!(found(&kept), None, "{kept}");
}

fn sides() -> Sides {
    Sides::prepare(
        "",
        "create table lab.notes (id int primary key, body text); insert into lab.notes values (1, 'nothing'); create sequence lab.counted",
    )
}

#[test]
fn a027_no_table_takes_the_value() {
    let sides = sides();
    sides.hide(TABLES);
    nothing_is_kept(&sides);
}

#[test]
fn a027_no_other_column_of_its_table_takes_the_value() {
    let sides = sides();
    sides.hide(OWN_TABLE);
    let names = "select string_agg(name || city, '') from people";
    assert!(!sides.scene.postgres.sql("postgres", names).unwrap().contains("536-22"));
}

#[test]
fn a027_nothing_else_keeps_the_value() {
    let sides = sides();
    sides.hide(OTHERS);
    nothing_is_kept(&sides);
}
