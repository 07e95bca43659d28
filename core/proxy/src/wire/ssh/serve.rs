//! A client's connection: who it is, and a driver for each channel that it opens.
//!
//! russh calls the handler within the loop of the connection: whatever it waits for, all channels wait for. So it waits for nothing
//! but the proof of an identity, before there is any channel; everything else is the business of the channels' own tasks.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use gatewright_masking::MaskKey;
use gatewright_model::{secret::Secret, session::Credential};
use gatewright_ssh::{
    channel::{self, Seed},
    message::Open,
};
use parking_lot::Mutex;
use russh::{
    Channel, ChannelOpenFailure, Disconnect, MethodKind, MethodSet, SshId,
    keys::PrivateKey,
    server::{
        Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Response, Session, run_stream,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{Channels, MESSAGES, PACKET, WINDOW, algorithms, side::Side, target::Link};
use crate::{
    client_sessions::ClientSessions,
    driver::Driver,
    metrics::ConnectionGuard,
    shutdown::DrainGuard,
    transport::{Connection, Stream},
    workers::Place,
};

/// A client that was accepted.
pub struct Client {
    /// Its connection.
    pub connection: Connection,
    /// What it proves, and the sessions that it has.
    pub sessions: Arc<ClientSessions>,
    /// Key of keyed hashes in what is hidden.
    pub mask_key: MaskKey,
    /// Counts the connection among those that are open.
    pub counted: ConnectionGuard,
    /// Its place among the connections of a worker.
    pub place: Place,
}

/// What all channels of one connection share.
struct Shared {
    sessions: Arc<ClientSessions>,
    link: Arc<Link>,
    /// What the client proved, and the account that it wants to be.
    proved: OnceLock<Proved>,
    /// Why it was not let in, the last time that it tried.
    refused: Mutex<&'static str>,
    mask_key: MaskKey,
    open: AtomicUsize,
    guard: DrainGuard,
    /// Ends the connection, whatever russh waits for.
    over: CancellationToken,
}

struct Proved {
    token: Secret,
    account: Arc<str>,
}

/// Channels of one connection at one time.
const MOST_CHANNELS: usize = 256;

/// How many times a client may try to prove who it is (RFC 4252 section 4 suggests 20; every failure is a guess).
const MOST_ATTEMPTS: usize = 6;

/// How long a client that was refused waits for the answer: a guess costs that much.
const REJECTION: Duration = Duration::from_millis(500);

/// How often a silent client is asked whether it is there; after three times it is taken for gone.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long a connection whose channels have ended may take to end itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a listener speaks SSH, with this host key.
///
/// Without one, nobody can connect: the configuration sees to it that there is one.
pub fn server(host_key: Option<&PrivateKey>) -> Config {
    Config {
        server_id: SshId::Standard("SSH-2.0-Gatewright".into()),
        methods: methods(),
        auth_rejection_time: REJECTION,
        // The first question of every client is which methods there are.
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: MOST_ATTEMPTS,
        keys: host_key.into_iter().cloned().collect(),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: MESSAGES,
        preferred: algorithms(),
        keepalive_interval: Some(KEEPALIVE),
        // A channel may wait for a reviewer for hours: who is not there any more is told by `KEEPALIVE`.
        inactivity_timeout: Some(Duration::from_secs(24 * 3600)),
        ..Config::default()
    }
}

/// Serves a connection.
pub async fn serve(config: Arc<Config>, client: Client, guard: DrainGuard) {
    let Client { connection, sessions, mask_key, counted: _counted, place: _place } = client;
    let limit = sessions.door().listener.login_timeout;
    let shared = Arc::new(Shared {
        sessions,
        link: Arc::default(),
        proved: OnceLock::new(),
        refused: Mutex::new("client_closed"),
        mask_key,
        open: AtomicUsize::new(0),
        guard: guard.clone(),
        over: CancellationToken::new(),
    });
    let over = shared.over.clone();
    let stream =
        Mortal { stream: connection.into_stream(), over: Box::pin(over.clone().cancelled_owned()) };
    let admitted = Arc::clone(&shared);
    let work = async {
        // Exchanging names waits for the client; the rest goes on by itself.
        let running = run_stream(config, stream, Served(Arc::clone(&shared))).await?;
        let handle = running.handle();
        tokio::pin!(running);
        let (mut drained, mut ended) = (Box::pin(guard.clone().drained()), Box::pin(guard.ended()));
        let (mut draining, mut ending) = (false, false);
        loop {
            tokio::select! {
                result = &mut running => return result,
                () = &mut drained, if !draining => {
                    draining = true;
                    tokio::spawn(say_farewell(Arc::clone(&shared), handle.clone()));
                }
                () = &mut ended, if !ending => {
                    ending = true;
                    // The drivers are told as well, and say so to their clients.
                    let over = over.clone();
                    tokio::spawn(async move {
                        sleep(FAREWELL).await;
                        over.cancel();
                    });
                }
            }
        }
    };
    let late = async {
        sleep(limit).await;
        if admitted.proved.get().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = work => {
            if let Err(Failed(error)) = result {
                tracing::debug!(%error, client = %admitted.sessions.client(), "an SSH connection ended early");
            }
        }
        () = late => *admitted.refused.lock() = "auth.timeout",
    }
    // Whatever still waits for this client is told.
    admitted.over.cancel();
    admitted.close_record();
}

/// Waits until the channels that are open have ended, and then ends the connection.
async fn say_farewell(shared: Arc<Shared>, handle: russh::server::Handle) {
    let busy = shared.open.load(Ordering::Relaxed) > 0;
    while shared.open.load(Ordering::Relaxed) > 0 {
        tokio::select! {
            () = sleep(LOOK) => {}
            () = shared.over.cancelled() => return,
        }
    }
    if busy {
        // Most clients end the connection themselves when they have heard the last of it. What russh still has to send is
        // lost with a word of the gateway's.
        tokio::select! {
            () = sleep(LAST_WORDS) => {}
            () = shared.over.cancelled() => return,
        }
    }
    let reason = "the gateway is shutting down: connect again".to_owned();
    let said = handle.disconnect(Disconnect::ByApplication, reason, String::new());
    let _ = timeout(FAREWELL, said).await;
    sleep(FAREWELL).await;
    shared.over.cancel();
}

/// How long a client may take to hear the last of its channels, and to end the connection, before the gateway does.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often it is looked whether channels have ended.
const LOOK: Duration = Duration::from_millis(100);

impl Shared {
    /// Lets a client in whose token is good.
    fn admit(&self, user: &str, token: &str) -> Auth {
        let credential = Credential::Bearer(Secret::new(token));
        match self.sessions.authenticate(&credential) {
            Ok(_) => {
                let Credential::Bearer(token) = credential;
                let _ = self.proved.set(Proved { token, account: Arc::from(user) });
                Auth::Accept
            }
            Err(error) => {
                let rejection = error.rejection();
                tracing::info!(code = rejection.code, client = %self.sessions.client(), "a client was turned away");
                *self.refused.lock() = rejection.code;
                refused()
            }
        }
    }

    /// A place for one more channel. None: there are too many.
    fn take_place(self: &Arc<Self>) -> Option<ChannelPlace> {
        let taken = self.open.fetch_add(1, Ordering::Relaxed);
        let place = ChannelPlace(Arc::clone(self));
        (taken < MOST_CHANNELS && !self.guard.is_draining()).then_some(place)
    }

    fn open(
        self: &Arc<Self>,
        open: Open,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &Session,
    ) {
        let Some(proved) = self.proved.get() else { return };
        let Some(place) = self.take_place() else {
            tokio::spawn(reply.reject(ChannelOpenFailure::ResourceShortage));
            return;
        };
        let seed = Seed {
            session: self.sessions.id(),
            events: Arc::clone(self.sessions.events()),
            token: proved.token.clone(),
            account: Arc::clone(&proved.account),
            mask_key: self.mask_key.clone(),
            target: None,
        };
        let (read, write) = channel.split();
        let side = Side::of_client(open.clone(), read, write, session.handle(), reply);
        let wire = Channels { open, link: Arc::clone(&self.link) };
        let session = Box::new(channel::Channel::new(seed));
        let driver = Driver::new(wire, Arc::clone(&self.sessions), session, side);
        let (guard, over) = (self.guard.clone(), self.over.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = driver.run(None, guard) => {}
                // Its side has heard of it; what it still waits for is not the client's.
                () = async { over.cancelled().await; sleep(FAREWELL).await } => {}
            }
        });
    }

    /// Of a client that was never let in, nobody else makes a record.
    fn close_record(&self) {
        if self.proved.get().is_none() {
            let code = *self.refused.lock();
            self.sessions.refuse(code);
        }
    }
}

