//! Switching a connection to a stream: which protocols a client may ask for, and what of its request is sent.
//!
//! A switch is RFC 6455's, or SPDY/3.1 as kubectl asked for it before 1.31. Extensions are never negotiated, so no message is
//! compressed (threats A75). A token in the list of sub-protocols (`base64url.bearer.authorization.k8s.io.TOKEN`, which
//! browsers use) is a credential that no one verified here: it is not sent.

use std::sync::Arc;

use gatewright_http::refusal::Refusal;
use gatewright_model::kubernetes::{Transport, Upgrade};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};

/// The protocols that SPDY clients offer: one line for each.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// Offered protocols at most: real clients offer up to five.
const MOST_PROTOCOLS: usize = 16;

/// A sub-protocol that is a token.
const TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// Does the request ask for a switch, and to what?
///
/// # Errors
///
/// 400 `k8s.upgrade`: it does so in a way that could be read in two ways; 501 `http.upgrade`: to another protocol.
pub fn read(method: &Method, headers: &HeaderMap) -> Result<Option<Upgrade>, Refusal> {
    let named = headers.get_all(UPGRADE).iter().collect::<Vec<_>>();
    let announced = list(headers, &CONNECTION)?.iter().any(|option| option.eq_ignore_ascii_case("upgrade"));
    let transport = match (&named[..], announced) {
        ([], false) => return Ok(None),
        ([name], true) if name.as_bytes().eq_ignore_ascii_case(b"websocket") => Transport::WebSocket,
        ([name], true) if name.as_bytes().eq_ignore_ascii_case(b"SPDY/3.1") => Transport::Spdy,
        ([_], true) => return Err(OTHER),
        _ => return Err(refuse("`Upgrade` and `Connection: Upgrade` go together, and name one protocol")),
    };
    let (name, is_good) = match transport {
        Transport::WebSocket => (SEC_WEBSOCKET_PROTOCOL, *method == Method::GET && is_websocket(headers)),
        Transport::Spdy => (STREAM_PROTOCOL, *method == Method::GET || *method == Method::POST),
    };
    if !is_good {
        return Err(refuse("the request is no handshake of the protocol that it asks for"));
    }
    let offered = list(headers, &name)?;
    if offered.len() > MOST_PROTOCOLS {
        return Err(refuse("more protocols are offered than any client has"));
    }
    let protocols = offered.into_iter().filter(|name| !name.starts_with(TOKEN)).map(Arc::from).collect();
    Ok(Some(Upgrade { transport, protocols }))
}

/// Adds to a head what asks for the switch. `key`: what the client sent as `Sec-WebSocket-Key`, so that its own check of the
/// answer holds.
pub fn write(upgrade: &Upgrade, key: Option<&HeaderValue>, headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let offered = || upgrade.protocols.iter().filter_map(|name| HeaderValue::try_from(&**name).ok());
    match upgrade.transport {
        Transport::WebSocket => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            if let Some(key) = key {
                headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            }
            headers.remove(SEC_WEBSOCKET_EXTENSIONS);
            headers.remove(SEC_WEBSOCKET_PROTOCOL);
            if let Ok(names) = HeaderValue::try_from(upgrade.protocols.join(", "))
                && !names.is_empty()
            {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, names);
            }
        }
        Transport::Spdy => {
            headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            headers.remove(STREAM_PROTOCOL);
            for name in offered() {
                headers.append(STREAM_PROTOCOL, name);
            }
        }
    }
}

/// The protocol that the target chose, from the head of its 101. Empty: none.
///
/// # Errors
///
/// 502 `upstream.upgrade`: it switched to something that nobody asked for.
pub fn chosen(upgrade: &Upgrade, headers: &HeaderMap) -> Result<Arc<str>, Refusal> {
    let (own, name) = match upgrade.transport {
        Transport::WebSocket => ("websocket", SEC_WEBSOCKET_PROTOCOL),
        Transport::Spdy => ("SPDY/3.1", STREAM_PROTOCOL),
    };
    let switched =
        headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
    if !switched || headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(WRONG_SWITCH);
    }
    let chosen = list(headers, &name).map_err(|_| WRONG_SWITCH)?;
    match chosen[..] {
        [] => Ok(Arc::default()),
        [one] if upgrade.protocols.iter().any(|offered| **offered == *one) => Ok(Arc::from(one)),
        _ => Err(WRONG_SWITCH),
    }
}

/// Version and key (RFC 6455 section 4.1). Why not more: `Sec-WebSocket-Accept` is checked by the client.
fn is_websocket(headers: &HeaderMap) -> bool {
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
    };
    let is_key = |key: &[u8]| {
        key.len() == 24
            && key.ends_with(b"==")
            && key.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
    };
    only(SEC_WEBSOCKET_VERSION) == Some(b"13") && only(SEC_WEBSOCKET_KEY).is_some_and(is_key)
}

