//! TLS material: from PEM files to what rustls takes, checked when it is loaded and again when it changes.
//!
//! Session resumption is off on both sides. PostgreSQL servers turn it off as well, it saves nothing on
//! long connections, and a resumed session would skip the check of a certificate that has expired or
//! whose authority was removed since (threats F27).

mod certificate;
mod client;
mod reload;
mod server;

use std::{path::PathBuf, sync::Arc};

use rustls::crypto::CryptoProvider;

pub(crate) use self::reload::EXPIRY_WARNING_DAYS;
pub use self::{
    certificate::{CertificateError, server_end_point},
    client::{ClientFiles, ClientTls, RootsError, system_roots},
    reload::{Reload, Reloadable, watch},
    server::ServerTls,
};

/// The application protocol of PostgreSQL over TLS, as PostgreSQL 17 registered it.
pub const ALPN_POSTGRESQL: &[u8] = b"postgresql";

/// The application protocol of HTTP/1.1 over TLS, which targets and the admin listener speak.
pub const ALPN_HTTP: &[u8] = b"http/1.1";

/// The application protocol of HTTP/2 over TLS (RFC 9113 section 3.2).
pub const ALPN_HTTP_2: &[u8] = b"h2";

/// Makes aws-lc-rs the cryptography of every rustls user in this process.
///
/// Called first in `main`. Calling it again changes nothing.
pub fn install_provider() {
    // An error means that one is installed already: by an earlier call, as no other code does it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The cryptography that this module builds with, whether or not it is installed for the process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate chain and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// The chain in PEM, own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

#[cfg(test)]
mod tests;
