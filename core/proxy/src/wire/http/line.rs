//! What the exchanges of one connection have to say to whoever serves it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::{metrics::ConnectionGuard, workers::Place};

/// One connection of a client.
#[derive(Debug)]
pub(super) struct Line {
    begun: AtomicU64,
    /// Those that were answered with anything but 401.
    proved: AtomicU64,
    open: AtomicUsize,
    /// The number of the first request whose end is in doubt.
    doubtful: AtomicU64,
    cut: Notify,
    /// How often its exchanges were polled without a reason.
    looks: AtomicU32,
    /// It is open for as long as anything holds it: also after hyper has let go of it, when protocols were switched.
    _counted: ConnectionGuard,
    _place: Option<Place>,
}

/// One exchange of it that is not over.
#[derive(Debug)]
pub(super) struct Busy {
    line: Arc<Line>,
    number: u64,
}

impl Line {
    pub(super) fn new(counted: ConnectionGuard, place: Option<Place>) -> Self {
        Self {
            begun: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            doubtful: AtomicU64::new(u64::MAX),
            cut: Notify::new(),
            looks: AtomicU32::new(0),
            _counted: counted,
            _place: place,
        }
    }

    /// An exchange begins. It is over when what is returned is dropped.
    pub(super) fn begin(line: &Arc<Self>) -> Busy {
        let number = line.begun.fetch_add(1, Ordering::Relaxed);
        line.open.fetch_add(1, Ordering::Relaxed);
        Busy { line: Arc::clone(line), number }
    }

    /// The request of this number, counted from zero, says twice where it ends.
    pub(super) fn doubt(&self, number: u64) {
        self.doubtful.fetch_min(number, Ordering::Relaxed);
    }

    /// Does this one, or one before it?
    pub(super) fn is_doubtful(&self, number: u64) -> bool {
        number >= self.doubtful.load(Ordering::Relaxed)
    }

    /// Exchanges so far of somebody who had proved who they are. Others are no reason to stay open.
    pub(super) fn exchanges(&self) -> u64 {
        self.proved.load(Ordering::Relaxed)
    }

    /// Is there no exchange that is not over?
    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Its exchanges are about to be polled, so that they see what nobody wakes them for.
    pub(super) fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the connection is to be cut. One at a time may wait.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Busy {
    /// Is it in doubt where its request ends?
    pub(super) fn is_doubtful(&self) -> bool {
        self.line.is_doubtful(self.number)
    }

    /// How often the exchanges of its connection were polled without a reason.
    pub(super) fn looks(&self) -> u32 {
        self.line.looks.load(Ordering::Relaxed)
    }

    /// Its client has proved who it is.
    pub(super) fn prove(&self) {
        self.line.proved.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection is to be cut: its client does not take what is on its way, or what it was told last.
    pub(super) fn cut(&self) {
        self.line.cut.notify_one();
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.line.open.fetch_add(1, Ordering::Relaxed);
        Self { line: Arc::clone(&self.line), number: self.number }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.line.open.fetch_sub(1, Ordering::Relaxed);
    }
}
