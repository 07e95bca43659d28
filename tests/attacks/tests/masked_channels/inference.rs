//! A28: what is told by which rows there are, how many, in which order, and with which code. A policy limits it with `conditions`; here it is 0.

use gatewright_e2e::{
    policies,
    wire::{self, Message},
};

use super::super::{Sent, Sides, Who, print};

/// The first of `people` has a number that begins with 5, and the third has none.
const PERSONS: [&str; 2] = ["1", "3"];

const CHOSEN: &[&[&str]] = &[
    &["select 1 from people where id = {} and ssn like '5%'"],
    &["select 1 from people where id = {} and ssn ~ '^5'"],
    &["select 1 from people where id = {} and ssn similar to '5%'"],
    &["select 1 from people where id = {} and ssn >= '5'"],
    &["select 1 from people where id = {} and ssn between '5' and '6'"],
    &["select 1 from people where id = {} and ssn in ('536-22-8726', 'x')"],
    &["select 1 from people where id = {} and ssn = any ('{536-22-8726}')"],
    &["select 1 from people where id = {} and starts_with(ssn, '5')"],
    &["select 1 from people where id = {} and left(ssn, 1) = '5'"],
    &["select 1 from people where id = {} and position('5' in ssn) = 1"],
    &["select 1 from people p where id = {} and p::text like '%536-22%'"],
    &["select 1 from people p where id = {} and to_jsonb(p) ->> 'ssn' like '5%'"],
    &["select 1 from people p where id = {} and to_jsonb(p) @> '{\"ssn\": \"536-22-8726\"}'"],
    &["select 1 from people p where id = {} and (p).ssn like '5%'"],
    &["select 1 from people p where id = {} and ssn(p) like '5%'"],
    &["select 1 from people p where id = {} and (id, ssn) = (1, '536-22-8726')"],
    &[
        "select 1 from people p where id = {} and p.* = row(1::bigint, 'Ada Lovelace', 'ada@example.com', '4111 1111 1111 1111', '536-22-8726', 'London')",
    ],
    &["select 1 from people p (i, b, c, d, e, f) where i = {} and e like '5%'"],
    &["select 1 from (select id, ssn as s from people) q where id = {} and s like '5%'"],
    &["with q (i, s) as (select id, ssn from people) select 1 from q where i = {} and s like '5%'"],
    &["select 1 from lab.by_view where id = {} and s like '5%'"],
    &["select exists (select from people where id = {} and ssn like '5%')"],
    &["select 1 where (select ssn from people where id = {}) like '5%'"],
    &["select 1 where '536-22-8726' in (select ssn from people where id = {})"],
    &["select 1 where '536-22-8726' = all (select ssn from people where id = {})"],
    &["select count(*) from people where id = {} group by ssn having ssn like '5%'"],
    &["select 1 from people where id = {} having max(ssn) like '5%'"],
    &["select 1 from people p join (values ('536-22-8726')) v (ssn) using (ssn) where id = {}"],
    &["select 1 from people p natural join (values ('536-22-8726')) v (ssn) where id = {}"],
    &["select 1 from people p join people q on p.ssn = q.ssn and q.id = 1 where p.id = {}"],
    &["select v.s from people p left join (values ('536-22-8726')) v (s) on v.s = p.ssn where id = {}"],
    &["select 1 from (select ssn from people where id = {} intersect select '536-22-8726') q"],
    &["select 1 from (select '536-22-8726' except select ssn from people where id = {}) q"],
    &["select count(*) from (select ssn from people where id = {} union select '536-22-8726') q"],
    &["prepare q as select 1 from people where id = {} and ssn like '5%'", "execute q"],
    &["prepare q (text) as select 1 from people where id = {} and ssn like $1", "execute q ('5%')"],
    &[
        "begin",
        "declare c cursor for select 1 from people where id = {} and ssn like '5%'",
        "fetch all from c",
        "commit",
    ],
    &["select (select 1 from people q where q.id = p.id and q.ssn like '5%') from people p where id = {}"],
    &["select 1 / (select count(*) from people where id = {} and ssn not like '5%')"],
];

