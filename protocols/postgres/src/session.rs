//! The session: one client, one target, no I/O.
//!
//! It passes through four phases, each in its own file:
//!
//! | phase | file | until |
//! | --- | --- | --- |
//! | greeting | `greeting` | the client has TLS, a startup packet and a verified token |
//! | asking | `settings` | policies have allowed what the client sets with its startup packet |
//! | login | `login` | the target has accepted the gateway's own credential |
//! | relay | `relay`, `requests`, `answers` | one side leaves |
//!
//! A client's statement is held from the moment its message was cut until a permit or a denial arrives.
//! Everything that was forwarded and not answered yet stands in one queue (`pipeline`), so that a
//! refusal takes its place in the order of answers exactly as the server's own error would.

mod answers;
mod budget;
mod calls;
mod catalog_errand;
mod catalog_reading;
mod complaint;
mod copying;
mod cursors;
mod definitions;
mod greeting;
mod ledger;
mod login;
mod masking;
mod objection;
mod pipeline;
mod prepared;
mod refusal;
mod relay;
mod release;
mod reports;
mod requests;
mod settings;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatewright_masking::MaskKey;
use gatewright_model::session::{Input, Output, ProtocolError, Session, Side, TlsInfo};
use gatewright_sql::Analyser;

use self::{
    greeting::Greeting,
    login::{Login, Progress},
    relay::{Desk, Relay},
    settings::Asking,
};
use crate::{
    cancel::{CancelKeys, CancelSecret, OwnKey, TargetKey},
    catalog::Catalogs,
    frame::Inbox,
    guesses::Guesses,
    reply,
};

/// What all sessions of one listener share.
#[derive(Debug)]
pub struct Shared {
    /// Reads SQL.
    pub analyser: Arc<Analyser>,
    /// Cancel keys of live sessions.
    pub cancel_keys: CancelKeys,
    /// Catalogs of the target's databases.
    pub catalogs: Catalogs,
    /// Who has chosen rows by masked columns, and how often.
    pub guesses: Guesses,
    /// Key of keyed hashes in masks.
    pub mask_key: MaskKey,
    /// Does the listener have a certificate?
    pub tls: DownstreamTls,
    /// Bounds.
    pub limits: Limits,
}

/// Does a listener speak TLS?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownstreamTls {
    /// A client without TLS is turned away before it could send its token.
    Required,
    /// The client may choose.
    Offered,
    /// There is no certificate.
    Off,
}

/// Bounds of one session. Every one is checked before memory is spent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest message of a client that is held whole, in bytes.
    pub message: usize,
    /// Largest row or other message of a target that must be held whole (to mask or understand it), in
    /// bytes. Rows that no mask touches are forwarded in pieces and have no limit.
    pub answer: usize,
    /// Statements and portals that a client may have prepared at once.
    pub prepared: usize,
    /// What their texts, what was read from these, and bound values may take together, in bytes. As much
    /// again may be taken by what the target has not answered yet.
    pub kept: usize,
    /// The target's catalog, read to mask by column, in bytes of its rows.
    pub catalog: usize,
    /// Requests that were forwarded and not answered yet.
    pub pipeline: usize,
    /// How long greeting and login may take together.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 16 << 20,
            answer: 64 << 20,
            prepared: 10_000,
            kept: 16 << 20,
            catalog: 256 << 20,
            pipeline: 10_000,
            handshake: Duration::from_secs(20),
        }
    }
}

/// Random bits that the caller drew for one session.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// The process id of a short cancel key.
    pub process: u32,
    /// The secret of a long cancel key. Its beginning is that of a short one.
    pub secret: [u8; 32],
}

impl Seed {
    /// The cancel key that the client gets. Since protocol 3.2 its secret is long enough by itself: there the
    /// process id is the one that the target shows in its views and in notifications.
    fn own_key(&self, minor: u16, target: Option<&TargetKey>) -> OwnKey {
        let [a, b, c, d, ..] = self.secret;
        if minor < 2 {
            return OwnKey { process: self.process, key: CancelSecret::Short([a, b, c, d]) };
        }
        let process = target.map_or(self.process, |target| target.process);
        OwnKey { process, key: CancelSecret::Long(self.secret) }
    }
}

/// One session. See the module's documentation.
#[derive(Debug)]
pub struct PostgresSession {
    shared: Arc<Shared>,
    seed: Seed,
    /// Who the client is, once that is proved.
    subject: Arc<str>,
    phase: Phase,
    downstream: Inbox,
    upstream: Inbox,
    outputs: VecDeque<Output<Bytes>>,
}

