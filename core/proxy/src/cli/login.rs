//! `gatewright login`
//!
//! A token becomes a certificate for a key of one's own: OpenSSH shows it from then on, and asks for nothing. The gateway is asked for it
//! over its SSH listener, as any client could ask (`ssh -p 2222 gatewright@GATEWAY certificate < id_ed25519.pub`).

mod client;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use russh::keys::{
    PrivateKey,
    ssh_key::{
        Certificate, LineEnding,
        private::{Ed25519Keypair, KeypairData},
    },
};
use serde_json::json;

use self::client::Gateway;
use super::{Answer, Failure, Terminal, access::TokenArgument, block_on, moment, private_file};
use crate::revocations::seconds;

const AFTER_HELP: &str = "The gateway has to be known: its host key is looked up as `ssh` does it, by HOST or [HOST]:PORT.
`gatewright ssh-config` writes a file of known hosts where the gateway is configured.
A certificate is good for as long as the token, a day at most; what takes back the token takes it back as well.
Other programs than OpenSSH take the token itself, as a password.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The gateway's SSH listener
    #[arg(long, value_name = "HOST:PORT", env = "GATEWRIGHT_SSH")]
    gateway: String,
    #[command(flatten)]
    token: TokenArgument,
    /// Who the gateway is: a file in the format of OpenSSH's known_hosts [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// The private key; made if it is not there. The certificate is written beside it [default: ~/.ssh/gatewright]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Add key and certificate to the agent, for as long as the certificate is good
    #[arg(long)]
    agent: bool,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let token = arguments.token.read()?;
    let known_hosts = arguments.known_hosts.clone().map_or_else(|| in_home("known_hosts"), Ok)?;
    let gateway = Gateway::find(&arguments.gateway, &known_hosts)?;
    let path = arguments.key.clone().map_or_else(|| in_home("gatewright"), Ok)?;
    let key = load_or_make(&path)?;
    let certificate = block_on(gateway.certify(&token, key.public_key()))??;
    if certificate.public_key() != key.public_key().key_data() {
        return Err(Failure::new("the certificate is for another key", "ask the gateway's operator"));
    }
    let beside = beside(&path, "-cert.pub");
    let text = certificate.to_openssh().map_err(|error| Failure::new(error, "try again"))?;
    private_file::write(&beside, format!("{text}\n").as_bytes(), true)?;
    let end = certificate.valid_before();
    if arguments.agent {
        add_to_agent(&path, end)?;
    }
    let until = moment::moment(end);
    if arguments.json {
        terminal.json(&json!({
            "key": path, "certificate": beside, "subject": certificate.key_id(),
            "serial": certificate.serial(), "expires": end, "agent": arguments.agent,
        }))?;
        return Ok(Answer::Done);
    }
    terminal.line(format_args!(
        "you are {} until {} ({})",
        certificate.key_id(),
        until.unwrap_or_default(),
        moment::left(end, seconds(SystemTime::now()))
    ))?;
    if arguments.agent {
        terminal.note("key and certificate are in the agent")?;
    } else {
        terminal.note(format_args!("connect with `ssh -i {} …`, or `--agent`", path.display()))?;
    }
    Ok(Answer::Done)
}

fn in_home(name: &str) -> Result<PathBuf, Failure> {
    let home = env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| {
        Failure::new("there is no HOME", "say where the files are, with `--key` and `--known-hosts`")
    })?;
    Ok(Path::new(&home).join(".ssh").join(name))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn load_or_make(path: &Path) -> Result<PrivateKey, Failure> {
    if path.exists() {
        let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(|error| {
            Failure::new(
                format_args!("can not read `{}`: {error}", path.display()),
                "name another one with `--key`",
            )
        })?);
        return PrivateKey::from_openssh(&*text).map_err(|_| {
            Failure::new(
                format_args!("`{}` is no private key in OpenSSH's format", path.display()),
                "name one with `--key`, or a file that is not there, and one is made",
            )
        });
    }
    if let Some(folder) = path.parent() {
        private_file::make_folder(folder)?;
    }
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    let failed = |what: &str| Failure::new(what, "try again");
    getrandom::fill(&mut *seed).map_err(|_| failed("the operating system gave no random bytes"))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "gatewright").map_err(|_| failed("no key can be made"))?;
    let text = key.to_openssh(LineEnding::LF).map_err(|_| failed("no key can be made"))?;
    private_file::write(path, text.as_bytes(), false)?;
    let public = key.public_key().to_openssh().map_err(|_| failed("no key can be made"))?;
    private_file::write(&beside(path, ".pub"), format!("{public}\n").as_bytes(), true)?;
    Ok(key)
}

fn add_to_agent(path: &Path, end: u64) -> Result<(), Failure> {
    let left = Duration::from_secs(end.saturating_sub(seconds(SystemTime::now())));
    let mut command = Command::new("ssh-add");
    // It finds the certificate beside the key.
    command.args(["-q", "-t", &left.as_secs().max(1).to_string()]).arg(path);
    let status = command.status().map_err(|error| {
        Failure::new(format_args!("can not run ssh-add: {error}"), "install OpenSSH's client")
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new("ssh-add could not add the key", "start an agent: `eval $(ssh-agent)`"))
}

/// Reads what the gateway answered.
fn parse(text: &str) -> Option<Certificate> {
    Certificate::from_openssh(text.trim()).ok()
}
