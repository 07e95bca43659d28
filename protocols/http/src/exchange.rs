//! One request and its answer, as a session without I/O.
//!
//! ```text
//! Reading  --head-->  Proving  --Authenticated-->  Gathering  --body-->  Waiting  --Permitted-->  Connecting  --Connected-->  Relaying  -->  Over
//!    | 400, 501          | 401, 404                  | 400, 408, 413    | 403                     | 502                      | 408, 413, 502, 504
//! ```
//!
//! Between Connecting and Relaying stands Beginning, where a policy wants what passes recorded: nothing is sent before its
//! recording has begun, and it ends with the exchange (503 where it can not begin).
//!
//! The decision comes before the connection: for HTTP nothing of the target is needed to judge, and what is refused
//! costs the target nothing. So the driver has to be able to judge as soon as it has said `Authenticated`; which target
//! the request goes to is said with `Target`, before its event. A body that a policy may look into is
//! read whole first ([`Dialect::reads_body`]); every other one is streamed after the permit, and the phase left out.
//!
//! # What the driver owes
//!
//! - An exchange ends with `Close` of both sides, as every session does. A side whose message this exchange has not ended
//!   with [`Unit::End`] (or a head with [`Body::None`]) was cut: its peer must see that. A side whose own message was not
//!   ended when it is closed (a body that nobody read) belongs to a connection that is not used again (threats A64).
//! - `wants_input` is back-pressure. Of the client nothing is wanted between the head and the permit, so no byte of a body
//!   is asked for (`100 Continue`) or kept before the decision. The driver looks at what waits on the other side, as for
//!   every protocol.
//! - `Closed` is for what the wire did not end well. A message that ended is an `End`, and no `Closed` follows it.
//! - `Connected` means that the connection is one on which the account's secret may be sent: encrypted, where the target wants that.

mod again;
mod answer;
mod gather;
mod relay;
mod switched;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use gatewright_model::{
    event::{Event, Facet},
    http::{HttpBody, HttpEvent, HttpRequest},
    id::{ApprovalId, EventId, EventIds, SessionId},
    mask::MaskPlan,
    permit::Permit,
    principal::Principal,
    recording::{Frame, Size},
    session::{
        Account, ConnectRequest, Credential, Input, Outcome, OutcomeResult, Output, ProtocolError,
        Rejection, Session, Side,
    },
};
use http::{HeaderName, HeaderValue, Method, StatusCode, request};

use self::{
    gather::{Gathering, Held, Room},
    relay::Relay,
    switched::Switched,
};
use crate::{
    dialect::{Dialect, Outgoing},
    digest,
    headers::{HeaderRules, Presented, TokenHeader},
    problem::Problem,
    refusal::Refusal,
    request::{Checked, Judged, Scheme, read},
    route::Routes,
    unit::{Body, HangUp, Unit},
};

/// What all exchanges of one listener share.
#[derive(Debug)]
pub struct Shared {
    dialect: Box<dyn Dialect>,
    routes: Routes,
    rules: HeaderRules,
    limits: Limits,
    /// Bytes of all bodies that are held.
    held: Arc<Held>,
}

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body of a request, in bytes. It is streamed: this bounds what a target is sent, not memory.
    pub body: u64,
    /// Largest body that is read whole to be judged, in bytes. It is held in memory until it is sent.
    pub inspected: usize,
    /// All bodies together that are held for that at one time, in bytes; those of one principal may be a quarter of it. What would be
    /// more is refused with 503.
    pub held: usize,
    /// How long a client waits for a reviewer before it is told to come back.
    pub hold: Duration,
    /// How long client and target may both be silent before the answer begins. After that, streams may rest.
    pub silence: Duration,
    /// How long both may be silent after protocols were switched.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 30,
            inspected: 1 << 20,
            held: 256 << 20,
            hold: Duration::from_secs(50),
            silence: Duration::from_secs(60),
            idle: Duration::from_secs(3600),
        }
    }
}

/// What the caller knows of one exchange before it begins.
#[derive(Debug)]
pub struct Seed {
    /// The session that it belongs to, unless [`Input::Entered`] names another: a client is told `SESSION/EVENT`, and the
    /// evidence has both.
    pub session: SessionId,
    /// Where the numbers of its events come from.
    pub events: Arc<EventIds>,
    /// Address of the client, as [`forwarded_for`](crate::inject::forwarded_for) writes it.
    pub client: HeaderValue,
    /// How the client reached the gateway.
    pub scheme: Scheme,
}

