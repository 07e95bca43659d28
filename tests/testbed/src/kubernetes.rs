//! A Kubernetes API server: one that replays what a real one answered (`tests/apiserver`) and remembers what reached it,
//! or a [real one](Kubernetes::real), where the machine has it.

mod real;

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    artefact::{built_program, repository},
    certificates::Certificates,
    error::{Error, Result},
    port::free_port,
    stage::{Service, Stage},
};

/// The token of the recorded user who may do everything.
pub const ADMIN_TOKEN: &str = "TOKEN-ADMIN";

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(60);

/// A running API server, over TLS.
#[derive(Debug)]
pub struct Kubernetes {
    port: u16,
    certificates: Certificates,
    journal: PathBuf,
    /// A real one writes this, and no journal.
    audit: Option<PathBuf>,
    /// The server, and what it needs.
    _services: Vec<Service>,
}

impl Kubernetes {
    /// Starts one that answers from these recordings (`80-exec-websocket`), and discovery besides.
    ///
    /// # Errors
    /// Where it was not built or does not start.
    pub fn replaying(stage: &Stage, recordings: &[&str]) -> Result<Self> {
        Self::start(stage, recordings, &[], true)
    }

    /// Starts one whose namespace `synthetic` has so many Secrets, and which writes no journal: for the bench.
    ///
    /// # Errors
    /// As [`Kubernetes::replaying`].
    pub fn with_secrets(stage: &Stage, secrets: usize) -> Result<Self> {
        Self::start(stage, &["15-kubectl-get-secret"], &["--secrets", &secrets.to_string()], false)
    }

    fn start(stage: &Stage, recordings: &[&str], more: &[&str], remembers: bool) -> Result<Self> {
        let directory = stage.private_directory("apiserver")?;
        let certificates = Certificates::new(stage, "apiserver/tls")?;
        let pair = certificates.server("server")?;
        let journal = directory.join("journal.jsonl");
        let program = built_program("gatewright-apiserver")?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let port = free_port()?;
            let mut command = Command::new(&program);
            command.arg("--listen").arg(format!("127.0.0.1:{port}"));
            command.arg("--certificate").arg(&pair.certificate).arg("--key").arg(&pair.key);
            command.arg("--recordings").arg(repository().join("tests/testbed/kubernetes/transcripts"));
            if remembers {
                command.arg("--journal").arg(&journal);
            }
            let mut service = stage.spawn("apiserver", command.args(more).args(recordings))?;
            let open = || TcpStream::connect(("127.0.0.1", port)).is_ok();
            match service.wait_until(START, open) {
                Ok(()) => {
                    let services = vec![service];
                    return Ok(Self { port, certificates, journal, audit: None, _services: services });
                }
                Err(_) if attempts < 5 && service.log().contains("AddrInUse") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The authority of its certificate.
    pub fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }

    /// What reached it, a line of JSON for each head, body and frame, in order.
    ///
    /// # Errors
    /// Where the journal can not be read, as of a real one: then nothing can be said about what reached it.
    pub fn journal(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.journal)
            .map_err(|error| Error::new(format!("reading {}: {error}", self.journal.display())))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// A file of the recordings' `manifests/`.
pub fn manifest(name: &str) -> PathBuf {
    Path::new(&repository()).join("tests/testbed/kubernetes/transcripts/manifests").join(name)
}
