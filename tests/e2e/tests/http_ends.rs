//! How answers of HTTP end: when the gateway is told to end, when their reader is slow, when they can not be recorded, when the
//! target does not know the gateway.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    cell::Cell,
    io::Write as _,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use gatewright_e2e::{
    Disk, FakeUpstream, Front, Stage, eventually, h2,
    http::{self, Shape},
    wire::Client,
};
use gatewright_testbed::modules_directory;

/// Bytes of an answer.
const BODY: usize = 1 << 20;

/// Of an answer that is more than what two kernels keep of a connection.
const LARGE: usize = 16 << 20;

/// A target whose answers are as long as the path says, and stop in the middle; and what lets one of them go on.
fn halting() -> (FakeUpstream, mpsc::Sender<()>) {
    let (go_on, waits) = mpsc::channel();
    let waits = Mutex::new(waits);
    let target = FakeUpstream::start(move |peer| {
        while let Some(head) = http::request(peer)? {
            let length: usize = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")?;
            peer.write_all(&vec![b'x'; length / 2])?;
            let _ = waits.lock().unwrap().recv_timeout(Duration::from_secs(30));
            peer.write_all(&vec![b'y'; length / 2])?;
        }
        Ok(())
    });
    (target.unwrap(), go_on)
}

fn get(front: &Front) -> String {
    format!("GET /{BODY} HTTP/1.1\r\n{}\r\n", front.head())
}

/// A connection of HTTP/2 that has asked for so many bytes.
fn ask_h2(front: &Front, length: usize) -> Client {
    let client = Client::connect(front.port()).unwrap();
    let mut client = client.start_tls(&front.gateway.authority(), &[b"h2"]).unwrap();
    h2::begin(&mut client).unwrap();
    h2::acknowledge(&mut client).unwrap();
    let token = format!("Bearer {}", front.token());
    let block = h2::block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", &format!("/{length}")),
        ("authorization", &token),
    ]);
    client.send(&h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &block)).unwrap();
    client
}

/// Lets so many bytes more come, on the connection and on stream 1.
fn let_come(client: &mut Client, bytes: usize) {
    let bytes = u32::try_from(bytes).unwrap().to_be_bytes();
    for stream in [0, 1] {
        // The last ones may find the connection closed.
        let _ = client.send(&h2::frame(h2::WINDOW_UPDATE, 0, stream, &bytes));
    }
}

/// Reads the body of stream 1, and gives each piece back to the windows before the next is read. How many bytes came, and
/// whether the stream was ended. `taken` hears how long each piece was.
fn read_h2(client: &mut Client, taken: impl Fn(usize)) -> (usize, bool) {
    let mut bytes = 0;
    loop {
        let Ok(Some(frame)) = h2::next(client) else { return (bytes, false) };
        match frame.kind {
            h2::DATA => {
                bytes += frame.payload.len();
                taken(frame.payload.len());
                let_come(client, frame.payload.len());
                if frame.flags & h2::END_STREAM != 0 {
                    return (bytes, true);
                }
            }
            // A server that ends asks so whether its client has heard that.
            h2::PING if frame.flags & h2::ACK == 0 => {
                let _ = client.send(&h2::frame(h2::PING, h2::ACK, 0, &frame.payload));
            }
            h2::RST_STREAM => return (bytes, false),
            _ => {}
        }
    }
}

#[test]
fn f029_what_is_on_its_way_at_sigterm_arrives_whole() {
    let (target, go_on) = halting();
    let mut front = Front::of(target.port()).unwrap();
    let mut over_1 = front.connect().unwrap();
    over_1.send(get(&front).as_bytes()).unwrap();
    let mut over_2 = ask_h2(&front, BODY);
    h2::until(&mut over_2, |frame| frame.kind == h2::HEADERS).unwrap();
    let mut slow = ask_h2(&front, LARGE);
    let_come(&mut slow, LARGE);
    h2::until(&mut slow, |frame| frame.kind == h2::HEADERS).unwrap();
    eventually("all have begun", || target.received().len() == 3);

    front.gateway.terminate().unwrap();
    eventually("nobody is let in any more", || front.connect().is_err());
    for _ in 0..3 {
        go_on.send(()).unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let reply = http::reply(&mut over_1, false).unwrap();
            assert!(reply.whole && reply.body.len() == BODY, "{} {}", reply.head, reply.body.len());
        });
        scope.spawn(|| assert_eq!(read_h2(&mut over_2, |_| {}), (BODY, true)));
        // The kernel has the last of it, and nothing is left for the gateway to do. What the client says by then would take it
        // back, if its connection were closed.
        scope.spawn(move || {
            let taken = read_h2(&mut slow, |_| thread::sleep(Duration::from_millis(1)));
            assert_eq!(taken, (LARGE, true));
        });
    });
    let status = front.gateway.wait(Duration::from_secs(30)).unwrap();
    assert!(status.success(), "{status}: {}", front.gateway.log());
    let evidence = front.evidence().unwrap();
    assert!(evidence.of("outcome").iter().all(|outcome| outcome["result"] == "ok"), "{evidence:?}");
    assert_eq!(evidence.of("outcome").len(), 3);
}