/// One request and its answer. See the module's documentation.
#[derive(Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
    seed: Seed,
    /// The request.
    event: EventId,
    phase: Phase,
    /// The answer to HEAD is a head, whatever it says.
    head_only: bool,
    /// The request, once it has a form.
    request: Option<Arc<HttpRequest>>,
    /// A reviewer was asked.
    approval: Option<ApprovalId>,
    /// What the body takes that was read to be judged.
    room: Option<Room>,
    /// The client's connection is not to be used again.
    hangs_up: bool,
    /// What passes is recorded.
    recording: bool,
    outputs: VecDeque<Output<Unit>>,
}

#[derive(Debug)]
enum Phase {
    Reading,
    Proving(Box<Checked>),
    Gathering(Box<Gathering>),
    Waiting(Box<Waiting>),
    /// Entered only by using up a permit.
    Connecting(Box<Waiting>, Leave),
    /// Its recording is being begun.
    Beginning(Box<Waiting>, Leave, Box<Account>),
    Relaying(Box<Relay>),
    Switched(Box<Switched>),
    Over,
}

/// A request that is complete as far as it is judged.
#[derive(Debug)]
struct Waiting {
    judged: Judged,
    /// What is judged.
    facet: Facet,
    principal: Arc<Principal>,
}

/// What was left of a permit when it was used up.
#[derive(Debug, Clone)]
struct Leave {
    /// What must be hidden in the answer. None: nothing.
    masks: Option<Arc<MaskPlan>>,
    /// A policy wants to judge the answer too.
    judges_answer: bool,
    /// Where it goes on only while it is recorded: what the recording is called.
    recorded: Option<Arc<str>>,
}

impl Shared {
    /// What a listener needs. `reserved` are header names that the operator wants no client to set, beside those that
    /// the gateway knows and those that its routes add.
    pub fn new(
        dialect: Box<dyn Dialect>,
        routes: Routes,
        token: TokenHeader,
        reserved: impl IntoIterator<Item = HeaderName>,
        limits: Limits,
    ) -> Self {
        let own: Vec<HeaderName> =
            routes.iter().flat_map(|route| route.injection.names()).chain(reserved).collect();
        let rules =
            HeaderRules::new(token, own).with_upgrades(dialect.upgrades()).with_lines(dialect.lines());
        Self { dialect, rules, routes, limits, held: Arc::default() }
    }
}

impl Exchange {
    /// An exchange whose request has not come yet.
    pub fn new(shared: Arc<Shared>, seed: Seed) -> Self {
        Self {
            shared,
            event: seed.events.draw(),
            seed,
            phase: Phase::Reading,
            head_only: false,
            request: None,
            approval: None,
            hangs_up: false,
            recording: false,
            room: None,
            outputs: VecDeque::new(),
        }
    }

