//! Waiting for what seldom happens, beside something that is polled all the time.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;

/// A future that is polled when it has asked for it, and not each time its task is polled for another reason.
pub(super) struct Seldom<F> {
    future: F,
    asked: Arc<Asked>,
    waker: Waker,
}

struct Asked {
    /// It wants to be polled.
    is: AtomicBool,
    /// The task that polls it.
    task: Mutex<Waker>,
}

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is.store(true, Ordering::Release);
        self.task.lock().wake_by_ref();
    }
}

impl<F: Future + Unpin> Seldom<F> {
    pub(super) fn new(future: F) -> Self {
        let asked = Arc::new(Asked { is: AtomicBool::new(true), task: Mutex::new(Waker::noop().clone()) });
        let waker = Waker::from(Arc::clone(&asked));
        Self { future, asked, waker }
    }

    /// The future, to be changed: it is polled again.
    pub(super) fn change(&mut self) -> &mut F {
        self.asked.is.store(true, Ordering::Relaxed);
        &mut self.future
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            // Before the look: whoever asks after it wakes this task.
            let mut task = self.asked.task.lock();
            if !task.will_wake(context.waker()) {
                task.clone_from(context.waker());
            }
        }
        if !self.asked.is.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&self.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_when_it_asks_and_not_before() {
        let (tell, mut told) = oneshot::channel();
        let polls = AtomicUsize::new(0);
        let mut seldom = Seldom::new(poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut told).poll(context)
        }));
        for _ in 0..3 {
            let polled = poll_fn(|context| Poll::Ready(seldom.poll(context).is_ready())).await;
            assert!(!polled);
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let telling = tokio::spawn(async move { tell.send(7).unwrap() });
        assert_eq!(poll_fn(|context| seldom.poll(context)).await, Ok(7));
        assert_eq!(polls.load(Ordering::Relaxed), 2);
        telling.await.unwrap();
    }
}
