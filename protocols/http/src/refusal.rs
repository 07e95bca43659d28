//! Why a message is refused before it could become an event, or an answer before it could reach the client.

use std::sync::Arc;

use gatewright_model::session::{ProtocolError, Side};
use http::StatusCode;

/// A message that is refused for its form. Made of constants, so that no byte of a payload can be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is answered.
    pub status: StatusCode,
    /// A stable code for programs and records, like `http.path`.
    pub code: &'static str,
    /// What is wrong.
    pub detail: &'static str,
}

impl Refusal {
    /// 400: the request has no one reading.
    pub(crate) const fn bad(code: &'static str, detail: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, detail }
    }

    /// 501: what is asked for exists, and not here.
    pub(crate) const fn not_here(code: &'static str, detail: &'static str) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, code, detail }
    }

    /// 502: the answer can not be passed on.
    pub(crate) const fn bad_answer(code: &'static str, detail: &'static str) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, code, detail }
    }

    /// The same, as an error of a session.
    pub(crate) fn into_error(self, fault: Side) -> ProtocolError {
        ProtocolError { fault, code: self.code, detail: Arc::from(self.detail) }
    }
}
