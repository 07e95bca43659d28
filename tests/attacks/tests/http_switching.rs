//! Rows A51 and A66: connections of HTTP that are switched to another protocol, or are not.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Read as _, Write as _};

use gatewright_e2e::{
    FakeUpstream, Front, eventually,
    http::{self, Reply},
    wire,
};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";

/// What must not reach a target: a frame, or a request of somebody who was refused.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn upgrade(front: &Front) -> String {
    format!("GET /socket HTTP/1.1\r\n{}{WEBSOCKET}\r\n", front.head())
}

/// What a target got, as text, connection by connection.
fn seen(target: &FakeUpstream) -> Vec<String> {
    target.received().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// Sends a request to switch with more behind it, then even more after the answer; gives the answer.
fn refused(front: &Front) -> Reply {
    let mut client = front.connect().unwrap();
    client.send(format!("{}{SMUGGLED}", upgrade(front)).as_bytes()).unwrap();
    let reply = http::reply(&mut client, false).unwrap();
    let _ = client.send(SMUGGLED.as_bytes());
    let rest = client.until_closed().unwrap();
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    reply
}

#[test]
fn a051_an_upgrade_that_the_target_refuses_leaves_no_pipe_behind() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    ] {
        let target = FakeUpstream::start(move |peer| {
            http::request(peer)?;
            peer.write_all(answer.as_bytes())?;
            peer.read_to_end(&mut Vec::new()).map(drop)
        })
        .unwrap();
        let front = Front::of(target.port()).unwrap();
        let reply = refused(&front);
        assert_eq!(reply.status.to_string(), answer[9..12], "{}", reply.head);
        assert_eq!(http::field(&reply.head, "connection"), Some("close"), "{}", reply.head);
        let seen = seen(&target);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].starts_with("GET /socket HTTP/1.1\r\n"), "{seen:?}");
        assert!(seen[0].ends_with("\r\n\r\n") && !seen[0].contains("smuggled"), "{seen:?}");
    }
}

#[test]
fn a051_a_switch_to_what_nobody_asked_for_is_no_switch() {
    for head in [
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "Connection: Upgrade\r\n",
        "",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ] {
        let target = FakeUpstream::start(move |peer| {
            http::request(peer)?;
            write!(peer, "HTTP/1.1 101 Switching Protocols\r\n{head}\r\nRAW")?;
            peer.read_to_end(&mut Vec::new()).map(drop)
        })
        .unwrap();
        let front = Front::of(target.port()).unwrap();
        let reply = refused(&front);
        assert_eq!(reply.status, 502, "{head:?}: {}", reply.head);
        assert!(reply.body.contains("upstream.upgrade") && !reply.body.contains("RAW"), "{}", reply.body);
        assert!(!seen(&target)[0].contains("smuggled"), "{:?}", seen(&target));
    }
}

/// The gateway's own refusals: a policy that blocks, a token that is none.
#[test]
fn a051_an_upgrade_that_the_gateway_refuses_reaches_nobody() {
    let target = FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap();
    let shape = http::Shape {
        rules: "[[settings.rules]]\nname = \"other\"\nmethods = [\"POST\"]\npaths = [\"/**\"]\ndecision = \"allow\"\n"
            .to_owned(),
        ..http::Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let reply = refused(&front);
    assert_eq!(reply.status, 403, "{}", reply.head);
    assert_eq!(http::field(&reply.head, "connection"), Some("close"), "{}", reply.head);
    let stranger = format!("GET /socket HTTP/1.1\r\nHost: localhost\r\n{WEBSOCKET}\r\n{SMUGGLED}");
    let mut client = front.connect().unwrap();
    client.send(stranger.as_bytes()).unwrap();
    assert_eq!(http::reply(&mut client, false).unwrap().status, 401);
    assert!(client.until_closed().unwrap().is_empty());
    assert!(seen(&target).is_empty(), "{:?}", seen(&target));
}

#[test]
fn a066_what_a_client_sends_before_the_switch_waits_for_it() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let target = FakeUpstream::start(move |peer| {
        http::request(peer)?;
        let _ = gone.lock().unwrap().recv();
        peer.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05first",
        )?;
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest)?;
        // The client has ended its side; this one goes on.
        peer.write_all(b"\x81\x04last")
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    let mut client = front.connect().unwrap();
    client.send(&[upgrade(&front).as_bytes(), b"\x81\x85\0\0\0\0early"].concat()).unwrap();
    eventually("the request reaches the target", || {
        seen(&target).first().is_some_and(|seen| !seen.is_empty())
    });
    eventually("its head is there", || seen(&target)[0].ends_with("\r\n\r\n"));
    assert!(
        !seen(&target)[0].contains("early") && !seen(&target)[0].contains("xtensions"),
        "{:?}",
        seen(&target)
    );
    go.send(()).unwrap();
    let reply = http::reply(&mut client, false).unwrap();
    assert_eq!(
        (reply.status, http::field(&reply.head, "upgrade")),
        (101, Some("websocket")),
        "{}",
        reply.head
    );
    assert_eq!(client.bytes(7).unwrap(), b"\x81\x05first");
    client.send(b"\x81\x88\0\0\0\0and late").unwrap();
    eventually("what was sent early and late arrives, in order", || {
        let seen = seen(&target)[0].clone();
        seen.find("early").is_some_and(|early| early < seen.find("and late").unwrap_or_default())
    });
    client.end().unwrap();
    assert_eq!(client.until_closed().unwrap(), b"\x81\x04last");
    let decisions = front.evidence().unwrap();
    assert_eq!(decisions.of("decision").len(), 1);
    eventually("the outcome is recorded", || {
        let evidence = front.evidence().unwrap();
        evidence.of("outcome").first().is_some_and(|outcome| outcome["result"] == "ok")
    });
}

#[test]
fn a066_http_2_in_the_clear_is_no_way_in() {
    let target = FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap();
    let front = Front::of(target.port()).unwrap();
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let reply = front.ask(&format!("GET / HTTP/1.1\r\n{}{h2c}\r\n", front.head())).unwrap();
    assert_eq!(reply.status, 501, "{}", reply.head);
    let body = format!("POST / HTTP/1.1\r\n{}{WEBSOCKET}Content-Length: 3\r\n\r\nabc", front.head());
    assert_eq!(front.ask(&body).unwrap().status, 400);
    // Prior knowledge, where TLS has agreed on HTTP/1.1.
    let mut client = front.connect().unwrap();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let answer = client.until_closed().unwrap();
    assert!(!answer.windows(5).any(|window| window == b"\0\0\0\x04\0"), "no SETTINGS: {answer:?}");
    // Nor where there is no TLS at all.
    let mut client = wire::Client::connect(front.port()).unwrap();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    assert!(client.until_closed().unwrap().is_empty());
    assert!(seen(&target).is_empty(), "{:?}", seen(&target));
}
