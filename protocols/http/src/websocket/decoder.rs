//! Bytes to frames.

use std::{str, time::Instant};

use bytes::{Bytes, BytesMut};

use super::{Frame, Limits, MOST_CONTROLS, Opcode, PART, Rate, Sender, Violation};

/// Reads the frames of one direction. See the module's documentation for what is refused.
#[derive(Debug)]
pub struct Decoder {
    sender: Sender,
    limits: Limits,
    buffer: BytesMut,
    /// The frame whose payload is being read.
    current: Option<Current>,
    message: Option<Message>,
    controls: Rate,
    is_closed: bool,
}

#[derive(Debug)]
struct Current {
    opcode: Opcode,
    is_final: bool,
    key: Option<[u8; 4]>,
    /// Bytes of the payload that were handed on.
    done: u64,
    length: u64,
}

/// A message whose last frame has not ended.
#[derive(Debug)]
struct Message {
    length: u64,
    text: Option<Utf8>,
}

impl Decoder {
    /// Reads what `sender` sends, from the first byte after the switch.
    pub fn new(sender: Sender, limits: Limits) -> Self {
        Self {
            sender,
            limits,
            buffer: BytesMut::new(),
            current: None,
            message: None,
            controls: Rate::default(),
            is_closed: false,
        }
    }

    /// Takes in bytes. Read all frames before more is given: that bounds the memory.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or part of one. None: more bytes are needed.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. Nothing may be read any more.
    pub fn poll_frame(&mut self, now: Instant) -> Result<Option<Frame>, Violation> {
        if self.is_closed {
            return if self.buffer.is_empty() { Ok(None) } else { Err(AFTER_CLOSE) };
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => match self.begin(now)? {
                Some(current) => current,
                None => return Ok(None),
            },
        };
        let left = usize::try_from(current.length - current.done).unwrap_or(usize::MAX);
        let wanted = left.min(PART);
        // A part is whole, so that parts of a frame do not depend on how its bytes arrived.
        if self.buffer.len() < wanted {
            self.current = Some(current);
            return Ok(None);
        }
        let mut payload = self.buffer.split_to(wanted);
        if let Some(key) = current.key {
            unmask(&mut payload, key, current.done);
        }
        let begins = current.done == 0;
        current.done += wanted as u64;
        let ends = current.done == current.length;
        let Current { opcode, is_final, key, .. } = current;
        if opcode.is_control() {
            self.check_control(opcode, &payload)?;
        } else {
            self.check_data(&payload, is_final && ends)?;
        }
        if !ends {
            self.current = Some(current);
        }
        Ok(Some(Frame { opcode, is_final, begins, ends, key, payload: Bytes::from(payload) }))
    }

    /// Did the side end where a frame ends, and every message was whole?
    pub fn is_between_messages(&self) -> bool {
        self.buffer.is_empty() && self.current.is_none() && self.message.is_none()
    }

    /// Was a close read?
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Reads the head of a frame (RFC 6455 section 5.2).
    fn begin(&mut self, now: Instant) -> Result<Option<Current>, Violation> {
        let (Some(&first), Some(&second)) = (self.buffer.first(), self.buffer.get(1)) else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(RESERVED);
        }
        let opcode = Opcode::from_code(first & 0x0f).ok_or(RESERVED)?;
        let is_final = first & 0x80 != 0;
        let is_masked = second & 0x80 != 0;
        if is_masked != (self.sender == Sender::Client) {
            return Err(MASK);
        }
        let short = second & 0x7f;
        if opcode.is_control() && (short > 125 || !is_final) {
            return Err(CONTROL);
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = 2 + extended + if is_masked { 4 } else { 0 };
        let Some(bytes) = self.buffer.get(2..head) else { return Ok(None) };
        let (extended, key) = bytes.split_at_checked(extended).unwrap_or_default();
        let number = extended.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let length = match short {
            126 if number < 126 => return Err(LENGTH),
            // The highest bit must not be set; and 2^63 bytes are more than anybody takes.
            127 if number <= u64::from(u16::MAX) || number >> 63 != 0 => return Err(LENGTH),
            126 | 127 => number,
            short => u64::from(short),
        };
        let key = <[u8; 4]>::try_from(key).ok();
        if opcode.is_control() {
            if self.controls.exceeds(MOST_CONTROLS, now) {
                return Err(FLOOD);
            }
        } else {
            self.check_order(opcode, length)?;
        }
        // All of it is there.
        drop(self.buffer.split_to(head));
        Ok(Some(Current { opcode, is_final, key, done: 0, length }))
    }

