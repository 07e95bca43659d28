//! `gatewright token`

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Subcommand, ValueEnum};
use gatewright_identity::{MintRequest, credential_name};
use gatewright_model::{principal::PrincipalKind, secret::Secret};
use serde_json::json;

use super::{Answer, ConfigArgument, Failure, Terminal, moment::moment, private_file};
use crate::{config::parse_duration, keys, revocations::seconds};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token of the built-in issuer, and print it
    Mint(Mint),
    /// Make a token, and print it as kubectl wants it from a credential plugin
    ExecCredential(Wanted),
}

#[derive(Debug, clap::Args)]
pub(super) struct Mint {
    #[command(flatten)]
    wanted: Wanted,
    /// Write the token to this file, readable by its owner only, and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "out")]
    force: bool,
}

/// What the token is to say.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    #[command(flatten)]
    config: ConfigArgument,
    /// Who the token is for
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// A group of the subject; may be given several times
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// Who acts for the subject, the current actor first; may be given several times
    #[arg(long = "actor", value_name = "NAME")]
    actors: Vec<String>,
    /// What kind of subject it is
    #[arg(long, value_enum)]
    kind: Kind,
    /// How long the token is good, like `15m` or `1h`; clocks differ, so it is taken for a minute longer
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Human,
    Agent,
    Service,
}

impl From<Kind> for PrincipalKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Human => Self::Human,
            Kind::Agent => Self::Agent,
            Kind::Service => Self::Service,
        }
    }
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::Mint(mint) => print(mint, terminal),
        Command::ExecCredential(wanted) => exec_credential(wanted, terminal),
    }
}

fn print(mint: &Mint, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let token = match make(&mint.wanted, SystemTime::now(), terminal)? {
        Ok(token) => token,
        Err(answer) => return Ok(answer),
    };
    match &mint.out {
        None => terminal.line(token.expose())?,
        // Without a newline: not every client that reads such a file strikes it off.
        Some(path) => private_file::write(path, token.expose().as_bytes(), mint.force)?,
    }
    if let Ok(name) = credential_name(&token) {
        terminal.note(format_args!(
            "this token is {name} in the evidence, and to `gatewright revocations add --token`"
        ))?;
    }
    Ok(Answer::Done)
}

/// <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>. kubectl keeps it until it ends, and
/// runs this again then.
fn exec_credential(wanted: &Wanted, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let now = SystemTime::now();
    let token = match make(wanted, now, terminal)? {
        Ok(token) => token,
        Err(answer) => return Ok(answer),
    };
    let end = now.checked_add(wanted.ttl).and_then(|end| moment(seconds(end)));
    terminal.json(&json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token.expose(), "expirationTimestamp": end },
    }))?;
    Ok(Answer::Done)
}

fn make(
    wanted: &Wanted,
    now: SystemTime,
    terminal: &mut Terminal,
) -> Result<Result<Secret, Answer>, Failure> {
    let config = match wanted.config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(Err(answer)),
    };
    let issuer = keys::issuer(&config.state).map_err(|error| {
        Failure::new(
            error,
            format!("the keys are in `{}`; run this as the gateway's user", config.state.display()),
        )
    })?;
    let request = MintRequest {
        subject: wanted.subject.as_str().into(),
        groups: wanted.groups.iter().map(|group| group.as_str().into()).collect(),
        actors: wanted.actors.iter().map(|actor| actor.as_str().into()).collect(),
        kind: wanted.kind.into(),
        audience: config.identity.audience.clone(),
        ttl: wanted.ttl,
        claims: Vec::new(),
    };
    let token = issuer.mint(&request, now);
    token.map(Ok).map_err(|error| Failure::new(error, "see `gatewright token mint --help`"))
}
