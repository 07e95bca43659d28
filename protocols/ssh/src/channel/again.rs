//! What goes on is judged again when the policies change, and ends where they do not permit it any more: what runs, and what the target was granted for
//! it (the client's keys, its display).
//!
//! What a reviewer has approved stays approved: a policy that would ask again does not end it, one that blocks does. Masks and recordings
//! can not begin in the middle of something, so that what is to be hidden in another way ends as well.

use std::{collections::VecDeque, sync::Arc};

use gatewright_model::{
    id::{ApprovalId, EventId},
    permit::{Denial, Permit},
    session::{Outcome, OutcomeResult, Output},
    ssh::SshRequest,
};

use super::Channel;
use crate::telling;

/// Something that a target was granted.
#[derive(Debug)]
pub(super) struct Granted {
    about: Arc<SshRequest>,
    /// A reviewer has approved it.
    is_approved: bool,
}

/// What is being judged again.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// The event by which the first of `left` is asked about. None: nothing is.
    event: Option<EventId>,
    left: VecDeque<Judged>,
    /// It was approved before, and its request for another approval is withdrawn.
    stays: bool,
}

#[derive(Debug, Clone)]
struct Judged {
    about: Arc<SshRequest>,
    is_approved: bool,
    /// It is what runs, and not what was granted.
    runs: bool,
}

impl Again {
    /// Is this the event by which something is asked about again?
    pub(super) fn asks(&self, event: EventId) -> bool {
        self.event == Some(event)
    }
}

/// The code of what was ended.
const CHANGED: &str = "policy.changed";

impl Channel {
    /// The target may use this from now on.
    pub(super) fn grant(&mut self, about: Arc<SshRequest>) {
        if !self.granted.iter().any(|granted| granted.about == about) {
            let is_approved = self.asked.is_some();
            self.granted.push(Granted { about, is_approved });
        }
    }

    /// Asks about what runs and what it was granted, each with an event of its own. Of what is asked about already, the answer is waited for:
    /// then it all begins anew.
    pub(super) fn ask_again(&mut self) {
        let waits = usize::from(self.again.event.is_some());
        self.again.left.truncate(waits);
        let running = self.running.iter().map(|running| Judged {
            about: Arc::clone(&running.about),
            is_approved: running.is_approved,
            runs: true,
        });
        let granted = self.granted.iter().map(|granted| Judged {
            about: Arc::clone(&granted.about),
            is_approved: granted.is_approved,
            runs: false,
        });
        self.again.left.extend(running.chain(granted));
        if waits == 0 {
            self.ask_next();
        }
    }

    fn ask_next(&mut self) {
        self.again.event = None;
        let Some(about) = self.again.left.front().map(|judged| Arc::clone(&judged.about)) else { return };
        // The request that is dealt with meanwhile waits for its own answer.
        let asked = self.asked.take();
        self.again.event = Some(self.decide(about));
        self.asked = asked;
    }

    pub(super) fn permitted_again(&mut self, permit: Permit) {
        let Some(judged) = self.again.left.pop_front() else { return };
        let event = permit.event();
        let is_recorded = !permit.is_recorded() || self.recording;
        let plan = permit.consume().filter(|plan| !plan.is_empty());
        let running = self.running.as_ref().filter(|_| judged.runs);
        let former = running.and_then(|running| running.plan.clone());
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
        self.again.stays = self.again.left.front().is_some_and(|judged| judged.is_approved);
        if !self.again.stays {
            self.cut("the policies have changed, and a reviewer is to approve this now; start it again");
        }
    }

    pub(super) fn denied_again(&mut self, denial: &Denial) {
        // What is withdrawn is denied as well.
        if std::mem::take(&mut self.again.stays) && denial.is_withdrawal() {
            self.again.left.pop_front();
            return self.ask_next();
        }
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
