//! What the rows about masked values, cancel keys, the target's host and COPY ask for, at a real server: rows A8, A21, A22, A31, A34 and A36.
//!
//! Each attack is made first where it succeeds (by somebody for whom nothing is masked, with the true key, at the server itself): what shows nothing
//! there would prove nothing.

// What goes wrong in a helper fails the test as well.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

use std::collections::HashMap;

use gatewright_attacks::MALLORY;
use gatewright_e2e::{
    Mint, Postgres, SAMPLE, Scene, Setup, Stage, gateway_program, policies,
    wire::{self, Message},
};

mod masked_values {
    mod cancelling;
    mod copies;
    mod errors;
    mod host;
    mod sizes;
    mod types;
}

/// Nothing is masked for her.
const CAROL: Mint<'static> =
    Mint { subject: "carol", groups: &["privacy"], actors: &[], kind: "human", ttl: "1h" };

/// A server with the sample data and a schema `lab` of the gateway's account, and the gateway in front of it. `define` makes what is to be masked,
/// and gives the documents of the policies.
fn scene(define: impl FnOnce(&Postgres) -> Vec<String>) -> Scene {
    let stage = Stage::new("attacks").unwrap();
    let postgres = Postgres::start(&stage).unwrap();
    postgres.sql("postgres", SAMPLE).unwrap();
    let account = postgres.account();
    let schema =
        format!("create schema lab authorization {account}; grant create on schema public to {account}");
    postgres.sql("postgres", &schema).unwrap();
    let documents = define(&postgres);
    let mut setup =
        Setup::new(&stage, "gateway", &gateway_program().unwrap()).unwrap().in_front_of(&postgres).unwrap();
    for (number, document) in documents.iter().enumerate() {
        setup = setup.policy(&format!("masks-{number}"), document).unwrap();
    }
    Scene { gateway: setup.start().unwrap(), recorder: None, postgres, stage }
}

/// The columns that one policy may name in an answer (`core/policy/src/contract/verdict.rs`).
const IN_ONE_POLICY: usize = 512;

/// Documents with a rule for each column: relation, column and method.
fn masks(rules: &[(String, String, &str)]) -> Vec<String> {
    let document = |(number, rules): (usize, &[(String, String, &str)])| {
        let rules: Vec<String> = rules
            .iter()
            .map(|(relation, column, method)| {
                format!("{{ relation = \"{relation}\", column = \"{column}\", method = {method} }}")
            })
            .collect();
        let settings = format!("exempt_groups = [\"privacy\"]\ncolumns = [{}]", rules.join(", "));
        policies::document(&format!("masks-{number}"), "mask_columns", &settings).unwrap()
    };
    rules.chunks(IN_ONE_POLICY).enumerate().map(document).collect()
}

/// Runs definitions at the server as the gateway's account.
fn define(postgres: &Postgres, statements: &str) {
    let mut client = wire::Client::at_server(postgres).unwrap();
    let answer = client.query(statements).unwrap();
    let error = answer.iter().find_map(Message::error);
    assert_eq!(error, None, "{}", &statements[..statements.len().min(2_000)]);
}

fn session(scene: &Scene, mint: &Mint<'_>) -> wire::Client {
    let gateway = &scene.gateway;
    let token = gateway.token(mint).unwrap();
    wire::Client::session(gateway.port(), &gateway.authority(), &token).unwrap()
}

/// For whom everything is masked.
fn masked(scene: &Scene) -> wire::Client {
    session(scene, &MALLORY)
}

/// For whom nothing is.
fn exempt(scene: &Scene) -> wire::Client {
    session(scene, &CAROL)
}

/// The values of a DataRow, as they came.
fn values(row: &Message) -> Vec<Option<Vec<u8>>> {
    take_values(&row.body).0
}

/// Reads a number of values, and each with its length: so a DataRow is made, and a row of COPY in binary format. Gives what follows as well.
fn take_values(body: &[u8]) -> (Vec<Option<Vec<u8>>>, &[u8]) {
    let (count, mut rest) = body.split_first_chunk::<2>().unwrap();
    let values = (0..i16::from_be_bytes(*count)).map(|_| {
        let (length, behind) = rest.split_first_chunk::<4>().unwrap();
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, behind) = behind.split_at(length.unwrap_or_default());
        rest = behind;
        length.map(|_| value.to_vec())
    });
    (values.collect(), rest)
}

/// Finds texts in long answers: all of them at once.
struct Needles(HashMap<[u8; NEEDLE], Vec<Vec<u8>>>);

/// The shortest needle, in bytes. What is shorter is found in an answer by chance.
const NEEDLE: usize = 8;

impl Needles {
    fn new(needles: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut by_begin: HashMap<[u8; NEEDLE], Vec<Vec<u8>>> = HashMap::new();
        for needle in needles {
            let begin = *needle.first_chunk().unwrap();
            by_begin.entry(begin).or_default().push(needle);
        }
        Self(by_begin)
    }

    fn find_in(&self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.windows(NEEDLE).enumerate().find_map(|(at, window)| {
            let known = self.0.get(window)?;
            known.iter().find(|needle| bytes[at..].starts_with(needle)).map(Vec::as_slice)
        })
    }
}

fn print(messages: &[Message]) -> String {
    let print = |message: &Message| {
        let body = &message.body[..message.body.len().min(300)];
        format!("{}[{}]", message.tag, body.escape_ascii())
    };
    messages.iter().map(print).collect::<Vec<_>>().join(" ")
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(pid: u32, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|own| own.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Resident memory, in KiB.
fn resident(pid: u32) -> usize {
    memory(pid, "VmRSS:")
}
