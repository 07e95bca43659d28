//! RowDescription: which column each value of the rows that follow is.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The oid of the relation it was read from; 0 for anything that is not just a column.
    pub relation: u32,
    /// Its attribute number in that relation; 0 for a whole row.
    pub attribute: i16,
    /// The oid of its type.
    pub type_oid: u32,
    /// Are its values in binary format? In the answer to a Describe of a statement this is not known yet
    /// and false.
    pub binary: bool,
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<Vec<Field>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "RowDescription"))
}

fn read(body: &[u8]) -> Result<Vec<Field>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.count()?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        reader.string()?;
        let (relation, attribute, type_oid) = (reader.u32()?, reader.i16()?, reader.u32()?);
        reader.i16()?;
        reader.i32()?;
        let binary = match reader.i16()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed::OutOfRange),
        };
        fields.push(Field { relation, attribute, type_oid, binary });
    }
    reader.finish()?;
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_origin_type_and_format() {
        let body = b"\0\x01ssn\0\0\0\x40\x05\0\x03\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\x01";
        assert_eq!(
            decode(body).unwrap(),
            [Field { relation: 0x4005, attribute: 3, type_oid: 25, binary: true }]
        );
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&body[..], b"x"].concat()).is_err());
    }
}
