//! The gateway's own authorities: one that signs what clients show to it, and one that signs what it shows to targets.
//!
//! They are two keys, and no target trusts the first one: with what a client was given it would go past the gateway otherwise.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_model::principal::{Principal, PrincipalKind};
use ssh_key::{
    Algorithm, Certificate, LineEnding, PrivateKey, PublicKey,
    certificate::{Builder, CertType},
    private::{Ed25519Keypair, KeypairData},
    public::KeyData,
};

use super::{Principals, TrustedAuthority, chain};
use crate::BUILTIN_ISSUER;

/// An authority whose key lies in a directory of the gateway.
pub struct SshAuthority {
    key: PrivateKey,
}

/// What a certificate for a client is to say.
#[derive(Debug)]
pub struct UserLogin<'a> {
    /// Who shows it.
    pub principal: &'a Principal,
    /// Their key.
    pub key: &'a KeyData,
    /// How long it is good at most. It never outlives what was shown for it unless `outlives` says so.
    pub ttl: Duration,
}

/// What a certificate for a target is to say.
#[derive(Debug)]
pub struct TargetLogin<'a> {
    /// The account.
    pub account: &'a str,
    /// For whom: the target's log shows it.
    pub key_id: String,
}

/// How long a certificate for a target is good: for the moment in which it is shown.
const TARGET_TTL: Duration = Duration::from_secs(120);

/// By how much clocks may differ.
const CLOCK_SKEW: u64 = 60;

/// How long a certificate of ours can be good.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3_600 + CLOCK_SKEW);

