//! What one policy may use up. Each limit has a name, a unit and a reason.

use std::time::Duration;

/// Bounds on modules and on what they do in one evaluation.
///
/// The defaults are generous for a policy and small for a gateway: a thorough evaluation takes about two
/// microseconds and touches less than 100 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one evaluation may take; then it is stopped and blocks (threats A89). Counted in ticks of
    /// a millisecond.
    pub deadline: Duration,
    /// How long a module may take to describe itself, and an instance to take its settings. Generous: it
    /// happens once, and a busy machine must not refuse a good module.
    pub start: Duration,
    /// Bytes of linear memory of one instance (threats A90, F17).
    pub memory: usize,
    /// Elements of each table of one instance.
    pub table_elements: usize,
    /// Calls from the module to the host in one evaluation.
    pub host_calls: u32,
    /// Bytes of one string that a module passes to the host, before the tighter bound of its field.
    pub string: usize,
    /// Bytes of a module. Compiling takes about a millisecond a kilobyte, so this bounds the cost of a
    /// hostile one (threats A93).
    pub module: usize,
    /// An evaluation of a document's own cases that is never faster than this refuses the document.
    pub latency_budget: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(50),
            start: Duration::from_secs(2),
            memory: 16 << 20,
            table_elements: 20_000,
            host_calls: 20_000,
            string: 64 << 10,
            module: 4 << 20,
            latency_budget: Duration::from_millis(10),
        }
    }
}