#[derive(Debug)]
enum Phase {
    Greeting(Greeting),
    Asking(Box<Asking>),
    Login(Box<Login>),
    Relay(Box<Relay>),
    /// A cancel request on its way to the target, from a client that sent one, or for one that is gone.
    Cancelling(TargetKey, CancelStep),
    Over,
}

#[derive(Debug)]
enum CancelStep {
    Connecting,
    AskingTls,
    Securing,
    /// The target closes the connection when it has done what was asked: whoever waits for that with the client's side sends the
    /// next statement then, which a cancel request that is still on its way would hit.
    Sent,
}

/// How a phase ended.
enum Next {
    /// It has not.
    Stay,
    Asking(Box<Asking>),
    Login(Box<Login>),
    Relay(Box<Relay>),
    Cancel(TargetKey),
    /// Both sides are to be closed after what was sent.
    Over,
}

impl PostgresSession {
    /// A session for a client that was just accepted at `now`.
    pub fn new(shared: Arc<Shared>, seed: Seed, now: Instant) -> Self {
        let deadline = now + shared.limits.handshake;
        Self {
            phase: Phase::Greeting(Greeting::new(shared.tls)),
            shared,
            seed,
            subject: Arc::from(""),
            downstream: Inbox::default(),
            upstream: Inbox::default(),
            outputs: VecDeque::from([Output::Wake(deadline)]),
        }
    }

    fn step(&mut self, now: Instant, input: Input<Bytes>) -> Result<(), ProtocolError> {
        let input = match input {
            Input::Data { side, unit } => {
                self.inbox(side).push(unit);
                None
            }
            Input::Timeout if matches!(self.phase, Phase::Over) => return Ok(()),
            input @ Input::Timeout if matches!(self.phase, Phase::Relay(_)) => Some(input),
            Input::Timeout => return Err(slow()),
            Input::Terminate(rejection) => {
                self.say_last(reply::rejection(&rejection));
                self.part(now);
                return Ok(());
            }
            Input::Authenticated(principal) => {
                self.subject = Arc::clone(&principal.subject);
                Some(Input::Authenticated(principal))
            }
            other => Some(other),
        };
        let next = match &mut self.phase {
            Phase::Over => Next::Stay,
            Phase::Greeting(greeting) => {
                greeting.handle(&self.shared, &mut self.downstream, &mut self.outputs, input)?
            }
            Phase::Asking(asking) => asking.handle(&mut self.outputs, input)?,
            Phase::Login(login) => match login.handle(&mut self.upstream, &mut self.outputs, input)? {
                Progress::Waiting => Next::Stay,
                Progress::Arrived(arrival) => {
                    Next::Relay(arrival.welcome(&self.shared, self.seed, &mut self.outputs))
                }
                Progress::Over => Next::Over,
            },
            Phase::Relay(relay) => relay.handle(
                now,
                &self.shared,
                &mut self.downstream,
                &mut self.upstream,
                &mut self.outputs,
                input,
            )?,
            Phase::Cancelling(target, step) => {
                cancel(target, step, &mut self.upstream, &mut self.outputs, input)?
            }
        };
        self.enter(now, next)
    }

    fn enter(&mut self, now: Instant, next: Next) -> Result<(), ProtocolError> {
        match next {
            Next::Stay => {}
            Next::Asking(asking) => self.phase = Phase::Asking(asking),
            Next::Login(login) => self.phase = Phase::Login(login),
            Next::Cancel(target) => self.cancel(target),
            Next::Over => self.close(),
            Next::Relay(mut relay) => {
                relay.subject = Arc::clone(&self.subject);
                self.phase = Phase::Relay(relay);
                // The client may have sent its first statement already.
                self.step(now, Input::Data { side: Side::Downstream, unit: Bytes::new() })?;
            }
        }
        Ok(())
    }

    fn inbox(&mut self, side: Side) -> &mut Inbox {
        match side {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
        }
    }

    fn send(&mut self, side: Side, unit: Bytes) {
        self.outputs.push_back(Output::Send { side, unit });
    }

    /// Says why the session ends. Nothing where nobody may be told, or a message has not ended yet, of which
    /// it would become a part (threats F2).
    fn say_last(&mut self, words: Bytes) {
        let may_speak = match &self.phase {
            // Nothing is said to a peer that may not be what it seems: before TLS stands, silence.
            Phase::Greeting(greeting) => greeting.may_speak(),
            Phase::Asking(_) | Phase::Login(_) => true,
            Phase::Relay(relay) => relay.may_speak(),
            Phase::Cancelling(..) | Phase::Over => false,
        };
        if may_speak {
            self.send(Side::Downstream, words);
        }
    }