const COUNTED: &[&[&str]] = &[
    &["select from generate_series(1, ascii((select ssn from people where id = {})))"],
    &["select from people, generate_series(1, ascii(ssn)) where id = {}"],
    &["select from people, lateral (select from generate_series(1, ascii(ssn))) l where id = {}"],
    &["select from people, string_to_table(ssn, '3') where id = {}"],
    &["select from people, regexp_matches(ssn, '6', 'g') where id = {}"],
    &["select from people, unnest(string_to_array(ssn, '6')) where id = {}"],
    &["select generate_series(1, ascii(ssn)) from people where id = {}"],
    &["select 1 from generate_series(1, 100) limit (select ascii(ssn) from people where id = {})"],
    &["select 1 from generate_series(1, 100) offset (select ascii(ssn) from people where id = {})"],
    &[
        "select 1 from generate_series(1, 100) fetch first (select ascii(ssn) from people where id = {}) rows only",
    ],
    &["copy (select from people, generate_series(1, ascii(ssn)) where id = {}) to stdout"],
    &["copy (select 1 from people where id = {} and ssn like '5%') to stdout"],
    &[
        "begin",
        "declare c scroll cursor for select from people, generate_series(1, ascii(ssn)) where id = {}",
        "move all in c",
        "commit",
    ],
    &[
        "begin",
        "declare c cursor for select from generate_series(1, 99)",
        "do $$ begin execute 'move ' || (select ascii(ssn) from people where id = {}) || ' in c'; end $$",
        "move all in c",
        "commit",
    ],
    &[
        "create temp table counted as select 1 as n from people, generate_series(1, ascii(ssn)) where id = {}",
    ],
    &["create temp table counted as select 1 as n from people where id = {} and ssn like '5%'"],
    &["select 1 as n into temp counted from people where id = {} and ssn like '5%'"],
    &[
        "begin",
        "insert into scratch select 'x' from people, generate_series(1, ascii(ssn)) where id = {}",
        "rollback",
    ],
    &["begin", "update orders set item = item from people p where p.id = {} and ssn like '5%'", "rollback"],
    &["begin", "update people set city = city where id = {} and ssn like '5%'", "rollback"],
    &["begin", "delete from orders using people p where p.id = {} and ssn like '5%'", "rollback"],
    &[
        "begin",
        "merge into orders o using people p on p.id = {} and p.ssn like '5%' when matched then update set item = item when not matched then do nothing",
        "rollback",
    ],
    &[
        "begin",
        "merge into orders o using people p on p.id = {} and o.person = p.id when matched and p.ssn like '5%' then delete",
        "rollback",
    ],
    &[
        "begin",
        "insert into people values ({}, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = people.city where people.ssn like '5%'",
        "rollback",
    ],
    &[
        "explain (analyze, costs off, timing off, summary off) select 1 from people where id = {} and ssn like '5%'",
    ],
    &[
        "explain (analyze, costs off, timing off, summary off) select from people p, generate_series(1, ascii(ssn)) where id = {}",
    ],
];

const COMPUTED: &[&[&str]] = &[
    &["select 1 / (case when ssn like '5%' then 0 else 1 end) from people where id = {}"],
    &["select 1 from people where id = {} and 1 / (case when ssn like '5%' then 0 else 1 end) = 1"],
    &["select 1 from people where id = {} order by 1 / (case when ssn like '5%' then 0 else 1 end)"],
    &[
        "begin",
        "update people set city = (1 / (case when ssn like '5%' then 0 else 1 end))::text where id = {}",
        "rollback",
    ],
    &[
        "do $$ begin if (select ssn from people where id = {}) like '5%' then raise sqlstate 'AAAA1'; end if; end $$",
    ],
    &["select count(*) filter (where ssn like '5%') from people where id = {}"],
    &["select case when ssn like '5%' then 1 end from people where id = {}"],
    &["select bool_or(ssn like '5%') from people where id = {}"],
    &["select ssn like '5%' from people where id = {}"],
    &["select ssn < '5' from people where id = {}"],
    &["select ssn is distinct from '536-22-8726' from people where id = {}"],
    &["select nullif(ssn, '536-22-8726') is null from people where id = {}"],
    &["select ssn in ('536-22-8726', '') from people where id = {}"],
    &["select hashtext(ssn) from people where id = {}"],
    &["select ascii(ssn) from people where id = {}"],
    &["select position('6' in ssn) from people where id = {}"],
    &["select levenshtein(ssn, '536-22-8726') from people where id = {}"],
    &["select similarity(ssn, '536-22-8726') from people where id = {}"],
    &["select crypt('536-22-8726', ssn) from people where id = {}"],
    &["select hmac(ssn, 'key', 'sha256') from people where id = {}"],
    &["select r from (select id, rank() over (order by ssn) as r from people) q where id = {}"],
    &["select r from (select id, lag(id) over (order by ssn) is null as r from people) q where id = {}"],
    &[
        "select r from (select id, count(*) over (partition by left(ssn, 1)) as r from people) q where id = {}",
    ],
    &["select string_agg(city, ',' order by ssn) from people where id <= {}"],
    &["select array(select 1 from people where id = {} and ssn like '5%')"],
    &["select row(ssn, 1) < row('5', 1) from people where id = {}"],
    &[
        "select grouping(ssn), count(*) filter (where ssn like '5%') from people where id = {} group by grouping sets ((ssn), ())",
    ],
    &[
        "select pg_advisory_lock(ascii(ssn)) from people where id = {}",
        "select objid from pg_locks where locktype = 'advisory'",
    ],
    &[
        "select nextval('lab.counted') from people, generate_series(1, ascii(ssn)) where id = {}",
        "select currval('lab.counted') < 54",
    ],
    &[
        "select count(nextval('lab.other')) from people where id = {} and ssn like '5%'",
        "select is_called from lab.other",
    ],
];

