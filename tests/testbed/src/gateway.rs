//! The gateway's own program, with a configuration of its own, in front of a server.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::Duration,
};

use crate::{
    certificates::Certificates,
    error::{Error, Result, about, output_of},
    port::free_port,
    postgres::Postgres,
    psql::Psql,
    stage::{Service, Stage},
};

/// How long a gateway may take to be ready: it compiles its policy modules first.
const START: Duration = Duration::from_secs(60);

/// How long one may take to end in good order.
const END: Duration = Duration::from_secs(30);

/// What a gateway is to be like.
#[derive(Debug, Clone)]
pub struct Setup {
    stage: Stage,
    program: PathBuf,
    certificates: Certificates,
    directory: PathBuf,
    target: Vec<String>,
    listener: Vec<String>,
    process: Vec<String>,
    approvals: Vec<String>,
    evidence: Vec<String>,
    more: Vec<String>,
    environment: Vec<(String, OsString)>,
}

impl Setup {
    /// A gateway without a policy, in the directory `NAME` of the stage. Without a policy it refuses everything.
    ///
    /// # Errors
    /// Where its directory or its certificate can not be made.
    pub fn new(stage: &Stage, name: &str, program: &Path) -> Result<Self> {
        let directory = stage.private_directory(name)?;
        for part in ["policies", "state", "evidence"] {
            stage.private_directory(&format!("{name}/{part}"))?;
        }
        let certificates = Certificates::new(stage, &format!("{name}/tls"))?;
        certificates.server("server")?;
        Ok(Self {
            stage: stage.clone(),
            program: program.to_owned(),
            certificates,
            directory,
            target: Vec::new(),
            listener: vec![
                "tls = { certificate = \"tls/server.pem\", key = \"tls/server.key\", required = true }"
                    .to_owned(),
            ],
            process: Vec::new(),
            approvals: Vec::new(),
            // A machine that builds beside its tests may keep a sync waiting for long.
            evidence: vec!["sync_deadline = \"60s\"".to_owned()],
            more: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// Puts it in front of a server, with the account's password and the server's certificate verified.
    ///
    /// # Errors
    /// Where the files can not be written.
    pub fn in_front_of(mut self, postgres: &Postgres) -> Result<Self> {
        let authority = self.file("target-ca.pem", &read(&postgres.certificates().authority())?)?;
        let password = self.file("app.password", postgres.password())?;
        self.target = vec![
            format!("address = \"127.0.0.1:{}\"", postgres.port()),
            format!("account = \"{}\"", postgres.account()),
            format!("password = {{ file = \"{password}\" }}"),
            format!("tls = {{ mode = \"verify\", ca = \"{authority}\", server_name = \"localhost\" }}"),
        ];
        Ok(self)
    }

    /// Acts as another account, which has the same password.
    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        for line in &mut self.target {
            if line.starts_with("account = ") {
                *line = format!("account = \"{name}\"");
            }
        }
        self
    }

    /// Reaches the server through another port, at which something stands in between.
    #[must_use]
    pub fn at_port(mut self, port: u16) -> Self {
        for line in &mut self.target {
            if line.starts_with("address = ") {
                *line = format!("address = \"127.0.0.1:{port}\"");
            }
        }
        self
    }

    /// Describes the target by lines of configuration, for servers that are not what they should be.
    #[must_use]
    pub fn target(mut self, lines: &[&str]) -> Self {
        self.target = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// Adds lines to the target.
    #[must_use]
    pub fn of_target(mut self, lines: &[&str]) -> Self {
        self.target.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Takes TLS away on both sides, which the gateway allows on loopback: for measuring what TLS costs.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        for line in
            self.listener.iter_mut().chain(&mut self.target).filter(|line| line.starts_with("tls = "))
        {
            *line = String::new();
        }
        self.target.push("tls = { mode = \"off\" }".to_owned());
        self
    }

    /// Adds lines to the listener.
    #[must_use]
    pub fn listener(mut self, lines: &[&str]) -> Self {
        self.listener.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Adds lines on the process itself.
    #[must_use]
    pub fn process(mut self, lines: &[&str]) -> Self {
        self.process.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Adds lines on approvals.
    #[must_use]
    pub fn approvals(mut self, lines: &[&str]) -> Self {
        self.approvals.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// How long the log's disk may take for a sync, like `500ms`.
    #[must_use]
    pub fn sync_deadline(mut self, limit: &str) -> Self {
        self.evidence = vec![format!("sync_deadline = \"{limit}\"")];
        self
    }

    /// Gives the gateway's process a variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Adds tables to the configuration.
    #[must_use]
    pub fn more(mut self, text: &str) -> Self {
        self.more.push(text.to_owned());
        self
    }

    /// Adds a listener of any protocol on a port, behind the gateway's own certificate unless it is to speak plain
    /// text, and its target. Both have the same name; the target is described by lines of configuration.
    #[must_use]
    pub fn serving(self, name: &str, protocol: &str, port: u16, tls: bool, target: &[&str]) -> Self {
        let target = target.join("\n");
        let protection = if tls {
            "tls = { certificate = \"tls/server.pem\", key = \"tls/server.key\", required = true }"
        } else {
            ""
        };
        self.more(&format!(
            r#"
[[target]]
name = "{name}"
protocol = "{protocol}"
{target}

[[listener]]
name = "{name}"
protocol = "{protocol}"
listen = "127.0.0.1:{port}"
target = "{name}"
{protection}
"#
        ))
    }

    /// Adds a policy document, `policies/NAME.toml`.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn policy(self, name: &str, document: &str) -> Result<Self> {
        self.file(&format!("policies/{name}.toml"), document)?;
        Ok(self)
    }

    /// Writes a file beside the configuration and gives its name for use in it.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn file(&self, name: &str, content: &str) -> Result<String> {
        let path = self.directory.join(name);
        about(fs::write(&path, content), "writing", &path)?;
        about(fs::set_permissions(&path, Permissions::from_mode(0o600)), "closing", &path)?;
        Ok(name.to_owned())
    }

    /// The directory of the configuration.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes the configuration for two free ports, and gives its path.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn configure(&self, port: u16, admin: u16) -> Result<PathBuf> {
        let text = format!(
            r#"[gateway]
state = "state"
drain = "5s"
{process}

[evidence]
directory = "evidence"
origin = "gatewright.example/testbed"
{evidence}

[policies]
directory = "policies"

[identity]
audience = "gatewright"

[approvals]
reviewers = ["reviewers"]
{approvals}

[admin]
listen = "127.0.0.1:{admin}"

{postgres}

{more}
"#,
            postgres = self.postgres(port),
            process = self.process.join("\n"),
            approvals = self.approvals.join("\n"),
            evidence = self.evidence.join("\n"),
            more = self.more.join("\n"),
        );
        Ok(self.directory.join(self.file("gatewright.toml", &text)?))
    }

    /// The listener for PostgreSQL, if there is a server for it.
    fn postgres(&self, port: u16) -> String {
        if self.target.is_empty() {
            return String::new();
        }
        format!(
            r#"[[target]]
name = "demo"
protocol = "postgres"
{target}

[[listener]]
name = "postgres"
protocol = "postgres"
listen = "127.0.0.1:{port}"
target = "demo"
{listener}
"#,
            target = self.target.join("\n"),
            listener = self.listener.join("\n"),
        )
    }

    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Errors
    /// Where it does not start, with the last lines of its log.
    pub fn start(self) -> Result<Gateway> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (port, admin) = (free_port()?, free_port()?);
            let config = self.configure(port, admin)?;
            let mut service = self.serve(&config)?;
            match service.wait_until(START, || is_ready(admin)) {
                Ok(()) => return Ok(Gateway { setup: self, service, config, port, admin }),
                Err(_) if attempts < 5 && service.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn serve(&self, config: &Path) -> Result<Service> {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--config"]).arg(config).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.stage.spawn("gateway", &mut command)
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    setup: Setup,
    service: Service,
    config: PathBuf,
    port: u16,
    admin: u16,
}

/// Whom a token is for.
#[derive(Debug, Clone, Copy)]
pub struct Mint<'a> {
    /// The subject.
    pub subject: &'a str,
    /// Its groups.
    pub groups: &'a [&'a str],
    /// Who acts for it, the one that connects first.
    pub actors: &'a [&'a str],
    /// `human`, `agent` or `service`.
    pub kind: &'a str,
    /// How long it holds, like `1h`.
    pub ttl: &'a str,
}

impl Default for Mint<'_> {
    fn default() -> Self {
        Self { subject: "alice", groups: &["analysts"], actors: &[], kind: "human", ttl: "1h" }
    }
}

impl<'a> Mint<'a> {
    /// A person in a group.
    pub fn person(subject: &'a str, groups: &'a [&'a str]) -> Self {
        Self { subject, groups, ..Self::default() }
    }
}

impl Gateway {
    /// The port of its PostgreSQL listener, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of its admin listener, on 127.0.0.1.
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// The authority of its listener's certificate.
    pub fn authority(&self) -> PathBuf {
        self.setup.certificates.authority()
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The directory of its evidence.
    pub fn evidence(&self) -> PathBuf {
        self.setup.directory.join("evidence")
    }

    /// The directory of its keys and of what is revoked.
    pub fn state(&self) -> PathBuf {
        self.setup.directory.join("state")
    }

    /// The directory of its policy documents.
    pub fn policies(&self) -> PathBuf {
        self.setup.directory.join("policies")
    }

    /// Everything that it wrote to its output.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Makes a token.
    ///
    /// # Errors
    /// Where the gateway's command refuses.
    pub fn token(&self, mint: &Mint<'_>) -> Result<String> {
        let mut arguments =
            vec!["token", "mint", "--subject", mint.subject, "--kind", mint.kind, "--ttl", mint.ttl];
        for group in mint.groups {
            arguments.extend(["--group", group]);
        }
        for actor in mint.actors {
            arguments.extend(["--actor", actor]);
        }
        Ok(self.run(&arguments)?.trim().to_owned())
    }

    /// psql, through the gateway, with a new token.
    ///
    /// # Errors
    /// Where no token can be made.
    pub fn psql(&self, mint: &Mint<'_>) -> Result<Psql> {
        Ok(Psql::new(self.port, &self.authority(), "app", &self.token(mint)?))
    }

    /// Runs a command of the gateway's program against this gateway, and gives its output.
    ///
    /// # Errors
    /// Where the command fails, with what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        output_of("gatewright", self.command(arguments).output())
    }

