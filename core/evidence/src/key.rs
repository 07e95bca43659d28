//! The log's keys: an Ed25519 private key in a PKCS#8 PEM file, and public keys as signed notes write them.

use std::{
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{
    Signer as _,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes, spki::der::pem::LineEnding},
};
use sha2::{Digest as _, Sha256};

/// The key that signs checkpoints. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Draws a new key.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// Reads the key from a PKCS#8 PEM file (`openssl genpkey -algorithm ed25519` makes one, too).
    ///
    /// # Errors
    ///
    /// The file can not be read, is not such a key, or others than its owner and group may read it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.into(), source };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & FORBIDDEN_MODE != 0 {
            return Err(KeyError::TooOpen { path: path.into(), mode: mode & 0o777 });
        }
        let pem = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&pem);
        key.map(Self).map_err(|_| KeyError::NotAKey { path: path.into() })
    }

    /// Draws a new key and writes it to a file that must not be there yet, with mode 0600.
    ///
    /// # Errors
    ///
    /// The file is there or can not be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.into(), source };
        let key = Self::generate()?;
        // Version 1 of PKCS#8, without the public key: every version of OpenSSL reads it.
        let bytes = KeypairBytes { secret_key: key.0.to_bytes(), public_key: None };
        let pem =
            bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NotAKey { path: path.into() })?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(key)
    }

    /// [`SigningKey::load`], or [`SigningKey::create`] where there is no file.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::create(path)
            }
            other => other,
        }
    }

    /// The public half under the name `name`: a log's origin. Give it to auditors, and keep a copy where
    /// the gateway's host can not change it.
    pub fn verifying_key(&self, name: &str) -> VerifyingKey {
        VerifyingKey { name: name.into(), key: self.0.verifying_key() }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A key that verifies, and the name it signs under.
///
/// [`fmt::Display`] writes it, and [`VerifyingKey::parse`] reads it, as signed notes do:
/// `<name>+<key id in hex>+<base64 of 0x01 and the 32 bytes of the key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Reads a verifier key.
    ///
    /// # Errors
    ///
    /// It does not have that form, is not an Ed25519 key, or its id is not that of its name and key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let malformed = || KeyError::NotAVerifierKey { text: text.into() };
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let decoded = STANDARD.decode(encoded).map_err(|_| malformed())?;
        let Some((&[ED25519], bytes)) = decoded.split_first_chunk::<1>() else { return Err(malformed()) };
        let bytes = bytes.try_into().map_err(|_| malformed())?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| malformed())?;
        let parsed = Self { name: name.into(), key };
        if check_name(name).is_err() || key.is_weak() || hex::encode(parsed.id()) != id {
            return Err(malformed());
        }
        Ok(parsed)
    }

    /// Whose key it is: a log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `SHA-256(name || 0x0A || 0x01 || key)[:4]`.
    pub(crate) fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        let [first, second, third, fourth, ..] = <[u8; 32]>::from(digest);
        [first, second, third, fourth]
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut encoded = Vec::with_capacity(33);
        encoded.push(ED25519);
        encoded.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(encoded))
    }
}

/// Every key that may have signed a log: more than one after the key was changed.
#[derive(Debug, Clone, Default)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// Takes the keys of one log, all under its origin.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The log whose keys these are: the name of the first.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.0.first().map(VerifyingKey::name)
    }

    pub(crate) fn find(&self, name: &str, id: [u8; 4]) -> Option<&VerifyingKey> {
        self.0.iter().find(|key| key.name == name && key.id() == id)
    }
}

impl From<VerifyingKey> for VerifyingKeys {
    fn from(key: VerifyingKey) -> Self {
        Self(vec![key])
    }
}

/// May this be the name of a key, and with it the origin of a log? No spaces, no `+`, nothing unseen.
pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let refused = |letter: char| {
        letter == '+' || letter.is_whitespace() || gatewright_model::hidden::is_hidden(letter)
    };
    if name.is_empty() || name.contains(refused) {
        return Err(KeyError::BadName { name: name.into() });
    }
    Ok(())
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can not be read or written.
    #[error("can not use the key file `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too many may read the file.
    #[error("the key file `{}` has mode {mode:03o}: take the rights of others away with `chmod 600`", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("`{}` is not an Ed25519 private key in PKCS#8 PEM form", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Not a verifier key.
    #[error("`{text}` is not a verifier key: it must be `<name>+<key id>+<base64>` of an Ed25519 key")]
    NotAVerifierKey {
        /// What was read.
        text: String,
    },
    /// Not a name.
    #[error(
        "`{name}` can not be the origin of a log: use a name like `gatewright.example/main`, without spaces and `+`"
    )]
    BadName {
        /// What was read.
        name: String,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes for a new key")]
    NoRandomness,
}

/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 0x01;

/// Rights that nobody may have on a key file: writing for the group, anything for others. The group may
/// read, because that is how Kubernetes hands a secret to a process that is not root.
const FORBIDDEN_MODE: u32 = 0o027;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_go_checksum_database_reads_back() {
        let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        assert_eq!(VerifyingKey::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_verifier_key_with_another_name_or_id_is_refused() {
        for text in [
            "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "sum.golang.org",
            "",
        ] {
            assert!(VerifyingKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence.pem");
        let made = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(made.verifying_key("a"), loaded.verifying_key("a"));
        assert!(matches!(SigningKey::create(&path), Err(KeyError::Io { .. })));
        assert_eq!(format!("{made:?}"), "SigningKey(..)");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence.pem");
        SigningKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SigningKey::load(&path), Err(KeyError::TooOpen { mode: 0o644, .. })));
    }

    #[test]
    fn names_that_would_confuse_a_note_are_refused() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{202e}b", "a\u{a0}b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        check_name("gatewright.example/main").unwrap();
    }
}
