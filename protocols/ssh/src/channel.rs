//! One channel of a client, as a session without I/O.
//!
//! ```text
//! New  --open-->  Proving  --Authenticated-->  Opening  --Permitted-->  Open  --exec, shell, subsystem-->  Open, running  -->  Over
//!                                                |                       |  (direct-*: when the target has connected)
//!                                                | refused               | each request: asked about, sent on, answered
//! ```
//!
//! The target's channel is opened for the first request that is permitted, so what is refused costs the target nothing.
//!
//! # What the driver owes
//!
//! - The client's first message is [`Message::Open`]. Nothing else is sent before [`Message::Accepted`] or [`Message::Refused`].
//! - Of the client nothing is wanted while a request of it is dealt with: what it sends behind that waits.
//! - `Closed` of a side: its channel, or its connection, is closed. Everything that it sent before was handed in.

mod again;
mod asking;
mod files;
mod lookup;
mod place;
mod showing;
mod stopping;

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Instant};

use gatewright_masking::MaskKey;
use gatewright_model::{
    decision::Escalation,
    event::{Event, Facet},
    id::{EventId, EventIds, SessionId},
    mask::MaskPlan,
    permit::Permit,
    recording::{self, Frame},
    session::{
        ConnectRequest, Credential, Input, Outcome, OutcomeResult, Output, ProtocolError, Rejection,
        Session, Side,
    },
    ssh::{ChannelRights, SshEvent, SshRequest},
};

use self::{
    again::{Again, Granted},
    asking::{Asking, Stage},
    files::Files,
    lookup::Lookup,
    place::{is_a_place, is_a_socket},
    stopping::Stopping,
};
use crate::{
    digest,
    message::{Message, Open, STDERR},
    output::Masks,
    telling,
};

/// What the caller knows of a channel before it is opened.
#[derive(Debug)]
pub struct Seed {
    /// The session that it belongs to, unless [`Input::Entered`] names another.
    pub session: SessionId,
    /// Where the numbers of its events come from.
    pub events: Arc<EventIds>,
    /// What the client proved when it connected.
    pub credential: Credential,
    /// What that lets it ask for at all.
    pub rights: ChannelRights,
    /// The account that the client's user name asks for.
    pub account: Arc<str>,
    /// Key of keyed hashes in what is hidden.
    pub mask_key: MaskKey,
    /// Which of the listener's targets its user name leads to. None: the only one.
    pub target: Option<Arc<str>>,
}

/// One channel. See the module's documentation.
#[derive(Debug)]
pub struct Channel {
    seed: Seed,
    phase: Phase,
    /// The terminal that the target has agreed to.
    terminal: Option<Arc<str>>,
    /// Its size.
    size: recording::Size,
    /// The variables that the target has taken.
    environment: Vec<(Arc<str>, Arc<str>)>,
    /// The request that is dealt with.
    asking: Option<Asking>,
    /// What reviewers were asked for by the event that was asked about last. None: nothing.
    asked: Option<Arc<Escalation>>,
    /// What the target was granted on the channel: the client's keys, its display. Each once.
    granted: Vec<Granted>,
    /// What is being judged again.
    again: Again,
    /// The target's channel is open.
    connected: bool,
    /// What runs.
    running: Option<Running>,
    /// Of a channel that runs `sftp`, what is done with files.
    files: Option<Box<Files>>,
    /// What is hidden in what it writes.
    masks: Option<Masks>,
    /// What is said of its end, when all that it wrote is shown.
    parting: Option<Message>,
    /// It is recorded.
    recording: bool,
    /// The signal that was sent to end what runs.
    stopped_by: Option<Arc<str>>,
    /// When something was heard last.
    now: Option<Instant>,
    /// When the driver was asked to come back.
    wake: Option<Instant>,
    outputs: VecDeque<Output<Message>>,
}

#[derive(Debug)]
enum Phase {
    New,
    Proving(Open),
    Opening {
        open: Open,
        about: Arc<SshRequest>,
        event: EventId,
    },
    /// Of `direct-tcpip` to a name: that was permitted, and where it leads is found out and asked about.
    LookingUp(Lookup),
    /// Of `direct-*`: a permit was used up, and the target is to connect.
    Leading {
        about: Arc<SshRequest>,
        event: EventId,
    },
    Open,
    /// The client's side is closed, and what ran is being ended.
    Stopping(Stopping),
    Over,
}

