//! Moments that a session waits for: its end, silence, and a client that takes nothing. Timers are set where somebody waits for them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use gatewright_model::session::Side;
use tokio::time::{Sleep, sleep, sleep_until};

use super::{Driver, HIGH_WATER, Happened};
use crate::{
    give_back,
    wire::{Pipe as _, Wire},
};

/// What waits for a client and can not be written. There is none, and no timer, while a client takes what is sent.
pub(super) struct Backlog {
    /// Bytes that it had taken when it took the last ones.
    taken: u64,
    /// When it is left, unless it takes more.
    end: Deadline,
}

/// A look at whether the session is idle.
pub(super) struct Rest {
    pub(super) at: Pin<Box<Sleep>>,
    /// Events there had been when it was set: if there are more by then, the session is not.
    events: u64,
}

/// A moment that something waits for. Its timer is set when somebody has to wait for it.
pub(super) struct Deadline {
    pub(super) at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) const fn at(at: Instant) -> Self {
        Self { at, timer: None }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let at = self.at.into();
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(at))).as_mut().poll(context)
    }
}

impl Rest {
    pub(super) fn after(events: u64) -> Self {
        Self { at: Box::pin(sleep(IDLE)), events }
    }
}

/// A session without an event for so long is idle; for up to twice as long it may be taken for active.
const IDLE: Duration = Duration::from_secs(5);

impl<W: Wire> Driver<W> {
    /// Has a moment come? Asked by nobody who is not looked at again: no timer is set.
    pub(super) fn look(&self) -> Poll<Happened<W::Unit>> {
        let now = Instant::now();
        let past =
            |deadline: &Option<Deadline>| deadline.as_ref().is_some_and(|deadline| now >= deadline.at);
        if past(&self.expiry) {
            return Poll::Ready(Happened::Expired);
        }
        if self.is_to_wake() && past(&self.wake) { Poll::Ready(Happened::Woken) } else { Poll::Pending }
    }

    /// Is the silence of a target its own?
    fn is_to_wake(&self) -> bool {
        !self.session.wakes_in_silence() || self.queued(Side::Downstream) < HIGH_WATER
    }

    pub(super) fn poll_deadlines(&mut self, context: &mut Context<'_>) -> Poll<Happened<W::Unit>> {
        let is_to_wake = self.is_to_wake();
        let mut past = |deadline: &mut Option<Deadline>| {
            deadline.as_mut().is_some_and(|deadline| deadline.poll(context).is_ready())
        };
        if past(&mut self.expiry) {
            return Poll::Ready(Happened::Expired);
        }
        if is_to_wake && past(&mut self.wake) {
            return Poll::Ready(Happened::Woken);
        }
        match &mut self.backlog {
            Some(backlog) => backlog.end.poll(context).map(|()| Happened::Stalled),
            None => Poll::Pending,
        }
    }

    /// The client takes what is sent, or is `slow`.
    pub(super) fn watch(&mut self, slow: bool) {
        let Some(patience) = self.wire.patience().filter(|_| slow) else {
            self.backlog = None;
            return;
        };
        let taken = self.offered.saturating_sub(self.queued(Side::Downstream) as u64);
        if self.backlog.as_ref().is_none_or(|backlog| backlog.taken != taken) {
            let end = Deadline::at(Instant::now() + patience);
            self.backlog = Some(Backlog { taken, end });
        }
    }

    pub(super) fn rest(&mut self) {
        let (Some(rest), Some(enforcer)) = (self.rest.take(), &self.enforcer) else { return };
        if rest.events != enforcer.events() {
            self.rest = Some(Rest::after(enforcer.events()));
        } else {
            enforcer.rest();
            self.downstream.iter_mut().for_each(|pipe| pipe.rest());
            self.upstream.iter_mut().for_each(|pipe| pipe.rest());
            give_back::soon();
        }
    }
}
