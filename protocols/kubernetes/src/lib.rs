//! The Kubernetes API on HTTP exchanges: what a request means, streams into containers, answers that are masked.
//!
//! An API server is an HTTP server, so everything that `gatewright-http` refuses is refused here, too. This crate adds what HTTP does
//! not say: which verb on which resource a path is ([`request_info`]), which of them lead into a container ([`stream`]), whom
//! the request is done as ([`impersonation`]), and how a refusal looks to kubectl ([`status`]).
//!
//! No client library: what counts is what an API server makes of bytes, not what a library would have sent.

pub mod answer;
pub mod channels;
pub mod dialect;
pub mod impersonation;
pub mod negotiate;
pub mod protobuf;
pub mod request_info;
pub mod spdy;
pub mod status;
pub mod stream;
pub mod tunnel;
pub mod upgrade;
pub mod violation;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod transcripts;
