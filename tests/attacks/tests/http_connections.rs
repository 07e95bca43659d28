//! Rows A64, A79, F1, F2 and F36: connections to targets, which carry more than one request, or die.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use gatewright_e2e::{
    FakeUpstream, Front, eventually,
    http::{self, Shape},
};

fn get(front: &Front, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head())
}

/// Heads of requests that a target got, connection by connection.
fn heads(target: &FakeUpstream) -> Vec<Vec<String>> {
    let heads = |bytes: &Vec<u8>| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().filter(|line| line.ends_with(" HTTP/1.1")).map(str::to_owned).collect()
    };
    target.received().iter().map(heads).collect()
}

/// A number that is different for each path, without a crate for random numbers.
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)) % 100
}

#[test]
fn a079_credentials_of_two_targets_never_cross() {
    // A target that remembers what each of its requests brought along, and answers in every way.
    let wrong = Arc::new(Mutex::new(Vec::<String>::new()));
    let served = Arc::new(AtomicUsize::new(0));
    let target = |name: &'static str| {
        let (wrong, served) = (Arc::clone(&wrong), Arc::clone(&served));
        FakeUpstream::start(move |peer| {
            while let Some(head) = http::request(peer)? {
                served.fetch_add(1, Ordering::Relaxed);
                let good = head.contains(&format!("\r\nauthorization: Bearer secret-of-{name}\r\n"))
                    && head.split(' ').nth(1).unwrap_or_default().starts_with(&format!("/{name}/"))
                    && head.matches("authorization").count() == 1;
                if !good {
                    wrong.lock().unwrap().push(format!("{name}: {head}"));
                }
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let way = path.rsplit('/').next().and_then(|way| way.parse::<u64>().ok()).unwrap_or(0);
                match scatter(way) {
                    // An answer before the body was read.
                    0..10 => write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")?,
                    // The connection dies in the middle of the answer.
                    10..15 => {
                        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")?;
                        return Ok(());
                    }
                    // Or before it.
                    15..20 => return Ok(()),
                    20..30 => {
                        http::body(peer, &head)?;
                        write!(
                            peer,
                            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
                        )?;
                        return Ok(());
                    }
                    _ => {
                        http::body(peer, &head)?;
                        let words = format!("{name} {path}");
                        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{words}", words.len())?;
                    }
                }
                peer.flush()?;
            }
            Ok(())
        })
        .unwrap()
    };
    let (one, two) = (target("one"), target("two"));
    let front = Front::shaped(&[("one", one.port()), ("two", two.port())], &Shape::default()).unwrap();
    let (clients, each) = (4, 400);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in 0..clients {
            let (front, answered) = (&front, &answered);
            scope.spawn(move || {
                let mut line = front.connect().unwrap();
                for number in 0..each {
                    let number = number + client * each;
                    let name = if scatter(number * 7) < 50 { "one" } else { "two" };
                    let path = format!("/{name}/{number}");
                    let request = if scatter(number * 3) < 30 {
                        format!("POST {path} HTTP/1.1\r\n{}Content-Length: 6\r\n\r\nabc", front.head())
                    } else {
                        get(front, &path)
                    };
                    if line.send(request.as_bytes()).is_err() {
                        line = front.connect().unwrap();
                        continue;
                    }
                    // One in ten leaves before it is answered.
                    if scatter(number * 11) < 10 {
                        line = front.connect().unwrap();
                        continue;
                    }
                    if request.starts_with("POST") {
                        let _ = line.send(b"def");
                    }
                    match http::reply(&mut line, false) {
                        Ok(reply) if reply.status == 200 && reply.whole => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            // An answer belongs to its own request.
                            let good = reply.body == format!("{name} {path}") || reply.body.len() == 2;
                            assert!(good, "{path}: {}", reply.body);
                            if http::field(&reply.head, "connection") == Some("close") || reply.body == "no"
                            {
                                line = front.connect().unwrap();
                            }
                        }
                        _ => line = front.connect().unwrap(),
                    }
                }
            });
        }
    });
    assert_eq!(*wrong.lock().unwrap(), [] as [String; 0]);
    let total = usize::try_from(clients * each).unwrap();
    let (served, answered) = (served.load(Ordering::Relaxed), answered.load(Ordering::Relaxed));
    assert!(served <= total, "{served} requests were made of {total}");
    assert!(answered > total / 2, "{answered} of {total}");
    let connections = one.received().len() + two.received().len();
    assert!(connections < served, "{connections} connections for {served} requests: none was used again");
    // Each connection was one target's for all of its life.
    for (target, name) in [(&one, "one"), (&two, "two")] {
        for connection in heads(target) {
            assert!(connection.iter().all(|head| head.contains(&format!(" /{name}/"))), "{connection:?}");
        }
    }
}

