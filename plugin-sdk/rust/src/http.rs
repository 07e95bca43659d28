//! The head of an HTTP request, in the one form that is judged and sent.
//!
//! ```
//! use gatewright_policy_sdk::{Event, Verdict, testkit::EventBuilder};
//!
//! fn evaluate(event: &Event) -> Verdict {
//!     let Some(http) = event.http() else {
//!         return Verdict::block("http-only", "this policy judges HTTP only", "");
//!     };
//!     if http.path_under("/admin") && !event.principal().in_group("operators") {
//!         return Verdict::block("admin", "this part is for operators", "ask for the group `operators`");
//!     }
//!     if !http.is_safe() && http.header("x-change-ticket").is_none() {
//!         return Verdict::block("ticket", "a change needs a ticket", "name it in `X-Change-Ticket`");
//!     }
//!     Verdict::Allow
//! }
//!
//! let request = EventBuilder::http("GET", "https://api.example/admin/users?page=2");
//! assert!(matches!(evaluate(&request.event()), Verdict::Block(_)));
//! assert_eq!(evaluate(&request.groups(["operators"]).event()), Verdict::Allow);
//! ```

use std::fmt;

use crate::raw;

/// The head of a request. Its body is streamed after the decision: whether there is one and how long its sender
/// says it is, is all that is known of it.
pub struct Http(raw::Http);

impl Http {
    pub(crate) fn new(raw: raw::Http) -> Self {
        Self(raw)
    }

    /// The method as it was sent: `GET`, `POST`. Case counts.
    pub fn method(&self) -> String {
        self.0.method()
    }

    /// Is the method one that asks for no change, as HTTP defines it? A target may not keep to that.
    pub fn is_safe(&self) -> bool {
        self.0.is_safe()
    }

    /// `http` or `https`, as the client reached the gateway.
    pub fn scheme(&self) -> String {
        self.0.scheme()
    }

    /// The host that the client named, in lower case, with its port where it named one. For a rule about hosts,
    /// [`Http::host`] is the safer one.
    pub fn authority(&self) -> String {
        self.0.authority()
    }

    /// The host that the client named, without the port: naming the port is no way around a rule about a host.
    pub fn host(&self) -> String {
        let mut authority = self.authority();
        let port = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
        authority.truncate(port.unwrap_or(authority.len()));
        authority
    }

    /// The path, without the query: no `.`, `..` or empty segments but for a `/` at its end, percent-encoded (with
    /// capitals) but for letters, digits and `-._~!$&'()*,=:@`. Case counts.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// Is the path this one, or below it? Segments are compared whole: `/api` holds `/api`, `/api/` and `/api/x`,
    /// and not `/apix`. A prefix that no path can begin with (`api`, `/api/`, `/a//b`) is an error, which blocks.
    pub fn path_under(&self, prefix: &str) -> bool {
        self.0.path_under(prefix)
    }

    /// Name of the route in the gateway's configuration that the request took.
    pub fn route(&self) -> String {
        self.0.route()
    }

    /// What the route's pattern bound to this name.
    pub fn route_parameter(&self, name: &str) -> Option<String> {
        self.0.route_parameter(name)
    }

    /// The first value of a parameter of the query, decoded. A target may read another one where there are
    /// several: [`Http::query_values`] gives them all.
    pub fn query(&self, name: &str) -> Option<String> {
        self.0.query(name)
    }

    /// Every value of a parameter of the query, decoded.
    pub fn query_values(&self, name: &str) -> impl Iterator<Item = String> {
        self.query_pairs().filter(move |(own, _)| own == name).map(|(_, value)| value)
    }

    /// The query, decoded, in its order. The value is empty where a parameter has no `=`.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> {
        (0..self.0.query_count()).map(|index| (self.0.query_key(index), self.0.query_value(index)))
    }

    /// The first value of a header, whatever the case of the name. A target may read another one where there are
    /// several: [`Http::header_values`] gives them all. Credentials and what is between two hops only are not
    /// there. A name that no header can have is an error, which blocks.
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    /// Every value of a header, whatever the case of the name.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = String> {
        self.headers().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every header in its order, the name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        (0..self.0.header_count()).map(|index| (self.0.header_name(index), self.0.header_value(index)))
    }

    /// The media type of the body as the client says it, in lower case and without parameters.
    pub fn media_type(&self) -> Option<String> {
        self.0.media_type()
    }

    /// What is known of the body.
    pub fn body(&self) -> Body {
        if self.0.has_body() { Body::Streamed { length: self.0.body_length() } } else { Body::Empty }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method();
        f.debug_struct("Http").field("method", &method).field("path", &self.path()).finish_non_exhaustive()
    }
}

/// What is known of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    Empty,
    /// It is streamed after the decision.
    Streamed {
        /// Its length in bytes, where its sender says it.
        length: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::EventBuilder;

    #[test]
    fn a_host_is_without_its_port() {
        let host = |authority: &str| {
            EventBuilder::http("GET", &format!("https://{authority}/")).event().http().unwrap().host()
        };
        assert_eq!(host("api.example"), "api.example");
        assert_eq!(host("api.example:8443"), "api.example");
        assert_eq!(host("[::1]"), "[::1]");
        assert_eq!(host("[::1]:8443"), "[::1]");
    }

    #[test]
    fn what_is_there_twice_is_seen_twice() {
        let request = EventBuilder::http("GET", "https://api.example/?a=1&b=&a=2")
            .header("X-Tenant", "one")
            .header("x-tenant", "two");
        let http = request.event().http().unwrap();
        assert_eq!(http.query("a").as_deref(), Some("1"));
        assert_eq!(http.query_values("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(http.header("x-TENANT").as_deref(), Some("one"));
        assert_eq!(http.header_values("X-Tenant").collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn a_body_is_empty_or_streamed() {
        let body = |request: EventBuilder| request.event().http().unwrap().body();
        let post = EventBuilder::http("POST", "https://api.example/");
        assert_eq!(body(post.clone()), Body::Empty);
        assert_eq!(body(post.clone().body(Some(7))), Body::Streamed { length: Some(7) });
        assert_eq!(body(post.body(None)), Body::Streamed { length: None });
    }
}
