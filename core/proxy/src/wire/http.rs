//! HTTP, by hyper: a request and its answer as the two sides of one exchange.
//!
//! hyper reads and writes the wire; what a message may say is the exchange's business (`protocols/http`). Here is only
//! what moves: a head, pieces, an end. A message that was not ended is never ended here: its body fails, hyper cuts
//! the connection (or, in HTTP/2, resets the stream), and the peer sees that something is missing (threats A74, fault F2).
//!
//! Clients speak HTTP/1.1 or HTTP/2, targets HTTP/1.1. Each exchange has a driver of its own, so a stream that waits for a
//! reviewer keeps nothing from its neighbours; the sessions are the connection's.
//!
//! An exchange runs on the task of the client's connection, and the connection to the target is polled by the exchange that
//! uses it: a request that waits for nobody goes through without a change of tasks.

mod body;
mod client;
mod heads;
mod line;
mod patience;
mod pool;
mod running;
mod seldom;
mod serve;
mod switched;
mod target;

use std::{io, sync::Arc};

use gatewright_http::unit::{Body, Unit};
use gatewright_model::session::TlsInfo;
use hyper::body::Incoming;

pub use self::{
    client::ClientSide,
    pool::Pool,
    serve::{Client, serve},
    target::TargetSide,
};
use super::{Wire, WithTurn};
use crate::config::Target;

/// Messages, for exchanges whose wire hyper reads and writes.
pub struct Messages {
    /// Connections that wait to be used again.
    pub pool: Arc<Pool>,
}

impl Wire for Messages {
    const SHARES_SESSIONS: bool = true;
    const WITH_TURN: WithTurn = WithTurn::BeforeConnecting;

    type Unit = Unit;
    type Downstream = ClientSide;
    type Upstream = TargetSide;

    async fn connect(&self, target: &Arc<Target>) -> io::Result<TargetSide> {
        TargetSide::connect(&self.pool, target).await
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

/// Bytes of a head, and of what hyper reads ahead.
const MOST_BUFFERED: usize = 64 << 10;

/// Does anything follow a head whose body hyper calls this?
fn follows(body: &Incoming) -> Body {
    if hyper::body::Body::is_end_stream(body) { Body::None } else { Body::Follows }
}
