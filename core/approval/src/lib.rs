//! Approval requests: events that wait for a person.
//!
//! A request belongs to one held event of one live session, and lives as long as the session waits for
//! it. It is therefore kept in memory, and nowhere else: after a restart there is nothing that it could
//! let go on. Its history is in the evidence log, which the enforcement point writes; this crate knows
//! neither the log nor a clock nor a protocol.
//!
//! What an approval covers is in the request and can not change: the exact bytes (by digest), the
//! principal and its chain, the session, the target and account, the policy set (promise P8). Whoever
//! takes part in the chain that asks can not answer.

mod display;
mod registry;
mod request;
mod ticket;

pub use self::{
    display::{DISPLAY_LIMIT, visible},
    registry::{Answer, AnswerError, Approvals, COMMENT_LIMIT, OPEN_PER_SUBJECT},
    request::{NewRequest, RequestError, RequestView, State, Vote},
    ticket::{Settled, Ticket},
};

#[cfg(test)]
mod tests;