    fn step(&mut self, now: Instant, input: Input<Unit>) -> Result<(), ProtocolError> {
        match (std::mem::replace(&mut self.phase, Phase::Over), input) {
            (Phase::Over, _) => {}
            (Phase::Relaying(relay), input) => return self.relay(relay, now, input),
            (Phase::Switched(switched), input) => return self.switched(switched, now, input),
            (Phase::Gathering(gathering), Input::Data { side: Side::Downstream, unit }) => {
                return self.gather(gathering, unit);
            }
            (Phase::Gathering(gathering), Input::Timeout) => self.gather_slowly(gathering, now),
            (phase, Input::Terminate(rejection)) => {
                self.withhold(&phase, rejection.code);
                self.answer(termination(&rejection));
            }
            (phase, Input::Closed { side: Side::Downstream }) => {
                self.withhold(&phase, "net.client_closed");
                self.close();
            }
            (Phase::Reading, Input::Data { side: Side::Downstream, unit: Unit::Request(parts, body) }) => {
                return self.read(*parts, body);
            }
            (phase, Input::Entered(session)) => {
                self.seed.session = session;
                self.phase = phase;
            }
            // A part that the order of parts does not have, before a permit: nothing of it may be kept.
            (phase, Input::Data { side, .. }) => {
                self.withhold(&phase, OUT_OF_ORDER.code);
                return self.fail(OUT_OF_ORDER, side);
            }
            (Phase::Proving(checked), Input::Authenticated(principal)) => {
                return self.admit(*checked, principal, now);
            }
            (Phase::Waiting(waiting), Input::Permitted(permit)) => self.connect(waiting, permit),
            (Phase::Waiting(waiting), Input::Held { approval, .. }) => {
                self.approval = Some(approval);
                self.outputs.push_back(Output::Wake(now + self.shared.limits.hold));
                self.phase = Phase::Waiting(waiting);
            }
            (Phase::Waiting(_), Input::Timeout) if self.approval.is_some() => self.come_back(),
            (Phase::Waiting(_), Input::Denied(mut denial)) if denial.event == self.event => {
                denial.approval = denial.approval.or_else(|| self.approval.take());
                self.answer(Problem::denied(&denial));
            }
            (Phase::Connecting(waiting, leave), Input::Connected(account)) => match &leave.recorded {
                Some(title) => {
                    self.begin_recording(Arc::clone(title));
                    self.phase = Phase::Beginning(waiting, leave, Box::new(account));
                }
                None => self.forward(*waiting, leave, now, &account),
            },
            (Phase::Beginning(waiting, leave, account), Input::Recording(event)) if event == self.event => {
                self.recording = true;
                self.forward(*waiting, leave, now, &account);
            }
            (phase, Input::Rejected(rejection)) => {
                self.withhold(&phase, rejection.code);
                self.answer(Problem::rejected(&rejection));
            }
            (phase, Input::Unreachable) => {
                self.withhold(&phase, UNREACHABLE.code);
                self.answer(UNREACHABLE.into());
            }
            // Drain among them: an exchange ends by itself, and the driver begins no other one.
            (phase, _) => self.phase = phase,
        }
        Ok(())
    }

