//! The instruments themselves, without a gateway: what they report has to be true.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;

use gatewright_e2e::{FakeUpstream, Postgres, Psql, Recorder, Stage, driver, wire};

#[test]
fn the_recorder_sees_what_reaches_the_server() {
    let stage = Stage::new("harness").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    let recorder = Recorder::in_front_of(&postgres).unwrap();
    let authority = postgres.certificates().authority();
    // Even a client that insists on channel binding can not tell: the certificate is the server's own.
    let psql = Psql::new(recorder.port(), &authority, postgres.account(), postgres.password());
    let psql = psql.options(&["-A", "-t", "-d", "channel_binding=require"]);
    assert_eq!(psql.run("select 'seen';").unwrap(), "seen\n");
    assert!(recorder.saw("select 'seen'"));
    assert!(!recorder.saw("select 'other'"));
    recorder.forget();
    assert!(!recorder.saw("select 'seen'"));
}

#[test]
fn the_raw_client_reads_what_a_real_server_says() {
    let stage = Stage::new("harness").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    let mut client =
        wire::Client::connect_tls(postgres.port(), &postgres.certificates().authority()).unwrap();
    client.send_slowly(&wire::startup(&[("user", "app"), ("database", "postgres")])).unwrap();
    let methods = client.expect('R').unwrap();
    assert!(String::from_utf8_lossy(&methods.body).contains("SCRAM-SHA-256"), "{methods:?}");
    client.send(&wire::password("not SCRAM at all")).unwrap();
    let error = client.expect('E').unwrap();
    assert_eq!(error.field('C').as_deref(), Some("08P01"));
    assert!(client.until_closed().unwrap().is_empty());
}

#[test]
fn psycopg_runs_in_its_own_python() {
    let stage = Stage::new("harness").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    let authority = postgres.certificates().authority();
    let direct = Psql::new(postgres.port(), &authority, postgres.account(), postgres.password());
    let script = "import psycopg\nprint(psycopg.connect().execute('select 6 * 7').fetchone()[0])";
    assert_eq!(driver::psycopg(&direct, script).unwrap(), "42\n");
    let wrong = Psql::new(postgres.port(), &authority, postgres.account(), "wrong");
    assert!(driver::psycopg(&wrong, script).unwrap_err().what().contains("password authentication failed"));
}

#[test]
fn the_fake_server_keeps_every_byte() {
    let fake = FakeUpstream::start(|connection| {
        connection.ssl_request()?;
        connection.write_all(b"N")
    })
    .unwrap();
    let mut client = wire::Client::connect(fake.port()).unwrap();
    client.send(&wire::SSL_REQUEST).unwrap();
    assert_eq!(client.bytes(1).unwrap(), b"N");
    assert!(client.until_closed().unwrap().is_empty());
    assert_eq!(fake.received(), [wire::SSL_REQUEST.to_vec()]);
}
