//! The relay: both sides are established, and every request of the client is judged.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use gatewright_model::{
    digest::Digest,
    event::{Event, Facet},
    id::{ApprovalId, EventId},
    mask::MaskPlan,
    session::{ConnectRequest, Content, Input, Outcome, OutcomeResult, Output, ProtocolError, Side},
    sql::{Analysis, Parameter, SqlEvent, SqlPhase},
};
use sha2::{Digest as _, Sha256};

use super::{
    Next, Shared,
    answers::UnfinishedRow,
    budget::{self, Budget, Charge},
    calls::Calls,
    catalog_reading::CatalogReading,
    cursors::Cursors,
    definitions::Waiting,
    greeting::draining,
    pipeline::{Expect, Pipeline},
    prepared::{Judged, Names},
};
use crate::{
    backend::ready_for_query::Transaction,
    cancel::Registration,
    frame::{Frame, Inbox},
    reply,
};

/// State of the relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) database: Arc<str>,
    /// Who asks.
    pub(super) subject: Arc<str>,
    pub(super) registration: Option<Registration>,
    /// What the owner of a cancel key is told of: does anything run at the target, is anything being judged?
    doing: (bool, bool),
    /// As the target last reported it.
    pub(super) transaction: Transaction,
    pub(super) pipeline: Pipeline,
    /// Was anything of a batch forwarded since the last Sync?
    pub(super) batch_open: bool,
    /// Was anything of it executed?
    pub(super) batch_ran: bool,
    /// What the client sends is thrown away until its next Sync.
    pub(super) skipping: Skipping,
    pub(super) statements: HashMap<Box<str>, Prepared>,
    pub(super) portals: HashMap<Box<str>, Portal>,
    /// What they take.
    pub(super) budget: Budget,
    /// Names that a Bind has given in this transaction. FETCH finds these portals too, by their names.
    pub(super) bound: HashSet<Box<str>>,
    /// Requests that were sent to run something.
    pub(super) executed: u64,
    /// What SQL's EXECUTE runs.
    pub(super) names: Names,
    /// What SQL's FETCH reads.
    pub(super) cursors: Cursors,
    /// SQL has freed names of prepared statements that we still know.
    pub(super) names_freed: bool,
    /// The target may read strings in another way than we do, so no text can be read any more. It stays so until the session
    /// ends: a transaction that is rolled back may bring back either way, and the target tells when it is over.
    pub(super) strings_unsure: bool,
    pub(super) held: Option<Held>,
    pub(super) calls: Calls,
    /// The held request waits for a reviewer.
    awaits_reviewer: bool,
    /// Nothing more is read from the client until everything is answered: a statement that changes the
    /// session runs alone, so that what follows is read under the settings that it leaves.
    pub(super) barrier: bool,
    /// The client sends COPY data before the target has said that it takes some.
    pub(super) early_copy: bool,
    /// The target takes in COPY data.
    pub(super) copy_in: bool,
    /// Bytes of a frame that is forwarded in pieces and has not ended, by side of its sender.
    pub(super) passing_down: usize,
    pub(super) passing_up: usize,
    /// Bytes of data that the client was sent of what is being answered.
    pub(super) delivered: u64,
    /// What has come of a row that is to be sent whole.
    pub(super) row: UnfinishedRow,
    /// Notices of our own that wait for the end of such a frame.
    pub(super) notices: Vec<Bytes>,
    pub(super) catalog: CatalogReading,
    /// The answer that begins now waits for the catalog. Nothing of it has reached the client.
    pub(super) definitions: Option<Waiting>,
    /// Code that can not be seen has run, and the target has not said since whether it reads text in the same way as before.
    pub(super) lexer_unsure: bool,
    /// The database is not in UTF-8, and names may be folded in another way than here.
    pub(super) folds_otherwise: bool,
    /// This transaction may have changed definitions.
    pub(super) defines: bool,
    /// Columns are masked for whoever asks, as far as a policy has said.
    pub(super) masks_columns: bool,
    /// A statement has reached masked values: what it left undone (a deferred constraint) may speak of them.
    pub(super) touched_masked: bool,
    /// The client was told that values were withheld.
    pub(super) withheld_told: bool,
    next_event: EventId,
    draining: bool,
    /// The client and, in its name, the gateway have said that nothing more will come.
    pub(super) said_goodbye: bool,
    over: bool,
}

/// Why the client's messages are thrown away until Sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipping {
    No,
    /// The target knows nothing of the batch: the gateway answers its Sync.
    Own,
    /// The target skips too and answers the Sync.
    Target,
}

