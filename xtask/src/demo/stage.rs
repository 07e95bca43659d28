//! The server, the gateway and the people of the demo.

use std::fs;

use gatewright_testbed::{
    Conversation, Error, Gateway, Mint, Postgres, Result, SAMPLE, Setup, Stage, gateway_program, repository,
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

        let mut setup = Setup::new(&stage, "gateway", &gateway_program()?)?.in_front_of(&postgres)?;
        for (name, text) in documents()? {
            setup = setup.policy(&name, &text)?;
        }
        let gateway = setup.start()?;
        println!(
            "  the gateway on 127.0.0.1:{}, its policies in {}",
            gateway.port(),
            gateway.policies().display()
        );
        println!("  nobody but the gateway knows the password of the account `{}`", postgres.account());
        Ok(Self { gateway, postgres, stage, seen: 0 })
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

/// The documents of `policies/`, with the modules' paths made whole.
pub(super) fn documents() -> Result<Vec<(String, String)>> {
    let directory = repository().join("policies");
    let modules = format!("\"{}/", repository().join("plugins").display());
    let mut documents = Vec::new();
    for path in fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else {
            continue;
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::new(format!("reading {}: {error}", path.display())))?;
        documents.push((name.to_owned(), text.replace("\"../plugins/", &modules)));
    }
    documents.sort();
    Ok(documents)
}
