//! Requests of an open channel: each is asked about, sent on and answered before the next one is looked at.

use std::sync::Arc;

use gatewright_model::{
    id::EventId,
    permit::{Denial, Permit},
    session::{Outcome, OutcomeResult, Side},
    ssh::SshRequest,
};

use super::{Channel, LARGEST_ENVIRONMENT, MOST_VARIABLES, NOT_PERMITTED, Running, unmaskable};
use crate::{
    command,
    message::{Message, Request},
    sftp, telling,
};

/// A request that is dealt with.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) request: Request,
    pub(super) want_reply: bool,
    pub(super) event: EventId,
    pub(super) stage: Stage,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Policies, and perhaps a person, decide.
    Waiting,
    /// It is permitted; the target's channel is being opened.
    Connecting,
    /// It was sent; the target has not answered.
    Answering,
}

impl Channel {
    /// Asks about a request, if it is one that can be asked about.
    pub(super) fn ask(&mut self, request: Request, want_reply: bool) {
        let about = match &request {
            // Uneventful: it says nothing but how large a window is.
            Request::WindowChange(_) => {
                if self.connected {
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
            // The first two need channels that the target opens: there are none yet.
            Request::AgentForwarding | Request::X11 | Request::Other(_) => None,
        };
        match about {
            Some(about) => {
                let event = self.decide(about);
                self.asking = Some(Asking { request, want_reply, event, stage: Stage::Waiting });
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
        let event = asking.event;
        if permit.consume().is_some_and(|masks| !masks.is_empty()) {
            self.refused(event, unmaskable().code);
            let Some(asking) = self.asking.take() else { return };
            return self.withdraw(&asking, &telling::rejected(&unmaskable()), NOT_PERMITTED);
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
        // A signal has no reply (RFC 4254 section 6.9).
        if let Request::Signal(_) = request {
            let (event, want_reply) = (asking.event, asking.want_reply);
            self.asking = None;
            self.send(Side::Upstream, Message::Request { request, want_reply: false });
            self.finish(event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
            return self.reply(want_reply, true);
        }
        asking.stage = Stage::Answering;
        self.send(Side::Upstream, Message::Request { request, want_reply: true });
    }

    /// The target has answered the request that was sent to it.
    pub(super) fn answered(&mut self, done: bool) {
        let Some(asking) = self.asking.take_if(|asking| asking.stage == Stage::Answering) else { return };
        let Asking { request, want_reply, event, .. } = asking;
        self.reply(want_reply, done);
        if !done {
            let code = Some(Arc::from("ssh.request_failed"));
            return self
                .finish(event, Outcome { result: OutcomeResult::Error, code, ..Outcome::default() });
        }
        match request {
            // Over when it has ended.
            Request::Exec(_) | Request::Shell | Request::Subsystem(_) => {
                self.running = Some(Running { event, is_program: true, outcome: None, is_silent: false });
                if is_sftp(&request) {
                    self.files = Some(Box::default());
                }
                return;
            }
            Request::Pty { terminal, .. } => self.terminal = Some(terminal),
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