/// A statement that the client prepared and the target accepted, or will.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// Of its text alone: what an EXECUTE in it runs is found anew each time that it is judged.
    pub(super) analysis: Arc<Analysis>,
    /// SHA-256 of its Parse.
    pub(super) digest: Digest,
    /// [`Names::hidden_runs`] when it was prepared.
    pub(super) known_at: u64,
    /// What it takes, for as long as it or a portal of it lives.
    pub(super) charge: Arc<Charge>,
}

impl Prepared {
    pub(super) fn new(analysis: Arc<Analysis>, digest: Digest, known_at: u64, budget: &Budget) -> Self {
        let charge = Arc::new(budget.charge(budget::of_statement(&analysis)));
        Self { analysis, digest, known_at, charge }
    }
}

/// A statement with its parameters.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) analysis: Arc<Analysis>,
    pub(super) parameters: Vec<Parameter>,
    /// SHA-256 over the statement's digest and its Bind.
    pub(super) digest: Digest,
    /// What its values take.
    pub(super) charge: Charge,
    /// What its statement takes, which may be closed before the portal is.
    pub(super) _statement: Arc<Charge>,
    /// It has been executed.
    pub(super) started: bool,
    /// [`Relay::executed`] when it was bound.
    pub(super) bound_at: u64,
    /// [`Names::hidden_runs`] when what it runs was last known for sure: when the named one of it and its
    /// statement was made. None: both are unnamed, and out of reach for SQL.
    pub(super) known_at: Option<u64>,
}

/// What a name stood for before a message that the target may still skip.
#[derive(Debug)]
pub(super) enum Undo {
    Statement(Box<str>, Option<Prepared>),
    Portal(Box<str>, Option<Portal>),
}

/// The two spaces of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NameKind {
    Statement,
    Portal,
}

/// A name in its space.
pub(super) type Named = (NameKind, Box<str>);

impl Undo {
    /// Is it about a name, and not about the unnamed statement or portal?
    pub(super) fn is_of_a_name(&self) -> bool {
        match self {
            Self::Statement(name, _) | Self::Portal(name, _) => !name.is_empty(),
        }
    }

    /// What it is about, the unnamed ones too.
    pub(super) fn named(&self) -> Named {
        match self {
            Self::Statement(name, _) => (NameKind::Statement, name.clone()),
            Self::Portal(name, _) => (NameKind::Portal, name.clone()),
        }
    }

    /// What the name stood for is not known any more.
    pub(super) fn forget(&mut self) {
        match self {
            Self::Statement(_, old) => *old = None,
            Self::Portal(_, old) => *old = None,
        }
    }
}

/// A request that waits for its decision.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) event: EventId,
    pub(super) analysis: Arc<Analysis>,
    /// What the analysis takes, where it is this request's own.
    pub(super) charge: Option<Charge>,
    pub(super) request: Request,
    /// It is permitted, and the catalog is being read before it can go.
    pub(super) waiting_for_catalog: Option<Arc<MaskPlan>>,
}

/// Which message is held.
#[derive(Debug)]
pub(super) enum Request {
    Query {
        frame: Frame,
    },
    /// A function, called by its number.
    Call {
        frame: Frame,
    },
    /// With the analysis of its text alone.
    Parse {
        frame: Frame,
        name: Box<str>,
        digest: Digest,
        text: Arc<Analysis>,
    },
    Execute {
        frame: Frame,
        portal: Box<str>,
    },
}

impl Request {
    /// Is it answered by itself, with a ReadyForQuery of its own, and no part of a batch?
    pub(super) const fn is_simple(&self) -> bool {
        matches!(self, Self::Query { .. } | Self::Call { .. })
    }
}

