//! Execute: runs a portal.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// Reads the name of the portal to run. The row limit is checked for shape and left to the server.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<&str, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, "Execute"))
}

fn read(body: &[u8]) -> Result<&str, Malformed> {
    let mut reader = Reader::new(body);
    let portal = reader.text()?;
    reader.i32()?;
    reader.finish()?;
    Ok(portal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_bodies_only() {
        assert_eq!(decode(b"p\0\0\0\0\0"), Ok("p"));
        assert!(decode(b"p\0\0\0\0").is_err());
        assert!(decode(b"p\0\0\0\0\0\0").is_err());
    }
}
