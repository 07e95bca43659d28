//! The server, the gateway and the people of the demo.

use std::fs;

use gatewright_testbed::{
    ADMIN_TOKEN, Conversation, Error, Gateway, Kubernetes, Mint, Nginx, Postgres, Result, SAMPLE, Setup,
    Sshd, Stage, free_port, gateway_program, repository,
};

use super::host;
use crate::paint::{Style, paint};

/// Somebody with a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    /// How the tour calls them.
    pub(super) shown: &'static str,
    /// What their token says.
    pub(super) mint: Mint<'static>,
}

const fn person(shown: &'static str, subject: &'static str, groups: &'static [&'static str]) -> Person {
    Person { shown, mint: Mint { subject, groups, actors: &[], kind: "human", ttl: "8h" } }
}

pub(super) const ALICE: Person = person("alice (analysts)", "alice", &["analysts"]);
pub(super) const BOB: Person = person("bob (reviewers)", "bob", &["reviewers"]);
pub(super) const OLGA: Person = person("olga (operators)", "olga", &["operators"]);
pub(super) const DAN: Person = person("dan (sre)", "dan", &["sre"]);
pub(super) const SUE: Person = person("sue (support)", "sue", &["support"]);
pub(super) const CAROL: Person = person("carol (privacy)", "carol", &["privacy"]);

/// An agent that acts for alice: her rights, and its name in every record.
pub(super) const AGENT: Person = Person {
    shown: "research-agent for alice",
    mint: Mint { actors: &["research-agent"], kind: "agent", ..ALICE.mint },
};

/// What runs during the demo.
#[derive(Debug)]
pub(super) struct Demo {
    pub(super) gateway: Gateway,
    /// The port of the gateway's listener for the internal API.
    pub(super) api_port: u16,
    pub(super) api: Nginx,
    /// The port of the gateway's listener for the cluster.
    pub(super) cluster_port: u16,
    pub(super) cluster: Kubernetes,
    /// The port of the gateway's listener for the host.
    pub(super) ssh_port: u16,
    pub(super) sshd: Sshd,
    pub(super) postgres: Postgres,
    pub(super) stage: Stage,
    /// How many records of the log the tour has shown or passed over.
    seen: usize,
}

impl Demo {
    /// Starts the server with the sample data, and the gateway with the documents of `policies/`.
    pub(super) fn start() -> Result<Self> {
        println!("\n{}", paint(Style::Bold, "Starting"));
        let stage = Stage::new("demo")?;
        let postgres = Postgres::start(&stage)?;
        postgres.sql("postgres", SAMPLE)?;
        let version = postgres.sql("postgres", "show server_version")?;
        println!("  PostgreSQL {version} on 127.0.0.1:{}, TLS and SCRAM only", postgres.port());

        let api = Nginx::start(&stage, API)?;
        let api_port = free_port()?;
        println!("  an internal API on 127.0.0.1:{}, by nginx", api.port());

        let cluster = Kubernetes::replaying(&stage, RECORDINGS)?;
        let cluster_port = free_port()?;
        println!("  a Kubernetes API server on 127.0.0.1:{}, which replays a recorded one", cluster.port());

        let sshd = Sshd::start(&stage, "sshd")?;
        let ssh_port = free_port()?;
        println!("  a host on 127.0.0.1:{}, by OpenSSH", sshd.port());

        let setup = Setup::new(&stage, "gateway", &gateway_program()?)?.in_front_of(&postgres)?;
        let setup = in_front_of_cluster(setup, &cluster, cluster_port)?;
        setup.file("api.token", API_TOKEN)?;
        let address = format!("address = \"127.0.0.1:{}\"", api.port());
        let target = [
            &address,
            "account = \"gateway\"",
            "password = { file = \"api.token\" }",
            "tls = { mode = \"off\" }",
        ];
        let setup = host::in_front_of(setup, &sshd, ssh_port)?;
        let mut setup = setup.serving("people", "http", api_port, true, &target);
        for folder in ["policies", "policies/examples/http", "policies/examples/kubernetes"] {
            for (name, text) in documents(folder)? {
                setup = setup.policy(&name, &text)?;
            }
        }
        let modules = repository().join("plugins").display().to_string();
        setup = setup.policy("only-web", &ONLY_WEB.replace("PLUGINS", &modules))?;
        setup = setup.policy("hosts", &host::rules(&sshd, &modules))?;
        let gateway = setup.start()?;
        println!(
            "  the gateway on 127.0.0.1:{}, its policies in {}",
            gateway.port(),
            gateway.policies().display()
        );
        println!("  nobody but the gateway knows the password of the account `{}`", postgres.account());
        Ok(Self { gateway, api_port, api, cluster_port, cluster, ssh_port, sshd, postgres, stage, seen: 0 })
    }

