//! What a policy answers: plain values, so that tests compare them.

use std::{borrow::Cow, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

use crate::words::Detector;

/// Text of a verdict: borrowed where it is fixed, owned where it was made.
pub type Text = Cow<'static, str>;

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block(Block),
    /// Forward it and hide parts of the answer.
    Mask(Mask),
    /// Hold it until reviewers decide.
    Escalate(Escalation),
    /// What this says, and it goes on only while it is recorded. Not of a block.
    Record(Box<Self>),
}

/// A refusal and the way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The rule that decided: letters, digits, `.`, `-` and `_`.
    pub rule: Text,
    /// Why, in a sentence that the client reads.
    pub reason: Text,
    /// What to do to get access. Empty: nothing.
    pub remedy: Text,
}

impl Verdict {
    /// Refuses: the rule that decided, why, and what to do to get access.
    pub fn block(rule: impl Into<Text>, reason: impl Into<Text>, remedy: impl Into<Text>) -> Self {
        Self::Block(Block { rule: rule.into(), reason: reason.into(), remedy: remedy.into() })
    }

    /// The same, and what it lets go on goes on only while it is recorded.
    #[must_use]
    pub fn recorded(self) -> Self {
        match self {
            Self::Block(_) | Self::Record(_) => self,
            other => Self::Record(Box::new(other)),
        }
    }
}

/// What to hide. One that hides nothing allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    /// Columns by their relation.
    pub columns: Vec<ColumnMask>,
    /// Paths of a JSON answer.
    pub json: Vec<JsonMask>,
    /// Where there is any: lists, tables and watches of the Kubernetes API show only objects that fit one of them.
    pub objects: Vec<ShownObject>,
    /// Detectors that search every text value.
    pub detectors: Vec<DetectorMask>,
    /// How often rows may be chosen by columns that this hides.
    pub conditions: Vec<ConditionLimit>,
}

impl From<Mask> for Verdict {
    fn from(mask: Mask) -> Self {
        let hides_nothing = mask.columns.is_empty()
            && mask.json.is_empty()
            && mask.objects.is_empty()
            && mask.detectors.is_empty();
        if hides_nothing { Self::Allow } else { Self::Mask(mask) }
    }
}

/// A column to hide, wherever its values come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    /// Schema of the relation.
    pub schema: Text,
    /// The relation.
    pub relation: Text,
    /// The column.
    pub column: Text,
    /// How to hide it.
    pub method: Method,
    /// The rule that asks for it.
    pub rule: Text,
}

/// How often in an hour one principal may choose, join, group or sort rows by a column that is hidden. Each time is a guess at its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionLimit {
    /// Schema of the relation.
    pub schema: Text,
    /// The relation.
    pub relation: Text,
    /// The column, one of those that the same mask hides.
    pub column: Text,
    /// How often; 0: never.
    pub most: u32,
}

/// A path of a JSON answer to hide, in all its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonMask {
    /// A JSONPath (RFC 9535) of `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*`, `..name` and `..*`. For a Kubernetes answer it
    /// begins at the object, whatever the object comes in.
    pub path: Text,
    /// How to hide it.
    pub method: Method,
    /// The rule that asks for it.
    pub rule: Text,
}

/// Objects of the Kubernetes API that may be shown. In each part, `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownObject {
    /// Their namespace; empty for objects without one.
    pub namespace: Text,
    /// Their name.
    pub name: Text,
    /// The rule that asks for it.
    pub rule: Text,
}

/// A detector to run over every text value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorMask {
    /// What to look for.
    pub detector: Detector,
    /// How to hide what was found.
    pub method: Method,
    /// The rule that asks for it.
    pub rule: Text,
}

/// How a value is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A fixed text, or null where the type can not hold one.
    Redact,
    /// A keyed hash: equal values stay equal, nothing else can be learned.
    Hash,
    /// Everything but the last characters, this many (0 to 64), becomes `*`.
    Partial(
        #[serde(deserialize_with = "keep")]
        #[schemars(range(max = 64))]
        u8,
    ),
}

fn keep<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let keep = u8::deserialize(from)?;
    if keep > 64 {
        return Err(D::Error::custom("`partial` may keep at most 64 characters"));
    }
    Ok(keep)
}

impl Method {
    /// The word of the contract.
    pub fn word(self) -> Text {
        match self {
            Self::Redact => "redact".into(),
            Self::Hash => "hash".into(),
            Self::Partial(keep) => format!("partial:{keep}").into(),
        }
    }
}

/// What reviewers are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// The rule that decided.
    pub rule: Text,
    /// Why a person must look at it.
    pub reason: Text,
    /// Groups whose members may decide. Empty: the reviewers that the gateway's configuration names.
    pub reviewers: Vec<Text>,
    /// How many different reviewers must approve, 1 to 16.
    pub quorum: u8,
    /// How long to wait, 1 second to 7 days; then the answer is no.
    pub ttl: Duration,
}

impl Escalation {
    /// Asks any reviewer for one approval within 10 minutes. Change the fields for anything else.
    pub fn new(rule: impl Into<Text>, reason: impl Into<Text>) -> Self {
        Self {
            rule: rule.into(),
            reason: reason.into(),
            reviewers: Vec::new(),
            quorum: 1,
            ttl: Duration::from_secs(600),
        }
    }
}

impl From<Escalation> for Verdict {
    fn from(escalation: Escalation) -> Self {
        Self::Escalate(escalation)
    }
}
