//! What one evaluation costs: `cargo run --release --example evaluate -p gatewright-policy`, after
//! `cargo build --release --target wasm32-unknown-unknown` in `plugins/`.
//!
//! Prints nanoseconds for each evaluation: the median of 30 rounds, and the best. It asserts nothing.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for people"
)]

use std::{
    hint::black_box,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Instant, SystemTime},
};

use gatewright_model::{
    digest::Digest,
    event::{Event, Facet, SessionContext},
    id::{EventId, SessionId},
    principal::{Principal, PrincipalKind},
    sql::{
        Access, Analysis, Column, Effects, Function, FunctionClass, Grade, Relation, SqlEvent, SqlPhase,
        Statement,
    },
};
use gatewright_policy::{CaseReader, CaseRequest, Host, Limits, PolicySet, SessionPolicies};

const ROUNDS: usize = 30;
const EVENTS: usize = 1_000;

fn main() {
    let host = Host::new(Limits::default()).unwrap();
    let rules = "[settings]\nread_only_groups = [\"readers\"]\ndeny_kinds = [\"drop_*\"]\n\
                 deny_functions = [\"pg_sleep*\"]\ndeny_function_classes = [\"host\"]\n";
    let mask = "[settings]\ncolumns = [{ relation = \"public.people\", column = \"ssn\", method = \"hash\" }]\n\
                detectors = [{ detector = \"email\", method = \"redact\" }]\n";
    let trivial = "[settings]\nexempt_groups = [\"analysts\"]\n";
    println!("{:<58} {:>9} {:>9}", "ns for each evaluation", "median", "best");
    measure("mask-columns, principal exempt: two questions", &host, "mask_columns", trivial, false);
    measure("mask-columns: a plan of one column and one detector", &host, "mask_columns", mask, false);
    measure("statement-rules: all rules, one select", &host, "statement_rules", rules, false);
    measure(
        "statement-rules: the same statement again (reused answer)",
        &host,
        "statement_rules",
        rules,
        true,
    );
    let fresh = format!("isolation = \"event\"\n{rules}");
    measure("statement-rules: a fresh instance for each event", &host, "statement_rules", &fresh, false);
}

fn measure(what: &str, host: &Host, module: &str, rest: &str, same: bool) {
    let folder = tempfile::tempdir().unwrap();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../plugins/target/wasm32-unknown-unknown/release")
        .join(format!("{module}.wasm"));
    let document = format!("name = \"p\"\nmodule = \"{}\"\n{rest}", modules.display());
    std::fs::write(folder.path().join("p.toml"), document).unwrap();
    let set = Arc::new(PolicySet::load(folder.path(), host, &NoCases).unwrap());
    let session = session();
    // More statements than a session remembers, so that none is answered from memory.
    let events: Vec<_> = (0..EVENTS).map(|number| event(if same { 0 } else { number })).collect();
    let first = event(0);
    let mut instances = SessionPolicies::new();
    let mut samples: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for event in &events {
                let event = if same { &first } else { event };
                let judged = instances.evaluate(&set, &session, event, SystemTime::UNIX_EPOCH);
                black_box(ready(judged));
            }
            started.elapsed().as_nanos() / EVENTS as u128
        })
        .collect();
    samples.sort_unstable();
    println!("{what:<58} {:>9} {:>9}", samples[ROUNDS / 2], samples[0]);
}

/// Polls until it is there: what is measured gives way at most once a millisecond.
fn ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

struct NoCases;

impl CaseReader for NoCases {
    fn read(&self, _request: &CaseRequest) -> Result<Vec<Event>, String> {
        Err("the bench has no cases".to_owned())
    }
}

fn session() -> Arc<SessionContext> {
    let principal = Principal {
        subject: "alice".into(),
        issuer: "bench".into(),
        kind: PrincipalKind::Human,
        groups: vec!["staff".into(), "analysts".into()],
        actors: Vec::new(),
        claims: Vec::new(),
        credential: "c".into(),
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
        client: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
        principal: Arc::new(principal),
        opened_at: SystemTime::UNIX_EPOCH,
    })
}

/// `SELECT abalance FROM pgbench_accounts WHERE aid = lower($1)`, more or less.
fn event(number: usize) -> Arc<Event> {
    let column = |name: &str| Column { relation: None, name: name.into() };
    let statement = Statement {
        kind: "select",
        effects: Effects { read: true, ..Effects::default() },
        relations: vec![Relation { schema: None, name: "pgbench_accounts".into(), access: Access::Read }],
        columns: vec![column("abalance"), column("aid")],
        functions: vec![Function { schema: None, name: "lower".into(), class: FunctionClass::Harmless }],
        ..Statement::default()
    };
    let analysis = Analysis {
        text: format!("SELECT abalance FROM pgbench_accounts WHERE aid = {number}").into(),
        normalised: "SELECT abalance FROM pgbench_accounts WHERE aid = $1".into(),
        fingerprint: "0123456789abcdef".into(),
        grade: Grade::Verified,
        grade_reason: None,
        statements: Arc::new([statement]),
    };
    let sql = SqlEvent { phase: SqlPhase::Query, analysis: Arc::new(analysis), parameters: Vec::new() };
    Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet: Facet::Sql(sql) })
}
