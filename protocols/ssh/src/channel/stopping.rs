//! What runs is ended when its client has left or may not go on.
//!
//! A server lets a program go on whose channel is closed, until it writes something. So it is sent a signal, and the target's channel stays open
//! until the target says that it has ended. The signal is sent again and again: one that comes while the program is being started reaches nobody
//! (OpenSSH's server signals a group of processes that is not there yet).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gatewright_model::session::{Input, Output, Side};

use super::{Channel, Phase, asking::Stage};
use crate::message::{Message, Request};

/// How something is being ended.
#[derive(Debug)]
pub(super) struct Stopping {
    signal: Arc<str>,
    tries: usize,
}

/// How long after the one before a signal is sent again; after the last one, the channel is closed. What is to outlive its client has said
/// so by then (`nohup`).
const AGAIN: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(700),
];

impl Channel {
    /// Sends a signal to the program that runs, if one does.
    ///
    /// `HUP` where the client has left, as a terminal would: what is to outlive that can say so.
    pub(super) fn stop(&mut self, signal: &str) {
        let runs =
            self.running.as_ref().is_some_and(|running| running.is_program && running.outcome.is_none());
        // Sent and not answered: it runs, or is about to.
        let is_begun = self.asking.as_ref().is_some_and(|asking| {
            let starts =
                matches!(asking.request, Request::Exec(_) | Request::Shell | Request::Subsystem(_));
            starts && asking.stage == Stage::Answering
        });
        if runs || is_begun {
            let signal = Arc::from(signal);
            self.signal(&signal);
            self.stopped_by = Some(signal);
        }
    }

    fn signal(&mut self, signal: &Arc<str>) {
        let request = Request::Signal(Arc::clone(signal));
        self.send(Side::Upstream, Message::Request { request, want_reply: false });
    }

    /// The client's side is closed: what is left of the channel.
    pub(super) fn stay_until_it_stops(&mut self) -> Phase {
        match (self.stopped_by.take(), self.now) {
            (Some(signal), Some(now)) => self.wait_for_it(now, Stopping { signal, tries: 0 }),
            _ => self.leave(),
        }
    }

    /// Something happened meanwhile.
    pub(super) fn stops(&mut self, now: Instant, stopping: Stopping, input: &Input<Message>) -> Phase {
        match input {
            Input::Closed { side: Side::Upstream }
            | Input::Data { side: Side::Upstream, unit: Message::ExitStatus(_) | Message::ExitSignal { .. } }
            // It was not started.
            | Input::Data { side: Side::Upstream, unit: Message::Failure } => self.leave(),
            Input::Timeout => {
                let stopping = Stopping { tries: stopping.tries + 1, ..stopping };
                self.signal(&stopping.signal);
                self.wait_for_it(now, stopping)
            }
            _ => Phase::Stopping(stopping),
        }
    }

    fn wait_for_it(&mut self, now: Instant, stopping: Stopping) -> Phase {
        let Some(pause) = AGAIN.get(stopping.tries) else { return self.leave() };
        self.outputs.push_back(Output::Wake(now + *pause));
        Phase::Stopping(stopping)
    }

    fn leave(&mut self) -> Phase {
        self.outputs.push_back(Output::Close { side: Side::Upstream });
        Phase::Over
    }
}
