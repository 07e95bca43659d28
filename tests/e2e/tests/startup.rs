//! How a connection begins with today's clients: direct TLS, protocol 3.2 and its long cancel keys, as PostgreSQL 18
//! has them, whatever the version of the target is.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{Mint, Scene, driver, policies, wire};

fn libpq(scene: &Scene, script: &str) -> String {
    driver::psycopg(&scene.gateway.psql(&Mint::default()).unwrap(), script).unwrap()
}

#[test]
fn libpq_negotiates_tls_directly() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg
with psycopg.connect("sslnegotiation=direct", autocommit=True) as conn:
    print(conn.execute("select 'direct'").fetchone()[0])
    print(conn.pgconn.ssl_in_use)
"#;
    assert_eq!(libpq(&scene, script), "direct\nTrue\n");
}

#[test]
fn libpq_speaks_protocol_3_2_and_cancels_with_its_long_key() {
    let scene = Scene::open().unwrap();
    let script = r#"
import psycopg, threading
with psycopg.connect("min_protocol_version=3.2 max_protocol_version=latest", autocommit=True) as conn:
    print(conn.pgconn.backend_pid == conn.execute("select pg_backend_pid()").fetchone()[0])
    conn.execute("listen itself")
    conn.execute("notify itself")
    print([n.pid == conn.pgconn.backend_pid for n in conn.notifies(timeout=20, stop_after=1)])
    done = threading.Event()
    def again():
        while not done.wait(0.2):
            conn.cancel_safe()
    thread = threading.Thread(target=again)
    thread.start()
    try:
        conn.execute("select pg_sleep(60)")
    except psycopg.errors.QueryCanceled as error:
        print(error.sqlstate)
    done.set()
    thread.join()
"#;
    assert_eq!(libpq(&scene, script), "True\n[True]\n57014\n");
}

#[test]
fn a_newer_protocol_than_3_2_is_talked_down_to_it() {
    let scene = Scene::open().unwrap();
    let begin = |version: u32, option: &[(&str, &str)]| {
        let (port, authority) = (scene.gateway.port(), scene.gateway.authority());
        let mut client = wire::Client::connect_tls(port, &authority).unwrap();
        let parameters = [&[("user", "app"), ("database", "postgres")], option].concat();
        client.send(&wire::startup_version(version, &parameters)).unwrap();
        let first = client.message().unwrap().unwrap();
        if first.tag == 'v' {
            client.expect('R').unwrap();
        }
        client.send(&wire::password(&scene.gateway.token(&Mint::default()).unwrap())).unwrap();
        let answers = client.until_ready().unwrap();
        let key = answers.iter().find(|message| message.tag == 'K').unwrap().body.len() - 4;
        ((first.tag == 'v').then(|| first.body.clone()), key)
    };
    assert_eq!(begin(0x0003_0000, &[]), (None, 4));
    assert_eq!(begin(0x0003_0002, &[]), (None, 32));
    let (said, key) = begin(0x0003_270f, &[]);
    assert_eq!(said.unwrap(), [0, 3, 0, 2, 0, 0, 0, 0]);
    assert_eq!(key, 32);
    let (said, key) = begin(0x0003_0000, &[("_pq_.unknown", "on")]);
    assert_eq!(said.unwrap(), b"\0\x03\0\0\0\0\0\x01_pq_.unknown\0");
    assert_eq!(key, 4);
}

#[test]
fn a001_direct_tls_has_to_name_the_protocol() {
    let scene = Scene::open().unwrap();
    let (port, authority) = (scene.gateway.port(), scene.gateway.authority());
    let startup = wire::startup(&[("user", "app"), ("database", "postgres")]);
    let begin = |alpn: &[&[u8]]| {
        let mut client = wire::Client::connect(port)?.start_tls(&authority, alpn)?;
        client.send(&startup)?;
        client.expect('R')
    };
    assert!(begin(&[b"postgresql"]).is_ok());
    assert!(begin(&[b"http/1.1", b"postgresql"]).is_ok(), "one of several");
    assert!(begin(&[]).is_err(), "none");
    assert!(begin(&[b"http/1.1"]).is_err(), "another");
    // Asked for in the old way, ALPN may be left out; but what is named has to be right.
    let asked = |alpn: &[&[u8]]| {
        let mut client = wire::Client::connect(port)?;
        client.send(&wire::SSL_REQUEST)?;
        client.bytes(1)?;
        let mut client = client.start_tls(&authority, alpn)?;
        client.send(&startup)?;
        client.expect('R')
    };
    assert!(asked(&[]).is_ok());
    assert!(asked(&[b"postgresql"]).is_ok());
    assert!(asked(&[b"http/1.1"]).is_err());
}

#[test]
fn a005_settings_of_the_startup_packet_are_judged_as_set_is() {
    let rules = "require_where = []\ndeny_effects = []\nallow_role_switch = true\ndeny_kinds = [\"set_search_path\", \"set_row_security\"]";
    let rules = policies::rules("rules", rules).unwrap();
    let scene = Scene::build(&[("rules", &rules)], true, |setup| setup).unwrap();
    let script = r#"
import psycopg
with psycopg.connect(options="-c statement_timeout=7s -c app.tenant=o'x", autocommit=True) as conn:
    ask = lambda: conn.execute("select current_setting('statement_timeout'), current_setting('app.tenant')").fetchone()
    print(ask())
    conn.execute("set statement_timeout = '9s'")
    conn.execute("set app.tenant = 'another'")
    conn.execute("reset statement_timeout; reset app.tenant")
    print(ask())
for option in ["search_path=evil", "row_security=off"]:
    try:
        psycopg.connect(options="-c " + option)
    except psycopg.OperationalError as error:
        print("blocked by policy" in str(error))
try:
    psycopg.connect(options="-c statement_timeout=never")
except psycopg.OperationalError as error:
    print("invalid value for parameter" in str(error))
"#;
    let recorder = scene.recorder.as_ref().unwrap();
    recorder.forget();
    assert_eq!(libpq(&scene, script), "('7s', \"o'x\")\n('7s', \"o'x\")\nTrue\nTrue\nTrue\n");
    assert!(!recorder.saw("evil"));
    let records = scene.evidence().unwrap().text();
    assert!(records.contains("set search_path to $1"), "{records}");
}
