//! Requests to switch protocols, and what is left of one.
//!
//! A connection that was switched is out of sight of everything that is said here about requests. So what may be switched
//! to is a list; the request is judged with its `Upgrade` in sight; and what would make the bytes that follow unreadable
//! (`Sec-WebSocket-Extensions`: compression) is taken out (threats A51, A66, A75).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, Method, Version, header::UPGRADE};

use crate::{refusal::Refusal, unit::Body};

/// A protocol that a connection may be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// RFC 6455.
    WebSocket,
    /// What Kubernetes' older clients use for exec, attach and port-forward.
    Spdy31,
}

impl Upgrade {
    /// Its name in `Upgrade`, in the one form in which it is judged and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy31 => "SPDY/3.1",
        }
    }

    /// Does this name mean it? Case does not count (RFC 9110 section 7.8).
    pub(crate) fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.as_str().as_bytes())
    }
}

/// What a request wants to switch to. `options`: did `Connection` say `upgrade`?
///
/// # Errors
///
/// 501 `http.upgrade`, where it is none of `allowed`; 400, where it is not said in the one way.
pub(super) fn wanted(
    headers: &HeaderMap,
    said: bool,
    version: Version,
    allowed: &[Upgrade],
) -> Result<Option<Upgrade>, Refusal> {
    let mut values = headers.get_all(UPGRADE).iter();
    let upgrade = match (values.next(), values.next(), said) {
        (None, _, false) => return Ok(None),
        (Some(value), None, true) if version == Version::HTTP_11 => {
            allowed.iter().find(|upgrade| upgrade.is_named(value.as_bytes()))
        }
        (Some(_), _, _) => None,
        (None, _, true) => return refuse("Connection names an upgrade, and there is none"),
    };
    upgrade.copied().map(Some).ok_or(Refusal::not_here("http.upgrade", NOT_THIS))
}

/// Checks a request that wants to switch.
///
/// # Errors
///
/// 400 `http.upgrade`. Whatever follows such a request is not of HTTP any more, or is what somebody hid behind a switch that
/// does not come about: so it has no body.
pub(crate) fn check(
    upgrade: Upgrade,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    if body != Body::None {
        return refuse("a request that switches protocols has no body");
    }
    if upgrade != Upgrade::WebSocket {
        return Ok(());
    }
    if *method != Method::GET {
        return refuse("a WebSocket begins with GET");
    }
    if headers.get(VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return refuse("Sec-WebSocket-Version is not 13");
    }
    let key = headers.get(KEY).and_then(|key| BASE64_STANDARD.decode(key.as_bytes()).ok());
    if key.is_none_or(|key| key.len() != 16) {
        return refuse("Sec-WebSocket-Key is not 16 bytes in base64");
    }
    Ok(())
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::bad("http.upgrade", detail))
}

/// RFC 6455 section 11.3.
const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");

const NOT_THIS: &str = "the gateway does not switch to this protocol on this route";
