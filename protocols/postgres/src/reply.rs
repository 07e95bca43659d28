//! Every message that the gateway itself writes, to either side.

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_model::{
    decision::Block,
    id::ApprovalId,
    permit::Denial,
    session::{ProtocolError, Rejection, Side},
};

use crate::{
    backend::{self, ready_for_query::Transaction},
    cancel::OwnKey,
    frontend,
    reader::length,
};

/// An ErrorResponse or NoticeResponse to write.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// `ERROR` or `FATAL`; `NOTICE` makes it a notice.
    pub severity: &'static str,
    /// The SQLSTATE.
    pub sqlstate: &'a str,
    /// One sentence.
    pub message: &'a str,
    /// More of it. May be empty.
    pub detail: &'a str,
    /// What to do. May be empty.
    pub hint: &'a str,
}

impl Report<'_> {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let tag = match self.severity {
            "NOTICE" => backend::tag::NOTICE_RESPONSE,
            _ => backend::tag::ERROR_RESPONSE,
        };
        message(tag, |body| {
            let mut field = |code: u8, text: &str| {
                if !text.is_empty() {
                    body.put_u8(code);
                    put_text(body, text);
                }
            };
            field(b'S', self.severity);
            field(b'V', self.severity);
            field(b'C', self.sqlstate);
            field(b'M', self.message);
            field(b'D', self.detail);
            field(b'H', self.hint);
            body.put_u8(0);
        })
    }
}

/// The refusal of a statement: 42501, insufficient privilege. The rule stands in DETAIL and the way on in
/// HINT, where every driver shows them.
pub fn denial(denial: &Denial) -> Bytes {
    refusal("ERROR", denial)
}

/// The refusal of a session, in the same words.
pub fn denial_of_session(denial: &Denial) -> Bytes {
    refusal("FATAL", denial)
}

fn refusal(severity: &'static str, denial: &Denial) -> Bytes {
    let Block { code, rule, reason, remedy } = &denial.block;
    if &**code == WITHDRAWN {
        return cancelled(WITHDRAWN, denial.approval.as_ref());
    }
    let rule = if rule.is_empty() { String::new() } else { format!("rule: {rule}; ") };
    let request = denial.approval.as_ref().map(|approval| format!("; request: {approval}"));
    let detail = format!("{rule}code: {code}{}", request.unwrap_or_default());
    let message = format!("blocked by policy: {reason}");
    Report { severity, sqlstate: "42501", message: &message, detail: &detail, hint: remedy }.encode()
}

/// The code of a denial whose approval request was withdrawn by the one who asked.
const WITHDRAWN: &str = Denial::WITHDRAWN;

/// What a server says when a client's cancel request ends a statement.
pub fn cancelled(code: &str, approval: Option<&ApprovalId>) -> Bytes {
    let request = approval.map(|approval| format!("; request: {approval}")).unwrap_or_default();
    Report {
        severity: "ERROR",
        sqlstate: "57014",
        message: "canceling statement due to user request",
        detail: &format!("code: {code}{request}"),
        hint: "",
    }
    .encode()
}

/// Tells the client that its statement waits for a person.
pub fn held(approval: &ApprovalId, reason: &str) -> Bytes {
    let message = format!("held for approval as request {approval}: {reason}");
    let hint = "the statement runs when a reviewer approves it; cancel it to withdraw the request";
    Report { severity: "NOTICE", sqlstate: "00000", message: &message, detail: "", hint }.encode()
}

/// Turns a client away, or ends its session.
pub fn rejection(rejection: &Rejection) -> Bytes {
    let sqlstate = match rejection.code {
        // A token stands where a password does.
        code if code.starts_with("auth.jwt_") => "28P01",
        code if code.starts_with("auth.") => "28000",
        code if code.starts_with("upstream.") => "08006",
        "gateway.draining" | "gateway.terminated" | "session.ended" => "57P01",
        "gateway.overloaded" => "53300",
        _ => "28000",
    };
    let detail = format!("code: {}", rejection.code);
    Report {
        severity: "FATAL",
        sqlstate,
        message: &rejection.message,
        detail: &detail,
        hint: &rejection.remedy,
    }
    .encode()
}

/// The code of a target that has too many connections.
pub const BUSY: &str = "upstream.busy";

