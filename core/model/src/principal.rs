//! Who is asking: the authenticated principal and the chain of those who act for it.

use std::{sync::Arc, time::SystemTime};

use serde::Serialize;

/// Someone whose identity was proved.
///
/// `subject` is the one on whose behalf everything happens; `actors` are those who act for it, the
/// one that holds the credential first (RFC 8693 section 4.1: the outermost `act` is the current actor).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who started the chain, unique within `issuer`.
    pub subject: Arc<str>,
    /// Who vouches for all of this: the token's `iss`.
    pub issuer: Arc<str>,
    /// What kind of subject this is.
    pub kind: PrincipalKind,
    /// Groups of the subject.
    pub groups: Vec<Arc<str>>,
    /// Everyone who acts for the subject, the current actor first. Empty: the subject acts itself.
    pub actors: Vec<Arc<str>>,
    /// Further claims, as text, that policies may read.
    pub claims: Vec<(Arc<str>, Arc<str>)>,
    /// Which credential proved it (a token's `jti`, or a digest of it): for records, never a secret.
    pub credential: Arc<str>,
    /// When the proof was issued, if it says so.
    pub issued_at: Option<SystemTime>,
    /// When the proof stops being one.
    pub expires_at: Option<SystemTime>,
}

impl Principal {
    /// Is the subject a member of this group?
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| **own == *group)
    }

    /// Does `subject` take part in this chain, as its start or as any actor?
    ///
    /// Approvals use it: nobody who takes part in a chain may approve what the chain asks for.
    pub fn involves(&self, subject: &str) -> bool {
        *self.subject == *subject || self.actors.iter().any(|actor| **actor == *subject)
    }
}

/// What kind of subject a principal is. Policies see it as the lower-case word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// An AI agent.
    Agent,
    /// A service or a CI job.
    Service,
}

impl PrincipalKind {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Agent => "agent",
            Self::Service => "service",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Human, Self::Agent, Self::Service].into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> Principal {
        Principal {
            subject: "alice".into(),
            issuer: "test".into(),
            kind: PrincipalKind::Human,
            groups: vec!["analysts".into()],
            actors: vec!["agent-7".into()],
            claims: Vec::new(),
            credential: "t1".into(),
            issued_at: None,
            expires_at: None,
        }
    }

    #[test]
    fn a_chain_involves_its_start_and_its_actors() {
        assert!(principal().involves("alice"));
        assert!(principal().involves("agent-7"));
        assert!(!principal().involves("bob"));
    }

    #[test]
    fn groups_match_exactly() {
        assert!(principal().in_group("analysts"));
        assert!(!principal().in_group("analyst"));
    }
}
