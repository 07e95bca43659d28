//! Attacks by their row: what must never become an event, and what must never reach a target.

use gatewright_http::{
    exchange::Limits,
    unit::{Body, Unit},
};
use gatewright_model::{http::HttpBody, session::Side};
use proptest::prelude::*;

use crate::stage::{Play, play, shared, streams, try_request};

/// The head of a request whose line and headers are given.
fn head(line: &str, headers: &[&str]) -> String {
    format!("{line}\nauthorization: Bearer tok\n{}", headers.join("\n"))
}

/// The code with which a request is refused, before anything was asked of anybody.
#[track_caller]
fn refused(line: &str, headers: &[&str]) -> &'static str {
    let head = head(line, headers);
    // What the `http` crate itself does not take never gets here.
    let Some(_) = try_request(&head) else { return "http" };
    let mut play = play();
    play.client(&head, Body::None);
    assert!(!play.transcript().contains("authenticate"), "{}", play.transcript());
    assert!(play.transcript().contains("close client"), "{}", play.transcript());
    play.code().unwrap()
}

/// What a request that is good is sent as.
#[track_caller]
fn sent(headers: &[&str]) -> String {
    let mut play = play();
    let mut all = vec!["host: api.example"];
    all.extend(headers);
    play.client(&head("GET /v1/items HTTP/1.1", &all), Body::None).authenticated().permit().connected();
    assert_eq!(play.sent.len(), 1, "{}", play.transcript());
    play.sent.remove(0)
}

const HOST: &str = "host: api.example";

#[test]
fn a052_a_path_with_two_readings_never_becomes_an_event() {
    for path in
        ["//", "/v1/../x", "/v1/%2e%2e/x", "/v1%2fitems", "/v1/items;a=b", "/v1/./items", "/v1/%00", "*"]
    {
        assert_eq!(refused(&format!("GET {path} HTTP/1.1"), &[HOST]), "http.path", "{path}");
        assert_eq!(refused(&format!("GET {path} HTTP/2"), &[HOST]), "http.path", "{path}");
    }
    assert_eq!(refused("GET https://api.example/v1/../x HTTP/1.1", &[HOST]), "http.path");
}

#[test]
fn a052_one_form_is_judged_and_sent() {
    for path in ["/v1/items/%7Ea%2bb?x=%61+%2B", "/v1/%69tems/~a+b?%78=a%20%2b&"] {
        let mut play = play();
        play.ask(&format!("GET {path}"), "", Body::None).permit().connected();
        let request = &play.http().request;
        assert_eq!((&*request.path, &*request.query_text), ("/v1/items/~a%2Bb", "x=a%20%2B"));
        assert_eq!(&*request.query[0].1, "a +");
        assert_eq!(&*request.route_parameters[0].1, "items");
        assert!(play.sent[0].starts_with("GET /v1/items/~a%2Bb?x=a%20%2B; "), "{}", play.sent[0]);
    }
}

#[test]
fn a055_impersonation_is_for_the_gateway_to_say() {
    for name in [
        "Impersonate-User",
        "impersonate-group",
        "Impersonate-Uid",
        "Impersonate-Extra-scopes",
        "impersonate_user",
        "Impersonate.User",
        "Impersonate-Extra-a%2fb",
    ] {
        assert_eq!(
            refused("GET /v1/items HTTP/1.1", &[HOST, &format!("{name}: system:masters")]),
            "http.header"
        );
    }
    assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, "connection: impersonate-user"]), "http.hopbyhop");
}

#[test]
fn a063_lengths_and_codings_that_are_not_plain_are_refused() {
    for headers in [
        ["content-length: 5", "transfer-encoding: chunked"],
        ["content-length: 5", "content-length: 5"],
        ["content-length: 5", "content-length: 6"],
        ["transfer-encoding: chunked", "transfer-encoding: chunked"],
        ["content-length: +5", "x: y"],
        ["content-length: 0x5", "x: y"],
        ["content-length: 5, 5", "x: y"],
        ["content-length: 5 ", "x: y"],
        ["content-length: ", "x: y"],
        ["content-length: -1", "x: y"],
        ["content-length: 99999999999999999999", "x: y"],
        ["transfer-encoding: xchunked", "x: y"],
        ["transfer-encoding: gzip, chunked", "x: y"],
        ["transfer-encoding: identity", "x: y"],
        ["transfer-encoding: ", "x: y"],
        ["expect: 200-ok", "x: y"],
    ] {
        let all = [HOST, headers[0], headers[1]];
        assert_eq!(refused("POST /v1/items HTTP/1.1", &all), "http.framing", "{headers:?}");
    }
    assert_eq!(refused("POST /v1/items HTTP/1.0", &[HOST, "transfer-encoding: chunked"]), "http.framing");
    for name in ["content_length: 5", "transfer_encoding: chunked"] {
        assert_eq!(refused("POST /v1/items HTTP/1.1", &[HOST, name]), "http.header");
    }
}

