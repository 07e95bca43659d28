//! What policies answer, and what becomes of several answers.

use std::{sync::Arc, time::Duration};

use crate::{digest::Digest, mask::MaskPlan};

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block(Block),
    /// Forward it and hide parts of the answer.
    Mask(MaskPlan),
    /// Hold it until a reviewer decides. `masks` apply to the answer once it runs.
    Escalate {
        /// What the reviewers are asked.
        escalation: Escalation,
        /// What to hide when it is approved.
        masks: MaskPlan,
    },
}

impl Decision {
    /// The word that records use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block(_) => "block",
            Self::Mask(_) => "mask",
            Self::Escalate { .. } => "escalate",
        }
    }
}

/// A refusal and the way on: an agent must be able to read it and do the right thing next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// A stable code for programs, like `sql.denied` or `policy.timeout`.
    pub code: Arc<str>,
    /// Which policy refused, and which of its rules: `no-bare-delete/where-required`.
    pub rule: Arc<str>,
    /// Why, in a sentence.
    pub reason: Arc<str>,
    /// What to do to get access. Empty: nothing can be done.
    pub remedy: Arc<str>,
}

impl Block {
    /// The code of a block of SQL that could not be read, where no policy takes that upon itself.
    pub const UNPARSED: &'static str = "sql.unparsed";
}

/// What a policy wants a person to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Which policy asks, and which of its rules.
    pub rule: Arc<str>,
    /// Why a person must look at it.
    pub reason: Arc<str>,
    /// Groups whose members may decide. Empty: any reviewer that the configuration names.
    pub reviewers: Vec<Arc<str>>,
    /// How many different reviewers must approve. At least 1.
    pub quorum: u8,
    /// How long to wait; then the answer is no.
    pub ttl: Duration,
}

impl Escalation {
    /// Any one reviewer decides, within ten minutes.
    pub fn new(rule: &str, reason: &str) -> Self {
        Self {
            rule: Arc::from(rule),
            reason: Arc::from(reason),
            reviewers: Vec::new(),
            quorum: 1,
            ttl: Duration::from_secs(600),
        }
    }
}

/// The answer of a whole policy set to one event.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The combined decision.
    pub decision: Decision,
    /// What it lets go on goes on only while it is recorded.
    pub recorded: bool,
    /// What each policy that was asked said, in the order of the set.
    pub diagnostics: Vec<Diagnostic>,
    /// Which set answered. One event is judged by one set, from first byte to last (promise P5).
    pub set: SetVersion,
}

/// Which immutable set of policies was active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetVersion {
    /// Counts up from 1 with each swap of this process.
    pub number: u64,
    /// SHA-256 over every module and document of the set: equal sets have equal digests.
    pub digest: Digest,
}

/// What one policy said.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The policy's name.
    pub policy: Arc<str>,
    /// SHA-256 of its module.
    pub module: Digest,
    /// Whether it counted.
    pub mode: Mode,
    /// The word of its decision: `allow`, `block`, `mask`, `escalate`.
    pub decision: &'static str,
    /// The rule it named, if any.
    pub rule: Option<Arc<str>>,
    /// The code of its failure, if it failed: `policy.timeout`, `policy.trap`, ... Its decision is then a
    /// block.
    pub failure: Option<&'static str>,
}

/// Does a policy's answer count?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It counts.
    Protect,
    /// It counts where it blocks, holds or hides. Where it allows, it lets nothing through that no other policy allows.
    Restrict,
    /// It is evaluated and recorded and changes nothing.
    Monitor,
}

impl Mode {
    /// The word that documents and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protect => "protect",
            Self::Restrict => "restrict",
            Self::Monitor => "monitor",
        }
    }
}
