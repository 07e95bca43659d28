//! Bytes into frames, before anything looks into one.
//!
//! A frame after startup is a tag, a length that counts itself, and a body (manual, section 55.2). Its
//! size is checked against the limit of its tag as soon as the five header bytes are there, so that a
//! hostile length costs no memory (threats A7).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gatewright_model::session::{ProtocolError, Side};

/// Tag and length.
pub const HEADER: usize = 5;

/// One message's bytes and nothing beyond.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The message type.
    pub tag: u8,
    /// The whole frame, tag and length included: exactly what may be forwarded.
    pub bytes: Bytes,
}

impl Frame {
    /// The part that [`crate::reader::Reader`] reads.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

/// Bytes that arrived and were not consumed yet.
///
/// What a socket delivered is sliced and not copied. Only a frame that crosses two deliveries is joined.
#[derive(Debug, Default)]
pub struct Inbox {
    /// The current delivery.
    chunk: Bytes,
    /// The start of a frame whose end has not arrived. While it is not empty, `chunk` is.
    partial: BytesMut,
}

impl Inbox {
    /// Takes in a delivery.
    pub fn push(&mut self, delivery: Bytes) {
        if self.partial.is_empty() && self.chunk.is_empty() {
            self.chunk = delivery;
        } else {
            self.partial.extend_from_slice(&std::mem::take(&mut self.chunk));
            self.partial.extend_from_slice(&delivery);
        }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.chunk.len().saturating_add(self.partial.len())
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that waits, without taking it.
    pub fn peek(&self) -> &[u8] {
        if self.partial.is_empty() { &self.chunk } else { &self.partial }
    }

    /// Takes the first `n` bytes, or as many as there are.
    pub fn take(&mut self, n: usize) -> Bytes {
        if self.partial.is_empty() {
            self.chunk.split_to(n.min(self.chunk.len()))
        } else {
            self.partial.split_to(n.min(self.partial.len())).freeze()
        }
    }

    /// The tag and whole size (header included) of the frame at the front, if its header is there.
    pub fn peek_header(&self) -> Option<Result<(u8, usize), BadLength>> {
        self.peek_header_at(0)
    }

    /// The same for the frame that begins `offset` bytes behind the front.
    pub fn peek_header_at(&self, offset: usize) -> Option<Result<(u8, usize), BadLength>> {
        let (tag, rest) = self.peek().get(offset..)?.split_first()?;
        let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        Some(frame_size(length).map(|size| (*tag, size)))
    }

    /// Cuts the frame at the front, if all of it is there. `limit` gives the largest size of a tag's frame.
    ///
    /// # Errors
    ///
    /// The length is below 4 or above the limit: the stream can not be followed any further.
    pub fn cut(
        &mut self,
        side: Side,
        limit: impl FnOnce(u8) -> usize,
    ) -> Result<Option<Frame>, ProtocolError> {
        let Some(header) = self.peek_header() else { return Ok(None) };
        let (tag, size) = header.map_err(|bad| bad.on(side))?;
        if size > limit(tag) {
            return Err(too_large(side, tag, size));
        }
        if self.len() < size {
            return Ok(None);
        }
        Ok(Some(Frame { tag, bytes: self.take(size) }))
    }

    /// Cuts a startup packet, which has a length and no tag (manual, section 55.2.1).
    ///
    /// # Errors
    ///
    /// The length is below 8 or above [`STARTUP_LIMIT`].
    pub fn cut_startup(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let Some(length) = self.peek().first_chunk::<4>() else { return Ok(None) };
        let size = u32::from_be_bytes(*length) as usize;
        if !(8..=STARTUP_LIMIT).contains(&size) {
            return Err(BadLength.on(Side::Downstream));
        }
        Ok((self.len() >= size).then(|| self.take(size)))
    }
}

/// Largest startup packet, in bytes. `MAX_STARTUP_PACKET_LENGTH` of PostgreSQL's `libpq/pqcomm.h`.
pub const STARTUP_LIMIT: usize = 10_000;

/// A length field that no message can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLength;

impl BadLength {
    /// Says who sent it.
    pub fn on(self, fault: Side) -> ProtocolError {
        let code = match fault {
            Side::Downstream => "pg.bad_length",
            Side::Upstream => "upstream.protocol",
        };
        ProtocolError { fault, code, detail: Arc::from("a message length is out of range") }
    }
}

fn frame_size(length: u32) -> Result<usize, BadLength> {
    // Lengths are signed on the wire, count themselves, and are at least 4.
    if length < 4 || length > i32::MAX as u32 {
        return Err(BadLength);
    }
    Ok(length as usize + 1)
}

fn too_large(fault: Side, tag: u8, size: usize) -> ProtocolError {
    let code = match fault {
        Side::Downstream => "pg.too_large",
        Side::Upstream => "upstream.too_large",
    };
    let tag = char::from(tag).escape_default();
    ProtocolError { fault, code, detail: Arc::from(format!("a message of type `{tag}` has {size} bytes")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(parts: &[&[u8]]) -> Inbox {
        let mut inbox = Inbox::default();
        for part in parts {
            inbox.push(Bytes::copy_from_slice(part));
        }
        inbox
    }

    #[test]
    fn a_frame_is_cut_whole_at_every_split() {
        let wire = b"Q\0\0\0\x08abc\0S\0\0\0\x04";
        for split in 0..=wire.len() {
            let mut inbox = inbox(&[&wire[..split], &wire[split..]]);
            let query = inbox.cut(Side::Downstream, |_| 100).unwrap().unwrap();
            assert_eq!((query.tag, query.body()), (b'Q', &b"abc\0"[..]), "split at {split}");
            let sync = inbox.cut(Side::Downstream, |_| 100).unwrap().unwrap();
            assert_eq!((sync.tag, sync.body()), (b'S', &b""[..]));
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn a007_lengths_out_of_range_are_refused_at_the_header() {
        for length in [0u32, 3, 1 << 31, u32::MAX] {
            let mut wire = vec![b'Q'];
            wire.extend(length.to_be_bytes());
            let error = inbox(&[&wire]).cut(Side::Downstream, |_| usize::MAX).unwrap_err();
            assert_eq!(error.code, "pg.bad_length", "length {length}");
        }
        for length in [101u32, i32::MAX as u32] {
            let mut wire = vec![b'Q'];
            wire.extend(length.to_be_bytes());
            let error = inbox(&[&wire]).cut(Side::Downstream, |_| 100).unwrap_err();
            assert_eq!(error.code, "pg.too_large", "length {length}");
        }
    }

    #[test]
    fn a007_startup_lengths_are_bounded() {
        for length in [0u32, 7, STARTUP_LIMIT as u32 + 1, u32::MAX] {
            let error = inbox(&[&length.to_be_bytes()]).cut_startup().unwrap_err();
            assert_eq!(error.code, "pg.bad_length", "length {length}");
        }
    }
}
