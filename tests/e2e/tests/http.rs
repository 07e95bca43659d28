//! Real curl through the gateway to a real nginx.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    thread,
    time::Duration,
};

use gatewright_e2e::{Mint, Result, Scene, Stage, approvals, eventually, wire::Client};
use gatewright_testbed::{Nginx, free_port, modules_directory};
use serde_json::Value;

/// A gateway with an HTTP listener, in front of nginx.
struct Api {
    scene: Scene,
    nginx: Nginx,
    port: u16,
}

/// What curl got.
struct Reply {
    status: String,
    head: String,
    body: Vec<u8>,
}

const LOCATIONS: &str = r#"
location /api/people/7 { default_type application/json; return 200 '{"name":"Ada","method":"$request_method"}'; }
location /api/people/moved { return 302 http://other.example/; }
location /files/ { }
location /upload/ { dav_methods PUT; create_full_put_path on; }
"#;

const RULES: &str = r#"
[[settings.rules]]
name = "read"
methods = ["GET", "HEAD"]
paths = ["/api/**", "/files/*"]
decision = "allow"

[[settings.rules]]
name = "upload"
methods = ["PUT"]
paths = ["/upload/*"]
decision = "allow"

[[settings.rules]]
name = "delete"
methods = ["DELETE"]
paths = ["/api/people/*"]
decision = "escalate"
reason = "a person is gone for good"
reviewers = ["reviewers"]
"#;

/// What may leave it.
const ANSWERS: &str = r#"
[[settings.rules]]
name = "exports"
more_than = 1000
decision = "escalate"
reason = "an export needs a second person"
reviewers = ["reviewers"]

[[settings.rules]]
name = "records"
media_types = ["application/json"]
decision = "allow"
"#;

impl Api {
    fn open() -> Result<Self> {
        Self::judging_answers("")
    }

    /// With these rules about answers, if there are any.
    fn judging_answers(answers: &str) -> Result<Self> {
        let stage = Stage::new("e2e-http")?;
        let nginx = Nginx::start(&stage, LOCATIONS)?;
        let port = free_port()?;
        let modules = modules_directory(&["http_rules.wasm", "answer_rules.wasm"])?;
        let document = |name: &str, module: &str, rules: &str| {
            let modules = modules.display();
            format!(
                "name = \"{name}\"\nmodule = \"{modules}/{module}.wasm\"\n[match]\nprotocols = [\"http\"]\n{rules}"
            )
        };
        let mut policies = vec![("api", document("api", "http_rules", RULES))];
        if !answers.is_empty() {
            policies.push(("answers", document("answers", "answer_rules", answers)));
        }
        let policies: Vec<_> = policies.iter().map(|(name, text)| (*name, &**text)).collect();
        let more = format!(
            r#"
[[target]]
name = "api"
protocol = "http"
address = "127.0.0.1:{nginx}"
account = "gateway"
password = {{ file = "api.token" }}
tls = {{ mode = "off" }}

[[listener]]
name = "api"
protocol = "http"
listen = "127.0.0.1:{port}"
target = "api"
tls = {{ certificate = "tls/server.pem", key = "tls/server.key", required = true }}
"#,
            nginx = nginx.port(),
        );
        let scene = Scene::build(&policies, false, |setup| {
            setup.file("api.token", "the-targets-secret\n").unwrap();
            setup.more(&more)
        })?;
        Ok(Self { scene, nginx, port })
    }

    fn token(&self, subject: &str) -> String {
        self.scene.gateway.token(&Mint::person(subject, &["analysts"])).unwrap()
    }

    fn curl(&self, token: Option<&str>, path: &str, more: &[&str]) -> Reply {
        let directory = self.scene.stage.directory();
        let (head, body) = (directory.join("curl.head"), directory.join("curl.body"));
        let mut command = Command::new("curl");
        command.args(["--silent", "--path-as-is", "--max-time", "60", "--write-out", "%{http_code}"]);
        command.arg("--cacert").arg(self.scene.gateway.authority());
        command.arg("--dump-header").arg(&head).arg("--output").arg(&body);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        command.args(more).arg(format!("https://localhost:{}{path}", self.port));
        let output = command.output().unwrap();
        Reply {
            status: String::from_utf8_lossy(&output.stdout).into_owned(),
            head: fs::read_to_string(head).unwrap_or_default(),
            body: fs::read(body).unwrap_or_default(),
        }
    }
}

#[test]
fn a_request_that_is_allowed_reaches_the_target_under_the_gateways_credential() {
    let api = Api::open().unwrap();
    let token = api.token("alice");
    let reply = api.curl(Some(&token), "/api/people/7?b=2&a=1", &[]);
    assert_eq!(reply.status, "200", "{}", reply.head);
    assert_eq!(String::from_utf8_lossy(&reply.body), r#"{"name":"Ada","method":"GET"}"#);
    let host = format!("localhost:{}", api.port);
    assert_eq!(
        api.nginx.requests(),
        [format!("GET /api/people/7?b=2&a=1 {host} [Bearer the-targets-secret] 127.0.0.1 -")]
    );
    let evidence = api.scene.evidence().unwrap();
    let decisions = evidence.of("decision");
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["subject"], "alice");
    assert_eq!(decisions[0]["type"], "http.request");
    assert_eq!(decisions[0]["command"], format!("GET {host}/api/people/7"));
    eventually("the outcome is recorded", || {
        let evidence = api.scene.evidence().unwrap();
        evidence.of("outcome").first().is_some_and(|outcome| outcome["result"] == "ok")
    });
    assert!(!evidence.text().contains("the-targets-secret") && !evidence.text().contains(&token));
}

#[test]
fn a_request_that_is_blocked_says_why_and_reaches_nobody() {
    let api = Api::open().unwrap();
    let reply =
        api.curl(Some(&api.token("alice")), "/api/people/7", &["--request", "POST", "--data", "x=1"]);
    assert_eq!(reply.status, "403", "{}", reply.head);
    assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&Value::from("http.denied"), &Value::from(403)));
    assert!(problem["rule"].as_str().unwrap().starts_with("api/"), "{problem}");
    let missing = api.curl(None, "/api/people/7", &[]);
    assert_eq!(missing.status, "401", "{}", missing.head);
    assert!(missing.head.to_lowercase().contains("www-authenticate: bearer"), "{}", missing.head);
    let forged = api.curl(Some("eyJhbGciOiJub25lIn0.e30."), "/api/people/7", &[]);
    assert_eq!(forged.status, "401", "{}", forged.head);
    assert_eq!(api.nginx.requests(), [] as [String; 0]);
}

