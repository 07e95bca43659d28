//! `gatewright approvals`: a reviewer's commands. They speak to the admin listener, as the console does.

mod client;

use std::{env, path::PathBuf, time::SystemTime};

use clap::Subcommand;
use gatewright_model::secret::Secret;
use serde_json::Value;

use self::client::Client;
use super::{Answer, Failure, Terminal, block_on, count, terminal::visible};
use crate::config::read_private;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the requests that you may decide
    List {
        #[command(flatten)]
        access: Access,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one request, with the text that will run
    Show {
        /// The request's id
        id: String,
        #[command(flatten)]
        access: Access,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a request: what runs is exactly what `show` shows
    Approve(Decide),
    /// Reject a request
    Reject(Decide),
}

#[derive(Debug, clap::Args)]
pub(super) struct Decide {
    /// The request's id
    id: String,
    /// Why; it goes into the evidence
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    comment: String,
    #[command(flatten)]
    access: Access,
    /// Print the request's new state as JSON
    #[arg(long)]
    json: bool,
}

/// Where the admin listener is, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// The admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901", env = "GATEWRIGHT_ADMIN")]
    admin: String,
    /// Certificate authorities (PEM) to verify an https listener against, instead of the system's
    #[arg(long, value_name = "FILE", env = "GATEWRIGHT_ADMIN_CA")]
    ca: Option<PathBuf>,
    /// File with your token; without it, the environment variable `GATEWRIGHT_TOKEN` is used
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::List { access, json } => {
            let requests = access.call("GET", "/approvals", None)?;
            list(&requests, *json, terminal)
        }
        Command::Show { id, access, json } => {
            let request = access.call("GET", &format!("/approvals/{}", checked(id)?), None)?;
            if *json {
                terminal.json(&request)?
            } else {
                show(&request, terminal)?
            }
            Ok(Answer::Done)
        }
        Command::Approve(arguments) => decide(arguments, "approve", terminal),
        Command::Reject(arguments) => decide(arguments, "reject", terminal),
    }
}

impl Access {
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let client = Client::new(&self.admin, self.ca.as_deref())?;
        let token = self.token()?;
        block_on(client.call(method, path, &token, body))?
    }

    /// A token is never an argument: every user of a machine can see the arguments of every process.
    fn token(&self) -> Result<Secret, Failure> {
        let remedy = "name a file with `--token-file`, or set GATEWRIGHT_TOKEN, to a token of a reviewer";
        let text = match &self.token_file {
            Some(path) => {
                let bytes = read_private(path).map_err(|error| Failure::new(&error, error.remedy(path)))?;
                String::from_utf8(bytes.to_vec()).ok()
            }
            None => env::var("GATEWRIGHT_TOKEN").ok(),
        };
        match text.as_deref().map(str::trim) {
            Some(token) if !token.is_empty() => Ok(Secret::new(token)),
            _ => Err(Failure::new("there is no token", remedy)),
        }
    }
}

/// Only what can be an id goes into a path.
fn checked(id: &str) -> Result<&str, Failure> {
    match gatewright_model::id::ApprovalId::parse(id) {
        Some(_) => Ok(id),
        None => Err(Failure::new(
            format_args!("`{id}` is not the id of a request"),
            "an id has 16 letters and digits: see `gatewright approvals list`",
        )),
    }
}

fn list(requests: &Value, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    if json {
        terminal.json(requests)?;
        return Ok(Answer::Done);
    }
    let requests = requests.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = requests.iter().map(|request| {
        let column = |name| text(request, name);
        vec![
            column("id"),
            column("state"),
            who(request),
            column("target"),
            one_line(&column("text")),
            column("rule"),
            remaining(request),
        ]
    });
    terminal.table(&["Id", "State", "Who", "Target", "What", "Rule", "Left"], rows.collect())?;
    terminal.note(count(requests.len(), "request"))?;
    Ok(Answer::Done)
}

fn show(request: &Value, terminal: &mut Terminal) -> Result<(), Failure> {
    let fields = request.as_object().into_iter().flatten();
    let rows = fields
        .filter(|(name, _)| *name != "text")
        .map(|(name, _)| vec![name.replace('_', " "), text(request, name)]);
    terminal.table(&["Request", ""], rows.collect())?;
    terminal.line("What will run, with every invisible character written out:")?;
    terminal.line("")?;
    // The gateway has made it visible.
    terminal.line(text(request, "text"))?;
    Ok(())
}

fn decide(arguments: &Decide, verb: &str, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let path = format!("/approvals/{}/{verb}", checked(&arguments.id)?);
    let body = serde_json::json!({ "comment": arguments.comment });
    let answer = arguments.access.call("POST", &path, Some(&body))?;
    if arguments.json {
        terminal.json(&answer)?;
    } else {
        terminal.line(format_args!("{} is {}", arguments.id, visible(&text(&answer, "state"))))?;
    }
    Ok(Answer::Done)
}

/// The subject, and who acts for it.
fn who(request: &Value) -> String {
    let actors = request.get("actors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let actors: Vec<_> = actors.iter().filter_map(Value::as_str).collect();
    let subject = text(request, "subject");
    if actors.is_empty() { subject } else { format!("{subject} through {}", actors.join(", ")) }
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(Value::Array(items)) => {
            let items =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            items.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// How long a request still stands.
fn remaining(request: &Value) -> String {
    let expires_at = request.get("expires_at").and_then(Value::as_u64).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    match expires_at.saturating_sub(now) {
        0 => "over".to_owned(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// The beginning of a text, on one line.
fn one_line(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LINE_LENGTH) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Characters of a statement in a table.
const LINE_LENGTH: usize = 60;
