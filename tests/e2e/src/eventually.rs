//! Waiting for what has to happen, and not for ever.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long something that has to happen may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `holds` says so.
///
/// # Panics
/// Where it never does; with `what`.
#[track_caller]
#[expect(clippy::panic, reason = "this is an assertion")]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            panic!("waited {PATIENCE:?} in vain: {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
