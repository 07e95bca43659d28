use std::{net::SocketAddr, time::SystemTime};

use gatewright_approval::{Approvals, NewRequest, Settled, Ticket};
use gatewright_evidence::{Filter, Log, LogOptions, Records};
use gatewright_identity::{BuiltinIssuer, MintRequest, Verifier};
use gatewright_model::{
    decision::{Escalation, SetVersion},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    id::{EventId, SessionId},
    principal::{Principal, PrincipalKind},
    sql::{SqlEvent, SqlPhase},
};
use gatewright_sql::{Analyser, AnalyserLimits};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::{keys::Keys, metrics::Metrics};

/// An admin listener on a real socket, with one request that waits.
struct Fixture {
    folder: TempDir,
    address: SocketAddr,
    issuer: BuiltinIssuer,
    ticket: Ticket,
}

struct FixedStatus;

impl StatusProvider for FixedStatus {
    fn status(&self) -> Status {
        Status {
            version: "1.2.3",
            ready: true,
            draining: false,
            degraded: Vec::new(),
            policies: None,
            listeners: Vec::new(),
            approvals_pending: 1,
            evidence: EvidenceStatus {
                healthy: true,
                problem: String::new(),
                last: 1,
                synced: 1,
                signed: 0,
            },
        }
    }
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(&folder.path().join("state")).unwrap();
        let options = LogOptions::new("gatewright.example/test");
        let (log, _) = Log::open(&folder.path().join("evidence"), options, keys.evidence).unwrap();
        let trusted = keys.issuer.issuer(BuiltinIssuer::settings("gatewright")).unwrap();
        let approvals = Approvals::new();
        let ticket = approvals.request(drop_table(), SystemTime::now()).unwrap();
        let state = AdminState {
            approvals,
            verifier: Arc::new(Verifier::new(vec![trusted]).unwrap()),
            reviewers: vec!["reviewers".into()],
            log,
            metrics: Arc::new(Metrics::new("1.2.3")),
            status: Arc::new(FixedStatus),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, None, Arc::new(state)));
        Self { folder, address, issuer: keys.issuer, ticket }
    }

    fn token(&self, subject: &str, groups: &[&str]) -> String {
        let request = MintRequest {
            subject: subject.into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            actors: Vec::new(),
            kind: PrincipalKind::Human,
            audience: "gatewright".into(),
            ttl: Duration::from_secs(600),
            claims: Vec::new(),
        };
        self.issuer.mint(&request, SystemTime::now()).unwrap().expose().to_owned()
    }

    fn path(&self, verb: &str) -> String {
        format!("/approvals/{}{verb}", self.ticket.id())
    }

    async fn get(&self, path: &str, token: Option<&str>) -> (u16, String, String) {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n{token}\r\n")).await
    }

    async fn post(&self, path: &str, token: &str, body: &str) -> (u16, Value) {
        let (status, _, page) = self
            .send(&format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        (status, serde_json::from_str(&page).unwrap())
    }

    /// Status, head and body of the answer to these bytes.
    async fn send(&self, request: &str) -> (u16, String, String) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and hang up before it has read everything.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    /// The answers that the log holds: who, and what.
    fn recorded(&self) -> Vec<(String, String)> {
        let filter = Filter { kind: Some("approval_answered".into()), ..Filter::default() };
        let records = Records::open(&self.folder.path().join("evidence"), filter).unwrap();
        let text = |value: &Value, name| value[name].as_str().unwrap().to_owned();
        records
            .map(|entry| {
                let value = entry.unwrap().value;
                (text(&value, "reviewer"), text(&value, "answer"))
            })
            .collect()
    }
}

/// Alice's agent wants to drop a table; reviewers decide.
fn drop_table() -> NewRequest {
    let principal = Principal {
        subject: "alice".into(),
        issuer: "gatewright:builtin".into(),
        kind: PrincipalKind::Human,
        groups: vec!["analysts".into(), "reviewers".into()],
        actors: vec!["agent-7".into()],
        claims: Vec::new(),
        credential: "t1".into(),
        issued_at: None,
        expires_at: None,
    };
    let session = SessionContext {
        id: SessionId::from_random([1; 16]),
        protocol: "postgres",
        listener: "postgres".into(),
        target: "demo".into(),
        account: "app".into(),
        attributes: Vec::new(),
        client: ([127, 0, 0, 1], 1).into(),
        principal: Arc::new(principal),
        opened_at: SystemTime::now(),
    };
    let analysis = Analyser::new(AnalyserLimits::default()).analyse("drop table people");
    let event = Event {
        id: EventId::FIRST,
        payload: Digest::new([7; 32]),
        facet: Facet::Sql(SqlEvent { phase: SqlPhase::Query, analysis, parameters: Vec::new() }),
    };
    NewRequest {
        session: Arc::new(session),
        event: Arc::new(event),
        escalation: Escalation {
            rule: "changes/ddl".into(),
            reason: "it changes the schema".into(),
            reviewers: vec!["reviewers".into()],
            quorum: 1,
            ttl: Duration::from_secs(600),
        },
        set: SetVersion { number: 1, digest: Digest::new([0; 32]) },
    }
}

#[tokio::test]
async fn operators_see_health_metrics_and_counts() {
    let admin = Fixture::new().await;
    assert_eq!(admin.get("/healthz", None).await.2, "ok\n");
    assert_eq!(admin.get("/readyz", None).await.2, "ready\n");
    let (status, head, page) = admin.get("/metrics", None).await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    assert!(page.contains("gatewright_build_info"), "{page}");
    let (status, head, page) = admin.get("/status", None).await;
    assert_eq!(status, 200);
    assert!(head.contains("cache-control: no-store"), "{head}");
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["approvals_pending"], 1);
    assert_eq!(page["evidence"]["healthy"], true);
}

