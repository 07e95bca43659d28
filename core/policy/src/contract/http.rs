//! `gatewright:policy/http`: the HTTP facet: a request, what is in its body, the head of its answer.
//!
//! Questions are checked like words: a prefix or a name that no request can have is an error at the first test,
//! and not a rule that never fires.

use std::{borrow::Cow, sync::Arc};

use gatewright_model::{
    http::{HttpBody, HttpResponse},
    json::{Kind, Value},
};
use wasmtime::{
    StoreContextMut,
    component::{Resource, WasmStr},
};

use super::{Interface, text};
use crate::guest::{Guest, Stop, item};

/// Type of the handle to the HTTP facet.
pub(super) struct HttpHandle;
/// Type of the handle to the head of an answer.
struct ResponseHandle;

type H = HttpHandle;

pub(super) fn link(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.resource::<H>("http")?;
    link_address(interface)?;
    link_query(interface)?;
    link_header(interface)?;
    link_body(interface)?;
    link_response(interface)
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
            return Err(no_header());
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
    interface.get::<H, _>("[method]http.body-state", |guest| Ok(guest.http()?.body.state()))?;
    interface
        .get::<H, _>("[method]http.has-body", |guest| Ok(!matches!(guest.http()?.body, HttpBody::Empty)))?;
    interface.get::<H, _>("[method]http.body-length", |guest| Ok(guest.http()?.body.length()))?;
    link_json(interface)
}

fn link_json(interface: &mut Interface) -> wasmtime::Result<()> {
    interface.ask::<H, _>("[method]http.json-kind", |guest, pointer| {
        Ok(at(guest, pointer)?.map(|value| match value.kind() {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }))
    })?;
    interface.ask::<H, _>("[method]http.json-text", |guest, pointer| {
        Ok(at(guest, pointer)?.and_then(|value| match value.kind() {
            Kind::Object | Kind::Array => None,
            Kind::String => value.as_str().map(Cow::into_owned),
            Kind::Null | Kind::Boolean | Kind::Number => Some(value.raw().to_owned()),
        }))
    })?;
    interface.ask::<H, _>("[method]http.json-count", |guest, pointer| {
        Ok(at(guest, pointer)?.and_then(|value| match value.kind() {
            Kind::Object => Some(value.members().count() as u32),
            Kind::Array => Some(value.elements().count() as u32),
            _ => None,
        }))
    })?;
    type Arguments = (Resource<H>, WasmStr, u32);
    interface.0.func_wrap(
        "[method]http.json-key",
        |mut cx: StoreContextMut<Guest>, (_self, pointer, index): Arguments| {
            cx.data_mut().count_call()?;
            let pointer = text(&cx, &pointer)?;
            let mut members = at(cx.data(), &pointer)?.into_iter().flat_map(Value::members);
            Ok((members.nth(index as usize).map(|(name, _)| name.into_owned()),))
        },
    )
}

/// What is at a pointer. What was not read must not look absent: asking is an error then.
fn at<'g>(guest: &'g Guest, pointer: &str) -> Result<Option<Value<'g>>, Stop> {
    if !guest.inputs.body {
        return Err(Stop::Invalid("read a body, which its manifest does not declare".to_owned()));
    }
    if !is_pointer(pointer) {
        return Err(Stop::Invalid("asked for what is at a text that is no JSON pointer".to_owned()));
    }
    match &guest.http()?.body {
        HttpBody::Read { json: Some(document), .. } => Ok(document.pointer(pointer)),
        _ => Err(Stop::Invalid("asked what is in a body that was not read as JSON".to_owned())),
    }
}

/// Is it a JSON pointer (RFC 6901 section 3)?
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes
}

fn link_response(interface: &mut Interface) -> wasmtime::Result<()> {
    type R = ResponseHandle;
    interface.resource::<R>("response")?;
    interface.get::<H, _>("[method]http.response", |guest| {
        Ok(guest.http()?.response.as_ref().map(|_| Resource::<R>::new_own(0)))
    })?;
    interface.get::<R, _>("[method]response.status", |guest| Ok(u32::from(response(guest)?.status)))?;
    interface.ask::<R, _>("[method]response.header", |guest, name| {
        if !is_token(name) {
            return Err(no_header());
        }
        Ok(first(&response(guest)?.headers, |own| own.eq_ignore_ascii_case(name)))
    })?;
    interface
        .get::<R, _>("[method]response.header-count", |guest| Ok(response(guest)?.headers.len() as u32))?;
    interface.get_at::<R, _>("[method]response.header-name", |guest, at| {
        Ok(Arc::clone(&item(&response(guest)?.headers, at)?.0))
    })?;
    interface.get_at::<R, _>("[method]response.header-value", |guest, at| {
        Ok(Arc::clone(&item(&response(guest)?.headers, at)?.1))
    })?;
    interface.get::<R, _>("[method]response.media-type", |guest| Ok(response(guest)?.media_type()))
}

fn response(guest: &Guest) -> Result<&HttpResponse, Stop> {
    let response = guest.http()?.response.as_deref();
    response.ok_or_else(|| Stop::Invalid("asked about the answer of an event that has none".to_owned()))
}

fn no_header() -> Stop {
    Stop::Invalid("asked for a header by a name that no header can have".to_owned())
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
    fn pointers_are_those_of_the_rfc() {
        assert!(is_pointer("") && is_pointer("/") && is_pointer("/a~1b/0") && is_pointer("/~0"));
        for text in ["a", "$.a", "#/a", "/~", "/a~2", "/a~"] {
            assert!(!is_pointer(text), "{text}");
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
