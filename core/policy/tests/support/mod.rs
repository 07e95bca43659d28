//! What the tests of this crate share: modules built from source, and events made by hand (this crate knows
//! no protocol, so it can not read SQL).

#![allow(dead_code, unreachable_pub, reason = "shared by several test programs")]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use gatewright_model::{
    decision::{Decision, Evaluation},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    http::{HttpBody, HttpEvent, HttpRequest},
    id::{EventId, SessionId},
    principal::{Principal, PrincipalKind},
    sql::{Access, Analysis, Effects, Grade, Parameter, Relation, SqlEvent, SqlPhase, Statement},
};
use gatewright_policy::{CaseReader, CaseRequest, Host, Limits, PolicySet, SessionPolicies};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the shipped modules, built.
pub fn shipped() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cargo_build(&root().join("plugins")))
}

/// The module that misbehaves as its settings say, built.
pub fn hostile() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cargo_build(&root().join("core/policy/tests/hostile")).join("hostile.wasm"))
}

/// A module that calls every function of the contract, built.
pub fn everything() -> PathBuf {
    hostile().with_file_name("examples").join("everything.wasm")
}

/// A module that says the values that a statement is run with, built.
pub fn parameters() -> PathBuf {
    hostile().with_file_name("examples").join("parameters.wasm")
}

/// Builds guests where the documents of `policies/` expect them. Cargo itself sees to it that this happens
/// once, and again after a change.
fn cargo_build(workspace: &Path) -> PathBuf {
    let target = root().join("plugins/target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--lib", "--examples"])
        .args(["--target", "wasm32-unknown-unknown"])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guests in {} do not build", workspace.display());
    target.join("wasm32-unknown-unknown/release")
}

pub fn host() -> Host {
    Host::new(Limits { latency_budget: std::time::Duration::from_secs(5), ..Limits::default() }).unwrap()
}

/// A folder of documents, removed at the end of the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a document as an editor does: whole, and then into place.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        let hidden = self.path().join(format!(".{name}.new"));
        fs::write(&hidden, text).unwrap();
        fs::rename(hidden, self.path().join(name)).unwrap();
        self
    }

    /// A document of the hostile module.
    pub fn hostile(&self, name: &str, attack: &str) -> &Self {
        let text = document(name, hostile(), &format!("[settings]\nattack = \"{attack}\"\n"));
        self.write(&format!("{name}.toml"), &text)
    }

    pub fn load(&self, host: &Host) -> Result<PolicySet, Vec<String>> {
        PolicySet::load(self.path(), host, &Reader)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    pub fn set(&self, host: &Host) -> Arc<PolicySet> {
        Arc::new(self.load(host).unwrap())
    }
}

pub fn document(name: &str, module: &Path, rest: &str) -> String {
    format!("name = \"{name}\"\nmodule = \"{}\"\n{rest}", module.display())
}

/// Statements by their text: the few that tests need.
pub fn analysis(text: &str) -> Arc<Analysis> {
    let effects = |kind| match kind {
        "select" => Effects { read: true, ..Effects::default() },
        "delete" | "update" => Effects { write: true, ..Effects::default() },
        "drop_table" | "truncate" => Effects { ddl: true, ..Effects::default() },
        _ => Effects { transaction: true, ..Effects::default() },
    };
    let statement = |text: &str| {
        let kind = ["select", "delete", "update", "drop_table", "truncate", "begin"]
            .into_iter()
            .find(|kind| text.starts_with(kind.split('_').next().unwrap()))
            .unwrap_or("unknown");
        let access = match kind {
            "select" => Access::Read,
            "drop_table" => Access::Define,
            _ => Access::Write,
        };
        let people = Relation { schema: None, name: "people".into(), access };
        Statement {
            kind,
            effects: effects(kind),
            relations: if text.contains("people") { vec![people] } else { Vec::new() },
            has_where: matches!(kind, "delete" | "update").then(|| text.contains("where")),
            ..Statement::default()
        }
    };
    let grade = match text {
        text if text.contains("???") => Grade::Opaque,
        text if text.contains("?") => Grade::Disputed,
        _ => Grade::Verified,
    };
    Arc::new(Analysis {
        text: text.into(),
        normalised: text.into(),
        fingerprint: "0123456789abcdef".into(),
        grade,
        grade_reason: (grade != Grade::Verified).then(|| "of a test".into()),
        statements: text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(statement).collect(),
    })
}

