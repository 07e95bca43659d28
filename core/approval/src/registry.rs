//! All requests, and the rules by which they are answered.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use gatewright_model::{id::ApprovalId, principal::Principal};
use parking_lot::Mutex;

use crate::{
    request::{NewRequest, Request, RequestError, RequestView, State, Vote},
    ticket::{Settled, Slot, Ticket},
};

/// The requests of one gateway. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    // Locked when a person is asked or answers: never on the way of an event that needs no person.
    inner: Arc<Mutex<Registry>>,
}

#[derive(Debug, Default)]
struct Registry {
    pending: HashMap<ApprovalId, (Request, Arc<Mutex<Slot>>)>,
    /// Settled requests, the oldest first.
    settled: VecDeque<(ApprovalId, Request)>,
    /// Requests, settled or not, for which nobody waits and somebody may come back.
    parked: Vec<Parked>,
}

/// A request that somebody may come back for.
#[derive(Debug)]
struct Parked {
    id: ApprovalId,
    asked: NewRequest,
    expires_at: SystemTime,
    slot: Arc<Mutex<Slot>>,
}

impl Parked {
    /// Is it the same principal, in the same chain, who asks for the same bytes at the same target, under policies that
    /// are the same too? An approval covers nothing else (promise P8).
    fn is_asked_again(&self, asked: &NewRequest) -> bool {
        let NewRequest { session, event, escalation, set } = &self.asked;
        let (one, other) = (&session.principal, &asked.session.principal);
        one.subject == other.subject
            && one.issuer == other.issuer
            && one.actors == other.actors
            && one.kind == other.kind
            && one.groups == other.groups
            && session.listener == asked.session.listener
            && session.target == asked.session.target
            && session.account == asked.session.account
            && event.payload == asked.event.payload
            && event.kind() == asked.event.kind()
            && *escalation == asked.escalation
            && set.digest == asked.set.digest
    }
}

/// A reviewer's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Let it run.
    Approve,
    /// Refuse it.
    Reject,
}

impl Answer {
    /// The word that records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// There is no such request.
    #[error("there is no request of this name")]
    Unknown,
    /// It is settled already.
    #[error("the request is settled already")]
    Settled,
    /// The reviewer takes part in the chain that asks.
    #[error("nobody can approve what they, or an agent of theirs, ask for")]
    OwnRequest,
    /// The reviewer is in none of the groups that may answer.
    #[error("only members of the request's reviewer groups can answer it")]
    NotAReviewer,
    /// The reviewer has answered before.
    #[error("this reviewer has answered already")]
    Again,
    /// An approval by someone for whom somebody else acts could be the work of that somebody.
    #[error("an agent can not answer for a reviewer")]
    ByAgent,
    /// The words are too long.
    #[error("the comment is longer than {COMMENT_LIMIT} bytes")]
    CommentTooLong,
    /// A rejection says why.
    #[error("a rejection needs a comment that says why")]
    CommentMissing,
}

impl AnswerError {
    /// The stable code for records and errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "approval.unknown",
            Self::Settled => "approval.settled",
            Self::OwnRequest => "approval.own_request",
            Self::NotAReviewer => "approval.not_a_reviewer",
            Self::Again => "approval.again",
            Self::ByAgent => "approval.by_agent",
            Self::CommentTooLong | Self::CommentMissing => "approval.comment",
        }
    }
}

/// The longest comment, in bytes.
pub const COMMENT_LIMIT: usize = 2_000;

/// Most requests of one subject that may be open at once (threats A97).
pub const OPEN_PER_SUBJECT: usize = 20;

/// Settled requests that can still be looked at.
const SETTLED_KEPT: usize = 1_000;

