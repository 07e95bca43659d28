//! What the gateway asks a target for itself, beside the sessions: on a connection that lasts as long as the question.
//!
//! Sessions that want the same of a target at a time share one errand. It belongs to none of them: whoever sent it first may
//! leave.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gatewright_model::session::{Errand, Input, Output, Session, Side};
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

use crate::{config::Target, transport::Connection, upstream, wire::Pipe};

/// The errands of one listener.
#[derive(Debug, Default, Clone)]
pub struct Errands(Arc<Mutex<Running>>);

/// Those that are not over, by target and key.
type Running = HashMap<Name, watch::Receiver<()>>;
type Name = (Arc<str>, Arc<str>);

/// How long the target may take.
const PATIENCE: Duration = Duration::from_secs(20);

impl Errands {
    /// Sends the errand, unless it is under way already. The future ends when it is over, whatever came of it.
    pub fn run(
        &self,
        target: &Arc<Target>,
        errand: Errand<Bytes>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Errand { key, session } = errand;
        let name = (Arc::clone(&target.name), key);
        let mut over = {
            let mut running = self.0.lock();
            running.get(&name).cloned().unwrap_or_else(|| {
                let (alive, over) = watch::channel(());
                running.insert(name.clone(), over.clone());
                let entry = Entry { running: Arc::clone(&self.0), name, _alive: alive };
                tokio::spawn(send(Arc::clone(target), session, entry));
                over
            })
        };
        Box::pin(async move {
            // Nothing is ever said on it: that its other end is gone is what is waited for.
            let _ = over.changed().await;
        })
    }
}

/// That an errand is under way.
struct Entry {
    running: Arc<Mutex<Running>>,
    name: Name,
    _alive: watch::Sender<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.lock().remove(&self.name);
    }
}

async fn send(target: Arc<Target>, session: Box<dyn Session<Unit = Bytes>>, entry: Entry) {
    let carried_out = timeout(PATIENCE, carry_out(&target, session)).await;
    if let Err(error) = carried_out.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        let code = upstream::failure_code(&error);
        tracing::warn!(%error, code, target = %target.name, "the gateway could not ask the target by itself");
    }
    drop(entry);
}

async fn carry_out(target: &Target, mut session: Box<dyn Session<Unit = Bytes>>) -> io::Result<()> {
    let mut pipe = upstream::connect(target).await?;
    let mut input = Input::Connected(upstream::account(target));
    loop {
        session.handle_input(Instant::now(), input).map_err(io::Error::other)?;
        let mut secured = None;
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send { side: Side::Upstream, unit } => pipe.queue(unit),
                Output::StartTls { side: Side::Upstream } => {
                    let (with_tls, tls) = upstream::secure(pipe, target).await?;
                    pipe = with_tls;
                    secured = Some(Input::Secured { side: Side::Upstream, tls });
                }
                Output::Close { .. } => {
                    pipe.close().await;
                    return Ok(());
                }
                _ => return Err(io::Error::other("an errand asked for what only a session may have")),
            }
        }
        input = match secured {
            Some(secured) => secured,
            None => heard(&mut pipe).await?,
        };
    }
}

/// Writes what is queued, and waits until something has come.
async fn heard(pipe: &mut Connection) -> io::Result<Input<Bytes>> {
    let side = Side::Upstream;
    poll_fn(|context| {
        if let Poll::Ready(Err(error)) = pipe.poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        let read = ready!(pipe.poll_read(context))?;
        Poll::Ready(Ok(read.map_or(Input::Closed { side }, |unit| Input::Data { side, unit })))
    })
    .await
}
