//! What the server says beside its answers: notices, warnings and notifications.

use gatewright_e2e::{
    comparison::{Step, ready, unready},
    wire::{query, sync, tags},
};

use super::super::{comparison, define, outline, queries, run, standings};

#[test]
fn notices_of_code_come_in_their_place() {
    let comparison = comparison();
    let text = "do $$ begin raise notice 'before %', 1; perform 1; raise warning 'after' using detail = 'more of it',
        hint = 'what to do', errcode = 'P0042', column = 'c', constraint = 'k', datatype = 'd', table = 't', schema = 's'; end $$";
    let messages = comparison.same_unmasked(&[queries(&["select 1", text, "select 2"])]).unwrap();
    assert_eq!(tags(&messages), "TDCZNNCZTDCZ");
    assert_eq!(messages[5].field('D').unwrap(), "more of it");
    assert_eq!(messages[5].field('C').unwrap(), "P0042");
    let batch = [run("select 1"), run(text), run("select 2"), sync()];
    let messages = comparison.same_unmasked(&[ready(1, &batch)]).unwrap();
    assert_eq!(tags(&messages), "12TDC12nNNC12TDCZ");
    // Before an error, with which it all fails.
    let fails = "do $$ begin raise notice 'before'; raise exception 'wrong' using detail = 'that', hint = 'this'; end $$";
    let messages = comparison.same_unmasked(&[queries(&["begin", fails, "select 1", "rollback"])]).unwrap();
    assert_eq!(outline(&messages), ("CZNEZEZCZ".to_owned(), vec!["P0001".to_owned(), "25P02".to_owned()]));
}

#[test]
fn who_wants_fewer_or_more_notices_gets_them() {
    let comparison = comparison();
    let all = "do $$ begin raise debug 'd'; raise log 'l'; raise info 'i'; raise notice 'n'; raise warning 'w'; end $$";
    for (least, answer) in [("error", "NC"), ("warning", "NNC"), ("notice", "NNNC"), ("log", "NNNNC")] {
        let set = format!("set client_min_messages = {least}");
        let messages = comparison.same_unmasked(&[queries(&[&set, all])]).unwrap();
        assert_eq!(tags(&messages), format!("CZ{answer}Z"));
    }
}

#[test]
fn warnings_about_transactions_are_the_servers() {
    let comparison = comparison();
    let texts = [
        "begin",
        "begin",
        "commit",
        "commit",
        "rollback",
        "set local work_mem = '1MB'",
        "begin; begin; end; end",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(tags(&messages), "CZNCZCZNCZNCZNCZCNCCNCZ");
    assert_eq!(standings(&messages), "TTIIIII");
    let batch =
        [run("commit"), run("begin"), run("begin"), sync(), run("rollback"), run("rollback"), sync()];
    let messages = comparison.same(&[ready(2, &batch)]).unwrap();
    assert_eq!(tags(&messages).matches('N').count(), 3);
    assert_eq!(standings(&messages), "TI");
}

#[test]
fn notices_of_what_is_there_already_or_is_not() {
    let comparison = comparison();
    define(&comparison, "grant create on schema public to app");
    let texts = [
        "drop table if exists nothing",
        "create table if not exists things (id int)",
        "begin; drop table if exists nothing, nothing_else; drop schema if exists nothing; rollback",
        "analyze pg_catalog.pg_class",
        "create table far_too_long_a_name_for_a_table_which_the_server_cuts_to_sixty_three_bytes as select 1 where false",
        "drop table far_too_long_a_name_for_a_table_which_the_server_cuts_to_sixty_three_bytes",
    ];
    let messages = comparison.same_unmasked(&[queries(&texts)]).unwrap();
    assert_eq!(tags(&messages), "NCZNCZCNNCNCCZNCZNCZNCZ");
}

#[test]
fn a_session_hears_its_own_notifications_when_its_transaction_has_ended() {
    let comparison = comparison();
    let messages = comparison.same(&[queries(&["listen itself", "notify itself", "select 1"])]).unwrap();
    assert_eq!(tags(&messages), "CZCAZTDCZ");
    let texts =
        ["listen a; listen \"B b\"", "begin", "notify a; notify \"B b\"; notify a", "select 1", "commit"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(tags(&messages), "CCZCZCCCZTDCZCAAZ");
    let texts = ["listen a", "begin", "notify a", "rollback", "unlisten a", "notify a", "unlisten *"];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert!(!tags(&messages).contains('A'));
    let batch = [run("listen a"), sync(), run("notify a"), run("select 1"), sync()];
    let messages = comparison.same(&[ready(2, &batch)]).unwrap();
    assert_eq!(tags(&messages), "12nCZ12nC12TDCAZ");
}

#[test]
fn what_a_notification_says_is_said() {
    let comparison = comparison();
    let texts = [
        "listen a",
        "notify a, 'what it says'",
        "select pg_notify('a', repeat('é', 3000))",
        "notify nobody, 'x'",
    ];
    let messages = comparison.same_unmasked(&[queries(&texts)]).unwrap();
    assert_eq!(tags(&messages), "CZCAZTDCAZCZ");
    assert_eq!(messages[3].body, b"\0\0\0\0a\0what it says\0");
}

#[test]
fn a_notification_of_another_session_comes_while_nothing_is_asked() {
    let comparison = comparison();
    let steps = [
        queries(&["listen a"]),
        Step::Meanwhile("notify a; notify b"),
        unready(1, &[]),
        queries(&["begin"]),
        // In a transaction it waits.
        Step::Meanwhile("notify a"),
        queries(&["select 1", "commit", "select 2"]),
    ];
    let messages = comparison.same(&steps).unwrap();
    assert_eq!(tags(&messages), "CZACZTDCZCAZTDCZ");
    let steps = [
        queries(&["listen a"]),
        Step::Meanwhile("notify a, 'told'"),
        unready(1, &[]),
        ready(1, &[query("")]),
    ];
    let messages = comparison.same_unmasked(&steps).unwrap();
    assert_eq!(messages[2].body, b"\0\0\0\0a\0told\0");
}
