//! What SQL's EXECUTE runs.
//!
//! PREPARE and Parse share one space of names, and EXECUTE is judged by what was prepared: its statement
//! takes the place of EXECUTE in the analysis, and the text that prepared it follows the text that was sent.
//!
//! A name is believed once the target has accepted it, and as long as nothing could have changed what it
//! stands for: DEALLOCATE, DISCARD ALL, Close, a new Parse, or code that can not be seen, which can do any
//! of these. Whatever is not believed stays what EXECUTE is by itself: code that can not be seen.
//!
//! Within one text every statement runs only if all before it succeeded, so what a text prepares is believed
//! in the rest of it.

use std::{collections::HashMap, sync::Arc};

use gatewright_model::{
    digest::Digest,
    id::EventId,
    sql::{Analysis, FunctionClass, Grade, Prepared, Statement},
};

use super::{
    Limits,
    budget::{self, Budget, Charge},
    ledger::Ledger,
    objection::{hidden_code, is_unread},
    relay::{Relay, digest_of},
};

/// The names that EXECUTE may be judged by.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Prepared by SQL.
    ledger: Ledger<Kept>,
    /// How often code that can not be seen has run: what was prepared before may be something else since.
    hidden_runs: u64,
}

/// What a name stands for.
#[derive(Debug, Clone)]
struct Body {
    /// What prepared it.
    origin: Arc<Analysis>,
    statement: Arc<Statement>,
}

impl Body {
    /// None where the text that prepares it was not understood.
    fn new(origin: &Arc<Analysis>, statement: Arc<Statement>) -> Option<Self> {
        (origin.grade == Grade::Verified).then(|| Self { origin: Arc::clone(origin), statement })
    }
}

/// What is judged in place of what was sent.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) analysis: Arc<Analysis>,
    /// What it takes, where it is not what was sent.
    pub(super) charge: Option<Charge>,
}

/// A body that is kept from one message to the next.
#[derive(Debug)]
struct Kept {
    body: Body,
    /// What its text takes, shared by all bodies of one text.
    _charge: Arc<Charge>,
}

impl Names {
    /// Notes what a message that is sent now does to names. What there is no room for is not known later.
    pub(super) fn note(
        &mut self,
        event: EventId,
        analysis: &Arc<Analysis>,
        budget: &Budget,
        limits: &Limits,
    ) {
        let mut bodies: Vec<(Arc<str>, Body)> = Vec::new();
        if is_unread(analysis) {
            self.forget_all();
            self.hidden_runs += 1;
        }
        for statement in analysis.statements.iter() {
            if hidden_code(statement) {
                bodies.clear();
                self.forget_all();
                self.hidden_runs += 1;
            }
            match &statement.prepared {
                Some(Prepared::Prepare { name, body }) => {
                    self.forget(name);
                    bodies.retain(|(other, _)| other != name);
                    let body = Body::new(analysis, Arc::clone(body));
                    bodies.extend(body.map(|body| (Arc::clone(name), body)));
                }
                Some(Prepared::Deallocate { name: Some(name) }) => {
                    self.forget(name);
                    bodies.retain(|(other, _)| other != name);
                }
                Some(Prepared::Deallocate { name: None }) => {
                    self.forget_all();
                    bodies.clear();
                }
                Some(Prepared::Execute { .. }) | None => {}
            }
        }
        let bytes = budget::of_statement(analysis);
        if !bodies.is_empty() && budget.kept().saturating_add(bytes) <= limits.kept {
            let charge = Arc::new(budget.charge(bytes));
            let kept = |(name, body)| (name, Kept { body, _charge: Arc::clone(&charge) });
            self.ledger.promise(event, bodies.into_iter().map(kept).collect());
        }
    }

    /// See [`Ledger::settle`].
    pub(super) fn settle(&mut self, event: EventId, ok: bool, limit: usize) {
        self.ledger.settle(event, ok, limit);
    }

    /// How often code that can not be seen has run.
    pub(super) const fn hidden_runs(&self) -> u64 {
        self.hidden_runs
    }

    /// See [`Ledger::settle_rest`].
    pub(super) fn settle_rest(&mut self) {
        self.ledger.settle_rest();
    }

    /// The name may stand for something else from now on.
    pub(super) fn forget(&mut self, name: &str) {
        if !name.is_empty() {
            self.ledger.forget(name);
        }
    }

    fn forget_all(&mut self) {
        self.ledger.forget_all();
    }
}

