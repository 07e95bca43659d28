//! The catalog, read on a connection of the gateway's own.

use std::time::Instant;

use bytes::Bytes;
use gatewright_model::session::{Account, Errand, Input, Output, Side};
use gatewright_playbook::{
    Play, Stage,
    messages::{self, *},
};

use super::masks::{PEOPLE, catalog, catalog_rows, plan};

pub(super) fn asks(play: &mut Play, text: &str) {
    play.client(query(text));
    play.permit_masked(plan());
}

pub(super) fn to_target(play: &Play) -> String {
    messages::render(play.transcript().target_bytes(), true)
}

pub(super) fn to_client(play: &Play) -> String {
    messages::render(play.transcript().client_bytes(), false)
}

/// What an errand comes to at a target that gives these answers, cut into pieces: what it sent, and whether it said goodbye.
pub(super) fn carry_out(errand: Errand<Bytes>, answers: &[Vec<u8>], piece: usize) -> (String, bool) {
    carry_out_at(Instant::now(), errand, answers, piece)
}

pub(super) fn carry_out_at(
    now: Instant,
    mut errand: Errand<Bytes>,
    answers: &[Vec<u8>],
    piece: usize,
) -> (String, bool) {
    let account = Account { name: "app".into(), password: None, require_tls: false };
    let mut inputs = vec![Input::Connected(account)];
    for answer in answers {
        let pieces = answer.chunks(piece);
        inputs.extend(
            pieces.map(|unit| Input::Data { side: Side::Upstream, unit: Bytes::copy_from_slice(unit) }),
        );
    }
    let (mut sent, mut closed) = (Vec::new(), false);
    for input in inputs {
        let went_on = errand.session.handle_input(now, input).is_ok();
        while let Some(output) = errand.session.poll_output() {
            match output {
                Output::Send { side: Side::Upstream, unit } => sent.extend_from_slice(&unit),
                Output::Close { .. } => closed = true,
                other => unreachable!("an errand has no business with {other:?}"),
            }
        }
        if !went_on {
            break;
        }
    }
    // The startup packet has no tag: what follows it is what is looked at.
    let length = sent.first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    (messages::render(sent.get(length..).unwrap_or_default(), true), closed)
}

pub(super) fn greeting() -> Vec<u8> {
    [messages::authentication_ok(), messages::key_data(99, &[1, 2, 3, 4]), messages::ready(b'I')].concat()
}

/// A session that asked for masked rows in a transaction with an old snapshot, and its errand.
#[expect(clippy::expect_used, reason = "without an errand there is nothing to test")]
fn waiting() -> (Play, Errand<Bytes>) {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.keep_errands();
    asks(&mut play, "begin isolation level serializable");
    play.target([complete("BEGIN"), ready(b'T')].concat());
    asks(&mut play, "select ssn from people");
    assert!(to_target(&play).is_empty(), "{}", play.transcript());
    let errand = play.take_errands().pop().expect("an errand is sent");
    (play, errand)
}

fn is_masked(play: &mut Play) {
    assert_eq!(to_target(play), "Q(select ssn from people)", "{}", play.transcript());
    play.target(
        [
            row_description(&[("ssn", PEOPLE, 3)]),
            data_row(&["123-45-6789"]),
            complete("SELECT 1"),
            ready(b'T'),
        ]
        .concat(),
    );
    assert!(to_client(play).contains("*******6789"), "{}", play.transcript());
}

/// What a transaction above READ COMMITTED sees of the catalog is old; beside it, what is true now is read. It can be as old as it likes.
#[test]
fn a025_the_catalog_is_read_beside_an_old_snapshot() {
    for piece in [usize::MAX, 1, 3] {
        let (mut play, errand) = waiting();
        let (sent, closed) = carry_out(errand, &[greeting(), catalog()], piece);
        assert!(sent.starts_with("Q(/* gatewright: catalog") && sent.ends_with("X") && closed, "{sent}");
        play.returned();
        is_masked(&mut play);
    }
}

/// An account may have only so many connections: then the session reads by itself.
#[test]
fn where_an_errand_comes_to_nothing_the_session_reads() {
    let refused = error("53300", "too many connections");
    let half = [row_description(&[("a", 0, 0)]), catalog_rows()].concat();
    let silent = [row_description(&[("a", 0, 0)]), catalog_rows(), ready(b'I')].concat();
    let empty = [row_description(&[("a", 0, 0)]), complete("SELECT 0"), ready(b'I')].concat();
    let broken = [row_description(&[("a", 0, 0)]), data_row(&["x"]), complete("SELECT 1"), ready(b'I')];
    let broken = broken.concat();
    for answers in [
        vec![],
        vec![refused.clone()],
        vec![greeting(), refused],
        vec![greeting(), half],
        vec![greeting(), silent],
        vec![greeting(), empty],
        vec![greeting(), broken],
    ] {
        let (mut play, errand) = waiting();
        carry_out(errand, &answers, usize::MAX);
        play.returned();
        let sent = to_target(&play);
        assert!(sent.starts_with("P(gatewright.catalog"), "{answers:?}: {}", play.transcript());
        play.target(
            [message(b'1', b""), message(b'2', b""), catalog_rows(), complete("SELECT 6")].concat(),
        );
        play.target([message(b'3', b""), message(b'3', b""), ready(b'T')].concat());
        is_masked(&mut play);
    }
}

