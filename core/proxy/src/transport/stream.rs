//! A socket, with or without TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{client, server};

/// A socket, with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Server(Box<server::TlsStream<TcpStream>>),
    Client(Box<client::TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Server(tls) => tls.get_ref().0,
            Self::Client(tls) => tls.get_ref().0,
        }
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Server(tls) => Pin::new(tls).poll_write_vectored(context, parts),
            Self::Client(tls) => Pin::new(tls).poll_write_vectored(context, parts),
        }
    }

    /// Sends what TLS has encrypted and not sent yet. A plain socket holds nothing back.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Server(tls) => Pin::new(tls).poll_flush(context),
            Self::Client(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    pub(super) async fn shutdown(&mut self) {
        // The peer may be gone already, which is as good.
        let _ = match self {
            Self::Plain(socket) => socket.shutdown().await,
            Self::Server(tls) => tls.shutdown().await,
            Self::Client(tls) => tls.shutdown().await,
        };
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Server(tls) => Pin::new(tls).poll_read(context, buffer),
            Self::Client(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}
