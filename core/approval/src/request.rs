//! One request, and how it is shown.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gatewright_model::{
    decision::{Escalation, SetVersion},
    digest::Digest,
    event::{Event, SessionContext},
    id::{ApprovalId, EventId, SessionId},
};
use serde::Serialize;

use crate::display::{DISPLAY_LIMIT, visible};

/// What is asked.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// Who asks, in which session, of which target.
    pub session: Arc<SessionContext>,
    /// What would run.
    pub event: Arc<Event>,
    /// Why a person must decide, and who may.
    pub escalation: Escalation,
    /// The policy set that asks.
    pub set: SetVersion,
}

/// Why nobody can be asked. The event is then refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The text is too long to be shown whole.
    #[error("the text is longer than {DISPLAY_LIMIT} bytes, too long to be shown to a reviewer")]
    TooLong,
    /// Not everything that is sent could be shown.
    #[error("its body is not read before it is sent, so a reviewer could not see it")]
    Unseen,
    /// The subject has too many open requests.
    #[error("too many requests of this subject are open")]
    TooMany,
    /// The policy names nobody who could answer.
    #[error("the policy names no reviewers, and neither does the configuration")]
    NoReviewers,
    /// The operating system gives no random bytes.
    #[error("no random bytes for the name of the request")]
    Random,
}

impl RequestError {
    /// The stable code for records and errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Unseen => "approval.display",
            Self::TooMany => "approval.rate",
            Self::NoReviewers => "approval.no_reviewers",
            Self::Random => "approval.unavailable",
        }
    }

    /// What the one who asked can do.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong => "ask for less at once",
            Self::Unseen => "send a smaller body, and its length with it",
            Self::TooMany => "wait until the open requests are answered",
            Self::NoReviewers => "ask the gateway's operator to set `reviewers` in the configuration",
            Self::Random => "try again",
        }
    }
}

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for more reviewers.
    Pending,
    /// Enough reviewers approved.
    Approved,
    /// A reviewer rejected it.
    Rejected,
    /// Its time was over.
    Expired,
    /// The session that asked does not wait any more.
    Withdrawn,
}

/// One reviewer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// Who answered.
    pub reviewer: Arc<str>,
    /// Who vouches for the reviewer.
    pub issuer: Arc<str>,
    /// Approved, or rejected?
    pub approve: bool,
    /// The reviewer's words.
    pub comment: Arc<str>,
}

/// A request as reviewers and programs see it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestView {
    /// Its name.
    pub id: ApprovalId,
    /// What has become of it.
    pub state: State,
    /// Who asks.
    pub subject: Arc<str>,
    /// Who vouches for the subject.
    pub issuer: Arc<str>,
    /// Who acts for the subject, the current actor first.
    pub actors: Vec<Arc<str>>,
    /// What is to be reached.
    pub target: Arc<str>,
    /// Under which account.
    pub account: Arc<str>,
    /// What the protocol says about the session as a whole, like `database`, each on one line and with every character visible.
    pub attributes: BTreeMap<&'static str, String>,
    /// The session that waits.
    pub session: SessionId,
    /// The event that waits.
    pub event: EventId,
    /// What kind of event.
    pub kind: &'static str,
    /// All of what will run, with every character visible.
    pub text: String,
    /// The values bound to it, with every character visible.
    pub parameters: Vec<String>,
    /// SHA-256 of the bytes that will run.
    pub payload: Digest,
    /// Which rule asks.
    pub rule: Arc<str>,
    /// Why a person must look at it.
    pub reason: Arc<str>,
    /// Groups that may answer.
    pub reviewers: Vec<Arc<str>>,
    /// How many must approve.
    pub quorum: u8,
    /// Answers so far.
    pub votes: Vec<Vote>,
    /// Number of the policy set that asks.
    pub set: u64,
    /// Seconds since 1970-01-01 UTC at which it was asked.
    pub asked_at: u64,
    /// Seconds since 1970-01-01 UTC at which it expires.
    pub expires_at: u64,
}

/// A request, and what has become of it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: NewRequest,
    pub(crate) asked_at: SystemTime,
    pub(crate) state: State,
    pub(crate) votes: Vec<Vote>,
}

impl Request {
    pub(crate) fn new(asked: NewRequest, asked_at: SystemTime) -> Result<Self, RequestError> {
        // An answer that is judged has been asked for already.
        if !asked.event.is_shown_whole() && !asked.event.is_answer() {
            return Err(RequestError::Unseen);
        }
        let shown = asked.event.full_text().len()
            + asked.event.parameters().map(|parameter| parameter.len()).sum::<usize>();
        if shown > DISPLAY_LIMIT {
            return Err(RequestError::TooLong);
        }
        if asked.escalation.reviewers.is_empty() {
            return Err(RequestError::NoReviewers);
        }
        Ok(Self { asked, asked_at, state: State::Pending, votes: Vec::new() })
    }

    pub(crate) fn expires_at(&self) -> SystemTime {
        self.asked_at.checked_add(self.asked.escalation.ttl).unwrap_or(self.asked_at)
    }

    pub(crate) fn approvals(&self) -> usize {
        self.votes.iter().filter(|vote| vote.approve).count()
    }

    pub(crate) fn view(&self, id: &ApprovalId) -> RequestView {
        let NewRequest { session, event, escalation, set } = &self.asked;
        let seconds =
            |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        RequestView {
            id: id.clone(),
            state: self.state,
            subject: Arc::clone(&session.principal.subject),
            issuer: Arc::clone(&session.principal.issuer),
            actors: session.principal.actors.clone(),
            target: Arc::clone(&session.target),
            account: Arc::clone(&session.account),
            attributes: session.attributes.iter().map(|(name, value)| (*name, one_line(value))).collect(),
            session: session.id,
            event: event.id,
            kind: event.kind(),
            text: visible(&event.full_text()),
            parameters: event.parameters().map(|parameter| visible(&parameter)).collect(),
            payload: event.payload,
            rule: Arc::clone(&escalation.rule),
            reason: Arc::clone(&escalation.reason),
            reviewers: escalation.reviewers.clone(),
            quorum: escalation.quorum.max(1),
            votes: self.votes.clone(),
            set: set.number,
            asked_at: seconds(self.asked_at),
            expires_at: seconds(self.expires_at()),
        }
    }
}

/// A name must not look like a line of its own.
fn one_line(name: &str) -> String {
    visible(name).replace('\n', "⟦U+000A⟧")
}
