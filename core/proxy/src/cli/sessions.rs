//! `gatewright sessions`: who is in, and out with them. For operators.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Answer, Failure, Terminal,
    access::{Access, hex_id, text, who},
    count,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the sessions that are open
    List {
        #[command(flatten)]
        access: Access,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// End one session; to keep its client out as well, see `gatewright revocations add`
    End {
        /// The session's id
        id: String,
        /// Why; it goes into the evidence
        #[arg(long, short = 'm', value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        access: Access,
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::List { access, json } => {
            let sessions = access.call("GET", "/sessions", None)?;
            list(&sessions, *json, terminal)
        }
        Command::End { id, reason, access, json } => {
            let body = json!({ "reason": reason });
            let answer = access.call("POST", &format!("/sessions/{}/end", checked(id)?), Some(&body))?;
            if *json {
                terminal.json(&answer)?;
            } else {
                terminal.line(format_args!("session {id} is ended"))?;
            }
            Ok(Answer::Done)
        }
    }
}

fn checked(id: &str) -> Result<&str, Failure> {
    hex_id(id, 32, "a session", "gatewright sessions list")
}

fn list(sessions: &Value, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    if json {
        terminal.json(sessions)?;
        return Ok(Answer::Done);
    }
    let sessions = sessions.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = sessions.iter().map(|session| {
        let column = |name| text(session, name);
        vec![
            column("session"),
            who(session),
            column("principal_kind"),
            column("credential"),
            column("target"),
            column("client"),
        ]
    });
    terminal.table(&["Session", "Who", "Kind", "Token", "Target", "Client"], rows.collect())?;
    terminal.note(count(sessions.len(), "session"))?;
    Ok(Answer::Done)
}
