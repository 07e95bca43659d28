//! Which host a request is for: one name, said once or said alike.
//!
//! A client says it up to three times: in `Host`, in `:authority`, in the request line's absolute form. Programs
//! differ in which they believe, so all that are there have to agree (threats A65, A78).

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{HeaderMap, Uri, Version, header::HOST};

use crate::refusal::Refusal;

/// The authority of a request in its one form: lower case, with its port where it has one.
///
/// # Errors
///
/// 400 `http.authority`, where there is none, more than one, or one that could be read in two ways.
pub(crate) fn of_request(uri: &Uri, headers: &HeaderMap, version: Version) -> Result<String, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return refuse("there is more than one Host header");
    }
    let host = match host {
        Some(value) => match value.to_str() {
            Ok(text) => Some(canonical(text)?),
            Err(_) => return refuse("the Host header is not ASCII"),
        },
        None => None,
    };
    let authority = uri.authority().map(|authority| canonical(authority.as_str())).transpose()?;
    match (host, authority) {
        (Some(host), Some(authority)) if host != authority => {
            refuse("the request line and the Host header name different hosts")
        }
        // RFC 9112 section 3.2: it has to be there, even beside an absolute form.
        (None, _) if version <= Version::HTTP_11 => refuse("there is no Host header"),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => refuse("the request names no host"),
    }
}

/// The one form of `host` or `host:port`.
///
/// # Errors
///
/// 400 `http.authority`: user information, percent-encoding, a dot at the end, what is no host name and no address,
/// numbers that only some readers take for an address (`127.1`, `0x7f.0.0.1`), an empty port.
pub fn canonical(authority: &str) -> Result<String, Refusal> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return refuse(NO_HOST) };
            let Ok(address) = address.parse::<Ipv6Addr>() else { return refuse(NO_HOST) };
            let port = match port.strip_prefix(':') {
                None if !port.is_empty() => return refuse(NO_HOST),
                port => port,
            };
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (name(host)?, port)
        }
    };
    let Some(port) = port else { return Ok(host) };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let Some(port) = port.parse::<u16>().ok().filter(|_| digits) else {
        return refuse("the port is no number from 1 to 65535");
    };
    let mut text = host;
    // Writing to a string does not fail.
    let _ = write!(text, ":{port}");
    Ok(text)
}

/// The host of an authority in canonical form.
pub(crate) fn host(canonical: &str) -> &str {
    match canonical.rsplit_once(':') {
        Some((host, _)) if !canonical.ends_with(']') => host,
        _ => canonical,
    }
}

fn name(host: &str) -> Result<String, Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = || host.split('.');
    if host.len() > 253 || !labels().all(|label| matches!(label.len(), 1..=63) && label.bytes().all(good)) {
        return refuse(NO_HOST);
    }
    // What ends in a number is an address or nothing (WHATWG URL, "ends in a number").
    let last = labels().next_back().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if number && host.parse::<Ipv4Addr>().is_err() {
        return refuse(NO_HOST);
    }
    Ok(host.to_ascii_lowercase())
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::bad("http.authority", detail))
}

const NO_HOST: &str = "the host is neither a name nor an address in its usual form";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_form() {
        for (authority, form) in [
            ("Example.COM", "example.com"),
            ("example.com:443", "example.com:443"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::1]", "[::1]"),
            ("[0:0::1]:8080", "[::1]:8080"),
            ("x_y-z.local", "x_y-z.local"),
        ] {
            assert_eq!(canonical(authority).as_deref(), Ok(form));
            assert_eq!(canonical(form).as_deref(), Ok(form));
        }
        assert_eq!(host("example.com:1"), "example.com");
        assert_eq!((host("[::1]"), host("[::1]:1")), ("[::1]", "[::1]"));
    }

    #[test]
    fn a078_what_is_no_plain_host_is_refused() {
        for authority in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:+1",
            "a:1:2",
            "user@a",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a/b",
            "a%2eb",
            "ü.de",
            "127.1",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "a.0x1",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "a,b",
            "a\tb",
            "a#b",
            "a?b",
            "a\\b",
        ] {
            let code = canonical(authority).map_err(|refusal| refusal.code);
            assert_eq!(code, Err("http.authority"), "{authority:?}");
        }
    }
}
