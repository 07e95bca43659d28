//! HTTP as a session without I/O: what of a request is believed, what of it reaches the target, and what of the
//! answer comes back.
//!
//! hyper does the wire, in `core/proxy`, for every version of HTTP. So what travels here is not bytes but messages
//! ([`unit::Unit`]): a head, pieces of a body, an end. A body is streamed after the
//! decision, in both directions, and nobody looks into it, but for two: that of a request that a policy may ask about is
//! read whole before ([`dialect::Dialect::reads_body`]), and that of an answer of which parts are hidden passes through
//! [`content`].
//!
//! ```text
//! client            path, query, authority, headers     route        exchange                     target
//!   head  ------>   one canonical form, or 400    --->  404   --->   401, 403, or the permit --->  head
//!   body  ------------------------------------------------------->   after the permit        --->  body
//!   answer <------  answer: hop-by-hop taken out, an answer that ends early is cut          <---  answer
//! ```
//!
//! The one idea: **there is one form of a request**. What two programs could read in two ways (`//`, `%2f`, `;`, two
//! lengths, `X_User` beside `X-User`) is refused with 400 and never becomes an event. What is left is written anew in
//! the one way that every server reads alike, and that form is judged, hashed, shown to a reviewer, and sent.

pub mod authority;
pub mod content;
pub mod dialect;
mod digest;
pub mod exchange;
pub mod filter;
pub mod headers;
pub mod inject;
pub mod masking;
pub mod messages;
pub mod path;
mod percent;
pub mod problem;
pub mod query;
pub mod refusal;
mod remedy;
pub mod request;
pub mod route;
pub mod tunnel;
pub mod unit;
pub mod websocket;
