//! What an HTTP request means, in one canonical form: judged, hashed, shown to reviewers and sent.
//!
//! A request that could be read in two ways never becomes an event: it is answered with 400 before. So what is here
//! is what the target will read, byte for byte after its encoding for the wire.

use std::sync::Arc;

use bytes::Bytes;

use crate::{json::Document, sql::Grade};

/// One request, or the answer to one that was permitted.
#[derive(Debug, Clone)]
pub struct HttpEvent {
    /// Method, address and headers.
    pub request: Arc<HttpRequest>,
    /// What is known of the request's body.
    pub body: HttpBody,
    /// The head of the answer, where the event is about that.
    pub response: Option<Arc<HttpResponse>>,
}

/// Status and headers of an answer, as the client would get them but for what is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 to 599.
    pub status: u16,
    /// Headers: names in lower case, in their order. Bytes that are not ASCII are `?`.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

impl HttpResponse {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| **own == *name).map(|(_, value)| &**value)
    }

    /// The media type of the body, without its parameters, in lower case: `application/json`.
    pub fn media_type(&self) -> Option<String> {
        self.header("content-type").map(essence)
    }
}

/// A media type without its parameters, in lower case.
fn essence(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Method, address and headers of a request, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, as sent: `GET`, `POST`, ... Case counts (RFC 9110 section 9.1).
    pub method: Arc<str>,
    /// `http` or `https`, as the client reached the gateway.
    pub scheme: &'static str,
    /// The host that the client named, in lower case, with its port where it named one.
    pub authority: Arc<str>,
    /// The path: percent-encoded only where it must be, without dot segments, empty segments, encoded slashes. Starts
    /// with `/`.
    pub path: Arc<str>,
    /// The query as pairs in their order, decoded. A key without `=` has an empty value.
    pub query: Vec<(Arc<str>, Arc<str>)>,
    /// The query as it is sent, without `?`. Empty: there is none.
    pub query_text: Arc<str>,
    /// Headers as they are sent to the target, without what the gateway adds: names in lower case, in their order. Neither
    /// credentials nor hop-by-hop headers are here.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The route of the configuration that it took.
    pub route: Arc<str>,
    /// What the route's pattern bound, by name.
    pub route_parameters: Vec<(Arc<str>, Arc<str>)>,
}

impl HttpRequest {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| **own == *name).map(|(_, value)| &**value)
    }

    /// The first value of a query parameter.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| **own == *name).map(|(_, value)| &**value)
    }

    /// The media type of the body, without its parameters, in lower case: `application/json`.
    pub fn media_type(&self) -> Option<String> {
        self.header("content-type").map(essence)
    }

    /// May it change anything at the target, as HTTP sees it (RFC 9110 section 9.2.1)?
    pub fn is_safe(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// About how many bytes it takes.
    pub fn footprint(&self) -> usize {
        let pairs = self.query.iter().chain(&self.headers).chain(&self.route_parameters);
        let texts: usize = pairs.map(|(name, value)| name.len() + value.len() + PAIR_BYTES).sum();
        size_of::<Self>() + self.authority.len() + self.path.len() + self.query_text.len() + texts
    }

    /// Method, authority and path: what is safe to record. A query often holds secrets, so there is none.
    pub fn summary(&self) -> String {
        format!("{} {}{}", self.method, self.authority, self.path)
    }

    /// The head as a reviewer must see it: everything that is sent, but for the values of cookies.
    pub fn full_text(&self) -> String {
        let Self { method, authority, path, query_text, headers, .. } = self;
        let question = if query_text.is_empty() { "" } else { "?" };
        let mut text = format!("{method} {}://{authority}{path}{question}{query_text}", self.scheme);
        for (name, value) in headers {
            match &**name {
                // Whoever reads it could be whom it stands for.
                "cookie" => text.push_str(&format!("\ncookie: ({} bytes, not shown)", value.len())),
                _ => text.push_str(&format!("\n{name}: {value}")),
            }
        }
        text
    }
}

/// Two pointers to texts, and what is counted beside each.
const PAIR_BYTES: usize = 64;

/// What is known of a body when its request is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpBody {
    /// There is none.
    Empty,
    /// It is streamed after the decision, and was not looked into. A policy that must know what is in it can not.
    Streamed {
        /// Its length in bytes, where the client said so.
        length: Option<u64>,
    },
    /// It was read whole. These bytes are sent, and no others.
    Read {
        /// The bytes, in the content coding that the headers name.
        bytes: Bytes,
        /// What they say, where they are JSON.
        json: Option<Arc<Document>>,
    },
}

impl HttpBody {
    /// The word that policies use.
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Empty => "none",
            Self::Streamed { .. } => "streamed",
            Self::Read { json: None, .. } => "read",
            Self::Read { json: Some(_), .. } => "json",
        }
    }

    /// Its length in bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Streamed { length } => *length,
            Self::Read { bytes, .. } => Some(bytes.len() as u64),
        }
    }
}

impl HttpEvent {
    /// The event kind of a request, which policies ask for and records carry.
    pub const KIND: &'static str = "http.request";
    /// The event kind of an answer.
    pub const ANSWER_KIND: &'static str = "http.response";

    /// Which of them it is.
    pub const fn kind(&self) -> &'static str {
        if self.response.is_some() { Self::ANSWER_KIND } else { Self::KIND }
    }

    /// Is everything that is sent in [`HttpEvent::full_text`]? A body that is streamed is not: nobody can approve it.
    pub const fn is_shown_whole(&self) -> bool {
        !matches!(self.body, HttpBody::Streamed { .. })
    }

    /// How well it was understood: what is here was understood, and a body that is streamed is not claimed to be.
    pub const fn grade(&self) -> Grade {
        Grade::Verified
    }

    /// What is safe to record, in one line.
    pub fn summary(&self) -> String {
        let request = self.request.summary();
        match &self.response {
            Some(response) => format!("{} to {request}", response.status),
            None => request,
        }
    }

    /// The request, or the head of the answer to it, as a reviewer must see it: everything that is sent.
    pub fn full_text(&self) -> String {
        let mut text = self.request.full_text();
        if let HttpBody::Read { bytes, .. } = &self.body {
            text.push_str("\n\n");
            match std::str::from_utf8(bytes) {
                Ok(body) => text.push_str(body),
                Err(_) => text.push_str(&bytes.escape_ascii().to_string()),
            }
        }
        if let Some(response) = &self.response {
            text.push_str(&format!("\n\nanswer: {}", response.status));
            for (name, value) in &response.headers {
                match &**name {
                    "set-cookie" => text.push_str(&format!("\n{name}: ({} bytes, not shown)", value.len())),
                    _ => text.push_str(&format!("\n{name}: {value}")),
                }
            }
        }
        text
    }
}
