//! Requests of an open channel: each is asked about, sent on and answered before the next one is looked at.

use std::sync::Arc;

use gatewright_model::{
    id::EventId,
    mask::MaskPlan,
    permit::{Denial, Permit},
    recording::Frame,
    session::{Outcome, OutcomeResult, Output, Rejection, Side},
    ssh::SshRequest,
};

use super::{
    Channel, LARGEST_ENVIRONMENT, MOST_VARIABLES, NOT_PERMITTED, Running, unmaskable, unrecordable,
};
use crate::{
    command,
    message::{Message, Request},
    output::Masks,
    sftp, telling,
};

/// A request that is dealt with.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) request: Request,
    pub(super) about: Arc<SshRequest>,
    /// What is to be hidden in it.
    pub(super) plan: Option<Arc<MaskPlan>>,
    pub(super) want_reply: bool,
    pub(super) event: EventId,
    pub(super) stage: Stage,
    /// Where it goes on only while it is recorded: is it yet?
    pub(super) recorded: Option<bool>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Policies, and perhaps a person, decide.
    Waiting,
    /// It is permitted; the target's channel is being opened.
    Connecting,
    /// A recording of it is being begun.
    Recording,
    /// It was sent; the target has not answered.
    Answering,
}

impl Channel {
    /// Asks about a request, if it is one that can be asked about.
    pub(super) fn ask(&mut self, request: Request, want_reply: bool) {
        let about = match &request {
            // Uneventful: it says nothing but how large a window is.
            Request::WindowChange(size) => {
                if self.connected {
                    self.size = size.of_characters();
                    self.record(Frame::Resize(self.size));
                    self.send(Side::Upstream, Message::Request { request, want_reply: false });
                }
                return;
            }
            // A channel runs one thing (RFC 4254 section 6.5), and what it runs with is known before.
            Request::Exec(_)
            | Request::Shell
            | Request::Subsystem(_)
            | Request::Pty { .. }
            | Request::Env { .. }
            | Request::AgentForwarding
            | Request::X11 { .. }
                if self.running.is_some() =>
            {
                None
            }
            Request::Pty { .. } if self.terminal.is_some() => None,
            Request::Signal(_) if self.running.is_none() => None,
            Request::Pty { terminal, .. } => Some(SshRequest::Pty { terminal: Arc::clone(terminal) }),
            Request::Env { name, value } => self
                .has_room(name, value)
                .then(|| SshRequest::Env { name: Arc::clone(name), value: Arc::clone(value) }),
            Request::Exec(text) => {
                let command = command::read(text);
                if command.is_none() {
                    self.tell("the command is not UTF-8, and can not be judged [ssh.command_encoding]");
                }
                command.map(SshRequest::Exec)
            }
            Request::Shell => Some(SshRequest::Shell),
            Request::Subsystem(name) => Some(SshRequest::Subsystem { name: Arc::clone(name) }),
            Request::Signal(name) => Some(SshRequest::Signal { name: Arc::clone(name) }),
            Request::AgentForwarding => Some(SshRequest::AgentForwarding),
            Request::X11 { .. } => Some(SshRequest::X11),
            Request::Other(_) => None,
        };
        match about.filter(|about| self.seed.rights.include(about)) {
            Some(about) => {
                let about = Arc::new(about);
                let event = self.decide(Arc::clone(&about));
                let stage = Stage::Waiting;
                let asking =
                    Asking { request, about, plan: None, want_reply, event, stage, recorded: None };
                self.asking = Some(asking);
            }
            None => self.reply(want_reply, false),
        }
    }

    fn has_room(&self, name: &str, value: &str) -> bool {
        let size: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.environment.len() < MOST_VARIABLES && size + name.len() + value.len() <= LARGEST_ENVIRONMENT
    }

    /// A permit is used up; for another event it is none.
    pub(super) fn permitted(&mut self, permit: Permit) {
        let waits = |asking: &&mut Asking| asking.event == permit.event() && asking.stage == Stage::Waiting;
        let Some(asking) = self.asking.as_mut().filter(waits) else { return };
        // What writes for people can have something hidden in it; files that are carried can not.
        let writes = match &asking.request {
            Request::Exec(_) | Request::Shell => true,
            Request::Subsystem(name) => **name != *sftp::SUBSYSTEM,
            _ => false,
        };
        let recorded = permit.is_recorded();
        if recorded && !writes {
            return self.give_up(&unrecordable());
        }
        if let Some(plan) = permit.consume().filter(|plan| !plan.is_empty()) {
            let terminal = self.terminal.is_some();
            let masks = writes.then(|| Masks::new(&plan, &self.seed.mask_key, terminal)).flatten();
            if masks.is_none() {
                return self.give_up(&unmaskable());
            }
            self.masks = masks;
            asking.plan = Some(plan);
        } else if writes {
            self.masks = None;
        }
        if recorded {
            asking.recorded = Some(false);
        }
        asking.stage = Stage::Connecting;
        if self.connected {
            self.send_on();
        } else {
            self.connect();
        }
    }

