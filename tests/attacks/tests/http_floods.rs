//! Rows A76, A77, F20 and F23: clients that want more than their share.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::{
    FakeUpstream, Front, eventually, h2,
    http::{self, Shape},
    wire::Client,
};

fn target() -> FakeUpstream {
    FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap()
}

fn get(front: &Front, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head())
}

fn connect_h2(front: &Front) -> Client {
    let client = Client::connect(front.port()).unwrap();
    let mut client = client.start_tls(&front.gateway.authority(), &[b"h2"]).unwrap();
    h2::begin(&mut client).unwrap();
    client
}

fn block(front: &Front, path: &str) -> Vec<u8> {
    let token = format!("Bearer {}", front.token());
    h2::block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
        ("authorization", &token),
    ])
}

/// Sends frames, many at a time, until the gateway ends the connection. Does it?
fn is_ended(mut client: Client, frames: impl Fn(u32) -> Vec<u8>, most: u32) -> bool {
    for number in 0..most / 100 {
        let some: Vec<u8> = (0..100).flat_map(|part| frames(number * 100 + part)).collect();
        if client.send(&some).is_err() {
            return true;
        }
    }
    client.until_closed().is_ok()
}

/// The memory that the gateway has, in KiB.
fn memory(front: &Front) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", front.gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a076_streams_that_are_opened_only_to_be_reset_end_the_connection() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let block = block(&front, "/x");
    let ended = is_ended(
        connect_h2(&front),
        |number| {
            let stream = number * 2 + 1;
            let mut frames = h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, stream, &block);
            frames.extend(h2::frame(h2::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            frames
        },
        20_000,
    );
    assert!(ended, "the connection goes on");
    // Others go on, and what was asked for was bounded.
    assert_eq!(front.ask(&get(&front, "/after")).unwrap().status, 200);
    assert!(target.received().len() < 10_000, "{}", target.received().len());
}

#[test]
fn a076_resets_that_the_gateway_is_made_to_send_end_the_connection() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let block = block(&front, "/x");
    let ended = is_ended(
        connect_h2(&front),
        |number| {
            // A window that overflows: the gateway has to reset the stream (MadeYouReset).
            let stream = number * 2 + 1;
            let mut frames = h2::frame(h2::HEADERS, h2::END_HEADERS, stream, &block);
            frames.extend(h2::frame(h2::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]));
            frames
        },
        20_000,
    );
    assert!(ended, "the connection goes on");
    assert_eq!(front.ask(&get(&front, "/after")).unwrap().status, 200);
}

#[test]
fn a076_headers_without_an_end_end_the_connection() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let before = memory(&front);
    let start = block(&front, "/x");
    let ended = is_ended(
        connect_h2(&front),
        |number| {
            if number == 0 {
                return h2::frame(h2::HEADERS, 0, 1, &start);
            }
            let more = h2::block(&[("x-more", &"a".repeat(16_000))]);
            h2::frame(h2::CONTINUATION, 0, 1, &more)
        },
        5_000,
    );
    assert!(ended, "the connection goes on");
    let grown = memory(&front).saturating_sub(before);
    assert!(grown < 32 << 10, "it took {grown} KiB");
    assert_eq!(front.ask(&get(&front, "/after")).unwrap().status, 200);
    assert!(!target.received().concat().windows(2).any(|window| window == b"/x"), "it was never whole");
}

#[test]
fn a076_frames_that_mean_nothing_take_no_memory_and_nobodys_place() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let before = memory(&front);
    let block = block(&front, "/x");
    let mut flooded = Vec::new();
    for kind in [h2::PING, h2::SETTINGS, h2::DATA, h2::WINDOW_UPDATE] {
        let mut client = connect_h2(&front);
        let open = h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &block);
        client.send(&open).unwrap();
        let one = match kind {
            h2::PING => h2::frame(kind, 0, 0, &[0; 8]),
            h2::SETTINGS => h2::frame(kind, 0, 0, &[0, 3, 0, 0, 0, 100]),
            h2::DATA => h2::frame(kind, 0, 1, &[]),
            _ => h2::frame(kind, 0, 0, &[0, 0, 0, 1]),
        };
        let many = one.repeat(1_000);
        // Nobody reads the answers: where the gateway waits for that, so does this.
        flooded.push(thread::spawn(move || {
            for _ in 0..100 {
                if client.send(&many).is_err() {
                    break;
                }
            }
            client
        }));
    }
    for _ in 0..20 {
        assert_eq!(front.ask(&get(&front, "/beside")).unwrap().status, 200);
    }
    let grown = memory(&front).saturating_sub(before);
    assert!(grown < 32 << 10, "it took {grown} KiB");
    drop(flooded);
}