#[test]
fn a063_a_body_that_is_not_as_long_as_it_said_never_ends_at_the_target() {
    for data in ["abc", "abcdefgh"] {
        let mut play = streams();
        play.forwarded("POST /v1/items", "content-length: 5", Body::Follows).data(Side::Downstream, data);
        if data.len() < 5 {
            play.client_unit(Unit::End);
        }
        assert!(!play.sent.contains(&"end".to_owned()), "{:?}", play.sent);
        assert!(
            play.transcript().contains("finished 2: unknown http.framing\n  to client: 400;"),
            "{}",
            play.transcript()
        );
    }
}

#[test]
fn a064_an_answer_before_the_end_of_the_body_closes_without_an_end() {
    let mut play = streams();
    play.forwarded("POST /v1/items", "content-length: 5\nexpect: 100-continue", Body::Follows);
    play.data(Side::Downstream, "ab").target("413\ncontent-length: 0", Body::None);
    assert!(!play.sent.contains(&"end".to_owned()) && !play.sent[0].contains("expect"), "{:?}", play.sent);
    assert!(play.transcript().ends_with("  finished 2: error 413\n  close target\n  close client\n"));
    play.data(Side::Downstream, "GET /smuggled");
    assert_eq!(play.sent.len(), 2);
}

#[test]
fn a064_no_byte_of_a_body_is_taken_before_the_permit() {
    for held in [false, true] {
        let mut play = streams();
        play.ask("POST /v1/items", "content-length: 5", Body::Follows);
        if held {
            play.held();
        }
        assert_eq!(play.wants(), (false, false));
        // A driver that does not ask is no reason to forward it.
        play.data(Side::Downstream, "ab").permit().connected();
        assert!(play.sent.is_empty());
        assert_eq!(play.code(), Some("http.framing"));
    }
}

#[test]
fn a065_what_http_2_does_not_have_is_refused() {
    for header in [
        "transfer-encoding: chunked",
        "connection: close",
        "keep-alive: 1",
        "upgrade: h2c",
        "te: gzip",
        "proxy-connection: x",
    ] {
        assert_eq!(refused("GET /v1/items HTTP/2", &[HOST, header]), "http.h2", "{header}");
    }
    for line in ["GET https://other.example/v1/items HTTP/2", "GET https://api.example:444/v1/items HTTP/2"]
    {
        assert_eq!(refused(line, &[HOST]), "http.authority");
    }
    assert_eq!(refused("GET http://api.example/v1/items HTTP/2", &[HOST]), "http.authority");
    assert_eq!(refused("GET https://user@api.example/v1/items HTTP/2", &[]), "http.authority");
    assert_eq!(refused("CONNECT api.example:443 HTTP/2", &[]), "http.method");
    assert_eq!(refused("GET /v1/items HTTP/2", &[HOST, "x:  led by a blank"]), "http.header");
    assert_eq!(refused("GET /v1/items HTTP/2", &[HOST, "x: followed by one "]), "http.header");
    // What the `http` crate takes for no value or no address at all can not be said in any version.
    for header in ["x: a\rb: c", "x: a\0"] {
        assert_eq!(refused("GET /v1/items HTTP/2", &[HOST, header]), "http");
    }
    assert_eq!(refused("GET v1/items HTTP/2", &[HOST]), "http");
}

#[test]
fn a066_what_is_no_whole_request_to_switch_is_refused() {
    for headers in [
        ["upgrade: websocket", "connection: upgrade"],
        ["upgrade: h2c", "connection: Upgrade, HTTP2-Settings"],
        ["http2-settings: AAMAAABkAAQAAP__", "x: y"],
        ["connection: keep-alive, UPGRADE", "x: y"],
        ["upgrade: TLS/1.0", "x: y"],
    ] {
        assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, headers[0], headers[1]]), "http.upgrade");
    }
    for method in ["CONNECT", "TRACE"] {
        assert!(matches!(
            refused(&format!("{method} /v1/items HTTP/1.1"), &[HOST]),
            "http" | "http.method"
        ));
    }
    for method in ["get", "Delete", "X_Y", "GET2"] {
        assert_eq!(refused(&format!("{method} /v1/items HTTP/1.1"), &[HOST]), "http.method", "{method}");
    }
}

