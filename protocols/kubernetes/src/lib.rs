//! The Kubernetes API on HTTP exchanges: what a request means, streams into containers, answers that are masked.
//!
//! An API server is an HTTP server, so everything that `gatewright-http` refuses is refused here, too. This crate adds what HTTP does
//! not say, and plugs it into an exchange ([`dialect`]):
//!
//! ```text
//! request    impersonation, upgrade   taken out or refused before HTTP looks
//!            request_info, stream     what it means: the event
//!            negotiate                asked for in JSON where the answer is masked
//! answer     answer                   lists, tables, watches and objects, shown object by object
//!            tunnel                   after a switch: spdy and WebSocket frames, channels
//! refusal    status                   as kubectl prints it
//! ```
//!
//! No client library: what counts is what an API server makes of bytes, not what a library would have sent.

pub mod answer;
pub mod channels;
pub mod dialect;
pub mod impersonation;
pub mod negotiate;
mod passed;
pub mod protobuf;
pub mod request_info;
pub mod spdy;
pub mod status;
pub mod stream;
pub mod tunnel;
pub mod upgrade;
pub mod violation;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;
