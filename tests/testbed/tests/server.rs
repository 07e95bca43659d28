//! The stage itself: a real server and a real psql, with nothing between them.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{Clients, Postgres, Psql, SAMPLE, Stage};

#[test]
fn psql_talks_to_a_throwaway_server_over_tls() {
    let stage = Stage::new("server").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    postgres.sql("postgres", SAMPLE).unwrap();
    let authority = postgres.certificates().authority();

    let psql = Psql::new(postgres.port(), &authority, postgres.account(), postgres.password());
    let mut conversation = psql.options(&["-A", "-t"]).open().unwrap();
    assert_eq!(
        conversation.say("select ssl from pg_stat_ssl where pid = pg_backend_pid();").unwrap(),
        "t\n"
    );
    assert_eq!(conversation.say("select name from people where id = 2;").unwrap(), "Grace Hopper\n");
    let error = conversation.say("select 1;\nselect * from nowhere;\nselect 2;").unwrap();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.first(), Some(&"1"), "rows and errors stay in order: {error}");
    assert_eq!(lines.last(), Some(&"2"), "rows and errors stay in order: {error}");
    assert!(error.contains("relation \"nowhere\" does not exist"), "{error}");
    conversation.close().unwrap();

    let refused =
        Psql::new(postgres.port(), &authority, postgres.account(), "wrong").run("select 1;").unwrap();
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[test]
fn a_server_that_wants_certificates_takes_no_password() {
    let stage = Stage::new("server").unwrap();
    let postgres = Postgres::start_with(&stage, Clients::Certificate, &[]).unwrap();
    let authority = postgres.certificates().authority();
    let psql = Psql::new(postgres.port(), &authority, postgres.account(), postgres.password());
    let refused = psql.run("select 1;").unwrap();
    assert!(refused.contains("requires a valid client certificate"), "{refused}");

    let pair = postgres.certificates().client(postgres.account()).unwrap();
    let options = format!("sslcert={} sslkey={}", pair.certificate.display(), pair.key.display());
    let accepted = psql.options(&["-A", "-t", "-d", &options]).run("select current_user;").unwrap();
    assert_eq!(accepted, "app\n");
}

#[test]
fn a_server_that_is_killed_leaves_no_shared_memory_behind() {
    let stage = Stage::new("server").unwrap();
    let mut postgres = Postgres::start(&stage).unwrap();
    let file = stage.directory().join("postgres/data/postmaster.pid");
    let file = fs::read_to_string(file).unwrap();
    let segment = file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap();
    let is_there = || {
        let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        segments.lines().any(|line| line.split_whitespace().nth(1) == Some(segment))
    };
    assert!(is_there());

    postgres.kill();
    // Its last process to end takes the segment with it.
    let start = Instant::now();
    while is_there() {
        assert!(start.elapsed() < Duration::from_secs(30), "segment {segment} is still there");
        thread::sleep(Duration::from_millis(10));
    }
}