    /// Runs a command that names its configuration itself, or needs none.
    ///
    /// # Errors
    /// Where the command fails, with what it said.
    pub fn run_alone(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.setup.program);
        output_of("gatewright", command.args(arguments).env("NO_COLOR", "1").output())
    }

    /// Runs a command that may fail.
    ///
    /// # Errors
    /// Where it can not be run at all.
    pub fn attempt(&self, arguments: &[&str]) -> Result<Output> {
        about(self.command(arguments).output(), "running", &self.setup.program)
    }

    /// A command of the gateway's program, with this gateway's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.setup.program);
        command.args(arguments).arg("--config").arg(&self.config).env("NO_COLOR", "1");
        command
    }

    /// Runs a command of a reviewer, as somebody.
    ///
    /// # Errors
    /// Where it can not be run at all.
    pub fn approvals(&self, who: &Mint<'_>, arguments: &[&str]) -> Result<Output> {
        self.ask(who, &[&["approvals"], arguments].concat())
    }

    /// Runs a command that speaks to the admin listener, as somebody.
    ///
    /// # Errors
    /// Where it can not be run at all.
    pub fn ask(&self, who: &Mint<'_>, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.setup.program);
        command.args(arguments).env("NO_COLOR", "1");
        command.env("GATEWRIGHT_ADMIN", format!("http://127.0.0.1:{}", self.admin));
        command.env("GATEWRIGHT_TOKEN", self.token(who)?);
        about(command.output(), "running", &self.setup.program)
    }

