//! Rows A11 to A24: what an analyst with a good token sends.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_attacks::{Attack, MALLORY};
use gatewright_e2e::{Scene, eventually, policies, wire};

/// Sends each text as a simple query: refused with 42501, and nothing of it reached the server.
#[track_caller]
fn refused(attack: &Attack, texts: &[&str]) {
    let mut client = attack.session().unwrap();
    for text in texts {
        attack.forget();
        let answer = client.query(text).unwrap();
        assert_eq!(wire::tags(&answer), "EZ", "{text}: {answer:?}");
        // Denied by a policy, or never possible through the gateway.
        let states = wire::states(&answer);
        assert!(states == ["42501"] || states == ["0A000"], "{text}: {answer:?}");
        assert_eq!(attack.upstream_bytes(), 0, "{text}");
        // The same through Parse: a prepared statement is no way around.
        client
            .send(
                &[wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()]
                    .concat(),
            )
            .unwrap();
        let answer = client.until_ready().unwrap();
        assert!(
            wire::tags(&answer).contains('E') && !wire::tags(&answer).contains('C'),
            "{text}: {answer:?}"
        );
        let needle = text.split_whitespace().last().unwrap();
        assert!(!attack.reached(text), "{text} ({needle}) reached the server");
    }
}

#[test]
fn a011_one_denied_statement_denies_the_message() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "select 1; delete from people",
            "delete from people; select 1",
            "select 1; commit; update people set city = 'x'",
            "begin; select 1; delete from orders; commit",
            ";;; delete from people;;;",
            "/* select 1 */ delete from people -- where id = 1",
        ],
    );
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
}

#[test]
fn a012_quotes_and_comments_hide_no_statement() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "select E'\\'; delete from people --'; delete from people",
            "select 'a\\'; delete from people; --'",
            "select $$ ; $$; delete from people",
            "select $a$ $b$ $a$; delete from people; select $b$ $b$",
            "select U&'\\0027'; delete from people",
            "select U&'!0027' uescape '!'; delete from people",
            "select /* /* */ 1; */ 1; delete from people",
            "select 1 --\r; \ndelete from people",
            "select \"a;b\"; delete from people",
            "select x'1F'; delete from people",
            "select 'a'\n'b'; delete from people",
            "select 1\u{c}; delete from people",
        ],
    );
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
}

#[test]
fn a013_the_lexer_can_not_be_switched() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "set standard_conforming_strings = off",
            "set session standard_conforming_strings to 'off'",
            "set local standard_conforming_strings = off",
            "select set_config('standard_conforming_strings', 'off', false)",
            "update pg_settings set setting = 'off' where name = 'standard_conforming_strings'",
            "set client_encoding = 'SJIS'",
            "set names 'GBK'",
            "select set_config('client_' || 'encoding', 'BIG5', false)",
        ],
    );
}

#[test]
fn a013_a_role_that_brings_another_lexer_is_pinned_to_ours() {
    let attack = Attack::prepare().unwrap();
    attack.scene.postgres.sql("postgres", "alter role app set standard_conforming_strings = off").unwrap();
    attack.scene.postgres.sql("postgres", "alter role app set client_encoding = 'SJIS'").unwrap();
    let mut client = attack.session().unwrap();
    for (setting, value) in [("standard_conforming_strings", "on"), ("client_encoding", "UTF8")] {
        let answer = client.query(&format!("show {setting}")).unwrap();
        assert_eq!(answer[1].row(), [Some(value.to_owned())], "{setting}: {answer:?}");
    }
}

