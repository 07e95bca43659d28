//! Frames to bytes.

use bytes::BytesMut;

use super::{Frame, headers};

/// Writes the frames of one direction.
#[derive(Debug)]
pub struct Encoder {
    deflater: headers::Deflater,
}

impl Encoder {
    /// Writes from the first byte after the switch.
    pub fn new() -> Self {
        Self { deflater: headers::Deflater::new() }
    }

    /// Appends a frame.
    pub fn encode(&mut self, frame: &Frame, out: &mut BytesMut) {
        let mut body = Vec::new();
        let mut number = |number: u32| body.extend_from_slice(&number.to_be_bytes());
        let (kind, fin) = match frame {
            Frame::Data { stream, fin, payload } => {
                head(stream & 0x7fff_ffff, *fin, payload.len(), out);
                out.extend_from_slice(payload);
                return;
            }
            Frame::SynStream { stream, fin, headers } => {
                number(*stream);
                number(0);
                body.extend_from_slice(&[0, 0]);
                self.deflater.write(headers, &mut body);
                (1, *fin)
            }
            Frame::SynReply { stream, fin, headers } => {
                number(*stream);
                self.deflater.write(headers, &mut body);
                (2, *fin)
            }
            Frame::RstStream { stream, status } => {
                number(*stream);
                number(*status);
                (3, false)
            }
            Frame::Settings { entries } => {
                // Checked when it was read: a control frame is short.
                number((entries.len() / 8) as u32);
                body.extend_from_slice(entries);
                (4, false)
            }
            Frame::Ping { id } => {
                number(*id);
                (6, false)
            }
            Frame::GoAway { last, status } => {
                number(*last);
                number(*status);
                (7, false)
            }
            Frame::Headers { stream, fin, headers } => {
                number(*stream);
                self.deflater.write(headers, &mut body);
                (8, *fin)
            }
            Frame::WindowUpdate { stream, delta } => {
                number(*stream);
                number(*delta);
                (9, false)
            }
        };
        head(0x8003_0000 | kind, fin, body.len(), out);
        out.extend_from_slice(&body);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// `length` is below 2^24: what is read in one part is, and so is what is made of it.
fn head(word: u32, fin: bool, length: usize, out: &mut BytesMut) {
    out.extend_from_slice(&word.to_be_bytes());
    out.extend_from_slice(&((length as u32 & 0x00ff_ffff) | u32::from(fin) << 24).to_be_bytes());
}
