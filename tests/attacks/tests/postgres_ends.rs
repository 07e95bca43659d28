//! Rows F1 to F4 of PostgreSQL: a side that dies, or is silent, in the middle of something.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    env, fs,
    io::{Read as _, Write as _},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::{
    FakeUpstream, Gateway, Mint, Scene, Setup, Stage, eventually, evidence, evidence::Evidence, fake,
    gateway_program, policies, wire,
};

/// A gateway in front of a target that takes everybody at once and speaks no TLS.
fn in_front_of(stage: &Stage, target: &FakeUpstream) -> Gateway {
    let address = format!("address = \"127.0.0.1:{}\"", target.port());
    let setup = Setup::new(stage, "gateway", &gateway_program().unwrap()).unwrap();
    let setup = setup.target(&[&address, "account = \"app\"", "tls = { mode = \"off\" }"]);
    setup.policy("allow", &policies::allow().unwrap()).unwrap().start().unwrap()
}

fn session(gateway: &Gateway) -> wire::Client {
    let token = gateway.token(&Mint::default()).unwrap();
    wire::Client::session(gateway.port(), &gateway.authority(), &token).unwrap()
}

/// Lets the gateway in.
fn greet(peer: &mut fake::Connection) -> std::io::Result<()> {
    let mut length = [0; 4];
    peer.read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    peer.read_exact(&mut startup)?;
    let key = wire::message('K', &[0, 0, 0, 9, 1, 2, 3, 4]);
    peer.write_all(&[wire::message('R', &[0; 4]), key, wire::message('Z', b"I")].concat())
}

/// Types of the whole messages, and what is left behind them.
fn cut(mut bytes: &[u8]) -> (String, &[u8]) {
    let mut tags = String::new();
    while let Some(header) = bytes.first_chunk::<5>() {
        let [tag, length @ ..] = header;
        let Some((_, rest)) = bytes.split_at_checked(u32::from_be_bytes(*length) as usize + 1) else {
            break;
        };
        tags.push(char::from(*tag));
        bytes = rest;
    }
    (tags, bytes)
}

#[test]
fn f001_f002_a_target_that_dies_at_any_byte_leaves_whole_messages_and_an_unknown_outcome() {
    let field = |name: &str| {
        [name.as_bytes(), &[0; 7], &[0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]].concat()
    };
    let row = |text: &str| {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        wire::message('D', &[&[0, 1], &length[..], text.as_bytes()].concat())
    };
    let answer = [
        wire::message('T', &[vec![0, 1], field("city")].concat()),
        row("London"),
        row(""),
        wire::message('C', b"UPDATE 2\0"),
        wire::message('Z', b"I"),
    ]
    .concat();
    let request = wire::query("update people set city = 'x' returning city");
    let (asked, all) = (request.len(), request.len() + answer.len());

    let turn = Arc::new(AtomicUsize::new(1));
    let target = {
        let (turn, answer) = (Arc::clone(&turn), answer.clone());
        FakeUpstream::start(move |peer| {
            greet(peer)?;
            // So many bytes of the request are read, and of the answer are sent.
            let number = turn.load(Ordering::SeqCst);
            peer.read_exact(&mut vec![0; number.min(asked)])?;
            peer.write_all(&answer[..number.saturating_sub(asked)])
        })
        .unwrap()
    };
    let stage = Stage::new("ends").unwrap();
    let gateway = in_front_of(&stage, &target);
    for number in 1..=all {
        turn.store(number, Ordering::SeqCst);
        let mut client = session(&gateway);
        client.send(&request).unwrap();
        let heard = client.until_closed().unwrap();
        let (tags, half) = cut(&heard);
        let told = cut(&answer[..number.saturating_sub(asked)]).0;
        assert_eq!((tags, half), (format!("{told}E"), &b""[..]), "{number} of {all}");
        assert!(String::from_utf8_lossy(&heard).contains("\0C08006\0"), "{number} of {all}");
    }
    // Nothing was asked twice, on the same connection or on another one.
    let received = target.received();
    assert_eq!(received.len(), all);
    for (bytes, number) in received.iter().zip(1..) {
        let read = bytes.windows(request.len()).filter(|part| *part == request).count();
        assert_eq!(read, usize::from(number >= asked), "{number} of {all}");
    }
    eventually("every outcome is recorded", || {
        Evidence::read(&gateway).unwrap().of("outcome").len() == all
    });
    let records = Evidence::read(&gateway).unwrap();
    let outcomes = records.of("outcome");
    let unknown = outcomes.iter().filter(|outcome| outcome["result"] == "unknown").count();
    assert_eq!(unknown, all - 1, "only the last one was told");
}

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" };

