//! What leads from a target to the client: ports and sockets that the target listens on, the client's agent, its display.
//!
//! A client asks for it, and policies decide ([`Forwards`] is the wire of a request for a port or a socket, which belongs to no channel). From
//! then on the target opens channels, and each that was granted is led on to the client. What nobody asked for is refused.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use gatewright_model::session::TlsInfo;
use gatewright_ssh::message::{Message, Open};
use parking_lot::Mutex;
use russh::{
    Channel, ChannelOpenFailure, client,
    server::{self, GlobalReplyHandle},
};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::{side::Side, target::Link};
use crate::{
    config::Target,
    wire::{Pipe, Wire, WithTurn},
};

/// Leave for a target to open channels to the client.
#[derive(Default)]
pub(super) struct Grants {
    client: OnceLock<server::Handle>,
    granted: Mutex<Vec<Grant>>,
    /// Channels of the target's that are open, or being opened.
    open: AtomicUsize,
}

struct Grant {
    origin: Origin,
    /// Only one channel may be opened.
    is_for_one: bool,
    /// Cancelled when what it was asked for is over.
    until: CancellationToken,
}

/// Where a channel comes from that a target opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A port of the target's: the address as the client wrote it, and the port.
    Port(String, u32),
    /// A socket in the target's file system.
    Socket(String),
    /// What runs asks for keys.
    Agent,
    /// What runs shows something.
    X11,
}

/// A channel that is led on to the client.
struct LedOn(Arc<Grants>);

impl Drop for LedOn {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Channels that a target may have open to one client at one time.
const MOST_LED_ON: usize = 256;

/// How long a client may take to accept a channel.
const PATIENCE: Duration = Duration::from_secs(30);

/// A side is not read while this many bytes wait to be written to the other, in bytes.
const HIGH_WATER: usize = 256 << 10;

impl Grants {
    /// Whom channels are led on to.
    pub(super) fn lead_to(&self, client: server::Handle) {
        let _ = self.client.set(client);
    }

    /// The target may open channels of this origin until then.
    pub(super) fn grant(&self, origin: Origin, until: CancellationToken) {
        self.add(Grant { origin, is_for_one: false, until });
    }

    /// The target may open one channel of this origin until then.
    pub(super) fn grant_one(&self, origin: Origin, until: CancellationToken) {
        self.add(Grant { origin, is_for_one: true, until });
    }

    fn add(&self, grant: Grant) {
        let mut granted = self.granted.lock();
        granted.retain(|grant| !grant.until.is_cancelled());
        granted.push(grant);
    }

    fn find(&self, origin: &Origin) -> Option<CancellationToken> {
        let mut granted = self.granted.lock();
        let is_good = |grant: &Grant| grant.origin == *origin && !grant.until.is_cancelled();
        let place = granted.iter().position(is_good)?;
        let grant = granted.get(place)?;
        let until = grant.until.clone();
        if grant.is_for_one {
            granted.remove(place);
        }
        Some(until)
    }

    /// A place for one more channel. None: there are too many.
    fn take_place(self: &Arc<Self>) -> Option<LedOn> {
        let place = LedOn(Arc::clone(self));
        (self.open.fetch_add(1, Ordering::Relaxed) < MOST_LED_ON).then_some(place)
    }

