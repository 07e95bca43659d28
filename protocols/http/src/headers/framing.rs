//! Headers about the connection and about where a body ends.
//!
//! hyper has cut the message by then, and its reading is the only one that counts on this side; the target gets
//! framing of the gateway's own making. What is refused here would not split a request any more: it is refused because
//! a client that sends it is confused or means harm (threats A63, A65, A66).

use http::{
    HeaderMap, HeaderName, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING},
};

use super::{
    Kind, NAMES,
    upgrade::{self, Upgrade},
};
use crate::refusal::Refusal;

/// Checks what a request says about its connection, and gives what it wants to switch to.
///
/// # Errors
///
/// 501 or 400 `http.upgrade`; 400 `http.hopbyhop`, `http.h2`, `http.framing`.
pub(super) fn check_connection(
    headers: &HeaderMap,
    version: Version,
    allowed: &[Upgrade],
) -> Result<Option<Upgrade>, Refusal> {
    if version >= Version::HTTP_2 {
        return check_h2(headers).map(|()| None);
    }
    let mut upgrades = false;
    if headers.contains_key(&HTTP2_SETTINGS) {
        return Err(Refusal::not_here("http.upgrade", H2C));
    }
    for value in headers.get_all(CONNECTION) {
        let Ok(value) = value.to_str() else { return Err(Refusal::bad("http.hopbyhop", NAMED)) };
        for option in value.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let option = option.to_ascii_lowercase();
            match option.as_str() {
                "upgrade" => upgrades = true,
                "http2-settings" => return Err(Refusal::not_here("http.upgrade", H2C)),
                "close" | "keep-alive" | "te" | "trailer" | "proxy-connection" => {}
                _ => return Err(Refusal::bad("http.hopbyhop", NAMED)),
            }
        }
    }
    for value in headers.get_all(EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::bad("http.framing", "the gateway knows no expectation but 100-continue"));
        }
    }
    upgrade::wanted(headers, upgrades, version, allowed)
}

/// The length of the body, where a request declares one.
///
/// # Errors
///
/// 400 `http.framing`, where length and transfer coding are not said in the one plain way.
pub(super) fn length(headers: &HeaderMap, version: Version) -> Result<Option<u64>, Refusal> {
    let refuse = |detail| Err(Refusal::bad("http.framing", detail));
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (_, Some(_)) => return refuse("there is more than one Content-Length"),
        (Some(value), None) => match plain_number(value.as_bytes()) {
            Some(length) => Some(length),
            None => return refuse("Content-Length is not a plain number"),
        },
        (None, None) => None,
    };
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(length),
        (Some(_), _) if length.is_some() => refuse("there are both Content-Length and Transfer-Encoding"),
        (Some(_), None) if version != Version::HTTP_11 => {
            refuse("Transfer-Encoding is of HTTP/1.1, and of no other version")
        }
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(None),
        _ => refuse("Transfer-Encoding is not `chunked`"),
    }
}

/// Digits, and nothing else: no sign, no list, no blank, and no zero before others, which C reads as octal.
pub(crate) fn plain_number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty()
        && text.iter().all(u8::is_ascii_digit)
        && (text == b"0" || !text.starts_with(b"0"));
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// RFC 9113 section 8.2.2: a request with a header about its connection is malformed.
fn check_h2(headers: &HeaderMap) -> Result<(), Refusal> {
    let wire = NAMES.iter().filter(|(name, kind)| {
        *kind == Kind::Wire && !matches!(*name, "te" | "trailer" | "host" | "expect")
    });
    let mut wire = wire.map(|(name, _)| *name);
    let te = headers.get_all(TE).iter().all(|value| value.as_bytes() == b"trailers");
    if wire.any(|name| headers.contains_key(name)) || !te {
        return Err(Refusal::bad("http.h2", "HTTP/2 has no headers about connections"));
    }
    Ok(())
}

static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

const H2C: &str = "the gateway speaks HTTP/2 where TLS has agreed on it, and nowhere else";

const NAMED: &str = "Connection names a header that is not hop-by-hop";
