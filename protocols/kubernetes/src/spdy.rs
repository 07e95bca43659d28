//! SPDY/3.1 frames, without I/O: what kubectl before 1.31 speaks for exec, and every kubectl for port-forward.
//!
//! The port of a port-forward is not in a URL but in the header of a stream, and header blocks are compressed with one
//! context for the whole connection. So a gateway that wants to know the port has to decode every frame, and one that
//! wants to leave a stream out has to compress anew what follows. That is what is done here: a [`Decoder`] for what one
//! side sends, an [`Encoder`] for what is sent on. Header blocks are bounded, before and after they are inflated.
//!
//! The draft is `draft-mbelshe-httpbis-spdy-00`, section 2, with the flow control of SPDY/3.1, which no Kubernetes program uses.

mod decoder;
mod encoder;
mod headers;

use bytes::Bytes;
pub use decoder::Decoder;
pub use encoder::Encoder;

use crate::violation::Violation;

/// The longest part of a DATA frame that is handed on at once, in bytes.
pub const PART: usize = 64 << 10;

/// The longest control frame, in bytes. A stream has three short headers.
pub const MOST_CONTROL: usize = 16 << 10;

/// `RST_STREAM`: the stream was refused before anything of it was used (section 2.6.3).
pub const REFUSED: u32 = 3;

/// A frame, or a part of a DATA frame that is longer than [`PART`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// Odd: the client's.
        stream: u32,
        /// The sender will send no data on it.
        fin: bool,
        /// Names and values.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// Which one.
        stream: u32,
        /// The sender will send no data on it.
        fin: bool,
        /// Names and values.
        headers: Headers,
    },
    /// More headers of a stream.
    Headers {
        /// Which one.
        stream: u32,
        /// The sender will send no more on it.
        fin: bool,
        /// Names and values.
        headers: Headers,
    },
    /// Ends a stream at once.
    RstStream {
        /// Which one.
        stream: u32,
        /// Why.
        status: u32,
    },
    /// Options of the connection: pairs of 8 bytes, passed on as they are.
    Settings {
        /// The pairs.
        entries: Bytes,
    },
    /// Wants to see the same come back.
    Ping {
        /// What comes back.
        id: u32,
    },
    /// The sender takes no more streams.
    GoAway {
        /// The last stream that it took.
        last: u32,
        /// Why.
        status: u32,
    },
    /// More may be sent.
    WindowUpdate {
        /// On which stream. 0: on the connection.
        stream: u32,
        /// How many bytes more.
        delta: u32,
    },
    /// Bytes of a stream.
    Data {
        /// Which one.
        stream: u32,
        /// The sender will send no more on it. Of a frame in parts: on its last one.
        fin: bool,
        /// The bytes.
        payload: Bytes,
    },
}

/// Names in lower case and values, in the order in which they were sent.
pub type Headers = Vec<(Box<str>, Box<str>)>;

/// The first value of a header.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(own, _)| **own == *name).map(|(_, value)| &**value)
}

const fn violation(detail: &'static str) -> Violation {
    Violation { code: "spdy.frame", detail }
}

#[cfg(test)]
mod tests;
