//! The built-in issuer: tokens of our own, so that a trial needs no identity provider.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    Signer, SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use gatewright_model::{principal::PrincipalKind, secret::Secret};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Algorithm, IdentityError, Issuer, IssuerSettings, MAX_TOKEN, SetupError, claims, json::parse_object,
};

/// An issuer whose key lies in a directory of the gateway.
///
/// Its tokens are ordinary access tokens (RFC 9068) signed with Ed25519, and are verified by the same
/// [`Verifier`](crate::Verifier) as all others.
pub struct BuiltinIssuer {
    key: SigningKey,
    key_id: String,
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// The subject.
    pub subject: Arc<str>,
    /// Its groups.
    pub groups: Vec<Arc<str>>,
    /// Who acts for it, the current actor first.
    pub actors: Vec<Arc<str>>,
    /// What kind of subject it is.
    pub kind: PrincipalKind,
    /// Which gateway the token is for.
    pub audience: Arc<str>,
    /// How long it is good, in whole seconds, at most [`MAX_TTL`].
    pub ttl: Duration,
    /// Further claims, as text.
    pub claims: Vec<(Arc<str>, Arc<str>)>,
}

impl BuiltinIssuer {
    /// Makes a new key in `directory`: the private key as PKCS#8 PEM that only its owner can read, and the public
    /// key set beside it.
    ///
    /// # Errors
    ///
    /// There is a key already, or the files can not be written.
    pub fn create(directory: &Path) -> Result<Self, BuiltinError> {
        let mut seed = ed25519_dalek::SecretKey::default();
        getrandom::fill(&mut seed).map_err(|_| BuiltinError::Random)?;
        let issuer = Self::new(SigningKey::from_bytes(&seed));
        let pem = issuer.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| BuiltinError::Key)?;