/// Chosen by, and shown by nothing but how they stand.
const CHOICES: &[&str] = &[
    "select id from people order by ssn",
    "select id, ssn as s from people order by s",
    "select id, ssn from people order by 2",
    "select id from people order by left(ssn, 2) desc",
    "select id from (select id, ssn as s from people) q order by s",
    "select count(*) from people group by ssn",
    "select count(*) from people group by left(ssn, 1)",
    "select distinct on (ssn) id from people",
    "select distinct left(ssn, 1) = '5' from people",
    "select id from people order by ssn limit 1",
    "select row_number() over (order by ssn), id from people",
    "select array_agg(id order by ssn) from people",
    "select max(id) over (order by ssn rows 1 preceding) from people",
    "select count(distinct ssn) from people",
    "select count(distinct left(ssn, 1)) from people",
    "select id from people p where not exists (select from people q where q.ssn < p.ssn)",
    "select p.id from people p where ssn = (select min(ssn) from people)",
    "select id from people where (ssn, id) > ('5', 0) order by id",
    "with recursive r (id, s) as (select id, ssn from people where id = 1 union select p.id, p.ssn from r join people p on p.ssn < r.s) select id from r",
    "copy (select id from people order by ssn) to stdout",
    "select id from people where ssn is not null and ssn > '5'",
    "update people set city = city where ssn like '5%' returning id",
    "declare c cursor with hold for select id from people order by ssn",
];

fn sides() -> Sides {
    let never =
        policies::masks().unwrap().replace("method = \"hash\"", "method = \"hash\", conditions = 0");
    assert!(never.contains("conditions"), "{never}");
    Sides::with(
        &never,
        &[],
        "create extension fuzzystrmatch; create extension pg_trgm; create extension pgcrypto",
        "create unique index on people (ssn); create sequence lab.counted; create sequence lab.other; \
         create view lab.by_view as select id, ssn as s from people",
    )
}

#[test]
fn a028_no_choice_of_rows_tells_people_apart() {
    sides().tell_apart_nothing(PERSONS, CHOSEN);
}

#[test]
fn a028_no_number_of_rows_tells_people_apart() {
    sides().tell_apart_nothing(PERSONS, COUNTED);
}

#[test]
fn a028_nothing_computed_tells_people_apart() {
    sides().tell_apart_nothing(PERSONS, COMPUTED);
}

/// Of a unique column, an error says whether a value is there.
#[test]
fn a028_no_value_is_tried_where_it_would_be_told_that_it_is_there() {
    let values = ["536-22-8726", "000-00-0000"];
    sides().tell_apart_nothing(
        values,
        &[
            &["begin", "insert into people values (9, 'n', 'e', 'c', '{}', 'x')", "rollback"],
            &["begin", "insert into people values (9, 'n', 'e', 'c', '{}', 'x') on conflict do nothing", "rollback"],
            &["begin", "insert into people values (9, 'n', 'e', 'c', '{}', 'x') on conflict (ssn) do nothing returning id", "rollback"],
            &["begin", "update people set ssn = '{}' where id = 2", "rollback"],
            &["begin", "update people set (ssn, city) = ('{}', city) where id = 2", "rollback"],
            &["begin", "merge into people p using (values (9)) v (i) on p.id = v.i when not matched then insert values (9, 'n', 'e', 'c', '{}', 'x')", "rollback"],
        ],
    );
}

/// Where no two people can be asked about: what comes is a refusal, before any of it has run.
#[test]
fn a028_no_order_and_no_group_is_made_by_the_value() {
    let sides = sides();
    for choice in CHOICES {
        let shown = sides.told(Who::Exempt, Sent::Query, &[choice]);
        assert_eq!(wire::states(&shown), [] as [&str; 0], "{choice}: {}", print(&shown));
        for sent in [Sent::Query, Sent::Text, Sent::Binary] {
            let told = sides.told(Who::Masked, sent, &[choice]);
            let refusal =
                |told: &[Message]| wire::states(told) == ["42501"] && !wire::tags(told).starts_with("TD");
            assert!(refusal(&told), "{choice}, sent as {sent:?}: {}", print(&told));
            assert_eq!(sides.leak(&told, None), None, "{choice}");
        }
    }
}