    /// The head has come.
    fn read(&mut self, mut parts: request::Parts, body: Body) -> Result<(), ProtocolError> {
        self.head_only = parts.method == Method::HEAD;
        let admitted = self.shared.dialect.admit(&mut parts.headers);
        let checked = admitted.and_then(|()| read(&parts, body, &self.shared.rules, self.seed.scheme));
        let mut checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => return self.fail(refusal, Side::Downstream),
        };
        let (code, detail) = match std::mem::replace(&mut checked.token, Presented::Nothing) {
            Presented::Bearer(token) => {
                self.phase = Phase::Proving(Box::new(checked));
                self.outputs.push_back(Output::Authenticate(Credential::Bearer(token)));
                return Ok(());
            }
            Presented::Nothing => ("auth.missing", "the request carries no token"),
            Presented::Malformed => ("auth.malformed", "the credential is no bearer token"),
        };
        let problem = Problem::new(StatusCode::UNAUTHORIZED, code, detail);
        self.answer(problem.remedy(self.shared.rules.how()));
        Err(not_admitted(code, detail))
    }

    /// It is known who asks. Only now a client learns what there is, and what not.
    fn admit(
        &mut self,
        checked: Checked,
        principal: Arc<Principal>,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let judged = match checked.route(&self.shared.routes) {
            Ok(judged) => judged,
            Err(request) => {
                self.request = Some(request);
                let (code, detail) = ("http.no_route", "no route leads there");
                self.answer(Problem::new(StatusCode::NOT_FOUND, code, detail));
                return Err(not_admitted(code, detail));
            }
        };
        self.request = Some(Arc::clone(&judged.request));
        // Whatever is announced as too long is not judged, and no reviewer is asked.
        if judged.length.is_some_and(|length| length > self.shared.limits.body) {
            self.answer(TOO_LARGE.into());
            return Err(TOO_LARGE.into_error(Side::Downstream));
        }
        let has_body = matches!(judged.body, HttpBody::Streamed { .. });
        // What is small is read in any case: whoever approves it approves these bytes.
        let is_small = judged.length.is_some_and(|length| length <= self.shared.limits.inspected as u64);
        if has_body && (is_small || self.shared.dialect.reads_body(&judged.request)) {
            return self.begin_to_gather(judged, principal, now);
        }
        self.judge(judged, principal);
        Ok(())
    }

    /// The request is complete as far as it is judged.
    fn judge(&mut self, judged: Judged, principal: Arc<Principal>) {
        let (request, body) = (Arc::clone(&judged.request), judged.body.clone());
        let payload = digest::of(&request, &body);
        let facet = match self.shared.dialect.facet(HttpEvent { request, body, response: None }) {
            Ok(facet) => facet,
            Err(refusal) => return self.answer(refusal.into()),
        };
        let event = Event { id: self.event, payload, facet: facet.clone() };
        self.outputs.push_back(Output::Target(Arc::clone(&judged.route.target)));
        self.outputs.push_back(Output::Decide(event));
        self.phase = Phase::Waiting(Box::new(Waiting { judged, facet, principal }));
    }

    /// A client that waits for a reviewer would give up some time, and with it the approval. It is told before that: the
    /// same request, sent again, waits on, or is forwarded once it was approved.
    fn come_back(&mut self) {
        let Some(approval) = self.approval.take() else { return };
        self.outputs.push_back(Output::Park(approval.clone()));
        let detail = "a reviewer has not decided yet: the request was not forwarded";
        let problem = Problem::new(StatusCode::FORBIDDEN, "approval.pending", detail);
        let remedy = "send the same request again: it waits for the same reviewer, and is forwarded once when it was approved";
        self.answer(problem.remedy(remedy).waits_for(approval));
    }

    /// A permit is used up; for another event it is none.
    fn connect(&mut self, waiting: Box<Waiting>, permit: Permit) {
        if permit.event() != self.event {
            self.phase = Phase::Waiting(waiting);
            return;
        }
        let (judges_answer, is_recorded) = (permit.judges_answer(), permit.is_recorded());
        let masks = permit.consume().filter(|masks| !masks.is_empty());
        let recorded = if is_recorded { self.shared.dialect.title(&waiting.facet) } else { None };
        if is_recorded && recorded.is_none() {
            self.refused(UNRECORDABLE.code);
            return self.answer(UNRECORDABLE.into());
        }
        let route = Arc::clone(&waiting.judged.route.name);
        self.phase = Phase::Connecting(waiting, Leave { masks, judges_answer, recorded });
        let attributes = vec![("route", route)];
        self.outputs.push_back(Output::Connect(ConnectRequest::Session { account: None, attributes }));
    }

    /// Nothing is sent before what passes is recorded. How large a terminal is, and of which kind, a client says later or never.
    fn begin_recording(&mut self, title: Arc<str>) {
        let (event, terminal, size) = (self.event, None, Size::default());
        self.outputs.push_back(Output::Record(Frame::Start { event, title, terminal, size }));
    }

    /// Sends the head that was judged, and what the gateway adds.
    fn forward(&mut self, waiting: Waiting, leave: Leave, now: Instant, account: &Account) {
        let Waiting { judged, facet, principal } = waiting;
        let (request, route) = (Arc::clone(&judged.request), Arc::clone(&judged.route));
        let (judged_body, length, upgrade) = (judged.body.clone(), judged.length, judged.upgrade);
        let mut parts = judged.into_parts();
        let prepared = self.shared.dialect.prepare(Outgoing {
            facet: &facet,
            principal: &principal,
            masks: leave.masks.as_deref(),
            uri: &mut parts.uri,
            headers: &mut parts.headers,
        });
        let prepared = prepared
            .and_then(|()| route.injection.apply(&mut parts.headers, &request, &self.seed.client, account));
        if let Err(refusal) = prepared {
            self.refused(refusal.code);
            return self.answer(refusal.into());
        }
        let follows = match (upgrade, &judged_body) {
            (Some(_), _) => Body::Switches,
            (None, HttpBody::Empty) => Body::None,
            (None, _) => Body::Follows,
        };
        self.send(Side::Upstream, Unit::Request(Box::new(parts), follows));
        let mut relay = Relay::new(&judged_body, length, self.shared.limits, facet, leave, now);
        relay.upgrade = upgrade;
        relay.has_credential = route.injection.has_credential();
        if let HttpBody::Read { bytes, .. } = judged_body {
            self.send(Side::Upstream, Unit::Data(bytes));
            self.send(Side::Upstream, Unit::End);
        }
        self.outputs.push_back(Output::Wake(now + self.shared.limits.silence));
        self.phase = Phase::Relaying(Box::new(relay));
    }

    /// A message that is refused for its form.
    fn fail(&mut self, refusal: Refusal, fault: Side) -> Result<(), ProtocolError> {
        self.hangs_up = true;
        self.answer(refusal.into());
        Err(refusal.into_error(fault))
    }

    /// Tells the client of a problem in place of an answer, and ends. Whatever was sent to the target is cut.
    fn answer(&mut self, problem: Problem) {
        let problem = problem.request(self.name());
        let (mut parts, body) = self.shared.dialect.tell(problem, self.request.as_deref());
        if self.hangs_up {
            parts.extensions.insert(HangUp);
        }
        if self.head_only {
            self.send(Side::Downstream, Unit::Response(Box::new(parts), Body::None));
        } else {
            self.send(Side::Downstream, Unit::Response(Box::new(parts), Body::Follows));
            self.send(Side::Downstream, Unit::Data(body));
            self.send(Side::Downstream, Unit::End);
        }
        self.close();
    }

    /// The name under which the evidence knows the request.
    fn name(&self) -> String {
        format!("{}/{}", self.seed.session, self.event)
    }

    /// A phase is left before anything was sent: what was permitted by then has not run.
    fn withhold(&mut self, left: &Phase, code: &str) {
        if matches!(left, Phase::Connecting(..) | Phase::Beginning(..)) {
            self.refused(code);
        }
    }

    /// Says of an event that was recorded as allowed that nothing of it was sent.
    fn refused(&mut self, code: &str) {
        let result = OutcomeResult::Refused;
        self.finish(Outcome { result, code: Some(Arc::from(code)), ..Outcome::default() });
    }

    fn finish(&mut self, outcome: Outcome) {
        self.outputs.push_back(Output::Finished { event: self.event, outcome });
    }

    fn send(&mut self, side: Side, unit: Unit) {
        self.outputs.push_back(Output::Send { side, unit });
    }

    fn close(&mut self) {
        self.phase = Phase::Over;
        if std::mem::take(&mut self.recording) {
            self.outputs.push_back(Output::Record(Frame::End));
        }
        self.outputs.push_back(Output::Close { side: Side::Upstream });
        self.outputs.push_back(Output::Close { side: Side::Downstream });
    }
}

