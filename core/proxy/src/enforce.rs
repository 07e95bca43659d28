//! The enforcement point: from an event to a permit or a denial.
//!
//! This is the only file that mints permits, and the order in it is the order of promise P1: the policies
//! answer, the record is accepted (and on disk, where the event could leave a trace), and only then is
//! there a permit, if the session has not been ended meanwhile. Every way out that is not a permit is a denial.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use gatewright_approval::{Approvals, NewRequest, RequestError, Settled, Ticket};
use gatewright_evidence::{AppendError, Endings, Log, Recordings};
use gatewright_model::{
    audit::{DecisionRecord, OutcomeRecord, Record},
    decision::{Block, Decision, Escalation, Evaluation, SetVersion},
    event::{Event, SessionContext},
    id::{ApprovalId, EventId},
    mask::MaskPlan,
    permit::{Denial, Permit},
    principal::Principal,
    recording::Frame,
    session::{Outcome, OutcomeResult, Rejection},
};
use gatewright_policy::{Policies, SessionPolicies};
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

use crate::{
    metrics::{DecisionMetrics, Metrics},
    recorder::Recorder,
    sessions::{End, Ending, Entered, Sessions},
    transport,
};

/// What all enforcers of the process share.
#[derive(Debug)]
pub struct Enforcement {
    /// The active policy set.
    pub policies: Policies,
    /// Its number, for what was judged by one set and goes on under another.
    pub set_number: watch::Sender<u64>,
    /// Where records go.
    pub log: Log,
    /// Where recordings go.
    pub recordings: Recordings,
    /// Who is asked.
    pub approvals: Approvals,
    /// Groups that may decide where a policy names none.
    pub reviewers: Vec<Arc<str>>,
    /// How long an event may wait at most while its session keeps something at the target from others.
    pub hold_with_locks: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Which sessions are open.
    pub sessions: Arc<Sessions>,
}

/// Enforces decisions on the events of one session. Its drop is the end of the session.
pub struct Enforcer {
    shared: Arc<Enforcement>,
    session: Arc<SessionContext>,
    ending: Arc<Ending>,
    _entered: Entered,
    /// Each event takes one and puts it back: there are as many as events were judged at the same time.
    benches: Mutex<Vec<Bench>>,
    endings: Mutex<Endings>,
    events: AtomicU64,
    /// Why the session ended.
    end: Mutex<&'static str>,
}

/// What a session judges its events with, one at a time.
#[derive(Default)]
struct Bench {
    policies: SessionPolicies,
    decisions: Vec<(&'static str, DecisionMetrics)>,
}

/// Benches that a session keeps.
const BENCHES: usize = 4;

/// What was said of an event.
struct Judgement {
    evaluation: Arc<Evaluation>,
    /// When it was said.
    at: Instant,
    duties: Duties,
}

/// What leave is given with.
#[derive(Debug, Clone, Copy)]
struct Duties {
    /// A policy wants to judge the answer too.
    judges_answer: bool,
    /// A policy wants it recorded.
    recorded: bool,
}

/// How the session of an event goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// While the event waits, the session keeps something at the target from others.
    pub locks: bool,
    /// The target is sent nothing before the records of the turn are written
    /// ([`send_after_records`](crate::transport::Connection)), so a record may wait for that.
    pub writes_with_turn: bool,
}

/// What becomes of an event.
pub enum Verdict {
    /// It may go.
    Permit(Permit),
    /// It is refused.
    Deny(Denial),
    /// It waits for a person.
    Hold(Held),
}

/// An event that waits for a person.
pub struct Held {
    /// The request, as a future of its settlement. Dropping it withdraws the request.
    pub ticket: Ticket,
    /// What waits.
    event: Arc<Event>,
    /// The request's name.
    pub approval: ApprovalId,
    /// What is asked of them, and why.
    pub escalation: Arc<Escalation>,
    masks: MaskPlan,
    duties: Duties,
    set: SetVersion,
}

impl Held {
    /// Which event waits.
    pub fn event(&self) -> EventId {
        self.event.id
    }
}

impl Enforcer {
    /// Makes ready for a session that was just opened, on record.
    pub fn new(
        shared: Arc<Enforcement>,
        session: Arc<SessionContext>,
        ending: Arc<Ending>,
        entered: Entered,
    ) -> Self {
        Self {
            shared,
            session,
            ending,
            _entered: entered,
            benches: Mutex::default(),
            endings: Mutex::default(),
            events: AtomicU64::new(0),
            end: Mutex::new("client_closed"),
        }
    }

