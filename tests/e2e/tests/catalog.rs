//! What masks know of a target's definitions: the catalog, read beside the sessions.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used)]

use gatewright_e2e::{Mint, Psql, Scene, eventually, free_port, policies};

mod catalog {
    mod unseen_code;
    mod views;
}

const ALICE: Mint<'_> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

/// Nothing is masked for her.
const CAROL: Mint<'_> =
    Mint { subject: "carol", groups: &["privacy"], actors: &[], kind: "human", ttl: "1h" };

fn scene() -> Scene {
    Scene::with(&[("masks", &policies::masks().unwrap())]).unwrap()
}

fn define(scene: &Scene, statements: &str) {
    scene.postgres.sql("postgres", statements).unwrap();
}

/// The server reads names as they are now, whatever a transaction sees: so does the gateway.
#[test]
fn a025_a_view_that_was_made_behind_an_old_snapshot_is_withheld() {
    let scene = scene();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.say("begin isolation level repeatable read;").unwrap();
    assert_eq!(psql.say("select count(*) from orders;").unwrap(), "40\n");
    define(
        &scene,
        "create view sneaky as select id, ssn as x from people; grant select on sneaky to public",
    );
    let answer = psql.say("select x from sneaky where id = 1;").unwrap();
    assert!(answer.contains("null in this answer") && !answer.contains("536-22-8726"), "{answer}");
    let masked = psql.say("select name, ssn from people where id = 1;").unwrap();
    assert!(masked.starts_with("Ada Lovelace|") && !masked.contains("536-22-8726"), "{masked}");
    assert_eq!(psql.say("commit;").unwrap(), "");
}

/// Nobody tells the gateway: its catalog is read again once it is old.
#[test]
fn a025_a_view_that_is_replaced_past_the_gateway_is_seen_by_age() {
    let scene = scene();
    define(
        &scene,
        "create view notes as select id, city as note from people; grant select on notes to public",
    );
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    assert_eq!(psql.say("select upper(note) from notes where id = 1;").unwrap(), "LONDON\n");
    define(&scene, "create or replace view notes as select id, ssn as note from people");
    eventually("the catalog is read again", || {
        psql.say("select upper(note) from notes where id = 1;").is_ok_and(|answer| answer.contains("ERROR"))
    });
}

/// What a view shows of a function is no column of a table that could be masked.
#[test]
fn a026_what_a_view_shows_of_somebodys_code_is_withheld() {
    let scene = scene();
    define(
        &scene,
        "create function everybody() returns setof text language sql security definer as 'select ssn from public.people order by id'; \
         create view by_code as select s.ssn from everybody() as s(ssn); \
         create view over_it as select ssn as x from by_code; \
         create view by_text as select query_to_xml('select ssn from people', true, false, '')::text as x; \
         create function same(text, text) returns boolean language sql as 'select $1 = $2'; \
         create operator === (leftarg = text, rightarg = text, function = same); \
         create view by_operator as select name from people where ssn === '536-22-8726'; \
         grant select on by_code, over_it, by_text, by_operator to public",
    );
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for statement in [
        "select ssn from by_code;",
        "select x from over_it;",
        "select * from over_it limit 1;",
        "select x from by_text;",
        "select name from by_operator;",
        "select max(x) from over_it;",
        "copy by_code to stdout;",
        "select x::int from over_it;",
        "insert into scratch select x from over_it;",
        "select o.id from orders o where o.id::text = (select x from over_it limit 1);",
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(!answer.contains("536-22") && !answer.contains("Ada"), "{statement}: {answer}");
    }
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
    assert_eq!(psql.say("select count(*) from over_it;").unwrap(), "4\n", "how many there are is shown");
}

