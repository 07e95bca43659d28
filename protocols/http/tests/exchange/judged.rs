//! What is judged beside the head of a request: its body, where a policy may look into it, and the head of the answer.

use std::time::Duration;

use expect_test::expect;
use gatewright_http::{
    exchange::Limits,
    unit::{Body, Unit},
};
use gatewright_model::{
    decision::Escalation,
    http::HttpBody,
    id::{ApprovalId, EventId},
    mask::{Detector, DetectorMask, MaskMethod, MaskPlan},
    permit::Permit,
    session::{Input, Side},
};

use crate::stage::{Play, play, shared, streams};

const JSON: &str = "content-type: application/json; charset=utf-8";

fn posted(headers: &str, pieces: &[&'static str]) -> Play {
    let mut play = play();
    play.ask("POST /v1/items", headers, Body::Follows);
    for piece in pieces {
        play.data(Side::Downstream, piece);
    }
    play.client_unit(Unit::End);
    play
}

#[test]
fn a_json_body_is_read_before_it_is_judged_and_sent_as_it_was_read() {
    let mut play = play();
    play.ask("POST /v1/items", &format!("{JSON}\ntransfer-encoding: chunked"), Body::Follows);
    assert!(play.judged.is_none(), "its body has not come");
    assert_eq!(play.wants(), (true, false));
    play.data(Side::Downstream, "{\"amount\": 1").data(Side::Downstream, "2.50}").client_unit(Unit::End);
    let HttpBody::Read { bytes, json: Some(json) } = &play.http().body else { panic!("not read") };
    assert_eq!(bytes, "{\"amount\": 12.50}");
    assert_eq!(json.pointer("/amount").unwrap().as_number(), Some("12.50"));
    assert_eq!(play.wants(), (false, false));
    play.permit().connected();
    let sent = play.sent.join("\n");
    assert!(sent.contains("content-length: 17"), "{sent}");
    assert!(sent.ends_with("...\ndata `{\"amount\": 12.50}`\nend"), "{sent}");
}

#[test]
fn a080_json_with_two_readings_is_no_request() {
    for body in [
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":1} x",
        "nul",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
    ] {
        let play = posted(JSON, &[body]);
        assert!(play.judged.is_none(), "{body}");
        assert!(play.transcript().contains("to client: 400;"), "{body}: {}", play.transcript());
        assert!(play.transcript().contains("json.ambiguous"), "{body}: {}", play.transcript());
    }
}

#[test]
fn a071_json_in_a_coding_is_not_judged_unread() {
    for coding in ["gzip", "GZIP", "br", "identity, gzip", "deflate, gzip", "unheard-of"] {
        let play = posted(&format!("{JSON}\ncontent-encoding: {coding}"), &["{\"a\":1}"]);
        assert!(play.judged.is_none(), "{coding}");
        assert!(play.transcript().contains("to client: 415;"), "{coding}: {}", play.transcript());
        assert!(play.transcript().contains("http.encoding"), "{coding}: {}", play.transcript());
    }
}

#[test]
fn a070_a_body_that_is_too_large_to_judge_is_not_judged_without() {
    let small = || Play::new(shared(Limits { inspected: 8, ..Limits::default() }));
    let mut announced = small();
    announced.ask("POST /v1/items", &format!("{JSON}\ncontent-length: 9"), Body::Follows);
    let mut grown = small();
    grown.ask("POST /v1/items", JSON, Body::Follows);
    grown.data(Side::Downstream, "[1,2,3").data(Side::Downstream, ",4]");
    for play in [&announced, &grown] {
        assert!(play.judged.is_none());
        assert!(play.transcript().contains("to client: 413;"), "{}", play.transcript());
        assert!(play.transcript().contains("http.body_limit"), "{}", play.transcript());
    }
    let mut fits = small();
    fits.ask("POST /v1/items", JSON, Body::Follows);
    fits.data(Side::Downstream, "[1,2,3,").data(Side::Downstream, "4").client_unit(Unit::End);
    assert!(fits.transcript().contains("json.ambiguous"), "at the limit it is read: {}", fits.transcript());
}

#[test]
fn a_body_that_is_not_as_long_as_was_said_is_none() {
    let play = posted(&format!("{JSON}\ncontent-length: 9"), &["[1]"]);
    assert!(play.judged.is_none());
    assert_eq!(play.code(), Some("http.framing"));
}

#[test]
fn a077_a_body_that_does_not_come_is_not_waited_for() {
    let mut play = play();
    play.ask("POST /v1/items", JSON, Body::Follows).data(Side::Downstream, "[");
    play.wait(Duration::from_secs(59));
    assert!(!play.transcript().contains("408"), "{}", play.transcript());
    play.wait(Duration::from_secs(1));
    assert!(play.transcript().contains("to client: 408;"), "{}", play.transcript());
    assert!(play.judged.is_none());
}

#[test]
fn bodies_of_other_types_are_read_where_they_are_small_and_streamed_where_not() {
    let mut small = play();
    small.ask("POST /v1/items", "content-type: text/plain\ncontent-length: 4", Body::Follows);
    assert!(small.judged.is_none());
    small.data(Side::Downstream, "abcd").client_unit(Unit::End);
    assert_eq!(small.http().body, HttpBody::Read { bytes: "abcd".into(), json: None });
    let mut play = streams();
    play.ask("POST /v1/items", "content-type: text/plain\ncontent-length: 4", Body::Follows);
    assert_eq!(play.http().body, HttpBody::Streamed { length: Some(4) });
}

/// A policy asked for the answer: nothing of it passes before it is judged.
fn answered() -> Play {
    let mut play = play();
    play.ask("GET /v1/items", "", Body::None);
    play.tell(Input::Permitted(Permit::mint(EventId::FIRST.next(), None).judging_answer(true)));
    play.connected().target("200\ncontent-length: 3\nx-total: 7", Body::Follows);
    play
}

#[test]
fn an_answer_is_judged_where_a_policy_asks_for_it() {
    let mut play = answered();
    let event = play.judged.as_ref().unwrap();
    assert_eq!(
        (event.kind(), event.is_answer(), event.id),
        ("http.response", true, EventId::FIRST.next().next())
    );
    assert_eq!(play.http().response.as_ref().unwrap().header("x-total"), Some("7"));
    assert_eq!(play.wants(), (false, false), "none of its body is read");
    assert!(!play.transcript().contains("to client"), "{}", play.transcript());
    play.tell(Input::Permitted(Permit::mint(EventId::FIRST.next().next(), None)));
    play.data(Side::Upstream, "abc").target_unit(Unit::End);
    let shown = play.transcript();
    let shown = &shown[shown.find("  to client").unwrap()..];
    expect![[r#"
          to client: 200; content-length: 3; x-total: 7 ...
        target: data `abc`
          to client: data `abc`
        target: end
          to client: end
          finished 2: ok
          close target
          close client
    "#]]
    .assert_eq(shown);
}

#[test]
fn an_answer_that_is_blocked_is_not_seen_and_has_run() {
    let mut play = answered();
    play.deny_event(EventId::FIRST.next().next());
    assert!(play.transcript().contains("finished 2: ok"), "{}", play.transcript());
    assert!(play.transcript().contains("to client: 403;"), "{}", play.transcript());
    let told = play.transcript().split("denied").nth(1).unwrap();
    assert!(!told.contains("x-total"), "{told}");
}

#[test]
fn an_answer_that_waits_for_a_reviewer_is_not_slow() {
    let mut play = answered();
    let approval = ApprovalId::from_random([1; 10]);
    play.tell(Input::Held { event: AGAIN, approval, escalation: Escalation::new("rule", "why").into() });
    play.wait(Duration::from_secs(600));
    assert!(!play.transcript().contains("to client"), "{}", play.transcript());
    play.tell(Input::Permitted(Permit::mint(AGAIN, None)));
    assert!(play.transcript().contains("to client: 200;"), "{}", play.transcript());
}

#[test]
fn another_permit_is_none_for_an_answer() {
    let mut play = answered();
    play.tell(Input::Permitted(Permit::mint(EventId::FIRST.next(), None)));
    assert!(!play.transcript().contains("to client"), "{}", play.transcript());
}

/// A stream whose head the client has.
fn streaming() -> Play {
    let mut play = play();
    play.forwarded("GET /v1/items", "", Body::None);
    play.target(
        "200\ncontent-type: Text/Event-Stream; charset=utf-8\ntransfer-encoding: chunked",
        Body::Follows,
    );
    play.data(Side::Upstream, "data: 1\n\n");
    play
}

const AGAIN: EventId = EventId::FIRST.next().next();

#[test]
fn a_stream_is_judged_again_when_the_policies_change() {
    let mut play = streaming();
    assert!(play.is_judged_again());
    play.tell(Input::PoliciesChanged);
    assert_eq!(play.judged.as_ref().unwrap().id, AGAIN);
    assert!(!play.is_judged_again(), "it is being judged");
    play.data(Side::Upstream, "data: 2\n\n");
    assert!(play.transcript().ends_with("to client: data `data: 2\n\n`\n"), "it goes on meanwhile");
    play.tell(Input::Permitted(Permit::mint(AGAIN, None)));
    assert!(play.is_judged_again());
    assert!(!play.transcript().contains("close"), "{}", play.transcript());
    play.tell(Input::PoliciesChanged).deny_event(AGAIN.next());
    assert!(
        play.transcript().ends_with("finished 2: unknown policy.changed\n  close target\n  close client\n"),
        "{}",
        play.transcript()
    );
}

#[test]
fn a_stream_that_is_to_be_hidden_or_approved_now_ends() {
    let mut masked = streaming();
    masked.tell(Input::PoliciesChanged);
    let detectors = vec![DetectorMask {
        detector: Detector::Email,
        method: MaskMethod::Redact,
        rule: "hide/emails".into(),
    }];
    let masks = MaskPlan { detectors, ..MaskPlan::default() };
    masked.tell(Input::Permitted(Permit::mint(AGAIN, Some(masks.into()))));
    let mut held = streaming();
    held.tell(Input::PoliciesChanged);
    let approval = ApprovalId::from_random([1; 10]);
    held.tell(Input::Held { event: AGAIN, approval, escalation: Escalation::new("rule", "why").into() });
    assert!(held.transcript().contains("withdraw"), "{}", held.transcript());
    for play in [masked, held] {
        assert!(play.transcript().ends_with("close target\n  close client\n"), "{}", play.transcript());
    }
}

#[test]
fn an_answer_that_ends_by_itself_is_judged_once() {
    let mut play = play();
    play.forwarded("GET /v1/items", "", Body::None).target("200\ncontent-length: 3", Body::Follows);
    assert!(!play.is_judged_again());
    play.judged = None;
    play.tell(Input::PoliciesChanged);
    assert!(play.judged.is_none());
}

#[test]
fn while_a_policy_judges_the_answer_the_target_may_leave() {
    let mut play = answered();
    play.closed(Side::Upstream);
    assert!(play.transcript().contains("to client: 502;"), "{}", play.transcript());
}

#[test]
fn who_waits_too_long_for_a_reviewer_is_told_to_come_back() {
    let mut play = play();
    play.ask("GET /v1/items", "", Body::None).held().wait(Duration::from_secs(50));
    let transcript = play.transcript();
    assert!(transcript.contains("  park\n  to client: 403;"), "{transcript}");
    assert!(transcript.contains(r#""code":"approval.pending""#), "{transcript}");
    assert!(transcript.contains(r#""approval":""#), "{transcript}");
    assert!(!transcript.contains("finished"), "nothing was forwarded: {transcript}");
}

#[test]
fn a080_json_in_another_charset_is_no_json() {
    for charset in ["utf-16", "utf-7", "\"iso-8859-1\"", "utf-8; charset=utf-7"] {
        let play = posted(&format!("content-type: application/json; charset={charset}"), &["{}"]);
        assert!(play.judged.is_none() && play.transcript().contains("http.charset"), "{charset}");
    }
    for charset in ["; charset=UTF-8", ";charset=\"utf-8\"", "; version=1", ""] {
        assert!(
            posted(&format!("content-type: application/json{charset}"), &["{}"]).judged.is_some(),
            "{charset}"
        );
    }
}

/// What was only announced keeps nobody out, and one principal does not keep out the others.
#[test]
fn a077_bodies_that_are_read_at_one_time_share_their_room() {
    let listener = shared(Limits { held: 12, ..Limits::default() });
    let begin = |subject: &str| {
        let mut play = Play::new(std::sync::Arc::clone(&listener));
        let head = "POST /v1/items HTTP/1.1\nhost: api.example\nauthorization: Bearer tok";
        play.client(&format!("{head}\n{JSON}"), Body::Follows).authenticated_as(subject);
        play
    };
    let is_refused = |play: &mut Play, text: &'static str| {
        play.data(Side::Downstream, text);
        play.transcript().contains("to client: 503;")
    };
    let announced: Vec<_> = (0..20).map(|_| begin("bob")).collect();
    let (mut one, mut two) = (begin("bob"), begin("bob"));
    assert!(!is_refused(&mut one, "[1]"));
    // A quarter is the most that one may have.
    assert!(is_refused(&mut two, "2"));
    let mut others: Vec<_> = ["alice", "carol", "dora"].map(&begin).into();
    for other in &mut others {
        assert!(!is_refused(other, "[1]"));
    }
    assert!(is_refused(&mut begin("erin"), "1"), "all of it is held");
    // It is held until its exchange is over, and not longer.
    one.client_unit(Unit::End);
    assert!(is_refused(&mut begin("bob"), "1"));
    drop((one, announced));
    assert!(!is_refused(&mut begin("bob"), "[1]"));
}
