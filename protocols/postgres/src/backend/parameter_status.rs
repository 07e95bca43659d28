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

    /// May it hold a text of anybody's choice? Those that are reported and hold a word of a few, or what the server says of itself, are listed;
    /// a time zone can be any text (`<123-45-6789>0`).
    pub fn holds_any_text(&self) -> bool {
        const WORDS: [&str; 12] = [
            "client_encoding",
            "DateStyle",
            "default_transaction_read_only",
            "in_hot_standby",
            "integer_datetimes",
            "IntervalStyle",
            "is_superuser",
            "scram_iterations",
            "server_encoding",
            "server_version",
            "session_authorization",
            "standard_conforming_strings",
        ];
        !WORDS.contains(&self.name)
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

    #[test]
    fn a032_settings_that_hold_any_text_are_told_apart() {
        let any = |name: &'static str| ParameterStatus { name, value: "" }.holds_any_text();
        assert!(any("application_name") && any("TimeZone") && any("search_path") && any("unheard_of"));
        assert!(!any("DateStyle") && !any("is_superuser"));
    }
}