/// The code of a target that starts, recovers or shuts down.
pub const NOT_READY: &str = "upstream.not_ready";

/// The code of what a target sends that has to be held, and is too large for that.
pub const TOO_LARGE: &str = "upstream.too_large";

/// The last words before the connection closes because a peer broke the protocol.
///
/// What a target did wrong is not shown in detail: before its identity is proved its words are not to
/// be trusted, and after that they are of no use to the client (threats A2).
pub fn protocol_error(error: &ProtocolError) -> Bytes {
    let (sqlstate, message) = match error.fault {
        Side::Downstream => ("08P01", &*error.detail),
        Side::Upstream if error.code == BUSY => ("53300", "the target has too many connections: try again"),
        Side::Upstream if error.code == NOT_READY => {
            ("57P03", "the target does not take connections now: try again")
        }
        Side::Upstream if error.code == TOO_LARGE => (
            "54000",
            "what the target sends is too large to be held, which masking it takes: select less of it",
        ),
        Side::Upstream => ("08006", "the connection to the target failed"),
    };
    let detail = format!("code: {}", error.code);
    Report { severity: "FATAL", sqlstate, message, detail: &detail, hint: "" }.encode()
}

/// AuthenticationCleartextPassword: asks the client for its token.
pub fn ask_password() -> Bytes {
    message(backend::tag::AUTHENTICATION, |body| body.put_i32(3))
}

/// AuthenticationOk.
pub fn authentication_ok() -> Bytes {
    message(backend::tag::AUTHENTICATION, |body| body.put_i32(0))
}

/// NegotiateProtocolVersion: this minor version of 3, and none of these options.
pub fn negotiate_version(minor: u16, unknown_options: &[&str]) -> Bytes {
    message(backend::tag::NEGOTIATE_PROTOCOL_VERSION, |body| {
        body.put_u32(0x0003_0000 | u32::from(minor));
        body.put_u32(u32::try_from(unknown_options.len()).unwrap_or(u32::MAX));
        for option in unknown_options {
            put_text(body, option);
        }
    })
}

/// BackendKeyData.
pub fn key_data(own: &OwnKey) -> Bytes {
    message(backend::tag::BACKEND_KEY_DATA, |body| {
        body.put_u32(own.process);
        body.put_slice(own.key.bytes());
    })
}

/// ReadyForQuery.
pub fn ready_for_query(transaction: Transaction) -> Bytes {
    message(backend::tag::READY_FOR_QUERY, |body| body.put_u8(transaction.code()))
}

