//! By which columns rows are chosen, sorted, joined or counted: how a masked value is guessed without ever being shown (threats A28).

use expect_test::expect;

use crate::render::check_conditions;

#[test]
fn a028_what_only_is_shown_is_no_condition() {
    for text in [
        "select ssn from people",
        "select * from people limit 3",
        "select x from (select ssn as x from people) q",
        "with c as (select ssn from people) select * from c",
        "select ssn from people union all select ssn from people",
    ] {
        check_conditions(text, expect![""]);
    }
}

#[test]
fn a028_conditions_in_every_place() {
    check_conditions("select id from people where ssn like '1%'", expect!["?.ssn"]);
    check_conditions("select id from people p where p.ssn = $1 and id > 3", expect!["people.ssn ?.id"]);
    check_conditions("select id from people order by ssn", expect!["?.ssn"]);
    check_conditions("select count(*) from people group by ssn", expect!["?.ssn"]);
    check_conditions(
        "select city from people group by city having max(ssn) > '5'",
        expect!["?.city ?.ssn"],
    );
    check_conditions(
        "select id from people join orders on people.ssn = orders.code",
        expect!["people.ssn orders.code"],
    );
    check_conditions("select id from people join orders using (ssn)", expect!["people.ssn orders.ssn"]);
    check_conditions("select id from people natural join orders", expect!["people.* orders.*"]);
    check_conditions("select row_number() over (order by ssn) from people", expect!["?.ssn"]);
    check_conditions("select rank() over w from people window w as (partition by ssn)", expect!["?.ssn"]);
    check_conditions("select id from people limit (select length(ssn) from people)", expect!["?.ssn"]);
    check_conditions("select 1 from people, generate_series(1, ascii(ssn))", expect!["?.ssn"]);
    check_conditions("select 1 from people tablesample bernoulli (10) where ssn > ''", expect!["?.ssn"]);
    check_conditions("select exists (select from people where ssn = '1')", expect!["?.ssn"]);
    check_conditions(
        "select id from orders where id in (select id from people where ssn = '1')",
        expect!["?.ssn ?.id"],
    );
    check_conditions("select id from people p where p = row(1, '1')", expect!["people.* ?.*"]);
    check_conditions("select id from people p where p::text like '%1%'", expect!["people.* ?.*"]);
    check_conditions("delete from people where ssn = '1'", expect!["?.ssn"]);
    check_conditions("update people set city = '' where ssn = '1'", expect!["people.city ?.ssn"]);
    check_conditions(
        "update people set city = '' from orders o where o.code = ssn",
        expect!["people.city orders.code ?.ssn"],
    );
    check_conditions(
        "merge into orders o using people p on p.ssn = o.code when matched and p.card > 4 then delete",
        expect!["people.ssn orders.code people.card"],
    );
    check_conditions(
        "insert into people (ssn) values ('1') on conflict (ssn) do nothing",
        expect!["people.ssn ?.ssn"],
    );
    check_conditions(
        "insert into people (id) values (1) on conflict (id) do update set city = '' where people.ssn > '1'",
        expect!["people.id ?.id people.city people.ssn"],
    );
    check_conditions("copy people from stdin where ssn > '1'", expect!["people.* ?.ssn"]);
    check_conditions("explain select id from people where ssn = '1'", expect!["?.ssn"]);
    check_conditions("prepare q as select id from people where ssn = $1", expect!["?.ssn"]);
    check_conditions("declare c cursor for select id from people where ssn = '1'", expect!["?.ssn"]);
}

/// A name that a value goes by on the way is the value.
#[test]
fn a028_other_names_of_a_value_are_conditions_too() {
    check_conditions(
        "select id from (select id, ssn as x from people) q where x like '1%'",
        expect!["?.ssn"],
    );
    check_conditions(
        "with c(a) as (select ssn from people) select 1 from c where a = '1'",
        expect!["?.ssn"],
    );
    check_conditions("select ssn as x, id from people order by x", expect!["?.ssn ?.x"]);
    check_conditions("select ssn, id from people order by 1", expect!["?.ssn ?.id"]);
    check_conditions("select ssn as x, count(*) from people group by x", expect!["?.ssn ?.x"]);
    check_conditions("select ssn, count(*) from people group by 1", expect!["?.ssn"]);
    check_conditions("select distinct ssn from people", expect!["?.ssn"]);
    check_conditions("select distinct on (ssn) id from people", expect!["?.ssn"]);
    check_conditions("select upper(ssn) as u from people order by u", expect!["?.ssn ?.u"]);
    check_conditions("select id from people p(id, x) where x = '1'", expect!["?.*"]);
    check_conditions("select q.* from (select * from people) q where q.ssn = '1'", expect!["people.ssn"]);
    check_conditions(
        "select 1 from people p, lateral (select p.ssn as y) l where y > '1'",
        expect!["?.y people.ssn"],
    );
    check_conditions(
        "select id from people union select 1 where exists (select from people where ssn > '')",
        expect!["?.ssn ?.id"],
    );
    check_conditions(
        "select (select id from orders where code = ssn) from people",
        expect!["?.code ?.ssn ?.id"],
    );
}

/// What is computed and not shown tells by how many rows it gives, by an error, or by numbering them; what is stored, by what is there already.
#[test]
fn a028_what_is_computed_compared_or_stored_tells_too() {
    check_conditions(
        "select id, count(*) from (select id, generate_series(1, ascii(ssn)) from people) q group by id",
        expect!["?.ssn ?.id"],
    );
    check_conditions(
        "with c as (select id, 1 / (case when ssn like 'S%' then 0 else 1 end) z from people) select id from c",
        expect!["?.ssn"],
    );
    check_conditions(
        "with c as (select id, rank() over (order by ssn desc) r from people) select id from c",
        expect!["?.ssn"],
    );
    check_conditions(
        "select count(*) from (select ssn from people intersect select 'x') q",
        expect!["?.ssn"],
    );
    check_conditions("select ssn from people union select 'x'", expect!["?.ssn"]);
    check_conditions("select count(*), ssn as zz from people group by rollup (zz)", expect!["?.ssn ?.zz"]);
    check_conditions(
        "select ssn as zz from people group by grouping sets ((zz, id))",
        expect!["?.ssn ?.zz ?.id"],
    );
    check_conditions("insert into people (id, ssn) values (1, 'x')", expect!["people.id people.ssn"]);
    check_conditions("insert into people values (1, 'x') on conflict do nothing", expect!["people.*"]);
    check_conditions("update people set ssn = 'x' where id = 1", expect!["people.ssn ?.id"]);
    check_conditions(
        "merge into people using orders s on people.id = s.id when not matched then insert values (9, 'x')",
        expect!["people.id orders.id people.*"],
    );
    check_conditions("copy people from stdin", expect!["people.*"]);
    check_conditions("copy people (ssn) from stdin", expect!["people.ssn"]);
}
