//! How decisions end, written once.
//!
//! Of a session that asks the same again and again, and is told the same, the records differ in the event and in the digest
//! of its bytes; all that follows (who asked, for what, what each policy said) is four fifths of a line, and of what it
//! costs to write one as JSON.

use std::sync::Arc;

use gatewright_model::{
    audit::{DecisionBeginning, DecisionRecord, Record},
    decision::Evaluation,
    event::{Event, Facet},
    id::SessionId,
    sql::{Effects, Grade},
};

use crate::line::{self, NotJson};

/// The fields of a record, as the log takes them.
#[derive(Debug)]
pub enum Fields<'a> {
    /// All of them.
    Record(&'a Record<'a>),
    /// Those of a decision that begins in its own way, and ends as another one did.
    Decision {
        /// The beginning.
        beginning: DecisionBeginning,
        /// The ending.
        ending: Arc<Ending>,
    },
}

/// The fields that a decision ends with, as they stand in its line.
#[derive(Debug)]
pub struct Ending {
    evaluation: Arc<Evaluation>,
    kind: &'static str,
    grade: Grade,
    effects: Option<Effects>,
    command: Box<str>,
    /// Without the bracket that opens the object.
    json: Box<[u8]>,
}

/// How the last decisions of one session ended.
#[derive(Debug, Default)]
pub struct Endings {
    session: Option<SessionId>,
    kept: Vec<Arc<Ending>>,
    /// The one that the next one takes the place of.
    oldest: usize,
}

/// So many are kept. Each of them is compared with what is to be written.
const KEPT: usize = 16;

/// A longer one is not kept, in bytes.
const KEPT_BYTES: usize = 2 << 10;

impl<'a> From<&'a Record<'a>> for Fields<'a> {
    fn from(record: &'a Record<'a>) -> Self {
        Self::Record(record)
    }
}

impl Fields<'_> {
    /// Writes them, as a JSON object.
    pub(crate) fn encode(&self, fields: &mut Vec<u8>) -> Result<(), NotJson> {
        match self {
            Self::Record(record) => line::encode_fields(record, fields),
            Self::Decision { beginning, ending } => {
                line::encode_fields(beginning, fields)?;
                fields.pop();
                fields.push(b',');
                fields.extend_from_slice(&ending.json);
                Ok(())
            }
        }
    }
}

impl Endings {
    /// The fields of a decision whose ending is known, or worth to be known. None: the record is to be written as it is.
    pub fn complete(&mut self, record: &DecisionRecord<'_>) -> Option<Fields<'static>> {
        if self.session != Some(record.session.id) {
            *self = Self { session: Some(record.session.id), ..Self::default() };
        }
        let known = self.kept.iter().find(|ending| ending.is_of(record)).map(Arc::clone);
        let ending = known.or_else(|| self.keep(record))?;
        Some(Fields::Decision { beginning: record.beginning(), ending })
    }

    /// Is there nothing to give back?
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The session is idle.
    pub fn rest(&mut self) {
        *self = Self::default();
    }

    fn keep(&mut self, record: &DecisionRecord<'_>) -> Option<Arc<Ending>> {
        // Nobody else keeps it: it was said for this event, and is not said again as the same value.
        if Arc::strong_count(record.evaluation) == 1 || record.event.summary().len() > KEPT_BYTES {
            return None;
        }
        let ending = Arc::new(Ending::new(record)?);
        if self.kept.len() < KEPT {
            self.kept.push(Arc::clone(&ending));
        } else if let Some(place) = self.kept.get_mut(self.oldest) {
            *place = Arc::clone(&ending);
            self.oldest = (self.oldest + 1) % KEPT;
        }
        Some(ending)
    }
}

impl Ending {
    fn new(record: &DecisionRecord<'_>) -> Option<Self> {
        let mut json = Vec::new();
        line::encode_fields(&record.ending(), &mut json).ok()?;
        let json: Box<[u8]> = json.strip_prefix(b"{").filter(|json| json.len() <= KEPT_BYTES)?.into();
        let event = record.event;
        Some(Self {
            evaluation: Arc::clone(record.evaluation),
            kind: event.kind(),
            grade: event.grade(),
            effects: effects(event),
            command: event.summary().into(),
            json,
        })
    }