#[test]
fn a014_a_statement_that_no_policy_names_is_denied_whatever_it_is() {
    let rules = policies::rules("rules", "only_kinds = [\"show\"]").unwrap();
    let attack = Attack { scene: Scene::recorded(&[("rules", &rules)]).unwrap() };
    let mut client = attack.session().unwrap();
    assert_eq!(wire::tags(&client.query("show server_version").unwrap()), "TDCZ", "named, so allowed");
    attack.forget();
    let newer = [
        "merge into t using s on t.a = s.a when not matched by source then delete",
        "create table t (a int, b int generated always as (a * 2) virtual)",
        "alter table t add constraint n not null a not valid",
        "update t set a = 1 returning old.a, new.a",
        "select * from json_table('[]', '$' columns (a int))",
    ];
    // Every kind of statement that PostgreSQL's grammar knows, one on each line.
    let corpus = include_str!("../../../protocols/sql/tests/corpus/statements.sql").lines();
    let texts =
        corpus.filter(|text| !(text.is_empty() || text.starts_with("--") || text.starts_with("show ")));
    let mut asked = 0;
    for text in texts.chain(newer) {
        asked += 1;
        let answer = client.query(text).unwrap();
        assert_eq!(wire::tags(&answer), "EZ", "{text}: {answer:?}");
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
        client
            .send(
                &[wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()]
                    .concat(),
            )
            .unwrap();
        let answer = client.until_ready().unwrap();
        assert_eq!(wire::tags(&answer), "EZ", "{text}: {answer:?}");
        assert_eq!(attack.upstream_bytes(), 0, "{text}");
    }
    assert!(asked > 500, "every kind of statement at least once, and not {asked}");
    // What is no SQL is read by the server's grammar, and by nothing else of it.
    assert_eq!(wire::states(&client.query("show server_version; what is this").unwrap()), ["42601"]);
    assert!(attack.reached(";select;show server_version; what is this"));
}

#[test]
fn a016_what_a_function_does_is_not_known_and_so_not_allowed() {
    let rules = policies::rules("rules", "read_only = true").unwrap();
    let attack = Attack { scene: Scene::recorded(&[("rules", &rules)]).unwrap() };
    let functions = "
        create function wipe() returns bigint volatile language sql as
            $$ with gone as (delete from scratch returning 1) select count(*) from gone $$;
        create function wipe(bigint) returns boolean volatile language sql as
            $$ with gone as (delete from scratch returning 1) select count(*) >= 0 from gone $$;
        create function lower(bigint) returns text volatile language sql as
            $$ with gone as (delete from scratch returning 1) select 'x'::text from gone $$;
        create function wiped() returns setof bigint volatile language sql as $$ select wipe() $$;
        create aggregate wipe_all(bigint) (sfunc = int8inc_any, stype = bigint);
        insert into scratch values ('kept');";
    attack.scene.postgres.sql("postgres", functions).unwrap();
    refused(
        &attack,
        &[
            "select wipe()",
            "select * from wipe()",
            "select * from wiped() w",
            "select * from orders, lateral wipe(orders.id)",
            "select * from rows from (generate_series(1, 2), wiped())",
            "select id from orders where wipe(id)",
            "select id from orders order by wipe(id)",
            "select id from orders group by id having wipe(id)",
            "select count(*) filter (where wipe(id)) from orders",
            "select sum(id) over (order by wipe(id)) from orders",
            "select case when true then wipe() end",
            "select coalesce(null, wipe())",
            "select (select wipe())",
            "select array[wipe()]",
            "select row(wipe(), 1)",
            "with w as (select wipe()) select * from w",
            "select 1 union select wipe()",
            "values (wipe())",
            "select public.lower(id) from orders",
            "select \"wipe\"()",
            "select public . wipe ( )",
            "select U&\"w\\0069pe\"()",
            "select wipe_all(id) from orders",
            "select 1 limit (select wipe())",
            "explain analyze select wipe()",
            "prepare p as select wipe()",
            "declare c cursor for select wipe()",
            "copy (select wipe()) to stdout",
            // What would put one where no text shows it.
            "create index on orders (wipe(id))",
            "alter table orders add check (wipe(id))",
            "alter table orders alter column item set default wipe()",
            "create view harmless as select wipe()",
            "create function harmless() returns int language sql as 'select 1'",
            "create or replace function pg_temp.lower(text) returns text language sql as 'select 1::text'",
            "create operator public.+ (leftarg = text, rightarg = text, function = wipe)",
            "create cast (bigint as text) with function lower(bigint) as implicit",
            "create aggregate a (bigint) (sfunc = wipe, stype = bigint)",
            "create trigger t before update on orders for each row execute function wipe()",
            "create domain d as bigint check (wipe(value))",
            "create policy p on orders using (wipe(id))",
            "create rule r as on update to orders do also select wipe()",
        ],
    );
    let mut client = attack.session().unwrap();
    let harmless = "select lower(item), count(*) from orders group by 1";
    assert!(wire::tags(&client.query(harmless).unwrap()).ends_with("DCZ"));
    assert_eq!(attack.scene.postgres.sql("postgres", "select note from scratch").unwrap(), "kept");
}

