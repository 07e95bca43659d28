//! Portals that are executed a part at a time.

use gatewright_e2e::{
    comparison::{ready, unready},
    wire::{bind, bind_format, close, describe, execute, flush, parse, query, sync, tags},
};

use super::super::{comparison, completed, outline, queries, standings};

const FIVE: &str = "select id from things order by id";

#[test]
fn a030_a_portal_is_suspended_until_its_rows_have_come() {
    let comparison = comparison();
    for (rows, answer) in [
        (1, "12TDsDsDsDsDsCCZ"),
        (2, "12TDDsDDsDCCCCCZ"),
        // Nobody knows that the fifth is the last one.
        (5, "12TDDDDDsCCCCCCZ"),
        (6, "12TDDDDDCCCCCCCZ"),
        (0, "12TDDDDDCCCCCCCZ"),
    ] {
        let begin = [parse("", FIVE), bind("", "", &[]), describe('P', "")].concat();
        let batch = [begin, execute("", rows).repeat(7), sync()];
        let messages = comparison.same(&[ready(1, &batch)]).unwrap();
        assert_eq!(tags(&messages), answer, "{rows}");
    }
}

#[test]
fn a030_a_portal_is_suspended_across_flushes_and_by_turns() {
    let comparison = comparison();
    let steps = [
        unready(5, &[parse("s", FIVE), bind("a", "s", &[]), execute("a", 2), flush()]),
        unready(4, &[bind("b", "s", &[]), execute("b", 2), flush()]),
        unready(3, &[execute("a", 2), flush()]),
        unready(3, &[describe('P', "b"), execute("b", 1), flush()]),
        unready(2, &[execute("a", 2), flush()]),
        unready(3, &[execute("b", 3), flush()]),
        unready(1, &[execute("a", 1), flush()]),
        ready(1, &[sync()]),
    ];
    let messages = comparison.same(&steps).unwrap();
    assert_eq!(tags(&messages), "12DDs2DDsDDsTDsDCDDCCZ");
}

#[test]
fn a030_portals_by_turns_in_one_transaction() {
    let comparison = comparison();
    let two = [parse("s", FIVE), bind("a", "s", &[]), bind_format("b", "s", &[], 1)].concat();
    let batches = [
        query("begin"),
        two,
        execute("a", 1),
        execute("b", 2),
        sync(),
        execute("a", 3),
        execute("b", 1),
        query("select 'between'"),
        execute("b", 0),
        sync(),
        query("commit"),
        describe('P', "a"),
        sync(),
    ];
    let messages = comparison.same(&[ready(6, &batches)]).unwrap();
    assert_eq!(outline(&messages), ("CZ122DsDDsZDDDsDsTDCZDDCZCZEZ".to_owned(), vec!["34000".to_owned()]));
    assert_eq!(standings(&messages), "TTTTII");
}

#[test]
fn a030_a_portal_that_was_closed_or_replaced_is_gone() {
    let comparison = comparison();
    let bound = [parse("", FIVE), bind("p", "", &[]), execute("p", 2)].concat();
    let messages = comparison.same(&[ready(1, &[bound.clone(), close('P', "p"), sync()])]).unwrap();
    assert_eq!(tags(&messages), "12DDs3Z");
    // A name is given once, and the one without a name is replaced.
    let messages = comparison.same(&[ready(1, &[bound.clone(), bind("p", "", &[]), sync()])]).unwrap();
    assert_eq!(outline(&messages), ("12DDsEZ".to_owned(), vec!["42P03".to_owned()]));
    let begin = [parse("", FIVE), bind("", "", &[]), execute("", 2)].concat();
    let again = [bind("", "", &[]), execute("", 2), bind("", "", &[]), execute("", 0), sync()].concat();
    let messages = comparison.same(&[ready(1, &[begin, again])]).unwrap();
    assert_eq!(tags(&messages), "12DDs2DDs2DDDDDCZ");
    // A closed name may be given again.
    let again = [close('P', "p"), bind("p", "", &[]), execute("p", 1), sync()].concat();
    let messages = comparison.same(&[ready(1, &[bound, again])]).unwrap();
    assert_eq!(tags(&messages), "12DDs32DsZ");
}

#[test]
fn a030_an_error_in_a_later_part_of_a_portal_is_told_there() {
    let comparison = comparison();
    let text = "select 1/(4-id) from things order by id";
    let batch =
        [parse("", text), bind("", "", &[]), execute("", 2), execute("", 2), execute("", 2), sync()];
    let messages = comparison.same(&[ready(1, &batch)]).unwrap();
    assert_eq!(outline(&messages), ("12DDsDEZ".to_owned(), vec!["22012".to_owned()]));
}

#[test]
fn a030_what_is_no_plain_select_is_executed_in_parts_as_at_the_server() {
    let comparison = comparison();
    for (text, rows, answer) in [
        ("select id from things where false", 2, "12TCCZ"),
        ("insert into things values (6, 'six'), (7, 'seven'), (8, 'eight') returning id", 2, "12TDDsDCZ"),
        ("delete from things where id < 3 returning id", 1, "12TDsDsZ"),
        ("with gone as (delete from things returning id) select * from gone order by id", 3, "12TDDDsDDCZ"),
        ("values (1), (2), (3)", 2, "12TDDsDCZ"),
        ("show work_mem", 1, "12TDsCZ"),
        ("explain (costs off) select 1", 1, "12TDsCZ"),
        ("update things set note = 'x'", 1, "12nCEZ"),
        ("select", 1, "12TDsCZ"),
        ("", 1, "12nIIZ"),
    ] {
        let once = [parse("", text), bind("", "", &[]), describe('P', ""), execute("", rows)].concat();
        let batches = [query("begin"), once, execute("", rows), sync(), query("rollback")];
        let messages = comparison.same(&[ready(3, &batches)]).unwrap();
        let end = messages.len() - 2;
        assert_eq!(tags(&messages[2..end]), answer, "{text}");
    }
}

#[test]
fn a_portal_that_is_done_runs_once() {
    let comparison = comparison();
    let insert = [
        query("begin"),
        parse("", "insert into things values (6, 'six')"),
        bind("p", "", &[]),
        execute("p", 0),
        execute("p", 0),
        sync(),
        query("rollback"),
    ];
    let messages = comparison.same(&[ready(3, &insert)]).unwrap();
    assert_eq!(outline(&messages).1, ["55000"]);
    assert_eq!(standings(&messages), "TEI");
    let select = [parse("", FIVE), bind("p", "", &[]), execute("p", 0), execute("p", 0), sync()];
    let messages = comparison.same(&[ready(1, &select), queries(&["select 1"])]).unwrap();
    assert_eq!(completed(&messages), ["SELECT 5", "SELECT 0", "SELECT 1"]);
}
