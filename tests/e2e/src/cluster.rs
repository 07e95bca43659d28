//! A Kubernetes API server with the gateway in front of it, and kubectl as people have it.

use std::process::Command;

use base64::{Engine, prelude::BASE64_STANDARD};
use gatewright_testbed::{
    ADMIN_TOKEN, Error, Kubectl, Kubernetes, Mint, Result, Setup, Stage, free_port, modules_directory,
    repository,
};
use serde_json::Value;

use crate::Scene;

/// A replaying API server, and a gateway with one listener for it.
#[derive(Debug)]
pub struct Cluster {
    /// The gateway, and what every scene has.
    pub scene: Scene,
    /// The API server.
    pub server: Kubernetes,
    /// The port of the gateway's listener, on 127.0.0.1.
    pub port: u16,
}

/// Something that reached the API server.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The number of the request.
    pub request: u64,
    /// `head`, `body` or `frame`.
    pub event: String,
    /// The line of the journal.
    pub line: Value,
    /// What came, of a body or a frame.
    pub data: Vec<u8>,
}

impl Cluster {
    /// A server that answers from these recordings, and a gateway with these policies.
    ///
    /// # Errors
    /// Where one of them does not start.
    pub fn open(recordings: &[&str], policies: &[(&str, &str)]) -> Result<Self> {
        let stage = Stage::new("e2e-cluster")?;
        let server = Kubernetes::replaying(&stage, recordings)?;
        Self::in_front_of(server, policies)
    }

    /// A gateway with these policies in front of a server.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn in_front_of(server: Kubernetes, policies: &[(&str, &str)]) -> Result<Self> {
        Self::shaped(server, policies, |setup| setup)
    }

    /// The same, and the gateway is set up further.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn shaped(
        server: Kubernetes,
        policies: &[(&str, &str)],
        further: impl FnOnce(Setup) -> Setup,
    ) -> Result<Self> {
        let authority = std::fs::read_to_string(server.authority())
            .map_err(|error| Error::new(format!("reading the API server's authority: {error}")))?;
        let port = free_port()?;
        let address = format!("address = \"127.0.0.1:{}\"", server.port());
        let target = [
            address.as_str(),
            "account = \"gateway\"",
            "password = { file = \"cluster.token\" }",
            "tls = { mode = \"verify\", ca = \"cluster-ca.pem\", server_name = \"localhost\" }",
        ];
        let mut problem = None;
        let scene = Scene::build(policies, false, |setup| {
            let token = setup.file("cluster.token", ADMIN_TOKEN);
            problem = token.and_then(|_| setup.file("cluster-ca.pem", &authority)).err();
            let setup = setup.serving("cluster", "kubernetes", port, true, &target);
            further(setup.more("act_as = \"principal\""))
        })?;
        match problem {
            Some(error) => Err(error),
            None => Ok(Self { scene, server, port }),
        }
    }

    /// kubectl as somebody, with a kubeconfig and a token that the gateway's own commands wrote.
    ///
    /// # Errors
    /// Where a command fails.
    pub fn kubectl(&self, who: &Mint<'_>) -> Result<Kubectl> {
        let home = self.scene.stage.private_directory(who.subject)?;
        let token = home.join("token").display().to_string();
        let mut mint = vec!["token", "mint", "--subject", who.subject, "--kind", who.kind, "--out", &token];
        for group in who.groups {
            mint.extend(["--group", group]);
        }
        self.scene.gateway.run(&mint)?;
        let config = home.join("kubeconfig");
        self.kubeconfig(&["--token-file", &token, "--output", &config.display().to_string()])?;
        Kubectl::with_config(&self.scene.stage, who.subject, &config)
    }

    /// Runs `gatewright kubeconfig` for the listener, in the namespace `demo`.
    ///
    /// # Errors
    /// Where it fails.
    pub fn kubeconfig(&self, more: &[&str]) -> Result<String> {
        let server = format!("https://localhost:{}", self.port);
        let authority = self.scene.gateway.authority().display().to_string();
        let always = ["kubeconfig", "--listener", "cluster", "--server", &server, "--ca", &authority];
        let arguments = [&always[..], &["--namespace", "demo"], more].concat();
        // `--config` has to stand before a `--`, behind which is another command.
        let config = self.scene.gateway.config().display().to_string();
        let (own, rest) =
            arguments.split_at(arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len()));
        let arguments = [own, &["--config", &config], rest].concat();
        self.scene.gateway.run_alone(&arguments)
    }

    /// Asks with curl, as whoever has the token: what it printed, and after a line break the status. A path is sent as it is.
    ///
    /// # Errors
    /// Where curl is not there.
    pub fn curl(&self, token: &str, arguments: &[&str], path: &str) -> Result<String> {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "60", "--path-as-is", "-g", "-w", "\n%{http_code}"]).args(arguments);
        command.args(["-H", &format!("Authorization: Bearer {token}"), "--cacert"]);
        command.arg(self.scene.gateway.authority());
        let output = command.arg(format!("https://localhost:{}{path}", self.port)).output();
        let output = output.map_err(|error| Error::new(format!("running curl: {error}")))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What reached the API server, in order.
    ///
    /// # Errors
    /// Where its journal can not be read.
    pub fn seen(&self) -> Result<Vec<Seen>> {
        let lines = self.server.journal()?;
        lines.iter().map(|line| Seen::read(line)).collect()
    }

    /// The request lines that reached the API server, without those of discovery.
    ///
    /// # Errors
    /// As [`Cluster::seen`].
    pub fn requests(&self) -> Result<Vec<String>> {
        let discovery = |target: &str| {
            ["/api?", "/apis?", "/version", "/openapi"].iter().any(|own| target.starts_with(own))
        };
        let seen = self.seen()?;
        let heads = seen.iter().filter(|seen| seen.event == "head");
        let heads = heads.map(|seen| (seen.text("method"), seen.text("target")));
        Ok(heads
            .filter(|(_, target)| !discovery(target))
            .map(|(method, target)| format!("{method} {target}"))
            .collect())
    }
}