    /// Leads a channel on that a target wants to open, if the client was granted it. `from` is who connected to the target.
    pub(super) fn lead_on(
        self: &Arc<Self>,
        origin: Origin,
        from: (String, u32),
        channel: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
    ) {
        let (Some(until), Some(client)) = (self.find(&origin), self.client.get().cloned()) else {
            tracing::warn!(?origin, "a target wanted to open a channel that nobody was granted");
            tokio::spawn(reply.reject(ChannelOpenFailure::AdministrativelyProhibited));
            return;
        };
        let Some(place) = self.take_place() else {
            tokio::spawn(reply.reject(ChannelOpenFailure::ResourceShortage));
            return;
        };
        let grants = Arc::clone(self);
        tokio::spawn(async move {
            let _place = place;
            let opening = async {
                match origin {
                    Origin::Port(address, port) => {
                        client.channel_open_forwarded_tcpip(address, port, from.0, from.1).await
                    }
                    Origin::Socket(path) => client.channel_open_forwarded_streamlocal(path).await,
                    Origin::Agent => client.channel_open_agent().await,
                    Origin::X11 => client.channel_open_x11(from.0, from.1).await,
                }
            };
            let Ok(Ok(to_client)) = timeout(PATIENCE, opening).await else {
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            };
            reply.accept().await;
            let (read, write) = to_client.split();
            let downstream = Side::of_open_client(read, write, client);
            let (read, write) = channel.split();
            let upstream = Side::of_target(read, write, grants);
            relay(downstream, upstream, until).await;
        });
    }
}

/// Carries what both say to the other, until both have said all or the leave ends.
async fn relay(mut one: Side, mut other: Side, until: CancellationToken) {
    let mut over = Box::pin(until.cancelled_owned());
    let mut said_all = [false; 2];
    poll_fn(|context| {
        if over.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let [first, second] = &mut said_all;
        let ended =
            carry(&mut one, &mut other, first, context) || carry(&mut other, &mut one, second, context);
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let _ = timeout(PATIENCE, async {
        one.close().await;
        other.close().await;
    })
    .await;
}

/// `true`: one of them has closed the channel.
fn carry(from: &mut Side, to: &mut Side, said_all: &mut bool, context: &mut Context<'_>) -> bool {
    loop {
        if matches!(to.poll_flush(context), Poll::Ready(Err(_))) {
            return true;
        }
        if *said_all || to.queued() >= HIGH_WATER {
            return false;
        }
        match from.poll_read(context) {
            Poll::Pending => return false,
            Poll::Ready(Ok(Some(message @ (Message::Data(_) | Message::ExtendedData(..))))) => {
                to.queue(message)
            }
            Poll::Ready(Ok(Some(Message::Eof))) => {
                *said_all = true;
                to.queue(Message::Eof);
            }
            Poll::Ready(Ok(Some(_))) => {}
            Poll::Ready(Ok(None) | Err(_)) => return true,
        }
    }
}

/// The two sides of a request for a port or a socket of the target's.
pub(in crate::wire) struct Forwards {
    /// What is asked for.
    pub(super) open: Open,
    pub(super) link: Arc<Link>,
    pub(super) bound: Arc<Bound>,
}

/// The port that the target has chosen, where the client has left that open.
#[derive(Debug, Default)]
pub(super) struct Bound(OnceLock<u32>);

impl Bound {
    /// None: there was nothing to choose, or it was not chosen yet.
    pub(super) fn port(&self) -> Option<u32> {
        self.0.get().copied()
    }
}

impl Wire for Forwards {
    const SHARES_SESSIONS: bool = true;
    const WITH_TURN: WithTurn = WithTurn::None;

    type Unit = Message;
    type Downstream = Asked;
    type Upstream = Granted;

    async fn connect(&self, target: &Arc<Target>) -> io::Result<Granted> {
        let until = CancellationToken::new();
        let guard = until.clone().drop_guard();
        // It may be used the moment that the target listens. Of a port that the target chooses, the first who connects may be too early.
        let known = match &self.open {
            Open::TcpipForward { port: 0, .. } => None,
            Open::TcpipForward { address, port } => Some(Origin::Port(address.to_string(), *port)),
            Open::StreamlocalForward { path } => Some(Origin::Socket(path.to_string())),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let is_known = known.is_some();
        if let Some(origin) = known {
            self.link.grants().grant(origin, until.clone());
        }
        let gone = self.link.forward(target, &self.open, &self.bound.0).await?;
        if let (false, Open::TcpipForward { address, .. }, Some(port)) =
            (is_known, &self.open, self.bound.port())
        {
            self.link.grants().grant(Origin::Port(address.to_string(), port), until);
        }
        Ok(Granted {
            open: self.open.clone(),
            port: self.bound.port(),
            link: Arc::clone(&self.link),
            gone: Box::pin(gone.cancelled_owned()),
            _until: guard,
        })
    }

    async fn secure_downstream(&self, _: Asked) -> io::Result<(Asked, TlsInfo)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn secure_upstream(&self, _: Granted, _: &Target) -> io::Result<(Granted, TlsInfo)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The client's side: it has asked, and may take it back.
pub(in crate::wire) struct Asked {
    first: Option<Message>,
    reply: Option<GlobalReplyHandle>,
    bound: Arc<Bound>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Asked {
    /// `over` is cancelled when the client takes it back, or is gone.
    pub(super) fn new(
        open: Open,
        reply: GlobalReplyHandle,
        bound: Arc<Bound>,
        over: CancellationToken,
    ) -> Self {
        let over = Box::pin(over.cancelled_owned());
        Self { first: Some(Message::Open(open)), reply: Some(reply), bound, over }
    }
}

impl Pipe for Asked {
    type Unit = Message;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Ok(Some(first))),
            None => self.over.as_mut().poll(context).map(|()| Ok(None)),
        }
    }

    fn queue(&mut self, unit: Message) {
        match unit {
            Message::Accepted => {
                if let Some(reply) = self.reply.take() {
                    reply.success(self.bound.port());
                }
            }
            Message::Refused(reason) => {
                tracing::debug!(%reason, "a forward was refused");
                // Dropped, it is a failure.
                self.reply = None;
            }
            // There is no channel on which more could be said.
            _ => {}
        }
    }

    fn queued(&self) -> usize {
        0
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever waits for a reviewer may leave.
        match self.over.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    async fn close(self) {}
}

/// The target's side: it listens, until this is dropped.
pub(in crate::wire) struct Granted {
    open: Open,
    port: Option<u32>,
    link: Arc<Link>,
    /// The connection to the target has ended.
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What was granted ends with this, and the connections that came of it.
    _until: DropGuard,
}

impl Pipe for Granted {
    type Unit = Message;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        self.gone.as_mut().poll(context).map(|()| Ok(None))
    }

    fn queue(&mut self, _: Message) {}

    fn queued(&self) -> usize {
        0
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    async fn close(self) {}
}

impl Drop for Granted {
    fn drop(&mut self) {
        let (link, open, port) = (Arc::clone(&self.link), self.open.clone(), self.port);
        tokio::spawn(async move { timeout(PATIENCE, link.cancel_forward(&open, port)).await });
    }
}