    fn check_order(&mut self, opcode: Opcode, length: u64) -> Result<(), Violation> {
        let message = match (&mut self.message, opcode) {
            (Some(message), Opcode::Continuation) => message,
            (None, Opcode::Text) => self.message.insert(Message { length: 0, text: Some(Utf8::default()) }),
            (None, Opcode::Binary) => self.message.insert(Message { length: 0, text: None }),
            _ => return Err(ORDER),
        };
        message.length = message.length.saturating_add(length);
        if message.length > self.limits.message { Err(TOO_LONG) } else { Ok(()) }
    }

    fn check_data(&mut self, payload: &[u8], ends_message: bool) -> Result<(), Violation> {
        if let Some(text) = self.message.as_mut().and_then(|message| message.text.as_mut()) {
            text.push(payload)?;
            if ends_message && !text.is_whole() {
                return Err(TEXT);
            }
        }
        if ends_message {
            self.message = None;
        }
        Ok(())
    }

    /// RFC 6455 section 5.5.1: nothing, or a code and a reason in UTF-8.
    fn check_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Violation> {
        if opcode != Opcode::Close {
            return Ok(());
        }
        self.is_closed = true;
        match payload {
            [] => Ok(()),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                let is_code = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                if is_code && str::from_utf8(reason).is_ok() { Ok(()) } else { Err(CLOSE) }
            }
            _ => Err(CLOSE),
        }
    }
}

/// `done`: bytes of the frame that came before.
fn unmask(payload: &mut [u8], key: [u8; 4], done: u64) {
    // Modulo four: it fits.
    let skip = (done % 4) as usize;
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle().skip(skip)) {
        *byte ^= key;
    }
}

/// Text that comes in pieces, which may end inside a character.
#[derive(Debug, Default)]
struct Utf8 {
    /// The beginning of a character, up to three bytes.
    begun: Vec<u8>,
}

impl Utf8 {
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while !self.begun.is_empty() {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            bytes = rest;
            self.begun.push(byte);
            match str::from_utf8(&self.begun) {
                Ok(_) => self.begun.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(TEXT),
            }
        }
        match str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.begun.extend_from_slice(bytes.get(error.valid_up_to()..).unwrap_or_default());
                Ok(())
            }
            Err(_) => Err(TEXT),
        }
    }

    const fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

const RESERVED: Violation = Violation {
    code: "ws.reserved",
    detail: "a frame has a reserved bit or opcode: no extension was agreed on",
};
const MASK: Violation =
    Violation { code: "ws.mask", detail: "a client did not mask its frame, or a server did" };
const CONTROL: Violation =
    Violation { code: "ws.control", detail: "a control frame is longer than 125 bytes, or in pieces" };
const LENGTH: Violation = Violation {
    code: "ws.length",
    detail: "a frame's length is not written in the shortest way, or has its highest bit set",
};
const TOO_LONG: Violation =
    Violation { code: "ws.length", detail: "a message is longer than the gateway forwards" };
const FLOOD: Violation =
    Violation { code: "ws.flood", detail: "there are more control frames than any program needs" };
const ORDER: Violation = Violation {
    code: "ws.order",
    detail: "a message began inside another one, or one went on that had not begun",
};
const TEXT: Violation = Violation { code: "ws.text", detail: "a message of text is not UTF-8" };
const CLOSE: Violation =
    Violation { code: "ws.close", detail: "a close has a code that may not be sent, or no text" };
const AFTER_CLOSE: Violation = Violation { code: "ws.close", detail: "something follows a close" };
