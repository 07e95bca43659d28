//! What a name stands for when it runs is what was judged, however names are changed in between.

use gatewright_playbook::{Play, Stage, messages::*};

fn relay() -> Play {
    Play::relay(&Stage::default(), usize::MAX)
}

/// Prepares a statement, alone.
fn prepare(play: &mut Play, name: &str, text: &str) {
    play.client([parse(name, text), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), ready(b'I')].concat());
}

fn run(play: &mut Play, text: &str, tag: &str, transaction: u8) {
    play.client(query(text));
    play.permit();
    play.target([complete(tag), ready(transaction)].concat());
}

fn refused_with(play: &Play, code: &str) {
    assert!(play.transcript().to_string().contains(code), "{}", play.transcript());
    assert!(!play.holds(), "{}", play.transcript());
}

#[test]
fn a018_an_undo_does_not_bring_back_what_a_later_batch_has_replaced() {
    let mut play = relay();
    prepare(&mut play, "slow", "select 1/0");
    prepare(&mut play, "", "select 1");
    play.client([bind("", "slow", &[]), execute(""), parse("", "select 2"), sync()].concat());
    play.permit();
    play.permit();
    play.client([parse("", "drop table victim"), sync()].concat());
    play.permit();
    // The first batch fails at its Execute: `select 2` was never prepared, and `drop table` is.
    play.target([message(b'2', b""), error("22012", "division by zero"), ready(b'I')].concat());
    play.target([message(b'1', b""), ready(b'I')].concat());
    play.client([bind("", "", &[]), execute(""), sync()].concat());
    assert!(play.judged()[0].starts_with("drop_table"), "{:?}\n{}", play.judged(), play.transcript());
}

#[test]
fn a018_when_both_batches_fail_a_name_stands_for_what_it_stood_for_before() {
    let mut play = relay();
    prepare(&mut play, "slow", "select 1/0");
    prepare(&mut play, "", "delete from people");
    for text in ["select 2", "select 3"] {
        play.client([bind("", "slow", &[]), execute(""), parse("", text), sync()].concat());
        play.permit();
        play.permit();
    }
    for _ in 0..2 {
        play.target([message(b'2', b""), error("22012", "division by zero"), ready(b'I')].concat());
    }
    play.client([bind("", "", &[]), execute(""), sync()].concat());
    assert!(play.judged()[0].starts_with("delete"), "{:?}\n{}", play.judged(), play.transcript());
}

#[test]
fn a018_a_close_that_was_skipped_does_not_outlive_what_sql_prepared() {
    let mut play = relay();
    prepare(&mut play, "slow", "select 1/0");
    prepare(&mut play, "p", "select 1");
    play.client([bind("", "slow", &[]), execute(""), close('S', "p"), sync()].concat());
    play.permit();
    let batch = |text| [parse("", text), bind("", "", &[]), execute(""), sync()].concat();
    play.client([batch("deallocate p"), batch("prepare p as delete from people")].concat());
    play.target([message(b'2', b""), error("22012", "division by zero"), ready(b'I')].concat());
    for tag in ["DEALLOCATE", "PREPARE"] {
        play.permit();
        play.permit();
        play.target([message(b'1', b""), message(b'2', b""), complete(tag), ready(b'I')].concat());
    }
    play.client([bind("", "p", &[]), execute(""), sync()].concat());
    refused_with(&play, "E(26000 ");
}

#[test]
fn a018_a_portal_that_was_closed_in_a_skipped_batch_is_not_a_cursor_of_its_name() {
    let mut play = relay();
    run(&mut play, "begin", "BEGIN", b'T');
    play.client([parse("", "select 1"), bind("c", "", &[]), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), ready(b'T')].concat());
    run(&mut play, "savepoint s", "SAVEPOINT", b'T');
    play.client(
        [parse("", "select 1/0"), bind("", "", &[]), execute(""), close('P', "c"), sync()].concat(),
    );
    play.permit();
    play.permit();
    let failed = error("22012", "division by zero");
    play.target([message(b'1', b""), message(b'2', b""), failed, ready(b'E')].concat());
    run(&mut play, "rollback to s", "ROLLBACK", b'T');
    run(&mut play, "close c", "CLOSE CURSOR", b'T');
    run(&mut play, "declare c cursor for select ssn from people", "DECLARE CURSOR", b'T');
    play.client([execute("c"), sync()].concat());
    refused_with(&play, "to target: P(gatewright.refused");
}

