//! The admin listener: health and metrics for machines, approvals for reviewers, sessions and revocations for
//! operators. HTTP/1.1.
//!
//! | Path | Who | What |
//! | --- | --- | --- |
//! | `GET /healthz` | anyone | 200 while the process lives |
//! | `GET /readyz` | anyone | 200 while new sessions are served, else 503 |
//! | `GET /metrics` | anyone | Prometheus text |
//! | `GET /status` | anyone | versions and counts as JSON: no name, no statement |
//! | `GET /approvals` | reviewers | requests that the reviewer may decide |
//! | `GET /approvals/{id}` | reviewers | one request, with the text that will run |
//! | `POST /approvals/{id}/approve`, `.../reject` | reviewers | `{"comment": "…"}` |
//! | `GET /sessions` | operators | sessions that are open |
//! | `POST /sessions/{id}/end` | operators | `{"reason": "…"}` |
//! | `GET /revocations` | operators | what is revoked |
//! | `POST /revocations` | operators | `{"subject": "…", "reason": "…"}`, or `token`, `issuer`, `issued_so_far` |
//! | `POST /revocations/{id}/lift` | operators | `{"reason": "…"}` |
//!
//! A reviewer is whoever is in a group of `[approvals] reviewers`, in one that a policy in use calls `reviewers` in its settings, or in one
//! of a request that waits: `GET /approvals` is empty for them while nothing waits for them, and 403 for everybody else. It shows,
//! and takes answers to, nothing but requests that name a group of theirs.
//!
//! "Anyone" can reach it: on loopback by default, elsewhere only over TLS. Reviewers and operators prove who
//! they are with a bearer token of any issuer that listeners accept.
//!
//! One request on each connection, a bounded number of connections, and a deadline over everything: a slow
//! or silent peer costs little and not for long (requirement O4).

mod approvals;
mod body;
mod operators;
mod problem;
mod route;
mod status;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

pub use self::{
    route::AdminState,
    status::{EvidenceStatus, ListenerStatus, Status, StatusProvider},
};
use crate::tls::ServerTls;

/// Serves for as long as it is polled.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerTls>>, state: Arc<AdminState>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _peer)) => socket,
            Err(error) => {
                // Of one connection, or of the whole process, like too many open files: both pass.
                tracing::warn!(%error, "admin listener can not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // At the limit new work is refused and old work goes on (promise P9).
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (tls, state) = (tls.clone(), state.clone());
        tokio::spawn(async move {
            let served = async {
                match tls {
                    Some(tls) => {
                        let stream = TlsAcceptor::from(tls.config()).accept(socket).await?;
                        serve_one(stream, state).await
                    }
                    None => serve_one(socket, state).await,
                }
            };
            match tokio::time::timeout(CONNECTION_LIFETIME, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "admin connection ended"),
                Err(_) => tracing::debug!("admin connection took too long"),
            }
            drop(place);
        });
    }
}

async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    state: Arc<AdminState>,
) -> io::Result<()> {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(route::respond(&state, request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

/// Connections at one time.
const CONNECTIONS: usize = 64;

/// From accept to close, TLS included.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(30);

/// From the first byte of a request to the end of its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head: a token has up to 8 KiB.
const HEADER_BYTES: usize = 32 * 1024;

/// Header fields of a request.
const HEADERS: usize = 64;

/// How long to wait when the operating system has no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
