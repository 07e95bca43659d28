//! After a switch of protocols: bytes in both directions, through the dialect's [`Tunnel`], until both sides have ended.
//!
//! A side that has ended keeps receiving until the other one has ended as well.

use std::time::Instant;

use gatewright_model::{
    event::{Event, Facet},
    id::EventId,
    permit::Permit,
    session::{Input, Outcome, OutcomeResult, Output, ProtocolError, Side},
};
use http::{StatusCode, response};

use super::{Exchange, Leave, OUT_OF_ORDER, Phase, UNRECORDABLE, relay::Relay, termination};
use crate::{
    dialect::Incoming,
    digest,
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    unit::{Body, Unit},
};

/// A connection that was switched.
#[derive(Debug)]
pub(super) struct Switched {
    tunnel: Box<dyn Tunnel>,
    /// What was judged, and on which terms it was permitted.
    facet: Facet,
    leave: Leave,
    /// Which sides may still send.
    downstream: bool,
    upstream: bool,
    /// What the tunnel wants to know before anything else passes.
    asked: Option<EventId>,
    /// The event by which the whole connection is being judged again.
    again: Option<EventId>,
    /// What was permitted, and goes on until the connection ends.
    running: Vec<EventId>,
    /// When something last came, from either side.
    heard: Instant,
}

impl Switched {
    /// May more of this side come?
    pub(super) const fn wants_input(&self, side: Side) -> bool {
        let open = match side {
            Side::Downstream => self.downstream,
            Side::Upstream => self.upstream,
        };
        open && self.asked.is_none()
    }

    /// It goes on until somebody ends it. Asked about twice at a time it is not.
    pub(super) const fn is_judged_again(&self) -> bool {
        self.again.is_none()
    }
}

impl Exchange {
    /// The target has switched, as it was asked to.
    pub(super) fn switch(
        &mut self,
        relay: Box<Relay>,
        mut parts: Box<response::Parts>,
    ) -> Result<(), ProtocolError> {
        let (masks, recorded) = (relay.leave.masks.as_deref(), relay.leave.recorded.is_some());
        let answer = Incoming { facet: &relay.facet, masks, head: &mut parts, has_body: true, recorded };
        let tunnel = match self.shared.dialect.tunnel(answer) {
            Ok(tunnel) => tunnel,
            Err(refusal) => return self.broken(relay, refusal, Side::Upstream),
        };
        let Relay { facet, leave, heard, .. } = *relay;
        self.send(Side::Downstream, Unit::Response(parts, Body::Switched));
        self.outputs.push_back(Output::Wake(heard + self.shared.limits.idle));
        self.phase = Phase::Switched(Box::new(Switched {
            tunnel,
            facet,
            leave,
            downstream: true,
            upstream: true,
            asked: None,
            again: None,
            running: vec![self.event],
            heard,
        }));
        Ok(())
    }

    /// Takes in what happens after that.
    pub(super) fn switched(
        &mut self,
        mut switched: Box<Switched>,
        now: Instant,
        input: Input<Unit>,
    ) -> Result<(), ProtocolError> {
        let mut passing = Passing::default();
        match input {
            Input::Data { side, unit } => {
                switched.heard = now;
                let passed = match unit {
                    Unit::Data(data) => switched.tunnel.push(now, side, &data, &mut passing),
                    Unit::End => {
                        let ended = switched.tunnel.end(now, side, &mut passing);
                        return self.ended(switched, side, ended, passing);
                    }
                    Unit::Request(..) | Unit::Response(..) | Unit::Trailers(_) => Err(OUT_OF_ORDER),
                };
                return self.pass(switched, side, passed, passing);
            }
            Input::Permitted(permit) if Some(permit.event()) == switched.asked => {
                let answered = switched.take(now, permit, &mut passing);
                return self.pass(switched, Side::Downstream, answered, passing);
            }
            Input::Denied(denial) if Some(denial.event) == switched.asked => {
                switched.asked = None;
                let answered = switched.tunnel.answer(now, Err(&denial), &mut passing);
                return self.pass(switched, Side::Downstream, answered, passing);
            }
            Input::Permitted(permit) if Some(permit.event()) == switched.again => {
                self.goes_on(switched, permit);
            }
            // Nobody can look at what has passed by then: whoever asks anew is held before anything passes.
            Input::Held { event, approval, .. } if Some(event) == switched.again => {
                self.outputs.push_back(Output::Withdraw(approval));
                self.leave(&switched, OutcomeResult::Unknown);
            }
            Input::Denied(denial) if Some(denial.event) == switched.again => {
                self.leave(&switched, OutcomeResult::Unknown);
            }
            Input::PoliciesChanged => {
                switched.again = self.ask_anew(&switched.facet);
                self.phase = Phase::Switched(switched);
            }
            // Whoever leaves without having ended leaves in the middle of something, unless nothing more was to come for it:
            // many clients only close their socket then.
            Input::Closed { side } => {
                let done = match side {
                    Side::Downstream => !switched.upstream,
                    Side::Upstream => !switched.downstream,
                };
                let result = if done { OutcomeResult::Ok } else { OutcomeResult::Unknown };
                self.leave(&switched, result);
            }
            Input::Terminate(rejection) => {
                let problem = termination(&rejection).request(self.name());
                switched.tunnel.terminate(&problem, &mut passing);
                self.let_through(&mut passing);
                self.leave(&switched, OutcomeResult::Unknown);
            }
            Input::Timeout => {
                let until = switched.heard + self.shared.limits.idle;
                // Who waits for a reviewer is not silent.
                if now >= until && switched.asked.is_none() {
                    self.leave(&switched, OutcomeResult::Unknown);
                } else {
                    self.outputs.push_back(Output::Wake(until.max(now + self.shared.limits.silence)));
                    self.phase = Phase::Switched(switched);
                }
            }
            _ => self.phase = Phase::Switched(switched),
        }
        Ok(())
    }

