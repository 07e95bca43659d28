//! Query: the simple protocol.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// Reads the text.
///
/// # Errors
///
/// The body is not one UTF-8 string that ends with the body: a zero inside would be the text's end for
/// us and an error for the server (threats A23).
pub fn decode(body: &[u8]) -> Result<&str, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, "Query"))
}

fn read(body: &[u8]) -> Result<&str, Malformed> {
    let mut reader = Reader::new(body);
    let text = reader.text()?;
    reader.finish()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a023_a_zero_inside_the_text_is_refused() {
        assert_eq!(decode(b"select 1\0"), Ok("select 1"));
        assert!(decode(b"select 1\0; delete from t\0").is_err());
        assert!(decode(b"select 1").is_err());
        assert!(decode(b"select '\xe4'\0").is_err());
    }
}
