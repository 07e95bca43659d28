//! HTTP: a request's head from a method, a URL and headers.
//!
//! The URL goes through what live requests go through: what is refused there is refused here, and what becomes another
//! form there is judged in that form. Headers are taken as policies see them.

use std::sync::Arc;

use gatewright_http::{
    authority, path,
    query::{self, Query},
    refusal::Refusal,
};
use gatewright_model::{
    digest::Digest,
    event::{Event, Facet},
    http::{HttpEvent, HttpRequest},
    id::EventId,
};
use gatewright_policy::HttpCase;
use sha2::{Digest as _, Sha256};

/// A pair of a query, of headers or of route parameters.
type Pair = (Arc<str>, Arc<str>);

/// The event of an HTTP case.
pub(super) fn read(case: &HttpCase) -> Result<Event, String> {
    Ok(event(Facet::Http(http(case)?)))
}

/// What HTTP makes of a case.
pub(super) fn http(case: &HttpCase) -> Result<HttpEvent, String> {
    if !is_token(&case.method) {
        return Err(format!("`{}` is not a method", case.method));
    }
    let Url { scheme, authority, path, query } = Url::parse(&case.url)?;
    let request = HttpRequest {
        method: case.method.as_str().into(),
        scheme,
        authority: authority.into(),
        path: path.into(),
        query: query.pairs,
        query_text: query.text.into(),
        headers: case.headers.iter().map(header).collect::<Result<_, _>>()?,
        route: case.route.as_str().into(),
        route_parameters: case.route_parameters.iter().map(pair).collect(),
    };
    let response = case.response.clone().map(Arc::new);
    Ok(HttpEvent { request: Arc::new(request), body: case.body.clone(), response })
}

/// The event of a facet.
pub(super) fn event(facet: Facet) -> Event {
    let event = Event { id: EventId::FIRST, payload: Digest::new([0; 32]), facet };
    // No message is sent: what a reviewer would see stands for it.
    let payload = Digest::new(Sha256::digest(event.full_text().as_bytes()).into());
    Event { payload, ..event }
}

/// The parts of a URL, in canonical form.
struct Url {
    scheme: &'static str,
    authority: String,
    path: String,
    query: Query,
}

impl Url {
    fn parse(url: &str) -> Result<Self, String> {
        let schemes = [("http", "http://"), ("https", "https://")];
        let (scheme, rest) = schemes
            .into_iter()
            .find_map(|(scheme, start)| Some((scheme, url.strip_prefix(start)?)))
            .ok_or_else(|| format!("`{url}` does not start with `http://` or `https://`"))?;
        // Clients keep fragments to themselves, and send nothing that is not ASCII.
        if let Some(wrong) = rest.chars().find(|letter| !letter.is_ascii_graphic() || *letter == '#') {
            return Err(format!("`{url}` holds {wrong:?}, which no client sends"));
        }
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some(slash) = before.find('/') else {
            return Err(format!("`{url}` has no path: write at least `/` after the host"));
        };
        let (authority, path) = before.split_at(slash);
        let refused =
            |refusal: Refusal| format!("`{url}` would be refused: {} ({})", refusal.detail, refusal.code);
        Ok(Self {
            scheme,
            authority: authority::canonical(authority).map_err(refused)?,
            path: path::canonical(path).map_err(refused)?,
            query: query::canonical(query).map_err(refused)?,
        })
    }
}

fn header((name, value): &(String, String)) -> Result<Pair, String> {
    if !is_token(name) {
        return Err(format!("`{name}` is not the name of a header"));
    }
    if value.trim() != value || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(format!(
            "the header `{name}` has a value that is not plain ASCII without outer spaces"
        ));
    }
    Ok((name.to_ascii_lowercase().into(), value.as_str().into()))
}

fn pair((name, value): &(String, String)) -> Pair {
    (name.as_str().into(), value.as_str().into())
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use gatewright_model::http::HttpBody;

    use super::*;

    fn case(method: &str, url: &str) -> HttpCase {
        HttpCase {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: HttpBody::Empty,
            route: String::new(),
            route_parameters: Vec::new(),
            response: None,
        }
    }

    fn request(case: &HttpCase) -> Arc<HttpRequest> {
        match read(case).unwrap().facet {
            Facet::Http(http) => http.request,
            _ => panic!("not HTTP"),
        }
    }

    #[test]
    fn a_url_becomes_its_parts() {
        let mut case = case("DELETE", "https://api.example:8443/people/7/?x=1&x=2&y");
        case.headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        let request = request(&case);
        assert_eq!((request.scheme, &*request.authority), ("https", "api.example:8443"));
        assert_eq!((&*request.path, &*request.query_text), ("/people/7/", "x=1&x=2&y="));
        let query: Vec<_> = request.query.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(query, [("x", "1"), ("x", "2"), ("y", "")]);
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(read(&case).unwrap().kind(), "http.request");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_case() {
        let wrong = [
            "/people",
            "ftp://api.example/",
            "HTTPS://api.example/",
            "https://api.example",
            "https:///people",
            "https://alice@api.example/",
            "https://api.example./",
            "https://api.example:/",
            "https://api.example:65536/",
            "https://api.example:+80/",
            "https://api.example//",
            "https://api.example//people",
            "https://api.example/a//b",
            "https://api.example/a//",
            "https://api.example/.",
            "https://api.example/a/../b",
            "https://api.example/a/..",
            "https://api.example/%2e%2e/b",
            "https://api.example/a%2fb",
            "https://api.example/a;b=1/c",
            "https://api.example/a\\b",
            "https://api.example/a#b",
            "https://api.example/a b",
            "https://api.example/\u{e9}",
            "https://api.example/\0",
        ];
        for url in wrong {
            assert!(read(&case("GET", url)).is_err(), "{url}");
        }
        for url in ["https://api.example/", "http://localhost:8080/a/b/", "https://a.b/.well-known/x..y"] {
            assert!(read(&case("GET", url)).is_ok(), "{url}");
        }
    }

    #[test]
    fn another_spelling_is_the_same_request() {
        let request = request(&case("GET", "https://API.example/%70eople/a%20b?a=%31&b=c+d"));
        assert_eq!((&*request.authority, &*request.path), ("api.example", "/people/a%20b"));
        assert_eq!(request.query_value("a"), Some("1"));
        assert_eq!(request.query_value("b"), Some("c d"));
    }

    #[test]
    fn methods_and_headers_are_those_that_can_be_sent() {
        for method in ["", "GET /", "G\r\nET"] {
            assert!(read(&case(method, "https://api.example/")).is_err(), "{method:?}");
        }
        for (name, value) in
            [("a:", "1"), ("", "1"), ("a b", "1"), ("a", " 1"), ("a", "1\r\nb: 2"), ("a", "\u{e9}")]
        {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let case = HttpCase { headers, ..case("GET", "https://api.example/") };
            assert!(read(&case).is_err(), "{name}: {value:?}");
        }
    }
}
