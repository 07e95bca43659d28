//! Does a folder survive a restart of the machine? (threats F40)

use std::{fs, path::Path};

/// Is the folder, or the nearest one above it that exists, in memory?
///
/// False where that can not be found out: this is advice, and no decision depends on it.
pub(super) fn is_volatile(path: &Path) -> bool {
    let existing = path.ancestors().find_map(|ancestor| {
        // `""` is what is above a relative name.
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        ancestor.canonicalize().ok()
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    match (existing, mounts) {
        (Some(path), Ok(mounts)) => is_volatile_in(&mounts, &path),
        _ => false,
    }
}

/// `36 35 98:0 / /mount/point rw,noatime master:1 - ext3 /dev/root rw` (proc_pid_mountinfo(5)); of several
/// at one place the last is on top.
fn is_volatile_in(mounts: &str, path: &Path) -> bool {
    let mounted = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        let kind = after.split(' ').next()?;
        path.starts_with(&point).then_some((point.len(), kind))
    });
    let nearest = mounted.fold((0, ""), |best, next| if next.0 >= best.0 { next } else { best });
    matches!(nearest.1, "tmpfs" | "ramfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /run rw shared:2 - tmpfs tmpfs rw
24 23 8:2 / /run/with\\040space rw - xfs /dev/sdb rw
";

    #[test]
    fn f040_memory_is_told_from_disk() {
        let volatile = |path| is_volatile_in(MOUNTS, Path::new(path));
        assert!(volatile("/run/evidence"));
        assert!(!volatile("/var/evidence"));
        assert!(!volatile("/running"));
        assert!(!volatile("/run/with space/evidence"));
    }
}
