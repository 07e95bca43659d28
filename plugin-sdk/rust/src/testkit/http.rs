//! HTTP requests for tests.

use super::{EventBuilder, raw::Facet, raw::Session};

impl EventBuilder {
    /// An HTTP request without headers and without a body, on no route: `https://api.example/people/7?page=2`.
    /// Nothing is decoded or made canonical: write what a policy would be shown.
    ///
    /// # Panics
    /// Where the URL is not a scheme, a host and a path.
    pub fn http(method: &str, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL begins with `https://` or `http://`");
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let slash = before.find('/').expect("a URL has a path: write at least `/` after the host");
        let (authority, path) = before.split_at(slash);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let http = raw::Http {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: pairs.map(|pair| owned(pair.split_once('=').unwrap_or((pair, "")))).collect(),
            ..raw::Http::default()
        };
        let session = Session {
            protocol: "http",
            listener: "http".to_owned(),
            target: "demo".to_owned(),
            account: "app".to_owned(),
            attributes: Vec::new(),
        };
        Self::of("http.request", session, Facet::Http(http))
    }

    /// One more header.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request().headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// A JSON body that was read whole.
    ///
    /// # Panics
    /// Where the text is no JSON, or the event is of another protocol.
    #[must_use]
    pub fn json(mut self, text: &str) -> Self {
        self.request().body = Some(raw::Body::Json(serde_json::from_str(text).expect("the body is JSON")));
        self
    }

