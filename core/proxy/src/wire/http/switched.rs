//! A connection of HTTP that was switched to another protocol: bytes, as hyper hands the connection over.
//!
//! hyper hands over a client's connection when it has written the 101, and what the client sent before that comes with
//! it: not one byte of it is read here earlier (threats A66).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gatewright_http::unit::Unit;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite as _;

use crate::transport::{ReadBuffer, WriteQueue};

/// One side of a connection that was switched.
pub(super) struct Switched {
    stream: Stream,
    reading: ReadBuffer,
    writing: WriteQueue,
    /// The peer sends no more.
    heard: bool,
    /// How far the gateway's own end is.
    ending: Ending,
}

enum Stream {
    /// hyper still has it.
    Awaited(OnUpgrade),
    Here(TokioIo<Upgraded>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    /// What is queued is the last.
    Last,
    Sent,
}

impl Switched {
    pub(super) fn new(upgrade: OnUpgrade) -> Self {
        Self {
            stream: Stream::Awaited(upgrade),
            reading: ReadBuffer::default(),
            writing: WriteQueue::default(),
            heard: false,
            ending: Ending::Open,
        }
    }

    pub(super) fn queue(&mut self, unit: Unit) {
        match unit {
            Unit::Data(data) => self.writing.push(data),
            Unit::End if self.ending == Ending::Open => self.ending = Ending::Last,
            // Nothing else is of such a connection.
            _ => {}
        }
    }

    pub(super) const fn queued(&self) -> usize {
        self.writing.len()
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if self.heard {
            return Poll::Pending;
        }
        let stream = ready!(self.stream.poll_here(context))?;
        let read = ready!(self.reading.poll_read(stream, context))?;
        self.heard = read.is_none();
        Poll::Ready(Ok(Some(read.map_or(Unit::End, Unit::Data))))
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.is_flushed() && self.ending != Ending::Last {
            return Poll::Ready(Ok(()));
        }
        let stream = ready!(self.stream.poll_here(context))?;
        ready!(self.writing.poll_write(stream, context))?;
        if self.ending == Ending::Last {
            ready!(Pin::new(stream).poll_shutdown(context))?;
            self.ending = Ending::Sent;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) async fn close(mut self) {
        if self.ending == Ending::Open {
            self.ending = Ending::Last;
        }
        // The peer may be gone already, which is as good.
        let _ = std::future::poll_fn(|context| self.poll_flush(context)).await;
    }
}

impl Stream {
    fn poll_here(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&mut TokioIo<Upgraded>>> {
        if let Self::Awaited(upgrade) = self {
            let upgraded = ready!(Pin::new(upgrade).poll(context)).map_err(io::Error::other)?;
            *self = Self::Here(TokioIo::new(upgraded));
        }
        match self {
            Self::Here(stream) => Poll::Ready(Ok(stream)),
            Self::Awaited(_) => Poll::Pending,
        }
    }
}
