//! Many clients that keep their connections, many requests, and policies that change all the while: no request is lost,
//! and none is judged by a mixture of two sets.
//!
//! CI runs a small size of it. `GATEWRIGHT_SCALE=2000:1000000` sets clients and requests; that size wants the release
//! profile, and then policies change each second.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use gatewright_e2e::{Mint, Setup, Stage, eventually, gateway_program, tls};
use gatewright_testbed::{Gateway, Nginx, free_port, modules_directory};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Size {
    clients: usize,
    /// Of all clients together.
    requests: usize,
    /// From one change of the policies to the next.
    change: Duration,
}

impl Size {
    fn wanted() -> Self {
        let Ok(text) = std::env::var("GATEWRIGHT_SCALE") else {
            return Self { clients: 200, requests: 20_000, change: Duration::from_millis(100) };
        };
        let (clients, requests) = text.split_once(':').expect("GATEWRIGHT_SCALE is CLIENTS:REQUESTS");
        Self {
            clients: clients.parse().unwrap(),
            requests: requests.parse().unwrap(),
            change: Duration::from_secs(1),
        }
    }
}

/// A policy that allows everything, and perhaps not `/probe`.
fn policy(name: &str, probe: &str) -> String {
    let modules = modules_directory(&["http_rules.wasm"]).unwrap();
    format!(
        r#"name = "{name}"
module = "{}/http_rules.wasm"
[match]
protocols = ["http"]
[[settings.rules]]
name = "probe"
paths = ["/probe"]
decision = "{probe}"
[[settings.rules]]
name = "rest"
paths = ["/**"]
decision = "allow"
"#,
        modules.display()
    )
}

/// What is written one after the other: in no set are both probes allowed.
const CHANGES: [(&str, &str); 4] = [("one", "allow"), ("one", "block"), ("two", "allow"), ("two", "block")];

#[test]
fn f018_many_clients_lose_nothing_while_policies_change() {
    let size = Size::wanted();
    let stage = Stage::new("e2e-scale").unwrap();
    let nginx = Nginx::start(&stage, "location = /ok { return 200 'ok'; }").unwrap();
    let port = free_port().unwrap();
    let address = format!("address = \"127.0.0.1:{}\"", nginx.port());
    let target = [&address, "account = \"scale\"", "credential = \"none\"", "tls = { mode = \"off\" }"];
    let setup = Setup::new(&stage, "gateway", &gateway_program().unwrap()).unwrap();
    let setup = setup.policy("one", &policy("one", "block")).unwrap();
    let setup = setup.policy("two", &policy("two", "block")).unwrap();
    let setup = setup.serving("scale", "http", port, true, &target).more("max_connections = 10000");
    let gateway = setup.start().unwrap();

    let (done, changes) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let asked = thread::scope(|scope| {
        scope.spawn(|| change_policies(&gateway, size.change, &done, &changes));
        let token = gateway.token(&Mint { ttl: "10h", ..Mint::default() }).unwrap();
        let asked = ask(port, &gateway, &token, size, &changes);
        done.store(true, Ordering::Relaxed);
        asked
    });

    // Half of them asked for what is there, and it was asked for that often; nobody reached the rest.
    eventually("the target wrote down the last request", || nginx.requests().len() >= asked / 2);
    let requests = nginx.requests();
    assert_eq!(requests.len(), asked / 2);
    assert!(requests.iter().all(|request| request.starts_with("GET /ok ")));

    let sets = judged(&gateway, asked);
    for (set, outcomes) in &sets {
        assert_eq!(outcomes.len(), 1, "set {set} judged the same request in different ways: {outcomes:?}");
    }
    assert!(sets.len() > 5, "policies changed while it ran: {}", sets.len());
}

/// Changes of policies that each client lives to see, however fast it gets its answers.
const SEEN: usize = 8;

fn change_policies(gateway: &Gateway, pause: Duration, done: &AtomicBool, changes: &AtomicUsize) {
    for (name, probe) in CHANGES.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let before = gateway.policy_set().unwrap();
        gateway.write_policy(name, &policy(name, probe)).unwrap();
        eventually("the new set is in use", || gateway.policy_set().unwrap() > before);
        changes.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause);
    }
}

/// Sends all requests, and more of them until the policies have changed often enough. Reads every answer; gives how many.
fn ask(port: u16, gateway: &Gateway, token: &str, size: Size, changes: &Arc<AtomicUsize>) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let connector = TlsConnector::from(tls::client(&gateway.authority(), &[b"http/1.1"]).unwrap());
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..size.clients {
            let (connector, token, changes) = (connector.clone(), token.to_owned(), Arc::clone(changes));
            clients.spawn(async move {
                let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let mut stream = connector.connect(tls::localhost().unwrap(), stream).await.unwrap();
                let wanted = size.requests / size.clients;
                let mut asked = 0;
                while asked < wanted || changes.load(Ordering::Relaxed) < SEEN && asked < 1_000 * wanted {
                    for (path, expected) in [("/ok", "200"), ("/probe", "403")] {
                        let status = exchange(&mut stream, path, &token).await;
                        assert_eq!(status, expected, "{path}, request {asked} of a connection");
                        asked += 1;
                    }
                }
                asked
            });
        }
        let mut asked = 0;
        while let Some(client) = clients.join_next().await {
            asked += client.unwrap();
        }
        asked
    })
}

/// One request and its whole answer; gives the status.
async fn exchange(stream: &mut TlsStream<TcpStream>, path: &str, token: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let head = loop {
        let length = stream.read_buf(&mut answer).await.unwrap();
        assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&answer));
        if let Some(at) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let whole = head + length.trim().parse::<usize>().unwrap();
    while answer.len() < whole {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "the connection ended in an answer");
    }
    assert_eq!(answer.len(), whole, "an answer to nothing");
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// For each set, in which ways it judged `/probe`: what each of its policies said. The log may be long; it is read line by
/// line.
fn judged(gateway: &Gateway, requests: usize) -> BTreeMap<u64, BTreeSet<String>> {
    let mut command = gateway.command(&["evidence", "show", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut decisions = 0;
    let mut sets: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if record["kind"] != "decision" {
            continue;
        }
        decisions += 1;
        if record["command"].as_str().unwrap().ends_with("/probe") {
            assert_eq!(record["decision"], "block", "{record}");
            let said = record["policies"].as_array().unwrap().iter();
            let said: BTreeSet<String> =
                said.map(|policy| format!("{} {}", policy["policy"], policy["decision"])).collect();
            let set = record["set"]["number"].as_u64().unwrap();
            sets.entry(set).or_default().insert(format!("{said:?}"));
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(decisions, requests, "each request is in the log, once");
    sets
}
