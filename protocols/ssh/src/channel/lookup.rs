//! A tunnel to a name: where the name leads is found out, judged and used once, and by the gateway.
//!
//! ```text
//! permitted by its name  --LookUp-->  Found  --Decide-->  permitted with its addresses  --Connect-->  the target is told an address
//! ```
//!
//! A target that was told the name would look it up once more, and may find another address than the one that was judged (threats A44). Nothing is looked
//! up for a name that no policy permits: names carry data out as well.

use std::{net::IpAddr, sync::Arc};

use gatewright_model::{
    decision::Escalation,
    id::{ApprovalId, EventId},
    permit::{Denial, Permit},
    session::{Outcome, OutcomeResult, Output, Rejection},
    ssh::SshRequest,
};

use super::{Channel, Phase, place::may_lead_to, unmaskable};
use crate::telling;

/// A tunnel to a name that is permitted as such.
#[derive(Debug)]
pub(super) struct Lookup {
    host: Arc<str>,
    port: u32,
    /// What was asked about by the name alone.
    pub(super) by_name: EventId,
    /// What a reviewer has approved then.
    approved: Option<Arc<Escalation>>,
    found: Option<Found>,
}

/// What is asked about once more.
#[derive(Debug)]
struct Found {
    about: Arc<SshRequest>,
    event: EventId,
    /// A reviewer was asked for what is approved already, and the request is withdrawn.
    stays: bool,
}

impl Channel {
    pub(super) fn look_up(&mut self, host: Arc<str>, port: u32, by_name: EventId) -> Phase {
        self.outputs.push_back(Output::LookUp { host: Arc::clone(&host) });
        let approved = self.asked.take();
        Phase::LookingUp(Lookup { host, port, by_name, approved, found: None })
    }

    pub(super) fn found(&mut self, lookup: Lookup, addresses: Arc<[IpAddr]>) {
        if lookup.found.is_some() {
            self.phase = Phase::LookingUp(lookup);
            return;
        }
        let refusal = match &*addresses {
            [] => Some(unknown()),
            found => (!may_lead_to(&lookup.host, found)).then(astray),
        };
        if let Some(rejection) = refusal {
            self.refused(lookup.by_name, rejection.code);
            return self.refuse(&telling::rejected(&rejection));
        }
        let (host, port) = (Arc::clone(&lookup.host), lookup.port);
        let about = Arc::new(SshRequest::DirectTcpip { host, port, addresses });
        let event = self.decide(Arc::clone(&about));
        let found = Some(Found { about, event, stays: false });
        self.phase = Phase::LookingUp(Lookup { found, ..lookup });
    }

    /// A permit for where the name leads is used up; for another event it is none.
    pub(super) fn permitted_found(&mut self, lookup: Lookup, permit: Permit) {
        match lookup.found {
            Some(Found { about, event, .. }) if permit.event() == event => {
                if permit.consume().is_some_and(|masks| !masks.is_empty()) {
                    for event in [lookup.by_name, event] {
                        self.refused(event, unmaskable().code);
                    }
                    return self.refuse(&telling::rejected(&unmaskable()));
                }
                self.finish(lookup.by_name, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
                self.lead(about, event);
            }
            found => self.phase = Phase::LookingUp(Lookup { found, ..lookup }),
        }
    }

    /// A reviewer is asked. Of what one has approved by its name, nobody is asked the same once more.
    pub(super) fn held_found(
        &mut self,
        mut lookup: Lookup,
        approval: ApprovalId,
        escalation: Arc<Escalation>,
    ) {
        if let Some(found) = &mut lookup.found {
            found.stays = lookup.approved.as_ref() == Some(&escalation);
            if found.stays {
                self.outputs.push_back(Output::Withdraw(approval));
            }
            self.asked = Some(escalation);
        }
        self.phase = Phase::LookingUp(lookup);
    }

    pub(super) fn denied_found(&mut self, lookup: Lookup, denial: &Denial) {
        match lookup.found {
            // What is withdrawn is denied as well. The permit for the name was used up for this.
            Some(Found { about, event, stays: true })
                if event == denial.event && denial.is_withdrawal() =>
            {
                self.lead(about, lookup.by_name);
            }
            Some(Found { event, .. }) if event == denial.event => {
                self.refused(lookup.by_name, DENIED);
                let text = telling::denied(denial, self.seed.session);
                self.refuse(&text);
            }
            found => self.phase = Phase::LookingUp(Lookup { found, ..lookup }),
        }
    }

    /// The target is to connect.
    pub(super) fn lead(&mut self, about: Arc<SshRequest>, event: EventId) {
        self.connect();
        self.phase = Phase::Leading { about, event };
    }
}

/// The code of a name whose addresses are not permitted.
const DENIED: &str = "net.dest_denied";

fn unknown() -> Rejection {
    Rejection {
        code: "net.name_unknown",
        message: Arc::from("the gateway finds no address of this name"),
        remedy: Arc::from("use the address itself, or have the name made known to the gateway's resolver"),
    }
}

fn astray() -> Rejection {
    Rejection {
        code: DENIED,
        message: Arc::from(
            "the name leads to an address that a name must not lead to, like the host itself",
        ),
        remedy: Arc::from("use the address itself, which policies judge as such"),
    }
}
