//! `gatewright ssh-config` and `gatewright ssh-authority`
//!
//! Neither writes a secret: what clients and targets are given may be handed round.

use std::{
    fmt::Write as _,
    path::{self, Path, PathBuf},
};

use serde_json::json;

use super::{Answer, ConfigArgument, Failure, Terminal, private_file};
use crate::{
    config::{Config, Listener},
    keys,
};

const AFTER_HELP: &str = "Each target becomes a host of its own:
  gatewright ssh-config --output gw && ssh -F gw/config web-1
or, for every day, `Include /PATH/gw/config` at the top of ~/.ssh/config. What uses OpenSSH (scp, rsync, git, Ansible) uses it as well.
A client is asked for its token, unless `--key` names the one that `gatewright login` made.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The listener that clients are to speak to; without it, the only one of protocol ssh
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Where clients reach the listener, where that is not the address that it listens on
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Option<String>,
    /// The key that `gatewright login --key` made; clients show it with the certificate beside it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Folder for the files `config` and `known_hosts`; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Replace the files if they are there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let config = match arguments.config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(answer),
    };
    let listener = choose(&config, arguments.listener.as_deref())?;
    let (host, port) = match &arguments.host {
        Some(text) => parse_host(text, listener.listen.port())?,
        None if listener.listen.ip().is_unspecified() => {
            return Err(Failure::new(
                format_args!("`{}` listens on every address of its machine", listener.name),
                "say where clients reach it, with `--host NAME`",
            ));
        }
        None => (listener.listen.ip().to_string(), listener.listen.port()),
    };
    private_file::make_folder(&arguments.output)?;
    let folder = path::absolute(&arguments.output).unwrap_or_else(|_| arguments.output.clone());
    let alias = format!("gatewright-{}", listener.name);
    let known = known_hosts(listener, &alias, &host, port)?;
    private_file::write(&folder.join("known_hosts"), known.as_bytes(), arguments.force)?;
    let text = ssh_config(listener, &alias, (&host, port), &folder, arguments.key.as_deref());
    private_file::write(&folder.join("config"), text.as_bytes(), arguments.force)?;
    let first = listener.targets.first().map_or("TARGET", |target| &*target.name);
    terminal.note(format_args!("try `ssh -F {} {first}`", folder.join("config").display()))?;
    Ok(Answer::Done)
}

fn choose<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Listener, Failure> {
    let listeners = || config.listeners.iter().map(|listener| &**listener);
    let mut found = listeners()
        .filter(|listener| listener.protocol == "ssh" && name.is_none_or(|name| *listener.name == *name));
    match (found.next(), found.next()) {
        (Some(listener), None) => Ok(listener),
        (first, _) => {
            let problem =
                if first.is_some() { "there are several listeners" } else { "there is no such listener" };
            let names: Vec<_> = listeners()
                .map(|listener| format!("`{}` ({})", listener.name, listener.protocol))
                .collect();
            Err(Failure::new(
                format_args!("{problem} of protocol ssh"),
                format!("name one with `--listener`: {}", names.join(", ")),
            ))
        }
    }
}

fn parse_host(text: &str, port: u16) -> Result<(String, u16), Failure> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, own)) if !host.contains(':') || host.ends_with(']') => (host, own.parse().ok()),
        _ => (text, Some(port)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    match port {
        // A host that begins with a hyphen is an option to some programs (threats A49).
        Some(port) if !host.is_empty() && !host.starts_with('-') && host.bytes().all(is_plain) => {
            Ok((host.to_owned(), port))
        }
        _ => Err(Failure::new(format_args!("`{text}` is no host"), "write it as HOST or HOST:PORT")),
    }
}

fn known_hosts(listener: &Listener, alias: &str, host: &str, port: u16) -> Result<String, Failure> {
    let no_key = || Failure::new("the listener has no host key", "see `gatewright check`");
    let key = listener.host_key.as_ref().ok_or_else(no_key)?;
    let key = key.public_key().key_data().clone();
    let key = russh::keys::PublicKey::new(key, "").to_openssh().map_err(|_| no_key())?;
    let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    // Within a connection of `ssh -J`, the names of targets are the gateway's as well.
    let targets: String = listener.targets.iter().flat_map(|target| [",", &*target.name]).collect();
    Ok(format!("{alias},{name}{targets} {}\n", key.trim()))
}

fn ssh_config(
    listener: &Listener,
    alias: &str,
    (host, port): (&str, u16),
    folder: &Path,
    key: Option<&Path>,
) -> String {
    let mut text = format!("# By `gatewright ssh-config`, for the listener `{}`.\n", listener.name);
    let mut names = String::from("gatewright");
    let _ = write!(text, "Host gatewright\n  User gatewright\n");
    for target in &listener.targets {
        // Newer clients take `%` for something else.
        let _ = write!(text, "Host {0}\n  User \"{1}+{0}\"\n", target.name, target.account);
        let _ = write!(names, " {}", target.name);
    }
    let known = folder.join("known_hosts");
    let _ = write!(
        text,
        "Host {names}\n  HostName {host}\n  Port {port}\n  HostKeyAlias {alias}\n  UserKnownHostsFile \"{}\"\n  \
         StrictHostKeyChecking yes\n  ServerAliveInterval 30\n",
        known.display()
    );
    match key {
        Some(key) => {
            let key = path::absolute(key).unwrap_or_else(|_| key.to_owned());
            let _ = write!(
                text,
                "  IdentitiesOnly yes\n  IdentityFile \"{0}\"\n  CertificateFile \"{0}-cert.pub\"\n  \
                 PreferredAuthentications publickey\n",
                key.display()
            );
        }
        None => text.push_str("  PreferredAuthentications publickey,keyboard-interactive\n"),
    }
    text
}

#[derive(Debug, clap::Args)]
#[command(after_help = "At a target: write what this prints to a file, and name it in sshd_config:
  TrustedUserCAKeys /etc/ssh/gatewright.pub
The gateway's certificates are good for two minutes and name one account; the target's log shows for whom they were made.
Set `certificate = true` at the `[[target]]`.")]
pub(super) struct AuthorityArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print a JSON document
    #[arg(long)]
    json: bool,
}

/// Prints the authority that targets are to trust.
pub(super) fn authority(
    arguments: &AuthorityArguments,
    terminal: &mut Terminal,
) -> Result<Answer, Failure> {
    let config = match arguments.config.load(terminal)? {
        Ok(config) => config,
        Err(answer) => return Ok(answer),
    };
    let authority = keys::ssh_targets(&config.state).map_err(|error| {
        Failure::new(
            error,
            format!("the keys are in `{}`; run this as the gateway's user", config.state.display()),
        )
    })?;
    let key =
        authority.public().to_openssh().map_err(|error| Failure::new(error, "see `gatewright check`"))?;
    if arguments.json {
        terminal.json(&json!({ "target_authority": key.trim() }))?;
    } else {
        terminal.line(key.trim())?;
    }
    Ok(Answer::Done)
}
