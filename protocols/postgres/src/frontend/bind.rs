//! Bind: gives a statement its parameters.

use std::sync::Arc;

use gatewright_model::{
    session::{ProtocolError, Side},
    sql::Parameter,
};

use crate::reader::{Malformed, Reader};

/// A portal to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed portal.
    pub portal: &'a str,
    /// The statement's name.
    pub statement: &'a str,
    /// The values of `$1`, `$2`, ...
    pub parameters: Vec<Parameter>,
}

/// Reads the body.
///
/// # Errors
///
/// The body is malformed, or a format code is neither text nor binary.
pub fn decode(body: &[u8]) -> Result<Bind<'_>, ProtocolError> {
    read(body).map_err(|cause| cause.in_message(Side::Downstream, "Bind"))
}

fn read(body: &[u8]) -> Result<Bind<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let (portal, statement) = (reader.text()?, reader.text()?);
    let parameters = values(&mut reader)?;
    formats(&mut reader)?;
    reader.finish()?;
    Ok(Bind { portal, statement, parameters })
}

/// Reads format codes, and the values that are in these formats.
pub(super) fn values(reader: &mut Reader<'_>) -> Result<Vec<Parameter>, Malformed> {
    let formats = formats(reader)?;
    let count = reader.count()?;
    // One code counts for all values, none means text (manual, section 55.7, Bind).
    if formats.len() > 1 && formats.len() != count {
        return Err(Malformed::OutOfRange);
    }
    let mut parameters = Vec::with_capacity(count);
    for index in 0..count {
        let binary = formats.get(index).or(formats.first()).is_some_and(|format| *format == Format::Binary);
        parameters.push(parameter(reader.value()?, binary));
    }
    Ok(parameters)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Binary,
}

fn formats(reader: &mut Reader<'_>) -> Result<Vec<Format>, Malformed> {
    let count = reader.count()?;
    (0..count)
        .map(|_| match reader.i16()? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            _ => Err(Malformed::OutOfRange),
        })
        .collect()
}

fn parameter(value: Option<&[u8]>, binary: bool) -> Parameter {
    match value {
        None => Parameter::Null,
        Some(bytes) if !binary => match std::str::from_utf8(bytes) {
            Ok(text) => Parameter::Text(Arc::from(text)),
            Err(_) => Parameter::Binary(Arc::from(bytes)),
        },
        Some(bytes) => Parameter::Binary(Arc::from(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_binary_and_null() {
        let body = b"p\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x02hi\xff\xff\xff\xff\0\0";
        let bind = decode(body).unwrap();
        assert_eq!((bind.portal, bind.statement), ("p", "s"));
        assert_eq!(bind.parameters, [Parameter::Text("hi".into()), Parameter::Null]);
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&body[..], b"x"].concat()).is_err());
    }

    #[test]
    fn format_codes_are_known_and_match_the_values() {
        assert!(decode(b"\0\0\0\x01\0\x02\0\x01\0\0\0\0\0\0").is_err(), "format 2");
        assert!(decode(b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\0\0\0").is_err(), "two formats, one value");
    }
}
