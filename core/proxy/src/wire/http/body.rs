//! Bodies that hyper sends, piece by piece, as the driver gives them.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

/// A message was not ended: hyper ends its connection, and its peer sees that.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the message was cut")]
pub(in crate::wire) struct Cut;

/// A body on its way.
#[derive(Debug)]
pub(in crate::wire) struct Outgoing {
    /// None: there is no body, or it has ended.
    pieces: Option<mpsc::Receiver<Piece>>,
}

#[derive(Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// What fills a body.
#[derive(Debug)]
pub(super) struct Filler {
    sender: PollSender<Piece>,
    waiting: VecDeque<Piece>,
    bytes: usize,
    ended: bool,
}

/// Pieces that hyper may not have taken yet.
const PIECES: usize = 4;

impl Outgoing {
    /// The body of a message that is a head and nothing more.
    pub(super) const fn none() -> Self {
        Self { pieces: None }
    }

    /// A body, and what fills it.
    pub(super) fn filled() -> (Self, Filler) {
        let (sender, pieces) = mpsc::channel(PIECES);
        let sender = PollSender::new(sender);
        (Self { pieces: Some(pieces) }, Filler { sender, waiting: VecDeque::new(), bytes: 0, ended: false })
    }
}

impl Filler {
    pub(super) fn data(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.waiting.push_back(Piece::Data(bytes));
        }
    }

    pub(super) fn end(&mut self) {
        self.waiting.push_back(Piece::End);
    }

    /// Bytes that hyper has not taken.
    pub(super) const fn queued(&self) -> usize {
        self.bytes
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Hands on what waits. Fails where nobody takes it any more.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            ready!(self.sender.poll_reserve(context)).map_err(|_| io::ErrorKind::BrokenPipe)?;
            let Some(piece) = self.waiting.pop_front() else { break };
            if let Piece::Data(bytes) = &piece {
                self.bytes -= bytes.len();
            }
            self.ended |= matches!(piece, Piece::End);
            self.sender.send_item(piece).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        Poll::Ready(match ready!(pieces.poll_recv(context)) {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.pieces = None;
                None
            }
            None => Some(Err(Cut)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.pieces.is_none() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}
