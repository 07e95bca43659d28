//! COPY in text format (manual, "File Formats" of COPY): a line for each row.

use std::borrow::Cow;

use super::{Field, Undecodable};

#[derive(Debug)]
pub(super) struct Text {
    delimiter: u8,
    /// So many bytes hold no end of a line.
    scanned: usize,
}

/// Stands for null. No value is ever written so: its backslash would be doubled.
const NULL: &[u8] = b"\\N";

impl Text {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self { delimiter, scanned: 0 }
    }

    pub(super) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The length of the first line. A line end within a value is written as `\n`.
    pub(super) fn cut(&mut self, data: &[u8]) -> Option<usize> {
        let found = memchr::memchr(b'\n', data.get(self.scanned..).unwrap_or_default());
        let length = found.map(|at| self.scanned + at + 1);
        self.scanned = if length.is_some() { 0 } else { data.len() };
        length
    }

    pub(super) fn fields<'a>(&self, line: &'a [u8]) -> Result<Vec<Field<'a>>, Undecodable> {
        let mut rest = line.strip_suffix(b"\n").ok_or(Undecodable)?;
        let mut fields = Vec::new();
        loop {
            let end = self.end_of_value(rest)?;
            let (raw, behind) = rest.split_at_checked(end).ok_or(Undecodable)?;
            let value = if raw == NULL { None } else { Some(self.unescaped(raw)?) };
            fields.push(Field { raw, value });
            match behind.split_first() {
                Some((_, behind)) => rest = behind,
                None => return Ok(fields),
            }
        }
    }

    fn end_of_value(&self, rest: &[u8]) -> Result<usize, Undecodable> {
        let mut at = 0;
        loop {
            let from = rest.get(at..).ok_or(Undecodable)?;
            match memchr::memchr2(b'\\', self.delimiter, from) {
                None => return Ok(rest.len()),
                Some(found) if from.get(found) == Some(&b'\\') => at += found + 2,
                Some(found) => return Ok(at + found),
            }
        }
    }

    fn unescaped<'a>(&self, raw: &'a [u8]) -> Result<Cow<'a, [u8]>, Undecodable> {
        if memchr::memchr2(b'\\', b'\r', raw).is_none() {
            return Ok(Cow::Borrowed(raw));
        }
        let mut value = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter();
        while let Some(byte) = bytes.next() {
            value.push(match byte {
                b'\r' => return Err(Undecodable),
                b'\\' => match *bytes.next().ok_or(Undecodable)? {
                    b'\\' => b'\\',
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 0x0b,
                    byte if byte == self.delimiter => byte,
                    // The server writes nothing else.
                    _ => return Err(Undecodable),
                },
                byte => *byte,
            });
        }
        Ok(Cow::Owned(value))
    }

    pub(super) fn put(&self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(value) = value else { return out.extend_from_slice(NULL) };
        for byte in value {
            let escaped = match byte {
                b'\\' => b'\\',
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x0b => b'v',
                byte if *byte == self.delimiter => *byte,
                byte => {
                    out.push(*byte);
                    continue;
                }
            };
            out.extend([b'\\', escaped]);
        }
    }
}
