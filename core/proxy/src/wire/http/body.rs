//! Bodies that hyper sends, piece by piece, as the driver gives them.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
    header::CONTENT_LENGTH,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::PollSender;

use super::{line::Busy, patience::Stall};

/// A message was not ended: hyper ends its connection, and its peer sees that.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the message was cut")]
pub(in crate::wire) struct Cut;

/// A body on its way.
#[derive(Debug)]
pub(in crate::wire) struct Outgoing {
    /// None: there is no body, or it has ended.
    pieces: Option<Pieces>,
    /// Dropped with this: hyper wants no more.
    _taken: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
enum Pieces {
    /// They come.
    Coming(mpsc::Receiver<Piece>),
    /// They are here.
    Here { whole: Whole, _busy: Busy },
}

/// A body that is kept until it is known whether it is short.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
}

impl Whole {
    pub(super) fn data(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.pieces.push_back(bytes);
    }

    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes of it.
    pub(super) const fn queued(&self) -> usize {
        self.bytes
    }
}

#[derive(Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// What fills a body.
pub(super) struct Filler {
    sender: PollSender<Piece>,
    waiting: VecDeque<Piece>,
    bytes: usize,
    /// How many bytes are still to be handed on, where the head says how long the body is.
    wanted: Option<u64>,
    ended: bool,
    /// None: hyper has dropped the body.
    taken: Option<oneshot::Receiver<()>>,
    stall: Stall,
}

/// Pieces that hyper may not have taken yet.
const PIECES: usize = 2;

/// Bytes of a piece at most.
const LARGEST: usize = 64 << 10;

impl Outgoing {
    /// The body of a message that is a head and nothing more.
    pub(super) const fn none() -> Self {
        Self { pieces: None, _taken: None }
    }

    /// The body of a message with these headers, and what fills it. Filling fails where nothing is taken for longer than
    /// `limit`.
    pub(super) fn filled(headers: &HeaderMap, limit: Duration) -> (Self, Filler) {
        let (sender, pieces) = mpsc::channel(PIECES);
        let (taken, when_taken) = oneshot::channel();
        let filler = Filler {
            sender: PollSender::new(sender),
            waiting: VecDeque::new(),
            bytes: 0,
            wanted: headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()),
            ended: false,
            taken: Some(when_taken),
            stall: Stall::new(limit),
        };
        (Self { pieces: Some(Pieces::Coming(pieces)), _taken: Some(taken) }, filler)
    }

    /// A body that is complete. Its connection is busy until hyper has taken it.
    pub(super) fn whole(body: Whole, busy: Busy) -> Self {
        let pieces = (body.bytes > 0).then_some(Pieces::Here { whole: body, _busy: busy });
        Self { pieces, _taken: None }
    }
}

impl Filler {
    /// What was kept so far.
    pub(super) fn begin_with(&mut self, body: Whole) {
        body.pieces.into_iter().for_each(|bytes| self.data(bytes));
        if body.ended {
            self.end();
        }
    }

    pub(super) fn data(&mut self, mut bytes: Bytes) {
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(LARGEST));
            self.waiting.push_back(Piece::Data(piece));
        }
    }

    pub(super) fn end(&mut self) {
        self.waiting.push_back(Piece::End);
    }

    /// Bytes that hyper has not taken.
    pub(super) const fn queued(&self) -> usize {
        self.bytes
    }

    /// Was everything handed on, the end included?
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Is the end given, even if it was not handed on yet?
    pub(super) fn is_whole(&self) -> bool {
        self.ended || matches!(self.waiting.back(), Some(Piece::End))
    }

    /// Hands on what waits. Fails where nobody takes it any more.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let reserved = self.sender.poll_reserve(context).map_err(|_| io::ErrorKind::BrokenPipe.into());
            if let Err(error) = ready!(self.stall.watch(reserved, context)) {
                // Of a body that has the length that its head says, hyper does not ask for the end.
                let is_over = matches!(self.waiting.front(), Some(Piece::End));
                if !is_over || error.kind() != io::ErrorKind::BrokenPipe {
                    return Poll::Ready(Err(error));
                }
                self.waiting.clear();
                self.ended = true;
                break;
            }
            let Some(piece) = self.waiting.pop_front() else { break };
            if let Piece::Data(bytes) = &piece {
                self.bytes -= bytes.len();
                self.wanted = self.wanted.map(|wanted| wanted.saturating_sub(bytes.len() as u64));
            }
            self.ended |= matches!(piece, Piece::End);
            self.sender.send_item(piece).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Fails where the peer has left. It may leave while there is nothing to say to it, which a log or a watch has for
    /// hours. A body that has the length that its head says, hyper drops before it hears of the end: nobody left then.
    pub(super) fn poll_left(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(taken) = self.taken.as_mut()
            && !self.ended
            && self.wanted != Some(0)
            && Pin::new(taken).poll(context).is_ready()
        {
            self.taken = None;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// Hands on everything where the body is whole, and cuts it where it is not. Then waits until hyper has taken it, for as
    /// long as `limit`.
    pub(super) async fn finish(mut self, limit: Duration) -> io::Result<()> {
        if self.is_whole() {
            // It fails where nothing is taken for too long, however long all of it takes.
            poll_fn(|context| self.poll_flush(context)).await?;
            self.until_taken().await?;
        }
        drop(self.sender);
        // Nobody sends: it is dropped.
        if let Some(taken) = self.taken {
            let _ = timeout(limit, taken).await.map_err(|_| io::ErrorKind::TimedOut)?;
        }
        Ok(())
    }
}

impl Filler {
    /// Everything was handed on. Waits until hyper has taken the last pieces, each in its time: where one can be handed on,
    /// another was taken.
    async fn until_taken(&mut self) -> io::Result<()> {
        for _ in 0..PIECES {
            let taken = poll_fn(|context| {
                let reserved =
                    self.sender.poll_reserve(context).map_err(|_| io::ErrorKind::BrokenPipe.into());
                self.stall.watch(reserved, context)
            });
            match taken.await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                // It has come to the end, and hears of no more.
                Err(_) => return Ok(()),
                Ok(()) => self.sender.send_item(Piece::End).map_err(|_| io::ErrorKind::BrokenPipe)?,
            }
        }
        Ok(())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = match &mut self.pieces {
            None => return Poll::Ready(None),
            Some(Pieces::Coming(pieces)) => ready!(pieces.poll_recv(context)),
            Some(Pieces::Here { whole, .. }) => {
                Some(whole.pieces.pop_front().map_or(Piece::End, |bytes| {
                    whole.bytes -= bytes.len();
                    Piece::Data(bytes)
                }))
            }
        };
        Poll::Ready(match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.pieces = None;
                None
            }
            None => Some(Err(Cut)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.pieces {
            None => true,
            Some(Pieces::Coming(_)) => false,
            Some(Pieces::Here { whole, .. }) => whole.pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pieces {
            None => SizeHint::with_exact(0),
            Some(Pieces::Coming(_)) => SizeHint::default(),
            Some(Pieces::Here { whole, .. }) => SizeHint::with_exact(whole.bytes as u64),
        }
    }
}