#[test]
fn a067_headers_of_identity_do_not_reach_the_target() {
    let sent = sent(&[
        "X-Forwarded-For: 10.0.0.1",
        "x-forwarded-user: root",
        "forwarded: for=10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "X-Remote-User: root",
        "x-remote-extra-scopes: all",
        "X-Auth-Request-Email: root@example",
        "x-tenant: red",
        "x-badge: 1",
        "proxy-authorization: Basic eDp5",
        "accept: a",
    ]);
    assert_eq!(
        sent,
        "GET /v1/items; accept: a; host: internal.example; x-forwarded-for: 192.0.2.9; x-forwarded-proto: https; \
         x-forwarded-host: api.example; x-tenant: blue; authorization: Bearer s3cret"
    );
}

#[test]
fn a067_their_other_spellings_are_refused() {
    for name in [
        "X_Forwarded_For",
        "x-forwarded_user",
        "X_Remote_User",
        "remote_user",
        "x.real.ip",
        "X_Tenant",
        "x~badge",
        "proxy_authorization",
        "content_type",
        "x!real!ip",
        // A rule about `x-role` does not see it, and WSGI shows it as the same.
        "x_role",
    ] {
        let header = format!("{name}: x");
        assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, &header]), "http.header", "{name}");
    }
    for header in [
        "x-http-method-override: DELETE",
        "x-original-url: /admin",
        "X_Rewrite_Url: /admin",
        "proxy: http://evil",
    ] {
        assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, header]), "http.header", "{header}");
    }
}

#[test]
fn a067_values_and_numbers_that_readers_take_differently_are_refused() {
    let many: Vec<String> = (0..100).map(|at| format!("x-{at}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain([HOST]).collect();
    let long = format!("x: {}", "a".repeat(64 << 10));
    for headers in [
        vec![HOST, "x: caf\u{e9}"],
        vec![HOST, "x: a\u{80}b"],
        vec![HOST, &long],
        many,
        vec![HOST, "content-type: a/b", "content-type: c/d"],
        vec![HOST, "authorization: Bearer other"],
        vec![HOST, "cookie: a=1", "cookie: b=2"],
        vec![HOST, "range: bytes=0-1", "range: bytes=2-3"],
    ] {
        assert_eq!(refused("GET /v1/items HTTP/1.1", &headers), "http.header");
    }
    assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, "x : y"]), "http");
}

#[test]
fn a067_several_lines_of_a_header_are_judged_and_sent_as_one() {
    let sent = sent(&["x-role: reader", "accept: a", "X-Role: admin", "x-role: ", "x-none: ", "x-none: "]);
    assert!(
        sent.starts_with("GET /v1/items; x-role: reader, admin; accept: a; x-none: ; host: "),
        "{sent}"
    );
}

#[test]
fn a067_cookies_that_http_2_has_split_are_joined() {
    let mut play = play();
    let headers = [HOST, "cookie: a=1", "cookie: b=2", "te: trailers"];
    play.client(&head("GET /v1/items HTTP/2", &headers), Body::None).authenticated().permit().connected();
    assert!(play.sent[0].contains("; cookie: a=1; b=2; host"), "{}", play.sent[0]);
    assert_eq!(play.http().request.header("cookie"), Some("a=1; b=2"));
}

#[test]
fn a068_connection_names_nothing_that_a_target_relies_on() {
    for named in [
        "authorization",
        "x-forwarded-for",
        "X-Tenant",
        "host",
        "content-length",
        "close, x-badge",
        "cookie",
        "\"\"",
    ] {
        let code = refused("GET /v1/items HTTP/1.1", &[HOST, &format!("connection: {named}")]);
        assert_eq!(code, "http.hopbyhop", "{named}");
    }
    let sent = sent(&[
        "connection: keep-alive, TE",
        "te: trailers",
        "keep-alive: timeout=5",
        "proxy-connection: close",
    ]);
    assert!(sent.contains("x-tenant: blue; authorization: Bearer s3cret"), "{sent}");
    for gone in ["connection", "te:", "keep-alive"] {
        assert!(!sent.contains(gone), "{sent}");
    }
}

#[test]
fn a069_what_is_judged_is_what_is_sent() {
    let mut play = play();
    play.ask("GET /v1/a%20b?q=%22&q=2&Q", "accept: a\nx-one: 1\naccept: b\nuser-agent: u", Body::None);
    play.permit().connected();
    let request = &play.http().request;
    let pairs = request.headers.iter().map(|(name, value)| format!("; {name}: {value}"));
    let judged = format!("GET {}?{}{}; host", request.path, request.query_text, pairs.collect::<String>());
    assert!(play.sent[0].starts_with(&judged), "{judged}\n{}", play.sent[0]);
    assert_eq!(judged, "GET /v1/a%20b?q=%22&q=2&Q=; accept: a, b; x-one: 1; user-agent: u; host");
}

