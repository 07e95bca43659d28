//! Rows A59, A61, A74 and A78: bodies that are too large to be judged, and what targets answer.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gatewright_e2e::{
    Certificates, FakeUpstream, Front, Stage, h2,
    http::{self, Shape},
    tls,
    wire::Client,
};

fn reached(target: &FakeUpstream) -> String {
    target.received().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

fn get(front: &Front, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head())
}

#[test]
fn a059_a_body_that_is_too_large_to_be_judged_is_refused_and_never_skipped() {
    let target = FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap();
    let limit = 4096;
    let shape = Shape { listener: format!("inspect_body = {limit}"), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let head = format!("POST /x HTTP/1.1\r\n{}Content-Type: application/json\r\n", front.head());
    // A string of so many bytes in all, with its quotes.
    let json = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
    let announced = |bytes: usize| format!("{head}Content-Length: {bytes}\r\n\r\n{}", json(bytes));
    let chunked = |bytes: usize| {
        let text = json(bytes);
        let (one, two) = text.split_at(bytes / 2);
        let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    assert_eq!(front.ask(&announced(limit)).unwrap().status, 200);
    assert_eq!(front.ask(&chunked(limit)).unwrap().status, 200);
    let before = reached(&target);
    assert_eq!(before.matches("POST /x").count(), 2);
    for attack in [announced(limit + 1), chunked(limit + 1), announced(4 * limit), chunked(4 * limit)] {
        let reply = front.ask(&attack).unwrap();
        assert_eq!(reply.status, 413, "{}", reply.head);
        assert!(reply.body.contains("http.body_limit"), "{}", reply.body);
    }
    // HTTP/2 says no length, and has no chunks either.
    let token = format!("Bearer {}", front.token());
    let block = h2::block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/x"),
        ("authorization", &token),
        ("content-type", "application/json"),
    ]);
    for (bytes, status) in [(limit, 200), (limit + 1, 413)] {
        let client = Client::connect(front.port()).unwrap();
        let mut client = client.start_tls(&front.gateway.authority(), &[b"h2"]).unwrap();
        h2::begin(&mut client).unwrap();
        client.send(&h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &block)).unwrap();
        client.send(&h2::frame(h2::DATA, h2::END_STREAM, 1, json(bytes).as_bytes())).unwrap();
        let frames = h2::until(&mut client, |frame| frame.kind == h2::HEADERS).unwrap();
        assert_eq!(frames.last().and_then(h2::status), Some(status), "{bytes} bytes");
    }
    assert_eq!(reached(&target).matches("POST /x").count(), 3, "two over HTTP/1.1 and one over HTTP/2");
}

