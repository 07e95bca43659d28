//! From a token to a principal.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use gatewright_model::{principal::Principal, secret::Secret};
use sha2::{Digest, Sha256};

use crate::{
    Fetch, FetchError, FetchProblem, Fetched, IdentityError, Issuer, Revocation, SetupError, claims,
    issuer::KeySource, json::Value, token::Token,
};

/// Verifies tokens of the issuers that the gateway trusts. Shared by all listeners; takes no lock to verify.
#[derive(Debug)]
pub struct Verifier {
    issuers: BTreeMap<Arc<str>, Issuer>,
    revocations: ArcSwap<Vec<Revocation>>,
}

impl Verifier {
    /// Trusts these issuers and no other. With none, every token is refused.
    ///
    /// # Errors
    ///
    /// Two have the same name.
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, SetupError> {
        let mut by_name = BTreeMap::new();
        for issuer in issuers {
            let name = Arc::clone(&issuer.settings.issuer);
            if by_name.insert(Arc::clone(&name), issuer).is_some() {
                return Err(SetupError::Twice(name));
            }
        }
        Ok(Self { issuers: by_name, revocations: ArcSwap::default() })
    }

    /// Who this token proves its bearer to be, at `now`.
    ///
    /// The order of checks is the order of trust: form, issuer, algorithm, key and signature; and only then what
    /// the token says. Before the signature is found right, nothing is reported that is in the token.
    ///
    /// # Errors
    ///
    /// The token proves nothing. [`IdentityError::rejection`] is what the client may be told.
    pub fn verify(&self, token: &Secret, now: SystemTime) -> Result<Principal, IdentityError> {
        let token = Token::parse(token.expose())?;
        let issuer = match token.claims.get("iss") {
            Some(Value::Text(name)) => self.issuers.get(name.as_str()).ok_or(IdentityError::Issuer)?,
            _ => return Err(IdentityError::Issuer),
        };
        if !issuer.settings.algorithms.contains(&token.algorithm) {
            return Err(IdentityError::Algorithm);
        }
        let keys = issuer.keys(now)?;
        let Some(key) = keys.find(token.algorithm, token.key_id.as_deref()) else {
            if let KeySource::Discovered(discovery) = &issuer.keys {
                discovery.want_refresh();
            }
            return Err(IdentityError::KeyUnknown);
        };
        key.verify_sig(token.signed, &token.signature).map_err(|_| IdentityError::Signature)?;
        let principal = claims::judge(&token.claims, &issuer.settings, now, || digest(token.signed))?;
        self.check_revocations(&principal)?;
        Ok(principal)
    }

    /// What is revoked from now on, instead of what was.
    pub fn set_revocations(&self, list: Vec<Revocation>) {
        self.revocations.store(Arc::new(list));
    }

    /// What is revoked.
    pub fn revocations(&self) -> Arc<Vec<Revocation>> {
        self.revocations.load_full()
    }

    /// Is what once proved this principal still good?
    ///
    /// # Errors
    ///
    /// It was revoked.
    pub fn check_revocations(&self, principal: &Principal) -> Result<(), IdentityError> {
        let revoked = self.revocations.load().iter().any(|revocation| revocation.scope.covers(principal));
        if revoked { Err(IdentityError::Revoked) } else { Ok(()) }
    }

    /// A document to fetch now, if there is one. Call about once a second, and again after each
    /// [`handle_fetched`](Self::handle_fetched); several issuers may be fetched at once.
    pub fn poll_fetch(&self, now: SystemTime) -> Option<Fetch> {
        self.discoveries().find_map(|(_, discovery)| discovery.poll(now))
    }

    /// Takes in what a fetch brought, or that it brought nothing.
    ///
    /// # Errors
    ///
    /// The document is of no use: to be logged. Keys that are there stay in use until they are too old.
    pub fn handle_fetched(
        &self,
        issuer: &str,
        document: Result<&[u8], FetchError>,
        now: SystemTime,
    ) -> Result<Fetched, FetchProblem> {
        let (_, discovery) =
            self.discoveries().find(|(name, _)| **name == *issuer).ok_or(FetchProblem::Unasked)?;
        discovery.handle(document, now)
    }

    fn discoveries(&self) -> impl Iterator<Item = (&str, &crate::discovery::Discovery)> {
        self.issuers.iter().filter_map(|(name, issuer)| match &issuer.keys {
            KeySource::Discovered(discovery) => Some((&**name, &**discovery)),
            KeySource::Fixed(_) => None,
        })
    }
}

/// By which name records know a token: its `jti`, or what stands for one. Nothing of it is proved by that.
///
/// # Errors
///
/// It is no token, or its `jti` is no name.
pub fn credential_name(token: &Secret) -> Result<Arc<str>, IdentityError> {
    let token = Token::parse(token.expose())?;
    claims::credential(&token.claims, || digest(token.signed))
}

/// Names a token that has no `jti`: 64 bits of the SHA-256 of what is signed, from which nothing can be learned.
///
/// Not of the whole token: an ECDSA signature can be turned into another right one by anybody, and a token must
/// not get a new name that way.
fn digest(signed: &[u8]) -> Arc<str> {
    let digest = Sha256::digest(signed);
    hex::encode(digest).get(..16).unwrap_or_default().into()
}
