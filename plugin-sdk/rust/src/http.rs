//! An HTTP request in the one form that is judged and sent, and the head of its answer.
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

/// A request: its head, and what is known of its body.
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
        let length = self.0.body_length();
        match &*self.0.body_state() {
            "none" => Body::Empty,
            "json" => Body::Json,
            "read" => Body::Read { length: length.unwrap_or_default() },
            // What a later gateway says of a body that this SDK does not know: at least nothing is known of it.
            _ => Body::Streamed { length },
        }
    }

    /// What the body says, where it is JSON ([`Body::Json`]). The policy must declare the input `body`.
    pub fn json(&self) -> Option<Json<'_>> {
        (self.body() == Body::Json).then_some(Json(&self.0))
    }

    /// The head of the answer, where the event is about that: kinds `http.response` and `kubernetes.response`.
    pub fn response(&self) -> Option<Response> {
        self.0.response().map(Response)
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
    /// It was read whole, and is no JSON.
    Read {
        /// Its length in bytes.
        length: u64,
    },
    /// It was read whole and is JSON that no two readers understand differently: [`Http::json`].
    Json,
}

/// A JSON body. Its parts are named by JSON pointers (RFC 6901): `""` is all of it, `/spec/replicas` a member of a member.
/// A text that is no pointer is an error, which blocks.
#[derive(Clone, Copy)]
pub struct Json<'a>(&'a raw::Http);

impl Json<'_> {
    /// What is there: `object`, `array`, `string`, `number`, `boolean` or `null`.
    pub fn kind(&self, pointer: &str) -> Option<String> {
        self.0.json_kind(pointer)
    }

    /// What is there as text: of a string its characters, of a number, a boolean or null what is written. None: there
    /// is nothing, or an object, or an array.
    pub fn text(&self, pointer: &str) -> Option<String> {
        self.0.json_text(pointer)
    }

    /// How many members or elements are there. None: there is neither object nor array.
    pub fn len(&self, pointer: &str) -> Option<u32> {
        self.0.json_count(pointer)
    }

    /// The names of the members of the object that is there, in no particular order; none where there is no object.
    pub fn keys(&self, pointer: &str) -> impl Iterator<Item = String> {
        let count = self.len(pointer).unwrap_or_default();
        (0..count).map_while(|index| self.0.json_key(pointer, index))
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").finish_non_exhaustive()
    }
}

/// The head of an answer, before any of it reaches the client.
pub struct Response(raw::Response);

impl Response {
    /// 200 to 599.
    pub fn status(&self) -> u32 {
        self.0.status()
    }

    /// The first value of a header, whatever the case of the name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    /// Every header in its order, the name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        (0..self.0.header_count()).map(|index| (self.0.header_name(index), self.0.header_value(index)))
    }

    /// The media type of the body as the target says it, in lower case and without parameters.
    pub fn media_type(&self) -> Option<String> {
        self.0.media_type()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).finish_non_exhaustive()
    }
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

    #[test]
    fn a_json_body_is_asked_by_pointers() {
        let post = EventBuilder::http("POST", "https://api.example/")
            .json(r#"{"amount": 12.25, "to": {"iban": "DE\u0031", "a/b": null}, "tags": ["x", true]}"#);
        let event = post.event();
        let http = event.http().unwrap();
        assert_eq!(http.body(), Body::Json);
        let json = http.json().unwrap();
        assert_eq!(json.kind("").as_deref(), Some("object"));
        assert_eq!(json.text("/amount").as_deref(), Some("12.25"));
        assert_eq!(json.text("/to/iban").as_deref(), Some("DE1"));
        assert_eq!(json.kind("/to/a~1b").as_deref(), Some("null"));
        assert_eq!(json.text("/tags/1").as_deref(), Some("true"));
        assert_eq!(json.len("/tags"), Some(2));
        assert_eq!(json.text("/to"), None);
        assert_eq!(json.keys("/to").collect::<Vec<_>>(), ["a/b", "iban"]);
        assert!(
            EventBuilder::http("POST", "https://api.example/").event().http().unwrap().json().is_none()
        );
    }

    #[test]
    fn an_answer_has_the_request_beside_it() {
        let answer = EventBuilder::http("GET", "https://api.example/people")
            .answer(404, [("Content-Type", "text/html; a=b")]);
        let event = answer.event();
        assert_eq!(event.kind(), "http.response");
        let response = event.http().unwrap().response().unwrap();
        assert_eq!((response.status(), response.media_type().as_deref()), (404, Some("text/html")));
        assert_eq!(event.http().unwrap().path(), "/people");
    }
}