impl Relay {
    pub(super) fn new(
        database: Arc<str>,
        registration: Option<Registration>,
        transaction: Transaction,
        next_event: EventId,
    ) -> Self {
        Self {
            database,
            subject: Arc::from(""),
            registration,
            doing: (false, false),
            transaction,
            pipeline: Pipeline::default(),
            batch_open: false,
            batch_ran: false,
            skipping: Skipping::No,
            statements: HashMap::new(),
            portals: HashMap::new(),
            budget: Budget::default(),
            bound: HashSet::new(),
            executed: 0,
            names: Names::default(),
            cursors: Cursors::default(),
            names_freed: false,
            strings_unsure: false,
            held: None,
            calls: Calls::default(),
            awaits_reviewer: false,
            barrier: false,
            early_copy: false,
            copy_in: false,
            passing_down: 0,
            passing_up: 0,
            delivered: 0,
            row: UnfinishedRow::default(),
            notices: Vec::new(),
            catalog: CatalogReading::default(),
            definitions: None,
            lexer_unsure: false,
            folds_otherwise: false,
            defines: false,
            masks_columns: false,
            touched_masked: false,
            withheld_told: false,
            next_event,
            draining: false,
            said_goodbye: false,
            over: false,
        }
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        shared: &Arc<Shared>,
        downstream: &mut Inbox,
        upstream: &mut Inbox,
        outputs: &mut VecDeque<Output<Bytes>>,
        input: Option<Input<Bytes>>,
    ) -> Result<Next, ProtocolError> {
        let mut desk = Desk { now, shared, outputs };
        match input {
            None => {}
            Some(Input::Permitted(permit)) => {
                self.await_reviewer(None);
                self.permitted(permit, &mut desk)?;
            }
            Some(Input::Denied(denial)) => {
                self.await_reviewer(None);
                self.denied(&denial, &mut desk);
            }
            Some(Input::Held { approval, escalation, .. }) => {
                self.notices.push(reply::held(&approval, &escalation.reason));
                self.flush_notices(&mut desk);
                self.await_reviewer(Some(approval.clone()));
                if self.is_cancelled() {
                    // Nobody waits any more since before the reviewer was asked.
                    desk.outputs.push_back(Output::Withdraw(approval));
                }
                self.report_doing();
            }
            Some(Input::Returned) => self.returned(&mut desk)?,
            Some(Input::Timeout) => self.look_for_cancel(&mut desk),
            Some(Input::Drain) => self.draining = true,
            Some(Input::Closed { side: Side::Downstream }) if self.said_goodbye => {
                desk.outputs.push_back(Output::Close { side: Side::Downstream });
            }
            Some(Input::Closed { side: Side::Downstream }) => return Ok(self.part(&mut desk)),
            Some(Input::Closed { side: Side::Upstream }) if self.said_goodbye => self.leave(),
            Some(Input::Closed { side: Side::Upstream }) => {
                return Err(ProtocolError {
                    fault: Side::Upstream,
                    code: "upstream.closed",
                    detail: Arc::from("the target closed the connection"),
                });
            }
            Some(_) => {}
        }
        self.read_upstream(upstream, &mut desk)?;
        self.read_downstream(downstream, &mut desk)?;
        self.report_doing();
        if self.over || (self.said_goodbye && self.pipeline.is_empty()) {
            self.abandon(desk.outputs);
            return Ok(Next::Over);
        }
        let waits = self.held.is_some() || self.calls.waits();
        let quiet = self.pipeline.is_empty() && !self.batch_open && !waits;
        if self.draining && quiet && self.transaction == Transaction::Idle {
            desk.downstream(reply::rejection(&draining()));
            desk.upstream(reply::terminate());
            return Ok(Next::Over);
        }
        Ok(Next::Stay)
    }

    /// What the client has got of the answer that ends now.
    pub(super) fn take_delivered(&mut self) -> Option<Content> {
        let bytes = std::mem::take(&mut self.delivered);
        (bytes > 0).then_some(Content { bytes, digest: None })
    }

    /// Everything that is still running has an unknown outcome: it may have run.
    pub(super) fn abandon(&mut self, outputs: &mut VecDeque<Output<Bytes>>) {
        // Answers come in the order of what was asked.
        let mut read = self.take_delivered();
        for expect in self.pipeline.drain() {
            let event = match expect {
                Expect::Query(query) => query.event,
                Expect::Execute { event, .. } | Expect::Parse { event, .. } => event,
                _ => continue,
            };
            let outcome = Outcome { read: read.take(), ..Outcome::default() };
            outputs.push_back(Output::Finished { event, outcome });
        }
    }

    /// Leaves the target, though the client has not said that it wants to leave. What still runs there is
    /// for nobody: it is cancelled, over another connection, because the target reads nothing on this one
    /// before it is done (threats F3).
    pub(super) fn part(&mut self, desk: &mut Desk<'_>) -> Next {
        let executes = self.pipeline.executes();
        self.abandon(desk.outputs);
        // Inside of a message it would be a part of it.
        if self.passing_up == 0 {
            desk.upstream(reply::terminate());
        }
        let Some(registration) = self.registration.as_ref().filter(|_| executes) else {
            return Next::Over;
        };
        desk.outputs.extend([
            Output::Close { side: Side::Upstream },
            Output::Wake(desk.now + desk.shared.limits.handshake),
            Output::Connect(ConnectRequest::OutOfBand),
        ]);
        Next::Cancel(registration.target().clone())
    }

    /// Asks for a decision on `request` and holds it.
    pub(super) fn decide(
        &mut self,
        request: Request,
        phase: SqlPhase,
        judged: Judged,
        parameters: Vec<Parameter>,
        payload: Digest,
        desk: &mut Desk<'_>,
    ) {
        let id = self.next_event;
        self.next_event = id.next();
        let Judged { analysis, charge } = judged;
        if let Some(registration) = &self.registration {
            registration.begin_judging();
        }
        let sql = SqlEvent { phase, analysis: Arc::clone(&analysis), parameters };
        desk.outputs.push_back(Output::Decide(Event { id, payload, facet: Facet::Sql(sql) }));
        self.held = Some(Held { event: id, analysis, charge, request, waiting_for_catalog: None });
    }

