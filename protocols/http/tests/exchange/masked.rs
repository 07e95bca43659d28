//! Answers of which parts are hidden: both heads, the body, the record.

use std::sync::Arc;

use bytes::Bytes;
use expect_test::expect;
use gatewright_http::unit::{Body, Unit};
use gatewright_model::{
    json_path::JsonPath,
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
    session::Side,
};

use crate::stage::{Play, play};

/// Hides `ssn` at any depth, and e-mail addresses.
fn plan() -> Arc<MaskPlan> {
    let path = JsonPath::parse("$..ssn").unwrap();
    let (method, rule) = (MaskMethod::Redact, Arc::from("hide/ssn"));
    let email = DetectorMask { detector: Detector::Email, method, rule: Arc::from("hide/email") };
    Arc::new(MaskPlan {
        json: vec![JsonMask { path, method, rule }],
        detectors: vec![email],
        ..MaskPlan::default()
    })
}

/// A request that was forwarded, with leave to show its answer masked.
fn forwarded(line: &str, headers: &str) -> Play {
    let mut play = play();
    play.ask(line, headers, Body::None).permit_with(Some(plan())).connected();
    play
}

fn get() -> Play {
    forwarded("GET /v1/items", "")
}

/// Lines of the transcript after the request went to the target.
fn after(play: &Play) -> &str {
    let (_, rest) = play.transcript().split_once("  to target: ").unwrap();
    rest.split_once('\n').unwrap().1
}

#[test]
fn a072_a_masked_request_asks_for_all_of_the_answer_and_in_no_form_that_is_not_looked_into() {
    let play = forwarded(
        "GET /v1/items",
        "range: bytes=0-9\nif-range: \"x\"\nif-none-match: \"x\"\nif-modified-since: Sat, 29 Oct 1994 19:43:31 GMT\n\
         want-repr-digest: sha-256=1\na-im: feed\nif-match: \"kept\"\naccept-encoding: br;q=1, gzip;q=0.8, zstd\naccept: */*\n",
    );
    let sent = play.sent.first().unwrap();
    for gone in [
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "want-",
        "a-im",
        "br",
        "zstd",
    ] {
        assert!(!sent.contains(&format!("; {gone}")), "{gone}: {sent}");
    }
    assert!(sent.contains("; accept-encoding: gzip;"), "{sent}");
    let write = forwarded("PUT /v1/items", "if-match: \"kept\"\n");
    let sent = write.sent.first().unwrap();
    assert!(sent.contains("; if-match: \"kept\""), "without it a write would be another one: {sent}");
    for (given, asked) in [
        ("", "identity"),
        ("accept-encoding: br\n", "identity"),
        ("accept-encoding: gzip;q=0\n", "identity"),
        ("accept-encoding: GZIP\n", "gzip"),
    ] {
        let play = forwarded("GET /v1/items", given);
        let wanted = format!("; accept-encoding: {asked}");
        assert!(play.sent.first().unwrap().contains(&wanted), "{given}: {:?}", play.sent);
    }
}

