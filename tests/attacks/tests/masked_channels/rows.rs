//! A25: the column itself, under every name and by every way that shows rows.

use super::super::{Attack, Sides, shows};

/// What the server says of the column's origin is right in most of these, and what the client calls it is not.
const NAMES: &[Attack] = &[
    shows(&["select ssn as x from people where id = 1"]),
    shows(&["select s from lab.by_view where id = 1"]),
    shows(&["select * from lab.over_view"]),
    shows(&["select s from lab.kept where id = 1"]),
    shows(&["table people"]),
    shows(&["table lab.kept"]),
    shows(&["select p.*, 1 from people p"]),
    shows(&["select e from people p (a, b, c, d, e, f)"]),
    shows(&["select * from people p (ssn, a, b, c, name, e)"]),
    shows(&["select \"ssn\" from \"people\""]),
    shows(&["select U&\"ss\\006E\" from U&\"\\0070eople\""]),
    shows(&["select public.people.ssn as name from public.people"]),
    shows(&["select ssn from only people"]),
    shows(&["select ssn from people tablesample bernoulli (100)"]),
    shows(&["select ssn from people where id = 1 for update"]),
    shows(&["select ssn from people order by id fetch first 1 rows with ties"]),
    shows(&["select distinct ssn from people"]),
    shows(&["select ssn from people group by ssn"]),
    shows(&["select ssn from people order by ssn"]),
    shows(&["set search_path = pg_catalog, public", "select ssn from people"]),
    shows(&["begin isolation level serializable", "select ssn from people", "commit"]),
    shows(&[
        "begin",
        "savepoint s",
        "select ssn from people",
        "rollback to s",
        "select ssn from people",
        "commit",
    ]),
];

const NESTED: &[Attack] = &[
    shows(&["select a from (select ssn from people where id = 1) q (a)"]),
    shows(&["with q (a) as (select ssn from people where id = 1) select a from q"]),
    shows(&["with q as materialized (select * from people) select q.* from q"]),
    shows(&[
        "with recursive r (n, s) as (select 1, ssn from people where id = 1 union all select n + 1, s from r where n < 2) select s from r",
    ]),
    shows(&["select (select ssn from people where id = 1)"]),
    shows(&["select (select ssn from people p where p.id = o.id) from orders o"]),
    shows(&["select array(select ssn from people)"]),
    shows(&["values ((select ssn from people where id = 1))"]),
    shows(&["select s from (values ((select ssn from people where id = 1))) v (s)"]),
    shows(&["select l.s from people p, lateral (select p.ssn as s) l"]),
    shows(&["select l.s from people p cross join lateral (values (p.ssn)) l (s)"]),
    shows(&["select j.e from (people p join orders o on o.person = p.id) j (a, b, c, d, e, f)"]),
    shows(&["select * from people natural join (select 1::bigint as id) one"]),
    shows(&["select ssn from people join (select 1::bigint as id) one using (id)"]),
    shows(&["select * from people p full join people q using (ssn)"]),
    shows(&["select ssn from people p full join people q using (ssn)"]),
    shows(&["select j.ssn from people p join people q using (ssn) as j"]),
    shows(&["select x.* from rows from (generate_series(1, 1)) g, people x"]),
    shows(&["select ssn from people union all select ssn from people"]),
    shows(&["select ssn from people union select ssn from people"]),
    shows(&["select ssn from people intersect select ssn from people"]),
    shows(&["select ssn from people except select name from people"]),
    shows(&["select name from people where id = 2 union all select ssn from people"]),
    shows(&["select s from (select null as s union all select ssn from people) q where s is not null"]),
];

const CHANGED: &[Attack] = &[
    shows(&["update people set city = city where id = 1 returning ssn"]),
    shows(&["update people set city = city where id = 1 returning *"]),
    shows(&[
        "update people p set city = city from orders o where o.person = p.id returning o.id, p.ssn as o",
    ]),
    shows(&["update orders o set item = item from people p where o.person = p.id returning p.ssn as item"]),
    shows(&["delete from orders o using people p where o.person = p.id returning p.*"]),
    shows(&["begin", "delete from orders", "delete from people where id = 1 returning ssn", "rollback"]),
    shows(&[
        "begin",
        "insert into people select 9, name, email, card, ssn, city from people where id = 1 returning ssn",
        "rollback",
    ]),
    shows(&[
        "insert into people values (1, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = people.city returning ssn",
    ]),
    shows(&[
        "insert into people values (1, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = people.city returning *",
    ]),
    shows(&["with u as (update people set city = city where id = 1 returning *) select * from u"]),
    shows(&[
        "with u (a) as (update people set city = city where id = 1 returning ssn) select a as city from u",
    ]),
    shows(&["update lab.by_view set id = id where id = 1 returning s"]),
];

const PREPARED: &[Attack] = &[
    shows(&["prepare q as select ssn from people where id = 1", "execute q"]),
    shows(&["prepare q (int) as select ssn from people where id = $1", "execute q (1)"]),
    shows(&["prepare q as update people set city = city where id = 1 returning ssn", "execute q"]),
    shows(&["prepare \"Q q\" as table people", "execute \"Q q\""]),
    shows(&["prepare q as select s from lab.by_view", "begin", "execute q", "rollback", "execute q"]),
    shows(&[
        "begin",
        "declare c cursor for select ssn from people order by id",
        "fetch 1 from c",
        "commit",
    ]),
    shows(&[
        "begin",
        "declare c binary cursor for select ssn from people order by id",
        "fetch all from c",
        "commit",
    ]),
    shows(&[
        "begin",
        "declare c scroll cursor for table people",
        "fetch last from c",
        "fetch backward all from c",
        "commit",
    ]),
    shows(&[
        "begin",
        "declare c cursor with hold for select ssn from people order by id",
        "commit",
        "fetch all from c",
        "close c",
    ]),
    shows(&[
        "begin",
        "declare c cursor for select ssn as name from people for update",
        "fetch all from c",
        "commit",
    ]),
    shows(&[
        "begin",
        "declare c cursor for select * from people order by id for update",
        "fetch 1 from c",
        "update people set city = city where current of c returning ssn",
        "commit",
    ]),
];

fn sides() -> Sides {
    Sides::prepare(
        "",
        "create view lab.by_view as select id, ssn as s from people; create view lab.over_view as select s as name from lab.by_view; \
         create materialized view lab.kept as select id, ssn as s from people",
    )
}

#[test]
fn a025_no_name_shows_the_value() {
    sides().hide(NAMES);
}

#[test]
fn a025_no_nesting_shows_the_value() {
    sides().hide(NESTED);
}

#[test]
fn a025_what_is_changed_returns_no_value() {
    sides().hide(CHANGED);
}

#[test]
fn a025_what_sql_has_prepared_or_declared_shows_no_value() {
    sides().hide(PREPARED);
}
