//! The `kube-apiserver` and `etcd` that `KUBEBUILDER_ASSETS` names, as envtest starts them: no kubelet, no scheduler and no controller,
//! so nothing runs in it, and everything that the API itself does is real. `cargo xtask kube-assets` makes such a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{ADMIN_TOKEN, Kubernetes};
use crate::{
    certificates::Certificates,
    error::{Error, Result, about},
    port::free_port,
    stage::{Service, Stage},
};

/// The variable of envtest.
const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// How long the servers may take to be ready: seconds, but each test has its own, on a machine that is busy with the others.
const START: Duration = Duration::from_secs(120);

/// Every request once, when it was answered; of objects only where they are.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n";

impl Kubernetes {
    /// Starts a real server that serves, with one user who may do everything; nothing where `KUBEBUILDER_ASSETS` is not set.
    ///
    /// # Errors
    /// Where it does not start, or the variable names a folder without the programs: whoever sets it wants real ones.
    pub fn real(stage: &Stage) -> Result<Option<Self>> {
        let Some(assets) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return Ok(None) };
        if let Some(missing) = ["kube-apiserver", "etcd"].iter().find(|name| !assets.join(name).is_file()) {
            return Err(Error::new(format!("there is no {missing} in {VARIABLE}, {}", assets.display()))
                .remedy("`cargo xtask kube-assets` makes a folder with both, and prints it"));
        }
        start(stage, &assets).map(Some)
    }

    /// What the server's own audit log says of each request, in order: a line of JSON (`audit.k8s.io/v1`) for each stage. It is
    /// written before the client has the answer.
    ///
    /// # Errors
    /// Where it can not be read, or the server only replays.
    pub fn audit(&self) -> Result<Vec<String>> {
        let Some(audit) = &self.audit else {
            return Err(Error::new("a server that replays has no audit log").remedy("read its journal"));
        };
        let text = about(fs::read_to_string(audit), "reading", audit)?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

fn start(stage: &Stage, assets: &Path) -> Result<Kubernetes> {
    let directory = stage.private_directory("apiserver")?;
    let certificates = Certificates::new(stage, "apiserver/tls")?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt(stage, assets, &directory, &certificates) {
            // Somebody else took a port between its choice and its use.
            Err(error) if attempts < 5 && error.what().contains("address already in use") => {}
            other => return other,
        }
    }
}

fn attempt(
    stage: &Stage,
    assets: &Path,
    directory: &Path,
    certificates: &Certificates,
) -> Result<Kubernetes> {
    let (store, etcd) = etcd(stage, assets, directory)?;
    let port = free_port()?;
    let (pair, signer) = (certificates.server("server")?, certificates.server("signer")?);
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        about(fs::write(&path, text), "writing", &path).map(|()| path)
    };
    let audit = directory.join("audit.jsonl");
    let mut server = Command::new(assets.join("kube-apiserver"));
    server.args(["--etcd-servers", &store, "--bind-address", "127.0.0.1"]);
    server.args(["--secure-port", &port.to_string(), "--service-cluster-ip-range", "10.0.0.0/24"]);
    // Without controllers there are no tokens for ServiceAccounts, which this would wait for.
    server.args(["--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount"]);
    server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
    server.arg("--service-account-key-file").arg(&signer.certificate);
    server.arg("--service-account-signing-key-file").arg(&signer.key);
    server.arg("--tls-cert-file").arg(&pair.certificate).arg("--tls-private-key-file").arg(&pair.key);
    let tokens = file("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"))?;
    server.arg("--token-auth-file").arg(tokens).arg("--cert-dir").arg(directory.join("own"));
    server.arg("--audit-policy-file").arg(file("audit-policy.yaml", AUDIT_POLICY)?);
    server.arg("--audit-log-path").arg(&audit);
    let mut server = stage.spawn("kube-apiserver", &mut server)?;
    server.wait_until(START, || {
        let mut curl = Command::new("curl");
        curl.args(["-sf", "-m", "5", "-o", "/dev/null", "--cacert"]).arg(certificates.authority());
        curl.args(["-H", &format!("Authorization: Bearer {ADMIN_TOKEN}")]);
        run_quietly(curl.arg(format!("https://127.0.0.1:{port}/readyz")))
    })?;
    let services = vec![server, etcd];
    Ok(Kubernetes {
        port,
        certificates: certificates.clone(),
        journal: directory.join("journal.jsonl"),
        audit: Some(audit),
        _services: services,
    })
}

/// Does it end well? What it says is not shown.
fn run_quietly(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// An etcd with nothing in it, and where it is.
fn etcd(stage: &Stage, assets: &Path, directory: &Path) -> Result<(String, Service)> {
    let (clients, peers) = (free_port()?, free_port()?);
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let mut etcd = Command::new(assets.join("etcd"));
    // A directory for each attempt: what another one left is of other ports.
    etcd.arg("--data-dir").arg(directory.join(format!("etcd-{clients}")));
    etcd.args(["--listen-client-urls", &url(clients), "--advertise-client-urls", &url(clients)]);
    etcd.args(["--listen-peer-urls", &url(peers), "--initial-advertise-peer-urls", &url(peers)]);
    etcd.args(["--initial-cluster", &format!("default={}", url(peers))]);
    let mut etcd = stage.spawn("etcd", &mut etcd)?;
    etcd.wait_until(START, || {
        let health = format!("{}/health", url(clients));
        run_quietly(Command::new("curl").args(["-sf", "-m", "5", "-o", "/dev/null", &health]))
    })?;
    Ok((url(clients), etcd))
}
