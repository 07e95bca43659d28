//! `docs/threats.md`: each row of the threat table, and which tests hold it.
//!
//! The rows are in `tests/attacks/threats.tsv`. A test belongs to a row by its name: `a012_...` holds A12,
//! `f005_...` holds F5. A row without a test says why it is open; a row with neither is an error. A row that its
//! tests hold only in part says so in the same place, beginning with `partly`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gatewright_testbed::{Error, Result, repository, target_directory};

const ROWS: &str = "tests/attacks/threats.tsv";
const TABLE: &str = "docs/threats.md";

/// Where nextest reports what the last run said, below the target directory.
const REPORT: &str = "nextest/default/junit.xml";

/// Writes the table, or checks that it is up to date.
///
/// # Errors
/// Where a row has neither test nor reason, or the table that is there is not the one that would be written.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => {
            let path = repository().join(TABLE);
            write(&path, &table()?)?;
            println!("  wrote {TABLE}");
            Ok(())
        }
        [flag] if flag == "--check" => check(),
        [flag] if flag == "--results" => results(),
        _ => Err(Error::new("`cargo xtask threats` takes --check, --results or nothing")),
    }
}

/// Checks that the table is up to date.
///
/// # Errors
/// As [`run`].
pub(crate) fn check() -> Result<()> {
    let there = fs::read_to_string(repository().join(TABLE)).unwrap_or_default();
    if there == table()? {
        return Ok(());
    }
    Err(Error::new(format!("{TABLE} is not what the tests say")).remedy("run `cargo xtask threats`"))
}

/// Prints each row with what its tests said when they last ran here.
///
/// # Errors
/// Where they did not run, or one of them failed.
fn results() -> Result<()> {
    let report = target_directory().join(REPORT);
    let report = read(&report).map_err(|error| error.remedy("run `cargo nextest run --workspace`"))?;
    let results = results_of(&report);
    let rows = read(&repository().join(ROWS))?;
    let tests = tests()?;
    let mut failed = 0;
    for row in rows.lines().filter_map(row) {
        let own = tests.get(row.id).map(Vec::as_slice).unwrap_or_default();
        let with = |result| own.iter().filter(|test| results.get(test.name.as_str()) == result).count();
        let (good, bad, none) = (with(Some(&true)), with(Some(&false)), with(None));
        failed += bad;
        let counts = [(good, "passed"), (bad, "FAILED"), (none, "not run")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        let counts = if own.is_empty() { "open".to_owned() } else { counts.join(", ") };
        println!("{:<5} {:<60} {counts}", row.id, row.class);
    }
    if failed == 0 { Ok(()) } else { Err(Error::new(format!("{failed} tests of rows failed"))) }
}

/// Whether each test passed, by its own name without its module; of two with the same name, whether both did.
/// The report is nextest's, of which the tags and their order are known: this is no reader of XML.
fn results_of(report: &str) -> BTreeMap<&str, bool> {
    let mut results = BTreeMap::new();
    for case in report.split("<testcase ").skip(1) {
        let Some((name, _)) = case.split_once("name=\"").and_then(|(_, rest)| rest.split_once('"')) else {
            continue;
        };
        let name = name.rsplit("::").next().unwrap_or(name);
        let passed = !case.contains("<failure") && !case.contains("<error");
        results.entry(name).and_modify(|all| *all &= passed).or_insert(passed);
    }
    results
}

struct Row<'a> {
    id: &'a str,
    class: &'a str,
    open: &'a str,
}

fn table() -> Result<String> {
    let text = read(&repository().join(ROWS))?;
    let tests = tests()?;
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(row) = row(line) else {
            return Err(Error::new(format!(
                "{ROWS} has a line that is not `row, class, why it is open`: {line}"
            )));
        };
        rows.push(row);
    }
    if let Some(stray) = tests.keys().find(|id| !rows.iter().any(|row| row.id == id.as_str())) {
        return Err(Error::new(format!("a test is named for the row {stray}, which {ROWS} does not have")));
    }
    let mut page = HEAD.to_owned();
    for (letter, title) in [('A', "Attacks"), ('F', "Faults")] {
        let own = || rows.iter().filter(|row| row.id.starts_with(letter));
        let mut body = String::new();
        let mut counts = BTreeMap::from([("tested", 0), ("partly", 0), ("open", 0)]);
        for row in own() {
            let names = tests.get(row.id).map(Vec::as_slice).unwrap_or_default();
            let (word, status) = status(row, names)?;
            *counts.entry(word).or_default() += 1;
            let names: Vec<String> = names.iter().map(Test::link).collect();
            body.push_str(&format!("| {} | {} | {status} | {} |\n", row.id, row.class, names.join("<br>")));
        }
        let count = |word| counts.get(word).copied().unwrap_or_default();
        page.push_str(&format!(
            "\n## {title}\n\nOf {} rows, {} are tested, {} in part, {} are open.\n\n{COLUMNS}{body}",
            own().count(),
            count("tested"),
            count("partly"),
            count("open"),
        ));
    }
    Ok(page)
}

/// Where a row stands: in one word, and as the table says it.
fn status(row: &Row<'_>, tests: &[Test]) -> Result<(&'static str, String)> {
    match (tests, row.open) {
        ([], "") => {
            Err(Error::new(format!("{} has no test, and {ROWS} does not say why it is open", row.id))
                .remedy("name a test after it, like `a012_...`, or say in the third column why it is open"))
        }
        ([], open) => Ok(("open", format!("**open**: {open}"))),
        (_, open) => match open.strip_prefix("partly: ") {
            Some(rest) => Ok(("partly", format!("**partly**: {rest}"))),
            None => Ok(("tested", "tested".to_owned())),
        },
    }
}