    /// Is there nothing at the target whose state a refusal would have to change?
    pub(super) fn target_is_quiet(&self) -> bool {
        self.pipeline.is_empty() && !self.batch_open && self.transaction != Transaction::Open
    }

    /// Is a transaction open, or may what is not answered yet have opened one?
    pub(super) fn holds_locks(&self) -> bool {
        // What ran in a batch is committed by its Sync.
        self.transaction == Transaction::Open || self.batch_ran || self.pipeline.executes()
    }

    /// Takes back what the messages of a batch did to names, the last one first: the target has skipped them.
    ///
    /// A later message may have changed the name again, and the target may do that one: then it is not the
    /// table that is wrong, but what that later message would have to bring back.
    pub(super) fn undo(&mut self, undos: impl Iterator<Item = Undo>) {
        let mut later = self.pipeline.first_changes();
        for undo in undos {
            let next = later.get_mut(&undo.named());
            match (undo, next) {
                (Undo::Statement(_, old), Some(Undo::Statement(_, before))) => *before = old,
                (Undo::Portal(_, old), Some(Undo::Portal(_, before))) => *before = old,
                (Undo::Statement(name, Some(old)), _) => drop(self.statements.insert(name, old)),
                (Undo::Statement(name, None), _) => drop(self.statements.remove(&name)),
                (Undo::Portal(name, Some(old)), _) => drop(self.portals.insert(name, old)),
                (Undo::Portal(name, None), _) => drop(self.portals.remove(&name)),
            }
        }
    }

    /// SQL may have changed what every prepared statement's name stands for.
    pub(super) fn forget_statements(&mut self) {
        self.statements.clear();
        self.pipeline.forget(|(kind, _)| *kind == NameKind::Statement);
    }

    /// SQL may have changed what this name stands for.
    pub(super) fn forget_name(&mut self, named: &Named) {
        let (kind, name) = named;
        match kind {
            NameKind::Statement => drop(self.statements.remove(name)),
            NameKind::Portal => drop(self.portals.remove(name)),
        }
        self.pipeline.forget(|other| other == named);
    }

    /// May something be said to the client? Inside of a message it would be a part of it.
    pub(super) const fn may_speak(&self) -> bool {
        self.passing_down == 0
    }

    pub(super) fn flush_notices(&mut self, desk: &mut Desk<'_>) {
        if self.may_speak() {
            for notice in self.notices.drain(..) {
                desk.downstream(notice);
            }
        }
    }

    pub(super) const fn leave(&mut self) {
        self.over = true;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// The held request waits for this approval now, or for none any more.
    fn await_reviewer(&mut self, approval: Option<ApprovalId>) {
        let awaits = approval.is_some();
        if self.awaits_reviewer || awaits {
            self.awaits_reviewer = awaits;
            if let Some(registration) = &self.registration {
                registration.set_held(approval);
            }
        }
    }

    /// Has the client cancelled the held request while it was being judged?
    pub(super) fn is_cancelled(&self) -> bool {
        self.registration.as_ref().is_some_and(Registration::is_cancelled)
    }

    fn report_doing(&mut self) {
        // What the target was sent of a held batch it has done long ago: there is nothing to cancel, and a
        // cancel request that comes late would hit what the client sends next.
        let running =
            if self.held.is_some() { self.pipeline.executes() } else { !self.pipeline.is_empty() };
        let judged = self.held.is_some() && !self.awaits_reviewer;
        if self.doing != (running, judged) {
            self.doing = (running, judged);
            if let Some(registration) = &self.registration {
                registration.set_doing(running, judged);
            }
        }
    }
}

/// What a step works with: the time, what the listener shares, and where its outputs go.
pub(super) struct Desk<'a> {
    pub(super) now: Instant,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) outputs: &'a mut VecDeque<Output<Bytes>>,
}

impl Desk<'_> {
    pub(super) fn downstream(&mut self, unit: Bytes) {
        self.outputs.push_back(Output::Send { side: Side::Downstream, unit });
    }

    pub(super) fn upstream(&mut self, unit: Bytes) {
        self.outputs.push_back(Output::Send { side: Side::Upstream, unit });
    }

    pub(super) fn finished(&mut self, event: EventId, outcome: Outcome) {
        self.outputs.push_back(Output::Finished { event, outcome });
    }

    /// The event was permitted, and the gateway did not send it after all.
    pub(super) fn not_sent(&mut self, event: EventId, code: &str) {
        let code = Some(Arc::from(code));
        self.finished(event, Outcome { result: OutcomeResult::Error, code, ..Outcome::default() });
    }
}

/// SHA-256 over `parts`, one after the other.
pub(super) fn digest_of(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    Digest::new(hash.finalize().into())
}
