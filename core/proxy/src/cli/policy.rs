//! `gatewright policy`: the author's loop.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use gatewright_policy::{
    CaseReport, Host, Limits, LoadProblem, Manifest, PolicySet,
    author::{self, NewModule},
};
use gatewright_sql::statement_kinds;
use serde_json::json;

use super::{Answer, Failure, Terminal, count, outline::outline, terminal::visible};
use crate::case_reader::ProtocolCaseReader;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a module crate that builds, tests and loads as it is
    New {
        /// The crate's folder: must not be there yet; its last part is the module's name
        folder: PathBuf,
        /// The SDK's crate; without it, it is looked for in the checkout around the folder
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Compile a module crate, or a workspace of them
    Build {
        /// The crate's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Run the cases of a policy document, or of all documents of a folder
    Test {
        /// The document or folder
        #[arg(default_value = "policies")]
        path: PathBuf,
        /// Print the result of each case as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a module says about itself
    Inspect {
        /// The module: a `.wasm` file
        module: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the kinds of SQL statements that rules can name
    Kinds {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Do everything that loading a folder of policy documents does, without using it
    Check {
        /// The folder
        #[arg(default_value = "policies")]
        folder: PathBuf,
        /// Print the set, or its problems, as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::New { folder, sdk } => new(&NewModule { folder, sdk: sdk.as_deref() }, terminal),
        Command::Build { folder } => build(folder, terminal),
        Command::Test { path, json } => test(path, *json, terminal),
        Command::Inspect { module, json } => inspect(module, *json, terminal),
        Command::Kinds { json } => kinds(*json, terminal),
        Command::Check { folder, json } => check(folder, *json, terminal),
    }
}

/// The engine, with the limits that the gateway serves with.
pub(super) fn host() -> Result<Host, Failure> {
    Host::new(Limits::default())
        .map_err(|error| Failure::new(error, "this processor or operating system can not run it"))
}

/// Problems as `file:line: what; remedy`, which editors can jump to.
fn print_problems(problems: &[LoadProblem], terminal: &mut Terminal) -> Result<(), Failure> {
    for problem in problems {
        terminal.note(format_args!("error: {}", visible(&problem.to_string())))?;
    }
    terminal.note(count(problems.len(), "problem"))?;
    Ok(())
}

/// Problems for programs.
fn problems_json(problems: &[LoadProblem]) -> Vec<serde_json::Value> {
    problems.iter().map(|problem| problem_json("error", problem)).collect()
}

/// One problem for programs.
pub(super) fn problem_json(severity: &str, problem: &LoadProblem) -> serde_json::Value {
    json!({
        "severity": severity,
        "file": problem.file.display().to_string(),
        "line": problem.line,
        "message": problem.message,
        "remedy": problem.remedy,
    })
}

fn new(module: &NewModule<'_>, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let created =
        author::new(module).map_err(|error| Failure::new(error, "see `gatewright policy new --help`"))?;
    for file in &created.files {
        terminal.line(file.display())?;
    }
    terminal.note(format_args!(
        "next: change {name}/src/lib.rs, then `gatewright policy build {name}` and \
         `gatewright policy test {name}/policy.toml`",
        name = module.folder.display()
    ))?;
    Ok(Answer::Done)
}

fn build(folder: &Path, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match author::build(folder) {
        Ok(built) => {
            for module in &built.modules {
                terminal.line(module.display())?;
            }
            Ok(Answer::Done)
        }
        Err(author::BuildError::Compile) => {
            terminal.note("error: the module does not compile: see the messages above")?;
            Ok(Answer::No)
        }
        Err(error) => Err(Failure::new(error, "see `gatewright policy build --help`")),
    }
}

fn test(path: &Path, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let reports = match author::test(path, &host()?, &ProtocolCaseReader::default()) {
        Ok(reports) => reports,
        Err(problems) => {
            if json {
                terminal.json(&problems_json(&problems))?;
            }
            print_problems(&problems, terminal)?;
            return Ok(Answer::No);
        }
    };
    let failed = reports.iter().filter(|report| !report.passed).count();
    if json {
        terminal.json(&reports.iter().map(report_json).collect::<Vec<_>>())?;
    } else {
        let rows = reports.iter().map(|report| {
            vec![
                if report.passed { "ok" } else { "FAILED" }.to_owned(),
                report.policy.to_string(),
                report.case.clone(),
                report.expected.clone(),
                report.got.clone(),
                microseconds(report.took),
            ]
        });
        terminal.table(&["", "Policy", "Case", "Expected", "Got", "Slowest"], rows.collect())?;
    }
    if reports.is_empty() {
        terminal.note("no case was run: add `[[case]]` tables to the document")?;
    }
    terminal.note(format_args!("{}, {failed} failed", count(reports.len(), "case")))?;
    Ok(if failed == 0 { Answer::Done } else { Answer::No })
}

fn report_json(report: &CaseReport) -> serde_json::Value {
    json!({
        "policy": &*report.policy,
        "case": report.case,
        "line": report.line,
        "expected": report.expected,
        "got": report.got,
        "passed": report.passed,
        "microseconds": u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX),
    })
}

fn microseconds(time: Duration) -> String {
    format!("{} µs", time.as_micros())
}

fn kinds(json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    if json {
        terminal.json(&statement_kinds().collect::<Vec<_>>())?;
    } else {
        statement_kinds().try_for_each(|kind| terminal.line(kind))?;
    }
    Ok(Answer::Done)
}

fn inspect(file: &Path, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let module = match author::inspect(file, &host()?) {
        Ok(module) => module,
        Err(author::InspectError::Read(error)) => {
            return Err(Failure::new(
                format_args!("`{}` can not be read: {error}", file.display()),
                "name a module: `gatewright policy build` prints where it puts them",
            ));
        }
        Err(error @ author::InspectError::Module(_)) => {
            terminal.note(format_args!("error: `{}`: {}", file.display(), visible(&error.to_string())))?;
            return Ok(Answer::No);
        }
    };
    let Manifest { name, version, kinds, inputs, settings_schema } = module.manifest();
    let inputs: Vec<_> =
        inputs.each().into_iter().filter(|(_, used)| *used).map(|(input, _)| input).collect();
    let schema = serde_json::from_str::<serde_json::Value>(settings_schema).ok();
    if json {
        terminal.json(&json!({
            "name": name,
            "version": version,
            "sha256": module.digest(),
            "bytes": module.size(),
            "kinds": kinds,
            "inputs": inputs,
            "settings_schema": schema,
        }))?;
        return Ok(Answer::Done);
    }
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    terminal.table(
        &["Module", name],
        vec![
            row("version", version.clone()),
            row("sha256", module.digest().to_string()),
            row("size", format!("{} bytes", module.size())),
            row("judges", kinds.join(", ")),
            row(
                "depends on",
                if inputs.is_empty() { "session and statement".to_owned() } else { inputs.join(", ") },
            ),
        ],
    )?;
    terminal.line("")?;
    match schema {
        Some(schema) => {
            for line in outline(&schema) {
                terminal.line(visible(&line))?;
            }
        }
        None => terminal.line("It has no settings.")?,
    }
    Ok(Answer::Done)
}

fn check(folder: &Path, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match author::check(folder, &host()?, &ProtocolCaseReader::default()) {
        Ok(set) => {
            if json {
                terminal.json(&set_json(&set))?;
            } else {
                terminal.table(POLICY_TITLES, policy_rows(&set))?;
            }
            Ok(Answer::Done)
        }
        Err(problems) => {
            if json {
                terminal.json(&problems_json(&problems))?;
            }
            print_problems(&problems, terminal)?;
            Ok(Answer::No)
        }
    }
}

/// The titles of [`policy_rows`].
pub(super) const POLICY_TITLES: &[&str] = &["Policy", "Mode", "Module", "Digest", "Cases"];

/// A row for each policy of a set.
pub(super) fn policy_rows(set: &PolicySet) -> Vec<Vec<String>> {
    let rows = set.policies().map(|policy| {
        let manifest = policy.module().manifest();
        vec![
            policy.name().to_string(),
            policy.mode().as_str().to_owned(),
            format!("{} {}", manifest.name, manifest.version),
            policy.module().digest().short(),
            policy.case_count().to_string(),
        ]
    });
    rows.collect()
}

/// A set for programs.
pub(super) fn set_json(set: &PolicySet) -> serde_json::Value {
    let policies = set.policies().map(|policy| {
        json!({
            "name": &**policy.name(),
            "mode": policy.mode().as_str(),
            "module": policy.module().manifest().name,
            "module_version": policy.module().manifest().version,
            "sha256": policy.module().digest(),
            "cases": policy.case_count(),
            "file": policy.file().display().to_string(),
        })
    });
    json!({ "digest": set.version().digest, "policies": policies.collect::<Vec<_>>() })
}
