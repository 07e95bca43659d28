//! The gateway in front of a real OpenSSH server, and OpenSSH's own client.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use gatewright_testbed::{
    Error, Gateway, Mint, Result, Setup, Sshd, Stage, free_port, gateway_program, make_key,
    modules_directory, public_key,
};

use crate::evidence::Evidence;

/// A gateway with an SSH listener.
#[derive(Debug)]
pub struct Jump {
    /// The gateway.
    pub gateway: Gateway,
    /// Where it leads to.
    pub sshd: Sshd,
    /// Where all of it lives.
    pub stage: Stage,
    port: u16,
}

/// Parts of a configuration, as TOML.
#[derive(Debug)]
pub struct Lines {
    /// Before the targets.
    pub identity: String,
    /// What says who the target is.
    pub host: String,
    /// What proves the account.
    pub login: String,
    /// Of the listener, which target it leads to.
    pub listener: String,
    /// Further targets.
    pub more: String,
}

impl Jump {
    /// With these rules of `ssh-rules`, as TOML.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn new(rules: &str) -> Result<Self> {
        Self::with(rules, |_, _| Ok(()))
    }

    /// The same, with other lines of configuration.
    ///
    /// # Errors
    /// As [`Jump::new`], and where `change` fails.
    pub fn with(rules: &str, change: impl FnOnce(&Sshd, &mut Lines) -> Result<()>) -> Result<Self> {
        Self::start(|_| rules.to_owned(), change, |_, setup| Ok(setup))
    }

    /// With rules that name the account's folder.
    ///
    /// # Errors
    /// As [`Jump::new`].
    pub fn with_rules_for(rules: impl Fn(&Path) -> String) -> Result<Self> {
        Self::start(rules, |_, _| Ok(()), |_, setup| Ok(setup))
    }

    /// The same as [`Jump::new`], of a gateway that is shaped.
    ///
    /// # Errors
    /// As [`Jump::new`].
    pub fn shaped(rules: &str, shape: impl FnOnce(&Stage, Setup) -> Result<Setup>) -> Result<Self> {
        Self::start(|_| rules.to_owned(), |_, _| Ok(()), shape)
    }

    fn start(
        rules: impl Fn(&Path) -> String,
        change: impl FnOnce(&Sshd, &mut Lines) -> Result<()>,
        shape: impl FnOnce(&Stage, Setup) -> Result<Setup>,
    ) -> Result<Self> {
        let stage = Stage::new("ssh")?;
        let sshd = Sshd::start(&stage, "sshd")?;
        let rules = rules(sshd.home());
        let port = free_port()?;
        let setup = Setup::new(&stage, "gateway", &gateway_program()?)?.target(&[
            "address = \"127.0.0.1:1\"",
            "account = \"app\"",
            "tls = { mode = \"off\" }",
        ]);
        let host_key = setup.directory().join("host_key");
        make_key(&host_key)?;
        let mut lines = Lines {
            identity: String::new(),
            host: format!("host_keys = [\"{}\"]", sshd.host_key()?),
            login: format!("private_key = {{ file = \"{}\" }}", sshd.account_key().display()),
            listener: "target = \"host\"".to_owned(),
            more: String::new(),
        };
        change(&sshd, &mut lines)?;
        let text = format!(
            "{identity}\n[[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:{target}\"\naccount = \"{account}\"\n\
             {login}\n{host}\n{more}\n\
             [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:{port}\"\n{listener}\n\
             host_key = {{ file = \"{own}\" }}\n",
            identity = lines.identity,
            target = sshd.port(),
            account = sshd.account(),
            login = lines.login,
            host = lines.host,
            more = lines.more,
            listener = lines.listener,
            own = host_key.display(),
        );
        let document = document(&rules)?;
        // Within a connection that goes on from the gateway, the names of targets are the gateway's.
        let known = format!("[127.0.0.1]:{port},host,other {}\n", public_key(&host_key)?);
        write(&stage.directory().join("known_hosts"), &known, 0o600)?;
        let gateway = shape(&stage, setup.more(&text).policy("ssh", &document)?)?.start()?;
        Ok(Self { gateway, sshd, stage, port })
    }

    /// Replaces the rules, and waits until the gateway has taken them.
    ///
    /// # Errors
    /// Where it does not.
    pub fn swap(&self, rules: &str) -> Result<()> {
        let before = self.gateway.policy_set()?;
        self.gateway.write_policy("ssh", &document(rules)?)?;
        crate::eventually("the gateway takes the new rules", || {
            self.gateway.policy_set().is_ok_and(|set| set > before)
        });
        Ok(())
    }

    /// The port of its SSH listener, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// OpenSSH's client as this person, ready for options and a command.
    ///
    /// # Errors
    /// Where there is no token.
    pub fn client(&self, subject: &str, groups: &[&str]) -> Result<Command> {
        let token = self.gateway.token(&Mint::person(subject, groups))?;
        let mut command = self.client_with("ssh", &token)?;
        command.args(["-l", self.sshd.account()]);
        Ok(command)
    }

    /// A program of OpenSSH's that answers with this token when it is asked.
    ///
    /// # Errors
    /// Where a file can not be written.
    pub fn client_with(&self, program: &str, token: &str) -> Result<Command> {
        let directory = self.stage.directory();
        let (answer, ask): (PathBuf, PathBuf) = (directory.join("token"), directory.join("askpass"));
        write(&answer, token, 0o600)?;
        write(&ask, &format!("#!/bin/sh\ncat '{}'\n", answer.display()), 0o700)?;
        let mut command = self.bare_client(program);
        command
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .args(["-o", "PreferredAuthentications=keyboard-interactive"])
            .args(["-o", "NumberOfPasswordPrompts=1"]);
        Ok(command)
    }

    /// A program of OpenSSH's that shows this key, and the certificate beside it where there is one.
    pub fn client_with_key(&self, key: &Path) -> Command {
        let mut command = self.bare_client("ssh");
        command.args(["-o", "PreferredAuthentications=publickey", "-i"]).arg(key);
        command
    }

    fn bare_client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-F", "none", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.known_hosts().display()))
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]);
        if program == "ssh" {
            command.args(["-p", &self.port.to_string()]);
        } else {
            command.args(["-P", &self.port.to_string()]);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Who the gateway is, for clients.
    pub fn known_hosts(&self) -> PathBuf {
        self.stage.directory().join("known_hosts")
    }

    /// Runs a command through the gateway as alice.
    ///
    /// # Errors
    /// Where the client can not be started.
    pub fn run(&self, command: &str) -> Result<Output> {
        let mut client = self.client("alice", &["analysts"])?;
        let output = client.args(["127.0.0.1", command]).output();
        output.map_err(|error| Error::new(format!("running ssh: {error}")))
    }

    /// What the gateway has recorded so far.
    ///
    /// # Errors
    /// Where its own command can not read it.
    pub fn evidence(&self) -> Result<Evidence> {
        Evidence::read(&self.gateway)
    }
}

fn document(rules: &str) -> Result<String> {
    let modules = modules_directory(&["ssh_rules.wasm"])?;
    Ok(format!(
        "name = \"ssh\"\nmodule = \"{}/ssh_rules.wasm\"\nallow_grades = [\"opaque\"]\n[match]\nprotocols = [\"ssh\"]\n{rules}",
        modules.display()
    ))
}

fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    let written = fs::write(file, text);
    let written = written.and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)));
    written.map_err(|error| Error::new(format!("writing {}: {error}", file.display())))
}
