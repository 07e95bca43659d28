//! After the permit: both bodies at once, neither looked into.
//!
//! Each body has an account of what was promised and what came. A body that is shorter or longer than its head said is
//! not ended but cut, whatever the wire makes of it: half an answer never looks like a whole one (threats A74, fault F2),
//! and a target never takes half a request for a whole one (threats A64, A70).

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use gatewright_model::{
    http::HttpBody,
    session::{Input, Outcome, OutcomeResult, Output, ProtocolError, Side},
};
use http::StatusCode;

use super::{
    Exchange, Limits, OUT_OF_ORDER, Phase, TOO_LARGE,
    answer::{self, Head},
    termination,
};
use crate::{
    problem::Problem,
    refusal::Refusal,
    unit::{Body, Unit},
};

/// An exchange whose request was forwarded.
#[derive(Debug)]
pub(super) struct Relay {
    /// None: the request is complete.
    upload: Option<Flow>,
    answer: Answer,
    /// When something last came, from either side.
    heard: Instant,
}

#[derive(Debug)]
enum Answer {
    Awaited,
    Streaming { status: StatusCode, flow: Flow },
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
    pub(super) fn new(body: &HttpBody, length: Option<u64>, limits: Limits, now: Instant) -> Self {
        let upload = match body {
            HttpBody::Empty => None,
            HttpBody::Streamed { .. } => Some(Flow { promised: length, allowed: limits.body }),
        };
        Self { upload, answer: Answer::Awaited, heard: now }
    }

    /// Can the client still be told something in place of the answer?
    const fn can_tell(&self) -> bool {
        matches!(self.answer, Answer::Awaited)
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
        mut relay: Relay,
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
            Input::Closed { side: Side::Downstream } => self.cut(None),
            Input::Closed { side: Side::Upstream } => {
                return self.broken(relay, CUT_ANSWER, Side::Upstream);
            }
            Input::Terminate(rejection) => {
                let told = relay.can_tell().then(|| termination(&rejection));
                self.cut(told);
            }
            Input::Timeout => self.silent(relay, now),
            _ => self.phase = Phase::Relaying(relay),
        }
        Ok(())
    }

    fn relay_request(&mut self, mut relay: Relay, unit: Unit) -> Result<(), ProtocolError> {
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

    fn relay_answer(&mut self, mut relay: Relay, unit: Unit) -> Result<(), ProtocolError> {
        match (&mut relay.answer, unit) {
            (Answer::Awaited, Unit::Response(parts, body)) => {
                match answer::read(*parts, body, self.head_only) {
                    Ok(Head::Interim) => {}
                    Ok(Head::Final { parts, length }) => {
                        let status = parts.status;
                        self.send(Side::Downstream, Unit::Response(parts, body));
                        if body == Body::None {
                            self.complete(status);
                            return Ok(());
                        }
                        let flow = Flow { promised: length, allowed: u64::MAX };
                        relay.answer = Answer::Streaming { status, flow };
                    }
                    Err(refusal) => return self.broken(relay, refusal, Side::Upstream),
                }
            }
            (Answer::Streaming { flow, .. }, Unit::Data(data)) => {
                if flow.take(&data).is_err() {
                    return self.broken(relay, CUT_ANSWER, Side::Upstream);
                }
                self.send(Side::Downstream, Unit::Data(data));
            }
            (Answer::Streaming { .. }, Unit::Trailers(_)) => {}
            (Answer::Streaming { status, flow }, Unit::End) if flow.is_complete() => {
                let status = *status;
                self.send(Side::Downstream, Unit::End);
                self.complete(status);
                return Ok(());
            }
            _ => return self.broken(relay, CUT_ANSWER, Side::Upstream),
        }
        self.phase = Phase::Relaying(relay);
        Ok(())
    }

    /// The answer is complete, and so is the exchange: what is left of the request is read by nobody.
    fn complete(&mut self, status: StatusCode) {
        let good = status.as_u16() < 400;
        self.finish(Outcome {
            result: if good { OutcomeResult::Ok } else { OutcomeResult::Error },
            code: (!good).then(|| Arc::from(status.as_str())),
            ..Outcome::default()
        });
        self.close();
    }

    /// A side broke its promise.
    fn broken(&mut self, relay: Relay, refusal: Refusal, fault: Side) -> Result<(), ProtocolError> {
        let told = relay.can_tell().then(|| Problem::from(refusal));
        self.cut(told);
        Err(refusal.into_error(fault))
    }

    /// Both sides are silent. Once an answer has begun, it may rest for as long as it likes.
    fn silent(&mut self, relay: Relay, now: Instant) {
        if relay.can_tell() {
            let until = relay.heard + self.shared.limits.silence;
            if now >= until {
                let (status, code, detail) = if relay.is_uploading() {
                    (
                        StatusCode::REQUEST_TIMEOUT,
                        "net.slow",
                        "the rest of the request did not come in time",
                    )
                } else {
                    (StatusCode::GATEWAY_TIMEOUT, "upstream.slow", "the target did not answer in time")
                };
                return self.cut(Some(Problem::new(status, code, detail)));
            }
            self.outputs.push_back(Output::Wake(until));
        }
        self.phase = Phase::Relaying(relay);
    }

    /// Ends an exchange that was forwarded: what became of it is unknown. The client is told where its answer has not
    /// begun; where it has, it is cut.
    fn cut(&mut self, told: Option<Problem>) {
        self.finish(Outcome::default());
        match told {
            Some(problem) => self.answer(problem),
            None => self.close(),
        }
    }
}

const WRONG_LENGTH: Refusal = Refusal::bad("http.framing", "the body is not as long as was announced");

const CUT_ANSWER: Refusal =
    Refusal::bad_answer("upstream.cut", "the target's answer ended before it was complete");
