//! Impersonation: whom a request is to be done as (`Impersonate-User`, `-Group`, `-Uid`, `-Extra-KEY`).
//!
//! A gateway that holds a powerful account must be the only one to write these (threats A55). What a client sends is looked
//! at before any other header, so that no spelling of one gets past; by default it is refused with 400. The operator can
//! let clients say whom they want to be: then it is part of what is judged, and policies decide. The gateway's own are set
//! after hop-by-hop headers were taken out, so that `Connection: Impersonate-User` can not have one of them removed.

use std::{fmt::Write as _, sync::Arc};

use gatewright_http::refusal::Refusal;
use gatewright_model::{http::HttpRequest, kubernetes::Impersonation, principal::Principal};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Groups and extra values at most.
const MOST: usize = 256;

/// How the names of all of these headers begin.
pub const PREFIX: &str = "impersonate-";
const EXTRA: &str = "impersonate-extra-";
const USER: HeaderName = HeaderName::from_static("impersonate-user");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// What a client's headers say about impersonation.
///
/// # Errors
///
/// 400 `k8s.impersonate`: it is said in a way that the gateway does not know, or that two programs could read in two ways.
pub fn read(headers: &HeaderMap) -> Result<Option<Impersonation>, Refusal> {
    let mut all = Impersonation::default();
    let mut is_there = false;
    for name in headers.keys() {
        // A name that a careless reader takes for one of these counts, too.
        if !name.as_str().replace(['_', '.'], "-").starts_with(PREFIX) {
            continue;
        }
        is_there = true;
        let values = headers.get_all(name).iter().map(text).collect::<Result<Vec<_>, _>>()?;
        add(&mut all, name.as_str(), &values)?;
    }
    match (is_there, all.user.is_empty()) {
        (false, _) => Ok(None),
        (true, true) => refuse("impersonation needs a user"),
        (true, false) => Ok(Some(all)),
    }
}

/// The same, of a request that was admitted.
///
/// # Errors
///
/// As [`read`].
pub fn listed(request: &HttpRequest) -> Result<Option<Impersonation>, Refusal> {
    let pair = |(name, value): &(Arc<str>, Arc<str>)| {
        Some((HeaderName::try_from(&**name).ok()?, HeaderValue::try_from(&**value).ok()?))
    };
    let own = request.headers.iter().filter(|(name, _)| name.starts_with(PREFIX));
    read(&own.filter_map(pair).collect())
}

/// Adds a header to what is known.
fn add(all: &mut Impersonation, name: &str, values: &[Arc<str>]) -> Result<(), Refusal> {
    match (name, values) {
        ("impersonate-user", [one]) => all.user = Arc::clone(one),
        ("impersonate-uid", [one]) => all.uid = Arc::clone(one),
        ("impersonate-group", _) => all.groups.extend_from_slice(values),
        (extra, _) if extra.len() > EXTRA.len() && extra.starts_with(EXTRA) => {
            let key = key(extra.strip_prefix(EXTRA).unwrap_or_default())?;
            all.extra.extend(values.iter().map(|value| (Arc::clone(&key), Arc::clone(value))));
        }
        _ => return refuse("a header of impersonation is there twice, or is not known"),
    }
    if all.groups.len() + all.extra.len() > MOST {
        return refuse("impersonation has more than 256 groups and extra values");
    }
    Ok(())
}

/// Writes whom the target is to take the request for. Nothing about impersonation may be in `headers` before.
///
/// # Errors
///
/// 403 `k8s.impersonate`: a name of the principal can not stand in a header.
pub fn write(who: &Impersonation, headers: &mut HeaderMap) -> Result<(), Refusal> {
    // A blank at an end is dropped by readers, and whoever it is then is somebody else.
    let is_plain = |text: &str| text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let value = |text: &str| match HeaderValue::from_str(text) {
        Ok(value) if is_plain(text) => Ok(value),
        _ => Err(UNSPEAKABLE),
    };
    headers.insert(USER, value(&who.user)?);
    if !who.uid.is_empty() {
        headers.insert(UID, value(&who.uid)?);
    }
    for group in &who.groups {
        headers.append(GROUP, value(group)?);
    }
    for (own, text) in &who.extra {
        let name = HeaderName::try_from(format!("{EXTRA}{}", escaped(own))).map_err(|_| UNSPEAKABLE)?;
        headers.append(name, value(text)?);
    }
    Ok(())
}

/// A principal as a user of the cluster. An agent acts for its principal, and the cluster's audit log shall say so.
///
/// # Errors
///
/// 403 `k8s.impersonate`: the principal has a name that a cluster keeps for itself (`system:...`): no token of another issuer
/// may make anybody that (threats A55, A56).
pub fn of(principal: &Principal) -> Result<Impersonation, Refusal> {
    let names = || principal.groups.iter().chain([&principal.subject]);
    if names().any(|name| name.is_empty() || name.starts_with("system:")) {
        return Err(RESERVED);
    }
    let mut extra = vec![(Arc::from("gatewright.dev/issuer"), Arc::clone(&principal.issuer))];
    extra.extend(
        principal.actors.iter().map(|actor| (Arc::from("gatewright.dev/actor"), Arc::clone(actor))),
    );
    Ok(Impersonation {
        user: Arc::clone(&principal.subject),
        uid: Arc::default(),
        groups: principal.groups.clone(),
        extra,
    })
}

