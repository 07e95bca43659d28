//! The client's side: a request that hyper has read, and the answer that it waits for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gatewright_http::unit::{Body, Unit};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
};
use tokio::sync::oneshot;

use super::{
    body::{Filler, Outgoing},
    follows,
};
use crate::wire::Pipe;

/// The client's side of an exchange.
pub struct ClientSide {
    head: Option<Unit>,
    /// None: it has ended.
    body: Option<Incoming>,
    answer: Answer,
}

enum Answer {
    /// Nothing was sent yet.
    Awaited(oneshot::Sender<Response<Outgoing>>),
    /// The head was sent, and the body follows.
    Body(Filler),
    /// Everything was sent.
    Sent,
}

impl ClientSide {
    /// A request, and where its answer goes.
    pub(super) fn new(request: Request<Incoming>, answer: oneshot::Sender<Response<Outgoing>>) -> Self {
        let (parts, body) = request.into_parts();
        let follows = follows(&body);
        Self {
            head: Some(Unit::Request(Box::new(parts), follows)),
            body: (follows == Body::Follows).then_some(body),
            answer: Answer::Awaited(answer),
        }
    }
}

impl Pipe for ClientSide {
    type Unit = Unit;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Ok(Some(head)));
        }
        poll_body(&mut self.body, context)
    }

    fn queue(&mut self, unit: Unit) {
        match (unit, &mut self.answer) {
            (Unit::Response(parts, follows), Answer::Awaited(_)) => {
                let (body, next) = match follows {
                    Body::None => (Outgoing::none(), Answer::Sent),
                    Body::Follows => {
                        let (body, filler) = Outgoing::filled();
                        (body, Answer::Body(filler))
                    }
                };
                if let Answer::Awaited(answer) = std::mem::replace(&mut self.answer, next) {
                    // Where nobody waits any more, the next flush says so.
                    let _ = answer.send(Response::from_parts(*parts, body));
                }
            }
            (Unit::Data(bytes), Answer::Body(filler)) => filler.data(bytes),
            (Unit::End, Answer::Body(filler)) => filler.end(),
            // The exchange keeps the order of parts; trailers are not forwarded.
            _ => {}
        }
    }

    fn queued(&self) -> usize {
        match &self.answer {
            Answer::Body(filler) => filler.queued(),
            Answer::Awaited(_) | Answer::Sent => 0,
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.answer {
            // hyper drops what it waits for when the client leaves.
            Answer::Awaited(answer) => match answer.poll_closed(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => Poll::Ready(Ok(())),
            },
            Answer::Body(filler) => filler.poll_flush(context),
            Answer::Sent => Poll::Ready(Ok(())),
        }
    }

    async fn close(mut self) {
        if let Answer::Body(filler) = &mut self.answer {
            // An answer that was not ended stays so.
            let _ = std::future::poll_fn(|context| filler.poll_flush(context)).await;
        }
    }
}

/// The next part of a body that hyper reads.
pub(super) fn poll_body(
    body: &mut Option<Incoming>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<Unit>>> {
    let Some(incoming) = body else { return Poll::Pending };
    Poll::Ready(match ready!(Pin::new(incoming).poll_frame(context)) {
        None => {
            *body = None;
            Ok(Some(Unit::End))
        }
        Some(Ok(frame)) => match frame.into_data() {
            Ok(bytes) => Ok(Some(Unit::Data(bytes))),
            Err(frame) => Ok(Some(Unit::Trailers(frame.into_trailers().unwrap_or_default()))),
        },
        Some(Err(error)) => Err(io::Error::other(error)),
    })
}
