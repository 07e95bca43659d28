//! What the gateway itself has to know of a certificate: when it ends, and its channel binding.
//!
//! Chains and names are verified by webpki inside rustls. This walks only the fixed outer fields of
//! RFC 5280 section 4.1, with the DER reader that the signature crates bring.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use der::{
    AnyRef, Decode as _, Reader as _, SliceReader, Tag, TagMode, TagNumber,
    asn1::{GeneralizedTime, ObjectIdentifier, SequenceRef, UtcTime},
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{KeyPairFiles, provider};
use crate::config::{PrivateFileError, read_private};

/// A chain and its key, checked against each other and against the clock.
#[derive(Debug, Clone)]
pub(super) struct KeyPair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) not_after: SystemTime,
    /// SHA-256 over both files, to notice a change.
    pub(super) fingerprint: [u8; 32],
}

impl KeyPair {
    /// Reads both files.
    pub(super) fn load(files: &KeyPairFiles, now: SystemTime) -> Result<Self, CertificateError> {
        let (pem, chain) = read_chain(&files.certificate)?;
        let validity = chain_validity(&files.certificate, &chain, now)?;
        let key_pem = read_private(&files.key)
            .map_err(|source| CertificateError::Key { path: files.key.clone(), source })?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|_| CertificateError::NoKey { path: files.key.clone() })?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
            },
            _ => CertificateError::NoKey { path: files.key.clone() },
        })?;
        let fingerprint = Sha256::new().chain_update(&pem).chain_update(&*key_pem).finalize().into();
        Ok(Self { certified: Arc::new(certified), not_after: validity, fingerprint })
    }
}

/// Reads a chain of certificates; returns the file's bytes beside it.
pub(super) fn read_chain(path: &Path) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), CertificateError> {
    let pem = fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok((pem, chain)),
        _ => Err(CertificateError::NoCertificate { path: path.to_owned() }),
    }
}

/// When the first certificate of the chain to expire does so.
fn chain_validity(
    path: &Path,
    chain: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<SystemTime, CertificateError> {
    let mut end: Option<SystemTime> = None;
    for certificate in chain {
        let outer = Outer::read(certificate)
            .map_err(|_| CertificateError::NoCertificate { path: path.to_owned() })?;
        if now > outer.not_after {
            return Err(CertificateError::Expired {
                path: path.to_owned(),
                since: days(outer.not_after, now),
            });
        }
        if now < outer.not_before {
            return Err(CertificateError::NotYet {
                path: path.to_owned(),
                days: days(now, outer.not_before),
            });
        }
        end = Some(end.map_or(outer.not_after, |end| end.min(outer.not_after)));
    }
    end.ok_or_else(|| CertificateError::NoCertificate { path: path.to_owned() })
}

fn days(from: SystemTime, to: SystemTime) -> u64 {
    to.duration_since(from).unwrap_or_default().as_secs() / (24 * 60 * 60)
}

/// The `tls-server-end-point` channel binding of a server's certificate (RFC 5929 section 4.1).
///
/// The certificate's DER, hashed with the hash of its signature algorithm; MD5 and SHA-1 become SHA-256.
/// None where the signature algorithm has no single hash (Ed25519, RSASSA-PSS of an unusual kind): the
/// RFC leaves that undefined, and channel binding can not be used.
pub fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let hash = match Outer::read(certificate).ok()?.signature_hash? {
        SignatureHash::Sha256 => Sha256::digest(certificate).to_vec(),
        SignatureHash::Sha384 => Sha384::digest(certificate).to_vec(),
        SignatureHash::Sha512 => Sha512::digest(certificate).to_vec(),
    };
    Some(hash)
}

struct Outer {
    not_before: SystemTime,
    not_after: SystemTime,
    signature_hash: Option<SignatureHash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

impl Outer {
    /// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`
    fn read(certificate: &[u8]) -> Result<Self, der::Error> {
        let mut reader = SliceReader::new(certificate)?;
        let outer = reader.sequence(|fields| {
            let (not_before, not_after) = fields.sequence(read_validity)?;
            let signature_hash = fields.sequence(read_signature_hash)?;
            fields.tlv_bytes()?;
            Ok::<_, der::Error>(Self { not_before, not_after, signature_hash })
        })?;
        reader.finish()?;
        Ok(outer)
    }
}

/// `TBSCertificate ::= SEQUENCE { [0] version, serial, signature, issuer, validity, ... }`
fn read_validity(tbs: &mut SliceReader<'_>) -> Result<(SystemTime, SystemTime), der::Error> {
    tbs.context_specific::<u8>(TagNumber(0), TagMode::Explicit)?;
    for _serial_signature_issuer in 0..3 {
        tbs.tlv_bytes()?;
    }
    let validity =
        tbs.sequence(|validity| Ok::<_, der::Error>((read_time(validity)?, read_time(validity)?)))?;
    // Subject, key and extensions are not needed here.
    while !tbs.is_finished() {
        tbs.tlv_bytes()?;
    }
    Ok(validity)
}

fn read_time(reader: &mut SliceReader<'_>) -> Result<SystemTime, der::Error> {
    let since_1970: Duration = match Tag::peek(reader)? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    };
    Ok(SystemTime::UNIX_EPOCH + since_1970)
}

