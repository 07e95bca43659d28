//! Sides that die in the middle of something: at every byte of it.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_model::session::Side;
use gatewright_playbook::{Play, Stage, messages::*};

use super::masks::{PEOPLE, catalog, plan};

/// One thing that a client wants, and what a target answers.
struct Script {
    /// Up to where the target begins to answer.
    ask: fn(&mut Play),
    answer: Vec<Vec<u8>>,
    /// Messages of the target that say how an event has ended.
    ends: &'static [u8],
    /// Of the gateway's own questions the client hears nothing.
    hidden: &'static [u8],
}

const CUTS: [usize; 3] = [usize::MAX, 7, 1];

fn simple(play: &mut Play, text: &str) {
    play.client(query(text));
    play.permit();
}

fn executed(play: &mut Play) {
    play.client(
        [parse("", "delete from scratch returning id"), bind("", "", &[]), execute(""), sync()].concat(),
    );
    play.permit();
    play.permit();
}

fn masked(play: &mut Play) {
    play.client(query("select ssn from people"));
    play.permit_masked(plan());
    play.target(catalog());
}

fn masked_batch(play: &mut Play) {
    play.client([parse("", "select ssn from people"), bind("", "", &[]), execute(""), sync()].concat());
    play.permit_masked(plan());
    play.permit_masked(plan());
}

fn scripts() -> Vec<Script> {
    let described = || row_description(&[("id", 0, 0)]);
    let rows = || vec![described(), data_row(&["1"]), data_row(&["twenty two"]), complete("SELECT 2")];
    let one = [rows(), vec![ready(b'I')]].concat();
    let people = vec![
        row_description(&[("ssn", PEOPLE, 3)]),
        data_row(&["123-45-6789"]),
        data_row(&["987-65-4321"]),
        complete("SELECT 2"),
        ready(b'I'),
    ];
    vec![
        Script {
            ask: |play| simple(play, "update people set city = 'x' returning id"),
            answer: one.clone(),
            ends: b"Z",
            hidden: b"",
        },
        Script {
            ask: |play| simple(play, "select id from orders; delete from scratch returning id"),
            answer: [rows(), one].concat(),
            ends: b"Z",
            hidden: b"",
        },
        Script {
            ask: executed,
            answer: vec![
                message(b'1', b""),
                message(b'2', b""),
                data_row(&["1"]),
                data_row(&["2"]),
                complete("DELETE 2"),
                ready(b'I'),
            ],
            ends: b"1C",
            hidden: b"",
        },
        Script {
            ask: |play| simple(play, "copy orders to stdout"),
            answer: vec![
                message(b'H', &[0, 0, 1, 0, 0]),
                message(b'd', b"1\t2\n"),
                message(b'd', b"3\t4\n"),
                message(b'c', b""),
                complete("COPY 2"),
                ready(b'I'),
            ],
            ends: b"Z",
            hidden: b"",
        },
        Script {
            ask: |play| {
                simple(play, "copy orders from stdin");
                play.client([message(b'd', b"1\t2\n"), message(b'c', b"")].concat());
            },
            answer: vec![message(b'G', &[0, 0, 1, 0, 0]), complete("COPY 1"), ready(b'I')],
            ends: b"Z",
            hidden: b"",
        },
        Script { ask: masked, answer: people.clone(), ends: b"Z", hidden: b"" },
        Script {
            ask: |play| {
                masked(play);
                play.target(
                    [row_description(&[("ssn", PEOPLE, 3)]), complete("SELECT 0"), ready(b'I')].concat(),
                );
                masked_batch(play);
            },
            answer: [vec![message(b'1', b""), message(b'2', b"")], people].concat(),
            ends: b"1C",
            // It is described for the gateway, which has asked for that.
            hidden: b"T",
        },
    ]
}

/// The messages of the bytes, each whole, and what is left.
fn cut(mut bytes: &[u8]) -> (Vec<(u8, &[u8])>, &[u8]) {
    let mut messages = Vec::new();
    while let Some(header) = bytes.first_chunk::<5>() {
        let [tag, length @ ..] = header;
        let size = u32::from_be_bytes(*length) as usize + 1;
        let Some((message, rest)) = bytes.split_at_checked(size) else { break };
        messages.push((*tag, &message[5..]));
        bytes = rest;
    }
    (messages, bytes)
}

fn tags(messages: &[(u8, &[u8])]) -> Vec<u8> {
    messages.iter().map(|(tag, _)| *tag).collect()
}

#[test]
fn f001_f002_a_target_that_dies_at_any_byte_leaves_whole_messages_and_an_error() {
    for (number, script) in scripts().iter().enumerate() {
        let answer = script.answer.concat();
        let wanted = |play: &Play| play.transcript().to_string().matches("permit").count();
        for (at, piece) in (0..=answer.len()).flat_map(|at| CUTS.map(|piece| (at, piece))) {
            let mut play = Play::relay(&Stage::default(), piece);
            (script.ask)(&mut play);
            // Before it there may be answers to what the script needs first.
            let (before, finished) =
                (play.heard().len(), play.transcript().to_string().matches(": ok").count());
            let open = wanted(&play) - finished;
            play.target(&answer[..at]);
            let asked = play.sent().len();
            play.leaves(Side::Upstream);

            let place = format!("script {number}, {at} of {} bytes, in pieces of {piece}", answer.len());
            let (told, _) = cut(&answer[..at]);
            let (heard, half) = cut(&play.heard()[before..]);
            assert_eq!(half, b"", "a half message: {place}");
            let (last, others) = heard.split_last().unwrap();
            let mut expected = tags(&told);
            expected.retain(|tag| !script.hidden.contains(tag));
            assert_eq!(tags(others), expected, "{place}");
            let fatal = String::from_utf8_lossy(last.1);
            assert!(last.0 == b'E' && fatal.starts_with("SFATAL\0VFATAL\0C08006\0"), "{place}: {fatal}");
            assert_eq!(play.sent().len(), asked, "nothing is sent to it again: {place}");

            let known = told.iter().filter(|(tag, _)| script.ends.contains(tag)).count();
            let transcript = play.transcript().to_string();
            let ok = transcript.matches(": ok").count() - finished;
            let unknown = transcript.matches(": unknown").count();
            assert_eq!((ok, unknown), (known, open - known), "{place}:\n{transcript}");
            assert!(transcript.ends_with("close Upstream\n  close Downstream\n"), "{place}:\n{transcript}");
        }
    }
}

