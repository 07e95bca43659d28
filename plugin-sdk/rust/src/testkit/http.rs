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

    /// A body, and its length where the client says it.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn body(mut self, length: Option<u64>) -> Self {
        self.request().body = Some(length);
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
            Facet::Sql(_) => panic!("headers, bodies and routes are parts of HTTP events"),
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
        /// None: there is none. Its length, where the client says it.
        pub(super) body: Option<Option<u64>>,
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
            let value = self.header("content-type")?;
            Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        }

        pub(crate) fn has_body(&self) -> bool {
            self.body.is_some()
        }

        pub(crate) fn body_length(&self) -> Option<u64> {
            self.body.unwrap_or(Some(0))
        }
    }

    fn first(pairs: &[(String, String)], name: &str) -> Option<String> {
        pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }
}