    /// Sends the request that was permitted. Its reply is always asked for: the record says what became of it.
    pub(super) fn send_on(&mut self) {
        let is_next = |asking: &&mut Asking| asking.stage == Stage::Connecting;
        let Some(asking) = self.asking.as_mut().filter(is_next) else { return };
        let request = asking.request.clone();
        if asking.recorded == Some(false) {
            asking.stage = Stage::Recording;
            let (event, title) = (asking.event, title(&asking.request));
            let (terminal, size) = (self.terminal.clone(), self.size);
            return self.outputs.push_back(Output::Record(Frame::Start { event, title, terminal, size }));
        }
        if asking.recorded.is_some() {
            self.recording = true;
        }
        // A signal has no reply (RFC 4254 section 6.9).
        if let Request::Signal(_) = request {
            let (event, want_reply) = (asking.event, asking.want_reply);
            self.asking = None;
            self.send(Side::Upstream, Message::Request { request, want_reply: false });
            self.finish(event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
            return self.reply(want_reply, true);
        }
        asking.stage = Stage::Answering;
        // From here on the target may use it, whatever it answers.
        if let Request::AgentForwarding | Request::X11 { .. } = request {
            let about = Arc::clone(&asking.about);
            self.grant(about);
        }
        self.send(Side::Upstream, Message::Request { request, want_reply: true });
    }

    /// A recording has begun.
    pub(super) fn recorded(&mut self, event: EventId) {
        let begins = |asking: &&mut Asking| asking.event == event && asking.stage == Stage::Recording;
        if let Some(asking) = self.asking.as_mut().filter(begins) {
            asking.recorded = Some(true);
            asking.stage = Stage::Connecting;
            if self.terminal.is_some() {
                self.tell("what is shown here is recorded");
            }
            self.send_on();
        }
    }

    /// A permit is of no use: what it asks for can not be done for this request.
    fn give_up(&mut self, rejection: &Rejection) {
        let Some(asking) = self.asking.take() else { return };
        self.refused(asking.event, rejection.code);
        self.withdraw(&asking, &telling::rejected(rejection), NOT_PERMITTED);
    }

    /// The target has answered the request that was sent to it.
    pub(super) fn answered(&mut self, done: bool) {
        let Some(asking) = self.asking.take_if(|asking| asking.stage == Stage::Answering) else { return };
        let Asking { request, about, plan, want_reply, event, .. } = asking;
        self.reply(want_reply, done);
        if !done {
            if self.running.is_none() {
                self.record(Frame::End);
                self.recording = false;
            }
            let code = Some(Arc::from("ssh.request_failed"));
            return self
                .finish(event, Outcome { result: OutcomeResult::Error, code, ..Outcome::default() });
        }
        match request {
            // Over when it has ended.
            Request::Exec(_) | Request::Shell | Request::Subsystem(_) => {
                self.running = Some(Running { plan, ..self.started(event, about) });
                if is_sftp(&request) {
                    self.files = Some(Box::default());
                }
                return;
            }
            Request::Pty { terminal, size, .. } => {
                self.terminal = Some(terminal);
                self.size = size.of_characters();
            }
            Request::Env { name, value } => self.environment.push((name, value)),
            _ => {}
        }
        self.finish(event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
    }

    /// Was `sftp` asked for, and has not started?
    pub(super) fn starts_files(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| is_sftp(&asking.request))
    }

    /// The request that is dealt with is refused.
    pub(super) fn denied(&mut self, denial: &Denial) {
        let Some(asking) = self.asking.take_if(|asking| asking.event == denial.event) else { return };
        let text = telling::denied(denial, self.seed.session);
        self.withdraw(&asking, &text, NOT_PERMITTED);
    }

    /// Tells the client that a request is not done.
    ///
    /// To a program, what may not run is something that ended at once: with a failure of the request, OpenSSH and others
    /// show nothing of the reason and no status. Of what only prepares (a variable, a terminal), clients expect that some is
    /// refused, and nobody wants to read a line about each.
    pub(super) fn withdraw(&mut self, asking: &Asking, text: &str, status: u32) {
        match asking.request {
            Request::Exec(_) | Request::Shell | Request::Subsystem(_) => {
                self.reply(asking.want_reply, true);
                self.tell(text);
                self.send(Side::Downstream, Message::ExitStatus(status));
                self.send(Side::Downstream, Message::Eof);
                self.end();
            }
            _ => self.reply(asking.want_reply, false),
        }
    }
}

fn is_sftp(request: &Request) -> bool {
    matches!(request, Request::Subsystem(name) if **name == *sftp::SUBSYSTEM)
}

/// What a recording is called: of a command its program, because arguments may be secrets.
fn title(request: &Request) -> Arc<str> {
    match request {
        Request::Exec(text) => {
            let words = command::read(text).and_then(|command| command.words);
            words
                .and_then(|words| words.into_iter().next())
                .unwrap_or_else(|| Arc::from("a command of a shell"))
        }
        Request::Subsystem(name) => Arc::clone(name),
        _ => Arc::from("shell"),
    }
}
