//! `[[target]]`

use std::{fmt, net::IpAddr, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use gatewright_http::{headers::is_ordinary, inject::TargetCredential};
use gatewright_model::secret::Secret;
use gatewright_sql::{Harmless, NotQualified, QualifiedName};
use hyper::header::HeaderName;
use rustls::pki_types::ServerName;

use super::{
    admin::warn_of_expiry,
    is_loopback,
    reader::{Context, Located, Reader},
    report_certificate,
    schema::is_on_http,
    ssh::{self, SshTarget},
};
use crate::tls::{ALPN_HTTP, ALPN_POSTGRESQL, ClientFiles, ClientTls, KeyPairFiles, system_roots};

/// Something that is reached through the gateway.
#[derive(Debug)]
pub struct Target {
    /// Its name in listeners, policies and records.
    pub name: Arc<str>,
    /// What it speaks.
    pub protocol: &'static str,
    /// Where it is.
    pub address: TargetAddress,
    /// The account under which the gateway acts there.
    pub account: Arc<str>,
    /// The account's password.
    pub password: Option<Secret>,
    /// HTTP: how the password proves the account.
    pub credential: TargetCredential,
    /// PostgreSQL: functions that it has and that are harmless.
    pub harmless_functions: Harmless,
    /// SSH: how target and account are proved.
    pub ssh: Option<SshTarget>,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How the connection is protected.
    pub tls: TargetTls,
}

/// A host and a port. The host is looked up for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAddress {
    /// A DNS name or an IP address, without brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How the connection to a target is protected.
#[derive(Debug, Clone)]
pub enum TargetTls {
    /// TLS with a verified certificate, or no connection.
    Verify {
        /// Whom to trust and what to show.
        client: Arc<ClientTls>,
        /// The name that the certificate must carry.
        server_name: ServerName<'static>,
    },
    /// Plain text.
    Off,
}

/// As much of a target as could be read: what is good is still checked against other sections.
pub(super) struct ReadTarget {
    pub(super) name: Option<Located<Arc<str>>>,
    pub(super) value: Option<Arc<Target>>,
}

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> ReadTarget {
    let name = reader.name("name", context);
    let value = name.as_ref().map(|name| name.value.clone());
    ReadTarget { value: read_value(value, reader, context).map(Arc::new), name }
}

fn read_value(name: Option<Arc<str>>, reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Target> {
    let protocol = reader.choice("protocol", context);
    let address = read_address(reader, context);
    let account = reader.text("account", context);
    let password = reader.has("password").then(|| reader.secret("password", context));
    let credential = reader.has("credential").then(|| reader.choice("credential", context));
    check_credential(reader, protocol.as_ref(), credential.as_ref(), context);
    let credential = credential.map_or(Some(None), |credential| credential.map(Some));
    let credential = credential
        .and_then(|credential| read_credential(reader, credential.as_ref(), protocol.as_ref(), context));
    let harmless_functions = read_functions(reader, protocol.as_ref(), context);
    let is_ssh = protocol.as_ref().is_some_and(|protocol| protocol.value == "ssh");
    let ssh = ssh::read_target(reader, is_ssh, address.as_ref(), context);
    let connect_timeout = reader.duration("connect_timeout", context);
    let tls = if is_ssh {
        ssh::no_tls(reader, context)
    } else {
        read_own_tls(reader, protocol.as_ref(), address.as_ref(), context)
    };
    Some(Target {
        name: name?,
        protocol: protocol?.value,
        address: address?.value,
        account: account?.value,
        password: match password {
            Some(password) => Some(password?),
            None => None,
        },
        credential: credential?,
        harmless_functions: harmless_functions?,
        ssh: ssh?,
        connect_timeout: connect_timeout?.value,
        tls: tls?,
    })
}

fn read_functions(
    reader: &Reader<'_>,
    protocol: Option<&Located<&'static str>>,
    context: &mut Context<'_>,
) -> Option<Harmless> {
    const KEY: &str = "harmless_functions";
    let names = reader.texts(KEY, context)?;
    if reader.has(KEY) && protocol.is_some_and(|protocol| protocol.value != "postgres") {
        let remedy = "remove it";
        context.problems.error(
            reader.span_of(KEY),
            "`harmless_functions` is for PostgreSQL targets only",
            remedy,
        );
        return None;
    }
    let functions = names.value.iter().map(|text| {
        let name = text.parse::<QualifiedName>();
        if let Err(NotQualified) = name {
            context.problems.error(
                names.span.clone(),
                format!("`{text}` is not the name of a function with its schema"),
                "write the schema, a dot and the name as PostgreSQL stores them, like `app.full_name`",
            );
        }
        name.ok()
    });
    // All of them are looked at, so that every problem is told.
    functions.collect::<Vec<_>>().into_iter().collect()
}

fn read_own_tls(
    reader: &Reader<'_>,
    protocol: Option<&Located<&'static str>>,
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) -> Option<TargetTls> {
    let tls = reader.table("tls", context);
    tls.and_then(|tls| read_tls(&tls, alpn(protocol), address, context))
}

fn read_address(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Located<TargetAddress>> {
    let text = reader.text("address", context)?;
    let parsed = parse_address(&text.value);
    if parsed.is_none() {
        context.problems.error(
            text.span.clone(),
            format!("`{}` is not an address", text.value),
            "write a host and a port, like `db.example:5432`, `127.0.0.1:5432` or `[::1]:5432`",
        );
    }
    Some(Located { value: parsed?, span: text.span })
}

fn parse_address(text: &str) -> Option<TargetAddress> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => {
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            inner
        }
        None => host,
    };
    // Whatever is not a DNS name or an IP address could not be verified either.
    ServerName::try_from(host).ok()?;
    Some(TargetAddress { host: host.into(), port })
}

/// What is configured and could not be used is an error now, and not at the first request.
fn check_credential(
    reader: &Reader<'_>,
    protocol: Option<&Located<&'static str>>,
    credential: Option<&Option<Located<&'static str>>>,
    context: &mut Context<'_>,
) {
    let (Some(protocol), Some(Some(credential))) = (protocol, credential) else { return };
    let (problem, remedy) = match (protocol.value, credential.value, reader.has("password")) {
        (http, "none", true) if is_on_http(http) => {
            ("`password` has no effect with `credential = \"none\"`", "remove one of them")
        }
        (http, "none", false) | (http, _, true) if is_on_http(http) => return,
        (http, _, false) if is_on_http(http) => {
            ("`credential` has no `password` to send", "add `password = { file = \"…\" }`")
        }
        _ => ("`credential` is for HTTP targets only", "remove it"),
    };
    context.problems.error(credential.span.clone(), problem, remedy);
}

fn read_credential(
    reader: &Reader<'_>,
    credential: Option<&Located<&'static str>>,
    protocol: Option<&Located<&'static str>>,
    context: &mut Context<'_>,
) -> Option<TargetCredential> {
    let named = credential.map(|credential| credential.value);
    if named == Some("header") {
        if !reader.has("credential_header") {
            context.problems.error(
                reader.span_of("credential"),
                "`credential = \"header\"` needs `credential_header`",
                "add `credential_header = \"X-Api-Key\"`",
            );
            return None;
        }
        let text = reader.text("credential_header", context)?;
        return parse_header("credential_header", &text.value, text.span, context)
            .map(TargetCredential::Header);
    }
    if reader.has("credential_header") {
        context.problems.error(
            reader.span_of("credential_header"),
            "`credential_header` has no effect without `credential = \"header\"`",
            "add that, or remove it",
        );
        return None;
    }
    Some(match named {
        Some("bearer") => TargetCredential::Bearer,
        Some("basic") => TargetCredential::Basic,
        None if is_on_http(protocol?.value) && reader.has("password") => TargetCredential::Bearer,
        _ => TargetCredential::None,
    })
}

/// A header's name that an operator may give a meaning.
pub(super) fn parse_header(
    key: &str,
    text: &str,
    span: Range<usize>,
    context: &mut Context<'_>,
) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(is_ordinary);
    if name.is_none() {
        context.problems.error(
            span,
            format!("`{text}` can not be used as `{key}`"),
            "name a header of letters, digits and `-` that has no meaning to HTTP itself, like `X-Api-Key`",
        );
    }
    name
}

