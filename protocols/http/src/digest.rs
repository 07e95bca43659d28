//! The digest that an approval is bound to.
//!
//! SHA-256 over these fields in this order, each preceded by its length in bytes as 8 bytes, big-endian, so that no two
//! requests have the same bytes:
//!
//! 1. `gatewright http.request 1`
//! 2. method, scheme, authority, path, query as it is sent
//! 3. for each header but those that are new with each attempt (`x-request-id`, `traceparent`, ...): its name, its value
//! 4. `body`, then `empty`, or `streamed` and the decimal length or `unknown`, or `read` and the bytes
//!
//! What the gateway adds (the target's credential, `X-Forwarded-For`) is not in it: it is not the client's, and an
//! approval must not end because a password was changed. Nor are the bytes of a body that is streamed: the digest says
//! that there is one, and how long it is. Nobody can approve such a request: what a reviewer does not see is not asked about.

use std::sync::Arc;

use gatewright_model::{
    digest::Digest,
    event::Facet,
    http::{HttpBody, HttpRequest, HttpResponse},
};
use sha2::{Digest as _, Sha256};

/// Headers that are new with each attempt at the same request, and say nothing of what is asked for: names of traces and of runs, and the
/// nonce of a WebSocket.
const PER_ATTEMPT: &[&str] = &[
    "kubectl-session",
    "sec-websocket-key",
    "traceparent",
    "tracestate",
    "x-correlation-id",
    "x-request-id",
];

/// The digest of a request.
pub(crate) fn of(request: &HttpRequest, body: &HttpBody) -> Digest {
    let HttpRequest { method, scheme, authority, path, query_text, headers, .. } = request;
    let mut hash = Fields::new("gatewright http.request 1");
    for part in [&**method, scheme, authority, path, query_text] {
        hash.add(part);
    }
    let counting = headers.iter().filter(|(name, _)| !PER_ATTEMPT.contains(&&**name));
    hash.add_pairs(counting);
    hash.add("body");
    match body {
        HttpBody::Empty => hash.add("empty"),
        HttpBody::Streamed { length } => {
            hash.add("streamed");
            hash.add(length.map_or_else(|| "unknown".to_owned(), |length| length.to_string()));
        }
        HttpBody::Read { bytes, .. } => {
            hash.add("read");
            hash.add(bytes);
        }
    }
    hash.finish()
}

/// The digest of the head of an answer: `gatewright http.response 1`, its status, then each header's name and value.
pub(crate) fn of_answer(response: &HttpResponse) -> Digest {
    let mut hash = Fields::new("gatewright http.response 1");
    hash.add(response.status.to_string());
    hash.add_pairs(response.headers.iter());
    hash.finish()
}

/// The digest of what is asked about in the middle of a connection that was switched: `gatewright tunnel 1`, then everything
/// that a reviewer sees of it.
pub(crate) fn of_tunnel(facet: &Facet) -> Digest {
    let mut hash = Fields::new("gatewright tunnel 1");
    match facet {
        Facet::Sql(sql) => hash.add(&*sql.analysis.text),
        Facet::Http(http) => hash.add(http.full_text()),
        Facet::Kubernetes(kubernetes) => hash.add(kubernetes.full_text()),
        Facet::Ssh(ssh) => hash.add(ssh.full_text()),
    }
    hash.finish()
}

struct Fields(Sha256);

impl Fields {
    fn new(what: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.add(what);
        fields
    }

    fn add(&mut self, field: impl AsRef<[u8]>) {
        let field = field.as_ref();
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn add_pairs<'p>(&mut self, pairs: impl Iterator<Item = &'p (Arc<str>, Arc<str>)>) {
        for (name, value) in pairs {
            self.add(&**name);
            self.add(&**value);
        }
    }

    fn finish(self) -> Digest {
        Digest::new(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
        HttpRequest {
            method: Arc::from("GET"),
            scheme: "https",
            authority: Arc::from("api.example"),
            path: Arc::from(path),
            query: Vec::new(),
            query_text: Arc::from(""),
            headers: headers.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
            route: Arc::from("all"),
            route_parameters: Vec::new(),
        }
    }

    #[test]
    fn everything_that_is_sent_counts_and_nothing_runs_together() {
        let digests = [
            of(&request("/a", &[]), &HttpBody::Empty),
            of(&request("/b", &[]), &HttpBody::Empty),
            of(&request("/a", &[("x", "yz")]), &HttpBody::Empty),
            of(&request("/a", &[("xy", "z")]), &HttpBody::Empty),
            of(&request("/a", &[("x", "y"), ("x", "z")]), &HttpBody::Empty),
            of(&request("/a", &[("x", "z"), ("x", "y")]), &HttpBody::Empty),
            of(&request("/a", &[("body", "empty")]), &HttpBody::Empty),
            of(&request("/a", &[]), &HttpBody::Streamed { length: None }),
            of(&request("/a", &[]), &HttpBody::Streamed { length: Some(5) }),
            of(&request("/a", &[]), &HttpBody::Read { bytes: "12345".into(), json: None }),
            of(&request("/a", &[]), &HttpBody::Read { bytes: "12346".into(), json: None }),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(digests.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
        assert_eq!(digests[0], of(&request("/a", &[]), &HttpBody::Empty));
        let again = request("/a", &[("kubectl-session", "7"), ("x-request-id", "8")]);
        assert_eq!(digests[0], of(&again, &HttpBody::Empty), "the same, tried again");
    }
}
