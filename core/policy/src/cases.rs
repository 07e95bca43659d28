//! The cases of a document: a request in, expected decision out, run through the real reader of its protocol
//! and the compiled module whenever the document is loaded.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatewright_model::{
    decision::{Decision, Evaluation},
    event::{Event, SessionContext},
    http::{HttpBody, HttpResponse},
    id::SessionId,
    principal::Principal,
};

use crate::{
    block_on::block_on,
    document::{Case, DATABASE, Expect, Glob},
    host::Host,
    problem::LoadProblem,
    session::SessionPolicies,
    set::{Policy, PolicySet},
};

/// The request of a document's test case, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseRequest {
    /// `sql = ...`
    Sql(SqlCase),
    /// `http = ...`
    Http(HttpCase),
    /// `kubernetes = ...`: the same, read as the Kubernetes API does.
    Kubernetes(HttpCase),
    /// `ssh = ...`
    Ssh(SshCase),
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlCase {
    /// The statement's text.
    pub text: String,
    /// Values to bind: the case is then a Parse and an Execute, else a simple query.
    pub parameters: Option<Vec<String>>,
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCase {
    /// The method.
    pub method: String,
    /// Scheme, authority, path and query.
    pub url: String,
    /// Headers as they are sent to the target, in no order that counts.
    pub headers: Vec<(String, String)>,
    /// What is known of the body.
    pub body: HttpBody,
    /// The route that it takes: a document knows none of the configuration.
    pub route: String,
    /// What the route's pattern binds.
    pub route_parameters: Vec<(String, String)>,
    /// The head of the answer, where the case is about that.
    pub response: Option<HttpResponse>,
}

/// A request of SSH. What its kind does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshCase {
    /// Its kind: `exec`, `shell`, `direct-tcpip`, ...
    pub request: String,
    /// The text of an `exec`.
    pub command: String,
    /// The name of an `env`, a `subsystem` or a `signal`; of a `pty` the kind of terminal.
    pub name: String,
    /// The value of an `env`.
    pub value: String,
    /// Where a `direct-tcpip` leads to, or the address of a `tcpip-forward`.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// The addresses that a `direct-tcpip` leads to. None: its host's, or those of a name that was not looked up yet.
    pub addresses: Vec<IpAddr>,
    /// The path of a socket or a file.
    pub path: String,
    /// What is done with a `file`: `read`, `write`, `rename`, ...
    pub operation: String,
    /// The second path of what has two.
    pub other_path: String,
    /// Is a file made that is not there?
    pub creates: bool,
    /// Is what was there before lost?
    pub replaces: bool,
    /// The terminal that the channel has.
    pub terminal: Option<String>,
    /// The variables that were set on it.
    pub variables: Vec<(String, String)>,
}

impl CaseRequest {
    /// The protocol of the session in which it is asked.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self {
            Self::Sql(_) => "postgres",
            Self::Http(_) => "http",
            Self::Kubernetes(_) => "kubernetes",
            Self::Ssh(_) => "ssh",
        }
    }
}

/// Turns a case's request into the events that a real client's messages would give.
///
/// The proxy implements it with the protocol crates; this crate must not know a protocol.
pub trait CaseReader: Send + Sync {
    /// The events, in order.
    ///
    /// # Errors
    ///
    /// The request can not be sent over the protocol at all: for people, as one sentence.
    fn read(&self, request: &CaseRequest) -> Result<Vec<Event>, String>;
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The case's name.
    pub case: String,
    /// Its line in the document.
    pub line: usize,
    /// What was expected: the word, and after a `/` the rule where one is named.
    pub expected: String,
    /// What came: likewise, or why nothing did.
    pub got: String,
    /// Did it come as expected?
    pub passed: bool,
    /// The slowest evaluation of it, with making and configuring an instance.
    pub took: Duration,
}

/// Runs the cases of a policy; what comes back is what is wrong.
pub(crate) fn check(policy: &Arc<Policy>, host: &Host, reader: &dyn CaseReader) -> Vec<LoadProblem> {
    let budget = host.limits().latency_budget;
    let file = &policy.document.file;
    let mut problems = Vec::new();
    for case in &policy.document.cases {
        let mut report = run(policy, case, reader);
        if !report.passed {
            let message =
                format!("the case `{}` expects {} and gets {}", case.name, report.expected, report.got);
            let remedy = "mend the policy or the case; `gatewright policy test` runs them";
            // Why there is no answer can be in words of the request.
            let brief = format!("the case `{}` fails", case.name);
            problems.push(LoadProblem::new(file, Some(case.line), message, remedy).in_brief(brief));
            continue;
        }
        // A busy machine makes a fast policy slow once, not every time.
        for _ in 0..RETRIES {
            if report.took > budget {
                report.took = report.took.min(run(policy, case, reader).took);
            }
        }
        if report.took > budget {
            let message = format!(
                "the case `{}` takes {} ms, more than the {} ms that are allowed",
                case.name,
                report.took.as_millis(),
                budget.as_millis()
            );
            problems.push(LoadProblem::new(file, Some(case.line), message, "make the module faster"));
        }
    }
    problems
}

const RETRIES: usize = 3;

/// Runs every case of a policy.
pub(crate) fn run_all(policy: &Arc<Policy>, reader: &dyn CaseReader) -> Vec<CaseReport> {
    policy.document.cases.iter().map(|case| run(policy, case, reader)).collect()
}

