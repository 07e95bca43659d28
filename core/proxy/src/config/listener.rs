//! `[[listener]]`

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    admin::read_server_tls,
    is_loopback,
    reader::{Context, Located, Reader},
    target::{ReadTarget, Target, alpn},
};
use crate::tls::ServerTls;

/// An address on which clients are served.
#[derive(Debug)]
pub struct Listener {
    /// Its name in policies, records and metrics.
    pub name: Arc<str>,
    /// What its clients speak.
    pub protocol: &'static str,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its clients reach. Speaks the same protocol.
    pub target: Arc<Target>,
    /// Connections at one time.
    pub max_connections: usize,
    /// From connecting to being authenticated.
    pub login_timeout: Duration,
    /// TLS, where it is configured. Always there beyond loopback.
    pub tls: Option<ListenerTls>,
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
    protocol: Option<Located<&'static str>>,
    target: Option<Located<Arc<str>>>,
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
    let target = reader.name("target", context);
    let max_connections = reader.number("max_connections", context);
    let login_timeout = reader.duration("login_timeout", context);
    let has_tls = reader.has("tls");
    let alpn = alpn(protocol.as_ref());
    let tls = if has_tls { read_tls(reader, alpn, listen.as_ref(), context).map(Some) } else { Some(None) };
    if let Some(listen) = listen.as_ref().filter(|listen| !has_tls && !is_loopback(listen.value.ip())) {
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
        protocol,
        target,
        max_connections: max_connections.and_then(|number| usize::try_from(number.value).ok()),
        login_timeout: login_timeout.map(|timeout| timeout.value),
        tls,
    }
}

fn read_tls(
    reader: &Reader<'_>,
    alpn: &[u8],
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
    /// Finds the target, and yields the listener if nothing of it was wrong.
    pub(super) fn connect(self, targets: &[ReadTarget], context: &mut Context<'_>) -> Option<Listener> {
        let target = self.target.as_ref().and_then(|name| find_target(name, targets, context));
        if let (Some(target), Some(protocol)) = (&target, &self.protocol)
            && target.protocol != protocol.value
        {
            context.problems.error(
                protocol.span.clone(),
                format!("the target `{}` speaks {}, not {}", target.name, target.protocol, protocol.value),
                "give the listener the protocol of its target",
            );
            return None;
        }
        Some(Listener {
            name: self.name?.value,
            protocol: self.protocol?.value,
            listen: self.listen?.value,
            target: target?,
            max_connections: self.max_connections?,
            login_timeout: self.login_timeout?,
            tls: self.tls?,
        })
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
