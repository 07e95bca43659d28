//! Rows A25 to A35: ways to a masked value, and everything that a client is told on them.
//!
//! A value does not only leave in rows. So these attacks look at every message that a client gets, whatever its type: rows in text and in binary,
//! names of columns, errors and notices in each of their fields, settings, notifications, command tags and COPY data. Each attack is first made by
//! somebody for whom nothing is masked, who has to find the secret: an attack that finds nothing there would prove nothing.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails here has failed")]

use gatewright_attacks::MALLORY;
use gatewright_e2e::{
    Clients, Mint, Postgres, SAMPLE, Scene, Setup, Stage, gateway_program, policies,
    wire::{self, Client, Message},
};

mod masked_channels {
    mod catalogs;
    mod copies;
    mod errors;
    mod expressions;
    mod formats;
    mod inference;
    mod kept_waiting;
    mod plans;
    mod portals;
    mod rows;
    mod sinks;
    mod told;
}

/// Nothing is masked for her.
const CAROL: Mint<'static> =
    Mint { subject: "carol", groups: &["privacy"], actors: &[], kind: "human", ttl: "1h" };

/// The masked `ssn` of the first of `people`.
const SECRET: &str = "536-22-8726";

/// What is sent, and what of it shows the secret.
struct Attack {
    /// Statements, one after the other in one session.
    exchange: &'static [&'static str],
    /// What somebody gets to see for whom nothing is masked.
    needle: &'static str,
}

/// An attack that shows the whole secret.
const fn shows(exchange: &'static [&'static str]) -> Attack {
    part(exchange, SECRET)
}

/// An attack that shows something of the secret, or of what was made of it.
const fn part(exchange: &'static [&'static str], needle: &'static str) -> Attack {
    Attack { exchange, needle }
}

/// Who attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// For whom nothing is masked, in a database of her own: what she puts elsewhere is not there for the other one.
    Exempt,
    Masked,
}

/// How a statement is sent.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Query,
    /// Parse, Bind, Describe, Execute, with answers in text format.
    Text,
    /// Parse, Bind, Execute, with answers in binary format, which nobody has asked to describe.
    Binary,
}

/// A server with the same data in two databases, and the gateway in front of it.
struct Sides {
    scene: Scene,
    version: u32,
    /// Every masked value, and each of the forms in which it could be written, in lower case.
    needles: Vec<String>,
}

impl Sides {
    /// The usual masks, and definitions beside the sample data: those of the account, and before them those that only a superuser can make.
    fn prepare(by_superuser: &str, definitions: &str) -> Self {
        Self::with(&policies::masks().unwrap(), &[], by_superuser, definitions)
    }

    fn with(masks: &str, settings: &[&str], by_superuser: &str, definitions: &str) -> Self {
        let stage = Stage::new("attacks").unwrap();
        let postgres = Postgres::start_with(&stage, Clients::Scram, settings).unwrap();
        postgres.sql("postgres", SAMPLE).unwrap();
        let account = postgres.account();
        let schema = format!(
            "create schema lab authorization {account}; grant create on schema public to {account};"
        );
        postgres.sql("postgres", &format!("{schema} {by_superuser}")).unwrap();
        postgres.sql("postgres", &format!("set role {account}; {definitions}")).unwrap();
        postgres.sql("template1", "create database shown template postgres").unwrap();
        let setup = Setup::new(&stage, "gateway", &gateway_program().unwrap()).unwrap();
        let setup = setup.in_front_of(&postgres).unwrap().policy("masks", masks).unwrap();
        let gateway = setup.start().unwrap();
        let (needles, version) = (needles(&postgres), postgres.version().unwrap());
        Self { scene: Scene { gateway, recorder: None, postgres, stage }, version, needles }
    }

    /// A session in the database of whoever it is.
    fn session(&self, who: Who) -> Client {
        let (mint, database) = match who {
            Who::Exempt => (&CAROL, "shown"),
            Who::Masked => (&MALLORY, "postgres"),
        };
        self.session_in(mint, database)
    }

    fn session_in(&self, mint: &Mint<'_>, database: &str) -> Client {
        let gateway = &self.scene.gateway;
        let token = gateway.token(mint).unwrap();
        let mut client = Client::connect_tls(gateway.port(), &gateway.authority()).unwrap();
        client.send(&wire::startup(&[("user", "app"), ("database", database)])).unwrap();
        client.expect('R').unwrap();
        client.send(&wire::password(&token)).unwrap();
        let answer = client.until_ready().unwrap();
        assert_eq!(answer.last().map(|message| message.tag), Some('Z'), "{answer:?}");
        client
    }

    /// Everything that a session is told while it sends these statements, and what comes before the answer to another one.
    fn told(&self, who: Who, sent: Sent, exchange: &[impl AsRef<str>]) -> Vec<Message> {
        let mut client = self.session(who);
        let mut told = Vec::new();
        for statement in exchange {
            told.extend(say(&mut client, sent, statement.as_ref()));
        }
        // A session that was ended says nothing more.
        if client.send(&wire::query("select 'and then'")).is_ok() {
            told.extend(client.until_ready().unwrap_or_default());
        }
        told
    }

