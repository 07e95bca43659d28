//! Functions of somebody's own that are known to be harmless (A16).

use gatewright_model::sql::{Analysis, FunctionClass};
use gatewright_sql::{Analyser, AnalyserLimits, Harmless, NotQualified, QualifiedName};

fn read(text: &str) -> std::sync::Arc<Analysis> {
    let names = ["app.full_name", "App.Odd Name", "app.Upper"];
    let harmless: Harmless = names.iter().map(|name| name.parse::<QualifiedName>().unwrap()).collect();
    Analyser::with_harmless(AnalyserLimits::default(), harmless).analyse(text)
}

#[test]
fn a_call_that_names_the_schema_is_a_read() {
    for text in [
        "select app.full_name(first, last) from people",
        "select APP.Full_Name(first, last) from people",
        "select \"App\".\"Odd Name\"()",
        "with x as (select app.full_name('a', 'b') as n) select n from x",
        "prepare p as select app.full_name($1, $2)",
        "explain select app.full_name('a', 'b')",
        "select * from app.full_name('a', 'b')",
    ] {
        let analysis = read(text);
        assert!(
            !analysis.effects().write && !analysis.effects().dynamic,
            "{text}: {:?}",
            analysis.statements
        );
    }
    let analysis = read("select app.full_name(first, last) from people");
    let statement = &analysis.statements[0];
    assert_eq!(statement.functions[0].class, FunctionClass::Harmless);
    assert_eq!(format!("{:?}", statement.outputs.as_ref().unwrap()).matches("Computed").count(), 1);
}

/// Anybody may make a function of that name elsewhere, or write the name in another way.
#[test]
fn a016_no_other_function_is_taken_for_one_that_is_harmless() {
    for text in [
        "select full_name(first, last) from people",
        "select evil.full_name(first, last) from people",
        "select \"App\".full_name('a', 'b')",
        "select app.\"Full_Name\"('a', 'b')",
        "select app.upper('a')",
        "select app.full_names()",
        "select app.full_name('a', app.change_all())",
        "select p.full_name from people p",
        "select (p).full_name from people p",
        "call app.full_name()",
        "select app.full_name('a', 'b'), lo_unlink(1)",
    ] {
        let analysis = read(text);
        let effects = analysis.effects();
        let is_named = analysis.statements.iter().flat_map(|statement| &statement.functions);
        let harmless = is_named.filter(|function| function.class == FunctionClass::Harmless);
        let is_column = text.contains("(p)") || text.contains(" p.");
        assert!(effects.write || effects.dynamic || is_column, "{text}: {effects:?}");
        assert!(!is_column || harmless.count() == 0, "{text}");
    }
    // A whole row is more than an argument: what it gives is not known.
    let analysis = read("select app.full_name(p) from people p");
    assert!(
        format!("{:?}", analysis.statements[0].outputs).contains("Unknown"),
        "{:?}",
        analysis.statements
    );
}

#[test]
fn a_name_has_a_schema_and_a_name() {
    for text in ["full_name", "a.b.c", ".x", "x.", "", "."] {
        assert_eq!(text.parse::<QualifiedName>(), Err(NotQualified), "{text}");
    }
    assert_eq!("app.full_name".parse::<QualifiedName>().unwrap().to_string(), "app.full_name");
}