fn run(policy: &Arc<Policy>, case: &Case, reader: &dyn CaseReader) -> CaseReport {
    let (got, passed, took) = match judge(policy, case, reader) {
        Ok(Outcome { expect, rules, took }) => {
            let named = case.rule.as_ref().is_none_or(|rule| rules.contains(rule));
            // Of several rules, the one that was asked for, if it is among them.
            let shown = rules.iter().find(|rule| case.rule.as_ref() == Some(rule)).or(rules.first());
            let got = match shown {
                Some(rule) => format!("{}/{rule}", expect.as_str()),
                None => expect.as_str().to_owned(),
            };
            (got, expect == case.expect && named, took)
        }
        Err(reason) => (reason, false, Duration::ZERO),
    };
    let expected = match &case.rule {
        Some(rule) => format!("{}/{rule}", case.expect.as_str()),
        None => case.expect.as_str().to_owned(),
    };
    let (policy, name) = (Arc::clone(&policy.name), case.name.clone());
    CaseReport { policy, case: name, line: case.line, expected, got, passed, took }
}

struct Outcome {
    expect: Expect,
    rules: Vec<String>,
    took: Duration,
}

/// A request is as permitted as the most refused of its events.
fn judge(policy: &Arc<Policy>, case: &Case, reader: &dyn CaseReader) -> Result<Outcome, String> {
    let events = reader.read(&case.request)?;
    let set = Arc::new(PolicySet::of(vec![Arc::new(policy.counting())]));
    let session = Arc::new(session(policy, case));
    let mut instances = SessionPolicies::new();
    let mut outcome: Option<Outcome> = None;
    for event in events {
        let (event, started) = (Arc::new(event), Instant::now());
        let evaluation = block_on(instances.evaluate(&set, &session, &event, SystemTime::UNIX_EPOCH));
        let took = started.elapsed();
        if let Some(failure) = evaluation.diagnostics.iter().find_map(|diagnostic| diagnostic.failure) {
            return Err(format!("no answer: {failure}"));
        }
        let (expect, rules) = outcome_of(&policy.name, &evaluation);
        let next = Outcome { expect, rules, took };
        outcome = Some(match outcome {
            Some(worst) if rank(worst.expect) >= rank(next.expect) => {
                Outcome { took: worst.took.max(took), ..worst }
            }
            Some(better) => Outcome { took: better.took.max(took), ..next },
            None => next,
        });
    }
    outcome.ok_or_else(|| "no event: nothing of it would be judged".to_owned())
}

fn rank(expect: Expect) -> u8 {
    match expect {
        Expect::Allow => 0,
        Expect::Mask => 1,
        Expect::Escalate => 2,
        Expect::Block => 3,
        Expect::NoMatch => 4,
    }
}

fn outcome_of(policy: &str, evaluation: &Evaluation) -> (Expect, Vec<String>) {
    let own = |rule: &str| {
        let own = rule.strip_prefix(policy).and_then(|rest| rest.strip_prefix('/'));
        own.unwrap_or(rule).to_owned()
    };
    match &evaluation.decision {
        Decision::Allow => (Expect::Allow, Vec::new()),
        Decision::Block(block) if *block.code == *"policy.no_match" => (Expect::NoMatch, Vec::new()),
        Decision::Block(block) if block.rule.is_empty() => (Expect::Block, vec![block.code.to_string()]),
        Decision::Block(block) => (Expect::Block, vec![own(&block.rule)]),
        Decision::Mask(plan) => {
            let columns = plan.columns.iter().map(|column| own(&column.rule));
            let json = plan.json.iter().map(|json| own(&json.rule));
            let objects = plan.objects.iter().map(|objects| own(&objects.rule));
            let detectors = plan.detectors.iter().map(|detector| own(&detector.rule));
            (Expect::Mask, columns.chain(json).chain(objects).chain(detectors).collect())
        }
        Decision::Escalate { escalation, .. } => (Expect::Escalate, vec![own(&escalation.rule)]),
    }
}

/// The session of a case: what the case says, else names that the policy matches.
fn session(policy: &Policy, case: &Case) -> SessionContext {
    let matching = &policy.document.matching;
    let name = |said: &Option<String>, globs: &Option<Vec<Glob>>, default: &str| -> Arc<str> {
        let matched = || {
            let globs = globs.as_ref()?;
            if globs.iter().any(|glob| glob.fits(default)) {
                None
            } else {
                globs.first().map(Glob::example)
            }
        };
        said.clone().or_else(matched).as_deref().unwrap_or(default).into()
    };
    let principal = Principal {
        subject: case.subject.as_str().into(),
        issuer: "case".into(),
        kind: case.kind,
        groups: case.groups.iter().map(|group| group.as_str().into()).collect(),
        actors: case.actors.iter().map(|actor| actor.as_str().into()).collect(),
        claims: Vec::new(),
        credential: "case".into(),
        issued_at: None,
        expires_at: None,
    };
    let protocol = case.request.protocol();
    let database =
        (protocol == "postgres").then(|| (DATABASE, name(&case.database, &matching.databases, "case")));
    SessionContext {
        id: SessionId::from_random([0; 16]),
        protocol,
        listener: name(&case.listener, &matching.listeners, "case"),
        target: name(&case.target, &matching.targets, "case"),
        account: case.account.as_deref().unwrap_or("case").into(),
        attributes: database.into_iter().collect(),
        client: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        principal: Arc::new(principal),
        opened_at: SystemTime::UNIX_EPOCH,
    }
}
