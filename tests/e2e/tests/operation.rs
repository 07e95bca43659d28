//! Running it: health, metrics, configuration, ending in good order.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use gatewright_e2e::{Mint, Scene, eventually, wire};

#[test]
fn health_and_metrics_are_on_the_admin_listener() {
    let scene = Scene::open().unwrap();
    assert_eq!(scene.gateway.get("/healthz").unwrap().status, 200);
    assert_eq!(scene.gateway.get("/readyz").unwrap().status, 200);
    assert_eq!(scene.gateway.get("/nothing").unwrap().status, 404);
    let allowed = "gatewright_decisions_total{decision=\"allow\",kind=\"sql.query\"}";
    let before = scene.gateway.metric(allowed).unwrap();
    scene.alice().unwrap().run("select 1;").unwrap();
    assert!(scene.gateway.metric(allowed).unwrap() > before);
}

#[test]
fn sigterm_lets_running_statements_end() {
    let mut scene = Scene::open().unwrap();
    let mut busy = scene.alice().unwrap().open().unwrap();
    let mut idle = scene.alice().unwrap().open().unwrap();
    idle.say("select 1;").unwrap();
    busy.begin("select pg_sleep(1), 'finished';").unwrap();
    let sleeping =
        "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    eventually("the statement runs", || scene.postgres.sql("postgres", sleeping).unwrap() == "1");
    scene.gateway.terminate().unwrap();
    assert!(busy.end().unwrap().contains("|finished"), "what runs may end");
    let status = scene.gateway.wait(Duration::from_secs(20)).unwrap();
    assert!(status.success(), "{status}: {}", scene.gateway.log());
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, scene.gateway.port())).is_err(),
        "nobody is let in any more"
    );
    assert!(!idle.say("select 'still here';").unwrap().starts_with("still here"));
    let shown = scene.gateway.run(&["evidence", "show", "--json"]).unwrap();
    assert!(shown.contains("gateway_stopped"), "{shown}");
}

#[test]
fn every_error_of_a_configuration_is_said_at_once() {
    let scene = Scene::open().unwrap();
    assert!(scene.gateway.attempt(&["check"]).unwrap().status.success());

    let text = std::fs::read_to_string(scene.gateway.config()).unwrap();
    let broken = text
        .replace("drain = \"5s\"", "drain = \"soon\"")
        .replace("[evidence]", "[evidence]\ncolour = \"blue\"")
        .replace("target = \"demo\"", "target = \"nowhere\"");
    std::fs::write(scene.gateway.config(), broken).unwrap();
    let output = scene.gateway.attempt(&["check"]).unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for part in ["soon", "colour", "nowhere", "gatewright.toml"] {
        assert!(said.contains(part), "`{part}` is in what it says: {said}");
    }
    let line = text.lines().position(|line| line.starts_with("drain")).unwrap() + 1;
    assert!(said.contains(&format!(":{line}")), "the line is named: {said}");
}

#[test]
fn f001_a_server_that_dies_is_an_error_and_not_an_end() {
    let mut scene = Scene::open().unwrap();
    let token = scene.gateway.token(&Mint::default()).unwrap();
    let mut client =
        wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap();
    client
        .send(&wire::query("update people set city = 'Rome' where id = 1 returning pg_sleep(600)"))
        .unwrap();
    let sleeping =
        "select count(*) from pg_stat_activity where query like 'update people%' and state = 'active'";
    eventually("the statement runs", || scene.postgres.sql("postgres", sleeping).unwrap() == "1");
    scene.postgres.kill();
    let answer = client.until_ready().unwrap();
    assert!(!wire::tags(&answer).contains('C'), "nothing is said to have succeeded: {answer:?}");
    assert!(client.until_closed().unwrap().is_empty());
    let outcomes = scene.evidence().unwrap();
    let outcomes: Vec<&str> = outcomes
        .of("outcome")
        .iter()
        .map(|record| gatewright_e2e::evidence::text(record, "result"))
        .collect();
    assert_ne!(outcomes.last(), Some(&"ok"), "what may have run is not recorded as done: {outcomes:?}");
}
