//! COPY, and how it fails.

use gatewright_e2e::{
    comparison::{Comparison, closed, ready, unready},
    wire::{bind, describe, execute, flush, message, parse, query, sync, tags, terminate},
};

use super::super::{comparison, completed, outline, queries, run, standings};

fn data(text: &str) -> Vec<u8> {
    message('d', text.as_bytes())
}

fn done() -> Vec<u8> {
    message('c', &[])
}

fn fail(why: &str) -> Vec<u8> {
    message('f', format!("{why}\0").as_bytes())
}

/// An answer and its only error.
fn failed(comparison: &Comparison, times: usize, messages: &[Vec<u8>], answer: &str, state: &str) {
    let messages = comparison.same(&[ready(times, messages)]).unwrap();
    assert_eq!(outline(&messages), (answer.to_owned(), vec![state.to_owned()]));
}

#[test]
fn a022_a_copy_that_the_server_breaks_off_drops_the_data_that_still_comes() {
    let comparison = comparison();
    let rest =
        [data("7\tseven\n"), data("8\teight\n"), done(), query("select count(*) from things")].concat();
    for (bad, state) in
        [("six\tsix\n", "22P02"), ("6\n", "22P04"), ("6\tsix\tmore\n", "22P04"), ("1\tone\n", "23505")]
    {
        let messages = [query("copy things from stdin"), data("6\tsix\n"), data(bad), rest.clone()];
        failed(&comparison, 2, &messages, "GEZTDCZ", state);
    }
    let messages = [query("copy things from stdin"), data(&"6\tsix\n".repeat(20_000)), rest];
    failed(&comparison, 2, &messages, "GEZTDCZ", "23505");
    // The server may say so before the end has come.
    let steps = [
        unready(1, &[query("copy things from stdin")]),
        ready(1, &[data("six\tsix\n")]),
        queries(&["select 1"]),
        ready(1, &[data("7\tseven\n"), fail("too late"), query("select 2")]),
    ];
    let messages = comparison.same(&steps);
    assert_eq!(tags(&messages.unwrap()), "GEZTDCZTDCZ");
}

#[test]
fn a022_a_copy_that_the_client_breaks_off() {
    let comparison = comparison();
    let messages =
        [query("copy things from stdin"), data("6\tsix\n"), fail("no more of it"), query("select 1")];
    failed(&comparison, 2, &messages, "GEZTDCZ", "57014");
    let texts =
        [query("begin"), query("copy things from stdin"), fail(""), query("select 1"), query("commit")];
    let messages = comparison.same(&[ready(4, &texts)]).unwrap();
    assert_eq!(outline(&messages).1, ["57014", "25P02"]);
    assert_eq!(standings(&messages), "TEEI");
}

#[test]
fn a022_a_copy_among_the_statements_of_a_text() {
    let comparison = comparison();
    // Statements behind it run when its data has come.
    let text = "begin; copy scratch from stdin; select count(*) from scratch; rollback";
    let messages = comparison.same(&[ready(1, &[query(text), data("x\n"), done()])]).unwrap();
    assert_eq!(tags(&messages), "CGCTDCCZ");
    let text = "copy scratch from stdin; copy scratch from stdin; delete from scratch";
    let messages = [query(text), data("x\n"), done(), data("y\n"), done()];
    assert_eq!(tags(&comparison.same(&[ready(1, &messages)]).unwrap()), "GCGCCZ");
    let text = "begin; insert into things values (6, 'six'); copy things from stdin";
    let rest = query("select count(*) from things; rollback; select count(*) from things");
    let messages = [query(text), data("7\tseven\n"), data("8\teight\n"), done(), rest.clone()];
    let messages = comparison.same(&[ready(2, &messages)]).unwrap();
    assert_eq!(tags(&messages), "CCGCZTDCCTDCZ");
    assert_eq!(completed(&messages)[2], "COPY 2");
    // Of one that fails nothing is left, and neither of what came before.
    let text = "insert into things values (6, 'six'); copy things from stdin";
    let messages =
        [query(text), data("six\n"), data("7\tseven\n"), done(), query("select count(*) from things")];
    failed(&comparison, 2, &messages, "CGEZTDCZ", "22P02");
    let messages = [query(text), data("7\tseven\n"), fail("no"), query("select count(*) from things")];
    failed(&comparison, 2, &messages, "CGEZTDCZ", "57014");
    let out = "copy (values (1), (2)) to stdout; select 1; copy scratch to stdout";
    assert_eq!(
        tags(&comparison.same_unmasked(&[queries(&[out, "select 2"])]).unwrap()),
        "HddcCTDCHcCZTDCZ"
    );
}

