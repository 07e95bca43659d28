//! A22: COPY that ends badly after a long time, or does not end.

use gatewright_attacks::Attack;
use gatewright_e2e::{eventually, wire};

use super::super::{print, resident};

/// How many rows one message has.
const ROWS: u32 = 10_000;

#[test]
fn a022_a_bad_row_at_the_end_of_a_million_leaves_none() {
    let attack = Attack::prepare().unwrap();
    let table = "create table numbers (n int check (n < 1000000)); alter table numbers owner to app";
    attack.scene.postgres.sql("postgres", table).unwrap();
    let stored = || attack.scene.postgres.sql("postgres", "select count(*) from numbers").unwrap();
    let mut client = attack.session().unwrap();
    for (last, state, count) in [(1_000_000, &["23514"][..], "0"), (999_999, &[], "999999")] {
        client.send(&wire::query("copy numbers from stdin")).unwrap();
        client.expect('G').unwrap();
        for first in (1..=last).step_by(ROWS as usize) {
            let rows = (first..first + ROWS).take_while(|number| *number <= last);
            let rows: String = rows.map(|number| format!("{number}\n")).collect();
            client.send(&wire::message('d', rows.as_bytes())).unwrap();
        }
        client.send(&wire::message('c', b"")).unwrap();
        let told = client.until_ready().unwrap();
        assert_eq!(wire::states(&told), state, "{}", print(&told));
        assert_eq!(stored(), count);
    }
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
}

/// The longest message that the server takes, in bytes (`PQ_LARGE_MESSAGE_LIMIT`).
const LONGEST: u32 = 0x3fff_fffe;

/// A message that says it has a gigabyte, of which a part comes: nothing of it is waited for, kept or stored.
#[test]
fn a022_a_message_of_a_gigabyte_is_not_kept_and_half_of_it_is_nothing() {
    let attack = Attack::prepare().unwrap();
    let mut client = attack.session().unwrap();
    let before = resident(attack.scene.gateway.pid());
    client.send(&wire::query("copy scratch from stdin")).unwrap();
    client.expect('G').unwrap();
    let rows = "a row of scratch that is not to be there\n".repeat(1 << 15);
    client.send(&wire::message_of_length('d', LONGEST, rows.as_bytes())).unwrap();
    while attack.upstream_bytes() < 64 << 20 {
        client.send(rows.as_bytes()).unwrap();
    }
    let after = resident(attack.scene.gateway.pid());
    assert!(after < before + 32 * 1024, "{before} KiB before, {after} KiB after");
    drop(client);
    let copying =
        "select count(*) from pg_stat_activity where query like 'copy scratch%' and state <> 'idle'";
    eventually("the COPY ends", || attack.scene.postgres.sql("postgres", copying).unwrap() == "0");
    assert_eq!(attack.scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
}

/// Whatever comes where data is waited for, and whoever leaves: the server is told that the data does not end well.
#[test]
fn a022_a_copy_that_is_broken_off_is_told_to_the_server_as_failed() {
    let attack = Attack::prepare().unwrap();
    let broken: [(Vec<u8>, &str); 4] = [
        (wire::query("select 1"), "the client broke the protocol"),
        (wire::parse("", "select 1"), "the client broke the protocol"),
        (wire::function_call(1), "the client broke the protocol"),
        (wire::terminate(), "the client left"),
    ];
    for (bytes, why) in broken {
        let mut client = attack.session().unwrap();
        client.send(&wire::query("copy scratch from stdin")).unwrap();
        client.expect('G').unwrap();
        client.send(&[wire::message('d', b"half\n"), bytes, wire::message('c', b"")].concat()).unwrap();
        client.until_closed().unwrap();
        eventually("the server is told", || attack.reached(why));
        assert!(attack.reached("half\n"), "{why}");
        let left = "select count(*) from pg_stat_activity where usename = 'app' and state <> 'idle'";
        eventually("the COPY is over", || attack.scene.postgres.sql("postgres", left).unwrap() == "0");
        assert_eq!(
            attack.scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(),
            "0",
            "{why}"
        );
    }
    attack.recorded("pg.copy_state").unwrap();
    // Done, and what comes behind the end: the first end counts.
    let mut client = attack.session().unwrap();
    client.send(&wire::query("copy scratch from stdin")).unwrap();
    client.expect('G').unwrap();
    let ends = [
        wire::message('d', b"whole\n"),
        wire::message('c', b""),
        wire::message('f', b"too late\0"),
        wire::message('d', b"stray\n"),
        wire::message('c', b""),
    ];
    client.send(&ends.concat()).unwrap();
    assert_eq!(wire::tags(&client.until_ready().unwrap()), "CZ");
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
    client.send(&wire::query("copy scratch from stdin")).unwrap();
    client.expect('G').unwrap();
    let ends = [
        wire::message('d', b"half\n"),
        wire::message('f', b"no more\0"),
        wire::message('c', b""),
        wire::message('d', b"stray\n"),
    ];
    client.send(&ends.concat()).unwrap();
    assert_eq!(wire::states(&client.until_ready().unwrap()), ["57014"]);
    assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
    assert_eq!(attack.scene.postgres.sql("postgres", "select note from scratch").unwrap(), "whole");
}
