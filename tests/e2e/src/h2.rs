//! A client of HTTP/2 that sends exactly the frames that it is told to.
//!
//! Headers are literals without an index and without Huffman's code (RFC 7541 section 6.2.2), so that a test can say what
//! no library would.

use gatewright_testbed::{Error, Result};

use crate::wire::Client;

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// The last frame of a stream.
pub const END_STREAM: u8 = 1;
/// The last frame of its headers.
pub const END_HEADERS: u8 = 4;
/// Of SETTINGS and PING: an answer.
pub const ACK: u8 = 1;

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of headers, exactly these, in this order.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            integer(text.len(), &mut bytes);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(value: usize, bytes: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(127) else {
        bytes.push(u8::try_from(value).unwrap_or(127));
        return;
    };
    bytes.push(127);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap_or(0) | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap_or(0));
}

/// Begins a connection, whose settings are the protocol's own.
///
/// # Errors
/// Where it is closed.
pub fn begin(client: &mut Client) -> Result<()> {
    client.send(PREFACE)?;
    client.send(&frame(SETTINGS, 0, 0, &[]))
}

/// The next frame. None where the connection is closed.
///
/// # Errors
/// Where nothing comes.
pub fn next(client: &mut Client) -> Result<Option<Frame>> {
    let Ok(head) = client.bytes(9) else {
        // Closed, or silent: what comes next tells.
        client.until_closed()?;
        return Ok(None);
    };
    let number = |range: std::ops::Range<usize>| {
        head.get(range).into_iter().flatten().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte))
    };
    let length = usize::try_from(number(0..3)).map_err(|error| Error::new(error.to_string()))?;
    let payload = if length == 0 { Vec::new() } else { client.bytes(length)? };
    Ok(Some(Frame {
        kind: u8::try_from(number(3..4)).unwrap_or(0),
        flags: u8::try_from(number(4..5)).unwrap_or(0),
        stream: number(5..9) & 0x7fff_ffff,
        payload,
    }))
}

/// Everything that comes until a frame of this kind, and that one.
///
/// # Errors
/// Where the connection ends, or nothing comes.
pub fn until(client: &mut Client, wanted: impl Fn(&Frame) -> bool) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    loop {
        let frame = next(client)?.ok_or_else(|| Error::new(format!("closed after {frames:?}")))?;
        let found = wanted(&frame);
        frames.push(frame);
        if found {
            return Ok(frames);
        }
    }
}

/// Answers SETTINGS, as a client has to.
///
/// # Errors
/// Where the connection is closed.
pub fn acknowledge(client: &mut Client) -> Result<()> {
    client.send(&frame(SETTINGS, ACK, 0, &[]))
}

/// The status of an answer, where its block begins with an index of the static table (RFC 7541 appendix A) or with
/// `:status` and three digits.
pub fn status(frame: &Frame) -> Option<u16> {
    let first = *frame.payload.first()?;
    let indexed = [200, 204, 206, 304, 400, 404, 500];
    if first >= 0x80 {
        return usize::from(first & 0x7f).checked_sub(8).and_then(|at| indexed.get(at)).copied();
    }
    // A literal whose name is `:status` by index; its value is three digits, or in Huffman's code.
    let length = *frame.payload.get(1)?;
    let value = frame.payload.get(2..2 + usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return std::str::from_utf8(value).ok()?.parse().ok();
    }
    huffman(value)
}

/// Digits in Huffman's code: `0` to `2` take five bits, the others six (RFC 7541 appendix B).
fn huffman(bytes: &[u8]) -> Option<u16> {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut code = 0;
        for _ in 0..5 {
            code = code << 1 | bits.next()?;
        }
        let digit = if code <= 2 {
            code
        } else {
            code = code << 1 | bits.next()?;
            // `3` is 011001, and the others follow it.
            code.checked_sub(0b01_1001)? + 3
        };
        number = number * 10 + digit;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_statuses() {
        let mut bytes = Vec::new();
        integer(126, &mut bytes);
        integer(127, &mut bytes);
        integer(127 + 300, &mut bytes);
        assert_eq!(bytes, [126, 127, 0, 127, 0xac, 0x02]);
        let status = |payload: &[u8]| {
            status(&Frame { kind: HEADERS, flags: 0, stream: 1, payload: payload.to_vec() })
        };
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x8c]), Some(400));
        assert_eq!(status(b"\x48\x03403"), Some(403));
        // RFC 7541 appendix C.6: 302 is 6402.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
    }
}
