//! What of a client's headers reaches the target.
//!
//! A name is letters, digits and `-`. CGI, WSGI and PHP turn every other character into `_`, and `-` too, so `X_User`,
//! `X.User` and `X-User` are one header there, and three for a policy (threats A67). Other names are refused; nginx has
//! dropped them for ages, so hardly any client sends one. What is left is one of five things:
//!
//! | kind | what becomes of it |
//! | --- | --- |
//! | credential | taken out: `Authorization`, `Proxy-Authorization`, the header that the operator chose for tokens |
//! | identity | taken out: who the client is, by whom it came, where it wanted to go. Proxies add these, so does the gateway |
//! | override | refused: they make another request of the one that was judged |
//! | hop-by-hop, framing | taken out; the wire is the gateway's own |
//! | everything else | sent, in its order; where there are several lines, as one; some only once |
//!
//! `Connection` can name further headers to take out (RFC 9110 section 7.6.1). A client could have the gateway take
//! out what a target relies on, so a name there that is not hop-by-hop by itself is refused (threats A68).

mod framing;
mod names;
pub(crate) mod upgrade;

use std::{collections::HashMap, sync::Arc};

use gatewright_model::secret::Secret;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{AUTHORIZATION, CONNECTION, COOKIE, UPGRADE},
};

pub(crate) use self::framing::plain_number;
use self::names::{Kind, NAMES, OVERRIDES, PREFIXES};
pub use self::upgrade::Upgrade;
use crate::refusal::Refusal;

/// Headers at most, duplicates counted.
pub const MOST: usize = 100;

/// Names and values of all headers together at most, in bytes.
pub const LARGEST: usize = 32 << 10;

/// Headers that the gateway adds to most requests: `Host`, three about who asked, its credential.
const ADDED: usize = 5;

/// Which header carries the client's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenHeader {
    /// `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
    Authorization,
    /// `NAME: TOKEN`, for clients whose `Authorization` is not free. `Authorization` is taken out nevertheless. A name with
    /// other characters than letters, digits and `-` would be refused from every client.
    Named(HeaderName),
}

/// What becomes of each header. Made once for each listener.
#[derive(Debug)]
pub struct HeaderRules {
    token: TokenHeader,
    kinds: HashMap<Box<str>, Kind>,
    upgrades: &'static [Upgrade],
    lines: &'static [&'static str],
}

/// What is left of a client's headers.
#[derive(Debug)]
pub struct Kept {
    /// What is sent.
    pub headers: HeaderMap,
    /// The same, for the event.
    pub listed: Vec<(Arc<str>, Arc<str>)>,
    /// What the client presented.
    pub token: Presented,
    /// The length that it declared for its body.
    pub length: Option<u64>,
    /// What the client wants to switch to. It is among the headers that are sent and listed.
    pub upgrade: Option<Upgrade>,
}

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented {
    /// There is none.
    Nothing,
    /// There is one of another kind, or it is none.
    Malformed,
    /// A bearer token.
    Bearer(Secret),
}

impl HeaderRules {
    /// Rules for a listener. `own` are names that only the gateway may use: those that it adds itself, and those that
    /// the operator wants to be sure of.
    pub fn new(token: TokenHeader, own: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut kinds: HashMap<Box<str>, Kind> =
            NAMES.iter().map(|(name, kind)| (Box::from(*name), *kind)).collect();
        for name in own {
            // What is more than an identity already stays that.
            kinds.entry(plain(name.as_str()).into()).and_modify(Kind::reserve).or_insert(Kind::Identity);
        }
        if let TokenHeader::Named(name) = &token {
            kinds.insert(plain(name.as_str()).into(), Kind::Credential);
        }
        Self { token, kinds, upgrades: &[], lines: &[] }
    }

    /// The same rules, where connections may be switched to these protocols. Without this: to none.
    #[must_use]
    pub fn with_upgrades(self, upgrades: &'static [Upgrade]) -> Self {
        Self { upgrades, ..self }
    }

