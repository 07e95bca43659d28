//! What people do with psql every day, with nothing changed but host, port and password.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{process::Command, thread, time::Duration};

use gatewright_e2e::{Clients, Mint, Postgres, Scene, Setup, Stage, eventually, policies, wire};
use gatewright_testbed::is_older;

#[test]
fn a_session_begins_with_a_token_and_tls() {
    let scene = Scene::open().unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    assert_eq!(psql.say("select 1 + 1;").unwrap(), "2\n");
    // The server sees the gateway's account, over TLS of its own.
    let seen = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid();";
    assert_eq!(psql.say(seen).unwrap(), "app|t\n");
    assert!(psql.say("\\conninfo").unwrap().contains("SSL connection"), "TLS on our side as well");
    assert_eq!(psql.close().unwrap(), "");
}

#[test]
fn no_token_no_session() {
    let scene = Scene::open().unwrap();
    let refused = |mint: &Mint<'_>, spoil: fn(String) -> String| {
        let token = spoil(scene.gateway.token(mint).unwrap());
        let psql =
            gatewright_e2e::Psql::new(scene.gateway.port(), &scene.gateway.authority(), "app", &token);
        psql.run("select 'reached';").unwrap()
    };
    let alice = Mint::default();
    for answer in [
        refused(&alice, |_| "not a token".to_owned()),
        refused(&alice, |token| token.replace('.', ".A")),
        refused(&alice, |token| token.rsplit_once('.').unwrap().0.to_owned() + "."),
        refused(&Mint { ttl: "1s", ..alice }, |token| {
            // Longer than the second that it holds and the minute that clocks may differ.
            thread::sleep(Duration::from_secs(62));
            token
        }),
    ] {
        assert!(answer.contains("FATAL"), "{answer}");
        assert!(!answer.contains("reached"), "{answer}");
    }
    // Not even the server's own credential opens the gateway.
    let account = gatewright_e2e::Psql::new(
        scene.gateway.port(),
        &scene.gateway.authority(),
        scene.postgres.account(),
        scene.postgres.password(),
    );
    assert!(account.run("select 'reached';").unwrap().contains("FATAL"));
}

#[test]
fn transactions_and_errors_are_as_without_us() {
    let scene = Scene::open().unwrap();
    let script = "
        begin;
        update people set city = 'Cambridge' where id = 3;
        select city from people where id = 3;
        savepoint s;
        select 1 / 0;
        select 'not run';
        rollback to s;
        select city from people where id = 3;
        rollback;
        select city from people where id = 3;
        select * from nowhere;
        select 'goes on';";
    let through = scene.alice().unwrap().run(script).unwrap();
    let direct = direct(&scene).run(script).unwrap();
    assert_eq!(through, direct);
    assert!(through.contains("division by zero") && through.ends_with("goes on\n"), "{through}");
}

#[test]
fn describing_commands_are_as_without_us() {
    let scene = Scene::open().unwrap();
    for script in [
        "\\dt",
        "\\d people",
        "\\d+ orders",
        "\\dv",
        "\\df now",
        "\\du",
        "\\l",
        "\\dn",
        "\\dp people",
        "\\di",
    ] {
        let through = scene.alice().unwrap().run(script).unwrap();
        assert_eq!(through, direct(&scene).run(script).unwrap(), "{script}");
        // A psql that is older than its server asks for what that does not have any more.
        let is_older = is_older("psql", &scene.postgres).unwrap();
        assert!(is_older || !through.contains("ERROR"), "{script}: {through}");
    }
}

#[test]
fn prepared_statements_cursors_and_parameters() {
    let scene = Scene::open().unwrap();
    let script = "
        prepare by_id as select name from people where id = $1;
        execute by_id(2);
        deallocate by_id;
        begin;
        declare c cursor for select id from orders order by id;
        fetch 3 from c;
        move 5 from c;
        fetch 1 from c;
        close c;
        commit;
        \\set FETCH_COUNT 7
        select id from orders order by id;
        \\unset FETCH_COUNT
        select name from people where id = $1 \\bind 4 \\g
        select count(*) from orders \\gset
        \\echo :count
        select 'select ' || id from people order by id \\gexec";
    let script = supported(script);
    let through = scene.alice().unwrap().run(&script).unwrap();
    assert_eq!(through, direct(&scene).run(&script).unwrap());
    assert!(through.contains("Grace Hopper") && through.contains("\n40\n"), "{through}");
}

#[test]
fn copy_goes_both_ways() {
    let scene = Scene::open().unwrap();
    let script = "
        copy scratch from stdin;
one
two\\tthree
\\.
        copy scratch to stdout;
        copy (select id, name from people order by id limit 2) to stdout with (format csv, header);
        begin;
        copy people (id) from stdin;
1
\\.
        rollback;
        select count(*) from scratch;";
    let through = scene.alice().unwrap().run(script).unwrap();
    scene.postgres.sql("postgres", "truncate scratch").unwrap();
    assert_eq!(through, direct(&scene).run(script).unwrap());
    assert!(through.contains("two\\tthree\n") && through.contains("1,Ada Lovelace\n"), "{through}");
}

