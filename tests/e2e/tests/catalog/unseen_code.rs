//! Ways to a masked value that lead through code, constraints and tables that a statement does not name. Each was found by attacking.

use gatewright_e2e::{Conversation, Scene};

use super::super::{ALICE, CAROL, define, scene};

/// Beginnings of what is masked in the sample data, and of what the scenes here add to it.
const SECRETS: [&str; 3] = ["536-22", "EMPSEC", "LATE-"];

fn none_shows(psql: &mut Conversation, statements: &[&str]) {
    for statement in statements {
        let answer = psql.say(statement).unwrap();
        assert!(!SECRETS.iter().any(|secret| answer.contains(secret)), "{statement}: {answer}");
    }
}

fn alice(scene: &Scene) -> Conversation {
    scene.psql(&ALICE).unwrap().open().unwrap()
}

/// `p.f` is `f(p)` where `p` has no column `f`.
#[test]
fn a026_a_field_that_somebodys_function_computes_is_withheld() {
    let scene = scene();
    define(
        &scene,
        "create table visits (id int primary key, person int); insert into visits values (1, 1), (2, 2); \
         create function owner_ssn(visits) returns text language sql security definer as 'select ssn from public.people where id = $1.person'; \
         create function any_ssn(anyelement, int default 0) returns text language sql security definer as 'select ssn from public.people where id = 1'; \
         create type pair as (a int, b int); create table pairs (one pair, many pair[]); insert into pairs values ((1, 2), array[(1, 2)::pair]); \
         create function of_pair(pair) returns text language sql security definer as 'select ssn from public.people where id = $1.a'; \
         create domain checked_pair as pair; \
         create function of_checked(checked_pair) returns text language sql security definer as 'select ssn from public.people where id = 1'; \
         create view open_visits as select id from visits; \
         create function of_view(open_visits) returns text language sql security definer as 'select ssn from public.people where id = $1.id'; \
         grant select on visits, pairs, open_visits to public",
    );
    let mut psql = alice(&scene);
    none_shows(
        &mut psql,
        &[
            "select p.owner_ssn from visits p;",
            "select (visits).owner_ssn from visits;",
            "select visits.owner_ssn from public.visits;",
            "select q.owner_ssn from (select v from visits v) q(owner), visits q2(a, b), visits q where q2.a = q.id;",
            "select (q.v).owner_ssn from (select v from visits v) q;",
            "select p.any_ssn from visits p;",
            "select (one).of_pair from pairs;",
            "select (many[1]).of_pair from pairs;",
            "select u.of_pair from pairs, unnest(many) u;",
            "select ((1, 2)::checked_pair).of_checked;",
            "select v.of_view from open_visits v;",
            "select upper(p.owner_ssn) from visits p;",
            "select max(p.owner_ssn) from visits p;",
            "copy (select p.owner_ssn from visits p) to stdout;",
            "create temp table took as select p.owner_ssn from visits p;",
            "select * from visits p where p.owner_ssn::int = 1;",
            "explain analyze select p.owner_ssn from visits p;",
            "with w as (select p.owner_ssn from visits p) select * from w;",
            "insert into scratch select p.owner_ssn from visits p;",
        ],
    );
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
    let columns =
        "select p.id, (p).person, q.id from visits p join open_visits q on q.id = p.id where p.id = 1;";
    assert_eq!(psql.say(columns).unwrap(), "1|1|1\n", "columns are columns");
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    assert_eq!(carol.say("select p.owner_ssn from visits p where id = 1;").unwrap(), "536-22-8726\n");
}

/// What it gives is withheld where it is shown, and would be kept where it is put.
#[test]
fn a027_what_unseen_code_gives_is_kept_by_no_setting_object_sequence_or_lock() {
    let scene = scene();
    define(
        &scene,
        "create function ssn_of(bigint) returns text language sql security definer as 'select ssn from public.people where id = $1'; \
         create sequence counted; grant all on counted to public",
    );
    let mut psql = alice(&scene);
    psql.say("prepare keep(text) as select set_config('app.kept', $1, false);").unwrap();
    for (statement, back) in [
        ("select set_config('app.kept', ssn_of(1), false);", "show app.kept;"),
        (
            "select id from orders where set_config('app.kept', ssn_of(1), false) is not null;",
            "show app.kept;",
        ),
        ("execute keep(ssn_of(1));", "select current_setting('app.kept', true);"),
        ("select lo_from_bytea(88, ssn_of(1)::bytea);", "select convert_from(lo_get(88), 'UTF8');"),
        ("select pg_notify('channel', ssn_of(1));", "listen channel;"),
    ] {
        let answer = psql.say(statement).unwrap();
        assert!(answer.contains("is written nowhere"), "{statement}: {answer}");
        none_shows(&mut psql, &[back]);
    }
    let refused = psql.say("select setval('counted', ascii(ssn_of(1)));").unwrap();
    assert!(refused.contains("is written nowhere"), "{refused}");
    let refused = psql.say("select pg_advisory_lock(ascii(ssn_of(1)));").unwrap();
    assert!(refused.contains("is written nowhere"), "{refused}");
    assert_eq!(psql.say("select set_config('app.kept', 'plain', false);").unwrap(), "plain\n");
}

