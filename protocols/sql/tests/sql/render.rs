//! An analysis in one line for each statement, and the check that compares it.

use std::fmt::Write as _;

use expect_test::Expect;
use gatewright_model::sql::{Access, Analysis, Column, Grade, Output, Statement};
use gatewright_sql::{Analyser, AnalyserLimits};

/// Analyses and compares. A line: kind, effects, relations (`r`ead, `w`rite, `d`efine), functions,
/// whether WHERE is there.
pub(crate) fn check(text: &str, expected: Expect) {
    expected.assert_eq(&lines(text, summary));
}

/// The same for where the columns of the answer come from.
pub(crate) fn check_outputs(text: &str, expected: Expect) {
    expected.assert_eq(&lines(text, outputs));
}

/// The same for the columns that are named.
pub(crate) fn check_columns(text: &str, expected: Expect) {
    expected.assert_eq(&lines(text, |statement| columns(&statement.columns)));
}

/// The same for the columns that only get a value, or are returned as they stand.
pub(crate) fn check_passive(text: &str, expected: Expect) {
    expected.assert_eq(&lines(text, |statement| columns(&statement.passive)));
}

pub(crate) fn analyse(text: &str) -> Analysis {
    let analysis = Analyser::new(AnalyserLimits::default()).analyse(text);
    (*analysis).clone()
}

fn lines(text: &str, line: impl Fn(&Statement) -> String) -> String {
    let analysis = analyse(text);
    let mut lines: Vec<String> = analysis.statements.iter().map(line).collect();
    if analysis.grade != Grade::Verified {
        lines.insert(
            0,
            format!("{}: {}", analysis.grade.as_str(), analysis.grade_reason.as_deref().unwrap_or("?")),
        );
    }
    lines.join("\n")
}

fn summary(statement: &Statement) -> String {
    let effects: Vec<&str> =
        statement.effects.each().into_iter().filter(|(_, on)| *on).map(|(word, _)| word).collect();
    let kinds: Vec<&str> = statement.kinds().collect();
    let mut line = format!("{} [{}]", kinds.join("+"), effects.join(" "));
    for relation in &statement.relations {
        let schema = relation.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        let access = match relation.access {
            Access::Read => "r",
            Access::Write => "w",
            Access::Define => "d",
        };
        let _ = write!(line, " {schema}{}:{access}", relation.name);
    }
    for function in &statement.functions {
        let schema = function.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        let _ = write!(line, " {schema}{}()={}", function.name, function.class.as_str());
    }
    match statement.has_where {
        Some(true) => line.push_str(" where"),
        Some(false) => line.push_str(" no-where"),
        None => {}
    }
    line
}

fn outputs(statement: &Statement) -> String {
    let Some(outputs) = &statement.outputs else { return "none".to_owned() };
    let words: Vec<String> = outputs
        .iter()
        .map(|output| match output {
            Output::Direct => "direct".to_owned(),
            Output::Computed(from) => format!("computed({})", columns(from)),
            Output::United { plain, computed: None } => format!("one of({})", columns(plain)),
            Output::United { plain, computed: Some(others) } => {
                format!("one of({}) or computed({})", columns(plain), columns(others))
            }
            Output::Unknown => "unknown".to_owned(),
        })
        .collect();
    words.join(", ")
}

fn columns(columns: &[Column]) -> String {
    let words: Vec<String> = columns
        .iter()
        .map(|column| format!("{}.{}", column.relation.as_deref().unwrap_or("?"), column.name))
        .collect();
    words.join(" ")
}

/// The same for the columns by which rows are chosen.
pub(crate) fn check_conditions(text: &str, expected: Expect) {
    expected.assert_eq(&lines(text, |statement| columns(&statement.conditions)));
}