    /// Judges an event, records the decision, and only then gives leave.
    pub async fn enforce(&self, event: Event, manner: Manner) -> Verdict {
        self.events.fetch_add(1, Ordering::Relaxed);
        let event = Arc::new(event);
        let judgement = self.judge(&event).await;
        if let Err(denial) = self.record(&event, &judgement, manner.writes_with_turn).await {
            return Verdict::Deny(denial);
        }
        let Judgement { evaluation, duties, .. } = judgement;
        match &evaluation.decision {
            Decision::Allow => self.permit(event.id, None, duties),
            Decision::Mask(masks) => self.permit(event.id, Some(Arc::new(masks.clone())), duties),
            Decision::Block(block) => {
                Verdict::Deny(Denial { event: event.id, block: block.clone(), approval: None })
            }
            Decision::Escalate { escalation, masks } => {
                let escalation = escalation.clone();
                let escalation = if manner.locks { self.shortened(escalation) } else { escalation };
                self.escalate(&event, escalation, masks.clone(), duties, evaluation.set).await
            }
        }
    }

    /// Turns the answer of the reviewers into leave or refusal.
    pub async fn settle(&self, held: Held, settled: &Settled) -> Verdict {
        let Held { event, approval, escalation, masks, duties, set, .. } = held;
        let event = event.id;
        let deny = |code: &str, reason: String, remedy: &str| {
            let block = Block {
                code: Arc::from(code),
                rule: Arc::clone(&escalation.rule),
                reason: Arc::from(reason),
                remedy: Arc::from(remedy),
            };
            Verdict::Deny(Denial { event, block, approval: Some(approval.clone()) })
        };
        let record = Record::ApprovalSettled {
            approval: &approval,
            session: self.session.id,
            event,
            state: settled.as_str(),
        };
        if let Err(denial) = self.write_through(event, &record).await {
            return Verdict::Deny(denial);
        }
        match settled {
            Settled::Approved { .. } => {
                // An approval was given under one policy set and holds under that one only (promise P8).
                if self.shared.policies.current().version().digest != set.digest {
                    self.refused(event, "approval.mismatch");
                    return deny(
                        "approval.mismatch",
                        "the policies changed while the request waited".to_owned(),
                        "try again",
                    );
                }
                let masks = (!masks.is_empty()).then(|| Arc::new(masks));
                self.permit(event, masks, duties)
            }
            Settled::Rejected { comment, .. } => deny(
                "approval.rejected",
                format!("a reviewer rejected it: {comment}"),
                "talk to the reviewer before you try again",
            ),
            Settled::Expired => deny(
                "approval.expired",
                "nobody approved it in time".to_owned(),
                "ask a reviewer to be there, then try again",
            ),
            Settled::Withdrawn => deny(Denial::WITHDRAWN, "the request was withdrawn".to_owned(), ""),
        }
    }

    /// Gives leave, unless the session was ended, or its credential has expired, while the event waited for
    /// its policies, for the disk or for a person.
    fn permit(&self, event: EventId, masks: Option<Arc<MaskPlan>>, duties: Duties) -> Verdict {
        let Duties { judges_answer, recorded } = duties;
        match barred(&self.ending, &self.session.principal, SystemTime::now()) {
            None => {
                let permit = Permit::mint(event, masks).judging_answer(judges_answer).recorded(recorded);
                Verdict::Permit(permit)
            }
            Some(rejection) => {
                self.refused(event, rejection.code);
                let Rejection { code, message: reason, remedy } = rejection;
                let (code, rule) = (Arc::from(code), Arc::from("gatewright/session"));
                let block = Block { code, rule, reason, remedy };
                Verdict::Deny(Denial { event, block, approval: None })
            }
        }
    }

    /// Says of an event whose record reads as if it had gone on that it has not.
    fn refused(&self, event: EventId, code: &str) {
        let result = OutcomeResult::Refused;
        self.finished(event, &Outcome { result, code: Some(Arc::from(code)), ..Outcome::default() });
    }

    /// Records what became of an event. It needs no sync: an event without this record is read as one
    /// with an unknown outcome.
    pub fn finished(&self, event: EventId, outcome: &Outcome) {
        let record = Record::Outcome(OutcomeRecord { session: self.session.id, event, outcome });
        // A failed log refuses the next event; there is nobody left to tell about this one.
        if let Err(error) = self.shared.log.append_lazily(SystemTime::now(), &record) {
            tracing::error!(%error, session = %self.session.id, "an outcome could not be recorded");
        }
    }

    /// Does it hold memory that an idle session should give back with [`Enforcer::rest`]?
    pub fn is_awake(&self) -> bool {
        !self.endings.lock().is_empty()
            || self.benches.lock().iter().any(|bench| bench.policies.holds_instances())
    }

    /// The session is idle.
    pub fn rest(&self) {
        self.benches.lock().iter_mut().for_each(|bench| bench.policies.rest());
        self.endings.lock().rest();
    }

