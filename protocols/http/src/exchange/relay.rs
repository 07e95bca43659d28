//! After the permit: both bodies at once.
//!
//! A policy may have asked to judge the answer: then its head waits for that decision, and of its body nothing is read. A
//! permit may demand that parts are hidden: then the body passes through a filter, which the dialect makes. In all other
//! cases nobody looks into it.
//!
//! An answer that goes on until somebody ends it is judged again when the policies change, and is cut where they do not
//! permit it any more, or not in the same way.
//!
//! Each body has an account of what was promised and what came. A body that is shorter or longer than its head said is
//! not ended but cut, whatever the wire makes of it: half an answer never looks like a whole one (threats A74, fault F2),
//! and a target never takes half a request for a whole one (threats A64, A70).

use std::{sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use gatewright_model::{
    event::Facet,
    http::HttpBody,
    id::EventId,
    session::{Input, Outcome, OutcomeResult, Output, ProtocolError, Side},
};
use http::{
    StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    response,
};

use super::{
    Exchange, Leave, Limits, OUT_OF_ORDER, Phase, TOO_LARGE,
    answer::{self, Head},
    termination,
};
use crate::{
    dialect::Incoming,
    filter::Filter,
    headers::Upgrade,
    problem::Problem,
    refusal::Refusal,
    unit::{Body, Unit},
};

/// An exchange whose request was forwarded.
#[derive(Debug)]
pub(super) struct Relay {
    /// None: the request is complete.
    upload: Option<Flow>,
    /// What the request asks to switch to.
    pub(super) upgrade: Option<Upgrade>,
    /// It carries a credential of the gateway's.
    pub(super) has_credential: bool,
    pub(super) answer: Answer,
    /// What was judged.
    pub(super) facet: Facet,
    pub(super) leave: Leave,
    /// The event by which an answer that goes on is being judged again.
    pub(super) again: Option<EventId>,
    /// When something last came, from either side.
    pub(super) heard: Instant,
}

#[derive(Debug)]
pub(super) enum Answer {
    Awaited,
    /// A policy judges it. Nothing of it was sent, and none of its body is read.
    Judged(EventId, Box<Begun>),
    Streaming(Streaming),
}

/// An answer whose head has come.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) parts: Box<response::Parts>,
    body: Body,
    length: Option<u64>,
}

/// An answer whose head was sent.
#[derive(Debug)]
pub(super) struct Streaming {
    status: StatusCode,
    flow: Flow,
    filter: Option<Box<dyn Filter>>,
    /// It goes on until somebody ends it.
    is_stream: bool,
}

/// What may still come of one body.
#[derive(Debug)]
struct Flow {
    /// Bytes that its head promised and that have not come yet.
    promised: Option<u64>,
    /// Bytes that may come at most.
    allowed: u64,
}

/// Why a body can not go on.
enum Overrun {
    Promise,
    Limit,
}

impl Flow {
    fn take(&mut self, data: &Bytes) -> Result<(), Overrun> {
        let size = data.len() as u64;
        if let Some(promised) = &mut self.promised {
            *promised = promised.checked_sub(size).ok_or(Overrun::Promise)?;
        }
        self.allowed = self.allowed.checked_sub(size).ok_or(Overrun::Limit)?;
        Ok(())
    }

    const fn is_complete(&self) -> bool {
        matches!(self.promised, None | Some(0))
    }
}

impl Relay {
    /// A request that is about to be forwarded.
    pub(super) fn new(
        body: &HttpBody,
        length: Option<u64>,
        limits: Limits,
        facet: Facet,
        leave: Leave,
        now: Instant,
    ) -> Self {
        let upload = match body {
            HttpBody::Empty | HttpBody::Read { .. } => None,
            HttpBody::Streamed { .. } => Some(Flow { promised: length, allowed: limits.body }),
        };
        Self {
            upload,
            upgrade: None,
            has_credential: false,
            answer: Answer::Awaited,
            facet,
            leave,
            again: None,
            heard: now,
        }
    }

    /// Can the client still be told something in place of the answer?
    const fn can_tell(&self) -> bool {
        !matches!(self.answer, Answer::Streaming(_))
    }