impl Relay {
    /// The analysis with every EXECUTE replaced by what it runs, as far as that is known and there is room for
    /// it: what there is no room for stays unseen.
    pub(super) fn judged(&self, analysis: &Arc<Analysis>, limits: &Limits) -> Judged {
        let unchanged = || Judged { analysis: Arc::clone(analysis), charge: None };
        let executes = |statement: &Statement| matches!(statement.prepared, Some(Prepared::Execute { .. }));
        if !analysis.statements.iter().any(executes) {
            return unchanged();
        }
        let room = limits.kept.saturating_sub(self.budget.kept());
        let mut size = analysis.footprint();
        // What the names mean that this text has changed so far; where `only_local`, all others are unknown.
        let mut local: HashMap<Arc<str>, Option<Body>> = HashMap::new();
        let mut only_local = false;
        let mut statements = Vec::with_capacity(analysis.statements.len());
        let mut origins: Vec<Arc<Analysis>> = Vec::new();
        for statement in analysis.statements.iter() {
            let body = match &statement.prepared {
                Some(Prepared::Execute { name, .. }) => match local.get(name) {
                    Some(body) => body.clone(),
                    None if only_local => None,
                    None => self.prepared_under(name),
                },
                _ => None,
            };
            let run = body.and_then(|body| {
                let grown = size.saturating_add(body.statement.footprint());
                if grown > room {
                    return None;
                }
                size = grown;
                Some((run(statement, &body.statement)?, body.origin))
            });
            let judged = match run {
                Some((run, origin)) => {
                    if !origins.iter().any(|known| Arc::ptr_eq(known, &origin)) {
                        origins.push(origin);
                    }
                    run
                }
                None => statement.clone(),
            };
            if hidden_code(&judged) {
                local.clear();
                only_local = true;
            }
            match &judged.prepared {
                Some(Prepared::Prepare { name, body }) => {
                    local.insert(Arc::clone(name), Body::new(analysis, Arc::clone(body)));
                }
                Some(Prepared::Deallocate { name: Some(name) }) => {
                    local.insert(Arc::clone(name), None);
                }
                Some(Prepared::Deallocate { name: None }) => {
                    local.clear();
                    only_local = true;
                }
                Some(Prepared::Execute { .. }) | None => {}
            }
            statements.push(judged);
        }
        if origins.is_empty() {
            return unchanged();
        }
        // What this text itself prepares is in it already.
        origins.retain(|origin| !Arc::ptr_eq(origin, analysis));
        let analysis = Arc::new(shown_with(analysis, &origins, statements));
        let charge = Some(self.budget.charge(analysis.footprint()));
        Judged { analysis, charge }
    }

    fn prepared_under(&self, name: &str) -> Option<Body> {
        if let Some(kept) = self.names.ledger.get(name) {
            return Some(kept.body.clone());
        }
        if name.is_empty() || self.pipeline.names_something() {
            return None;
        }
        let prepared = self.statements.get(name)?;
        if prepared.known_at != self.names.hidden_runs {
            return None;
        }
        let origin = &prepared.analysis;
        match &origin.statements[..] {
            [statement] => Body::new(origin, Arc::new(statement.clone())),
            _ => None,
        }
    }
}

/// What is judged of a message beyond its own bytes, for the digest of what was judged.
pub(super) fn beyond<'a>(sent: &Analysis, judged: &'a Analysis) -> &'a [u8] {
    judged.text.as_bytes().get(sent.text.len()..).unwrap_or_default()
}

/// The statement that runs. None where EXECUTE itself is more than its name and plain arguments.
fn run(execute: &Statement, body: &Statement) -> Option<Statement> {
    let Some(Prepared::Execute { arguments, .. }) = &execute.prepared else { return None };
    // The server allows no column and no query among the arguments.
    let more = !execute.further_kinds.is_empty();
    if execute.kind != "execute" || more || !execute.relations.is_empty() || !execute.columns.is_empty() {
        return None;
    }
    let mut run = body.clone();
    // Its text is not the one that is sent.
    run.copies = None;
    run.effects = run.effects.union(*arguments);
    for function in &execute.functions {
        if !run.functions.contains(function) {
            run.functions.push(function.clone());
        }
        if function.class != FunctionClass::Harmless {
            // What an argument brings in can be anywhere in the answer.
            run.outputs = None;
        }
    }
    Some(run)
}

/// The analysis of `sent` with other statements, and with the texts that they come from.
fn shown_with(sent: &Analysis, origins: &[Arc<Analysis>], statements: Vec<Statement>) -> Analysis {
    let (mut text, mut normalised) = (sent.text.to_string(), sent.normalised.to_string());
    let mut fingerprints = vec![sent.fingerprint.as_bytes()];
    for origin in origins {
        for (all, own) in [(&mut text, &origin.text), (&mut normalised, &origin.normalised)] {
            all.push_str("\n-- EXECUTE runs what was prepared by:\n");
            all.push_str(own);
        }
        fingerprints.push(origin.fingerprint.as_bytes());
    }
    let fingerprint = match origins {
        [] => Arc::clone(&sent.fingerprint),
        _ => sixteen_digits(digest_of(&fingerprints)),
    };
    Analysis {
        text: Arc::from(text),
        normalised: Arc::from(normalised),
        fingerprint,
        grade: sent.grade,
        grade_reason: sent.grade_reason.clone(),
        statements: Arc::from(statements),
    }
}

/// A fingerprint is this long.
fn sixteen_digits(digest: Digest) -> Arc<str> {
    let mut digits = digest.to_string();
    digits.truncate(16);
    Arc::from(digits)
}
