//! WebSocket frames (RFC 6455), without I/O.
//!
//! A [`Decoder`] reads what one side sends; [`encode`] writes it again. In between stands whoever judges, masks or records, so
//! nothing is forwarded that was not understood (threats A75):
//!
//! - reserved bits and opcodes are refused: extensions are never negotiated, so nothing is compressed;
//! - a client masks and a server does not; lengths are written in the shortest way, and have a limit;
//! - control frames are whole, short, and not many in a row;
//! - text is UTF-8, over the borders of its frames; nothing follows a close.
//!
//! A frame of any length costs [`PART`] bytes of memory at most: a longer one comes in parts.

mod decoder;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use self::decoder::Decoder;

/// The longest part of a frame that is handed on at once, in bytes. What kubectl and a kubelet send (32 KiB and a byte) is one part.
pub const PART: usize = 64 << 10;

/// Control frames that a peer may send within a second.
pub const MOST_CONTROLS: u32 = 100;

/// What a frame is (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Goes on with a message.
    Continuation,
    /// Begins a message of text.
    Text,
    /// Begins a message of bytes.
    Binary,
    /// Ends the connection.
    Close,
    /// Wants a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    /// May it stand between the frames of a message?
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }
}

/// A frame, or a part of one that is longer than [`PART`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: Opcode,
    /// Does the frame end its message? Of all its parts the same.
    pub is_final: bool,
    /// Does the frame begin here?
    pub begins: bool,
    /// Does it end here?
    pub ends: bool,
    /// The key that a client masked it with. Whoever sends it on to a server can use it again.
    pub key: Option<[u8; 4]>,
    /// What it carries, without its mask.
    pub payload: Bytes,
}

/// Whose frames are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Masks its frames.
    Client,
    /// Does not.
    Server,
}

/// Bounds of one direction.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest message, in bytes, over all its frames.
    pub message: u64,
}

impl Default for Limits {
    /// 32 MiB: what the WebSocket library of API servers takes as one message (`DefaultMaxPayloadBytes`).
    fn default() -> Self {
        Self { message: 32 << 20 }
    }
}

/// What a peer did that RFC 6455 or a limit forbids. The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// A stable code for records, like `ws.length`.
    pub code: &'static str,
    /// What happened, without any byte of a payload.
    pub detail: &'static str,
}

/// Appends a frame as it came. A part of a long one becomes a frame of the same message.
pub fn forward(frame: &Frame, out: &mut BytesMut) {
    let opcode = if frame.begins { frame.opcode } else { Opcode::Continuation };
    encode(opcode, frame.is_final && frame.ends, &frame.payload, frame.key, out);
}

/// Appends a frame. `key`: as a client; none: as a server.
pub fn encode(opcode: Opcode, is_final: bool, payload: &[u8], key: Option<[u8; 4]>, out: &mut BytesMut) {
    out.reserve(payload.len() + 14);
    out.extend_from_slice(&[u8::from(is_final) << 7 | opcode.code()]);
    let masked = u8::from(key.is_some()) << 7;
    // The shortest of three ways to write a length.
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => out.extend_from_slice(&[masked | length]),
        (_, Ok(length)) => {
            out.extend_from_slice(&[masked | 126]);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[masked | 127]);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let Some(key) = key else { return out.extend_from_slice(payload) };
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Things that may come so many times within a second, and no more.
#[derive(Debug, Default)]
pub struct Rate {
    since: Option<Instant>,
    count: u32,
}

impl Rate {
    /// One more came at `now`. Is it too many?
    pub fn exceeds(&mut self, most: u32, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count > most
    }
}

#[cfg(test)]
mod tests;
