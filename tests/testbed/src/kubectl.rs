//! The real kubectl, with a home of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result, about},
    stage::Stage,
};

/// How long a command may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Is there a kubectl that the recordings know? They are of 1.32, and older than 1.30 asks in another way (Debian 12 has 1.20). If
/// there is none, says so: what needs it is left out.
#[expect(clippy::print_stdout, reason = "whoever reads what a test said is to see that it tested nothing")]
pub fn has_recent_kubectl() -> bool {
    let said = Command::new("kubectl").args(["version", "--client", "-o", "json"]).output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let minor = text.split_once("\"minor\": \"").map_or("", |(_, rest)| rest);
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    let is_recent = digits.parse::<u32>().is_ok_and(|minor| minor >= 30);
    if !is_recent {
        println!("there is no kubectl of 1.30 or later: left out");
    }
    is_recent
}

/// kubectl with one kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    home: PathBuf,
    config: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The exit code; nothing where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Kubectl {
    /// As whoever has the token, in the namespace `demo`.
    ///
    /// # Errors
    /// Where its files can not be written.
    pub fn new(stage: &Stage, name: &str, server: &str, authority: &Path, token: &str) -> Result<Self> {
        let authority = authority.display();
        let text = format!(
            r#"apiVersion: v1
kind: Config
clusters: [{{ name: c, cluster: {{ server: "{server}", certificate-authority: "{authority}" }} }}]
users: [{{ name: u, user: {{ token: "{token}" }} }}]
contexts: [{{ name: x, context: {{ cluster: c, user: u, namespace: demo }} }}]
current-context: x
"#
        );
        let home = stage.private_directory(name)?;
        let config = home.join("kubeconfig");
        about(fs::write(&config, text), "writing", &config)?;
        Self::with_config(stage, name, &config)
    }

    /// With a kubeconfig that somebody else wrote.
    ///
    /// # Errors
    /// Where its home can not be made.
    pub fn with_config(stage: &Stage, name: &str, config: &Path) -> Result<Self> {
        Ok(Self { home: stage.private_directory(name)?, config: config.to_owned() })
    }

    /// Its home: the directory in which commands run.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.program(Path::new("kubectl"), arguments)
    }

    fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE.as_secs().to_string()).arg(program).args(arguments);
        command.current_dir(&self.home).env("HOME", &self.home).env("KUBECONFIG", &self.config);
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// Where kubectl can not be run at all. What it thinks of the answer is in what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<Said> {
        self.run_with(arguments, b"")
    }

    /// Runs a command with this on its standard input.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Result<Said> {
        said(self.command(arguments), input)
    }

    /// Runs another program that reads the same kubeconfig.
    ///
    /// # Errors
    /// Where it can not be run at all.
    pub fn run_beside(&self, program: &Path, arguments: &[&str]) -> Result<Said> {
        said(self.program(program, arguments), b"")
    }

    /// Starts a command that does not end by itself.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        self.start_with(arguments, &[])
    }

    /// As [`Kubectl::start`], with these variables.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Running> {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = about(piped, "running", "kubectl")?;
        let (sender, lines) = mpsc::channel();
        let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|out| Box::new(out) as _),
            child.stderr.take().map(|err| Box::new(err) as _),
        ];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Running { child, lines, seen: Vec::new() })
    }
}

/// Runs a command to its end, with this on its standard input.
///
/// # Errors
/// Where it can not be run.
fn said(mut command: Command, input: &[u8]) -> Result<Said> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = about(piped, "running", "kubectl")?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // Who does not want its input closes it.
            let _ = stdin.map(|mut stdin| stdin.write_all(input));
        });
        child.wait_with_output()
    });
    let output = about(output, "running", "kubectl")?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A command that goes on until it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Waits for a line, of either output, in which the text stands; gives all lines up to it.
    ///
    /// # Errors
    /// Where the command ends before, or says nothing of the kind in time; with what it said.
    pub fn until(&mut self, text: &str) -> Result<Vec<String>> {
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.seen.push(line);
                    if found {
                        return Ok(self.seen.clone());
                    }
                }
                Err(_) => {
                    return Err(Error::new(format!("kubectl never said `{text}`, but: {:?}", self.seen)));
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `timeout` hands a signal on to what it runs; SIGKILL would be its own end only.
        let _ = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
