//! Gives back to the system what sessions had that are idle now.
//!
//! The allocator keeps a page that is free for a second, and looks for those whose second is over when another page becomes free. Where
//! all are idle none does, and what the last ones had stays: half of what two thousand idle sessions take.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use tokio::time::sleep;

/// For the whole process, as the allocator is.
static ROUNDS: Rounds = Rounds::new();

/// Longer than the allocator keeps a free page (`mi_option_purge_delay`).
const AFTER: Duration = Duration::from_secs(2);

/// Larger than anything that shares a page, in bytes: it becomes free with its block. Nothing is written to it.
const PAGE: usize = 4 << 20;

/// What was freed just now leaves the process soon. To be called on a runtime.
pub(crate) fn soon() {
    if ROUNDS.ask() {
        tokio::spawn(async {
            loop {
                ROUNDS.begin();
                sleep(AFTER).await;
                drop(black_box(Vec::<u8>::with_capacity(PAGE)));
                if ROUNDS.is_last() {
                    break;
                }
            }
        });
    }
}

/// When to look: a whole round after whoever asked last, however many ask, in one task that ends when none has asked.
struct Rounds(AtomicU8);

impl Rounds {
    /// No round is on.
    const NONE: u8 = 0;
    /// One is on, and nobody has asked since it began.
    const ON: u8 = 1;
    /// One is on, and what was freed since it began may be too young at its end.
    const ANOTHER: u8 = 2;

    const fn new() -> Self {
        Self(AtomicU8::new(Self::NONE))
    }

    /// Whether the one who asks has to begin a round.
    fn ask(&self) -> bool {
        self.0.swap(Self::ANOTHER, Ordering::Relaxed) == Self::NONE
    }

    fn begin(&self) {
        self.0.store(Self::ON, Ordering::Relaxed);
    }

    /// At the end of a round: nobody asked for another. Then none is on.
    fn is_last(&self) -> bool {
        self.0.compare_exchange(Self::ON, Self::NONE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Rounds;

    #[test]
    fn one_task_looks_after_all() {
        let rounds = Rounds::new();
        assert!(rounds.ask());
        assert!(!rounds.ask(), "before its round began");
        rounds.begin();
        assert!(rounds.is_last());
        assert!(rounds.ask(), "the task has ended: the next one begins another");
    }

    #[test]
    fn who_asks_within_a_round_gets_a_whole_one() {
        let rounds = Rounds::new();
        assert!(rounds.ask());
        rounds.begin();
        assert!(!rounds.ask());
        assert!(!rounds.is_last(), "what was freed at its end would stay for good");
        rounds.begin();
        assert!(rounds.is_last());
    }
}
