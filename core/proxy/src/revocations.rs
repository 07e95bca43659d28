//! What operators take back: kept in the state folder, asked at every login, and applied to open sessions.
//!
//! The order of a revocation is: on record, in effect, on disk. A list that can not be written is in effect
//! nevertheless, and the operator is told that the next start will not know of it. The order of lifting one is:
//! on record, on disk, in effect.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_evidence::{AppendError, Log};
use gatewright_identity::{
    ListError, MAX_REVOCATIONS, Revocation, RevocationScope, Verifier, encode_revocations,
    parse_revocations,
};
use gatewright_model::{
    audit::{Record, RevokedScope},
    principal::Principal,
};
use parking_lot::Mutex;

use crate::sessions::{End, Sessions};

/// The revocations of one gateway.
#[derive(Debug)]
pub struct Revocations {
    path: PathBuf,
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
    log: Log,
    /// Held while the list changes: a change is made of the list that it changes.
    changing: Mutex<()>,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its name.
    pub id: Arc<str>,
    /// Sessions that it ended.
    pub ended: usize,
    /// Will it outlive a restart?
    pub kept: bool,
}

impl Revocations {
    /// Reads the list, and has the verifier know it.
    ///
    /// # Errors
    ///
    /// It is there and can not be used: nobody could say who is to be kept out.
    pub fn open(
        state: &Path,
        verifier: Arc<Verifier>,
        sessions: Arc<Sessions>,
        log: Log,
    ) -> Result<Self, RevocationsError> {
        verifier.set_revocations(load(state)?);
        Ok(Self { path: path(state), verifier, sessions, log, changing: Mutex::new(()) })
    }

    /// What is revoked, in the order in which it was.
    pub fn list(&self) -> Arc<Vec<Revocation>> {
        self.verifier.revocations()
    }

    /// Takes something back. Blocks until it is on record and, if that is possible, on disk.
    ///
    /// # Errors
    ///
    /// It was not revoked.
    pub fn add(
        &self,
        scope: RevocationScope,
        operator: &Principal,
        reason: &str,
        now: SystemTime,
    ) -> Result<Added, ChangeError> {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list());
        if list.len() >= MAX_REVOCATIONS {
            return Err(ChangeError::Full);
        }
        let id = new_id()?;
        self.record(&Record::RevocationAdded {
            revocation: &id,
            operator: &operator.subject,
            issuer: &operator.issuer,
            scope: recorded(&scope),
            reason,
        })?;
        let by = Arc::clone(&operator.subject);
        let added = Revocation { id: Arc::clone(&id), scope, since: now, by, reason: reason.into() };
        list.push(added.clone());
        // First the door, then the rooms: whoever enters meanwhile asks the list after having entered.
        self.verifier.set_revocations(list.clone());
        let ended = self.sessions.end(End::Revoked, |session| added.scope.covers(&session.principal));
        let kept = self.save(&list);
        Ok(Added { id, ended, kept })
    }

    /// Gives something back. `false`: there is no such revocation.
    ///
    /// # Errors
    ///
    /// It is still revoked.
    pub fn lift(&self, id: &str, operator: &Principal, reason: &str) -> Result<bool, ChangeError> {
        let _changing = self.changing.lock();
        let mut list = Vec::clone(&self.list());
        let Some(position) = list.iter().position(|revocation| *revocation.id == *id) else {
            return Ok(false);
        };
        let lifted = list.remove(position);
        self.record(&Record::RevocationLifted {
            revocation: &lifted.id,
            operator: &operator.subject,
            issuer: &operator.issuer,
            reason,
        })?;
        if !self.save(&list) {
            return Err(ChangeError::Unsaved);
        }
        self.verifier.set_revocations(list);
        Ok(true)
    }

    fn record(&self, record: &Record<'_>) -> Result<(), ChangeError> {
        self.log.append(SystemTime::now(), record)?;
        self.log.sync()?;
        Ok(())
    }

    fn save(&self, list: &[Revocation]) -> bool {
        match replace(&self.path, encode_revocations(list).as_bytes()) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the list of revocations can not be written");
                false
            }
        }
    }
}

/// Reads the list of a state folder. One that was never written is empty.
///
/// # Errors
///
/// It can not be read, or is not as it was written.
pub fn load(state: &Path) -> Result<Vec<Revocation>, RevocationsError> {
    let path = path(state);
    match fs::read(&path) {
        Ok(file) => parse_revocations(&file).map_err(|problem| RevocationsError::List { path, problem }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(RevocationsError::Read { path, source }),
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("revocations")
}

/// Whoever reads it, after a crash too, finds the old list or the new one.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

fn recorded(scope: &RevocationScope) -> RevokedScope<'_> {
    RevokedScope {
        credential: scope.credential.as_deref(),
        subject: scope.subject.as_deref(),
        issuer: scope.issuer.as_deref(),
        issued_before: scope.issued_before.map(seconds),
    }
}

/// Seconds since 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The time before which everything was issued that was issued until `now`: tokens carry whole seconds.
pub fn until(now: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds(now) + 1)
}

fn new_id() -> Result<Arc<str>, ChangeError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| ChangeError::Random)?;
    Ok(hex::encode(random).into())
}

/// The list of revocations can not be used.
#[derive(Debug, thiserror::Error)]
pub enum RevocationsError {
    /// It can not be read.
    #[error("the list of revocations `{}` can not be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not as it was written.
    #[error(
        "the list of revocations `{}` can not be used: {problem}; put it back from a backup, or remove it and \
         revoke again what the evidence names as `revocation_added`",
        path.display()
    )]
    List {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ListError,
    },
}

/// Why the list was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] AppendError),
    /// It could not be written, and what would be lifted stays revoked.
    #[error("the list of revocations can not be written")]
    Unsaved,
    /// There are too many.
    #[error("there are {MAX_REVOCATIONS} revocations already")]
    Full,
    /// No random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}
