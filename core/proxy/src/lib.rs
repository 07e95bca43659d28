//! The enforcement point of Gatewright: the only crate with sockets, a clock and tasks.
//!
//! Start at [`serve`], which puts the parts together. A client's way is [`listener`], then [`driver`],
//! which carries out what a protocol session asks for, over [`transport`] and [`upstream`]; [`enforce`]
//! turns events into permits, [`recorder`] writes down what goes on. Everything else stands around it: [`config`], [`keys`], [`revocations`],
//! [`sessions`], [`tls`], [`admin`], [`cli`], [`metrics`], [`telemetry`], [`shutdown`].

pub mod admin;
pub mod case_reader;
pub mod cli;
pub mod client_sessions;
pub mod config;
mod descriptors;
pub mod dev_certificates;
pub mod driver;
pub mod enforce;
pub mod errand;
mod give_back;
pub mod identity_fetch;
pub mod keys;
pub mod listener;
pub mod match_names;
pub mod metrics;
pub mod recorder;
pub mod refused_policies;
pub mod revocations;
pub mod serve;
pub mod sessions;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod transport;
pub mod upstream;
pub mod wire;
pub mod workers;
