//! A request head read whole: one canonical form, or a refusal.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    http::{HttpBody, HttpRequest},
    json::Document,
};
use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
    request,
    uri::PathAndQuery,
};

use crate::{
    authority,
    headers::{HeaderRules, Presented, Upgrade, upgrade},
    path, query,
    refusal::Refusal,
    route::{Route, Routes},
    unit::{Body, TwoEnds},
};

/// How the client reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A request whose form is good. Nobody knows yet who sent it.
#[derive(Debug)]
pub struct Checked {
    /// What the client presented; nothing of it is left elsewhere.
    pub token: Presented,
    request: HttpRequest,
    method: Method,
    address: PathAndQuery,
    headers: HeaderMap,
    body: HttpBody,
    length: Option<u64>,
    upgrade: Option<Upgrade>,
}

/// A request that is good, is somebody's, and has a way to go.
#[derive(Debug)]
pub struct Judged {
    /// What is judged.
    pub request: Arc<HttpRequest>,
    /// What is known of its body.
    pub body: HttpBody,
    /// Where it goes.
    pub route: Arc<Route>,
    /// The length that its body must have.
    pub length: Option<u64>,
    /// What it wants to switch to.
    pub upgrade: Option<Upgrade>,
    method: Method,
    address: PathAndQuery,
    headers: HeaderMap,
}

/// Reads the head of a request.
///
/// # Errors
///
/// 400 where it could be read in two ways, 501 where it asks for another protocol.
pub fn read(
    parts: &request::Parts,
    body: Body,
    rules: &HeaderRules,
    scheme: Scheme,
) -> Result<Checked, Refusal> {
    check_version(parts.version)?;
    if parts.extensions.get::<TwoEnds>().is_some() {
        return Err(Refusal::bad(
            "http.framing",
            "the request says twice where it ends, or its lines end with LF alone",
        ));
    }
    check_method(&parts.method)?;
    let said = parts.uri.scheme_str();
    if said.is_some_and(|said| !said.eq_ignore_ascii_case(scheme.as_str())) {
        return Err(Refusal::bad("http.authority", "the request names another scheme than it came by"));
    }
    let authority = authority::of_request(&parts.uri, &parts.headers, parts.version)?;
    let path = path::canonical(parts.uri.path())?;
    let query = query::canonical(parts.uri.query().unwrap_or_default())?;
    let kept = rules.read(&parts.headers, parts.version)?;
    if let Some(upgrade) = kept.upgrade {
        upgrade::check(upgrade, &parts.method, &parts.headers, body)?;
    }
    let body = match (body, kept.length) {
        (Body::Follows, length) => HttpBody::Streamed { length },
        (_, None | Some(0)) => HttpBody::Empty,
        (_, Some(_)) => {
            return Err(Refusal::bad("http.framing", "a body was announced, and there is none"));
        }
    };
    let address = if query.text.is_empty() { path.clone() } else { format!("{path}?{}", query.text) };
    let Ok(address) = PathAndQuery::try_from(address) else {
        return Err(Refusal::bad("http.path", "path and query are too long together"));
    };
    Ok(Checked {
        token: kept.token,
        request: HttpRequest {
            method: Arc::from(parts.method.as_str()),
            scheme: scheme.as_str(),
            authority: Arc::from(authority),
            path: Arc::from(path),
            query: query.pairs,
            query_text: if query.text.is_empty() { Arc::default() } else { Arc::from(query.text) },
            headers: kept.listed,
            route: Arc::default(),
            route_parameters: Vec::new(),
        },
        method: parts.method.clone(),
        address,
        headers: kept.headers,
        body,
        length: kept.length,
        upgrade: kept.upgrade,
    })
}

impl Checked {
    /// Finds the way of a request.
    ///
    /// # Errors
    ///
    /// There is none for this request.
    pub fn route(self, routes: &Routes) -> Result<Judged, Arc<HttpRequest>> {
        let Self { mut request, method, address, headers, body, length, upgrade, token: _ } = self;
        let Some(taken) = routes.find(authority::host(&request.authority), &request.path) else {
            return Err(Arc::new(request));
        };
        request.route = Arc::clone(&taken.route.name);
        request.route_parameters = taken.parameters;
        let request = Arc::new(request);
        Ok(Judged { request, body, route: taken.route, length, upgrade, method, address, headers })
    }
}

impl Judged {
    /// Takes in the body that was read whole: from here on it is these bytes.
    pub(crate) fn read(&mut self, bytes: Bytes, json: Option<Arc<Document>>) {
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        self.body = HttpBody::Read { bytes, json };
    }

    /// The content codings of the body, as the client says them.
    pub(crate) fn content_encoding(&self) -> Option<&HeaderValue> {
        self.headers.get(CONTENT_ENCODING)
    }

    /// The head as it is sent: what was judged, made of the same values, without what the gateway adds.
    pub(crate) fn into_parts(self) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method;
        parts.uri = self.address.into();
        parts.headers = self.headers;
        parts
    }
}

fn check_version(version: Version) -> Result<(), Refusal> {
    match version {
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2 => Ok(()),
        _ => Err(Refusal::bad("http.framing", "the gateway speaks HTTP/1.0, HTTP/1.1 and HTTP/2")),
    }
}

/// Methods are upper case (RFC 9110 section 9.1 has no other), and some servers do not care: `delete` must not slip
/// past a rule about `DELETE`.
fn check_method(method: &Method) -> Result<(), Refusal> {
    let name = method.as_str();
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(Refusal::not_here("http.method", "the gateway does no CONNECT and no TRACE"));
    }
    if name.len() > 32 || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Err(Refusal::bad("http.method", "the method is not written in upper-case letters"));
    }
    Ok(())
}
