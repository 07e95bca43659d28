//! TLS towards targets and identity providers: whom to trust, and what to show them.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, RootCertStore, client::ResolvesClientCert, client::Resumption, sign::SingleCertAndKey,
};
use sha2::{Digest as _, Sha256};

use super::{
    KeyPairFiles,
    certificate::{CertificateError, KeyPair, read_chain},
    provider,
    reload::{Reload, Reloadable},
};

/// What a client side is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Trusted authorities in PEM.
    pub ca: PathBuf,
    /// What the gateway shows, if the other side asks.
    pub identity: Option<KeyPairFiles>,
}

/// The client side of TLS, replaceable while it is used.
pub struct ClientTls {
    files: ClientFiles,
    alpn: Vec<u8>,
    current: ArcSwap<Current>,
}

struct Current {
    config: Arc<ClientConfig>,
    not_after: Option<SystemTime>,
    fingerprint: [u8; 32],
}

impl ClientTls {
    /// Loads authorities and certificate for connections that speak `alpn`.
    ///
    /// # Errors
    ///
    /// A file can not be used, certificate and key do not belong together, or the certificate is not valid
    /// at `now`.
    pub fn load(files: ClientFiles, alpn: &[u8], now: SystemTime) -> Result<Self, CertificateError> {
        let current = ArcSwap::from_pointee(Current::load(&files, alpn, now)?);
        Ok(Self { files, alpn: alpn.to_vec(), current })
    }

    /// What rustls takes: ask again for each connection, so that a reload reaches it.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.load().config.clone()
    }
}

impl Reloadable for ClientTls {
    fn path(&self) -> &Path {
        self.files.identity.as_ref().map_or(&self.files.ca, |identity| &identity.certificate)
    }

    fn not_after(&self) -> Option<SystemTime> {
        self.current.load().not_after
    }

    fn reload(&self, now: SystemTime) -> Result<Reload, CertificateError> {
        let fresh = Current::load(&self.files, &self.alpn, now)?;
        if fresh.fingerprint == self.current.load().fingerprint {
            return Ok(Reload::Unchanged);
        }
        self.current.store(Arc::new(fresh));
        Ok(Reload::Replaced)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Current {
    fn load(files: &ClientFiles, alpn: &[u8], now: SystemTime) -> Result<Self, CertificateError> {
        let (pem, authorities) = read_chain(&files.ca)?;
        let mut hash = Sha256::new().chain_update(&pem);
        let mut roots = RootCertStore::empty();
        let (_, refused) = roots.add_parsable_certificates(authorities);
        // A bundle of an operating system may hold one that webpki does not take; a bundle of which
        // nothing is left trusts nobody and is a mistake.
        if roots.is_empty() {
            return Err(CertificateError::NoCertificate { path: files.ca.clone() });
        }
        if refused > 0 {
            tracing::debug!(refused, path = %files.ca.display(), "authorities were left out");
        }
        let identity = files.identity.as_ref().map(|identity| KeyPair::load(identity, now)).transpose()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &identity {
            Some(pair) => {
                hash.update(pair.fingerprint);
                let resolver: Arc<dyn ResolvesClientCert> =
                    Arc::new(SingleCertAndKey::from(pair.certified.clone()));
                builder.with_client_cert_resolver(resolver)
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            not_after: identity.map(|pair| pair.not_after),
            fingerprint: hash.finalize().into(),
        })
    }
}

/// The bundle of authorities that this operating system keeps.
///
/// # Errors
///
/// There is none at any of the usual places.
pub fn system_roots() -> Result<PathBuf, RootsError> {
    SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or(RootsError)
}

/// There is no bundle of authorities on this machine.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this machine has no certificate authorities at the usual places")]
pub struct RootsError;

/// Debian and Alpine, Fedora and Red Hat, SUSE.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
];
