//! What a session keeps from one message to the next: prepared texts with what was read from them, and
//! bound values.
//!
//! A charge is held by the thing that it is for. However that thing goes (closed, replaced, freed by SQL,
//! undone, ended with its transaction), its bytes are free again.

use std::{
    mem::size_of,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gatewright_model::sql::{Analysis, Parameter};

/// Bytes that one session keeps.
#[derive(Debug, Default)]
pub(super) struct Budget {
    // Only this session's own steps touch it. It is shared, so that a charge can give itself back.
    kept: Arc<AtomicUsize>,
}

/// Bytes that something takes, for as long as it lives.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    kept: Arc<AtomicUsize>,
}

impl Budget {
    /// Bytes that are taken now.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// Takes `bytes`. Whether there is room is the caller's question.
    pub(super) fn charge(&self, bytes: usize) -> Charge {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
        Charge { bytes, kept: Arc::clone(&self.kept) }
    }
}

impl Charge {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What an entry of a table takes besides its content: its name, its digest, and the counters of what is
/// shared.
const ENTRY: usize = 256;

/// What a value takes besides its bytes.
const VALUE: usize = size_of::<Parameter>() + 2 * size_of::<usize>();

/// At most so many bytes are kept of each byte of a message: the smallest value is sent in 4.
pub(super) const GROWTH: usize = VALUE.div_ceil(4);

/// Bytes that a prepared text takes. An analysis may be shared with other sessions, which may drop it at any
/// time: each pays for the whole.
pub(super) fn of_statement(analysis: &Analysis) -> usize {
    ENTRY + analysis.footprint()
}

/// Bytes that bound values take.
pub(super) fn of_values(values: &[Parameter]) -> usize {
    let bytes = values.iter().map(|value| match value {
        Parameter::Null => 0,
        Parameter::Text(text) => text.len(),
        Parameter::Binary(bytes) => bytes.len(),
    });
    ENTRY + values.len() * VALUE + bytes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_free_again() {
        let budget = Budget::default();
        let (first, second) = (budget.charge(10), budget.charge(5));
        assert_eq!(budget.kept(), 15);
        drop(first);
        assert_eq!((budget.kept(), second.bytes()), (5, 5));
        drop(second);
        assert_eq!(budget.kept(), 0);
    }

    #[test]
    fn no_values_take_more_than_their_message_grows_to() {
        for values in [vec![Parameter::Null; 1_000], vec![Parameter::Text("".into()); 1_000]] {
            assert!(of_values(&values) <= ENTRY + 4 * values.len() * GROWTH);
        }
        assert!(of_values(&[Parameter::Text("x".repeat(1_000).into())]) >= 1_000);
    }
}
