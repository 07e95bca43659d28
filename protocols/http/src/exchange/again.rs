//! After the permit, once more: an answer that a policy wants to judge, and one that goes on while the policies change.

use std::sync::Arc;

use gatewright_model::{
    event::{Event, Facet},
    id::{ApprovalId, EventId},
    mask::MaskPlan,
    permit::{Denial, Permit},
    session::{Outcome, OutcomeResult, Output, ProtocolError, Side},
};
use http::response;

use super::{
    Exchange, Phase, UNRECORDABLE, answer,
    relay::{Answer, Relay, outcome},
};
use crate::{digest, problem::Problem};

impl Exchange {
    /// Asks about the head of an answer.
    pub(super) fn ask_about(&mut self, facet: &Facet, parts: &response::Parts) -> EventId {
        let response = answer::listed(parts);
        let payload = digest::of_answer(&response);
        let id = self.seed.events.draw();
        if let Some(facet) = facet.with_answer(Arc::new(response)) {
            self.outputs.push_back(Output::Decide(Event { id, payload, facet }));
        }
        id
    }

    /// Asks about a request whose answer goes on, which does so meanwhile.
    pub(super) fn ask_again(&mut self, mut relay: Box<Relay>) {
        relay.again = self.ask_anew(&relay.facet);
        self.phase = Phase::Relaying(relay);
    }

    /// Asks about a request that was permitted once, with an event of its own.
    pub(super) fn ask_anew(&mut self, facet: &Facet) -> Option<EventId> {
        let http = facet.http()?;
        let id = self.seed.events.draw();
        let payload = digest::of(&http.request, &http.body);
        self.outputs.push_back(Output::Decide(Event { id, payload, facet: facet.clone() }));
        Some(id)
    }

    pub(super) fn permitted_again(
        &mut self,
        mut relay: Box<Relay>,
        permit: Permit,
    ) -> Result<(), ProtocolError> {
        let event = permit.event();
        let is_recorded = relay.leave.recorded.is_some() || !permit.is_recorded();
        let masks = permit.consume().filter(|masks| !masks.is_empty());
        if relay.again == Some(event) {
            relay.again = None;
            let same = is_recorded && relay.leave.masks == masks;
            let result = if same { OutcomeResult::Ok } else { OutcomeResult::Refused };
            self.outputs
                .push_back(Output::Finished { event, outcome: Outcome { result, ..Outcome::default() } });
            if same {
                self.phase = Phase::Relaying(relay);
            } else {
                // What is hidden can not change in the middle: whoever asks again gets the answer as it is to be now.
                self.cut(CHANGED, None);
            }
            return Ok(());
        }
        if !is_recorded {
            return self.broken(relay, UNRECORDABLE, Side::Downstream);
        }
        if let Some(more) = masks {
            let mut all = relay.leave.masks.take().map_or_else(MaskPlan::default, Arc::unwrap_or_clone);
            all.merge(Arc::unwrap_or_clone(more));
            relay.leave.masks = Some(Arc::new(all));
        }
        match std::mem::replace(&mut relay.answer, Answer::Awaited) {
            Answer::Judged(_, begun) => self.begin_answer(relay, *begun),
            other => {
                relay.answer = other;
                self.phase = Phase::Relaying(relay);
                Ok(())
            }
        }
    }

    pub(super) fn denied_again(&mut self, relay: &Relay, mut denial: Denial) {
        match &relay.answer {
            Answer::Judged(_, begun) => {
                denial.approval = denial.approval.or_else(|| self.approval.take());
                // It has run, and this is how it went; the client does not get to see it.
                self.finish(outcome(begun.parts.status));
                self.answer(Problem::denied(&denial));
            }
            _ => self.cut(CHANGED, None),
        }
    }

    pub(super) fn held_again(&mut self, relay: Box<Relay>, approval: ApprovalId) {
        if relay.again.is_some() {
            // Nobody can look at what has passed by then: whoever asks again is held before anything passes.
            self.outputs.push_back(Output::Withdraw(approval));
            return self.cut(CHANGED, None);
        }
        self.approval = Some(approval);
        self.phase = Phase::Relaying(relay);
    }
}

/// Of an answer that went on, and may not go on in the same way under the policies that are active now.
const CHANGED: &str = "policy.changed";
