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
use crate::{
    keys::Keys,
    metrics::Metrics,
    revocations::Revocations,
    sessions::{End, Ending, Entered, Sessions},
};

/// An admin listener on a real socket, with one request that waits.
struct Fixture {
    folder: TempDir,
    address: SocketAddr,
    issuer: BuiltinIssuer,
    ticket: Ticket,
    /// Where alice's session learns that it is to end.
    ending: Arc<Ending>,
    _entered: Entered,
}

struct FixedStatus;

impl StatusProvider for FixedStatus {
    fn reviewers(&self) -> Vec<Arc<str>> {
        vec!["treasury".into()]
    }

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
        let verifier = Arc::new(Verifier::new(vec![trusted]).unwrap());
        let (sessions, ending) = (Arc::new(Sessions::default()), Arc::new(Ending::default()));
        let entered = sessions.enter(&alices_session(), &ending);
        let state_folder = folder.path().join("state");
        let revocations =
            Revocations::open(&state_folder, Arc::clone(&verifier), Arc::clone(&sessions), log.clone());
        let state = AdminState {
            approvals,
            verifier,
            reviewers: vec!["reviewers".into()],
            operators: vec!["operators".into()],
            sessions,
            revocations: Arc::new(revocations.unwrap()),
            log,
            metrics: Arc::new(Metrics::new("1.2.3")),
            status: Arc::new(FixedStatus),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, None, Arc::new(state)));
        Self { folder, address, issuer: keys.issuer, ticket, ending, _entered: entered }
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
        let text = |value: &Value, name| value[name].as_str().unwrap().to_owned();
        let records = self.records("approval_answered");
        records.iter().map(|value| (text(value, "reviewer"), text(value, "answer"))).collect()
    }

    fn records(&self, kind: &str) -> Vec<Value> {
        let filter = Filter { kind: Some(kind.into()), ..Filter::default() };
        let records = Records::open(&self.folder.path().join("evidence"), filter).unwrap();
        records.map(|entry| entry.unwrap().value).collect()
    }
}

/// Alice's agent is in.
fn alices_session() -> Arc<SessionContext> {
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
    Arc::new(SessionContext {
        id: SessionId::from_random([1; 16]),
        protocol: "postgres",
        listener: "postgres".into(),
        target: "demo".into(),
        account: "app".into(),
        attributes: Vec::new(),
        client: ([127, 0, 0, 1], 1).into(),
        principal: Arc::new(principal),
        opened_at: SystemTime::now(),
    })
}

