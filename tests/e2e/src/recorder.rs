//! Stands between the gateway and a real server, and keeps every byte on its way to the server.
//!
//! It ends the gateway's TLS with the server's own certificate and opens TLS of its own to the server. Because
//! the certificate is the same, SCRAM's channel binding still fits: neither side can tell, which is why a key
//! of a server must not be where others can read it.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use gatewright_testbed::{Error, Postgres, Result};
use rustls::{ClientConfig, ServerConfig};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{tls, wire::SSL_REQUEST};

/// Keeps every byte between the gateway and a server.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// What it takes to stand in between.
#[derive(Clone)]
struct Between {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    port: u16,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Listens on a free port and passes everything on to the server.
    ///
    /// # Errors
    /// Where the server's certificate can not be read.
    pub fn in_front_of(postgres: &Postgres) -> Result<Self> {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let between = Between {
            server: tls::server(postgres.pair())?,
            client: tls::client(&postgres.certificates().authority(), &[])?,
            port: postgres.port(),
            bytes: Arc::clone(&bytes),
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem)?;
        let port = listener.local_addr().map_err(problem)?.port();
        listener.set_nonblocking(true).map_err(problem)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(problem)?;
        thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(between.clone().pass(stream));
                }
            });
        });
        Ok(Self { port, bytes })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything that went to the server, inside of TLS.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was kept so far, so that a test can ask what came after.
    pub fn forget(&self) {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Did these bytes go to the server?
    pub fn saw(&self, needle: &str) -> bool {
        self.bytes().windows(needle.len()).any(|window| window == needle.as_bytes())
    }
}

impl Between {
    async fn pass(self, mut downstream: TcpStream) -> std::io::Result<()> {
        let mut request = [0; 8];
        downstream.read_exact(&mut request).await?;
        if request != SSL_REQUEST {
            self.keep(&request);
            return Ok(());
        }
        downstream.write_all(b"S").await?;
        let downstream = TlsAcceptor::from(Arc::clone(&self.server)).accept(downstream).await?;

        let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        upstream.write_all(&SSL_REQUEST).await?;
        upstream.read_exact(&mut request[..1]).await?;
        let name = tls::localhost().map_err(std::io::Error::other)?;
        let upstream = TlsConnector::from(Arc::clone(&self.client)).connect(name, upstream).await?;

        let (from_gateway, mut to_gateway) = tokio::io::split(downstream);
        let (mut from_server, to_server) = tokio::io::split(upstream);
        tokio::select! {
            result = self.record(from_gateway, to_server) => result,
            result = copy(&mut from_server, &mut to_gateway) => result.map(drop),
        }
    }

    async fn record(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut chunk).await?;
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else {
                return to.shutdown().await;
            };
            self.keep(bytes);
            to.write_all(bytes).await?;
            to.flush().await?;
        }
    }

    fn keep(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
    }
}

fn problem(error: std::io::Error) -> Error {
    Error::new(format!("standing between gateway and server: {error}"))
}
