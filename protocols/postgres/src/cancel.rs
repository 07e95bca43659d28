//! Cancel keys of our own.
//!
//! A client gets random bits from the gateway and never the target's key: 64 of them in protocol 3.0, process id
//! included, and 256 in 3.2, where the process id can therefore be the target's own. A cancel request that
//! carries them is sent on with the target's key only while the session that owns them has a request
//! running, so that a late one can not hit the next (threats A8). A request that waits for a reviewer runs
//! nowhere: cancelling it withdraws what the reviewer was asked.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use gatewright_model::id::ApprovalId;
use parking_lot::Mutex;

/// All keys of one listener.
#[derive(Debug, Clone, Default)]
pub struct CancelKeys {
    // Touched when a session begins, ends or is cancelled: never by a statement.
    slots: Arc<Mutex<HashMap<OwnKey, Arc<Slot>>>>,
}

/// The key that a client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnKey {
    /// Sent as the process id.
    pub process: u32,
    /// Sent as the secret key.
    pub key: CancelSecret,
}

/// The secret part of a client's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelSecret {
    /// That of protocol 3.0.
    Short([u8; 4]),
    /// That of protocol 3.2, as long as PostgreSQL makes it.
    Long([u8; 32]),
}

impl CancelSecret {
    /// The secret of a cancel request. None, if it has no length that is ever given out.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let short = bytes.try_into().map(Self::Short);
        short.or_else(|_| bytes.try_into().map(Self::Long)).ok()
    }

    /// Its bytes, as a client gets them.
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
        }
    }
}

/// The key that the target gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetKey {
    /// Process id at the target.
    pub process: u32,
    /// Secret key at the target: 4 bytes in protocol 3.0.
    pub key: Bytes,
}

#[derive(Debug)]
struct Slot {
    target: TargetKey,
    running: AtomicBool,
    // Touched when a request begins or ends to wait for a reviewer, and by cancel requests.
    held: Mutex<Option<ApprovalId>>,
}

/// What a cancel request reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// What a reviewer was asked on behalf of the session.
    pub held: Option<ApprovalId>,
    /// The session at the target, if it runs something there.
    pub target: Option<TargetKey>,
}

/// A session's entry. Dropping it makes the key worthless.
#[derive(Debug)]
pub struct Registration {
    keys: CancelKeys,
    own: OwnKey,
    slot: Arc<Slot>,
}

impl CancelKeys {
    /// Registers a session under random bits that the caller drew.
    pub fn register(&self, own: OwnKey, target: TargetKey) -> Registration {
        let slot = Arc::new(Slot { target, running: AtomicBool::new(false), held: Mutex::default() });
        self.slots.lock().insert(own, Arc::clone(&slot));
        Registration { keys: self.clone(), own, slot }
    }

    /// What the session with the key `own` has running, or waiting for a reviewer. Nothing, if there is no
    /// such session.
    pub fn find(&self, own: OwnKey) -> Cancelled {
        let Some(slot) = self.slots.lock().get(&own).cloned() else { return Cancelled::default() };
        let running = slot.running.load(Ordering::Acquire);
        Cancelled { held: slot.held.lock().clone(), target: running.then(|| slot.target.clone()) }
    }
}

impl Registration {
    /// Says whether a request is running at the target.
    pub fn set_running(&self, running: bool) {
        self.slot.running.store(running, Ordering::Release);
    }

    /// Says which approval the session's request waits for, if it waits for one.
    pub fn set_held(&self, approval: Option<ApprovalId>) {
        *self.slot.held.lock() = approval;
    }

    /// The session's key at the target.
    pub fn target(&self) -> &TargetKey {
        &self.slot.target
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.keys.slots.lock().remove(&self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a008_a_key_works_while_its_owner_runs_and_never_after() {
        let keys = CancelKeys::default();
        let own = OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 9]) };
        let target = TargetKey { process: 100, key: Bytes::from_static(&[0, 0, 0, 1]) };
        let registration = keys.register(own, target.clone());
        assert_eq!(keys.find(own), Cancelled::default(), "nothing runs");
        registration.set_running(true);
        assert_eq!(keys.find(own), Cancelled { held: None, target: Some(target) });
        assert_eq!(
            keys.find(OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 8]) }),
            Cancelled::default(),
            "a guess"
        );
        drop(registration);
        assert_eq!(keys.find(own), Cancelled::default(), "the session is over");
    }

    #[test]
    fn a008_a_key_withdraws_what_its_owner_waits_for_and_nothing_later() {
        let keys = CancelKeys::default();
        let own = OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 9]) };
        let target = TargetKey { process: 100, key: Bytes::from_static(&[0, 0, 0, 1]) };
        let registration = keys.register(own, target);
        let approval = ApprovalId::from_random([3; 10]);
        registration.set_held(Some(approval.clone()));
        assert_eq!(keys.find(own), Cancelled { held: Some(approval), target: None });
        assert_eq!(
            keys.find(OwnKey { process: 8, key: CancelSecret::Short([0, 0, 0, 9]) }),
            Cancelled::default(),
            "a guess"
        );
        registration.set_held(None);
        assert_eq!(keys.find(own), Cancelled::default(), "it was settled");
    }
}
