//! What the exchanges of one connection have to say to whoever serves it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::metrics::ConnectionGuard;

/// One connection of a client.
#[derive(Debug)]
pub(super) struct Line {
    begun: AtomicU64,
    open: AtomicUsize,
    cut: Notify,
    /// It is open for as long as anything holds it: also after hyper has let go of it, when protocols were switched.
    _counted: ConnectionGuard,
}

/// One exchange of it that is not over.
#[derive(Debug)]
pub(super) struct Busy(Arc<Line>);

impl Line {
    pub(super) fn new(counted: ConnectionGuard) -> Self {
        Self { begun: AtomicU64::new(0), open: AtomicUsize::new(0), cut: Notify::new(), _counted: counted }
    }

    /// An exchange begins. It is over when what is returned is dropped.
    pub(super) fn begin(line: &Arc<Self>) -> Busy {
        line.begun.fetch_add(1, Ordering::Relaxed);
        line.open.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(line))
    }

    /// Exchanges that have begun so far.
    pub(super) fn exchanges(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Is there no exchange that is not over?
    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Waits until the connection is to be cut. One at a time may wait.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }
}

impl Busy {
    /// The connection is to be cut: its client does not take what is on its way, or what it was told last.
    pub(super) fn cut(&self) {
        self.0.cut.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
