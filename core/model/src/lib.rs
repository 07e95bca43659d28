//! The nouns of Gatewright: plain data that every other crate speaks.
//!
//! Nothing here does I/O, reads a clock, takes a lock or knows a wire format. A protocol crate
//! depends on this crate and on nothing else of the project (and on `gatewright-masking`), which is
//! what keeps a new protocol from reaching into the proxy, and the proxy from learning a protocol.
//!
//! Read [`session`] first: it is the seam between protocol logic and the world, and its two closed
//! enums are all that can cross it.

pub mod audit;
pub mod decision;
pub mod digest;
pub mod event;
pub mod hex;
pub mod hidden;
pub mod http;
pub mod id;
pub mod json;
pub mod json_path;
pub mod kubernetes;
pub mod mask;
pub mod permit;
pub mod principal;
pub mod recording;
pub mod secret;
pub mod session;
pub mod sql;
pub mod ssh;