#[test]
fn a022_a_copy_by_the_extended_protocol() {
    let comparison = comparison();
    let begin =
        [parse("", "copy scratch from stdin"), bind("", "", &[]), describe('P', ""), execute("", 0)]
            .concat();
    let data_and_end = [data("a\nb\n"), done(), sync(), query("rollback")].concat();
    let messages = [query("begin"), begin.clone(), data_and_end.clone()];
    let messages = comparison.same(&[ready(3, &messages)]).unwrap();
    assert_eq!(tags(&messages), "CZ12nGCZCZ");
    assert_eq!(completed(&messages)[1], "COPY 2");
    // A Sync that comes before the data is not answered.
    let messages = [query("begin"), begin.clone(), sync(), data_and_end];
    let messages = comparison.same(&[ready(3, &messages)]).unwrap();
    assert_eq!(tags(&messages), "CZ12nGCZCZ");
    let steps = [
        unready(4, &[begin.clone(), flush()]),
        unready(1, &[data("a\n"), flush(), data("b\tb\n"), done(), flush()]),
        ready(1, &[execute("", 0), sync()]),
    ];
    let messages = comparison.same(&steps).unwrap();
    assert_eq!(outline(&messages), ("12nGEZ".to_owned(), vec!["22P04".to_owned()]));
    let messages = [begin, data("a\n"), fail("no"), run("select 1"), sync(), run("select 2"), sync()];
    failed(&comparison, 2, &messages, "12nGEZ12TDCZ", "57014");
}

#[test]
fn a_copy_of_what_fails_midway() {
    let comparison = comparison();
    for options in ["", " (format csv, header)", " (format binary)"] {
        let text = format!("copy (select 1/(5-g) from generate_series(1,10) g) to stdout{options}");
        let messages = comparison.same(&[queries(&[&text, "select 1"])]).unwrap();
        assert_eq!(outline(&messages).1, ["22012"]);
        assert!(tags(&messages).starts_with("Hdddd"));
        assert!(tags(&messages).ends_with("dEZTDCZ"));
        let batch = [run(&text), run("select 1"), sync(), query("select 2")];
        let messages = comparison.same(&[ready(2, &batch)]).unwrap();
        assert!(tags(&messages).starts_with("12nHdddd"));
        assert!(tags(&messages).ends_with("dEZTDCZ"));
        let texts = ["begin", &text, "select 1", "commit"];
        let messages = comparison.same(&[queries(&texts)]).unwrap();
        assert_eq!(standings(&messages), "TEEI");
    }
}

#[test]
fn a_copy_of_a_table_in_each_format() {
    let comparison = comparison();
    for options in ["", " (format csv, header, force_quote *)", " (format binary)"] {
        let text = format!("copy things to stdout{options}");
        let messages = comparison.same(&[queries(&[&text, "select 1"])]).unwrap();
        assert!(tags(&messages).ends_with("cCZTDCZ"));
        assert_eq!(completed(&messages)[0], "COPY 5");
        let batch = [run(&text), run("select 1"), sync()];
        let messages = comparison.same(&[ready(1, &batch)]).unwrap();
        assert!(tags(&messages).starts_with("12nHddddd"));
        assert!(tags(&messages).ends_with("cC12TDCZ"));
    }
}

#[test]
fn a_copy_that_does_not_begin() {
    let comparison = comparison();
    let late = [data("1\n"), done(), query("select 1")].concat();
    for (text, state) in [
        ("copy things (nothing) from stdin", "42703"),
        ("copy things from stdin (format nothing)", "22023"),
        ("copy things from stdin (format csv, delimiter 'ab')", "0A000"),
    ] {
        failed(&comparison, 2, &[query(text), late.clone()], "EZTDCZ", state);
    }
    for (text, state) in
        [("copy (select nothing) to stdout", "42703"), ("copy (select 1/0) to stdout", "22012")]
    {
        let messages = comparison.same(&[queries(&[text, "select 1"])]).unwrap();
        assert_eq!(outline(&messages).1, [state], "{text}");
    }
    // What is not there could be anything, for whom columns are masked.
    let messages = [query("copy nothing from stdin"), late, query("copy nothing to stdout")];
    let messages = comparison.same_unmasked(&[ready(3, &messages)]).unwrap();
    assert_eq!(outline(&messages), ("EZTDCZEZ".to_owned(), vec!["42P01".to_owned(); 2]));
}

#[test]
fn a022_data_without_a_copy_is_dropped_and_a_sync_in_one_is_not_answered() {
    let comparison = comparison();
    let messages = [data("x"), done(), fail("x"), query("select 1")];
    assert_eq!(tags(&comparison.same(&[ready(1, &messages)]).unwrap()), "TDCZ");
    let messages = [run("select 1"), data("x"), done(), run("select 2"), fail("x"), sync()];
    assert_eq!(tags(&comparison.same(&[ready(1, &messages)]).unwrap()), "12TDC12TDCZ");
    let begin = [query("begin"), query("copy scratch from stdin")].concat();
    let messages = [begin, sync(), flush(), data("x\n"), sync(), done(), query("rollback")];
    assert_eq!(tags(&comparison.same(&[ready(3, &messages)]).unwrap()), "CZGCZCZ");
}

/// The server calls it an error; the client is not there any more to read that.
#[test]
fn a022_whoever_leaves_in_the_middle_of_a_copy_has_copied_nothing() {
    let comparison = comparison();
    let steps = [unready(1, &[query("copy scratch from stdin")]), closed(&[data("x\n"), terminate()])];
    for messages in comparison.by_each(&steps).unwrap() {
        assert!(tags(&messages).starts_with('G') && !tags(&messages).contains('C'), "{messages:?}");
    }
    assert_eq!(comparison.scene.postgres.sql("postgres", "select count(*) from scratch").unwrap(), "0");
}
