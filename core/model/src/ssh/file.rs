//! What a client does with files on the target, in the words of SFTP.

use std::{fmt::Write as _, sync::Arc};

use crate::hidden::is_hidden;

/// One operation on a path, or on two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOperation {
    /// What is done.
    pub verb: FileVerb,
    /// With what: an absolute path without links, `.` and `..`, as the target resolved it. It is what the target is told to use.
    pub path: Arc<str>,
    /// Of a rename and of a hard link the new name, of a symbolic link what it leads to, of a copy where to. Otherwise none.
    pub other_path: Option<Arc<str>>,
    /// What else is said of it.
    pub manner: FileManner,
    /// What becomes of the attributes of a file.
    pub attributes: FileAttributes,
}

/// Kinds of operations: the one list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileVerb {
    /// A file is opened for reading, and read.
    Read,
    /// A file is opened for writing, and written.
    Write,
    /// A file is opened for both; also one for reading that is made, or emptied, with that.
    ReadWrite,
    /// The names in a directory are read.
    List,
    /// The attributes of a file are read. Tells also whether it is there.
    Stat,
    /// The attributes of a file are changed.
    SetStat,
    /// A file is removed.
    Remove,
    /// A file or a directory gets another name.
    Rename,
    /// A directory is made.
    MakeDirectory,
    /// A directory is removed.
    RemoveDirectory,
    /// A symbolic link is made.
    SymbolicLink,
    /// A file gets one more name.
    HardLink,
    /// It is read where a symbolic link leads.
    ReadLink,
    /// It is asked which path another one is. Tells also where links lead, and what is there.
    RealPath,
    /// It is asked about the file system that a file is on.
    StatFileSystem,
    /// What is in one open file is written into another.
    Copy,
}

/// How an operation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileManner {
    /// A file that is not there is made.
    pub creates: bool,
    /// What was there before is gone: a file is emptied or cut, or a new name is another file's.
    pub replaces: bool,
    /// It is written behind what is there.
    pub appends: bool,
    /// Only where there is none.
    pub exclusive: bool,
    /// Of a symbolic link it is the link itself that is meant.
    pub of_link: bool,
}

/// Attributes that a file is to have. None: as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileAttributes {
    /// Its length, in bytes.
    pub size: Option<u64>,
    /// The numbers of its owner and its group.
    pub owner: Option<(u32, u32)>,
    /// Its mode, as POSIX has it.
    pub permissions: Option<u32>,
    /// When it was used and changed last, in seconds since 1970.
    pub times: Option<(u32, u32)>,
}

impl FileVerb {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Read,
        Self::Write,
        Self::ReadWrite,
        Self::List,
        Self::Stat,
        Self::SetStat,
        Self::Remove,
        Self::Rename,
        Self::MakeDirectory,
        Self::RemoveDirectory,
        Self::SymbolicLink,
        Self::HardLink,
        Self::ReadLink,
        Self::RealPath,
        Self::StatFileSystem,
        Self::Copy,
    ];

    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read-write",
            Self::List => "list",
            Self::Stat => "stat",
            Self::SetStat => "setstat",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::MakeDirectory => "mkdir",
            Self::RemoveDirectory => "rmdir",
            Self::SymbolicLink => "symlink",
            Self::HardLink => "hardlink",
            Self::ReadLink => "readlink",
            Self::RealPath => "realpath",
            Self::StatFileSystem => "statvfs",
            Self::Copy => "copy",
        }
    }

    /// Does it change nothing?
    pub const fn only_looks(self) -> bool {
        matches!(
            self,
            Self::Read | Self::List | Self::Stat | Self::ReadLink | Self::RealPath | Self::StatFileSystem
        )
    }

    /// Is there a second path?
    pub const fn has_two_paths(self) -> bool {
        matches!(self, Self::Rename | Self::SymbolicLink | Self::HardLink | Self::Copy)
    }
}

impl FileOperation {
    /// An operation on one path of which nothing else is said.
    pub fn new(verb: FileVerb, path: Arc<str>) -> Self {
        let (manner, attributes) = (FileManner::default(), FileAttributes::default());
        Self { verb, path, other_path: None, manner, attributes }
    }

    /// In one line. Paths are what a record of it is for.
    pub fn summary(&self) -> String {
        let mut line = format!("file {} {}", self.verb.as_str(), shown(&self.path));
        if let Some(other) = &self.other_path {
            line.push_str(" to ");
            line.push_str(&shown(other));
        }
        line
    }

    /// The same with everything else that is said, each in a line of its own.
    pub fn full_text(&self) -> String {
        let mut text = self.summary();
        let FileManner { creates, replaces, appends, exclusive, of_link } = self.manner;
        for (is_so, words) in [
            (creates, "a file that is not there is made"),
            (exclusive, "only where there is none"),
            (replaces, "what was there before is lost"),
            (appends, "behind what is there"),
            (of_link, "of a symbolic link, the link itself"),
        ] {
            if is_so {
                text.push('\n');
                text.push_str(words);
            }
        }
        let FileAttributes { size, owner, permissions, times } = self.attributes;
        // Writing to a string does not fail.
        let _ = size.map_or(Ok(()), |size| write!(text, "\nsize {size}"));
        let _ = owner.map_or(Ok(()), |(user, group)| write!(text, "\nowner {user}, group {group}"));
        let _ = permissions.map_or(Ok(()), |mode| write!(text, "\npermissions {mode:04o}"));
        let _ =
            times.map_or(Ok(()), |(used, changed)| write!(text, "\nused at {used}, changed at {changed}"));
        text
    }
}

/// A path in a line of text: in quotes where a reader could take it for something else.
pub(super) fn shown(path: &str) -> String {
    let is_plain = |character: char| {
        !character.is_whitespace() && !matches!(character, '"' | '\\') && !is_hidden(character)
    };
    if path.chars().all(is_plain) {
        return path.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for character in path.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            hidden if is_hidden(hidden) => quoted.extend(hidden.escape_unicode()),
            seen => quoted.push(seen),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_what_it_is() {
        for (path, expected) in [
            ("/srv/a", "/srv/a"),
            ("/srv/a b", "\"/srv/a b\""),
            ("/srv/a\nfile remove /etc", "\"/srv/a\\u{a}file remove /etc\""),
            ("/srv/\u{202e}x", "\"/srv/\\u{202e}x\""),
            ("/srv/a\"", "\"/srv/a\\\"\""),
        ] {
            assert_eq!(shown(path), expected);
        }
    }

    #[test]
    fn a_reviewer_sees_everything_that_is_said() {
        let operation = FileOperation {
            other_path: Some("/srv/b c".into()),
            manner: FileManner {
                creates: true,
                replaces: true,
                appends: true,
                exclusive: true,
                of_link: true,
            },
            attributes: FileAttributes {
                size: Some(0),
                owner: Some((1, 2)),
                permissions: Some(0o4755),
                times: Some((3, 4)),
            },
            ..FileOperation::new(FileVerb::Rename, "/srv/a".into())
        };
        assert_eq!(operation.summary(), "file rename /srv/a to \"/srv/b c\"");
        assert_eq!(
            operation.full_text(),
            "file rename /srv/a to \"/srv/b c\"\na file that is not there is made\nonly where there is none\n\
             what was there before is lost\nbehind what is there\nof a symbolic link, the link itself\nsize 0\n\
             owner 1, group 2\npermissions 4755\nused at 3, changed at 4"
        );
    }
}
