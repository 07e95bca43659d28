//! What names stand for at the target.
//!
//! What a message gives a name is promised when it is sent, and known once the target has accepted it, unless something may have given the
//! name another meaning meanwhile.

use std::{collections::HashMap, sync::Arc};

use gatewright_model::id::EventId;

#[derive(Debug)]
pub(super) struct Ledger<T> {
    /// Accepted.
    known: HashMap<Arc<str>, T>,
    /// Of what is running.
    promised: Vec<Promise<T>>,
    /// How often a name may have come to mean something else.
    changes: u64,
}

#[derive(Debug)]
struct Promise<T> {
    event: EventId,
    /// [`Ledger::changes`] after it.
    changes: u64,
    entries: Vec<(Arc<str>, T)>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), promised: Vec::new(), changes: 0 }
    }
}

impl<T> Ledger<T> {
    /// What the name stands for, as far as the target has accepted it.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.known.get(name)
    }

    /// The message of this event gives these names, if all of it succeeds.
    pub(super) fn promise(&mut self, event: EventId, entries: Vec<(Arc<str>, T)>) {
        self.promised.push(Promise { event, changes: self.changes, entries });
    }

    /// A message was answered. `ok` says that all of it succeeded. At most `limit` names are known.
    pub(super) fn settle(&mut self, event: EventId, ok: bool, limit: usize) {
        let Some(at) = self.promised.iter().position(|promise| promise.event == event) else { return };
        let promise = self.promised.remove(at);
        if ok && promise.changes == self.changes {
            let room = limit.saturating_sub(self.known.len());
            self.known.extend(promise.entries.into_iter().take(room));
        }
    }

    /// Nothing is running: what was not answered by now never will be.
    pub(super) fn settle_rest(&mut self) {
        self.promised.clear();
    }

    /// The name may stand for something else from now on.
    pub(super) fn forget(&mut self, name: &str) {
        self.changes += 1;
        self.known.remove(name);
    }

    /// Every name may.
    pub(super) fn forget_all(&mut self) {
        self.changes += 1;
        self.known.clear();
    }
}
