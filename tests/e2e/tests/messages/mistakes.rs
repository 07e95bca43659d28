//! What a client does wrong in the extended protocol.

use gatewright_e2e::{
    comparison::ready,
    wire::{bind, close, describe, execute, message, parse, query, sync},
};

use super::super::{comparison, outline, run, standings};

#[test]
fn names_that_are_there_already_and_names_that_are_not() {
    let comparison = comparison();
    let all = |parts: &[Vec<u8>]| parts.concat();
    for (messages, answer, state) in [
        (all(&[parse("s", "select 1"), parse("s", "select 2")]), "1EZ", "42P05"),
        (all(&[describe('S', "nothing")]), "EZ", "26000"),
        (all(&[describe('S', "")]), "EZ", "26000"),
        (all(&[describe('P', "nothing")]), "EZ", "34000"),
        (all(&[describe('P', "")]), "EZ", "34000"),
    ] {
        let messages = comparison.same(&[ready(1, &[messages, sync()])]).unwrap();
        assert_eq!(outline(&messages), (answer.to_owned(), vec![state.to_owned()]));
    }
    let closed = [close('S', "nothing"), close('P', "nothing"), close('S', ""), close('P', ""), sync()];
    let messages = comparison.same(&[ready(1, &closed)]).unwrap();
    assert_eq!(outline(&messages).0, "3333Z");
}

#[test]
fn values_that_do_not_fit_are_refused_in_their_place() {
    let comparison = comparison();
    let parse_of = |text: &str, kind: u32| {
        message('P', &[b"\0", text.as_bytes(), b"\0\0\x01", &kind.to_be_bytes()].concat())
    };
    // A value in binary.
    let binary = |value: &[u8]| {
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        message('B', &[b"\0\0\0\x01\0\x01\0\x01", length.as_slice(), value, b"\0\0"].concat())
    };
    let two_formats = message('B', b"\0\0\0\0\0\x01\0\0\0\x017\0\x02\0\0\0\0");
    let one = "select $1::int";
    for (messages, answer, state) in [
        (vec![parse("", one), bind("", "", &[])], "1EZ", "08P01"),
        (vec![parse("", one), bind("", "", &["1", "2"])], "1EZ", "08P01"),
        (vec![parse("", one), bind("", "", &["one"])], "1EZ", "22P02"),
        (vec![parse("", one), bind("", "", &["99999999999"])], "1EZ", "22003"),
        (vec![parse("", one), two_formats], "1EZ", "08P01"),
        (vec![parse("", one), binary(b"12345")], "1EZ", "22P03"),
        (vec![parse("", one), binary(b"1")], "1EZ", "08P01"),
        (vec![parse("", "select $1::bool"), binary(b"")], "1EZ", "08P01"),
        (vec![parse("", "select $1::text"), binary(b"a\0b")], "1EZ", "22021"),
        (vec![parse("", "select $1"), bind("", "", &["a"]), execute("", 0)], "12DCZ", ""),
        (vec![parse("", "select $2::int")], "EZ", "42P18"),
        (vec![parse("", "select $0")], "EZ", "42P02"),
        (vec![parse_of("select $1", 23), bind("", "", &["7"]), execute("", 0)], "12DCZ", ""),
        (vec![parse_of("select $1", 999_999)], "EZ", "XX000"),
        (vec![parse("", "select 1; select 2")], "EZ", "42601"),
        (vec![parse("", "select id from things where id = $1"), bind("", "", &["x"])], "1EZ", "22P02"),
    ] {
        let steps = [ready(2, &[messages.concat(), execute("", 0), sync(), query("select 1")])];
        let messages = comparison.same(&steps).unwrap();
        let states = if state.is_empty() { vec![] } else { vec![state.to_owned()] };
        let (seen, told) = outline(&messages);
        assert_eq!(told, states, "{seen}");
        let first = messages.iter().position(|message| message.tag == 'Z').unwrap();
        let seen = seen[..=first].to_owned();
        assert!(seen == answer || seen == answer.replace('Z', "CZ"), "{seen} {answer}");
    }
}

#[test]
fn an_error_leaves_names_as_at_the_server() {
    let comparison = comparison();
    let batches = [
        parse("before", "select 1"),
        bind("p", "before", &[]),
        sync(),
        parse("with", "select 2"),
        parse("", "select nothing"),
        close('S', "before"),
        sync(),
        run("select 3"),
        bind("", "before", &[]),
        execute("", 0),
        bind("", "with", &[]),
        execute("", 0),
        sync(),
        parse("with", "select 4"),
        sync(),
    ];
    // What was prepared before the error stays, and a Close behind it was skipped.
    let messages = comparison.same(&[ready(4, &batches)]).unwrap();
    assert_eq!(
        outline(&messages),
        ("12Z1EZ12TDC2DC2DCZEZ".to_owned(), vec!["42703".to_owned(), "42P05".to_owned()])
    );
    assert_eq!(standings(&messages), "IIII");
}