/// Something that the target runs, or is connected to.
#[derive(Debug)]
struct Running {
    event: EventId,
    /// What was asked for.
    about: Arc<SshRequest>,
    /// A reviewer has approved it.
    is_approved: bool,
    /// What is hidden in it.
    plan: Option<Arc<MaskPlan>>,
    /// A program, and no connection to somewhere else.
    is_program: bool,
    /// How it ended, once the target has said so.
    outcome: Option<Outcome>,
    /// Its output has ended, and the client is told so when it has: a client that knows may close the channel, and never hears how it ended.
    is_silent: bool,
}

/// Variables of one channel at most.
const MOST_VARIABLES: usize = 128;

/// Their names and values together at most, in bytes.
const LARGEST_ENVIRONMENT: usize = 64 << 10;

/// The status of a command that may not run, as shells have it.
const NOT_PERMITTED: u32 = 126;

/// The status of a command that did not run for another reason, as `ssh` itself has it.
const NOT_RUN: u32 = 255;

impl Channel {
    /// A channel that is not opened yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            phase: Phase::New,
            terminal: None,
            size: recording::Size::default(),
            environment: Vec::new(),
            asking: None,
            asked: None,
            granted: Vec::new(),
            again: Again::default(),
            connected: false,
            running: None,
            files: None,
            masks: None,
            parting: None,
            recording: false,
            stopped_by: None,
            now: None,
            wake: None,
            outputs: VecDeque::new(),
        }
    }

    fn step(&mut self, now: Instant, input: Input<Message>) -> Result<(), ProtocolError> {
        match (std::mem::replace(&mut self.phase, Phase::Over), input) {
            (Phase::Over, _) => {}
            (Phase::Stopping(stopping), input) => self.phase = self.stops(now, stopping, &input),
            (phase, Input::Entered(session)) => {
                self.seed.session = session;
                self.phase = phase;
            }
            (phase, Input::Closed { side: Side::Downstream }) => {
                self.withhold(&phase, "net.client_closed");
                self.stop("HUP");
                self.end();
            }
            (phase, Input::Terminate(rejection)) => self.turn_away(&phase, &rejection),
            (Phase::New, Input::Data { side: Side::Downstream, unit: Message::Open(open) }) => {
                self.outputs.push_back(Output::Authenticate(self.seed.credential.clone()));
                self.phase = Phase::Proving(open);
            }
            (Phase::Proving(open), Input::Authenticated(_)) => return self.ask_to_open(open),
            (phase @ Phase::Opening { .. }, Input::Permitted(permit)) => self.opened(phase, permit),
            (Phase::Opening { event, .. }, Input::Denied(denial)) if denial.event == event => {
                let text = telling::denied(&denial, self.seed.session);
                self.refuse(&text);
            }
            (Phase::Leading { event, about }, Input::Connected(_)) => {
                self.connected = true;
                self.running = Some(Running { is_program: false, ..self.started(event, about) });
                self.send(Side::Downstream, Message::Accepted);
                self.phase = Phase::Open;
            }
            (Phase::Open, input) => return self.open(now, input),
            (phase @ Phase::Opening { .. }, Input::Held { escalation, .. }) => {
                self.asked = Some(escalation);
                self.phase = phase;
            }
            (Phase::LookingUp(lookup), Input::Found(addresses)) => self.found(lookup, addresses),
            (Phase::LookingUp(lookup), Input::Permitted(permit)) => self.permitted_found(lookup, permit),
            (Phase::LookingUp(lookup), Input::Denied(denial)) => self.denied_found(lookup, &denial),
            (Phase::LookingUp(lookup), Input::Held { approval, escalation, .. }) => {
                self.held_found(lookup, approval, escalation);
            }
            (phase, Input::Rejected(rejection)) => self.turn_away(&phase, &rejection),
            (phase, Input::Unreachable) => self.turn_away(&phase, &unreachable()),
            (_, Input::Data { side, .. }) => {
                self.end();
                return Err(out_of_order(side));
            }
            (phase, Input::Drain) => {
                self.withhold(&phase, "drained");
                self.refuse("the gateway is shutting down: connect again");
            }
            (phase, _) => self.phase = phase,
        }
        Ok(())
    }

    /// It is known who asks.
    fn ask_to_open(&mut self, open: Open) -> Result<(), ProtocolError> {
        if let Some(target) = &self.seed.target {
            self.outputs.push_back(Output::Target(Arc::clone(target)));
        }
        let is_somewhere = match &open {
            Open::DirectTcpip { host, port, .. } => is_a_place(host, *port),
            // Any address, and any port, have a spelling of their own here.
            Open::TcpipForward { address, port } => {
                matches!(&**address, "" | "*") || is_a_place(address, (*port).max(1))
            }
            Open::DirectStreamlocal { path } | Open::StreamlocalForward { path } => is_a_socket(path),
            Open::Session => true,
        };
        if !is_somewhere {
            self.refuse(
                "the destination is no host and port or path, or is not written as it usually is [ssh.destination]",
            );
            return Ok(());
        }
        let request = match &open {
            Open::Session => SshRequest::Session,
            Open::DirectTcpip { host, port, .. } => SshRequest::DirectTcpip {
                addresses: host.parse::<IpAddr>().ok().into_iter().collect(),
                host: Arc::clone(host),
                port: *port,
            },
            Open::DirectStreamlocal { path } => SshRequest::DirectStreamlocal { path: Arc::clone(path) },
            Open::TcpipForward { address, port } => {
                SshRequest::TcpipForward { address: Arc::clone(address), port: *port }
            }
            Open::StreamlocalForward { path } => SshRequest::StreamlocalForward { path: Arc::clone(path) },
        };
        if !self.seed.rights.include(&request) {
            self.refuse("the client's certificate does not permit this [auth.cert_rights]");
            let detail = Arc::from("more was asked for than the client's certificate permits");
            return Err(ProtocolError { fault: Side::Downstream, code: "auth.cert_rights", detail });
        }
        let about = Arc::new(request);
        let event = self.decide(Arc::clone(&about));
        self.phase = Phase::Opening { open, about, event };
        Ok(())
    }

    /// The channel may be opened.
    fn opened(&mut self, phase: Phase, permit: Permit) {
        match phase {
            Phase::Opening { event, about, open } if permit.event() == event => {
                if permit.consume().is_some_and(|masks| !masks.is_empty()) {
                    self.refused(event, unmaskable().code);
                    return self.refuse(&telling::rejected(&unmaskable()));
                }
                match (open, &*about) {
                    (Open::Session, _) => {
                        self.finish(event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
                        self.send(Side::Downstream, Message::Accepted);
                        self.phase = Phase::Open;
                    }
                    (_, SshRequest::DirectTcpip { host, port, addresses }) if addresses.is_empty() => {
                        self.phase = self.look_up(Arc::clone(host), *port, event);
                    }
                    _ => self.lead(about, event),
                }
            }
            phase => self.phase = phase,
        }
    }

    fn open(&mut self, now: Instant, input: Input<Message>) -> Result<(), ProtocolError> {
        self.phase = Phase::Open;
        match input {
            Input::Data { side: Side::Downstream, unit } => return self.hear_client(unit),
            Input::Data { side: Side::Upstream, unit } => return self.hear_target(now, unit),
            Input::Closed { side: Side::Upstream } => {
                self.let_go(None);
                if let Some(asking) = self.asking.take() {
                    self.finish(asking.event, Outcome::default());
                    self.reply(asking.want_reply, false);
                }
                self.end_output();
                self.end();
            }
            Input::Timeout => {
                self.wake = None;
                self.let_go(Some(now));
            }
            Input::Permitted(permit) if self.again.asks(permit.event()) => self.permitted_again(permit),
            Input::Permitted(permit) => match self.permitted_file(permit) {
                Ok(went_on) => return went_on,
                Err(permit) => self.permitted(permit),
            },
            Input::Recording(event) => self.recorded(event),
            Input::Connected(_) => {
                self.connected = true;
                self.send_on();
            }
            Input::Held { event, approval, .. } if self.again.asks(event) => self.held_again(approval),
            Input::Held { event, approval, escalation } => {
                let text = telling::held(event, self.seed.session, &approval, &escalation.reason);
                self.asked = Some(escalation);
                self.tell(&text);
                self.held_file(event);
            }
            Input::Denied(denial) if self.again.asks(denial.event) => self.denied_again(&denial),
            Input::PoliciesChanged if self.is_judged_again() => self.ask_again(),
            Input::Denied(denial) => match self.denied_file(&denial) {
                Some(went_on) => return went_on,
                None => self.denied(&denial),
            },
            Input::Unreachable => self.turn_away(&Phase::Open, &unreachable()),
            Input::Rejected(rejection) => self.turn_away(&Phase::Open, &rejection),
            Input::Drain if self.running.is_none() && self.asking.is_none() => {
                self.tell("the gateway is shutting down: connect again");
                self.end();
            }
            _ => {}
        }
        Ok(())
    }

    fn hear_client(&mut self, message: Message) -> Result<(), ProtocolError> {
        match message {
            Message::Request { request, want_reply } => self.ask(request, want_reply),
            Message::Data(data) if self.files.is_some() => {
                return self.relay(Side::Downstream, &data).unwrap_or(Ok(()));
            }
            // Nobody reads another stream there.
            Message::ExtendedData(..) if self.files.is_some() => {}
            message @ (Message::Data(_) | Message::ExtendedData(..) | Message::Eof) => {
                // Before something runs there is nobody who reads it, as with any server.
                if self.running.is_some() {
                    if message.window() > 0 {
                        self.record(Frame::Typed(message.window()));
                    }
                    self.send(Side::Upstream, message);
                }
            }
            _ => {
                self.end();
                return Err(out_of_order(Side::Downstream));
            }
        }
        Ok(())
    }

    fn hear_target(&mut self, now: Instant, message: Message) -> Result<(), ProtocolError> {
        match message {
            Message::Success => self.answered(true),
            Message::Failure => self.answered(false),
            Message::ExitStatus(status) => {
                let ok = status == 0;
                self.note(Outcome {
                    result: if ok { OutcomeResult::Ok } else { OutcomeResult::Error },
                    code: (!ok).then(|| Arc::from(format!("exit.{status}"))),
                    ..Outcome::default()
                });
                self.part(message);
            }
            Message::ExitSignal { signal, core_dumped, .. } => {
                let signal = known_signal(&signal);
                let code = Some(Arc::from(format!("signal.{signal}")));
                self.note(Outcome { result: OutcomeResult::Error, code, ..Outcome::default() });
                // What a target says of it would be searched and recorded by nobody.
                self.part(Message::ExitSignal { signal, core_dumped, message: Arc::from("") });
            }
            Message::Data(data) if self.files.is_some() => {
                return self.relay(Side::Upstream, &data).unwrap_or(Ok(()));
            }
            // What it says before it has started would get around what reads it.
            Message::Data(_) if self.starts_files() => {
                self.end();
                return Err(out_of_order(Side::Upstream));
            }
            Message::Data(_) | Message::ExtendedData(..) => self.show(now, message),
            Message::Eof => {
                self.let_go(None);
                if !self.outlives_output() {
                    self.send(Side::Downstream, message);
                }
            }
            // Whatever else a server says of its own is not the client's.
            Message::Request { .. } => {}
            Message::Open(_) | Message::Accepted | Message::Refused(_) => {
                self.end();
                return Err(out_of_order(Side::Upstream));
            }
        }
        Ok(())
    }

    /// The target has said how it ended; the first word counts.
    fn note(&mut self, outcome: Outcome) {
        if let Some(running) = &mut self.running {
            running.outcome.get_or_insert(outcome);
        }
    }

    fn decide(&mut self, request: Arc<SshRequest>) -> EventId {
        self.asked = None;
        let about =
            SshEvent { request, terminal: self.terminal.clone(), environment: self.environment.clone() };
        let id = self.seed.events.draw();
        let event = Event { id, payload: digest::of(&about), facet: Facet::Ssh(about) };
        self.outputs.push_back(Output::Decide(event));
        id
    }

    /// What was permitted runs.
    const fn started(&self, event: EventId, about: Arc<SshRequest>) -> Running {
        let is_approved = self.asked.is_some();
        Running { event, about, is_approved, plan: None, is_program: true, outcome: None, is_silent: false }
    }

    fn connect(&mut self) {
        let (account, attributes) = (Some(Arc::clone(&self.seed.account)), Vec::new());
        self.outputs.push_back(Output::Connect(ConnectRequest::Session { account, attributes }));
    }

    /// The channel is not opened.
    fn refuse(&mut self, text: &str) {
        self.send(Side::Downstream, Message::Refused(Arc::from(telling::words(text))));
        self.end();
    }

    /// The session can not go on, and this is why.
    fn turn_away(&mut self, left: &Phase, rejection: &Rejection) {
        self.withhold(left, rejection.code);
        let text = telling::rejected(rejection);
        if !matches!(left, Phase::Open) {
            return self.refuse(&text);
        }
        self.phase = Phase::Open;
        match self.asking.take() {
            Some(asking) if asking.stage != Stage::Answering => self.withdraw(&asking, &text, NOT_RUN),
            asking => {
                self.tell(&text);
                let want_reply = asking.as_ref().is_some_and(|asking| asking.want_reply);
                self.asking = asking;
                self.stop("KILL");
                self.reply(want_reply, false);
            }
        }
        if matches!(self.phase, Phase::Open) {
            self.end();
        }
    }

    /// One line for the person.
    fn tell(&mut self, text: &str) {
        self.send(Side::Downstream, Message::ExtendedData(STDERR, telling::line(text)));
    }

    fn reply(&mut self, want_reply: bool, done: bool) {
        if want_reply {
            self.send(Side::Downstream, if done { Message::Success } else { Message::Failure });
        }
    }

    /// A phase is left before anything of its event was sent: what was permitted by then has not run.
    fn withhold(&mut self, left: &Phase, code: &str) {
        if let Phase::Leading { event, .. } | Phase::LookingUp(Lookup { by_name: event, .. }) = left {
            self.refused(*event, code);
        }
        if let Some(Asking { event, stage, .. }) = &self.asking {
            match stage {
                Stage::Connecting | Stage::Recording => self.refused(*event, code),
                Stage::Answering => self.finish(*event, Outcome::default()),
                Stage::Waiting => {}
            }
        }
    }

    fn refused(&mut self, event: EventId, code: &str) {
        let result = OutcomeResult::Refused;
        self.finish(event, Outcome { result, code: Some(Arc::from(code)), ..Outcome::default() });
    }

    fn finish(&mut self, event: EventId, outcome: Outcome) {
        self.outputs.push_back(Output::Finished { event, outcome });
    }

    fn send(&mut self, side: Side, unit: Message) {
        self.outputs.push_back(Output::Send { side, unit });
    }

    /// Both sides are closed, and what ran is over.
    fn end(&mut self) {
        self.give_up_files();
        if let Some(Running { event, outcome, .. }) = self.running.take() {
            self.record(Frame::End);
            self.recording = false;
            let masked = self.masks.as_ref().map(Masks::masked).unwrap_or_default();
            self.finish(event, Outcome { masked, ..outcome.unwrap_or_default() });
        }
        self.asking = None;
        self.phase = self.stay_until_it_stops();
        self.outputs.push_back(Output::Close { side: Side::Downstream });
    }
}