/// The items of a header that is a list, over all its lines. Empty items do not count.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Vec<&'a str>, Refusal> {
    let mut items = Vec::new();
    for value in headers.get_all(name) {
        let Ok(text) = value.to_str() else {
            return Err(refuse("a header of the switch is not visible ASCII"));
        };
        items.extend(text.split(',').map(str::trim).filter(|item| !item.is_empty()));
    }
    Ok(items)
}

const fn refuse(detail: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code: "k8s.upgrade", detail }
}

const OTHER: Refusal = Refusal {
    status: StatusCode::NOT_IMPLEMENTED,
    code: "http.upgrade",
    detail: "the gateway switches to WebSocket and SPDY/3.1 only",
};

const WRONG_SWITCH: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "upstream.upgrade",
    detail: "the target switched to a protocol that the client did not ask for",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        lines.iter().map(pair).collect()
    }

    fn websocket(more: &[(&str, &str)]) -> HeaderMap {
        let mut all = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "k7MXETgxV74yN6spkOn5uA=="),
        ]);
        all.extend(headers(more).into_iter().map(|(name, value)| (name.unwrap(), value)));
        all
    }

    #[test]
    fn a053_both_ways_to_ask_are_read() {
        let offered = websocket(&[("sec-websocket-protocol", "v5.channel.k8s.io,v4.channel.k8s.io")]);
        let upgrade = read(&Method::GET, &offered).unwrap().unwrap();
        assert_eq!(upgrade.transport, Transport::WebSocket);
        assert_eq!(upgrade.protocols, ["v5.channel.k8s.io".into(), "v4.channel.k8s.io".into()]);
        let spdy = headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
            ("x-stream-protocol-version", "channel.k8s.io"),
        ]);
        let upgrade = read(&Method::POST, &spdy).unwrap().unwrap();
        assert_eq!((upgrade.transport, upgrade.protocols.len()), (Transport::Spdy, 2));
        assert_eq!(read(&Method::GET, &headers(&[("connection", "keep-alive")])).unwrap(), None);
    }

    #[test]
    fn a075_a_switch_that_could_be_read_in_two_ways_is_refused() {
        for lines in [
            &[("upgrade", "websocket")][..],
            &[("connection", "upgrade")],
            &[("connection", "upgrade"), ("upgrade", "websocket")],
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "SPDY/3.1")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[("connection", "upgrade"), ("upgrade", "websocket, SPDY/3.1")],
        ] {
            assert!(read(&Method::GET, &headers(lines)).is_err(), "{lines:?}");
        }
        assert!(read(&Method::POST, &websocket(&[])).is_err());
        assert!(
            read(&Method::GET, &websocket(&[("sec-websocket-key", "k7MXETgxV74yN6spkOn5uA==")])).is_err()
        );
    }

    #[test]
    fn a075_no_extension_and_no_token_is_sent() {
        let token = "base64url.bearer.authorization.k8s.io.VE9LRU4tQURNSU4, v4.channel.k8s.io";
        let mut sent = websocket(&[
            ("sec-websocket-protocol", token),
            ("sec-websocket-extensions", "permessage-deflate"),
        ]);
        let upgrade = read(&Method::GET, &sent).unwrap().unwrap();
        write(&upgrade, None, &mut sent);
        assert_eq!(sent.get(SEC_WEBSOCKET_PROTOCOL).unwrap(), "v4.channel.k8s.io");
        assert!(!sent.contains_key(SEC_WEBSOCKET_EXTENSIONS));
    }

    #[test]
    fn a051_a_switch_to_something_else_is_no_switch() {
        let upgrade =
            Upgrade { transport: Transport::WebSocket, protocols: vec!["v5.channel.k8s.io".into()] };
        let chosen = |lines| chosen(&upgrade, &headers(lines)).map(|name| name.to_string());
        let good = [("upgrade", "websocket"), ("sec-websocket-protocol", "v5.channel.k8s.io")];
        assert_eq!(chosen(&good).unwrap(), "v5.channel.k8s.io");
        // As a real server does that was offered none that it knows.
        assert_eq!(chosen(&[("upgrade", "websocket"), ("sec-websocket-protocol", "")]).unwrap(), "");
        for bad in [
            &[("upgrade", "SPDY/3.1")][..],
            &[],
            &[("upgrade", "websocket"), ("sec-websocket-protocol", "v4.channel.k8s.io")],
            &[("upgrade", "websocket"), ("sec-websocket-extensions", "permessage-deflate")],
        ] {
            assert!(chosen(bad).is_err(), "{bad:?}");
        }
    }
}
