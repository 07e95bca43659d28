//! CopyOutResponse: COPY data follows, and in which form.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOutResponse {
    /// Is it in binary format? Else it is text or CSV.
    pub binary: bool,
    /// How many columns its rows have.
    pub columns: usize,
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<CopyOutResponse, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "CopyOutResponse"))
}

fn read(body: &[u8]) -> Result<CopyOutResponse, Malformed> {
    let mut reader = Reader::new(body);
    let binary = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed::OutOfRange),
    };
    let columns = usize::try_from(reader.i16()?).map_err(|_| Malformed::OutOfRange)?;
    for _ in 0..columns {
        // All of them are in the same format.
        if reader.i16()? != i16::from(binary) {
            return Err(Malformed::OutOfRange);
        }
    }
    reader.finish()?;
    Ok(CopyOutResponse { binary, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_format_and_the_number_of_columns() {
        assert_eq!(decode(&[0, 0, 1, 0, 0]), Ok(CopyOutResponse { binary: false, columns: 1 }));
        let body = [1, 0, 2, 0, 1, 0, 1];
        assert_eq!(decode(&body), Ok(CopyOutResponse { binary: true, columns: 2 }));
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&body[..], b"x"].concat()).is_err());
        assert!(decode(&[0, 0, 1, 0, 1]).is_err(), "a column of another format");
        assert!(decode(&[2, 0, 0]).is_err());
    }
}
