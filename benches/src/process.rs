//! What the kernel charged to a process.

use std::{fs, ops::Sub};

/// CPU time of a process, all its threads together, in microseconds. sshd serves each connection with a child.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// The kernel's unit in `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on every Linux that this runs on.
const MICROSECONDS_A_TICK: f64 = 10_000.0;

/// The kernel's unit in `/proc/PID/statm`.
const KIBIBYTES_A_PAGE: f64 = 4.0;

impl Cpu {
    /// So far, with its children that have ended. Zero where there is no such process.
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of the program may hold anything; the fields begin behind its parenthesis.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = |index: usize| {
            fields.split(' ').nth(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0)
        };
        Self {
            user: (ticks(11) + ticks(13)) * MICROSECONDS_A_TICK,
            system: (ticks(12) + ticks(14)) * MICROSECONDS_A_TICK,
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// Resident memory in KiB.
pub(crate) fn resident(pid: u32) -> f64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    pages * KIBIBYTES_A_PAGE
}
