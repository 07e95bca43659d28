//! Identifiers. Each is its own type, so that one can not be passed where another is meant.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, Serializer};

use crate::hex;

/// One principal at one target on one downstream connection: 128 random bits, written as 32 hex digits.
///
/// The gateway chooses it; a client can neither name nor reuse one (threats A100).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Wraps random bytes that the caller drew.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is in every record.
        let mut text = [0; 32];
        f.write_str(hex::encode(&self.0, &mut text))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 32];
        serializer.serialize_str(hex::encode(&self.0, &mut text))
    }
}

/// One event of one session: its number on that session's connection, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventId(u64);

impl EventId {
    /// The first event of a connection.
    pub const FIRST: Self = Self(1);

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The event after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The numbers of the events of one connection. Requests that run beside each other draw from the same ones.
#[derive(Debug)]
pub struct EventIds(AtomicU64);

impl Default for EventIds {
    fn default() -> Self {
        Self(AtomicU64::new(EventId::FIRST.0))
    }
}

impl EventIds {
    /// The next one.
    pub fn draw(&self) -> EventId {
        EventId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// One approval request: 80 random bits, written as 16 lower-case base-32 letters and digits, short
/// enough to read to a colleague and long enough not to be guessed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApprovalId([u8; 10]);

impl ApprovalId {
    /// Wraps random bytes that the caller drew.
    pub const fn from_random(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// Reads the form that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 {
            return None;
        }
        let mut bits: u128 = 0;
        for letter in text.bytes() {
            let value = BASE32.iter().position(|known| *known == letter)?;
            bits = (bits << 5) | value as u128;
        }
        let bytes = bits.to_be_bytes();
        Some(Self(*bytes.last_chunk::<10>()?))
    }
}

/// Crockford's alphabet: no `i`, `l`, `o`, `u`, which are easily misread.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.iter().fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
        (0..16).rev().try_for_each(|group| {
            let index = ((bits >> (group * 5)) & 0x1f) as usize;
            let letter = BASE32.get(index).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(letter))
        })
    }
}

impl fmt::Debug for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApprovalId({self})")
    }
}

impl Serialize for ApprovalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approval_ids_read_back() {
        let id = ApprovalId::from_random([0, 1, 2, 3, 4, 250, 251, 252, 253, 255]);
        assert_eq!(id.to_string().len(), 16);
        assert_eq!(ApprovalId::parse(&id.to_string()), Some(id));
        assert_eq!(ApprovalId::parse("not an id"), None);
        assert_eq!(ApprovalId::parse("uuuuuuuuuuuuuuuu"), None);
    }

    #[test]
    fn session_ids_are_hex() {
        let id = SessionId::from_random([0xab; 16]);
        assert_eq!(id.to_string(), "ab".repeat(16));
    }
}
