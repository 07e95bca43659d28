//! Tokens that are good no longer, although they have not expired.
//!
//! A list of revocations is a plain value. The caller keeps it where it outlives the process, in the form that
//! [`encode`] writes and [`parse`] reads, and hands it to [`crate::Verifier::set_revocations`]; sessions that are
//! open already are the caller's to end. Nothing is ever dropped from a list by itself: a token of another
//! issuer may be good for as long as that issuer likes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_model::principal::Principal;
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use crate::{
    BUILTIN_ISSUER, LEEWAY,
    json::{Object, Value, parse_object},
    name,
};

/// One act of an operator: what is good no longer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its name, for records and for lifting it.
    pub id: Arc<str>,
    /// What it covers.
    pub scope: RevocationScope,
    /// Since when.
    pub since: SystemTime,
    /// Whose act it is: the subject of the operator.
    pub by: Arc<str>,
    /// The operator's words.
    pub reason: Arc<str>,
}

/// What a revocation covers: whoever has all of what is given. [`RevocationScope::check`] wants at least one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevocationScope {
    /// One token: its `jti`, or the digest that stands for it in records.
    pub credential: Option<Arc<str>>,
    /// A name anywhere in the chain: who started it, or any actor in it.
    pub subject: Option<Arc<str>>,
    /// Tokens of this issuer. Without it, a name means the same person or agent whoever vouches for it.
    pub issuer: Option<Arc<str>>,
    /// Tokens that were issued before this time. Without it, those that will be issued are covered too.
    pub issued_before: Option<SystemTime>,
}

impl RevocationScope {
    /// Is anything given, and is it a name where it must be one?
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ScopeError> {
        let names = [("token", &self.credential), ("subject", &self.subject), ("issuer", &self.issuer)];
        for (what, text) in names {
            if let Some(text) = text {
                name::parse(text)
                    .map_err(|problem| ScopeError::Name { what, problem: problem.as_str() })?;
            }
        }
        // A list and records that hold a credential would give it to whoever reads them (promise P7).
        if names.into_iter().filter_map(|(_, text)| text.as_ref()).any(|text| looks_like_a_token(text)) {
            return Err(ScopeError::Token);
        }
        if self.issued_before.is_none() && names.iter().all(|(_, text)| text.is_none()) {
            return Err(ScopeError::Empty);
        }
        Ok(())
    }

    /// Is this principal's proof one of those?
    ///
    /// In doubt, yes: a token that does not say when it was issued was issued before, and the clock of another
    /// issuer may be ahead by [`LEEWAY`].
    pub fn covers(&self, principal: &Principal) -> bool {
        let is = |wanted: &Option<Arc<str>>, own: &str| wanted.as_ref().is_none_or(|name| **name == *own);
        let allowance = if *principal.issuer == *BUILTIN_ISSUER { Duration::ZERO } else { LEEWAY };
        is(&self.credential, &principal.credential)
            && is(&self.issuer, &principal.issuer)
            && self.subject.as_ref().is_none_or(|subject| principal.involves(subject))
            && self
                .issued_before
                .is_none_or(|limit| principal.issued_at.is_none_or(|issued| issued < limit + allowance))
    }

    /// Would it keep out whoever holds this proof, with any token that they could get anew?
    pub fn locks_out(&self, principal: &Principal) -> bool {
        self.credential.is_none() && self.issued_before.is_none() && self.covers(principal)
    }
}

/// Why something can not be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Everything would be covered.
    #[error("a revocation names a token, a subject, an issuer or a time")]
    Empty,
    /// The token itself.
    #[error("this is a token, and not the name of one")]
    Token,
    /// Not a name that a token could have.
    #[error("the {what} {problem}")]
    Name {
        /// Which of them.
        what: &'static str,
        /// What it must or must not be.
        problem: &'static str,
    },
}

/// A JWT, whole or torn: its header is a JSON object, which is written so.
fn looks_like_a_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.contains('.')
}

/// Writes a list as a file: one line with the format and the SHA-256 of what follows, then one JSON object for
/// each revocation.
///
/// The digest is against accidents: a torn or edited list must not be taken for a shorter one.
pub fn encode(list: &[Revocation]) -> String {
    let lines: String = list.iter().map(line).collect();
    format!("{FORMAT} {}\n{lines}", hex::encode(Sha256::digest(&lines)))
}

