//! Answers of the target: what of them reaches the client, and what is no answer.

use expect_test::expect;
use gatewright_http::unit::{Body, Unit};
use gatewright_model::{
    id::EventId,
    permit::Permit,
    session::{Input, Side},
};

use crate::stage::{Play, play};

/// An exchange whose request was forwarded.
fn forwarded() -> Play {
    let mut play = play();
    play.forwarded("GET /v1/items", "", Body::None);
    play
}

/// Lines of the transcript after the request went to the target.
fn after(play: &Play) -> &str {
    let (_, rest) = play.transcript().split_once("  to target: ").unwrap();
    rest.split_once('\n').unwrap().1
}

#[test]
fn a074_interim_answers_are_dropped() {
    let mut play = forwarded();
    play.target("103\nlink: </x>; rel=preload", Body::None)
        .target("100", Body::None)
        .target("200", Body::None);
    expect![[r#"
        target: 103; link: </x>; rel=preload
        target: 100
        target: 200
          to client: 200
          finished 2: ok
          close target
          close client
    "#]]
    .assert_eq(after(&play));
}

#[test]
fn a074_an_answer_that_ends_early_is_cut_and_never_ended() {
    let mut short = forwarded();
    short
        .target("200\ncontent-length: 5", Body::Follows)
        .data(Side::Upstream, "abc")
        .target_unit(Unit::End);
    expect![[r#"
        target: 200; content-length: 5 ...
          to client: 200; content-length: 5 ...
        target: data `abc`
          to client: data `abc`
        target: end
          finished 2: unknown upstream.cut
          close target
          close client
          error of the target: upstream.cut
    "#]]
    .assert_eq(after(&short));
    let mut gone = forwarded();
    gone.target("200\ntransfer-encoding: chunked", Body::Follows)
        .data(Side::Upstream, "abc")
        .closed(Side::Upstream);
    let mut long = forwarded();
    long.target("200\ncontent-length: 2", Body::Follows).data(Side::Upstream, "abc");
    for play in [short, gone, long] {
        assert!(!after(&play).contains("to client: end"), "{}", play.transcript());
        assert!(
            after(&play).contains("finished 2: unknown upstream.cut\n  close target\n  close client\n"),
            "{}",
            play.transcript()
        );
        assert_eq!(play.code(), Some("upstream.cut"));
    }
}

#[test]
fn a074_an_answer_that_only_its_connection_ends_is_refused() {
    let mut play = forwarded();
    play.target("200\ncontent-type: text/plain", Body::Follows);
    assert_eq!(play.code(), Some("upstream.framing"));
    assert!(after(&play).contains("to client: 502;"), "{}", play.transcript());
}

#[test]
fn a074_trailers_reach_nobody() {
    let trailers = || {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-forwarded-user", "root".parse().unwrap());
        Unit::Trailers(trailers)
    };
    let mut play = play();
    play.forwarded(
        "POST /v1/items",
        "transfer-encoding: chunked\ntrailer: x-forwarded-user",
        Body::Follows,
    );
    play.client_unit(trailers()).client_unit(Unit::End);
    play.target("200\ntransfer-encoding: chunked\ntrailer: set-cookie", Body::Follows);
    play.target_unit(trailers()).target_unit(Unit::End);
    assert!(
        !play.transcript().contains("to target: trailers")
            && !play.transcript().contains("to client: trailers")
    );
    assert!(!play.sent.iter().any(|sent| sent.contains("trailer")), "{:?}", play.sent);
    assert!(
        play.transcript().ends_with("  to client: end\n  finished 2: ok\n  close target\n  close client\n")
    );
}

#[test]
fn a078_a_redirect_is_passed_on_and_not_followed() {
    let mut play = forwarded();
    play.target("302\nlocation: http://169.254.169.254/latest\ncontent-length: 0", Body::None);
    expect![[r#"
        target: 302; location: http://169.254.169.254/latest; content-length: 0
          to client: 302; location: http://169.254.169.254/latest; content-length: 0
          finished 2: ok
          close target
          close client
    "#]]
    .assert_eq(after(&play));
    assert_eq!(play.sent.len(), 1);
    assert!(!after(&play).contains("s3cret"));
}

#[test]
fn a066_a_switch_of_protocols_is_no_answer() {
    let mut play = forwarded();
    play.target("101\nupgrade: websocket\nconnection: upgrade", Body::Follows).data(Side::Upstream, "raw");
    expect![[r#"
        target: 101; upgrade: websocket; connection: upgrade ...
          finished 2: unknown upstream.upgrade
          to client: 502; content-type: application/problem+json; content-length: 273; cache-control: no-store ...
          to client: data `{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"the target switched protocols, and was not asked to","code":"upstream.upgrade","remedy":"tell whoever runs the target: its answer is not HTTP as it should be","request":"07070707070707070707070707070707/2"}`
          to client: end
          close target
          close client
          error of the target: upstream.upgrade
        target: data `raw`
    "#]].assert_eq(after(&play));
}

/// What the client got of an answer.
fn to_client(play: &Play) -> String {
    after(play).lines().filter(|line| line.starts_with("  to client: ")).collect::<Vec<_>>().join("\n")
}

const CHALLENGE: &str = "401\nwww-authenticate: Basic realm=\"internal\"\ncontent-length: 3";

#[test]
fn a_target_that_refuses_the_gateways_credential_is_not_the_clients_fault() {
    let mut play = forwarded();
    play.target(CHALLENGE, Body::Follows).data(Side::Upstream, "no!");
    assert!(after(&play).contains("  finished 2: error upstream.credential\n"), "{}", play.transcript());
    assert_eq!(play.code(), Some("upstream.credential"), "the log says it too");
    let told = to_client(&play);
    assert!(told.starts_with("  to client: 502; content-type: application/problem+json; "), "{told}");
    assert!(told.contains("tell the operator of the gateway to check the target's `account`"), "{told}");
    assert!(!told.contains("www-authenticate") && !told.contains("no!"), "{told}");

    let mut head = crate::stage::play();
    head.forwarded("HEAD /v1/items", "", Body::None).target("401\ncontent-length: 3", Body::None);
    assert!(to_client(&head).starts_with("  to client: 502;"), "{}", head.transcript());
    assert!(!to_client(&head).contains("data"), "{}", head.transcript());
}

#[test]
fn a_credential_that_is_refused_before_the_request_was_complete_ends_it() {
    let mut play = play();
    play.forwarded("POST /v1/items", "transfer-encoding: chunked", Body::Follows);
    play.data(Side::Downstream, "abc").target(CHALLENGE, Body::Follows).data(Side::Downstream, "def");
    assert!(to_client(&play).starts_with("  to client: 502;"), "{}", play.transcript());
    assert!(!play.sent.iter().any(|sent| sent.contains("def")), "{:?}", play.sent);
    assert_eq!(play.wants(), (false, false));
}

#[test]
fn a_credential_that_is_refused_is_no_answer_for_a_policy_to_judge() {
    let mut play = play();
    play.ask("GET /v1/items", "", Body::None);
    play.tell(Input::Permitted(Permit::mint(EventId::FIRST.next(), None).judging_answer(true)));
    play.connected().target(CHALLENGE, Body::Follows);
    assert!(!play.judged.as_ref().unwrap().is_answer());
    assert!(to_client(&play).starts_with("  to client: 502;"), "{}", play.transcript());
}

#[test]
fn a_401_is_passed_on_where_the_gateway_has_no_credential_and_a_403_always() {
    for (line, head) in [
        ("GET /open", "401\nwww-authenticate: Form\ncontent-length: 0"),
        ("GET /open", "403\ncontent-length: 0"),
        ("GET /v1/items", "403\ncontent-length: 0"),
    ] {
        let mut play = play();
        play.forwarded(line, "", Body::None).target(head, Body::None);
        let head = head.replace('\n', "; ");
        assert_eq!(to_client(&play), format!("  to client: {head}"), "{}", play.transcript());
        assert!(after(&play).contains("  finished 2: error 40"), "{}", play.transcript());
    }
}

#[test]
fn what_belongs_to_the_other_connection_stays_there() {
    let mut play = forwarded();
    play.target(
        "404\nconnection: x-hop, close, content-length\nx-hop: 1\nkeep-alive: 5\nalt-svc: h3=\":443\"\nproxy-authenticate: Basic\nset-cookie: a=1\nset-cookie: b=2\ncontent-length: 0",
        Body::None,
    );
    expect![[r#"
        target: 404; connection: x-hop, close, content-length; x-hop: 1; keep-alive: 5; alt-svc: h3=":443"; proxy-authenticate: Basic; set-cookie: a=1; set-cookie: b=2; content-length: 0
          to client: 404; set-cookie: a=1; set-cookie: b=2; content-length: 0
          finished 2: error 404
          close target
          close client
    "#]].assert_eq(after(&play));
}

#[test]
fn a_target_that_breaks_the_order_is_no_answer() {
    for head in [
        "999",
        "200\ncontent-length: 1\ncontent-length: 1",
        "200\ncontent-length: +1",
        "200\ncontent-length: 1\ntransfer-encoding: chunked",
        "200\ntransfer-encoding: identity",
        "200\ntransfer-encoding: gzip",
        "200\ntransfer-encoding: gzip, chunked",
        "200\ntransfer-encoding: chunked\ntransfer-encoding: identity",
    ] {
        let mut play = forwarded();
        play.target(head, Body::Follows);
        assert!(after(&play).contains("to client: 502;"), "{}", play.transcript());
        assert!(after(&play).contains("finished 2: unknown"), "{}", play.transcript());
    }
    let mut early = forwarded();
    early.data(Side::Upstream, "no head");
    assert!(after(&early).contains("to client: 502;"), "{}", early.transcript());
    let mut second = forwarded();
    second.target("200\ncontent-length: 1", Body::Follows).target("200", Body::None);
    assert!(after(&second).ends_with(
        "finished 2: unknown upstream.cut\n  close target\n  close client\n  error of the target: upstream.cut\n"
    ));
}

#[test]
fn what_has_no_body_by_nature_gets_none() {
    for (line, head) in
        [("HEAD /v1/items", "200\ncontent-length: 5"), ("GET /v1/items", "304\ncontent-length: 5")]
    {
        let mut play = play();
        play.forwarded(line, "", Body::None).target(head, Body::None);
        assert!(after(&play).contains("content-length: 5\n  finished 2: ok\n"), "{}", play.transcript());
    }
    let mut smuggled = forwarded();
    smuggled.target("204", Body::Follows).data(Side::Upstream, "abc");
    assert!(!after(&smuggled).contains("to client: data"), "{}", smuggled.transcript());
    let mut missing = forwarded();
    missing.target("200\ncontent-length: 5", Body::None);
    assert_eq!(missing.code(), Some("upstream.framing"));
}

#[test]
fn nothing_happens_after_the_end() {
    let mut play = forwarded();
    play.target("200", Body::None);
    let end = play.transcript().len();
    play.closed(Side::Upstream).closed(Side::Downstream).terminated("auth.revoked").permit();
    assert_eq!(play.wants(), (false, false));
    assert!(!play.transcript()[end..].contains("  "), "{}", play.transcript());
}