    /// The same rules, where headers whose names begin so are sent, each line by itself: who wrote the protocol on top of
    /// HTTP meant several lines, and no list.
    #[must_use]
    pub fn with_lines(self, lines: &'static [&'static str]) -> Self {
        Self { lines, ..self }
    }

    /// How a client presents its token.
    pub(crate) fn how(&self) -> String {
        match &self.token {
            TokenHeader::Authorization => "send a token: `Authorization: Bearer TOKEN`".to_owned(),
            TokenHeader::Named(name) => format!("send a token: `{name}: TOKEN`"),
        }
    }

    /// Reads the headers of a request.
    ///
    /// # Errors
    ///
    /// 400 `http.header`, `http.hopbyhop`, `http.framing` or `http.h2`; 501 or 400 `http.upgrade`.
    pub fn read(&self, headers: &HeaderMap, version: Version) -> Result<Kept, Refusal> {
        if headers.len() > MOST {
            return refuse("there are more than 100 headers");
        }
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > LARGEST {
            return refuse("the headers are larger than 32 KiB");
        }
        let upgrade = framing::check_connection(headers, version, self.upgrades)?;
        let length = framing::length(headers, version)?;
        let mut kept = Kept {
            // With room for what the gateway adds.
            headers: HeaderMap::with_capacity(headers.len() + ADDED),
            listed: Vec::with_capacity(headers.len()),
            token: self.token(headers)?,
            length,
            upgrade,
        };
        let mut lines = headers.iter().peekable();
        while let Some((name, value)) = lines.next() {
            // The lines of one header come one after the other.
            let mut count = 1;
            while lines.next_if(|(next, _)| *next == name).is_some() {
                count += 1;
            }
            self.keep(name, value, count, headers, version, &mut kept)?;
        }
        if let Some(upgrade) = upgrade {
            kept.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            kept.push(&UPGRADE, &HeaderValue::from_static(upgrade.as_str()))?;
        }
        Ok(kept)
    }

    /// Decides about a header: its first value, and how many it has.
    fn keep(
        &self,
        name: &HeaderName,
        value: &HeaderValue,
        count: usize,
        all: &HeaderMap,
        version: Version,
        kept: &mut Kept,
    ) -> Result<(), Refusal> {
        if !is_plain(name.as_str()) {
            return refuse("a header's name has other characters than letters, digits and `-`");
        }
        let kind = self.kind_of(name.as_str());
        let shown = text(value)?;
        if count > 1 {
            all.get_all(name).iter().try_for_each(|value| text(value).map(drop))?;
        }
        match kind {
            Kind::Override => {
                return refuse(
                    "a header would make another request of this one: say it in method and path",
                );
            }
            Kind::Once | Kind::Credential if count > 1 => {
                return refuse("a header that has one value is there more than once");
            }
            Kind::Any if *name == COOKIE && count > 1 && version < Version::HTTP_2 => {
                return refuse("there is more than one Cookie header");
            }
            Kind::Any if count > 1 => kept.push(name, &joined(name, all)?)?,
            Kind::Once | Kind::Any | Kind::Lines if count == 1 => kept.push_shown(name, value, shown),
            Kind::Once | Kind::Any | Kind::Lines => {
                for value in all.get_all(name) {
                    kept.push(name, value)?;
                }
            }
            Kind::Credential | Kind::Identity | Kind::Wire => {}
        }
        Ok(())
    }

    fn kind_of(&self, plain: &str) -> Kind {
        if let Some(kind) = self.kinds.get(plain) {
            return *kind;
        }
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| plain.starts_with(prefix));
        if begins(self.lines) {
            Kind::Lines
        } else if begins(PREFIXES) {
            Kind::Identity
        } else if begins(OVERRIDES) {
            Kind::Override
        } else {
            Kind::Any
        }
    }

    fn token(&self, headers: &HeaderMap) -> Result<Presented, Refusal> {
        let (name, bare) = match &self.token {
            TokenHeader::Authorization => (&AUTHORIZATION, false),
            TokenHeader::Named(name) => (name, true),
        };
        let Some(value) = headers.get(name) else { return Ok(Presented::Nothing) };
        let value = text(value)?;
        let token = if bare { Some(value) } else { bearer(value) };
        Ok(match token {
            Some(token) if is_token(token) => Presented::Bearer(Secret::new(token)),
            _ => Presented::Malformed,
        })
    }
}

impl Kept {
    fn push(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Refusal> {
        self.push_shown(name, value, text(value)?);
        Ok(())
    }

    /// `shown` is the value as text.
    fn push_shown(&mut self, name: &HeaderName, value: &HeaderValue, shown: &str) {
        self.listed.push((Arc::from(name.as_str()), Arc::from(shown)));
        self.headers.append(name, value.clone());
    }
}

/// Several lines of one header as one (RFC 9110 section 5.3), so that no server takes the first where another takes the
/// last. HTTP/2 splits cookies, and whoever passes them on joins them again (RFC 9113 section 8.2.3).
fn joined(name: &HeaderName, all: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let lines = all.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let whole = lines.join(if *name == COOKIE { "; " } else { ", " });
    HeaderValue::try_from(whole).or_else(|_| refuse(NOT_TEXT))
}

/// A value that every reader reads alike: visible ASCII, blanks and tabs inside (RFC 9110 section 5.5 without `obs-text`).
fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    // All of it is looked at, so that the compiler looks at many bytes at once.
    let visible = |byte: u8| (byte.wrapping_sub(b' ') < 0x7f - b' ') | (byte == b'\t');
    let all = value.as_bytes().iter().fold(true, |all, byte| all & visible(*byte));
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| all);
    let Some(text) = text else { return refuse(NOT_TEXT) };
    if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return refuse("a header's value begins or ends with a blank");
    }
    Ok(text)
}

/// The token behind `Bearer`, whose case does not count (RFC 9110 section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// `b64token` of RFC 6750 section 2.1.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().fold(true, |good, byte| good & is_of_token(byte))
}

/// Without a branch: tokens are long, and so the compiler looks at many bytes at once.
const fn is_of_token(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = byte.wrapping_sub(b'0') < 10;
    let mark =
        (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~') | (byte == b'+') | (byte == b'/');
    letter | digit | mark
}

/// Can a configuration name this header for a token, a credential or an identity? Not one by which HTTP itself works, and
/// not one that would be refused from every client.
pub fn is_ordinary(name: &HeaderName) -> bool {
    let known = NAMES.iter().find(|(known, _)| *known == name.as_str());
    let own = known.is_some_and(|(_, kind)| matches!(kind, Kind::Wire | Kind::Once | Kind::Override));
    is_plain(name.as_str()) && !own
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A name of the configuration as a reader sees it that knows letters and digits only.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::bad("http.header", detail))
}

const NOT_TEXT: &str = "a header's value has characters that are not visible ASCII";
