//! Texts that differ in literals only share a reading: and no text gets the reading of one that means
//! something else.

use std::sync::Arc;

use gatewright_model::sql::Analysis;
use gatewright_sql::{Analyser, AnalyserLimits};

use crate::corpus;

/// Reads the second text after the first: is it the reading of the first?
fn shares(first: &str, second: &str) -> bool {
    let analyser = Analyser::new(AnalyserLimits::default());
    let (first, second) = (analyser.analyse(first), analyser.analyse(second));
    is_as_read_anew(&second);
    !first.statements.is_empty() && Arc::ptr_eq(&first.statements, &second.statements)
}

/// However it was found: it is what somebody who never read anything finds.
fn is_as_read_anew(analysis: &Analysis) {
    let forgetful = Analyser::new(AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() });
    assert_eq!(*analysis, *forgetful.analyse(&analysis.text));
}

#[test]
fn values_are_no_part_of_what_a_text_means() {
    for (first, second) in [
        (
            "select abalance from pgbench_accounts where aid = 1;",
            "select abalance from pgbench_accounts where aid = 987654321;",
        ),
        ("select 'a', 1", "select 'it''s -- no /* comment */ $$', 000"),
        ("select -5, - 5, 2-1, a-1 from t", "select -6, - 77, 3-0, a-2 from t"),
        (
            "insert into t (a, b) values (1, 'x'), (2, '')",
            "insert into t (a, b) values (3, 'yyy'), (44, ';')",
        ),
        ("update t set a = a + -10 where b = 'x'", "update t set a = a + -99 where b = ''"),
        (
            "delete from t where id in (1,2,3) and day < date '2020-01-01'",
            "delete from t where id in (4,5,6) and day < date 'never'",
        ),
        ("select \"Odd 1\" from t limit 5 offset 3", "select \"Odd 1\" from t limit 50 offset 0"),
        (
            "select a::varchar(10), interval '1' day from t order by 1",
            "select a::varchar(20), interval '2' day from t order by 2",
        ),
        ("select 1; select 2", "select 3; select 4"),
        (
            "select f(1), g('é') from s.t as u where u.x between 1 and 2",
            "select f(2), g('ü') from s.t as u where u.x between 7 and 9",
        ),
    ] {
        assert!(shares(first, second), "{first}");
    }
}

#[test]
fn what_may_change_the_meaning_is_read_anew() {
    for (first, second) in [
        // The first is a comment's end away from the second.
        ("select 1 -- '\n, '2", "select 1 -- '\n, '2'"),
        ("select '/*', 1, '*/'", "select /*', 1, '*/ 1"),
        // A prefix decides what a backslash and a quote mean.
        ("select E'a', 1", "select E'\\', 1 --'"),
        ("select e'x'", "select e'y'"),
        ("select U&'d!0061' uescape '!'", "select U&'d!0061' uescape '?'"),
        ("select b'1'", "select b'2'"),
        ("select $$ ' $$, 1, 'x'", "select $$ ' $$, 1, 'y'"),
        ("select $1, 1", "select $1, 2"),
        ("select .$a$ '1' $a$", "select .$a$ '2' $a$"),
        // The first literal continues in the second.
        ("select 'a'\n'b'", "select 'c'\n'd'"),
        // Other tokens than a small whole number.
        ("select 1", "select 1e5"),
        ("select 1", "select 9999999999"),
        ("select 1", "select 1.0"),
        ("select 1", "select 0x1f"),
        ("select 1", "select 1_000"),
        ("select 1", "select 1a"),
        ("select t1.a from t1", "select t2.a from t2"),
        // The value is what the statement does.
        ("select set_config('work_mem', '1', false)", "select set_config('role', 'postgres', false)"),
        (
            "select set_config('work_mem', '1', false)",
            "select set_config('standard_conforming_strings', 'off', false)",
        ),
        ("set standard_conforming_strings = 'on'", "set standard_conforming_strings = 'off'"),
        ("set x.y = '1'", "set x.y = '2'"),
        ("do 'begin end'", "do 'begin delete from t; end'"),
        ("select a::float(24) from t", "select a::float(53) from t"),
        ("copy t from '/a'", "copy t from '/b'"),
        ("select 1; set x.y = '1'", "select 1; set x.y = '2'"),
        // Texts that are read by nobody.
        ("select 1 1", "select 1 2"),
        ("select 'open", "select 'opened"),
    ] {
        assert!(!shares(first, second), "{first:?} and {second:?} share a reading");
        assert!(!shares(second, first), "{second:?} and {first:?} share a reading");
    }
}

#[test]
fn a_text_that_is_too_long_has_no_known_shape() {
    let limits = AnalyserLimits { max_text: 40, ..AnalyserLimits::default() };
    let analyser = Analyser::new(limits);
    analyser.analyse("select 'short'");
    let long = analyser.analyse(&format!("select '{}'", "x".repeat(50)));
    assert!(long.statements.is_empty(), "{:?}", long.grade);
}

/// All statements of the corpus, with other values in them, are what they would be read anew.
#[test]
fn other_values_in_every_statement_of_the_corpus() {
    let analyser = Analyser::new(AnalyserLimits::default());
    let texts = corpus::statements();
    texts.iter().for_each(|text| drop(analyser.analyse(text)));
    let mut shared = 0;
    for text in &texts {
        let before = analyser.analyse(text);
        for other in other_values(text) {
            let analysis = analyser.analyse(&other);
            is_as_read_anew(&analysis);
            let is_shared = Arc::ptr_eq(&before.statements, &analysis.statements);
            shared += usize::from(other != *text && is_shared && !before.statements.is_empty());
        }
    }
    assert!(shared > 100, "only {shared} readings were shared: this test tests nothing");
}

/// Each run of digits is another number, or each text between quotes another text. No care is taken where
/// they stand.
fn other_values(text: &str) -> [String; 3] {
    let digits = |from: char, to: &str| {
        let mut other = String::new();
        for letter in text.chars() {
            if letter == from { other.push_str(to) } else { other.push(letter) }
        }
        other
    };
    let pieces: Vec<&str> = text.split('\'').collect();
    let quoted = pieces.iter().enumerate().map(|(number, piece)| match number % 2 {
        1 if !piece.is_empty() && number + 1 < pieces.len() => "off; -- \"$$ /*",
        _ => piece,
    });
    [digits('1', "2"), digits('2', "77777777"), quoted.collect::<Vec<_>>().join("'")]
}
