//! HTTP/2, connections that are used again, and WebSockets, with real clients: curl, h2load, Python's websockets.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{
    process::{Command, Output},
    thread,
};

use gatewright_e2e::{Front, Stage, driver, eventually, http::Shape};
use gatewright_testbed::{Nginx, free_port};

/// Says on which connection of its own, and as which request of it, it was asked.
const LOCATIONS: &str =
    r#"location / { return 200 "$connection $connection_requests $http_host $http_x_api_key"; }"#;

/// Runs curl with a good token; gives what it printed: the version of HTTP, the status, the body.
fn curl(front: &Front, paths: &[&str], more: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "60", "--write-out", " %{http_version} %{http_code}\n"]);
    command.arg("--cacert").arg(front.gateway.authority());
    command.args(["--header", &format!("Authorization: Bearer {}", front.token())]).args(more);
    command.args(paths.iter().map(|path| format!("https://localhost:{}{path}", front.port())));
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_speaks_both_versions_and_each_route_has_its_target() {
    let stage = Stage::new("nginx").unwrap();
    let (people, other) = (Stage::new("people").unwrap(), stage);
    let (people, files) =
        (Nginx::start(&people, LOCATIONS).unwrap(), Nginx::start(&other, LOCATIONS).unwrap());
    let shape = Shape {
        listener: "host_header = \"target\"".to_owned(),
        target: "credential = \"header\"\ncredential_header = \"X-Api-Key\"".to_owned(),
        ..Shape::default()
    };
    let front = Front::shaped(&[("people", people.port()), ("files", files.port())], &shape).unwrap();
    for (version, shown) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let seen = curl(&front, &["/people/7"], &[version]);
        assert!(seen.ends_with(&format!(":{} secret-of-people {shown} 200\n", people.port())), "{seen}");
        let seen = curl(&front, &["/files/a"], &[version]);
        assert!(seen.ends_with(&format!(":{} secret-of-files {shown} 200\n", files.port())), "{seen}");
        let seen = curl(&front, &["/elsewhere"], &[version, "--output", "-"]);
        assert!(seen.contains("http.no_route") && seen.ends_with(&format!(" {shown} 404\n")), "{seen}");
    }
    // The record says which target each went to.
    let evidence = front.evidence().unwrap();
    let targets: Vec<String> =
        evidence.of("session_opened").iter().map(|opened| opened["target"].to_string()).collect();
    assert_eq!(targets.iter().filter(|target| *target == "\"people\"").count(), 2, "{targets:?}");
    assert_eq!(targets.iter().filter(|target| *target == "\"files\"").count(), 2, "{targets:?}");
}

#[test]
fn a_load_over_http_2_is_answered_over_few_connections() {
    let stage = Stage::new("nginx").unwrap();
    let nginx = Nginx::start(&stage, LOCATIONS).unwrap();
    let front = Front::of(nginx.port()).unwrap();
    let output = Command::new("h2load")
        .args(["--requests=3000", "--clients=4", "--max-concurrent-streams=20"])
        .arg(format!("--header=Authorization: Bearer {}", front.token()))
        .arg(format!("https://127.0.0.1:{}/load", front.port()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Application protocol: h2\n"), "{said}");
    assert!(said.contains("3000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("3000 2xx"), "{said}");
    assert_eq!(nginx.requests().len(), 3000);
    // One after the other, on one connection: nginx counts both.
    let seen = curl(&front, &["/a", "/b", "/c"], &["--http1.1"]);
    let mut counts = seen.lines().filter_map(|line| {
        let mut words = line.split(' ').map(|word| word.parse::<u64>().unwrap_or(0));
        Some((words.next()?, words.next()?))
    });
    let (connection, requests) = counts.next().unwrap();
    assert!(connection < 500, "3000 requests took {connection} connections");
    assert!(requests > 1, "{seen}");
}

/// A server that sends back what it gets.
const SERVER: &str = r#"
import sys
from websockets.sync.server import serve
def echo(socket):
    for message in socket:
        socket.send(message)
with serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=2**24) as server:
    server.serve_forever()
"#;

const CLIENT: &str = r#"
import ssl, sys
from websockets.sync.client import connect
port, authority, token = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
headers = {"Authorization": "Bearer " + token}
url = "wss://localhost:" + port + "/socket"
with connect(url, ssl=context, additional_headers=headers, max_size=2**24) as socket:
    assert not socket.protocol.extensions, socket.protocol.extensions
    for size in [0, 1, 125, 126, 65535, 65536, 5000000]:
        for message in ["x" * size, b"\0" * size]:
            socket.send(message)
            assert socket.recv() == message, size
    assert socket.ping().wait(20)
print("closed with", socket.close_code)
try:
    connect(url, ssl=context, max_size=2**24)
except Exception as error:
    print(error)
"#;

fn python(script: &str, arguments: &[&str]) -> Output {
    let program = driver::python().unwrap();
    Command::new(program).args(["-c", script]).args(arguments).output().unwrap()
}

#[test]
fn a_websocket_of_a_real_library_goes_through() {
    let stage = Stage::new("websocket").unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(driver::python().unwrap());
    command.args(["-c", SERVER, &port.to_string()]);
    let _server = stage.spawn("websocket", &mut command).unwrap();
    eventually("the server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let front = Front::of(port).unwrap();
    let authority = front.gateway.authority().display().to_string();
    let arguments = [&*front.port().to_string(), &authority, front.token()];
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| python(CLIENT, &arguments))).collect();
        for client in clients {
            let output = client.join().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.starts_with("closed with 1000\n") && said.contains("HTTP 401"), "{output:?}");
        }
    });
    eventually("every outcome is recorded", || {
        let evidence = front.evidence().unwrap();
        let outcomes = evidence.of("outcome");
        outcomes.len() == 3 && outcomes.iter().all(|outcome| outcome["result"] == "ok")
    });
}
