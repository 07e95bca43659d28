//! Cancel keys of our own.
//!
//! A client gets 64 random bits from the gateway and never the target's key. A cancel request that
//! carries them is sent on with the target's key only while the session that owns them has a request
//! running, so that a late one can not hit the next (threats A8).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
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
    pub key: u32,
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
        let slot = Arc::new(Slot { target, running: AtomicBool::new(false) });
        self.slots.lock().insert(own, Arc::clone(&slot));
        Registration { keys: self.clone(), own, slot }
    }

    /// The target's key, if `own` is a session's key and that session has a request running.
    pub fn target_of_running(&self, own: OwnKey) -> Option<TargetKey> {
        let slot = self.slots.lock().get(&own).cloned()?;
        slot.running.load(Ordering::Acquire).then(|| slot.target.clone())
    }
}

impl Registration {
    /// Says whether a request is running at the target.
    pub fn set_running(&self, running: bool) {
        self.slot.running.store(running, Ordering::Release);
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
        let own = OwnKey { process: 7, key: 9 };
        let target = TargetKey { process: 100, key: Bytes::from_static(&[0, 0, 0, 1]) };
        let registration = keys.register(own, target.clone());
        assert_eq!(keys.target_of_running(own), None, "nothing runs");
        registration.set_running(true);
        assert_eq!(keys.target_of_running(own), Some(target));
        assert_eq!(keys.target_of_running(OwnKey { process: 7, key: 8 }), None, "a guess");
        drop(registration);
        assert_eq!(keys.target_of_running(own), None, "the session is over");
    }
}
