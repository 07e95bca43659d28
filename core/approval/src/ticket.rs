//! What the one who asked holds: a future of the answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use gatewright_model::id::ApprovalId;
use parking_lot::Mutex;

use crate::registry::Approvals;

/// How a request was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Enough reviewers approved: these.
    Approved {
        /// Their subjects.
        by: Vec<Arc<str>>,
    },
    /// A reviewer rejected it.
    Rejected {
        /// The reviewer's subject.
        by: Arc<str>,
        /// The reviewer's words.
        comment: Arc<str>,
    },
    /// Nobody decided in time.
    Expired,
    /// Whoever asked does not wait any more.
    Withdrawn,
}

impl Settled {
    /// The word that records use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A request that waits. It is a future of how the request is settled; dropping it withdraws the request,
/// and an answer that comes later counts for nothing (threats F25).
#[derive(Debug)]
#[must_use = "dropping a ticket withdraws its request"]
pub struct Ticket {
    pub(crate) id: ApprovalId,
    pub(crate) approvals: Approvals,
    pub(crate) slot: Arc<Mutex<Slot>>,
    pub(crate) parked: bool,
}

/// Where an answer is left.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    settled: Option<Settled>,
    waker: Option<Waker>,
}

impl Slot {
    pub(crate) fn settle(&mut self, settled: Settled) {
        self.settled.get_or_insert(settled);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Ticket {
    /// The request's name.
    pub const fn id(&self) -> &ApprovalId {
        &self.id
    }

    /// Stops waiting without withdrawing: whoever asked may come back ([`Approvals::resume`]).
    pub fn park(mut self) {
        self.parked = true;
        self.approvals.park(&self.id, &self.slot);
    }
}

impl Future for Ticket {
    type Output = Settled;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        let mut slot = self.slot.lock();
        match &slot.settled {
            Some(settled) => Poll::Ready(settled.clone()),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.parked {
            self.approvals.withdraw(&self.id);
        }
    }
}
