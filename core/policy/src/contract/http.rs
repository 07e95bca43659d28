//! `gatewright:policy/http`: the HTTP facet, the head of a request.
//!
//! Questions are checked like words: a prefix or a name that no request can have is an error at the first test,
//! and not a rule that never fires.

use std::sync::Arc;

use gatewright_model::http::HttpBody;

use super::Interface;
use crate::guest::{Stop, item};

/// Type of the handle to the HTTP facet.
pub(super) struct HttpHandle;

type H = HttpHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("http")?;
    link_address(interface)?;
    link_query(interface)?;
    link_header(interface)?;
    link_body(interface)
}

fn link_address(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]http.method", |guest| Ok(Arc::clone(&guest.http()?.request.method)))?;
    interface.get::<H, _>("[method]http.is-safe", |guest| Ok(guest.http()?.request.is_safe()))?;
    interface.get::<H, _>("[method]http.scheme", |guest| Ok(guest.http()?.request.scheme))?;
    interface
        .get::<H, _>("[method]http.authority", |guest| Ok(Arc::clone(&guest.http()?.request.authority)))?;
    interface.get::<H, _>("[method]http.path", |guest| Ok(Arc::clone(&guest.http()?.request.path)))?;
    interface.ask::<H, _>("[method]http.path-under", |guest, prefix| {
        let path = &guest.http()?.request.path;
        if is_prefix(prefix) { Ok(is_under(path, prefix)) } else { Err(no_prefix()) }
    })?;
    interface.get::<H, _>("[method]http.route", |guest| Ok(Arc::clone(&guest.http()?.request.route)))?;
    interface.ask::<H, _>("[method]http.route-parameter", |guest, name| {
        Ok(first(&guest.http()?.request.route_parameters, |own| own == name))
    })
}

fn link_query(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.ask::<H, _>("[method]http.query", |guest, name| {
        Ok(first(&guest.http()?.request.query, |own| own == name))
    })?;
    interface
        .get::<H, _>("[method]http.query-count", |guest| Ok(guest.http()?.request.query.len() as u32))?;
    interface.get_at::<H, _>("[method]http.query-key", |guest, at| {
        Ok(Arc::clone(&item(&guest.http()?.request.query, at)?.0))
    })?;
    interface.get_at::<H, _>("[method]http.query-value", |guest, at| {
        Ok(Arc::clone(&item(&guest.http()?.request.query, at)?.1))
    })
}

fn link_header(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.ask::<H, _>("[method]http.header", |guest, name| {
        if !is_token(name) {
            return Err(Stop::Invalid("asked for a header by a name that no header can have".to_owned()));
        }
        Ok(first(&guest.http()?.request.headers, |own| own.eq_ignore_ascii_case(name)))
    })?;
    interface
        .get::<H, _>("[method]http.header-count", |guest| Ok(guest.http()?.request.headers.len() as u32))?;
    interface.get_at::<H, _>("[method]http.header-name", |guest, at| {
        Ok(Arc::clone(&item(&guest.http()?.request.headers, at)?.0))
    })?;
    interface.get_at::<H, _>("[method]http.header-value", |guest, at| {
        Ok(Arc::clone(&item(&guest.http()?.request.headers, at)?.1))
    })
}

fn link_body(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.get::<H, _>("[method]http.media-type", |guest| Ok(guest.http()?.request.media_type()))?;
    interface.get::<H, _>("[method]http.has-body", |guest| Ok(guest.http()?.body != HttpBody::Empty))?;
    interface.get::<H, _>("[method]http.body-length", |guest| {
        Ok(match guest.http()?.body {
            HttpBody::Empty => Some(0),
            HttpBody::Streamed { length } => length,
        })
    })
}

/// The value of the first pair whose name fits.
fn first(pairs: &[(Arc<str>, Arc<str>)], fits: impl Fn(&str) -> bool) -> Option<Arc<str>> {
    pairs.iter().find(|(own, _)| fits(own)).map(|(_, value)| Arc::clone(value))
}

/// Is the path this one, or below it? Whole segments: `/api` does not hold `/apix`.
fn is_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Can a canonical path begin with it?
fn is_prefix(prefix: &str) -> bool {
    let Some(segments) = prefix.strip_prefix('/') else { return false };
    segments.is_empty() || segments.split('/').all(is_segment)
}

/// Can it be a segment of a canonical path: not empty, no dot segment, and percent-encoded as the contract says?
fn is_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*,=:@".contains(&byte);
    let capital = |digit: u8| digit.is_ascii_digit() || matches!(digit, b'A'..=b'F');
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if plain(byte) {
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else { return false };
        let encoded = [high, low];
        let value = std::str::from_utf8(&encoded).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        if byte != b'%' || !capital(high) || !capital(low) || value.is_none_or(plain) {
            return false;
        }
    }
    !matches!(segment, "" | "." | "..")
}

fn no_prefix() -> Stop {
    Stop::Invalid("asked for a path under what no path can begin with".to_owned())
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        for path in ["/api", "/api/", "/api/x", "/api/x/y"] {
            assert!(is_under(path, "/api"), "{path}");
        }
        for path in ["/apix", "/apix/api", "/ap", "/", "/API", "/x/api", "/api;x", "/api%2fx"] {
            assert!(!is_under(path, "/api"), "{path}");
        }
        for path in ["/", "/api", "/api/"] {
            assert!(is_under(path, "/"), "{path}");
        }
        assert!(is_under("/a/b/c", "/a/b") && !is_under("/a/bc", "/a/b"));
    }

    #[test]
    fn a_prefix_that_no_path_has_is_no_question() {
        for prefix in ["/", "/api", "/api/v1", "/caf%C3%A9", "/.well-known", "/a..b"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        let wrong =
            ["", "api", "*", "/api/", "//", "/a//b", "/.", "/a/..", "/a/./b", "/a?b", "/a#b", "/a b", "/é"];
        for prefix in wrong.into_iter().chain(["/a\\b", "/a\0", "http://api.example/", "/a;b", "/a+b"]) {
            assert!(!is_prefix(prefix), "{prefix}");
        }
        for prefix in ["/%c3%a9", "/%41", "/%2D", "/%", "/%2", "/%+2", "/%G0"] {
            assert!(!is_prefix(prefix), "{prefix} is encoded otherwise than a path is");
        }
    }

    #[test]
    fn names_of_headers_are_tokens() {
        assert!(is_token("X-Tenant") && is_token("accept"));
        for name in ["", "accept:", " accept", "x y", "é", "x\r\ny"] {
            assert!(!is_token(name), "{name}");
        }
    }
}
