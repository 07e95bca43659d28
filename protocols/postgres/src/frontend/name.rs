//! What Describe and Close name: a prepared statement or a portal.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// A statement or a portal, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A prepared statement.
    Statement(&'a str),
    /// A portal.
    Portal(&'a str),
}

/// Reads the body of a Describe or Close; `message` says which for the error.
///
/// # Errors
///
/// The body is malformed, or names neither a statement nor a portal.
pub fn decode<'a>(body: &'a [u8], message: &'static str) -> Result<Name<'a>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, message))
}

fn read(body: &[u8]) -> Result<Name<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let name = reader.text()?;
    reader.finish()?;
    match kind {
        b'S' => Ok(Name::Statement(name)),
        b'P' => Ok(Name::Portal(name)),
        _ => Err(Malformed::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_portals_and_nothing_else() {
        assert_eq!(decode(b"Ss\0", "Describe"), Ok(Name::Statement("s")));
        assert_eq!(decode(b"Pp\0", "Close"), Ok(Name::Portal("p")));
        assert!(decode(b"Xs\0", "Describe").is_err());
        assert!(decode(b"Ss", "Describe").is_err());
        assert!(decode(b"Ss\0\0", "Describe").is_err());
    }
}
