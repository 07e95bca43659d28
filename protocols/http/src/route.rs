//! Where a request goes: a table by host and path, looked up in the canonical form of both.
//!
//! A route matches a host (exactly, by suffix, or any) and the beginning of a path, by whole segments: `/api` matches
//! `/api` and `/api/x` and not `/apix`. A segment `{name}` matches any one that is not empty, and binds it. Of several
//! that match, the most specific wins: an exact host before a longer suffix before any host; then the longer path; then
//! the one whose segments are plain where the other's are bound. What the table can not put in order is refused when
//! it is made, so that the order of the configuration never matters.

use std::{cmp::Reverse, sync::Arc};

use crate::{authority, inject::Injection, path};

/// All routes of a listener, the most specific ones first.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    sorted: Vec<Arc<Route>>,
}

/// One way to a target.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name in the configuration; policies and records see it.
    pub name: Arc<str>,
    /// The name of the target that it leads to.
    pub target: Arc<str>,
    /// What the gateway adds to requests that take it.
    pub injection: Injection,
    host: Host,
    segments: Vec<Segment>,
}

/// A route that a request took.
#[derive(Debug)]
pub struct Taken {
    /// Which.
    pub route: Arc<Route>,
    /// What its pattern bound, decoded, in the order of the path.
    pub parameters: Vec<(Arc<str>, Arc<str>)>,
}

/// Why a table can not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The host is not one.
    #[error("the host of route `{0}` is neither `*`, `*.suffix` nor a host name without a port")]
    Host(Arc<str>),
    /// The path could not be that of a request.
    #[error(
        "the path of route `{0}` has to begin with `/`, without empty or dot segments; `{{name}}` is a whole segment"
    )]
    Path(Arc<str>),
    /// Two parameters of one name.
    #[error("the path of route `{0}` binds `{1}` twice")]
    Parameter(Arc<str>, Arc<str>),
    /// Two routes have the same name.
    #[error("there are two routes named `{0}`")]
    Name(Arc<str>),
    /// The same requests match two routes equally well.
    #[error("routes `{0}` and `{1}` match the same requests")]
    Same(Arc<str>, Arc<str>),
}

/// Ordered from what is most specific.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Exact(Box<str>),
    /// With its leading dot; longer ones first.
    Suffix(Reverse<usize>, Box<str>),
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// As it stands in a canonical path.
    Plain(Box<str>),
    Bound(Arc<str>),
}

impl Route {
    /// A route from its configuration: `host` is `*`, `*.example.com` or `api.example.com`; `path` is like
    /// `/tenants/{tenant}/items`. It leads to the target of its own name, unless [`Self::to`] says otherwise.
    ///
    /// # Errors
    ///
    /// [`RouteError`], where one of them can not match anything.
    pub fn new(name: Arc<str>, host: &str, path: &str, injection: Injection) -> Result<Self, RouteError> {
        let host = Host::parse(host).ok_or_else(|| RouteError::Host(Arc::clone(&name)))?;
        let mut segments: Vec<Segment> = Vec::new();
        let Some(rest) = path.strip_prefix('/') else { return Err(RouteError::Path(name)) };
        let whole = rest.strip_suffix('/').unwrap_or(rest);
        for text in (!rest.is_empty()).then(|| whole.split('/')).into_iter().flatten() {
            let segment = Segment::parse(text).ok_or_else(|| RouteError::Path(Arc::clone(&name)))?;
            if let Segment::Bound(parameter) = &segment
                && segments.contains(&segment)
            {
                return Err(RouteError::Parameter(name, Arc::clone(parameter)));
            }
            segments.push(segment);
        }
        Ok(Self { target: Arc::clone(&name), name, injection, host, segments })
    }

    /// The same route, to another target.
    #[must_use]
    pub fn to(self, target: Arc<str>) -> Self {
        Self { target, ..self }
    }

    /// What a path binds, where it begins like this route.
    fn matches(&self, host: &str, path: &str) -> Option<Vec<(Arc<str>, Arc<str>)>> {
        if !self.host.matches(host) {
            return None;
        }
        let mut parameters = Vec::new();
        let mut given = path::segments(path);
        for segment in &self.segments {
            let text = given.next()?;
            match segment {
                Segment::Plain(plain) if **plain == *text => {}
                Segment::Bound(name) if !text.is_empty() => {
                    // A canonical path decodes.
                    let text = path::decoded(text).ok()?;
                    parameters.push((Arc::clone(name), Arc::from(text)));
                }
                _ => return None,
            }
        }
        Some(parameters)
    }

    /// Smaller is more specific. Equal ranks match the same requests.
    fn rank(&self) -> (&Host, Reverse<usize>, Vec<(bool, &str)>) {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Plain(text) => (false, &**text),
            Segment::Bound(_) => (true, ""),
        });
        (&self.host, Reverse(self.segments.len()), segments.collect())
    }
}

impl Routes {
    /// Makes a table.
    ///
    /// # Errors
    ///
    /// [`RouteError`], where two routes have one name, or can not be told apart.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        let mut sorted: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        sorted.sort_by(|one, other| one.rank().cmp(&other.rank()));
        for (at, route) in sorted.iter().enumerate() {
            for other in sorted.iter().skip(at + 1) {
                if route.name == other.name {
                    return Err(RouteError::Name(Arc::clone(&route.name)));
                }
                if route.rank() == other.rank() {
                    return Err(RouteError::Same(Arc::clone(&route.name), Arc::clone(&other.name)));
                }
            }
        }
        Ok(Self { sorted })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.sorted.iter()
    }

    /// The most specific route for a host (without port) and a path, both in canonical form.
    pub fn find(&self, host: &str, path: &str) -> Option<Taken> {
        self.sorted.iter().find_map(|route| {
            let parameters = route.matches(host, path)?;
            Some(Taken { route: Arc::clone(route), parameters })
        })
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let plain = |text: &str| {
            let canonical = authority::canonical(text).ok()?;
            (authority::host(&canonical) == canonical).then_some(canonical)
        };
        if text == "*" {
            return Some(Self::Any);
        }
        match text.strip_prefix("*.") {
            Some(suffix) => {
                let suffix = format!(".{}", plain(suffix)?);
                Some(Self::Suffix(Reverse(suffix.len()), suffix.into()))
            }
            None => plain(text).map(|host| Self::Exact(host.into())),
        }
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => **own == *host,
            // Not the suffix itself: `*.example.com` is not `example.com`.
            Self::Suffix(_, suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
            Self::Any => true,
        }
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            return (!name.is_empty() && name.bytes().all(good)).then(|| Self::Bound(Arc::from(name)));
        }
        if text.contains(['{', '}']) {
            return None;
        }
        let canonical = path::canonical(&format!("/{text}")).ok()?;
        let segment = canonical.strip_prefix('/').filter(|segment| !segment.is_empty())?;
        Some(Self::Plain(segment.into()))
    }
}

#[cfg(test)]
mod tests;
