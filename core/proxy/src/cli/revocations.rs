//! `gatewright revocations`: what is good no longer, although it has not expired. For operators.

use clap::Subcommand;
use gatewright_identity::credential_name;
use gatewright_model::secret::Secret;
use serde_json::{Value, json};

use super::{
    Answer, Failure, Terminal,
    access::{Access, hex_id, text},
    count,
    moment::moment,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what is revoked
    List {
        #[command(flatten)]
        access: Access,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke whatever has all of what is given, and end the sessions that it opened
    Add(Add),
    /// Lift a revocation
    Lift {
        /// The revocation's id
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

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("scope")
    .args(["token", "subject", "issuer", "issued_so_far"])
    .required(true)
    .multiple(true))]
pub(super) struct Add {
    /// One token: its `jti`, as `gatewright sessions list` and the evidence name it; of the token itself, it is read from it
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// A person, agent or service, wherever it is in a chain of who acts for whom
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only tokens of this issuer; alone, all of them
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Only tokens that were issued until now: whoever gets a new one may go on
    #[arg(long)]
    issued_so_far: bool,
    /// Why; it goes into the evidence
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    access: Access,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::List { access, json } => {
            let revocations = access.call("GET", "/revocations", None)?;
            list(&revocations, *json, terminal)
        }
        Command::Add(arguments) => add(arguments, terminal),
        Command::Lift { id, reason, access, json } => {
            let body = json!({ "reason": reason });
            let answer =
                access.call("POST", &format!("/revocations/{}/lift", checked(id)?), Some(&body))?;
            if *json {
                terminal.json(&answer)?;
            } else {
                terminal.line(format_args!("revocation {id} is lifted"))?;
            }
            Ok(Answer::Done)
        }
    }
}

fn add(arguments: &Add, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let mut body = json!({ "reason": arguments.reason, "issued_so_far": arguments.issued_so_far });
    let token = arguments.token.as_deref().map(token_name).transpose()?;
    let given = [("token", &token), ("subject", &arguments.subject), ("issuer", &arguments.issuer)];
    for (name, value) in given {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            body.insert(name.to_owned(), json!(value));
        }
    }
    let answer = arguments.access.call("POST", "/revocations", Some(&body))?;
    let kept = answer.get("kept").and_then(Value::as_bool).unwrap_or(false);
    if arguments.json {
        terminal.json(&answer)?;
    } else {
        let ended = answer.get("ended").and_then(Value::as_u64).unwrap_or_default();
        let ended = count(usize::try_from(ended).unwrap_or(usize::MAX), "session");
        terminal.line(format_args!("revoked as {}; {ended} ended", text(&answer, "id")))?;
    }
    if !kept {
        terminal.note(
            "warning: the gateway could not write its list of revocations: this is in effect, and the next \
             start will not know of it",
        )?;
    }
    Ok(if kept { Answer::Done } else { Answer::No })
}

/// The name of a token. The token itself goes no further than this.
fn token_name(given: &str) -> Result<String, Failure> {
    // As every JWT begins. What is torn is refused by the gateway.
    if !given.starts_with("eyJ") {
        return Ok(given.to_owned());
    }
    let name = credential_name(&Secret::new(given.trim()));
    let remedy = "give its `jti`, as `gatewright sessions list` and the evidence name it";
    name.map(|name| name.to_string()).map_err(|error| Failure::new(error, remedy.to_owned()))
}

fn checked(id: &str) -> Result<&str, Failure> {
    hex_id(id, 16, "a revocation", "gatewright revocations list")
}

fn list(revocations: &Value, json: bool, terminal: &mut Terminal) -> Result<Answer, Failure> {
    if json {
        terminal.json(revocations)?;
        return Ok(Answer::Done);
    }
    let revocations = revocations.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = revocations.iter().map(|revocation| {
        let column = |name| text(revocation, name);
        vec![
            column("id"),
            column("token"),
            column("subject"),
            column("issuer"),
            revocation.get("issued_before").and_then(Value::as_u64).and_then(moment).unwrap_or_default(),
            column("by"),
            column("reason"),
        ]
    });
    let titles = ["Id", "Token", "Subject", "Issuer", "Issued before", "By", "Reason"];
    terminal.table(&titles, rows.collect())?;
    terminal.note(count(revocations.len(), "revocation"))?;
    Ok(Answer::Done)
}
