//! What is written down: one record for each thing that happened.
//!
//! A record holds no literal, no parameter, no row and no credential: statements appear in normalised
//! form and by the SHA-256 of their bytes (promise P7). Names and shapes here are the log's format: a
//! field is never renamed, and one that is added is optional for readers.
//!
//! `core/evidence` gives each record its place (sequence, time, hash of the one before) and keeps it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    decision::{Decision, Diagnostic, Evaluation, SetVersion},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    id::{ApprovalId, EventId, SessionId},
    session::Outcome,
};

/// One record, borrowed from whatever it reports.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record<'a> {
    /// The gateway began to serve.
    GatewayStarted {
        /// Version of the program.
        version: &'a str,
        /// SHA-256 of the configuration file.
        config: Digest,
        /// SHA-256 of the policy set.
        set: Digest,
    },
    /// The gateway ended in good order.
    GatewayStopped,
    /// A peer was turned away before it had a session.
    Refused {
        /// The session that was being opened.
        session: SessionId,
        /// Name of the listener.
        listener: &'a str,
        /// Address of the peer.
        client: std::net::SocketAddr,
        /// The stable code of the reason, like `auth.jwt_expired` or `pg.pretls_bytes`.
        code: &'a str,
    },
    /// Identity was proved and a session began.
    SessionOpened(&'a SessionContext),
    /// A session ended.
    SessionClosed {
        /// The session.
        session: SessionId,
        /// Why: `client_closed`, `target_closed`, `drained`, or the code of an error.
        code: &'a str,
        /// Events that were judged.
        events: u64,
    },
    /// A certificate was made for a client. Written before the client has it.
    CertificateIssued {
        /// The connection on which it was asked for.
        session: SessionId,
        /// Name of the listener.
        listener: &'a str,
        /// Address of the client.
        client: std::net::SocketAddr,
        /// Whose it is.
        subject: &'a str,
        /// Who vouches for them.
        issuer: &'a str,
        /// By which credential they proved it: the certificate goes by the same name.
        credential: &'a str,
        /// The fingerprint of the key that it is about.
        key: &'a str,
        /// The number of the certificate.
        serial: u64,
        /// Until when it is good, in seconds since 1970.
        expires: u64,
    },
    /// An event was judged. Written before anything of it is forwarded.
    Decision(DecisionRecord<'a>),
    /// An event that was forwarded is over. An event with no such record has the outcome `unknown`.
    Outcome(OutcomeRecord<'a>),
    /// What goes on is recorded from here on. Written before anything of it reaches the target.
    RecordingStarted {
        /// The session.
        session: SessionId,
        /// The event that started it.
        event: EventId,
        /// Who is recorded.
        subject: &'a str,
        /// Where it runs.
        target: &'a str,
        /// The name of the recording's file.
        file: &'a str,
    },
    /// A recording has ended. One without this record has ended with the gateway, and nothing proves what is in it.
    RecordingEnded {
        /// The session.
        session: SessionId,
        /// The event that started it.
        event: EventId,
        /// The name of the recording's file.
        file: &'a str,
        /// Its length.
        bytes: u64,
        /// SHA-256 of so many bytes of it.
        sha256: Digest,
        /// Does it end where what it records has ended? If not, more could not be recorded.
        complete: bool,
    },
    /// A person is asked.
    ApprovalRequested {
        /// The request.
        approval: &'a ApprovalId,
        /// The session.
        session: SessionId,
        /// The event.
        event: EventId,
        /// SHA-256 of the bytes that will run if it is approved.
        payload: Digest,
        /// Which rule asks.
        rule: &'a str,
        /// How many reviewers must approve.
        quorum: u8,
        /// How long the request stands, in seconds.
        ttl_seconds: u64,
    },
    /// A person answered.
    ApprovalAnswered {
        /// The request.
        approval: &'a ApprovalId,
        /// Who: `issuer` and `subject`.
        reviewer: &'a str,
        /// Who vouches for the reviewer.
        issuer: &'a str,
        /// `approve`, `reject`, or `refused` for an answer that was not the reviewer's to give.
        answer: &'a str,
        /// The reviewer's words, or why the answer was refused.
        comment: &'a str,
    },
    /// A request is settled: `approved`, `rejected`, `expired`, `withdrawn`.
    ApprovalSettled {
        /// The request.
        approval: &'a ApprovalId,
        /// The session.
        session: SessionId,
        /// The event.
        event: EventId,
        /// How.
        state: &'a str,
    },
    /// An operator takes back what tokens proved. Written before it has an effect; the sessions that it ends
    /// have their own records.
    RevocationAdded {
        /// Its name.
        revocation: &'a str,
        /// Who revokes.
        operator: &'a str,
        /// Who vouches for the operator.
        issuer: &'a str,
        /// What it covers.
        scope: RevokedScope<'a>,
        /// The operator's words.
        reason: &'a str,
    },
    /// An operator gives back what was revoked.
    RevocationLifted {
        /// Its name.
        revocation: &'a str,
        /// Who lifts it.
        operator: &'a str,
        /// Who vouches for the operator.
        issuer: &'a str,
        /// The operator's words.
        reason: &'a str,
    },
    /// An operator ends one session.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Who ends it.
        operator: &'a str,
        /// Who vouches for the operator.
        issuer: &'a str,
        /// The operator's words.
        reason: &'a str,
    },
    /// Somebody who proved who they are tried what only operators may do.
    OperatorRefused {
        /// Who.
        operator: &'a str,
        /// Who vouches for them.
        issuer: &'a str,
        /// What they tried: `revoke`, `lift`, `end`.
        act: &'a str,
    },
    /// The policy set was replaced.
    PolicySwapped {
        /// What was active before. None at start.
        old: Option<SetVersionRecord>,
        /// What is active now.
        new: SetVersionRecord,
        /// Each policy of the new set: its name and the SHA-256 of its module.
        policies: Vec<(Arc<str>, Digest)>,
    },
    /// A new policy set was refused; the old one stays.
    PolicyRefused {
        /// What stays active. None at start.
        kept: Option<SetVersionRecord>,
        /// Each reason, with the file it is about.
        reasons: Vec<(Arc<str>, Arc<str>)>,
    },
    /// The wall clock jumped against the monotonic one (or, at start, lies before the last record). Times
    /// of records are to be read with care here; their order is their sequence.
    ClockStepped {
        /// How far: positive is forward.
        seconds: i64,
    },
    /// The log was opened and not found as a clean end leaves it. Written by the log itself.
    EvidenceRecovered {
        /// Bytes that were cut off the end, because a crash had torn them.
        cut_bytes: u64,
        /// Where those bytes are kept: a file name in the log's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept_in: Option<&'a str>,
        /// What is wrong that no crash explains. None: nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        alarm: Option<&'a str>,
    },
    /// The disk was full and has room again, or hung and answers again. Written by the log itself.
    EvidenceResumed {
        /// Records that were refused meanwhile: what they would have recorded did not happen.
        refused: u64,
    },
}

impl Record<'_> {
    /// The words that records say as their `kind`, in the order of the variants.
    pub const KINDS: [&'static str; 22] = [
        "gateway_started",
        "gateway_stopped",
        "refused",
        "session_opened",
        "session_closed",
        "certificate_issued",
        "decision",
        "outcome",
        "recording_started",
        "recording_ended",
        "approval_requested",
        "approval_answered",
        "approval_settled",
        "revocation_added",
        "revocation_lifted",
        "session_ended",
        "operator_refused",
        "policy_swapped",
        "policy_refused",
        "clock_stepped",
        "evidence_recovered",
        "evidence_resumed",
    ];
}

