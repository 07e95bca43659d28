//! The target's side: a request that hyper sends, and the answer that it reads.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use gatewright_http::unit::{Body, Unit};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::TrySendError,
    header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
};

use super::{
    body::{Filler, Outgoing},
    client::poll_body,
    follows,
    pool::{Link, Pool},
    switched::Switched,
};
use crate::{config::Target, wire::Pipe};

/// The target's side of an exchange.
pub struct TargetSide {
    pool: Arc<Pool>,
    target: Arc<Target>,
    /// None: it is closed.
    link: Option<Link>,
    asking: Asking,
    body: Option<Incoming>,
    upload: Option<Filler>,
    /// Was the connection asked to switch protocols?
    switches: bool,
    /// It has done so.
    switched: Option<Box<Switched>>,
    /// Has either message ended as it should?
    sent: bool,
    answered: bool,
}

/// How far a request is.
enum Asking {
    /// It was not sent yet, or was answered.
    No,
    /// It was given to the connection.
    Asked(Answer),
    /// A connection that was used before was closed before it began to write it. It goes on a new one.
    Reopening(Opening, Box<Request<Outgoing>>),
}

type Answer = BoxFuture<Result<Response<Incoming>, TrySendError<Request<Outgoing>>>>;
type Opening = BoxFuture<io::Result<Link>>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A target that takes nothing is noticed by the exchange, which knows whether it has answered.
const FOREVER: Duration = Duration::from_secs(86_400);

impl TargetSide {
    /// Finds a connection that waits to be used again, or opens one, encrypted where the target wants that.
    pub(super) async fn connect(pool: &Arc<Pool>, target: &Arc<Target>) -> io::Result<Self> {
        let link = match pool.take(target) {
            Some(link) => link,
            None => Link::open(target).await?,
        };
        Ok(Self {
            pool: Arc::clone(pool),
            target: Arc::clone(target),
            link: Some(link),
            asking: Asking::No,
            body: None,
            upload: None,
            switches: false,
            switched: None,
            sent: false,
            answered: false,
        })
    }

    fn ask(&mut self, request: Request<Outgoing>) {
        if let Some(link) = &mut self.link {
            self.asking = Asking::Asked(Box::pin(link.sender.try_send_request(request)));
        }
    }

    /// Reads and writes, as far as there is anything to.
    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(link) = &mut self.link {
            link.drive(context);
        }
    }

    /// Waits for the head of the answer. What may have reached the target is never sent twice.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Response<Incoming>>> {
        loop {
            match &mut self.asking {
                Asking::No => return Poll::Pending,
                Asking::Asked(answer) => {
                    let mut error = match ready!(answer.as_mut().poll(context)) {
                        Ok(answer) => {
                            self.asking = Asking::No;
                            return Poll::Ready(Ok(answer));
                        }
                        Err(error) => error,
                    };
                    self.asking = Asking::No;
                    match (error.take_message(), self.link.take()) {
                        (Some(request), Some(link)) if link.is_used => {
                            let target = Arc::clone(&self.target);
                            let opening = Box::pin(async move { Link::open(&target).await });
                            self.asking = Asking::Reopening(opening, Box::new(request));
                        }
                        _ => return Poll::Ready(Err(io::Error::other(error.into_error()))),
                    }
                }
                Asking::Reopening(opening, _) => {
                    self.link = Some(ready!(opening.as_mut().poll(context))?);
                    if let Asking::Reopening(_, request) = std::mem::replace(&mut self.asking, Asking::No) {
                        self.ask(*request);
                        self.drive(context);
                    }
                }
            }
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if let Asking::No = self.asking {
            let read = poll_body(&mut self.body, context);
            self.answered |= matches!(read, Poll::Ready(Ok(Some(Unit::End))));
            return read;
        }
        let mut answer = ready!(self.poll_answer(context))?;
        if self.switches && answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.switched = Some(Box::new(Switched::new(hyper::upgrade::on(&mut answer))));
            let (parts, _) = answer.into_parts();
            return Poll::Ready(Ok(Some(Unit::Response(Box::new(parts), Body::Switched))));
        }
        let (parts, body) = answer.into_parts();
        let follows = follows(&body);
        self.answered = follows == Body::None;
        self.body = (follows == Body::Follows).then_some(body);
        Poll::Ready(Ok(Some(Unit::Response(Box::new(parts), follows))))
    }
}

impl Pipe for TargetSide {
    type Unit = Unit;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        self.drive(context);
        if let Some(switched) = &mut self.switched {
            return switched.poll_read(context);
        }
        let read = self.poll_message(context);
        if read.is_ready() {
            return read;
        }
        // hyper reads on when it was asked for more.
        self.drive(context);
        self.poll_message(context)
    }

    fn queue(&mut self, unit: Unit) {
        if let Some(switched) = &mut self.switched {
            return switched.queue(unit);
        }
        match (unit, &mut self.upload) {
            (Unit::Request(mut parts, follows), None) => {
                if follows == Body::Follows && !parts.headers.contains_key(CONTENT_LENGTH) {
                    // hyper would send a GET of unknown length without its body.
                    parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                let body = match follows {
                    Body::None | Body::Switches | Body::Switched => {
                        self.sent = true;
                        self.switches = follows == Body::Switches;
                        Outgoing::none()
                    }
                    Body::Follows => {
                        let (body, filler) = Outgoing::filled(&parts.headers, FOREVER);
                        self.upload = Some(filler);
                        body
                    }
                };
                self.ask(Request::from_parts(*parts, body));
            }
            (Unit::Data(bytes), Some(upload)) => upload.data(bytes),
            (Unit::End, Some(upload)) => upload.end(),
            // The exchange keeps the order of parts; trailers are not forwarded.
            _ => {}
        }
    }

    fn queued(&self) -> usize {
        match &self.switched {
            Some(switched) => switched.queued(),
            None => self.upload.as_ref().map_or(0, Filler::queued),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive(context);
        if let Some(switched) = &mut self.switched {
            return switched.poll_flush(context);
        }
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        let flushed = upload.poll_flush(context);
        if let Some(link) = &mut self.link {
            // hyper takes what was just put there.
            link.drive(context);
        }
        let flushed = ready!(flushed);
        self.sent = upload.has_ended();
        match flushed {
            // A target may answer before it has the whole body; what it says comes by reading.
            Err(_) if !upload.has_ended() => {
                self.upload = None;
                Poll::Ready(Ok(()))
            }
            flushed => Poll::Ready(flushed),
        }
    }

    /// A connection on which both messages ended is kept. Any other one is not used again: what is left of a message
    /// would be taken for the next one (threats A64). Nor is one that was asked to switch and did not: what the client
    /// sends then must not find a pipe (threats A51).
    async fn close(mut self) {
        if let Some(switched) = self.switched.take() {
            let mut closing = pin!(switched.close());
            return poll_fn(|context| {
                self.drive(context);
                closing.as_mut().poll(context)
            })
            .await;
        }
        if self.sent
            && !self.switches
            && self.answered
            && let Some(link) = self.link.take()
        {
            self.pool.give(&self.target, link);
        }
    }
}
