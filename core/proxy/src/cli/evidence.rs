//! `gatewright evidence`

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::{Subcommand, builder::PossibleValuesParser};
use gatewright_evidence::{
    Filter, Listed, Records, Report, SigningKey, State, Verifier, VerifyingKey, VerifyingKeys,
};
use serde::Serialize;
use serde_json::Value;

use super::{Answer, ConfigArgument, Failure, Terminal, count};
use crate::{
    config::{Config, parse_duration},
    keys,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that no record was changed, removed, added or reordered
    Verify(Verify),
    /// Print records
    Show(Show),
    /// List recordings of programs, each compared with what the log says of it
    #[command(after_help = "A recording is an asciicast: `asciinema play FILE` plays it.")]
    Recordings(ListRecordings),
    /// Print the key that verifies the log: give it to auditors, and keep a copy elsewhere
    Key(ConfigArgument),
}

/// Which log: one of a configuration, or any folder.
#[derive(Debug, clap::Args)]
struct Source {
    #[command(flatten)]
    config: ConfigArgument,
    /// The folder of the log, instead of the configuration's
    #[arg(value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    source: Source,
    /// A key that may have signed the log, as `evidence key` prints it, or a file with one on each line;
    /// without it, the key of the configuration
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<String>,
    /// A checkpoint of this log that was kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The folder of the recordings; without it, the configuration's, or `recordings` in the folder of the log
    #[arg(long, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListRecordings {
    #[command(flatten)]
    source: Source,
    /// The folder of the recordings; without it, the configuration's, or `recordings` in the folder of the log
    #[arg(long, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    source: Source,
    /// Only records of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only records of this subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only records of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(gatewright_evidence::kinds()))]
    kind: Option<String>,
    /// Only records with this decision
    #[arg(long, value_name = "WORD", value_parser = ["allow", "block", "mask", "escalate"])]
    decision: Option<String>,
    /// Only records of the last `30m`, `2h`, ...
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    last: Option<std::time::Duration>,
    /// Print the lines of the log as they are
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::Verify(arguments) => verify(arguments, terminal),
        Command::Show(arguments) => show(arguments, terminal),
        Command::Recordings(arguments) => list_recordings(arguments, terminal),
        Command::Key(config) => key(config, terminal),
    }
}

fn verify(arguments: &Verify, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match (&arguments.source.directory, arguments.keys.is_empty()) {
        // An auditor has the log and the key, and nothing of the gateway.
        (Some(_), false) => None,
        _ => match arguments.source.config.load(terminal)? {
            Ok(config) => Some(config),
            Err(answer) => return Ok(answer),
        },
    };
    let directory = match (&arguments.source.directory, &config) {
        (Some(directory), _) => directory.clone(),
        (None, Some(config)) => config.evidence.clone(),
        (None, None) => return Err(Failure::new("no log was named", "name its folder")),
    };
    let recordings =
        folder_of_recordings(arguments.recordings.as_ref(), &arguments.source, config.as_ref(), &directory);
    let mut verifying = Vec::new();
    for key in &arguments.keys {
        read_keys(key, &mut verifying)?;
    }
    if let Some(config) = config.filter(|_| verifying.is_empty()) {
        verifying.push(own_key(&config.state, &config.origin)?);
    }
    let checkpoint = arguments.checkpoint.as_deref().map(read_text).transpose()?;
    let keys = VerifyingKeys::new(verifying);
    let mut verifier = Verifier::new(&directory, &keys);
    if let Some(checkpoint) = &checkpoint {
        verifier = verifier.against(checkpoint);
    }
    let report = verifier.run().map_err(|error| {
        Failure::new(
            chain(&error),
            "name the folder of the log, and a key as `gatewright evidence key` prints it",
        )
    })?;
    // Whoever has the log alone has nothing to compare.
    let is_there = arguments.recordings.is_some() || recordings.is_dir();
    let compared = if is_there { compared(&directory, &recordings)? } else { Vec::new() };
    if arguments.json {
        terminal.json(&Verified { report: &report, recordings: &compared })?;
    } else {
        print_report(&report, &directory, terminal)?;
        print_compared(&compared, &recordings, terminal)?;
    }
    let intact = report.is_intact() && !compared.iter().any(|listed| listed.state.is_wrong());
    Ok(if intact { Answer::Done } else { Answer::No })
}

