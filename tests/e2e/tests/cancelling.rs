//! Statements that nobody waits for any more, at a real server.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::process::Command;

use gatewright_e2e::{Disk, Mint, Scene, Setup, Stage, approvals, eventually, evidence, policies, wire};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

/// A session, and the key that cancels it.
fn session(scene: &Scene) -> (wire::Client, (u32, u32)) {
    let (port, authority) = (scene.gateway.port(), scene.gateway.authority());
    let mut client = wire::Client::connect_tls(port, &authority).unwrap();
    client.send(&wire::startup(&[("user", "app"), ("database", "postgres")])).unwrap();
    client.expect('R').unwrap();
    client.send(&wire::password(&scene.gateway.token(&ALICE).unwrap())).unwrap();
    let answers = client.until_ready().unwrap();
    let key = &answers.iter().find(|message| message.tag == 'K').unwrap().body;
    let number = |at: usize| u32::from_be_bytes(key[at..at + 4].try_into().unwrap());
    (client, (number(0), number(4)))
}

/// Sends a cancel request, and waits until the gateway has closed its connection.
fn cancel(scene: &Scene, (process, key): (u32, u32)) {
    let mut canceller = wire::Client::connect(scene.gateway.port()).unwrap();
    canceller.send(&wire::cancel(process, key)).unwrap();
    assert!(canceller.until_closed().unwrap().is_empty(), "a cancel request is never answered");
}

/// How many of the gateway's sessions at the server do something of this kind.
fn at_server(scene: &Scene, condition: &str) -> String {
    let count = format!("select count(*) from pg_stat_activity where usename = 'app' and {condition}");
    scene.postgres.sql("postgres", &count).unwrap()
}

fn settled(scene: &Scene) -> Vec<String> {
    let records = scene.evidence().unwrap();
    let settled = records.of("approval_settled");
    settled.iter().map(|record| evidence::text(record, "state").to_owned()).collect()
}

#[test]
fn ctrl_c_withdraws_what_a_reviewer_was_asked() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("drop table scratch;").unwrap();
    let id = approvals::wait(&scene.gateway).unwrap();
    let interrupt = Command::new("kill").args(["-s", "INT", &psql.pid().to_string()]).status().unwrap();
    assert!(interrupt.success());
    // A psql that reads a script ends after that; that the session does not have to is the next test.
    let answer = psql.end().unwrap();
    assert!(answer.contains("canceling statement due to user request"), "{answer}");
    assert!(approvals::pending(&scene.gateway).unwrap().is_empty());
    assert_eq!(settled(&scene), ["withdrawn"]);
    let bob = Mint::person("bob", &["reviewers"]);
    let late = approvals::answer(&scene.gateway, "approve", &id, &bob).unwrap();
    assert!(!late.status.success(), "an answer that comes after is no answer");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
}

#[test]
fn ctrl_c_ends_what_waits_for_a_slow_disk_before_a_reviewer_is_asked() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let drop = policies::escalate_drop("5m").unwrap();
    let slow = |setup: Setup| disk.under(setup.sync_deadline("5m"));
    let scene = Scene::build(&[("drop", &drop)], true, slow).unwrap();
    let (mut client, key) = session(&scene);
    disk.hang().unwrap();
    client.send(&wire::query("drop table scratch")).unwrap();
    let denied = || scene.gateway.log().matches("pg.cancel_denied").count();
    eventually("the statement is judged", || {
        let before = denied();
        cancel(&scene, key);
        denied() == before
    });
    disk.work().unwrap();
    let answer = client.until_ready().unwrap();
    assert_eq!(wire::states(&answer), ["57014"], "{answer:?}");
    assert_eq!(settled(&scene), ["withdrawn"]);
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
}

#[test]
fn after_a_withdrawal_the_session_is_as_after_any_cancelled_statement() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let (mut client, key) = session(&scene);
    let drop = "drop table scratch";
    let batch = [wire::parse("", drop), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()];
    let held = |client: &mut wire::Client, message: &[u8]| {
        client.send(message).unwrap();
        approvals::wait(&scene.gateway).unwrap();
        // Somebody else's key, or a guess, withdraws nothing.
        cancel(&scene, (key.0, key.1 ^ 1));
        assert_eq!(approvals::pending(&scene.gateway).unwrap().len(), 1);
        cancel(&scene, key);
        let answer = client.until_ready().unwrap();
        assert_eq!(wire::states(&answer), ["57014"], "{answer:?}");
        answer.last().unwrap().body.clone()
    };
    // Outside of a transaction, in both protocols.
    assert_eq!(held(&mut client, &wire::query(drop)), b"I");
    assert_eq!(held(&mut client, &batch.concat()), b"I");
    // Inside: failed.
    client.query("begin").unwrap();
    assert_eq!(held(&mut client, &wire::query(drop)), b"E");
    assert_eq!(wire::states(&client.query("select 1").unwrap()), ["25P02"]);
    client.query("rollback").unwrap();
    client.query("begin").unwrap();
    assert_eq!(held(&mut client, &batch.concat()), b"E");
    assert_eq!(wire::tags(&client.query("rollback").unwrap()), "CZ");
    // A key that comes late finds nothing, and what runs next goes on.
    cancel(&scene, key);
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
    assert_eq!(settled(&scene), ["withdrawn"; 4]);
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
}

