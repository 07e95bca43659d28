//! PostgreSQL refuses to run as root, and CI often is: then it runs as a user of its own.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use crate::error::{Error, Result, about};

/// The user that servers run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Whoever we are.
    Same,
    /// Another, because we are root.
    Other {
        /// Its number.
        uid: u32,
        /// Its group's number.
        gid: u32,
    },
}

impl User {
    /// Picks a user that PostgreSQL accepts.
    ///
    /// # Errors
    /// Where we are root and there is nobody else to be.
    pub fn unprivileged() -> Result<Self> {
        if about(fs::metadata("/proc/self"), "reading", "/proc/self")?.uid() != 0 {
            return Ok(Self::Same);
        }
        let passwd = about(fs::read_to_string("/etc/passwd"), "reading", "/etc/passwd")?;
        ["postgres", "nobody"].iter().find_map(|name| find(&passwd, name)).ok_or_else(|| {
            Error::new("PostgreSQL does not run as root, and there is no user postgres or nobody")
                .remedy("install PostgreSQL with `cargo xtask setup`")
        })
    }

    /// A command that runs as this user, in place: its process id is the program's.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        match self {
            Self::Same => Command::new(program.as_ref()),
            Self::Other { uid, gid } => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
                command.arg("--clear-groups").arg("--").arg(program.as_ref());
                command
            }
        }
    }

    /// Gives it a file or directory.
    ///
    /// # Errors
    /// Where it is not ours to give.
    pub fn own(self, path: &Path) -> Result<()> {
        match self {
            Self::Same => Ok(()),
            Self::Other { uid, gid } => {
                about(std::os::unix::fs::chown(path, Some(uid), Some(gid)), "changing the owner of", path)
            }
        }
    }
}

fn find(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_user_by_its_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/x\npostgres:x:112:121:,,,:/var:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some(User::Other { uid: 112, gid: 121 }));
        assert_eq!(find(passwd, "nobody"), None);
    }
}
