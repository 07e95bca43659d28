//! How a protocol's units travel: all that the driver knows of a wire.
//!
//! A unit is bytes where the session cuts frames itself, and a message where a library does
//! ([`Session::Unit`](gatewright_model::session::Session::Unit)). The driver is the same for both.

pub mod http;
pub mod ssh;

use std::{
    future::ready,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_model::session::{Errand, TlsInfo};

use crate::{config::Target, listener::Door, transport::Connection, upstream};

/// Makes the two sides of a session.
pub trait Wire: Send + Sync {
    /// Are there several drivers to a connection, which share its sessions? Whoever serves it lets these rest.
    const SHARES_SESSIONS: bool;

    /// Which records may be written with those of the turn.
    const WITH_TURN: WithTurn;

    /// What travels.
    type Unit: Unit + 'static;
    /// The client's side.
    type Downstream: Pipe<Unit = Self::Unit>;
    /// The target's side.
    type Upstream: Pipe<Unit = Self::Unit>;

    /// How long a client may take nothing of what waits for it. None: whoever serves its connection sees to that.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Opens a side to a target.
    fn connect(&self, target: &Arc<Target>) -> impl Future<Output = io::Result<Self::Upstream>> + Send;

    /// The addresses of a place beyond the target, for protocols that lead there: what the next side to a target leads to. None: it has none.
    fn look_up(&self, host: &str) -> impl Future<Output = Arc<[IpAddr]>> + Send {
        let _ = host;
        ready(Arc::default())
    }

    /// Carries out what the gateway asks a target for itself, for protocols that do that.
    fn run_errand(
        &self,
        target: &Arc<Target>,
        errand: Errand<Self::Unit>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        drop((target, errand));
        Box::pin(ready(()))
    }

    /// Does a TLS handshake with the client, as the session asks where its protocol begins in the clear.
    fn secure_downstream(
        &self,
        pipe: Self::Downstream,
    ) -> impl Future<Output = io::Result<(Self::Downstream, TlsInfo)>> + Send;

    /// Does a TLS handshake with the target, likewise.
    fn secure_upstream(
        &self,
        pipe: Self::Upstream,
        target: &Target,
    ) -> impl Future<Output = io::Result<(Self::Upstream, TlsInfo)>> + Send;
}

/// Records of decisions that may be written together with those of the turn, because what they are about goes over a connection to a
/// target that waits for them ([`send_after_records`](Connection::send_after_records)). Where they can not be written, that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithTurn {
    /// None.
    None,
    /// Those before the session's connection to its target. Whatever is decided later is for the client, which waits for no records.
    BeforeConnecting,
    /// All of them.
    All,
}

/// What travels.
pub trait Unit: Send {
    /// Its length in bytes, for counters and for what may be work.
    fn size(&self) -> usize;
}

/// One side of a session.
pub trait Pipe: Send {
    /// What travels.
    type Unit;

    /// Reads what has arrived. `None`: the peer will send no more.
    ///
    /// # Errors
    ///
    /// The peer is gone.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Self::Unit>>>;

    /// Nothing is expected for a while: what was kept for reading may be given back.
    fn rest(&mut self) {}

    /// Puts `unit` behind what is already waiting to be written.
    fn queue(&mut self, unit: Self::Unit);

    /// Bytes that wait to be written.
    fn queued(&self) -> usize;

    /// Writes what is queued, as far as the peer takes it. Ready when nothing is left.
    ///
    /// # Errors
    ///
    /// The peer is gone.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Is the driver polled once in a while, whatever happens? How often it was so far. Then it sets no timers and waits for no
    /// signals of its own: for what is short, these would be most of the work.
    fn looks(&self) -> Option<u32> {
        None
    }

    /// Says goodbye: writes what is queued, then closes.
    fn close(self) -> impl Future<Output = ()> + Send;
}

impl Unit for Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

/// Sockets, for sessions that cut frames themselves.
pub struct Sockets(pub Arc<Door>);

impl Wire for Sockets {
    const SHARES_SESSIONS: bool = false;
    const WITH_TURN: WithTurn = WithTurn::All;

    type Unit = Bytes;
    type Downstream = Connection;
    type Upstream = Connection;

    fn patience(&self) -> Option<Duration> {
        Some(self.0.listener.stall_timeout)
    }

    async fn connect(&self, target: &Arc<Target>) -> io::Result<Connection> {
        let connection = upstream::connect(target).await?;
        connection.send_after_records();
        Ok(connection)
    }

    fn run_errand(
        &self,
        target: &Arc<Target>,
        errand: Errand<Bytes>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.errands.run(target, errand)
    }

    async fn secure_downstream(&self, pipe: Connection) -> io::Result<(Connection, TlsInfo)> {
        match &self.0.listener.tls {
            Some(tls) => pipe.accept_tls(tls.server.config()).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn secure_upstream(
        &self,
        pipe: Connection,
        target: &Target,
    ) -> io::Result<(Connection, TlsInfo)> {
        upstream::secure(pipe, target).await
    }
}
