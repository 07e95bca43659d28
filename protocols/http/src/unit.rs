//! What travels between the wire and an exchange: parts of two messages.
//!
//! The order on each side is: one head, then, where a body follows, `Data*`, perhaps `Trailers`, `End`. A head that
//! says [`Body::None`] is the whole message.
//!
//! A request that says [`Body::Switches`] asks for another protocol; where its answer says [`Body::Switched`], what was a
//! connection of HTTP is one of that protocol from then on: `Data*` and one `End` on each side, in any order.
//!
//! `End` is a statement: *this message is complete*. The driver hands one in only when the wire proved it (the last
//! chunk, the declared length, `END_STREAM`), and sends a clean end only where it was given one. A side that is
//! closed without it is a message that was cut, and its peer must see that: a connection that is closed without the
//! last chunk, a stream that is reset (threats A74, fault F2).

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, request, response};

/// A part of a message. See the module's documentation for their order.
pub enum Unit {
    /// The head of the request.
    Request(Box<request::Parts>, Body),
    /// The head of an answer, interim ones (1xx) included.
    Response(Box<response::Parts>, Body),
    /// A piece of the body, as it was sent or is to be sent: content coding included, transfer coding not.
    Data(Bytes),
    /// The trailer section. None is forwarded, in either direction (threats A74).
    Trailers(HeaderMap),
    /// The body is complete.
    End,
}

/// Does anything follow a head?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the head is the message.
    None,
    /// Pieces, and an end.
    Follows,
    /// Of a request that is sent: nothing, but the connection is to be switched to another protocol.
    Switches,
    /// Of an answer: the connection was switched, and what follows is of the other protocol, in both directions.
    Switched,
}

/// Among the extensions of an answer's head: nothing more is read of the connection that it goes to. What was said on it
/// had no one reading, so nobody can tell where the next request begins (threats A63).
#[derive(Debug, Clone, Copy)]
pub struct HangUp;

/// Among the extensions of a request's head: it is written so that programs disagree where it ends (threats A63).
#[derive(Debug, Clone, Copy)]
pub struct TwoEnds;

/// Nothing of a head but its method or status, and of a body its size: a token stands in a head (promise P7).
impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(parts, body) => {
                f.debug_tuple("Request").field(&parts.method).field(body).finish()
            }
            Self::Response(parts, body) => {
                f.debug_tuple("Response").field(&parts.status).field(body).finish()
            }
            Self::Data(data) => f.debug_tuple("Data").field(&data.len()).finish(),
            Self::Trailers(trailers) => f.debug_tuple("Trailers").field(&trailers.len()).finish(),
            Self::End => f.write_str("End"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shows_nothing_that_it_carries() {
        let request =
            http::Request::get("/x?key=hunter2").header("authorization", "Bearer hunter2").body(());
        let (parts, ()) = request.unwrap().into_parts();
        let shown = format!("{:?}", Unit::Request(Box::new(parts), Body::None));
        assert_eq!(shown, "Request(GET, None)");
        assert_eq!(format!("{:?}", Unit::Data(Bytes::from_static(b"hunter2"))), "Data(7)");
    }
}