fn text(value: &HeaderValue) -> Result<Arc<str>, Refusal> {
    match value.to_str() {
        Ok(text) if !text.is_empty() => Ok(Arc::from(text)),
        _ => refuse("a value of impersonation is empty, or has characters that are not visible ASCII"),
    }
}

/// `unescapeExtraKey`: percent-encoded, and in lower case before it is decoded.
fn key(name: &str) -> Result<Arc<str>, Refusal> {
    let mut bytes = name.bytes();
    let mut out = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(bytes.next()), digit(bytes.next())) {
            // Two hex digits are one byte.
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return refuse("a key of impersonation has a percent sign without two hex digits"),
        }
    }
    match String::from_utf8(out) {
        Ok(key) if !key.chars().any(char::is_control) => Ok(Arc::from(key)),
        _ => refuse("a key of impersonation is not text"),
    }
}

/// What client-go does to a key (`transport.headerKeyEscape`): everything that a header's name can not have, and `%`.
fn escaped(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02x}")),
        }
    }
    out
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status: StatusCode::BAD_REQUEST, code: "k8s.impersonate", detail })
}

/// By default, and wherever the operator did not say otherwise.
pub const NOT_ALLOWED: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "k8s.impersonate",
    detail: "this gateway does not let clients impersonate: it says itself whom a request is done as",
};

const RESERVED: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "k8s.impersonate",
    detail: "the principal or one of its groups has a name that belongs to the cluster (`system:`), or none",
};

const UNSPEAKABLE: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "k8s.impersonate",
    detail: "a name of the principal has characters that can not stand in a header",
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
    fn a055_all_of_it_is_read_in_every_spelling() {
        let map = headers(&[
            ("Impersonate-User", "root"),
            ("IMPERSONATE-GROUP", "system:masters"),
            ("impersonate-group", "devs"),
            ("Impersonate-Extra-Example.com%2FScopes", "a"),
            ("accept", "*/*"),
        ]);
        let taken = read(&map).unwrap().unwrap();
        assert_eq!(&*taken.user, "root");
        assert_eq!(taken.groups, ["system:masters".into(), "devs".into()]);
        assert_eq!(taken.extra, [("example.com/scopes".into(), "a".into())]);
        let mut back = HeaderMap::new();
        write(&taken, &mut back).unwrap();
        assert_eq!(read(&back).unwrap().unwrap(), taken);
    }

    #[test]
    fn a055_what_could_be_read_in_two_ways_is_refused() {
        for lines in [
            &[("impersonate-user", "a"), ("impersonate-user", "b")][..],
            &[("impersonate-user", "")],
            &[("impersonate-group", "system:masters")],
            &[("impersonate-uid", "0")],
            &[("impersonate-user", "a"), ("impersonate_group", "system:masters")],
            &[("impersonate-user", "a"), ("impersonate.group", "system:masters")],
            &[("impersonate-user", "a"), ("impersonate-new", "x")],
            &[("impersonate-user", "a"), ("impersonate-extra-", "x")],
            &[("impersonate-user", "a"), ("impersonate-extra-%4", "x")],
            &[("impersonate-user", "a"), ("impersonate-extra-%0a", "x")],
        ] {
            assert_eq!(read(&headers(lines)).unwrap_err().code, "k8s.impersonate", "{lines:?}");
        }
        assert_eq!(read(&headers(&[("accept", "*/*")])).unwrap(), None);
    }

    /// What operators apply. Its lists are on one line each.
    const ROLE: &str = include_str!("../../../docs/kubernetes-role.yaml");

    #[test]
    fn the_role_of_the_docs_permits_all_that_is_written_and_no_more() {
        let mut principal = crate::transcripts::principal("alice");
        principal.groups = vec![Arc::from("devs")];
        assert!(!principal.actors.is_empty());
        let who = of(&principal).unwrap();
        let extras = who.extra.iter().map(|(key, _)| format!("userextras/{key}"));
        let written = [vec!["users".to_owned(), "groups".to_owned()], extras.collect()].concat();
        assert!(who.uid.is_empty(), "that would be one more");
        let lists = ROLE.lines().filter_map(|line| line.trim().strip_prefix("resources: ["));
        let permitted: Vec<&str> = lists.flat_map(|list| list.trim_end_matches(']').split(", ")).collect();
        assert_eq!(permitted, written);
        let verbs: Vec<&str> =
            ROLE.lines().filter_map(|line| line.trim().strip_prefix("verbs: ")).collect();
        assert_eq!(verbs, ["[impersonate]", "[impersonate]"]);
    }

    #[test]
    fn a055_nobody_becomes_the_cluster_itself() {
        let principal = |subject: &str, group: &str| {
            let mut principal = crate::transcripts::principal(subject);
            principal.groups = vec![Arc::from(group)];
            principal
        };
        assert!(of(&principal("alice", "devs")).is_ok());
        for (subject, group) in
            [("alice", "system:masters"), ("system:admin", "devs"), ("", "devs"), ("alice", "")]
        {
            assert!(of(&principal(subject, group)).is_err(), "{subject} {group}");
        }
        for name in ["alice\u{e9}", "alice ", "alice\r\nimpersonate-group: system:masters"] {
            let written = write(&of(&principal(name, "devs")).unwrap(), &mut HeaderMap::new());
            assert_eq!(written.unwrap_err().code, "k8s.impersonate", "{name:?}");
        }
    }
}
