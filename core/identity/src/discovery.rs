//! Finding an issuer's keys, and keeping them fresh (OpenID Connect Discovery 1.0 section 4).
//!
//! A value without I/O: [`poll`](Discovery::poll) says what to fetch, [`handle`](Discovery::handle) takes what came
//! back. One refresh is two fetches, the discovery document and then the key set that it names; there is one
//! at a time, and one begins at most every [`REFRESH_INTERVAL`], whatever tokens arrive.
//!
//! Keys are refreshed every [`REFRESH_AFTER`], which is how long a withdrawn key stays good, and when a token
//! names a key that is not known. If the issuer can not be reached, they are used until they are
//! [`KEYS_MAX_AGE`] old, and then nobody gets in. A clock that was set back makes them stale at once: how old
//! they are is then not known.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use crate::{
    Algorithm, IdentityError, IssuerSettings, KeySetError, LEEWAY,
    json::{Value, parse_object},
    keys::KeySet,
    url::HttpsUrl,
};

/// A document to fetch.
///
/// With GET, without credentials, without following redirects (CVE-2026-49478), with the server's certificate
/// verified, reading at most [`MAX_DOCUMENT`] bytes, giving up within [`FETCH_TIMEOUT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Whose keys it is for: the name to hand to [`crate::Verifier::handle_fetched`].
    pub issuer: Arc<str>,
    /// What to fetch. Always `https`.
    pub url: Arc<str>,
}

/// Why the caller has no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or no trusted one.
    #[error("the server can not be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// An answer other than 200.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The document is longer than [`MAX_DOCUMENT`].
    #[error("the document is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
}

/// What a document was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It named the key set: poll again.
    Discovered,
    /// The keys are new, and this many can be used.
    Refreshed {
        /// Pairs of key and algorithm.
        keys: usize,
    },
}