    /// The number of the policies that are active now.
    pub fn set_number(&self) -> u64 {
        *self.shared.set_number.borrow()
    }

    /// Waits until other policies are active than those of this number.
    pub fn policies_changed(&self, from: u64) -> impl Future<Output = ()> + Send + 'static {
        let mut number = self.shared.set_number.subscribe();
        async move {
            // An error: the gateway ends, and there will be no others.
            if number.wait_for(|number| *number > from).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// The session that is enforced on.
    pub const fn session(&self) -> &Arc<SessionContext> {
        &self.session
    }

    /// Events that were judged.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Begins to record something of it.
    ///
    /// # Errors
    ///
    /// Nothing can be recorded.
    pub async fn begin_recording(&self, start: &Frame) -> io::Result<Recorder> {
        Recorder::begin(Arc::clone(&self.shared), Arc::clone(&self.session), start).await
    }

    /// Why the session was ended from outside. None: it was not.
    pub fn why_ended(&self) -> Option<End> {
        self.ending.why()
    }

    /// Waits until somebody outside ends the session.
    pub fn ended(&self) -> impl Future<Output = End> + Send + use<> {
        let ending = Arc::clone(&self.ending);
        async move { ending.told().await }
    }

    /// Why the session ends, if it ends now.
    pub fn note_end(&self, code: &'static str) {
        *self.end.lock() = code;
    }

    async fn judge(&self, event: &Arc<Event>) -> Judgement {
        let started = Instant::now();
        let set = self.shared.policies.current();
        // Whatever a future that is dropped has begun with is not used again.
        let mut bench = self.benches.lock().pop().unwrap_or_default();
        let evaluation = bench.policies.evaluate(&set, &self.session, event, SystemTime::now()).await;
        let at = Instant::now();
        self.shared.metrics.policy_evaluation.observe(at - started);
        bench.count(&self.shared.metrics, event.kind(), &evaluation.decision);
        let judges_answer = event.answer_kind().is_some_and(|kind| bench.policies.ask_about(kind));
        let mut benches = self.benches.lock();
        if benches.len() < BENCHES {
            benches.push(bench);
        }
        let duties = Duties { judges_answer, recorded: evaluation.recorded };
        Judgement { evaluation, at, duties }
    }

    async fn record(&self, event: &Event, judgement: &Judgement, with_turn: bool) -> Result<(), Denial> {
        let Judgement { evaluation, at, .. } = judgement;
        let decision = DecisionRecord { session: &self.session, event, evaluation };
        let record = Record::Decision(decision);
        if decision.wants_sync() {
            return self.write_through(event.id, &record).await;
        }
        let fields = self.endings.lock().complete(&decision).unwrap_or_else(|| (&record).into());
        let (log, now) = (&self.shared.log, SystemTime::now());
        let appended = if with_turn && transport::write_first(log) {
            log.append_lazily(now, fields)
        } else {
            log.append(now, fields)
        };
        self.shared.metrics.evidence_append.observe(at.elapsed());
        appended.map(|_| ()).map_err(|error| unrecorded(event.id, &error))
    }

    /// Appends a record and waits until it is on disk. What hangs longer than the deadline counts as not
    /// written, whatever becomes of it: the log itself refuses everybody else by then (fault F9).
    async fn write_through(&self, event: EventId, record: &Record<'_>) -> Result<(), Denial> {
        let started = Instant::now();
        let receipt =
            self.shared.log.append(SystemTime::now(), record).map_err(|error| unrecorded(event, &error))?;
        let durable = timeout(self.shared.log.sync_deadline(), self.shared.log.durable(receipt)).await;
        let durable = durable.unwrap_or_else(|_| {
            self.shared.log.give_up(receipt);
            Err(AppendError::Slow)
        });
        self.shared.metrics.evidence_sync.observe(started.elapsed());
        durable.map_err(|error| unrecorded(event, &error))
    }

    /// Others wait for what the session has locked: a reviewer has less time then.
    fn shortened(&self, escalation: Escalation) -> Escalation {
        Escalation { ttl: escalation.ttl.min(self.shared.hold_with_locks), ..escalation }
    }

    async fn escalate(
        &self,
        event: &Arc<Event>,
        mut escalation: Escalation,
        masks: MaskPlan,
        duties: Duties,
        set: SetVersion,
    ) -> Verdict {
        if escalation.reviewers.is_empty() {
            escalation.reviewers.clone_from(&self.shared.reviewers);
        }
        let deny = |block| Verdict::Deny(Denial { event: event.id, block, approval: None });
        let asked = Arc::new(escalation.clone());
        if asked.ttl.is_zero() {
            return deny(no_time(&asked.rule));
        }
        let request =
            NewRequest { session: Arc::clone(&self.session), event: Arc::clone(event), escalation, set };
        if let Some(ticket) = self.shared.approvals.resume(&request, SystemTime::now()) {
            // It was asked and recorded before; how it is settled is recorded for this event.
            let (event, approval) = (Arc::clone(event), ticket.id().clone());
            return Verdict::Hold(Held { ticket, event, approval, escalation: asked, masks, duties, set });
        }
        let ticket = match self.shared.approvals.request(request, SystemTime::now()) {
            Ok(ticket) => ticket,
            Err(error) => return deny(unasked(&asked.rule, &error)),
        };
        let approval = ticket.id().clone();
        let record = Record::ApprovalRequested {
            approval: &approval,
            session: self.session.id,
            event: event.id,
            payload: event.payload,
            rule: &asked.rule,
            quorum: asked.quorum,
            ttl_seconds: asked.ttl.as_secs(),
        };
        if let Err(denial) = self.write_through(event.id, &record).await {
            return Verdict::Deny(denial);
        }
        let event = Arc::clone(event);
        Verdict::Hold(Held { ticket, event, approval, escalation: asked, masks, duties, set })
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        let code = self.ending.why().map_or_else(|| *self.end.get_mut(), End::code);
        let record = Record::SessionClosed { session: self.session.id, code, events: self.events() };
        if let Err(error) = self.shared.log.append_lazily(SystemTime::now(), &record) {
            tracing::error!(%error, session = %self.session.id, "the end of a session could not be recorded");
        }
    }
}

impl Bench {
    fn count(&mut self, all: &Metrics, kind: &'static str, decision: &Decision) {
        if let Some((_, metrics)) = self.decisions.iter().find(|(own, _)| *own == kind) {
            metrics.count(decision);
            return;
        }
        let metrics = all.decisions(kind);
        metrics.count(decision);
        self.decisions.push((kind, metrics));
    }
}

/// Why a session gets no permit any more, whatever its policies say.
fn barred(ending: &Ending, principal: &Principal, now: SystemTime) -> Option<Rejection> {
    let expired = principal.expires_at.is_some_and(|end| now >= end);
    ending.why().map(End::rejection).or_else(|| expired.then(expiry))
}

/// What a client is told whose credential has expired in the middle of its session.
pub fn expiry() -> Rejection {
    Rejection {
        code: "auth.expired",
        message: Arc::from("the credential of this session has expired"),
        remedy: Arc::from("connect again with a new one"),
    }
}

/// What can not be recorded is not done (promise P6).
pub fn unrecordable() -> Rejection {
    Rejection {
        code: "evidence.unavailable",
        message: Arc::from("the gateway can not record what is done, so nothing is done"),
        remedy: Arc::from("tell the gateway's operator: the evidence log can not be written"),
    }
}

fn unrecorded(event: EventId, error: &AppendError) -> Denial {
    tracing::error!(%error, "an event is refused because it could not be recorded");
    let Rejection { code, message: reason, remedy } = unrecordable();
    let (code, rule) = (Arc::from(code), Arc::from("gatewright/evidence"));
    Denial { event, block: Block { code, rule, reason, remedy }, approval: None }
}

/// What may not wait is refused.
fn no_time(rule: &Arc<str>) -> Block {
    Block {
        code: Arc::from("approval.in_transaction"),
        rule: Arc::clone(rule),
        reason: Arc::from("it needs an approval, and may not wait for one inside of a transaction"),
        remedy: Arc::from("end the transaction, then run the statement by itself"),
    }
}

/// What nobody can be asked about is refused.
fn unasked(rule: &Arc<str>, error: &RequestError) -> Block {
    Block {
        code: Arc::from(error.code()),
        rule: Arc::clone(rule),
        reason: Arc::from(format!("it needs an approval, and none can be asked for: {error}")),
        remedy: Arc::from(error.remedy()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gatewright_model::principal::PrincipalKind;

    use super::*;

    #[test]
    fn a009_what_was_judged_before_the_end_gets_no_permit_after_it() {
        let now = SystemTime::now();
        let principal = Principal {
            subject: "alice".into(),
            issuer: "gatewright:builtin".into(),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
            credential: "t1".into(),
            issued_at: None,
            expires_at: Some(now),
        };
        let ending = Ending::default();
        let code = |at| barred(&ending, &principal, at).map(|rejection| rejection.code);
        assert_eq!(code(now - Duration::from_nanos(1)), None);
        assert_eq!(code(now), Some("auth.expired"));
        ending.tell(End::Revoked);
        assert_eq!(code(now - Duration::from_secs(60)), Some("auth.revoked"));
    }
}
