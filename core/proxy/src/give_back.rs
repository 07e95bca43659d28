//! Gives back to the system what sessions had that are idle now.
//!
//! The allocator keeps a page that is free for a second, and looks for those whose second is over when another page becomes free. Where
//! all are idle none does, and what the last ones had stays: half of what two thousand idle sessions take.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::sleep;

/// Somebody sees to it already.
static IS_DUE: AtomicBool = AtomicBool::new(false);

/// Longer than the allocator keeps a free page (`mi_option_purge_delay`).
const AFTER: Duration = Duration::from_secs(2);

/// Larger than anything that shares a page, in bytes: it becomes free with its block. Nothing is written to it.
const PAGE: usize = 4 << 20;

/// What was freed just now leaves the process soon. To be called on a runtime.
pub(crate) fn soon() {
    if !IS_DUE.swap(true, Ordering::Relaxed) {
        tokio::spawn(async {
            sleep(AFTER).await;
            IS_DUE.store(false, Ordering::Relaxed);
            drop(black_box(Vec::<u8>::with_capacity(PAGE)));
        });
    }
}
