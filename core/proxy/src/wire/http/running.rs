//! An exchange under way.

use std::{future::poll_fn, pin::Pin};

use tokio::{
    runtime::Handle,
    sync::oneshot::{self, error::RecvError},
};

/// A future that runs on its caller's task until that has what it waits for, and on a task of its own from then on. Most
/// answers are short, and complete with their head: those never leave the task of their connection.
///
/// It is never dropped half-way. What was permitted gets its outcome on record, also where the client has left.
pub(super) struct Running<F: Future<Output = ()> + Send + 'static> {
    /// None: it is over.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()> + Send + 'static> Running<F> {
    pub(super) const fn new(future: Pin<Box<F>>) -> Self {
        Self { future: Some(future) }
    }

    /// Runs it here until `answered` is ready.
    pub(super) async fn until<T>(mut self, mut answered: oneshot::Receiver<T>) -> Result<T, RecvError> {
        poll_fn(|context| {
            if let Some(future) = &mut self.future
                && future.as_mut().poll(context).is_ready()
            {
                self.future = None;
            }
            Pin::new(&mut answered).poll(context)
        })
        .await
    }
}

impl<F: Future<Output = ()> + Send + 'static> Drop for Running<F> {
    fn drop(&mut self) {
        // Without a runtime, the process is ending.
        if let (Some(future), Ok(runtime)) = (self.future.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f002_what_was_begun_goes_on_where_nobody_waits_for_it() {
        let (begun, when_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let (ended, when_ended) = oneshot::channel();
        let running = Running::new(Box::pin(async move {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
            ended.send(()).unwrap();
        }));
        running.until(when_begun).await.unwrap();
        go_on.send(()).unwrap();
        when_ended.await.unwrap();
    }

    #[tokio::test]
    async fn what_ends_before_it_has_answered_is_no_answer() {
        let (answer, answered) = oneshot::channel::<()>();
        assert!(Running::new(Box::pin(async move { drop(answer) })).until(answered).await.is_err());
    }
}