/// `AlgorithmIdentifier ::= SEQUENCE { algorithm, parameters ANY OPTIONAL }`
fn read_signature_hash(reader: &mut SliceReader<'_>) -> Result<Option<SignatureHash>, der::Error> {
    let algorithm = ObjectIdentifier::decode(reader)?;
    let parameters = if reader.is_finished() { None } else { Some(AnyRef::decode(reader)?) };
    if algorithm != RSASSA_PSS {
        return Ok(known_hash(SIGNATURES, algorithm));
    }
    // RSASSA-PSS-params: `[0]` is the hash; absent means SHA-1 (RFC 4055 section 3.1).
    let Some(parameters) = parameters else { return Ok(Some(SignatureHash::Sha256)) };
    parameters.sequence(|parameters| {
        let hash = parameters.context_specific::<&SequenceRef>(TagNumber(0), TagMode::Explicit)?;
        while !parameters.is_finished() {
            parameters.tlv_bytes()?;
        }
        let Some(hash) = hash else { return Ok(Some(SignatureHash::Sha256)) };
        let algorithm = ObjectIdentifier::decode(&mut SliceReader::new(hash.as_bytes())?)?;
        Ok(known_hash(HASHES, algorithm))
    })
}

fn known_hash(table: &[(&str, SignatureHash)], algorithm: ObjectIdentifier) -> Option<SignatureHash> {
    let text = algorithm.to_string();
    table.iter().find(|(known, _)| *known == text).map(|(_, hash)| *hash)
}

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Signature algorithms by the hash of RFC 5929: MD5 and SHA-1 count as SHA-256.
const SIGNATURES: &[(&str, SignatureHash)] = &[
    ("1.2.840.113549.1.1.4", SignatureHash::Sha256), // md5WithRSAEncryption
    ("1.2.840.113549.1.1.5", SignatureHash::Sha256), // sha1WithRSAEncryption
    ("1.2.840.113549.1.1.11", SignatureHash::Sha256), // sha256WithRSAEncryption
    ("1.2.840.113549.1.1.12", SignatureHash::Sha384), // sha384WithRSAEncryption
    ("1.2.840.113549.1.1.13", SignatureHash::Sha512), // sha512WithRSAEncryption
    ("1.2.840.10045.4.1", SignatureHash::Sha256),    // ecdsa-with-SHA1
    ("1.2.840.10045.4.3.2", SignatureHash::Sha256),  // ecdsa-with-SHA256
    ("1.2.840.10045.4.3.3", SignatureHash::Sha384),  // ecdsa-with-SHA384
    ("1.2.840.10045.4.3.4", SignatureHash::Sha512),  // ecdsa-with-SHA512
];

/// Hash algorithms, as RSASSA-PSS parameters name them.
const HASHES: &[(&str, SignatureHash)] = &[
    ("1.3.14.3.2.26", SignatureHash::Sha256),          // sha1
    ("2.16.840.1.101.3.4.2.1", SignatureHash::Sha256), // sha256
    ("2.16.840.1.101.3.4.2.2", SignatureHash::Sha384), // sha384
    ("2.16.840.1.101.3.4.2.3", SignatureHash::Sha512), // sha512
];

/// A certificate or its key can not be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate file can not be read.
    #[error("can not read `{}`: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The key file can not be read, or others can.
    #[error("{source}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PrivateFileError,
    },
    /// The file holds no certificate.
    #[error("`{}` holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The file holds no key that this version knows.
    #[error("`{}` holds no private key in PEM form that can be used", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error("the key `{}` does not belong to the certificate `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A certificate of the chain is over.
    #[error("`{}` has expired, {since} days ago", path.display())]
    Expired {
        /// Which file.
        path: PathBuf,
        /// Whole days.
        since: u64,
    },
    /// A certificate of the chain is not valid yet.
    #[error("`{}` is not valid yet, for {days} more days", path.display())]
    NotYet {
        /// Which file.
        path: PathBuf,
        /// Whole days.
        days: u64,
    },
    /// rustls does not take it.
    #[error("TLS can not be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl CertificateError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read { .. } => "name a file that exists and that the gateway's user can read".to_owned(),
            Self::Key { path, source } => source.remedy(path),
            Self::NoCertificate { .. } => {
                "it has to begin with `-----BEGIN CERTIFICATE-----`, own certificate first".to_owned()
            }
            Self::NoKey { .. } => {
                "use an unencrypted RSA, ECDSA or Ed25519 key that begins with `-----BEGIN PRIVATE KEY-----`"
                    .to_owned()
            }
            Self::Mismatch { .. } => "name the key that this certificate was made for".to_owned(),
            Self::Expired { .. } => "renew it".to_owned(),
            Self::NotYet { .. } => "use one that is valid now, and check this machine's clock".to_owned(),
            Self::Tls(_) => "check the certificate with `openssl x509 -text`".to_owned(),
        }
    }

    /// The file that is to blame.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::Key { path, .. }
            | Self::NoCertificate { path }
            | Self::NoKey { path }
            | Self::Mismatch { key: path, .. }
            | Self::Expired { path, .. }
            | Self::NotYet { path, .. } => Some(path),
            Self::Tls(_) => None,
        }
    }

    /// Is it the key's fault, and not the certificate's?
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::NoKey { .. } | Self::Mismatch { .. })
    }
}