/// SSLRequest.
pub fn tls_request() -> Bytes {
    Bytes::from_static(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
}

/// CancelRequest.
pub fn cancel_request(process: u32, key: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(12 + key.len());
    packet.put_u32(u32::try_from(12 + key.len()).unwrap_or(u32::MAX));
    packet.put_u32(0x04d2_162e);
    packet.put_u32(process);
    packet.put_slice(key);
    packet.freeze()
}

/// StartupMessage for protocol 3.0.
pub fn startup<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Bytes {
    let mut packet = BytesMut::with_capacity(256);
    packet.put_u32(0);
    packet.put_u32(0x0003_0000);
    for (name, value) in parameters {
        put_text(&mut packet, name);
        put_text(&mut packet, value);
    }
    packet.put_u8(0);
    set_length(&mut packet, 0);
    packet.freeze()
}

/// SASLInitialResponse.
pub fn sasl_initial(mechanism: &str, response: &[u8]) -> Bytes {
    message(frontend::tag::PASSWORD, |body| {
        put_text(body, mechanism);
        body.put_u32(u32::try_from(response.len()).unwrap_or(u32::MAX));
        body.put_slice(response);
    })
}

/// SASLResponse.
pub fn sasl_response(response: &[u8]) -> Bytes {
    message(frontend::tag::PASSWORD, |body| body.put_slice(response))
}

/// Query.
pub fn query(text: &str) -> Bytes {
    message(frontend::tag::QUERY, |body| put_text(body, text))
}

/// Parse without parameter types.
pub fn parse(name: &str, text: &str) -> Bytes {
    message(frontend::tag::PARSE, |body| {
        put_text(body, name);
        put_text(body, text);
        body.put_i16(0);
    })
}

/// Bind without parameters, all columns in text format.
pub fn bind(portal: &str, statement: &str) -> Bytes {
    message(frontend::tag::BIND, |body| {
        put_text(body, portal);
        put_text(body, statement);
        body.put_slice(&[0; 6]);
    })
}

/// Describe of a portal.
pub fn describe_portal(portal: &str) -> Bytes {
    message(frontend::tag::DESCRIBE, |body| {
        body.put_u8(b'P');
        put_text(body, portal);
    })
}

/// Describe of a statement.
pub fn describe_statement(name: &str) -> Bytes {
    message(frontend::tag::DESCRIBE, |body| {
        body.put_u8(b'S');
        put_text(body, name);
    })
}

/// Execute of a portal, all rows.
pub fn execute(portal: &str) -> Bytes {
    message(frontend::tag::EXECUTE, |body| {
        put_text(body, portal);
        body.put_i32(0);
    })
}

/// Close of a statement.
pub fn close_statement(name: &str) -> Bytes {
    message(frontend::tag::CLOSE, |body| {
        body.put_u8(b'S');
        put_text(body, name);
    })
}

/// Close of a portal.
pub fn close_portal(name: &str) -> Bytes {
    message(frontend::tag::CLOSE, |body| {
        body.put_u8(b'P');
        put_text(body, name);
    })
}

/// Sync.
pub fn sync() -> Bytes {
    message(frontend::tag::SYNC, |_| {})
}

/// Flush.
pub fn flush() -> Bytes {
    message(frontend::tag::FLUSH, |_| {})
}

/// CopyFail.
pub fn copy_fail(reason: &str) -> Bytes {
    message(frontend::tag::COPY_FAIL, |body| put_text(body, reason))
}

/// Terminate.
pub fn terminate() -> Bytes {
    message(frontend::tag::TERMINATE, |_| {})
}

/// A message with `tag` and whatever `body` writes.
///
/// A body that does not fit the length field can not be written; the callers' inputs are bounded far
/// below that, and `set_length` writes a length that every peer refuses rather than one that wraps
/// (threats A24).
pub fn message(tag: u8, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::with_capacity(64);
    bytes.put_u8(tag);
    bytes.put_u32(0);
    body(&mut bytes);
    set_length(&mut bytes, 1);
    bytes.freeze()
}

fn set_length(bytes: &mut BytesMut, at: usize) {
    let length = length(bytes.len() - at).unwrap_or(0);
    if let Some(slot) = bytes.get_mut(at..at + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

/// Writes a string and its zero. Zeros inside would end it early: they are left out.
fn put_text(body: &mut BytesMut, text: &str) {
    for part in text.as_bytes().split(|byte| *byte == 0) {
        body.put_slice(part);
    }
    body.put_u8(0);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gatewright_model::id::EventId;

    use super::*;

    #[test]
    fn a_denial_names_rule_reason_and_remedy() {
        let bytes = denial(&Denial {
            event: EventId::FIRST,
            block: Block {
                code: Arc::from("sql.denied"),
                rule: Arc::from("no-bare-delete/where-required"),
                reason: Arc::from("delete without where"),
                remedy: Arc::from("add a where clause"),
            },
            approval: None,
        });
        let report = backend::error_response::decode(&bytes[5..]).unwrap();
        assert_eq!((report.severity, report.sqlstate), ("ERROR", "42501"));
        assert_eq!(report.message, "blocked by policy: delete without where");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("Drule: no-bare-delete/where-required; code: sql.denied\0"));
        assert!(text.contains("Hadd a where clause\0"));
    }

    #[test]
    fn text_can_not_end_a_field_early() {
        let report =
            Report { severity: "ERROR", sqlstate: "42501", message: "a\0Mb", detail: "", hint: "" };
        assert_eq!(backend::error_response::decode(&report.encode()[5..]).unwrap().message, "aMb");
    }

    #[test]
    fn lengths_count_themselves_and_the_body() {
        assert_eq!(&query("a")[..], b"Q\0\0\0\x06a\0");
        assert_eq!(&flush()[..], b"H\0\0\0\x04");
        assert_eq!(&cancel_request(1, &[0, 0, 0, 2])[..4], &[0, 0, 0, 16]);
        assert_eq!(&startup([("user", "a")])[..4], &[0, 0, 0, 16]);
    }
}