#[test]
fn a064_a_connection_with_anything_left_on_it_is_not_used_again() {
    let target = FakeUpstream::start(|peer| {
        while let Some(head) = http::request(peer)? {
            if head.starts_with("POST") {
                // Before the body was read.
                write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly")?;
                // What is left of it would be a request of its own.
                thread::sleep(Duration::from_millis(200));
            } else if head.contains("/more ") {
                write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")?;
            } else {
                write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood")?;
            }
            peer.flush()?;
        }
        Ok(())
    })
    .unwrap();
    // Larger bodies are streamed.
    let shape = Shape { listener: "inspect_body = 1024".to_owned(), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let early =
        format!("POST /x HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n", front.head(), smuggled.len() + 2000);
    let mut client = front.connect().unwrap();
    client.send(format!("{early}{}", "1".repeat(2000)).as_bytes()).unwrap();
    let reply = http::reply(&mut client, false).unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "early"), "{}", reply.head);
    let _ = client.send(smuggled.as_bytes());
    for _ in 0..5 {
        assert_eq!(front.ask(&get(&front, "/good")).unwrap().body, "good");
    }
    let seen = heads(&target);
    assert_eq!(seen[0], ["POST /x HTTP/1.1"], "{seen:?}");
    assert!(seen.concat().iter().all(|head| !head.contains("smuggled")), "{seen:?}");
    // Bytes behind an answer are nobody's answer.
    for _ in 0..5 {
        assert_eq!(front.ask(&get(&front, "/more")).unwrap().body, "ok");
        assert_eq!(front.ask(&get(&front, "/good")).unwrap().body, "good");
    }
}

#[test]
fn a064_a_body_is_asked_for_after_the_decision_and_requests_behind_it_wait() {
    let target = FakeUpstream::start(|peer| http::serve(peer, "ok")).unwrap();
    let shape = Shape {
        rules: "[[settings.rules]]\nname = \"some\"\nmethods = [\"GET\", \"POST\"]\npaths = [\"/open\"]\ndecision = \"allow\"\n".to_owned(),
        // Larger bodies are streamed.
        listener: "inspect_body = 1024".to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("api", target.port())], &shape).unwrap();
    let expect = |path: &str| {
        let length = "Content-Length: 2048\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n\r\n";
        format!("POST {path} HTTP/1.1\r\n{}{length}", front.head())
    };
    let mut client = front.connect().unwrap();
    client.send(expect("/open").as_bytes()).unwrap();
    let interim = http::reply(&mut client, false).unwrap();
    assert_eq!(interim.status, 100, "{}", interim.head);
    client.send(&[b'x'; 2048]).unwrap();
    assert_eq!(http::reply(&mut client, false).unwrap().status, 200);
    // Nothing is asked for that will not be taken.
    let mut client = front.connect().unwrap();
    client.send(expect("/closed").as_bytes()).unwrap();
    assert_eq!(http::reply(&mut client, false).unwrap().status, 403);
    // What is sent nevertheless is no request, in whatever order.
    let _ = client.send(b"GET /open HTTP/1.1\r\n\r\n");
    let rest = String::from_utf8_lossy(&client.until_closed().unwrap()).into_owned();
    assert!(!rest.contains("200"), "{rest}");
    // Two at once are two, in order.
    let mut client = front.connect().unwrap();
    client.send(format!("{}{}", get(&front, "/open"), get(&front, "/closed")).as_bytes()).unwrap();
    assert_eq!(http::reply(&mut client, false).unwrap().status, 200);
    let second =
        http::reply(&mut client, false).unwrap_or_else(|error| panic!("{error}: {}", front.gateway.log()));
    assert_eq!(second.status, 403);
    let seen = target.received().concat();
    let times = |line: &str| seen.windows(line.len()).filter(|window| *window == line.as_bytes()).count();
    assert_eq!(
        (times("POST /open HTTP/1.1\r\n"), times("GET /open HTTP/1.1\r\n"), times("/closed")),
        (1, 1, 0)
    );
}