#[test]
fn f001_a_target_that_dies_before_the_request_is_there_gets_nothing_of_it() {
    let request = query("update people set city = 'x'");
    for at in 0..=request.len() {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(&request[..at]);
        play.leaves(Side::Upstream);
        let transcript = play.transcript().to_string();
        assert!(play.sent().is_empty(), "{at} bytes:\n{transcript}");
        assert!(!transcript.contains("finished"), "{at} bytes:\n{transcript}");
        assert_eq!(tags(&cut(play.heard()).0), b"E", "{at} bytes:\n{transcript}");
    }
}

/// A row that is not waited for: `more` of it has come.
fn within_a_large_row(more: usize) -> (Play, Vec<u8>) {
    let row = data_row(&["x".repeat(100_000).as_str()]);
    let answer = [row_description(&[("x", 0, 0)]), row[..more].to_vec()].concat();
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    simple(&mut play, "select x from large");
    play.target(&answer);
    (play, answer)
}

#[test]
fn f002_inside_of_a_large_row_nothing_is_said_that_would_become_a_part_of_it() {
    for more in [10, 70_000, 100_010] {
        let ends: [fn(&mut Play); 3] =
            [|play| play.leaves(Side::Upstream), Play::terminated, |play| play.client(b"!\0\0\0\x04")];
        for end in ends {
            let (mut play, answer) = within_a_large_row(more);
            end(&mut play);
            assert!(play.heard() == answer, "{more}:\n{}", play.transcript());
            assert!(play.transcript().to_string().contains("finished 1: unknown"));
        }
    }
    // Of one that is waited for, nothing was sent.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    simple(&mut play, "select id from orders");
    play.target([row_description(&[("id", 0, 0)]), data_row(&["1234"])[..9].to_vec()].concat());
    play.terminated();
    assert_eq!(tags(&cut(play.heard()).0), b"TE");
}

#[test]
fn f003_a_client_that_breaks_the_protocol_while_something_runs_has_it_cancelled() {
    for broken in [&b"!\0\0\0\x04"[..], b"Q\0\0\0\x03", b"Q\x7f\xff\xff\xff"] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        simple(&mut play, "select id from orders");
        play.target([row_description(&[("id", 0, 0)]), data_row(&["1"])].concat());
        play.client(broken);
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("connect out of band"), "{transcript}");
        assert!(transcript.contains("finished 1: unknown"), "{transcript}");
        play.connected(None, false);
        let transcript = play.transcript().to_string();
        assert!(transcript.contains(r"to target: bytes(\x00\x00\x00\x10\x04\xd2\x16."), "{transcript}");
        play.leaves(Side::Upstream);
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with("close Upstream\n  close Downstream\n"), "{transcript}");
        let (heard, half) = cut(play.heard());
        assert_eq!((tags(&heard), half), (b"TDE".to_vec(), &b""[..]), "{transcript}");
    }
}

#[test]
fn f003_a_client_that_dies_inside_of_copied_data_leaves_it_unfinished() {
    let data = message(b'd', &[b'x'; 200_000]);
    for at in [5, 6, 100_000, data.len() - 5, data.len() - 1] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        simple(&mut play, "copy orders from stdin");
        play.target(message(b'G', &[0, 0, 1, 0, 0]));
        let before = play.sent().len();
        play.client(&data[..at]);
        play.leaves(Side::Downstream);
        assert!(data.starts_with(&play.sent()[before..]), "{at}:\n{}", play.transcript());
        assert!(play.transcript().to_string().contains("connect out of band"), "{at}");
    }
}

#[test]
fn f003_what_the_client_has_got_by_then_is_on_record() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select note from orders"));
    play.permit();
    let large = data_row(&[&"x".repeat(100_000)]);
    let small = data_row(&["y"]);
    let rows = [small.clone(), small.clone(), large.clone(), large.clone()].concat();
    // All of three, and a part of one that is passed on in pieces.
    let end = rows.len() - 40_000;
    let mut answer = row_description(&[("note", 0, 0)]);
    answer.extend(&rows[..end]);
    answer.chunks(30_000).for_each(|part| play.target(part));
    play.leaves(Side::Downstream);
    let transcript = play.transcript().to_string();
    assert!(transcript.contains(&format!("finished 1: unknown, {end} bytes\n")), "{transcript}");
    // A short one of which a part has come is not passed on.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select note from orders"));
    play.permit();
    play.target([row_description(&[("note", 0, 0)]), small.clone(), small[..7].to_vec()].concat());
    play.leaves(Side::Upstream);
    let transcript = play.transcript().to_string();
    assert!(transcript.contains(&format!("finished 1: unknown, {} bytes\n", small.len())), "{transcript}");
}
