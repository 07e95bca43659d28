//! Batches: errors in them, what is skipped, and what comes before a Sync.

use gatewright_e2e::{
    comparison::{closed, ready, unready},
    wire::{bind, close, describe, execute, flush, parse, query, sync, tags, terminate},
};

use super::super::{comparison, completed, outline, run, standings};

#[test]
fn a023_what_follows_an_error_in_a_batch_is_skipped_until_its_sync() {
    let comparison = comparison();
    // Found when it is planned, when it runs, and when it is analysed.
    for (wrong, answer, state) in [
        ("select 1/0", "12TDC1EZ12TDCZ", "22012"),
        ("select 1/(3-id) from things order by id", "12TDC12TDDEZ12TDCZ", "22012"),
        ("select nothing from things", "12TDCEZ12TDCZ", "42703"),
        ("select * from nothing", "12TDCEZ12TDCZ", "42P01"),
    ] {
        let batches = [run("select 1"), run(wrong), run("select 3"), sync(), run("select 4"), sync()];
        let messages = comparison.same(&[ready(2, &batches)]).unwrap();
        assert_eq!(outline(&messages), (answer.to_owned(), vec![state.to_owned()]), "{wrong}");
    }
}

#[test]
fn a023_what_a_failed_batch_has_written_is_gone() {
    let comparison = comparison();
    let batches = [
        run("insert into things values (6, 'six')"),
        run("insert into things values (6, 'again')"),
        run("insert into things values (7, 'seven')"),
        sync(),
        query("select max(id) from things"),
    ];
    let messages = comparison.same(&[ready(2, &batches)]).unwrap();
    assert_eq!(outline(&messages), ("12nC12nEZTDCZ".to_owned(), vec!["23505".to_owned()]));
    let count = messages.iter().find(|message| message.tag == 'D').unwrap();
    assert_eq!(count.row(), [Some("5".to_owned())]);
}

#[test]
fn a023_everything_behind_an_error_is_skipped_whatever_it_is() {
    let comparison = comparison();
    let batches = [
        parse("", "select nothing"),
        parse("skipped", "select 1"),
        close('S', ""),
        flush(),
        query("select 'skipped too'"),
        describe('S', "nothing"),
        execute("nothing", 0),
        sync(),
        describe('S', "skipped"),
        sync(),
    ];
    let messages = comparison.same(&[ready(2, &batches)]).unwrap();
    assert_eq!(outline(&messages).0, "EZEZ");
}

#[test]
fn a_sync_ends_the_transaction_of_its_batch_and_another_is_answered_too() {
    let comparison = comparison();
    let messages = comparison.same(&[ready(3, &[sync(), sync(), run("select 1"), sync()])]).unwrap();
    assert_eq!(tags(&messages), "ZZ12TDCZ");
    // A portal ends with it; where a transaction is open it goes on.
    let named = [parse("", "select id from things"), bind("p", "", &[]), execute("p", 1), sync()].concat();
    let again = [execute("p", 1), sync()].concat();
    let gone = [describe('P', "p"), sync()].concat();
    let messages = comparison.same(&[ready(2, &[named.clone(), gone])]).unwrap();
    assert_eq!(outline(&messages), ("12DsZEZ".to_owned(), vec!["34000".to_owned()]));
    let inside = [query("begin"), named, again, query("commit")];
    let messages = comparison.same(&[ready(4, &inside)]).unwrap();
    assert_eq!(tags(&messages), "CZ12DsZDsZCZ");
    assert_eq!(standings(&messages), "TTTI");
}

#[test]
fn a_transaction_that_a_batch_begins_lasts_beyond_its_sync() {
    let comparison = comparison();
    let batches = [
        run("begin"),
        run("insert into things values (6, 'six')"),
        sync(),
        run("select count(*) from things"),
        run("rollback"),
        sync(),
        run("select count(*) from things"),
        sync(),
    ];
    let messages = comparison.same(&[ready(3, &batches)]).unwrap();
    assert_eq!(tags(&messages), "12nC12nCZ12TDC12nCZ12TDCZ");
    assert_eq!(standings(&messages), "TII");
    assert_eq!(completed(&messages), ["BEGIN", "INSERT 0 1", "SELECT 1", "ROLLBACK", "SELECT 1"]);
}

#[test]
fn a_flush_brings_the_answers_before_any_sync() {
    let comparison = comparison();
    let steps = [
        unready(3, &[parse("s", "select id from things where id = $1"), describe('S', "s"), flush()]),
        unready(4, &[bind("", "s", &["3"]), describe('P', ""), execute("", 0), flush()]),
        unready(3, &[bind("", "s", &["4"]), execute("", 0), flush()]),
        unready(1, &[close('S', "s"), flush()]),
        ready(1, &[sync()]),
    ];
    let messages = comparison.same(&steps).unwrap();
    assert_eq!(tags(&messages), "1tT2TDC2DC3Z");
}

#[test]
fn an_error_comes_before_a_flush_and_is_told_once() {
    let comparison = comparison();
    let steps = [
        unready(1, &[parse("", "select nothing"), flush()]),
        ready(1, &[parse("", "select 1"), flush(), flush(), sync()]),
        unready(
            3,
            &[
                parse("", "select 1/(2-id) from things order by id"),
                bind("", "", &[]),
                execute("", 0),
                flush(),
            ],
        ),
        unready(1, &[]),
        ready(1, &[flush(), sync()]),
    ];
    let messages = comparison.same(&steps).unwrap();
    assert_eq!(outline(&messages), ("EZ12DEZ".to_owned(), vec!["42703".to_owned(), "22012".to_owned()]));
}

#[test]
fn what_was_sent_before_a_terminate_is_answered_first() {
    let comparison = comparison();
    for (messages, answer) in [
        (vec![terminate()], ""),
        (vec![query("select 1"), terminate()], "TDCZ"),
        (vec![run("select 1"), sync(), terminate()], "12TDCZ"),
        (vec![run("select 1"), run("select 1/0"), sync(), terminate()], "12TDC1EZ"),
        (vec![query("begin"), query("select 1/0"), terminate()], "CZEZ"),
    ] {
        let messages = comparison.same(&[closed(&messages)]).unwrap();
        assert_eq!(tags(&messages), answer);
    }
}
