//! A client can not tell the gateway from the server: each exchange is had at both, and every message of the answers is the same, to its last byte.
//!
//! It is had through a gateway that allows everything, and through one that masks other columns than those that it touches; in one write,
//! message by message and byte by byte.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_e2e::{
    comparison::{Comparison, Step, ready},
    wire::{self, Message, bind, describe, execute, parse, query, tags},
};

mod messages {
    mod batches;
    mod copies;
    mod cursors;
    mod differences;
    mod mistakes;
    mod notices;
    mod portals;
    mod rows;
    mod settings;
    mod transactions;
}

/// A server and its gateways, with a table that no policy names.
fn comparison() -> Comparison {
    let comparison = Comparison::open().unwrap();
    define(
        &comparison,
        "create table things (id int primary key, note text);
        insert into things select n, 'thing ' || n from generate_series(1, 5) n;
        alter table things owner to app",
    );
    comparison
}

fn define(comparison: &Comparison, statements: &str) {
    comparison.scene.postgres.sql("postgres", statements).unwrap();
}

/// Each text is a Query.
fn queries(texts: &[&str]) -> Step {
    ready(texts.len(), &texts.iter().map(|text| query(text)).collect::<Vec<_>>())
}

/// A statement by the extended protocol, without a name.
fn run(text: &str) -> Vec<u8> {
    [parse("", text), bind("", "", &[]), describe('P', ""), execute("", 0)].concat()
}

/// What is done and how, of each statement that was.
fn completed(messages: &[Message]) -> Vec<String> {
    let complete = messages.iter().filter(|message| message.tag == 'C');
    complete
        .map(|message| String::from_utf8_lossy(&message.body).trim_end_matches('\0').to_owned())
        .collect()
}

/// The types of messages, and the SQLSTATEs of the errors among them.
fn outline(messages: &[Message]) -> (String, Vec<String>) {
    (tags(messages), wire::states(messages))
}

/// How each transaction stands when the session is ready: `I`, `T` or `E`.
fn standings(messages: &[Message]) -> String {
    let ready = messages.iter().filter(|message| message.tag == 'Z');
    ready.map(|message| char::from(message.body[0])).collect()
}
