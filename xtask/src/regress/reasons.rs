//! Why a script differs, for each that does.

/// Whether it is to stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The gateway refuses what the script does, whatever a policy says, and is meant to.
    Design(&'static str),
    /// It should not differ.
    Open(&'static str),
}

/// The scripts that are known to differ.
pub(super) const REASONS: &[(&str, Reason)] = &[];

/// Why a script differs, if anybody has said so.
pub(super) fn of(script: &str) -> Option<Reason> {
    REASONS.iter().find(|(name, _)| *name == script).map(|(_, reason)| *reason)
}
