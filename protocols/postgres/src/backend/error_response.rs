//! ErrorResponse and NoticeResponse: fields with one-letter names (manual, section 55.8).

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// The fields that the gateway looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// `V`: `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE`, ... never translated.
    pub severity: &'a str,
    /// `C`: the SQLSTATE.
    pub sqlstate: &'a str,
    /// `M`: the message.
    pub message: &'a str,
}

impl Report<'_> {
    /// Does the server close the connection after this?
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, "FATAL" | "PANIC")
    }
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed, or has no SQLSTATE (threats A10).
pub fn decode(body: &[u8]) -> Result<Report<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "ErrorResponse"))
}

fn read(body: &[u8]) -> Result<Report<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let mut report = Report::default();
    loop {
        match reader.u8()? {
            0 => break,
            // `S` may be translated; `V` is what it means since 9.6.
            b'V' => report.severity = reader.text()?,
            b'C' => report.sqlstate = reader.text()?,
            b'M' => report.message = reader.text()?,
            _ => {
                reader.string()?;
            }
        }
    }
    reader.finish()?;
    if report.sqlstate.len() == 5 { Ok(report) } else { Err(Malformed::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a010_an_error_without_a_code_is_malformed() {
        let report = decode(b"SERROR\0VERROR\0C42601\0Msyntax error\0\0").unwrap();
        assert_eq!((report.severity, report.sqlstate), ("ERROR", "42601"));
        assert!(!report.is_fatal());
        assert!(decode(b"SERROR\0VERROR\0Msyntax error\0\0").is_err());
        assert!(decode(b"SERROR\0VERROR\0C42601\0").is_err());
        assert!(decode(b"SERROR\0VERROR\0C42601\0\0x").is_err());
    }
}
