//! The head of an HTTP request, which anybody can send before they have proved who they are.
//!
//! An input is a head: a line of method, path and version, then headers. What the `http` crate does not take does not
//! get further than the wire, and is no input.

use std::sync::LazyLock;

use gatewright_http::{
    authority,
    headers::{HeaderRules, TokenHeader},
    path, query,
    request::{self, Scheme},
    unit::Body,
};
use http::{HeaderName, HeaderValue, Request, Version, header::HOST, request::Parts};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target = Target { name: "http", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: no head panics; the form of a path, a query and a host is its own form; what is in a good path and query
/// is only what servers read alike; and no header is kept that a careless server could take for one of the gateway's.
fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let line = text.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (_, address) = (words.next(), words.next().unwrap_or_default());
    let (given, asked) = address.split_once('?').unwrap_or((address, ""));
    check_path(given);
    check_query(asked);
    if let Ok(host) = authority::canonical(given) {
        assert_eq!(authority::canonical(&host).as_ref(), Ok(&host), "the form of the host {given:?}");
    }
    let Some(parts) = parts(&text) else { return };
    for body in [Body::None, Body::Follows] {
        let _ = request::read(&parts, body, &RULES, Scheme::Https);
    }
    if let Ok(kept) = RULES.read(&parts.headers, parts.version) {
        for (name, value) in &kept.headers {
            let careless = name.as_str().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
            let ours =
                ["x-badge", "x-real-ip", "authorization", "remote-user", "connection", "transfer-encoding"];
            let ours = ours.contains(&careless.as_str())
                || careless.starts_with("x-forwarded-")
                || careless.starts_with("impersonate-");
            assert!(!ours, "kept {name}");
            assert!(
                value.as_bytes().iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
                "a value of {name}"
            );
        }
        assert_eq!(kept.headers.len(), kept.listed.len(), "what is judged is what is sent");
    }
}

fn check_path(given: &str) {
    let Ok(form) = path::canonical(given) else { return };
    assert_eq!(path::canonical(&form).as_ref(), Ok(&form), "the form of the path {given:?}");
    assert!(!form.contains("//") && !form.contains("/../") && !form.contains("/./"), "{given:?}: {form}");
    let upper = form.to_ascii_uppercase();
    for word in ["%2F", "%5C", "%00", "%3B", "%2E", ";", "\\", "+"] {
        assert!(!upper.contains(word), "{given:?}: {form}");
    }
}

fn check_query(given: &str) {
    let Ok(read) = query::canonical(given) else { return };
    assert_eq!(query::canonical(&read.text).as_ref(), Ok(&read), "the form of the query {given:?}");
    // As the simplest of all readers splits it.
    let split = read.text.split('&').filter(|piece| !piece.is_empty()).count();
    assert_eq!(split, read.pairs.len(), "{given:?}: {}", read.text);
    assert!(!read.text.contains([';', '+', '#', ' ', '\'', '"']), "{given:?}: {}", read.text);
}

/// A head as hyper would give it, or none.
fn parts(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (method, address, version) = (words.next()?, words.next()?, words.next()?);
    let version = if version.ends_with('2') { Version::HTTP_2 } else { Version::HTTP_11 };
    let request = Request::builder().method(method).uri(address).version(version).body(()).ok()?;
    let (mut parts, ()) = request.into_parts();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    parts.headers.entry(HOST).or_insert(HeaderValue::from_static("api.example"));
    Some(parts)
}

static RULES: LazyLock<HeaderRules> =
    LazyLock::new(|| HeaderRules::new(TokenHeader::Authorization, [HeaderName::from_static("x-badge")]));

fn seeds() -> Vec<Vec<u8>> {
    [
        "GET /v1/items/%7Ea%2bb?x=%61+%2B&y HTTP/1.1\nhost: api.example:443\nauthorization: Bearer a.b-c_d==\naccept: */*",
        "POST https://api.example/a/b.c/ HTTP/1.1\ncontent-length: 5\nconnection: keep-alive, te\nte: trailers\nx_a: 1",
        "DELETE /%c3%bc/a%20b?q=a%3Bb%26c&q=2 HTTP/2\ncookie: a=1\ncookie: b=2\nx-forwarded-for: 10.0.0.1",
        "PUT /v1/x HTTP/1.1\ntransfer-encoding: chunked\nexpect: 100-continue\ncontent-type: application/json",
        "GET [::1]:80 HTTP/1.1\nupgrade: websocket\nconnection: upgrade",
        "GET 127.0.0.1:8080 HTTP/1.1\nimpersonate-user: x\nx-badge: 1\nremote_user: root",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

const WORDS: &[&[u8]] = &[
    b"%2f",
    b"%2e%2e",
    b"/../",
    b"/./",
    b"//",
    b"%25",
    b"2e",
    b"%00",
    b";a=b",
    b"\\",
    b"%5c",
    b"%c0%af",
    b"\xef\xbc\x8f",
    b"%e2%80%ae",
    b"+",
    b"&",
    b"=",
    b"?",
    b"#",
    b"%3b",
    b"%zz",
    b"\nx_forwarded_for: 1",
    b"\nX-Real_IP: 1",
    b"\nx.badge: 1",
    b"\nconnection: x-badge",
    b"\ncontent-length: +5",
    b"\ntransfer-encoding: xchunked",
    b"\nhost: a.",
    b"\n",
    b": ",
    b"\xff",
    b"0x7f",
    b"1.2",
    b":0",
    b"@",
];