/// What a revocation covers: whoever has all of what is given.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RevokedScope<'a> {
    /// One token, by its name in records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<&'a str>,
    /// A name anywhere in the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// Tokens of this issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'a str>,
    /// Tokens that were issued before this time, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<u64>,
}

/// A set version, as records write it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SetVersionRecord {
    /// Its number in this process.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

impl From<SetVersion> for SetVersionRecord {
    fn from(version: SetVersion) -> Self {
        Self { number: version.number, digest: version.digest }
    }
}

/// A decision, with everything that made it.
#[derive(Debug, Clone, Copy)]
pub struct DecisionRecord<'a> {
    /// The session: who, from where, to which target and account.
    pub session: &'a SessionContext,
    /// What was asked.
    pub event: &'a Event,
    /// What the policies said.
    pub evaluation: &'a Arc<Evaluation>,
}

impl DecisionRecord<'_> {
    /// Must this record be on disk before the event is forwarded or answered (promise P1)?
    pub fn wants_sync(&self) -> bool {
        self.event.leaves_a_trace()
            || matches!(self.evaluation.decision, Decision::Block(_) | Decision::Escalate { .. })
    }
}

impl Serialize for DecisionRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.beginning().entries(&mut map)?;
        self.ending().entries(&mut map)?;
        map.end()
    }
}

impl<'a> DecisionRecord<'a> {
    /// What no other decision has.
    pub const fn beginning(&self) -> DecisionBeginning {
        DecisionBeginning { session: self.session.id, event: self.event.id, payload: self.event.payload }
    }

    /// What is the same for all events of a session that ask the same and are told the same.
    pub const fn ending(&self) -> DecisionEnding<'a> {
        DecisionEnding(*self)
    }
}

/// The fields that a [`DecisionRecord`] begins with; written by itself, with its kind.
#[derive(Debug, Clone, Copy)]
pub struct DecisionBeginning {
    session: SessionId,
    event: EventId,
    payload: Digest,
}

impl DecisionBeginning {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("session", &self.session)?;
        map.serialize_entry("event", &self.event)?;
        map.serialize_entry("payload", &self.payload)
    }
}

impl Serialize for DecisionBeginning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "decision")?;
        self.entries(&mut map)?;
        map.end()
    }
}