#[test]
fn a015_a_write_inside_of_a_read_is_a_write() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "with gone as (delete from people returning *) select * from gone",
            "with a as (with b as (update people set city = 'x' returning 1) select * from b) select * from a",
            "explain analyze delete from people",
            "explain (analyze true, format json) update orders set cents = 0",
            "copy (delete from people returning id) to stdout",
            "prepare p as delete from people",
        ],
    );
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
}

#[test]
fn a017_sql_that_is_built_at_run_time_is_denied() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "do $$ begin delete from people; end $$",
            "do $$ begin execute format('delete from %I', 'people'); end $$",
            "select query_to_xml('delete from people', true, true, '')",
            "select * from dblink('', 'delete from people') as t (id int)",
            "call anything()",
        ],
    );
}

#[test]
fn a016_what_hides_behind_operators_and_casts_shows_no_secret() {
    let attack = Attack::prepare().unwrap();
    let secret = attack.scene.postgres.sql("postgres", "select ssn from people limit 1").unwrap();
    for definition in [
        "create function public.evil(int, int) returns text language sql as 'select ssn from people limit 1'",
        "create operator public.=+= (leftarg = int, rightarg = int, function = public.evil)",
        "create operator public.@ (leftarg = int, rightarg = int, function = public.evil)",
        "create type public.shell as (a text)",
        "create function public.evil_cast(int) returns public.shell language sql \
         as 'select row(ssn)::public.shell from people limit 1'",
        "create cast (int as public.shell) with function public.evil_cast(int)",
    ] {
        attack.scene.postgres.sql("postgres", definition).unwrap();
    }
    let mut client = attack.session().unwrap();
    for text in [
        "select 1 =+= 2",
        "select 1 operator(public.=+=) 2",
        "select 1 operator(public.@) 2",
        "select 1::shell::text",
        "select cast(1 as public.shell)",
        "select x from (select (1 =+= 2) as x) y",
        "prepare hidden as select 1 =+= 2; execute hidden",
    ] {
        let answer = client.query(text).unwrap();
        assert!(!format!("{answer:?}").contains(&secret), "{text}: {answer:?}");
        let rows: Vec<_> =
            answer.iter().filter(|message| message.tag == 'D').map(wire::Message::row).collect();
        assert!(rows.iter().flatten().all(Option::is_none), "{text}: {rows:?}");
    }
}

#[test]
fn a018_sql_execute_is_judged_and_masked_by_what_was_prepared() {
    let attack = Attack::prepare().unwrap();
    let mut client = attack.session().unwrap();
    let tags = |answer: &[wire::Message]| wire::tags(answer);
    assert_eq!(
        tags(&client.query("prepare one (int) as select city, email from people where id = $1").unwrap()),
        "CZ"
    );
    let answer = client.query("execute one(1)").unwrap();
    assert_eq!(tags(&answer), "TDCZ", "{answer:?}");
    let row = answer[1].row();
    assert!(row[0].is_some() && row[1].as_ref().is_none_or(|email| !email.contains('@')), "{row:?}");
    // Both spellings of one name: Parse prepares what SQL runs.
    client
        .send(&[wire::parse("shared", "select city from people where id = 1"), wire::sync()].concat())
        .unwrap();
    client.until_ready().unwrap();
    let answer = client.query("execute shared").unwrap();
    assert_eq!(tags(&answer), "TDCZ", "{:?}", answer[0].error());
    client
        .send(&[wire::parse("drops", "insert into scratch values ('x')"), wire::sync()].concat())
        .unwrap();
    client.until_ready().unwrap();
    assert_eq!(tags(&client.query("execute drops").unwrap()), "CZ");
    // What the name stands for is gone, or was never seen.
    for text in [
        "execute never_seen",
        "deallocate one; execute one(1)",
        "select 1; prepare late as delete from people; execute late",
        "explain analyze execute shared",
    ] {
        let answer = client.query(text).unwrap();
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
    }
    // The server refuses the second meaning, and the first one stays.
    let answer = client.query("prepare one as select ssn || '' from people").unwrap();
    assert!(!wire::states(&answer).is_empty(), "{answer:?}");
    let answer =
        client.query("prepare computed as select ssn || '' from people; execute computed").unwrap();
    assert_eq!(wire::states(&answer), ["42501"], "{answer:?}");
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from people").unwrap(), "4");
}

