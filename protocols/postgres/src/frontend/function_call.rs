//! FunctionCall: runs a function by its number, the "fast path".

use gatewright_model::{
    session::{ProtocolError, Side},
    sql::Parameter,
};

use super::bind;
use crate::reader::{Malformed, Reader};

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// The function's oid.
    pub function: u32,
    /// Its arguments.
    pub arguments: Vec<Parameter>,
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed, or a format code is neither text nor binary.
pub fn decode(body: &[u8]) -> Result<FunctionCall, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, "FunctionCall"))
}

fn read(body: &[u8]) -> Result<FunctionCall, Malformed> {
    let mut reader = Reader::new(body);
    let function = reader.u32()?;
    let arguments = bind::values(&mut reader)?;
    if !matches!(reader.i16()?, 0 | 1) {
        return Err(Malformed::OutOfRange);
    }
    reader.finish()?;
    Ok(FunctionCall { function, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_bodies_only() {
        let body = b"\0\0\x03\xbc\0\x01\0\x01\0\x02\0\0\0\x02\0\x2a\xff\xff\xff\xff\0\x01";
        let call = decode(body).unwrap();
        assert_eq!(call.function, 956);
        assert_eq!(call.arguments, [Parameter::Binary([0, 42][..].into()), Parameter::Null]);
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&body[..], b"x"].concat()).is_err());
        assert!(decode(b"\0\0\x03\xbc\0\0\0\0\0\x02").is_err(), "format 2");
    }
}
