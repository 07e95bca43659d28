//! Keys and certificates of SSH clients.
//!
//! The transport proves that a client holds a key (RFC 4252 section 7). What that key, or the certificate about it, says about its
//! holder is decided here: [`SshTrust::judge_key`] for keys that the configuration binds to somebody, and [`SshTrust::judge_certificate`] for
//! certificates (OpenSSH's `PROTOCOL.certkeys`) of the gateway's own authority and of others.
//!
//! # What is decided here
//!
//! - **The signature of a certificate proves nothing by itself**: it is the authority's key that must be known. Which checks there are
//!   can be read from top to bottom in [`certificate::judge`].
//! - **No principals is nobody**, not everybody. A principal is one name: `a,b` is not two.
//! - **A critical option that is not understood refuses the certificate** (threats A40). `source-address` is understood; `force-command` and
//!   `verify-required` are not.
//! - **What the certificate does not permit is not asked about** ([`ChannelRights`]): policies can take away more, and give nothing back.
//! - **Keys on security keys** (`sk-…`) are refused: whether somebody has touched one is said in its signature, which the transport
//!   does not hand on.

mod authority;
mod certificate;
mod chain;
mod error;
mod host;
mod source;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gatewright_model::{
    principal::{Principal, PrincipalKind},
    ssh::ChannelRights,
};
use ssh_key::{Algorithm, Certificate, HashAlg, public::KeyData};

pub use self::{
    authority::{AuthorityError, SshAuthority, TargetLogin, UserLogin},
    error::SshError,
    host::{BadLine, HostError, HostTrust},
};
use crate::{SetupError, name};

/// Whose keys and certificates are accepted. Shared by all listeners.
#[derive(Debug, Default)]
pub struct SshTrust {
    authorities: Vec<TrustedAuthority>,
    keys: Vec<BoundKey>,
}

/// An authority whose certificates are accepted.
#[derive(Debug, Clone)]
pub struct TrustedAuthority {
    /// Who vouches, in principals and records: `ssh:NAME`.
    pub issuer: Arc<str>,
    /// Its keys. Older ones stay until their certificates have expired.
    pub keys: Vec<KeyData>,
    /// What the principals of its certificates are.
    pub principals: Principals,
    /// What its subjects are, where a certificate does not say it.
    pub default_kind: PrincipalKind,
    /// Certificates that are valid for longer are refused.
    pub max_lifetime: Duration,
}

/// What the principals of a certificate are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principals {
    /// Accounts at targets, as OpenSSH's own server has it: the one that the client asks for must be among them.
    Accounts,
    /// Names of the holder: the key id must be among them. Accounts are the business of policies.
    Subject,
    /// The gateway's own: as [`Principals::Subject`], and the chain must be there.
    Own,
}

/// A key that the configuration binds to somebody.
#[derive(Debug, Clone)]
pub struct BoundKey {
    /// The key.
    pub key: KeyData,
    /// Whose it is.
    pub subject: Arc<str>,
    /// What kind of subject it is.
    pub kind: PrincipalKind,
    /// Groups of the subject.
    pub groups: Vec<Arc<str>>,
    /// Who acts for the subject, the current actor first.
    pub actors: Vec<Arc<str>>,
}

/// What a certificate proves.
#[derive(Debug, Clone)]
pub struct Proved {
    /// Who its holder is.
    pub principal: Principal,
    /// What they may ask for.
    pub rights: ChannelRights,
    /// The accounts at targets that it is good for.
    pub accounts: Accounts,
}

/// Accounts at targets that a client may ask for, as far as its own proof limits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts(
    /// None: all.
    Option<Vec<Arc<str>>>,
);

impl Accounts {
    /// No limits: policies alone decide.
    pub const ALL: Self = Self(None);

    /// May this one be asked for?
    pub fn include(&self, account: &str) -> bool {
        self.0.as_ref().is_none_or(|accounts| accounts.iter().any(|own| **own == *account))
    }
}

/// Who vouches for keys of the configuration.
pub const KEYS_ISSUER: &str = "ssh:keys";

/// Bits of an RSA key at least: what is shorter is within reach of those who want it.
const MIN_RSA: u32 = 2_048;

impl SshTrust {
    /// Trusts these authorities and keys, and no others.
    ///
    /// # Errors
    ///
    /// A key is bound twice, or is both an authority's and somebody's own; a name is none.
    pub fn new(authorities: Vec<TrustedAuthority>, keys: Vec<BoundKey>) -> Result<Self, SetupError> {
        let mut seen: Vec<&KeyData> = Vec::new();
        let all = authorities.iter().flat_map(|authority| &authority.keys);
        for key in all.chain(keys.iter().map(|bound| &bound.key)) {
            if seen.contains(&key) {
                return Err(SetupError::SshKeyTwice(key.fingerprint(HashAlg::Sha256).to_string().into()));
            }
            seen.push(key);
        }
        for bound in &keys {
            let names = [&bound.subject].into_iter().chain(&bound.groups).chain(&bound.actors);
            for own in names {
                name::parse(own).map_err(|problem| SetupError::Name(Arc::clone(own), problem.as_str()))?;
            }
        }
        Ok(Self { authorities, keys })
    }

    /// Who holds this key, once its holder has proved that they do.
    ///
    /// # Errors
    ///
    /// It is nobody's.
    pub fn judge_key(&self, key: &KeyData) -> Result<Proved, SshError> {
        check_strength(key)?;
        let bound = self.keys.iter().find(|bound| bound.key == *key).ok_or(SshError::KeyUnknown)?;
        let principal = Principal {
            subject: Arc::clone(&bound.subject),
            issuer: Arc::from(KEYS_ISSUER),
            kind: bound.kind,
            groups: bound.groups.clone(),
            actors: bound.actors.clone(),
            claims: Vec::new(),
            credential: key.fingerprint(HashAlg::Sha256).to_string().into(),
            issued_at: None,
            expires_at: None,
        };
        Ok(Proved { principal, rights: ChannelRights::ALL, accounts: Accounts::ALL })
    }

    /// Who holds this certificate, once its holder has proved that they hold its key; `client` is where they come from.
    ///
    /// Whether it is good for the account that they want is to be asked when they say which ([`Accounts::include`]).
    ///
    /// # Errors
    ///
    /// It proves nothing.
    pub fn judge_certificate(
        &self,
        certificate: &Certificate,
        client: IpAddr,
        now: SystemTime,
    ) -> Result<Proved, SshError> {
        certificate::judge(&self.authorities, certificate, client, now)
    }
}

/// Refuses keys that prove less than they seem to.
fn check_strength(key: &KeyData) -> Result<(), SshError> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(()),
        Algorithm::Rsa { .. } => {
            let bits = key.rsa().map_or(0, ssh_key::public::RsaPublicKey::key_size);
            if bits >= MIN_RSA { Ok(()) } else { Err(SshError::KeyWeak) }
        }
        _ => Err(SshError::KeyType),
    }
}