/// How many of the gateway's sessions at the server do something of this kind.
fn at_server(scene: &Scene, condition: &str) -> String {
    let count = format!("select count(*) from pg_stat_activity where usename = 'app' and {condition}");
    scene.postgres.sql("postgres", &count).unwrap()
}

fn client(scene: &Scene) -> wire::Client {
    let token = scene.gateway.token(&ALICE).unwrap();
    wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap()
}

/// A number that is different for each, without a crate for random numbers.
const fn scatter(number: u64) -> u64 {
    let mixed = (number ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 29)
}

/// More with `GATEWRIGHT_CUTS=10000`.
#[test]
fn f003_clients_that_die_anywhere_in_an_answer_leave_nothing_behind() {
    let cuts = env::var("GATEWRIGHT_CUTS").map_or(200, |cuts| cuts.parse::<u64>().unwrap());
    let scene = Scene::open().unwrap();
    // Some 210 kB, and then nothing by which the server would find out by itself that nobody is there.
    let endless =
        "select repeat('x', 700), generate_series(1, 300) union all select pg_sleep(600)::text, 0";
    let prepared = [wire::parse("", endless), wire::bind("", "", &[]), wire::execute("", 0), wire::sync()];
    let token = scene.gateway.token(&ALICE).unwrap();
    let mut taken_by = Vec::new();
    for number in 0..cuts {
        let mut client =
            wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap();
        let ask = if number % 2 == 0 { wire::query(endless) } else { prepared.concat() };
        client.send(&ask).unwrap();
        let taken = usize::try_from(scatter(number) % 200_000).unwrap();
        client.bytes(taken).unwrap();
        taken_by.push(taken as u64);
        if number % 5 == 0 {
            // It says that it sends no more, and reads no more.
            let _ = client.end();
        }
        // What it has not read makes of this a reset.
        drop(client);
    }
    eventually("no session is left at the server", || at_server(&scene, "true") == "0");
    let executed = usize::try_from(cuts).unwrap();
    eventually("every session is closed on record", || {
        scene.evidence().unwrap().of("session_closed").len() == executed
    });
    let records = scene.evidence().unwrap();
    for closed in records.of("session_closed") {
        assert_eq!(evidence::text(closed, "code"), "client_closed", "{closed}");
    }
    // Each Parse that was answered is an outcome of its own.
    let outcomes = records.of("outcome");
    let unknown = outcomes.iter().filter(|outcome| outcome["result"] == "unknown");
    let mut read_of: Vec<u64> =
        unknown.map(|outcome| outcome["bytes_read"].as_u64().unwrap_or_default()).collect();
    assert_eq!(read_of.len(), executed, "none of them has ended: {}", outcomes.len());
    // What a client was sent is on record: nearly all that it took, and no more than there was.
    read_of.sort_unstable();
    taken_by.sort_unstable();
    let beside_rows = 200;
    for (read, taken) in read_of.iter().zip(&taken_by) {
        assert!(read + beside_rows >= *taken && *read < 250_000, "{taken} taken, {read} on record");
    }
}

#[test]
fn f003_a_client_that_breaks_the_protocol_has_what_runs_cancelled() {
    let scene = Scene::open().unwrap();
    let mut client = client(&scene);
    client
        .send(&wire::query("begin; update people set city = 'gone' where id = 1; select pg_sleep(600)"))
        .unwrap();
    let running = "state = 'active' and query like '%pg_sleep(600)%'";
    eventually("it runs", || at_server(&scene, running) == "1");
    client.send(&wire::message('!', b"")).unwrap();
    let heard = client.until_closed().unwrap();
    assert!(String::from_utf8_lossy(&heard).contains("\0C08P01\0"), "{heard:?}");
    eventually("no session is left", || at_server(&scene, "true") == "0");
    assert!(scene.postgres.log().contains("canceling statement due to user request"));
    assert_eq!(scene.postgres.sql("postgres", "select city from people where id = 1").unwrap(), "London");
}

