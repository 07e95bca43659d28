//! What a program writes, and what is said of its end: searched, recorded and passed on in this order.

use std::time::Instant;

use gatewright_model::{
    recording::Frame,
    session::{Output, Side},
};

use super::{Channel, Running};
use crate::{message::Message, output::Masks};

impl Channel {
    /// What the target writes, as far as it is not hidden.
    pub(super) fn show(&mut self, now: Instant, message: Message) {
        let shown = match &mut self.masks {
            Some(masks) => masks.pass(now, message),
            None => Some(message),
        };
        self.pass_on(shown);
    }

    /// Shows what is held and has waited long enough; without an instant, all of it.
    pub(super) fn let_go(&mut self, now: Option<Instant>) {
        let shown = self.masks.as_mut().map(|masks| masks.let_go(now));
        self.pass_on(shown.into_iter().flatten());
    }

    pub(super) fn pass_on(&mut self, shown: impl IntoIterator<Item = Message>) {
        for message in shown {
            if let Message::Data(data) | Message::ExtendedData(_, data) = &message {
                self.record(Frame::Output(data.clone()));
            }
            self.send(Side::Downstream, message);
        }
        self.come_back();
        if self.masks.as_ref().and_then(Masks::due).is_none()
            && let Some(message) = self.parting.take()
        {
            self.send(Side::Downstream, message);
            self.end_output();
        }
    }

    /// How it ended is said behind what it wrote. A server says so when the program has ended, though it may have more of its
    /// output: nothing is let go for that.
    pub(super) fn part(&mut self, message: Message) {
        self.parting = Some(message);
        self.pass_on(None);
    }

    /// Before whatever is sent next.
    pub(super) fn record(&mut self, frame: Frame) {
        if self.recording {
            self.outputs.push_back(Output::Record(frame));
        }
    }

    /// The driver comes back when something that is held has waited long enough.
    pub(super) fn come_back(&mut self) {
        if let Some(due) = self.masks.as_ref().and_then(Masks::due)
            && self.wake.is_none_or(|wake| due < wake)
        {
            self.wake = Some(due);
            self.outputs.push_back(Output::Wake(due));
        }
    }

    /// Does a program go on whose output has ended?
    pub(super) fn outlives_output(&mut self) -> bool {
        let Some(running) = &mut self.running else { return false };
        running.is_silent = running.is_program && running.outcome.is_none();
        running.is_silent
    }

    /// Tells the client that the output has ended, if that waited.
    pub(super) fn end_output(&mut self) {
        let waits = |running: &mut Running| std::mem::take(&mut running.is_silent);
        if self.running.as_mut().is_some_and(waits) {
            self.send(Side::Downstream, Message::Eof);
        }
    }
}
