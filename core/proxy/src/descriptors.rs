//! File descriptors: clients get some of them, and the rest is kept.
//!
//! What must go on whatever clients do needs some too: the log begins a new file, an operator asks who is there, policies and
//! certificates are read again. So clients and connections to targets are turned away before the last ones are gone (fault F23).
//!
//! The kernel gives the lowest number that is free: a number says that at least so many are taken. Nothing has to be counted.

use std::{fs, os::fd::AsRawFd, sync::LazyLock};

/// How many this process may have. It is not changed while the process lives.
static LIMIT: LazyLock<usize> =
    LazyLock::new(|| read(&fs::read_to_string("/proc/self/limits").unwrap_or_default()));

/// How many are kept, where there are enough of them.
const KEPT: usize = 64;

/// Is this one of those that are kept, and not for a client or target?
pub(crate) fn is_kept(socket: &impl AsRawFd) -> bool {
    usize::try_from(socket.as_raw_fd()).is_ok_and(|number| number >= for_peers(*LIMIT))
}

/// How many clients can be served, if each takes so many.
pub(crate) fn clients(each: usize) -> usize {
    // The process itself has some.
    for_peers(*LIMIT).saturating_sub(kept(*LIMIT)) / each.max(1)
}

const fn for_peers(limit: usize) -> usize {
    limit - kept(limit)
}

const fn kept(limit: usize) -> usize {
    if limit / 4 < KEPT { limit / 4 } else { KEPT }
}

/// Reads the soft limit from what Linux writes about it; anything else is no limit.
fn read(limits: &str) -> usize {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             100                  200                  processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(read(limits), 1024);
        assert_eq!(
            read("Max open files            unlimited            unlimited            files"),
            usize::MAX
        );
        assert_eq!(read(""), usize::MAX);
        assert!((3..usize::MAX).contains(&*LIMIT), "this system says it");
    }

    #[test]
    fn f023_some_are_kept_however_few_there_are() {
        for (limit, clients) in [(0, 0), (8, 6), (256, 192), (1024, 960), (usize::MAX, usize::MAX - KEPT)] {
            assert_eq!(for_peers(limit), clients, "{limit}");
        }
    }
}
