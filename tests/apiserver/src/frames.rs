//! Cuts the bytes of an upgraded connection into frames: WebSocket (RFC 6455), SPDY/3.1, and SPDY inside WebSocket.
//!
//! Only as much as a replay needs. Headers of SPDY streams stay compressed: Go writes them in random order, so their
//! bytes are never the same, and that a stream was opened is enough to know when it is this server's turn.

/// A frame, or a message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `message`, `ping`, `pong`, `close` of WebSocket; `open`, `data` and `control` of SPDY.
    pub(crate) kind: &'static str,
    /// The channel of a message, or the number of the stream.
    pub(crate) stream: u32,
    /// Does the sender say that it ends the stream?
    pub(crate) last: bool,
    /// The payload, without the byte that names the channel.
    pub(crate) data: Vec<u8>,
}

/// Which frames a connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Messages whose first byte is a channel.
    WebSocket,
    /// SPDY/3.1.
    Spdy,
    /// SPDY/3.1 in the binary messages of a WebSocket.
    Tunnel,
}

/// Cuts one direction of a connection.
#[derive(Debug)]
pub(crate) struct Cutter {
    framing: Framing,
    outer: Vec<u8>,
    inner: Vec<u8>,
}

impl Framing {
    /// Told from the 101.
    pub(crate) fn of(upgrade: &str, protocol: Option<&str>) -> Self {
        match (upgrade, protocol) {
            ("websocket", Some(name)) if name.starts_with("SPDY/3.1+") => Self::Tunnel,
            ("websocket", _) => Self::WebSocket,
            _ => Self::Spdy,
        }
    }
}

impl Cutter {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, outer: Vec::new(), inner: Vec::new() }
    }

    /// The frames that are whole with these bytes.
    pub(crate) fn cut(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        if self.framing == Framing::Spdy {
            self.inner.extend(bytes);
        } else {
            self.outer.extend(bytes);
            while let Some((frame, length)) = websocket(&self.outer) {
                self.outer.drain(..length);
                if self.framing == Framing::Tunnel && frame.kind == "message" {
                    self.inner.extend(frame.data);
                } else {
                    found.push(channel_of(frame));
                }
            }
        }
        while let Some((frame, length)) = spdy(&self.inner) {
            self.inner.drain(..length);
            found.push(frame);
        }
        found
    }
}

/// A frame of a server: short, whole, unmasked.
pub(crate) fn websocket_frame(opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| frame.extend(*part));
    frame
}

fn websocket(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(take(bytes, 2)?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(take(bytes, 2)?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mask: [u8; 4] = if second & 0x80 == 0 {
        [0; 4]
    } else {
        at += 4;
        take(bytes, at - 4)?
    };
    let payload = bytes.get(at..at.checked_add(length)?)?;
    let data = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let kind = match first & 0x0f {
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => "message",
    };
    Some((Frame { kind, stream: 0, last: kind == "close", data }, at + length))
}

fn channel_of(mut frame: Frame) -> Frame {
    if frame.kind == "message" && !frame.data.is_empty() {
        frame.stream = u32::from(frame.data.remove(0));
    }
    frame
}

fn spdy(bytes: &[u8]) -> Option<(Frame, usize)> {
    let word = u32::from_be_bytes(take(bytes, 0)?);
    let sizes = u32::from_be_bytes(take(bytes, 4)?);
    let end = 8 + usize::try_from(sizes & 0x00ff_ffff).ok()?;
    let data = bytes.get(8..end)?.to_vec();
    let (kind, stream) = match word {
        word if word & 0x8000_0000 == 0 => ("data", word),
        // SYN_STREAM: the number of the stream comes first.
        0x8003_0001 => ("open", u32::from_be_bytes(take(&data, 0)?)),
        word => ("control", word & 0xffff),
    };
    Some((Frame { kind, stream, last: kind != "control" && sizes >> 24 == 1, data }, end))
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_wherever_the_bytes_are() {
        // `\0hi` masked, then a close.
        let bytes = [0x82, 0x83, 1, 2, 3, 4, 1, b'h' ^ 2, b'i' ^ 3, 0x88, 0x00];
        let mut cutter = Cutter::new(Framing::WebSocket);
        let frames: Vec<Frame> = bytes.iter().flat_map(|byte| cutter.cut(&[*byte])).collect();
        let hi = Frame { kind: "message", stream: 0, last: false, data: b"hi".to_vec() };
        assert_eq!(frames, [hi, Frame { kind: "close", stream: 0, last: true, data: Vec::new() }]);
    }

    #[test]
    fn a_stream_is_opened_in_a_tunnel_of_small_messages() {
        let open = [0x80, 3, 0, 1, 0, 0, 0, 10, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0];
        let mut cutter = Cutter::new(Framing::Tunnel);
        let messages = open.chunks(4).flat_map(|piece| websocket_frame(2, &[piece]));
        let frames = cutter.cut(&messages.collect::<Vec<_>>());
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].kind, frames[0].stream, frames[0].last), ("open", 5, false));
    }
}