/// The server takes the function whose arguments fit best, of all that go by a name.
#[test]
fn a026_a_function_under_a_name_of_postgresqls_is_somebodys_code() {
    let scene = scene();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    assert_eq!(
        psql.say("select upper('ada'), lower(name) from people where id = 1;").unwrap(),
        "ADA|ada lovelace\n"
    );
    define(
        &scene,
        "create function public.upper(date) returns text language sql security definer as \
         'select string_agg(ssn, '','') from public.people'",
    );
    // Another session's reading of the catalog may be some seconds old.
    drop(psql);
    let scene_two = scene.psql(&ALICE).unwrap();
    eventually("the catalog is read again", || {
        let answer = scene_two.run("select upper(current_date);");
        answer.is_ok_and(|answer| answer.contains("null in this answer"))
    });
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for statement in ["select upper(current_date);", "insert into scratch select upper(current_date);"] {
        let answer = psql.say(statement).unwrap();
        assert!(!answer.contains("536-22"), "{statement}: {answer}");
    }
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
    assert_eq!(psql.say("select pg_catalog.upper('ada');").unwrap(), "ADA\n", "that one is PostgreSQL's");
}

/// What somebody else changes through the gateway counts at once.
#[test]
fn a025_a_view_that_another_session_replaces_is_seen_at_once() {
    let scene = scene();
    define(&scene, &format!("create schema app authorization {}", scene.postgres.account()));
    let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    assert_eq!(carol.say("create view app.notes as select id, city as note from people;").unwrap(), "");
    for round in 0..3 {
        let shown = "create or replace view app.notes as select id, 'nothing'::text as note from orders;";
        // A view keeps the types of its columns.
        carol.say("drop view app.notes;").unwrap();
        carol.say(shown).unwrap();
        assert_eq!(
            alice.say("select upper(note) from app.notes limit 1;").unwrap(),
            "NOTHING\n",
            "{round}"
        );
        carol.say("create or replace view app.notes as select id, ssn::text as note from people;").unwrap();
        let answer = alice.say("select upper(note) from app.notes limit 1;").unwrap();
        assert!(answer.contains("ERROR"), "{round}: {answer}");
    }
}

/// Also where it comes through another listener that leads to the same server, as another account's would.
#[test]
fn a025_a_view_that_is_replaced_through_another_listener_is_seen_at_once() {
    let port = free_port().unwrap();
    let other = format!(
        "[[listener]]\nname = \"other\"\nprotocol = \"postgres\"\nlisten = \"127.0.0.1:{port}\"\ntarget = \"demo\"\n\
         tls = {{ certificate = \"tls/server.pem\", key = \"tls/server.key\" }}\n"
    );
    let masks = policies::masks().unwrap();
    let scene = Scene::build(&[("masks", &masks)], false, |setup| setup.more(&other)).unwrap();
    define(&scene, &format!("create schema app authorization {}", scene.postgres.account()));
    let token = scene.gateway.token(&CAROL).unwrap();
    let mut carol = Psql::new(port, &scene.gateway.authority(), "app", &token).open().unwrap();
    let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
    assert_eq!(
        carol.say("create view app.notes as select id, 'nothing'::text as note from orders;").unwrap(),
        ""
    );
    assert_eq!(alice.say("select upper(note) from app.notes where id = 2;").unwrap(), "NOTHING\n");
    carol.say("create or replace view app.notes as select id, ssn::text as note from people;").unwrap();
    let answer = alice.say("select upper(note) from app.notes where id = 2;").unwrap();
    assert!(answer.contains("ERROR"), "{answer}");
}

/// Where an account may have no further connection, its sessions read the catalog themselves.
#[test]
fn masks_hold_where_the_gateway_gets_no_connection_of_its_own() {
    let scene = scene();
    let account = scene.postgres.account();
    define(&scene, &format!("alter role {account} connection limit 1"));
    let masked = scene.psql(&ALICE).unwrap().run("select name, ssn from people where id = 1;").unwrap();
    assert!(masked.starts_with("Ada Lovelace|") && !masked.contains("536-22-8726"), "{masked}");
    let log = scene.gateway.log();
    assert!(log.contains("could not ask the target"), "{log}");
}

