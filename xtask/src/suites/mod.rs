//! `cargo xtask suites`: the tests that drivers have of themselves, once against a server and once through the gateway.
//!
//! Nobody here wrote them, so they ask what nobody here thought of. A test that passes at the server and not through
//! the gateway shows where a driver can tell the two apart. The policy allows everything; what is refused all the same is
//! the gateway's own doing.

mod report;
mod server;
mod sqlalchemy;
mod tokio_postgres;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gatewright_testbed::{Error, Result, target_directory};

use self::report::Report;
use crate::{modules, run, setup};

/// The tests of a driver.
struct Suite {
    /// What it is called on the command line.
    name: &'static str,
    /// What it is called in the page.
    title: &'static str,
    /// Only with `--all`.
    long: bool,
    run: fn() -> Result<Ran>,
    known: &'static [Known],
}

/// A test that is known to differ.
struct Known {
    test: &'static str,
    /// `by design: ...` where the gateway is meant to differ, and `open: ...` where it should not.
    why: &'static str,
}

/// What came of a suite.
struct Ran {
    version: String,
    direct: Outcomes,
    through: Outcomes,
}

type Outcomes = BTreeMap<String, Outcome>;

/// Ordered so that the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Pass,
    Skip,
    Fail,
}

const SUITES: [Suite; 3] = [
    Suite {
        name: "tokio-postgres",
        title: "tokio-postgres",
        long: false,
        run: tokio_postgres::run,
        known: tokio_postgres::KNOWN,
    },
    Suite {
        name: "sqlalchemy",
        title: "SQLAlchemy, its dialect of PostgreSQL",
        long: false,
        run: sqlalchemy::run_dialect,
        known: sqlalchemy::KNOWN_OF_DIALECT,
    },
    Suite {
        name: "sqlalchemy",
        title: "SQLAlchemy, all else that asks a server",
        long: true,
        run: sqlalchemy::run_rest,
        known: sqlalchemy::KNOWN_OF_REST,
    },
];

/// Runs the suites that are named, or all of them, and writes the page that says how it went.
///
/// # Errors
/// Where a suite can not be had or run, or a test differs and nobody has said why.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let suites = chosen(arguments)?;
    setup::run(setup::Purpose::Test)?;
    modules::build()?;
    run::step(&mut run::cargo(&["build", "--quiet", "--workspace"]))?;
    let mut report = Report::new(server::version()?);
    for suite in suites {
        report.add(suite, &(suite.run)()?)?;
    }
    print!("{}", report.text());
    report.write_page()?;
    report.verdict()
}

fn chosen(arguments: &[String]) -> Result<Vec<&'static Suite>> {
    let all = arguments.iter().any(|argument| argument == "--all");
    let names: Vec<&String> = arguments.iter().filter(|argument| *argument != "--all").collect();
    if let Some(other) = names.iter().find(|name| !SUITES.iter().any(|suite| suite.name == name.as_str())) {
        return Err(Error::new(format!("`{other}` is no suite")).remedy(
            "name some of tokio-postgres and sqlalchemy, or none for both; --all for all of SQLAlchemy's",
        ));
    }
    let named = |suite: &&Suite| names.is_empty() || names.iter().any(|name| *name == suite.name);
    Ok(SUITES.iter().filter(named).filter(|suite| all || !suite.long).collect())
}

/// Where suites are, what runs them, and what came of it.
fn folder() -> PathBuf {
    target_directory().join("suites")
}

/// A new folder for what comes of a run, which is kept there to be read.
fn kept(suite: &str, way: server::Way) -> Result<PathBuf> {
    let folder = folder().join("results").join(suite).join(way.name());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| about(&folder, &error))?;
    Ok(folder)
}

/// Runs what runs tests, which fails where one of them does; gives what it wrote, and keeps that in a file.
fn listen(command: &mut Command, log: &Path) -> Result<String> {
    let file = fs::File::create(log).map_err(|error| about(log, &error))?;
    let errors = file.try_clone().map_err(|error| about(log, &error))?;
    command.stdin(std::process::Stdio::null()).stdout(file).stderr(errors);
    let program = command.get_program().to_owned();
    command.status().map_err(|error| about(Path::new(&program), &error))?;
    read(log)
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|error| about(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn about(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{}: {error}", path.display()))
}

/// Makes the changes that a file needs to be run here, each of which has to have something to change.
fn changed(text: &str, changes: &[(&str, &str)], place: &Path) -> Result<String> {
    let mut text = text.to_owned();
    for (from, to) in changes {
        if !text.contains(from) {
            return Err(Error::new(format!("{} has no `{from}` any more", place.display()))
                .remedy("look at what its tests ask of a server now, and change xtask/src/suites"));
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Files a test's outcome; of two of the same name, the worse.
fn note(outcomes: &mut Outcomes, name: String, outcome: Outcome) {
    outcomes.entry(name).and_modify(|worst| *worst = outcome.max(*worst)).or_insert(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name() {
        let titles = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            chosen(&arguments).map(|suites| suites.iter().map(|suite| suite.title).collect::<Vec<_>>())
        };
        let [tokio, dialect, rest] = SUITES.map(|suite| suite.title);
        assert_eq!(titles(&[]).unwrap(), [tokio, dialect]);
        assert_eq!(titles(&["--all"]).unwrap(), [tokio, dialect, rest]);
        assert_eq!(titles(&["sqlalchemy", "--all"]).unwrap(), [dialect, rest]);
        assert_eq!(titles(&["tokio-postgres"]).unwrap(), [tokio]);
        assert!(titles(&["pgx"]).is_err());
    }

    #[test]
    fn a_change_has_something_to_change() {
        let place = Path::new("main.rs");
        assert_eq!(changed("port=5433 5433", &[("5433", "1")], place).unwrap(), "port=1 1");
        assert!(changed("port=5432", &[("5433", "1")], place).is_err());
    }

    #[test]
    fn of_two_outcomes_the_worse_counts() {
        let mut outcomes = Outcomes::new();
        for outcome in [Outcome::Pass, Outcome::Fail, Outcome::Skip] {
            note(&mut outcomes, "a".to_owned(), outcome);
        }
        assert_eq!(outcomes.get("a"), Some(&Outcome::Fail));
    }
}