fn line(revocation: &Revocation) -> String {
    let Revocation { id, scope, since, by, reason } = revocation;
    let mut object = Map::new();
    object.insert("id".into(), json!(**id));
    for (name, text) in
        [("credential", &scope.credential), ("subject", &scope.subject), ("issuer", &scope.issuer)]
    {
        if let Some(text) = text {
            object.insert(name.into(), json!(**text));
        }
    }
    if let Some(limit) = scope.issued_before {
        object.insert("issued_before".into(), json!(seconds(limit)));
    }
    object.insert("since".into(), json!(seconds(*since)));
    object.insert("by".into(), json!(**by));
    object.insert("reason".into(), json!(**reason));
    format!("{}\n", serde_json::Value::Object(object))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Reads what [`encode`] wrote, and nothing else.
///
/// # Errors
///
/// The file is not as it was written. Nobody can say what it revoked.
pub fn parse(file: &[u8]) -> Result<Vec<Revocation>, ListError> {
    let text = std::str::from_utf8(file).map_err(|_| ListError::Form)?;
    let (head, lines) = text.split_once('\n').ok_or(ListError::Form)?;
    let digest =
        head.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix(' ')).ok_or(ListError::Form)?;
    if digest != hex::encode(Sha256::digest(lines)) {
        return Err(ListError::Digest);
    }
    lines
        .lines()
        .enumerate()
        .map(|(index, line)| read(line).ok_or(ListError::Line { line: index + 2 }))
        .collect()
}

fn read(line: &str) -> Option<Revocation> {
    let mut object = parse_object(line.as_bytes())?;
    let scope = RevocationScope {
        credential: optional(&mut object, "credential")?,
        subject: optional(&mut object, "subject")?,
        issuer: optional(&mut object, "issuer")?,
        issued_before: match object.remove("issued_before") {
            None => None,
            Some(value) => Some(time(&value)?),
        },
    };
    let revocation = Revocation {
        id: optional(&mut object, "id")??,
        scope,
        since: time(&object.remove("since")?)?,
        by: optional(&mut object, "by")??,
        reason: optional(&mut object, "reason")??,
    };
    // What a later version adds may narrow a scope: it is not for this one to guess.
    (object.is_empty() && revocation.scope.check().is_ok()).then_some(revocation)
}

/// The outer `None`: it is there and no text.
fn optional(object: &mut Object, name: &str) -> Option<Option<Arc<str>>> {
    match object.remove(name) {
        None => Some(None),
        Some(Value::Text(text)) => Some(Some(text.into())),
        Some(_) => None,
    }
}

fn time(value: &Value) -> Option<SystemTime> {
    match value {
        Value::Integer(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)),
        _ => None,
    }
}

/// Why a list can not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Something else, or the beginning is missing.
    #[error("it is not a list of revocations of this version")]
    Form,
    /// Torn or edited.
    #[error("its contents are not those that its digest was made of")]
    Digest,
    /// Whole, and not understood.
    #[error("line {line} is not a revocation")]
    Line {
        /// Which, from 1.
        line: usize,
    },
}

/// Revocations in a list. Beyond that it is no longer individual tokens and people that are to be kept out.
pub const MAX_REVOCATIONS: usize = 10_000;

const FORMAT: &str = "gatewright-revocations 1";

#[cfg(test)]
mod tests {
    use gatewright_model::principal::PrincipalKind;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn principal(issuer: &str, issued_at: Option<u64>) -> Principal {
        Principal {
            subject: "alice".into(),
            issuer: issuer.into(),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: vec!["agent-7".into()],
            claims: Vec::new(),
            credential: "t1".into(),
            issued_at: issued_at.map(at),
            expires_at: None,
        }
    }

    fn subject(name: &str) -> RevocationScope {
        RevocationScope { subject: Some(name.into()), ..RevocationScope::default() }
    }

