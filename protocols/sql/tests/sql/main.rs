//! What the analyser says about SQL: tables of text and expected analysis, and attacks on it.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails here has failed"
)]

mod conditions;
mod copies;
#[path = "../corpus/mod.rs"]
#[allow(unreachable_pub, reason = "other crates' tests may take it in, too")]
mod corpus;
mod effects;
mod harmless;
mod kinds;
mod lineage;
mod live;
mod normalise;
mod readers;
mod red_team;
mod relations;
mod render;
mod robust;
#[path = "../server/mod.rs"]
#[allow(unreachable_pub, reason = "another test takes it in, too")]
mod server;
mod shapes;
