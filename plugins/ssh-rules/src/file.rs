//! What a rule says about files.

use gatewright_policy_sdk::Ssh;
use schemars::JsonSchema;
use serde::Deserialize;

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// A file is read.
    Read,
    /// A file is written.
    Write,
    /// A file is read and written.
    ReadWrite,
    /// The names in a directory are read.
    List,
    /// Attributes are read; tells also whether something is there.
    Stat,
    /// Attributes are changed.
    Setstat,
    /// A file is removed.
    Remove,
    /// Something gets another name.
    Rename,
    /// A directory is made.
    Mkdir,
    /// A directory is removed.
    Rmdir,
    /// A symbolic link is made.
    Symlink,
    /// A file gets one more name.
    Hardlink,
    /// It is read where a symbolic link leads.
    Readlink,
    /// It is asked which path another one is: clients do so when they begin, of the directory that they begin in.
    Realpath,
    /// It is asked about a file system.
    Statvfs,
    /// What is in one open file is written into another.
    Copy,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read-write",
            Self::List => "list",
            Self::Stat => "stat",
            Self::Setstat => "setstat",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Mkdir => "mkdir",
            Self::Rmdir => "rmdir",
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::Readlink => "readlink",
            Self::Realpath => "realpath",
            Self::Statvfs => "statvfs",
            Self::Copy => "copy",
        }
    }
}

/// Which way files are copied by `scp` or `rsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the client.
    Read,
    /// From the client.
    Write,
}

/// An absolute path: `/etc/motd`, `/users/*/notes`, `/srv/**`. `*` is any one part of a path, and `**` at the end any number of them, none too:
/// `/srv/**` is `/srv` and everything below it. Case counts, and every character is itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct FilePattern {
    /// None: any.
    parts: Vec<Option<String>>,
    /// Does it go on with any parts?
    open: bool,
}

impl FilePattern {
    /// Does the path fit? It is canonical, or it fits nothing.
    fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut given = path.split('/').filter(|part| !part.is_empty());
        let fits = |own: &Option<String>| match (own, given.next()) {
            (Some(own), Some(given)) => own == given,
            (own, given) => own.is_none() && given.is_some(),
        };
        self.parts.iter().all(fits) && (self.open || given.next().is_none())
    }

    /// Does it fit this path and everything below it?
    fn covers(&self, path: &str) -> bool {
        self.open && self.matches(path)
    }
}

impl TryFrom<String> for FilePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a pattern of paths: {why}"));
        let Some(rest) = text.strip_prefix('/') else { return wrong("begin it with `/`") };
        let (rest, open) = match rest.strip_suffix("**") {
            Some("") => ("", true),
            Some(before) => match before.strip_suffix('/') {
                Some(before) => (before, true),
                None => return wrong("`**` stands for whole parts, at the end"),
            },
            None => (rest, false),
        };
        let mut parts = Vec::new();
        for part in rest.split('/').filter(|_| !rest.is_empty()) {
            match part {
                "*" => parts.push(None),
                "" | "." | ".." => return wrong("no path that is judged has a part like that"),
                _ if part.contains(['*', '\\', '\0']) => return wrong("`*` stands for a whole part"),
                _ => parts.push(Some(part.to_owned())),
            }
        }
        Ok(Self { parts, open })
    }
}

/// Which files a rule is about.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) operations: Option<Vec<Operation>>,
    pub(crate) transfers: Option<Vec<Direction>>,
    pub(crate) paths: Option<Vec<FilePattern>>,
    pub(crate) replaces: Option<bool>,
}

impl Files {
    /// Does an operation fit? All of its paths have to.
    pub(crate) fn fit(&self, ssh: &Ssh) -> bool {
        let operation = ssh.operation();
        self.operations.as_ref().is_none_or(|own| own.iter().any(|own| own.as_str() == operation))
            && self.replaces.is_none_or(|replaces| replaces == ssh.replaces())
            && self.paths.as_ref().is_none_or(|own| {
                let fits = |path: &str| own.iter().any(|own| own.matches(path));
                fits(&ssh.path()) && ssh.other_path().is_none_or(|path| fits(&path))
            })
    }

    /// Is a command narrowed down by what it copies?
    pub(crate) const fn are_about_commands(&self) -> bool {
        self.transfers.is_some()
    }

    /// Does a command copy what fits? A path of it stands for everything below it.
    pub(crate) fn fit_command(&self, ssh: &Ssh) -> bool {
        let (Some(wanted), Some((direction, paths))) = (&self.transfers, ssh.transfer()) else {
            return false;
        };
        let goes = |own: &Direction| match own {
            Direction::Read => direction == "read",
            Direction::Write => direction == "write",
        };
        let covered =
            |path: &String| self.paths.as_ref().is_none_or(|own| own.iter().any(|own| own.covers(path)));
        wanted.iter().any(goes) && !paths.is_empty() && paths.iter().all(covered)
    }
}
