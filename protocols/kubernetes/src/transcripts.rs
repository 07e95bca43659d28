//! Recorded traffic for tests: `tests/testbed/kubernetes/transcripts`, whose README says how it was made.

use std::{path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gatewright_http::{path, query};
use gatewright_model::{
    http::HttpRequest,
    principal::{Principal, PrincipalKind},
};
use serde::Deserialize;

/// One line of a recording.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    /// The TCP connection.
    pub(crate) conn: u32,
    /// `request`, `response`; after a switch `up`, `down`.
    pub(crate) dir: String,
    /// Start line and headers.
    #[serde(default)]
    pub(crate) head: String,
    body_b64: String,
}

impl Item {
    /// Body, or bytes of a stream.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.body_b64).unwrap()
    }

    /// A header of the head, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A file of the recordings.
pub(crate) fn text(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testbed/kubernetes/transcripts").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The lines of a recording.
pub(crate) fn items(name: &str) -> Vec<Item> {
    let text = text(&format!("{name}.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A request as it is judged.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query::canonical(query).unwrap();
    HttpRequest {
        method: Arc::from(method),
        scheme: "https",
        authority: Arc::from("k8s.example"),
        path: Arc::from(path::canonical(path).unwrap()),
        query: query.pairs,
        query_text: Arc::from(query.text),
        headers: headers.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
        route: Arc::from("all"),
        route_parameters: Vec::new(),
    }
}

/// Somebody.
pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        subject: Arc::from(subject),
        issuer: Arc::from("test"),
        kind: PrincipalKind::Human,
        groups: Vec::new(),
        actors: vec![Arc::from("agent-7")],
        claims: Vec::new(),
        credential: Arc::from("t1"),
        issued_at: None,
        expires_at: None,
    }
}
