//! Switching protocols: who may ask, what is asked of the target, and what becomes of the bytes.

use std::{sync::Arc, time::Duration};

use expect_test::expect;
use gatewright_http::{
    exchange::Limits,
    unit::{Body, Unit},
};
use gatewright_model::{
    decision::Escalation,
    id::{ApprovalId, EventId},
    mask::{Detector, DetectorMask, MaskMethod, MaskPlan},
    permit::Permit,
    session::{Input, Side},
};

use crate::stage::{Play, play, shared};

const WEBSOCKET: &str = "connection: keep-alive, Upgrade\nupgrade: WebSocket\nsec-websocket-version: 13\n\
     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-extensions: permessage-deflate\norigin: https://evil.example";

const SWITCHED: &str =
    "101\nupgrade: WebSocket\nconnection: Upgrade\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An exchange whose request to switch was forwarded.
fn asked() -> Play {
    let mut play = play();
    play.forwarded("GET /v1/items", WEBSOCKET, Body::None);
    play
}

#[test]
fn a_websocket_is_judged_asked_for_and_then_bytes_until_both_have_ended() {
    let mut play = asked();
    assert_eq!(play.http().request.header("upgrade"), Some("websocket"));
    assert_eq!(play.http().request.header("origin"), Some("https://evil.example"));
    assert_eq!(play.http().request.header("sec-websocket-extensions"), None);
    assert_eq!(play.wants(), (false, true), "a066: nothing of the client is read before the 101");
    play.target(SWITCHED, Body::Switched);
    assert_eq!(play.wants(), (true, true));
    play.frame(Side::Downstream, "a").frame(Side::Upstream, "b").client_unit(Unit::End);
    assert_eq!(play.wants(), (false, true));
    play.frame(Side::Upstream, "c").target_unit(Unit::End);
    expect![[r#"
        client: GET /v1/items HTTP/1.1
          authenticate tok
          decide http.request: GET api.example/v1/items
        permitted
          connect [("route", "api")]
        connected
          to target: GET /v1/items; sec-websocket-version: 13; sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==; origin: https://evil.example; connection: upgrade; upgrade: websocket; host: internal.example; x-forwarded-for: 192.0.2.9; x-forwarded-proto: https; x-forwarded-host: api.example; x-tenant: blue; authorization: Bearer s3cret (switches)
        target: 101; upgrade: WebSocket; connection: Upgrade; sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= (switched)
          to client: 101; sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=; connection: upgrade; upgrade: websocket (switched)
        client: data `\x81\x81\x00\x00\x00\x00a`
          to target: data `\x81\x81\x00\x00\x00\x00a`
        target: data `\x81\x01b`
          to client: data `\x81\x01b`
        client: end
          to target: end
        target: data `\x81\x01c`
          to client: data `\x81\x01c`
        target: end
          to client: end
          finished 2: ok
          close target
          close client
    "#]].assert_eq(play.transcript());
}

#[test]
fn a051_an_upgrade_that_is_refused_is_an_answer_and_no_pipe() {
    for status in ["200", "400", "403", "500"] {
        let mut play = asked();
        play.target(&format!("{status}\ncontent-length: 2"), Body::Follows).data(Side::Upstream, "no");
        assert_eq!(play.wants(), (false, true), "{status}");
        play.data(Side::Downstream, "raw").target_unit(Unit::End).data(Side::Downstream, "raw");
        assert_eq!(play.sent.len(), 1, "{status}: {}", play.transcript());
    }
}

#[test]
fn a051_a_switch_to_something_else_is_none() {
    for (head, body) in [
        ("101\nupgrade: h2c\nconnection: upgrade", Body::Switched),
        ("101\nconnection: upgrade", Body::Switched),
        ("101\nupgrade: websocket\nupgrade: h2c", Body::Switched),
        ("200\nupgrade: websocket", Body::Switched),
        ("101\nupgrade: websocket\nsec-websocket-extensions: permessage-deflate", Body::Switched),
        ("101\nupgrade: websocket", Body::None),
    ] {
        let mut play = asked();
        play.target(head, body).data(Side::Downstream, "raw").data(Side::Upstream, "raw");
        assert_eq!(play.code(), Some("upstream.upgrade"), "{head}");
        assert!(play.transcript().contains("to client: 502"), "{head}");
        assert!(!play.transcript().contains("to client: data `raw`"), "{head}");
        assert_eq!(play.sent.len(), 1, "{head}");
    }
    // Not even to WebSocket, where nobody asked.
    let mut play = play();
    play.forwarded("GET /v1/items", "", Body::None).target(SWITCHED, Body::Switched);
    assert_eq!(play.code(), Some("upstream.upgrade"));
}

#[test]
fn a066_a_request_to_switch_has_one_form_and_no_body() {
    let refused = |line: &str, headers: &str, body| {
        let mut play = play();
        let head = format!("{line} HTTP/1.1\nhost: api.example\nauthorization: Bearer tok\n{headers}");
        play.client(&head, body);
        assert!(play.sent.is_empty() && play.judged.is_none());
        (play.code().unwrap(), play.transcript().contains("to client: 501"))
    };
    let with = |from: &str, to: &str| WEBSOCKET.replace(from, to);
    for (line, headers, body) in [
        ("POST /v1/items", WEBSOCKET.to_owned(), Body::None),
        ("GET /v1/items", format!("{WEBSOCKET}\ncontent-length: 3"), Body::Follows),
        ("GET /v1/items", format!("{WEBSOCKET}\ntransfer-encoding: chunked"), Body::Follows),
        ("GET /v1/items", with("version: 13", "version: 12"), Body::None),
        ("GET /v1/items", with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), Body::None),
        ("GET /v1/items", with("dGhlIHNhbXBsZSBub25jZQ==", "x"), Body::None),
        ("GET /v1/items", with("upgrade: WebSocket\n", ""), Body::None),
    ] {
        assert_eq!(refused(line, &headers, body), ("http.upgrade", false), "{line} {headers}");
    }
    for headers in [
        with("upgrade: WebSocket", "upgrade: h2c"),
        with("upgrade: WebSocket", "upgrade: websocket, h2c"),
        with("upgrade: WebSocket", "upgrade: websocket\nupgrade: h2c"),
        with("upgrade: WebSocket", "upgrade: SPDY/3.1"),
        with("connection: keep-alive, Upgrade", "connection: keep-alive"),
        with("Upgrade\n", "Upgrade, HTTP2-Settings\n"),
    ] {
        assert_eq!(refused("GET /v1/items", &headers, Body::None), ("http.upgrade", true), "{headers}");
    }
    let old = "GET /v1/items HTTP/1.0\nhost: api.example\nauthorization: Bearer tok\n";
    assert_eq!(play().client(&format!("{old}{WEBSOCKET}"), Body::None).code(), Some("http.upgrade"));
}

#[test]
fn a_connection_that_was_switched_ends_with_either_side_its_silence_or_its_credential() {
    let limits = Limits { idle: Duration::from_secs(100), ..Limits::default() };
    let switched = || {
        let mut play = Play::new(shared(limits));
        play.forwarded("GET /v1/items", WEBSOCKET, Body::None).target(SWITCHED, Body::Switched);
        play
    };
    let over = |play: &Play| {
        assert!(play.transcript().ends_with("finished 2: unknown\n  close target\n  close client\n"));
    };
    over(switched().closed(Side::Downstream));
    over(switched().closed(Side::Upstream));
    over(switched().terminated("auth.revoked"));
    let mut told = switched();
    told.target_unit(Unit::End).closed(Side::Downstream);
    assert!(told.transcript().ends_with("finished 2: ok\n  close target\n  close client\n"));
    let mut silent = switched();
    silent.wait(Duration::from_secs(99)).frame(Side::Upstream, "ping").wait(Duration::from_secs(99));
    assert_eq!(silent.wants(), (true, true));
    over(silent.wait(Duration::from_secs(1)));
}

#[test]
fn a_connection_that_goes_on_is_judged_again_when_the_policies_change() {
    const AGAIN: EventId = EventId::FIRST.next().next();
    let switched = || {
        let mut play = asked();
        play.target(SWITCHED, Body::Switched).tell(Input::PoliciesChanged);
        assert_eq!(
            play.judged.as_ref().map(|event| (event.id, event.kind())),
            Some((AGAIN, "http.request"))
        );
        // Meanwhile it goes on.
        play.frame(Side::Upstream, "meanwhile");
        assert!(play.transcript().ends_with("meanwhile`\n"), "{}", play.transcript());
        play
    };
    let mut kept = switched();
    kept.tell(Input::Permitted(Permit::mint(AGAIN, None)));
    assert_eq!(kept.wants(), (true, true));
    let over = "finished 2: unknown\n  close target\n  close client\n";
    assert!(switched().deny_event(AGAIN).transcript().ends_with(over));
    let mut held = switched();
    let approval = ApprovalId::from_random([1; 10]);
    held.tell(Input::Held {
        event: AGAIN,
        approval,
        escalation: Escalation::new("rule", "a person must look").into(),
    });
    assert!(held.transcript().ends_with(over), "{}", held.transcript());
    let mut masked = switched();
    let detectors =
        vec![DetectorMask { detector: Detector::Email, method: MaskMethod::Redact, rule: "r".into() }];
    let masks = Arc::new(MaskPlan { detectors, ..MaskPlan::default() });
    masked.tell(Input::Permitted(Permit::mint(AGAIN, Some(masks))));
    assert!(masked.transcript().ends_with(over), "{}", masked.transcript());
}