    /// Verifies a log, which need not be this gateway's own.
    ///
    /// # Errors
    /// Where the verifier can not be run at all; what it found is in its output.
    pub fn verify(&self, log: &Path) -> Result<Output> {
        self.attempt(&["evidence", "verify", &log.display().to_string()])
    }

    /// Replaces a policy document as an editor does: by renaming a finished file over it.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn write_policy(&self, name: &str, document: &str) -> Result<()> {
        let path = self.policies().join(format!("{name}.toml"));
        let new = path.with_extension("new");
        about(fs::write(&new, document), "writing", &new)?;
        about(fs::rename(&new, &path), "renaming", &new)
    }

    /// Asks the admin listener.
    ///
    /// # Errors
    /// Where it does not answer in the manner of HTTP.
    pub fn get(&self, path: &str) -> Result<Answer> {
        get(self.admin, path)
    }

    /// The value of a metric, named with its labels as the page writes them. 0 where it was never counted.
    ///
    /// # Errors
    /// Where the admin listener does not answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let page = self.get("/metrics")?.body;
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(values.next_back().unwrap_or(0.0))
    }

    /// The number of the policy set in use.
    ///
    /// # Errors
    /// Where the admin listener does not say.
    pub fn policy_set(&self) -> Result<u64> {
        let status = self.get("/status")?.body;
        let number = status.split_once("\"policies\":{\"number\":").map(|(_, rest)| rest);
        let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        digits
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Error::new(format!("the status names no policy set: {status}")))
    }

    /// Asks it to end in good order.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn terminate(&self) -> Result<()> {
        self.service.signal("TERM")
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.service.wait(limit)
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn end(mut self) -> Result<()> {
        self.terminate()?;
        self.wait(END).map(drop)
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.service.kill();
    }

    /// Starts it again, with the same configuration and ports.
    ///
    /// # Errors
    /// As [`Setup::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.service.kill();
        self.service = self.setup.serve(&self.config)?;
        self.service.wait_until(START, || is_ready(self.admin))
    }
}

/// An answer of the admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

fn is_ready(admin: u16) -> bool {
    get(admin, "/readyz").is_ok_and(|answer| answer.status == 200)
}

/// One HTTP/1.1 request, with the connection closed after it.
fn get(port: u16, path: &str) -> Result<Answer> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = about(ask(), "asking the admin listener for", path)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    match status {
        Some(status) => Ok(Answer { status, body: body.to_owned() }),
        None => Err(Error::new(format!("the admin listener answered {head:?}"))),
    }
}

fn read(path: &Path) -> Result<String> {
    about(fs::read_to_string(path), "reading", path)
}
