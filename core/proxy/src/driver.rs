//! The driver: carries out what a protocol session asks for, and tells it what happened.
//!
//! One task, one loop, one `match` over [`Output`]; no protocol has a name here. Both sides are pumped
//! while an event waits for a reviewer, so that a client that leaves is noticed; a side is not read while
//! the other can not be written, so that a slow peer costs bounded memory.

mod elsewhere;
mod moments;

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use gatewright_approval::Settled;
use gatewright_model::{
    principal::Principal,
    session::{ConnectRequest, Credential, Input, Output, ProtocolError, Rejection, Session, Side},
};
use tokio::{
    task::{spawn_blocking, unconstrained},
    time::timeout,
};

use self::{
    elsewhere::Elsewhere,
    moments::{Backlog, Deadline, Rest},
};
use crate::{
    client_sessions::{ClientSessions, NotAdmitted},
    config::Target,
    enforce::{self, Enforcer, Held, Manner, Verdict},
    listener::Door,
    recorder::{self, Tape},
    sessions::End,
    shutdown::DrainGuard,
    upstream,
    wire::{Pipe, Unit as _, Wire, WithTurn},
};

/// One session and everything that it is carried out with.
pub struct Driver<W: Wire> {
    wire: W,
    door: Arc<Door>,
    sessions: Arc<ClientSessions>,
    session: Box<dyn Session<Unit = W::Unit>>,
    downstream: Option<W::Downstream>,
    upstream: Option<W::Upstream>,
    /// Where the session goes. None: it has not said so yet.
    target: Option<Arc<Target>>,
    principal: Option<Arc<Principal>>,
    enforcer: Option<Arc<Enforcer>>,
    /// The number of the policies that were active when the last event was judged.
    judged_by: u64,
    held: Option<Held>,
    /// Something is asked of the target beside the session.
    errand: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    wake: Option<Deadline>,
    expiry: Option<Deadline>,
    /// What goes on is recorded.
    tape: Tape,
    /// The look at the driver that it was last polled with.
    looked: u32,
    rest: Option<Rest>,
    /// The client does not take what waits for it.
    backlog: Option<Backlog>,
    /// Bytes that were queued for the client.
    offered: u64,
    /// Other policies than those that permitted what goes on. None: nothing does, or nobody waits yet.
    swapped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The session was told that somebody outside ended it.
    told: bool,
    end: Option<&'static str>,
}

/// Something that happened.
enum Happened<U> {
    Read(Side, U),
    /// The peer sends no more, or can not be written to any more.
    Gone(Side),
    Woken,
    Expired,
    /// The time has come to see whether the session rests.
    Quiet,
    /// Other policies are active than those that permitted what goes on.
    Swapped,
    /// Somebody outside ended the session.
    Ended(End),
    Settled(Settled),
    /// The errand is over.
    Returned,
    Drain,
    End,
    /// The client has taken nothing for too long.
    Stalled,
}

/// A side is not read while this many bytes wait to be written to the other, in bytes.
const HIGH_WATER: usize = 256 << 10;

/// More bytes than this that the session has not read yet may mean much work (a long statement to parse): it is done where
/// it holds up no other session.
const LIGHT_INPUT: usize = 32 << 10;

