//! What a session may keep.

use gatewright_model::mask::{ColumnMask, MaskMethod, MaskPlan};
use gatewright_playbook::{Play, Stage, messages::*};
use gatewright_postgres::session::Limits;

/// A session that may keep 20,000 bytes.
fn narrow() -> Play {
    let limits = Limits { kept: 20_000, catalog: 1_000, ..Limits::default() };
    Play::relay(&Stage { limits, ..Stage::default() }, usize::MAX)
}

/// A text of about this many bytes.
fn text(length: usize) -> String {
    format!("select '{}'", "x".repeat(length))
}

fn client(play: &Play) -> String {
    render(play.transcript().client_bytes(), false)
}

/// Prepares, and gives the answer.
fn prepare(play: &mut Play, name: &str, length: usize) -> String {
    play.client([parse(name, &text(length)), sync()].concat());
    if play.holds() {
        play.permit();
        play.target([message(b'1', b""), ready(b'I')].concat());
    }
    client(play)
}

const REFUSED: &str =
    "E(53200 the prepared statements and bound values of this session take more than 20000 bytes) Z(I)";

#[test]
fn prepared_texts_are_bounded_by_their_bytes() {
    let mut play = narrow();
    assert_eq!(prepare(&mut play, "a", 8_000), "1 Z(I)");
    assert_eq!(prepare(&mut play, "b", 8_000), "1 Z(I)");
    assert_eq!(prepare(&mut play, "c", 8_000), REFUSED);
    assert!(play.transcript().target_bytes().is_empty(), "{}", play.transcript());
    // What is closed is free, once the target has closed it.
    play.client([close('S', "a"), sync()].concat());
    play.target([message(b'3', b""), ready(b'I')].concat());
    assert_eq!(prepare(&mut play, "c", 8_000), "1 Z(I)");
    assert_eq!(prepare(&mut play, "d", 8_000), REFUSED);
    // So is what SQL frees.
    for free in ["deallocate all", "discard all"] {
        play.client(query(free));
        play.permit();
        play.target([complete("DEALLOCATE ALL"), ready(b'I')].concat());
        assert_eq!(prepare(&mut play, "e", 8_000), "1 Z(I)", "{free}");
        assert_eq!(prepare(&mut play, "f", 8_000), "1 Z(I)", "{free}");
        assert_eq!(prepare(&mut play, "g", 8_000), REFUSED, "{free}");
    }
    // What SQL failed to free is not free.
    play.client(query("deallocate all"));
    play.permit();
    play.target([error("25P02", "aborted"), ready(b'I')].concat());
    assert_eq!(prepare(&mut play, "h", 8_000), REFUSED);
    // An unnamed one makes place for the next.
    let mut play = narrow();
    for _ in 0..5 {
        assert_eq!(prepare(&mut play, "", 15_000), "1 Z(I)");
    }
}

#[test]
fn a_statement_that_the_target_did_not_take_is_free() {
    let mut play = narrow();
    for _ in 0..5 {
        play.client([parse("a", &text(15_000)), sync()].concat());
        play.permit();
        play.target([error("42601", "syntax error"), ready(b'I')].concat());
    }
    assert_eq!(prepare(&mut play, "a", 15_000), "1 Z(I)");
}

#[test]
fn a_closed_statement_takes_its_place_as_long_as_a_portal_of_it_is_open() {
    let mut play = narrow();
    play.client(query("begin"));
    play.permit();
    play.target([complete("BEGIN"), ready(b'T')].concat());
    for portal in ["p1", "p2"] {
        play.client([parse("s", &text(8_000)), sync()].concat());
        play.permit();
        play.target([message(b'1', b""), ready(b'T')].concat());
        play.client([bind(portal, "s", &[]), close('S', "s"), sync()].concat());
        play.target([message(b'2', b""), message(b'3', b""), ready(b'T')].concat());
    }
    play.client([parse("s", &text(8_000)), sync()].concat());
    assert!(!play.holds(), "{}", play.transcript());
}

#[test]
fn bound_values_are_bounded_by_their_bytes_and_end_with_their_transaction() {
    let mut play = narrow();
    prepare(&mut play, "s", 10);
    let value = "v".repeat(8_000);
    for _ in 0..3 {
        play.client(query("begin"));
        play.permit();
        play.target([complete("BEGIN"), ready(b'T')].concat());
        for portal in ["p1", "p2"] {
            play.client([bind(portal, "s", &[&value]), sync()].concat());
            play.target([message(b'2', b""), ready(b'T')].concat());
            assert_eq!(client(&play), "2 Z(T)");
        }
        play.client([bind("p3", "s", &[&value]), sync()].concat());
        let sent = render(play.transcript().target_bytes(), true);
        assert_eq!(sent, "P(gatewright.refused gatewright refused a statement here) S");
        play.target([error("42601", "syntax error"), ready(b'E')].concat());
        let answer = client(&play);
        assert!(answer.starts_with("E(53200 ") && answer.ends_with(" Z(E)"), "{answer}");
        play.client(query("rollback"));
        play.permit();
        play.target([complete("ROLLBACK"), ready(b'I')].concat());
    }
}

#[test]
fn a_batch_may_bind_any_amount_if_it_keeps_little() {
    let mut play = narrow();
    prepare(&mut play, "s", 10);
    let value = "v".repeat(3_000);
    let one = [bind("", "s", &[&value]), execute("")].concat();
    play.client([one.repeat(20), sync()].concat());
    for turn in 1..=20 {
        // What is not answered yet is not forgotten either: the target is asked to answer, and reads on.
        play.permit();
        let sent = render(play.transcript().target_bytes(), true);
        assert!(sent.ends_with(if turn == 20 { " S" } else { " H" }), "{turn}: {sent}");
        assert!(!play.holds(), "{turn}");
        play.target([message(b'2', b""), complete("SELECT 1")].concat());
        assert!(client(&play).starts_with("2 C(SELECT 1)"), "{turn}: {}", client(&play));
    }
    play.target(ready(b'I'));
    assert_eq!(prepare(&mut play, "t", 10), "1 Z(I)");
}

#[test]
fn a_catalog_without_end_ends_the_session() {
    let mask = ColumnMask {
        schema: "public".into(),
        relation: "people".into(),
        column: "ssn".into(),
        method: MaskMethod::Redact,
        conditions: None,
        rule: "r".into(),
    };
    let mut play = narrow();
    play.client(query("select 1"));
    play.permit_masked(MaskPlan { columns: vec![mask], ..MaskPlan::default() });
    play.target(row_description(&[("a", 0, 0)]));
    let mut rows = 0;
    while !play.transcript().to_string().contains("error upstream.too_large") {
        rows += 1;
        assert!(rows < 100, "{}", play.transcript());
        play.target(data_row(&[&rows.to_string(), "public", "people", "1", "id"]));
    }
}