/// A test that carries a row in its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    file: String,
    name: String,
}

impl Test {
    /// What it says, without its row, as a link to where it stands.
    fn link(&self) -> String {
        let says = self.name.split_once('_').map_or(self.name.as_str(), |(_, says)| says);
        format!("[{}](../{})", says.replace('_', " "), self.file)
    }
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut columns = line.split('\t');
    let row = Row { id: columns.next()?, class: columns.next()?, open: columns.next().unwrap_or("") };
    (columns.next().is_none() && !row.id.is_empty() && !row.class.is_empty()).then_some(row)
}

/// Every test that carries a row in its name, by row.
fn tests() -> Result<BTreeMap<String, Vec<Test>>> {
    let mut found: BTreeMap<String, Vec<Test>> = BTreeMap::new();
    for part in ["core", "protocols", "tests", "plugin-sdk", "plugins"] {
        for file in rust_files(&repository().join(part))? {
            let text = read(&file)?;
            let shown = file.strip_prefix(repository()).unwrap_or(&file).display().to_string();
            for name in text.lines().filter_map(test_name) {
                if let Some(id) = row_of(name) {
                    let test = Test { file: shown.clone(), name: name.to_owned() };
                    found.entry(id).or_default().push(test);
                }
            }
        }
    }
    for names in found.values_mut() {
        names.sort();
    }
    Ok(found)
}

/// `    async fn a012_x() {` gives `a012_x`.
fn test_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = line.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// `a012_x` gives `A12`.
fn row_of(name: &str) -> Option<String> {
    let (head, _) = name.split_once('_')?;
    let (letter, digits) = head.split_at_checked(1)?;
    let letter = match letter {
        "a" => 'A',
        "f" => 'F',
        _ => return None,
    };
    (digits.len() == 3).then_some(())?;
    digits.parse::<u32>().ok().map(|number| format!("{letter}{number}"))
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() {
                if !path.ends_with("target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::new(format!("reading {}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Error::new(format!("writing {}: {error}", path.display())))
}

const HEAD: &str = "# Threats and faults, and the tests that hold them

Written by `cargo xtask threats` from `tests/attacks/threats.tsv` and the names of the tests. A row is *tested* when
tests carry it in their name; *partly*, when they hold a part of it, and it says which part is missing; *open*, when
there is none, and it says why.

Each test is named by the sentence that it holds, behind its row: `a009_a_session_ends_when_its_token_expires`. To run
the tests of a row: `cargo nextest run --workspace a009_`. CI runs all of them on every change and fails when one does,
or when this page is out of date: the last result of a row is that of the commit. It is not written here, where nobody
could tell whether it was still true; `cargo xtask threats --results` prints it for the last run on a machine.
";

const COLUMNS: &str = "| Row | What | Status | Tests |\n| --- | --- | --- | --- |\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_names_its_row() {
        assert_eq!(test_name("    async fn a012_lexer() {").and_then(row_of), Some("A12".to_owned()));
        assert_eq!(test_name("fn f005_kill() {").and_then(row_of), Some("F5".to_owned()));
        assert_eq!(test_name("fn a100_reading() {").and_then(row_of), Some("A100".to_owned()));
        assert_eq!(test_name("fn add_one() {").and_then(row_of), None);
        assert_eq!(test_name("let a012_x = 1;").and_then(row_of), None);
    }

    #[test]
    fn results_are_those_of_the_last_run() {
        let report = r#"<testsuites><testsuite name="x">
            <testcase name="tests::a001_good" classname="x" time="0.1">
            </testcase>
            <testcase name="a002_bad" classname="x" time="0.1"><failure type="test failure">said</failure></testcase>
            <testcase name="a003_twice" classname="x"></testcase>
            <testcase name="a003_twice" classname="y"><failure/></testcase>
            </testsuite></testsuites>"#;
        let results = results_of(report);
        assert_eq!(
            results.into_iter().collect::<Vec<_>>(),
            [("a001_good", true), ("a002_bad", false), ("a003_twice", false)]
        );
    }

    #[test]
    fn a_row_says_where_it_stands() {
        let test = Test { file: "tests/x.rs".to_owned(), name: "a012_a_lexer_is_not_fooled".to_owned() };
        assert_eq!(test.link(), "[a lexer is not fooled](../tests/x.rs)");
        let stands = |open, tests: &[Test]| status(&Row { id: "A12", class: "Lexer", open }, tests);
        assert_eq!(stands("no test yet", std::slice::from_ref(&test)).unwrap().1, "tested");
        assert_eq!(stands("partly: not at night", &[test]).unwrap().1, "**partly**: not at night");
        assert_eq!(stands("no test yet", &[]).unwrap(), ("open", "**open**: no test yet".to_owned()));
        assert!(stands("", &[]).is_err());
    }

    #[test]
    fn a_row_has_two_or_three_columns() {
        assert!(row("A1\tPlaintext before TLS").is_some());
        assert!(row("A1\tPlaintext before TLS\tbecause").is_some());
        assert!(row("A1").is_none());
        assert!(row("A1\tx\ty\tz").is_none());
    }
}
