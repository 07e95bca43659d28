//! Whatever happens, in whatever order: what holds of every exchange.
//!
//! The driver is expected to keep the order of a session's life. Here it does not: every input may come at any time, as
//! often as it likes.

use std::time::Duration;

use gatewright_http::{
    exchange::Limits,
    unit::{Body, Unit},
};
use gatewright_model::session::Side;
use http::HeaderMap;
use proptest::prelude::*;

use crate::stage::{Play, shared};

#[derive(Debug, Clone, Copy)]
enum Act {
    Head(Body, Option<u8>),
    Data(Side, &'static str),
    Trailers(Side),
    End(Side),
    Answer(&'static str, Body),
    Closed(Side),
    Authenticated,
    Rejected,
    Connected,
    Unreachable,
    Held,
    Permit,
    Deny,
    Terminate,
    Wait(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let side = || prop_oneof![Just(Side::Downstream), Just(Side::Upstream)];
    let body = || prop_oneof![Just(Body::None), Just(Body::Follows)];
    let head = prop_oneof![
        Just("100"),
        Just("101"),
        Just("200\ncontent-length: 3"),
        Just("200\ntransfer-encoding: chunked"),
        Just("404"),
    ];
    prop_oneof![
        2 => (body(), proptest::option::of(0u8..5)).prop_map(|(body, length)| Act::Head(body, length)),
        4 => (side(), prop_oneof![Just("a"), Just("abc")]).prop_map(|(side, data)| Act::Data(side, data)),
        1 => side().prop_map(Act::Trailers),
        3 => side().prop_map(Act::End),
        3 => (head, body()).prop_map(|(head, body)| Act::Answer(head, body)),
        1 => side().prop_map(Act::Closed),
        2 => Just(Act::Authenticated),
        1 => Just(Act::Rejected),
        2 => Just(Act::Connected),
        1 => Just(Act::Unreachable),
        1 => Just(Act::Held),
        2 => Just(Act::Permit),
        1 => Just(Act::Deny),
        1 => Just(Act::Terminate),
        1 => (0u8..40).prop_map(Act::Wait),
    ]
}

/// The usual way to a relay, so that what comes after it is reached often enough.
fn usual() -> impl Strategy<Value = Vec<Act>> {
    let head = proptest::option::of(0u8..5).prop_map(|length| {
        vec![Act::Head(Body::Follows, length), Act::Authenticated, Act::Permit, Act::Connected]
    });
    prop_oneof![Just(Vec::new()), head]
}

fn perform(play: &mut Play, act: Act) {
    match act {
        Act::Head(body, length) => {
            let length = length.map(|length| format!("\ncontent-length: {length}")).unwrap_or_default();
            let head = format!("POST /v1/x HTTP/1.1\nhost: api.example\nauthorization: Bearer tok{length}");
            play.client(&head, body)
        }
        Act::Data(side, data) => play.data(side, data),
        Act::Trailers(Side::Downstream) => play.client_unit(Unit::Trailers(HeaderMap::new())),
        Act::Trailers(Side::Upstream) => play.target_unit(Unit::Trailers(HeaderMap::new())),
        Act::End(Side::Downstream) => play.client_unit(Unit::End),
        Act::End(Side::Upstream) => play.target_unit(Unit::End),
        Act::Answer(head, body) => play.target(head, body),
        Act::Closed(side) => play.closed(side),
        Act::Authenticated => play.authenticated(),
        Act::Rejected => play.rejected(),
        Act::Connected => play.connected(),
        Act::Unreachable => play.unreachable(),
        Act::Held => play.held(),
        Act::Permit => play.permit(),
        Act::Deny => play.deny(None),
        Act::Terminate => play.terminated("auth.revoked"),
        Act::Wait(seconds) => play.wait(Duration::from_secs(seconds.into())),
    };
}

/// What the transcript has of a kind.
fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|found| found.starts_with(line)).count()
}

/// Where it stands first; behind everything where it does not.
fn first(text: &str, line: &str) -> usize {
    text.lines().position(|found| found.starts_with(line)).unwrap_or(usize::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_order_of_inputs_breaks_a_promise(usual in usual(), rest in proptest::collection::vec(act(), 0..24)) {
        let mut play = Play::new(shared(Limits { body: 8, silence: Duration::from_secs(30), ..Limits::default() }));
        for act in usual.into_iter().chain(rest) {
            perform(&mut play, act);
        }
        let text = play.transcript();
        // Nothing goes to the target before a permit and a connection, and only after a decision was asked for.
        let sent = first(text, "  to target");
        prop_assert!(sent == usize::MAX || first(text, "permitted") < sent, "{}", text);
        prop_assert!(sent == usize::MAX || first(text, "connected") < sent, "{}", text);
        prop_assert!(sent == usize::MAX || first(text, "  decide") < first(text, "  connect"), "{}", text);
        prop_assert!(count(text, "  decide") <= 1 && count(text, "  connect") <= 1, "{}", text);
        // One head and one end to each side, in this order; an end only where one was said.
        for side in ["target", "client"] {
            prop_assert!(count(text, &format!("  to {side}: end")) <= 1, "{}", text);
        }
        if count(text, "  to target: end") == 1 {
            prop_assert!(count(text, "client: end") >= 1 && sent < first(text, "  to target: end"), "{}", text);
        }
        let whole = count(text, "  finished 2: ok") + count(text, "  finished 2: error");
        if count(text, "target: end") == 0 && whole == 1 {
            prop_assert!(count(text, "  to client: data") == 0, "{}", text);
        }
        // What was sent has one outcome once all is over, and what was not sent never one that says that it ran.
        let over = count(text, "  close client");
        prop_assert!(over <= 1 && over == count(text, "  close target"), "{}", text);
        if sent != usize::MAX && over == 1 {
            prop_assert_eq!(count(text, "  finished 2"), 1, "{}", text);
        }
        if sent == usize::MAX {
            prop_assert_eq!(count(text, "  finished 2"), count(text, "  finished 2: refused"), "{}", text);
        }
        // Nothing is asked for after the end.
        if over == 1 {
            prop_assert_eq!(play.wants(), (false, false));
            let after = text.split_once("  close client\n").map_or("", |(_, after)| after);
            prop_assert!(after.lines().all(|line| !line.starts_with("  ") || line.starts_with("  error")), "{}", text);
        }
    }
}
