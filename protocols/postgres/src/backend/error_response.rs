//! ErrorResponse and NoticeResponse: fields with one-letter names (manual, section 55.8).

use gatewright_model::session::{ProtocolError, Side};

use crate::reader::{Malformed, Reader};

/// The fields that the gateway looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// `V`: `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE`, ... never translated.
    pub severity: &'a str,
    /// `C`: the SQLSTATE.
    pub sqlstate: &'a str,
    /// `M`: the message.
    pub message: &'a str,
    /// `F`: the file of the server's source that it comes from.
    pub file: &'a str,
    /// `P`: it says where in the text that was sent it is.
    pub has_place: bool,
    /// `W`, `p`, `q`: it comes from a text that something else has made.
    pub is_within: bool,
    /// It says more than what went wrong, and where in the server's source: a detail, a hint, names.
    pub has_more: bool,
}

/// Is it a code that the server itself gives? Code of somebody's may give any, and five characters of a value as one.
pub fn is_servers_own(sqlstate: &str) -> bool {
    let codes = include_str!("sqlstates.txt").lines().filter(|line| !line.starts_with('#'));
    codes.flat_map(str::split_whitespace).any(|code| code == sqlstate)
}

impl Report<'_> {
    /// Is it about a name in the text that was sent, which stands for no relation or column? It quotes that text then, and no value: it
    /// comes from reading the text, before any of it is planned.
    pub fn is_about_a_name(&self) -> bool {
        self.file == "parse_relation.c" && self.has_place && !self.is_within
    }

    /// Does it say nothing but that a transaction has failed? These are always the same words.
    pub fn is_about_a_failed_transaction(&self) -> bool {
        self.sqlstate == "25P02"
            && self.message
                == "current transaction is aborted, commands ignored until end of transaction block"
            && !self.has_more
    }

    /// Does the server close the connection after this?
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, "FATAL" | "PANIC")
    }
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed, or has no SQLSTATE (threats A10).
pub fn decode(body: &[u8]) -> Result<Report<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Upstream, "ErrorResponse"))
}

fn read(body: &[u8]) -> Result<Report<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let mut report = Report::default();
    loop {
        match reader.u8()? {
            0 => break,
            // `S` may be translated; `V` is what it means since 9.6.
            b'V' => report.severity = reader.text()?,
            b'C' => report.sqlstate = reader.text()?,
            b'M' => report.message = reader.text()?,
            b'F' => report.file = reader.text()?,
            field => {
                report.has_place |= field == b'P';
                report.is_within |= matches!(field, b'W' | b'p' | b'q');
                report.has_more |= !matches!(field, b'S' | b'L' | b'R');
                reader.string()?;
            }
        }
    }
    reader.finish()?;
    if report.sqlstate.len() == 5 { Ok(report) } else { Err(Malformed::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a031_an_error_about_a_name_quotes_the_text_alone() {
        let told = |fields: &str| {
            let body = format!("VERROR\0C42P01\0Mrelation \"x\" does not exist\0{fields}\0");
            decode(body.as_bytes()).unwrap().is_about_a_name()
        };
        assert!(told("P15\0Fparse_relation.c\0"));
        // A value that is converted to the name of a relation; what a function has made; no place in the text.
        assert!(!told("P15\0Fnamespace.c\0"));
        assert!(!told("P15\0Fparse_relation.c\0WSQL function \"f\"\0"));
        assert!(!told("P15\0Fparse_relation.c\0p3\0qselect ssn\0"));
        assert!(!told("Fparse_relation.c\0"));
        assert!(!told(""));
    }

    #[test]
    fn a031_an_error_about_a_failed_transaction_quotes_nothing() {
        let is_that = |fields: &str| {
            decode(format!("SFEHLER\0VERROR\0{fields}Fpostgres.c\0L1\0Rexec\0\0").as_bytes())
                .unwrap()
                .is_about_a_failed_transaction()
        };
        let words = "current transaction is aborted, commands ignored until end of transaction block";
        assert!(is_that(&format!("C25P02\0M{words}\0")));
        assert!(!is_that(&format!("C25P02\0M{words}: 536-22-8726\0")));
        assert!(!is_that(&format!("C25001\0M{words}\0")));
        for more in ["D", "H", "W", "P", "s", "t", "c", "d", "n"] {
            assert!(!is_that(&format!("C25P02\0M{words}\0{more}536-22-8726\0")), "{more}");
        }
    }

    #[test]
    fn a031_a_code_of_nobodys_is_told_from_the_servers() {
        for code in ["00000", "01000", "22P02", "23505", "40001", "42P01", "57014", "P0001", "XX000"] {
            assert!(is_servers_own(code), "{code}");
        }
        for value in ["53622", "88726", "ABCDE", "22P0", "", "#", "Every"] {
            assert!(!is_servers_own(value), "{value}");
        }
    }

    #[test]
    fn a010_an_error_without_a_code_is_malformed() {
        let report = decode(b"SERROR\0VERROR\0C42601\0Msyntax error\0\0").unwrap();
        assert_eq!((report.severity, report.sqlstate), ("ERROR", "42601"));
        assert!(!report.is_fatal());
        assert!(decode(b"SERROR\0VERROR\0Msyntax error\0\0").is_err());
        assert!(decode(b"SERROR\0VERROR\0C42601\0").is_err());
        assert!(decode(b"SERROR\0VERROR\0C42601\0\0x").is_err());
    }
}
