//! A29: an answer that was made before a definition changed, and is read by the gateway behind the change, because its client does not read.
//!
//! The target has ended the transaction of such an answer by then, so it holds no lock: a catalog that is read again is newer than the answer.

use std::time::Duration;

use gatewright_e2e::{eventually, wire};

use super::{
    super::{CAROL, MALLORY, Sent, Sides, print, say},
    plans::MIGRATION,
};

#[test]
fn a029_an_answer_that_waits_for_its_client_is_masked_as_what_it_was_made_of() {
    kept_waiting("", "select ssn, city from people where id = 1", MIGRATION);
}

#[test]
fn a029_an_answer_of_a_view_that_waits_for_its_client_is_masked_as_what_it_was_made_of() {
    kept_waiting(
        "create view lab.notes as select id, ssn as note from people",
        "select note from lab.notes where id = 1",
        &["create or replace view lab.notes as select id, city as note from people"],
    );
}

/// What is put into an open column is that column for the target; and here it is a masked value by the time that the lock is given.
#[test]
fn a029_what_a_change_returns_is_masked_by_what_it_was_made_of() {
    let sides = Sides::prepare("", "create view lab.notes as select id, city as note from people");
    let mut other = sides.session_in(&CAROL, "postgres");
    for text in [
        "update orders set item = n.note from lab.notes n where n.id = 1 and orders.id = 1 returning item",
        "insert into scratch select note from lab.notes where id = 1 returning note",
    ] {
        let mut client = sides.session_in(&MALLORY, "postgres");
        say(&mut client, Sent::Query, "select note from lab.notes where id = 1");
        say(&mut other, Sent::Query, "begin");
        say(
            &mut other,
            Sent::Query,
            "create or replace view lab.notes as select id, ssn as note from people",
        );
        client.send(&wire::query(text)).unwrap();
        eventually("it waits for the lock", || {
            let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
            sides.scene.postgres.sql("postgres", waiting).is_ok_and(|count| count == "1")
        });
        say(&mut other, Sent::Query, "commit");
        let told = client.until_ready().unwrap();
        assert_eq!(sides.leak(&told, None), None, "{text}");
        say(
            &mut other,
            Sent::Query,
            "create or replace view lab.notes as select id, city as note from people",
        );
    }
}

/// A transaction that has defined something reads the catalog in itself, and sees an old one; the target takes views as they are.
#[test]
fn a029_an_old_snapshot_knows_nothing_of_later_changes() {
    let sides = Sides::prepare("", "create view lab.notes as select id, city as note from people");
    let mut other = sides.session_in(&CAROL, "postgres");
    let mut client = sides.session_in(&MALLORY, "postgres");
    for text in [
        "begin isolation level repeatable read",
        "select count(*) from orders",
        "create temp table own (i int)",
    ] {
        let told = say(&mut client, Sent::Query, text);
        assert!(wire::states(&told).is_empty(), "{text}: {}", print(&told));
    }
    say(&mut other, Sent::Query, "create or replace view lab.notes as select id, ssn as note from people");
    let told = say(&mut client, Sent::Query, "select note from lab.notes where id = 1");
    assert_eq!(sides.leak(&told, None), None);
}

/// The answer stands behind one that is large enough for the gateway to wait for its client, and small enough for the buffers between target and
/// gateway: so the target has done all of it. How large that is, is the machine's business.
fn kept_waiting(defined: &str, query: &str, change: &[&str]) {
    for rows in [400, 600, 800] {
        let large = format!("select repeat('x', 10000) from generate_series(1, {rows})");
        let batch =
            |text: &str| [wire::parse("", text), wire::bind("", "", &[]), wire::execute("", 0)].concat();
        for sent in [
            wire::query(&format!("{large}; {query}")),
            [batch(&large), batch(query), wire::sync()].concat(),
        ] {
            let sides = Sides::prepare("", defined);
            let mut other = sides.session_in(&CAROL, "postgres");
            let mut client = sides.session_in(&MALLORY, "postgres");
            say(&mut client, Sent::Query, query);
            client.send(&sent).unwrap();
            eventually("the target has done it", || {
                std::thread::sleep(Duration::from_millis(100));
                let active =
                    "select count(*) from pg_stat_activity where usename = 'app' and state = 'active'";
                sides.scene.postgres.sql("postgres", active).is_ok_and(|count| count == "0")
            });
            for statement in change {
                let told = say(&mut other, Sent::Query, statement);
                assert!(wire::states(&told).is_empty(), "{statement}: {}", print(&told));
            }
            let told = client.until_ready().unwrap();
            assert_eq!(sides.leak(&told, None), None, "behind {rows} rows of 10,000 bytes");
        }
    }
}
