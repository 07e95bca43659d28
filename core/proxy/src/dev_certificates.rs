//! A throwaway certificate authority and what it signs, for demos and tests.
//!
//! The authority's key is never written: what was made is all that it will ever sign.

use std::{
    fs,
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// Who the certificates are for, and when they hold.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    /// Names and IP addresses of the servers.
    pub hosts: Vec<String>,
    /// From when.
    pub not_before: SystemTime,
    /// For how long.
    pub lifetime: Duration,
}

impl CertificateRequest {
    /// For a server on this machine, from an hour before `now` (clocks differ) for 90 days.
    pub fn localhost(now: SystemTime) -> Self {
        Self {
            hosts: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            not_before: now - Duration::from_secs(60 * 60),
            lifetime: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

/// What [`write_certificates`] made.
#[derive(Debug, Clone)]
pub struct WrittenCertificates {
    /// The authority, for clients to trust.
    pub ca: PathBuf,
    /// The gateway's certificate for its clients.
    pub server: (PathBuf, PathBuf),
    /// A certificate for the target's server, which the gateway verifies.
    pub target: (PathBuf, PathBuf),
    /// A certificate that the gateway can show to the target, for the account `app`.
    pub client: (PathBuf, PathBuf),
}

/// Writes `ca.pem`, `server.pem`, `server.key`, `target.pem`, `target.key`, `client.pem` and `client.key`.
///
/// Keys are readable by their owner only. Files that exist are replaced.
///
/// # Errors
///
/// A name in `request.hosts` is neither a DNS name nor an IP address, or a file can not be written.
pub fn write_certificates(
    directory: &Path,
    request: &CertificateRequest,
) -> Result<WrittenCertificates, DevCertificateError> {
    fs::create_dir_all(directory)?;
    let authority = authority(request)?;
    let ca = directory.join("ca.pem");
    write(&ca, authority.pem().as_bytes(), 0o644)?;
    let write_pair =
        |name: &str, subject: &str, usage| -> Result<(PathBuf, PathBuf), DevCertificateError> {
            let key = KeyPair::generate()?;
            let certificate = leaf(request, subject, usage)?.signed_by(&key, &authority)?;
            let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
            write(&paths.0, certificate.pem().as_bytes(), 0o644)?;
            write(&paths.1, key.serialize_pem().as_bytes(), 0o600)?;
            Ok(paths)
        };
    Ok(WrittenCertificates {
        ca,
        server: write_pair("server", "gatewright", ExtendedKeyUsagePurpose::ServerAuth)?,
        target: write_pair("target", "target", ExtendedKeyUsagePurpose::ServerAuth)?,
        client: write_pair("client", "app", ExtendedKeyUsagePurpose::ClientAuth)?,
    })
}

fn authority(request: &CertificateRequest) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = dated(request, "Gatewright throwaway authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn leaf(
    request: &CertificateRequest,
    subject: &str,
    usage: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = dated(request, subject);
    if usage == ExtendedKeyUsagePurpose::ServerAuth {
        for host in &request.hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => rcgen::SanType::IpAddress(address),
                Err(_) => rcgen::SanType::DnsName(host.as_str().try_into()?),
            });
        }
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(params)
}

fn dated(request: &CertificateRequest, subject: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = request.not_before.into();
    params.not_after = (request.not_before + request.lifetime).into();
    params
}

/// Replaces a file. The new one has its permissions from its first moment.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
}

/// Certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DevCertificateError {
    /// A file could not be written.
    #[error("can not write the certificates: {0}")]
    Write(#[from] io::Error),
    /// A host is no name.
    #[error("can not make the certificates: {0}")]
    Make(#[from] rcgen::Error),
}
