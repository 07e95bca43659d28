//! Errors and notices where something is masked.

use gatewright_playbook::{
    Play,
    messages::{self, *},
};

use super::masks::{masking, plan};

#[test]
fn a031_errors_and_notices_keep_their_code_and_lose_their_words() {
    let mut play = masking();
    play.client(query("select ssn from people where ssn::int = 1"));
    play.permit_masked(plan());
    play.target(
        [error("22P02", "invalid input syntax for type integer: \"123-45-6789\""), ready(b'I')].concat(),
    );
    let transcript = play.transcript().to_string();
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(22P02 a value has not the form of its type"), "{client}");
    assert!(!client.contains("6789"), "{transcript}");
}

#[test]
fn a031_an_error_at_commit_may_speak_of_masked_values_too() {
    let mut play = masking();
    for (text, tag) in [("begin", "BEGIN"), ("update people set name = 'x' where id = 1", "UPDATE 1")] {
        play.client(query(text));
        play.permit_masked(plan());
        play.target([complete(tag), ready(b'T')].concat());
    }
    play.client(query("commit"));
    play.permit_masked(plan());
    play.target([error("23P01", "Key (ssn)=(123-45-6789)"), ready(b'I')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(23P01 an error (SQLSTATE 23P01)"), "{client}");
    // The transaction is over: what comes now can not speak of it.
    play.client(query("select nope from orders"));
    play.permit_masked(plan());
    play.target([error("42703", "column does not exist"), ready(b'I')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(42703 column does not exist"), "{client}");
}

/// Somebody's code may give any code, and one is as long as a part of a value. It is in no record either.
#[test]
fn a031_a_code_that_is_none_of_the_servers_is_told_to_nobody() {
    let answers =
        [report(b'E', "ERROR", "53622"), [report(b'N', "WARNING", "53622"), complete("SELECT 0")].concat()];
    for answer in answers {
        let mut play = masking();
        play.client(query("select ssn from people where ssn::int = 1"));
        play.permit_masked(plan());
        play.target([answer, ready(b'I')].concat());
        let client = messages::render(play.transcript().client_bytes(), false);
        assert!(client.contains("(P0001 ") || client.contains("(01000 "), "{client}");
        let told = play.transcript().to_string();
        let told = told.split("to client").last().unwrap();
        assert!(!told.contains("53622"), "{told}");
    }
}

#[test]
fn a031_that_a_transaction_has_failed_is_told_in_the_servers_words() {
    const WORDS: &str = "current transaction is aborted, commands ignored until end of transaction block";
    for (words, told) in [(WORDS, "block)"), ("aborted: 123-45-6789", "block (SQLSTATE 25P02))")] {
        let mut play = masking();
        play.client(query("begin"));
        play.permit_masked(plan());
        play.target([complete("BEGIN"), ready(b'T')].concat());
        play.client(query("select ssn from people where ssn::int = 1"));
        play.permit_masked(plan());
        play.target([error("22P02", "invalid input syntax"), ready(b'E')].concat());
        play.client(query("select 1"));
        play.permit_masked(plan());
        play.target([error("25P02", words), ready(b'E')].concat());
        let client = messages::render(play.transcript().client_bytes(), false);
        let last = client.rsplit("E(").next().unwrap();
        assert!(last.contains(told), "{client}");
        assert!(!client.contains("6789"), "{client}");
    }
}

#[test]
fn errors_of_statements_that_reach_nothing_masked_keep_their_words() {
    let mut play = masking();
    play.client(query("select nope from orders"));
    play.permit_masked(plan());
    play.target([error("42703", "column does not exist"), ready(b'I')].concat());
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(42703 column does not exist"), "{client}");
}

/// A report with this severity, whose every field could speak of a value.
fn report(tag: u8, severity: &str, sqlstate: &str) -> Vec<u8> {
    let fields = format!(
        "S{severity}\0V{severity}\0C{sqlstate}\0Mabout 123-45-6789\0Dit is 123-45-6789\0Hnot 123-45-6789\0Wat 123-45-6789\0\0"
    );
    message(tag, fields.as_bytes())
}

/// The statement and its answer so far, in the simple and in the extended protocol.
fn reaching_masked_values() -> [Play; 2] {
    let text = "update people set name = 'x' where id = 1";
    let mut simple = masking();
    simple.client(query(text));
    simple.permit_masked(plan());
    let mut extended = masking();
    extended.client([parse("", text), bind("", "", &[]), execute(""), sync()].concat());
    extended.permit_masked(plan());
    extended.permit_masked(plan());
    extended.target([message(b'1', b""), message(b'2', b""), message(b'n', b"")].concat());
    [simple, extended]
}

#[test]
fn a031_notices_of_what_reaches_masked_values_lose_their_words() {
    for mut play in reaching_masked_values() {
        play.target(report(b'N', "NOTICE", "01000"));
        let client = messages::render(play.transcript().client_bytes(), false);
        assert!(client.starts_with("N(01000 a warning"), "{client}");
        assert!(
            !play.transcript().to_string().split("to client").last().unwrap().contains("6789"),
            "{client}"
        );
        assert!(!play.transcript().client_bytes().windows(4).any(|four| four == b"6789"));
        // Also between what it left undone and the end of its transaction.
        play.target([complete("UPDATE 1"), ready(b'T')].concat());
        play.target(report(b'N', "WARNING", "01000"));
        assert!(!play.transcript().client_bytes().windows(4).any(|four| four == b"6789"));
        play.client(query("rollback"));
        play.permit_masked(plan());
        play.target([complete("ROLLBACK"), ready(b'I')].concat());
        play.target(report(b'N', "NOTICE", "01000"));
        let client = messages::render(play.transcript().client_bytes(), false);
        assert!(client.contains("N(01000 about"), "nothing is left to speak of: {client}");
    }
}

#[test]
fn a031_the_last_words_of_a_server_lose_their_words_too() {
    for mut play in reaching_masked_values() {
        play.target(report(b'E', "FATAL", "57P01"));
        let client = messages::render(play.transcript().client_bytes(), false);
        assert!(client.starts_with("E(57P01 the server"), "{client}");
        assert!(!play.transcript().client_bytes().windows(4).any(|four| four == b"6789"));
        assert!(play.transcript().client_bytes().windows(6).any(|six| six == b"SFATAL"));
    }
    let mut play = masking();
    play.client(query("select id from orders"));
    play.permit_masked(plan());
    play.target(report(b'E', "FATAL", "57P01"));
    let client = messages::render(play.transcript().client_bytes(), false);
    assert!(client.starts_with("E(57P01 about"), "nothing masked was reached: {client}");
}

#[test]
fn a031_errors_of_a_batch_lose_their_words_also_when_an_earlier_statement_reached_the_values() {
    for reaches in [true, false] {
        let mut play = masking();
        let text = if reaches { "update people set name = 'x' where id = 1" } else { "select 1" };
        play.client(query(&format!("begin; {text}")));
        play.permit_masked(plan());
        play.target([complete("BEGIN"), complete("UPDATE 1"), ready(b'T')].concat());
        // It names nothing, and checks what was left to be checked.
        let check = "set constraints all immediate";
        play.client([parse("", check), bind("", "", &[]), execute(""), sync()].concat());
        play.permit_masked(plan());
        play.permit_masked(plan());
        let error = report(b'E', "ERROR", "23505");
        play.target([message(b'1', b""), message(b'2', b""), error, ready(b'E')].concat());
        let shown = play.transcript().client_bytes().windows(4).any(|four| four == b"6789");
        assert_eq!(shown, !reaches, "{}", play.transcript());
    }
}
