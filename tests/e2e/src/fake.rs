//! A server that does what a test tells it to, and remembers every byte that it got.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use gatewright_testbed::{Error, Pair, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{tls, wire::SSL_REQUEST};

/// A server of a test's own making, on a port of 127.0.0.1.
#[derive(Debug)]
pub struct FakeUpstream {
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// One connection of the gateway to it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    index: usize,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl FakeUpstream {
    /// Accepts connections and gives each to `script`, on a thread of its own. A script that fails closes its
    /// connection: tests look at what the gateway does and at what it sent.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start(
        script: impl Fn(&mut Connection) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| Error::new(format!("listening on 127.0.0.1: {error}")))?;
        let port = listener.local_addr().map_err(|error| Error::new(error.to_string()))?.port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let all = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut connections = all.lock().unwrap_or_else(PoisonError::into_inner);
                connections.push(Vec::new());
                let index = connections.len() - 1;
                drop(connections);
                let mut connection = Connection { stream, index, received: Arc::clone(&all) };
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    let _ = connection.stream.set_read_timeout(Some(Duration::from_secs(20)));
                    let _ = script(&mut connection);
                    let _ = connection.stream.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self { port, received })
    }

    /// The same, over TLS from the first byte. What is remembered is what came over the wire.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start_tls(
        config: Arc<ServerConfig>,
        script: impl Fn(&mut StreamOwned<ServerConnection, &mut Connection>) -> std::io::Result<()>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self> {
        Self::start(move |connection| {
            let tls = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
            script(&mut StreamOwned::new(tls, connection))
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What each connection received, in the order in which they were accepted.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connection {
    /// Reads the request for TLS, which is what a careful client sends first.
    ///
    /// # Errors
    /// Where something else comes.
    pub fn ssl_request(&mut self) -> std::io::Result<()> {
        let mut request = [0; 8];
        self.read_exact(&mut request)?;
        if request == SSL_REQUEST { Ok(()) } else { Err(std::io::Error::other("not an SSLRequest")) }
    }

    /// Agrees to TLS and does the handshake. What is read on top of it is remembered as well.
    ///
    /// # Errors
    /// Where the handshake fails.
    pub fn accept_tls(&mut self, pair: &Pair) -> std::io::Result<StreamOwned<ServerConnection, &mut Self>> {
        self.ssl_request()?;
        self.write_all(b"S")?;
        let config = tls::server(pair).map_err(std::io::Error::other)?;
        let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(connection, self))
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = received.get_mut(self.index) {
            own.extend(buffer.iter().take(length));
        }
        Ok(length)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
