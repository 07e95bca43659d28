//! PasswordMessage: where the client's token travels.

use gatewright_model::{
    secret::Secret,
    session::{ProtocolError, Side},
};

use crate::reader::{Malformed, Reader};

/// Largest password message, in bytes: `PG_MAX_AUTH_TOKEN_LENGTH` of PostgreSQL's `libpq/auth.h`.
pub const LIMIT: usize = 65_535;

/// Reads the token.
///
/// # Errors
///
/// The body is not one UTF-8 string.
pub fn decode(body: &[u8]) -> Result<Secret, ProtocolError> {
    let mut reader = Reader::new(body);
    let mut read = || -> Result<Secret, Malformed> {
        let token = Secret::new(reader.text()?);
        reader.clone().finish()?;
        Ok(token)
    };
    read().map_err(|cause| cause.in_message(Side::Downstream, "the password message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_string_and_nothing_else() {
        assert_eq!(decode(b"token\0").unwrap().expose(), "token");
        assert!(decode(b"token").is_err());
        assert!(decode(b"token\0x").is_err());
        assert!(decode(b"\xff\0").is_err());
    }
}