    /// May more of the answer come?
    pub(super) const fn wants_answer(&self) -> bool {
        !matches!(self.answer, Answer::Judged(..))
    }

    /// Does the answer go on, and is nobody asked about it yet?
    pub(super) const fn is_judged_again(&self) -> bool {
        matches!(&self.answer, Answer::Streaming(streaming) if streaming.is_stream) && self.again.is_none()
    }

    /// Is this the event by which the answer is judged, or judged again?
    fn asks_by(&self, event: EventId) -> bool {
        let judged = matches!(&self.answer, Answer::Judged(own, _) if *own == event);
        judged || self.again == Some(event)
    }

    /// Is there more of the request to come?
    pub(super) const fn is_uploading(&self) -> bool {
        self.upload.is_some()
    }
}

impl Exchange {
    /// Takes in what happens after the request was forwarded.
    pub(super) fn relay(
        &mut self,
        mut relay: Box<Relay>,
        now: Instant,
        input: Input<Unit>,
    ) -> Result<(), ProtocolError> {
        match input {
            Input::Data { side, unit } => {
                relay.heard = now;
                return match side {
                    Side::Downstream => self.relay_request(relay, unit),
                    Side::Upstream => self.relay_answer(relay, unit),
                };
            }
            // Nobody is there to be told.
            Input::Closed { side: Side::Downstream } => self.cut("net.client_closed", None),
            Input::Closed { side: Side::Upstream } => {
                return self.broken(relay, CUT_ANSWER, Side::Upstream);
            }
            Input::Terminate(rejection) => {
                let told = relay.can_tell().then(|| termination(&rejection));
                self.cut(rejection.code, told);
            }
            Input::Timeout => self.silent(relay, now),
            Input::Permitted(permit) if relay.asks_by(permit.event()) => {
                return self.permitted_again(relay, permit);
            }
            Input::Denied(denial) if relay.asks_by(denial.event) => self.denied_again(&relay, denial),
            Input::Held { event, approval, .. } if relay.asks_by(event) => {
                self.held_again(relay, approval);
            }
            Input::PoliciesChanged if relay.is_judged_again() => self.ask_again(relay),
            _ => self.phase = Phase::Relaying(relay),
        }
        Ok(())
    }

    fn relay_request(&mut self, mut relay: Box<Relay>, unit: Unit) -> Result<(), ProtocolError> {
        let Some(flow) = &mut relay.upload else {
            return self.broken(relay, OUT_OF_ORDER, Side::Downstream);
        };
        match unit {
            Unit::Data(data) => match flow.take(&data) {
                Ok(()) => self.send(Side::Upstream, Unit::Data(data)),
                Err(Overrun::Promise) => return self.broken(relay, WRONG_LENGTH, Side::Downstream),
                Err(Overrun::Limit) => return self.broken(relay, TOO_LARGE, Side::Downstream),
            },
            // Nothing in them was judged.
            Unit::Trailers(_) => {}
            Unit::End if flow.is_complete() => {
                relay.upload = None;
                self.send(Side::Upstream, Unit::End);
            }
            Unit::End => return self.broken(relay, WRONG_LENGTH, Side::Downstream),
            Unit::Request(..) | Unit::Response(..) => {
                return self.broken(relay, OUT_OF_ORDER, Side::Downstream);
            }
        }
        self.phase = Phase::Relaying(relay);
        Ok(())
    }

