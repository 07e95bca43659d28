//! The head of an answer: what of it the client sees.
//!
//! An answer is data, not an order: a redirect is passed on and never followed, a switch of protocols that nobody asked
//! for is an error, and interim answers are dropped, because nothing in them was judged (threats A74, A78).

use std::sync::Arc;

use gatewright_model::http::HttpResponse;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
    header::{
        ALT_SVC, CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    response,
};

use crate::{
    headers::{Upgrade, plain_number},
    refusal::Refusal,
    unit::Body,
};

/// An answer's head.
#[derive(Debug)]
pub(super) enum Head {
    /// 1xx: another one follows.
    Interim,
    /// What the client gets, and the length that the body must have, where it is known.
    Final { parts: Box<response::Parts>, length: Option<u64> },
}

/// Reads the head of an answer; `head_only`: to HEAD.
///
/// # Errors
///
/// 502 `upstream.upgrade`, `upstream.status` or `upstream.framing`.
pub(super) fn read(given: response::Parts, body: Body, head_only: bool) -> Result<Head, Refusal> {
    match given.status.as_u16() {
        101 => return Err(UNASKED),
        100..=199 => return Ok(Head::Interim),
        200..=599 => {}
        _ => return Err(Refusal::bad_answer("upstream.status", "the target's status is none of HTTP's")),
    }
    let length = length(&given, body, head_only)?;
    // Made anew: what the wire noted beside the head (its version, its extensions) is about the other connection.
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = given.status;
    parts.headers = given.headers;
    remove_hop_by_hop(&mut parts.headers);
    Ok(Head::Final { parts: Box::new(parts), length })
}

/// Reads the head of an answer with which protocols are switched.
///
/// # Errors
///
/// 502 `upstream.upgrade`, where it is to another protocol than was asked for, or on terms that the gateway did not offer.
pub(super) fn switched(given: response::Parts, asked: Option<Upgrade>) -> Result<Head, Refusal> {
    let Some(asked) = asked.filter(|_| given.status == StatusCode::SWITCHING_PROTOCOLS) else {
        return Err(UNASKED);
    };
    let mut names = given.headers.get_all(UPGRADE).iter();
    if !names.next().is_some_and(|name| asked.is_named(name.as_bytes())) || names.next().is_some() {
        return Err(Refusal::bad_answer("upstream.upgrade", "the target switched to another protocol"));
    }
    if given.headers.contains_key("sec-websocket-extensions") {
        return Err(Refusal::bad_answer("upstream.upgrade", "the target uses what it was not offered"));
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = given.status;
    parts.headers = given.headers;
    remove_hop_by_hop(&mut parts.headers);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static(asked.as_str()));
    Ok(Head::Final { parts: Box::new(parts), length: None })
}

/// How long the body is. A body that has no end of its own is refused: if it is over when the connection is, nobody can
/// tell a whole answer from half of one.
fn length(parts: &response::Parts, body: Body, head_only: bool) -> Result<Option<u64>, Refusal> {
    let refuse = |detail| Err(Refusal::bad_answer("upstream.framing", detail));
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (_, Some(_)) => return refuse("the target's answer has two lengths"),
        (Some(value), None) => match plain_number(value.as_bytes()) {
            Some(length) => Some(length),
            None => return refuse("the length of the target's answer is no number"),
        },
        (None, None) => None,
    };
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        // Without `chunked` at its end, only the end of the connection would end it; with more, its body is still coded.
        _ => return refuse("the target's answer has a transfer coding other than chunked"),
    };
    if chunked && length.is_some() {
        return refuse("the target's answer has a length and a transfer coding");
    }
    // RFC 9112 section 6.3: whatever is said of its length, there is no body.
    if head_only || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Some(0));
    }
    if body == Body::None {
        return match length {
            None | Some(0) => Ok(Some(0)),
            Some(_) => refuse("the target's answer announces a body, and has none"),
        };
    }
    if !chunked && length.is_none() && parts.version < Version::HTTP_2 {
        return refuse(
            "the target's answer ends with its connection: it could be cut without anybody noticing",
        );
    }
    Ok(length)
}

/// The head as an event shows it.
pub(super) fn listed(parts: &response::Parts) -> HttpResponse {
    let headers = parts.headers.iter().map(|(name, value)| {
        let shown = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
        let value: String = value.as_bytes().iter().map(shown).collect();
        (Arc::from(name.as_str()), Arc::from(value))
    });
    HttpResponse { status: parts.status.as_u16(), headers: headers.collect() }
}

const UNASKED: Refusal =
    Refusal::bad_answer("upstream.upgrade", "the target switched protocols, and was not asked to");

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        // Where the body ends is said by nothing else.
        if name != CONTENT_LENGTH {
            headers.remove(name);
        }
    }
    // Names are compared quickly, and looked up slowly; few are there.
    let own: Vec<HeaderName> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

/// RFC 9110 section 7.6.1, what is older, and what would lead a client around the gateway (`Alt-Svc`, RFC 7838).
static HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    ALT_SVC,
];
