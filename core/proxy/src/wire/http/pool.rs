//! Connections to targets, and those that are used again.
//!
//! hyper's end of a connection is polled by whoever uses it, so that a request and its answer need no second task. While
//! one waits, nobody polls it: whether it is still good is found out when it is taken.
//!
//! A connection belongs to one target, and with it to the one account that the gateway has there, and to the TLS identity
//! under which it was opened. It waits here only after both messages on it have ended and hyper is ready for the next one;
//! whatever was left over on it has ended it by then (threats A64, A79).

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::{MOST_BUFFERED, body::Outgoing};
use crate::{
    config::{Target, TargetTls},
    upstream,
};

/// Connections that wait to be used again, by target.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    targets: HashMap<Arc<str>, Vec<Idle>>,
    /// Somebody looks after them.
    kept: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// A connection to a target.
pub(super) struct Link {
    pub(super) sender: SendRequest<Outgoing>,
    /// Has it carried a request before?
    pub(super) is_used: bool,
    opened: Instant,
    /// Whom the gateway trusts on it, and as whom.
    tls: Option<Arc<ClientConfig>>,
    /// hyper's end of it. None: it is closed, or was handed over.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

/// Connections of one target that wait at a time.
const MOST_IDLE: usize = 64;

/// How long one may wait: less than most servers keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// How old one may become. Then the target's name is looked up again (fault F36).
const OLDEST: Duration = Duration::from_secs(600);

/// How often it is looked for those that have waited for too long.
const LOOK: Duration = Duration::from_secs(5);

/// How long hyper may take to be ready for the next request, after the last one has ended.
const READY: Duration = Duration::from_secs(1);

impl Pool {
    /// One that was used for this target before.
    pub(super) fn take(&self, target: &Target) -> Option<Link> {
        let now = Instant::now();
        let mut shelf = self.idle.lock();
        let waiting = shelf.targets.get_mut(&target.name)?;
        // The one that was used last is the one that is least likely to be closed.
        while let Some(mut idle) = waiting.pop() {
            if idle.is_good(target, now) {
                return Some(idle.link);
            }
        }
        None
    }

    /// Keeps a connection whose messages have ended, as soon as hyper is ready for another one.
    pub(super) fn give(self: &Arc<Self>, target: &Arc<Target>, mut link: Link) {
        link.is_used = true;
        if link.is_ready() {
            return self.keep(target, link);
        }
        let (pool, target) = (Arc::clone(self), Arc::clone(target));
        tokio::spawn(async move {
            let ready = poll_fn(|context| {
                link.drive(context);
                link.sender.poll_ready(context)
            });
            if let Ok(Ok(())) = timeout(READY, ready).await {
                pool.keep(&target, link);
            }
        });
    }

    fn keep(self: &Arc<Self>, target: &Target, link: Link) {
        let now = Instant::now();
        let mut idle = Idle { link, since: now };
        let mut shelf = self.idle.lock();
        let waiting = shelf.targets.entry(Arc::clone(&target.name)).or_default();
        if !idle.is_good(target, now) || waiting.len() >= MOST_IDLE {
            return;
        }
        waiting.push(idle);
        if !std::mem::replace(&mut shelf.kept, true) {
            tokio::spawn(look_after(Arc::clone(self)));
        }
    }

    /// Closes those that have waited for too long. Is there any left?
    fn prune(&self, now: Instant) -> bool {
        let mut shelf = self.idle.lock();
        for waiting in shelf.targets.values_mut() {
            waiting.retain_mut(|idle| idle.link.is_ready() && idle.is_young(now));
        }
        shelf.kept = shelf.targets.values().any(|waiting| !waiting.is_empty());
        shelf.kept
    }
}

async fn look_after(pool: Arc<Pool>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !pool.prune(Instant::now()) {
            return;
        }
    }
}

impl Idle {
    fn is_young(&self, now: Instant) -> bool {
        let age = |since: Instant| now.saturating_duration_since(since);
        age(self.since) < IDLE && age(self.link.opened) < OLDEST
    }

    /// Can it be used for this target now? Not where its TLS identity has been replaced.
    fn is_good(&mut self, target: &Target, now: Instant) -> bool {
        let same = match (&self.link.tls, tls_of(target)) {
            (None, None) => true,
            (Some(own), Some(current)) => Arc::ptr_eq(own, &current),
            _ => false,
        };
        same && self.link.is_ready() && self.is_young(now)
    }
}

impl Link {
    /// Opens a connection, encrypted where the target wants that.
    pub(super) async fn open(target: &Target) -> io::Result<Self> {
        // Taken before the handshake: where it is replaced meanwhile, this connection is not used twice.
        let tls = tls_of(target);
        let connection = upstream::connect(target).await?;
        connection.send_after_records();
        let connection = match &target.tls {
            TargetTls::Off => connection,
            TargetTls::Verify { .. } => {
                let secured = timeout(target.connect_timeout, upstream::secure(connection, target));
                secured.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.0
            }
        };
        let mut client = http1::Builder::new();
        client.max_buf_size(MOST_BUFFERED);
        let shaken = client.handshake(TokioIo::new(connection.into_stream())).await;
        let (sender, connection) = shaken.map_err(io::Error::other)?;
        let connection: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(connection.with_upgrades());
        Ok(Self { sender, is_used: false, opened: Instant::now(), tls, connection: Some(connection) })
    }

    /// Reads and writes, as far as there is anything to. Whoever waits for something on this connection has to call it.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = connection.as_mut().poll(context)
        {
            self.connection = None;
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an HTTP target ended early");
            }
        }
    }

    /// Can it take a request?
    fn is_ready(&mut self) -> bool {
        // Nobody waits for what happens to it.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

fn tls_of(target: &Target) -> Option<Arc<ClientConfig>> {
    match &target.tls {
        TargetTls::Verify { client, .. } => Some(client.config()),
        TargetTls::Off => None,
    }
}
