//! What a person reads on the standard error when the gateway itself has something to say: one line.

use std::fmt::Write as _;

use bytes::Bytes;
use gatewright_model::{
    hidden::is_hidden,
    id::{ApprovalId, EventId, SessionId},
    permit::Denial,
    session::Rejection,
};

/// A request is refused.
pub(crate) fn denied(denial: &Denial, session: SessionId) -> String {
    let block = &denial.block;
    let mut text = format!("blocked by {}: {}", block.rule, block.reason);
    if !block.remedy.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(text, "; {}", block.remedy);
    }
    if let Some(approval) = &denial.approval {
        let _ = write!(text, " (approval {approval})");
    }
    let _ = write!(text, " [{} {session}/{}]", block.code, denial.event);
    text
}

/// A request waits for a reviewer.
pub(crate) fn held(event: EventId, session: SessionId, approval: &ApprovalId, reason: &str) -> String {
    format!("waiting for a reviewer: {reason} (approval {approval}) [{session}/{event}]")
}

/// The session ends.
pub(crate) fn rejected(rejection: &Rejection) -> String {
    let Rejection { code, message, remedy } = rejection;
    let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    format!("{message}{remedy} [{code}]")
}

/// As a line of its own.
pub(crate) fn line(text: &str) -> Bytes {
    // A terminal in raw mode does not go back to the first column by itself.
    Bytes::from(format!("{}\r\n", words(text)))
}

/// As the gateway's own words. A reason is a policy's or a reviewer's text: it must not move the cursor of the terminal that shows it.
pub(crate) fn words(text: &str) -> String {
    let mut words = "gatewright: ".to_owned();
    for character in text.chars() {
        if is_hidden(character) {
            words.extend(character.escape_unicode());
        } else {
            words.push(character);
        }
    }
    words
}