/// The server reads a view when it has its lock, and not when it is asked: what is shown is what the view is by then.
#[test]
fn a025_a_view_that_is_replaced_while_a_statement_waits_for_it_is_masked() {
    let scene = scene();
    define(&scene, &format!("create schema app authorization {}", scene.postgres.account()));
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    for statement in [
        "select note from app.notes where id = 1;",
        "select upper(note) from app.notes where id = 1;",
        "copy (select note from app.notes where id = 1) to stdout;",
    ] {
        carol.say("drop view if exists app.notes;").unwrap();
        carol.say("create view app.notes as select id, 'nothing'::text as note from orders;").unwrap();
        let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
        let before = alice.say(statement).unwrap();
        assert!(before.eq_ignore_ascii_case("nothing\n"), "{statement}: {before}");
        carol.say("begin;").unwrap();
        carol.say("create or replace view app.notes as select id, ssn::text as note from people;").unwrap();
        alice.begin(statement).unwrap();
        eventually("the statement waits", || {
            let waiting = "select count(*) from pg_locks where not granted";
            scene.postgres.sql("postgres", waiting).is_ok_and(|count| count == "1")
        });
        carol.say("commit;").unwrap();
        let answer = alice.end().unwrap_or_else(|error| error.to_string());
        assert!(!answer.contains("nothing") && !answer.contains("536-22"), "{statement}: {answer}");
    }
}

/// Children, partitions and parents show rows of each other under the same names: so they are masked alike.
#[test]
fn a025_what_shares_rows_with_a_masked_relation_is_masked_as_that_is() {
    let columns = [
        "relation = \"public.people\", column = \"ssn\"",
        "relation = \"public.visits\", column = \"whom\"",
    ];
    let columns =
        columns.map(|column| format!("{{ {column}, method = {{ partial = 4 }}, conditions = 1 }}"));
    let settings = format!("exempt_groups = []\ncolumns = [{}]", columns.join(", "));
    let scene = Scene::with(&[("masks", &policies::document("masks", "mask_columns", &settings).unwrap())])
        .unwrap();
    define(
        &scene,
        "create table people_abroad (country text) inherits (people);
         insert into people_abroad select p.*, 'Malta' from only people p where id = 1;
         create table visits (day int, whom text) partition by range (day);
         create table visits_old partition of visits for values from (0) to (10) partition by list (whom);
         create table visits_oldest (whom text, day int);
         alter table visits_old attach partition visits_oldest default;
         insert into visits select 1, ssn from only people where id = 1;
         create view over_old as select whom as w, day from visits_oldest;
         grant select on all tables in schema public to public",
    );
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for (statement, answer) in [
        ("select ssn, country, upper(name) from people_abroad;", "*******8726|Malta|ADA LOVELACE\n"),
        ("copy people_abroad (ssn, country) to stdout;", "*******8726\tMalta\n"),
        ("select * from visits_oldest;", "*******8726|1\n"),
        ("select whom, day + 1 from visits_old;", "*******8726|2\n"),
        ("copy visits_oldest to stdout;", "*******8726\t1\n"),
        ("select count(*) from visits_old where day = 1;", "1\n"),
        ("select day from visits union select day from visits_oldest;", "1\n"),
        // A view that is followed is chosen from by what its columns are.
        ("select day from over_old where day = 1;", "1\n"),
        ("select day from over_old where day > 0 order by day;", "1\n"),
        (
            "select ssn from people_abroad union all select whom from visits_oldest;",
            "*******8726\n*******8726\n",
        ),
    ] {
        assert_eq!(psql.say(statement).unwrap(), answer, "{statement}");
    }
    for statement in [
        "select whom::text || '' from visits_oldest;",
        "select v from visits_oldest v;",
        "select w from over_old;",
        "select max(whom) from visits_old;",
        "insert into scratch select whom from visits_oldest;",
        "select row_to_json(p) from people_abroad p;",
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(!answer.contains("536-22"), "{statement}: {answer}");
    }
    // What chooses rows by the column is a guess, whichever of them is asked.
    assert_eq!(psql.say("select day from visits_oldest where whom like '536%';").unwrap(), "1\n");
    let refused = psql.say("select day from visits where whom like '536-22%';").unwrap();
    assert!(refused.contains("mask.condition"), "{refused}");
}

