//! Transactions, and texts of several statements.

use gatewright_e2e::{
    comparison::ready,
    wire::{parse, sync, tags},
};

use super::super::{comparison, completed, outline, queries, run, standings};

#[test]
fn an_error_fails_its_transaction_until_it_is_ended() {
    let comparison = comparison();
    let texts = ["begin", "select 1/0", "select 1", "rollback", "select 2"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TEEII");
    assert_eq!(outline(&messages).1, ["22012", "25P02"]);
    let texts = ["begin", "select 1/0", "commit", "commit"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TEII");
    assert_eq!(completed(&messages), ["BEGIN", "ROLLBACK", "COMMIT"]);
    let texts = ["begin", "select 1/0", "rollback and chain", "select 1", "commit and chain", "rollback"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TETTTI");
}

#[test]
fn a_failed_transaction_refuses_each_message_as_the_server_does() {
    let comparison = comparison();
    let batches = [
        run("begin"),
        run("select 1/0"),
        sync(),
        run("select 1"),
        sync(),
        parse("", "insert into things values (6, 'six')"),
        sync(),
        run(""),
        sync(),
        run("rollback"),
        sync(),
    ];
    let messages = comparison.same(&[ready(5, &batches)]).unwrap();
    assert_eq!(standings(&messages), "EEEEI");
    assert_eq!(outline(&messages).1[..3], ["22012", "25P02", "25P02"]);
    let texts = ["begin", "select 1/0", "", "begin", "savepoint s", "declare c cursor for select 1", "end"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TEEEEEI");
}

#[test]
fn a_savepoint_brings_a_failed_transaction_back() {
    let comparison = comparison();
    let texts = [
        "begin",
        "savepoint s",
        "select 1/0",
        "release s",
        "rollback to nothing",
        "rollback to s",
        "select 1",
        "release s",
        "rollback to s",
        "commit",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TTEEETTTEI");
    assert_eq!(outline(&messages).1, ["22012", "25P02", "3B001", "3B001"]);
    assert_eq!(completed(&messages).last().unwrap(), "ROLLBACK");
}

#[test]
fn a_constraint_that_is_deferred_fails_the_commit() {
    let comparison = comparison();
    let tables = "create table firsts (id int primary key, second int);
        create table seconds (id int primary key);
        alter table firsts add foreign key (second) references seconds deferrable initially deferred;
        alter table firsts owner to app; alter table seconds owner to app";
    super::super::define(&comparison, tables);
    let texts = ["begin", "insert into firsts values (1, 2)", "commit", "select count(*) from firsts"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(standings(&messages), "TTII");
    assert_eq!(outline(&messages).1, ["23503"]);
    // The same of a batch, whose Sync is its commit.
    let batch = [run("insert into firsts values (1, 2)"), run("select 1"), sync()];
    let messages = comparison.same(&[ready(1, &batch)]).unwrap();
    assert_eq!(outline(&messages), ("12nC12TDCEZ".to_owned(), vec!["23503".to_owned()]));
}

#[test]
fn several_statements_in_a_text_are_one_transaction() {
    let comparison = comparison();
    for (text, answer) in [
        ("select 1; select 2; select 3", "TDCTDCTDCZ"),
        ("select 1; select 1/0; select 3", "TDCEZ"),
        ("insert into things values (6, 'six'); select 1/0", "CEZ"),
        ("insert into things values (6, 'six'); select nothing; select 1", "CEZ"),
        ("begin; select 1; commit", "CTDCCZ"),
        ("begin; select 1/0; commit; select 2", "CEZ"),
        ("insert into things values (6, 'six'); rollback; select count(*) from things", "CNCTDCZ"),
        ("select 1; begin; select 2", "TDCCTDCZ"),
        ("begin; insert into things values (6, 'six'); rollback; select count(*) from things", "CCCTDCZ"),
        ("select 1;; ;select 2;", "TDCTDCZ"),
        ("savepoint s; select 1", "EZ"),
        ("select 1; savepoint s; select 2", "TDCEZ"),
        ("begin; savepoint s; select 1; rollback to s; commit", "CCTDCCCZ"),
        ("set local work_mem = '1MB'; show work_mem", "CTDCZ"),
        ("select 1; vacuum things", "TDCEZ"),
    ] {
        let steps = [queries(&[text, "select count(*) from things", "rollback"])];
        let messages = comparison.same(&steps).unwrap();
        let first = messages.iter().position(|message| message.tag == 'Z').unwrap();
        assert_eq!(tags(&messages[..=first]), answer, "{text}");
        assert!(
            messages[first..].iter().all(|message| message.tag != 'E')
                || text.starts_with("begin; select 1/0")
        );
    }
}

#[test]
fn an_empty_text_has_an_answer_of_its_own() {
    let comparison = comparison();
    let messages = comparison.same(&[queries(&["", ";", " -- x", " ;; ; ", "/* nothing */"])]).unwrap();
    assert_eq!(tags(&messages), "IZ".repeat(5));
    let batches = [parse("", ""), run(""), run(" -- nothing"), run(";"), sync()];
    let messages = comparison.same(&[ready(1, &batches)]).unwrap();
    assert_eq!(tags(&messages), "112nI12nI12nIZ");
    let statement = [parse("e", ""), gatewright_e2e::wire::describe('S', "e"), sync()];
    let messages = comparison.same(&[ready(1, &statement)]).unwrap();
    assert_eq!(tags(&messages), "1tnZ");
}