/// A constraint that is broken quotes the row that broke it, in whatever relation.
#[test]
fn a031_what_a_foreign_key_changes_elsewhere_is_not_quoted() {
    let scene = scene();
    define(
        &scene,
        "create table dept (id int primary key); insert into dept values (1), (2); \
         create table staff (dept int not null references dept (id) on delete set null on update cascade, check (dept < 100)) inherits (people); \
         insert into staff values (900, 'n', 'e', 'c', 'EMPSEC1', 'city', 1); \
         grant all on dept to public",
    );
    let mut psql = alice(&scene);
    none_shows(&mut psql, &["delete from dept where id = 1;", "update dept set id = 1000 where id = 1;"]);
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    let told = carol.say("delete from dept where id = 1;").unwrap();
    assert!(told.contains("EMPSEC1"), "the server quotes it: {told}");
}

/// Statistics about an expression are computed for all tables at once where none is named.
#[test]
fn a031_what_maintenance_of_all_tables_says_is_not_quoted() {
    let scene = scene();
    let account = scene.postgres.account();
    define(
        &scene,
        &format!(
            "create statistics told on (ssn::int), (id + 1) from people; alter table people owner to {account}"
        ),
    );
    let mut psql = alice(&scene);
    none_shows(&mut psql, &["analyze;", "vacuum analyze;", "vacuum (analyze);", "analyze people;"]);
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    let told = carol.say("analyze;").unwrap();
    assert!(told.contains("invalid input syntax"), "{told}");
}

/// Rows that are older than a column have its first default, which is kept once for all of them.
#[test]
fn a035_what_older_rows_have_of_a_masked_column_is_withheld() {
    let scene = scene();
    define(
        &scene,
        "alter table people drop column ssn cascade; alter table people add column ssn text default 'LATE-SECRET'; \
         create view kept as select attmissingval::text as x from pg_attribute where atthasmissing; \
         create view whole as select a::text as x from pg_attribute a where atthasmissing; \
         grant select on kept, whole to public",
    );
    let mut psql = alice(&scene);
    none_shows(
        &mut psql,
        &[
            "select attmissingval from pg_attribute where atthasmissing;",
            "select * from pg_attribute where atthasmissing;",
            "select a from pg_attribute a where atthasmissing;",
            "select a::text from pg_attribute a where atthasmissing;",
            "select (a).attmissingval from pg_attribute a where atthasmissing;",
            "select row_to_json(a) from pg_attribute a where atthasmissing;",
            "select x from kept;",
            "select x from whole;",
            "copy pg_attribute to stdout;",
            "copy pg_attribute (attmissingval) to stdout;",
            "copy (select * from pg_attribute where atthasmissing) to stdout;",
            "create temp table took as select * from pg_attribute where atthasmissing;",
            "select count(*) from pg_attribute where atthasmissing and attmissingval::text::int = 1;",
        ],
    );
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    for shown in [
        "select attmissingval from pg_attribute where atthasmissing;",
        "select x from kept;",
        "select x from whole;",
    ] {
        assert!(carol.say(shown).unwrap().contains("LATE-SECRET"), "it is there: {shown}");
    }
    let names = "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'scratch'::regclass and attnum > 0 limit 1;";
    assert!(!psql.say(names).unwrap().contains("ERROR"), "everything else of it is shown");
    let all = psql.say("select * from pg_attribute where atthasmissing limit 1;").unwrap();
    assert!(all.contains("|ssn|") && !all.contains("ERROR"), "{all}");
}

/// What a function reads of files holds anything; and an extension's name is anybody's.
#[test]
fn a021_what_is_read_of_the_targets_files_is_withheld() {
    let scene = scene();
    let account = scene.postgres.account();
    define(
        &scene,
        &format!(
            "create function get_raw_page(int) returns text language sql security definer as 'select ssn from public.people where id = 1'; \
             create function \"merge_action\"() returns text language sql security definer as 'select ssn from public.people where id = 1'; \
             create table lines (line text); grant all on lines to public; grant pg_read_server_files to {account}; \
             grant execute on function pg_read_file(text) to public"
        ),
    );
    let mut psql = alice(&scene);
    define(
        &scene,
        "do $$ begin execute format('copy (select ssn from people) to %L', current_setting('data_directory') || '/told'); end $$",
    );
    none_shows(
        &mut psql,
        &[
            "select get_raw_page(1);",
            "select \"merge_action\"();",
            "insert into scratch select \"merge_action\"();",
            "select pg_read_file('told');",
            "insert into scratch select pg_read_file('told');",
            "copy lines from 'told';",
            "select line from lines;",
        ],
    );
    assert_eq!(scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
    let mut carol = scene.psql(&CAROL).unwrap().open().unwrap();
    for shown in ["select get_raw_page(1);", "select \"merge_action\"();", "select pg_read_file('told');"] {
        assert!(carol.say(shown).unwrap().contains("536-22"), "it is there: {shown}");
    }
    let told = psql.say("select pg_cancel_backend(0);").unwrap();
    assert!(told.starts_with("f\n") || told.contains("\nf\n"), "what tells how it went is shown: {told}");
}