#[test]
fn f003_what_runs_for_a_client_that_died_is_cancelled() {
    let scene = Scene::open().unwrap();
    let running = "state = 'active' and query like '%pg_sleep(600)%'";
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("begin; update people set city = 'gone' where id = 1; select pg_sleep(600);").unwrap();
    let (mut client, _) = session(&scene);
    let text = "select pg_sleep(600)";
    let batch = [wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()];
    client.send(&batch.concat()).unwrap();
    eventually("both statements run", || at_server(&scene, running) == "2");
    // The one is killed, the other one's connection breaks.
    drop(psql);
    drop(client);
    eventually("nothing runs any more", || at_server(&scene, running) == "0");
    eventually("no session is left", || at_server(&scene, "true") == "0");
    assert_eq!(scene.postgres.sql("postgres", "select city from people where id = 1").unwrap(), "London");
}

#[test]
fn f003_whoever_says_goodbye_cancels_nothing() {
    let scene = Scene::open().unwrap();
    let (mut client, _) = session(&scene);
    client.query("begin").unwrap();
    // As with the server itself: what was sent before is done.
    let texts = ["select pg_sleep(0.5)", "update people set city = 'moved' where id = 1", "commit"];
    let mut sent: Vec<u8> = texts.iter().flat_map(|text| wire::query(text)).collect();
    sent.extend(wire::terminate());
    client.send(&sent).unwrap();
    client.until_closed().unwrap();
    eventually("no session is left", || at_server(&scene, "true") == "0");
    assert_eq!(scene.postgres.sql("postgres", "select city from people where id = 1").unwrap(), "moved");
    assert!(!scene.postgres.log().contains("canceling statement"), "{}", scene.postgres.log());
}

#[test]
fn f024_inside_of_a_transaction_a_reviewer_has_less_time() {
    let drop = policies::escalate_drop("1h").unwrap();
    let shortened = |setting: &'static str| {
        Scene::build(&[("drop", &drop)], true, |setup| {
            setup.approvals(&[&format!("hold_in_transaction = \"{setting}\"")])
        })
    };
    let scene = shortened("1s").unwrap();
    let (mut client, _) = session(&scene);
    client.query("begin; update people set city = 'x' where id = 1").unwrap();
    let answer = client.query("drop table scratch").unwrap();
    assert_eq!(wire::states(&answer), ["42501"], "{answer:?}");
    assert_eq!(answer.last().unwrap().body, b"E");
    assert_eq!(settled(&scene), ["expired"]);
    // The transaction has failed: nobody waits for its locks.
    let free = "set lock_timeout = '10s'; update people set city = 'y' where id = 1";
    scene.postgres.sql("postgres", free).unwrap();
    client.query("rollback").unwrap();
    // By itself it has the time that its policy gives.
    client.send(&wire::query("drop table scratch")).unwrap();
    let id = approvals::wait(&scene.gateway).unwrap();
    let bob = Mint::person("bob", &["reviewers"]);
    assert!(approvals::answer(&scene.gateway, "approve", &id, &bob).unwrap().status.success());
    assert_eq!(wire::states(&client.until_ready().unwrap()), Vec::<String>::new());

    let scene = shortened("0s").unwrap();
    let (mut client, _) = session(&scene);
    // Also where the transaction has not begun yet when the statement comes.
    client.send(&[wire::query("begin"), wire::query("drop table scratch")].concat()).unwrap();
    assert_eq!(wire::tags(&client.until_ready().unwrap()), "CZ");
    let answer = client.until_ready().unwrap();
    assert_eq!(wire::tags(&answer), "EZ", "{answer:?}");
    let detail = answer[0].field('D').unwrap();
    assert!(detail.contains("approval.in_transaction"), "{detail}");
    assert!(!scene.recorder.as_ref().unwrap().saw("drop table scratch"));
}