pub fn event_of(phase: SqlPhase, analysis: &Arc<Analysis>) -> Arc<Event> {
    let facet = Facet::Sql(SqlEvent { phase, analysis: Arc::clone(analysis), parameters: Vec::new() });
    Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet })
}

pub fn query(text: &str) -> Arc<Event> {
    event_of(SqlPhase::Query, &analysis(text))
}

/// A request to `https://api.example` without query, headers and body.
pub fn http(method: &str, path: &str) -> Arc<Event> {
    http_event(head(method, path), HttpBody::Empty)
}

pub fn head(method: &str, path: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        scheme: "https",
        authority: "api.example".into(),
        path: path.into(),
        query: Vec::new(),
        query_text: "".into(),
        headers: Vec::new(),
        route: "".into(),
        route_parameters: Vec::new(),
    }
}

pub fn http_event(request: HttpRequest, body: HttpBody) -> Arc<Event> {
    let facet = Facet::Http(HttpEvent { request: Arc::new(request), body, response: None });
    Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet })
}

/// Reads the statements above.
pub struct Reader;

impl CaseReader for Reader {
    fn read(&self, request: &CaseRequest) -> Result<Vec<Event>, String> {
        let CaseRequest::Sql(sql) = request else { return Err("these tests have SQL only".to_owned()) };
        let event = |phase, parameters| {
            let facet = Facet::Sql(SqlEvent { phase, analysis: analysis(&sql.text), parameters });
            Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet }
        };
        Ok(match &sql.parameters {
            None => vec![event(SqlPhase::Query, Vec::new())],
            Some(texts) => {
                let bound = texts.iter().map(|text| Parameter::Text(text.as_str().into())).collect();
                vec![event(SqlPhase::Parse, Vec::new()), event(SqlPhase::Execute, bound)]
            }
        })
    }
}

pub fn session(subject: &str, groups: &[&str]) -> Arc<SessionContext> {
    let principal = Principal {
        subject: subject.into(),
        issuer: "test".into(),
        kind: PrincipalKind::Human,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        actors: Vec::new(),
        claims: Vec::new(),
        credential: "t".into(),
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
        client: SocketAddr::from(([127, 0, 0, 1], 1)),
        principal: Arc::new(principal),
        opened_at: SystemTime::UNIX_EPOCH,
    })
}

/// One event of alice's, judged by a new session's instances.
pub async fn judge(set: &Arc<PolicySet>, event: &Arc<Event>) -> Evaluation {
    judge_again(&mut SessionPolicies::new(), set, &session("alice", &[]), event).await
}

pub async fn judge_again(
    instances: &mut SessionPolicies,
    set: &Arc<PolicySet>,
    session: &Arc<SessionContext>,
    event: &Arc<Event>,
) -> Evaluation {
    Arc::unwrap_or_clone(instances.evaluate(set, session, event, SystemTime::UNIX_EPOCH).await)
}

/// The code of a block.
#[track_caller]
pub fn blocked(evaluation: &Evaluation) -> &str {
    match &evaluation.decision {
        Decision::Block(block) => &block.code,
        other => panic!("not blocked: {other:?}"),
    }
}

/// The reason of a block.
#[track_caller]
pub fn reason(evaluation: &Evaluation) -> &str {
    match &evaluation.decision {
        Decision::Block(block) => &block.reason,
        other => panic!("not blocked: {other:?}"),
    }
}
