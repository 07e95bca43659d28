//! The set that is active, and its replacement.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_model::decision::SetVersion;
use parking_lot::Mutex;

use crate::set::PolicySet;

/// The set that is active now. Clones share it.
#[derive(Debug, Clone)]
pub struct Policies(Arc<Active>);

#[derive(Debug)]
struct Active {
    set: ArcSwap<PolicySet>,
    /// Held while a set is replaced, so that numbers count up by one. Reading takes no lock.
    swapping: Mutex<()>,
}

impl Policies {
    /// Makes `set` the first active set: number 1.
    pub fn new(mut set: PolicySet) -> Self {
        set.number(1);
        let active = Active { set: ArcSwap::from_pointee(set), swapping: Mutex::new(()) };
        Self(Arc::new(active))
    }

    /// The active set: hold it for one event, from first byte to last (promise P5).
    pub fn current(&self) -> Arc<PolicySet> {
        self.0.set.load_full()
    }

    /// Replaces the active set by `set`, atomically: every event is judged by the one or by the other. Before
    /// that, `record` is given the version that ends and the set that begins, to write the audit record.
    ///
    /// # Errors
    ///
    /// Whatever `record` fails with; the old set stays.
    pub fn swap<E>(
        &self,
        mut set: PolicySet,
        record: impl FnOnce(SetVersion, &PolicySet) -> Result<(), E>,
    ) -> Result<SetVersion, E> {
        let _one_at_a_time = self.0.swapping.lock();
        let old = self.0.set.load().version();
        set.number(old.number.saturating_add(1));
        record(old, &set)?;
        let new = set.version();
        self.0.set.store(Arc::new(set));
        Ok(new)
    }
}