/// How long a peer may take to accept the last bytes before its connection is cut.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl<W: Wire> Driver<W> {
    /// Makes ready to drive `session` on a client's connection.
    pub fn new(
        wire: W,
        sessions: Arc<ClientSessions>,
        session: Box<dyn Session<Unit = W::Unit>>,
        downstream: W::Downstream,
    ) -> Self {
        let door = Arc::clone(sessions.door());
        Self {
            wire,
            target: door.listener.only_target().cloned(),
            door,
            sessions,
            session,
            downstream: Some(downstream),
            upstream: None,
            principal: None,
            enforcer: None,
            judged_by: 0,
            held: None,
            errand: None,
            wake: None,
            expiry: None,
            tape: Tape::default(),
            looked: 0,
            rest: None,
            backlog: None,
            offered: 0,
            swapped: None,
            told: false,
            end: None,
        }
    }

    /// Drives the session to its end. `first` is what happened before there was a driver.
    pub async fn run(mut self, first: Option<Input<W::Unit>>, guard: DrainGuard) {
        // Made when somebody waits for them.
        let (mut drained, mut ended, mut told) = (pin!(None), pin!(None), pin!(None));
        let (mut draining, mut over) = (false, false);
        if let Some(input) = first {
            self.tell(input).await;
        }
        loop {
            self.carry_out().await;
            if self.downstream.is_none() && self.upstream.is_none() {
                break;
            }
            let happened = poll_fn(|context| {
                if let Poll::Ready(happened) = self.poll_happened(context) {
                    return Poll::Ready(happened);
                }
                match self.downstream.as_ref().and_then(Pipe::looks) {
                    Some(look) if look == self.looked => Poll::Pending,
                    Some(look) => {
                        self.looked = look;
                        if !draining && guard.is_draining() {
                            draining = true;
                            return Poll::Ready(Happened::Drain);
                        }
                        if draining && !over && guard.is_ending() {
                            over = true;
                            return Poll::Ready(Happened::End);
                        }
                        self.look()
                    }
                    None => without_budget(context, |context| {
                        if !draining {
                            if drained.is_none() {
                                drained.set(Some(guard.clone().drained()));
                            }
                            if let Poll::Ready(()) = poll_made(drained.as_mut(), context) {
                                draining = true;
                                return Poll::Ready(Happened::Drain);
                            }
                        }
                        if told.is_none() {
                            told.set(self.enforcer.as_ref().map(|enforcer| enforcer.ended()));
                        }
                        if !self.told
                            && let Poll::Ready(end) = poll_made(told.as_mut(), context)
                        {
                            self.told = true;
                            return Poll::Ready(Happened::Ended(end));
                        }
                        // Nobody is to end at once who was not asked to end before.
                        if draining && !over {
                            if ended.is_none() {
                                ended.set(Some(guard.clone().ended()));
                            }
                            if let Poll::Ready(()) = poll_made(ended.as_mut(), context) {
                                over = true;
                                return Poll::Ready(Happened::End);
                            }
                        }
                        self.poll_deadlines(context)
                    }),
                }
            })
            .await;
            self.handle(happened).await;
        }
        self.tape.end().await;
        self.close_record();
    }

    async fn handle(&mut self, happened: Happened<W::Unit>) {
        match happened {
            Happened::Read(side, unit) => {
                self.count(side, unit.size());
                self.tell(Input::Data { side, unit }).await;
            }
            Happened::Gone(side) => {
                // Whoever leaves takes the request for approval along.
                self.withdraw().await;
                if side == Side::Upstream
                    && W::WITH_TURN != WithTurn::None
                    && self.door.enforcement.log.write().is_err()
                {
                    // It was the gateway that did not send what it could not record.
                    return self.terminate(enforce::unrecordable()).await;
                }
                self.note_end(match side {
                    Side::Downstream => "client_closed",
                    Side::Upstream => "target_closed",
                });
                self.tell(Input::Closed { side }).await;
            }
            Happened::Woken => {
                self.wake = None;
                self.tell(Input::Timeout).await;
            }
            Happened::Expired => {
                self.expiry = None;
                self.withdraw().await;
                self.terminate(enforce::expiry()).await;
            }
            Happened::Ended(end) => {
                self.withdraw().await;
                self.terminate(end.rejection()).await;
            }
            Happened::Quiet => self.rest(),
            Happened::Stalled => {
                self.withdraw().await;
                self.note_end("net.stalled");
                // What waits would be in the way of last words, and it takes none.
                (self.downstream, self.backlog) = (None, None);
                self.tell(Input::Closed { side: Side::Downstream }).await;
            }
            Happened::Swapped => {
                self.swapped = None;
                if let Some(enforcer) = &self.enforcer {
                    self.judged_by = enforcer.set_number();
                }
                self.tell(Input::PoliciesChanged).await;
            }
            Happened::Settled(settled) => {
                if let (Some(held), Some(enforcer)) = (self.held.take(), &self.enforcer) {
                    let verdict = enforcer.settle(held, &settled).await;
                    self.pronounce(verdict).await;
                }
            }
            Happened::Returned => {
                self.errand = None;
                self.tell(Input::Returned).await;
            }
            Happened::Drain => {
                self.note_end("drained");
                self.tell(Input::Drain).await;
            }
            Happened::End => {
                self.withdraw().await;
                self.terminate(Rejection {
                    code: "gateway.terminated",
                    message: Arc::from("the gateway is shutting down"),
                    remedy: Arc::from("connect again"),
                })
                .await;
            }
        }
    }

    /// Does what the session asks for, until it asks for nothing more.
    async fn carry_out(&mut self) {
        loop {
            let Some(output) = self.session.poll_output() else {
                if self.tape.is_torn() {
                    self.tape = Tape::default();
                    self.withdraw().await;
                    self.terminate(recorder::failed()).await;
                    continue;
                }
                return;
            };
            match output {
                Output::Send { .. } | Output::Record(_) if self.tape.is_torn() => {}
                Output::Send { side, unit } => self.queue(side, unit),
                Output::Record(frame) => {
                    if let Some(begun) = self.tape.record(frame, self.enforcer.as_deref()).await {
                        self.tell(Input::Recording(begun)).await;
                    }
                }
                // A name that the listener does not have leads nowhere.
                Output::Target(name) => self.target = self.door.listener.target(&name).cloned(),
                Output::Decide(event) => {
                    // Asked before identity was proved, a session gets no answer: and that is a refusal.
                    if self.enter(Vec::new()).await
                        && let Some(enforcer) = &self.enforcer
                    {
                        // What goes on was judged by those that it was judged by, whatever else is asked meanwhile.
                        if !self.session.is_judged_again() {
                            self.judged_by = enforcer.set_number();
                        }
                        let manner = Manner {
                            locks: self.session.holds_locks(),
                            writes_with_turn: match W::WITH_TURN {
                                WithTurn::None => false,
                                WithTurn::BeforeConnecting => self.upstream.is_none(),
                                WithTurn::All => true,
                            },
                        };
                        let verdict = enforcer.enforce(event, manner).await;
                        if !W::SHARES_SESSIONS && self.rest.is_none() && enforcer.is_awake() {
                            self.rest = Some(Rest::after(enforcer.events()));
                        }
                        self.pronounce(verdict).await;
                    }
                }
                Output::Finished { event, outcome } => {
                    if let Some(enforcer) = &self.enforcer {
                        enforcer.finished(event, &outcome);
                    }
                }
                Output::Withdraw(approval) => self.door.enforcement.approvals.withdraw(&approval),
                Output::Park(approval) => {
                    if let Some(held) = self.held.take_if(|held| held.approval == approval) {
                        held.ticket.park();
                    }
                }
                Output::Authenticate(credential) => self.authenticate(&credential).await,
                Output::Connect(request) => self.connect(request).await,
                Output::Errand(errand) => match &self.target {
                    Some(target) => self.errand = Some(self.wire.run_errand(target, errand)),
                    None => self.tell(Input::Returned).await,
                },
                Output::LookUp { host } => {
                    let limit = self.target.as_ref().map(|target| target.connect_timeout);
                    let found = timeout(limit.unwrap_or_default(), self.wire.look_up(&host)).await;
                    self.tell(Input::Found(found.unwrap_or_default())).await;
                }
                Output::StartTls { side } => self.start_tls(side).await,
                Output::Close { side } => match side {
                    Side::Downstream => close(self.downstream.take()).await,
                    Side::Upstream => close(self.upstream.take()).await,
                },
                Output::Wake(at) => self.wake = Some(Deadline::at(at)),
            }
        }
    }

    async fn pronounce(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Permit(permit) => self.tell(Input::Permitted(permit)).await,
            Verdict::Deny(denial) => self.tell(Input::Denied(denial)).await,
            Verdict::Hold(held) => {
                let (event, approval) = (held.event(), held.approval.clone());
                let escalation = Arc::clone(&held.escalation);
                self.held = Some(held);
                self.tell(Input::Held { event, approval, escalation }).await;
            }
        }
    }

    async fn authenticate(&mut self, credential: &Credential) {
        match self.sessions.authenticate(credential) {
            Ok(principal) => {
                if let Some(expires_at) = principal.expires_at {
                    let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
                    self.expiry = Some(Deadline::at(Instant::now() + left));
                }
                self.principal = Some(Arc::clone(&principal));
                self.tell(Input::Authenticated(principal)).await;
            }
            Err(error) => self.reject(error.rejection()).await,
        }
    }

    async fn connect(&mut self, request: ConnectRequest) {
        let Some(target) = self.target.clone() else { return self.tell(Input::Unreachable).await };
        if let ConnectRequest::Session { account, attributes } = request {
            if account.as_ref().is_some_and(|account| *account != target.account) {
                return self
                    .reject(Rejection {
                        code: "auth.account_denied",
                        message: Arc::from("this account is not available through the gateway"),
                        remedy: Arc::from(format!("connect as `{}`", target.account)),
                    })
                    .await;
            }
            if !self.enter(attributes).await {
                return;
            }
        }
        match self.wire.connect(&target).await {
            Ok(pipe) => {
                self.upstream = Some(pipe);
                self.tell(Input::Connected(upstream::account(&target))).await;
            }
            Err(error) => {
                let code = upstream::failure_code(&error);
                tracing::warn!(%error, code, target = %target.name, session = %self.sessions.id(), "no upstream connection");
                self.door.enforcement.metrics.connect_failed(&target.name, code);
                self.note_end(code);
                self.tell(Input::Unreachable).await;
            }
        }
    }

    /// Begins to enforce, with the first thing that a session wants in its principal's name: the upstream
    /// connection, where its protocol needs one to go on, or a decision. `false`: the session was told why not.
    async fn enter(&mut self, attributes: Vec<(&'static str, Arc<str>)>) -> bool {
        if self.enforcer.is_some() {
            return true;
        }
        let (Some(principal), Some(target)) = (&self.principal, &self.target) else {
            self.tell(Input::Unreachable).await;
            return false;
        };
        match self.sessions.admit(principal, target, attributes) {
            Ok(enforcer) => {
                let id = enforcer.session().id;
                self.enforcer = Some(enforcer);
                if id != self.sessions.id() {
                    self.tell(Input::Entered(id)).await;
                }
                return true;
            }
            Err(NotAdmitted::Rejected(rejection)) => self.reject(rejection).await,
            Err(NotAdmitted::Unrecorded) => self.tell(Input::Unreachable).await,
        }
        false
    }

    async fn start_tls(&mut self, side: Side) {
        let closed = || Ok(Err(io::ErrorKind::NotConnected.into()));
        let secured = match side {
            Side::Downstream => match self.downstream.take() {
                Some(pipe) => {
                    let secured = self.wire.secure_downstream(pipe);
                    let secured = timeout(self.door.listener.login_timeout, secured).await;
                    secured.map(|secured| {
                        secured.map(|(pipe, tls)| {
                            self.downstream = Some(pipe);
                            tls
                        })
                    })
                }
                None => closed(),
            },
            Side::Upstream => match (self.upstream.take(), &self.target) {
                (Some(pipe), Some(target)) => {
                    let secured = self.wire.secure_upstream(pipe, target);
                    let secured = timeout(target.connect_timeout, secured).await;
                    secured.map(|secured| {
                        secured.map(|(pipe, tls)| {
                            self.upstream = Some(pipe);
                            tls
                        })
                    })
                }
                _ => closed(),
            },
        };
        match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(tls) => self.tell(Input::Secured { side, tls }).await,
            Err(error) => {
                let code = match side {
                    Side::Downstream => "net.tls_failed",
                    Side::Upstream => "upstream.tls_failed",
                };
                tracing::info!(%error, code, session = %self.sessions.id(), "the TLS handshake failed");
                if side == Side::Upstream
                    && let Some(target) = &self.target
                {
                    self.door.enforcement.metrics.connect_failed(&target.name, code);
                }
                self.note_end(code);
                self.tell(Input::Closed { side }).await;
            }
        }
    }

    /// Tells the session what happened.
    async fn tell(&mut self, input: Input<W::Unit>) {
        let more = match &input {
            Input::Data { side: Side::Downstream, unit } => unit.size(),
            _ => 0,
        };
        if self.session.unread(more) > LIGHT_INPUT {
            return self.tell_elsewhere(input).await;
        }
        let told = self.session.handle_input(Instant::now(), input);
        self.note_error(told);
    }

    /// The same, on a thread where it holds up no other session.
    async fn tell_elsewhere(&mut self, input: Input<W::Unit>) {
        let mut session = std::mem::replace(&mut self.session, Box::new(Elsewhere::default()));
        let work = move || {
            let told = session.handle_input(Instant::now(), input);
            (session, told)
        };
        match spawn_blocking(work).await {
            Ok((session, told)) => {
                self.session = session;
                self.note_error(told);
            }
            Err(_) => {
                // The session is lost, and nobody can say in what state. Nothing of it goes on.
                tracing::error!(session = %self.sessions.id(), "a session has panicked");
                self.note_end("gateway.panic");
                self.withdraw().await;
                (self.downstream, self.upstream) = (None, None);
            }
        }
    }

    fn note_error(&mut self, told: Result<(), ProtocolError>) {
        if let Err(ProtocolError { fault, code, detail }) = told {
            let (session, target) = (self.sessions.id(), self.target.as_ref().map(|target| &*target.name));
            // What clients do wrong is theirs to mend, and what targets do the operator's.
            match fault {
                Side::Downstream => {
                    tracing::info!(code, %detail, %session, "a session ended with an error of the client's");
                }
                Side::Upstream => {
                    tracing::warn!(code, %detail, target, %session, "a session ended with an error of the target's");
                }
            }
            self.note_end(code);
        }
    }

    async fn reject(&mut self, rejection: Rejection) {
        tracing::info!(code = rejection.code, session = %self.sessions.id(), client = %self.sessions.client(), "a client was turned away");
        self.note_end(rejection.code);
        self.tell(Input::Rejected(rejection)).await;
    }

    /// Nobody waits for the approval any more: the request is settled, on record, and can not be answered.
    async fn withdraw(&mut self) {
        if let (Some(held), Some(enforcer)) = (self.held.take(), &self.enforcer) {
            // The session ends; it needs no denial.
            enforcer.settle(held, &Settled::Withdrawn).await;
        }
    }

    async fn terminate(&mut self, rejection: Rejection) {
        self.note_end(rejection.code);
        self.tell(Input::Terminate(rejection)).await;
    }

    fn poll_happened(&mut self, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        // First, and not when nothing else is left to do: a client that never stops sending ends, too.
        if !self.told
            && let Some(end) = self.enforcer.as_ref().and_then(|enforcer| enforcer.why_ended())
        {
            self.told = true;
            return Poll::Ready(Happened::Ended(end));
        }
        if let Poll::Ready(happened) = self.poll_peers(context) {
            return Poll::Ready(happened);
        }
        without_budget(context, |context| self.poll_others(context))
    }

    /// What happens elsewhere than on the wire.
    fn poll_others(&mut self, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        if let Some(held) = &mut self.held
            && let Poll::Ready(settled) = Pin::new(&mut held.ticket).poll(context)
        {
            return Poll::Ready(Happened::Settled(settled));
        }
        if self.errand.as_mut().is_some_and(|errand| errand.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Happened::Returned);
        }
        if self.session.is_judged_again()
            && let Some(enforcer) = &self.enforcer
        {
            let judged_by = self.judged_by;
            let swapped =
                self.swapped.get_or_insert_with(|| Box::pin(enforcer.policies_changed(judged_by)));
            if swapped.as_mut().poll(context).is_ready() {
                return Poll::Ready(Happened::Swapped);
            }
        }
        if self.rest.as_mut().is_some_and(|rest| rest.at.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Happened::Quiet);
        }
        Poll::Pending
    }

    /// Reads first, and writes when there is nothing to read at once: what is short is written as a whole.
    fn poll_peers(&mut self, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        loop {
            for side in [Side::Downstream, Side::Upstream] {
                if let Poll::Ready(happened) = self.poll_heard(side, context) {
                    return Poll::Ready(happened);
                }
            }
            let full = [Side::Upstream, Side::Downstream].map(|side| self.queued(side) >= HIGH_WATER);
            for side in [Side::Upstream, Side::Downstream] {
                let flushed = match side {
                    // Whether the client has left is to be known whatever the target does; the target's side may read, too.
                    Side::Downstream => {
                        let flushed = without_budget(context, |context| self.poll_flush(side, context));
                        self.watch(flushed.is_pending());
                        flushed
                    }
                    Side::Upstream => self.poll_flush(side, context),
                };
                if let Poll::Ready(Err(_)) = flushed {
                    // It takes nothing any more. What it said before that is heard.
                    let heard = self.poll_heard(side, context);
                    return Poll::Ready(match heard {
                        Poll::Ready(heard) => heard,
                        Poll::Pending => Happened::Gone(side),
                    });
                }
            }
            if full == [Side::Upstream, Side::Downstream].map(|side| self.queued(side) >= HIGH_WATER) {
                return Poll::Pending;
            }
            // There is room again for what was not read.
        }
    }

    fn poll_heard(&mut self, side: Side, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        if self.queued(side.other()) >= HIGH_WATER || !self.session.wants_input(side) {
            return Poll::Pending;
        }
        self.poll_read(side, context).map(|read| match read {
            Ok(Some(unit)) => Happened::Read(side, unit),
            Ok(None) | Err(_) => Happened::Gone(side),
        })
    }

    /// What is for a side that is gone is dropped.
    fn queue(&mut self, side: Side, unit: W::Unit) {
        match (side, &mut self.downstream, &mut self.upstream) {
            (Side::Downstream, Some(pipe), _) => {
                self.offered += unit.size() as u64;
                pipe.queue(unit);
            }
            (Side::Upstream, _, Some(pipe)) => pipe.queue(unit),
            _ => {}
        }
    }

    fn queued(&self, side: Side) -> usize {
        match side {
            Side::Downstream => self.downstream.as_ref().map_or(0, Pipe::queued),
            Side::Upstream => self.upstream.as_ref().map_or(0, Pipe::queued),
        }
    }

    fn poll_flush(&mut self, side: Side, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (side, &mut self.downstream, &mut self.upstream) {
            (Side::Downstream, Some(pipe), _) => pipe.poll_flush(context),
            (Side::Upstream, _, Some(pipe)) => pipe.poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_read(&mut self, side: Side, context: &mut Context<'_>) -> Poll<io::Result<Option<W::Unit>>> {
        match (side, &mut self.downstream, &mut self.upstream) {
            (Side::Downstream, Some(pipe), _) => pipe.poll_read(context),
            (Side::Upstream, _, Some(pipe)) => pipe.poll_read(context),
            _ => Poll::Pending,
        }
    }

    fn count(&self, from: Side, bytes: usize) {
        let counter = match from {
            Side::Downstream => &self.door.metrics.to_target,
            Side::Upstream => &self.door.metrics.to_client,
        };
        counter.inc_by(bytes as u64);
    }

    /// The first reason for an end is the reason.
    const fn note_end(&mut self, code: &'static str) {
        if self.end.is_none() {
            self.end = Some(code);
        }
    }

    fn close_record(&self) {
        let code = self.end.unwrap_or("client_closed");
        if let Some(enforcer) = &self.enforcer {
            return enforcer.note_end(code);
        }
        self.sessions.refuse(code);
    }
}

/// Polls something that must be heard of though reading has used up the task's budget: of a peer that sends without an end,
/// reading always has.
pub(crate) fn without_budget<T>(
    context: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    pin!(unconstrained(poll_fn(poll))).poll(context)
}

/// Polls what was made, if it was.
fn poll_made<F: Future>(made: Pin<&mut Option<F>>, context: &mut Context<'_>) -> Poll<F::Output> {
    made.as_pin_mut().map_or(Poll::Pending, |made| made.poll(context))
}

/// A peer that does not take its last words is left.
async fn close<P: Pipe>(pipe: Option<P>) {
    let Some(pipe) = pipe else { return };
    let mut closing = pin!(pipe.close());
    // Most need no time for it, and no timer.
    if poll_fn(|context| Poll::Ready(closing.as_mut().poll(context))).await.is_pending() {
        let _ = timeout(LAST_WORDS, closing).await;
    }
}
