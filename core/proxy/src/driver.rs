//! The driver: carries out what a protocol session asks for, and tells it what happened.
//!
//! One task, one loop, one `match` over [`Output`]; no protocol has a name here. Both sides are pumped
//! while an event waits for a reviewer, so that a client that leaves is noticed; a side is not read while
//! the other can not be written, so that a slow peer costs bounded memory.

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
    audit::Record,
    principal::Principal,
    session::{ConnectRequest, Credential, Input, Output, ProtocolError, Rejection, Session, Side},
};
use tokio::{
    task::unconstrained,
    time::{Sleep, sleep, sleep_until, timeout},
};

use crate::{
    client_sessions::{ClientSessions, NotAdmitted},
    config::Target,
    enforce::{self, Enforcer, Held, Verdict},
    listener::Door,
    sessions::End,
    shutdown::DrainGuard,
    upstream,
    wire::{Pipe, Unit as _, Wire},
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
    wake: Option<Pin<Box<Sleep>>>,
    expiry: Option<Pin<Box<Sleep>>>,
    rest: Option<Rest>,
    /// Other policies than those that permitted what goes on. None: nothing does, or nobody waits yet.
    swapped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The session was told that somebody outside ended it.
    told: bool,
    /// Bytes that the session took in since it last asked for anything.
    unanswered: usize,
    end: Option<&'static str>,
}

/// A look at whether the session is idle.
struct Rest {
    at: Pin<Box<Sleep>>,
    /// Events there had been when it was set: if there are more by then, the session is not.
    events: u64,
}

impl Rest {
    fn after(events: u64) -> Self {
        Self { at: Box::pin(sleep(IDLE)), events }
    }
}

/// A session without an event for so long is idle; for up to twice as long it may be taken for active.
const IDLE: Duration = Duration::from_secs(5);

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
    Drain,
    End,
}

/// A side is not read while this many bytes wait to be written to the other, in bytes.
const HIGH_WATER: usize = 256 << 10;