    /// psql as somebody.
    pub(super) fn psql(&self, person: Person) -> Result<Conversation> {
        self.gateway.psql(&person.mint)?.open()
    }

    /// The records since the last call, each a line of JSON.
    pub(super) fn new_records(&mut self) -> Result<Vec<String>> {
        let text = self.gateway.run(&["evidence", "show", "--json"])?;
        let records: Vec<String> = text.lines().skip(self.seen).map(str::to_owned).collect();
        self.seen += records.len();
        Ok(records)
    }
}

fn in_front_of_cluster(setup: Setup, cluster: &Kubernetes, port: u16) -> Result<Setup> {
    let authority = fs::read_to_string(cluster.authority())
        .map_err(|error| Error::new(format!("reading the cluster's authority: {error}")))?;
    setup.file("cluster.token", ADMIN_TOKEN)?;
    setup.file("cluster-ca.pem", &authority)?;
    let address = format!("address = \"127.0.0.1:{}\"", cluster.port());
    let target = [
        address.as_str(),
        "account = \"gateway\"",
        "password = { file = \"cluster.token\" }",
        "tls = { mode = \"verify\", ca = \"cluster-ca.pem\", server_name = \"localhost\" }",
    ];
    let setup = setup.serving("cluster", "kubernetes", port, true, &target);
    Ok(setup.more("act_as = \"principal\""))
}

/// What the cluster answers from.
const RECORDINGS: &[&str] =
    &["14-kubectl-get", "15-kubectl-get-secret", "80-exec-websocket", "83-exec-spdy"];

/// Analysts see one pod; about everything else it has no opinion.
const ONLY_WEB: &str = r#"name = "only-web"
module = "PLUGINS/target/wasm32-unknown-unknown/release/kubernetes_rules.wasm"
[match]
protocols = ["kubernetes"]
groups = ["analysts"]
[[settings.rules]]
name = "pods"
verbs = ["list", "watch"]
resources = ["pods"]
decision = "allow"
shows = [{ namespace = "demo", name = "web" }]
[[settings.rules]]
name = "objects"
resources = ["*", "*/*"]
decision = "allow"
[[settings.rules]]
name = "paths"
paths = ["/**"]
decision = "allow"
[[settings.rules]]
name = "streams"
streams = ["exec", "attach", "portforward", "run", "ephemeralcontainers", "proxy"]
decision = "allow"
"#;

/// What the internal API says about one person, and that it was told to forget them.
const API: &str = r#"
location = /api/people/7 {
  default_type application/json;
  if ($request_method = DELETE) { return 200 '{"deleted":7}'; }
  return 200 '{"id":7,"name":"Ada Lovelace","ssn":"123-45-6789","salary":120000,"card":"4111 1111 1111 1111"}';
}
"#;

/// Only the gateway knows it.
pub(super) const API_TOKEN: &str = "the-apis-own-secret";

/// The documents of a folder of policies, with the modules' paths made whole.
pub(super) fn documents(folder: &str) -> Result<Vec<(String, String)>> {
    let directory = repository().join(folder);
    let modules = format!("\"{}/", repository().join("plugins").display());
    let mut documents = Vec::new();
    for path in fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else {
            continue;
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::new(format!("reading {}: {error}", path.display())))?;
        let text = text.replace("\"../../../plugins/", &modules).replace("\"../plugins/", &modules);
        documents.push((name.to_owned(), text));
    }
    documents.sort();
    Ok(documents)
}
