//! The ways to one host: direct, by a hop of OpenSSH's, and through the gateway.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gatewright_testbed::{
    Error, Gateway, Result, Setup, Sshd, Stage, free_port, gateway_program, make_key, modules_directory,
    public_key,
};

/// All of them.
pub(crate) struct Ways {
    host: Sshd,
    hop: Sshd,
    gateway: Gateway,
    port: u16,
    masking: Gateway,
    masking_port: u16,
}

/// One of them.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// The process between client and host.
    pub(crate) proxy: Option<u32>,
    /// Arguments of every program of OpenSSH's.
    arguments: Vec<String>,
}

impl Ways {
    pub(crate) fn open(stage: &Stage) -> Result<Self> {
        let host = Sshd::start(stage, "host")?;
        let hop = Sshd::start(stage, "hop")?;
        let (port, masking_port) = (free_port()?, free_port()?);
        let gateway = gateway(stage, "gateway", &host, port, "")?;
        let hide = "hide = [{ detector = \"card_number\", method = { partial = 4 } }, { detector = \"email\", method = \"redact\" }]\n";
        let masking = self::gateway(stage, "masking", &host, masking_port, hide)?;
        Ok(Self { host, hop, gateway, port, masking, masking_port })
    }

    /// A folder at the host.
    pub(crate) fn home(&self) -> &Path {
        self.host.home()
    }

    pub(crate) fn each(&self) -> Result<Vec<Way>> {
        let options = |sshd: &Sshd, port: u16| -> Vec<String> {
            let known = "UserKnownHostsFile=/dev/null";
            let fixed = ["-F", "none", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", known];
            let fixed = fixed.into_iter().chain(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]);
            let mut all: Vec<String> = fixed.map(str::to_owned).collect();
            all.extend(["-i".to_owned(), sshd.account_key().display().to_string()]);
            all.extend([
                "-o".to_owned(),
                format!("Port={port}"),
                "-o".to_owned(),
                format!("User={}", sshd.account()),
            ]);
            all
        };
        let direct = options(&self.host, self.host.port());
        let outer: Vec<String> =
            options(&self.hop, self.hop.port()).iter().map(|word| format!("'{word}'")).collect();
        let mut hop = direct.clone();
        // What `-J` does, with a key of the hop's own.
        hop.extend(["-o".to_owned(), format!("ProxyCommand=ssh {} -W %h:%p 127.0.0.1", outer.join(" "))]);
        Ok(vec![
            Way { name: "direct", proxy: None, arguments: direct },
            Way { name: "ssh -J", proxy: Some(self.hop.pid()), arguments: hop },
            Way {
                name: "gateway",
                proxy: Some(self.gateway.pid()),
                arguments: options(&self.host, self.port),
            },
            Way {
                name: "gateway, detectors on",
                proxy: Some(self.masking.pid()),
                arguments: options(&self.host, self.masking_port),
            },
        ])
    }

    pub(crate) fn end(self) -> Result<()> {
        self.gateway.end()?;
        self.masking.end()
    }
}

impl Way {
    /// OpenSSH's client, with this behind the host.
    pub(crate) fn ssh(&self, command: &[&str]) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(&self.arguments).arg("127.0.0.1").args(command).stdin(Stdio::null());
        ssh
    }

    /// OpenSSH's file transfer, with one command.
    pub(crate) fn sftp(&self, command: &str, stage: &Stage) -> Result<Command> {
        let batch: PathBuf = stage.directory().join("batch");
        fs::write(&batch, format!("{command}\n"))
            .map_err(|error| Error::new(format!("writing {}: {error}", batch.display())))?;
        let mut sftp = Command::new("sftp");
        sftp.arg("-q").arg("-b").arg(batch).args(&self.arguments).arg("127.0.0.1").stdin(Stdio::null());
        Ok(sftp)
    }
}

fn gateway(stage: &Stage, name: &str, host: &Sshd, port: u16, hide: &str) -> Result<Gateway> {
    let setup = Setup::new(stage, name, &gateway_program()?)?.process(&["workers = 2"]).target(&[
        "address = \"127.0.0.1:1\"",
        "account = \"app\"",
        "tls = { mode = \"off\" }",
    ]);
    let own = setup.directory().join("host_key");
    make_key(&own)?;
    let text = format!(
        "[[identity.ssh_key]]\nkey = \"{client}\"\nsubject = \"bench\"\nkind = \"service\"\n\
         [[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:{target}\"\naccount = \"{account}\"\n\
         private_key = {{ file = \"{key}\" }}\nhost_keys = [\"{host_key}\"]\n\
         [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:{port}\"\ntarget = \"host\"\n\
         host_key = {{ file = \"{own}\" }}\n",
        client = public_key(&host.account_key())?,
        target = host.port(),
        account = host.account(),
        key = host.account_key().display(),
        host_key = host.host_key()?,
        own = own.display(),
    );
    let module = modules_directory(&["ssh_rules.wasm"])?.join("ssh_rules.wasm");
    let document = format!(
        "name = \"ssh\"\nmodule = \"{}\"\nallow_grades = [\"opaque\"]\n[match]\nprotocols = [\"ssh\"]\n\
         [[settings.rules]]\nrequests = [\"exec\"]\ndecision = \"allow\"\n{hide}\
         [[settings.rules]]\nrequests = [\"session\", \"subsystem\", \"file\"]\ndecision = \"allow\"\n",
        module.display()
    );
    setup.more(&text).policy("ssh", &document)?.start()
}
