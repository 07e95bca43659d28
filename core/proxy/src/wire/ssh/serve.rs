//! A client's connection: who it is, and a driver for each channel that it opens.
//!
//! A user name that leads to no target leads to the gateway itself (`own`). From there a client can go on: a `direct-tcpip` to the name of
//! a target, as `ssh -J` asks for one, is a connection of its own within this one, and the client need not prove itself again.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gatewright_masking::MaskKey;
use gatewright_model::{id::SessionId, secret::Secret, session::Credential};
use gatewright_ssh::{
    channel::{self, Seed},
    message::{Message, Open},
};
use parking_lot::Mutex;
use russh::{
    Channel, ChannelOpenFailure, Disconnect, MethodKind, MethodSet, SshId,
    keys::PrivateKey,
    server::{self, Auth, ChannelOpenHandle, Config, GlobalReplyHandle, Msg, Session, run_stream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Channels, MESSAGES, PACKET, WINDOW,
    admission::{self, Access, Admitted, Destination, Shown},
    algorithms,
    forward::{Asked, Bound, Forwards},
    handler::{Failed, Served},
    mortal::{Mortal, Within},
    own,
    side::Side,
    target::Link,
};
use crate::{
    client_sessions::ClientSessions,
    config::{Listener, Target},
    driver::Driver,
    metrics::ConnectionGuard,
    shutdown::DrainGuard,
    transport::Connection,
    wire::{Pipe as _, Wire},
    workers::Place,
};

/// Where clients of one listener come in.
pub struct Entrance {
    access: Arc<Access>,
    config: Arc<Config>,
}

impl Entrance {
    /// For this listener.
    pub fn new(listener: &Listener, access: Arc<Access>) -> Self {
        Self { access, config: Arc::new(server(listener.host_key.as_deref())) }
    }
}

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
pub(super) struct Shared {
    entrance: Arc<Entrance>,
    sessions: Arc<ClientSessions>,
    /// The client that was let in, and its connection to the target.
    admitted: OnceLock<(Arc<Admitted>, Arc<Link>)>,
    /// Of a connection within another one: who came in there.
    outer: Option<Admitted>,
    /// Why it was not let in, each time that it tried: a client shows one key after the other.
    refused: Mutex<Vec<&'static str>>,
    mask_key: MaskKey,
    open: AtomicUsize,
    /// Connections within this one.
    within: AtomicUsize,
    /// What the target listens on for the client, and the port that it chose: cancelled when the client takes it back.
    forwards: Mutex<Vec<(Open, Arc<Bound>, CancellationToken)>>,
    guard: DrainGuard,
    /// Ends the connection, whatever russh waits for.
    over: CancellationToken,
}

/// Channels of one connection at one time.
const MOST_CHANNELS: usize = 256;

/// Connections within one connection at one time: each holds as much as one of its own.
const MOST_WITHIN: usize = 16;

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
fn server(host_key: Option<&PrivateKey>) -> Config {
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
pub async fn serve(entrance: Arc<Entrance>, client: Client, guard: DrainGuard) {
    let Client { connection, sessions, mask_key, counted: _counted, place: _place } = client;
    let shared = Arc::new(Shared::new(entrance, sessions, mask_key, None, guard));
    shared.run(connection.into_stream()).await;
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
    fn new(
        entrance: Arc<Entrance>,
        sessions: Arc<ClientSessions>,
        mask_key: MaskKey,
        outer: Option<Admitted>,
        guard: DrainGuard,
    ) -> Self {
        Self {
            entrance,
            sessions,
            admitted: OnceLock::new(),
            outer,
            refused: Mutex::default(),
            mask_key,
            open: AtomicUsize::new(0),
            within: AtomicUsize::new(0),
            forwards: Mutex::default(),
            guard,
            over: CancellationToken::new(),
        }
    }

    /// Serves the connection to its end.
    async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self: Arc<Self>, stream: S) {
        let limit = self.sessions.door().listener.login_timeout;
        let stream = Mortal::new(stream, self.over.clone());
        let work = async {
            // Exchanging names waits for the client; the rest goes on by itself.
            let config = Arc::clone(&self.entrance.config);
            let running = run_stream(config, stream, Served(Arc::clone(&self))).await?;
            let handle = running.handle();
            tokio::pin!(running);
            let (mut drained, mut ended) =
                (Box::pin(self.guard.clone().drained()), Box::pin(self.guard.clone().ended()));
            let (mut draining, mut ending) = (false, false);
            loop {
                tokio::select! {
                    result = &mut running => return result,
                    () = &mut drained, if !draining => {
                        draining = true;
                        tokio::spawn(say_farewell(Arc::clone(&self), handle.clone()));
                    }
                    () = &mut ended, if !ending => {
                        ending = true;
                        // The drivers are told as well, and say so to their clients.
                        let over = self.over.clone();
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
            if self.admitted.get().is_some() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            result = work => {
                if let Err(Failed(error)) = result {
                    tracing::debug!(%error, client = %self.sessions.client(), "an SSH connection ended early");
                }
            }
            () = late => self.note_refusal("auth.timeout"),
        }
        // Whatever still waits for this client is told.
        self.over.cancel();
        self.close_record();
    }

    /// Lets a client in, or says for the record why not.
    fn admit(&self, admitted: Result<Admitted, &'static str>) -> Auth {
        match admitted {
            Ok(admitted) => {
                let link =
                    Link::new(Arc::clone(&self.entrance.access), &admitted.principal, self.sessions.id());
                let _ = self.admitted.set((Arc::new(admitted), Arc::new(link)));
                Auth::Accept
            }
            Err(code) => {
                tracing::info!(code, client = %self.sessions.client(), "a client was turned away");
                self.note_refusal(code);
                refused()
            }
        }
    }

    pub(super) fn admit_token(&self, user: &str, token: &str) -> Auth {
        let credential = Credential::Bearer(Secret::new(token));
        self.admit(admission::admit_token(&self.sessions, user, credential))
    }

    pub(super) fn admit_key(&self, user: &str, shown: Shown<'_>) -> Auth {
        self.admit(admission::admit_key(&self.entrance.access, &self.sessions, user, shown))
    }

    /// Within another connection, a client has proved who it is.
    pub(super) fn admit_outer(&self, user: &str) -> Option<Auth> {
        let outer = self.outer.as_ref()?;
        let Destination::Target(target) = &outer.destination else { return None };
        if *target.account != *user || !outer.accounts.include(user) {
            return None;
        }
        if matches!(outer.credential, Credential::Connection)
            && let Err(error) = self.sessions.prove((*outer.principal).clone())
        {
            return Some(self.admit(Err(error.code())));
        }
        Some(self.admit(Ok(outer.at(target))))
    }

    /// A place for one more channel. None: there are too many.
    fn take_place(self: &Arc<Self>) -> Option<ChannelPlace> {
        let taken = self.open.fetch_add(1, Ordering::Relaxed);
        let place = ChannelPlace { shared: Arc::clone(self), forward: None };
        (taken < MOST_CHANNELS && !self.guard.is_draining()).then_some(place)
    }

    pub(super) fn open(
        self: &Arc<Self>,
        open: Open,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &Session,
    ) {
        let Some((admitted, link)) = self.admitted.get() else { return };
        let Some(place) = self.take_place() else {
            tokio::spawn(reply.reject(ChannelOpenFailure::ResourceShortage));
            return;
        };
        let (read, write) = channel.split();
        let side = |first| Side::of_client(first, read, write, session.handle(), reply);
        let target = match &admitted.destination {
            Destination::Target(target) => target,
            Destination::Gateway => return self.go_on(open, admitted, side(None), place),
        };
        let side = side(Some(Message::Open(open.clone())));
        let wire = Channels { open, link: Arc::clone(link), found: OnceLock::new() };
        self.drive(wire, admitted, target, side, place);
    }

    /// The client wants the target to listen.
    pub(super) fn forward(self: &Arc<Self>, open: Open, reply: GlobalReplyHandle) {
        let Some((admitted, link)) = self.admitted.get() else { return };
        let Destination::Target(target) = &admitted.destination else { return };
        let Some(mut place) = self.take_place() else { return };
        let (bound, over) = (Arc::<Bound>::default(), self.over.child_token());
        // What is over is forgotten with the place that it took.
        place.forward = Some(over.clone());
        let mut forwards = self.forwards.lock();
        forwards.push((open.clone(), Arc::clone(&bound), over.clone()));
        drop(forwards);
        let side = Asked::new(open.clone(), reply, Arc::clone(&bound), over);
        let wire = Forwards { open, link: Arc::clone(link), bound };
        self.drive(wire, admitted, target, side, place);
    }

    /// The client takes it back. `false`: it had nothing like it.
    pub(super) fn cancel_forward(&self, open: &Open) -> bool {
        let mut forwards = self.forwards.lock();
        let is_meant = |(own, bound, _): &mut (Open, Arc<Bound>, CancellationToken)| match (own, open) {
            (Open::TcpipForward { address, port }, Open::TcpipForward { address: other, port: wanted }) => {
                address == other && bound.port().unwrap_or(*port) == *wanted
            }
            (own, open) => own == open,
        };
        let found: Vec<_> = forwards.extract_if(.., is_meant).collect();
        for (.., over) in &found {
            over.cancel();
        }
        !found.is_empty()
    }

    fn drive<W: Wire<Unit = Message> + 'static>(
        self: &Arc<Self>,
        wire: W,
        admitted: &Admitted,
        target: &Arc<Target>,
        side: W::Downstream,
        place: ChannelPlace,
    ) where
        Driver<W>: Send,
        W::Downstream: 'static,
        W::Upstream: 'static,
    {
        let seed = Seed {
            session: self.sessions.id(),
            events: Arc::clone(self.sessions.events()),
            credential: admitted.credential.clone(),
            rights: admitted.rights,
            account: Arc::clone(&target.account),
            target: Some(Arc::clone(&target.name)),
            mask_key: self.mask_key.clone(),
        };
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

    /// A channel of a client that has come to the gateway itself.
    fn go_on(self: &Arc<Self>, open: Open, admitted: &Arc<Admitted>, mut side: Side, place: ChannelPlace) {
        let (shared, admitted) = (Arc::clone(self), Arc::clone(admitted));
        let way_on = match &open {
            Open::DirectTcpip { host, .. } => shared.sessions.door().listener.target(host).cloned(),
            _ => None,
        };
        let over = self.over.clone();
        let work = async move {
            let _place = place;
            match (open, way_on) {
                (Open::Session, _) => {
                    own::serve(&shared.entrance.access, &shared.sessions, &admitted, side).await;
                }
                (_, Some(target)) if shared.outer.is_none() => {
                    // It counts as what it is, a client's connection.
                    let Some(_counted) = shared.count_within() else {
                        side.queue(Message::Refused(Arc::from("there are too many connections")));
                        let _ = timeout(FAREWELL, side.close()).await;
                        return;
                    };
                    side.queue(Message::Accepted);
                    shared.serve_within(&admitted, &target, side).await;
                }
                (open, _) => {
                    shared.sessions.refuse("auth.account_denied");
                    let reason = own::no_way_on(&shared.sessions, &open);
                    side.queue(Message::Refused(Arc::from(reason)));
                    let _ = timeout(FAREWELL, side.close()).await;
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = async { over.cancelled().await; sleep(FAREWELL).await } => {}
            }
        });
    }

    /// One more connection within this one. None: there are too many.
    fn count_within(&self) -> Option<(ConnectionGuard, WithinGuard<'_>)> {
        let door = self.sessions.door();
        let within = WithinGuard(&self.within);
        let most = i64::try_from(door.listener.max_connections).unwrap_or(i64::MAX);
        if self.within.fetch_add(1, Ordering::Relaxed) >= MOST_WITHIN || door.metrics.open() >= most {
            door.metrics.refuse("net.connection_limit");
            return None;
        }
        Some((door.metrics.connection(), within))
    }

    /// Serves a connection within this one, which leads to a target.
    async fn serve_within(&self, admitted: &Admitted, target: &Arc<Target>, side: Side) {
        let mut random = [0; 16];
        if getrandom::fill(&mut random).is_err() {
            return tracing::error!("the operating system gives no random bytes: a client was turned away");
        }
        let door = Arc::clone(self.sessions.door());
        let sessions = ClientSessions::new(door, SessionId::from_random(random), self.sessions.client());
        let inner = Self::new(
            Arc::clone(&self.entrance),
            Arc::new(sessions),
            self.mask_key.clone(),
            Some(admitted.at(target)),
            self.guard.clone(),
        );
        let over = inner.over.clone();
        let work = Box::pin(Arc::new(inner).run(Within::new(side)));
        tokio::select! {
            () = work => {}
            () = self.over.cancelled() => over.cancel(),
        }
    }

    /// Would this let the client in, once it has proved to have its key?
    pub(super) fn would_admit(&self, user: &str, shown: Shown<'_>) -> Auth {
        match admission::judge(&self.entrance.access, &self.sessions, user, shown) {
            Ok(_) => Auth::Accept,
            Err(error) => {
                // A client shows one key after the other: that most are nobody's is no news.
                tracing::debug!(%error, client = %self.sessions.client(), "a client's key was refused");
                self.note_refusal(error.code());
                refused()
            }
        }
    }

    /// What a target opens is led on to this client.
    pub(super) fn lead_to(&self, client: server::Handle) {
        if let Some((_, link)) = self.admitted.get() {
            link.grants().lead_to(client);
        }
    }

    fn note_refusal(&self, code: &'static str) {
        let mut refused = self.refused.lock();
        if !refused.contains(&code) {
            refused.push(code);
        }
    }

    /// Of a client that was never let in, nobody else makes a record.
    fn close_record(&self) {
        if self.admitted.get().is_some() {
            return;
        }
        let mut refused = std::mem::take(&mut *self.refused.lock());
        // OpenSSH shows the key of a certificate by itself as well.
        if refused.len() > 1 {
            refused.retain(|code| *code != "auth.key_unknown");
        }
        for code in if refused.is_empty() { vec!["client_closed"] } else { refused } {
            self.sessions.refuse(code);
        }
    }
}

/// A client may try again, in the same way too, until it has tried too often.
pub(super) fn refused() -> Auth {
    Auth::Reject { proceed_with_methods: Some(methods()), partial_success: false }
}

fn methods() -> MethodSet {
    MethodSet::from(&[MethodKind::PublicKey, MethodKind::KeyboardInteractive, MethodKind::Password][..])
}

/// A connection within another one.
struct WithinGuard<'s>(&'s AtomicUsize);

impl Drop for WithinGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A channel that is open, or being opened.
struct ChannelPlace {
    shared: Arc<Shared>,
    /// It is what a target listens on, and this is cancelled when it is over.
    forward: Option<CancellationToken>,
}

impl Drop for ChannelPlace {
    fn drop(&mut self) {
        if let Some(over) = &self.forward {
            over.cancel();
            self.shared.forwards.lock().retain(|(.., over)| !over.is_cancelled());
        }
        if self.shared.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.sessions.rest();
        }
    }
}
