//! TLS for test clients and servers.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use gatewright_testbed::{Error, Pair, Result};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};

/// A client that trusts one authority.
///
/// # Errors
/// Where the authority can not be read.
pub fn client(authority: &Path, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots
            .add(certificate)
            .map_err(|error| Error::new(format!("trusting {}: {error}", authority.display())))?;
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::new(format!("choosing TLS versions: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A server with a certificate.
///
/// # Errors
/// Where the certificate or its key can not be read.
pub fn server(pair: &Pair) -> Result<Arc<ServerConfig>> {
    let key = PrivateKeyDer::from_pem_file(&pair.key)
        .map_err(|error| Error::new(format!("reading {}: {error}", pair.key.display())))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::new(format!("choosing TLS versions: {error}")))?;
    let config = builder.with_no_client_auth().with_single_cert(certificates(&pair.certificate)?, key);
    config
        .map(Arc::new)
        .map_err(|error| Error::new(format!("using {}: {error}", pair.certificate.display())))
}

/// A server with a certificate, for clients that have one of this authority, and for no others.
///
/// # Errors
/// Where a certificate or the key can not be read.
pub fn mutual(pair: &Pair, authority: &Path) -> Result<Arc<ServerConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| Error::new(format!("trusting clients: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|error| Error::new(format!("verifying clients: {error}")))?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)
        .map_err(|error| Error::new(format!("reading {}: {error}", pair.key.display())))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::new(format!("choosing TLS versions: {error}")))?;
    let config = builder.with_client_cert_verifier(verifier);
    let config = config.with_single_cert(certificates(&pair.certificate)?, key);
    config
        .map(Arc::new)
        .map_err(|error| Error::new(format!("using {}: {error}", pair.certificate.display())))
}

/// The name that every server of the testbed has.
///
/// # Errors
/// Never for this name; the type of a name wants it.
pub fn localhost() -> Result<ServerName<'static>> {
    ServerName::try_from("localhost").map_err(|error| Error::new(error.to_string()))
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let problem = |error| Error::new(format!("reading {}: {error}", path.display()));
    CertificateDer::pem_file_iter(path)
        .map_err(problem)?
        .collect::<std::result::Result<_, _>>()
        .map_err(problem)
}