#[test]
fn a_request_that_is_escalated_waits_for_a_reviewer_and_others_go_on() {
    let api = Api::open().unwrap();
    let token = api.token("alice");
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            let mut command = Command::new("curl");
            command.args(["--silent", "--max-time", "60", "--request", "DELETE", "--cacert"]);
            command.arg(api.scene.gateway.authority());
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
            command.arg(format!("https://localhost:{}/api/people/7", api.port)).output().unwrap()
        });
        let id = approvals::wait(&api.scene.gateway).unwrap();
        assert_eq!(api.curl(Some(&token), "/api/people/7", &[]).status, "200");
        let bob = Mint::person("bob", &["reviewers"]);
        let approved = api.scene.gateway.approvals(&bob, &["approve", &id, "--comment", "ok"]).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        let answer = held.join().unwrap();
        assert!(String::from_utf8_lossy(&answer.stdout).contains(r#""method":"DELETE""#), "{answer:?}");
    });
}

#[test]
fn an_answer_is_judged_before_any_of_it_reaches_the_client() {
    let api = Api::judging_answers(ANSWERS).unwrap();
    let token = api.token("alice");
    let shown = api.curl(Some(&token), "/api/people/7", &[]);
    assert!(shown.status == "200" && shown.body.starts_with(b"{\"name\""), "{}", shown.head);
    api.nginx.file("files/backup.zip", b"PK and more").unwrap();
    let kept = api.curl(Some(&token), "/files/backup.zip", &[]);
    let problem: Value = serde_json::from_slice(&kept.body).unwrap();
    assert_eq!((&*kept.status, &problem["code"]), ("403", &Value::from("http.denied")), "{problem}");
    assert_eq!(problem["rule"], "answers/no-rule");
    let decisions = api.scene.evidence().unwrap();
    let kinds: Vec<_> = decisions
        .of("decision")
        .iter()
        .map(|record| (record["type"].clone(), record["decision"].clone()))
        .collect();
    let said = |kind: &str, decision: &str| (Value::from(kind), Value::from(decision));
    let both = [said("http.request", "allow"), said("http.response", "allow")];
    let blocked = [said("http.request", "allow"), said("http.response", "block")];
    assert_eq!(kinds, [both, blocked].concat());
    // A large one waits for a reviewer, behind its request, and arrives whole.
    let large = vec![b'x'; 2_000_000];
    api.nginx.file("files/export", &large).unwrap();
    thread::scope(|scope| {
        let held = scope.spawn(|| api.curl(Some(&token), "/files/export", &["--fail"]));
        let id = approvals::wait(&api.scene.gateway).unwrap();
        let bob = Mint::person("bob", &["reviewers"]);
        let approved = api.scene.gateway.approvals(&bob, &["approve", &id, "--comment", "ok"]).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        let reply = held.join().unwrap();
        assert!(reply.status == "200" && reply.body == large, "{} {}", reply.head, reply.body.len());
    });
}

