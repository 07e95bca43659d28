//! The instances of one session, and the answers it may hear again.
//!
//! An instance never serves two principals, because it never leaves the session it was made for. It is
//! taken out of its place before it is asked and put back after it answered: whatever happens in between
//! (a trap, a deadline, a future that is dropped half-way) leaves the place empty, and the next event gets
//! a fresh one.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use gatewright_model::{
    decision::{Evaluation, Mode},
    event::{Event, Facet, SessionContext},
    sql::{Analysis, Grade, SqlPhase},
};

use crate::{
    combine::{Answer, Unjudged, combine},
    contract::verdict::Draft,
    document::Isolation,
    instance::{Failure, Instance, StartError},
    set::{Policy, PolicySet},
};

/// The policies as one session meets them. Cheap to make: instances come with the first event.
#[derive(Default)]
pub struct SessionPolicies {
    judge: Option<Judge>,
}

impl SessionPolicies {
    /// For one session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges one event of `session` by `set`, at `now`. Never fails: what can not be judged is blocked. The
    /// future may be dropped at any point; what was under way is thrown away with it.
    pub async fn evaluate(
        &mut self,
        set: &Arc<PolicySet>,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Evaluation {
        let judge = match &mut self.judge {
            Some(judge) if Arc::ptr_eq(&judge.set, set) && Arc::ptr_eq(&judge.session, session) => judge,
            // Another set, or (which no driver does) another session: nothing is carried over.
            other => other.insert(Judge::new(set, session)),
        };
        judge.evaluate(event, now).await
    }
}

impl std::fmt::Debug for SessionPolicies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionPolicies").finish_non_exhaustive()
    }
}

/// One set as one session meets it.
struct Judge {
    set: Arc<PolicySet>,
    session: Arc<SessionContext>,
    /// The policies whose match fits the session, which does not change in its life.
    seats: Vec<Seat>,
    answers: Answers,
}

struct Seat {
    policy: Arc<Policy>,
    instance: Option<Instance>,
}

impl Judge {
    fn new(set: &Arc<PolicySet>, session: &Arc<SessionContext>) -> Self {
        let fitting = set.policies().filter(|policy| policy.document.matching.fits(session));
        let seats: Vec<_> =
            fitting.map(|policy| Seat { policy: Arc::clone(policy), instance: None }).collect();
        let reusable = seats.iter().all(|seat| seat.policy.module.manifest().inputs.allow_reuse());
        let answers = Answers { reusable, known: HashMap::new() };
        Self { set: Arc::clone(set), session: Arc::clone(session), seats, answers }
    }

    async fn evaluate(&mut self, event: &Arc<Event>, now: SystemTime) -> Evaluation {
        if let Some(known) = self.answers.get(event) {
            return known.clone();
        }
        let (kind, grade, version) = (event.kind(), event.grade(), self.set.version());
        let asked = || self.seats.iter().filter(|seat| seat.policy.module.manifest().wants(kind));
        let counting = || asked().filter(|seat| seat.policy.mode == Mode::Protect);
        if counting().next().is_none() {
            return Unjudged::NoMatch.evaluation(event, version);
        }
        if grade != Grade::Verified
            && !counting().any(|seat| seat.policy.document.allow_grades.contains(&grade))
        {
            return Unjudged::Grade(grade).evaluation(event, version);
        }
        let mut answers = Vec::with_capacity(self.seats.len());
        for seat in self.seats.iter_mut().filter(|seat| seat.policy.module.manifest().wants(kind)) {
            let said = seat.ask(&self.session, event, now).await;
            answers.push(Answer { policy: &seat.policy, said });
        }
        let evaluation = combine(event, version, answers);
        self.answers.put(event, &evaluation);
        evaluation
    }
}

impl Seat {
    async fn ask(
        &mut self,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Result<Draft, Failure> {
        let said = self.ask_once(session, event, now).await;
        if let Err(failure) = &said {
            tracing::warn!(policy = &*self.policy.name, %failure, "a policy gave no answer");
        }
        said
    }

    async fn ask_once(
        &mut self,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Result<Draft, Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(&self.policy.module, &self.policy.document.settings)
                .await
                .map_err(StartError::into_failure)?,
        };
        let draft = instance.evaluate(session, event, now).await?;
        if self.policy.isolation() == Isolation::Session {
            self.instance = Some(instance);
        }
        Ok(draft)
    }
}

/// Answers that the session heard and may hear again: the statement is the same analysis, and no policy of
/// the session's depends on anything else that could change.
struct Answers {
    reusable: bool,
    known: HashMap<(usize, SqlPhase), Known>,
}

struct Known {
    /// Keeps the analysis alive, so that its address names no other.
    _analysis: Arc<Analysis>,
    evaluation: Evaluation,
}

/// Answers that one session keeps; when there are more, it starts over.
const KNOWN: usize = 128;

/// Bytes of text of a statement whose answer is kept: a session that sends long texts holds on to
/// 128 * 8 KiB of them at most.
const KNOWN_TEXT: usize = 8 << 10;

impl Answers {
    fn get(&self, event: &Event) -> Option<&Evaluation> {
        self.known.get(&key(event)).map(|known| &known.evaluation)
    }

    fn put(&mut self, event: &Event, evaluation: &Evaluation) {
        let Facet::Sql(sql) = &event.facet;
        let failed = evaluation.diagnostics.iter().any(|diagnostic| diagnostic.failure.is_some());
        if !self.reusable || failed || sql.analysis.text.len() > KNOWN_TEXT {
            return;
        }
        if self.known.len() == KNOWN {
            self.known.clear();
        }
        let known = Known { _analysis: Arc::clone(&sql.analysis), evaluation: evaluation.clone() };
        self.known.insert(key(event), known);
    }
}

fn key(event: &Event) -> (usize, SqlPhase) {
    let Facet::Sql(sql) = &event.facet;
    (Arc::as_ptr(&sql.analysis).addr(), sql.phase)
}