#[tokio::test]
async fn a_reviewer_sees_what_will_run_and_approves_it() {
    let admin = Fixture::new().await;
    let token = admin.token("rita", &["reviewers"]);
    let (status, _, page) = admin.get("/approvals", Some(&token)).await;
    assert_eq!(status, 200, "{page}");
    let list: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(list[0]["text"], "drop table people");
    let (_, _, page) = admin.get(&admin.path(""), Some(&token)).await;
    let shown: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(shown["actors"], json!(["agent-7"]));

    let (status, answer) = admin.post(&admin.path("/approve"), &token, r#"{"comment":"ticket 5"}"#).await;
    assert_eq!((status, &answer["state"]), (200, &json!("approved")));
    assert_eq!(admin.recorded(), [("rita".to_owned(), "approve".to_owned())]);
    assert_eq!(admin.ticket.await, Settled::Approved { by: vec!["rita".into()] });
}

#[tokio::test]
async fn a_rejection_says_why_and_is_final() {
    let admin = Fixture::new().await;
    let token = admin.token("rita", &["reviewers"]);
    let (status, answer) = admin.post(&admin.path("/reject"), &token, "{}").await;
    assert_eq!((status, &answer["code"]), (422, &json!("approval.comment")));
    let (status, answer) = admin.post(&admin.path("/reject"), &token, r#"{"comment":"no"}"#).await;
    assert_eq!((status, &answer["state"]), (200, &json!("rejected")));
    let (status, answer) = admin.post(&admin.path("/approve"), &token, r#"{"comment":"yes"}"#).await;
    assert_eq!((status, &answer["code"]), (409, &json!("approval.settled")));
    assert_eq!(admin.ticket.await, Settled::Rejected { by: "rita".into(), comment: "no".into() });
}

#[tokio::test]
async fn a094_nobody_approves_what_they_or_their_agent_ask_for() {
    let admin = Fixture::new().await;
    for subject in ["alice", "agent-7"] {
        let token = admin.token(subject, &["reviewers"]);
        let (status, answer) = admin.post(&admin.path("/approve"), &token, "{}").await;
        assert_eq!((status, &answer["code"]), (403, &json!("approval.own_request")), "{subject}");
    }
    // Someone tried, and the log says so.
    let refused = |subject: &str| (subject.to_owned(), "refused".to_owned());
    assert_eq!(admin.recorded(), [refused("alice"), refused("agent-7")]);
}

#[tokio::test]
async fn a100_only_reviewers_see_and_answer() {
    let admin = Fixture::new().await;
    let outsider = admin.token("mallory", &["reviewers-of-nothing"]);
    for path in ["/approvals".to_owned(), admin.path("")] {
        let (status, _, page) = admin.get(&path, Some(&outsider)).await;
        assert_eq!(status, 403, "{path}");
        assert!(page.contains("admin.denied") && !page.contains("people"), "{page}");
    }
    let (status, answer) = admin.post(&admin.path("/approve"), &outsider, "{}").await;
    assert_eq!((status, &answer["code"]), (403, &json!("approval.not_a_reviewer")));
    assert_eq!(admin.recorded(), [("mallory".to_owned(), "refused".to_owned())]);
}

#[tokio::test]
async fn a100_a_bad_token_is_no_token() {
    let admin = Fixture::new().await;
    let token = admin.token("rita", &["reviewers"]);
    let mut forged = token.clone();
    forged.replace_range(token.len() - 4.., "AAAA");
    for token in [None, Some("x"), Some(&*forged)] {
        let (status, head, page) = admin.get("/approvals", token).await;
        assert_eq!(status, 401, "{page}");
        assert!(head.contains("www-authenticate: bearer"), "{head}");
    }
    let twice = format!("authorization: Bearer {token}\r\n").repeat(2);
    let (status, ..) = admin.send(&format!("GET /approvals HTTP/1.1\r\nhost: x\r\n{twice}\r\n")).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn only_what_is_meant_is_understood() {
    let admin = Fixture::new().await;
    let token = admin.token("rita", &["reviewers"]);
    for path in
        ["/", "//approvals", "/approvals/", "/approvals/x", "/approvals/0000000000000000", "/Healthz"]
    {
        assert_eq!(admin.get(path, Some(&token)).await.0, 404, "{path}");
    }
    let (status, head, _) = admin.get(&admin.path("/approve"), Some(&token)).await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: post"), "{head}");
    for (body, expected) in [("", 400), ("[]", 400), (r#"{"komment":""}"#, 400), (r#"{"comment":1}"#, 400)]
    {
        assert_eq!(admin.post(&admin.path("/approve"), &token, body).await.0, expected, "{body}");
    }
    let large = format!(r#"{{"comment":"{}"}}"#, "x".repeat(100_000));
    assert_eq!(admin.post(&admin.path("/approve"), &token, &large).await.0, 413);
    let form = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: text/plain\r\ncontent-length: 2\r\n\r\n{{}}",
        admin.path("/approve")
    );
    assert_eq!(admin.send(&form).await.0, 415);
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(admin.send(&head).await.0, 431);
    assert_eq!(admin.recorded(), []);
}

#[tokio::test]
async fn connections_that_say_nothing_are_bounded() {
    let admin = Fixture::new().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(admin.address).await.unwrap());
    }
    // Accepted after the others, and turned away at once.
    let mut refused = TcpStream::connect(admin.address).await.unwrap();
    assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
    drop(silent);
    // Places are free again as soon as the server notices.
    loop {
        if admin.get("/healthz", None).await.0 == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
}
