//! Rows A52, A69, A70, A71 and A80: requests that mean one thing to a policy and another to a target, as bytes.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{
    FakeUpstream, Front,
    http::{self, Shape},
};

fn target() -> FakeUpstream {
    FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap()
}

fn reached(target: &FakeUpstream) -> String {
    target.received().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// Reading is allowed, but for what is below `/admin`.
const NO_ADMIN: &str = r#"
[[settings.rules]]
name = "no-admin"
paths = ["/admin", "/admin/**"]
decision = "block"

[[settings.rules]]
name = "reads"
methods = ["GET", "POST"]
paths = ["/**"]
decision = "allow"
"#;

#[test]
fn a052_a_path_that_two_programs_read_in_two_ways_reaches_nobody() {
    let target = target();
    let shape = Shape { rules: NO_ADMIN.to_owned(), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    for path in [
        "/x//admin",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/%2E%2e%2fadmin",
        "/x/..%2fadmin",
        "/x%2fadmin",
        "/x%5cadmin",
        "/x\\admin",
        "/x;a=b/../admin",
        "/admin;x",
        "/admin%00",
        "/admin%0d%0aX:%20y",
        "/%zz/admin",
        "/admin%",
        "/x/%c0%ae%c0%ae/admin",
        "admin",
        "*",
        "http://other.example/admin",
    ] {
        let reply = front.ask(&format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head())).unwrap();
        assert_eq!(reply.status, 400, "{path}: {}", reply.head);
        assert_eq!(reached(&target), "", "{path}");
    }
    for path in ["/admin", "/admin/", "/%61dmin", "/adm%69n/x", "/admin?x", "/admin/%2e", "/admin#x"] {
        let reply = front.ask(&format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head())).unwrap();
        assert!([400, 403].contains(&reply.status), "{path}: {}", reply.head);
        assert_eq!(reached(&target), "", "{path}");
    }
}

#[test]
fn a069_what_is_sent_is_the_form_that_was_judged() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    for (sent, arrives) in [
        ("/%70eople/a%20b", "/people/a%20b"),
        ("/people?a=1&a=2", "/people?a=1&a=2"),
        ("/people?a+b=%31&c", "/people?a%20b=1&c="),
        ("/people?", "/people"),
    ] {
        let reply = front.ask(&format!("GET {sent} HTTP/1.1\r\n{}\r\n", front.head())).unwrap();
        assert_eq!(reply.status, 200, "{sent}: {}", reply.head);
        // Each worker has connections of its own to the target.
        let arrived = reached(&target);
        let as_judged = format!("GET {arrives} HTTP/1.1\r\n");
        assert_eq!(arrived.matches(&as_judged).count(), 1, "{sent}: {arrived}");
    }
    let before = reached(&target).len();
    let many: String = (0..100_000).map(|n| format!("&a{n}")).collect();
    for query in ["a;b=c", "a=%zz", "a=%00", "a%00b=1", "%c0%80=1", &many[1..]] {
        let attack = format!("GET /people?{query} HTTP/1.1\r\n{}\r\n", front.head());
        let reply = front.ask(&attack);
        let status = reply.map(|reply| reply.status).unwrap_or(431);
        assert!([400, 414, 431].contains(&status), "{}: {status}", &query[..query.len().min(20)]);
        assert_eq!(reached(&target).len(), before, "{}", &query[..query.len().min(20)]);
    }
}

/// Small payments go through.
const PAYMENTS: &str = r#"
[[settings.rules]]
name = "small"
methods = ["POST"]
paths = ["/pay"]
body = [{ pointer = "/amount", at_most = 1000 }]
decision = "allow"
"#;

fn pay(front: &Front, headers: &str, body: &[u8]) -> u16 {
    let head =
        format!("POST /pay HTTP/1.1\r\n{}{headers}Content-Length: {}\r\n\r\n", front.head(), body.len());
    let mut client = front.connect().unwrap();
    client.send(&[head.as_bytes(), body].concat()).unwrap();
    http::reply(&mut client, false).unwrap().status
}

#[test]
fn a080_a_body_means_one_thing_or_is_refused() {
    let target = target();
    let shape = Shape { rules: PAYMENTS.to_owned(), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let json = "Content-Type: application/json\r\n";
    for (body, status) in [
        (&br#"{"amount": 1, "amount": 9999}"#[..], 400),
        (br#"{"amount": 1, "\u0061mount": 9999}"#, 400),
        (br#"{"amount": 1, "Amount": 9999}"#, 400),
        (br#"{"amount": 1} {"amount": 9999}"#, 400),
        (b"\xef\xbb\xbf{\"amount\": 1}", 400),
        (b"{\"amount\": 1, \"x\": \"\xff\"}", 400),
        (br#"{"amount": 1, "x": "\ud800"}"#, 400),
        (br#"{"amount": 1e999}"#, 400),
        (br#"{"amount": 1,}"#, 400),
        (b"{'amount': 1}", 400),
        (br#"{"amount": "1"}"#, 403),
        (br#"{"amount": 1000.01}"#, 403),
        (br#"{"Amount": 1}"#, 403),
        (br#"[{"amount": 1}]"#, 403),
        (b"", 403),
    ] {
        assert_eq!(pay(&front, json, body), status, "{}", String::from_utf8_lossy(body));
        assert_eq!(reached(&target), "", "{}", String::from_utf8_lossy(body));
    }
    let deep = format!("{{\"amount\": 1, \"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(pay(&front, json, deep.as_bytes()), 400);
    assert_eq!(reached(&target), "");
    assert_eq!(pay(&front, json, br#"{"amount": 1000, "to": "x"}"#), 200);
    assert!(
        reached(&target).ends_with("\r\n\r\n{\"amount\": 1000, \"to\": \"x\"}"),
        "{}",
        reached(&target)
    );
}

#[test]
fn a070_a071_a_body_that_is_not_read_is_not_taken_for_a_small_payment() {
    let target = target();
    let shape = Shape {
        rules: PAYMENTS.to_owned(),
        listener: "inspect_body = 4096".to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let small = br#"{"amount": 1}"#;
    // What a target might take for JSON all the same.
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/yaml", "application/jsonx", "x"]
    {
        assert_eq!(pay(&front, &format!("Content-Type: {media_type}\r\n"), small), 403, "{media_type}");
    }
    assert_eq!(pay(&front, "", small), 403);
    for coding in ["gzip", "br", "x-gzip", "identity, gzip"] {
        let headers = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
        assert_eq!(pay(&front, &headers, small), 415, "{coding}");
    }
    let padded = |bytes: usize| {
        let rest = bytes - r#"{"amount": 1, "x": ""}"#.len();
        format!("{{\"amount\": 1, \"x\": \"{}\"}}", "a".repeat(rest))
    };
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    assert_eq!(pay(&front, json, padded(4097).as_bytes()), 413);
    assert_eq!(pay(&front, "Content-Type: application/json; charset=utf-16\r\n", "{\0}\0".as_bytes()), 415);
    assert_eq!(pay(&front, "Content-Type: application/json; charset=utf-7\r\n", small), 415);
    assert_eq!(reached(&target), "");
    assert_eq!(pay(&front, json, padded(4096).as_bytes()), 200);
    assert_eq!(pay(&front, json, padded(4095).as_bytes()), 200);
}