    /// Leaves the target, whatever runs there, and then the client.
    fn part(&mut self, now: Instant) {
        let next = match &mut self.phase {
            Phase::Relay(relay) => {
                relay.part(&mut Desk { now, shared: &self.shared, outputs: &mut self.outputs })
            }
            _ => Next::Over,
        };
        match next {
            Next::Cancel(target) => self.cancel(target),
            _ => self.close(),
        }
    }

    fn cancel(&mut self, target: TargetKey) {
        self.phase = Phase::Cancelling(target, CancelStep::Connecting);
        // What a connection that is closed now has sent is no answer on the next one.
        self.upstream = Inbox::default();
    }

    /// Whatever is still running has an unknown outcome.
    fn abandon(&mut self) {
        if let Phase::Relay(relay) = &mut self.phase {
            relay.abandon(&mut self.outputs);
        }
    }

    fn close(&mut self) {
        self.phase = Phase::Over;
        self.outputs.push_back(Output::Close { side: Side::Upstream });
        self.outputs.push_back(Output::Close { side: Side::Downstream });
    }
}

impl Session for PostgresSession {
    type Unit = Bytes;

    fn handle_input(&mut self, now: Instant, input: Input<Bytes>) -> Result<(), ProtocolError> {
        let target_left = matches!(input, Input::Closed { side: Side::Upstream });
        self.step(now, input).inspect_err(|error| {
            self.say_last(reply::protocol_error(error));
            if target_left {
                self.abandon();
                self.close();
            } else {
                // Whoever broke the protocol: what runs at the target is for nobody any more.
                self.part(now);
            }
        })
    }

    fn poll_output(&mut self) -> Option<Output<Bytes>> {
        self.outputs.pop_front()
    }

    fn holds_locks(&self) -> bool {
        matches!(&self.phase, Phase::Relay(relay) if relay.holds_locks())
    }

    fn unread(&self, more: usize) -> usize {
        self.downstream.len() + more
    }

    fn wants_input(&self, side: Side) -> bool {
        match (&self.phase, side) {
            (Phase::Over, _) => false,
            (Phase::Relay(relay), Side::Upstream) if relay.definitions.is_some() => {
                self.upstream.len() < READ_AHEAD
            }
            (_, Side::Upstream) => true,
            // What is read is cut into messages at once; each has its limit.
            (Phase::Relay(relay), Side::Downstream) if relay.reads_requests(&self.shared.limits) => true,
            (Phase::Greeting(greeting), Side::Downstream) if greeting.reads_messages() => true,
            // While something is held, a little is still read: enough to see that a client has left.
            (_, Side::Downstream) => self.downstream.len() < READ_AHEAD,
        }
    }
}

/// Bytes that may wait behind a held statement, or behind the beginning of an answer.
const READ_AHEAD: usize = 64 << 10;

/// The application protocol of PostgreSQL over TLS (manual, section 55.2.11).
pub const ALPN: &[u8] = b"postgresql";

fn slow() -> ProtocolError {
    ProtocolError {
        fault: Side::Downstream,
        code: "net.slow",
        detail: Arc::from("the connection was not established in time"),
    }
}

/// Did the handshake agree on another application protocol than PostgreSQL's?
fn is_foreign(tls: &TlsInfo) -> bool {
    tls.alpn.as_deref().is_some_and(|alpn| alpn != ALPN)
}

fn cancel(
    target: &TargetKey,
    step: &mut CancelStep,
    upstream: &mut Inbox,
    outputs: &mut VecDeque<Output<Bytes>>,
    input: Option<Input<Bytes>>,
) -> Result<Next, ProtocolError> {
    let send = |outputs: &mut VecDeque<Output<Bytes>>, unit| {
        outputs.push_back(Output::Send { side: Side::Upstream, unit });
    };
    match (&step, input) {
        (CancelStep::Connecting, Some(Input::Connected(account))) if account.require_tls => {
            send(outputs, reply::tls_request());
            *step = CancelStep::AskingTls;
        }
        (CancelStep::Connecting, Some(Input::Connected(_)))
        | (CancelStep::Securing, Some(Input::Secured { side: Side::Upstream, .. })) => {
            send(outputs, reply::cancel_request(target.process, &target.key));
            *step = CancelStep::Sent;
        }
        (CancelStep::AskingTls, None) if !upstream.is_empty() => {
            login::accept_tls(upstream)?;
            outputs.push_back(Output::StartTls { side: Side::Upstream });
            *step = CancelStep::Securing;
        }
        // Whoever asked need not wait: the request is carried to its end.
        (_, Some(Input::Closed { side: Side::Downstream })) => {
            outputs.push_back(Output::Close { side: Side::Downstream });
        }
        (_, Some(Input::Closed { .. } | Input::Unreachable)) => return Ok(Next::Over),
        _ => {}
    }
    Ok(Next::Stay)
}
