//! The gateway's own keys, in the state folder.
//!
//! | File | What it is for |
//! | --- | --- |
//! | `issuer.pem` | signs tokens of `gatewright token mint`; `issuer.jwks.json` is its public half |
//! | `evidence.key` | signs checkpoints of the evidence log |
//! | `mask.key` | keys the hashes that stand for masked values |
//! | `ssh_login_authority` | signs SSH certificates of `gatewright login`, which only the gateway itself trusts |
//! | `ssh_target_authority` | signs SSH certificates that the gateway shows to targets, which trust it if they are told so |

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use gatewright_evidence::SigningKey;
use gatewright_identity::{
    BuiltinError, BuiltinIssuer,
    ssh::{AuthorityError, SshAuthority},
};
use gatewright_masking::MaskKey;

use crate::config::{PrivateFileError, read_private};

/// Every key of the gateway.
#[derive(Debug)]
pub struct Keys {
    /// Signs tokens.
    pub issuer: BuiltinIssuer,
    /// Signs checkpoints.
    pub evidence: SigningKey,
    /// Keys the hashes of masked values.
    pub mask: MaskKey,
    /// Signs SSH certificates that clients show to the gateway.
    pub ssh_login: SshAuthority,
    /// Signs SSH certificates that the gateway shows to targets.
    pub ssh_targets: SshAuthority,
}

impl Keys {
    /// Loads every key; those that are not there yet are made.
    ///
    /// # Errors
    ///
    /// A file can not be read or written, is not a key, or others than the gateway's user can read it.
    pub fn load_or_create(state: &Path) -> Result<Self, KeysError> {
        make_private_folder(state)
            .map_err(|source| KeysError::Folder { path: state.to_owned(), source })?;
        Ok(Self {
            issuer: issuer(state)?,
            evidence: SigningKey::load_or_create(&evidence_path(state))?,
            mask: mask(&state.join(MASK))?,
            ssh_login: SshAuthority::load_or_create(&state.join(SSH_LOGIN))?,
            ssh_targets: ssh_targets(state)?,
        })
    }

    /// Loads every key that is there, and makes none. Returns the names of files that are not there.
    ///
    /// # Errors
    ///
    /// As [`Keys::load_or_create`].
    pub fn check(state: &Path) -> Result<Vec<&'static str>, KeysError> {
        let present = |name: &&'static str| state.join(name).exists();
        if present(&ISSUER) {
            BuiltinIssuer::load(state)?;
        }
        if present(&EVIDENCE) {
            SigningKey::load(&evidence_path(state))?;
        }
        if present(&MASK) {
            mask(&state.join(MASK))?;
        }
        for name in [SSH_LOGIN, SSH_TARGETS].iter().filter(|name| present(name)) {
            SshAuthority::load(&state.join(name))?;
        }
        Ok([ISSUER, EVIDENCE, MASK, SSH_LOGIN, SSH_TARGETS]
            .into_iter()
            .filter(|name| !present(name))
            .collect())
    }
}

/// The built-in issuer alone: for minting where the gateway does not run yet.
///
/// # Errors
///
/// As [`Keys::load_or_create`].
pub fn issuer(state: &Path) -> Result<BuiltinIssuer, KeysError> {
    make_private_folder(state).map_err(|source| KeysError::Folder { path: state.to_owned(), source })?;
    if state.join(ISSUER).exists() {
        Ok(BuiltinIssuer::load(state)?)
    } else {
        Ok(BuiltinIssuer::create(state)?)
    }
}

/// The authority that signs for targets alone: they are to trust it before the gateway runs.
///
/// # Errors
///
/// As [`Keys::load_or_create`].
pub fn ssh_targets(state: &Path) -> Result<SshAuthority, KeysError> {
    make_private_folder(state).map_err(|source| KeysError::Folder { path: state.to_owned(), source })?;
    Ok(SshAuthority::load_or_create(&state.join(SSH_TARGETS))?)
}

/// The file of the key that signs checkpoints.
pub fn evidence_path(state: &Path) -> PathBuf {
    state.join(EVIDENCE)
}

fn mask(path: &Path) -> Result<MaskKey, KeysError> {
    let bad = || KeysError::Mask { path: path.to_owned() };
    if path.exists() {
        let text = read_private(path)?;
        return MaskKey::parse(std::str::from_utf8(&text).map_err(|_| bad())?).map_err(|_| bad());
    }
    let key = MaskKey::random().map_err(|_| KeysError::Random)?;
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    written
        .and_then(|mut file| {
            io::Write::write_all(&mut file, key.to_hex().as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| KeysError::Folder { path: path.to_owned(), source })?;
    Ok(key)
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

const ISSUER: &str = "issuer.pem";
const EVIDENCE: &str = "evidence.key";
const MASK: &str = "mask.key";
const SSH_LOGIN: &str = "ssh_login_authority";
const SSH_TARGETS: &str = "ssh_target_authority";

/// A key can not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder or a file in it can not be written.
    #[error("can not write `{}`: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The issuer's key.
    #[error(transparent)]
    Issuer(#[from] BuiltinError),
    /// The key of the evidence log.
    #[error(transparent)]
    Evidence(#[from] gatewright_evidence::KeyError),
    /// A key of SSH.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key of masked values can not be read.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    /// The key of masked values is none.
    #[error("`{}` is not a masking key: 64 hex digits", path.display())]
    Mask {
        /// Which.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_made_once_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        assert_eq!(Keys::check(&state).unwrap(), [ISSUER, EVIDENCE, MASK, SSH_LOGIN, SSH_TARGETS]);
        let first = Keys::load_or_create(&state).unwrap();
        let second = Keys::load_or_create(&state).unwrap();
        assert_eq!(first.issuer.jwks(), second.issuer.jwks());
        assert_eq!(
            first.evidence.verifying_key("a").to_string(),
            second.evidence.verifying_key("a").to_string()
        );
        assert_eq!(first.mask.to_hex(), second.mask.to_hex());
        assert_eq!(first.ssh_login.public().key_data(), second.ssh_login.public().key_data());
        // What clients are given is good for nothing at a target.
        assert_ne!(first.ssh_login.public().key_data(), first.ssh_targets.public().key_data());
        assert_eq!(Keys::check(&state).unwrap(), [""; 0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        for name in [ISSUER, EVIDENCE, MASK, SSH_LOGIN, SSH_TARGETS] {
            assert_eq!(mode(&state.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_masking_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Keys::load_or_create(folder.path()).unwrap();
        fs::set_permissions(folder.path().join(MASK), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::check(folder.path()), Err(KeysError::Private(_))));
        assert!(matches!(Keys::load_or_create(folder.path()), Err(KeysError::Private(_))));
    }
}
