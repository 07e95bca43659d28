//! Cursors of SQL.

use gatewright_e2e::{
    comparison::ready,
    wire::{bind, describe, execute, parse, query, sync, tags},
};

use super::super::{comparison, completed, outline, queries, standings};

#[test]
fn a_cursor_is_declared_fetched_moved_and_closed() {
    let comparison = comparison();
    let texts = [
        "begin",
        "declare c scroll cursor for select id, note from things order by id",
        "fetch 0 from c",
        "fetch 2 from c",
        "fetch 0 from c",
        "fetch backward 1 from c",
        "move 2 from c",
        "move backward all in c",
        "fetch absolute 3 from c",
        "fetch relative -1 from c",
        "fetch all from c",
        "fetch c",
        "move 100 in c",
        "close c",
        "commit",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert!(!tags(&messages).contains('E'));
    let expected = [
        "BEGIN",
        "DECLARE CURSOR",
        "FETCH 0",
        "FETCH 2",
        "FETCH 1",
        "FETCH 1",
        "MOVE 2",
        "MOVE 2",
        "FETCH 1",
        "FETCH 1",
        "FETCH 3",
        "FETCH 0",
        "MOVE 0",
        "CLOSE CURSOR",
        "COMMIT",
    ];
    assert_eq!(completed(&messages), expected);
}

#[test]
fn a_cursor_that_is_held_lasts_beyond_its_transaction() {
    let comparison = comparison();
    let texts = [
        "declare c cursor with hold for select id from things order by id",
        "fetch 2 from c",
        "begin; fetch 1 from c; commit",
        "declare c cursor with hold for select 1",
        "fetch 2 from c",
        "close all",
        "declare c cursor with hold for select 1",
        "close c",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    assert_eq!(outline(&messages).1, ["42P03"]);
}

#[test]
fn a_binary_cursor_gives_binary_rows() {
    let comparison = comparison();
    let texts = [
        "begin",
        "declare c binary cursor for select id, note, null::int from things order by id",
        "fetch 2 from c",
        "rollback",
    ];
    let messages = comparison.same(&[queries(&texts)]).unwrap();
    let row = messages.iter().find(|message| message.tag == 'D').unwrap();
    assert!(row.body.starts_with(b"\0\x03\0\0\0\x04\0\0\0\x01"), "{row:?}");
}

#[test]
fn mistakes_about_cursors_are_told_by_the_server() {
    let comparison = comparison();
    for (text, state) in [
        ("close nothing", "34000"),
        ("declare c cursor for select nothing", "42703"),
        ("declare c cursor for select 1; declare c cursor for select 2", "42P03"),
        ("delete from things where current of nothing", "34000"),
    ] {
        let messages = comparison.same(&[queries(&["begin", text, "select 1", "rollback"])]).unwrap();
        assert_eq!(outline(&messages).1, [state, "25P02"], "{text}");
        assert_eq!(standings(&messages), "TEEI", "{text}");
    }
    // For whom columns are masked, what a cursor says when it is read has no words: it may be anybody's.
    for (text, state) in [
        ("fetch nothing", "34000"),
        ("move nothing", "34000"),
        ("declare c cursor for select 1/0; fetch c", "22012"),
        ("declare c no scroll cursor for select id from things; fetch c; fetch backward 1 from c", "55000"),
        ("declare c cursor for select 1; close c; fetch c", "34000"),
    ] {
        let texts = queries(&["begin", text, "select 1", "rollback"]);
        let messages = comparison.same_unmasked(&[texts]).unwrap();
        assert_eq!(outline(&messages).1, [state, "25P02"], "{text}");
        assert_eq!(standings(&messages), "TEEI", "{text}");
    }
    let messages = comparison.same(&[queries(&["declare c cursor for select 1", "select 1"])]).unwrap();
    assert_eq!(outline(&messages).1, ["25P01"]);
}

#[test]
fn a_cursor_is_fetched_from_by_the_extended_protocol() {
    let comparison = comparison();
    let fetch = [
        parse("f", "fetch 2 from c"),
        describe('S', "f"),
        bind("", "f", &[]),
        describe('P', ""),
        execute("", 0),
        bind("", "f", &[]),
        execute("", 0),
        sync(),
    ];
    let batches = [
        query("begin"),
        query("declare c cursor for select id from things order by id"),
        fetch.concat(),
        query("update things set note = 'four' where current of c"),
        query("rollback"),
    ];
    let messages = comparison.same(&[ready(5, &batches)]).unwrap();
    assert_eq!(tags(&messages), "CZCZ1tT2TDDC2DDCZCZCZ");
    assert_eq!(completed(&messages)[4], "UPDATE 1");
}
