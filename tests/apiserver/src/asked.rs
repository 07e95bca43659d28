//! What a request asks for, as far as a recorded answer depends on it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// The sub-protocol in which a browser sends a bearer token.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// A request, recorded or live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Decoded, in the order of the names; pairs of one name stay in their order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) token: Option<String>,
    pub(crate) accept: String,
    pub(crate) gzip: bool,
    pub(crate) conditional: bool,
    /// `impersonate-*` headers, sorted.
    pub(crate) impersonation: Vec<String>,
    pub(crate) upgrade: Option<Upgrade>,
}

/// A request to speak something else from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// `websocket` or `spdy/3.1`.
    pub(crate) to: String,
    /// What the client offers to speak inside, the most wanted first.
    pub(crate) protocols: Vec<String>,
}

impl Asked {
    /// Reads it from a request line's parts and headers with lower-case names.
    pub(crate) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let all = |name: &str| -> Vec<&str> {
            headers.iter().filter(|(have, _)| *have == name).map(|(_, value)| *value).collect()
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut query: Vec<(String, String)> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        query.sort_by(|a, b| a.0.cmp(&b.0));
        let mut impersonation: Vec<String> = headers
            .iter()
            .filter(|(name, _)| name.starts_with("impersonate-"))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        impersonation.sort();
        let upgrade = upgrade(&all);
        let bearer = all("authorization").first().and_then(|value| value.strip_prefix("Bearer "));
        let token = bearer.map(str::to_owned).or_else(|| upgrade.as_ref().and_then(Upgrade::token));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            token,
            accept: all("accept").join(","),
            gzip: all("accept-encoding").iter().any(|value| value.contains("gzip")),
            conditional: headers.iter().any(|(name, _)| *name == "if-none-match"),
            impersonation,
            upgrade,
        }
    }

    /// The query without how long a client is willing to wait, which some draw by lot.
    pub(crate) fn steady_query(&self) -> impl Iterator<Item = &(String, String)> {
        self.query.iter().filter(|(name, _)| name != "timeout" && name != "timeoutSeconds")
    }

    /// Every value of a name in the query.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Would the client take this media type, in this transformation (`as=Table`, or none)?
    pub(crate) fn accepts(&self, media: &str, transformation: Option<&str>) -> bool {
        let accept = if self.accept.is_empty() { "*/*" } else { &self.accept };
        accept.split(',').any(|alternative| {
            let (range, wanted) = alternative_of(alternative);
            (range == media || range == "*/*") && wanted == transformation
        })
    }

    /// The transformation that the first alternative of this media type asks for.
    pub(crate) fn transformation(&self, media: &str) -> Option<&str> {
        let alternatives = self.accept.split(',').map(alternative_of);
        alternatives.filter(|(range, _)| *range == media).find_map(|(_, wanted)| wanted)
    }
}

impl Upgrade {
    fn token(&self) -> Option<String> {
        let coded = self.protocols.iter().find_map(|name| name.strip_prefix(BEARER_PROTOCOL))?;
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(coded).ok()?).ok()
    }
}

fn upgrade<'h>(all: &impl Fn(&str) -> Vec<&'h str>) -> Option<Upgrade> {
    let to = all("upgrade").first()?.to_ascii_lowercase();
    let names = if to == "websocket" { "sec-websocket-protocol" } else { "x-stream-protocol-version" };
    let protocols =
        all(names).into_iter().flat_map(|line| line.split(',')).map(|name| name.trim().to_owned());
    Some(Upgrade { to, protocols: protocols.collect() })
}

/// A name or a value of a query: there is more than one way to write most characters.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap_or(b' ')));
                let value =
                    digits.map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()));
                match value {
                    [Some(high), Some(low)] => high << 4 | low,
                    _ => b'%',
                }
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `application/json;as=Table;v=v1` is `application/json` as `Table`.
fn alternative_of(text: &str) -> (&str, Option<&str>) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    (media, parts.find_map(|part| part.strip_prefix("as=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_its_head() {
        let headers = [
            ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            ("authorization", "Bearer TOKEN-ADMIN"),
            ("impersonate-user", "alice"),
        ];
        let asked = Asked::new("GET", "/x?watch=1&a=2%2F+&a=1&timeout=5s", &headers);
        let query: Vec<&str> = asked.steady_query().map(|(_, value)| value.as_str()).collect();
        assert_eq!(query, ["2/ ", "1", "1"]);
        assert_eq!(asked.token.as_deref(), Some("TOKEN-ADMIN"));
        assert_eq!(asked.impersonation, ["impersonate-user: alice"]);
        assert!(
            asked.accepts("application/json", Some("Table")) && asked.accepts("application/json", None)
        );
        assert!(!asked.accepts("application/vnd.kubernetes.protobuf", None));
        assert_eq!(asked.transformation("application/json"), Some("Table"));
    }

    #[test]
    fn a_token_may_come_as_a_sub_protocol() {
        let headers = [
            ("upgrade", "WebSocket"),
            (
                "sec-websocket-protocol",
                "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.VE9LRU4tQURNSU4",
            ),
        ];
        let asked = Asked::new("GET", "/x", &headers);
        assert_eq!(asked.token.as_deref(), Some("TOKEN-ADMIN"));
        assert_eq!(asked.upgrade.unwrap().to, "websocket");
    }
}
