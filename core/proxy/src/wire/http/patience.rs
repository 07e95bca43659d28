//! A stream whose peer has to take what it is sent.
//!
//! hyper waits for as long as it takes to write. A client that never reads would keep its connection, and what is
//! buffered for it, for as long as it likes (fault F20).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::heads::Heads;

/// A stream that fails where its peer takes nothing for too long.
pub(super) struct Patient<S> {
    stream: S,
    stall: Stall,
    /// Who looks at what is read.
    heads: Option<Heads>,
}

/// How long something may stay as it is.
pub(super) struct Stall {
    limit: Duration,
    since: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, stall: Stall::new(limit), heads: None }
    }

    /// The same, of HTTP/1.1.
    pub(super) fn with_heads(self, heads: Heads) -> Self {
        Self { heads: Some(heads), ..self }
    }
}

impl Stall {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, since: None }
    }

    /// Passes on what came of a try, but for one that has been pending for too long.
    pub(super) fn watch<T>(
        &mut self,
        tried: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.since = None;
            return tried;
        }
        let limit = self.limit;
        let since = self.since.get_or_insert_with(|| Box::pin(sleep(limit)));
        match since.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let (Some(heads), Poll::Ready(Ok(()))) = (&mut this.heads, &read) {
            heads.take_in(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.stall.watch(tried, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.stall.watch(tried, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.stream).poll_flush(context);
        this.stall.watch(tried, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.stream).poll_shutdown(context);
        this.stall.watch(tried, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn f020_whoever_takes_nothing_is_left_and_whoever_is_slow_is_not() {
        let (mut peer, stream) = tokio::io::duplex(10);
        let mut stream = Patient::new(stream, Duration::from_secs(60));
        let slow = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                peer.read_u8().await.unwrap();
            }
        };
        let sent = [0; 30];
        let (written, ()) = tokio::join!(stream.write_all(&sent), slow);
        written.unwrap();
        let (_peer, stream) = tokio::io::duplex(10);
        let mut stream = Patient::new(stream, Duration::from_millis(1));
        let error = stream.write_all(&sent).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
