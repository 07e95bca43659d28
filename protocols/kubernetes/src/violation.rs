//! What a peer did on a switched connection that its protocol, or the gateway, forbids.

/// A stable code and what happened, without any byte of a payload. Made of constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Like `spdy.frame`, for records.
    pub code: &'static str,
    /// For people.
    pub detail: &'static str,
}

impl From<gatewright_http::websocket::Violation> for Violation {
    fn from(violation: gatewright_http::websocket::Violation) -> Self {
        let gatewright_http::websocket::Violation { code, detail } = violation;
        Self { code, detail }
    }
}
