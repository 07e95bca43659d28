//! CommandComplete: a statement is done, and how many rows it touched.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// The row count at the end of a command tag: `SELECT 5`, `INSERT 0 3`, `UPDATE 2`. None where the
/// command has none.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<Option<u64>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "CommandComplete"))
}

fn read(body: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut reader = Reader::new(body);
    let tag = reader.text()?;
    reader.finish()?;
    Ok(tag.rsplit(' ').next().and_then(|last| last.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rows_where_there_are_any() {
        assert_eq!(decode(b"SELECT 5\0"), Ok(Some(5)));
        assert_eq!(decode(b"INSERT 0 3\0"), Ok(Some(3)));
        assert_eq!(decode(b"CREATE TABLE\0"), Ok(None));
        assert!(decode(b"SELECT 5").is_err());
    }
}
