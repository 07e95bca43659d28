//! Extensions of OpenSSH's (its file PROTOCOL, section 4): the list of those that have a meaning here. Of others a client never hears.

/// An extension, by its name and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    PosixRename,
    StatVfs,
    FStatVfs,
    HardLink,
    FSync,
    LSetStat,
    Limits,
    ExpandPath,
    CopyData,
    HomeDirectory,
}

impl Extension {
    const ALL: [Self; 10] = [
        Self::PosixRename,
        Self::StatVfs,
        Self::FStatVfs,
        Self::HardLink,
        Self::FSync,
        Self::LSetStat,
        Self::Limits,
        Self::ExpandPath,
        Self::CopyData,
        Self::HomeDirectory,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PosixRename => "posix-rename@openssh.com",
            Self::StatVfs => "statvfs@openssh.com",
            Self::FStatVfs => "fstatvfs@openssh.com",
            Self::HardLink => "hardlink@openssh.com",
            Self::FSync => "fsync@openssh.com",
            Self::LSetStat => "lsetstat@openssh.com",
            Self::Limits => "limits@openssh.com",
            Self::ExpandPath => "expand-path@openssh.com",
            Self::CopyData => "copy-data",
            Self::HomeDirectory => "home-directory",
        }
    }

    /// The version that is meant: another one may mean something else.
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::StatVfs | Self::FStatVfs => "2",
            _ => "1",
        }
    }

    pub(super) fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.name().as_bytes() == name)
    }
}
