//! The life of an exchange: what is asked for, in which order, and what each answer leads to.

use std::{sync::Arc, time::Duration};

use expect_test::{Expect, expect};
use gatewright_http::{
    exchange::Limits,
    headers::TokenHeader,
    unit::{Body, Unit},
};
use gatewright_model::{
    id::ApprovalId,
    mask::{ColumnMask, MaskMethod, MaskPlan},
    session::Side,
};
use http::{HeaderMap, HeaderName};

use crate::stage::{Play, play, shared, shared_with, streams};

fn check(play: &Play, expected: Expect) {
    expected.assert_eq(play.transcript());
}

#[test]
fn a_request_is_judged_then_connected_then_sent() {
    let mut play = play();
    play.client(
        "GET /v1/%69tems?a=1+2 HTTP/1.1\nHost: API.example\nAuthorization: bearer tok\nAccept: */*\nConnection: close",
        Body::None,
    );
    assert_eq!(play.wants(), (false, false));
    play.authenticated().permit();
    assert_eq!(play.wants(), (false, false));
    play.connected();
    assert_eq!(play.wants(), (false, true));
    play.target("200\ncontent-length: 2\nkeep-alive: 5", Body::Follows).data(Side::Upstream, "ok");
    play.target_unit(Unit::End);
    check(
        &play,
        expect![[r#"
        client: GET /v1/%69tems?a=1+2 HTTP/1.1
          authenticate tok
          decide http.request: GET api.example/v1/items
        permitted
          connect [("route", "api")]
        connected
          to target: GET /v1/items?a=1%202; accept: */*; host: internal.example; x-forwarded-for: 192.0.2.9; x-forwarded-proto: https; x-forwarded-host: api.example; x-tenant: blue; authorization: Bearer s3cret
        target: 200; content-length: 2; keep-alive: 5 ...
          to client: 200; content-length: 2 ...
        target: data `ok`
          to client: data `ok`
        target: end
          to client: end
          finished 2: ok
          close target
          close client
    "#]],
    );
}

#[test]
fn the_target_is_said_before_anything_is_judged_and_not_to_strangers() {
    let mut play = play();
    play.client("GET /v1/x HTTP/1.1\nHost: api.example\nAuthorization: bearer tok", Body::None);
    assert_eq!(play.target, None);
    play.authenticated();
    assert_eq!(play.target.as_deref(), Some("internal"));
}

#[test]
fn both_bodies_stream_at_once_and_trailers_stay_behind() {
    let mut play = play();
    play.forwarded("POST /v1/items", "content-type: text/plain\ntransfer-encoding: chunked", Body::Follows);
    assert_eq!(play.wants(), (true, true));
    play.data(Side::Downstream, "a").target("200\ntransfer-encoding: chunked", Body::Follows);
    play.data(Side::Upstream, "b").data(Side::Downstream, "c");
    play.client_unit(Unit::Trailers(HeaderMap::new())).client_unit(Unit::End);
    assert_eq!(play.wants(), (false, true));
    play.target_unit(Unit::Trailers(HeaderMap::new())).target_unit(Unit::End);
    check(
        &play,
        expect![[r#"
        client: POST /v1/items HTTP/1.1
          authenticate tok
          decide http.request: POST api.example/v1/items
        permitted
          connect [("route", "api")]
        connected
          to target: POST /v1/items; content-type: text/plain; host: internal.example; x-forwarded-for: 192.0.2.9; x-forwarded-proto: https; x-forwarded-host: api.example; x-tenant: blue; authorization: Bearer s3cret ...
        client: data `a`
          to target: data `a`
        target: 200; transfer-encoding: chunked ...
          to client: 200 ...
        target: data `b`
          to client: data `b`
        client: data `c`
          to target: data `c`
        client: trailers
        client: end
          to target: end
        target: trailers
        target: end
          to client: end
          finished 2: ok
          close target
          close client
    "#]],
    );
}

#[test]
fn a_denial_is_told_and_nothing_reaches_the_target() {
    let mut play = play();
    play.ask("DELETE /v1/items", "", Body::None).deny(None);
    check(
        &play,
        expect![[r#"
        client: DELETE /v1/items HTTP/1.1
          authenticate tok
          decide http.request: DELETE api.example/v1/items
        denied
          to client: 403; content-type: application/problem+json; content-length: 203; cache-control: no-store ...
          to client: data `{"type":"about:blank","title":"Forbidden","status":403,"detail":"only GET is allowed","code":"http.denied","rule":"readers/method","remedy":"ask the owner","request":"07070707070707070707070707070707/2"}`
          to client: end
          close target
          close client
    "#]],
    );
    assert!(play.sent.is_empty());
}

#[test]
fn a_request_that_is_held_waits_and_a_reviewers_no_names_the_approval() {
    let mut play = streams();
    play.ask("DELETE /v1/items", "content-length: 3", Body::Follows).held();
    assert_eq!(play.wants(), (false, false));
    play.deny(Some(ApprovalId::from_random([1; 10])));
    check(
        &play,
        expect![[r#"
        client: DELETE /v1/items HTTP/1.1
          authenticate tok
          decide http.request: DELETE api.example/v1/items
        held
        denied
          to client: 403; content-type: application/problem+json; content-length: 233; cache-control: no-store ...
          to client: data `{"type":"about:blank","title":"Forbidden","status":403,"detail":"only GET is allowed","code":"http.denied","rule":"readers/method","remedy":"ask the owner","request":"07070707070707070707070707070707/2","approval":"040g2081040g2081"}`
          to client: end
          close target
          close client
    "#]],
    );
}

#[test]
fn a_request_that_is_held_goes_on_when_it_is_approved() {
    let mut play = play();
    play.ask("DELETE /v1/items", "", Body::None).held().permit().connected().target("204", Body::None);
    assert!(
        play.transcript().ends_with("  to client: 204\n  finished 2: ok\n  close target\n  close client\n")
    );
}

#[test]
fn without_a_good_token_nothing_is_known_about_routes() {
    for path in ["/v1/items", "/nowhere"] {
        let mut play = play();
        play.client(&format!("GET {path} HTTP/1.1\nhost: api.example"), Body::None);
        assert!(play.transcript().contains("auth.missing"), "{}", play.transcript());
    }
    let mut basic = play();
    basic.client("GET / HTTP/1.1\nhost: a\nauthorization: Basic YTpi", Body::None);
    assert!(basic.transcript().contains("auth.malformed"), "{}", basic.transcript());
    let mut play = play();
    play.client("GET /nowhere HTTP/1.1\nhost: api.example\nauthorization: Bearer tok", Body::None)
        .rejected();
    check(
        &play,
        expect![[r#"
        client: GET /nowhere HTTP/1.1
          authenticate tok
        rejected
          to client: 401; content-type: application/problem+json; content-length: 177; cache-control: no-store; www-authenticate: Bearer error="invalid_token" ...
          to client: data `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"not any more","code":"auth.jwt_expired","remedy":"come again","request":"07070707070707070707070707070707/2"}`
          to client: end
          close target
          close client
    "#]],
    );
}

#[test]
fn a_token_may_come_in_another_header_and_authorization_stays_here_then_too() {
    let name = HeaderName::from_static("x-gate-token");
    let mut play = Play::new(shared_with(TokenHeader::Named(name), Limits::default()));
    play.client(
        "GET /open HTTP/1.1\nhost: a\nauthorization: Bearer other\nx-gate-token: tok\nx-more: 1",
        Body::None,
    );
    play.authenticated().permit().connected();
    check(
        &play,
        expect![[r#"
        client: GET /open HTTP/1.1
          authenticate tok
          decide http.request: GET a/open
        permitted
          connect [("route", "rest")]
        connected
          to target: GET /open; x-more: 1; host: a
    "#]],
    );
    let key = TokenHeader::Named(HeaderName::from_static("x-key"));
    let mut none = Play::new(shared_with(key, Limits::default()));
    none.client("GET /open HTTP/1.1\nhost: a\nauthorization: Bearer tok", Body::None);
    assert!(none.transcript().contains("send a token: `x-key: TOKEN`"), "{}", none.transcript());
}

#[test]
fn where_no_route_leads_is_404() {
    let mut play = play();
    play.client("GET /nowhere HTTP/2\nhost: api.example\nauthorization: Bearer tok", Body::None)
        .authenticated();
    check(
        &play,
        expect![[r#"
            client: GET /nowhere HTTP/2
              authenticate tok
              to client: 404; content-type: application/problem+json; content-length: 244; cache-control: no-store ...
              to client: data `{"type":"about:blank","title":"Not Found","status":404,"detail":"no route leads there","code":"http.no_route","remedy":"check the host and the path, or ask the operator of the gateway for a route","request":"07070707070707070707070707070707/2"}`
              to client: end
              close target
              close client
              error of the client: http.no_route
        "#]],
    );
}

#[test]
fn the_answer_to_head_is_a_head() {
    let mut play = play();
    play.ask("HEAD /v1/items", "", Body::None).deny(None);
    assert!(play.transcript().contains("to client: 403;"), "{}", play.transcript());
    assert!(!play.transcript().contains("data"), "{}", play.transcript());
}

#[test]
fn a_mask_that_can_not_be_kept_is_a_refusal() {
    let mut play = play();
    let columns = vec![ColumnMask {
        schema: Arc::from("public"),
        relation: Arc::from("people"),
        column: Arc::from("ssn"),
        method: MaskMethod::Redact,
        conditions: None,
        rule: Arc::from("hide/ssn"),
    }];
    let masks = MaskPlan { columns, ..MaskPlan::default() };
    play.ask("GET /v1/items", "", Body::None).permit_with(Some(Arc::new(masks)));
    play.connected();
    assert!(play.transcript().contains("finished 2: refused mask.unsupported"), "{}", play.transcript());
    assert!(play.sent.is_empty());
    // A plan that hides nothing is none.
    let mut play = crate::stage::play();
    play.ask("GET /v1/items", "", Body::None).permit_with(Some(Arc::new(MaskPlan::default())));
    assert!(play.transcript().contains("connect"), "{}", play.transcript());
}

#[test]
fn what_was_permitted_and_could_not_be_sent_has_not_run() {
    let mut gone = play();
    gone.ask("GET /v1/items", "", Body::None).permit().unreachable();
    check(
        &gone,
        expect![[r#"
            client: GET /v1/items HTTP/1.1
              authenticate tok
              decide http.request: GET api.example/v1/items
            permitted
              connect [("route", "api")]
            unreachable
              finished 2: refused upstream.unreachable
              to client: 502; content-type: application/problem+json; content-length: 257; cache-control: no-store ...
              to client: data `{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"the target can not be reached","code":"upstream.unreachable","remedy":"try again in a while; if it stays so, tell the operator of the gateway","request":"07070707070707070707070707070707/2"}`
              to client: end
              close target
              close client
        "#]],
    );
    let mut poor = play();
    poor.ask("GET /v1/items", "", Body::None).permit().connected_with(None);
    assert!(poor.transcript().contains("finished 2: refused upstream.credential"), "{}", poor.transcript());
    let mut left = play();
    left.ask("GET /v1/items", "", Body::None).permit().closed(Side::Downstream);
    assert!(left.transcript().contains("finished 2: refused net.client_closed"), "{}", left.transcript());
    let mut revoked = play();
    revoked.ask("GET /v1/items", "", Body::None).permit().terminated("auth.revoked");
    assert!(revoked.transcript().contains("finished 2: refused auth.revoked"), "{}", revoked.transcript());
    for play in [gone, poor, left, revoked] {
        assert!(play.sent.is_empty());
    }
}

#[test]
fn an_end_from_outside_is_told_while_that_is_possible() {
    let mut held = play();
    held.ask("GET /v1/items", "", Body::None).held().terminated("gateway.terminated");
    check(
        &held,
        expect![[r#"
        client: GET /v1/items HTTP/1.1
          authenticate tok
          decide http.request: GET api.example/v1/items
        held
        terminated
          to client: 503; content-type: application/problem+json; content-length: 186; cache-control: no-store ...
          to client: data `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"not any more","code":"gateway.terminated","remedy":"come again","request":"07070707070707070707070707070707/2"}`
          to client: end
          close target
          close client
    "#]],
    );
    let mut waiting = play();
    waiting.forwarded("GET /v1/items", "", Body::None).terminated("auth.revoked");
    assert!(
        waiting.transcript().contains("finished 2: unknown auth.revoked\n  to client: 401;"),
        "{}",
        waiting.transcript()
    );
    let mut streaming = play();
    streaming.forwarded("GET /v1/items", "", Body::None).target("200\ncontent-length: 9", Body::Follows);
    streaming.terminated("auth.revoked");
    assert!(
        streaming
            .transcript()
            .ends_with("finished 2: unknown auth.revoked\n  close target\n  close client\n")
    );
}

#[test]
fn silence_ends_before_the_answer_begins_and_not_after() {
    let limits = Limits { silence: Duration::from_secs(10), inspected: 0, ..Limits::default() };
    let mut target = Play::new(shared(limits));
    target.forwarded("GET /v1/items", "", Body::None).wait(Duration::from_secs(9));
    assert_eq!(target.wants(), (false, true));
    target.wait(Duration::from_secs(1));
    assert!(target.transcript().contains("to client: 504;"), "{}", target.transcript());
    let mut client = Play::new(shared(limits));
    client.forwarded("POST /v1/items", "content-length: 9", Body::Follows).wait(Duration::from_secs(9));
    client.data(Side::Downstream, "x").wait(Duration::from_secs(9));
    assert_eq!(client.wants(), (true, true));
    client.wait(Duration::from_secs(1));
    assert!(client.transcript().contains("to client: 408;"), "{}", client.transcript());
    let mut stream = Play::new(shared(limits));
    stream.forwarded("GET /v1/items", "", Body::None);
    stream.target("200\ntransfer-encoding: chunked", Body::Follows).wait(Duration::from_secs(999));
    assert_eq!(stream.wants(), (false, true));
}
