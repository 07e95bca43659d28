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

use gatewright_testbed::{Error, Result, repository};

const ROWS: &str = "tests/attacks/threats.tsv";
const TABLE: &str = "docs/threats.md";

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
        _ => Err(Error::new("`cargo xtask threats` takes --check or nothing")),
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

struct Row<'a> {
    id: &'a str,
    class: &'a str,
    open: &'a str,
}

fn table() -> Result<String> {
    let text = read(&repository().join(ROWS))?;
    let tests = tests()?;
    let mut held = 0;
    let mut body = String::new();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(row) = row(line) else {
            return Err(Error::new(format!(
                "{ROWS} has a line that is not `row, class, why it is open`: {line}"
            )));
        };
        rows.push(row);
    }
    for row in &rows {
        let state = match (tests.get(row.id), row.open) {
            (Some(names), open) => {
                held += 1;
                let mut cell: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                if open.starts_with("partly") {
                    cell.push(open.to_owned());
                }
                cell.join("<br>")
            }
            (None, "") => {
                return Err(Error::new(format!(
                    "{} has no test, and {ROWS} does not say why it is open",
                    row.id
                ))
                .remedy(
                    "name a test after it, like `a012_...`, or say in the third column why it is open",
                ));
            }
            (None, open) => format!("open: {open}"),
        };
        body.push_str(&format!("| {} | {} | {state} |\n", row.id, row.class));
    }
    if let Some(stray) = tests.keys().find(|id| !rows.iter().any(|row| row.id == id.as_str())) {
        return Err(Error::new(format!("a test is named for the row {stray}, which {ROWS} does not have")));
    }
    Ok(format!("{HEAD}\n{held} of {} rows have a test.\n\n{COLUMNS}{body}", rows.len()))
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut columns = line.split('\t');
    let row = Row { id: columns.next()?, class: columns.next()?, open: columns.next().unwrap_or("") };
    (columns.next().is_none() && !row.id.is_empty() && !row.class.is_empty()).then_some(row)
}

/// Every test that carries a row in its name, by row.
fn tests() -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in ["core", "protocols", "tests", "plugin-sdk", "plugins"] {
        for file in rust_files(&repository().join(part))? {
            let text = read(&file)?;
            let shown = file.strip_prefix(repository()).unwrap_or(&file).display().to_string();
            for name in text.lines().filter_map(test_name) {
                if let Some(id) = row_of(name) {
                    found.entry(id).or_default().push(format!("{shown}: {name}"));
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

Written by `cargo xtask threats` from `tests/attacks/threats.tsv` and the names of the tests; CI runs every test
named here on every change, and fails when this page is out of date. A row that is open says why.
";

const COLUMNS: &str = "| Row | What | Held by |\n| --- | --- | --- |\n";

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
    fn a_row_has_two_or_three_columns() {
        assert!(row("A1\tPlaintext before TLS").is_some());
        assert!(row("A1\tPlaintext before TLS\tbecause").is_some());
        assert!(row("A1").is_none());
        assert!(row("A1\tx\ty\tz").is_none());
    }
}
