//! Cancel keys of our own.
//!
//! A client gets random bits from the gateway and never the target's key: 64 of them in protocol 3.0, process id
//! included, and 256 in 3.2, where the process id can therefore be the target's own. A cancel request that
//! carries them is sent on with the target's key only while the session that owns them has a request
//! running, so that a late one can not hit the next (threats A8). A request that waits for a reviewer runs
//! nowhere: cancelling it withdraws what the reviewer was asked. One that is still being judged is marked,
//! and ends when its verdict is there.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
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
    // `RUNNING`, `JUDGED` and `CANCELLED`, as far as they are so.
    doing: AtomicU8,
    // Touched when a request begins or ends to wait for a reviewer, and by cancel requests.
    held: Mutex<Option<ApprovalId>>,
}

/// A request is running at the target.
const RUNNING: u8 = 1;
/// A request is being judged, or made ready to be sent.
const JUDGED: u8 = 2;
/// The one that is being judged was cancelled.
const CANCELLED: u8 = 4;

/// What a cancel request reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// A request that was being judged, and will not run.
    pub judged: bool,
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
        let slot = Arc::new(Slot { target, doing: AtomicU8::new(0), held: Mutex::default() });
        self.slots.lock().insert(own, Arc::clone(&slot));
        Registration { keys: self.clone(), own, slot }
    }

    /// Cancels what the session with the key `own` has going on, as far as that is done here. Nothing, if there
    /// is no such session.
    pub fn cancel(&self, own: OwnKey) -> Cancelled {
        let Some(slot) = self.slots.lock().get(&own).cloned() else { return Cancelled::default() };
        // Behind what runs at the target, another one may be judged already: a server cancels the first.
        let mark = |doing: u8| (doing & (RUNNING | JUDGED) == JUDGED).then_some(doing | CANCELLED);
        let marked = slot.doing.fetch_update(Ordering::AcqRel, Ordering::Acquire, mark);
        let (Ok(doing) | Err(doing)) = marked;
        Cancelled {
            judged: marked.is_ok(),
            // Read after that: whoever begins to wait says so before it is no longer being judged.
            held: slot.held.lock().clone(),
            target: (doing & RUNNING != 0).then(|| slot.target.clone()),
        }
    }
}

impl Registration {
    /// Says what the session has going on. What was cancelled while it was being judged is over with that.
    pub fn set_doing(&self, running: bool, judged: bool) {
        let bits = if running { RUNNING } else { 0 } | if judged { JUDGED } else { 0 };
        let keep = |doing: u8| Some(bits | if judged { doing & CANCELLED } else { 0 });
        let _ = self.slot.doing.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep);
    }

    /// Another request is judged from now on: what was cancelled before was not this one.
    pub fn begin_judging(&self) {
        self.slot.doing.fetch_and(!CANCELLED, Ordering::AcqRel);
    }

    /// Was the request cancelled that is being judged?
    pub fn is_cancelled(&self) -> bool {
        self.slot.doing.load(Ordering::Acquire) & CANCELLED != 0
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
        assert_eq!(keys.cancel(own), Cancelled::default(), "nothing runs");
        registration.set_doing(true, false);
        let running = Cancelled { target: Some(target), ..Cancelled::default() };
        assert_eq!(keys.cancel(own), running);
        registration.set_doing(true, true);
        assert_eq!(keys.cancel(own), running, "what waits behind it goes on");
        assert!(!registration.is_cancelled());
        assert_eq!(
            keys.cancel(OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 8]) }),
            Cancelled::default(),
            "a guess"
        );
        drop(registration);
        assert_eq!(keys.cancel(own), Cancelled::default(), "the session is over");
    }

    #[test]
    fn a008_what_is_being_judged_is_cancelled_and_nothing_later() {
        let keys = CancelKeys::default();
        let own = OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 9]) };
        let registration = keys.register(own, TargetKey { process: 100, key: Bytes::from_static(&[1]) });
        registration.set_doing(false, true);
        assert!(!registration.is_cancelled());
        assert_eq!(keys.cancel(own), Cancelled { judged: true, ..Cancelled::default() });
        assert!(registration.is_cancelled());
        registration.set_doing(true, true);
        assert!(registration.is_cancelled(), "it is judged still");
        registration.begin_judging();
        assert!(!registration.is_cancelled(), "another one is judged");
        registration.set_doing(false, true);
        assert_eq!(keys.cancel(own), Cancelled { judged: true, ..Cancelled::default() });
        registration.set_doing(true, false);
        registration.set_doing(false, true);
        assert!(!registration.is_cancelled(), "this is the next one");
    }

    #[test]
    fn a008_a_key_withdraws_what_its_owner_waits_for_and_nothing_later() {
        let keys = CancelKeys::default();
        let own = OwnKey { process: 7, key: CancelSecret::Short([0, 0, 0, 9]) };
        let target = TargetKey { process: 100, key: Bytes::from_static(&[0, 0, 0, 1]) };
        let registration = keys.register(own, target);
        let approval = ApprovalId::from_random([3; 10]);
        registration.set_held(Some(approval.clone()));
        assert_eq!(keys.cancel(own), Cancelled { held: Some(approval), ..Cancelled::default() });
        assert_eq!(
            keys.cancel(OwnKey { process: 8, key: CancelSecret::Short([0, 0, 0, 9]) }),
            Cancelled::default(),
            "a guess"
        );
        registration.set_held(None);
        assert_eq!(keys.cancel(own), Cancelled::default(), "it was settled");
    }
}