    fn relay_answer(&mut self, mut relay: Box<Relay>, unit: Unit) -> Result<(), ProtocolError> {
        match (&mut relay.answer, unit) {
            (Answer::Awaited, Unit::Response(parts, body)) => {
                let read = match body {
                    Body::Switched => answer::switched(*parts, relay.upgrade),
                    _ => answer::read(*parts, body, self.head_only),
                };
                match read {
                    Ok(Head::Interim) => {}
                    // Before a policy sees it: this is no answer to what was asked.
                    Ok(Head::Final { parts, .. }) if self.refuses_gateway(&relay, parts.status) => {
                        return self.unproved();
                    }
                    Ok(Head::Final { parts, length }) => {
                        let begun = Begun { parts, body, length };
                        if relay.leave.judges_answer {
                            let event = self.ask_about(&relay.facet, &begun.parts);
                            relay.answer = Answer::Judged(event, Box::new(begun));
                        } else {
                            return self.begin_answer(relay, begun);
                        }
                    }
                    Err(refusal) => return self.broken(relay, refusal, Side::Upstream),
                }
            }
            (Answer::Streaming(Streaming { flow, filter, .. }), Unit::Data(data)) => {
                if flow.take(&data).is_err() {
                    return self.broken(relay, CUT_ANSWER, Side::Upstream);
                }
                match filter {
                    None => self.send(Side::Downstream, Unit::Data(data)),
                    Some(filter) => {
                        let mut shown = BytesMut::with_capacity(data.len());
                        if let Err(refusal) = filter.push(&data, &mut shown) {
                            return self.unshowable(&relay, refusal);
                        }
                        self.show(shown);
                    }
                }
            }
            (Answer::Streaming(_), Unit::Trailers(_)) => {}
            (Answer::Streaming(Streaming { status, flow, filter, .. }), Unit::End)
                if flow.is_complete() =>
            {
                let status = *status;
                let mut masked = Vec::new();
                if let Some(filter) = filter {
                    let mut shown = BytesMut::new();
                    if let Err(refusal) = filter.finish(&mut shown) {
                        return self.unshowable(&relay, refusal);
                    }
                    masked = filter.masked();
                    self.show(shown);
                }
                self.send(Side::Downstream, Unit::End);
                self.complete(status, masked);
                return Ok(());
            }
            _ => return self.broken(relay, CUT_ANSWER, Side::Upstream),
        }
        self.phase = Phase::Relaying(relay);
        Ok(())
    }

    fn refuses_gateway(&self, relay: &Relay, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED
            && self.shared.dialect.refuses_gateway(&relay.facet, relay.has_credential)
    }

    /// The target does not take the gateway for whom it says it is. Passed on, its 401 and its challenge would tell clients that
    /// their token is bad, and many would throw it away or ask their users for a password.
    fn unproved(&mut self) -> Result<(), ProtocolError> {
        let (result, code) = (OutcomeResult::Error, Some(Arc::from(UNPROVED.code)));
        self.finish(Outcome { result, code, ..Outcome::default() });
        self.answer(UNPROVED.into());
        Err(UNPROVED.into_error(Side::Upstream))
    }

    /// Sends the head of the answer.
    pub(super) fn begin_answer(
        &mut self,
        mut relay: Box<Relay>,
        begun: Begun,
    ) -> Result<(), ProtocolError> {
        let Begun { mut parts, body, length } = begun;
        if body == Body::Switched {
            return self.switch(relay, parts);
        }
        if relay.leave.recorded.is_some() && parts.status.as_u16() < 400 {
            // Whatever it shows in place of what was asked for, nobody records it.
            return self.broken(relay, NOT_SWITCHED, Side::Upstream);
        }
        let filter = self.shared.dialect.filter(Incoming {
            facet: &relay.facet,
            masks: relay.leave.masks.as_deref(),
            head: &mut parts,
            has_body: body == Body::Follows,
            recorded: false,
        });
        let filter = match filter {
            Ok(filter) => filter,
            Err(refusal) => return self.unshowable(&relay, refusal),
        };
        if filter.is_some() {
            // What it was before.
            parts.headers.remove(CONTENT_LENGTH);
        }
        let (status, is_events) = (parts.status, is_event_stream(&parts));
        self.send(Side::Downstream, Unit::Response(parts, body));
        if body == Body::None {
            self.complete(status, filter.map(|filter| filter.masked()).unwrap_or_default());
            return Ok(());
        }
        let flow = Flow { promised: length, allowed: u64::MAX };
        let is_stream = is_events || self.shared.dialect.is_stream(&relay.facet);
        relay.answer = Answer::Streaming(Streaming { status, flow, filter, is_stream });
        self.phase = Phase::Relaying(relay);
        Ok(())
    }

