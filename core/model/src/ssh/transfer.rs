//! A command that copies files between the client and the target.

use std::sync::Arc;

use super::file::shown;

/// What the target's end of a program copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// `scp` or `rsync`.
    pub program: &'static str,
    /// Which way.
    pub direction: Direction,
    /// What is copied, or where to, without `.`, `..` and what a shell expands; relative ones begin in the account's home. Each stands for
    /// everything below it as well. Nobody has resolved the links in them.
    pub paths: Vec<Arc<str>>,
}

/// Which way files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the target to the client.
    Read,
    /// From the client to the target.
    Write,
}

impl Direction {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Transfer {
    /// In one line.
    pub(super) fn summary(&self) -> String {
        let mut line = format!("exec {} {}", self.program, self.direction.as_str());
        for path in &self.paths {
            line.push(' ');
            line.push_str(&shown(path));
        }
        line
    }
}
