//! HTTP/1.1, by hyper: a request and its answer as the two sides of one exchange.
//!
//! hyper reads and writes the wire; what a message may say is the exchange's business (`protocols/http`). Here is only
//! what moves: a head, pieces, an end. A message that was not ended is never ended here: its body fails, hyper cuts
//! the connection, and the peer sees that something is missing (threats A74, fault F2).

mod body;
mod client;
mod target;

use std::{io, net::SocketAddr, sync::Arc};

use gatewright_http::{
    exchange::{Exchange, Seed, Shared},
    request::Scheme,
    unit::{Body, Unit},
};
use gatewright_model::{
    id::{EventId, SessionId},
    session::TlsInfo,
};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use self::{
    body::{Cut, Outgoing},
    client::ClientSide,
    target::TargetSide,
};
use super::Wire;
use crate::{config::Target, driver::Driver, listener::Door, shutdown::DrainGuard, transport::Connection};

/// Messages, for exchanges whose wire hyper reads and writes.
pub struct Messages;

impl Wire for Messages {
    type Unit = Unit;
    type Downstream = ClientSide;
    type Upstream = TargetSide;

    async fn connect(&self, target: &Target) -> io::Result<TargetSide> {
        TargetSide::connect(target).await
    }

    async fn secure_downstream(&self, _pipe: ClientSide) -> io::Result<(ClientSide, TlsInfo)> {
        Err(io::Error::other("an exchange begins behind TLS, or without"))
    }

    async fn secure_upstream(
        &self,
        _pipe: TargetSide,
        _target: &Target,
    ) -> io::Result<(TargetSide, TlsInfo)> {
        Err(io::Error::other("a connection to a target is encrypted before it is used"))
    }
}

impl super::Unit for Unit {
    fn size(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            // What a head takes on the wire is hyper's to know; it is bounded.
            Self::Request(..) | Self::Response(..) | Self::Trailers(_) | Self::End => 0,
        }
    }
}

/// Serves a connection: one exchange after the other, each a session of its own.
pub async fn serve(
    door: Arc<Door>,
    shared: Arc<Shared>,
    connection: Connection,
    client: SocketAddr,
    guard: DrainGuard,
) {
    let scheme = if connection.is_secure() { Scheme::Https } else { Scheme::Http };
    let limit = door.listener.login_timeout;
    let service = service_fn(|request: Request<Incoming>| {
        let (door, shared, guard) = (Arc::clone(&door), Arc::clone(&shared), guard.clone());
        async move { exchange(door, shared, request, client, scheme, guard).await }
    });
    let mut server = http1::Builder::new();
    // A body is taken in piece by piece; this bounds the head.
    server.timer(TokioTimer::new()).header_read_timeout(limit).max_buf_size(MOST_BUFFERED);
    let serving = server.serve_connection(TokioIo::new(connection.into_stream()), service);
    tokio::pin!(serving);
    let mut ending = guard.clone();
    let drained = ending.drained();
    tokio::pin!(drained);
    let mut draining = false;
    let served = std::future::poll_fn(|context| {
        if !draining && drained.as_mut().poll(context).is_ready() {
            draining = true;
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(context)
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, %client, "an HTTP connection ended early");
        if error.is_parse() {
            door.metrics.refuse("http.framing");
        }
    }
}

/// Bytes of a head, and of what hyper reads ahead.
const MOST_BUFFERED: usize = 64 << 10;

/// Runs one exchange, and gives its answer as soon as there is a head. The rest comes while it is sent.
async fn exchange(
    door: Arc<Door>,
    shared: Arc<Shared>,
    request: Request<Incoming>,
    client: SocketAddr,
    scheme: Scheme,
    guard: DrainGuard,
) -> Result<Response<Outgoing>, Cut> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Cut)?;
    let id = SessionId::from_random(random);
    let (answer, answered) = oneshot::channel();
    let session =
        Box::new(Exchange::new(shared, Seed { session: id, event: EventId::FIRST, client, scheme }));
    let driver = Driver::new(Messages, door, id, client, session, ClientSide::new(request, answer));
    tokio::spawn(driver.run(None, guard));
    answered.await.map_err(|_| Cut)
}

/// Does anything follow a head whose body hyper calls this?
fn follows(body: &Incoming) -> Body {
    if hyper::body::Body::is_end_stream(body) { Body::None } else { Body::Follows }
}
