//! An issuer that the gateway trusts, and what it is trusted for.

use std::{sync::Arc, time::SystemTime};

use gatewright_model::principal::PrincipalKind;

use crate::{Algorithm, IdentityError, KeySetError, discovery::Discovery, keys::KeySet, url::HttpsUrl};

/// What is configured for one issuer.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The `iss` of its tokens, compared byte for byte.
    pub issuer: Arc<str>,
    /// The `aud` that its tokens must have for this gateway.
    pub audience: Arc<str>,
    /// The algorithms that it signs with. No other is accepted.
    pub algorithms: Vec<Algorithm>,
    /// The claim that lists the groups of the subject.
    pub groups_claim: Arc<str>,
    /// The claim that says what kind of subject it is.
    pub kind_claim: Arc<str>,
    /// What a subject is whose token has no such claim. [`PrincipalKind::Service`] unless set: that somebody is
    /// a person is a statement that the issuer or the operator has to make.
    pub default_kind: PrincipalKind,
    /// Further claims that policies may read.
    pub claims: Vec<Arc<str>>,
    /// Hosts, with a port if it is not 443, that the key set may be on beside the issuer's own. Some large
    /// providers need one.
    pub key_hosts: Vec<Arc<str>>,
}

impl IssuerSettings {
    /// Settings with the usual names of claims: `groups` and `principal_kind`.
    pub fn new(
        issuer: impl Into<Arc<str>>,
        audience: impl Into<Arc<str>>,
        algorithms: Vec<Algorithm>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms,
            groups_claim: "groups".into(),
            kind_claim: "principal_kind".into(),
            default_kind: PrincipalKind::Service,
            claims: Vec::new(),
            key_hosts: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), SetupError> {
        let empty = [
            ("issuer", self.issuer.is_empty()),
            ("audience", self.audience.is_empty()),
            ("algorithms", self.algorithms.is_empty()),
            ("groups_claim", self.groups_claim.is_empty()),
            ("kind_claim", self.kind_claim.is_empty()),
        ];
        match empty.into_iter().find(|(_, empty)| *empty) {
            Some((setting, _)) => Err(SetupError::Empty(setting)),
            None => Ok(()),
        }
    }
}

/// An issuer with its keys, or with the way to get them.
#[derive(Debug)]
pub struct Issuer {
    pub(crate) settings: IssuerSettings,
    pub(crate) keys: KeySource,
}

#[derive(Debug)]
pub(crate) enum KeySource {
    /// Keys of a file: good until the process ends.
    Fixed(Arc<KeySet>),
    /// Keys of an OpenID provider: fetched, refreshed, and given up when they are too old.
    Discovered(Box<Discovery>),
}

impl Issuer {
    /// An issuer with a fixed JWK set.
    ///
    /// # Errors
    ///
    /// A setting is empty, or the set has no usable key.
    pub fn with_keys(settings: IssuerSettings, jwks: &[u8]) -> Result<Self, SetupError> {
        settings.check()?;
        let keys = KeySet::parse(jwks, &settings.algorithms).map_err(SetupError::Keys)?;
        if keys.len() == 0 {
            return Err(SetupError::Keys(KeySetError::Unusable));
        }
        Ok(Self { settings, keys: KeySource::Fixed(Arc::new(keys)) })
    }

    /// An issuer whose keys are found by OpenID Connect Discovery 1.0.
    ///
    /// # Errors
    ///
    /// A setting is empty, or the issuer is not an `https` address that a document can be under.
    pub fn with_discovery(settings: IssuerSettings) -> Result<Self, SetupError> {
        settings.check()?;
        let url = HttpsUrl::parse(&settings.issuer).map_err(SetupError::Url)?;
        if settings.issuer.contains('?') {
            return Err(SetupError::Url("must not have a query"));
        }
        let discovery = Discovery::new(&settings, url);
        Ok(Self { settings, keys: KeySource::Discovered(Box::new(discovery)) })
    }

    pub(crate) fn keys(&self, now: SystemTime) -> Result<Arc<KeySet>, IdentityError> {
        match &self.keys {
            KeySource::Fixed(keys) => Ok(Arc::clone(keys)),
            KeySource::Discovered(discovery) => discovery.keys(now),
        }
    }
}

/// Why an issuer can not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A setting is empty.
    #[error("`{0}` must not be empty")]
    Empty(&'static str),
    /// Not an address to discover keys at.
    #[error("an issuer whose keys are discovered {0}; give its keys as a file instead")]
    Url(&'static str),
    /// Not a key set.
    #[error(transparent)]
    Keys(KeySetError),
    /// Which of them verifies a token must not depend on their order.
    #[error("the issuer `{0}` is configured twice")]
    Twice(Arc<str>),
    /// Whose it is must not depend on an order either.
    #[error("the SSH key {0} is configured twice")]
    SshKeyTwice(Arc<str>),
    /// Not a name of a subject, an actor or a group.
    #[error("the name `{0}` {1}")]
    Name(Arc<str>, &'static str),
}
