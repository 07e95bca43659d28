//! Bytes to frames.

use bytes::{Bytes, BytesMut};

use super::{Frame, MOST_CONTROL, PART, headers, violation};
use crate::violation::Violation;

/// Reads the frames of one direction.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    inflater: headers::Inflater,
    /// The DATA frame that is being read.
    data: Option<Data>,
}

#[derive(Debug)]
struct Data {
    stream: u32,
    fin: bool,
    left: usize,
}

/// Bytes of every frame's head.
const HEAD: usize = 8;

const FIN: u8 = 0x01;

impl Decoder {
    /// Reads from the first byte after the switch.
    pub fn new() -> Self {
        Self { buffer: BytesMut::new(), inflater: headers::Inflater::new(), data: None }
    }

    /// Takes in bytes. Read all frames before more is given: that bounds the memory.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or part of one. None: more bytes are needed.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. Nothing may be read any more: the context of its headers is lost.
    pub fn poll_frame(&mut self) -> Result<Option<Frame>, Violation> {
        if self.data.is_some() {
            return Ok(self.read_data());
        }
        let Some(&[first, second, third, fourth, flags, high, middle, low]) =
            self.buffer.first_chunk::<HEAD>()
        else {
            return Ok(None);
        };
        let word = u32::from_be_bytes([first, second, third, fourth]);
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if word >> 31 == 0 {
            if word == 0 || flags & !FIN != 0 {
                return Err(violation("a DATA frame has no stream, or flags that are not known"));
            }
            drop(self.buffer.split_to(HEAD));
            self.data = Some(Data { stream: word, fin: flags & FIN != 0, left: length });
            return Ok(self.read_data());
        }
        // The version stands in the 15 bits behind the first.
        if word >> 16 & 0x7fff != 3 {
            return Err(violation("a control frame is of another version than 3"));
        }
        if length > MOST_CONTROL {
            return Err(violation("a control frame is longer than 16 KiB"));
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        drop(self.buffer.split_to(HEAD));
        let body = self.buffer.split_to(length).freeze();
        // The type is the lower half of the word.
        self.control(word & 0xffff, flags, body).map(Some)
    }

    /// Did the side end where a frame ends?
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.data.is_none()
    }

    fn read_data(&mut self) -> Option<Frame> {
        let Data { stream, fin, left } = self.data.take()?;
        let wanted = left.min(PART);
        // A part is whole, so that parts of a frame do not depend on how its bytes arrived.
        if self.buffer.len() < wanted {
            self.data = Some(Data { stream, fin, left });
            return None;
        }
        let payload = self.buffer.split_to(wanted).freeze();
        let left = left - wanted;
        if left > 0 {
            self.data = Some(Data { stream, fin, left });
        }
        Some(Frame::Data { stream, fin: fin && left == 0, payload })
    }

    fn control(&mut self, kind: u32, flags: u8, body: Bytes) -> Result<Frame, Violation> {
        let mut body = Body(body);
        let fin = flags & FIN != 0;
        // No program opens streams in one direction, clears settings, or marks anything else.
        if flags & !FIN != 0 || fin && !matches!(kind, 1 | 2 | 8) {
            return Err(violation("a control frame has flags that are not known"));
        }
        let frame = match kind {
            1 => {
                let (stream, _associated) = (body.stream()?, body.number()?);
                // Priority and slot: no program reads them.
                body.take(2)?;
                Frame::SynStream { stream, fin, headers: self.inflater.read(&body.rest())? }
            }
            2 => {
                Frame::SynReply { stream: body.stream()?, fin, headers: self.inflater.read(&body.rest())? }
            }
            3 => Frame::RstStream { stream: body.stream()?, status: body.number()? },
            4 => {
                let count = body.number()? as usize;
                let entries = body.rest();
                if !entries.len().is_multiple_of(8) || entries.len() / 8 != count {
                    return Err(violation("the settings are not as many as they say"));
                }
                Frame::Settings { entries }
            }
            6 => Frame::Ping { id: body.number()? },
            7 => Frame::GoAway { last: body.number()?, status: body.number()? },
            8 => Frame::Headers { stream: body.stream()?, fin, headers: self.inflater.read(&body.rest())? },
            9 => Frame::WindowUpdate { stream: body.number()?, delta: body.number()? },
            _ => return Err(violation("a control frame is of no known type")),
        };
        if body.0.is_empty() {
            Ok(frame)
        } else {
            Err(violation("a control frame is longer than its type"))
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left of a control frame.
struct Body(Bytes);

impl Body {
    fn take(&mut self, count: usize) -> Result<Bytes, Violation> {
        if self.0.len() < count {
            return Err(violation("a control frame is shorter than its type"));
        }
        Ok(self.0.split_to(count))
    }

    fn number(&mut self) -> Result<u32, Violation> {
        let bytes = self.take(4)?;
        bytes
            .first_chunk()
            .map(|four| u32::from_be_bytes(*four))
            .ok_or(violation("a control frame is shorter than its type"))
    }

    /// 31 bits, not zero.
    fn stream(&mut self) -> Result<u32, Violation> {
        match self.number()? & 0x7fff_ffff {
            0 => Err(violation("a control frame is about no stream")),
            stream => Ok(stream),
        }
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
}
