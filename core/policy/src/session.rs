//! The instances of one session, and the answers it may hear again.
//!
//! An instance never serves two principals, because it never leaves the session it was made for. It is
//! taken out of its place before it is asked and put back after it answered: whatever happens in between
//! (a trap, a deadline, a future that is dropped half-way) leaves the place empty, and the next event gets
//! a fresh one.

use std::{sync::Arc, time::SystemTime};

use gatewright_model::{
    decision::{Evaluation, Mode},
    event::{Event, SessionContext},
    sql::Grade,
};

use crate::{
    answers::Answers,
    combine::{Answer, Unjudged, combine},
    contract::verdict::Said,
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

    /// Judges one event of `session` by `set`, at `now`. Never fails: what can not be judged is blocked. What is said again is
    /// the same value each time. The future may be dropped at any point; what was under way is thrown away with it.
    pub async fn evaluate(
        &mut self,
        set: &Arc<PolicySet>,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Arc<Evaluation> {
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
        let Some(judge) = &mut self.judge else { return };
        for seat in &mut judge.seats {
            seat.instance = None;
        }
        judge.answers.rest();
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
        let answers = Answers::of(seats.iter().map(|seat| seat.policy.module.manifest().inputs));
        Self { set: Arc::clone(set), session: Arc::clone(session), seats, answers }
    }

    async fn evaluate(&mut self, event: &Arc<Event>, now: SystemTime) -> Arc<Evaluation> {
        if let Some(known) = self.answers.get(event) {
            return Arc::clone(known);
        }
        let (kind, grade, version) = (event.kind(), event.grade(), self.set.version());
        let asked = || self.seats.iter().filter(|seat| seat.policy.module.manifest().wants(kind));
        let counting = || asked().filter(|seat| seat.policy.mode == Mode::Protect);
        // An answer that nobody asks about goes on: its request was judged.
        if counting().next().is_none() && !event.is_answer() {
            return Arc::new(Unjudged::NoMatch.evaluation(event, version));
        }
        if grade != Grade::Verified
            && !event.is_answer()
            && !counting().any(|seat| seat.policy.document.allow_grades.contains(&grade))
        {
            return Arc::new(Unjudged::Grade(grade).evaluation(event, version));
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
        Arc::new(evaluation)
    }
}

impl Seat {
    async fn ask(
        &mut self,
        session: &Arc<SessionContext>,
        event: &Arc<Event>,
        now: SystemTime,
    ) -> Result<(Said, Seen), Failure> {
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
    ) -> Result<(Said, Seen), Failure> {
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