/// What a view shows is what its query takes: each column as what it is, and nothing of what it does not use.
#[test]
fn a025_the_columns_of_a_view_are_those_of_its_tables() {
    let scene = scene();
    define(
        &scene,
        "alter table people add tag text generated always as ('#' || ssn) stored, add initial text generated always as (left(name, 1)) stored;
         create view plain as select id as number, name as who, initial from people where city <> '';
         create view mixed as select id as number, ssn as secret, name as who from people;
         create view over_mixed as select number, who, secret as z from mixed;
         create view over_plain as select p.*, upper(who) as loud from plain p;
         create view computed as select id as number, upper(ssn) as loud from people;
         create view chosen as select id as number from people where ssn like '536%';
         create view whole as select p::text as everything, id as number from people p;
         create view renamed as select s.ssn as x from (select name as b, ssn from people) s;
         alter view renamed rename column x to b;
         create view nested as select q.a, q.b from (select ssn as a, name as b from people) q;
         create view united as select id as number, name as who from people union select id, ssn from people;
         create materialized view kept as select id as number, ssn as secret from people;
         create view by_cte as with p as (select id, ssn, name, city from people) select p.id as number, p.name as who, p.ssn as secret, p.ssn || p.name as pair, p.city || p.name as open, \
             (select count(*) from people q where q.ssn > p.ssn) as place from p;
         create view writable as select id, name from people;
         create view merged as select id, ssn as secret from people join (select id, city from people) c using (id);
         grant select, update on all tables in schema public to public",
    );
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    for (statement, answer) in [
        ("select * from plain where number = 1;", "1|Ada Lovelace|A\n"),
        ("select upper(who), count(*) from plain where number = 1 group by 1;", "ADA LOVELACE|1\n"),
        ("select loud from over_plain where number = 1;", "ADA LOVELACE\n"),
        ("select count(*) from over_mixed;", "4\n"),
        ("select number, upper(who) from mixed where number = 1;", "1|ADA LOVELACE\n"),
        ("select max(number) from over_mixed;", "4\n"),
        ("select number from kept where number = 1;", "1\n"),
        ("select initial from people where id = 1;", "A\n"),
        (
            "select number, upper(who), open from by_cte where number = 1;",
            "1|ADA LOVELACE|LondonAda Lovelace\n",
        ),
        (
            "select number, upper(b) from (select a, b, 1 as number from nested) n where b like 'Ada%';",
            "1|ADA LOVELACE\n",
        ),
        ("select number from united where number = 1;", "1\n1\n"),
        ("copy (select number, who from plain where number = 1) to stdout;", "1\tAda Lovelace\n"),
    ] {
        assert_eq!(psql.say(statement).unwrap(), answer, "{statement}");
    }
    let withheld = psql.say("select pair, place from by_cte where number = 1;").unwrap();
    assert!(withheld.ends_with("\n|\n"), "{withheld}");
    let hashed = psql.say("select ssn from people where id = 1;").unwrap();
    for statement in [
        "select secret from mixed where number = 1;",
        "select z from over_mixed where number = 1;",
        "select secret from kept where number = 1;",
        "select secret from by_cte where number = 1;",
        "select secret from merged where id = 1;",
    ] {
        assert_eq!(psql.say(statement).unwrap(), hashed, "{statement}");
    }
    for statement in [
        "select * from computed;",
        "select tag from people;",
        "select upper(tag) from people;",
        "select * from whole;",
        "select secret from merged;",
        "select b from renamed;",
        "select upper(b) from renamed;",
        "select a, b from nested;",
        "select * from united;",
        "select pair, place from by_cte;",
        "select upper(z) from over_mixed;",
        "select m from mixed m;",
        "select row_to_json(m) from over_mixed m;",
        "select secret || '' from kept;",
        "insert into scratch select secret from mixed;",
        "insert into scratch select tag from people;",
        "copy (select secret || '' from mixed) to stdout;",
        "select 1 / (length(secret) - 11) from mixed;",
        "explain analyze select * from mixed where secret like '5%';",
        "update writable set name = null where id = 1;",
        "update writable set id = 2 where id = 1 returning *;",
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(!answer.contains("536-22") && !answer.contains("536-"), "{statement}: {answer}");
    }
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
}

