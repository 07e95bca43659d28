//! `gatewright token`

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Subcommand, ValueEnum};
use gatewright_identity::MintRequest;
use gatewright_model::principal::PrincipalKind;

use super::{Answer, ConfigArgument, Failure, Terminal};
use crate::{config::parse_duration, keys};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token of the built-in issuer, and print it
    Mint(Mint),
}

#[derive(Debug, clap::Args)]
pub(super) struct Mint {
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
    /// How long the token is good, like `15m` or `1h`
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
    /// Write the token to this file, readable by its owner only, and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
    let Command::Mint(mint) = command;
    let config = match mint.config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(answer),
    };
    let issuer = keys::issuer(&config.state).map_err(|error| {
        Failure::new(
            error,
            format!("the keys are in `{}`; run this as the gateway's user", config.state.display()),
        )
    })?;
    let request = MintRequest {
        subject: mint.subject.as_str().into(),
        groups: mint.groups.iter().map(|group| group.as_str().into()).collect(),
        actors: mint.actors.iter().map(|actor| actor.as_str().into()).collect(),
        kind: mint.kind.into(),
        audience: config.identity.audience.clone(),
        ttl: mint.ttl,
        claims: Vec::new(),
    };
    let token = issuer
        .mint(&request, SystemTime::now())
        .map_err(|error| Failure::new(error, "see `gatewright token mint --help`"))?;
    match &mint.out {
        None => terminal.line(token.expose())?,
        Some(path) => {
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            file.and_then(|mut file| writeln!(file, "{}", token.expose())).map_err(|error| {
                Failure::new(
                    format_args!("can not write `{}`: {error}", path.display()),
                    "name a file that is not there yet, in a folder that you may write to",
                )
            })?;
        }
    }
    Ok(Answer::Done)
}
