//! `[admin]`

use std::{net::SocketAddr, sync::Arc};

use super::{
    is_loopback,
    reader::{Context, Located, Reader},
    report_certificate,
};
use crate::tls::{ALPN_HTTP, KeyPairFiles, ServerTls};

/// The admin listener.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Groups that may end sessions and revoke tokens.
    pub operators: Vec<Arc<str>>,
    /// HTTPS, where it is wanted. Always there beyond loopback.
    pub tls: Option<Arc<ServerTls>>,
}

/// An [`Admin`] as far as it could be read, with its address for the check against other listeners.
pub(super) struct ReadAdmin {
    pub(super) value: Option<Admin>,
    pub(super) listen: Located<SocketAddr>,
}

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<ReadAdmin> {
    let listen = reader.listen("listen", context);
    let operators = reader.texts("operators", context);
    let tls = reader.has("tls").then(|| {
        let tls = reader.table("tls", context)?;
        read_server_tls(&tls, &[ALPN_HTTP], context)
    });
    let listen = listen?;
    if tls.is_none() && !is_loopback(listen.value.ip()) {
        context.problems.error(
            listen.span.clone(),
            format!(
                "`{}` can be reached by other machines, and reviewers' tokens would travel in plain text",
                listen.value
            ),
            "listen on `127.0.0.1` or `[::1]`, or add `tls = { certificate = \"…\", key = \"…\" }`",
        );
    }
    let tls = match tls {
        Some(None) => return Some(ReadAdmin { value: None, listen }),
        tls => tls.flatten(),
    };
    let value = operators.map(|operators| Admin { listen: listen.value, operators: operators.value, tls });
    Some(ReadAdmin { value, listen })
}

/// Reads `certificate` and `key`, which admin and other listeners share.
pub(super) fn read_server_tls(
    reader: &Reader<'_>,
    alpn: &[&[u8]],
    context: &mut Context<'_>,
) -> Option<Arc<ServerTls>> {
    let certificate = reader.path("certificate", context);
    let key = reader.path("key", context);
    let (certificate, key) = (certificate?, key?);
    let files = KeyPairFiles { certificate: certificate.value, key: key.value };
    match ServerTls::load(files, alpn, context.machine.now) {
        Ok(tls) => {
            warn_of_expiry(&tls, &certificate.span, context);
            Some(Arc::new(tls))
        }
        Err(error) => {
            report_certificate(&error, &certificate.span, &key.span, context);
            None
        }
    }
}

pub(super) fn warn_of_expiry(
    material: &dyn crate::tls::Reloadable,
    span: &std::ops::Range<usize>,
    context: &mut Context<'_>,
) {
    let left = material.not_after().and_then(|end| end.duration_since(context.machine.now).ok());
    let Some(days) = left.map(|left| left.as_secs() / (24 * 60 * 60)) else { return };
    if days < crate::tls::EXPIRY_WARNING_DAYS {
        context.problems.warning(
            span.clone(),
            format!("`{}` expires in {days} days", material.path().display()),
            "renew it; the gateway takes the new one without a restart",
        );
    }
}
