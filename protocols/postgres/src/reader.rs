//! The one place where wire bytes are sliced. Every read returns a `Result`, and none can leave the body.

use std::sync::Arc;

use gatewright_model::session::{ProtocolError, Side};

/// Reads one frame's body from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// A length as the protocol writes it (threats A24: never one that wraps).
///
/// # Errors
///
/// It is 2 GiB or more.
pub(crate) fn length(bytes: usize) -> Result<i32, Malformed> {
    i32::try_from(bytes).map_err(|_| Malformed::OutOfRange)
}

/// A body is not what its message type says. Whose fault it is, and the message, are added by
/// [`Malformed::in_message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The body ended before a field did.
    Short,
    /// Bytes are left after the last field. The server might read them differently than we do.
    Trailing,
    /// A string holds no terminating zero.
    Unterminated,
    /// A count, length or code is out of its range.
    OutOfRange,
    /// Text is not UTF-8.
    Encoding,
}

impl Malformed {
    /// Says which message was malformed, and who sent it.
    pub fn in_message(self, fault: Side, message: &'static str) -> ProtocolError {
        let what = match self {
            Self::Short => "ends before its last field",
            Self::Trailing => "has bytes after its last field",
            Self::Unterminated => "has a string without an end",
            Self::OutOfRange => "has a count or code out of range",
            Self::Encoding => "has text that is not UTF-8",
        };
        let code = match fault {
            Side::Downstream => "pg.malformed",
            Side::Upstream => "upstream.protocol",
        };
        ProtocolError { fault, code, detail: Arc::from(format!("{message} {what}")) }
    }
}

impl<'a> Reader<'a> {
    /// Reads `body`: a frame without its tag and length.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (taken, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A 16-bit integer in network order.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(*self.array()?))
    }

    /// A 32-bit integer in network order.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(*self.array()?))
    }

    /// A 32-bit unsigned integer in network order (an OID, a cancel key).
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    /// A count of things that each take at least one further byte: never negative, and never more than
    /// the body could hold, so that no allocation can be driven by a number alone.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.i16()?).map_err(|_| Malformed::OutOfRange)?;
        if count > self.rest.len() { Err(Malformed::Short) } else { Ok(count) }
    }

    /// A string that a zero byte ends, without that byte.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let end = memchr::memchr(0, self.rest).ok_or(Malformed::Unterminated)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// A string that must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string()?).map_err(|_| Malformed::Encoding)
    }

    /// A value with a 32-bit length before it; -1 is null.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed::OutOfRange)?;
                Ok(Some(self.bytes(length)?))
            }
        }
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Is nothing left?
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading: nothing may be left.
    pub const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a024_no_length_that_is_written_wraps() {
        const MOST: usize = (1 << 31) - 1;
        for bytes in [0, 1, MOST - 1, MOST] {
            assert_eq!(length(bytes).map(|length| length as usize), Ok(bytes));
        }
        let wrapping = [MOST + 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 64, usize::MAX];
        for bytes in wrapping {
            assert_eq!(length(bytes), Err(Malformed::OutOfRange), "{bytes}");
        }
    }

    #[test]
    fn a_string_needs_its_end() {
        assert_eq!(Reader::new(b"abc").string(), Err(Malformed::Unterminated));
        let mut reader = Reader::new(b"abc\0d");
        assert_eq!(reader.string(), Ok(&b"abc"[..]));
        assert_eq!(reader.finish(), Err(Malformed::Trailing));
    }

    #[test]
    fn a_negative_length_other_than_null_is_refused() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).value(), Ok(None));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xfe]).value(), Err(Malformed::OutOfRange));
        assert_eq!(Reader::new(&[0, 0, 0, 9, 1]).value(), Err(Malformed::Short));
    }

    #[test]
    fn a_count_is_no_larger_than_the_body() {
        assert_eq!(Reader::new(&[0x7f, 0xff, 1]).count(), Err(Malformed::Short));
        assert_eq!(Reader::new(&[0xff, 0xff, 1]).count(), Err(Malformed::OutOfRange));
    }
}
