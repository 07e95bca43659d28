//! What may be the name of a subject, an actor or a group.

use std::sync::Arc;

use gatewright_model::hidden::is_hidden;

/// Takes a name over if it is one, else says what is wrong with it.
///
/// A name is read by people in approvals and records, and compared by policies. So that two names that look
/// alike are alike, it has no control characters, none that are invisible or turn the direction of
/// writing, and no white space around it.
pub(crate) fn parse(text: &str) -> Result<Arc<str>, NameProblem> {
    if text.trim().is_empty() {
        return Err(NameProblem::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(NameProblem::TooLong);
    }
    if text.trim().len() != text.len() || text.chars().any(is_hidden) {
        return Err(NameProblem::Invisible);
    }
    Ok(text.into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameProblem {
    Empty,
    TooLong,
    Invisible,
}

impl NameProblem {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "must not be empty",
            Self::TooLong => "must not be longer than 512 bytes",
            Self::Invisible => "must not have control or invisible characters, or white space around it",
        }
    }
}

/// Bytes of a name: twice what OpenID Connect Core section 2 allows a subject. Groups can be longer than
/// subjects, being distinguished names at times.
pub const MAX_NAME: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["alice", "system:serviceaccount:ci:builder", "CN=Ops, OU=IT", "Zoë Ångström", "日本"]
        {
            assert_eq!(parse(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a056_what_is_no_name() {
        for (text, problem) in [
            ("", NameProblem::Empty),
            (" ", NameProblem::Empty),
            ("\u{a0}\t", NameProblem::Empty),
            (" alice", NameProblem::Invisible),
            ("alice\n", NameProblem::Invisible),
            ("al\0ice", NameProblem::Invisible),
            ("al\u{200b}ice", NameProblem::Invisible),
            ("\u{202e}ecila", NameProblem::Invisible),
            ("alice\u{3164}", NameProblem::Invisible),
            ("alice\u{fe0f}", NameProblem::Invisible),
            ("alice\u{e0100}", NameProblem::Invisible),
            (&"a".repeat(513), NameProblem::TooLong),
        ] {
            assert_eq!(parse(text), Err(problem), "{text:?}");
        }
        assert!(NameProblem::TooLong.as_str().contains(&MAX_NAME.to_string()));
    }
}