/// What one round of attackers has read through views, computed columns and rules.
#[test]
fn a025_definitions_that_lead_round_corners_show_nothing() {
    let scene = scene();
    define(&scene, &format!("create schema app authorization {}", scene.postgres.account()));
    define(
        &scene,
        "create view cy as select id, upper(ssn) as s from people;
         create view cz as select s from cy;
         create rule r as on insert to cy do instead insert into scratch select s from cz;
         create view ring_one as select 1 as s;
         create view ring_two as select s from ring_one;
         create or replace view ring_one as select s from ring_two;
         create view doing as select pg_stat_get_backend_activity(i) as query from pg_stat_get_backend_idset() i;
         grant select, insert, update on all tables in schema public to public",
    );
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
    for statement in
        ["select s from cz;", "select cz from cz;", "select lower(s) from cz;", "select query from doing;"]
    {
        let answer = alice.say(statement).unwrap();
        assert!(!answer.contains("536-22") && !answer.contains("select s from"), "{statement}: {answer}");
    }
    // The server has taken them, and fails here.
    let answer = alice.say("select s from ring_one;").unwrap();
    assert!(answer.contains("ERROR"), "{answer}");
    // ALTER INDEX renames whatever it names.
    for statement in [
        "create table app.plain (id int, name text);",
        "insert into app.plain values (1, 'nothing');",
        "create table app.hidden as select id, ssn as name from people;",
    ] {
        carol.say(statement).unwrap();
    }
    assert_eq!(alice.say("select upper(name) from app.plain;").unwrap(), "NOTHING\n");
    carol.say("create view app.shown as select id, ssn as name from people;").unwrap();
    carol.say("alter index app.plain rename to gone;").unwrap();
    carol.say("alter index app.shown rename to plain;").unwrap();
    let answer = alice.say("select upper(name) from app.plain;").unwrap();
    assert!(answer.contains("ERROR"), "{answer}");
}

