//! What runs is judged again when the policies change, and ends where they do not permit it any more.
//!
//! What a reviewer has approved stays approved: a policy that would ask again does not end it, one that blocks does. Masks and recordings
//! can not begin in the middle of something, so that what is to be hidden in another way ends as well.

use gatewright_model::{
    id::ApprovalId,
    permit::{Denial, Permit},
    session::{Outcome, OutcomeResult, Output},
};

use super::Channel;
use crate::telling;

/// The code of what was ended.
const CHANGED: &str = "policy.changed";

impl Channel {
    /// Asks about what runs and what it was granted, each with an event of its own.
    pub(super) fn ask_again(&mut self) {
        let running = self.running.iter().map(|running| running.about.clone());
        self.to_judge = running.chain(self.granted.iter().cloned()).collect();
        self.ask_next();
    }

    fn ask_next(&mut self) {
        let Some(about) = self.to_judge.front().cloned() else { return };
        // The request that is dealt with meanwhile waits for its own answer.
        let asks_a_person = self.asks_a_person;
        self.again = Some(self.decide(about));
        self.asks_a_person = asks_a_person;
    }

    pub(super) fn permitted_again(&mut self, permit: Permit) {
        self.again = None;
        let event = permit.event();
        let is_recorded = !permit.is_recorded() || self.recording;
        let plan = permit.consume().filter(|plan| !plan.is_empty());
        let about = self.to_judge.pop_front();
        let of_running = self.running.as_ref().filter(|running| about.as_ref() == Some(&running.about));
        let former = of_running.and_then(|running| running.plan.clone());
        if is_recorded && former == plan {
            self.finish(event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
            return self.ask_next();
        }
        self.refused(event, CHANGED);
        self.cut(
            "the policies have changed, and want this hidden or recorded in another way; start it again",
        );
    }

    pub(super) fn held_again(&mut self, approval: ApprovalId) {
        self.outputs.push_back(Output::Withdraw(approval));
        if self.running.as_ref().is_some_and(|running| running.is_approved) {
            self.again = None;
            self.to_judge.clear();
            return;
        }
        self.cut("the policies have changed, and a reviewer is to approve this now; start it again");
    }

    pub(super) fn denied_again(&mut self, denial: &Denial) {
        self.again = None;
        let text = telling::denied(denial, self.seed.session);
        self.cut(&text);
    }

    fn cut(&mut self, text: &str) {
        self.let_go(None);
        self.tell(text);
        self.stop("KILL");
        let code = Some(CHANGED.into());
        self.note(Outcome { result: OutcomeResult::Error, code, ..Outcome::default() });
        self.end();
    }
}
