//! Drivers can not tell the gateway from the server: each one's own programme gives the same with both.
//!
//! The programmes are in `drivers/`. What is known to differ is in `drivers/differences.tsv`, with its reason.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, process::Command};

use gatewright_e2e::{Psql, Result, Scene, conformance, driver, tokio_programme};
use gatewright_testbed::target_directory;

fn compare(driver: &str, command: impl Fn() -> Result<Command>, known: &[(&str, &str)]) {
    let scene = Scene::open().unwrap();
    let run = |connection: &Psql| conformance::run(command()?, connection);
    conformance::compare(&scene, driver, run, known).unwrap();
}

#[test]
fn psql() {
    let command = || {
        let mut command = Command::new("sh");
        command.arg(conformance::directory("psql").join("programme.sh"));
        Ok(command)
    };
    let known = [
        ("\\copy in and out", "102,b"),
        ("\\watch, until an error ends it", "division by zero"),
        ("\\crosstabview", "row | c1 | c0"),
        ("--single-transaction", "\n0"),
        ("Ctrl-C", "canceling statement due to user request"),
        ("sslmode=verify-full", "t"),
    ];
    compare("psql", command, &known);
}

#[test]
fn psycopg3() {
    let known = [("a pipeline of two hundred", "39800"), ("cancel", "57014"), ("async", "190")];
    compare("psycopg3", || python("psycopg3"), &known);
}

#[test]
fn psycopg2() {
    let known = [
        ("execute_batch and execute_values", "(250, (500, 250, 124750))"),
        ("notifies", "hello"),
        ("cancel", "57014"),
    ];
    compare("psycopg2", || python("psycopg2"), &known);
}

#[test]
fn asyncpg() {
    let known = [
        ("binary values of forty types", "('int8', 4611686018427387904)"),
        ("COPY of records, of a query, of a table", "COPY 2000"),
        ("a time-out cancels", "goes on"),
    ];
    compare("asyncpg", || python("asyncpg"), &known);
}

#[test]
fn sqlalchemy() {
    let known = [
        ("results that stream", "[700, 700, 700, 700, 200]"),
        ("over asyncpg", "4501500"),
        ("reflection", "what it says"),
    ];
    compare("sqlalchemy", || python("sqlalchemy"), &known);
}

#[test]
fn node_postgres() {
    let command = || {
        let mut command = Command::new("node");
        command.arg(conformance::directory("node").join("programme.js"));
        command.env("NODE_PATH", tools().join("node/node_modules"));
        Ok(command)
    };
    let known = [("a stream of rows", "12502500"), ("COPY in and out", "2000"), ("cancel", "57014")];
    compare("node", command, &known);
}

#[test]
fn pgjdbc() {
    let classes = tools().join("jdbc");
    let source = conformance::directory("jdbc").join("Programme.java");
    let jar = "/usr/share/java/postgresql.jar";
    let mut compile = Command::new("javac");
    compile.args(["-proc:none", "-cp", jar, "-d"]).arg(&classes).arg(source);
    conformance::build(&mut compile).unwrap();
    let command = || {
        let mut command = Command::new("java");
        // It is over before a better compiler would have paid.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(format!("{jar}:{}", classes.display())).arg("Programme");
        Ok(command)
    };
    let known = [
        ("batches, rewritten and not", "[[1000, 1000, 2499]]"),
        ("a fetch size", "1506285"),
        ("cancel", "57014"),
    ];
    compare("jdbc", command, &known);
}

#[test]
fn pgx() {
    let known = [("a batch", "[100 100 4950]"), ("CopyFrom", "2000"), ("cancel", "57014")];
    compare("pgx", || go("pgx"), &known);
}

#[test]
fn lib_pq() {
    let known = [("COPY in", "2050"), ("a context that ends cancels", "goes on")];
    compare("pq", || go("pq"), &known);
}

#[test]
fn tokio_postgres() {
    let scene = Scene::open().unwrap();
    let known =
        [("a hundred queries at once", "4950"), ("COPY in and out in binary", "2000"), ("cancel", "57014")];
    conformance::compare(&scene, "tokio-postgres", tokio_programme::run, &known).unwrap();
}

#[test]
fn sqlx() {
    let programmes = target_directory().join("drivers");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked", "--target-dir"]).arg(&programmes);
    conformance::build(build.current_dir(conformance::directory("sqlx"))).unwrap();
    let command = || Ok(Command::new(programmes.join("debug/gatewright-sqlx-programme")));
    let known = [
        ("types that it looks up", "mood: Some(Tired)"),
        ("a stream of rows", "12502500"),
        ("a pool, COPY and a listener", "2000"),
        ("cancel", "57014"),
    ];
    compare("sqlx", command, &known);
}

fn tools() -> PathBuf {
    target_directory().join("tools")
}

fn python(driver: &str) -> Result<Command> {
    let mut command = Command::new(driver::python()?);
    command.arg(conformance::directory(driver).join("programme.py"));
    command.env("PYTHONPATH", conformance::directory("")).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Debian's packages are sources: what is built of them is kept.
fn go(driver: &str) -> Result<Command> {
    let program = tools().join(format!("go-{driver}"));
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(".").current_dir(conformance::directory("go"));
    build.env("GO111MODULE", "off").env("GOFLAGS", "").env("GOPATH", "/usr/share/gocode");
    conformance::build(build.env("GOCACHE", tools().join("go-cache")))?;
    let mut command = Command::new(program);
    command.arg(driver);
    Ok(command)
}
