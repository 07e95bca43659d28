//! SSH as a session without I/O: what is asked for on a channel, and what of it reaches the target.
//!
//! russh does the wire, in `core/proxy`: key exchange, authentication, packets, windows. What travels here are the messages of one channel
//! ([`message::Message`]), in the words of RFC 4254. A connection has many channels; each is a session of its own, so one that
//! waits for a reviewer keeps nothing from its neighbours.
//!
//! ```text
//! client                         channel                                             target
//!   open    ------------------>  asked about; accepted or refused
//!   pty, env, exec, ... ------>  one after the other: asked about  --- permit --->   the same request
//!                  <-----------  its reply                                   <----   its reply
//!   data    ------------------>  from the moment something runs              ---->   data
//!   data    <------------------  what policies want hidden in it is hidden   <----   data
//! ```
//!
//! The one idea: **a request is one event, and nothing overtakes it**. Requests of a channel are answered in their order
//! (section 5.4), each with its own verdict, and what a client sends behind one waits until it is decided. A channel runs one
//! thing (section 6.5).

pub mod channel;
pub mod command;
pub mod digest;
pub mod message;
mod output;
pub mod sftp;
mod telling;
mod transfer;
