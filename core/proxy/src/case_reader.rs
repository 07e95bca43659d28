//! Turns the SQL of a policy's test case into the events that a client's messages would give.
//!
//! It is here because the decision point must not know a protocol, and it uses the analyser that live
//! statements go through, so that a case proves what will happen.

use std::sync::Arc;

use gatewright_model::{
    digest::Digest,
    event::{Event, Facet},
    id::EventId,
    sql::{Analysis, Parameter, SqlEvent, SqlPhase},
};
use gatewright_policy::{CaseReader, CaseRequest};
use gatewright_sql::{Analyser, AnalyserLimits};
use sha2::{Digest as _, Sha256};

/// Reads cases of SQL policies.
#[derive(Debug)]
pub struct SqlCaseReader {
    analyser: Arc<Analyser>,
}

impl SqlCaseReader {
    /// Reads with this analyser: live traffic's, so that what it remembers serves both.
    pub fn new(analyser: Arc<Analyser>) -> Self {
        Self { analyser }
    }
}

impl Default for SqlCaseReader {
    fn default() -> Self {
        Self::new(Arc::new(Analyser::new(AnalyserLimits::default())))
    }
}

impl CaseReader for SqlCaseReader {
    fn read(&self, request: &CaseRequest) -> Result<Vec<Event>, String> {
        if request.sql.contains('\0') {
            return Err(
                "the text holds a zero byte, which ends a string in PostgreSQL's protocol".to_owned()
            );
        }
        let analysis = self.analyser.analyse(&request.sql);
        let event = |id, phase, parameters| event(id, phase, &analysis, parameters);
        Ok(match &request.parameters {
            None => vec![event(EventId::FIRST, SqlPhase::Query, Vec::new())],
            Some(values) => {
                let values = values.iter().map(|value| Parameter::Text(value.as_str().into())).collect();
                vec![
                    event(EventId::FIRST, SqlPhase::Parse, Vec::new()),
                    event(EventId::FIRST.next(), SqlPhase::Execute, values),
                ]
            }
        })
    }
}

fn event(id: EventId, phase: SqlPhase, analysis: &Arc<Analysis>, parameters: Vec<Parameter>) -> Event {
    Event {
        id,
        // No message is sent: the text stands for it.
        payload: Digest::new(Sha256::digest(&*analysis.text).into()),
        facet: Facet::Sql(SqlEvent { phase, analysis: analysis.clone(), parameters }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str, parameters: Option<Vec<String>>) -> Result<Vec<&'static str>, String> {
        let request = CaseRequest { sql: sql.to_owned(), parameters };
        let events = SqlCaseReader::default().read(&request)?;
        Ok(events.iter().map(Event::kind).collect())
    }

    #[test]
    fn a_text_is_a_simple_query() {
        assert_eq!(kinds("delete from people", None).unwrap(), ["sql.query"]);
    }

    #[test]
    fn a_text_with_parameters_is_prepared_and_executed() {
        let parameters = Some(vec!["1".to_owned()]);
        assert_eq!(
            kinds("delete from people where id = $1", parameters).unwrap(),
            ["sql.parse", "sql.execute"]
        );
    }

    #[test]
    fn what_no_client_can_send_is_an_error() {
        assert!(kinds("select '\0'", None).unwrap_err().contains("zero byte"));
    }
}
