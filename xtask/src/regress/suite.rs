//! Getting the suite, and running it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gatewright_testbed::{
    Error, Gateway, Postgres, Result, Stage, User, postgres_programs, repository, target_directory,
};

use crate::run;

/// Whether each script printed what it should.
pub(super) type Outcomes = BTreeMap<String, bool>;

/// What came of running the suite.
pub(super) struct Ran {
    pub(super) outcomes: Outcomes,
    /// What the gateway decided, if there was one, and how often.
    pub(super) decisions: Vec<(String, u64)>,
}

/// What the scripts are run against.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) password: String,
    pub(super) authority: PathBuf,
    pub(super) postgres: Postgres,
    pub(super) gateway: Option<Gateway>,
}

/// The suite of the version that is installed.
pub(super) struct Suite {
    directory: PathBuf,
    programs: PathBuf,
    version: String,
}

impl Suite {
    /// Fetches it, if it is not there yet.
    ///
    /// # Errors
    /// Where it can not be had; the script that fetches it says why.
    pub(super) fn fetch() -> Result<Self> {
        let programs = postgres_programs()?;
        let script = repository().join("tools/regress-suite.sh");
        let mut fetch = run::program(script);
        fetch.arg(&programs).arg(target_directory().join("regress"));
        let directory = PathBuf::from(run::output(&mut fetch)?);
        let version = run::output(run::program(programs.join("postgres")).arg("--version"))?;
        let version = version.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let version = version.unwrap_or_default().to_owned();
        Ok(Self { directory, programs, version })
    }

    /// The version of the server, like `15.18`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Runs all scripts against a server of their own. What they printed, and where that is not what they
    /// should, is kept in `target/regress/NAME`.
    ///
    /// # Errors
    /// Where the server does not start, or the suite does not run to its end.
    pub(super) fn run(&self, name: &str, start: impl Fn(&Stage) -> Result<Server>) -> Result<Ran> {
        let stage = Stage::new("regress")?;
        let mut server = start(&stage)?;
        // The server reads the suite's data and writes beside its results, as its own user.
        let home = stage.directory().join("suite");
        run::output(Command::new("cp").arg("-r").arg(&self.directory).arg(&home))?;
        let authority = home.join("authority.pem");
        fs::copy(&server.authority, &authority)
            .map_err(|error| Error::new(format!("copying the authority: {error}")))?;
        run::output(Command::new("chmod").args(["-R", "a+rX"]).arg(&home))?;
        let output = stage.private_directory("output")?;
        let user = User::unprivileged()?;
        user.own(&output)?;

        let pg_regress = self.programs.join("../lib/pgxs/src/test/regress/pg_regress");
        let mut command = user.command(pg_regress);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("PGPASSWORD", &server.password);
        command.env("PGSSLMODE", "verify-ca").env("PGSSLROOTCERT", &authority);
        command.args(["--host=127.0.0.1", &format!("--port={}", server.port), "--user=postgres"]);
        command.args(["--encoding=UTF8", "--no-locale", "--max-concurrent-tests=20"]);
        for (option, path) in [
            ("bindir", &self.programs),
            ("inputdir", &home),
            ("outputdir", &output),
            ("dlpath", &home.join("lib")),
            ("schedule", &home.join("parallel_schedule")),
        ] {
            command.arg(format!("--{option}={}", path.display()));
        }
        let outcomes = outcomes(command.current_dir(&output))?;
        let kept = target_directory().join("regress").join(name);
        keep(&output, &kept)?;
        let logs = [Some(server.postgres.log()), server.gateway.as_ref().map(Gateway::log)];
        for (log, name) in logs.iter().zip(["server.log", "gateway.log"]) {
            fs::write(kept.join(name), log.as_deref().unwrap_or_default())
                .map_err(|error| Error::new(format!("keeping {name}: {error}")))?;
        }
        let decisions = match server.gateway.take() {
            Some(gateway) => {
                let page = gateway.get("/metrics")?.body;
                gateway.end()?;
                decisions(&page)
            }
            None => Vec::new(),
        };
        Ok(Ran { outcomes, decisions })
    }
}

/// Runs `pg_regress`, shows what it says on standard error, and reads it.
fn outcomes(command: &mut Command) -> Result<Outcomes> {
    let cannot = |error: std::io::Error| {
        Error::new(format!("can not run pg_regress: {error}"))
            .remedy("it comes with Debian's package of psql")
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut outcomes = Outcomes::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(cannot)?;
        eprintln!("    {line}");
        outcomes.extend(outcome(&line).map(|(name, good)| (name.to_owned(), good)));
    }
    // 1: a script differs.
    match child.wait().map_err(cannot)?.code() {
        Some(0 | 1) if !outcomes.is_empty() => Ok(outcomes),
        _ => Err(Error::new("pg_regress has not run the suite to its end")),
    }
}

/// Reads a line about one script, as versions 14 and 15 write it, or later ones (in the manner of TAP).
fn outcome(line: &str) -> Option<(&str, bool)> {
    let mut words = line.split_whitespace();
    if let Some((script, result)) = line.split_once(" ... ") {
        let name = script.trim().trim_start_matches("test ").trim();
        return Some((name, result.starts_with("ok")));
    }
    let first = words.next()?;
    let good = first == "ok";
    if !good && (first != "not" || words.next() != Some("ok")) {
        return None;
    }
    words.next()?.parse::<u32>().ok()?;
    words.next().filter(|sign| matches!(*sign, "-" | "+"))?;
    Some((words.next()?, good))
}

/// How often each decision was made, whatever it was about, as the page of metrics says.
fn decisions(page: &str) -> Vec<(String, u64)> {
    let mut counts = BTreeMap::new();
    for line in page.lines() {
        let of = line
            .strip_prefix("gatewright_decisions_total{decision=\"")
            .and_then(|rest| rest.split_once('"'));
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some((decision, _)), Some(count)) = (of, count) {
            *counts.entry(decision.to_owned()).or_default() += count;
        }
    }
    counts.into_iter().collect()
}

fn keep(output: &Path, kept: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(kept);
    run::output(Command::new("cp").arg("-r").arg(output).arg(kept)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_either_version_says_of_a_script() {
        assert_eq!(
            outcome("test boolean                      ... ok           60 ms"),
            Some(("boolean", true))
        );
        assert_eq!(
            outcome("     char                         ... FAILED       52 ms"),
            Some(("char", false))
        );
        assert_eq!(
            outcome("ok 2         + boolean                                   43 ms"),
            Some(("boolean", true))
        );
        assert_eq!(
            outcome("not ok 3     - char                                      43 ms"),
            Some(("char", false))
        );
        for other in
            ["parallel group (2 tests):  a b", "# parallel group (2 tests):  a b", "1..217", "", "not here"]
        {
            assert_eq!(outcome(other), None, "{other}");
        }
    }
}
