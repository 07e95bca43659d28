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
