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
    guest::Seen,
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

    /// Would any policy be asked about an event of this kind? As of the set that judged the session's last event.
    pub fn ask_about(&self, kind: &str) -> bool {
        let mut seats = self.judge.iter().flat_map(|judge| &judge.seats);
        seats.any(|seat| seat.policy.module.manifest().wants(kind))
    }

    /// Are there instances that could be given back?
    pub fn holds_instances(&self) -> bool {
        self.judge.iter().flat_map(|judge| &judge.seats).any(|seat| seat.instance.is_some())
    }

    /// Gives back what an idle session needs least: an instance is four fifths of its memory, and made
    /// again in thirty microseconds.
    pub fn rest(&mut self) {
        for seat in self.judge.iter_mut().flat_map(|judge| &mut judge.seats) {
            seat.instance = None;
        }
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
        let answers = Answers { reusable, known: HashMap::new(), bytes: 0 };
        Self { set: Arc::clone(set), session: Arc::clone(session), seats, answers }
    }

    async fn evaluate(&mut self, event: &Arc<Event>, now: SystemTime) -> Evaluation {
        if let Some(known) = self.answers.get(event) {
            return known.clone();
        }
        let (kind, grade, version) = (event.kind(), event.grade(), self.set.version());
        let asked = || self.seats.iter().filter(|seat| seat.policy.module.manifest().wants(kind));
        let counting = || asked().filter(|seat| seat.policy.mode == Mode::Protect);
        // An answer that nobody asks about goes on: its request was judged.
        if counting().next().is_none() && !event.is_answer() {
            return Unjudged::NoMatch.evaluation(event, version);
        }
        if grade != Grade::Verified
            && !event.is_answer()
            && !counting().any(|seat| seat.policy.document.allow_grades.contains(&grade))
        {
            return Unjudged::Grade(grade).evaluation(event, version);
        }
        let mut answers = Vec::with_capacity(self.seats.len());
        let mut text_seen = false;
        for seat in self.seats.iter_mut().filter(|seat| seat.policy.module.manifest().wants(kind)) {
            let said = seat.ask(&self.session, event, now).await;
            let said = said.map(|(draft, seen)| {
                text_seen |= seen.text;
                draft
            });
            answers.push(Answer { policy: &seat.policy, said });
        }
        let evaluation = combine(event, version, answers);
        self.answers.put(event, text_seen, &evaluation);
        evaluation
    }
}

impl Seat {
    async fn ask(
        &mut self,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Result<(Draft, Seen), Failure> {
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
    ) -> Result<(Draft, Seen), Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(&self.policy.module, &self.policy.document.settings)
                .await
                .map_err(StartError::into_failure)?,
        };
        let answer = instance.evaluate(session, event, now).await?;
        if self.policy.isolation() == Isolation::Session {
            self.instance = Some(instance);
        }
        Ok(answer)
    }
}

/// Answers that the session heard and may hear again: no policy of the session's depends on anything that
/// could change but the statement, and the statement is the same one.
///
/// Which is the same text; or, where no module read the text, one with the same meaning: texts that differ
/// in the values of their literals share their statements.
struct Answers {
    reusable: bool,
    known: HashMap<(Subject, SqlPhase), Known>,
    bytes: usize,
}

/// What an answer was about, by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Text(usize),
    Meaning(usize),
}

struct Known {
    /// Keeps what is named by its address alive, so that the address names nothing else.
    _analysis: Arc<Analysis>,
    evaluation: Evaluation,
}

/// Answers that one session keeps; when there are more, it starts over.
const KNOWN: usize = 128;

/// Bytes that all of them may keep alive, as the statements that they are about estimate themselves.
const KNOWN_BYTES: usize = 2 << 20;

impl Answers {
    fn get(&self, event: &Event) -> Option<&Evaluation> {
        // Requests of other protocols differ in more than what could be named by an address.
        let Facet::Sql(sql) = &event.facet else { return None };
        let known = |subject| self.known.get(&(subject, sql.phase));
        meaning(&sql.analysis)
            .and_then(known)
            .or_else(|| known(text(&sql.analysis)))
            .map(|known| &known.evaluation)
    }

    fn put(&mut self, event: &Event, text_seen: bool, evaluation: &Evaluation) {
        let Facet::Sql(sql) = &event.facet else { return };
        let failed = evaluation.diagnostics.iter().any(|diagnostic| diagnostic.failure.is_some());
        let bytes = sql.analysis.footprint();
        if !self.reusable || failed || bytes > KNOWN_BYTES / 8 {
            return;
        }
        if self.known.len() == KNOWN || self.bytes + bytes > KNOWN_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        let subject = meaning(&sql.analysis).filter(|_| !text_seen).unwrap_or_else(|| text(&sql.analysis));
        let known = Known { _analysis: Arc::clone(&sql.analysis), evaluation: evaluation.clone() };
        self.known.insert((subject, sql.phase), known);
    }
}

fn text(analysis: &Arc<Analysis>) -> Subject {
    Subject::Text(Arc::as_ptr(analysis).addr())
}

/// None without a statement: nothing has no address of its own.
fn meaning(analysis: &Analysis) -> Option<Subject> {
    let statements = &analysis.statements;
    (!statements.is_empty()).then(|| Subject::Meaning(statements.as_ptr().addr()))
}