/// A policy that holds drops passes their Parse: nothing runs what was parsed without its judgement.
#[test]
fn a018_no_path_runs_a_parsed_drop_without_its_approval() {
    let scene = Scene::recorded(&[
        ("allow", &policies::allow().unwrap()),
        ("escalate-drop", &policies::escalate_drop("1s").unwrap()),
    ])
    .unwrap();
    let token = scene.gateway.token(&MALLORY).unwrap();
    let mut client =
        wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap();
    let parse = [wire::parse("gone", "drop table scratch"), wire::sync()].concat();
    client.send(&parse).unwrap();
    assert_eq!(wire::tags(&client.until_ready().unwrap()), "1Z");
    // The unseen in the middle makes the gateway forget what the name stands for.
    for text in [
        "execute gone",
        "select nothing_known(); execute gone",
        "explain analyze execute gone",
        "do $$ begin execute 'execute gone'; end $$",
        "do $$ begin execute 'drop table scratch'; end $$",
    ] {
        let answer = client.query(text).unwrap();
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
    }
    client.send(&[wire::bind("", "gone", &[]), wire::execute("", 0), wire::sync()].concat()).unwrap();
    assert_eq!(wire::states(&client.until_ready().unwrap()), ["42501"]);
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
}

#[test]
fn a018_what_was_prepared_is_judged_again_when_it_runs() {
    let scene = Scene::recorded(&[("rules", &policies::allow().unwrap())]).unwrap();
    let token = scene.gateway.token(&MALLORY).unwrap();
    let mut client =
        wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap();
    // SQL's PREPARE shares its names with Parse, and makes the gateway forget the names that it knew.
    client.query("prepare gone_too as delete from scratch").unwrap();
    client.send(&[wire::parse("gone", "delete from scratch"), wire::sync()].concat()).unwrap();
    assert_eq!(wire::tags(&client.until_ready().unwrap()), "1Z");

    let before = scene.gateway.policy_set().unwrap();
    let rules = policies::rules("rules", "require_where = [\"delete\"]").unwrap();
    scene.gateway.write_policy("rules", &rules).unwrap();
    eventually("the new set is in use", || scene.gateway.policy_set().unwrap() > before);
    client.send(&[wire::bind("", "gone", &[]), wire::execute("", 0), wire::sync()].concat()).unwrap();
    let answer = client.until_ready().unwrap();
    assert_eq!(
        wire::states(&answer),
        ["42501"],
        "{:?}",
        answer.iter().map(wire::Message::error).collect::<Vec<_>>()
    );
    for text in ["execute gone_too", "execute gone", "explain analyze execute gone_too"] {
        let answer = client.query(text).unwrap();
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
    }
}

#[test]
fn a019_the_fast_path_is_closed() {
    let attack = Attack::prepare().unwrap();
    let mut client = attack.session().unwrap();
    // lo_unlink, pg_terminate_backend, now, and numbers of nothing.
    for oid in [964, 2096, 1299, 0, 1, u32::MAX] {
        client.send(&wire::function_call(oid)).unwrap();
        let answer = client.until_ready().unwrap();
        assert_eq!(wire::states(&answer), ["0A000"], "{oid}: {answer:?}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ", "the session goes on");
}

#[test]
fn a020_no_spelling_switches_the_role() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "set role postgres",
            "set local role postgres",
            "set session authorization postgres",
            "set \"role\" = postgres",
            "select set_config('role', 'postgres', false)",
            "select set_config('ro' || 'le', 'postgres', false)",
            "update pg_settings set setting = 'postgres' where name = 'role'",
        ],
    );
}

#[test]
fn a021_files_programs_and_other_servers_are_out_of_reach() {
    let attack = Attack::prepare().unwrap();
    refused(
        &attack,
        &[
            "copy people to program 'id'",
            "copy people to '/tmp/stolen'",
            "copy people from '/etc/passwd'",
            "select pg_read_file('/etc/passwd')",
            "select pg_catalog.pg_ls_dir('/')",
            "select lo_import('/etc/passwd')",
            "select lo_export(1, '/tmp/x')",
            "alter system set shared_preload_libraries = 'evil'",
            "load 'evil'",
            "create extension dblink",
            "create subscription s connection 'host=elsewhere' publication p",
            "create server s foreign data wrapper postgres_fdw",
            "select pg_terminate_backend(1)",
        ],
    );
}