/// Why a document was good for nothing. What is there stays in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchProblem {
    /// There is no document.
    #[error(transparent)]
    Transport(#[from] FetchError),
    /// Not a discovery document.
    #[error("the document is not an OpenID discovery document: {0}")]
    NotDiscovery(&'static str),
    /// The document is another issuer's.
    #[error("the discovery document names another issuer")]
    OtherIssuer,
    /// The key set is where it must not be.
    #[error("the discovery document's `jwks_uri` {0}")]
    KeysUrl(&'static str),
    /// Not a key set.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// Nobody asked for it, or not any more.
    #[error("the document was not asked for")]
    Unasked,
}

#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: Arc<str>,
    url: Arc<str>,
    algorithms: Vec<Algorithm>,
    hosts: Vec<Arc<str>>,
    keys: ArcSwapOption<Kept>,
    /// A token named a key that is not known. Set by verifications, which take no lock.
    wanted: AtomicBool,
    refresh: Mutex<Refresh>,
}

#[derive(Debug)]
struct Kept {
    keys: Arc<KeySet>,
    since: SystemTime,
}

#[derive(Debug)]
struct Refresh {
    step: Step,
    /// When the last one began.
    began: Option<SystemTime>,
}

#[derive(Debug)]
enum Step {
    Idle,
    FetchingDocument { since: SystemTime },
    Discovered { url: Arc<str> },
    FetchingKeys { since: SystemTime },
}

impl Discovery {
    pub(crate) fn new(settings: &IssuerSettings, url: HttpsUrl<'_>) -> Self {
        let own = url.authority().into();
        let base = settings.issuer.strip_suffix('/').unwrap_or(&settings.issuer);
        Self {
            issuer: Arc::clone(&settings.issuer),
            url: format!("{base}/.well-known/openid-configuration").into(),
            algorithms: settings.algorithms.clone(),
            hosts: settings.key_hosts.iter().cloned().chain([own]).collect(),
            keys: ArcSwapOption::empty(),
            wanted: AtomicBool::new(false),
            refresh: Mutex::new(Refresh { step: Step::Idle, began: None }),
        }
    }

    /// The keys, if they are not too old at `now`.
    pub(crate) fn keys(&self, now: SystemTime) -> Result<Arc<KeySet>, IdentityError> {
        let kept = self.keys.load();
        let kept = kept.as_ref().ok_or(IdentityError::KeysMissing)?;
        let age = age(kept.since, now);
        if age >= KEYS_MAX_AGE { Err(IdentityError::KeysStale) } else { Ok(Arc::clone(&kept.keys)) }
    }

    /// A token names a key that is not known.
    pub(crate) fn want_refresh(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// What to fetch now, if anything.
    pub(crate) fn poll(&self, now: SystemTime) -> Option<Fetch> {
        let mut refresh = self.refresh.lock();
        let url = match &refresh.step {
            Step::FetchingDocument { since } | Step::FetchingKeys { since }
                if age(*since, now) < FETCH_TIMEOUT =>
            {
                return None;
            }
            Step::Discovered { url } => {
                let url = Arc::clone(url);
                refresh.step = Step::FetchingKeys { since: now };
                url
            }
            // Idle, or a fetch that nobody came back from.
            _ => {
                refresh.step = Step::Idle;
                if !self.is_due(refresh.began, now) {
                    return None;
                }
                *refresh = Refresh { step: Step::FetchingDocument { since: now }, began: Some(now) };
                self.wanted.store(false, Ordering::Relaxed);
                Arc::clone(&self.url)
            }
        };
        Some(Fetch { issuer: Arc::clone(&self.issuer), url })
    }

    fn is_due(&self, began: Option<SystemTime>, now: SystemTime) -> bool {
        let rested = began.is_none_or(|began| age(began, now) >= REFRESH_INTERVAL);
        let old = self.keys.load().as_ref().is_none_or(|kept| age(kept.since, now) >= REFRESH_AFTER);
        rested && (old || self.wanted.load(Ordering::Relaxed))
    }

    /// Takes in what a fetch brought.
    pub(crate) fn handle(
        &self,
        document: Result<&[u8], FetchError>,
        now: SystemTime,
    ) -> Result<Fetched, FetchProblem> {
        let mut refresh = self.refresh.lock();
        // Whatever goes wrong below, this refresh is over then, and the next begins in its time.
        match std::mem::replace(&mut refresh.step, Step::Idle) {
            Step::FetchingDocument { .. } => {
                let url = self.read_document(document?)?;
                refresh.step = Step::Discovered { url };
                Ok(Fetched::Discovered)
            }
            Step::FetchingKeys { .. } => {
                let keys = KeySet::parse(document?, &self.algorithms)?;
                let count = keys.len();
                self.keys.store(Some(Arc::new(Kept { keys: Arc::new(keys), since: now })));
                Ok(Fetched::Refreshed { keys: count })
            }
            step => {
                refresh.step = step;
                Err(FetchProblem::Unasked)
            }
        }
    }

    /// The address of the key set: on the issuer's host or on one that the operator named, so that a
    /// document alone can not send us elsewhere.
    fn read_document(&self, document: &[u8]) -> Result<Arc<str>, FetchProblem> {
        if document.len() > MAX_DOCUMENT {
            return Err(FetchProblem::Transport(FetchError::TooLong));
        }
        let document =
            parse_object(document).ok_or(FetchProblem::NotDiscovery("it is not a JSON object"))?;
        match document.get("issuer") {
            Some(Value::Text(issuer)) if **issuer == *self.issuer => {}
            _ => return Err(FetchProblem::OtherIssuer),
        }
        let Some(Value::Text(url)) = document.get("jwks_uri") else {
            return Err(FetchProblem::NotDiscovery("it has no `jwks_uri`"));
        };
        let parsed = HttpsUrl::parse(url).map_err(FetchProblem::KeysUrl)?;
        if !self.hosts.iter().any(|host| parsed.is_on(host)) {
            return Err(FetchProblem::KeysUrl(
                "is on another host than the issuer: allow it in `key_hosts`",
            ));
        }
        Ok(url.as_str().into())
    }
}

/// How old something is. In doubt, which is when it lies in the future, infinitely old.
fn age(since: SystemTime, now: SystemTime) -> Duration {
    match now.duration_since(since) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= LEEWAY => Duration::ZERO,
        Err(_) => Duration::MAX,
    }
}

/// Least time between the beginnings of two refreshes of one issuer (threats A84).
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Age at which keys are refreshed: how long a withdrawn key is still accepted.
pub const REFRESH_AFTER: Duration = Duration::from_secs(3_600);

/// Age at which keys are no longer used (fault F13).
pub const KEYS_MAX_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Time after which a fetch counts as lost.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a discovery document or key set. The largest known have 20 KB.
pub const MAX_DOCUMENT: usize = 256 * 1_024;