/// `stall_timeout` is about who takes nothing. This one takes something all the time; for what is left when all of it was
/// handed on, it takes longer than that.
#[test]
fn f020_a_reader_that_is_slow_and_goes_on_gets_all_of_it() {
    let (target, go_on) = halting();
    let listener = "stall_timeout = \"2s\"".to_owned();
    let front = Front::shaped(&[("api", target.port())], &Shape { listener, ..Shape::default() }).unwrap();
    // The target is done with it at once, and what is left is the gateway's to give.
    go_on.send(()).unwrap();
    let mut client = ask_h2(&front, BODY);
    let so_far = Cell::new(0);
    let slowly = |bytes: usize| {
        so_far.set(so_far.get() + bytes);
        if so_far.get() > BODY - (384 << 10) {
            // 45 KB a second.
            thread::sleep(Duration::from_micros(bytes as u64 * 22));
        }
    };
    assert_eq!(read_h2(&mut client, slowly), (BODY, true));
    eventually("the outcome is recorded", || front.evidence().unwrap().of("outcome").len() == 1);
    assert_eq!(front.evidence().unwrap().of("outcome")[0]["result"], "ok");
}

#[test]
fn f007_an_answer_whose_decision_can_not_be_recorded_reaches_nobody() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let (go_on, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let target = FakeUpstream::start(move |peer| {
        while http::request(peer)?.is_some() {
            let _ = waits.lock().unwrap().recv_timeout(Duration::from_secs(30));
            write!(
                peer,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n\"PLANTED!\""
            )?;
        }
        Ok(())
    })
    .unwrap();
    let modules = modules_directory(&["answer_rules.wasm"]).unwrap();
    let answers = format!(
        "name = \"answers\"\nmodule = \"{}/answer_rules.wasm\"\n[match]\nprotocols = [\"http\"]\n\
         [[settings.rules]]\nname = \"records\"\nmedia_types = [\"application/json\"]\ndecision = \"allow\"\n",
        modules.display()
    );
    let front = Front::prepared(
        &[("api", target.port())],
        &Shape::default(),
        "tls = { mode = \"off\" }",
        |setup| disk.under(setup.policy("answers", &answers).unwrap()),
    )
    .unwrap();
    let mut client = front.connect().unwrap();
    go_on.send(()).unwrap();
    client.send(get(&front).as_bytes()).unwrap();
    let before = http::reply(&mut client, false).unwrap();
    assert!(before.status == 200 && before.body.contains("PLANTED"), "{before:?}");

    client.send(get(&front).as_bytes()).unwrap();
    eventually("the request is with the target", || {
        target.received().concat().windows(6).filter(|bytes| *bytes == b"GET /1").count() == 2
    });
    disk.fill().unwrap();
    go_on.send(()).unwrap();
    let refused = http::reply(&mut client, false).unwrap();
    assert!(!refused.head.contains(" 200 ") && !refused.body.contains("PLANTED"), "{refused:?}");
    assert!(refused.body.contains("evidence.unavailable"), "{refused:?}");
}

#[test]
fn a079_a_target_that_does_not_know_the_gateway_is_not_asking_the_client() {
    let target = FakeUpstream::start(|peer| {
        while http::request(peer)?.is_some() {
            write!(
                peer,
                "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"inside\"\r\ncontent-length: 6\r\n\r\nsecret"
            )?;
        }
        Ok(())
    })
    .unwrap();
    let front = Front::of(target.port()).unwrap();
    let reply = front.ask(&get(&front)).unwrap();
    assert_eq!(reply.status, 502, "{}", reply.head);
    assert!(reply.body.contains("upstream.credential") && !reply.body.contains("secret"), "{}", reply.body);
    assert_eq!(http::field(&reply.head, "www-authenticate"), None);
    eventually("the outcome is recorded", || front.evidence().unwrap().of("outcome").len() == 1);
    assert_eq!(front.evidence().unwrap().of("outcome")[0]["code"], "upstream.credential");
}
