//! Row A9: whoever was let in and is to be let in no longer.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{fs, process::Output, thread, time::Duration};

use gatewright_attacks::{Attack, MALLORY};
use gatewright_e2e::{Gateway, Mint, Psql, Scene, approvals, eventually, evidence, oidc, policies, wire};

const OLGA: Mint<'static> =
    Mint { subject: "olga", groups: &["operators"], actors: &[], kind: "human", ttl: "1h" };

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

/// Runs `gatewright revocations add` as an operator, and gives the name of the revocation.
fn revoke(gateway: &Gateway, what: &[&str]) -> String {
    let arguments = [&["revocations", "add", "--reason", "a laptop was lost", "--json"], what].concat();
    let output = gateway.ask(&OLGA, &arguments).unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = said(&output);
    let id = said.split_once("\"id\":\"").unwrap().1;
    id.split('"').next().unwrap().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// What psql sees of a login with this token.
fn login(gateway: &Gateway, token: &str) -> String {
    let psql = Psql::new(gateway.port(), &gateway.authority(), "app", token);
    psql.options(&["-A", "-t"]).run("select 'reached';").unwrap()
}

/// Tries a statement on a session that was ended: it gets an error and the end of the connection.
fn is_ended(session: &mut wire::Client, statement: &str) -> String {
    // The connection may be closed already when the statement is sent.
    let _ = session.send(&wire::query(statement));
    let answer = session.until_ready().unwrap();
    assert_eq!(wire::tags(&answer), "E", "{answer:?}");
    assert_eq!(answer[0].field('S').as_deref(), Some("FATAL"));
    assert!(session.until_closed().unwrap().is_empty());
    answer[0].error().unwrap()
}

#[test]
fn a009_a_revoked_principal_is_out_before_the_next_statement_and_stays_out() {
    let attack = Attack::prepare().unwrap();
    let gateway = &attack.scene.gateway;
    let token = attack.token().unwrap();
    let mut by_name = attack.session().unwrap();
    // As an actor in somebody else's name, too: a link of a chain is revoked with its chain.
    let through = Mint { subject: "alice", actors: &["mallory"], ..ALICE };
    let chained = gateway.token(&through).unwrap();
    let mut in_chain = wire::Client::session(gateway.port(), &gateway.authority(), &chained).unwrap();
    let alices = gateway.token(&ALICE).unwrap();
    let mut bystander = wire::Client::session(gateway.port(), &gateway.authority(), &alices).unwrap();
    attack.forget();

    let id = revoke(gateway, &["--subject", "mallory"]);
    for session in [&mut by_name, &mut in_chain] {
        let error = is_ended(session, "select 'after revocation'");
        assert_eq!(error, "28000 the credential of this session was revoked");
    }
    assert!(!attack.reached("after revocation"), "not a byte of it reached the server");
    attack.recorded("auth.revoked").unwrap();
    assert_eq!(wire::tags(&bystander.query("select 1").unwrap()), "TDCZ", "others go on");

    // Neither the old token nor a new one opens anything, as long as it stands.
    for token in [&token, &chained, &attack.token().unwrap()] {
        let answer = login(gateway, token);
        assert!(answer.contains("FATAL") && answer.contains("the token was revoked"), "{answer}");
    }
    let records = attack.scene.evidence().unwrap();
    let record = records.of("revocation_added")[0].clone();
    assert_eq!(evidence::text(&record, "operator"), "olga", "{record}");
    assert_eq!(evidence::text(&record, "reason"), "a laptop was lost", "{record}");

    let lifted = gateway.ask(&OLGA, &["revocations", "lift", &id, "--reason", "found"]).unwrap();
    assert!(lifted.status.success(), "{lifted:?}");
    assert_eq!(login(gateway, &token), "reached\n");
}

#[test]
fn a009_one_token_is_revoked_and_stays_so_after_a_crash() {
    let mut scene = Scene::open().unwrap();
    let (lost, kept) = (scene.gateway.token(&ALICE).unwrap(), scene.gateway.token(&ALICE).unwrap());
    let id = oidc::claim(&lost, "jti").unwrap();
    assert_eq!(login(&scene.gateway, &lost), "reached\n");
    revoke(&scene.gateway, &["--token", &id]);
    // SIGKILL, with nothing left to be said or written.
    scene.gateway.restart().unwrap();
    assert!(login(&scene.gateway, &lost).contains("the token was revoked"));
    assert_eq!(login(&scene.gateway, &kept), "reached\n", "of the same person");
    let listed = said(&scene.gateway.ask(&OLGA, &["revocations", "list"]).unwrap());
    assert!(listed.contains(&id) && listed.contains("a laptop was lost"), "{listed}");

    // What was issued so far, whoever has it; who may have a new token is the issuer's business.
    revoke(&scene.gateway, &["--issued-so-far", "--subject", "alice"]);
    assert!(login(&scene.gateway, &kept).contains("the token was revoked"));
    thread::sleep(Duration::from_millis(1_100)); // tokens carry whole seconds
    assert_eq!(login(&scene.gateway, &scene.gateway.token(&ALICE).unwrap()), "reached\n");
}

#[test]
fn a009_a_damaged_list_of_revocations_keeps_the_gateway_shut() {
    let mut scene = Scene::open().unwrap();
    revoke(&scene.gateway, &["--subject", "mallory"]);
    scene.gateway.terminate().unwrap();
    scene.gateway.wait(Duration::from_secs(20)).unwrap();
    let list = scene.gateway.state().join("revocations");
    let whole = fs::read(&list).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    let changed = String::from_utf8(whole.clone()).unwrap().replace("mallory", "nobody7").into_bytes();
    for damaged in [half, changed, Vec::new()] {
        fs::write(&list, damaged).unwrap();
        for command in ["serve", "check"] {
            let output = scene.gateway.attempt(&[command]).unwrap();
            let said = said(&output);
            assert!(!output.status.success(), "{command}: {said}");
            assert!(
                said.contains("the list of revocations") && said.contains("backup"),
                "{command}: {said}"
            );
        }
    }
    fs::write(&list, whole).unwrap();
    scene.gateway.restart().unwrap();
    assert!(login(&scene.gateway, &scene.gateway.token(&MALLORY).unwrap()).contains("revoked"));
}

#[test]
fn a009_a_held_statement_of_a_revoked_principal_never_runs() {
    let scene = Scene::with(&[("drop", &policies::escalate_drop("5m").unwrap())]).unwrap();
    let mut psql = scene.psql(&ALICE).unwrap().open().unwrap();
    psql.begin("drop table scratch;").unwrap();
    let request = approvals::wait(&scene.gateway).unwrap();
    revoke(&scene.gateway, &["--subject", "alice"]);
    let answer = psql.end().unwrap();
    assert!(answer.contains("FATAL") && answer.contains("revoked"), "{answer}");
    let bob = Mint::person("bob", &["reviewers"]);
    let approved = approvals::answer(&scene.gateway, "approve", &request, &bob).unwrap();
    assert!(!approved.status.success(), "there is nothing left to approve: {approved:?}");
    assert_eq!(scene.postgres.sql("postgres", "select to_regclass('scratch')").unwrap(), "scratch");
    let records = scene.evidence().unwrap();
    assert_eq!(evidence::text(records.of("approval_settled")[0], "state"), "withdrawn");
}

/// There is always more to read from it, and no statement of its own to refuse any more.
#[test]
fn a009_a_client_that_never_pauses_ends_as_well() {
    let scene = Scene::open().unwrap();
    let token = scene.gateway.token(&MALLORY).unwrap();
    let (port, authority) = (scene.gateway.port(), scene.gateway.authority());
    let mut client = wire::Client::session(port, &authority, &token).unwrap();
    client.query("create temp table flood (line text)").unwrap();
    client.send(&wire::query("copy flood from stdin")).unwrap();
    client.expect('G').unwrap();
    let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
    let flood = thread::spawn(move || {
        let data = wire::message('d', &line).repeat(64);
        while client.send(&data).is_ok() {}
    });
    let counter = "gatewright_bytes_total{listener=\"postgres\",direction=\"to_target\"}";
    let before = scene.gateway.metric(counter).unwrap();
    eventually("it floods", || scene.gateway.metric(counter).unwrap() > before + 1_000_000.0);
    revoke(&scene.gateway, &["--subject", "mallory"]);
    eventually("it is over", || flood.is_finished());
    flood.join().unwrap();
    let copying =
        "select count(*) from pg_stat_activity where query like 'copy flood%' and state = 'active'";
    eventually("at the server too", || scene.postgres.sql("postgres", copying).unwrap() == "0");
}

#[test]
fn an_operator_ends_one_session_and_its_client_may_come_back() {
    let scene = Scene::open().unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    assert_eq!(psql.say("select 1;").unwrap(), "1\n");
    let listed = said(&scene.gateway.ask(&OLGA, &["sessions", "list", "--json"]).unwrap());
    let id = listed.split_once("\"session\":\"").unwrap().1.split('"').next().unwrap();
    let nobody = scene.gateway.ask(&MALLORY, &["sessions", "end", id, "--reason", "mine now"]).unwrap();
    assert!(!nobody.status.success(), "{nobody:?}");
    assert_eq!(psql.say("select 2;").unwrap(), "2\n");
    let ended = scene.gateway.ask(&OLGA, &["sessions", "end", id, "--reason", "too much load"]).unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let answer = psql.say("select 'reached';").unwrap();
    assert!(answer.contains("an operator ended this session") && !answer.contains("reached\n"), "{answer}");
    assert_eq!(scene.alice().unwrap().run("select 3;").unwrap(), "3\n");
    eventually("it is said not to be there", || {
        let again = scene.gateway.ask(&OLGA, &["sessions", "end", id, "--reason", "again"]).unwrap();
        let told = String::from_utf8_lossy(&again.stderr).contains("there is no such session");
        told && again.status.code() == Some(3)
    });
    let records = scene.evidence().unwrap();
    assert_eq!(evidence::text(records.of("session_ended")[0], "reason"), "too much load");
    assert_eq!(evidence::text(records.of("operator_refused")[0], "operator"), "mallory");
}

#[test]
fn a099_a_token_that_is_revoked_by_itself_is_named_and_never_written_down() {
    let scene = Scene::open().unwrap();
    let token = scene.gateway.token(&ALICE).unwrap();
    assert_eq!(login(&scene.gateway, &token), "reached\n");
    revoke(&scene.gateway, &["--token", &token]);
    assert!(login(&scene.gateway, &token).contains("the token was revoked"));
    // Torn, and by whoever speaks to the gateway without its own program, it is refused.
    let torn = token.rsplit_once('.').unwrap().0;
    for given in [torn, "eyJhbGciOiJFZERTQSJ9.x.y"] {
        let refused = scene
            .gateway
            .ask(&OLGA, &["revocations", "add", "--reason", "lost", "--token", given])
            .unwrap();
        assert!(!refused.status.success(), "{refused:?}");
    }
    let listed = said(&scene.gateway.ask(&OLGA, &["revocations", "list"]).unwrap());
    let kept = fs::read_to_string(scene.gateway.state().join("revocations")).unwrap();
    let written = [listed, kept, scene.evidence().unwrap().text().to_owned()].concat();
    assert!(written.contains(&oidc::claim(&token, "jti").unwrap()));
    assert!(!written.contains(torn), "the token is in what others read");
}

/// A token that is good for a second holds for a minute longer, by which clocks may differ.
#[test]
fn a009_a_session_ends_when_its_token_expires() {
    let attack = Attack::prepare().unwrap();
    let gateway = &attack.scene.gateway;
    let token = gateway.token(&Mint { ttl: "1s", ..MALLORY }).unwrap();
    let open = || wire::Client::session(gateway.port(), &gateway.authority(), &token).unwrap();
    let (mut idle, mut busy) = (open(), open());
    let mut last = Vec::new();
    // Each answer comes at once: a session that does not end makes this loop end by its count.
    for _ in 0..1_000 {
        last = busy.query("select 1").unwrap();
        // A statement of the very moment gets no permit, and the session ends behind it.
        let is_late =
            wire::tags(&last) == "EZ" && last[0].error().is_some_and(|text| text.contains("has expired"));
        if wire::tags(&last) != "TDCZ" && !is_late {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(wire::tags(&last), "E", "{last:?}");
    assert_eq!(last[0].error().unwrap(), "28000 the credential of this session has expired");
    attack.forget();
    let error = is_ended(&mut idle, "select 'after expiry'");
    assert_eq!(error, "28000 the credential of this session has expired");
    assert!(!attack.reached("after expiry"), "not a byte of it reached the server");
    attack.recorded("auth.expired").unwrap();
    assert!(login(gateway, &token).contains("the token expired"));
}
