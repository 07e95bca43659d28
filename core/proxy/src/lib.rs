//! The enforcement point of Gatewright: the only crate with sockets, a clock and tasks.
//!
//! Start at [`serve`], which puts the parts together. Everything here that is not the data path stands
//! around it: [`config`], [`keys`], [`tls`], [`admin`], [`cli`], [`metrics`], [`telemetry`], [`shutdown`].

pub mod admin;
pub mod case_reader;
pub mod cli;
pub mod config;
pub mod dev_certificates;
pub mod identity_fetch;
pub mod keys;
pub mod metrics;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
