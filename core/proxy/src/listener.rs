//! Listeners: sockets on which clients are served, and the table of protocols.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use gatewright_http::{
    dialect::{self, Dialect},
    exchange,
};
use gatewright_identity::Verifier;
use gatewright_kubernetes::dialect::Kubernetes;
use gatewright_masking::MaskKey;
use gatewright_model::{
    id::SessionId,
    session::{Input, Session, Side},
};
use gatewright_postgres::{
    cancel::CancelKeys,
    catalog::Catalogs,
    guesses::Guesses,
    session::{DownstreamTls, Limits, PostgresSession, Seed, Shared},
};
use gatewright_sql::{Analyser, AnalyserLimits};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    client_sessions::ClientSessions,
    config, descriptors,
    driver::Driver,
    enforce::Enforcement,
    errand::Errands,
    metrics::{ConnectionGuard, ListenerMetrics},
    shutdown::{Drain, DrainGuard},
    transport::Connection,
    wire::{
        Sockets,
        http::{self, Pool},
        ssh,
    },
    workers::{Place, Workers},
};

/// One listener with everything that its sessions share.
pub struct Door {
    /// Its configuration.
    pub listener: Arc<config::Listener>,
    /// Who proves identities.
    pub verifier: Arc<Verifier>,
    /// Where decisions are enforced.
    pub enforcement: Arc<Enforcement>,
    /// What is counted.
    pub metrics: ListenerMetrics,
    /// What the gateway asks targets for itself.
    pub errands: Errands,
    protocol: Protocol,
}

/// The table of protocols: what a listener of each makes a session with.
enum Protocol {
    Postgres(Arc<Shared>),
    /// Each worker has connections of its own to targets.
    Http(Arc<exchange::Shared>, Vec<Arc<Pool>>),
    Ssh(Arc<ssh::Entrance>, MaskKey),
}

/// What every protocol is given to make its sessions with.
pub struct Parts {
    /// Reads SQL.
    pub analyser: Arc<Analyser>,
    /// Key of keyed hashes in masks.
    pub mask_key: MaskKey,
    /// Keys of SSH.
    pub ssh: Arc<ssh::Access>,
    /// What is known of PostgreSQL servers.
    pub servers: Servers,
}

/// What is known of PostgreSQL servers by their addresses, whichever listener and account leads there: a definition that is changed through one
/// counts for all, and so does a guess.
#[derive(Default)]
pub struct Servers(Mutex<HashMap<(String, u16), (Catalogs, Guesses)>>);

impl Servers {
    /// What is known of the server behind this listener.
    fn behind(&self, listener: &config::Listener) -> (Catalogs, Guesses) {
        let Some(target) = listener.only_target() else { return <(Catalogs, Guesses)>::default() };
        let address = (target.address.host.to_string(), target.address.port);
        self.0.lock().entry(address).or_default().clone()
    }
}

impl Door {
    /// Makes ready to serve a listener, on so many workers.
    pub fn new(
        listener: Arc<config::Listener>,
        verifier: Arc<Verifier>,
        enforcement: Arc<Enforcement>,
        parts: &Parts,
        workers: usize,
    ) -> Self {
        let pools = (0..workers).map(|_| Arc::default()).collect();
        let metrics = enforcement.metrics.listener(&listener.name);
        let tls = match &listener.tls {
            Some(tls) if tls.required => DownstreamTls::Required,
            Some(_) => DownstreamTls::Offered,
            None => DownstreamTls::Off,
        };
        let protocol = match listener.protocol {
            "ssh" => {
                let entrance = ssh::Entrance::new(&listener, Arc::clone(&parts.ssh));
                Protocol::Ssh(Arc::new(entrance), parts.mask_key.clone())
            }
            "http" => Protocol::Http(
                Arc::new(exchanges(&listener, Box::new(dialect::Http::new(parts.mask_key.clone())))),
                pools,
            ),
            "kubernetes" => {
                let dialect = Kubernetes::new(listener.act_as, parts.mask_key.clone());
                Protocol::Http(Arc::new(exchanges(&listener, Box::new(dialect))), pools)
            }
            _ => {
                let (catalogs, guesses) = parts.servers.behind(&listener);
                Protocol::Postgres(Arc::new(Shared {
                    analyser: analyser(&listener, parts),
                    cancel_keys: CancelKeys::default(),
                    catalogs,
                    guesses,
                    mask_key: parts.mask_key.clone(),
                    tls,
                    limits: Limits { handshake: listener.login_timeout, ..Limits::default() },
                }))
            }
        };
        let errands = Errands::default();
        Self { listener, verifier, enforcement, metrics, errands, protocol }
    }

    /// File descriptors that a connection takes: with its own one to a target, where that is not shared with others.
    const fn descriptors_for_each(&self) -> usize {
        match &self.protocol {
            Protocol::Http(..) => 1,
            Protocol::Postgres(_) | Protocol::Ssh(..) => 2,
        }
    }
}

/// What reads SQL for a listener: what a text means depends on what is known of the functions of its target.
fn analyser(listener: &config::Listener, parts: &Parts) -> Arc<Analyser> {
    match listener.only_target().map(|target| &target.harmless_functions) {
        Some(harmless) if !harmless.is_empty() => {
            Arc::new(Analyser::with_harmless(AnalyserLimits::default(), harmless.clone()))
        }
        _ => Arc::clone(&parts.analyser),
    }
}

/// What the exchanges of a listener share.
fn exchanges(listener: &config::Listener, dialect: Box<dyn Dialect>) -> exchange::Shared {
    let limits = exchange::Limits {
        inspected: listener.inspect_body,
        hold: listener.hold,
        silence: listener.stall_timeout,
        idle: listener.idle_timeout,
        ..exchange::Limits::default()
    };
    let reserved = listener.identity_headers.iter().cloned();
    let (routes, token) = (listener.routes.clone(), listener.token_header.clone());
    exchange::Shared::new(dialect, routes, token, reserved, limits)
}

