//! The client's side: a request that hyper has read, and the answer that it waits for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gatewright_http::unit::{Body, HangUp, TwoEnds, Unit};
use hyper::{
    Request, Response, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue, UPGRADE},
    http::response,
    upgrade::OnUpgrade,
};
use tokio::sync::oneshot;

use super::{
    body::{Filler, Outgoing, Whole},
    follows,
    line::Busy,
    switched::Switched,
};
use crate::wire::Pipe;

/// The client's side of an exchange.
pub struct ClientSide {
    head: Option<Unit>,
    /// None: it has ended.
    body: Option<Incoming>,
    answer: Answer,
    version: Version,
    /// Where hyper hands the connection over, if the request asks for another protocol.
    upgrade: Option<OnUpgrade>,
    busy: Busy,
    /// How long the client may take nothing of its answer.
    stall: Duration,
}

enum Answer {
    /// Nothing was sent yet.
    Awaited(oneshot::Sender<Response<Outgoing>>),
    /// There is a head. It is sent with what else comes before there is something to wait for: an answer that is whole by
    /// then is given to hyper as a whole.
    Begun(Box<Begun>),
    /// The head was sent, and the body follows.
    Body(Filler),
    /// Protocols were switched, and bytes follow.
    Switched(Box<Switched>),
    /// Everything was sent.
    Sent,
}

/// An answer that hyper does not have yet.
struct Begun {
    sender: oneshot::Sender<Response<Outgoing>>,
    parts: response::Parts,
    body: Whole,
}

impl ClientSide {
    /// A request, and where its answer goes.
    pub(super) fn new(
        request: Request<Incoming>,
        answer: oneshot::Sender<Response<Outgoing>>,
        busy: Busy,
        stall: Duration,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        let follows = follows(&body);
        if busy.is_doubtful() {
            parts.extensions.insert(TwoEnds);
        }
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let upgrade = upgrade.filter(|_| parts.headers.contains_key(UPGRADE));
        Self {
            version: parts.version,
            head: Some(Unit::Request(Box::new(parts), follows)),
            body: (follows == Body::Follows).then_some(body),
            answer: Answer::Awaited(answer),
            upgrade,
            busy,
            stall,
        }
    }
}

impl Pipe for ClientSide {
    type Unit = Unit;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Ok(Some(head)));
        }
        if let Answer::Switched(switched) = &mut self.answer {
            return switched.poll_read(context);
        }
        poll_body(&mut self.body, context)
    }

    fn queue(&mut self, unit: Unit) {
        match (unit, &mut self.answer) {
            (Unit::Response(mut parts, follows), Answer::Awaited(_)) => {
                if parts.status != hyper::StatusCode::UNAUTHORIZED {
                    self.busy.prove();
                }
                let upgrade = self.upgrade.take();
                let hangs_up =
                    parts.extensions.remove::<HangUp>().is_some() && self.version < Version::HTTP_2;
                // What follows is what the client wanted to say in the other protocol, and no request (threats A51).
                let stays = upgrade.is_some() && follows != Body::Switched;
                if hangs_up || stays {
                    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
                let Answer::Awaited(sender) = std::mem::replace(&mut self.answer, Answer::Sent) else {
                    return;
                };
                let (body, next) = match follows {
                    Body::Switched => match upgrade {
                        Some(upgrade) => {
                            (Outgoing::none(), Answer::Switched(Box::new(Switched::new(upgrade))))
                        }
                        None => (Outgoing::none(), Answer::Sent),
                    },
                    Body::None | Body::Switches => (Outgoing::none(), Answer::Sent),
                    Body::Follows => {
                        let begun = Begun { sender, parts: *parts, body: Whole::default() };
                        self.answer = Answer::Begun(Box::new(begun));
                        return;
                    }
                };
                self.answer = next;
                // Where nobody waits any more, the next flush says so.
                let _ = sender.send(Response::from_parts(*parts, body));
            }
            (Unit::Data(bytes), Answer::Begun(begun)) => begun.body.data(bytes),
            (Unit::End, Answer::Begun(begun)) => begun.body.end(),
            (Unit::Data(bytes), Answer::Body(filler)) => filler.data(bytes),
            (Unit::End, Answer::Body(filler)) => filler.end(),
            (unit, Answer::Switched(switched)) => switched.queue(unit),
            // The exchange keeps the order of parts; trailers are not forwarded.
            _ => {}
        }
    }

    fn queued(&self) -> usize {
        match &self.answer {
            Answer::Begun(begun) => begun.body.queued(),
            Answer::Body(filler) => filler.queued(),
            Answer::Switched(switched) => switched.queued(),
            Answer::Awaited(_) | Answer::Sent => 0,
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hand_over();
        match &mut self.answer {
            // hyper drops what it waits for when the client leaves.
            Answer::Awaited(answer) => match answer.poll_closed(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => Poll::Ready(Ok(())),
            },
            Answer::Body(filler) => {
                ready!(filler.poll_flush(context))?;
                Poll::Ready(filler.poll_left(context))
            }
            Answer::Switched(switched) => switched.poll_flush(context),
            Answer::Begun(_) | Answer::Sent => Poll::Ready(Ok(())),
        }
    }

    /// For as long as the exchange runs on the task of its connection.
    fn looks(&self) -> Option<u32> {
        let sender = match &self.answer {
            Answer::Awaited(sender) => sender,
            Answer::Begun(begun) => &begun.sender,
            Answer::Body(_) | Answer::Switched(_) | Answer::Sent => return None,
        };
        // Each stream of HTTP/2 has a task of its own.
        (self.version < Version::HTTP_2 && !sender.is_closed()).then(|| self.busy.looks())
    }

    /// The exchange is over, and what its client has not taken yet is bounded: nobody waits for that.
    async fn close(mut self) {
        self.hand_over();
        match self.answer {
            Answer::Body(filler) => {
                tokio::spawn(last_words(filler, self.busy, self.stall));
            }
            Answer::Switched(switched) => switched.close().await,
            Answer::Awaited(_) | Answer::Begun(_) | Answer::Sent => {}
        }
    }
}

impl ClientSide {
    /// Gives hyper what there is of the answer.
    fn hand_over(&mut self) {
        if !matches!(self.answer, Answer::Begun(_)) {
            return;
        }
        let Answer::Begun(begun) = std::mem::replace(&mut self.answer, Answer::Sent) else { return };
        let Begun { sender, parts, body } = *begun;
        // A stream of HTTP/2 takes what its client lets it take, which somebody has to watch.
        let body = if body.has_ended() && self.version < Version::HTTP_2 {
            Outgoing::whole(body, self.busy.clone())
        } else {
            let (outgoing, mut filler) = Outgoing::filled(&parts.headers, self.stall);
            filler.begin_with(body);
            self.answer = Answer::Body(filler);
            outgoing
        };
        let _ = sender.send(Response::from_parts(parts, body));
    }
}

/// Sees an answer to its end. A client that does not take it loses its connection: hyper would wait for as long as it
/// likes, with an answer that was cut, too (fault F20).
async fn last_words(filler: Filler, busy: Busy, stall: Duration) {
    let limit = if filler.is_whole() { stall } else { AFTER_A_CUT };
    let finished = filler.finish(limit).await;
    // A stream that its client has reset is over, and its neighbours go on.
    if finished.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        busy.cut();
    }
}

/// How long a connection may take to end, or a stream to be reset, after its answer was cut.
const AFTER_A_CUT: Duration = Duration::from_secs(5);

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
