//! What waits to be written to a peer.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    units: VecDeque<Bytes>,
    length: usize,
    /// TLS may hold back a part of what it took.
    unflushed: bool,
}

/// Units that one system call takes.
const BATCH: usize = 16;

impl WriteQueue {
    pub(crate) fn push(&mut self, unit: Bytes) {
        if !unit.is_empty() {
            self.length += unit.len();
            self.units.push_back(unit);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Is nothing left to be written, here or below?
    pub(crate) fn is_flushed(&self) -> bool {
        self.units.is_empty() && !self.unflushed
    }

    pub(crate) fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.units.is_empty() {
            let mut slices: [IoSlice<'_>; BATCH] = std::array::from_fn(|_| IoSlice::new(&[]));
            let count = self.units.len().min(BATCH);
            for (slice, unit) in slices.iter_mut().zip(&self.units) {
                *slice = IoSlice::new(unit);
            }
            let parts = slices.get(..count).unwrap_or_default();
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(context, parts))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, mut count: usize) {
        self.length -= count;
        while let Some(front) = self.units.front_mut() {
            if count < front.len() {
                let _ = front.split_to(count);
                return;
            }
            count -= front.len();
            self.units.pop_front();
        }
    }
}
