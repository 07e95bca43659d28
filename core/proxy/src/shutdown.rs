//! Ending in good order: signals, and a drain that waits for sessions and then stops waiting.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// The signals that the gateway listens to.
///
/// They are taken from the moment this is made, so a SIGTERM during start is not lost.
pub struct Signals {
    hangups: watch::Receiver<u64>,
    stops: watch::Receiver<u64>,
}

impl Signals {
    /// Takes SIGTERM and SIGINT (stop) and SIGHUP (read certificates again).
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let (hangup_sender, hangups) = watch::channel(0);
        let (stop_sender, stops) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => stop_sender.send_modify(|count| *count += 1),
                    _ = interrupt.recv() => stop_sender.send_modify(|count| *count += 1),
                    _ = hangup.recv() => hangup_sender.send_modify(|count| *count += 1),
                }
            }
        });
        Ok(Self { hangups, stops })
    }

    /// Changes with each SIGHUP: for [`crate::tls::watch`].
    pub fn hangups(&self) -> watch::Receiver<u64> {
        self.hangups.clone()
    }

    /// Waits for the next SIGTERM or SIGINT that was not waited for yet.
    pub async fn stop(&mut self) {
        // The task that sends never ends before the runtime does.
        let _ = self.stops.changed().await;
    }
}

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serve,
    Drain,
    End,
}

/// The one who decides that sessions end.
#[derive(Debug)]
pub struct Drain {
    phase: watch::Sender<Phase>,
}

/// Held by each session for as long as it lives: it tells the session to end, and its drop tells
/// [`Drain::finish`] that it has.
#[derive(Debug, Clone)]
pub struct DrainGuard {
    phase: watch::Receiver<Phase>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Serve) }
    }
}

impl Drain {
    /// A guard for one session.
    pub fn guard(&self) -> DrainGuard {
        DrainGuard { phase: self.phase.subscribe() }
    }

    /// How many sessions hold a guard.
    pub fn open(&self) -> usize {
        self.phase.receiver_count()
    }

    /// Has draining begun? New work is refused from then on.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Serve
    }

    /// Asks every session to end at its next quiet point, waits for at most `limit` or until `hurry`
    /// is ready, then tells the rest to end at once and waits for at most `last`.
    ///
    /// Returns how many sessions did not end.
    pub async fn finish(&self, limit: Duration, hurry: impl Future<Output = ()>, last: Duration) -> usize {
        self.phase.send_replace(Phase::Drain);
        tokio::select! {
            () = self.phase.closed() => return 0,
            () = tokio::time::sleep(limit) => {}
            () = hurry => {}
        }
        self.phase.send_replace(Phase::End);
        let _ = tokio::time::timeout(last, self.phase.closed()).await;
        self.open()
    }
}

impl DrainGuard {
    /// Waits until sessions are asked to end at their next quiet point.
    pub async fn drained(self) {
        self.reached(Phase::Drain).await;
    }

    /// Waits until sessions have to end at once.
    pub async fn ended(self) {
        self.reached(Phase::End).await;
    }

    /// Are sessions asked to end at their next quiet point?
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Drain
    }

    /// Do sessions have to end at once?
    pub fn is_ending(&self) -> bool {
        *self.phase.borrow() >= Phase::End
    }

    async fn reached(mut self, phase: Phase) {
        // An error means that the `Drain` is gone, and with it whoever could want the session to go on.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn f029_sessions_that_end_by_themselves_are_waited_for() {
        let drain = Drain::default();
        let session = tokio::spawn(drain.guard().drained());
        assert!(!drain.is_draining());
        assert_eq!(drain.finish(LONG, std::future::pending(), LONG).await, 0);
        assert!(drain.is_draining());
        session.await.unwrap();
    }

    #[tokio::test]
    async fn f029_sessions_that_do_not_are_told_to_end_at_once() {
        let drain = Drain::default();
        let session = tokio::spawn(drain.guard().ended());
        assert_eq!(drain.finish(Duration::ZERO, std::future::pending(), LONG).await, 0);
        session.await.unwrap();
    }

    #[tokio::test]
    async fn f029_a_second_signal_ends_the_wait() {
        let drain = Drain::default();
        let _deaf = drain.guard();
        assert_eq!(drain.finish(LONG, std::future::ready(()), Duration::ZERO).await, 1);
    }

    #[tokio::test]
    async fn nothing_to_wait_for() {
        assert_eq!(Drain::default().finish(LONG, std::future::pending(), LONG).await, 0);
    }
}
