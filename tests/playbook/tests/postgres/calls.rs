//! Functions that are called by their number.

use expect_test::expect;
use gatewright_model::mask::{Detector, DetectorMask, MaskMethod, MaskPlan};
use gatewright_playbook::{Play, Stage, check, messages::*};

use super::{
    errand::{carry_out, greeting},
    masks,
};

/// FunctionCall with arguments in binary format, and a binary result.
fn call(function: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let mut body = [&function.to_be_bytes()[..], &[0, 1, 0, 1, 0, arguments.len() as u8]].concat();
    for argument in arguments {
        body.extend((argument.len() as u32).to_be_bytes());
        body.extend(*argument);
    }
    message(b'F', &[&body[..], &[0, 1]].concat())
}

#[test]
fn a019_a_call_for_a_large_object_is_judged_as_a_query_that_is_opaque() {
    check(
        |play| {
            play.log_in();
            play.client([call(964, &[&[0, 0, 0, 42]]), query("select 1")].concat());
            play.permit();
            play.permit();
            play.target([message(b'V', &[0, 0, 0, 4, 0, 0, 0, 1]), ready(b'I')].concat());
            play.target([complete("SELECT 1"), ready(b'I')].concat());
        },
        expect![[r#"
            client: F Q(select 1)
              decide sql.query `select pg_catalog.lo_unlink(42)`, opaque
            permit
              to target: F
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
            target: V Z(I)
              to client: V Z(I)
              finished 1: ok
            target: C(SELECT 1) Z(I)
              to client: C(SELECT 1) Z(I)
              finished 2: ok, 1 rows
        "#]],
    );
}

/// The catalog of a target that has `lo_unlink` and `loread` under these numbers.
fn catalog_with(functions: &[&str]) -> Vec<u8> {
    let functions = functions.iter().map(|function| {
        let (name, numbers) = function.split_once(' ').unwrap_or_default();
        data_row(&["0", "", name, "2", numbers])
    });
    let rows = functions.collect::<Vec<_>>().concat();
    [row_description(&[("a", 0, 0)]), masks::catalog_rows(), rows, complete("SELECT 8"), ready(b'I')]
        .concat()
}

/// What the target has under a number, it says itself: once in a session.
#[test]
fn a019_a_call_that_the_catalog_knows_is_the_query_that_does_the_same() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.keep_errands();
    play.client([call(964, &[&[0, 0, 0, 42]]), query("select 1")].concat());
    let errand = play.take_errands().pop().unwrap();
    assert!(
        play.judged().is_empty() && play.transcript().target_bytes().is_empty(),
        "{}",
        play.transcript()
    );
    carry_out(errand, &[greeting(), catalog_with(&["lo_unlink 964 26", "loread 954 23 20"])], usize::MAX);
    play.returned();
    let judged = |play: &Play, what: &str| {
        let transcript = play.transcript().to_string();
        assert!(
            transcript.ends_with(&format!("decide sql.query `select pg_catalog.{what}\n")),
            "{transcript}"
        );
    };
    judged(&play, "lo_unlink(42)`");
    play.permit();
    play.target([message(b'V', &[0, 0, 0, 4, 0, 0, 0, 1]), ready(b'I')].concat());
    play.permit();
    play.target([complete("SELECT 1"), ready(b'I')].concat());
    // Under that number it has another one, and under this none.
    play.client(call(954, &[&[0, 0, 0, 0], &[0, 0, 0, 9]]));
    judged(&play, "loread(0, 9)`, opaque");
    play.permit();
    play.target([message(b'V', &[0, 0, 0, 0]), ready(b'I')].concat());
    play.client(call(953, &[&[0, 0, 0, 0]]));
    judged(&play, "lo_close(0)`, opaque");
    assert!(play.take_errands().is_empty());
}

#[test]
fn a019_a_call_is_refused_in_its_place_and_in_an_open_transaction() {
    check(
        |play| {
            play.log_in();
            play.client([query("begin"), call(964, &[&[0, 0, 0, 42]])].concat());
            play.permit();
            play.deny();
            play.target([complete("BEGIN"), ready(b'T')].concat());
            play.target([error("42601", "syntax error"), ready(b'E')].concat());
        },
        expect![[r#"
            client: Q(begin) F
              decide sql.query `begin`
            permit
              to target: Q(begin)
              decide sql.query `select pg_catalog.lo_unlink(42)`, opaque
            deny
              to target: Q(gatewright refused a statement here)
            target: C(BEGIN) Z(T)
              to client: C(BEGIN) Z(T)
              finished 1: ok
            target: E(42601 syntax error) Z(E)
              to client: E(42501 blocked by policy: not here) Z(E)
        "#]],
    );
}

fn detectors() -> MaskPlan {
    let rule = "cards".into();
    let mask = DetectorMask { detector: Detector::CardNumber, method: MaskMethod::Redact, rule };
    MaskPlan { detectors: vec![mask], ..MaskPlan::default() }
}

#[test]
fn a019_a_call_is_refused_where_anything_is_masked() {
    for plan in [masks::plan(), detectors()] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(call(954, &[&[0, 0, 0, 0], &[0, 0, 0, 9]]));
        play.permit_masked(plan);
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("E(0A000 function calls by number"), "{transcript}");
        assert!(play.transcript().target_bytes().is_empty(), "{transcript}");
    }
}

#[test]
fn a019_numbers_of_other_functions_and_other_counts_of_arguments_are_not_judged_at_all() {
    // lo_import and lo_export reach the host; 2096 ends another's session.
    for message in [
        call(764, &[b"/etc/passwd"]),
        call(765, &[&[0, 0, 0, 42], b"/tmp/x"]),
        call(2096, &[&[0, 0, 0, 42]]),
        call(964, &[]),
        call(964, &[&[0, 0, 0, 42], &[0, 0, 0, 43]]),
        call(0, &[]),
    ] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client(message);
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("E(0A000 function calls by number"), "{transcript}");
        assert!(!transcript.contains("decide"), "{transcript}");
        assert!(play.transcript().target_bytes().is_empty(), "{transcript}");
    }
}

#[test]
fn a010_an_answer_of_a_call_is_none_of_a_query() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client(query("select 1"));
    play.permit();
    play.target(message(b'V', &[0, 0, 0, 0]));
    assert!(play.transcript().to_string().contains("error upstream.protocol"), "{}", play.transcript());
}
