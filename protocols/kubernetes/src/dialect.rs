//! The Kubernetes API as a dialect of HTTP.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_http::{
    dialect::{Dialect, Incoming, Outgoing, Reading, Taken},
    filter::Filter,
    headers,
    problem::Problem,
    refusal::Refusal,
    tunnel::Tunnel,
};
use gatewright_masking::MaskKey;
use gatewright_model::{
    event::Facet,
    http::{HttpEvent, HttpRequest},
    kubernetes::{Impersonation, KubernetesEvent, RequestInfo},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_KEY, UPGRADE},
    response,
};

use crate::{
    impersonation,
    negotiate::{self, Form},
    request_info,
    status::{Format, Status},
    stream, tunnel, upgrade,
};

/// The Kubernetes API.
#[derive(Debug)]
pub struct Kubernetes {
    identity: Identity,
    mask_key: MaskKey,
}

/// Who the target takes a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// The principal, by impersonation: the gateway's own account must be permitted that. Otherwise it is the account.
    pub impersonate: bool,
    /// May clients ask to be somebody else? It is judged like everything else then; otherwise it is refused before.
    pub allow_clients: bool,
}

impl Kubernetes {
    /// A dialect for one listener.
    pub const fn new(identity: Identity, mask_key: MaskKey) -> Self {
        Self { identity, mask_key }
    }
}

impl Dialect for Kubernetes {
    fn upgrades(&self) -> &'static [headers::Upgrade] {
        &[headers::Upgrade::WebSocket, headers::Upgrade::Spdy31]
    }

    fn take(&self, headers: &mut HeaderMap) -> Result<Taken, Refusal> {
        match impersonation::take(headers)? {
            Some(_) if !self.identity.allow_clients => Err(impersonation::NOT_ALLOWED),
            Some(who) => Ok(Some(Box::new(who))),
            None => Ok(None),
        }
    }

    fn reads_body(&self, request: &HttpRequest) -> Reading {
        match negotiate::form(request.header("content-type")) {
            Form::Json => Reading::Json,
            // kubectl sends JSON under this name. Real YAML is not looked into, and the event says so.
            Form::Yaml => Reading::Perhaps,
            Form::Protobuf | Form::Cbor | Form::Other => Reading::Streamed,
        }
    }

    fn facet(&self, http: HttpEvent, taken: Taken) -> Result<Facet, Refusal> {
        let info = request_info::read(&http.request);
        let upgrade = match Method::from_bytes(http.request.method.as_bytes()) {
            Ok(method) => upgrade::read(&method, &handshake(&http.request))?,
            Err(_) => None,
        };
        let stream = stream::read(&http.request, &info).map(Arc::new);
        let impersonation =
            taken.and_then(|taken| taken.downcast::<Impersonation>().ok()).map(|who| Arc::from(*who));
        Ok(Facet::Kubernetes(KubernetesEvent {
            http,
            info: Arc::new(info),
            upgrade,
            stream,
            impersonation,
        }))
    }

    fn prepare(&self, outgoing: Outgoing<'_>) -> Result<(), Refusal> {
        let Facet::Kubernetes(event) = outgoing.facet else { return Ok(()) };
        if let Some(wanted) = &event.upgrade {
            let key = outgoing.headers.get(SEC_WEBSOCKET_KEY).cloned();
            upgrade::write(wanted, key.as_ref(), outgoing.headers);
        }
        if outgoing.masks.is_some() {
            let given = event.http.request.header("accept");
            if let Ok(accept) = HeaderValue::try_from(negotiate::accept(given)) {
                outgoing.headers.insert(ACCEPT, accept);
            }
        }
        match &event.impersonation {
            Some(who) => impersonation::write(who, outgoing.headers),
            None if self.identity.impersonate => {
                impersonation::write(&impersonation::of(outgoing.principal)?, outgoing.headers)
            }
            None => Ok(()),
        }
    }

    fn filter(&self, answer: Incoming<'_>) -> Result<Option<Box<dyn Filter>>, Refusal> {
        match answer.masks {
            Some(_) if answer.has_body => Err(UNMASKABLE),
            _ => Ok(None),
        }
    }

    fn tunnel(&self, answer: Incoming<'_>) -> Result<Box<dyn Tunnel>, Refusal> {
        let Facet::Kubernetes(event) = answer.facet else { return Err(NOT_ASKED) };
        let Some(wanted) = &event.upgrade else { return Err(NOT_ASKED) };
        let protocol = upgrade::chosen(wanted, &answer.head.headers)?;
        tunnel::new(event, &protocol, answer.masks, &self.mask_key, None)
    }

    fn is_stream(&self, facet: &Facet) -> bool {
        let Facet::Kubernetes(event) = facet else { return false };
        let RequestInfo { verb, subresource, .. } = &*event.info;
        let follows = event.http.request.query_value("follow").is_some_and(|value| value != "false");
        &**verb == "watch" || event.stream.is_some() || (&**subresource == "log" && follows)
    }

    fn tell(&self, problem: Problem, request: Option<&HttpRequest>) -> (response::Parts, Bytes) {
        let info = request.map(request_info::read);
        let format = Format::wanted(request.and_then(|request| request.header("accept")));
        let body = Status::of(&problem, info.as_ref()).encode(format);
        let (mut parts, _) = problem.into_answer();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        (parts, body)
    }
}

/// The headers of a switch, as they came but for `Connection`, which was checked and is the wire's.
fn handshake(request: &HttpRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if request.header("upgrade").is_none() {
        return headers;
    }
    for (name, value) in &request.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(&**value)) {
            headers.append(name, value);
        }
    }
    if headers.contains_key(UPGRADE) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    headers
}

const UNMASKABLE: Refusal = Refusal {
    status: http::StatusCode::BAD_GATEWAY,
    code: "mask.unsupported",
    detail: "a policy hides parts of this answer, and the gateway can not do that to it",
};

const NOT_ASKED: Refusal = Refusal {
    status: http::StatusCode::BAD_GATEWAY,
    code: "upstream.upgrade",
    detail: "the target switched protocols, and was not asked to",
};