/// What was read before a definition was changed is not believed.
#[test]
fn a025_an_errand_that_is_older_than_a_change_comes_to_nothing() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.keep_errands();
    asks(&mut play, "select ssn from people");
    let first = play.take_errands().pop().unwrap();
    let before = first.key.clone();
    carry_out(first, &[greeting(), catalog()], usize::MAX);
    play.returned();
    play.target([row_description(&[("ssn", PEOPLE, 3)]), complete("SELECT 0"), ready(b'I')].concat());
    asks(&mut play, "drop table orders");
    play.target([complete("DROP TABLE"), ready(b'I')].concat());
    asks(&mut play, "select ssn from people, orders");
    let second = play.take_errands().pop().unwrap();
    assert_ne!(before, second.key, "nobody waits for one that began before the change");
}

/// What a transaction has defined, only its session sees.
#[test]
fn a025_what_a_transaction_defines_is_read_in_it() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.keep_errands();
    asks(&mut play, "begin");
    play.target([complete("BEGIN"), ready(b'T')].concat());
    asks(&mut play, "drop table if exists orders");
    play.take_errands();
    play.returned();
    play.target([message(b'1', b""), message(b'2', b""), catalog_rows(), complete("SELECT 6")].concat());
    play.target([message(b'3', b""), message(b'3', b""), ready(b'T')].concat());
    play.target([complete("DROP TABLE"), ready(b'T')].concat());
    asks(&mut play, "select ssn from people");
    assert!(play.take_errands().is_empty());
    assert!(to_target(&play).starts_with("P(gatewright.catalog"), "{}", play.transcript());
}

/// What the target says meanwhile reaches the client, and the request goes on waiting.
#[test]
fn the_session_goes_on_while_an_errand_is_under_way() {
    let (mut play, errand) = waiting();
    play.target(parameter_status("application_name", "x"));
    assert!(to_client(&play).contains("application_name"), "{}", play.transcript());
    assert!(to_target(&play).is_empty(), "{}", play.transcript());
    carry_out(errand, &[greeting(), catalog()], usize::MAX);
    play.returned();
    is_masked(&mut play);
}

/// A session that is over is told, and nothing comes of it.
#[test]
fn an_errand_that_returns_to_nobody_is_no_harm() {
    let (mut play, errand) = waiting();
    play.leaves(Side::Downstream);
    let (_, closed) = carry_out(errand, &[greeting(), catalog()], usize::MAX);
    assert!(closed);
    play.returned();
    assert!(to_target(&play).is_empty(), "{}", play.transcript());
}

/// A reading on the session's own connection is what the target runs for the client: cancelled, it ends as that.
#[test]
fn f003_a_reading_that_is_cancelled_is_a_statement_that_is() {
    let cancelled = || error("57014", "canceling statement due to user request");
    let told = "E(57014 canceling statement due to user request) Z(I)";
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    asks(&mut play, "select ssn from people");
    assert!(to_target(&play).starts_with("Q(/* gatewright: catalog"), "{}", play.transcript());
    play.target([row_description(&[("a", 0, 0)]), cancelled(), ready(b'I')].concat());
    assert_eq!(to_client(&play), told, "{}", play.transcript());

    let batch = [parse("", "select ssn from people"), bind("", "", &[]), execute(""), sync()].concat();
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(&batch);
    play.permit_masked(plan());
    play.target([cancelled(), ready(b'I')].concat());
    assert_eq!(messages::render(play.heard(), false), told, "{}", play.transcript());

    // The same inside of a transaction, and inside of a batch.
    let began = "C(BEGIN) Z(T) ";
    for (request, told) in [
        (query("select ssn from people"), "E(57014 canceling statement due to user request) Z(E)"),
        (batch, "E(57014 canceling statement due to user request) Z(E)"),
        (
            [parse("", "select 1"), bind("", "", &[]), parse("", "select ssn from people"), sync()]
                .concat(),
            "1 2 E(57014 canceling statement due to user request) Z(E)",
        ),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(query("begin"));
        play.permit();
        play.target([complete("BEGIN"), ready(b'T')].concat());
        play.client(&request);
        if told.starts_with('1') {
            play.permit();
            play.target([message(b'1', b""), message(b'2', b"")].concat());
        }
        play.permit_masked(plan());
        play.target(cancelled());
        play.target(ready(b'E'));
        // What could not be judged is refused where the target stands, which says so in its own way.
        if !messages::render(play.heard(), false).ends_with("Z(E)") {
            play.target([error("25P02", "current transaction is aborted"), ready(b'E')].concat());
        }
        assert_eq!(
            messages::render(play.heard(), false),
            format!("{began}{told}"),
            "{}",
            play.transcript()
        );
    }
}