impl Session for Channel {
    type Unit = Message;

    fn handle_input(&mut self, now: Instant, input: Input<Message>) -> Result<(), ProtocolError> {
        self.now = Some(now);
        self.step(now, input)
    }

    fn poll_output(&mut self) -> Option<Output<Message>> {
        self.outputs.pop_front()
    }

    /// What runs may hold anything; nobody outside knows.
    fn holds_locks(&self) -> bool {
        false
    }

    fn is_judged_again(&self) -> bool {
        (self.running.is_some() || !self.granted.is_empty()) && matches!(self.phase, Phase::Open)
    }

    /// While the client takes nothing, the target is not heard: its silence says nothing then.
    fn wakes_in_silence(&self) -> bool {
        true
    }

    fn wants_input(&self, side: Side) -> bool {
        match (&self.phase, side) {
            (Phase::New, Side::Downstream) => true,
            (Phase::Open, Side::Downstream) => self.asking.is_none() && self.wants_files(),
            (Phase::Open, Side::Upstream) => self.connected,
            (Phase::Stopping(_), Side::Upstream) => true,
            _ => false,
        }
    }
}

/// Signals that have a name (RFC 4254 section 6.10). Whatever else a target calls one would pass on what is to be hidden.
fn known_signal(name: &str) -> Arc<str> {
    let known = [
        "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2",
    ];
    Arc::from(known.into_iter().find(|own| *own == name).unwrap_or("KILL"))
}

fn unmaskable() -> Rejection {
    Rejection {
        code: "mask.unsupported",
        message: Arc::from(
            "a policy wants parts of the output hidden, which can not be done for this request",
        ),
        remedy: Arc::from("ask the operator of the gateway for a policy that allows or blocks it"),
    }
}

fn unrecordable() -> Rejection {
    Rejection {
        code: "record.unsupported",
        message: Arc::from("a policy wants it recorded, which can not be done for this request"),
        remedy: Arc::from("ask the operator of the gateway for a policy that allows or blocks it"),
    }
}

fn unreachable() -> Rejection {
    Rejection {
        code: "upstream.unreachable",
        message: Arc::from("the target can not be reached"),
        remedy: Arc::from("try again later, or tell the operator of the gateway"),
    }
}

fn out_of_order(fault: Side) -> ProtocolError {
    ProtocolError {
        fault,
        code: "ssh.state",
        detail: Arc::from("a message came where the protocol has none"),
    }
}