/// Queries into which a masked column goes by how many rows there are, which, and in which order.
#[test]
fn a025_what_a_view_asks_for_each_row_depends_on_all_that_it_uses() {
    let scene = scene();
    define(
        &scene,
        "create view by_lateral as select p.id, s.n from people p, \
           lateral (select g as n from generate_series(0, 999) g order by g = left(p.ssn, 3)::int desc limit 1) s;
         create view by_lateral_rows as select p.id, s.n from people p, \
           lateral (select o.id as n from orders o where o.id = left(p.ssn, 1)::int) s;
         create view by_cte_beside as with d as (select p.id, i, c from people p, generate_series(1, 11) i, \
           unnest('{0,1,2,3,4,5,6,7,8,9,-}'::text[]) c where substr(p.ssn, i, 1) = c) \
           select p.id, (select string_agg(d.c, '' order by d.i) from d where d.id = p.id) as n from people p;
         create view by_existence as with d as (select id from people where ssn like '5%') \
           select p.id, exists (select from d where d.id = p.id) as n from people p;
         create view by_order as select id, row_number() over () as n from people group by id, ssn order by ssn;
         create view by_copies as select id, count(*) as n from (select id, generate_series(1, left(ssn, 3)::int) from people) s group by id;
         create view by_numbers as with q as (select id, generate_series(1, left(ssn, 3)::int) from people) \
           select id, row_number() over (partition by id) as n from q;
         create view by_steps as with recursive r(id, n) as (select id, 0 from people union all \
           select r.id, n + 1 from r join people p on p.id = r.id where n < left(p.ssn, 3)::int) select id, max(n) as n from r group by id;
         create view by_chosen as select p.id, s.n from people p join (select id, count(*) as n from people where ssn like '5%' group by id) s using (id);
         create view by_arms as select 1 as id, count(*) as n from (select ssn from people intersect select '536-22-8726') s;
         create view by_cte_place as with q as (select id from people order by ssn) select 1 as id, string_agg(id::text, ',') as n from q;
         create view by_outer_place as select 1 as id, (select string_agg(o.id::text, ',')) as n from (select id from people order by ssn) o;
         create view by_left as select p.id, s.n from people p left join (select id, 1 as n from people where ssn like '5%') s using (id);
         create view by_left_table as select p.id, o.id as n from people p left join orders o on o.id = left(p.ssn, 1)::int;
         create view by_right as select p.id, s.n from (select id, 1 as n from people where ssn like '5%') s right join people p using (id);
         create view by_full as select p.id, s.n from people p full join (select id, 1 as n from people where ssn like '5%') s on s.id = p.id;
         create view by_name as select p.id, p.ssn, o.id as n from people p left join orders o on o.id = p.id;
         create view by_hash as select o.id, p.ssn as n from orders o left join people p on p.id = o.id;
         create view by_lock as select id, pg_try_advisory_xact_lock(left(ssn, 3)::int) as a, 'x' as n from people;
         create view by_object as select id, case when id < 0 then lo_tell64(left(ssn, 3)::int) end as a, 'x' as n from people;
         create view by_sleep as select id, case when id < 0 then pg_sleep(left(ssn, 3)::float8)::text end as a, 'x' as n from people;
         create view by_message as select id, case when id < 0 then pg_logical_emit_message(false, 'x', ssn)::text end as a, 'x' as n from people;
         create view by_cancel as select id, case when id < 0 then pg_cancel_backend(left(ssn, 3)::int) end as a, 'x' as n from people;
         create view by_number as select id, case when ssn like '5%' then pg_current_xact_id() end as a, pg_current_xact_id_if_assigned() is not null as n from people;
         create view by_clock as select id, case when ssn like '5%' then (select count(*) from generate_series(1, 300000 + id - id)) end as a, \
           clock_timestamp() as n from people;
         create view by_chance as select id, random() >= 0 as n from people;
         create view by_seed as select s.id, random() as n from (select id, setseed(('0.' || left(ssn, 3))::float8) from people offset 0) s;
         create view by_setting as select id, set_config('my.x', ssn, false) as a, current_setting('my.x') as n from people;
         create view by_place as select 1 as id, array_agg(q.id) as n from (select id from people order by ssn) q;
         grant select on all tables in schema public to public",
    );
    let (mut alice, mut carol) =
        (scene.psql(&ALICE).unwrap().open().unwrap(), scene.psql(&CAROL).unwrap().open().unwrap());
    let views = [
        "by_lateral",
        "by_lateral_rows",
        "by_cte_beside",
        "by_existence",
        "by_order",
        "by_copies",
        "by_numbers",
        "by_steps",
        "by_chosen",
        "by_arms",
        "by_cte_place",
        "by_outer_place",
        "by_place",
        "by_left",
        "by_left_table",
        "by_right",
    ];
    for view in views {
        let question = format!("select id, n from {view} order by id limit 1;");
        let [masked, plain] = [&mut alice, &mut carol].map(|who| who.say(&question).unwrap());
        assert!(plain.starts_with("1|") && plain.len() > "1|\n".len(), "{view}: {plain}");
        assert!(masked.ends_with("1|\n"), "{view}: {masked}");
    }
    // Of a full join, both sides may be null.
    let full = alice.say("select id, n from by_full order by id limit 1;").unwrap();
    assert!(full.ends_with("|\n"), "{full}");
    // What a condition has nothing to do with is shown.
    let shown = alice.say("select id, n from by_name where id = 1;").unwrap();
    assert_eq!(shown, "1|1\n");
    assert_eq!(alice.say("select n from by_chance where id = 1;").unwrap(), "t\n");
    // What puts a value where another column takes it from is code that can not be seen.
    for view in [
        "by_seed",
        "by_lock",
        "by_object",
        "by_sleep",
        "by_setting",
        "by_message",
        "by_cancel",
        "by_number",
        "by_clock",
    ] {
        let unseen = alice.say(&format!("select id, n from {view} order by id limit 1;")).unwrap();
        assert!(unseen.ends_with("|\n") && !unseen.contains("536"), "{view}: {unseen}");
    }
    // That a join may leave it out makes nothing of one's own choice of a hashed column.
    let [joined, own] = ["select n from by_hash where id = 1;", "select ssn from people where id = 1;"]
        .map(|question| alice.say(question).unwrap());
    assert!(joined == own && own.len() > 32, "{joined} is not {own}");
}