/// What targets of this protocol speak inside of TLS.
fn alpn(protocol: Option<&Located<&'static str>>) -> &'static [u8] {
    match protocol.map(|protocol| protocol.value) {
        Some(http) if is_on_http(http) => ALPN_HTTP,
        _ => ALPN_POSTGRESQL,
    }
}

fn read_tls(
    reader: &Reader<'_>,
    alpn: &[u8],
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) -> Option<TargetTls> {
    let mode = reader.choice("mode", context)?;
    if mode.value == "off" {
        check_off(reader, &mode, address, context);
        return Some(TargetTls::Off);
    }
    let ca = read_ca(reader, context);
    let identity = read_client_identity(reader, context);
    let server_name = read_server_name(reader, address, context);
    let (ca, identity) = (ca?, identity?);
    let files = ClientFiles { ca: ca.value, identity };
    match ClientTls::load(files, alpn, context.machine.now) {
        Ok(client) => {
            warn_of_expiry(&client, &reader.span_of("client_certificate"), context);
            Some(TargetTls::Verify { client: Arc::new(client), server_name: server_name? })
        }
        Err(error) => {
            let certificate = if error.path()
                == reader.path("client_certificate", context).map(|path| path.value).as_deref()
            {
                reader.span_of("client_certificate")
            } else {
                ca.span
            };
            report_certificate(&error, &certificate, &reader.span_of("client_key"), context);
            None
        }
    }
}

fn check_off(
    reader: &Reader<'_>,
    mode: &Located<&'static str>,
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) {
    for key in ["ca", "server_name", "client_certificate", "client_key"] {
        if reader.has(key) {
            context.problems.error(
                reader.span_of(key),
                format!("`{key}` has no effect with `mode = \"off\"`"),
                "remove it, or set `mode = \"verify\"`",
            );
        }
    }
    let local = |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(is_loopback);
    if address.is_some_and(|address| !local(&address.value.host)) {
        context.problems.warning(
            mode.span.clone(),
            "the connection to the target is plain text, and nothing proves that it is the target",
            "set `mode = \"verify\"` and name its `ca`",
        );
    }
}

/// The bundle that is named, or the operating system's.
pub(super) fn read_ca(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Located<PathBuf>> {
    if reader.has("ca") {
        return reader.path("ca", context);
    }
    match system_roots() {
        Ok(path) => Some(Located { value: path, span: reader.span.clone() }),
        Err(error) => {
            context.problems.error(
                reader.span.clone(),
                error.to_string(),
                "name the authorities with `ca = \"…\"`, or install the package `ca-certificates`",
            );
            None
        }
    }
}

/// Some(None): no client certificate is configured.
#[expect(clippy::option_option, reason = "the outer one is this module's 'already reported'")]
fn read_client_identity(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Option<KeyPairFiles>> {
    let certificate = reader.path("client_certificate", context);
    let key = reader.path("client_key", context);
    match (reader.has("client_certificate"), reader.has("client_key")) {
        (false, false) => Some(None),
        (true, true) => Some(Some(KeyPairFiles { certificate: certificate?.value, key: key?.value })),
        (certificate, _) => {
            let (given, missing) = if certificate {
                ("client_certificate", "client_key")
            } else {
                ("client_key", "client_certificate")
            };
            context.problems.error(
                reader.span_of(given),
                format!("`{given}` needs `{missing}`"),
                format!("add `{missing} = \"…\"`"),
            );
            None
        }
    }
}

fn read_server_name(
    reader: &Reader<'_>,
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) -> Option<ServerName<'static>> {
    if !reader.has("server_name") {
        return ServerName::try_from(address?.value.host.to_string()).ok();
    }
    let text = reader.text("server_name", context)?;
    let name = ServerName::try_from(text.value.to_string()).ok();
    if name.is_none() {
        context.problems.error(
            text.span,
            format!("`{}` is not a name that a certificate can carry", text.value),
            "write a DNS name or an IP address, without a port",
        );
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let shown = |text| parse_address(text).map(|address| address.to_string());
        assert_eq!(shown("db.example:5432").as_deref(), Some("db.example:5432"));
        assert_eq!(shown("[::1]:5432").as_deref(), Some("[::1]:5432"));
        for wrong in [
            "db.example",
            "db.example:",
            ":5432",
            "db.example:0",
            "db.example:99999",
            "[::1:5432",
            "[db]:1",
            "a b:1",
            "user@db:1",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
