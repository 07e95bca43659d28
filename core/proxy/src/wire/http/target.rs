//! The target's side: a request that hyper sends, and the answer that it reads.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gatewright_http::unit::{Body, Unit};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use tokio::{task::AbortHandle, time::timeout};

use super::{
    MOST_BUFFERED,
    body::{Filler, Outgoing},
    client::poll_body,
    follows,
};
use crate::{
    config::{Target, TargetTls},
    upstream,
    wire::Pipe,
};

/// The target's side of an exchange.
pub struct TargetSide {
    sender: Option<SendRequest<Outgoing>>,
    /// The answer's head, once the request was begun.
    answering: Option<Answering>,
    body: Option<Incoming>,
    upload: Option<Filler>,
    /// hyper's end of the connection. It lives as long as this does.
    connection: AbortHandle,
}

type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

impl TargetSide {
    /// Opens a connection, encrypted where the target wants that.
    pub(super) async fn connect(target: &Target) -> io::Result<Self> {
        let connection = upstream::connect(target).await?;
        let connection = match &target.tls {
            TargetTls::Off => connection,
            TargetTls::Verify { .. } => {
                let secured = timeout(target.connect_timeout, upstream::secure(connection, target));
                secured.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.0
            }
        };
        let mut client = http1::Builder::new();
        client.max_buf_size(MOST_BUFFERED);
        let shaken = client.handshake(TokioIo::new(connection.into_stream())).await;
        let (sender, connection) = shaken.map_err(io::Error::other)?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an HTTP target ended early");
            }
        });
        let connection = connection.abort_handle();
        Ok(Self { sender: Some(sender), answering: None, body: None, upload: None, connection })
    }
}

impl Pipe for TargetSide {
    type Unit = Unit;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Unit>>> {
        if let Some(answering) = &mut self.answering {
            let answer = ready!(answering.as_mut().poll(context));
            self.answering = None;
            let (parts, body) = answer.map_err(io::Error::other)?.into_parts();
            let follows = follows(&body);
            self.body = (follows == Body::Follows).then_some(body);
            return Poll::Ready(Ok(Some(Unit::Response(Box::new(parts), follows))));
        }
        poll_body(&mut self.body, context)
    }

    fn queue(&mut self, unit: Unit) {
        match (unit, &mut self.upload) {
            (Unit::Request(mut parts, follows), None) => {
                if follows == Body::Follows && !parts.headers.contains_key(CONTENT_LENGTH) {
                    // hyper would send a GET of unknown length without its body.
                    parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                let body = match follows {
                    Body::None => Outgoing::none(),
                    Body::Follows => {
                        let (body, filler) = Outgoing::filled();
                        self.upload = Some(filler);
                        body
                    }
                };
                if let Some(mut sender) = self.sender.take() {
                    let request = Request::from_parts(*parts, body);
                    self.answering = Some(Box::pin(async move { sender.send_request(request).await }));
                }
            }
            (Unit::Data(bytes), Some(upload)) => upload.data(bytes),
            (Unit::End, Some(upload)) => upload.end(),
            // The exchange keeps the order of parts; trailers are not forwarded.
            _ => {}
        }
    }

    fn queued(&self) -> usize {
        self.upload.as_ref().map_or(0, Filler::queued)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        match ready!(upload.poll_flush(context)) {
            // A target may answer before it has the whole body; what it says comes by reading.
            Err(_) if !upload.has_ended() => {
                self.upload = None;
                Poll::Ready(Ok(()))
            }
            flushed => Poll::Ready(flushed),
        }
    }

    async fn close(self) {}
}

impl Drop for TargetSide {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