#[test]
fn bodies_are_streamed_in_both_directions_and_redirects_are_not_followed() {
    let api = Api::open().unwrap();
    let token = api.token("alice");
    let files = api.scene.stage.directory().join("big");
    let big: Vec<u8> = (0..20_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(&files, &big).unwrap();
    let upload = format!("@{}", files.display());
    let put = ["--request", "PUT", "--data-binary", &upload];
    let reply = api.curl(Some(&token), "/upload/big", &put);
    assert_eq!(reply.status, "201", "{}", reply.head);
    assert!(api.nginx.requests()[0].ends_with(" 20000000"), "{:?}", api.nginx.requests());
    let chunked = [&put[..], &["--header", "Transfer-Encoding: chunked"]].concat();
    let reply = api.curl(Some(&token), "/upload/chunked", &chunked);
    assert_eq!(reply.status, "201", "{}", reply.head);
    assert_eq!(api.nginx.content("upload/chunked"), big);
    api.nginx.file("files/big", &big).unwrap();
    let reply = api.curl(Some(&token), "/files/big", &[]);
    assert!(reply.status == "200" && reply.body == big, "{} {}", reply.status, reply.body.len());
    let moved = api.curl(Some(&token), "/api/people/moved", &[]);
    assert!(moved.status == "302" && moved.head.contains("http://other.example/"), "{}", moved.head);
}

/// Each is refused, and not one byte of it reaches the target.
#[test]
fn a063_a_message_with_two_ends_is_none() {
    let api = Api::open().unwrap();
    let token = api.token("alice");
    let head = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    let smuggled = "GET /api/people/7 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for attack in [
        format!(
            "PUT /upload/x HTTP/1.1\r\n{head}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd{smuggled}"
        ),
        format!("PUT /upload/x HTTP/1.1\r\n{head}Content-Length: +4\r\n\r\nabcd{smuggled}"),
        format!("PUT /upload/x HTTP/1.1\r\n{head}Content-Length: 0x4\r\n\r\nabcd{smuggled}"),
        format!("PUT /upload/x HTTP/1.1\r\n{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("PUT /upload/x HTTP/1.0\r\n{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("PUT /upload/x HTTP/1.1\r\n{head}Content-Length : 4\r\n\r\nabcd{smuggled}"),
        format!("PUT /upload/x HTTP/1.1\r\n{head}X: a\r\n b\r\nContent-Length: 4\r\n\r\nabcd{smuggled}"),
        format!("GET /api//people/7 HTTP/1.1\r\n{head}\r\n"),
        format!("GET /api/%2e%2e/people/7 HTTP/1.1\r\n{head}\r\n"),
        format!("GET /api/people%2f7 HTTP/1.1\r\n{head}\r\n"),
        format!("GET http://other/api/people/7 HTTP/1.1\r\n{head}\r\n"),
        format!(
            "GET /api/people/7 HTTP/1.1\r\n{head}X-Forwarded-For: 10.0.0.1\r\nConnection: x-forwarded-for\r\n\r\n"
        ),
        format!("GET /api/people/7 HTTP/1.1\r\n{head}Host: other\r\n\r\n"),
        format!("CONNECT other:443 HTTP/1.1\r\n{head}\r\n"),
        format!("GET /api/people/7 HTTP/1.1\r\n{head}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
    ] {
        let answer = raw(&api, &attack);
        let status: String = answer.chars().skip(9).take(3).collect();
        assert!(["400", "501", ""].contains(&status.as_str()), "{attack}\n{answer}");
        assert_eq!(api.nginx.requests(), [] as [String; 0], "{attack}\n{answer}");
    }
}

/// hyper would take one of the two, as RFC 9112 section 6.3 lets it.
#[test]
fn a063_a_length_beside_chunks_or_said_twice_hides_no_second_request() {
    let api = Api::open().unwrap();
    let token = api.token("alice");
    let head = format!("PUT /upload/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
    let second = "GET /api/people/7 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    ] {
        let answer = raw(&api, &format!("{head}{framing}{second}"));
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"),
            "{framing}: {answer}"
        );
        assert_eq!(api.nginx.requests(), [] as [String; 0], "{framing}");
    }
}

/// What the gateway answers to these bytes, until it closes or is silent.
fn raw(api: &Api, bytes: &str) -> String {
    let wire = Client::connect(api.port).unwrap();
    let mut wire = wire.start_tls(&api.scene.gateway.authority(), &[b"http/1.1"]).unwrap();
    wire.send(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Byte by byte: a head, or the end of the connection.
    while let Ok(byte) = wire.bytes(1) {
        answer.extend(byte);
        if answer.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a001_no_request_is_read_in_plain_text() {
    let api = Api::open().unwrap();
    let mut plain = TcpStream::connect(("127.0.0.1", api.port)).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET /api/people/7 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        api.token("alice")
    );
    plain.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Closed, or reset because bytes were left unread.
    let _ = plain.read_to_end(&mut answer);
    assert_eq!((String::from_utf8_lossy(&answer).as_ref(), api.nginx.requests()), ("", Vec::new()));
}
