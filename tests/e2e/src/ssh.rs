//! The gateway in front of a real OpenSSH server, and OpenSSH's own client.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
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

impl Jump {
    /// With these rules of `ssh-rules`, as TOML.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn new(rules: &str) -> Result<Self> {
        Self::with_host_key(rules, None)
    }

    /// The same, which takes the target for one with another host key.
    ///
    /// # Errors
    /// As [`Jump::new`].
    pub fn with_host_key(rules: &str, expected: Option<&str>) -> Result<Self> {
        Self::shaped(rules, expected, |_, setup| Ok(setup))
    }

    /// The same, of a gateway that is shaped.
    ///
    /// # Errors
    /// As [`Jump::new`].
    pub fn shaped(
        rules: &str,
        expected: Option<&str>,
        shape: impl FnOnce(&Stage, Setup) -> Result<Setup>,
    ) -> Result<Self> {
        let stage = Stage::new("ssh")?;
        let sshd = Sshd::start(&stage, "sshd")?;
        let port = free_port()?;
        let setup = Setup::new(&stage, "gateway", &gateway_program()?)?.target(&[
            "address = \"127.0.0.1:1\"",
            "account = \"app\"",
            "tls = { mode = \"off\" }",
        ]);
        let host_key = setup.directory().join("host_key");
        make_key(&host_key)?;
        let expected = expected.map_or_else(|| sshd.host_key(), |key| Ok(key.to_owned()))?;
        let text = format!(
            "[[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:{target}\"\naccount = \"{account}\"\n\
             private_key = {{ file = \"{key}\" }}\nhost_keys = [\"{expected}\"]\n\
             [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:{port}\"\ntarget = \"host\"\n\
             host_key = {{ file = \"{own}\" }}\n",
            target = sshd.port(),
            account = sshd.account(),
            key = sshd.account_key().display(),
            own = host_key.display(),
        );
        let modules = modules_directory(&["ssh_rules.wasm"])?;
        let document = format!(
            "name = \"ssh\"\nmodule = \"{}/ssh_rules.wasm\"\nallow_grades = [\"opaque\"]\n[match]\nprotocols = [\"ssh\"]\n{rules}",
            modules.display()
        );
        let known = format!("[127.0.0.1]:{port} {}\n", public_key(&host_key)?);
        write(&stage.directory().join("known_hosts"), &known, 0o600)?;
        let gateway = shape(&stage, setup.more(&text).policy("ssh", &document)?)?.start()?;
        Ok(Self { gateway, sshd, stage, port })
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
        let mut command = Command::new(program);
        command
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .args(["-F", "none", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes"])
            .args([
                "-o",
                "PreferredAuthentications=keyboard-interactive",
                "-o",
                "NumberOfPasswordPrompts=1",
            ])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", directory.join("known_hosts").display()))
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]);
        if program == "ssh" {
            command.args(["-p", &self.port.to_string()]);
        } else {
            command.args(["-P", &self.port.to_string()]);
        }
        command.stdin(Stdio::null());
        Ok(command)
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

fn write(file: &std::path::Path, text: &str, mode: u32) -> Result<()> {
    let written = fs::write(file, text);
    let written = written.and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)));
    written.map_err(|error| Error::new(format!("writing {}: {error}", file.display())))
}