    /// MERGE came with version 15.
    fn knows(&self, exchange: &[&str]) -> bool {
        self.version >= 15 || !exchange.iter().any(|text| text.starts_with("merge"))
    }

    /// Each attack shows what it is made for where nothing is masked, and nothing at all where it is, in whatever way it is sent.
    #[track_caller]
    fn hide(&self, attacks: &[Attack]) {
        let mut found = Vec::new();
        for attack in attacks.iter().filter(|attack| self.knows(attack.exchange)) {
            let needle = attack.needle.to_lowercase();
            let shown = self.told(Who::Exempt, Sent::Query, attack.exchange);
            if !shown.iter().any(|message| contains(message, &needle)) {
                found.push(format!(
                    "{:?} shows no `{needle}` where nothing is masked: {}",
                    attack.exchange,
                    print(&shown)
                ));
            }
            for sent in [Sent::Query, Sent::Text, Sent::Binary] {
                let told = self.told(Who::Masked, sent, attack.exchange);
                assert!(!told.is_empty(), "{:?} is answered, be it by a refusal", attack.exchange);
                found.extend(
                    self.leak(&told, Some(&needle))
                        .map(|leak| format!("{:?}, sent as {sent:?}: {leak}", attack.exchange)),
                );
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// Each exchange is made twice, with `{}` for one and for the other of two words, of which the secret makes a difference: everything that is
    /// told is alike where it is masked, and not where nothing is.
    #[track_caller]
    fn tell_apart_nothing(&self, words: [&str; 2], exchanges: &[&[&str]]) {
        let mut found = Vec::new();
        for exchange in exchanges.iter().filter(|exchange| self.knows(exchange)) {
            let both = |who, sent| {
                words.map(|word| {
                    let statements: Vec<String> =
                        exchange.iter().map(|text| text.replace("{}", word)).collect();
                    self.told(who, sent, &statements)
                })
            };
            let [one, other] = both(Who::Exempt, Sent::Query);
            if one == other {
                found.push(format!("{exchange:?} tells nothing where nothing is masked: {}", print(&one)));
            }
            for sent in [Sent::Query, Sent::Text, Sent::Binary] {
                let [one, other] = both(Who::Masked, sent);
                if without_words(&one) != without_words(&other) {
                    found.push(format!(
                        "{exchange:?}, sent as {sent:?}: {} and {}",
                        print(&one),
                        print(&other)
                    ));
                }
                found.extend(
                    self.leak(&one, None).map(|leak| format!("{exchange:?}, sent as {sent:?}: {leak}")),
                );
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// The first message that has a masked value in it, in whatever form, or `needle`.
    fn leak(&self, told: &[Message], needle: Option<&str>) -> Option<String> {
        let needles = || self.needles.iter().map(String::as_str).chain(needle);
        told.iter().find_map(|message| {
            let needle = needles().find(|needle| contains(message, needle))?;
            Some(format!("`{needle}` is in {}", print(std::slice::from_ref(message))))
        })
    }
}

/// In a transaction that has failed, it may be the gateway or the server that says so.
fn without_words(told: &[Message]) -> Vec<Message> {
    let in_failed = |message: &&Message| message.field('C').as_deref() == Some("25P02");
    let (failed, rest): (Vec<_>, Vec<_>) = told.iter().partition(in_failed);
    let failed = failed.into_iter().map(|message| Message { body: Vec::new(), ..message.clone() });
    rest.into_iter().cloned().chain(failed).collect()
}

/// Sends one statement and gives all that is said until the next one can follow.
fn say(client: &mut Client, sent: Sent, statement: &str) -> Vec<Message> {
    let extended = |format, described: &[u8]| {
        let bind = wire::bind_format("", "", &[], format);
        [&wire::parse("", statement)[..], &bind, described, &wire::execute("", 0), &wire::sync()].concat()
    };
    let bytes = match sent {
        Sent::Query => wire::query(statement),
        Sent::Text => extended(0, &wire::describe('P', "")),
        Sent::Binary => extended(1, &[]),
    };
    match client.send(&bytes) {
        Ok(()) => client.until_ready().unwrap(),
        Err(_) => Vec::new(),
    }
}

/// Does it have this text, which is ASCII in lower case, anywhere in its body?
fn contains(message: &Message, needle: &str) -> bool {
    String::from_utf8_lossy(&message.body).to_lowercase().contains(needle)
}

fn print(messages: &[Message]) -> String {
    let print = |message: &Message| format!("{}[{}]", message.tag, message.body.escape_ascii());
    messages.iter().map(print).collect::<Vec<_>>().join(" ")
}

/// The masked values, and what they are without signs, backwards, in hexadecimal digits and in base64; of the secret, its two longer halves too.
fn needles(postgres: &Postgres) -> Vec<String> {
    let forms = "select distinct lower(form) from people, unnest(array[ssn, email, card]) value, \
                 unnest(array[value, translate(value, '- ', ''), reverse(value), encode(value::bytea, 'hex'), encode(value::bytea, 'base64')]) form";
    let forms = postgres.sql("postgres", forms).unwrap();
    let forms: Vec<String> =
        forms.lines().map(str::to_owned).chain(["536-22", "22-8726"].map(str::to_owned)).collect();
    assert!(forms.len() > 40, "{forms:?}");
    forms
}