/// The fields that a [`DecisionRecord`] ends with.
#[derive(Debug)]
pub struct DecisionEnding<'a>(DecisionRecord<'a>);

impl DecisionEnding<'_> {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let DecisionRecord { session, event, evaluation } = self.0;
        map.serialize_entry("subject", &*session.principal.subject)?;
        if !session.principal.actors.is_empty() {
            map.serialize_entry("actors", &session.principal.actors)?;
        }
        map.serialize_entry("target", &*session.target)?;
        map.serialize_entry("account", &*session.account)?;
        map.serialize_entry("type", event.kind())?;
        map.serialize_entry("grade", event.grade().as_str())?;
        if let Facet::Sql(sql) = &event.facet {
            map.serialize_entry("effects", &sql.analysis.effects())?;
        }
        map.serialize_entry("command", &event.summary())?;
        map.serialize_entry("decision", evaluation.decision.as_str())?;
        if evaluation.recorded {
            map.serialize_entry("recorded", &true)?;
        }
        match &evaluation.decision {
            Decision::Allow | Decision::Mask(_) => {}
            Decision::Block(block) => {
                map.serialize_entry("code", &*block.code)?;
                map.serialize_entry("rule", &*block.rule)?;
            }
            Decision::Escalate { escalation, .. } => map.serialize_entry("rule", &*escalation.rule)?,
        }
        map.serialize_entry("set", &SetVersionRecord::from(evaluation.set))?;
        map.serialize_entry("policies", &Diagnostics(&evaluation.diagnostics))
    }
}

impl Serialize for DecisionEnding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

struct Diagnostics<'a>(&'a [Diagnostic]);

impl Serialize for Diagnostics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(DiagnosticRecord::from))
    }
}

#[derive(Serialize)]
struct DiagnosticRecord<'a> {
    policy: &'a str,
    module: Digest,
    mode: &'a str,
    decision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
}

impl<'a> From<&'a Diagnostic> for DiagnosticRecord<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        Self {
            policy: &diagnostic.policy,
            module: diagnostic.module,
            mode: diagnostic.mode.as_str(),
            decision: diagnostic.decision,
            rule: diagnostic.rule.as_deref(),
            failure: diagnostic.failure,
        }
    }
}

impl Serialize for SessionContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("session", &self.id)?;
        map.serialize_entry("protocol", self.protocol)?;
        map.serialize_entry("listener", &*self.listener)?;
        map.serialize_entry("target", &*self.target)?;
        map.serialize_entry("account", &*self.account)?;
        for (name, value) in &self.attributes {
            map.serialize_entry(name, &**value)?;
        }
        map.serialize_entry("client", &self.client)?;
        map.serialize_entry("subject", &*self.principal.subject)?;
        map.serialize_entry("issuer", &*self.principal.issuer)?;
        map.serialize_entry("principal_kind", &self.principal.kind)?;
        map.serialize_entry("groups", &self.principal.groups)?;
        map.serialize_entry("actors", &self.principal.actors)?;
        map.serialize_entry("credential", &*self.principal.credential)?;
        map.end()
    }
}

/// What became of a forwarded event.
#[derive(Debug)]
pub struct OutcomeRecord<'a> {
    /// The session.
    pub session: SessionId,
    /// The event.
    pub event: EventId,
    /// What became of it.
    pub outcome: &'a Outcome,
}

impl Serialize for OutcomeRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { session, event, outcome } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("session", session)?;
        map.serialize_entry("event", event)?;
        map.serialize_entry("result", outcome.result.as_str())?;
        if let Some(code) = &outcome.code {
            map.serialize_entry("code", &**code)?;
        }
        if let Some(rows) = outcome.rows {
            map.serialize_entry("rows", &rows)?;
        }
        if !outcome.masked.is_empty() {
            map.serialize_entry("masked", &outcome.masked)?;
        }
        for (content, bytes, digest) in [
            (&outcome.read, "bytes_read", "read_sha256"),
            (&outcome.written, "bytes_written", "written_sha256"),
        ] {
            let Some(content) = content else { continue };
            map.serialize_entry(bytes, &content.bytes)?;
            if let Some(sum) = &content.digest {
                map.serialize_entry(digest, sum)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// serde makes the words and tells nobody, so the list is held against the source.
    #[test]
    fn the_kinds_are_those_of_the_variants() {
        let source = include_str!("audit.rs");
        let (_, body) = source.split_once("pub enum Record<'a> {\n").unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let variants = body.lines().filter_map(|line| {
            let name = line.strip_prefix("    ")?.split(|letter: char| !letter.is_alphanumeric()).next()?;
            name.starts_with(|letter: char| letter.is_uppercase()).then(|| snake_case(name))
        });
        assert_eq!(variants.collect::<Vec<_>>(), Record::KINDS);
    }

    fn snake_case(name: &str) -> String {
        let mut snake = String::new();
        for (at, letter) in name.char_indices() {
            if at > 0 && letter.is_uppercase() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    }
}