#[test]
fn a018_a_portal_of_the_protocol_is_not_run_by_fetch_or_move() {
    for text in ["fetch all from d", "move 1 in d", "fetch d", "FETCH NEXT FROM \"d\""] {
        let mut play = relay();
        run(&mut play, "begin", "BEGIN", b'T');
        play.client([parse("", "delete from orders returning id"), bind("d", "", &[]), sync()].concat());
        play.permit();
        play.target([message(b'1', b""), message(b'2', b""), ready(b'T')].concat());
        play.client(query(text));
        play.permit();
        refused_with(&play, "to target: Q(gatewright refused a statement here)");
    }
}

#[test]
fn a018_a_cursor_is_fetched_from_once_its_name_is_nobody_elses() {
    let mut play = relay();
    run(&mut play, "begin", "BEGIN", b'T');
    run(&mut play, "declare d cursor for select 1", "DECLARE CURSOR", b'T');
    play.client([parse("", "fetch all from d"), bind("", "", &[]), execute(""), sync()].concat());
    play.permit();
    play.permit();
    let sent = String::from_utf8_lossy(play.sent()).into_owned();
    assert!(sent.contains("fetch all from d") && !sent.contains("gatewright"), "{}", play.transcript());
}

#[test]
fn a018_what_was_bound_to_execute_runs_before_anything_else_does() {
    let mut play = relay();
    run(&mut play, "prepare p as select name from people", "PREPARE", b'I');
    run(&mut play, "begin", "BEGIN", b'T');
    play.client([parse("", "execute p"), bind("c", "", &[]), sync()].concat());
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), ready(b'T')].concat());
    run(&mut play, "deallocate p", "DEALLOCATE", b'T');
    run(&mut play, "prepare p as select ssn from people", "PREPARE", b'T');
    play.client([execute("c"), sync()].concat());
    play.permit();
    refused_with(&play, "to target: P(gatewright.refused");
}

#[test]
fn f017_what_execute_stands_for_is_not_multiplied_without_bound() {
    let columns = (0..100).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    let body =
        format!("prepare big as select {} from t", vec![format!("concat({columns})"); 100].join(","));
    let mut play = relay();
    run(&mut play, &body, "PREPARE", b'I');
    play.client(query(&vec!["execute big"; 400].join(";")));
    let unseen = play.judged().iter().filter(|kind| kind.starts_with("execute")).count();
    assert!((1..400).contains(&unseen), "{unseen}");
}

#[test]
fn a_long_transaction_binds_and_closes_as_many_portals_as_it_likes() {
    let mut play = relay();
    prepare(&mut play, "s", "select 1");
    run(&mut play, "begin", "BEGIN", b'T');
    for number in 0..10_100 {
        let name = format!("C_{number}");
        play.client([bind(&name, "s", &[]), close('P', &name), sync()].concat());
        play.target([message(b'2', b""), message(b'3', b""), ready(b'T')].concat());
    }
    assert!(!play.transcript().to_string().contains("54000"));
}

#[test]
fn sql_that_names_one_portal_or_statement_forgets_no_other() {
    let mut play = relay();
    prepare(&mut play, "s", "select 1");
    prepare(&mut play, "t", "select 2");
    run(&mut play, "deallocate t", "DEALLOCATE", b'I');
    run(&mut play, "prepare z as select 3", "PREPARE", b'I');
    run(&mut play, "begin", "BEGIN", b'T');
    play.client([bind("c", "s", &[]), sync()].concat());
    play.target([message(b'2', b""), ready(b'T')].concat());
    run(&mut play, "declare other cursor for select 1", "DECLARE CURSOR", b'T');
    play.client([execute("c"), sync()].concat());
    assert!(play.judged()[0].starts_with("select"), "{}", play.transcript());
}