#[test]
fn a022_copy_data_outside_of_a_copy_and_queries_inside_of_one() {
    let attack = Attack::prepare().unwrap();
    let mut client = attack.session().unwrap();
    // As with a real server: copy messages without a COPY are ignored or refused, and nothing is stored.
    client
        .send(&[wire::message('d', b"stray\n"), wire::message('c', b""), wire::query("select 1")].concat())
        .unwrap();
    let answer = client.until_ready().unwrap();
    assert!(!attack.reached("stray"), "{answer:?}");

    let mut client = attack.session().unwrap();
    client.send(&wire::query("copy scratch from stdin")).unwrap();
    client.expect('G').unwrap();
    client.send(&[wire::message('d', b"half\n"), wire::query("delete from people")].concat()).unwrap();
    let answer = client.until_ready().unwrap();
    assert!(wire::tags(&answer).contains('E'), "{answer:?}");
    assert!(!attack.reached("delete from people"));
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
}

#[test]
fn a023_the_answer_to_a_denial_has_the_order_of_a_real_error() {
    let attack = Attack::prepare().unwrap();
    let mut through = attack.session().unwrap();
    // 100 batches in one write; the 37th is denied. A real server would skip to its Sync and go on.
    let mut sent = Vec::new();
    for n in 0..100 {
        let sql = if n == 37 { "delete from people".to_owned() } else { format!("select {n}") };
        sent.extend(
            [wire::parse("", &sql), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()].concat(),
        );
    }
    through.send(&sent).unwrap();
    for n in 0..100 {
        let answer = through.until_ready().unwrap();
        if n == 37 {
            assert_eq!(wire::tags(&answer), "EZ", "{answer:?}");
            assert_eq!(wire::states(&answer), ["42501"]);
        } else {
            assert_eq!(wire::tags(&answer), "12DCZ", "batch {n}: {answer:?}");
            assert_eq!(answer[2].row(), [Some(n.to_string())]);
        }
    }
    assert!(!attack.reached("delete from people"));

    // Denied in the middle of a batch: what came before is answered, what comes after is skipped.
    let batch = [
        wire::parse("", "select 1"),
        wire::bind("", "", &[]),
        wire::execute("", 0),
        wire::parse("", "delete from people"),
        wire::bind("", "", &[]),
        wire::execute("", 0),
        wire::parse("", "select 'skipped'"),
        wire::bind("", "", &[]),
        wire::execute("", 0),
        wire::sync(),
    ];
    for slowly in [false, true] {
        attack.forget();
        if slowly {
            through.send_slowly(&batch.concat()).unwrap()
        } else {
            through.send(&batch.concat()).unwrap()
        }
        let answer = through.until_ready().unwrap();
        assert_eq!(wire::tags(&answer), "12DCEZ", "{answer:?}");
        assert!(!attack.reached("skipped"), "what follows a denied message up to its Sync is not run");
    }
    // A statement inside of a NUL, and one without its end, are not two.
    let mut client = attack.session().unwrap();
    client.send(&wire::message('Q', b"select 1\0; delete from people\0")).unwrap();
    assert!(client.until_ready().unwrap().iter().all(|message| matches!(message.tag, 'E' | 'Z')));
    assert!(!attack.reached("delete"));
}

#[test]
fn a024_a_message_over_the_limit_is_refused_before_it_is_read() {
    let attack = Attack::prepare().unwrap();
    let mut client = attack.session().unwrap();
    let long = format!("select '{}'", "x".repeat(2 << 20));
    let answer = client.query(&long).unwrap();
    assert!(!wire::tags(&answer).contains('D'), "a text over 1 MiB is not understood, and so not run");
    assert!(!attack.reached("xxxxxxxx"));
    let mut client = attack.session().unwrap();
    let _ = client.send(&wire::message_of_length('B', 1 << 30, &[0; 1 << 16]));
    assert!(client.until_ready().unwrap().iter().all(|message| message.tag == 'E'));
    assert!(attack.upstream_bytes() <= wire::terminate().len());
}
