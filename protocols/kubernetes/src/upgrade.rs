//! Switching a connection to a stream: which protocols a client may ask for, and what of its request is sent.
//!
//! A switch is RFC 6455's, or SPDY/3.1 as kubectl asked for it before 1.31. That it is asked for in one way, without a body
//! and without extensions, `gatewright-http` has seen to. A token in the list of sub-protocols (`base64url.bearer.authorization.k8s.io.TOKEN`, which
//! browsers use) is a credential that no one verified here: it is not sent.

use std::sync::Arc;

use gatewright_http::refusal::Refusal;
use gatewright_model::{
    http::HttpRequest,
    kubernetes::{Transport, Upgrade},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

/// The protocols that SPDY clients offer: one line for each.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// A sub-protocol that is a token.
const TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// Takes a token out of the list of sub-protocols, before anybody sees or keeps it.
///
/// # Errors
///
/// 400 `k8s.upgrade`: the list can not be read.
pub fn remove_token(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let offered = list(headers, &SEC_WEBSOCKET_PROTOCOL)?;
    if !offered.iter().any(|name| name.starts_with(TOKEN)) {
        return Ok(());
    }
    let left: Vec<&str> = offered.into_iter().filter(|name| !name.starts_with(TOKEN)).collect();
    // They were the value of a header before.
    let left = HeaderValue::try_from(left.join(", ")).ok().filter(|left| !left.is_empty());
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(left) = left {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, left);
    }
    Ok(())
}

/// What the connection is to be switched to, of a request whose form HTTP has checked.
pub fn read(request: &HttpRequest) -> Option<Upgrade> {
    let (transport, name) = match request.header("upgrade")? {
        "websocket" => (Transport::WebSocket, SEC_WEBSOCKET_PROTOCOL),
        _ => (Transport::Spdy, STREAM_PROTOCOL),
    };
    let own = request.headers.iter().filter(|(own, _)| **own == *name.as_str());
    let names = own.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    Some(Upgrade { transport, protocols: names.map(Arc::from).collect() })
}

/// One line for each protocol, as SPDY clients write it: older servers know no list.
pub fn write_lines(upgrade: &Upgrade, headers: &mut HeaderMap) {
    headers.remove(STREAM_PROTOCOL);
    for name in upgrade.protocols.iter().filter_map(|name| HeaderValue::try_from(&**name).ok()) {
        headers.append(STREAM_PROTOCOL, name);
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

    #[test]
    fn a053_both_ways_to_ask_are_read() {
        let target = "/api/v1/namespaces/demo/pods/web/exec";
        let ask = |headers: &[(&str, &str)]| read(&crate::transcripts::request("GET", target, headers));
        let offered = "v5.channel.k8s.io,v4.channel.k8s.io";
        let upgrade = ask(&[("upgrade", "websocket"), ("sec-websocket-protocol", offered)]).unwrap();
        assert_eq!(upgrade.transport, Transport::WebSocket);
        assert_eq!(upgrade.protocols, ["v5.channel.k8s.io".into(), "v4.channel.k8s.io".into()]);
        let offered = "v4.channel.k8s.io, channel.k8s.io";
        let upgrade = ask(&[("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", offered)]).unwrap();
        assert_eq!((upgrade.transport, upgrade.protocols.len()), (Transport::Spdy, 2));
        let mut lines = HeaderMap::new();
        write_lines(&upgrade, &mut lines);
        assert_eq!(lines.get_all(STREAM_PROTOCOL).iter().count(), 2);
        assert_eq!(ask(&[]), None);
    }

    #[test]
    fn a075_a_token_among_the_sub_protocols_is_taken_out() {
        let token = "base64url.bearer.authorization.k8s.io.VE9LRU4tQURNSU4";
        let mut map =
            headers(&[("sec-websocket-protocol", token), ("sec-websocket-protocol", "v4.channel.k8s.io")]);
        remove_token(&mut map).unwrap();
        assert_eq!(map.get(SEC_WEBSOCKET_PROTOCOL).unwrap(), "v4.channel.k8s.io");
        let mut map = headers(&[("sec-websocket-protocol", token)]);
        remove_token(&mut map).unwrap();
        assert!(map.is_empty());
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