    /// Would the record, of the same session, end the same? That is: is all the same that it is made of?
    fn is_of(&self, record: &DecisionRecord<'_>) -> bool {
        Arc::ptr_eq(&self.evaluation, record.evaluation)
            && self.kind == record.event.kind()
            && self.grade == record.event.grade()
            && self.effects == effects(record.event)
            && *self.command == *record.event.summary()
    }
}

fn effects(event: &Event) -> Option<Effects> {
    match &event.facet {
        Facet::Sql(sql) => Some(sql.analysis.effects()),
        Facet::Http(_) | Facet::Kubernetes(_) | Facet::Ssh(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use gatewright_model::{
        decision::{Block, Decision, Diagnostic, Mode, SetVersion},
        digest::Digest,
        event::SessionContext,
        id::EventId,
        principal::{Principal, PrincipalKind},
        sql::{Analysis, SqlEvent, SqlPhase, Statement},
    };
    use proptest::prelude::*;

    use super::*;

    fn session(number: u8) -> SessionContext {
        let principal = Principal {
            subject: format!("subject {number}").into(),
            issuer: "https://id.example".into(),
            kind: PrincipalKind::Human,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
            credential: "c1".into(),
            issued_at: None,
            expires_at: None,
        };
        SessionContext {
            id: SessionId::from_random([number; 16]),
            protocol: "postgres",
            listener: "postgres".into(),
            target: "demo".into(),
            account: "app".into(),
            attributes: Vec::new(),
            client: ([127, 0, 0, 1], 40_000).into(),
            principal: Arc::new(principal),
            opened_at: SystemTime::UNIX_EPOCH,
        }
    }

    /// All that an event may differ in, with few values of each.
    fn events() -> impl Strategy<Value = Event> {
        let phase = prop_oneof![Just(SqlPhase::Query), Just(SqlPhase::Parse), Just(SqlPhase::Execute)];
        let grade = prop_oneof![Just(Grade::Verified), Just(Grade::Opaque)];
        let command =
            prop_oneof!["select [a-p]", Just("select '\u{202e}\"'".to_owned()), Just("x".repeat(3000))];
        (0..4_u8, phase, grade, any::<bool>(), command).prop_map(
            |(payload, phase, grade, write, command)| {
                let effects = Effects { read: true, write, ..Effects::default() };
                let analysis = Analysis {
                    text: "".into(),
                    normalised: command.into(),
                    fingerprint: "".into(),
                    grade,
                    grade_reason: None,
                    statements: [Statement { effects, ..Statement::default() }].into(),
                };
                let facet =
                    Facet::Sql(SqlEvent { phase, analysis: Arc::new(analysis), parameters: Vec::new() });
                Event { id: EventId::FIRST, payload: Digest::new([payload; 32]), facet }
            },
        )
    }

    fn evaluations() -> [Arc<Evaluation>; 3] {
        let diagnostic = Diagnostic {
            policy: "p".into(),
            module: Digest::new([3; 32]),
            mode: Mode::Protect,
            decision: "allow",
            rule: None,
            failure: None,
        };
        let block = Block { code: "c".into(), rule: "r".into(), reason: "".into(), remedy: "".into() };
        [(Decision::Allow, 1), (Decision::Allow, 2), (Decision::Block(block), 1)].map(
            |(decision, number)| {
                Arc::new(Evaluation {
                    decision,
                    recorded: false,
                    diagnostics: vec![diagnostic.clone()],
                    set: SetVersion { number, digest: Digest::new([4; 32]) },
                })
            },
        )
    }

    fn encoded(fields: &Fields<'_>) -> String {
        let mut json = Vec::new();
        fields.encode(&mut json).unwrap();
        String::from_utf8(json).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_was_written_before_each_record_is_as_if_it_was_the_first(
            asked in prop::collection::vec((events(), 0..3_usize, 1..3_u8), 1..60),
            again in prop::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let evaluations = evaluations();
            let sessions = [session(0), session(1), session(2)];
            let mut endings = Endings::default();
            for (event, evaluation, number) in again.iter().map(|index| index.get(&asked)) {
                let (session, evaluation) = (&sessions[usize::from(*number)], &evaluations[*evaluation]);
                // It stays the same evaluation for as long as somebody says it again.
                let _said_again = Arc::clone(evaluation);
                let record = DecisionRecord { session, event, evaluation };
                let whole = encoded(&(&Record::Decision(record)).into());
                match endings.complete(&record) {
                    Some(fields) => prop_assert_eq!(encoded(&fields), whole),
                    None => prop_assert!(whole.len() > KEPT_BYTES),
                }
                prop_assert!(endings.kept.len() <= KEPT);
            }
        }
    }

    #[test]
    fn what_is_said_once_is_not_kept() {
        let (session, [evaluation, ..]) = (session(1), evaluations());
        let facet = Facet::Sql(SqlEvent {
            phase: SqlPhase::Query,
            analysis: Arc::new(Analysis {
                text: "".into(),
                normalised: "select $1".into(),
                fingerprint: "".into(),
                grade: Grade::Verified,
                grade_reason: None,
                statements: Arc::default(),
            }),
            parameters: Vec::new(),
        });
        let event = Event { id: EventId::FIRST, payload: Digest::new([1; 32]), facet };
        let record = DecisionRecord { session: &session, event: &event, evaluation: &evaluation };
        let mut endings = Endings::default();
        assert!(endings.complete(&record).is_none());
        let _said_again = Arc::clone(&evaluation);
        assert!(endings.complete(&record).is_some());
        assert_eq!(endings.kept.len(), 1);
        endings.rest();
        assert!(endings.is_empty());
    }
}
