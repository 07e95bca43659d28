//! The seam between protocol logic and the world.
//!
//! A [`Session`] is a value. Whatever happened goes in as an [`Input`]; whatever is to be done comes out
//! as an [`Output`]. It has no socket, no clock, no task and no callback, so a test can play any
//! schedule to it, and the driver in `core/proxy/src/driver.rs` is one `match` for every protocol.
//!
//! The life of a session, in outputs and the inputs that answer them:
//!
//! ```text
//! StartTls{Downstream}  ->  Secured{Downstream}
//! Authenticate          ->  Authenticated | Rejected
//! LookUp                ->  Found
//! Connect               ->  Connected | Unreachable
//! Errand                ->  Returned
//! StartTls{Upstream}    ->  Secured{Upstream}
//! Decide                ->  Permitted | Denied          (perhaps Held before)
//! Record{Start}         ->  Recording | Terminate       (nothing is sent meanwhile)
//! ```
//!
//! There is no input that means "forward it without a decision". No answer is a refusal.

use std::{fmt, net::IpAddr, sync::Arc, time::Instant};

use crate::{
    decision::Escalation,
    digest::Digest,
    event::Event,
    id::{ApprovalId, EventId, SessionId},
    permit::{Denial, Permit},
    principal::Principal,
    recording::Frame,
    secret::Secret,
};

/// A protocol session between one downstream and one upstream. No I/O, no clock, no async.
pub trait Session: Send {
    /// What travels: bytes on TCP, a channel message on SSH, head, chunk and end on HTTP.
    type Unit;

    /// Takes in what happened at `now`.
    ///
    /// # Errors
    ///
    /// The session can not go on. Outputs that are already queued (a last error message for the peer)
    /// are still to be carried out; then both sides are closed.
    fn handle_input(&mut self, now: Instant, input: Input<Self::Unit>) -> Result<(), ProtocolError>;

    /// What to do next. Call until it returns `None`, after every `handle_input`.
    fn poll_output(&mut self) -> Option<Output<Self::Unit>>;

    /// Does the session keep something at the target from others until it goes on, like what an open
    /// transaction has locked? An event of it can not wait long for a reviewer (threats F24).
    fn holds_locks(&self) -> bool;

    /// Is something that was permitted still going on, like a stream that ends when somebody ends it? It is judged again
    /// when the policies change ([`Input::PoliciesChanged`]).
    fn is_judged_again(&self) -> bool {
        false
    }

    /// Does it ask to be woken ([`Output::Wake`]) for the case that the target says nothing more? Then it is not while the
    /// client takes nothing, because the target is not heard until it does.
    fn wakes_in_silence(&self) -> bool {
        false
    }

    /// How many bytes of the client's it would have taken in and not read, if `more` came. To read them may be much work,
    /// whatever lets it go on.
    fn unread(&self, more: usize) -> usize {
        let _ = more;
        0
    }

    /// May bytes of this side be read now? `false` is back-pressure: a held event costs no memory.
    fn wants_input(&self, side: Side) -> bool;
}

/// The two sides of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client.
    Downstream,
    /// The target.
    Upstream,
}

impl Side {
    /// The one across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Downstream => Self::Upstream,
            Self::Upstream => Self::Downstream,
        }
    }
}

/// What can happen to a session.
#[derive(Debug)]
pub enum Input<U> {
    /// Something arrived.
    Data {
        /// From where.
        side: Side,
        /// What.
        unit: U,
    },
    /// The peer will send no more.
    Closed {
        /// Which peer.
        side: Side,
    },
    /// TLS is up, as `StartTls` asked.
    Secured {
        /// On which side.
        side: Side,
        /// What the handshake yielded.
        tls: TlsInfo,
    },
    /// The credential was good.
    Authenticated(Arc<Principal>),
    /// What is asked for from here on is asked for in this session, and not in the one that the connection is named after.
    /// Told before the verdict on the first event.
    Entered(SessionId),
    /// The credential was not good, or not good for this. What the peer may be told is in it.
    Rejected(Rejection),
    /// The addresses that the name has, as `LookUp` asked; none where it has none, or nobody said so in time. What is connected to from here on
    /// is one of them.
    Found(Arc<[IpAddr]>),
    /// The upstream connection is open.
    Connected(Account),
    /// There is no upstream connection.
    Unreachable,
    /// The errand is over, whatever came of it.
    Returned,
    /// The event waits for a reviewer: tell the client, in its protocol.
    Held {
        /// Which event.
        event: EventId,
        /// The request that reviewers see.
        approval: ApprovalId,
        /// What is asked of them, and why.
        escalation: Arc<Escalation>,
    },
    /// The event may be forwarded.
    Permitted(Permit),
    /// The event is refused.
    Denied(Denial),
    /// What this event starts is recorded from here on.
    Recording(EventId),
    /// The instant that `Wake` asked for has come.
    Timeout,
    /// Other policies are active than those that permitted what is going on: ask them, with an event of its own.
    PoliciesChanged,
    /// The gateway wants to stop: end at the next point where nothing is lost.
    Drain,
    /// The session must end now, and this is why (revoked, expired, killed).
    Terminate(Rejection),
}