#[test]
fn a_large_result_arrives_whole() {
    let scene = Scene::open().unwrap();
    let script = "select n, repeat(md5(n::text), 30) from generate_series(1, 20000) as n;";
    let through = scene.alice().unwrap().run(script).unwrap();
    assert_eq!(through.lines().count(), 20_000);
    assert_eq!(through, direct(&scene).run(script).unwrap());
}

#[test]
fn ctrl_c_cancels_the_statement() {
    let scene = Scene::open().unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    psql.begin("select pg_sleep(600);").unwrap();
    eventually("the statement runs", || running(&scene, "select pg_sleep%"));
    let interrupt = Command::new("kill").args(["-s", "INT", &psql.pid().to_string()]).status().unwrap();
    assert!(interrupt.success());
    // A psql that reads a script ends after that; that the session does not have to is a driver's test.
    let answer = psql.end().unwrap();
    assert!(answer.contains("canceling statement due to user request"), "{answer}");
    eventually("nothing runs any more", || !running(&scene, "select pg_sleep%"));
}

#[test]
fn notices_and_notifications_arrive() {
    let scene = Scene::open().unwrap();
    let script = "
        do $$ begin raise notice 'hello %', 42; end $$;
        listen news;
        notify news, 'fresh';
        select 1;";
    let through = scene.alice().unwrap().run(script).unwrap();
    assert!(through.contains("NOTICE:  hello 42"), "{through}");
    assert!(through.contains("Asynchronous notification \"news\" with payload \"fresh\""), "{through}");
}

#[test]
fn direct_tls_needs_no_request() {
    let scene = Scene::open().unwrap();
    let client = wire::Client::connect(scene.gateway.port()).unwrap();
    let mut client = client.start_tls(&scene.gateway.authority(), &[b"postgresql"]).unwrap();
    client.send(&wire::startup(&[("user", "app"), ("database", "postgres")])).unwrap();
    client.expect('R').unwrap();
    client.send(&wire::password(&scene.gateway.token(&Mint::default()).unwrap())).unwrap();
    assert!(client.until_ready().unwrap().iter().all(|message| message.tag != 'E'));
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
}

#[test]
fn a_target_that_wants_a_certificate_gets_ours() {
    let (certificate, both) = (Clients::Certificate, Clients::CertificateAndScram);
    assert_eq!(through_a_certificate(certificate, "app", false), "app\n");
    assert_eq!(through_a_certificate(both, "app", true), "app\n", "a password and a certificate");
    // What the gateway does not have, or has for another account, no token of a client makes up for.
    for (clients, name, password) in
        [(both, "app", false), (both, "elsewhere", true), (certificate, "elsewhere", true)]
    {
        let refused = through_a_certificate(clients, name, password);
        assert!(refused.contains("FATAL") && !refused.contains("app\n"), "{clients:?} {name}: {refused}");
    }
}

/// What a client sees of a server that wants a certificate, when the gateway has one with this common name.
fn through_a_certificate(clients: Clients, common_name: &str, password: bool) -> String {
    let stage = Stage::new("e2e").unwrap();
    let postgres = Postgres::start_with(&stage, clients, &[]).unwrap();
    let pair = postgres.certificates().client(common_name).unwrap();
    let program = gatewright_e2e::gateway_program().unwrap();
    let setup = Setup::new(&stage, "gateway", &program).unwrap();
    let password = match password {
        true => format!(
            "password = {{ file = \"{}\" }}",
            setup.file("app.password", postgres.password()).unwrap()
        ),
        false => String::new(),
    };
    let gateway = setup
        .target(&[
            &format!("address = \"127.0.0.1:{}\"", postgres.port()),
            "account = \"app\"",
            &password,
            &format!(
                "tls = {{ mode = \"verify\", ca = \"{}\", server_name = \"localhost\", client_certificate = \"{}\", client_key = \"{}\" }}",
                postgres.certificates().authority().display(),
                pair.certificate.display(),
                pair.key.display()
            ),
        ])
        .policy("allow", &policies::allow().unwrap())
        .unwrap()
        .start()
        .unwrap();
    gateway.psql(&Mint::default()).unwrap().options(&["-A", "-t"]).run("select current_user;").unwrap()
}

/// Does the server run a statement that begins like this?
fn running(scene: &Scene, like: &str) -> bool {
    let question =
        format!("select count(*) from pg_stat_activity where query like '{like}' and state = 'active'");
    scene.postgres.sql("postgres", &question).unwrap() != "0"
}

/// psql without the gateway, as the same account.
fn direct(scene: &Scene) -> gatewright_e2e::Psql {
    let postgres = &scene.postgres;
    let authority = postgres.certificates().authority();
    gatewright_e2e::Psql::new(postgres.port(), &authority, postgres.account(), postgres.password())
        .options(&["-A", "-t"])
}

/// `\bind` came with psql 16.
fn supported(script: &str) -> String {
    let version = Command::new("psql").arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let number = version.split(' ').find_map(|word| word.split('.').next()?.parse::<u32>().ok()).unwrap();
    let lines = script.lines().filter(|line| number >= 16 || !line.contains("\\bind"));
    lines.collect::<Vec<_>>().join("\n")
}
