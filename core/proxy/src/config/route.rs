//! `[[listener.route]]`

use std::{ops::Range, sync::Arc};

use gatewright_http::{
    authority,
    inject::Injection,
    route::{Route, RouteError, Routes},
};
use hyper::header::HeaderValue;

use super::{
    reader::{Context, Located, Reader},
    target::{Target, TargetTls},
};

/// The `Host` that a target sees.
#[derive(Debug, Clone)]
pub(super) enum HostHeader {
    /// The one that the client named.
    Client,
    /// The target's own address.
    Target,
    /// This one.
    Fixed(HeaderValue),
}

/// As much of a route as could be read.
pub(super) struct ReadRoute {
    pub(super) target: Option<Located<Arc<str>>>,
    span: Range<usize>,
    name: Option<Located<Arc<str>>>,
    host: Option<Located<Arc<str>>>,
    path: Option<Located<Arc<str>>>,
    /// The inner one is None where the listener's is used.
    #[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
    host_header: Option<Option<HostHeader>>,
}

/// A route, and where it leads.
pub(super) type Connected = (Route, Arc<Target>);

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> ReadRoute {
    ReadRoute {
        target: reader.name("target", context),
        span: reader.span.clone(),
        name: reader.name("name", context),
        host: reader.text("host", context),
        path: reader.text("path", context),
        host_header: if reader.has("host_header") {
            read_host_header(reader, context).map(Some)
        } else {
            Some(None)
        },
    }
}

pub(super) fn read_host_header(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<HostHeader> {
    let text = reader.text("host_header", context)?;
    match &*text.value {
        "client" => return Some(HostHeader::Client),
        "target" => return Some(HostHeader::Target),
        _ => {}
    }
    let value = authority::canonical(&text.value).ok().and_then(|host| HeaderValue::try_from(host).ok());
    if value.is_none() {
        context.problems.error(
            text.span,
            format!("`{}` is not a host", text.value),
            "write `client`, `target`, or a host like `api.example` or `api.example:8443`",
        );
    }
    value.map(HostHeader::Fixed)
}

/// The table of a listener without routes of its own.
pub(super) fn everything(target: &Target, host_header: &HostHeader) -> Option<Routes> {
    let all = Route::new(Arc::clone(&target.name), "*", "/", injection(target, host_header)).ok()?;
    Routes::new(vec![all]).ok()
}

/// The table of these routes, and every target that is in it.
pub(super) fn table(connected: Vec<Connected>) -> Option<(Vec<Arc<Target>>, Routes)> {
    let mut targets: Vec<Arc<Target>> = Vec::new();
    for (_, target) in &connected {
        if targets.iter().all(|known| !Arc::ptr_eq(known, target)) {
            targets.push(Arc::clone(target));
        }
    }
    let routes = Routes::new(connected.into_iter().map(|(route, _)| route).collect()).ok()?;
    Some((targets, routes))
}

/// Reports every route that another one before it leaves nothing to.
pub(super) fn check_same(
    read: &[ReadRoute],
    connected: &[Option<Connected>],
    context: &mut Context<'_>,
) -> Option<()> {
    let mut good = Some(());
    for (at, (own, connected_own)) in read.iter().zip(connected).enumerate() {
        let Some((route, _)) = connected_own else { continue };
        for (other, _) in connected.iter().take(at).flatten() {
            let Err(error) = Routes::new(vec![other.clone(), route.clone()]) else { continue };
            let (span, remedy) = match error {
                RouteError::Name(_) => {
                    (own.name.as_ref().map(|name| &name.span), "give each its own name: policies see it")
                }
                _ => (None, "remove one, or make its `host` or `path` more specific"),
            };
            context.problems.error(span.unwrap_or(&own.span).clone(), error.to_string(), remedy);
            good = None;
        }
    }
    good
}

impl ReadRoute {
    /// Yields the route if nothing of it was wrong.
    pub(super) fn connect(
        &self,
        target: &Arc<Target>,
        host_header: &HostHeader,
        context: &mut Context<'_>,
    ) -> Option<Connected> {
        let (name, host, path) = (self.name.as_ref()?, self.host.as_ref()?, self.path.as_ref()?);
        let host_header = self.host_header.as_ref()?.as_ref().unwrap_or(host_header);
        let injection = injection(target, host_header);
        let error = match Route::new(Arc::clone(&name.value), &host.value, &path.value, injection) {
            Ok(route) => return Some((route.to(Arc::clone(&target.name)), Arc::clone(target))),
            Err(error) => error,
        };
        let (span, remedy) = match error {
            RouteError::Host(_) => (&host.span, "write it like `api.example`, `*.example` or `*`"),
            _ => (&path.span, "write it like `/v1` or `/tenants/{tenant}/items`"),
        };
        context.problems.error(span.clone(), error.to_string(), remedy);
        None
    }
}

fn injection(target: &Target, host_header: &HostHeader) -> Injection {
    let host = match host_header {
        HostHeader::Client => None,
        HostHeader::Target => host_of(target),
        HostHeader::Fixed(value) => Some(value.clone()),
    };
    Injection { credential: target.credential.clone(), host, forwarded: true, ..Injection::default() }
}

/// A target's address as a client of it would write it: without the port that goes without saying.
fn host_of(target: &Target) -> Option<HeaderValue> {
    let usual = match target.tls {
        TargetTls::Verify { .. } => 443,
        TargetTls::Off => 80,
    };
    let address = target.address.to_string();
    let host = address.strip_suffix(&format!(":{usual}")).unwrap_or(&address);
    HeaderValue::try_from(host).ok()
}
