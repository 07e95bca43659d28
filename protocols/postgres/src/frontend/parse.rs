//! Parse: prepares one statement.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// A statement to prepare. Parameter types are checked for shape and left to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Its name; empty for the unnamed statement.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<Parse<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, "Parse"))
}

fn read(body: &[u8]) -> Result<Parse<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let (name, text) = (reader.text()?, reader.text()?);
    let types = reader.i16()?;
    for _ in 0..types.max(0) {
        reader.u32()?;
    }
    if types < 0 {
        return Err(Malformed::OutOfRange);
    }
    reader.finish()?;
    Ok(Parse { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_bodies_only() {
        let body = b"s1\0select $1\0\0\x01\0\0\0\x17";
        assert_eq!(decode(body), Ok(Parse { name: "s1", text: "select $1" }));
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&body[..], b"x"].concat()).is_err());
    }
}
