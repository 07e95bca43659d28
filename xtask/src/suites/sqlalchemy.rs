//! SQLAlchemy's own tests, which come with its source package.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gatewright_testbed::{Error, Postgres, Result, Stage};

use super::{
    Known, Outcome, Outcomes, Ran, about, changed, folder, kept, listen, note, read,
    server::{Server, Wanted, Way},
};
use crate::{drivers, run, setup};

/// The tests of the dialect that differ.
pub(super) const KNOWN_OF_DIALECT: &[Known] = &[Known {
    test: "test.dialect.postgresql.test_dialect.MiscBackendTest_postgresql+psycopg.test_client_encoding",
    why: "by design: it sets a client encoding other than UTF8, and the gateway reads SQL in UTF-8 only (threats A13)",
}];

/// The other tests that differ.
pub(super) const KNOWN_OF_REST: &[Known] = &[];

/// What runs the tests. Its version is pinned so that what it writes can be read.
const PYTEST: &str = "pytest==9.2.0";

/// Which of the tests.
struct Part {
    /// As a folder is called.
    name: &'static str,
    /// Arguments of pytest.
    selection: &'static [&'static str],
}

/// All of what asks the dialect, whether it needs a server for that or not.
const DIALECT: Part = Part { name: "sqlalchemy", selection: &["test/dialect/postgresql"] };

/// What its developers run once for each kind of server.
const REST: Part = Part {
    name: "sqlalchemy-rest",
    selection: &[
        "-m",
        "backend and not memory_intensive",
        "--ignore=test/dialect/postgresql",
        "--ignore=test/perf",
        "--ignore=test/aaa_profiling",
        "test",
    ],
};

/// Runs the dialect's tests both ways.
///
/// # Errors
/// Where they can not be had or run.
pub(super) fn run_dialect() -> Result<Ran> {
    run(&DIALECT)
}

/// Runs the others that ask a server both ways, which takes long.
///
/// # Errors
/// As [`run_dialect`].
pub(super) fn run_rest() -> Result<Ran> {
    run(&REST)
}

fn run(part: &Part) -> Result<Ran> {
    let version = drivers::version("python sqlalchemy[asyncio]")?;
    fs::create_dir_all(folder()).map_err(|error| about(&folder(), &error))?;
    let copy = fetch(&version)?;
    let pytest = pytest()?;
    Ok(Ran {
        version,
        direct: tests(part, &copy, &pytest, Way::Direct)?,
        through: tests(part, &copy, &pytest, Way::Gateway)?,
    })
}

