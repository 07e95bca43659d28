//! The analyser held against what can not be wrong in the same way: PostgreSQL's tree seen by a walk that knows
//! nothing, and a real server.
//!
//! The statements are those of PostgreSQL's own regression files, which `cargo xtask oracle` fetches, and mutants of
//! them; and queries that are made up here. `docs/oracle.md` has the counts, and these tests hold it current:
//! `UPDATE_EXPECT=1` writes it anew.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails here has failed"
)]

mod compare;
mod corpus;
mod lineage;
mod locks;
mod mutate;
mod offline;
mod page;
mod queries;
#[path = "../server/mod.rs"]
#[allow(unreachable_pub, reason = "another test takes it in, too")]
mod server;
mod tree;
