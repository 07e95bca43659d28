//! Rows A63, A65, A67, A68 and A78: requests that two programs could read in two ways, as bytes.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{
    FakeUpstream, Front, h2,
    http::{self, Shape},
    wire::Client,
};

fn target() -> FakeUpstream {
    FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap()
}

/// Everything that reached the target, as text.
fn reached(target: &FakeUpstream) -> String {
    target.received().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// Requests that reached the target.
fn count(target: &FakeUpstream) -> usize {
    reached(target).matches(" HTTP/1.1\r\n").count()
}

/// What is behind a message whose end two programs see in two places.
const SECOND: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a063_a_message_whose_end_is_in_doubt_ends_its_connection() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "Content-Length: 4, 5\r\n\r\nabcd",
        "Content-Length: +4\r\n\r\nabcd",
        "Content-Length: -4\r\n\r\nabcd",
        "Content-Length: 0x4\r\n\r\nabcd",
        "Content-Length: 4 4\r\n\r\nabcd",
        "Content-Length: 18446744073709551616\r\n\r\nabcd",
        "Content-Length : 4\r\n\r\nabcd",
        "Content-Length\t: 4\r\n\r\nabcd",
        "Content-Length:\x0b4\r\n\r\nabcd",
        "X: a\r\n b\r\nContent-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: xchunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding:\x0bchunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\nabcd\n0\n\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nabcdX\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nabcd\r\n0\r\n\r\n",
        "\0: x\r\n\r\n",
        "Content_Length: 4\r\n\r\nabcd",
        ": x\r\n\r\n",
    ] {
        let attack = format!("POST /x HTTP/1.1\r\n{}{framing}{SECOND}", front.head());
        let mut client = front.connect().unwrap();
        client.send(attack.as_bytes()).unwrap();
        if let Ok(reply) = http::reply(&mut client, false) {
            assert!([400, 501, 502].contains(&reply.status), "{framing:?}: {}", reply.head);
        }
        let rest = client.until_closed();
        let rest = rest.unwrap_or_else(|error| panic!("{framing:?}: {error}"));
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains("HTTP/1.1 2"), "{framing:?}: {rest}");
        assert!(!reached(&target).contains("smuggled"), "{framing:?}: {}", reached(&target));
    }
    // A body that turned out to be none may have begun; it was never ended.
    assert!(!reached(&target).contains("0\r\n\r\n"), "{}", reached(&target));
}

#[test]
fn a063_old_versions_and_bare_line_feeds_say_nothing_new() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    for attack in [
        format!("POST /x HTTP/1.0\r\n{}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SECOND}", front.head()),
        format!("GET /x HTTP/0.9\r\n{}\r\n", front.head()),
        format!("GET /x HTTP/3.0\r\n{}\r\n", front.head()),
        format!("GET /x\r\n{}\r\n", front.head()),
        format!("GET  /x HTTP/1.1\r\n{}\r\n", front.head()),
        format!("GET /x y HTTP/1.1\r\n{}\r\n", front.head()),
        format!("GET\t/x\tHTTP/1.1\r\n{}\r\n", front.head()),
        format!("\0GET /x HTTP/1.1\r\n{}\r\n", front.head()),
    ] {
        let mut client = front.connect().unwrap();
        client.send(attack.as_bytes()).unwrap();
        if let Ok(reply) = http::reply(&mut client, false) {
            assert_eq!(reply.status, 400, "{attack:?}: {}", reply.head);
        }
        assert!(!String::from_utf8_lossy(&client.until_closed().unwrap()).contains("HTTP/1.1 2"));
        assert_eq!(reached(&target), "", "{attack:?}");
    }
    // Lines that end with LF alone: some programs read them, and some do not.
    for attack in [
        format!("GET /x HTTP/1.1\n{}\n", front.head().replace("\r\n", "\n")),
        format!("GET /x HTTP/1.1\r\n{}X: y\n\r\n", front.head()),
        format!("GET /x HTTP/1.1\r\n{}\n", front.head()),
    ] {
        assert_eq!(front.ask(&attack).unwrap().status, 400, "{attack:?}");
        assert_eq!(reached(&target), "", "{attack:?}");
    }
}