/// Has the source package, and gives the folder of a fresh copy of it.
fn fetch(version: &str) -> Result<PathBuf> {
    let name = format!("sqlalchemy-{version}");
    let archive = folder().join(format!("{name}.tar.gz"));
    if !archive.exists() {
        let mut pip = pip("download");
        pip.args(["--no-deps", "--no-binary", "sqlalchemy", "--dest"]).arg(folder());
        run::step(pip.arg(format!("sqlalchemy=={version}"))).map_err(|error| error.remedy(ADVICE))?;
    }
    let copy = folder().join(&name);
    let _ = fs::remove_dir_all(&copy);
    run::output(
        run::program("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(folder()),
    )?;
    let file = copy.join("test/dialect/postgresql/test_dialect.py");
    let text = changed(&read(&file)?, COMPOSED, &file)?;
    fs::write(&file, text).map_err(|error| about(&file, &error))?;
    Ok(copy)
}

/// A test composes addresses letter by letter: `P` becomes the port, in a password that is there already as well. A
/// token has all letters.
const COMPOSED: &[(&str, &str)] = &[
    (r#".replace("PS", tdb_url.password)"#, r#".replace("PS", "\0")"#),
    (r#".replace("P", port)"#, r#".replace("P", port).replace("\0", tdb_url.password)"#),
];

/// Has pytest, and gives its folder. It goes where the tests' own packages are not.
fn pytest() -> Result<PathBuf> {
    let place = folder().join("python");
    let installed = place.join("installed.txt");
    if read(&installed).is_ok_and(|have| have == PYTEST) {
        return Ok(place);
    }
    let _ = fs::remove_dir_all(&place);
    let mut pip = pip("install");
    pip.arg("--target").arg(&place).arg(PYTEST);
    run::step(&mut pip).map_err(|error| error.remedy(ADVICE))?;
    fs::write(&installed, PYTEST).map_err(|error| about(&installed, &error))?;
    Ok(place)
}

fn pip(command: &str) -> std::process::Command {
    let mut pip = run::program(setup::python_program());
    pip.args(["-m", "pip", command, "-q", "--disable-pip-version-check"]);
    pip
}

const ADVICE: &str = "it has to come from https://pypi.org (or from where pip's configuration says)";

const DATABASE: &str = "suite";

fn tests(part: &Part, copy: &Path, pytest: &Path, way: Way) -> Result<Outcomes> {
    eprintln!("  SQLAlchemy, {}, {}", part.selection.last().copied().unwrap_or_default(), way.says());
    let stage = Stage::new("suites")?;
    let wanted = Wanted { settings: &["max_prepared_transactions=10"], account: "app", tls: true, prepare };
    let server = Server::start(&stage, way, &wanted)?;
    let results = kept(part.name, way)?;
    let report = results.join("junit.xml");
    let mut python = run::program(setup::python_program());
    python.args(["-m", "pytest", "-p", "no:cacheprovider", "--quiet", "--maxfail=0"]);
    python.arg(format!("--junit-xml={}", report.display()));
    // Neither a token nor the password has a letter that means something there.
    let address = format!("{DRIVER}://app:{}@localhost:{}/{DATABASE}", server.password, server.port);
    python.args(["--dburi", &address]).args(part.selection).current_dir(copy);
    python.env("PYTHONPATH", pytest).env("PYTHONDONTWRITEBYTECODE", "1");
    python.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &server.authority);
    let log = results.join("output.log");
    listen(&mut python, &log)?;
    server.end(&results)?;
    let outcomes = read(&report).map(|report| outcomes(&report)).unwrap_or_default();
    if outcomes.is_empty() {
        return Err(Error::new("SQLAlchemy's tests have not run to their end")
            .remedy(format!("read {}", log.display())));
    }
    Ok(outcomes)
}

/// What its `README.unittests.rst` asks for, and a collation that a system without that language does not have.
fn prepare(postgres: &Postgres) -> Result<()> {
    postgres.sql(
        "postgres",
        &format!("create database {DATABASE} owner app template template0 encoding 'UTF8'"),
    )?;
    postgres.sql(
        DATABASE,
        &format!(
            "alter database {DATABASE} set default_text_search_config = 'pg_catalog.english';
            create schema test_schema authorization app;
            create schema test_schema_2 authorization app;
            create extension hstore;
            create extension citext;
            create extension btree_gist;
            create collation \"en_US\" from \"C\""
        ),
    )?;
    Ok(())
}

/// Reads pytest's report, of which the tags and their order are known: this is no reader of XML.
fn outcomes(report: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for case in report.split("<testcase ").skip(1) {
        let attribute = |name: &str| {
            let (_, rest) = case.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let (Some(class), Some(name)) = (attribute("classname"), attribute(" name")) else { continue };
        let outcome = if case.contains("<failure") || case.contains("<error") {
            Outcome::Fail
        } else if case.contains("<skipped") {
            Outcome::Skip
        } else {
            Outcome::Pass
        };
        note(&mut outcomes, format!("{}.{name}", without_version(class)), outcome);
    }
    outcomes
}

/// A class that was made for a kind of server carries the driver's name and the server's version; what is known to
/// differ is so with any version.
fn without_version(class: &str) -> String {
    let Some((before, after)) = class.split_once(DRIVER) else { return class.to_owned() };
    let after = after.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit());
    format!("{before}{DRIVER}{after}")
}

const DRIVER: &str = "postgresql+psycopg";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pytest_reports() {
        let report = r#"<testsuites><testsuite name="pytest" tests="5">
            <testcase classname="test.A_postgresql+psycopg_15_18" name="test_good[x-1]" time="0.1" />
            <testcase classname="test.B" name="test_bad" time="0.1"><failure message="said">m</failure></testcase>
            <testcase classname="test.B" name="test_not_here" time="0"><skipped type="pytest.skip">m</skipped></testcase>
            <testcase classname="test.B" name="test_ends_badly" time="0" />
            <testcase classname="test.B" name="test_ends_badly" time="0"><error message="said">m</error></testcase>
            </testsuite></testsuites>"#;
        let found = outcomes(report);
        let found: Vec<_> = found.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
        assert_eq!(
            found,
            [
                ("test.A_postgresql+psycopg.test_good[x-1]", Outcome::Pass),
                ("test.B.test_bad", Outcome::Fail),
                ("test.B.test_ends_badly", Outcome::Fail),
                ("test.B.test_not_here", Outcome::Skip),
            ]
        );
    }
}
