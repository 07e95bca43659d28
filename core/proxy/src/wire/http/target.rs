//! The target's side: a request that hyper sends, and the answer that it reads.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use gatewright_http::unit::{Body, Unit};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
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
    /// The connection: before the request is sent, and when there is an answer.
    link: Option<Link>,
    /// The answer's head, once the request was begun.
    answering: Option<Answering>,
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

type Answering = Pin<Box<dyn Future<Output = io::Result<(Response<Incoming>, Link)>> + Send>>;

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
            answering: None,
            body: None,
            upload: None,
            switches: false,
            switched: None,
            sent: false,
            answered: false,
        })
    }

    fn ask(&mut self, request: Request<Outgoing>) {
        if let Some(link) = self.link.take() {
            self.answering = Some(Box::pin(ask(link, request, Arc::clone(&self.target))));
        }
    }
}

/// Sends a request. One that a connection that was used before did not even begin to write, because the target had closed
/// it meanwhile, goes on a new one. What may have reached the target is never sent twice.
async fn ask(
    mut link: Link,
    request: Request<Outgoing>,
    target: Arc<Target>,
) -> io::Result<(Response<Incoming>, Link)> {
    let mut error = match link.sender.try_send_request(request).await {
        Ok(answer) => return Ok((answer, link)),
        Err(error) => error,
    };
    match error.take_message() {
        Some(request) if link.is_used => {
            let mut link = Link::open(&target).await?;
            let answer = link.sender.send_request(request).await.map_err(io::Error::other)?;
            Ok((answer, link))
        }
        _ => Err(io::Error::other(error.into_error())),
    }
}

impl Pipe for TargetSide {
    type Unit = Unit;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if let Some(answering) = &mut self.answering {
            let answer = ready!(answering.as_mut().poll(context));
            self.answering = None;
            let (mut answer, link) = answer?;
            self.link = Some(link);
            if self.switches && answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.switched = Some(Box::new(Switched::new(hyper::upgrade::on(&mut answer))));
                let (parts, _) = answer.into_parts();
                return Poll::Ready(Ok(Some(Unit::Response(Box::new(parts), Body::Switched))));
            }
            let (parts, body) = answer.into_parts();
            let follows = follows(&body);
            self.answered = follows == Body::None;
            self.body = (follows == Body::Follows).then_some(body);
            return Poll::Ready(Ok(Some(Unit::Response(Box::new(parts), follows))));
        }
        if let Some(switched) = &mut self.switched {
            return switched.poll_read(context);
        }
        let read = poll_body(&mut self.body, context);
        self.answered |= matches!(read, Poll::Ready(Ok(Some(Unit::End))));
        read
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
        if let Some(switched) = &mut self.switched {
            return switched.poll_flush(context);
        }
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        let flushed = ready!(upload.poll_flush(context));
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
        if let Some(switched) = self.switched {
            return switched.close().await;
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
