//! No attack: a module whose answer depends on the values that a statement is run with, and on nothing else.
#![cfg(target_family = "wasm")]

use gatewright_policy_sdk::{Event, Verdict, policy};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

policy! {
    name: "parameters",
    kinds: ["sql.query", "sql.execute"],
    inputs: ["parameters"],
    settings: Settings,
    evaluate: evaluate,
}

fn evaluate(event: &Event, _: &Settings) -> Verdict {
    let parameters: Vec<_> = event.sql().unwrap().parameters().collect();
    Verdict::block("said", format!("{parameters:?}"), "")
}