#[test]
fn a069_too_many_parameters_and_semicolons_are_refused() {
    let many = vec!["a=1"; 1_001].join("&");
    for query in [many.as_str(), "a=1;b=2", "a=%u0041", "=1"] {
        assert_eq!(refused(&format!("GET /v1/items?{query} HTTP/1.1"), &[HOST]), "http.query");
    }
}

#[test]
fn a070_a_body_that_was_not_looked_into_is_never_said_to_be_absent() {
    let body = |headers: &str, body| {
        let mut play = streams();
        play.ask("POST /v1/items", headers, body);
        play.http().body.clone()
    };
    assert_eq!(body("content-length: 7", Body::Follows), HttpBody::Streamed { length: Some(7) });
    assert_eq!(body("transfer-encoding: chunked", Body::Follows), HttpBody::Streamed { length: None });
    assert_eq!(body("", Body::Follows), HttpBody::Streamed { length: None });
    assert_eq!(body("content-length: 0", Body::None), HttpBody::Empty);
}

#[test]
fn a070_a_body_over_the_limit_is_413_and_never_a_whole_request() {
    let limits = Limits { body: 4, ..Limits::default() };
    let mut announced = Play::new(shared(limits));
    announced.ask("POST /v1/items", "content-length: 5", Body::Follows);
    assert!(announced.judged.is_none() && announced.transcript().contains("to client: 413;"));
    for (last, whole) in [("abcd", true), ("abcde", false)] {
        let mut play = Play::new(shared(limits));
        play.forwarded("POST /v1/items", "transfer-encoding: chunked", Body::Follows);
        play.data(Side::Downstream, last).client_unit(Unit::End);
        assert_eq!(play.sent.contains(&"end".to_owned()), whole, "{last}");
        assert_eq!(play.transcript().contains("to client: 413;"), !whole, "{last}");
    }
}

#[test]
fn a078_one_host_is_named_or_none() {
    assert_eq!(refused("GET /v1/items HTTP/1.1", &[]), "http.authority");
    assert_eq!(refused("GET /v1/items HTTP/1.0", &[]), "http.authority");
    assert_eq!(refused("GET https://api.example/v1/items HTTP/1.1", &[]), "http.authority");
    assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, "host: b"]), "http.authority");
    assert_eq!(refused("GET /v1/items HTTP/1.1", &[HOST, HOST]), "http.authority");
    assert_eq!(refused("GET https://b/v1/items HTTP/1.1", &[HOST]), "http.authority");
    assert_eq!(refused("GET ftp://api.example/v1/items HTTP/1.1", &[HOST]), "http.authority");
    for host in
        ["api.example.", "user@api.example", "api.example:0", "127.1", "a b", "a,b", "api.example/x", ""]
    {
        assert_eq!(
            refused("GET /v1/items HTTP/1.1", &[&format!("host: {host}")]),
            "http.authority",
            "{host}"
        );
    }
    assert!(sent(&["x-forwarded-host: evil.example"]).contains("x-forwarded-host: api.example;"));
}

proptest! {
    /// Whatever a client says: nothing is sent that was not permitted, and never a header that only the gateway may set.
    #[test]
    fn a067_no_spelling_of_an_identity_gets_through(
        name in "(?i)(x|remote|impersonate|forwarded)[-_.~]?(forwarded|real|remote|user|tenant|badge)?[-_.]?(for|ip|user|host)?",
        value in "[ -~]{0,12}",
    ) {
        let head = head("GET /v1/items HTTP/1.1", &[HOST, &format!("{name}: {value}")]);
        let Some(_) = try_request(&head) else { return Ok(()) };
        let mut play = play();
        play.client(&head, Body::None);
        if play.code().is_some() {
            return Ok(());
        }
        play.authenticated().permit().connected();
        let careless = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let mut headers = play.sent[0].split("; ").skip(1).filter_map(|header| header.split_once(": "));
        let own = ["x_forwarded_for", "x_forwarded_host", "x_tenant", "x_badge", "x_real_ip", "x_remote_user", "remote_user",
            "forwarded", "impersonate_user"];
        let given = careless(&name);
        if own.contains(&given.as_str()) {
            prop_assert!(headers.all(|(name, sent)| careless(name) != given || sent != value || value.is_empty()), "{:?}", play.sent);
        }
    }
}
