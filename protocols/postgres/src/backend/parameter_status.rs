//! ParameterStatus: the server reports a setting.

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// A setting and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting.
    pub name: &'a str,
    /// Its value now.
    pub value: &'a str,
}

impl ParameterStatus<'_> {
    /// Does it say how backslashes in strings are read?
    pub fn is_about_strings(&self) -> bool {
        self.name == "standard_conforming_strings"
    }

    /// Does this value change how text is read, so that our reading of it would no longer be the
    /// server's (threats A13)?
    pub fn changes_lexer(&self) -> bool {
        match self.name {
            "standard_conforming_strings" => self.value != "on",
            "client_encoding" => self.value != "UTF8",
            _ => false,
        }
    }
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed.
pub fn decode(body: &[u8]) -> Result<ParameterStatus<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "ParameterStatus"))
}

fn read(body: &[u8]) -> Result<ParameterStatus<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let (name, value) = (reader.text()?, reader.text()?);
    reader.finish()?;
    Ok(ParameterStatus { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a013_lexer_settings_are_recognised() {
        let changes = |body: &[u8]| decode(body).unwrap().changes_lexer();
        assert!(changes(b"standard_conforming_strings\0off\0"));
        assert!(changes(b"client_encoding\0SJIS\0"));
        assert!(!changes(b"standard_conforming_strings\0on\0"));
        assert!(!changes(b"client_encoding\0UTF8\0"));
        assert!(!changes(b"TimeZone\0UTC\0"));
    }
}
