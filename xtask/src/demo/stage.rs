//! The server, the gateway and the people of the demo.

use std::fs;

use gatewright_testbed::{
    Conversation, Error, Gateway, Mint, Nginx, Postgres, Result, SAMPLE, Setup, Stage, free_port,
    gateway_program, repository,
};

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

        let setup = Setup::new(&stage, "gateway", &gateway_program()?)?.in_front_of(&postgres)?;
        setup.file("api.token", API_TOKEN)?;
        let address = format!("address = \"127.0.0.1:{}\"", api.port());
        let target = [
            &address,
            "account = \"gateway\"",
            "password = { file = \"api.token\" }",
            "tls = { mode = \"off\" }",
        ];
        let mut setup = setup.serving("api", "http", api_port, true, &target);
        for (name, text) in documents("policies")?.into_iter().chain(documents("policies/examples/http")?) {
            setup = setup.policy(&name, &text)?;
        }
        let gateway = setup.start()?;
        println!(
            "  the gateway on 127.0.0.1:{}, its policies in {}",
            gateway.port(),
            gateway.policies().display()
        );
        println!("  nobody but the gateway knows the password of the account `{}`", postgres.account());
        Ok(Self { gateway, api_port, api, postgres, stage, seen: 0 })
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
