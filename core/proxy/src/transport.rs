//! One side's connection: a socket, with or without TLS, what is to be written to it, and room to read.

mod reading;
mod socket;
mod stream;
mod turn;
mod writing;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_model::session::TlsInfo;
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) use self::turn::{end_turns, write_first};
pub(crate) use self::{reading::ReadBuffer, writing::WriteQueue};
pub use self::{
    socket::{Farewell, Socket},
    stream::Stream,
};
use crate::{tls::server_end_point, wire::Pipe};

/// One side's connection.
pub struct Connection {
    stream: Stream,
    reading: ReadBuffer,
    writing: WriteQueue,
    read_closed: bool,
}

/// How silent a connection may be until its peer is asked for a sign of life, and how often.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(20))
    .with_retries(3);

impl Connection {
    /// Wraps a socket. Small messages are sent at once: protocols that are answered message by message
    /// would otherwise wait for acknowledgements. A peer that is gone without a word is found out (fault F4).
    ///
    /// # Errors
    ///
    /// The socket is closed already.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_keepalive(&KEEPALIVE)?;
        Ok(Self {
            stream: Stream::Plain(Socket::new(socket)),
            reading: ReadBuffer::default(),
            writing: WriteQueue::default(),
            read_closed: false,
        })
    }

    /// Leaves a peer that acknowledges nothing for so long: while something is on its way to it, it is not asked for a sign of
    /// life. Only for those that may not stop taking what is sent for longer than that: to the kernel, this is the same.
    ///
    /// # Errors
    ///
    /// The socket is closed already.
    pub fn leave_after(&self, silence: Duration) -> io::Result<()> {
        let least = Duration::from_secs(60 + 3 * 20);
        SockRef::from(self.stream.socket().stream()).set_tcp_user_timeout(Some(silence.max(least)))
    }

    /// Address of the other end.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.socket().stream().peer_addr()
    }

    /// Is it encrypted?
    pub const fn is_secure(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    /// From now on nothing is sent before the records of what it is about are written: for whoever records with
    /// [`write_first`].
    pub(crate) fn send_after_records(&self) {
        self.stream.socket().send_after_records();
    }

    /// For its end, whoever has the bare stream by then.
    pub fn farewell(&self) -> Farewell {
        self.stream.socket().farewell()
    }

    /// The bare stream, for whoever reads and writes it by itself. Nothing was read or queued yet.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Does the server's side of a TLS handshake, after everything queued was written.
    ///
    /// # Errors
    ///
    /// The handshake fails. Its cause is for logs, not for the peer.
    pub async fn accept_tls(self, config: Arc<ServerConfig>) -> io::Result<(Self, TlsInfo)> {
        let socket = self.into_socket().await?;
        let tls = TlsAcceptor::from(config).accept(socket).await?;
        let alpn = tls.get_ref().1.alpn_protocol().map(Arc::from);
        let info = TlsInfo { alpn, server_end_point: None };
        Ok((Self::secured(Stream::Server(Box::new(tls))), info))
    }

    /// Does the client's side of a TLS handshake, after everything queued was written.
    ///
    /// # Errors
    ///
    /// The handshake fails, or the certificate is not the one that the configuration wants.
    pub async fn connect_tls(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<(Self, TlsInfo)> {
        let socket = self.into_socket().await?;
        let tls = TlsConnector::from(config).connect(name, socket).await?;
        let session = tls.get_ref().1;
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let info = TlsInfo {
            alpn: session.alpn_protocol().map(Arc::from),
            server_end_point: certificate.and_then(server_end_point).map(Arc::from),
        };
        Ok((Self::secured(Stream::Client(Box::new(tls))), info))
    }

    fn secured(stream: Stream) -> Self {
        Self { stream, reading: ReadBuffer::default(), writing: WriteQueue::default(), read_closed: false }
    }

    async fn into_socket(mut self) -> io::Result<Socket> {
        std::future::poll_fn(|context| self.poll_flush(context)).await?;
        match self.stream {
            Stream::Plain(socket) => Ok(socket),
            Stream::Server(_) | Stream::Client(_) => {
                Err(io::Error::other("TLS was asked for on a connection that has it"))
            }
        }
    }
}

impl Pipe for Connection {
    type Unit = Bytes;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.read_closed {
            return Poll::Pending;
        }
        let read = self.reading.poll_read(&mut self.stream, context);
        if let Poll::Ready(Ok(None) | Err(_)) = read {
            self.read_closed = true;
        }
        read
    }

    fn rest(&mut self) {
        self.reading.rest();
    }

    fn queue(&mut self, unit: Bytes) {
        self.writing.push(unit);
    }

    fn queued(&self) -> usize {
        self.writing.len()
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.poll_write(&mut self.stream, context)
    }

    async fn close(mut self) {
        if std::future::poll_fn(|context| self.poll_flush(context)).await.is_ok() {
            self.stream.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn f004_a_peer_that_is_gone_without_a_word_is_found_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connection::new(socket).unwrap();
        let socket = SockRef::from(connection.stream.socket().stream());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(20));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        // With something on its way, its silence is no shorter.
        for (asked, set) in [(1, 120), (120, 120), (600, 600)] {
            connection.leave_after(Duration::from_secs(asked)).unwrap();
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(set)));
        }
    }
}