#[derive(Serialize)]
struct Verified<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Those that the log tells of, where they are.
    recordings: &'a [Listed],
}

/// Where the recordings are of the log in `directory`.
fn folder_of_recordings(
    named: Option<&PathBuf>,
    source: &Source,
    config: Option<&Config>,
    directory: &Path,
) -> PathBuf {
    match (named, config) {
        (Some(named), _) => named.clone(),
        (None, Some(config)) if source.directory.is_none() => config.recordings.clone(),
        (None, _) => directory.join("recordings"),
    }
}

fn compared(directory: &Path, recordings: &Path) -> Result<Vec<Listed>, Failure> {
    gatewright_evidence::check(directory, recordings)
        .map_err(|error| Failure::new(chain(&error), "name the folder of the log"))
}

fn print_compared(compared: &[Listed], recordings: &Path, terminal: &mut Terminal) -> Result<(), Failure> {
    for listed in compared.iter().filter(|listed| listed.state.is_wrong()) {
        let path = recordings.join(&listed.file);
        terminal.line(super::terminal::visible(&format!(
            "{}: {}",
            path.display(),
            listed.state.as_str()
        )))?;
    }
    let open = compared.iter().filter(|listed| listed.state == State::Open).count();
    if open > 0 {
        terminal.line(format_args!(
            "  {} without an end on record: going on, or cut off with the gateway; nothing holds what is in them",
            count(open, "recording")
        ))?;
    }
    let intact = compared.iter().filter(|listed| listed.state == State::Intact).count();
    if !compared.is_empty() {
        terminal.line(format_args!("  {} of {} intact", intact, count(compared.len(), "recording")))?;
    }
    Ok(())
}

fn list_recordings(arguments: &ListRecordings, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match &arguments.source.directory {
        Some(_) => None,
        None => match arguments.source.config.load(terminal)? {
            Ok(config) => Some(config),
            Err(answer) => return Ok(answer),
        },
    };
    let directory = match (&arguments.source.directory, &config) {
        (Some(directory), _) => directory.clone(),
        (None, Some(config)) => config.evidence.clone(),
        (None, None) => return Err(Failure::new("no log was named", "name its folder")),
    };
    let named = arguments.recordings.as_ref();
    let recordings = folder_of_recordings(named, &arguments.source, config.as_ref(), &directory);
    let compared = compared(&directory, &recordings)?;
    let wrong = compared.iter().any(|listed| listed.state.is_wrong());
    if arguments.json {
        terminal.json(&compared)?;
    } else {
        let rows = compared.iter().map(|listed| {
            let bytes = listed.bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
            let state = match listed.state {
                State::Intact if !listed.complete => "intact, not complete",
                state => state.as_str(),
            };
            let path = recordings.join(&listed.file).display().to_string();
            let (time, subject, target) =
                (listed.time.clone(), listed.subject.clone(), listed.target.clone());
            vec![time, subject, target, bytes, state.to_owned(), path]
        });
        terminal.table(&["Time", "Who", "Target", "Bytes", "State", "File"], rows.collect())?;
    }
    Ok(if wrong { Answer::No } else { Answer::Done })
}

fn print_report(report: &Report, directory: &Path, terminal: &mut Terminal) -> Result<(), Failure> {
    for problem in &report.problems {
        terminal.line(super::terminal::visible(&problem.to_string()))?;
    }
    if report.omitted > 0 {
        terminal.line(format_args!("... and {} more", count_u64(report.omitted, "problem")))?;
    }
    let verdict = if report.is_intact() { "intact" } else { "NOT INTACT" };
    terminal.line(format_args!("{}: {verdict}", directory.display()))?;
    terminal.line(format_args!(
        "  {} in {}, {} good",
        count_u64(report.records, "record"),
        count(report.segments, "file"),
        count_u64(report.checkpoints, "checkpoint")
    ))?;
    if let Some(tail) = report.tail() {
        terminal.line(format_args!(
            "  records {} to {} are after the last checkpoint: held by their chain alone",
            tail.start(),
            tail.end()
        ))?;
    }
    match report.covered_externally {
        Some(covered) => terminal
            .line(format_args!("  the checkpoint that was kept elsewhere covers records 1 to {covered}"))?,
        None if report.is_intact() => terminal.line(
            "  whether records are missing from its end, only a checkpoint that was kept elsewhere can tell: --checkpoint FILE",
        )?,
        None => {}
    }
    if report.torn_bytes > 0 {
        terminal.line(format_args!(
            "  {} after the last whole line: torn by a crash, never acknowledged",
            count_u64(report.torn_bytes, "byte")
        ))?;
    }
    Ok(())
}

