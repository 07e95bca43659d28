//! Streams as russh takes them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use gatewright_ssh::message::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::side::Side;
use crate::wire::Pipe as _;

/// A stream that can be ended from outside: russh has nothing that ends a connection at once.
pub(super) struct Mortal<S> {
    stream: S,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Mortal<S> {
    /// Ends when `over` is cancelled.
    pub(super) fn new(stream: S, over: CancellationToken) -> Self {
        Self { stream, over: Box::pin(over.cancelled_owned()) }
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.over.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mortal<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mortal<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A channel that is open as a stream: the connection of a client that goes on from the gateway is in it.
pub(super) struct Within {
    /// None: it was dropped.
    side: Option<Side>,
    read: Bytes,
}

/// Bytes that wait to be written before a writer has to wait.
const FULL: usize = 256 << 10;

/// How long what was written last may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Within {
    pub(super) fn new(side: Side) -> Self {
        Self { side: Some(side), read: Bytes::new() }
    }
}

impl AsyncRead for Within {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { side: Some(side), read } = &mut *self else { return Poll::Ready(Ok(())) };
        while read.is_empty() {
            match ready!(side.poll_read(context))? {
                Some(Message::Data(data)) => *read = data,
                // The other streams of a channel are nobody's.
                Some(Message::ExtendedData(..) | Message::Request { .. }) => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
        // No more than there is.
        let piece = read.split_to(read.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Within {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(side) = &mut self.side else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if side.queued() >= FULL {
            ready!(side.poll_flush(context))?;
        }
        let size = bytes.len().min(FULL);
        let piece = bytes.get(..size).unwrap_or_default();
        side.queue(Message::Data(Bytes::copy_from_slice(piece)));
        Poll::Ready(Ok(size))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.side.as_mut().map_or(Poll::Ready(Ok(())), |side| side.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(side) = &mut self.side else { return Poll::Ready(Ok(())) };
        ready!(side.poll_flush(context))?;
        side.queue(Message::Eof);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        if let Some(side) = self.side.take() {
            tokio::spawn(timeout(LAST_WORDS, side.close()));
        }
    }
}
