//! What the kernel charged to a process.

use std::{
    collections::HashMap,
    fs,
    ops::Sub,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

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

/// Looks at a process and those that it started, until it is told to stop: sshd serves each connection with processes whose time nobody is
/// charged for when they end.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    looking: JoinHandle<Cpu>,
}

/// How often it looks. What a process does in its last moment is not seen.
const LOOK: Duration = Duration::from_millis(20);

impl Watch {
    pub(crate) fn start(pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let looking = thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || look(pid, &is_over)
        });
        Self { is_over, looking }
    }

    /// What was spent since the start.
    pub(crate) fn end(self) -> Cpu {
        self.is_over.store(true, Ordering::Relaxed);
        self.looking.join().unwrap_or_default()
    }
}

fn look(root: u32, is_over: &AtomicBool) -> Cpu {
    let before = Cpu::of(root);
    let mut seen: HashMap<u32, Cpu> = HashMap::new();
    loop {
        let last = is_over.load(Ordering::Relaxed);
        let mut left = vec![root];
        while let Some(pid) = left.pop() {
            seen.insert(pid, Cpu::of(pid));
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            left.extend(
                children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        if last {
            break;
        }
        thread::sleep(LOOK);
    }
    let own = seen.remove(&root).unwrap_or_default() - before;
    let all = seen
        .values()
        .fold(own, |sum, cpu| Cpu { user: sum.user + cpu.user, system: sum.system + cpu.system });
    // Those that it has waited for are in its own time already.
    if own.total() > all.total() / 2.0 { own } else { all }
}

/// The most memory that was resident, in KiB, since the process was started or [`forget_peak`] was called.
pub(crate) fn peak(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// From now on the kernel looks for the peak anew, where it lets us ask for that.
pub(crate) fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// How many of something a process has: `fd`, `task`.
pub(crate) fn count(pid: u32, what: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count)
}

/// Resident memory in KiB.
pub(crate) fn resident(pid: u32) -> f64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    pages * KIBIBYTES_A_PAGE
}