        let path = directory.join(KEY_FILE);
        let failed = |source| BuiltinError::File { path: path.clone(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        // Created with its mode and only if it is not there: at no moment can others read it, and no key that
        // tokens were minted with is lost.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        issuer.write_public(directory)?;
        Ok(issuer)
    }

    /// Reads the key that [`create`](Self::create) made. The public key set is written again if it is not there.
    ///
    /// # Errors
    ///
    /// The key can not be read, can be read by others too, or is none.
    pub fn load(directory: &Path) -> Result<Self, BuiltinError> {
        let path = directory.join(KEY_FILE);
        let failed = |source| BuiltinError::File { path: path.clone(), source };
        let mode = fs::metadata(&path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            return Err(BuiltinError::Open { path });
        }
        let pem = zeroize::Zeroizing::new(fs::read_to_string(&path).map_err(failed)?);
        let issuer = Self::new(SigningKey::from_pkcs8_pem(&pem).map_err(|_| BuiltinError::Key)?);
        if !directory.join(PUBLIC_FILE).exists() {
            issuer.write_public(directory)?;
        }
        Ok(issuer)
    }

    fn new(key: SigningKey) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key());
        // RFC 7638 with the members of RFC 8037 appendix A.3: the same key has the same name everywhere.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Self { key, key_id: URL_SAFE_NO_PAD.encode(thumbprint) }
    }

    fn write_public(&self, directory: &Path) -> Result<(), BuiltinError> {
        let path = directory.join(PUBLIC_FILE);
        fs::write(&path, self.jwks()).map_err(|source| BuiltinError::File { path, source })
    }

    /// The public key set (RFC 7517), for other gateways that are to accept these tokens.
    pub fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key());
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id, "use": "sig", "alg": "EdDSA",
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The settings under which the tokens of this issuer are verified.
    pub fn settings(audience: impl Into<Arc<str>>) -> IssuerSettings {
        IssuerSettings::new(BUILTIN_ISSUER, audience, vec![Algorithm::EdDsa])
    }

    /// This issuer as one that a [`Verifier`](crate::Verifier) trusts.
    ///
    /// # Errors
    ///
    /// A setting is empty.
    pub fn issuer(&self, settings: IssuerSettings) -> Result<Issuer, SetupError> {
        Issuer::with_keys(settings, self.jwks().as_bytes())
    }

    /// Makes a token. It is judged before it is given out, by the rules that will judge it later: what is minted
    /// verifies.
    ///
    /// # Errors
    ///
    /// The request asks for what no token may say. The message says what.
    pub fn mint(&self, request: &MintRequest, now: SystemTime) -> Result<Secret, BuiltinError> {
        if request.ttl < Duration::from_secs(1) || request.ttl > MAX_TTL {
            return Err(BuiltinError::Ttl);
        }
        let settings = Self::settings(Arc::clone(&request.audience));
        let issued = now.duration_since(UNIX_EPOCH).map_err(|_| IdentityError::Clock)?.as_secs();
        let mut id = [0u8; 16];
        getrandom::fill(&mut id).map_err(|_| BuiltinError::Random)?;

        let mut claims = Map::new();
        claims.insert("iss".into(), json!(BUILTIN_ISSUER));
        claims.insert("sub".into(), json!(*request.subject));
        claims.insert("aud".into(), json!(*request.audience));
        claims.insert("iat".into(), json!(issued));
        claims.insert("exp".into(), json!(issued + request.ttl.as_secs()));
        claims.insert("jti".into(), json!(hex::encode(id)));
        claims.insert((*settings.kind_claim).into(), json!(request.kind.as_str()));
        let groups: Vec<&str> = request.groups.iter().map(|group| &**group).collect();
        claims.insert((*settings.groups_claim).into(), json!(groups));
        if let Some(act) = nested(&request.actors) {
            claims.insert("act".into(), act);
        }
        for (name, value) in &request.claims {
            if RESERVED.contains(&&**name) || claims.insert((**name).into(), json!(**value)).is_some() {
                return Err(BuiltinError::Reserved(Arc::clone(name)));
            }
        }
        self.sign(&Value::Object(claims).to_string(), request, settings, now)
    }

    fn sign(
        &self,
        claims: &str,
        request: &MintRequest,
        mut settings: IssuerSettings,
        now: SystemTime,
    ) -> Result<Secret, BuiltinError> {
        settings.claims = request.claims.iter().map(|(name, _)| Arc::clone(name)).collect();
        let parsed =
            parse_object(claims.as_bytes()).ok_or(IdentityError::Malformed("its claims nest too deep"))?;
        claims::judge(&parsed, &settings, now, || "".into())?;

        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.key_id }).to_string();
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(token.as_bytes()).to_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        if token.len() > MAX_TOKEN {
            return Err(IdentityError::TooLong.into());
        }
        Ok(Secret::new(token))
    }
}

impl std::fmt::Debug for BuiltinIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltinIssuer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The chain as nested `act` claims, the first actor outermost.
pub(crate) fn nested(actors: &[Arc<str>]) -> Option<Value> {
    actors.iter().rev().fold(None, |inner, actor| {
        Some(match inner {
            None => json!({ "sub": **actor }),
            Some(inner) => json!({ "sub": **actor, "act": inner }),
        })
    })
}

/// Why the built-in issuer can not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
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
    #[error("the issuer's key is not an Ed25519 key in PKCS#8 PEM")]
    Key,
    /// No random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// Too short or too long.
    #[error("a token is good for at least 1 second and at most {} hours", MAX_TTL.as_secs() / 3_600)]
    Ttl,
    /// The claim has a meaning of its own.
    #[error("the claim `{0}` can not be set as a further claim")]
    Reserved(Arc<str>),
    /// The token would not verify.
    #[error("such a token would be refused: {0}")]
    Refused(#[from] IdentityError),
}

/// The `iss` of built-in tokens. Not an address, so that nobody looks for keys there.
pub const BUILTIN_ISSUER: &str = "gatewright:builtin";

/// How long a built-in token can be good.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 3_600);

const KEY_FILE: &str = "issuer.pem";
const PUBLIC_FILE: &str = "issuer.jwks.json";

/// Claims with a meaning of their own that a request may leave unset.
const RESERVED: [&str; 5] = ["act", "nbf", "may_act", "azp", "client_id"];
