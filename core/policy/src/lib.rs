//! The decision point: WebAssembly policy modules, policy documents, sets, combining, hot swap.
//!
//! ```text
//! policies/*.toml ──parse──> documents ─┐
//! plugins/*.wasm ──compile─> modules ───┴─bind, cases─> PolicySet ──swap──> Policies
//!                                                                              │ current()
//!             session ──> SessionPolicies::evaluate(set, session, event) <─────┘
//!                             └─ instances ─> drafts ─ combine ─> Evaluation
//! ```
//!
//! The contract with modules is the WIT package in `plugin-sdk/wit`: event handle in, verdict handle out.
//! What the host promises around it:
//!
//! - A module imports nothing but the contract: no clock, no file, no socket ([`ModuleError::Import`]).
//! - It runs in bounded time, memory, host calls and output ([`Limits`]); what goes beyond, traps, or is not
//!   an answer, is that policy's block, with a code that records carry.
//! - An instance serves one session, and is thrown away when it fails or its evaluation is abandoned.
//! - An event is judged by one immutable set, and the answer says which.
//!
//! Not chosen: fuel (up to 37 % of a call's cost against 1 to 4 % for epochs); records by value (4.5 us for
//! each call against 0.4); a fresh instance for every event (20 to 30 us), which a document can ask for.

mod answers;
pub mod author;
mod block_on;
mod cases;
mod combine;
mod contract;
mod document;
mod guest;
mod host;
mod instance;
mod limits;
mod manifest;
mod module;
mod problem;
mod session;
mod set;
mod sources;
mod swap;
mod watch;

pub use crate::{
    cases::{CaseReader, CaseReport, CaseRequest, HttpCase, SqlCase, SshCase},
    contract::{CONTRACT_DIGEST, CONTRACT_VERSION},
    document::{Expect, Isolation, MatchList, MatchName},
    host::{Host, HostError},
    instance::Failure,
    limits::Limits,
    manifest::{Inputs, Manifest},
    module::{Module, ModuleError},
    problem::LoadProblem,
    session::SessionPolicies,
    set::{Examined, Policy, PolicySet},
    swap::Policies,
    watch::{Change, OnChange, Watch, WatchTimes, watch},
};
