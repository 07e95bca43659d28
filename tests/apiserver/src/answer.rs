//! Answers requests.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{HeaderName, HeaderValue},
    upgrade::OnUpgrade,
};
use serde_json::json;

use crate::{
    Error,
    asked::Asked,
    book::Book,
    conversation,
    frames::Framing,
    journal::Journal,
    pieces::Pieces,
    recording::{Body, Recorded},
    synthetic::{Exec, Synthetic},
};

/// An answer, or why the connection is closed instead.
pub(crate) type Answer = Result<Response<BoxBody<Bytes, Error>>, Error>;

/// RFC 6455 section 1.3.
const WEBSOCKET: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Headers that are about the recorded connection. hyper writes them for this one.
const OF_THE_CONNECTION: &[&str] = &["content-length", "transfer-encoding", "sec-websocket-accept"];

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) book: Book,
    pub(crate) journal: Journal,
    pub(crate) synthetic: Synthetic,
}

impl Server {
    /// Answers a request. An error closes the connection.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (mut head, body) = request.into_parts();
        let number = self.journal.head(&head)?;
        let asked = asked(&head);
        let upgrade = head.extensions.remove::<OnUpgrade>();
        self.journal.body(number, &body.collect().await?.to_bytes())?;
        let key = head.headers.get("sec-websocket-key");
        if asked.token.as_deref().is_some_and(|token| !self.book.knows(token)) {
            return unauthorized();
        }
        if asked.token.is_some() {
            if let Some(body) = self.synthetic.answer(&asked) {
                return respond(200, [("content-type", "application/json")], whole(body));
            }
            if let (Some(exec), Some(upgrade)) = (Exec::of(&asked), upgrade.clone()) {
                let answer = switch(exec.headers().into_iter(), key)?;
                tokio::spawn(async move { drop(exec.run(upgrade, &self.journal, number).await) });
                return Ok(answer);
            }
        }
        let Some(exchange) = self.book.find(&asked) else {
            if asked.token.is_none() {
                return unauthorized();
            }
            let message = format!("nothing is recorded for {} {}: {asked:?}", asked.method, head.uri);
            return status(500, "InternalError", &message);
        };
        let Some(recorded) = &exchange.answer else {
            return Err("the recorded server closed the connection here".into());
        };
        if recorded.status != 101 {
            return replay(recorded, asked.method == "HEAD");
        }
        let upgrade = upgrade.ok_or("this connection can not be upgraded")?;
        let headers = recorded.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let answer = switch(headers, key)?;
        let to = recorded.header("upgrade").unwrap_or_default().to_ascii_lowercase();
        let framing = Framing::of(&to, recorded.header("sec-websocket-protocol"));
        tokio::spawn(async move {
            drop(conversation::replay(upgrade, &exchange, framing, &self.journal, number).await);
        });
        Ok(answer)
    }
}

fn asked(head: &http::request::Parts) -> Asked {
    let headers =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    Asked::new(head.method.as_str(), &head.uri.to_string(), &headers.collect::<Vec<_>>())
}

fn replay(recorded: &Recorded, without_body: bool) -> Answer {
    let headers = recorded.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    match &recorded.body {
        // What a body would be long.
        Body::Whole(bytes) if without_body || recorded.status == 304 => {
            let kept = headers.filter(|(name, _)| *name != "transfer-encoding");
            respond_with_all(recorded.status, kept, whole(bytes.clone()))
        }
        Body::Whole(bytes) => respond(recorded.status, headers, whole(bytes.clone())),
        Body::Pieces(pieces) => {
            let pieces = Pieces::new(pieces.clone(), recorded.complete);
            respond(recorded.status, headers, pieces.boxed())
        }
    }
}

/// A 101.
fn switch<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>, key: Option<&HeaderValue>) -> Answer {
    let accepted = key.map(|key| {
        let text = [key.as_bytes(), WEBSOCKET.as_bytes()].concat();
        BASE64_STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text))
    });
    let mut answer = respond(101, headers, whole(Bytes::new()))?;
    if let Some(accepted) = accepted {
        answer.headers_mut().insert("sec-websocket-accept", HeaderValue::try_from(accepted)?);
    }
    Ok(answer)
}

fn unauthorized() -> Answer {
    status(401, "Unauthorized", "Unauthorized")
}

/// An answer of the API machinery itself.
fn status(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    respond(code, [("content-type", "application/json")], whole(Bytes::from(body.to_string())))
}

fn respond<'h>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: BoxBody<Bytes, Error>,
) -> Answer {
    let headers = headers.into_iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(name));
    respond_with_all(status, headers, body)
}

fn respond_with_all<'h>(
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: BoxBody<Bytes, Error>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(status)?;
    for (name, value) in headers {
        answer.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(answer)
}

fn whole(bytes: Bytes) -> BoxBody<Bytes, Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