#[test]
fn a072_a_masked_answer_says_nothing_about_what_it_was() {
    let mut play = get();
    play.target(
        "200\ncontent-type: application/json\ncontent-length: 41\netag: \"x\"\nlast-modified: x\naccept-ranges: bytes\n\
         content-md5: x\ndigest: x\nrepr-digest: x\ncontent-digest: x\nx-kept: yes",
        Body::Follows,
    )
    .data(Side::Upstream, "{\"ssn\":\"123\",")
    .data(Side::Upstream, "\"mail\":\"bob@example.com\"}")
    .data(Side::Upstream, "\n  ")
    .target_unit(Unit::End);
    expect![[r#"
        target: 200; content-type: application/json; content-length: 41; etag: "x"; last-modified: x; accept-ranges: bytes; content-md5: x; digest: x; repr-digest: x; content-digest: x; x-kept: yes ...
          to client: 200; content-type: application/json; x-kept: yes ...
        target: data `{"ssn":"123",`
          to client: data `{"ssn":"[redacted]",`
        target: data `"mail":"bob@example.com"}`
          to client: data `"mail":"[redacted]"}`
        target: data `
          `
          to client: data `
          `
        target: end
          to client: end
          finished 2: ok hide/ssn=1 hide/email=1
          close target
          close client
    "#]]
    .assert_eq(after(&play));
}

#[test]
fn a072_an_answer_that_can_not_be_masked_is_refused() {
    for head in [
        "206\ncontent-type: application/json\ncontent-range: bytes 0-9/100",
        "226\ncontent-type: application/json\nim: feed",
        "200\ncontent-type: multipart/byteranges; boundary=x",
        "200\ncontent-type: application/octet-stream",
        "200\ncontent-type: application/vnd.kubernetes.protobuf",
        "200\ncontent-type: text/plain",
        "200\nx-no-type: 1",
        "200\ncontent-type: application/json\ncontent-encoding: unheard-of",
        "200\ncontent-type: application/json\ncontent-type: text/html",
    ] {
        let mut play = get();
        play.target(&format!("{head}\ntransfer-encoding: chunked"), Body::Follows);
        let shown = after(&play);
        assert!(shown.contains("to client: 502;") && shown.contains("mask.unsupported"), "{shown}");
        assert!(shown.contains("finished 2: unknown mask.unsupported\n"), "it has run: {shown}");
        assert_eq!(play.code(), Some("mask.unsupported"));
    }
}

#[test]
fn a072_an_answer_without_a_body_has_nothing_to_mask() {
    for head in ["204", "304\netag: \"x\"", "200\ncontent-length: 0"] {
        let mut play = get();
        play.target(head, Body::None);
        assert!(after(&play).contains("finished 2: ok\n"), "{}", after(&play));
        assert!(!after(&play).contains("to client: 304; etag"), "{}", after(&play));
    }
    let mut head = forwarded("HEAD /v1/items", "");
    head.target("200\ncontent-type: image/png\ncontent-length: 123456\netag: \"x\"", Body::None);
    expect![[r#"
        target: 200; content-type: image/png; content-length: 123456; etag: "x"
          to client: 200; content-type: image/png
          finished 2: ok
          close target
          close client
    "#]]
    .assert_eq(after(&head));
}

#[test]
fn a072_an_answer_that_breaks_in_its_middle_is_cut() {
    for (head, body, code) in [
        ("content-type: application/json", &b"{\"ssn\":1,\"x\":oops"[..], "mask.malformed"),
        ("content-type: application/json", b"{\"ssn\":1,\"x\":", "mask.malformed"),
        ("content-type: application/json\ncontent-encoding: gzip", b"{\"ssn\":1}", "http.encoding"),
        ("content-type: application/json\ncontent-encoding: gzip", b"\x1f\x8b\x08\x00", "http.encoding"),
    ] {
        let mut play = get();
        play.target(&format!("200\n{head}\ntransfer-encoding: chunked"), Body::Follows)
            .target_unit(Unit::Data(Bytes::from_static(body)))
            .target_unit(Unit::End);
        let shown = after(&play);
        assert!(!shown.contains("to client: end"), "{shown}");
        assert!(shown.contains(&format!("finished 2: unknown {code}")), "{shown}");
        assert_eq!(play.code(), Some(code));
    }
    let mut counted = get();
    counted
        .target("200\ncontent-type: application/json\ntransfer-encoding: chunked", Body::Follows)
        .data(Side::Upstream, "{\"ssn\":1}}");
    assert!(
        after(&counted).contains("finished 2: unknown mask.malformed hide/ssn=1\n"),
        "{}",
        after(&counted)
    );
}

#[test]
fn a073_a_secret_leaves_by_no_header() {
    let mut play = get();
    play.target(
        "302\nlocation: /users/bob@example.com?x=1\nset-cookie: a=1\nset-cookie: who=bob@example.com; path=/\n\
         x-who: bob%40example.com\nlink: </a%20b>; rel=next",
        Body::None,
    );
    expect![[r#"
        target: 302; location: /users/bob@example.com?x=1; set-cookie: a=1; set-cookie: who=bob@example.com; path=/; x-who: bob%40example.com; link: </a%20b>; rel=next
          to client: 302; location: /users/[redacted]?x=1; set-cookie: a=1; set-cookie: who=[redacted]; path=/; link: </a%20b>; rel=next
          finished 2: ok hide/email=3
          close target
          close client
    "#]]
    .assert_eq(after(&play));
}

#[test]
fn a073_trailers_are_not_forwarded() {
    let mut play = get();
    let trailers = [("x-who".parse().unwrap(), "bob@example.com".parse().unwrap())].into_iter().collect();
    play.target("200\ncontent-type: application/json\ntransfer-encoding: chunked", Body::Follows)
        .data(Side::Upstream, "{}")
        .target_unit(Unit::Trailers(trailers))
        .target_unit(Unit::End);
    assert!(after(&play).contains("finished 2: ok\n"), "{}", after(&play));
    assert!(!after(&play).contains("to client: trailers"), "{}", after(&play));
}

#[test]
fn a073_a_secret_cut_at_every_byte_is_masked_by_an_exchange() {
    const BODY: &str = r#"{"ssn":"123-45-6789","mail":"bob\u0040example.com"}"#;
    for at in 0..BODY.len() {
        let mut play = get();
        let (one, other) = BODY.split_at(at);
        play.target("200\ncontent-type: application/json\ntransfer-encoding: chunked", Body::Follows)
            .data(Side::Upstream, one)
            .data(Side::Upstream, other)
            .target_unit(Unit::End);
        let shown: String =
            after(&play).lines().filter(|line| line.starts_with("  to client: data")).collect();
        let shown = shown.replace("`  to client: data `", "");
        assert_eq!(shown, r#"  to client: data `{"ssn":"[redacted]","mail":"[redacted]"}`"#, "cut at {at}");
        assert!(after(&play).contains("finished 2: ok hide/ssn=1 hide/email=1\n"));
    }
}
