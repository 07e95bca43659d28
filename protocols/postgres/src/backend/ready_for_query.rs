//! ReadyForQuery: the end of a batch, and the state of the transaction.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// State of the transaction block, as the server reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Not in a block.
    Idle,
    /// In a block.
    Open,
    /// In a block that failed: only its end is accepted.
    Failed,
}

impl Transaction {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<Transaction, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "ReadyForQuery"))
}

fn read(body: &[u8]) -> Result<Transaction, Malformed> {
    let mut reader = Reader::new(body);
    let state = match reader.u8()? {
        b'I' => Transaction::Idle,
        b'T' => Transaction::Open,
        b'E' => Transaction::Failed,
        _ => return Err(Malformed::OutOfRange),
    };
    reader.finish()?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_states_and_no_other() {
        for state in [Transaction::Idle, Transaction::Open, Transaction::Failed] {
            assert_eq!(decode(&[state.code()]), Ok(state));
        }
        assert!(decode(b"X").is_err());
        assert!(decode(b"").is_err());
        assert!(decode(b"II").is_err());
    }
}