impl Seen {
    fn read(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| Error::new(format!("not a line of the journal ({error}): {line}")))?;
        let data = value.get("data").and_then(Value::as_str).unwrap_or_default();
        let data = BASE64_STANDARD.decode(data).map_err(|error| Error::new(error.to_string()))?;
        let request = value.get("request").and_then(Value::as_u64).unwrap_or_default();
        let event = value.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { request, event, line: value, data })
    }

    /// A field of the line; empty where it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.line.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Every value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.line.get("headers").and_then(Value::as_array).into_iter().flatten();
        let pairs = headers.filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)));
        pairs.filter(|(have, _)| *have == name).map(|(_, value)| value).collect()
    }
}

/// A policy of rules over requests to the Kubernetes API.
///
/// # Errors
/// Where the module was not built.
pub fn rules(rules: &str) -> Result<String> {
    document("cluster", "kubernetes_rules.wasm", rules)
}

/// A policy that hides what Secrets hold.
///
/// # Errors
/// Where the module was not built.
pub fn hide_secrets() -> Result<String> {
    let rules = r#"
[[settings.rules]]
name = "secrets"
resources = ["secrets"]
values = [{ path = "$.data.*", method = "redact" }, { path = "$.stringData.*", method = "redact" }]
exempt_groups = ["vault-admins"]
"#;
    hide("hide-secrets", rules)
}

/// A policy that hides values of objects.
///
/// # Errors
/// Where the module was not built.
pub fn hide(name: &str, rules: &str) -> Result<String> {
    document(name, "mask_json.wasm", rules)
}

fn document(name: &str, module: &str, rules: &str) -> Result<String> {
    let path = modules_directory(&[module])?.join(module);
    let path = path.display();
    Ok(format!("name = \"{name}\"\nmodule = \"{path}\"\n[match]\nprotocols = [\"kubernetes\"]\n{rules}"))
}

/// Runs a Python script with the Kubernetes client in it, and gives its output.
///
/// # Errors
/// Where the script fails, with what it said, or the client is not installed.
pub fn python(kubectl: &Kubectl, script: &str) -> Result<String> {
    let python = repository().join(".venv/bin/python");
    if !python.exists() {
        return Err(
            Error::new(".venv with the Kubernetes client is not there").remedy("run `cargo xtask setup`")
        );
    }
    let said = kubectl.run_beside(&python, &["-c", script])?;
    if said.code == Some(0) {
        return Ok(said.out);
    }
    Err(Error::new(format!("the script failed: {}", said.err)))
}
