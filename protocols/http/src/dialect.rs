//! What a protocol on top of HTTP makes of an exchange.
//!
//! An exchange knows heads, bodies and their order. What a request *means*, how a refusal is written, what an answer may
//! show: these are questions to a [`Dialect`]. HTTP itself is one ([`Http`]); the Kubernetes API is another, in a crate of
//! its own.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gatewright_masking::MaskKey;
use gatewright_model::{
    event::Facet,
    http::{HttpEvent, HttpRequest},
    mask::MaskPlan,
    principal::Principal,
};
use http::{HeaderMap, Uri, response};

use crate::{
    filter::Filter, headers::Upgrade, masking::Masking, messages::WebSocketTunnel, problem::Problem,
    refusal::Refusal, tunnel::Tunnel,
};

/// What a protocol on top of HTTP makes of an exchange.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// What a connection may be switched to. The request that asks for it is judged like any other.
    fn upgrades(&self) -> &'static [Upgrade] {
        &[]
    }

    /// Looks at the headers of a request before HTTP does, and takes out or refuses what only this protocol knows.
    ///
    /// # Errors
    ///
    /// What no request of this protocol may have.
    fn admit(&self, _headers: &mut HeaderMap) -> Result<(), Refusal> {
        Ok(())
    }

    /// Beginnings of names of headers that are sent, and listed, each line by itself.
    fn lines(&self) -> &'static [&'static str] {
        &[]
    }

    /// Is the body of this request read whole before it is judged? If so, what is in it can be asked about; if not,
    /// it is streamed after the decision.
    fn reads_body(&self, request: &HttpRequest) -> bool;

    /// Is this body, which was read, JSON? Then it has to be JSON that every reader reads alike.
    fn is_json(&self, request: &HttpRequest, _bytes: &[u8]) -> bool {
        request.media_type().is_some_and(|media_type| is_json(&media_type))
    }

    /// What is judged.
    ///
    /// # Errors
    ///
    /// What HTTP allows and this protocol never does.
    fn facet(&self, http: HttpEvent) -> Result<Facet, Refusal>;

    /// Last changes to a head that was permitted, before the gateway's own headers are added.
    ///
    /// # Errors
    ///
    /// What was permitted can not be kept: nothing is sent.
    fn prepare(&self, outgoing: Outgoing<'_>) -> Result<(), Refusal>;

    /// Is a 401 to this the target's answer to the gateway's own credential? Then whoever asked can do nothing about it.
    /// `injected`: the route has a credential, and the request carried it.
    ///
    /// What a client sends as a credential never reaches a target. Where the gateway sends none either, a 401 is about what
    /// else the request has, like a cookie.
    fn refuses_gateway(&self, _facet: &Facet, injected: bool) -> bool {
        injected
    }

    /// What changes the body of an answer on its way. None: nothing does, and it is forwarded as it comes. What the
    /// body's length and identity were is taken out of the head by whoever returns a filter.
    ///
    /// # Errors
    ///
    /// The answer can not be shown as the permit demands: nothing of it is.
    fn filter(&self, answer: Incoming<'_>) -> Result<Option<Box<dyn Filter>>, Refusal>;

    /// What a connection becomes that switched protocols after a permit.
    ///
    /// # Errors
    ///
    /// This protocol never switches to that one: the connection is closed.
    fn tunnel(&self, answer: Incoming<'_>) -> Result<Box<dyn Tunnel>, Refusal>;

    /// What a recording of this is called, of which no argument is a part: they may be secrets. None: there is nothing that
    /// could be recorded.
    ///
    /// What has a title is recorded by the tunnel that it becomes ([`Passing::record`](crate::tunnel::Passing)).
    fn title(&self, _facet: &Facet) -> Option<Arc<str>> {
        None
    }

    /// Does the answer to this go on until somebody ends it, so that it is judged again when policies change?
    fn is_stream(&self, facet: &Facet) -> bool;

    /// How a client is told of a problem. `request` is there once it could be read.
    fn tell(&self, problem: Problem, request: Option<&HttpRequest>) -> (response::Parts, Bytes);
}

/// A request on its way to the target.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// What was judged.
    pub facet: &'a Facet,
    /// Who asks.
    pub principal: &'a Principal,
    /// What must be hidden in the answer.
    pub masks: Option<&'a MaskPlan>,
    /// Path and query, as they are to be sent.
    pub uri: &'a mut Uri,
    /// The headers, as they are to be sent.
    pub headers: &'a mut HeaderMap,
}

/// An answer on its way to the client.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The request that was judged.
    pub facet: &'a Facet,
    /// What must be hidden.
    pub masks: Option<&'a MaskPlan>,
    /// The head, as it is to be sent.
    pub head: &'a mut response::Parts,
    /// Is there a body?
    pub has_body: bool,
    /// Is what passes to be recorded?
    pub recorded: bool,
}

/// HTTP and nothing on top of it.
#[derive(Debug)]
pub struct Http {
    masking: Masking,
}

impl Http {
    /// With the key of keyed hashes in masks.
    pub const fn new(mask_key: MaskKey) -> Self {
        Self { masking: Masking::new(mask_key) }
    }
}

impl Dialect for Http {
    fn upgrades(&self) -> &'static [Upgrade] {
        &[Upgrade::WebSocket]
    }

    fn reads_body(&self, request: &HttpRequest) -> bool {
        request.media_type().is_some_and(|media_type| is_json(&media_type))
    }

    fn facet(&self, http: HttpEvent) -> Result<Facet, Refusal> {
        Ok(Facet::Http(http))
    }

    fn prepare(&self, outgoing: Outgoing<'_>) -> Result<(), Refusal> {
        let reads = outgoing.facet.http().is_none_or(|http| http.request.is_safe());
        outgoing.masks.map_or(Ok(()), |masks| self.masking.prepare(masks, reads, outgoing.headers))
    }

    fn filter(&self, answer: Incoming<'_>) -> Result<Option<Box<dyn Filter>>, Refusal> {
        let masks = answer.masks.map(|masks| self.masking.filter(masks, answer.head, answer.has_body));
        masks.transpose()
    }

    fn tunnel(&self, answer: Incoming<'_>) -> Result<Box<dyn Tunnel>, Refusal> {
        if let Some(masks) = answer.masks {
            // For its headers; it has no body.
            self.masking.filter(masks, answer.head, false)?;
        }
        let tunnel = WebSocketTunnel::new(&answer.head.headers, answer.masks, self.masking.key())?;
        Ok(Box::new(tunnel))
    }

    fn is_stream(&self, facet: &Facet) -> bool {
        let Facet::Http(http) = facet else { return false };
        http.request.header("accept").is_some_and(|accept| accept.contains("text/event-stream"))
    }

    fn tell(&self, problem: Problem, _request: Option<&HttpRequest>) -> (response::Parts, Bytes) {
        problem.into_answer()
    }
}

/// Is this media type JSON (RFC 6839 section 3.1)?
pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}