    /// The answer to it: the event is about that.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn answer<'a>(
        mut self,
        status: u32,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let headers =
            headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        self.request().response = Some(raw::Response { status, headers: headers.collect() });
        self.raw.kind = self.raw.kind.replace(".request", ".response");
        self
    }

    /// A body that is streamed, and its length where the client says it.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn body(mut self, length: Option<u64>) -> Self {
        self.request().body = Some(raw::Body::Streamed(length));
        self
    }

    /// The route that it takes, and what that binds.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn route<'a>(
        mut self,
        name: &str,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let request = self.request();
        name.clone_into(&mut request.route);
        request.route_parameters = parameters.into_iter().map(owned).collect();
        self
    }

    fn request(&mut self) -> &mut raw::Http {
        match &mut self.raw.facet {
            Facet::Http(http) => http,
            Facet::Kubernetes(kubernetes) => &mut kubernetes.http,
            Facet::Sql(_) | Facet::Ssh(_) => panic!("headers, bodies and routes are parts of HTTP events"),
        }
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Data with the methods of the contract's handle.
#[doc(hidden)]
#[allow(missing_docs)]
pub(super) mod raw {
    use crate::settings::is_segment;

    #[derive(Debug, Clone, Default)]
    pub struct Http {
        pub(super) method: String,
        pub(super) scheme: String,
        pub(super) authority: String,
        pub(super) path: String,
        pub(super) query: Vec<(String, String)>,
        pub(super) headers: Vec<(String, String)>,
        pub(super) route: String,
        pub(super) route_parameters: Vec<(String, String)>,
        /// None: there is none.
        pub(super) body: Option<Body>,
        pub(super) response: Option<Response>,
    }

    #[derive(Debug, Clone)]
    pub(super) enum Body {
        /// Its length, where the client says it.
        Streamed(Option<u64>),
        Json(serde_json::Value),
    }

    #[derive(Debug, Clone)]
    pub struct Response {
        pub(super) status: u32,
        pub(super) headers: Vec<(String, String)>,
    }

    impl Response {
        pub(crate) fn status(&self) -> u32 {
            self.status
        }

        pub(crate) fn header(&self, name: &str) -> Option<String> {
            first(&self.headers, &name.to_ascii_lowercase())
        }

        pub(crate) fn header_count(&self) -> u32 {
            self.headers.len() as u32
        }

        pub(crate) fn header_name(&self, index: u32) -> String {
            self.headers[index as usize].0.clone()
        }

        pub(crate) fn header_value(&self, index: u32) -> String {
            self.headers[index as usize].1.clone()
        }

        pub(crate) fn media_type(&self) -> Option<String> {
            self.header("content-type").map(essence)
        }
    }

    impl Http {
        pub(crate) fn method(&self) -> String {
            self.method.clone()
        }

        pub(crate) fn is_safe(&self) -> bool {
            matches!(&*self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
        }

        pub(crate) fn scheme(&self) -> String {
            self.scheme.clone()
        }

        pub(crate) fn authority(&self) -> String {
            self.authority.clone()
        }

        pub(crate) fn path(&self) -> String {
            self.path.clone()
        }

        pub(crate) fn path_under(&self, prefix: &str) -> bool {
            let segments = prefix.strip_prefix('/').expect("a prefix begins with `/`");
            let can_be = prefix == "/" || segments.split('/').all(is_segment);
            assert!(can_be, "no path begins with `{prefix}`");
            let prefix = prefix.trim_end_matches('/');
            self.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }

        pub(crate) fn route(&self) -> String {
            self.route.clone()
        }

        pub(crate) fn route_parameter(&self, name: &str) -> Option<String> {
            first(&self.route_parameters, name)
        }

        pub(crate) fn query(&self, name: &str) -> Option<String> {
            first(&self.query, name)
        }

        pub(crate) fn query_count(&self) -> u32 {
            self.query.len() as u32
        }

        pub(crate) fn query_key(&self, index: u32) -> String {
            self.query[index as usize].0.clone()
        }

        pub(crate) fn query_value(&self, index: u32) -> String {
            self.query[index as usize].1.clone()
        }

        pub(crate) fn header(&self, name: &str) -> Option<String> {
            first(&self.headers, &name.to_ascii_lowercase())
        }

        pub(crate) fn header_count(&self) -> u32 {
            self.headers.len() as u32
        }

        pub(crate) fn header_name(&self, index: u32) -> String {
            self.headers[index as usize].0.clone()
        }

        pub(crate) fn header_value(&self, index: u32) -> String {
            self.headers[index as usize].1.clone()
        }

        pub(crate) fn media_type(&self) -> Option<String> {
            self.header("content-type").map(essence)
        }

        pub(crate) fn body_length(&self) -> Option<u64> {
            match &self.body {
                None => Some(0),
                Some(Body::Streamed(length)) => *length,
                Some(Body::Json(value)) => Some(value.to_string().len() as u64),
            }
        }

        pub(crate) fn body_state(&self) -> String {
            let word = match &self.body {
                None => "none",
                Some(Body::Streamed(_)) => "streamed",
                Some(Body::Json(_)) => "json",
            };
            word.to_owned()
        }

        fn at(&self, pointer: &str) -> Option<&serde_json::Value> {
            assert!(pointer.is_empty() || pointer.starts_with('/'), "`{pointer}` is no JSON pointer");
            match &self.body {
                Some(Body::Json(value)) => value.pointer(pointer),
                _ => panic!("the body was not read as JSON: look at `body()` first"),
            }
        }

        pub(crate) fn json_kind(&self, pointer: &str) -> Option<String> {
            use serde_json::Value;
            let word = match self.at(pointer)? {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            Some(word.to_owned())
        }

        pub(crate) fn json_text(&self, pointer: &str) -> Option<String> {
            use serde_json::Value;
            match self.at(pointer)? {
                Value::String(text) => Some(text.clone()),
                Value::Object(_) | Value::Array(_) => None,
                scalar => Some(scalar.to_string()),
            }
        }

        pub(crate) fn json_count(&self, pointer: &str) -> Option<u32> {
            let value = self.at(pointer)?;
            let count = value.as_object().map(serde_json::Map::len);
            count.or_else(|| value.as_array().map(Vec::len)).map(|count| count as u32)
        }

        pub(crate) fn json_key(&self, pointer: &str, index: u32) -> Option<String> {
            self.at(pointer)?.as_object()?.keys().nth(index as usize).cloned()
        }

        pub(crate) fn response(&self) -> Option<Response> {
            self.response.clone()
        }
    }

    fn essence(value: String) -> String {
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn first(pairs: &[(String, String)], name: &str) -> Option<String> {
        pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }
}