#[test]
fn a061_a078_a_redirect_is_passed_on_and_not_followed() {
    let elsewhere = FakeUpstream::start(|peer| http::serve(peer, "PLANTED")).unwrap();
    let port = elsewhere.port();
    let target = FakeUpstream::start(move |peer| {
        while let Some(head) = http::request(peer)? {
            http::body(peer, &head)?;
            let status = head.split(['/', ' ']).nth(2).unwrap_or("307").to_owned();
            write!(
                peer,
                "HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:{port}/stolen\r\nContent-Length: 0\r\n\r\n"
            )?;
            peer.flush()?;
        }
        Ok(())
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    for status in [301, 302, 303, 307, 308] {
        let post = format!("POST /{status} HTTP/1.1\r\n{}Content-Length: 2\r\n\r\nhi", front.head());
        let reply = front.ask(&post).unwrap();
        assert_eq!(reply.status, status, "{}", reply.head);
        assert!(reply.head.contains(&format!("http://127.0.0.1:{port}/stolen")), "{}", reply.head);
        assert!(!reply.head.contains("secret-of-api"), "{}", reply.head);
    }
    assert_eq!(elsewhere.received().len(), 0);
}

#[test]
fn a061_a_target_that_is_not_who_it_should_be_gets_nothing() {
    let stage = Stage::new("targets").unwrap();
    let (own, other) =
        (Certificates::new(&stage, "own").unwrap(), Certificates::new(&stage, "other").unwrap());
    let verified = |name: &str, authority: &Certificates| {
        let authority = authority.authority();
        format!("tls = {{ ca = \"{}\", server_name = \"{name}\" }}", authority.display())
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let config = tls::server(&own.server("server").unwrap()).unwrap();
    let target = FakeUpstream::start_tls(config, {
        let asked = Arc::clone(&asked);
        move |peer| {
            let mut first = [0];
            peer.read_exact(&mut first)?;
            asked.fetch_add(1, Ordering::Relaxed);
            http::request(peer)?;
            write!(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
    })
    .unwrap();
    for (tls, status) in [
        (verified("localhost", &own), 200),
        // The certificate of another authority, and one of another name: two clusters that were swapped.
        (verified("localhost", &other), 502),
        (verified("other.example", &own), 502),
    ] {
        asked.store(0, Ordering::Relaxed);
        let front = Front::with_tls(&[("api", target.port())], &Shape::default(), &tls).unwrap();
        let reply = front.ask(&get(&front, "/x")).unwrap();
        assert_eq!(reply.status, status, "{tls}: {}", reply.head);
        let good = reply.body == "ok" || reply.body.contains("upstream.unreachable");
        assert!(good, "{}", reply.body);
        assert_eq!(asked.load(Ordering::Relaxed), usize::from(status == 200), "{tls}");
    }
}

#[test]
fn a_client_certificate_is_shown_to_the_target_that_wants_one() {
    let stage = Stage::new("targets").unwrap();
    let certificates = Certificates::new(&stage, "own").unwrap();
    let pair = certificates.server("server").unwrap();
    let client = certificates.client("gateway").unwrap();
    let config = tls::mutual(&pair, &certificates.authority()).unwrap();
    let target = FakeUpstream::start_tls(config, |peer| http::serve(peer, "ok")).unwrap();
    let ca = format!("ca = \"{}\", server_name = \"localhost\"", certificates.authority().display());
    let shown = format!(
        "client_certificate = \"{}\", client_key = \"{}\"",
        client.certificate.display(),
        client.key.display()
    );
    for (tls, status) in [(format!("tls = {{ {ca}, {shown} }}"), 200), (format!("tls = {{ {ca} }}"), 502)] {
        let front = Front::with_tls(&[("api", target.port())], &Shape::default(), &tls).unwrap();
        for _ in 0..3 {
            let reply = front.ask(&get(&front, "/x")).unwrap();
            assert_eq!(reply.status, status, "{tls}: {} {}", reply.head, reply.body);
        }
    }
}

#[test]
fn a074_what_is_beside_an_answer_stays_behind_and_half_of_one_is_none() {
    let target = FakeUpstream::start(|peer| {
        while let Some(head) = http::request(peer)? {
            match head.split(' ').nth(1).unwrap_or_default() {
                "/trailers" => peer.write_all(
                    b"HTTP/1.1 200 OK\r\nTrailer: X-Policy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Policy: allow\r\nSet-Cookie: a=b\r\n\r\n",
                )?,
                "/early" => peer.write_all(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                )?,
                "/until-close" => {
                    peer.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")?;
                    return Ok(());
                }
                "/old" => {
                    peer.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf")?;
                    return Ok(());
                }
                "/two-lengths" => {
                    peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nokok")?;
                    return Ok(());
                }
                "/coded" => {
                    peer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhalf")?;
                    return Ok(());
                }
                "/status" => peer.write_all(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n")?,
                "/garbage" => {
                    peer.write_all(b"\0\x01\x02 no HTTP\r\n\r\n")?;
                    return Ok(());
                }
                _ => peer.write_all(
                    b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nKeep-Alive: 5\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
                )?,
            }
            peer.flush()?;
        }
        peer.read_to_end(&mut Vec::new()).map(drop)
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    let ask = |path: &str| front.ask(&get(&front, path)).unwrap();
    let trailers = ask("/trailers");
    assert_eq!((trailers.status, trailers.body.as_str(), trailers.whole), (200, "ok", true));
    let early = ask("/early");
    assert_eq!((early.status, early.body.as_str()), (200, "ok"), "{}", early.head);
    let plain = ask("/plain");
    for name in ["alt-svc", "keep-alive", "x-hop", "proxy-authenticate"] {
        assert_eq!(http::field(&plain.head, name), None, "{}", plain.head);
    }
    for path in ["/until-close", "/old", "/two-lengths", "/coded", "/status", "/garbage"] {
        let reply = ask(path);
        assert_eq!(reply.status, 502, "{path}: {}", reply.head);
        assert!(!reply.body.contains("half"), "{path}: {}", reply.body);
    }
    // On one connection, so that whatever stays on it would be seen.
    let mut client = front.connect().unwrap();
    for _ in 0..3 {
        client.send(get(&front, "/trailers").as_bytes()).unwrap();
        let reply = http::reply(&mut client, false).unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.whole), (200, "ok", true));
        assert!(!reply.head.to_lowercase().contains("trailer"), "{}", reply.head);
    }
}
