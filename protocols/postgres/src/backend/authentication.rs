//! Authentication requests of the target.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// What the target asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Nothing more.
    Ok,
    /// A SASL exchange; these mechanisms are offered.
    Sasl {
        /// Is `SCRAM-SHA-256` among them?
        scram: bool,
        /// Is `SCRAM-SHA-256-PLUS` among them?
        scram_plus: bool,
    },
    /// The next step of the exchange.
    SaslContinue(&'a [u8]),
    /// The last step of the exchange.
    SaslFinal(&'a [u8]),
    /// Anything else: a password in clear, MD5, GSSAPI, SSPI, ... None of them is answered.
    Weak(i32),
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<Authentication<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "Authentication"))
}

fn read(body: &[u8]) -> Result<Authentication<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let request = match reader.i32()? {
        0 => Authentication::Ok,
        10 => {
            let (mut scram, mut scram_plus) = (false, false);
            loop {
                match reader.string()? {
                    b"" => break,
                    b"SCRAM-SHA-256" => scram = true,
                    b"SCRAM-SHA-256-PLUS" => scram_plus = true,
                    _ => {}
                }
            }
            Authentication::Sasl { scram, scram_plus }
        }
        11 => Authentication::SaslContinue(reader.rest()),
        12 => Authentication::SaslFinal(reader.rest()),
        other => {
            reader.rest();
            Authentication::Weak(other)
        }
    };
    reader.finish()?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_may_answer_and_names_what_it_may_not() {
        assert_eq!(decode(&[0, 0, 0, 0]), Ok(Authentication::Ok));
        assert_eq!(
            decode(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
            Ok(Authentication::Sasl { scram: true, scram_plus: true })
        );
        assert_eq!(decode(&[0, 0, 0, 3]), Ok(Authentication::Weak(3)));
        assert_eq!(decode(&[0, 0, 0, 5, 1, 2, 3, 4]), Ok(Authentication::Weak(5)));
        assert!(decode(&[0, 0, 0, 0, 0]).is_err());
        assert!(decode(b"\0\0\0\x0aSCRAM-SHA-256\0").is_err());
    }
}