/// Answers that say where they end.
const ANSWERS: [&[u8]; 2] = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
];

#[test]
fn f001_f002_a_target_that_dies_at_any_byte_leaves_no_whole_answer_and_is_not_asked_twice() {
    // `/ANSWER/BYTES`: so much of it, and the connection ends.
    let target = FakeUpstream::start(|peer| {
        let Some(head) = http::request(peer)? else { return Ok(()) };
        http::body(peer, &head)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let mut numbers = path.split('/').filter_map(|number| number.parse::<usize>().ok());
        let (answer, bytes) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        peer.write_all(&ANSWERS[answer][..bytes])?;
        peer.flush()
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    let mut asked = 0;
    for (number, answer) in ANSWERS.iter().enumerate() {
        for cut in 0..answer.len() {
            let post =
                format!("POST /{number}/{cut} HTTP/1.1\r\n{}Content-Length: 2\r\n\r\nhi", front.head());
            let reply = front.ask(&post);
            asked += 1;
            // Where there was a head, it may be that the connection ends before anybody was told of it.
            let has_head = answer[..cut].windows(4).any(|window| window == b"\r\n\r\n");
            let good = match &reply {
                Ok(reply) => reply.status == 502 || (has_head && !reply.whole),
                Err(_) => has_head,
            };
            assert!(good, "cut at {cut}: {reply:?}");
            assert_eq!(heads(&target).concat().len(), asked, "cut at {cut}: it was asked again");
        }
    }
    eventually("every outcome is recorded as unknown", || {
        let evidence = front.evidence().unwrap();
        let outcomes = evidence.of("outcome");
        outcomes.len() == asked && outcomes.iter().all(|outcome| outcome["result"] == "unknown")
    });
}

#[test]
fn f001_f036_a_connection_that_died_while_it_waited_costs_nobody_a_request() {
    let target = FakeUpstream::start(|peer| {
        // One request, and then it is closed without a word.
        let Some(head) = http::request(peer)? else { return Ok(()) };
        http::body(peer, &head)?;
        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        peer.flush()
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    for number in 1..=20 {
        let post = format!("POST /x HTTP/1.1\r\n{}Content-Length: 2\r\n\r\nhi", front.head());
        let reply = front.ask(&post).unwrap();
        // It may be written in the very moment in which it dies; then it is unknown what became of it, and it is not
        // sent again.
        assert!([200, 502].contains(&reply.status), "{}", reply.head);
        assert!(heads(&target).concat().len() <= number);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn f003_a_target_is_left_when_its_client_is() {
    let (gone, is_gone) = std::sync::mpsc::channel();
    let gone = Mutex::new(gone);
    let target = FakeUpstream::start(move |peer| {
        http::request(peer)?;
        write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")?;
        let chunk = vec![b'x'; 64 << 10];
        while peer.write_all(&chunk).is_ok() {}
        let _ = gone.lock().unwrap().send(());
        peer.read_to_end(&mut Vec::new()).map(drop)
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    let mut client = front.connect().unwrap();
    client.send(get(&front, "/x").as_bytes()).unwrap();
    client.bytes(100_000).unwrap();
    drop(client);
    is_gone.recv_timeout(Duration::from_secs(20)).unwrap();
    eventually("the outcome is recorded", || {
        let evidence = front.evidence().unwrap();
        evidence.of("outcome").first().is_some_and(|outcome| outcome["result"] == "unknown")
    });
}
