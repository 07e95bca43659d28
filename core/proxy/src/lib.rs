//! The enforcement point of Gatewright: the only crate with sockets, a clock and tasks.
//!
//! Start at `serve`, which puts the parts together, or at `driver`, which carries out what a protocol
//! session asks for. Everything here that is not the data path stands around it: [`config`], [`tls`],
//! [`admin`], [`cli`], [`metrics`], [`telemetry`], [`shutdown`].

pub mod config;
pub mod dev_certificates;
pub mod identity_fetch;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
