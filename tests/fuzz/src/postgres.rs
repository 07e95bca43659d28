//! The PostgreSQL session between two peers that send anything.
//!
//! An input is a script: steps of a byte that says who sends, two bytes of length, and what is sent. Whatever
//! is held is decided by the step's byte too. Two properties: no script panics, and what a session does that ends
//! without an error does not depend on how the bytes were cut on their way.

use gatewright_playbook::{Play, Stage, messages};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target =
    Target { name: "postgres", seeds, words: WORDS, shape: Shape::Binary, check };

const CLIENT: u8 = 0;
const SERVER: u8 = 1;
const DENY: u8 = 2;
/// Before the login instead of after it.
const FRESH: u8 = 4;

fn check(input: &[u8]) {
    let whole = perform(input, usize::MAX);
    for piece in [1, 3] {
        let pieces = perform(input, piece);
        let comparable = whole.is_some() && pieces.is_some();
        let (whole, pieces) = (whole.as_deref().unwrap_or_default(), pieces.as_deref().unwrap_or_default());
        assert!(!comparable || whole == pieces, "in pieces of {piece}:\n{pieces}\nwhole:\n{whole}");
    }
}

/// Plays a script, and gives its transcript. None where the session ended with an error: that may depend on
/// the cut, because bytes behind a request for TLS are an error only where they came with it.
fn perform(input: &[u8], piece: usize) -> Option<String> {
    let (first, mut rest) = input.split_first().unwrap_or((&0, &[]));
    let stage = Stage::default();
    let mut play = if first & FRESH == 0 { Play::relay(&stage, piece) } else { Play::new(&stage, piece) };
    while let Some((head, tail)) = rest.split_first_chunk::<3>() {
        let [step, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (bytes, next) = tail.split_at_checked(length).unwrap_or((tail, &[]));
        rest = next;
        if step & SERVER == CLIENT {
            play.client(bytes)
        } else {
            play.target(bytes)
        }
        while play.holds() {
            if step & DENY == 0 { play.permit() } else { play.deny() }
        }
        if play.transcript().to_string().contains("\n  error ") {
            return None;
        }
    }
    Some(play.transcript().to_string())
}

fn seeds() -> Vec<Vec<u8>> {
    let answer = [messages::complete("SELECT 0"), messages::ready(b'I')].concat();
    let batch = [
        messages::parse("s", "select $1"),
        messages::bind("", "s", &["1"]),
        messages::execute(""),
        messages::sync(),
    ]
    .concat();
    let startup = messages::startup(&[("user", "app"), ("database", "demo")]);
    vec![
        script(0, &[(CLIENT, &messages::query("select 1")), (SERVER, &answer)]),
        script(0, &[(CLIENT | DENY, &messages::query("delete from people; select 2"))]),
        script(0, &[(CLIENT, &batch), (SERVER, &answer)]),
        script(0, &[(CLIENT | DENY, &batch), (CLIENT, &messages::query("begin"))]),
        script(
            0,
            &[
                (CLIENT, &messages::query("copy t from stdin")),
                (SERVER, b"G\0\0\0\x07\0\0\0"),
                (CLIENT, b"d\0\0\0\x06x\nc\0\0\0\x04"),
            ],
        ),
        script(FRESH, &[(CLIENT, &startup), (CLIENT, &messages::password("token"))]),
        script(FRESH, &[(CLIENT, b"\0\0\0\x08\x04\xd2\x16\x2f"), (CLIENT, &startup)]),
    ]
}

fn script(first: u8, steps: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![first];
    for (who, sent) in steps {
        bytes.push(*who);
        bytes.extend(u16::try_from(sent.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(*sent);
    }
    bytes
}

const WORDS: &[&[u8]] = &[
    b"Q\0\0\0\x0dselect 1\0",
    b"P\0\0\0\x08\0\0\0\0",
    b"B\0\0\0\x0c\0\0\0\0\0\0\0\0",
    b"D\0\0\0\x06S\0",
    b"E\0\0\0\x09\0\0\0\0\0",
    b"C\0\0\0\x06P\0",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"X\0\0\0\x04",
    b"d\0\0\0\x05x",
    b"c\0\0\0\x04",
    b"f\0\0\0\x05\0",
    b"F\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0",
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05T",
    b"1\0\0\0\x04",
    b"2\0\0\0\x04",
    b"n\0\0\0\x04",
    b"s\0\0\0\x04",
    b"I\0\0\0\x04",
    b"C\0\0\0\x0dSELECT 1\0",
    b"T\0\0\0\x06\0\0",
    b"D\0\0\0\x06\0\0",
    b"G\0\0\0\x07\0\0\0",
    b"H\0\0\0\x07\0\0\0",
    b"W\0\0\0\x07\0\0\0",
    b"N\0\0\0\x05\0",
    b"E\0\0\0\x05\0",
    b"S\0\0\0\x20client_encoding\0SJIS\0",
    b"A\0\0\0\x0a\0\0\0\x01\0\0",
    b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
    b"\xff\xff\xff\xff",
];