/// What the kernel has to do for a connection next, and in how many hundredths of a second; of those that are open between these
/// ports, from the side that has the first of them.
fn timers(own: Option<u16>, peer: Option<u16>) -> Vec<(u64, u64)> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port =
        |address: &str| address.rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
    let is = |address: &str, wanted: Option<u16>| wanted.is_none() || port(address) == wanted;
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let open = lines.filter(|fields| fields[3] == "01" && is(fields[1], own) && is(fields[2], peer));
    open.map(|fields| {
        let (timer, when) = fields[5].split_once(':').unwrap();
        (u64::from_str_radix(timer, 16).unwrap(), u64::from_str_radix(when, 16).unwrap())
    })
    .collect()
}

/// A peer that is gone without a word: after a minute of silence the kernel asks, three times, and then it is gone.
#[test]
fn f004_both_sides_of_a_silent_session_are_asked_for_a_sign_of_life() {
    const KEEPALIVE: u64 = 2;
    let scene = Scene::open().unwrap();
    let mut client = client(&scene);
    client.query("select 1").unwrap();
    let (listener, server) = (scene.gateway.port(), scene.postgres.port());
    let asks = |timers: Vec<(u64, u64)>| {
        !timers.is_empty() && timers.iter().all(|(timer, when)| *timer == KEEPALIVE && *when <= 60 * 100)
    };
    eventually("the client is asked", || asks(timers(Some(listener), None)));
    eventually("the target is asked", || asks(timers(None, Some(server))));
    client.query("select 1").unwrap();
}

/// Lets packets of this network arrive, or none. Not chosen: a queue that drops them; the kernel knows of that, and does not count
/// what it has asked in vain.
fn let_arrive(packets: bool) {
    let state = if packets { "up" } else { "down" };
    assert!(Command::new("ip").args(["link", "set", "lo", state]).status().unwrap().success());
}

/// Takes two minutes, and root in a network of its own, where nobody else needs packets. With
/// `GATEWRIGHT_DROP_PACKETS` it is run, and fails where it can not:
/// `unshare -n sh -c 'ip link set lo up && GATEWRIGHT_DROP_PACKETS=1 cargo nextest run -p gatewright-attacks f004'`.
#[test]
fn f004_sides_that_are_gone_without_a_word_are_left() {
    if env::var_os("GATEWRIGHT_DROP_PACKETS").is_none() {
        eprintln!("left out: GATEWRIGHT_DROP_PACKETS is not set");
        return;
    }
    let table = fs::read_to_string("/proc/net/dev").unwrap();
    assert_eq!(table.lines().skip(2).count(), 1, "not a network of its own:\n{table}");
    let scene = Scene::open().unwrap();
    let mut sessions = [client(&scene), client(&scene)];
    sessions[1].query("begin; update people set city = 'gone' where id = 1").unwrap();
    let sockets = || {
        let (listener, server) = (scene.gateway.port(), scene.postgres.port());
        timers(Some(listener), None).len() + timers(None, Some(server)).len()
    };
    assert_eq!(sockets(), 4);
    let_arrive(false);
    let start = Instant::now();
    let closed = || scene.evidence().unwrap().of("session_closed").len();
    // Whatever comes of it, the network is as before.
    while closed() < 2 && start.elapsed() < Duration::from_secs(180) {
        thread::sleep(Duration::from_secs(1));
    }
    let (left, taken) = (sockets(), start.elapsed());
    let_arrive(true);
    assert_eq!((closed(), left), (2, 0), "after {taken:?}");
    eprintln!("both sides of both sessions were left after {taken:?}");
    assert_eq!(wire::tags(&client(&scene).query("select 1").unwrap()), "TDCZ");
}
