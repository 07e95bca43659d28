//! `gatewright approvals`: a reviewer's commands. They speak to the admin listener, as the console does.

use std::time::SystemTime;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Answer, Failure, Terminal,
    access::{Access, text, who},
    count,
    moment::{left, moment},
    terminal::visible,
};
use crate::revocations::seconds;

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
    /// Why; it goes into the evidence, and a rejection needs it
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    comment: String,
    #[command(flatten)]
    access: Access,
    /// Print the request's new state as JSON
    #[arg(long)]
    json: bool,
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
            expires(request),
        ]
    });
    terminal.table(&["Id", "State", "Who", "Target", "What", "Rule", "Expires"], rows.collect())?;
    terminal.note(count(requests.len(), "request"))?;
    Ok(Answer::Done)
}

fn show(request: &Value, terminal: &mut Terminal) -> Result<(), Failure> {
    let fields = request.as_object().into_iter().flatten();
    let rows = fields
        .filter(|(name, _)| *name != "text")
        .map(|(name, _)| vec![name.replace('_', " "), field(request, name)]);
    terminal.table(&["Request", ""], rows.collect())?;
    terminal.line("What will run, with every invisible character written out:")?;
    terminal.line("")?;
    // The gateway has made it visible.
    terminal.line(text(request, "text"))?;
    Ok(())
}

fn decide(arguments: &Decide, verb: &str, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let path = format!("/approvals/{}/{verb}", checked(&arguments.id)?);
    if verb == "reject" && arguments.comment.trim().is_empty() {
        return Err(Failure::new("a rejection needs a comment", "say why, with `-m \"...\"`"));
    }
    let body = serde_json::json!({ "comment": arguments.comment });
    let answer = arguments.access.call("POST", &path, Some(&body))?;
    if arguments.json {
        terminal.json(&answer)?;
    } else {
        terminal.line(format_args!("{} is {}", arguments.id, visible(&text(&answer, "state"))))?;
    }
    Ok(Answer::Done)
}

/// A field of a request for people.
fn field(request: &Value, name: &str) -> String {
    match name {
        "expires_at" => expires(request),
        "asked_at" => time(request, name),
        "attributes" => {
            let attributes = request.get(name).and_then(Value::as_object).into_iter().flatten();
            let lines =
                attributes.map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default()));
            lines.collect::<Vec<_>>().join("\n")
        }
        "votes" => {
            let votes = request.get(name).and_then(Value::as_array).into_iter().flatten();
            votes.map(vote).collect::<Vec<_>>().join("\n")
        }
        _ => text(request, name),
    }
}

fn vote(vote: &Value) -> String {
    let approves = vote.get("approve").and_then(Value::as_bool).unwrap_or(false);
    let (reviewer, comment) = (text(vote, "reviewer"), text(vote, "comment"));
    let verb = if approves { "approves" } else { "rejects" };
    if comment.is_empty() { format!("{reviewer} {verb}") } else { format!("{reviewer} {verb}: {comment}") }
}

/// When a request ends, and how long that is.
fn expires(request: &Value) -> String {
    let end = request.get("expires_at").and_then(Value::as_u64).unwrap_or_default();
    format!("{} ({})", time(request, "expires_at"), left(end, seconds(SystemTime::now())))
}

/// A time that the gateway has written as seconds since 1970.
fn time(request: &Value, name: &str) -> String {
    request.get(name).and_then(Value::as_u64).and_then(moment).unwrap_or_else(|| text(request, name))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_times_and_votes_in_words() {
        let request = json!({
            "asked_at": 1_795_348_800,
            "attributes": { "database": "orders" },
            "expires_at": 1_795_349_400,
            "votes": [
                { "reviewer": "bob", "issuer": "gatewright", "approve": true, "comment": "" },
                { "reviewer": "carol", "issuer": "gatewright", "approve": false, "comment": "not today" },
            ],
        });
        assert_eq!(field(&request, "asked_at"), "2026-11-22T12:00:00Z");
        assert_eq!(field(&request, "attributes"), "database orders");
        let expires = field(&request, "expires_at");
        assert!(expires.starts_with("2026-11-22T12:10:00Z (") && expires.ends_with(')'), "{expires}");
        assert_eq!(field(&request, "votes"), "bob approves\ncarol rejects: not today");
    }

    #[test]
    fn a_request_that_has_expired_says_so() {
        assert_eq!(expires(&json!({ "expires_at": 60 })), "1970-01-01T00:01:00Z (over)");
    }
}
