//! Permission as a value: minted in one place, used up by the act.

use std::sync::Arc;

use crate::{
    decision::Block,
    id::{ApprovalId, EventId},
    mask::MaskPlan,
};

/// Leave to forward one event.
///
/// A session can forward a held event only by consuming its permit, and a permit can not be copied. The
/// one place that mints them in production is `core/proxy/src/enforce.rs`, after the audit record was
/// accepted; `tests/tidy` fails when another file does.
#[derive(Debug)]
#[must_use = "a permit that is dropped leaves its event held for ever"]
pub struct Permit {
    event: EventId,
    masks: Option<Arc<MaskPlan>>,
    judges_answer: bool,
    recorded: bool,
}

impl Permit {
    /// Mints leave to forward `event`, with `masks` applied to its answer.
    pub const fn mint(event: EventId, masks: Option<Arc<MaskPlan>>) -> Self {
        Self { event, masks, judges_answer: false, recorded: false }
    }

    /// The same, and a policy wants to judge the answer before the client sees any of it.
    pub fn judging_answer(self, judges_answer: bool) -> Self {
        Self { judges_answer, ..self }
    }

    /// Is the answer an event of its own ([`crate::event::Facet::with_answer`])?
    pub const fn judges_answer(&self) -> bool {
        self.judges_answer
    }

    /// The same, and a policy wants it to go on only while it is recorded.
    pub fn recorded(self, recorded: bool) -> Self {
        Self { recorded, ..self }
    }

    /// Is what goes on to be recorded ([`crate::session::Output::Record`])?
    pub const fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Which event may go.
    pub const fn event(&self) -> EventId {
        self.event
    }

    /// Uses the permit up; what is left is what must be hidden in the answer.
    pub fn consume(self) -> Option<Arc<MaskPlan>> {
        self.masks
    }
}

/// The refusal of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Which event is refused.
    pub event: EventId,
    /// Why, by which rule, and what to do next.
    pub block: Block,
    /// The approval request that was answered with no, or not at all.
    pub approval: Option<ApprovalId>,
}

impl Denial {
    /// The code of a request for approval that whoever asked has withdrawn.
    pub const WITHDRAWN: &'static str = "approval.withdrawn";

    /// Is it no more than that? Any other answer to what was withdrawn (somebody said no first, it could not be recorded, the session was ended) is a
    /// refusal like all others.
    pub fn is_withdrawal(&self) -> bool {
        self.approval.is_some() && *self.block.code == *Self::WITHDRAWN
    }
}
