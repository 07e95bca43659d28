//! The words of the contract as types, for policies and for their settings.
//!
//! A word that a newer host says and this SDK does not know becomes the strictest meaning that the SDK
//! does know, so that an old policy on a new gateway errs on the closed side.

use schemars::JsonSchema;
use serde::Deserialize;

/// How well a request was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Completely, by a reader that decides as the server does.
    Verified,
    /// Two readers understood it differently.
    Disputed,
    /// Not understood.
    Opaque,
}

impl Grade {
    pub(crate) fn read(word: &str) -> Self {
        match word {
            "verified" => Self::Verified,
            "disputed" => Self::Disputed,
            _ => Self::Opaque,
        }
    }

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Disputed => "disputed",
            Self::Opaque => "opaque",
        }
    }
}

/// What kind of subject asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// An AI agent. A kind that this SDK does not know reads as this one.
    Agent,
    /// A service or a CI job.
    Service,
}

impl PrincipalKind {
    pub(crate) fn read(word: &str) -> Self {
        match word {
            "human" => Self::Human,
            "service" => Self::Service,
            _ => Self::Agent,
        }
    }

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Agent => "agent",
            Self::Service => "service",
        }
    }
}

/// One thing that a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads rows of relations.
    Read,
    /// Changes rows, sequences or large objects, or may do so.
    Write,
    /// Changes the catalog: tables, roles, rights, functions.
    Ddl,
    /// Changes the session: settings, role, prepared statements, cursors, listening.
    Session,
    /// Reaches outside the database: files, programs, other servers.
    HostAccess,
    /// Begins, ends or marks a transaction.
    Transaction,
    /// Runs SQL that is built at run time and can not be seen.
    Dynamic,
}

impl Effect {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Ddl,
        Self::Session,
        Self::HostAccess,
        Self::Transaction,
        Self::Dynamic,
    ];

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Session => "session",
            Self::HostAccess => "host_access",
            Self::Transaction => "transaction",
            Self::Dynamic => "dynamic",
        }
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// Everything that a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Effects(u64);

impl Effects {
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Is this among them?
    pub const fn contains(self, effect: Effect) -> bool {
        self.0 & effect.bit() != 0
    }

    /// Is there nothing beyond what is `allowed`? An effect that this SDK does not know is beyond.
    pub fn is_only(self, allowed: &[Effect]) -> bool {
        self.0 & !allowed.iter().copied().collect::<Self>().0 == 0
    }

    /// Those that are known, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Effect> {
        Effect::ALL.into_iter().filter(move |effect| self.contains(*effect))
    }
}

impl FromIterator<Effect> for Effects {
    fn from_iter<I: IntoIterator<Item = Effect>>(effects: I) -> Self {
        Self(effects.into_iter().fold(0, |bits, effect| bits | effect.bit()))
    }
}

/// What is done to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Rows are read.
    Read,
    /// Rows are changed.
    Write,
    /// Its definition is made, changed or dropped. An access that this SDK does not know reads as this one.
    Define,
}

impl Access {
    pub(crate) fn read(word: &str) -> Self {
        match word {
            "read" => Self::Read,
            "write" => Self::Write,
            _ => Self::Define,
        }
    }

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Define => "define",
        }
    }
}

/// What calling a function can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FunctionClass {
    /// A function of the server that computes and reads, and changes nothing.
    Harmless,
    /// A function of the server that changes data, sequences, the session or the server.
    Changing,
    /// A function of the server that reaches files, programs, other servers or other sessions.
    Host,
    /// A function of the server that runs SQL given as text.
    Dynamic,
    /// Not known.
    Unknown,
}

impl FunctionClass {
    pub(crate) fn read(word: &str) -> Self {
        match word {
            "harmless" => Self::Harmless,
            "changing" => Self::Changing,
            "host" => Self::Host,
            "dynamic" => Self::Dynamic,
            _ => Self::Unknown,
        }
    }

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Changing => "changing",
            Self::Host => "host",
            Self::Dynamic => "dynamic",
            Self::Unknown => "unknown",
        }
    }
}

/// What a detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A payment card number with a right check digit.
    CardNumber,
    /// A United States social security number.
    Ssn,
    /// An e-mail address.
    Email,
}

impl Detector {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CardNumber => "card_number",
            Self::Ssn => "ssn",
            Self::Email => "email",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_is_not_known_is_never_only_what_is_allowed() {
        let effects = Effects::from_bits(1 << 40 | 1);
        assert!(effects.contains(Effect::Read));
        assert!(!effects.is_only(&Effect::ALL));
    }

    #[test]
    fn unknown_words_read_as_the_strictest() {
        assert_eq!(Grade::read("guessed"), Grade::Opaque);
        assert_eq!(Access::read("rename"), Access::Define);
        assert_eq!(FunctionClass::read("quantum"), FunctionClass::Unknown);
    }
}
