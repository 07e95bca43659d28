//! Rows F20, F21 and F23 of PostgreSQL: clients that take nothing, want very much, or are very many.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::{
    Gateway, Mint, Postgres, SAMPLE, Scene, Setup, Stage, eventually, evidence, evidence::Evidence,
    gateway_program, policies, wire,
};

fn scene(stall: &str) -> Scene {
    let documents = [("allow", &*policies::allow().unwrap()), ("masks", &policies::masks().unwrap())];
    Scene::build(&documents, false, |setup| setup.listener(&[&format!("stall_timeout = \"{stall}\"")]))
        .unwrap()
}

fn session(gateway: &Gateway) -> wire::Client {
    let token = gateway.token(&Mint::default()).unwrap();
    wire::Client::session(gateway.port(), &gateway.authority(), &token).unwrap()
}

/// A figure of the kernel's about the gateway's memory, in KiB: `VmRSS`, or `VmHWM`, the most that it has had.
fn memory(gateway: &Gateway, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn at_server(scene: &Scene, condition: &str) -> String {
    let count = format!("select count(*) from pg_stat_activity where usename = 'app' and {condition}");
    scene.postgres.sql("postgres", &count).unwrap()
}

/// Rows of a kilobyte, with columns that are masked or without.
fn rows(masked: bool, count: u64) -> String {
    if masked {
        format!(
            "select email, ssn, repeat('x', 1000), generate_series(1, {count}) from people where id = 1"
        )
    } else {
        format!("select repeat('x', 1000), generate_series(1, {count})")
    }
}

/// Reads an answer and keeps nothing of it. How many rows there were.
fn read_all(client: &mut wire::Client) -> u64 {
    let mut rows = 0;
    loop {
        let message = client.message().unwrap().unwrap();
        match message.tag {
            'D' => rows += 1,
            'Z' => return rows,
            tag => assert!(tag == 'T' || tag == 'C', "{message:?}"),
        }
    }
}

/// So many that what the allocator keeps back (some MiB, more or less) is little beside what is measured.
const SILENT: u64 = 24;

#[test]
fn f020_clients_that_take_nothing_hold_up_their_targets_and_nobody_else() {
    let scene = scene("1h");
    let mut other = session(&scene.gateway);
    for masked in [false, true] {
        other.send(&wire::query(&rows(masked, 3000))).unwrap();
        assert_eq!(read_all(&mut other), 3000);
    }
    let mut silent: Vec<_> = (0..SILENT).map(|_| session(&scene.gateway)).collect();
    // A policy's instance for each is there before.
    for client in &mut silent {
        client.send(&wire::query(&rows(true, 10))).unwrap();
        assert_eq!(read_all(client), 10);
    }
    let before = memory(&scene.gateway, "VmRSS");
    for (number, client) in silent.iter_mut().enumerate() {
        client.send(&wire::query(&rows(number % 2 == 1, 2_000_000_000))).unwrap();
    }
    let waits = "wait_event = 'ClientWrite'";
    let all = SILENT.to_string();
    eventually("the server waits for each of them", || at_server(&scene, waits) == all);
    assert_eq!(
        wire::states(&other.query("select name from people where id = 1").unwrap()),
        [] as [String; 0]
    );
    let grown = memory(&scene.gateway, "VmRSS").saturating_sub(before);
    // At most 1 MiB for each.
    assert!(grown < SILENT << 10, "it took {grown} KiB for {SILENT} clients");
    eventually("it still waits for each of them", || at_server(&scene, waits) == all);
    drop(silent);
    eventually("who is gone is gone at the server", || at_server(&scene, "true") == "1");
}

#[test]
fn f020_a_client_that_takes_nothing_is_left_and_its_statement_cancelled() {
    let scene = scene("1s");
    let mut silent: Vec<_> = (0..4).map(|_| session(&scene.gateway)).collect();
    for (number, client) in silent.iter_mut().enumerate() {
        client.send(&wire::query(&rows(number % 2 == 1, 2_000_000_000))).unwrap();
    }
    // Idle is something else: nothing waits for it.
    let mut idle = session(&scene.gateway);
    eventually("all are left", || {
        let closed = scene.evidence().unwrap();
        closed
            .of("session_closed")
            .iter()
            .filter(|record| evidence::text(record, "code") == "net.stalled")
            .count()
            == 4
    });
    eventually("nothing runs for them", || at_server(&scene, "state = 'active'") == "0");
    let records = scene.evidence().unwrap();
    assert_eq!(records.of("outcome").iter().filter(|outcome| outcome["result"] == "unknown").count(), 4);
    assert_eq!(wire::tags(&idle.query("select 1").unwrap()), "TDCZ");
    for client in &mut silent {
        // Of what had left the gateway before, the last may be half a message; an end it has not.
        assert!(!client.until_closed().unwrap().ends_with(&wire::message('Z', b"I")));
    }
}

#[test]
fn f020_a_client_that_is_slow_and_goes_on_gets_all_of_it() {
    let scene = scene("2s");
    let mut client = session(&scene.gateway);
    client.send(&wire::query(&rows(false, 30_000))).unwrap();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < Duration::from_secs(5) {
        // About a megabyte.
        for _ in 0..1000 {
            count += u64::from(client.message().unwrap().unwrap().tag == 'D');
        }
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(count + read_all(&mut client), 30_000);
}

#[test]
fn f021_what_a_result_takes_does_not_grow_with_it() {
    let scene = scene("1h");
    let mut client = session(&scene.gateway);
    for masked in [false, true] {
        let mut most = |count| {
            client.send(&wire::query(&rows(masked, count))).unwrap();
            assert_eq!(read_all(&mut client), count);
            memory(&scene.gateway, "VmHWM")
        };
        let (small, large) = (most(3000), most(300_000));
        // The kernel counts by threads, and not to the page.
        assert!(large.saturating_sub(small) <= 16 << 10, "masked {masked}: {small} KiB, then {large}");
    }
}

/// A gateway that may have so many file descriptors.
fn with_few_descriptors(stage: &Stage, postgres: &Postgres, limit: u32) -> Gateway {
    let program = stage.directory().join("few-descriptors");
    let real = gateway_program().unwrap();
    fs::write(&program, format!("#!/bin/sh\nulimit -n {limit} && exec {} \"$@\"\n", real.display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let setup = Setup::new(stage, "gateway", &program).unwrap().in_front_of(postgres).unwrap();
    setup.policy("allow", &policies::allow().unwrap()).unwrap().start().unwrap()
}

#[test]
fn f023_a_storm_takes_no_descriptor_that_the_gateway_needs_for_itself() {
    let stage = Stage::new("descriptors").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    postgres.sql("postgres", SAMPLE).unwrap();
    let gateway = with_few_descriptors(&stage, &postgres, 240);
    let mut served = session(&gateway);
    let shed = || {
        let name = "gatewright_refused_total{listener=\"postgres\",code=\"net.descriptor_limit\"}";
        gateway.metric(name).unwrap_or_default()
    };
    let storm: Vec<TcpStream> =
        (0..500).filter_map(|_| TcpStream::connect(("127.0.0.1", gateway.port())).ok()).collect();
    eventually("the storm is shed, with a reason", || shed() > 300.0);
    // Who was there goes on, and is recorded; operators are answered; policies are read again.
    assert_eq!(wire::tags(&served.query("select 'during the storm'").unwrap()), "TDCZ");
    assert_eq!(gateway.get("/healthz").unwrap().status, 200);
    let before = gateway.policy_set().unwrap();
    gateway.write_policy("rules", &policies::where_required().unwrap()).unwrap();
    eventually("policies are loaded", || gateway.policy_set().unwrap() > before);
    assert_eq!(Evidence::read(&gateway).unwrap().decisions_about("select").len(), 1);
    let taken = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
    assert!(taken < 180, "{taken} of 240 are taken");
    drop(storm);
    eventually("others are served again", || {
        let token = gateway.token(&Mint::default()).unwrap();
        wire::Client::session(gateway.port(), &gateway.authority(), &token).is_ok()
    });
    assert!(!gateway.log().contains("could not be accepted"), "{}", gateway.log());
}
