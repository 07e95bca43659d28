//! `[[listener]]`

use std::{net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use gatewright_http::{headers::TokenHeader, route::Routes};
use gatewright_kubernetes::dialect::ActAs;
use hyper::header::{AUTHORIZATION, HeaderName};
use russh::keys::PrivateKey;

use super::{
    admin::read_server_tls,
    is_loopback,
    reader::{Context, Located, Reader},
    route::{self, HostHeader, ReadRoute},
    schema::is_on_http,
    ssh,
    target::{ReadTarget, Target, parse_header},
};
use crate::tls::{ALPN_HTTP, ALPN_HTTP_2, ALPN_POSTGRESQL, ServerTls};

/// An address on which clients are served.
#[derive(Debug)]
pub struct Listener {
    /// Its name in policies, records and metrics.
    pub name: Arc<str>,
    /// What its clients speak.
    pub protocol: &'static str,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its clients reach. All speak the same protocol.
    pub targets: Vec<Arc<Target>>,
    /// HTTP: which request reaches which.
    pub routes: Routes,
    /// HTTP: where a client's token is.
    pub token_header: TokenHeader,
    /// HTTP: headers that no client may set, beside those that are known.
    pub identity_headers: Vec<HeaderName>,
    /// HTTP: how long one side may keep the other waiting. PostgreSQL: how long a client may take nothing of an answer.
    pub stall_timeout: Duration,
    /// HTTP: how long a connection that switched protocols may be silent.
    pub idle_timeout: Duration,
    /// HTTP: largest body that is read whole to be judged, in bytes.
    pub inspect_body: usize,
    /// HTTP: how long a client waits for a reviewer before it is told to come back.
    pub hold: Duration,
    /// Kubernetes: whom the cluster takes a request for.
    pub act_as: ActAs,
    /// SSH: the listener's host key.
    pub host_key: Option<Arc<PrivateKey>>,
    /// Connections at one time.
    pub max_connections: usize,
    /// From connecting to being authenticated.
    pub login_timeout: Duration,
    /// TLS, where it is configured. Always there beyond loopback.
    pub tls: Option<ListenerTls>,
}

impl Listener {
    /// The one target, where there is one: all sessions reach it.
    pub fn only_target(&self) -> Option<&Arc<Target>> {
        match &self.targets[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.targets.iter().find(|target| *target.name == *name)
    }
}

/// TLS towards clients.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// Certificate and settings.
    pub server: Arc<ServerTls>,
    /// Turn away clients that do not use it.
    pub required: bool,
}

/// As much of a listener as could be read: what is good is still checked against other sections.
pub(super) struct ReadListener {
    pub(super) name: Option<Located<Arc<str>>>,
    pub(super) listen: Option<Located<SocketAddr>>,
    span: Range<usize>,
    pub(super) protocol: Option<Located<&'static str>>,
    /// The inner one is None where there is none.
    #[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
    target: Option<Option<Located<Arc<str>>>>,
    /// SSH: several of them.
    targets: Vec<Located<Arc<str>>>,
    routes: Vec<ReadRoute>,
    host_header: Option<HostHeader>,
    token_header: Option<TokenHeader>,
    identity_headers: Option<Vec<HeaderName>>,
    stall_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    inspect_body: Option<usize>,
    hold: Option<Duration>,
    act_as: Option<ActAs>,
    /// The inner one is None where there is none.
    #[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
    host_key: Option<Option<Arc<PrivateKey>>>,
    max_connections: Option<usize>,
    login_timeout: Option<Duration>,
    /// The inner one is None where no TLS is configured.
    #[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
    tls: Option<Option<ListenerTls>>,
}

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> ReadListener {
    let name = reader.name("name", context);
    let protocol = reader.choice("protocol", context);
    let listen = reader.listen("listen", context);
    let target = if reader.has("target") { reader.name("target", context).map(Some) } else { Some(None) };
    let targets = read_targets(reader, context);
    let routes = reader.tables("route", context);
    let routes = routes.iter().map(|route| route::read(route, context)).collect();
    let host_header = route::read_host_header(reader, context);
    let token_header = read_token_header(reader, context);
    let identity_headers = read_identity_headers(reader, context);
    check_http_only(reader, protocol.as_ref(), context);
    let is_postgres = protocol.as_ref().is_some_and(|protocol| protocol.value == "postgres");
    let stall_timeout = if is_postgres && !reader.has("stall_timeout") {
        Some(STALL_OF_POSTGRES)
    } else {
        reader.duration("stall_timeout", context).map(|timeout| timeout.value)
    };
    let idle_timeout = reader.duration("idle_timeout", context);
    let inspect_body = reader.number("inspect_body", context);
    let hold = reader.duration("hold", context);
    let act_as = reader.choice("act_as", context).map(|word| match word.value {
        "principal" => ActAs::Principal,
        "client" => ActAs::Client,
        _ => ActAs::Account,
    });
    let is_ssh = protocol.as_ref().is_some_and(|protocol| protocol.value == "ssh");
    let host_key = ssh::read_host_key(reader, is_ssh, context);
    let max_connections = reader.number("max_connections", context);
    let login_timeout = reader.duration("login_timeout", context);
    let has_tls = reader.has("tls");
    if is_ssh && has_tls {
        context.problems.error(
            reader.span_of("tls"),
            "SSH protects its connections itself",
            "remove `tls`",
        );
    }
    let alpn = offered(protocol.as_ref());
    let tls = if has_tls { read_tls(reader, alpn, listen.as_ref(), context).map(Some) } else { Some(None) };
    if let Some(listen) =
        listen.as_ref().filter(|listen| !is_ssh && !has_tls && !is_loopback(listen.value.ip()))
    {
        context.problems.error(
            listen.span.clone(),
            format!(
                "`{}` can be reached by other machines, and clients' tokens would travel in plain text",
                listen.value
            ),
            "add `tls = { certificate = \"…\", key = \"…\" }`, or listen on `127.0.0.1` or `[::1]`",
        );
    }
    ReadListener {
        name,
        listen,
        span: reader.span.clone(),
        protocol,
        target,
        targets,
        routes,
        host_header,
        token_header,
        identity_headers,
        stall_timeout,
        idle_timeout: idle_timeout.map(|timeout| timeout.value),
        inspect_body: inspect_body.and_then(|number| usize::try_from(number.value).ok()),
        hold: hold.map(|hold| hold.value),
        act_as,
        host_key,
        max_connections: max_connections.and_then(|number| usize::try_from(number.value).ok()),
        login_timeout: login_timeout.map(|timeout| timeout.value),
        tls,
    }
}

fn read_targets(reader: &Reader<'_>, context: &mut Context<'_>) -> Vec<Located<Arc<str>>> {
    if !reader.has("targets") {
        return Vec::new();
    }
    let Some(names) = reader.texts("targets", context) else { return Vec::new() };
    let mut targets: Vec<Located<Arc<str>>> = Vec::new();
    for name in names.value {
        if targets.iter().any(|own| own.value == name) {
            let problem = format!("`{name}` is there twice");
            context.problems.error(names.span.clone(), problem, "write each target once");
        }
        targets.push(Located { value: name, span: names.span.clone() });
    }
    targets
}

/// What the gateway speaks to clients of this protocol, inside of TLS.
fn offered(protocol: Option<&Located<&'static str>>) -> &'static [&'static [u8]] {
    match protocol.map(|protocol| protocol.value) {
        Some(http) if is_on_http(http) => &[ALPN_HTTP_2, ALPN_HTTP],
        _ => &[ALPN_POSTGRESQL],
    }
}

fn read_token_header(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<TokenHeader> {
    let text = reader.text("token_header", context)?;
    if text.value.eq_ignore_ascii_case(AUTHORIZATION.as_str()) {
        return Some(TokenHeader::Authorization);
    }
    parse_header("token_header", &text.value, text.span, context).map(TokenHeader::Named)
}

fn read_identity_headers(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Vec<HeaderName>> {
    let names = reader.texts("identity_headers", context)?;
    let parse = |name: &Arc<str>| parse_header("identity_headers", name, names.span.clone(), context);
    // Collected in two steps, so that every wrong one is reported.
    let parsed: Vec<Option<HeaderName>> = names.value.iter().map(parse).collect();
    parsed.into_iter().collect()
}

/// Whoever works on rows while it reads them takes none for a while, and a server waits for it.
const STALL_OF_POSTGRES: Duration = Duration::from_secs(600);

/// Settings that mean nothing to other protocols.
const HTTP_ONLY: [&str; 7] =
    ["route", "host_header", "token_header", "identity_headers", "idle_timeout", "inspect_body", "hold"];

/// What has no effect is an error: somebody believes that it has one.
fn check_http_only(
    reader: &Reader<'_>,
    protocol: Option<&Located<&'static str>>,
    context: &mut Context<'_>,
) {
    let Some(protocol) = protocol else { return };
    let mut refuse = |keys: &[&'static str], what: &str| {
        for key in keys.iter().filter(|key| reader.has(key)) {
            let problem = format!("`{key}` is for {what} listeners only");
            context.problems.error(reader.span_of(key), problem, "remove it");
        }
    };
    if !is_on_http(protocol.value) {
        refuse(&HTTP_ONLY, "HTTP");
    }
    if protocol.value == "ssh" {
        refuse(&["stall_timeout"], "HTTP and PostgreSQL");
    }
    if protocol.value != "kubernetes" {
        refuse(&["act_as"], "Kubernetes");
    }
    if protocol.value != "ssh" {
        refuse(&["targets"], "SSH");
    }
}

fn read_tls(
    reader: &Reader<'_>,
    alpn: &[&[u8]],
    listen: Option<&Located<SocketAddr>>,
    context: &mut Context<'_>,
) -> Option<ListenerTls> {
    let reader = reader.table("tls", context)?;
    let server = read_server_tls(&reader, alpn, context);
    let required = reader.flag("required", context)?;
    if !required.value && listen.is_some_and(|listen| !is_loopback(listen.value.ip())) {
        context.problems.warning(
            required.span,
            "clients of other machines may send their tokens in plain text",
            "set `required = true`",
        );
    }
    Some(ListenerTls { server: server?, required: required.value })
}

impl ReadListener {
    /// Finds the targets, and yields the listener if nothing of it was wrong.
    pub(super) fn connect(self, targets: &[ReadTarget], context: &mut Context<'_>) -> Option<Listener> {
        let reached = self.reach(targets, context);
        let (targets, routes) = reached?;
        Some(Listener {
            name: self.name?.value,
            protocol: self.protocol?.value,
            listen: self.listen?.value,
            targets,
            routes,
            token_header: self.token_header?,
            identity_headers: self.identity_headers?,
            stall_timeout: self.stall_timeout?,
            idle_timeout: self.idle_timeout?,
            inspect_body: self.inspect_body?,
            hold: self.hold?,
            act_as: self.act_as?,
            host_key: self.host_key?,
            max_connections: self.max_connections?,
            login_timeout: self.login_timeout?,
            tls: self.tls?,
        })
    }

    fn reach(
        &self,
        targets: &[ReadTarget],
        context: &mut Context<'_>,
    ) -> Option<(Vec<Arc<Target>>, Routes)> {
        if !self.targets.is_empty() {
            return self.reach_several(targets, context);
        }
        match (self.target.as_ref()?, &self.routes[..]) {
            (Some(target), []) => {
                let target = find_target(target, targets, context)?;
                self.check_protocol(&target, self.protocol.as_ref()?.span.clone(), context)?;
                let routes = match target.protocol {
                    http if is_on_http(http) => route::everything(&target, self.host_header.as_ref()?)?,
                    _ => Routes::default(),
                };
                Some((vec![target], routes))
            }
            (Some(target), _) => {
                context.problems.error(
                    target.span.clone(),
                    "a listener with routes has no `target` of its own",
                    "remove it, or make it a `[[listener.route]]` without `host` and `path`: what no other route takes",
                );
                None
            }
            (None, []) => {
                context.problems.error(
                    self.span.clone(),
                    "`[[listener]]` has no `target`",
                    "add `target = …`: name of the `[[target]]` that its clients reach",
                );
                None
            }
            (None, routes) => {
                let host_header = self.host_header.as_ref();
                let connected: Vec<_> = routes
                    .iter()
                    .map(|route| {
                        let name = route.target.as_ref()?;
                        let target = find_target(name, targets, context)?;
                        self.check_protocol(&target, name.span.clone(), context)?;
                        route.connect(&target, host_header?, context)
                    })
                    .collect();
                route::check_same(routes, &connected, context)?;
                let connected: Option<Vec<_>> = connected.into_iter().collect();
                route::table(connected?)
            }
        }
    }

    fn reach_several(
        &self,
        targets: &[ReadTarget],
        context: &mut Context<'_>,
    ) -> Option<(Vec<Arc<Target>>, Routes)> {
        if let Some(Some(only)) = &self.target {
            context.problems.error(
                only.span.clone(),
                "`target` has no effect beside `targets`",
                "remove one of them",
            );
        }
        // Collected in two steps, so that every wrong one is reported.
        let found: Vec<_> = self
            .targets
            .iter()
            .map(|name| {
                let target = find_target(name, targets, context)?;
                self.check_protocol(&target, name.span.clone(), context)?;
                Some(target)
            })
            .collect();
        Some((found.into_iter().collect::<Option<_>>()?, Routes::default()))
    }

    fn check_protocol(&self, target: &Target, at: Range<usize>, context: &mut Context<'_>) -> Option<()> {
        let protocol = self.protocol.as_ref()?;
        if target.protocol == protocol.value {
            return Some(());
        }
        context.problems.error(
            at,
            format!("the target `{}` speaks {}, not {}", target.name, target.protocol, protocol.value),
            "give the listener the protocol of its target",
        );
        None
    }
}

/// None as well where the target is there and has errors of its own.
fn find_target(
    name: &Located<Arc<str>>,
    targets: &[ReadTarget],
    context: &mut Context<'_>,
) -> Option<Arc<Target>> {
    let own_name = |target: &&ReadTarget| target.name.as_ref().is_some_and(|own| own.value == name.value);
    if let Some(target) = targets.iter().find(own_name) {
        return target.value.clone();
    }
    let known = targets.iter().filter_map(|target| target.name.as_ref());
    let known: Vec<_> = known.map(|name| format!("`{}`", name.value)).collect();
    // Where a target's name could not be read, it may be the one that is meant.
    if known.len() == targets.len() {
        let others =
            if known.is_empty() { String::new() } else { format!(", or use one of: {}", known.join(", ")) };
        context.problems.error(
            name.span.clone(),
            format!("there is no target named `{}`", name.value),
            format!("add a `[[target]]` of that name{others}"),
        );
    }
    None
}