impl SshAuthority {
    /// Reads the key in this file, or makes one: a private key in OpenSSH's format that only its owner can read.
    ///
    /// # Errors
    ///
    /// The file can not be read or written, can be read by others too, or is no key.
    pub fn load_or_create(path: &Path) -> Result<Self, AuthorityError> {
        if path.exists() {
            return Self::load(path);
        }
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| AuthorityError::Random)?;
        let pair = Ed25519Keypair::from_seed(&seed);
        let key =
            PrivateKey::new(KeypairData::Ed25519(pair), "gatewright").map_err(|_| AuthorityError::Key)?;
        let text = key.to_openssh(LineEnding::LF).map_err(|_| AuthorityError::Key)?;
        let failed = |source| AuthorityError::File { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self { key })
    }

    /// Reads the key in this file.
    ///
    /// # Errors
    ///
    /// As [`load_or_create`](Self::load_or_create).
    pub fn load(path: &Path) -> Result<Self, AuthorityError> {
        let failed = |source| AuthorityError::File { path: path.to_owned(), source };
        if fs::metadata(path).map_err(failed)?.mode() & 0o077 != 0 {
            return Err(AuthorityError::Open { path: path.to_owned() });
        }
        let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        let key = PrivateKey::from_openssh(&*text).map_err(|_| AuthorityError::Key)?;
        if key.algorithm() != Algorithm::Ed25519 || key.is_encrypted() {
            return Err(AuthorityError::Key);
        }
        Ok(Self { key })
    }

    /// The public key, as `authorized_keys` and `TrustedUserCAKeys` have it.
    pub fn public(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// This authority as one that the gateway trusts.
    pub fn trusted(&self) -> TrustedAuthority {
        TrustedAuthority {
            issuer: Arc::from(BUILTIN_ISSUER),
            keys: vec![self.key.public_key().key_data().clone()],
            principals: Principals::Own,
            default_kind: PrincipalKind::Service,
            max_lifetime: MAX_LIFETIME,
        }
    }

    /// Signs what a client shows to the gateway, and says until when it is good.
    ///
    /// # Errors
    ///
    /// What was shown for it is good no longer, or the key is of a type that is not accepted.
    pub fn certify_user(
        &self,
        login: &UserLogin<'_>,
        now: SystemTime,
    ) -> Result<(Certificate, SystemTime), AuthorityError> {
        super::check_strength(login.key).map_err(|_| AuthorityError::UserKey)?;
        let start = seconds(now)?;
        let mut end = start + login.ttl.min(MAX_LIFETIME - Duration::from_secs(CLOCK_SKEW)).as_secs();
        if let Some(limit) = login.principal.expires_at {
            end = end.min(seconds(limit)?);
        }
        if end <= start {
            return Err(AuthorityError::Expired);
        }
        let subject = &*login.principal.subject;
        let mut builder = self.builder(login.key.clone(), start.saturating_sub(CLOCK_SKEW), end)?;
        (|| {
            builder.cert_type(CertType::User)?.key_id(subject)?.valid_principal(subject)?;
            builder.extension(chain::EXTENSION, chain::write(login.principal))?;
            for right in RIGHTS {
                builder.extension(right, "")?;
            }
            Ok::<_, ssh_key::Error>(())
        })()
        .map_err(|_| AuthorityError::Certificate)?;
        let certificate = builder.sign(&self.key).map_err(|_| AuthorityError::Certificate)?;
        Ok((certificate, UNIX_EPOCH + Duration::from_secs(end)))
    }

    /// A new key for one connection to a target, and the certificate that makes it good there.
    ///
    /// # Errors
    ///
    /// There are no random bytes, or the account is none.
    pub fn certify_for_target(
        &self,
        login: TargetLogin<'_>,
        now: SystemTime,
    ) -> Result<(PrivateKey, Certificate), AuthorityError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| AuthorityError::Random)?;
        let pair = Ed25519Keypair::from_seed(&seed);
        let key = PrivateKey::new(KeypairData::Ed25519(pair), "").map_err(|_| AuthorityError::Key)?;
        let start = seconds(now)?;
        let (after, before) = (start.saturating_sub(CLOCK_SKEW), start + TARGET_TTL.as_secs());
        let mut builder = self.builder(key.public_key().key_data().clone(), after, before)?;
        (|| {
            builder.cert_type(CertType::User)?.key_id(login.key_id)?.valid_principal(login.account)?;
            for right in RIGHTS {
                builder.extension(right, "")?;
            }
            Ok::<_, ssh_key::Error>(())
        })()
        .map_err(|_| AuthorityError::Certificate)?;
        let certificate = builder.sign(&self.key).map_err(|_| AuthorityError::Certificate)?;
        Ok((key, certificate))
    }

    fn builder(&self, key: KeyData, after: u64, before: u64) -> Result<Builder, AuthorityError> {
        let (mut nonce, mut serial) = ([0; 32], [0; 8]);
        getrandom::fill(&mut nonce).map_err(|_| AuthorityError::Random)?;
        getrandom::fill(&mut serial).map_err(|_| AuthorityError::Random)?;
        let mut builder =
            Builder::new(nonce.to_vec(), key, after, before).map_err(|_| AuthorityError::Certificate)?;
        // A positive number everywhere.
        builder.serial(u64::from_be_bytes(serial) >> 1).map_err(|_| AuthorityError::Certificate)?;
        Ok(builder)
    }
}

fn seconds(time: SystemTime) -> Result<u64, AuthorityError> {
    Ok(time.duration_since(UNIX_EPOCH).map_err(|_| AuthorityError::Clock)?.as_secs())
}

/// Everything: what may be done is the business of policies. In the order in which a certificate has them.
const RIGHTS: [&str; 4] =
    ["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty"];

impl std::fmt::Debug for SshAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshAuthority").field("public", self.key.public_key()).finish_non_exhaustive()
    }
}

/// Why an authority of the gateway can not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file can not be read or written.
    #[error("can not use `{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the private key.
    #[error("others can read the key `{}`: replace it, or give it mode 0600 if nobody else had access", path.display())]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// Not a key.
    #[error("the authority's key is no Ed25519 key in OpenSSH's format without a passphrase")]
    Key,
    /// No random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// The gateway's clock can not be right.
    #[error("the gateway's clock is before 1970")]
    Clock,
    /// A key that would be refused.
    #[error("certificates are made for keys of the types Ed25519, ECDSA and RSA with 2048 bits or more")]
    UserKey,
    /// Nothing is left of what was shown.
    #[error("what was shown is good no longer")]
    Expired,
    /// A name that a certificate can not hold.
    #[error("no certificate can be made of this")]
    Certificate,
}
