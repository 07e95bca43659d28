//! COPY in CSV format (manual, "File Formats" of COPY): values may be quoted, and hold line ends then.

use std::{borrow::Cow, sync::Arc};

use super::{Field, Undecodable};

#[derive(Debug)]
pub(super) struct Csv {
    delimiter: u8,
    quote: u8,
    escape: u8,
    /// Stands for null where it is not quoted; a value that looks like it is.
    null: Arc<str>,
    /// So many bytes were looked at for the end of the row.
    scanned: usize,
    /// What comes next is quoted.
    quoted: bool,
    /// The last byte has escaped the next one.
    escaped: bool,
}

impl Csv {
    pub(super) fn new(delimiter: u8, quote: u8, escape: u8, null: &Arc<str>) -> Self {
        let null = Arc::clone(null);
        Self { delimiter, quote, escape, null, scanned: 0, quoted: false, escaped: false }
    }

    pub(super) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The length of the first row.
    pub(super) fn cut(&mut self, data: &[u8]) -> Option<usize> {
        let fresh = data.get(self.scanned..).unwrap_or_default();
        for (at, byte) in fresh.iter().enumerate() {
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            match *byte {
                // Where both are the same sign, a doubled one ends the quotes and begins them again.
                byte if self.quoted && byte == self.escape && self.escape != self.quote => {
                    self.escaped = true;
                }
                byte if byte == self.quote => self.quoted = !self.quoted,
                b'\n' if !self.quoted => {
                    let length = self.scanned + at + 1;
                    self.scanned = 0;
                    return Some(length);
                }
                _ => {}
            }
        }
        self.scanned = data.len();
        None
    }

    pub(super) fn fields<'a>(&self, row: &'a [u8]) -> Result<Vec<Field<'a>>, Undecodable> {
        let mut rest = row.strip_suffix(b"\n").ok_or(Undecodable)?;
        let mut fields = Vec::new();
        loop {
            let (length, value) = if rest.first() == Some(&self.quote) {
                let (length, value) = self.unquoted(rest)?;
                (length, Some(Cow::Owned(value)))
            } else {
                let length = memchr::memchr(self.delimiter, rest).unwrap_or(rest.len());
                let raw = rest.get(..length).ok_or(Undecodable)?;
                // The server quotes what holds these.
                if memchr::memchr3(self.quote, b'\n', b'\r', raw).is_some() {
                    return Err(Undecodable);
                }
                (length, (raw != self.null.as_bytes()).then_some(Cow::Borrowed(raw)))
            };
            let (raw, behind) = rest.split_at_checked(length).ok_or(Undecodable)?;
            fields.push(Field { raw, value });
            match behind.split_first() {
                Some((byte, behind)) if *byte == self.delimiter => rest = behind,
                Some(_) => return Err(Undecodable),
                None => return Ok(fields),
            }
        }
    }

    /// The length of a quoted value with its quotes, and what it says.
    fn unquoted(&self, rest: &[u8]) -> Result<(usize, Vec<u8>), Undecodable> {
        let mut value = Vec::new();
        let mut bytes = rest.iter().enumerate().skip(1).peekable();
        while let Some((at, byte)) = bytes.next() {
            let next = bytes.peek().map(|(_, next)| **next);
            let escapes =
                *byte == self.escape && next.is_some_and(|next| next == self.quote || next == self.escape);
            match *byte {
                _ if escapes => {
                    value.extend(next);
                    bytes.next();
                }
                byte if byte == self.quote => return Ok((at + 1, value)),
                byte => value.push(byte),
            }
        }
        Err(Undecodable)
    }

    /// A value is quoted always: then it is no null, no end of the data, and nothing that the delimiter cuts.
    pub(super) fn put(&self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(value) = value else { return out.extend_from_slice(self.null.as_bytes()) };
        out.push(self.quote);
        for byte in value {
            if *byte == self.quote || *byte == self.escape {
                out.push(self.escape);
            }
            out.push(*byte);
        }
        out.push(self.quote);
    }
}