    fn show(&mut self, shown: BytesMut) {
        if !shown.is_empty() {
            self.send(Side::Downstream, Unit::Data(shown.freeze()));
        }
    }

    /// The answer is complete, and so is the exchange: what is left of the request is read by nobody.
    fn complete(&mut self, status: StatusCode, masked: Vec<(Arc<str>, u64)>) {
        self.finish(Outcome { masked, ..outcome(status) });
        self.close();
    }

    /// A side broke its promise.
    pub(super) fn broken(
        &mut self,
        relay: Box<Relay>,
        refusal: Refusal,
        fault: Side,
    ) -> Result<(), ProtocolError> {
        let told = relay.can_tell().then(|| Problem::from(refusal));
        self.cut(refusal.code, told);
        Err(refusal.into_error(fault))
    }

    /// An answer that can not be shown as it must be. The request has run, and the record says what of the answer was
    /// hidden until here.
    fn unshowable(&mut self, relay: &Relay, refusal: Refusal) -> Result<(), ProtocolError> {
        let masked = match &relay.answer {
            Answer::Streaming(Streaming { filter: Some(filter), .. }) => filter.masked(),
            _ => Vec::new(),
        };
        self.finish(Outcome { code: Some(Arc::from(refusal.code)), masked, ..Outcome::default() });
        if relay.can_tell() {
            self.answer(refusal.into());
        } else {
            self.close();
        }
        Err(refusal.into_error(Side::Upstream))
    }

    /// Both sides are silent. Once an answer has begun, it may rest for as long as it likes.
    fn silent(&mut self, relay: Box<Relay>, now: Instant) {
        if relay.can_tell() {
            let until = relay.heard + self.shared.limits.silence;
            // Whoever waits for a reviewer of the answer is not silent, and the approval has an end of its own.
            if now >= until && !matches!(relay.answer, Answer::Judged(..)) {
                let (status, code, detail) = if relay.is_uploading() {
                    (
                        StatusCode::REQUEST_TIMEOUT,
                        "net.slow",
                        "the rest of the request did not come in time",
                    )
                } else {
                    (StatusCode::GATEWAY_TIMEOUT, "upstream.slow", "the target did not answer in time")
                };
                return self.cut(code, Some(Problem::new(status, code, detail)));
            }
            // Never an instant that has passed, which would be now again and again.
            self.outputs.push_back(Output::Wake(if until > now {
                until
            } else {
                now + self.shared.limits.silence
            }));
        }
        self.phase = Phase::Relaying(relay);
    }

    /// Ends an exchange that was forwarded: what became of it is unknown. The client is told where its answer has not
    /// begun; where it has, it is cut.
    pub(super) fn cut(&mut self, code: &str, told: Option<Problem>) {
        self.finish(Outcome { code: Some(Arc::from(code)), ..Outcome::default() });
        match told {
            Some(problem) => self.answer(problem),
            None => self.close(),
        }
    }
}

/// Server-sent events go on until somebody ends them.
fn is_event_stream(parts: &response::Parts) -> bool {
    let media_type = parts.headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    media_type.is_some_and(|media_type| media_type.starts_with(b"text/event-stream"))
}

/// How a request went whose answer is complete.
pub(super) fn outcome(status: StatusCode) -> Outcome {
    let good = status.as_u16() < 400;
    Outcome {
        result: if good { OutcomeResult::Ok } else { OutcomeResult::Error },
        code: (!good).then(|| Arc::from(status.as_str())),
        ..Outcome::default()
    }
}

const WRONG_LENGTH: Refusal = Refusal::bad("http.framing", "the body is not as long as was announced");

const CUT_ANSWER: Refusal =
    Refusal::bad_answer("upstream.cut", "the target's answer ended before it was complete");

const NOT_SWITCHED: Refusal = Refusal::bad_answer(
    "upstream.upgrade",
    "the target did not switch protocols for what must be recorded",
);

const UNPROVED: Refusal =
    Refusal::bad_answer("upstream.credential", "the target does not accept the gateway's own credential");
