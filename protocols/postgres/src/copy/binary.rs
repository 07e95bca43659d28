//! COPY in binary format (manual, "File Formats" of COPY): a header, rows of values with their lengths, and a trailer.

use std::borrow::Cow;

use super::{Field, Part, Undecodable};
use crate::reader::{Malformed, Reader, length};

#[derive(Debug, Default)]
pub(super) struct Binary {
    /// The header has come.
    begun: bool,
    /// The trailer has come.
    over: bool,
}

/// A signature; flags, of which one would put object ids before the values of each row; and the length of what
/// extends the header. No server since PostgreSQL 12 sets a flag, and none has ever extended it.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl Binary {
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// The length of the first whole part.
    pub(super) fn cut(&mut self, data: &[u8]) -> Result<Option<(Part, usize)>, Undecodable> {
        if data.is_empty() {
            return Ok(None);
        }
        if self.over {
            return Err(Undecodable);
        }
        if !self.begun {
            let Some(start) = data.get(..HEADER.len()) else {
                return if HEADER.starts_with(data) { Ok(None) } else { Err(Undecodable) };
            };
            self.begun = true;
            return if start == HEADER { Ok(Some((Part::Frame, HEADER.len()))) } else { Err(Undecodable) };
        }
        match row(data) {
            Ok(Row::Values(fields)) => {
                let values = fields.iter().map(|field| field.raw.len()).sum::<usize>();
                Ok(Some((Part::Row, size_of::<i16>() + values)))
            }
            Ok(Row::Trailer) => {
                self.over = true;
                Ok(Some((Part::Frame, size_of::<i16>())))
            }
            Err(Malformed::Short) => Ok(None),
            Err(_) => Err(Undecodable),
        }
    }

    pub(super) fn fields(data: &[u8]) -> Result<Vec<Field<'_>>, Undecodable> {
        match row(data) {
            Ok(Row::Values(fields)) => Ok(fields),
            _ => Err(Undecodable),
        }
    }

    pub(super) fn put(value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        match value {
            None => out.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                out.extend(length(value.len()).map_err(|_| Undecodable)?.to_be_bytes());
                out.extend_from_slice(value);
            }
        }
        Ok(())
    }
}

enum Row<'a> {
    Values(Vec<Field<'a>>),
    Trailer,
}

fn row(data: &[u8]) -> Result<Row<'_>, Malformed> {
    let mut reader = Reader::new(data);
    let count = match reader.i16()? {
        -1 => return Ok(Row::Trailer),
        count => usize::try_from(count).map_err(|_| Malformed::OutOfRange)?,
    };
    let mut fields = Vec::new();
    for _ in 0..count {
        let before = reader.clone();
        let value = reader.value()?;
        let length = size_of::<i32>() + value.map_or(0, <[u8]>::len);
        let raw = before.clone().bytes(length)?;
        fields.push(Field { raw, value: value.map(Cow::Borrowed) });
    }
    Ok(Row::Values(fields))
}
