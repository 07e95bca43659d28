//! Parts of an answer that settings may hold, in the bounds of the contract: what the gateway would refuse at the
//! first event is refused when the document is loaded.

use std::{borrow::Cow, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::verdict::{Escalation, Verdict};

/// The name of a rule, for records and for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct RuleName(String);

impl RuleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RuleName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(format!(
                "`{}` can not name a rule: write 1 to 64 letters, digits, `.`, `-` or `_`",
                name.escape_debug()
            ));
        }
        Ok(Self(name))
    }
}

/// A sentence that the client reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Sentence(String);

impl Sentence {
    /// The sentence, for a verdict.
    pub fn text(&self) -> Cow<'static, str> {
        Cow::Owned(self.0.clone())
    }
}

impl TryFrom<String> for Sentence {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > 512 || text.contains(char::is_control) {
            return Err("a reason or remedy is one line of at most 512 bytes".to_owned());
        }
        Ok(Self(text))
    }
}

/// How many different reviewers must approve, 1 to 16. 1, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u8")]
pub struct Quorum(#[schemars(range(min = 1, max = 16))] u8);

impl Quorum {
    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Quorum {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u8> for Quorum {
    type Error = String;

    fn try_from(quorum: u8) -> Result<Self, String> {
        match quorum {
            1..=16 => Ok(Self(quorum)),
            _ => Err("`quorum` must be from 1 to 16".to_owned()),
        }
    }
}

/// How long to wait for reviewers, 1 second to 7 days: `30s`, `10m`, `2h`, `1d`. 10 minutes, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Ttl(Duration);

impl Ttl {
    /// The time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self(Duration::from_secs(600))
    }
}

impl TryFrom<String> for Ttl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let unit =
            |word: &str, seconds: u64| text.strip_suffix(word)?.parse::<u64>().ok()?.checked_mul(seconds);
        let seconds = unit("s", 1)
            .or_else(|| unit("m", 60))
            .or_else(|| unit("h", 3600))
            .or_else(|| unit("d", 86_400));
        match seconds {
            Some(seconds @ 1..=604_800) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!(
                "`{text}` is not a time from 1 second to 7 days: write `30s`, `10m`, `2h` or `1d`"
            )),
        }
    }
}

/// What a rule does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block,
    /// Hold it until reviewers decide.
    Escalate,
}

/// The settings of a rule that say what becomes of a request. A rule has them beside those that say which requests
/// it is about, and reads them with [`AnswerFields::read`].
#[derive(Debug, Clone)]
pub struct AnswerFields {
    /// What becomes of the request.
    pub decision: Decision,
    /// Of a block or escalation: why, in a sentence that the client reads.
    pub reason: Option<Sentence>,
    /// Of a block: what to do to get access.
    pub remedy: Option<Sentence>,
    /// Of an escalation: groups whose members may decide.
    pub reviewers: Option<Vec<String>>,
    /// Of an escalation: how many different reviewers must approve.
    pub quorum: Option<Quorum>,
    /// Of an escalation: how long to wait for them.
    pub ttl: Option<Ttl>,
}

/// What a rule answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block {
        /// Why.
        reason: Sentence,
        /// What to do to get access.
        remedy: Sentence,
    },
    /// Hold it until reviewers decide.
    Escalate {
        /// Why a person must look at it.
        reason: Sentence,
        /// Groups whose members may decide. Empty: the reviewers that the gateway's configuration names.
        reviewers: Vec<String>,
        /// How many different reviewers must approve.
        quorum: Quorum,
        /// How long to wait for them.
        ttl: Ttl,
    },
}

impl AnswerFields {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// A setting belongs to another decision.
    pub fn read(self) -> Result<Answer, String> {
        let Self { decision, reason, remedy, reviewers, quorum, ttl } = self;
        let (blocks, holds) = (decision == Decision::Block, decision == Decision::Escalate);
        let misplaced = [
            ("reason", reason.is_some() && !blocks && !holds, "block or escalate"),
            ("remedy", remedy.is_some() && !blocks, "block"),
            ("reviewers", reviewers.is_some() && !holds, "escalate"),
            ("quorum", quorum.is_some() && !holds, "escalate"),
            ("ttl", ttl.is_some() && !holds, "escalate"),
        ];
        if let Some((name, _, decision)) = misplaced.into_iter().find(|(_, misplaced, _)| *misplaced) {
            return Err(format!("`{name}` belongs to rules that {decision}"));
        }
        let reason_or = |default: &str| match reason {
            Some(reason) => Ok(reason),
            None => Sentence::try_from(default.to_owned()),
        };
        Ok(match decision {
            Decision::Allow => Answer::Allow,
            Decision::Block => Answer::Block {
                reason: reason_or("this request is not allowed here")?,
                remedy: remedy.unwrap_or_default(),
            },
            Decision::Escalate => Answer::Escalate {
                reason: reason_or("this request needs an approval")?,
                reviewers: reviewers.unwrap_or_default(),
                quorum: quorum.unwrap_or_default(),
                ttl: ttl.unwrap_or_default(),
            },
        })
    }
}

impl Answer {
    /// The answer of the rule of this name; where it has none, of the rule at this place, from 0.
    pub fn verdict(&self, name: Option<&RuleName>, index: usize) -> Verdict {
        let name = match name {
            Some(name) => name.as_str().to_owned(),
            // People count from one.
            None => format!("rule-{}", index + 1),
        };
        match self {
            Self::Allow => Verdict::Allow,
            Self::Block { reason, remedy } => Verdict::block(name, reason.text(), remedy.text()),
            Self::Escalate { reason, reviewers, quorum, ttl } => Verdict::Escalate(Escalation {
                reviewers: reviewers.iter().map(|group| group.clone().into()).collect(),
                quorum: quorum.get(),
                ttl: ttl.get(),
                ..Escalation::new(name, reason.text())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contract_refuses_is_refused_here() {
        assert!(RuleName::try_from("no-delete_1.2".to_owned()).is_ok());
        for name in [String::new(), "a b".to_owned(), "a/b".to_owned(), "é".to_owned(), "a".repeat(65)] {
            assert!(RuleName::try_from(name.clone()).is_err(), "{name:?}");
        }
        assert!(Sentence::try_from("é".repeat(256)).is_ok());
        for text in ["é".repeat(257), "two\nlines".to_owned()] {
            assert!(Sentence::try_from(text.clone()).is_err(), "{text:?}");
        }
        for quorum in [0, 17] {
            assert!(Quorum::try_from(quorum).is_err(), "{quorum}");
        }
        for ttl in ["0s", "8d", "10", "m", "-1s", "18446744073709551615d"] {
            assert!(Ttl::try_from(ttl.to_owned()).is_err(), "{ttl}");
        }
        assert_eq!(Ttl::try_from("7d".to_owned()).unwrap().get(), Duration::from_secs(604_800));
    }
}