    fn revocation(scope: RevocationScope) -> Revocation {
        Revocation {
            id: "r1".into(),
            scope,
            since: at(100),
            by: "olga".into(),
            reason: "lost \"laptop\"".into(),
        }
    }

    #[test]
    fn a009_a_subject_is_covered_wherever_it_is_in_the_chain() {
        let alice = principal(BUILTIN_ISSUER, Some(100));
        assert!(subject("alice").covers(&alice));
        assert!(subject("agent-7").covers(&alice));
        assert!(!subject("bob").covers(&alice));
        let of = |issuer: &str| RevocationScope { issuer: Some(issuer.into()), ..subject("alice") };
        assert!(of(BUILTIN_ISSUER).covers(&alice));
        assert!(!of("https://id.example").covers(&alice), "somebody else's alice");
        let token = RevocationScope { credential: Some("t1".into()), ..RevocationScope::default() };
        assert!(token.covers(&alice));
        assert!(!RevocationScope { credential: Some("t2".into()), ..subject("alice") }.covers(&alice));
    }

    #[test]
    fn a009_a_token_of_unknown_age_is_older() {
        let before = |seconds| RevocationScope { issued_before: Some(at(seconds)), ..subject("alice") };
        assert!(before(200).covers(&principal(BUILTIN_ISSUER, None)));
        assert!(before(200).covers(&principal(BUILTIN_ISSUER, Some(199))));
        assert!(!before(200).covers(&principal(BUILTIN_ISSUER, Some(200))));
        assert!(before(200).covers(&principal("https://id.example", Some(259))), "its clock may be ahead");
        assert!(!before(200).covers(&principal("https://id.example", Some(260))));
        assert!(!before(200).locks_out(&principal(BUILTIN_ISSUER, Some(100))), "a new token opens again");
        assert!(subject("alice").locks_out(&principal(BUILTIN_ISSUER, Some(100))));
    }

    #[test]
    fn what_covers_everything_or_nobody_is_refused() {
        assert_eq!(RevocationScope::default().check(), Err(ScopeError::Empty));
        for token in ["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln", "eyJhbGciOiJFZERTQSJ9.torn"] {
            assert_eq!(subject(token).check(), Err(ScopeError::Token));
        }
        for bad in ["", " alice", "al\u{200b}ice", "alice\n"] {
            assert!(matches!(subject(bad).check(), Err(ScopeError::Name { .. })), "{bad:?}");
        }
        assert_eq!(subject("alice").check(), Ok(()));
    }

    #[test]
    fn a_list_reads_back() {
        let list = [
            revocation(subject("alice")),
            revocation(RevocationScope {
                credential: Some("t1".into()),
                issuer: Some("https://id.example".into()),
                issued_before: Some(at(7)),
                subject: None,
            }),
        ];
        assert_eq!(parse(encode(&list).as_bytes()).unwrap(), list);
        assert_eq!(parse(encode(&[]).as_bytes()).unwrap(), []);
    }

    #[test]
    fn a009_a_list_that_is_not_as_it_was_written_is_refused() {
        let whole = encode(&[revocation(subject("alice")), revocation(subject("bob"))]);
        for length in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..length]).is_err(), "cut to {length} bytes");
        }
        for position in 0..whole.len() {
            let mut changed = whole.clone().into_bytes();
            changed[position] ^= 1;
            assert!(parse(&changed).is_err(), "changed at {position}");
        }
        let sealed = |lines: &str| {
            let file = format!("{FORMAT} {}\n{lines}", hex::encode(Sha256::digest(lines)));
            parse(file.as_bytes())
        };
        for line in [
            "",
            "{}",
            r#"{"id":"r","since":1,"by":"o","reason":""}"#,
            r#"{"id":"r","subject":7,"since":1,"by":"o","reason":""}"#,
            r#"{"id":"r","subject":"a","since":"1","by":"o","reason":""}"#,
            r#"{"id":"r","subject":"a","subject":"b","since":1,"by":"o","reason":""}"#,
            r#"{"id":"r","subject":"a","only_on_mondays":true,"since":1,"by":"o","reason":""}"#,
        ] {
            assert_eq!(sealed(&format!("{line}\n")), Err(ListError::Line { line: 2 }), "{line}");
        }
    }
}
