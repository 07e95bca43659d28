//! A body that comes as it was recorded: in pieces, with pauses, and perhaps without an end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::Error;

/// Pauses are shortened: enough to keep pieces apart, too little to wait for.
const SHORTER: u64 = 20;
const LONGEST: Duration = Duration::from_millis(100);

/// The pieces that are left.
#[derive(Debug)]
pub(crate) struct Pieces {
    rest: vec::IntoIter<(Bytes, u64)>,
    /// When the piece before came, in the recording's milliseconds.
    before: u64,
    next: Option<(Bytes, Pin<Box<Sleep>>)>,
    /// Without an end it waits for its client to leave, as the recorded one did.
    ends: bool,
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<(Bytes, u64)>, ends: bool) -> Self {
        let before = pieces.first().map_or(0, |(_, time)| *time);
        Self { rest: pieces.into_iter(), before, next: None, ends }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.next.is_none() {
            let Some((piece, time)) = self.rest.next() else {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            };
            let pause = Duration::from_millis(time.saturating_sub(self.before) / SHORTER).min(LONGEST);
            self.before = time;
            self.next = Some((piece, Box::pin(sleep(pause))));
        }
        if let Some((_, pause)) = &mut self.next {
            ready!(pause.as_mut().poll(context));
        }
        let piece = self.next.take().map(|(piece, _)| piece).unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
