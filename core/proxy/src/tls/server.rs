//! Certificates that the gateway shows to its own clients.

use std::{fmt, path::Path, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    KeyPairFiles,
    certificate::{CertificateError, KeyPair},
    provider,
    reload::{Reload, Reloadable},
};

/// A certificate with its key, replaceable while it serves.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
}

impl ServerTls {
    /// Loads a certificate for servers that speak one of `alpn`, the first one first.
    ///
    /// # Errors
    ///
    /// A file can not be used, the two do not belong together, or the certificate is not valid at `now`.
    pub fn load(files: KeyPairFiles, alpn: &[&[u8]], now: SystemTime) -> Result<Self, CertificateError> {
        let current = ArcSwap::from_pointee(KeyPair::load(&files, now)?);
        let resolver = Arc::new(Resolver { files, current });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver.clone());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), resolver })
    }

    /// What rustls takes. It follows later reloads by itself.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl Reloadable for ServerTls {
    fn path(&self) -> &Path {
        &self.resolver.files.certificate
    }

    fn not_after(&self) -> Option<SystemTime> {
        Some(self.resolver.current.load().not_after)
    }

    fn reload(&self, now: SystemTime) -> Result<Reload, CertificateError> {
        let fresh = KeyPair::load(&self.resolver.files, now)?;
        if fresh.fingerprint == self.resolver.current.load().fingerprint {
            return Ok(Reload::Unchanged);
        }
        self.resolver.current.store(Arc::new(fresh));
        Ok(Reload::Replaced)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.resolver.files).finish_non_exhaustive()
    }
}

struct Resolver {
    files: KeyPairFiles,
    current: ArcSwap<KeyPair>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}