/// The server writes down no use of what came with it.
#[test]
fn a025_a_masked_relation_of_the_servers_own_is_masked_behind_views() {
    let settings = "exempt_groups = [\"privacy\"]\ncolumns = [{ relation = \"pg_catalog.pg_database\", column = \"datname\", method = \"redact\" }]";
    let masks = policies::document("masks", "mask_columns", settings).unwrap();
    let scene = Scene::with(&[("masks", &masks)]).unwrap();
    define(
        &scene,
        "create view bases as select oid as number, datname as n from pg_database; grant select on bases to public",
    );
    let (mut alice, mut carol) =
        (scene.psql(&ALICE).unwrap().open().unwrap(), scene.psql(&CAROL).unwrap().open().unwrap());
    for question in [
        "select datname from pg_database where oid = 1;",
        "select n from bases where number = 1;",
        "select datname from pg_stat_database where datid = 1;",
    ] {
        let [masked, plain] = [&mut alice, &mut carol].map(|who| who.say(question).unwrap());
        assert!(plain.contains("template1"), "{question}: {plain}");
        assert!(!masked.contains("template1"), "{question}: {masked}");
    }
    let number = alice.say("select number from bases where number = 1;").unwrap();
    assert_eq!(number, "1\n");
}

/// Whoever could have the hash of a value of their choice would find out by comparison what others hold.
#[test]
fn a027_a_hashed_column_is_given_no_value_that_could_be_compared() {
    let scene = scene();
    let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
    for statement in [
        "update people set ssn = '536-22-8726' where id = 2 returning ssn;",
        "update people set ssn = '536-22-8726' where id = 2;",
        "insert into people (id, name, email, card, ssn, city) values (9, 'x', 'x', '1', '536-22-8726', 'x') returning ssn;",
        "insert into people values (9, 'x', 'x', '1', '536-22-8726', 'x') returning *;",
    ] {
        let answer = alice.say(statement).unwrap();
        assert!(answer.contains("mask.sink_denied"), "{statement}: {answer}");
    }
    let given = "update people set email = 'new@example.com' where id = 2 returning id, email;";
    assert_eq!(alice.say(given).unwrap(), "2|[redacted]\n");
    assert_eq!(
        scene.postgres.sql("postgres", "select email from people where id = 2").unwrap(),
        "new@example.com"
    );
}

/// A server takes rules of a gigabyte. Who is masked must not be locked out by one, and nothing of it is shown.
#[test]
fn a025_a_rule_that_is_too_large_is_not_read() {
    let scene = scene();
    let wide = (0..1_500).map(|at| format!("c{at} int")).collect::<Vec<_>>().join(", ");
    let joined = (0..300).map(|at| format!("(select * from wide) a{at}")).collect::<Vec<_>>().join(", ");
    define(&scene, &format!("create table wide ({wide})"));
    define(&scene, &format!("create view huge as select 1 as a, p.ssn as b from people p, {joined}"));
    define(&scene, "grant select on all tables in schema public to public");
    let mut alice = scene.psql(&ALICE).unwrap().open().unwrap();
    assert_eq!(alice.say("select id, upper(name) from people where id = 1;").unwrap(), "1|ADA LOVELACE\n");
    let shown = alice.say("select count(*) from huge where false;").unwrap();
    assert!(!shown.contains("536-22"), "{shown}");
}
