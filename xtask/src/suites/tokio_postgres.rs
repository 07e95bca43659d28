//! tokio-postgres' own tests, which come with its package.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gatewright_testbed::{Error, Postgres, Result, Stage};

use super::{
    Known, Outcome, Outcomes, Ran, about, changed, folder, kept, listen, note,
    server::{Server, Wanted, Way},
};
use crate::{drivers, run};

const NAME: &str = "tokio-postgres";

/// The tests that differ.
pub(super) const KNOWN: &[Known] = &[
    Known { test: "plain_password_ok", why: ACCOUNTS },
    Known { test: "md5_password_ok", why: ACCOUNTS },
    Known { test: "scram_password_ok", why: ACCOUNTS },
    Known { test: "runtime::host_only_ok", why: ACCOUNTS },
    Known { test: "runtime::hostaddr_only_ok", why: ACCOUNTS },
    Known { test: "runtime::hostaddr_and_host_ok", why: ACCOUNTS },
];

const ACCOUNTS: &str = "by design: it logs in with the password of an account of the server. A client of the gateway has a token";

/// Runs them both ways.
///
/// # Errors
/// Where they can not be had, built or run.
pub(super) fn run() -> Result<Ran> {
    let version = drivers::version(&format!("cargo {NAME}"))?;
    let package = fetch(&version)?;
    let copy = folder().join(NAME);
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(folder()).map_err(|error| about(&folder(), &error))?;
    run::output(Command::new("cp").arg("-r").arg(&package).arg(&copy))?;
    // It lies below this repository, and is no part of its workspace.
    let manifest = copy.join("Cargo.toml");
    let text = super::read(&manifest)? + "\n[workspace]\n";
    fs::write(&manifest, text).map_err(|error| about(&manifest, &error))?;
    Ok(Ran {
        version,
        direct: tests(&package, &copy, Way::Direct)?,
        through: tests(&package, &copy, Way::Gateway)?,
    })
}

/// Has the package in cargo's registry, and gives its folder there.
fn fetch(version: &str) -> Result<PathBuf> {
    let metadata = run::output(&mut run::cargo(&["metadata", "--locked", "--format-version", "1"]))?;
    let end = format!("/{NAME}-{version}/Cargo.toml");
    let found = metadata
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|manifest| manifest.ends_with(&end))
        .and_then(|manifest| Path::new(manifest).parent());
    match found {
        Some(folder) if folder.join("tests").is_dir() => Ok(folder.to_owned()),
        _ => Err(Error::new(format!("{NAME} {version} is not in cargo's registry with its tests")).remedy(
            "its package has to come from crates.io, or a mirror of it: look at cargo's configuration",
        )),
    }
}

fn tests(package: &Path, copy: &Path, way: Way) -> Result<Outcomes> {
    eprintln!("  {NAME}, {}", way.says());
    let stage = Stage::new("suites")?;
    let wanted = Wanted { settings: &[], account: "postgres", tls: false, prepare };
    let server = Server::start(&stage, way, &wanted)?;
    tailor(&package.join("tests/test"), &copy.join("tests/test"), &server)?;
    let results = kept(NAME, way)?;
    let mut cargo = run::program("cargo");
    cargo.args(["test", "--locked", "--all-features", "--test", "test", "--no-fail-fast"]);
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", folder().join("build"));
    let log = results.join("output.log");
    let text = listen(&mut cargo, &log)?;
    server.end(&results)?;
    let mut outcomes = Outcomes::new();
    for (name, outcome) in text.lines().filter_map(outcome) {
        note(&mut outcomes, name.to_owned(), outcome);
    }
    if outcomes.is_empty() || !text.lines().any(|line| line.starts_with("test result: ")) {
        return Err(Error::new(format!("{NAME}'s tests have not run to their end"))
            .remedy(format!("read {}", log.display())));
    }
    Ok(outcomes)
}

/// The accounts of its developers' own server, each with its way to log in, and the extensions. That all others have
/// a password is not so there: they need none.
fn prepare(postgres: &Postgres) -> Result<()> {
    postgres.sql(
        "postgres",
        "create role pass_user password 'password' login;
        create role scram_user password 'password' login;
        set password_encryption = 'md5';
        create role md5_user password 'password' login;
        create extension hstore;
        create extension citext;
        create extension ltree",
    )?;
    let rules = PathBuf::from(postgres.sql("postgres", "show hba_file")?);
    // Written over and not anew: the file stays its owner's.
    fs::write(&rules, RULES).map_err(|error| about(&rules, &error))?;
    postgres.sql("postgres", "select pg_reload_conf()").map(drop)
}

const RULES: &str = "local all all trust
host all pass_user 127.0.0.1/32 password
host all md5_user 127.0.0.1/32 md5
host all all 127.0.0.1/32 scram-sha-256
";

/// Puts the tests into the copy, with another port and with a password where theirs have none.
fn tailor(from: &Path, to: &Path, server: &Server) -> Result<()> {
    let port = ("5433", server.port.to_string());
    let login = ("user=postgres", format!("user=postgres password={}", server.password));
    let both = [(port.0, port.1.as_str()), (login.0, login.1.as_str())];
    for part in ["", "types"] {
        let folder = from.join(part);
        let entries = fs::read_dir(&folder).map_err(|error| about(&folder, &error))?;
        for file in entries.flatten().map(|entry| entry.path()) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // What it has of ports and accounts is read, and not connected with.
            if !file.is_file() || name == "parse.rs" {
                continue;
            }
            let text = super::read(&file)?;
            let connects =
                |change: &(&str, &str)| part.is_empty() && name == "main.rs" || text.contains(change.0);
            let changes: Vec<_> = both.into_iter().filter(connects).collect();
            let to = to.join(part).join(name);
            fs::write(&to, changed(&text, &changes, &file)?).map_err(|error| about(&to, &error))?;
        }
    }
    Ok(())
}

/// Reads `test NAME ... ok` and its like.
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // `ignored, because`, and a time behind either.
    let outcome = match result.split([' ', ',']).next()? {
        "ok" => Outcome::Pass,
        "ignored" => Outcome::Skip,
        "FAILED" => Outcome::Fail,
        _ => return None,
    };
    Some((name, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_harness_says_of_a_test() {
        assert_eq!(outcome("test types::test_bool ... ok"), Some(("types::test_bool", Outcome::Pass)));
        assert_eq!(
            outcome("test runtime::unix_socket ... ignored"),
            Some(("runtime::unix_socket", Outcome::Skip))
        );
        assert_eq!(outcome("test a ... ignored, because"), Some(("a", Outcome::Skip)));
        assert_eq!(outcome("test md5_password_ok ... FAILED"), Some(("md5_password_ok", Outcome::Fail)));
        for other in
            ["test result: ok. 168 passed; 0 failed", "test a has been running for over 60 seconds", ""]
        {
            assert_eq!(outcome(other), None, "{other}");
        }
    }
}
