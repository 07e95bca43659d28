//! Where the columns of an answer come from: the bypasses of threats.md 4.1 first (A25-A28).
//!
//! The masked column is always `people.ssn`. `direct` leaves the answer to the server's own description;
//! `computed` must name it (or a column that may be it); `unknown` is refused by whoever masks.

use expect_test::expect;

use crate::render::{check_columns, check_conditions, check_outputs, check_passive};

#[test]
fn a025_plain_columns_through_anything() {
    check_outputs(r#"select ssn from people"#, expect!["direct"]);
    check_outputs(r#"select ssn as x, id from people"#, expect!["direct, direct"]);
    check_outputs(r#"select p.ssn from people p"#, expect!["direct"]);
    check_outputs(r#"select people.ssn from people"#, expect!["direct"]);
    check_outputs(r#"select hr.people.ssn from hr.people"#, expect!["direct"]);
    check_outputs(r#"select * from people"#, expect!["direct"]);
    check_outputs(r#"select p.*, 1 from people p"#, expect!["direct, computed()"]);
    check_outputs(r#"table people"#, expect!["direct"]);
    check_outputs(r#"select a from (select ssn as a from people) q"#, expect!["direct"]);
    check_outputs(r#"select * from (select * from people) q"#, expect!["direct"]);
    check_outputs(r#"select q.ssn from (select * from people) q"#, expect!["direct"]);
    check_outputs(r#"select x from (select ssn from people) q(x)"#, expect!["direct"]);
    check_outputs(r#"with c as (select ssn from people) select * from c"#, expect!["direct"]);
    check_outputs(r#"with c(a, b) as (select id, ssn from people) select b from c"#, expect!["direct"]);
    check_outputs(r#"with c(a) as (select * from people) select a from c"#, expect!["direct"]);
    check_outputs(r#"select p.b from people as p(a, b)"#, expect!["direct"]);
    check_outputs(r#"insert into people values (1) returning ssn"#, expect!["direct"]);
    check_outputs(r#"update people set a = 1 returning *"#, expect!["direct"]);
    check_outputs(
        r#"update people set a = b where c = 1 returning ssn, *"#,
        expect!["one of(?.ssn) or computed(?.b), one of(people.*) or computed(?.b)"],
    );
    check_outputs(
        r#"update people set a = (select b from others) returning ssn"#,
        expect!["one of(?.ssn) or computed(?.b)"],
    );
    check_outputs(r#"update people set a = f(b) returning ssn, upper(ssn)"#, expect!["unknown, unknown"]);
    check_outputs(
        r#"update people set a = b from others returning others.d, people"#,
        expect!["one of(others.d) or computed(?.b), unknown"],
    );
    check_outputs(
        r#"insert into people (a) values (1) on conflict (a) do update set a = excluded.b returning ssn"#,
        expect!["one of(?.ssn) or computed(?.a people.b)"],
    );
    check_outputs(
        r#"with x as (update people set a = b returning c) select c from x"#,
        expect!["one of(?.c) or computed(?.b)"],
    );
    check_outputs(r#"delete from people returning people.ssn"#, expect!["direct"]);
    check_outputs(
        r#"merge into people p using n on true when matched then delete returning p.ssn"#,
        expect!["direct"],
    );
    check_outputs(r#"select b.* from people a join people b using (id)"#, expect!["direct"]);
    check_outputs(r#"select ssn from people a join other b on true"#, expect!["direct"]);
    check_outputs(r#"select * from people cross join (select 1 as one) q"#, expect!["direct, computed()"]);
    check_outputs(r#"with c as (delete from people returning ssn) select * from c"#, expect!["direct"]);
    check_outputs(r#"select x from lateral (select p.ssn as x from people p) q"#, expect!["direct"]);
    check_outputs(r#"update people set a = 1 returning old.ssn, new.ssn"#, expect!["direct, direct"]);
}

#[test]
fn a026_expressions() {
    check_outputs(r#"select substr(ssn, 1, 3) from people"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select ssn || '' from people"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select ssn::varchar from people"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select md5(p.ssn) from people p"#, expect!["computed(people.ssn)"]);
    check_outputs(r#"select encode(ssn::bytea, 'base64') from people"#, expect!["computed(?.ssn)"]);
    check_outputs(
        r#"select ascii(substr(ssn, i, 1)) from people, generate_series(1, 11) i"#,
        expect!["computed(?.ssn ?.i)"],
    );
    check_outputs(
        r#"select max(ssn), count(*), count(ssn) from people"#,
        expect!["computed(?.ssn), computed(), computed(?.ssn)"],
    );
    check_outputs(
        r#"select array_agg(ssn order by id), string_agg(name, ssn) from people"#,
        expect!["computed(?.ssn ?.id), computed(?.name ?.ssn)"],
    );
    check_outputs(r#"select case when ssn like '1%' then 1 end from people"#, expect!["computed(?.ssn)"]);
    check_outputs(
        r#"select rank() over (partition by ssn), rank() over w, 1 from people window w as (order by ssn)"#,
        expect!["computed(?.ssn), computed(?.ssn), computed()"],
    );
    check_outputs(r#"select (select ssn from people limit 1)"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select array(select ssn from people)"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select exists (select 1 from people where ssn = $1)"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select 1 from people where ssn = $1"#, expect!["computed()"]);
    check_outputs(r#"select upper(a) from (select ssn as a from people) q"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select upper(q.a) from (select ssn as a from people) q"#, expect!["computed(?.ssn)"]);
    check_outputs(
        r#"with c(a, b) as (select id, ssn from people) select lower(b), lower(a) from c"#,
        expect!["computed(?.ssn), computed(?.id)"],
    );
    check_outputs(
        r#"with c(a) as (select *  from people) select lower(a) from c"#,
        expect!["computed(people.*)"],
    );
    check_outputs(r#"select lower(b) from people as p(a, b)"#, expect!["computed(?.*)"]);
    check_outputs(r#"select (ssn) from people"#, expect!["direct"]);
    check_outputs(r#"select ssn collate "C" from people"#, expect!["computed(?.ssn)"]);
    check_outputs(
        r#"select array[ssn], row(ssn), (row(ssn)).f1, coalesce(ssn, name), greatest(1, ssn), nullif(ssn, name) from people"#,
        expect![
            "computed(?.ssn), computed(?.ssn), computed(?.ssn), computed(?.ssn ?.name), computed(?.ssn), computed(?.ssn ?.name)"
        ],
    );
    check_outputs(
        r#"select json_object('a' : ssn), xmlelement(name x, ssn), json_array(ssn), json_arrayagg(ssn) from people"#,
        expect!["computed(?.ssn), computed(?.ssn), computed(?.ssn), computed(?.ssn)"],
    );
    check_outputs(
        r#"select 1 + 1, now(), current_user, $1"#,
        expect!["computed(), computed(), computed(), computed()"],
    );
    check_outputs(
        r#"select ssn is null, ssn in ('a'), ssn between 'a' and 'b' from people"#,
        expect!["computed(?.ssn), computed(?.ssn), computed(?.ssn)"],
    );
    check_outputs(r#"values (1, (select ssn from people))"#, expect!["computed(), computed(?.ssn)"]);
    check_outputs(
        r#"select x from (values ((select ssn from people)), ('a')) v(x)"#,
        expect!["computed(?.ssn)"],
    );
    check_outputs(
        r#"select column1 from (values ((select ssn from people))) v"#,
        expect!["computed(?.ssn)"],
    );
    check_outputs(r#"select ssn = 'x' or id = 1 from people"#, expect!["computed(?.ssn ?.id)"]);
    check_outputs(
        r#"select sum(length(ssn)) filter (where name = 'x') from people"#,
        expect!["computed(?.ssn ?.name)"],
    );
    check_outputs(
        r#"select count(*) filter (where ssn like '1%') from people"#,
        expect!["computed(?.ssn)"],
    );
}

#[test]
fn a026_whole_rows() {
    check_outputs(r#"select p from people p"#, expect!["unknown"]);
    check_outputs(r#"select people from people"#, expect!["unknown"]);
    check_outputs(r#"select row_to_json(p) from people p"#, expect!["unknown"]);
    check_outputs(r#"select to_jsonb(p) ->> 'ssn' from people p"#, expect!["unknown"]);
    check_outputs(r#"select p::text from people p"#, expect!["unknown"]);
    check_outputs(r#"select (p).ssn from people p"#, expect!["unknown"]);
    check_outputs(r#"select (p).* from people p"#, expect!["unknown"]);
    check_outputs(r#"select p.row_to_json from people p"#, expect!["unknown"]);
    check_outputs(r#"select (p).to_jsonb from people p"#, expect!["unknown"]);
    check_outputs(r#"select p.hstore from people p"#, expect!["unknown"]);
    check_outputs(r#"select row(p.*) from people p"#, expect!["unknown"]);
    check_outputs(r#"select count(p) from people p"#, expect!["unknown"]);
    check_outputs(r#"select array_agg(p) from people p"#, expect!["unknown"]);
    check_outputs(r#"select q from (select ssn from people) q"#, expect!["unknown"]);
    check_outputs(r#"with c as (select * from people) select c from c"#, expect!["unknown"]);
    check_outputs(r#"select json_agg(q) from (select * from people) q"#, expect!["unknown"]);
    check_outputs(r#"select x from (select p as x from people p) q"#, expect!["unknown"]);
    check_outputs(r#"insert into people values (1) returning people"#, expect!["unknown"]);
    check_outputs(r#"select max(p) from people p"#, expect!["unknown"]);
    check_outputs(r#"select concat(p) from people p"#, expect!["unknown"]);
    check_outputs(r#"select (select p from people p)"#, expect!["unknown"]);
    check_outputs(r#"select p is null, p = p from people p"#, expect!["unknown, unknown"]);
    check_outputs(r#"select column2 from people p, lateral (values (p.*)) v"#, expect!["unknown"]);
    check_outputs(r#"select v.column2 from people p, lateral (values (p.*)) v"#, expect!["unknown"]);
    check_outputs(r#"select (select p).ssn from people p"#, expect!["unknown"]);
    check_outputs(r#"select old from (select 1) x, people old"#, expect!["unknown"]);
}

#[test]
fn a026_functions_over_anything() {
    check_outputs(r#"select f()"#, expect!["unknown"]);
    check_outputs(r#"select our_own(id) from people"#, expect!["unknown"]);
    check_outputs(r#"select query_to_xml('select ssn from people', true, true, '')"#, expect!["unknown"]);
    check_outputs(r#"select * from our_own()"#, expect!["unknown"]);
    check_outputs(r#"select g from generate_series(1, 3) g"#, expect!["computed()"]);
    check_outputs(r#"select * from generate_series(1, 3) g"#, expect!["unknown"]);
    check_outputs(r#"select x from our_own() as x"#, expect!["unknown"]);
    check_outputs(r#"select g.a from json_to_recordset($1) as g(a int)"#, expect!["computed()"]);
    check_outputs(r#"select unnest(array[ssn]) from people"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select * from unnest(array(select ssn from people)) u"#, expect!["unknown"]);
    check_outputs(r#"select u from people, unnest(array[ssn]) u"#, expect!["computed(?.u ?.ssn)"]);
    check_outputs(r#"select lo_get(1)"#, expect!["unknown"]);
    check_outputs(r#"select nextval('s')"#, expect!["computed()"]);
}

#[test]
fn a027_set_operations() {
    check_outputs(r#"select ssn from people union all select ssn from people"#, expect!["one of(?.ssn)"]);
    check_outputs(r#"select 1 union select 2"#, expect!["computed()"]);
    check_outputs(
        r#"select * from (select ssn from people except select name from people) q"#,
        expect!["one of(?.ssn ?.name)"],
    );
    check_outputs(
        r#"select x from (select ssn as x from people union all select 1) q"#,
        expect!["one of(?.ssn) or computed()"],
    );
    check_outputs(
        r#"with recursive c as (select ssn from people union all select ssn from c) select * from c"#,
        expect!["unknown"],
    );
}

#[test]
fn a027_a_column_of_a_set_operation_is_one_of_those_of_its_arms() {
    check_outputs(
        r#"select id, p.ssn from people p union all select a.id, a.ssn from archive a"#,
        expect!["one of(?.id archive.id), one of(people.ssn archive.ssn)"],
    );
    check_outputs(
        r#"select ssn from people union select null intersect select upper(name) from others except values ('x')"#,
        expect!["one of(?.ssn) or computed(?.name)"],
    );
    check_outputs(
        r#"select email from (select id, ssn from people union all select 1, name from others) q (nr, email)"#,
        expect!["one of(?.ssn ?.name)"],
    );
    check_outputs(
        r#"with q as (select p.ssn from people p union all select 'x') select ssn as harmless from q order by 1 limit 1"#,
        expect!["one of(people.ssn) or computed()"],
    );
    check_outputs(
        r#"select q.* from (select p.ssn, p.id from people p union all (select a.id, a.ssn from archive a limit 1)) q"#,
        expect!["one of(people.ssn archive.id), one of(people.id archive.ssn)"],
    );
    check_outputs(
        r#"(select p.ssn from people p for update) union all select 'x'"#,
        expect!["one of(people.ssn) or computed()"],
    );
    check_outputs(
        r#"with gone as (delete from people p returning p.ssn) select ssn from gone union all select 'x'"#,
        expect!["one of(people.ssn) or computed()"],
    );
    check_outputs(
        r#"select ssn from people union all select md5(ssn) from people"#,
        expect!["one of(?.ssn) or computed(?.ssn)"],
    );
}

#[test]
fn a027_what_can_not_be_counted_in_a_set_operation_is_unknown() {
    check_outputs(r#"select * from people union all select * from people"#, expect!["unknown"]);
    check_outputs(r#"select ssn, * from people union all select 1, 2, 3"#, expect!["unknown, unknown"]);
    check_outputs(
        r#"select ssn, id from people union all select ssn from people"#,
        expect!["unknown, unknown"],
    );
    check_outputs(r#"select p from people p union all select q from people q"#, expect!["unknown"]);
    check_outputs(r#"select (p).* from people p union all select 1"#, expect!["unknown"]);
    check_outputs(
        r#"select s from people p (s) union all select 'x'"#,
        expect!["one of(?.*) or computed()"],
    );
    check_outputs(
        r#"select p.f from people p union all select 'x'"#,
        expect!["one of(people.f) or computed()"],
    );
    check_outputs(
        r#"select upper(q.x) from (select p.ssn as x from people p union all select 'x') q"#,
        expect!["computed(people.ssn)"],
    );
    check_outputs(
        r#"select (select p.ssn from people p union all select 'x')"#,
        expect!["computed(people.ssn)"],
    );
    check_outputs(
        r#"select q from (select p.ssn from people p union all select 'x') q"#,
        expect!["unknown"],
    );
}

#[test]
fn a028_set_operations_that_compare_choose_rows_by_what_they_compare() {
    check_conditions(r#"select ssn from people union all select 'x'"#, expect![""]);
    check_conditions(r#"select p.ssn from people p union select 'x'"#, expect!["people.ssn"]);
    check_conditions(
        r#"select p.ssn from people p intersect all select '123-45-6789'"#,
        expect!["people.ssn"],
    );
    check_conditions(r#"select '123-45-6789' except select p.ssn from people p"#, expect!["people.ssn"]);
    check_conditions(
        r#"select p.id, p.ssn from people p union all select 1, 'x' order by ssn"#,
        expect!["people.ssn"],
    );
    check_conditions(
        r#"select p.id, p.ssn from people p union all select 1, 'x' order by id"#,
        expect!["people.id"],
    );
}

#[test]
fn a025_names_mean_what_the_server_says() {
    check_outputs(r#"select ssn from (select md5(ssn) as ssn from people) q"#, expect!["computed(?.ssn)"]);
    check_outputs(
        r#"select x from people p, (select md5(ssn) as x from people) q"#,
        expect!["computed(?.x ?.ssn)"],
    );
    check_outputs(r#"with people as (select 1 as ssn) select ssn from people"#, expect!["computed()"]);
    check_outputs(r#"with people as (select 1 as ssn) select ssn from public.people"#, expect!["direct"]);
    check_outputs(r#"select p.x from other p, lateral (select p.ssn as x) q"#, expect!["direct"]);
    check_outputs(
        r#"select q.x from people p, lateral (select (select q.ssn) as x from (select p.ssn) q) q"#,
        expect!["computed(people.ssn)"],
    );
    check_outputs(r#"select (select p.ssn from other p) from people p"#, expect!["computed(other.ssn)"]);
    check_outputs(r#"select (select upper(ssn)) from people"#, expect!["computed(?.ssn)"]);
    check_outputs(r#"select * from people natural full join others"#, expect!["unknown"]);
    check_outputs(r#"select id from people full join others using (id)"#, expect!["computed(?.id)"]);
    check_outputs(r#"select upper(id) from people full join others using (id)"#, expect!["computed(?.id)"]);
    check_outputs(r#"select j.ssn from (people a join others b on true) as j"#, expect!["direct"]);
    check_outputs(r#"select j from (people a join others b on true) as j"#, expect!["unknown"]);
    check_outputs(r#"select j.* from (people a full join others b using (ssn)) as j"#, expect!["unknown"]);
    check_outputs(r#"select u.id from people join others using (id) as u"#, expect!["unknown"]);
    check_outputs(
        r#"select * from xmltable('/a' passing (select x from people) columns b int) z"#,
        expect!["unknown"],
    );
    check_outputs(
        r#"select jt.a from people, json_table(ssn, '$' columns (a int path '$')) jt"#,
        expect!["computed(?.ssn)"],
    );
    check_outputs(
        r#"select ssn from people p where exists (select p.ssn from others p)"#,
        expect!["direct"],
    );
    check_outputs(r#"select nobody.ssn from people"#, expect!["unknown"]);
}

#[test]
fn outputs_that_are_no_answer() {
    check_outputs(r#"insert into people values (1)"#, expect!["none"]);
    check_outputs(r#"select * into t from people"#, expect!["none"]);
    check_outputs(r#"declare c cursor for select ssn from people"#, expect!["none"]);
    check_outputs(r#"fetch c"#, expect!["none"]);
    check_outputs(r#"explain select ssn from people"#, expect!["none"]);
    check_outputs(r#"execute p"#, expect!["none"]);
    check_outputs(r#"call p()"#, expect!["none"]);
    check_outputs(r#"show all"#, expect!["none"]);
    check_outputs(r#"copy (select ssn from people) to stdout"#, expect!["direct"]);
    check_outputs(r#"prepare p as select ssn from people"#, expect!["none"]);
    check_outputs(r#"create table t as select ssn from people"#, expect!["none"]);
}

#[test]
fn columns_that_are_named() {
    check_columns(
        r#"select a, p.b, q.c, x.y from people p, (select md5(ssn) as c from people) q where d = 1 group by e having f > 1 order by g"#,
        expect!["?.ssn ?.a people.b x.y ?.e ?.g ?.d ?.f"],
    );
    check_columns(
        r#"select * from people p join others using (id)"#,
        expect!["people.id others.id people.* others.*"],
    );
    check_columns(
        r#"insert into people (a, b) select c, d from others on conflict (e) do update set f = excluded.g where people.h"#,
        expect!["people.a people.b ?.c ?.d ?.e people.f people.g people.h"],
    );
    check_columns(
        r#"update people p set a = b from others where c returning d"#,
        expect!["people.a ?.b ?.c ?.d"],
    );
    check_columns(
        r#"merge into people p using others o on p.a = o.b when matched then update set c = o.d when not matched then insert (e) values (o.f)"#,
        expect!["people.a others.b others.c others.d others.e others.f"],
    );
    check_columns(r#"select lower(b) from people as p(a, b)"#, expect!["?.*"]);
    check_columns(r#"select people from people"#, expect!["?.people people.*"]);
    check_columns(r#"create index i on people (a, lower(b)) where c"#, expect!["?.a ?.b ?.c"]);
    check_columns(
        r#"create trigger t after insert on people for each row when (new.a > old.b) execute function f()"#,
        expect!["people.a people.b"],
    );
    check_columns(r#"copy people (a, b) to stdout"#, expect!["people.a people.b"]);
    check_columns(r#"grant select (a) on people to bob"#, expect!["?.a"]);
    check_columns(r#"select (p).ssn from people p"#, expect!["?.p people.*"]);
    check_columns(r#"select count(*) from people"#, expect![""]);
    check_columns(r#"select p.row_to_json from people p"#, expect!["people.row_to_json people.*"]);
}

/// Whoever names a column in any other place may read it.
#[test]
fn a027_what_only_gets_a_value_or_is_returned_is_told_apart() {
    check_passive("insert into t (a, b) values (1, 2)", expect!["t.a t.b"]);
    check_passive("insert into t (a, b) select a, 1 from u returning t.b", expect!["t.a t.b"]);
    check_passive(
        "insert into t (a, b) values (1, 2) on conflict (b) do update set c = 1",
        expect!["t.a t.b t.c"],
    );
    check_passive("update t set a = 1, b = b + 1", expect!["t.a t.b"]);
    check_passive("update t x set (a, b) = (1, (select a from t where t.c = x.c))", expect!["t.a t.b"]);
    check_passive("update t set a = 1 from u join t v on v.a = u.b", expect![""]);
    check_passive("update t set a[b] = 1", expect!["t.a"]);
    check_passive("update t set a = 1 where current of c", expect!["t.a"]);
    check_passive("with x as (update t set a = 1 returning b) select a from t", expect!["t.a"]);
    check_passive(
        "merge into t using u on t.a = u.b when matched then update set a = 1, b = u.c",
        expect!["u.a"],
    );
    check_passive("copy t (a) from stdin", expect!["t.a"]);
    check_passive("insert into t (a) values (1) returning a, b, upper(c)", expect!["t.a ?.a ?.b"]);
    check_passive("update t set a = 1 returning *", expect!["t.a t.*"]);
    check_passive("update t set a = 1, b = c returning t.a, t.b, t.c", expect!["t.a t.b t.c"]);
    check_passive("update t set a = 1 returning t", expect!["t.a"]);
    check_passive("delete from t where a = 1 returning a, b", expect!["?.b"]);
    check_passive("insert into t values (1) returning (select a from u)", expect![""]);
    check_passive("select a from t", expect![""]);
}
