//! SQL: a simple query, or a statement that is prepared and run.

use std::sync::Arc;

use gatewright_model::{
    digest::Digest,
    event::{Event, Facet},
    id::EventId,
    sql::{Analysis, Parameter, SqlEvent, SqlPhase},
};
use gatewright_policy::SqlCase;
use gatewright_sql::Analyser;
use sha2::{Digest as _, Sha256};

pub(super) fn read(analyser: &Analyser, case: &SqlCase) -> Result<Vec<Event>, String> {
    if case.text.contains('\0') {
        return Err("the text holds a zero byte, which ends a string in PostgreSQL's protocol".to_owned());
    }
    let analysis = analyser.analyse(&case.text);
    let event = |id, phase, parameters| event(id, phase, &analysis, parameters);
    Ok(match &case.parameters {
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
    use gatewright_sql::AnalyserLimits;

    use super::*;

    fn kinds(sql: &str, parameters: Option<Vec<String>>) -> Result<Vec<&'static str>, String> {
        let case = SqlCase { text: sql.to_owned(), parameters };
        let events = read(&Analyser::new(AnalyserLimits::default()), &case)?;
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