/// What is said twice about one's own identity, in every spelling that some server takes for another.
#[test]
fn a067_identity_is_the_gateways_to_say_in_every_spelling() {
    let target = target();
    let shape = Shape { listener: "identity_headers = [\"X-Badge\"]".to_owned(), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    for name in [
        "X-Badge",
        "x-badge",
        "X-BADGE",
        "X-Forwarded-For",
        "X-Forwarded-User",
        "X-Remote-User",
        "Forwarded",
    ] {
        let request = format!("GET /x HTTP/1.1\r\n{}{name}: mallory-{name}\r\n\r\n", front.head());
        assert_eq!(front.ask(&request).unwrap().status, 200, "{name}");
    }
    assert!(!reached(&target).contains("mallory"), "{}", reached(&target));
    assert_eq!(reached(&target).matches("x-forwarded-for: 127.0.0.1\r\n").count(), 7);
    let before = count(&target);
    for line in [
        "X_Badge: m",
        "X.Badge: m",
        "X-Badge : m",
        "X_Forwarded_For: m",
        "X-Badge\0: m",
        "X-Badge\u{2010}: m",
        "X: \u{e9}",
        "X: a\0b",
        "X: a\rb",
        "Authorization: Bearer other",
        "Impersonate-User: admin",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /admin",
    ] {
        let request = format!("GET /x HTTP/1.1\r\n{}{line}\r\n\r\n", front.head());
        match front.ask(&request) {
            Ok(reply) => assert_eq!(reply.status, 400, "{line:?}: {}", reply.head),
            Err(error) => assert!(!error.to_string().contains("nothing came"), "{line:?}: {error}"),
        }
    }
    let many = "X-Many: 1\r\n".repeat(101);
    let large = format!("X-Large: {}\r\n", "a".repeat(40_000));
    for headers in [many, large] {
        let reply = front.ask(&format!("GET /x HTTP/1.1\r\n{}{headers}\r\n", front.head())).unwrap();
        assert!([400, 431].contains(&reply.status), "{}", reply.head);
    }
    assert_eq!(count(&target), before, "{}", reached(&target));
}

#[test]
fn a067_a_token_header_of_ones_own_and_a_targets_key_do_not_mix() {
    let target = target();
    let shape = Shape {
        listener: "token_header = \"X-Token\"".to_owned(),
        target: "credential = \"header\"\ncredential_header = \"X-Api-Key\"".to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let ask =
        |headers: &str| front.ask(&format!("GET /x HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).unwrap();
    let token = front.token();
    let reply = ask(&format!("X-Token: {token}\r\nX-Api-Key: stolen\r\nAuthorization: Basic stolen\r\n"));
    assert_eq!(reply.status, 200, "{}", reply.head);
    let seen = reached(&target);
    assert!(seen.contains("x-api-key: secret-of-api\r\n"), "{seen}");
    assert!(!seen.contains("stolen") && !seen.contains(token), "{seen}");
    assert_eq!(ask(&format!("Authorization: Bearer {token}\r\n")).status, 401, "the wrong header");
    for twice in ["X-Token: x", "X_Token: x"] {
        assert_eq!(ask(&format!("X-Token: {token}\r\n{twice}\r\n")).status, 400, "{twice}");
    }
    assert_eq!(count(&target), 1);
}

#[test]
fn a068_connection_takes_out_nothing_that_counts() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    for name in [
        "Authorization",
        "Host",
        "Content-Length",
        "X-Forwarded-For",
        "Cookie",
        "X-Api-Key",
        "transfer-encoding",
    ] {
        for value in
            [name.to_owned(), format!("close, {name}"), format!("keep-alive,{}", name.to_lowercase())]
        {
            let request =
                format!("GET /x HTTP/1.1\r\n{}Cookie: a=b\r\nConnection: {value}\r\n\r\n", front.head());
            let reply = front.ask(&request).unwrap();
            assert_eq!(reply.status, 400, "{value}: {}", reply.head);
            assert!(reply.body.contains("http.hopbyhop"), "{}", reply.body);
        }
    }
    assert_eq!(reached(&target), "");
}

#[test]
fn a078_one_host_or_none() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let token = front.token();
    for (line, hosts) in [
        ("GET https://other/x HTTP/1.1", "Host: localhost\r\n"),
        ("GET http://localhost/x HTTP/1.1", "Host: localhost\r\n"),
        ("GET https://user@localhost/x HTTP/1.1", "Host: localhost\r\n"),
        ("GET /x HTTP/1.1", "Host: localhost\r\nHost: other\r\n"),
        ("GET /x HTTP/1.1", ""),
        ("GET /x HTTP/1.1", "Host: \r\n"),
        ("GET /x HTTP/1.1", "Host: a@b\r\n"),
        ("GET /x HTTP/1.1", "Host: 127.1\r\n"),
        ("GET //other/x HTTP/1.1", "Host: localhost\r\n"),
        ("CONNECT other:443 HTTP/1.1", "Host: localhost\r\n"),
        ("TRACE /x HTTP/1.1", "Host: localhost\r\n"),
    ] {
        let request = format!("{line}\r\n{hosts}Authorization: Bearer {token}\r\n\r\n");
        let reply = front.ask(&request).unwrap();
        assert!([400, 501].contains(&reply.status), "{line} {hosts:?}: {}", reply.head);
        assert_eq!(reached(&target), "", "{line} {hosts:?}");
    }
}

/// Opens HTTP/2 and asks one thing on stream 1. The status that came, or none where the stream or the connection was ended.
fn ask_h2(front: &Front, headers: &[(&str, &str)]) -> Option<u16> {
    let mut client = Client::connect(front.port()).unwrap();
    client = client.start_tls(&front.gateway.authority(), &[b"h2"]).unwrap();
    h2::begin(&mut client).unwrap();
    h2::acknowledge(&mut client).unwrap();
    let block = h2::block(headers);
    client.send(&h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &block)).unwrap();
    let ended = [h2::HEADERS, h2::RST_STREAM, h2::GOAWAY];
    let frames = h2::until(&mut client, |frame| ended.contains(&frame.kind)).unwrap_or_default();
    frames.last().filter(|frame| frame.kind == h2::HEADERS).and_then(h2::status)
}

#[test]
fn a065_what_http_2_can_say_and_http_1_can_not_is_refused() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let token = format!("Bearer {}", front.token());
    let own = |name: &'static str| match name {
        ":method" => "GET",
        ":scheme" => "https",
        ":authority" => "localhost",
        _ => "/x",
    };
    let ask = |changed: &[(&'static str, &str)], more: &[(&str, &str)]| {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for name in [":method", ":scheme", ":authority", ":path"] {
            let change = changed.iter().find(|(own, _)| *own == name);
            headers.push((name, change.map_or_else(|| own(name), |(_, value)| value)));
        }
        headers.push(("authorization", &token));
        headers.extend(more);
        ask_h2(&front, &headers)
    };
    for (name, value) in [
        (":method", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
        (":method", "GET /x"),
        (":method", ""),
        (":method", "get"),
        (":method", "CONNECT"),
        (":path", "x"),
        (":path", ""),
        (":path", "*"),
        (":path", "/x HTTP/1.1\r\nHost: other\r\n\r\nGET /smuggled"),
        (":path", "/x y"),
        (":path", "/x\0"),
        (":path", "//other/x"),
        (":path", "/a/../x"),
        (":path", "http://other/x"),
        (":scheme", "http"),
        (":scheme", "https://other/?"),
        (":authority", "other\r\nX: y"),
        (":authority", "user@localhost"),
        (":authority", ""),
    ] {
        let status = ask(&[(name, value)], &[]);
        assert!(matches!(status, None | Some(400 | 501)), "{name}: {value:?}: {status:?}");
        assert_eq!(reached(&target), "", "{name}: {value:?}");
    }
    for (name, value) in [
        ("host", "other"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "timeout=1"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("content-length", "5"),
        ("content-length", "+0"),
        ("X-Upper", "case"),
        ("x name", "with a blank"),
        ("x\r\nsmuggled", "y"),
        ("x:y", "z"),
        ("x-value", "a\r\nsmuggled: y"),
        ("x-value", "a\nb"),
        ("x-value", "a\0b"),
        ("x-value", " led by a blank"),
        ("x_user", "admin"),
        (":path", "/twice"),
        (":unknown", "pseudo"),
        (":protocol", "websocket"),
        ("", "no name"),
    ] {
        let status = ask(&[], &[(name, value)]);
        assert!(matches!(status, None | Some(400 | 501)), "{name:?}: {value:?}: {status:?}");
        assert_eq!(reached(&target), "", "{name:?}: {value:?}");
    }
    // RFC 8441 is not offered, so it can not be asked for.
    assert!(matches!(ask(&[(":method", "CONNECT")], &[(":protocol", "websocket")]), None | Some(501)));
    assert_eq!(reached(&target), "");
    assert_eq!(ask(&[], &[("cookie", "a=b"), ("cookie", "c=d")]), Some(200));
    let seen = reached(&target);
    assert!(seen.starts_with("GET /x HTTP/1.1\r\n") && seen.contains("\r\ncookie: a=b; c=d\r\n"), "{seen}");
}