impl Session for Exchange {
    type Unit = Unit;

    fn handle_input(&mut self, now: Instant, input: Input<Unit>) -> Result<(), ProtocolError> {
        self.step(now, input)
    }

    fn poll_output(&mut self) -> Option<Output<Unit>> {
        self.outputs.pop_front()
    }

    /// HTTP has nothing that a request keeps from others before it is sent.
    fn holds_locks(&self) -> bool {
        false
    }

    fn is_judged_again(&self) -> bool {
        match &self.phase {
            Phase::Relaying(relay) => relay.is_judged_again(),
            Phase::Switched(switched) => switched.is_judged_again(),
            _ => false,
        }
    }

    fn unread(&self, more: usize) -> usize {
        match &self.phase {
            Phase::Gathering(gathering) => gathering.held() + more,
            _ => 0,
        }
    }

    fn wants_input(&self, side: Side) -> bool {
        match (&self.phase, side) {
            (Phase::Reading | Phase::Gathering(_), Side::Downstream) => true,
            (Phase::Relaying(relay), Side::Downstream) => relay.is_uploading(),
            (Phase::Relaying(relay), Side::Upstream) => relay.wants_answer(),
            (Phase::Switched(switched), side) => switched.wants_input(side),
            _ => false,
        }
    }
}

/// What a client is told when somebody outside ends its exchange.
fn termination(rejection: &Rejection) -> Problem {
    if rejection.code.starts_with("auth.") {
        return Problem::rejected(rejection);
    }
    let problem =
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, rejection.code, Arc::clone(&rejection.message));
    problem.remedy(Arc::clone(&rejection.remedy))
}

const UNREACHABLE: Refusal = Refusal::bad_answer("upstream.unreachable", "the target can not be reached");

/// Of a request that was answered without being asked about. The record is to say why; the connection goes on.
fn not_admitted(code: &'static str, detail: &'static str) -> ProtocolError {
    ProtocolError { fault: Side::Downstream, code, detail: Arc::from(detail) }
}

const UNRECORDABLE: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "record.unsupported",
    detail: "a policy wants it recorded, which can not be done for this request",
};

const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    code: "http.body_limit",
    detail: "the body is larger than the gateway forwards",
};

const OUT_OF_ORDER: Refusal = Refusal::bad("http.framing", "a part of a message came out of its order");