/// What a session can ask for.
#[derive(Debug)]
pub enum Output<U> {
    /// Verify this credential.
    Authenticate(Credential),
    /// Look up the name of a place beyond the target.
    LookUp {
        /// The name.
        host: Arc<str>,
    },
    /// Open the upstream connection. Asked once, after authentication.
    Connect(ConnectRequest),
    /// Ask the target something beside the session, on a connection of the gateway's own under the session's account. One at a time.
    Errand(Errand<U>),
    /// The session goes to this target, of those that its listener has. Said at most once, before the first `Decide` or
    /// `Connect`, by protocols that find it in a request; where a listener has one target only, it needs no saying.
    Target(Arc<str>),
    /// Judge this event. Its bytes stay held until the answer comes.
    Decide(Event),
    /// An event that was forwarded is over. For the record.
    Finished {
        /// Which event.
        event: EventId,
        /// What became of it.
        outcome: Outcome,
    },
    /// Send something.
    Send {
        /// To where.
        side: Side,
        /// What.
        unit: U,
    },
    /// Record something. What is to be sent after it is sent when it is recorded; where it can not be, that is not sent at
    /// all, and the session is told to end (`record.failed`).
    Record(Frame),
    /// Withdraw an approval request: whoever asked, in this session or in another one that this session
    /// proved to speak for, does not wait for it any more. One that is settled stays as it is.
    Withdraw(ApprovalId),
    /// Stop waiting for this approval, without withdrawing it: whoever asked was told to come back for it.
    Park(ApprovalId),
    /// Do a TLS handshake before anything else is read or sent on this side. Bytes that arrived before it
    /// and were not consumed are an attack (threats A1, A2): the session has checked that there are none.
    StartTls {
        /// On which side: server on downstream, client on upstream.
        side: Side,
    },
    /// Close one side, after what was sent.
    Close {
        /// Which side.
        side: Side,
    },
    /// Send `Timeout` at this instant. A later `Wake` replaces an earlier one.
    Wake(Instant),
}

/// What a client presented. Verified by `core/identity`.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A bearer token (JWT), from whatever field the protocol has for it.
    Bearer(Secret),
    /// What was proved for the whole connection before the session began, like the possession of a key.
    Connection,
}

/// What a session wants from the upstream side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectRequest {
    /// A connection for this session, under an account that the gateway holds.
    Session {
        /// The account at the target that the client asked for, if it did.
        account: Option<Arc<str>>,
        /// What the protocol says about the session as a whole; part of [`crate::event::SessionContext`].
        attributes: Vec<(&'static str, Arc<str>)>,
    },
    /// A bare connection that carries one out-of-band message, like a cancel request. It has no
    /// principal and no events. A session may ask for it in place of a connection that it has closed.
    OutOfBand,
}

/// Something that the gateway asks a target for itself.
pub struct Errand<U> {
    /// Sessions of a listener that ask one target for the same at a time send one errand.
    pub key: Arc<str>,
    /// What is said on the connection, from [`Input::Connected`] on until it closes a side. There is no client, and nothing to
    /// decide: it sends to the target, or starts TLS there.
    pub session: Box<dyn Session<Unit = U>>,
}

impl<U> fmt::Debug for Errand<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The account at the target. The secret goes to the target's proof of identity and nowhere else.
#[derive(Debug, Clone)]
pub struct Account {
    /// The account's name.
    pub name: Arc<str>,
    /// Its password, where the target wants one.
    pub password: Option<Secret>,
    /// Must the upstream connection be encrypted before the first byte of a credential is sent?
    pub require_tls: bool,
}

/// What a TLS handshake yielded.
#[derive(Debug, Clone, Default)]
pub struct TlsInfo {
    /// The application protocol that both agreed on.
    pub alpn: Option<Arc<[u8]>>,
    /// On the upstream side: the `tls-server-end-point` channel binding of RFC 5929, if it could be
    /// computed.
    pub server_end_point: Option<Arc<[u8]>>,
}

/// Why a peer is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A stable code for programs and records, like `auth.jwt_expired`.
    pub code: &'static str,
    /// What the peer may be told.
    pub message: Arc<str>,
    /// What the peer can do about it. May be empty.
    pub remedy: Arc<str>,
}

/// What became of an event that was forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// How it ended.
    pub result: OutcomeResult,
    /// The target's own code for its error, like an SQLSTATE; of what was refused or cut, the gateway's.
    pub code: Option<Arc<str>>,
    /// Rows that the target said it sent or changed, where it says so.
    pub rows: Option<u64>,
    /// Values that were hidden, by rule.
    pub masked: Vec<(Arc<str>, u64)>,
    /// What the client got of a file, or of the rows and other data of an answer of PostgreSQL as they were sent.
    pub read: Option<Content>,
    /// What the target took for a file.
    pub written: Option<Content>,
}

/// What passed of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256 of all of them. None: they did not pass from the file's beginning on, each once and in its order.
    pub digest: Option<Digest>,
}

/// How an event that was forwarded ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutcomeResult {
    /// The target reported success.
    Ok,
    /// The target reported an error.
    Error,
    /// It was recorded as allowed and refused after all, before any of it was forwarded: it has not run.
    Refused,
    /// The connection ended first, or the answer was not understood: it may have run.
    #[default]
    Unknown,
}

impl OutcomeResult {
    /// The word that records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a session can not go on: whose fault it is, and what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    /// Who broke the protocol.
    pub fault: Side,
    /// A stable code for records, like `pg.bad_length`.
    pub code: &'static str,
    /// What happened, without any byte of a payload.
    pub detail: Arc<str>,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match self.fault {
            Side::Downstream => "client",
            Side::Upstream => "target",
        };
        write!(f, "{peer} broke the protocol ({}): {}", self.code, self.detail)
    }
}

impl std::error::Error for ProtocolError {}