    /// Lets through what passes, and asks what is to be asked.
    fn pass(
        &mut self,
        mut switched: Box<Switched>,
        fault: Side,
        passed: Result<(), Refusal>,
        mut passing: Passing,
    ) -> Result<(), ProtocolError> {
        self.let_through(&mut passing);
        let Passing { ask, over, .. } = passing;
        if let Err(refusal) = passed {
            self.leave(&switched, OutcomeResult::Unknown);
            return Err(refusal.into_error(fault));
        }
        if over || (!switched.downstream && !switched.upstream) {
            self.leave(&switched, OutcomeResult::Ok);
            return Ok(());
        }
        if let Some(facet) = ask {
            let id = self.seed.events.draw();
            switched.asked = Some(id);
            let event = Event { id, payload: digest::of_tunnel(&facet), facet: *facet };
            self.outputs.push_back(Output::Decide(event));
        }
        self.phase = Phase::Switched(switched);
        Ok(())
    }

    /// A side sends no more, and the other one is told so, behind what passes.
    fn ended(
        &mut self,
        mut switched: Box<Switched>,
        side: Side,
        ended: Result<(), Refusal>,
        mut passing: Passing,
    ) -> Result<(), ProtocolError> {
        let other = side.other();
        match side {
            Side::Downstream => switched.downstream = false,
            Side::Upstream => switched.upstream = false,
        }
        self.let_through(&mut passing);
        if ended.is_ok() {
            self.send(other, Unit::End);
        }
        self.pass(switched, side, ended, passing)
    }

    /// Records what passes, and sends it.
    fn let_through(&mut self, passing: &mut Passing) {
        self.outputs.extend(passing.record.drain(..).map(Output::Record));
        for side in [Side::Upstream, Side::Downstream] {
            let bytes = passing.towards(side).split();
            if !bytes.is_empty() {
                self.send(side, Unit::Data(bytes.freeze()));
            }
        }
    }

    /// The connection was judged again, and permitted.
    fn goes_on(&mut self, mut switched: Box<Switched>, permit: Permit) {
        switched.again = None;
        let event = permit.event();
        let is_recorded = switched.leave.recorded.is_some() || !permit.is_recorded();
        let same =
            is_recorded && permit.consume().filter(|masks| !masks.is_empty()) == switched.leave.masks;
        let result = if same { OutcomeResult::Ok } else { OutcomeResult::Refused };
        self.outputs
            .push_back(Output::Finished { event, outcome: Outcome { result, ..Outcome::default() } });
        if same {
            self.phase = Phase::Switched(switched);
        } else {
            // What is hidden can not change in the middle, and a recording has what passed before.
            self.leave(&switched, OutcomeResult::Unknown);
        }
    }

    fn leave(&mut self, switched: &Switched, result: OutcomeResult) {
        let mut masked = switched.tunnel.masked();
        for event in &switched.running {
            let outcome = Outcome { result, masked: std::mem::take(&mut masked), ..Outcome::default() };
            self.outputs.push_back(Output::Finished { event: *event, outcome });
        }
        self.close();
    }
}

impl Switched {
    /// Uses up the permit for what was asked about.
    fn take(&mut self, now: Instant, permit: Permit, passing: &mut Passing) -> Result<(), Refusal> {
        self.asked = None;
        self.running.push(permit.event());
        if permit.is_recorded() && self.leave.recorded.is_none() {
            return Err(UNRECORDABLE);
        }
        if permit.consume().is_some_and(|masks| !masks.is_empty()) {
            return Err(UNMASKABLE);
        }
        self.tunnel.answer(now, Ok(()), passing)
    }
}

const UNMASKABLE: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides parts of something that has begun already",
};