fn postgres(shared: &Arc<Shared>, process: [u8; 4], secret: [u8; 32]) -> Box<dyn Session<Unit = Bytes>> {
    let seed = Seed { process: u32::from_be_bytes(process), secret };
    Box::new(PostgresSession::new(Arc::clone(shared), seed, Instant::now()))
}

/// Opens the socket of a listener.
///
/// # Errors
///
/// The address is taken or not this machine's.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Accepts clients until draining begins. Nothing that a client does can make this wait.
pub async fn accept(door: Arc<Door>, socket: TcpListener, workers: Arc<Workers>, drain: Arc<Drain>) {
    let stopped = drain.guard().drained();
    tokio::pin!(stopped);
    let room = descriptors::clients(door.descriptors_for_each());
    if room < door.listener.max_connections {
        tracing::info!(listener = %door.listener.name, room, "there are file descriptors for fewer than `max_connections`");
    }
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((client, address)) => {
                if door.metrics.open() >= i64::try_from(door.listener.max_connections).unwrap_or(i64::MAX) {
                    // Closed without a word: an answer would be work for whoever floods us.
                    door.metrics.refuse("net.connection_limit");
                    continue;
                }
                if workers.open() >= room || descriptors::is_kept(&client) {
                    door.metrics.refuse("net.descriptor_limit");
                    continue;
                }
                // Counted here: in a storm, the tasks of many would begin after the last of them was accepted.
                let counted = door.metrics.connection();
                let (Some(place), Ok(client)) = (workers.place(), client.into_std()) else { continue };
                let runtime = place.runtime.clone();
                let client = Client { socket: client, address, counted, place };
                runtime.spawn(serve(Arc::clone(&door), client, drain.guard()));
            }
            Err(error) => {
                // Something else has taken the file descriptors: the sessions that end will free some.
                tracing::error!(%error, listener = %door.listener.name, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How long to wait after a failed accept.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// A client that was accepted, on its way to the worker that serves it.
struct Client {
    socket: std::net::TcpStream,
    address: SocketAddr,
    counted: ConnectionGuard,
    place: Place,
}

async fn serve(door: Arc<Door>, client: Client, guard: DrainGuard) {
    let Client { socket, address: client, counted, place } = client;
    let socket = match TcpStream::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, %client, "a client could not be served"),
    };
    let (mut id, mut process, mut secret) = ([0; 16], [0; 4], [0; 32]);
    if [id.as_mut_slice(), &mut process, &mut secret]
        .into_iter()
        .any(|bytes| getrandom::fill(bytes).is_err())
    {
        tracing::error!("the operating system gives no random bytes: a client was turned away");
        return;
    }
    let id = SessionId::from_random(id);
    // Some clients wait for the server's first word.
    if let Protocol::Ssh(entrance, mask_key) = &door.protocol {
        let connection = match Connection::new(socket) {
            Ok(connection) => connection,
            Err(error) => return tracing::debug!(%error, %client, "a client left before it was served"),
        };
        let sessions = Arc::new(ClientSessions::new(Arc::clone(&door), id, client));
        let mask_key = mask_key.clone();
        let client = ssh::Client { connection, sessions, mask_key, counted, place };
        return ssh::serve(Arc::clone(entrance), client, guard).await;
    }
    match open(&door, socket).await {
        Ok((connection, first)) => match &door.protocol {
            Protocol::Postgres(shared) => {
                let session = postgres(shared, process, secret);
                let wire = Sockets(Arc::clone(&door));
                let sessions = Arc::new(ClientSessions::new(Arc::clone(&door), id, client));
                Driver::new(wire, sessions, session, connection).run(first, guard).await;
            }
            Protocol::Http(shared, pools) => {
                let Some(pool) = pools.get(place.worker) else { return };
                if !connection.is_secure() && door.listener.tls.as_ref().is_some_and(|tls| tls.required) {
                    // An answer in the clear would teach clients to send their tokens so.
                    door.metrics.refuse("net.tls_required");
                    return;
                }
                let alpn = first.and_then(agreed);
                let sessions = Arc::new(ClientSessions::new(Arc::clone(&door), id, client));
                let client = http::Client { connection, alpn, sessions, counted, place };
                http::serve(Arc::clone(shared), Arc::clone(pool), client, guard).await;
            }
            Protocol::Ssh(..) => {}
        },
        Err(error) => {
            tracing::debug!(%error, %client, "a client left before it said anything");
            door.metrics.refuse("net.tls_failed");
        }
    }
}

/// The application protocol that TLS agreed on.
fn agreed(secured: Input<Bytes>) -> Option<Arc<[u8]>> {
    match secured {
        Input::Secured { tls, .. } => tls.alpn,
        _ => None,
    }
}

/// A client whose first byte begins a TLS handshake gets one before its session begins: protocols that
/// ask for TLS in their own words never begin with this byte.
async fn open(door: &Door, socket: TcpStream) -> io::Result<(Connection, Option<Input<Bytes>>)> {
    let limit = door.listener.login_timeout;
    let mut first = [0];
    timeout(limit, socket.peek(&mut first))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let connection = Connection::new(socket)?;
    connection.leave_after(door.listener.stall_timeout)?;
    match &door.listener.tls {
        Some(tls) if first == [TLS_HANDSHAKE] => {
            let secured = timeout(limit, connection.accept_tls(tls.server.config()));
            let (connection, tls) =
                secured.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok((connection, Some(Input::Secured { side: Side::Downstream, tls })))
        }
        _ => Ok((connection, None)),
    }
}

/// The content type of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