/// Alice's agent wants to drop a table; reviewers decide.
fn drop_table() -> NewRequest {
    let analysis = Analyser::new(AnalyserLimits::default()).analyse("drop table people");
    let event = Event {
        id: EventId::FIRST,
        payload: Digest::new([7; 32]),
        facet: Facet::Sql(SqlEvent { phase: SqlPhase::Query, analysis, parameters: Vec::new() }),
    };
    NewRequest {
        session: alices_session(),
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
async fn who_may_be_asked_some_time_sees_that_nothing_waits() {
    let admin = Fixture::new().await;
    // Of a policy's own reviewers, and none of those whom this request waits for.
    let (status, _, page) = admin.get("/approvals", Some(&admin.token("tom", &["treasury"]))).await;
    assert_eq!((status, &*page), (200, "[]"));
    let (status, _, page) = admin.get(&admin.path(""), Some(&admin.token("tom", &["treasury"]))).await;
    assert_eq!(status, 403, "{page}");
    // Whoever is named by nobody would look at an empty list for ever.
    let (status, _, page) = admin.get("/approvals", Some(&admin.token("mallory", &["analysts"]))).await;
    assert_eq!(status, 403);
    assert!(page.contains("you are in no group that reviews anything"), "{page}");
    let rita = admin.token("rita", &["reviewers"]);
    assert_eq!(admin.post(&admin.path("/reject"), &rita, r#"{"comment":"no"}"#).await.0, 200);
    let (status, _, page) = admin.get("/approvals", Some(&rita)).await;
    assert_eq!((status, &*page), (200, "[]"));
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
async fn an_operator_sees_sessions_and_ends_one() {
    let admin = Fixture::new().await;
    let token = admin.token("olga", &["operators"]);
    let (status, _, page) = admin.get("/sessions", Some(&token)).await;
    assert_eq!(status, 200, "{page}");
    let list: Value = serde_json::from_str(&page).unwrap();
    assert_eq!((&list[0]["subject"], &list[0]["actors"]), (&json!("alice"), &json!(["agent-7"])));
    let path = format!("/sessions/{}/end", list[0]["session"].as_str().unwrap());
    assert_eq!(admin.post(&path, &token, r#"{"reason":" "}"#).await.0, 422);
    assert_eq!(admin.ending.why(), None);
    let (status, answer) = admin.post(&path, &token, r#"{"reason":"too much load"}"#).await;
    assert_eq!((status, &answer["ended"]), (200, &json!(true)));
    assert_eq!(admin.ending.why(), Some(End::Operator));
    let records = admin.records("session_ended");
    assert_eq!((&records[0]["operator"], &records[0]["reason"]), (&json!("olga"), &json!("too much load")));
}

#[tokio::test]
async fn what_is_not_there_any_more_is_said_by_its_name() {
    let admin = Fixture::new().await;
    let operator = admin.token("olga", &["operators"]);
    let reviewer = admin.token("rita", &["reviewers"]);
    for (path, token, body, title) in [
        (format!("/sessions/{}/end", "0".repeat(32)), &operator, r#"{"reason":"x"}"#, "no such session"),
        (
            format!("/revocations/{}/lift", "0".repeat(16)),
            &operator,
            r#"{"reason":"x"}"#,
            "no such revocation",
        ),
        (format!("/approvals/{}/approve", "0".repeat(16)), &reviewer, "{}", "no such request"),
    ] {
        let (status, answer) = admin.post(&path, token, body).await;
        assert_eq!((status, &answer["code"]), (404, &json!("admin.not_found")), "{path}");
        assert!(answer["title"].as_str().unwrap().contains(title), "{answer}");
        // What a command prints as its help, not what else this listener has.
        let remedy = answer["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("`gatewright ") && !remedy.contains("healthz"), "{answer}");
    }
    let (status, _, page) = admin.get(&format!("/approvals/{}", "0".repeat(16)), Some(&reviewer)).await;
    assert_eq!(status, 404);
    assert!(page.contains("no such request"), "{page}");
}

#[tokio::test]
async fn a009_a_revocation_is_recorded_kept_and_applied_to_whoever_is_in() {
    let admin = Fixture::new().await;
    let token = admin.token("olga", &["operators"]);
    let body = r#"{"subject":"agent-7","reason":"it went astray"}"#;
    let (status, answer) = admin.post("/revocations", &token, body).await;
    assert_eq!((status, &answer["ended"], &answer["kept"]), (200, &json!(1), &json!(true)));
    assert_eq!(admin.ending.why(), Some(End::Revoked));
    let records = admin.records("revocation_added");
    assert_eq!(records[0]["scope"], json!({ "subject": "agent-7" }));
    assert_eq!(
        (&records[0]["operator"], &records[0]["reason"]),
        (&json!("olga"), &json!("it went astray"))
    );
    assert_eq!(crate::revocations::load(&admin.folder.path().join("state")).unwrap().len(), 1);

    let agent = admin.token("agent-7", &["reviewers"]);
    let (status, _, page) = admin.get("/approvals", Some(&agent)).await;
    assert_eq!(status, 401, "{page}");
    assert!(page.contains("the token was revoked"), "{page}");

    let path = format!("/revocations/{}/lift", answer["id"].as_str().unwrap());
    assert_eq!(admin.post(&path, &token, r#"{"reason":"mended"}"#).await.0, 200);
    assert_eq!(admin.get("/approvals", Some(&agent)).await.0, 200);
    assert_eq!(admin.post(&path, &token, r#"{"reason":"mended"}"#).await.0, 404, "it is lifted already");
    assert_eq!(admin.records("revocation_lifted").len(), 1);
}

#[tokio::test]
async fn a009_a_list_that_can_not_be_written_is_in_effect_and_said_to_be_lost() {
    let admin = Fixture::new().await;
    let token = admin.token("olga", &["operators"]);
    // A folder in the place of the file that would replace the list.
    std::fs::create_dir(admin.folder.path().join("state/revocations.new")).unwrap();
    let body = r#"{"subject":"alice","reason":"left"}"#;
    let (status, answer) = admin.post("/revocations", &token, body).await;
    assert_eq!((status, &answer["kept"]), (200, &json!(false)));
    assert_eq!(admin.ending.why(), Some(End::Revoked));
    let path = format!("/revocations/{}/lift", answer["id"].as_str().unwrap());
    assert_eq!(admin.post(&path, &token, r#"{"reason":"back"}"#).await.0, 500, "it stays revoked");
    let alice = admin.token("alice", &["reviewers"]);
    assert_eq!(admin.get("/approvals", Some(&alice)).await.0, 401);
}

#[tokio::test]
async fn a100_only_operators_end_sessions_and_revoke() {
    let admin = Fixture::new().await;
    // A reviewer is no operator, and an agent is none in anybody's name.
    let request = MintRequest {
        subject: "olga".into(),
        groups: vec!["operators".into()],
        actors: vec!["helper".into()],
        kind: PrincipalKind::Human,
        audience: "gatewright".into(),
        ttl: Duration::from_secs(600),
        claims: Vec::new(),
    };
    let by_agent = admin.issuer.mint(&request, SystemTime::now()).unwrap().expose().to_owned();
    let session = format!("/sessions/{}/end", SessionId::from_random([1; 16]));
    let lift = format!("/revocations/{}/lift", "0".repeat(16));
    for token in [admin.token("rita", &["reviewers"]), by_agent] {
        for path in ["/sessions", "/revocations"] {
            let (status, _, page) = admin.get(path, Some(&token)).await;
            assert_eq!(status, 403, "{path}");
            assert!(!page.contains("alice"), "{page}");
        }
        for (path, body) in [
            (&*session, r#"{"reason":"x"}"#),
            ("/revocations", r#"{"subject":"alice","reason":"x"}"#),
            (&*lift, r#"{"reason":"x"}"#),
        ] {
            let (status, answer) = admin.post(path, &token, body).await;
            assert_eq!((status, &answer["code"]), (403, &json!("admin.denied")), "{path}");
        }
    }
    assert_eq!(admin.get("/sessions", None).await.0, 401);
    assert_eq!(admin.ending.why(), None);
    assert_eq!(admin.records("operator_refused").len(), 6, "someone tried, and the log says so");
}

#[tokio::test]
async fn what_would_cover_everything_or_the_operator_is_not_revoked() {
    let admin = Fixture::new().await;
    let token = admin.token("olga", &["operators"]);
    for body in [
        r#"{"reason":"everybody out"}"#,
        r#"{"subject":"olga","reason":"x"}"#,
        r#"{"issuer":"gatewright:builtin","reason":"x"}"#,
        r#"{"subject":"","reason":"x"}"#,
    ] {
        let (status, answer) = admin.post("/revocations", &token, body).await;
        assert_eq!((status, &answer["code"]), (422, &json!("admin.scope")), "{body}");
    }
    assert_eq!(admin.post("/revocations", &token, r#"{"subject":"alice"}"#).await.0, 400);
    assert_eq!(
        admin.post("/revocations", &token, r#"{"subject":"alice","all":true,"reason":"x"}"#).await.0,
        400
    );
    assert_eq!(admin.ending.why(), None);
    // Everybody's tokens of today, the operator's own among them: a new one opens again.
    let body = r#"{"issued_so_far":true,"reason":"the key was copied"}"#;
    assert_eq!(admin.post("/revocations", &token, body).await.0, 200);
    assert_eq!(admin.get("/sessions", Some(&token)).await.0, 401);
    assert_eq!(admin.ending.why(), Some(End::Revoked));
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