/// More unanswered bytes than this may mean much work (a long statement to parse): it is done where it
/// holds up no other session.
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
            wake: None,
            expiry: None,
            rest: None,
            swapped: None,
            told: false,
            unanswered: 0,
            end: None,
        }
    }

    /// Drives the session to its end. `first` is what happened before there was a driver.
    pub async fn run(mut self, first: Option<Input<W::Unit>>, mut guard: DrainGuard) {
        let mut last = guard.clone();
        let mut drained = pin!(guard.drained());
        let mut ended = pin!(last.ended());
        let mut told = pin!(None);
        let (mut draining, mut over) = (false, false);
        if let Some(input) = first {
            self.tell(input);
        }
        loop {
            self.carry_out().await;
            if self.downstream.is_none() && self.upstream.is_none() {
                break;
            }
            if told.is_none() {
                told.set(self.enforcer.as_ref().map(|enforcer| enforcer.ended()));
            }
            let happened = poll_fn(|context| {
                if let Poll::Ready(happened) = self.poll_happened(context) {
                    return Poll::Ready(happened);
                }
                without_budget(context, |context| {
                    if !draining && drained.as_mut().poll(context).is_ready() {
                        draining = true;
                        return Poll::Ready(Happened::Drain);
                    }
                    if !self.told
                        && let Some(ended) = told.as_mut().as_pin_mut()
                        && let Poll::Ready(end) = ended.poll(context)
                    {
                        self.told = true;
                        return Poll::Ready(Happened::Ended(end));
                    }
                    // Nobody is to end at once who was not asked to end before.
                    if draining && !over && ended.as_mut().poll(context).is_ready() {
                        over = true;
                        return Poll::Ready(Happened::End);
                    }
                    Poll::Pending
                })
            })
            .await;
            self.handle(happened).await;
        }
        self.close_record();
    }

    async fn handle(&mut self, happened: Happened<W::Unit>) {
        match happened {
            Happened::Read(side, unit) => {
                self.count(side, unit.size());
                self.unanswered = self.unanswered.saturating_add(unit.size());
                self.tell(Input::Data { side, unit });
            }
            Happened::Gone(side) => {
                // Whoever leaves takes the request for approval along.
                self.withdraw().await;
                self.note_end(match side {
                    Side::Downstream => "client_closed",
                    Side::Upstream => "target_closed",
                });
                self.tell(Input::Closed { side });
            }
            Happened::Woken => {
                self.wake = None;
                self.tell(Input::Timeout);
            }
            Happened::Expired => {
                self.expiry = None;
                self.withdraw().await;
                self.terminate(enforce::expiry());
            }
            Happened::Ended(end) => {
                self.withdraw().await;
                self.terminate(end.rejection());
            }
            Happened::Quiet => self.rest(),
            Happened::Swapped => {
                self.swapped = None;
                self.tell(Input::PoliciesChanged);
            }
            Happened::Settled(settled) => {
                if let (Some(held), Some(enforcer)) = (self.held.take(), &self.enforcer) {
                    let verdict = enforcer.settle(held, &settled).await;
                    self.pronounce(verdict);
                }
            }
            Happened::Drain => {
                self.note_end("drained");
                self.tell(Input::Drain);
            }
            Happened::End => {
                self.withdraw().await;
                self.terminate(Rejection {
                    code: "gateway.terminated",
                    message: Arc::from("the gateway is shutting down"),
                    remedy: Arc::from("connect again"),
                });
            }
        }
    }

    /// Does what the session asks for, until it asks for nothing more.
    async fn carry_out(&mut self) {
        while let Some(output) = self.session.poll_output() {
            self.unanswered = 0;
            match output {
                Output::Send { side, unit } => self.queue(side, unit),
                // A name that the listener does not have leads nowhere.
                Output::Target(name) => self.target = self.door.listener.target(&name).cloned(),
                Output::Decide(event) => {
                    // Asked before identity was proved, a session gets no answer: and that is a refusal.
                    if self.enter(Vec::new())
                        && let Some(enforcer) = &self.enforcer
                    {
                        self.judged_by = enforcer.set_number();
                        let verdict = enforcer.enforce(event, self.session.holds_locks()).await;
                        if !W::SHARES_SESSIONS && self.rest.is_none() && enforcer.is_awake() {
                            self.rest = Some(Rest::after(enforcer.events()));
                        }
                        self.pronounce(verdict);
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
                Output::Authenticate(credential) => self.authenticate(&credential),
                Output::Connect(request) => self.connect(request).await,
                Output::StartTls { side } => self.start_tls(side).await,
                Output::Close { side } => {
                    // A peer that does not take its last words is left.
                    let _ = match side {
                        Side::Downstream => timeout(LAST_WORDS, close(self.downstream.take())).await,
                        Side::Upstream => timeout(LAST_WORDS, close(self.upstream.take())).await,
                    };
                }
                Output::Wake(at) => self.wake = Some(Box::pin(sleep_until(at.into()))),
            }
        }
    }

    fn pronounce(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Permit(permit) => self.tell(Input::Permitted(permit)),
            Verdict::Deny(denial) => self.tell(Input::Denied(denial)),
            Verdict::Hold(held) => {
                let (event, approval) = (held.event(), held.approval.clone());
                let reason = Arc::clone(&held.reason);
                self.held = Some(held);
                self.tell(Input::Held { event, approval, reason });
            }
        }
    }

    fn authenticate(&mut self, credential: &Credential) {
        match self.sessions.authenticate(credential) {
            Ok(principal) => {
                if let Some(expires_at) = principal.expires_at {
                    let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
                    self.expiry = Some(Box::pin(sleep_until((Instant::now() + left).into())));
                }
                self.principal = Some(Arc::clone(&principal));
                self.tell(Input::Authenticated(principal));
            }
            Err(error) => self.reject(error.rejection()),
        }
    }

    async fn connect(&mut self, request: ConnectRequest) {
        let Some(target) = self.target.clone() else { return self.tell(Input::Unreachable) };
        if let ConnectRequest::Session { account, attributes } = request {
            if account.as_ref().is_some_and(|account| *account != target.account) {
                return self.reject(Rejection {
                    code: "auth.account_denied",
                    message: Arc::from("this account is not available through the gateway"),
                    remedy: Arc::from(format!("connect as `{}`", target.account)),
                });
            }
            if !self.enter(attributes) {
                return;
            }
        }
        match self.wire.connect(&target).await {
            Ok(pipe) => {
                self.upstream = Some(pipe);
                self.tell(Input::Connected(upstream::account(&target)));
            }
            Err(error) => {
                let code = upstream::failure_code(&error);
                tracing::warn!(%error, code, target = %target.name, session = %self.sessions.id(), "no upstream connection");
                self.door.enforcement.metrics.connect_failed(&target.name, code);
                self.note_end(code);
                self.tell(Input::Unreachable);
            }
        }
    }

    /// Begins to enforce, with the first thing that a session wants in its principal's name: the upstream
    /// connection, where its protocol needs one to go on, or a decision. `false`: the session was told why not.
    fn enter(&mut self, attributes: Vec<(&'static str, Arc<str>)>) -> bool {
        if self.enforcer.is_some() {
            return true;
        }
        let (Some(principal), Some(target)) = (&self.principal, &self.target) else {
            self.tell(Input::Unreachable);
            return false;
        };
        match self.sessions.admit(principal, target, attributes) {
            Ok(enforcer) => {
                let id = enforcer.session().id;
                self.enforcer = Some(enforcer);
                if id != self.sessions.id() {
                    self.tell(Input::Entered(id));
                }
                return true;
            }
            Err(NotAdmitted::Rejected(rejection)) => self.reject(rejection),
            Err(NotAdmitted::Unrecorded) => self.tell(Input::Unreachable),
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
            Ok(tls) => self.tell(Input::Secured { side, tls }),
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
                self.tell(Input::Closed { side });
            }
        }
    }

    /// Tells the session what happened.
    fn tell(&mut self, input: Input<W::Unit>) {
        let now = Instant::now();
        let told = if self.unanswered > LIGHT_INPUT {
            tokio::task::block_in_place(|| self.session.handle_input(now, input))
        } else {
            self.session.handle_input(now, input)
        };
        if let Err(ProtocolError { fault, code, detail }) = told {
            tracing::info!(?fault, code, %detail, session = %self.sessions.id(), "a session ended with an error");
            self.note_end(code);
        }
    }

    fn reject(&mut self, rejection: Rejection) {
        tracing::info!(code = rejection.code, session = %self.sessions.id(), client = %self.sessions.client(), "a client was turned away");
        self.note_end(rejection.code);
        self.tell(Input::Rejected(rejection));
    }

    /// Nobody waits for the approval any more: the request is settled, on record, and can not be answered.
    async fn withdraw(&mut self) {
        if let (Some(held), Some(enforcer)) = (self.held.take(), &self.enforcer) {
            // The session ends; it needs no denial.
            enforcer.settle(held, &Settled::Withdrawn).await;
        }
    }

    fn rest(&mut self) {
        let (Some(rest), Some(enforcer)) = (self.rest.take(), &self.enforcer) else { return };
        if rest.events != enforcer.events() {
            self.rest = Some(Rest::after(enforcer.events()));
        } else {
            enforcer.rest();
        }
    }

    fn terminate(&mut self, rejection: Rejection) {
        self.note_end(rejection.code);
        self.tell(Input::Terminate(rejection));
    }

    fn poll_happened(&mut self, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        // First, and not when nothing else is left to do: a client that never stops sending ends, too.
        if !self.told
            && let Some(end) = self.enforcer.as_ref().and_then(|enforcer| enforcer.why_ended())
        {
            self.told = true;
            return Poll::Ready(Happened::Ended(end));
        }
        if self.expiry.as_mut().is_some_and(|expiry| expiry.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Happened::Expired);
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
        if self.wake.as_mut().is_some_and(|wake| wake.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Happened::Woken);
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
                    Side::Downstream => without_budget(context, |context| self.poll_flush(side, context)),
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
            (Side::Downstream, Some(pipe), _) => pipe.queue(unit),
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
        self.door.metrics.refuse(code);
        let (session, client) = (self.sessions.id(), self.sessions.client());
        let record = Record::Refused { session, listener: &self.door.listener.name, client, code };
        if let Err(error) = self.door.enforcement.log.append_lazily(SystemTime::now(), &record) {
            tracing::error!(%error, %session, "that a client was turned away could not be recorded");
        }
    }
}

/// Polls something that must be heard of though reading has used up the task's budget: of a peer that sends without an end,
/// reading always has.
fn without_budget<T>(context: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    pin!(unconstrained(poll_fn(poll))).poll(context)
}

async fn close<P: Pipe>(pipe: Option<P>) {
    if let Some(pipe) = pipe {
        pipe.close().await;
    }
}
