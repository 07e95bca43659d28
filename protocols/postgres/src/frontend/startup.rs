//! The packets that may open a connection: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use std::sync::Arc;

use gatewright_model::session::{ProtocolError, Side};

use crate::{
    cancel::CancelSecret,
    reader::{Malformed, Reader},
};

/// A packet without a tag (manual, section 55.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// The client wants TLS.
    Tls,
    /// The client wants GSSAPI encryption.
    Gss,
    /// The client wants a running query cancelled.
    Cancel {
        /// The process id it was given.
        process: u32,
        /// The key it was given.
        key: CancelSecret,
    },
    /// The client wants a session.
    Startup(Startup),
}

/// A StartupMessage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// Minor version that the client asked for; the major version is 3.
    pub minor: u16,
    /// Names and values in the client's order. Names are unique.
    pub parameters: Parameters,
}

/// Names and values.
pub type Parameters = Vec<(Arc<str>, Arc<str>)>;

impl Startup {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        self.parameters.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
    }

    /// The database that is meant: the user's own where none is named, and where its name is empty (`ProcessStartupPacket` of the server).
    pub fn database(&self) -> Option<&Arc<str>> {
        self.get("database").filter(|name| !name.is_empty()).or_else(|| self.get("user"))
    }
}

/// The most bytes of a name (`NAMEDATALEN`). The server cuts longer ones.
pub const MAX_NAME: usize = 63;

/// Most parameters that a startup packet may carry. Drivers send fewer than ten.
pub const MAX_PARAMETERS: usize = 64;

const CODE_CANCEL: u32 = 0x04d2_162e;
const CODE_TLS: u32 = 0x04d2_162f;
const CODE_GSS: u32 = 0x04d2_1630;

/// Reads a whole packet, its length included.
///
/// # Errors
///
/// It is none of the four, or malformed, or names a parameter twice.
pub fn decode(packet: &[u8]) -> Result<Opening, ProtocolError> {
    let malformed = |cause: Malformed| cause.in_message(Side::Downstream, "the startup packet");
    let mut reader = Reader::new(packet);
    reader.u32().map_err(malformed)?;
    let code = reader.u32().map_err(malformed)?;
    let opening = match code {
        CODE_TLS => Opening::Tls,
        CODE_GSS => Opening::Gss,
        CODE_CANCEL => Opening::Cancel {
            process: reader.u32().map_err(malformed)?,
            key: CancelSecret::of(reader.rest()).ok_or(Malformed::OutOfRange).map_err(malformed)?,
        },
        _ if code >> 16 == 3 => {
            let minor = (code & 0xffff) as u16;
            Opening::Startup(Startup { minor, parameters: parameters(&mut reader).map_err(malformed)? })
        }
        _ => {
            return Err(ProtocolError {
                fault: Side::Downstream,
                code: "pg.mode_denied",
                detail: Arc::from(format!("unsupported protocol {}.{}", code >> 16, code & 0xffff)),
            });
        }
    };
    reader.finish().map_err(malformed)?;
    Ok(opening)
}

fn parameters(reader: &mut Reader<'_>) -> Result<Parameters, Malformed> {
    let mut parameters = Parameters::new();
    loop {
        let name = reader.text()?;
        if name.is_empty() {
            return Ok(parameters);
        }
        let value = reader.text()?;
        let twice = parameters.iter().any(|(own, _)| **own == *name);
        if twice || parameters.len() == MAX_PARAMETERS {
            return Err(Malformed::OutOfRange);
        }
        parameters.push((Arc::from(name), Arc::from(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut packet = (8 + body.len() as u32).to_be_bytes().to_vec();
        packet.extend(code.to_be_bytes());
        packet.extend(body);
        packet
    }

    #[test]
    fn a_startup_packet_reads_back() {
        let Opening::Startup(startup) =
            decode(&packet(0x0003_0000, b"user\0app\0database\0demo\0\0")).unwrap()
        else {
            panic!("not a startup");
        };
        assert_eq!(startup.minor, 0);
        assert_eq!(startup.get("user").map(|value| &**value), Some("app"));
        assert_eq!(startup.get("database").map(|value| &**value), Some("demo"));
    }

    #[test]
    fn requests_have_no_body() {
        assert_eq!(decode(&packet(CODE_TLS, b"")), Ok(Opening::Tls));
        assert_eq!(decode(&packet(CODE_GSS, b"")), Ok(Opening::Gss));
        assert_eq!(
            decode(&packet(CODE_CANCEL, &[0, 0, 0, 1, 0, 0, 0, 2])),
            Ok(Opening::Cancel { process: 1, key: CancelSecret::Short([0, 0, 0, 2]) })
        );
        assert!(decode(&packet(CODE_TLS, b"x")).is_err());
        assert_eq!(
            decode(&packet(CODE_CANCEL, &[[0; 4].as_slice(), &[7; 32]].concat())),
            Ok(Opening::Cancel { process: 0, key: CancelSecret::Long([7; 32]) })
        );
        assert!(decode(&packet(CODE_CANCEL, &[0; 4])).is_err(), "no key");
        assert!(decode(&packet(CODE_CANCEL, &[0; 9])).is_err(), "of a length that is never given out");
        assert!(decode(&packet(CODE_CANCEL, &[0; 37])).is_err(), "too long");
    }

    #[test]
    fn a005_parameters_that_could_be_read_two_ways_are_refused() {
        assert!(decode(&packet(0x0003_0000, b"user\0app\0user\0root\0\0")).is_err(), "twice");
        assert!(decode(&packet(0x0003_0000, b"user\0app\0\0database\0x\0\0")).is_err(), "after the end");
        assert!(decode(&packet(0x0003_0000, b"user\0app\0")).is_err(), "no end");
        assert!(decode(&packet(0x0003_0000, b"user\0\xff\0\0")).is_err(), "not UTF-8");
        let many: Vec<u8> = (0..65).flat_map(|n| format!("p{n}\0v\0").into_bytes()).chain([0]).collect();
        assert!(decode(&packet(0x0003_0000, &many)).is_err(), "too many");
    }
}