impl Approvals {
    /// No requests yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks. The ticket is a future of the answer.
    ///
    /// # Errors
    ///
    /// Nobody can be asked; the event must be refused.
    pub fn request(&self, asked: NewRequest, now: SystemTime) -> Result<Ticket, RequestError> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|_| RequestError::Random)?;
        let id = ApprovalId::from_random(random);
        let request = Request::new(asked, now)?;
        let mut registry = self.inner.lock();
        let principal = &request.asked.session.principal;
        let same = |other: &NewRequest| {
            let other = &other.session.principal;
            other.subject == principal.subject && other.issuer == principal.issuer
        };
        let open = registry.pending.values().filter(|(other, _)| same(&other.asked)).count();
        let answered = registry.parked.iter().filter(|parked| !registry.pending.contains_key(&parked.id));
        if open + answered.filter(|parked| same(&parked.asked)).count() >= OPEN_PER_SUBJECT {
            return Err(RequestError::TooMany);
        }
        let slot = Arc::new(Mutex::new(Slot::default()));
        registry.pending.insert(id.clone(), (request, Arc::clone(&slot)));
        Ok(Ticket { id, approvals: self.clone(), slot, parked: false })
    }

    /// Asks, where the same was asked before by somebody who stopped to wait for it: the ticket is then one for that
    /// request, whatever has become of it meanwhile. It is given once.
    pub fn resume(&self, asked: &NewRequest, now: SystemTime) -> Option<Ticket> {
        let mut registry = self.inner.lock();
        let place = registry.parked.iter().position(|parked| parked.is_asked_again(asked))?;
        let Parked { id, expires_at, slot, .. } = registry.parked.swap_remove(place);
        (now < expires_at).then(|| Ticket { id, approvals: self.clone(), slot, parked: false })
    }

    /// Keeps a request for whoever comes back with it, until it expires. An approval is then good once.
    pub(crate) fn park(&self, id: &ApprovalId, slot: &Arc<Mutex<Slot>>) {
        let mut registry = self.inner.lock();
        let Some((request, _)) = registry.pending.get(id) else { return };
        let (asked, expires_at) = (request.asked.clone(), request.expires_at());
        registry.parked.push(Parked { id: id.clone(), asked, expires_at, slot: Arc::clone(slot) });
    }

    /// Takes a reviewer's answer. The first rejection settles a request; approvals settle it when as many
    /// different reviewers as its quorum have given one.
    ///
    /// `record` is called with the request while nothing can change, after the answer was found to count
    /// and before it does: what can not be recorded does not count.
    ///
    /// # Errors
    ///
    /// The answer does not count, or was not recorded.
    pub fn answer<E: From<AnswerError>>(
        &self,
        id: &ApprovalId,
        reviewer: &Principal,
        answer: Answer,
        comment: &str,
        now: SystemTime,
        record: impl FnOnce(&RequestView) -> Result<(), E>,
    ) -> Result<State, E> {
        let mut registry = self.inner.lock();
        let Some((request, slot)) = registry.pending.get_mut(id) else {
            let settled = registry.settled.iter().any(|(other, _)| other == id);
            return Err(if settled { AnswerError::Settled } else { AnswerError::Unknown }.into());
        };
        if now >= request.expires_at() {
            return Err(AnswerError::Settled.into());
        }
        check(request, reviewer, answer, comment)?;
        record(&request.view(id))?;
        request.votes.push(Vote {
            reviewer: Arc::clone(&reviewer.subject),
            issuer: Arc::clone(&reviewer.issuer),
            approve: answer == Answer::Approve,
            comment: Arc::from(comment),
        });
        let settled = match answer {
            Answer::Reject => {
                Settled::Rejected { by: Arc::clone(&reviewer.subject), comment: Arc::from(comment) }
            }
            Answer::Approve
                if request.approvals() >= usize::from(request.asked.escalation.quorum.max(1)) =>
            {
                Settled::Approved {
                    by: request.votes.iter().map(|vote| Arc::clone(&vote.reviewer)).collect(),
                }
            }
            Answer::Approve => return Ok(State::Pending),
        };
        slot.lock().settle(settled.clone());
        Ok(registry.settle(id, &settled))
    }

    /// Ends the requests whose time is over at `now`.
    pub fn expire(&self, now: SystemTime) {
        let mut registry = self.inner.lock();
        registry.parked.retain(|parked| now < parked.expires_at);
        let over: Vec<ApprovalId> = registry
            .pending
            .iter()
            .filter(|(_, (request, _))| now >= request.expires_at())
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            if let Some((_, slot)) = registry.pending.get(&id) {
                slot.lock().settle(Settled::Expired);
            }
            registry.settle(&id, &Settled::Expired);
        }
    }

    /// Requests that wait, the oldest first; with `all`, then those that were settled lately.
    pub fn list(&self, all: bool) -> Vec<RequestView> {
        let registry = self.inner.lock();
        let mut views: Vec<RequestView> =
            registry.pending.iter().map(|(id, (request, _))| request.view(id)).collect();
        views.sort_by_key(|view| view.asked_at);
        if all {
            views.extend(registry.settled.iter().rev().map(|(id, request)| request.view(id)));
        }
        views
    }

    /// One request, waiting or settled lately.
    pub fn show(&self, id: &ApprovalId) -> Option<RequestView> {
        let registry = self.inner.lock();
        let pending = registry.pending.get(id).map(|(request, _)| request);
        let settled = || registry.settled.iter().find(|(other, _)| other == id).map(|(_, request)| request);
        pending.or_else(settled).map(|request| request.view(id))
    }

    /// How many requests wait.
    pub fn pending(&self) -> usize {
        self.inner.lock().pending.len()
    }

    /// Withdraws a request on behalf of whoever asked. One that is settled stays as it is.
    pub fn withdraw(&self, id: &ApprovalId) {
        let mut registry = self.inner.lock();
        if let Some((_, slot)) = registry.pending.get(id) {
            slot.lock().settle(Settled::Withdrawn);
        }
        registry.settle(id, &Settled::Withdrawn);
    }
}

impl Registry {
    fn settle(&mut self, id: &ApprovalId, settled: &Settled) -> State {
        let state = match settled {
            Settled::Approved { .. } => State::Approved,
            Settled::Rejected { .. } => State::Rejected,
            Settled::Expired => State::Expired,
            Settled::Withdrawn => State::Withdrawn,
        };
        if let Some((mut request, _)) = self.pending.remove(id) {
            request.state = state;
            self.settled.push_back((id.clone(), request));
            if self.settled.len() > SETTLED_KEPT {
                self.settled.pop_front();
            }
        }
        state
    }
}

fn check(
    request: &Request,
    reviewer: &Principal,
    answer: Answer,
    comment: &str,
) -> Result<(), AnswerError> {
    let asking = &request.asked.session.principal;
    // By name alone, whoever vouches for it: two issuers may know the same person.
    if asking.involves(&reviewer.subject) {
        return Err(AnswerError::OwnRequest);
    }
    if !reviewer.actors.is_empty() {
        return Err(AnswerError::ByAgent);
    }
    if !request.asked.escalation.reviewers.iter().any(|group| reviewer.in_group(group)) {
        return Err(AnswerError::NotAReviewer);
    }
    if request.votes.iter().any(|vote| vote.reviewer == reviewer.subject) {
        return Err(AnswerError::Again);
    }
    if comment.len() > COMMENT_LIMIT {
        return Err(AnswerError::CommentTooLong);
    }
    if answer == Answer::Reject && comment.trim().is_empty() {
        return Err(AnswerError::CommentMissing);
    }
    Ok(())
}