#[test]
fn a076_a_stream_that_is_held_keeps_nothing_from_its_neighbours() {
    let target = target();
    let shape = Shape {
        rules: "[[settings.rules]]\nname = \"held\"\nmethods = [\"GET\"]\npaths = [\"/held\"]\ndecision = \"escalate\"\nreason = \"why\"\n\
                [[settings.rules]]\nname = \"rest\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\ndecision = \"allow\"\n"
            .to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let mut client = connect_h2(&front);
    h2::acknowledge(&mut client).unwrap();
    let whole = h2::END_HEADERS | h2::END_STREAM;
    client.send(&h2::frame(h2::HEADERS, whole, 1, &block(&front, "/held"))).unwrap();
    for number in 1..150 {
        let stream = number * 2 + 1;
        client.send(&h2::frame(h2::HEADERS, whole, stream, &block(&front, "/free"))).unwrap();
        let frames =
            h2::until(&mut client, |frame| frame.stream == stream && frame.flags & 1 == 1).unwrap();
        assert!(frames.iter().all(|frame| frame.stream != 1), "{frames:?}");
    }
    // Who leaves a stream withdraws what it asked for.
    client.send(&h2::frame(h2::RST_STREAM, 0, 1, &[0, 0, 0, 8])).unwrap();
    eventually("the request is withdrawn", || {
        let evidence = front.evidence().unwrap();
        evidence.of("approval_settled").first().is_some_and(|settled| settled["state"] == "withdrawn")
    });
    assert!(!target.received().concat().windows(5).any(|window| window == b"/held"));
}

#[test]
fn a076_no_more_streams_than_were_agreed_on() {
    let target = target();
    let shape = Shape {
        rules: "[[settings.rules]]\nname = \"held\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\ndecision = \"escalate\"\nreason = \"why\"\n"
            .to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let mut client = connect_h2(&front);
    let settings = h2::until(&mut client, |frame| frame.kind == h2::SETTINGS && frame.flags == 0).unwrap();
    let settings = &settings.last().unwrap().payload;
    // SETTINGS_MAX_CONCURRENT_STREAMS is 3.
    let streams = settings.chunks(6).find(|setting| setting[1] == 3).unwrap();
    assert_eq!(streams[2..], [0, 0, 0, 100]);
    h2::acknowledge(&mut client).unwrap();
    let whole = h2::END_HEADERS | h2::END_STREAM;
    for number in 0..101 {
        client.send(&h2::frame(h2::HEADERS, whole, number * 2 + 1, &block(&front, "/x"))).unwrap();
    }
    let last = h2::until(&mut client, |frame| frame.kind == h2::RST_STREAM).unwrap();
    assert_eq!(last.last().unwrap().stream, 201);
    assert_eq!(target.received().len(), 0);
}

/// A slow client of each kind ends by itself, and nobody waits behind it.
#[test]
fn a077_slow_clients_are_dropped_and_nobody_waits_for_them() {
    let target = target();
    let listener = "login_timeout = \"1s\"\nstall_timeout = \"2s\"".to_owned();
    let front = Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
    let mut slow = Vec::new();
    let drip = |mut client: Client, begin: Vec<u8>| {
        thread::spawn(move || {
            let _ = client.send(&begin);
            // A byte now and then, for as long as it is taken.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(50));
                if client.send(b"a").is_err() {
                    return true;
                }
            }
            false
        })
    };
    // Nothing at all; half of a TLS handshake; half of a head; half of the preface and of a head of HTTP/2.
    let mut silent = Client::connect(front.port()).unwrap();
    slow.push(drip(Client::connect(front.port()).unwrap(), vec![0x16, 3, 1, 2, 0]));
    slow.push(drip(front.connect().unwrap(), b"GET /x HTTP/1.1\r\nX-Slow: ".to_vec()));
    let h2 =
        Client::connect(front.port()).unwrap().start_tls(&front.gateway.authority(), &[b"h2"]).unwrap();
    slow.push(drip(h2, h2::PREFACE[..10].to_vec()));
    let mut begun = connect_h2(&front);
    begun.send(&[0, 0x3f, 0xff, h2::HEADERS, 0, 0, 0, 0, 1]).unwrap();
    slow.push(drip(begun, Vec::new()));
    for _ in 0..20 {
        assert_eq!(front.ask(&get(&front, "/beside")).unwrap().status, 200);
    }
    // A body that was begun and does not go on.
    let mut body = front.connect().unwrap();
    body.send(format!("POST /x HTTP/1.1\r\n{}Content-Length: 9\r\n\r\nabc", front.head()).as_bytes())
        .unwrap();
    let reply = http::reply(&mut body, false).unwrap();
    assert_eq!(reply.status, 408, "{}", reply.head);
    assert!(silent.until_closed().unwrap().is_empty());
    for slow in slow {
        assert!(slow.join().unwrap(), "a slow client was still served after a minute");
    }
    eventually("all are gone", || {
        front.gateway.metric("gatewright_sessions_open{listener=\"api\"}").unwrap() < 1.0
    });
}

#[test]
fn f020_a_client_that_does_not_read_is_left_with_its_connection_and_its_target() {
    for stall in ["1s", "600s"] {
        let (gone, is_gone) = std::sync::mpsc::channel();
        let gone = std::sync::Mutex::new(gone);
        let target = FakeUpstream::start(move |peer| {
            if http::request(peer)?.is_some_and(|head| head.contains("/warm")) {
                return write!(peer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            }
            write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")?;
            let chunk = vec![b'x'; 64 << 10];
            while peer.write_all(&chunk).is_ok() {}
            let _ = gone.lock().unwrap().send(());
            Ok(())
        })
        .unwrap();
        let listener = format!("stall_timeout = \"{stall}\"");
        let front =
            Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
        // What everybody costs only once.
        assert_eq!(front.ask(&get(&front, "/warm")).unwrap().status, 200);
        let mut over_1 = front.connect().unwrap();
        over_1.send(get(&front, "/x").as_bytes()).unwrap();
        let mut over_2 = connect_h2(&front);
        h2::acknowledge(&mut over_2).unwrap();
        let whole = h2::END_HEADERS | h2::END_STREAM;
        over_2.send(&h2::frame(h2::HEADERS, whole, 1, &block(&front, "/x"))).unwrap();
        eventually("both have begun", || target.received().len() == 3);
        let before = memory(&front);
        if stall == "600s" {
            // Whoever is revoked loses it at once, and not when its time is over.
            thread::sleep(Duration::from_millis(500));
            let olga = gatewright_e2e::Mint {
                subject: "olga",
                groups: &["operators"],
                ..gatewright_e2e::Mint::default()
            };
            let revoked = front
                .gateway
                .ask(&olga, &["revocations", "add", "--reason", "lost", "--subject", "alice"])
                .unwrap();
            assert!(revoked.status.success(), "{revoked:?}");
        }
        for _ in 0..2 {
            is_gone.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        // A policy's instance for each is most of it.
        let grown = memory(&front).saturating_sub(before);
        assert!(grown < 32 << 10, "it took {grown} KiB");
        eventually("both connections are gone", || {
            front.gateway.metric("gatewright_sessions_open{listener=\"api\"}").unwrap() < 1.0
        });
        eventually("both outcomes are recorded", || {
            let evidence = front.evidence().unwrap();
            let outcomes = evidence.of("outcome");
            outcomes.iter().filter(|outcome| outcome["result"] == "unknown").count() == 2
        });
    }
}

/// hyper reads on over interim answers, and so never comes to an end by itself.
#[test]
fn f001_a_target_that_says_without_end_that_it_will_answer_holds_nobody() {
    let target = FakeUpstream::start(|peer| {
        http::request(peer)?;
        let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(1_000);
        while peer.write_all(&hints).is_ok() {}
        Ok(())
    })
    .unwrap();
    let listener = "stall_timeout = \"2s\"".to_owned();
    let front = Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
    let late = front.ask(&get(&front, "/x")).unwrap();
    assert_eq!(late.status, 504, "{}", late.head);
    let mut client = front.connect().unwrap();
    client.send(get(&front, "/x").as_bytes()).unwrap();
    eventually("it has begun", || target.received().len() == 2);
    drop(client);
    eventually("the outcome is recorded for whoever left", || {
        front.evidence().unwrap().of("outcome").len() == 2
    });
    eventually("the session is closed", || front.evidence().unwrap().of("session_closed").len() == 2);
}

#[test]
fn f023_more_connections_than_are_served_cost_the_others_nothing() {
    let target = target();
    let listener = "max_connections = 20".to_owned();
    let front = Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
    let mut served = front.connect().unwrap();
    let storm: Vec<TcpStream> =
        (0..500).filter_map(|_| TcpStream::connect(("127.0.0.1", front.port())).ok()).collect();
    eventually("the storm is shed, and counted", || {
        let shed = "gatewright_refused_total{listener=\"api\",code=\"net.connection_limit\"}";
        front.gateway.metric(shed).unwrap() > 400.0
    });
    served.send(get(&front, "/x").as_bytes()).unwrap();
    assert_eq!(http::reply(&mut served, false).unwrap().status, 200, "who was there goes on");
    drop(storm);
    eventually("others are served again", || {
        front.ask(&get(&front, "/x")).is_ok_and(|reply| reply.status == 200)
    });
}

/// A request that is refused before it is asked who sends it keeps a connection no longer than silence does.
#[test]
fn a077_requests_of_nobody_keep_no_connection_open() {
    let target = target();
    let listener = "login_timeout = \"1s\"".to_owned();
    let front = Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
    let mut client = connect_h2(&front);
    h2::acknowledge(&mut client).unwrap();
    let block = h2::block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "//"),
    ]);
    let whole = h2::END_HEADERS | h2::END_STREAM;
    let ended = (0..200).any(|number: u32| {
        thread::sleep(Duration::from_millis(100));
        client.send(&h2::frame(h2::HEADERS, whole, 2 * number + 1, &block)).is_err()
    });
    assert!(ended, "it was still open after 20 s");
    // And who is nobody fills no log: one record for a reason, and not one for a request.
    let evidence = front.evidence().unwrap();
    let refused = evidence.of("refused").iter().filter(|record| record["code"] == "http.path").count();
    assert!((1..=2).contains(&refused), "{refused}");
}
