//! Numbers and words, byte by byte (RFC 8259 sections 3 and 6).

/// Where in a number a reader is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    #[default]
    Start,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// Bytes at the beginning that belong to the number.
    pub(super) fn step(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for byte in bytes {
            *self = match (*self, byte) {
                (Self::Start, b'-') => Self::Minus,
                (Self::Start | Self::Minus, b'0') => Self::Zero,
                (Self::Start | Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
                (Self::Zero | Self::Integer, b'.') => Self::Point,
                (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
                (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
                (Self::Exponent, b'+' | b'-') => Self::Sign,
                (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
                _ => break,
            };
            count += 1;
        }
        count
    }

    /// Can the number end here?
    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Power)
    }
}

/// What must still come of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(&'static [u8]);

impl Word {
    /// The word that begins so.
    pub(super) const fn new(first: u8) -> Option<Self> {
        match first {
            b't' => Some(Self(b"true")),
            b'f' => Some(Self(b"false")),
            b'n' => Some(Self(b"null")),
            _ => None,
        }
    }

    /// Bytes at the beginning that belong to the word. `None`: it is another word.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        let count = self.0.len().min(bytes.len());
        let (now, later) = self.0.split_at_checked(count)?;
        self.0 = later;
        bytes.starts_with(now).then_some(count)
    }

    /// Is the word over?
    pub(super) const fn is_complete(self) -> bool {
        self.0.is_empty()
    }
}