/// A client may try again, in the same way too, until it has tried too often.
fn refused() -> Auth {
    Auth::Reject { proceed_with_methods: Some(methods()), partial_success: false }
}

fn methods() -> MethodSet {
    MethodSet::from(&[MethodKind::KeyboardInteractive, MethodKind::Password][..])
}

/// A channel that is open, or being opened.
struct ChannelPlace(Arc<Shared>);

impl Drop for ChannelPlace {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.sessions.rest();
        }
    }
}

/// What russh calls.
struct Served(Arc<Shared>);

#[derive(Debug)]
struct Failed(russh::Error);

impl From<russh::Error> for Failed {
    fn from(error: russh::Error) -> Self {
        Self(error)
    }
}

impl Handler for Served {
    type Error = Failed;

    /// Keys prove nothing here yet, and russh's own answer is that they may.
    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Failed> {
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Failed> {
        Ok(self.0.admit(user, password))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Failed> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "Gatewright".into(),
                instructions:
                    "The answer is a token: `gatewright token mint`, or one of your identity provider."
                        .into(),
                prompts: vec![("Token: ".into(), false)].into(),
            });
        };
        let token = response.next();
        Ok(match token.as_deref().map(std::str::from_utf8) {
            Some(Ok(token)) => self.0.admit(user, token.trim()),
            _ => refused(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        self.0.open(Open::Session, channel, reply, session);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        let originator = (Arc::from(originator), originator_port);
        let open = Open::DirectTcpip { host: Arc::from(host), port, originator };
        self.0.open(open, channel, reply, session);
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Failed> {
        self.0.open(Open::DirectStreamlocal { path: Arc::from(path) }, channel, reply, session);
        Ok(())
    }
}

/// A stream that can be ended from outside: russh has nothing that ends a connection at once.
struct Mortal {
    stream: Stream,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Mortal {
    fn poll_over(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        match self.over.as_mut().poll(context) {
            Poll::Ready(()) => Err(std::io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