fn show(arguments: &Show, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let directory = match &arguments.source.directory {
        Some(directory) => directory.clone(),
        None => match arguments.source.config.load(terminal)? {
            Ok(config) => config.evidence,
            Err(answer) => return Ok(answer),
        },
    };
    let filter = Filter {
        session: arguments.session.clone(),
        subject: arguments.subject.clone(),
        kind: arguments.kind.clone(),
        decision: arguments.decision.clone(),
        since: arguments.last.and_then(|last| SystemTime::now().checked_sub(last)),
    };
    let records = Records::open(&directory, filter)
        .map_err(|error| Failure::new(chain(&error), "name the folder of the log"))?;
    let mut answer = Answer::Done;
    let mut rows = Vec::new();
    for entry in records {
        match entry {
            Ok(entry) if arguments.json => terminal.line(&entry.line)?,
            Ok(entry) => rows.push(row(&entry.value)),
            // Reading goes on: what is left of a damaged log is still evidence.
            Err(error) => {
                terminal.note(format_args!("error: {}", chain(&error)))?;
                answer = Answer::No;
            }
        }
    }
    if !arguments.json {
        terminal.table(&["#", "Time", "Kind", "Who", "What", "Result"], rows)?;
    }
    Ok(answer)
}

fn row(record: &Value) -> Vec<String> {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| record.get(name));
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    };
    let result = match text(&["decision"]) {
        decision if decision.is_empty() => text(&["result", "state", "answer", "code"]),
        decision => match text(&["rule"]) {
            rule if rule.is_empty() => decision,
            rule => format!("{decision}: {rule}"),
        },
    };
    let what = match text(&["kind"]).as_str() {
        "outcome" => {
            format!("of event {} in session {}", text(&["event"]), shortened(&text(&["session"]), 8))
        }
        _ => text(&[
            "command",
            "file",
            "approval",
            "target",
            "listener",
            "scope",
            "revocation",
            "reasons",
            "new",
            "version",
        ]),
    };
    vec![
        text(&["seq"]),
        text(&["time"]),
        text(&["kind"]),
        text(&["subject", "reviewer", "operator", "client"]),
        shortened(&what, WIDEST),
        result,
    ]
}

/// Characters of a statement that a table has room for; `--json` shows all of it.
const WIDEST: usize = 72;

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn key(config: &ConfigArgument, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(answer),
    };
    terminal.line(own_key(&config.state, &config.origin)?)?;
    Ok(Answer::Done)
}

fn own_key(state: &Path, origin: &str) -> Result<VerifyingKey, Failure> {
    let key = SigningKey::load(&keys::evidence_path(state)).map_err(|error| {
        Failure::new(
            chain(&error),
            "start the gateway once to make its keys, and run this as the gateway's user",
        )
    })?;
    Ok(key.verifying_key(origin))
}

/// A key itself, or a file with one on each line; lines that begin with `#` are comments.
fn read_keys(argument: &str, keys: &mut Vec<VerifyingKey>) -> Result<(), Failure> {
    let wrong = |error| Failure::new(error, "a key is one line, as `gatewright evidence key` prints it");
    if let Ok(key) = VerifyingKey::parse(argument) {
        keys.push(key);
        return Ok(());
    }
    let text = fs::read_to_string(argument).map_err(|error| {
        Failure::new(
            format_args!("`{argument}` is no key, and as a file it can not be read: {error}"),
            "give a key as `gatewright evidence key` prints it, or a file with such lines",
        )
    })?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        keys.push(VerifyingKey::parse(line).map_err(wrong)?);
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        Failure::new(
            format_args!("can not read `{}`: {error}", path.display()),
            "name a text file that you can read",
        )
    })
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn count_u64(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
