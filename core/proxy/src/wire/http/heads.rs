//! Where requests of HTTP/1.1 end, seen before hyper has made up its mind.
//!
//! hyper takes the chunks of a request that says a length beside them, one of two lengths that are equal, and lines that end
//! with LF alone, and leaves no trace of it. All are to be refused (RFC 9112 sections 2.2 and 6.3, threats A63): whoever
//! sends them hopes that two programs disagree. So the lines of each head are counted here, on their way to hyper. Nothing is decided by where this believes a
//! message to end but whether a head is in doubt; what is forwarded is framed anew, by what hyper read.

use std::sync::Arc;

use super::line::Line;

/// Counts what requests say about their own end.
pub(super) struct Heads {
    line: Arc<Line>,
    state: State,
    /// Heads that have ended so far.
    count: u64,
    head: Head,
    /// The beginning of a line, as much as can matter, whether there was more of it, and its last byte so far.
    text: Vec<u8>,
    longer: bool,
    last: u8,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    Body { left: u64 },
    ChunkSize,
    Chunk { left: u64 },
    Trailers,
}

#[derive(Default)]
struct Head {
    /// Was there a line yet? Empty ones before the first do not count.
    begun: bool,
    lengths: usize,
    length: u64,
    codings: usize,
    /// A line ended with LF alone.
    bare: bool,
    /// What says where it ends could not be read here.
    unread: bool,
}

/// Bytes of a line that are looked at: a name, a length.
const LONGEST: usize = 64;

impl Heads {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self {
            line,
            state: State::Head,
            count: 0,
            head: Head::default(),
            text: Vec::new(),
            longer: false,
            last: 0,
        }
    }

    /// Takes in what was read.
    pub(super) fn take_in(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Body { left } => self.skip(bytes, left, |left| State::Body { left }, State::Head),
                State::Chunk { left } => {
                    self.skip(bytes, left, |left| State::Chunk { left }, State::ChunkSize)
                }
                State::Head | State::ChunkSize | State::Trailers => self.take_line(bytes),
            };
        }
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], left: u64, more: fn(u64) -> State, done: State) -> &'b [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.state = if left == 0 { done } else { more(left) };
        bytes.get(count..).unwrap_or_default()
    }

    fn take_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let last = part.last().copied().unwrap_or(self.last);
        let room = LONGEST.saturating_sub(self.text.len()).min(part.len());
        self.longer |= room < part.len();
        let part = part.get(..room).unwrap_or_default();
        if end.is_none() {
            self.text.extend_from_slice(part);
            self.last = last;
            return &[];
        }
        self.last = 0;
        self.head.bare |= last != b'\r' && matches!(self.state, State::Head);
        if self.text.is_empty() {
            self.line_ended(part);
        } else {
            let mut text = std::mem::take(&mut self.text);
            text.extend_from_slice(part);
            self.line_ended(&text);
        }
        self.longer = false;
        rest.get(1..).unwrap_or_default()
    }

    fn line_ended(&mut self, text: &[u8]) {
        let line = text.strip_suffix(b"\r").unwrap_or(text);
        match self.state {
            State::Head => self.head_line(line),
            State::ChunkSize => self.chunk_line(line),
            _ if line.is_empty() => self.state = State::Head,
            _ => {}
        }
    }

    fn head_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            if self.head.begun {
                self.head_ended();
            }
            return;
        }
        self.head.begun = true;
        if !matches!(line.first(), Some(b'C' | b'c' | b'T' | b't')) {
            return;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let ends = [&b"content-length"[..], b"transfer-encoding"];
        if !ends.iter().any(|end| name.eq_ignore_ascii_case(end)) {
            return;
        }
        // What stands behind more blanks than anybody writes is for hyper to read, and not for this.
        self.head.unread |= self.longer;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.head.lengths += 1;
            match String::from_utf8_lossy(value).trim().parse() {
                Ok(length) => self.head.length = length,
                Err(_) => self.head.unread = true,
            }
        } else {
            self.head.codings += 1;
        }
    }

    fn head_ended(&mut self) {
        let Head { lengths, length, codings, bare, unread, begun: _ } = std::mem::take(&mut self.head);
        if bare || unread || lengths > 1 || (lengths > 0 && codings > 0) {
            self.line.doubt(self.count);
        }
        self.count += 1;
        self.state = match (codings, length) {
            (0, 0) => State::Head,
            (0, left) => State::Body { left },
            _ => State::ChunkSize,
        };
    }

    fn chunk_line(&mut self, line: &[u8]) {
        let size = line.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
        let all_digits = self.longer && size.len() == line.len();
        let size = u64::from_str_radix(&String::from_utf8_lossy(size), 16).ok().filter(|_| !all_digits);
        // Whatever hyper makes of it, what follows may begin anywhere.
        let size = size.unwrap_or_else(|| {
            self.line.doubt(self.count);
            0
        });
        self.state = match size {
            0 => State::Trailers,
            // With the end of its line.
            size => State::Chunk { left: size.saturating_add(2) },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// The number of the first head that is in doubt, however the bytes come.
    fn doubtful(text: &str) -> Option<u64> {
        doubtful_bytes(text.replace('\n', "\r\n").as_bytes())
    }

    fn doubtful_bytes(bytes: &[u8]) -> Option<u64> {
        let found: Vec<Option<u64>> = [1, 2, 3, 7, bytes.len()]
            .into_iter()
            .map(|size| {
                let counted = Metrics::new("1").listener("api").connection();
                let line = Arc::new(Line::new(counted, None));
                let mut heads = Heads::new(Arc::clone(&line));
                for part in bytes.chunks(size) {
                    heads.take_in(part);
                }
                (0..100).find(|number| line.is_doubtful(*number))
            })
            .collect();
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
        found[0]
    }

    #[test]
    fn a063_a_request_that_says_twice_where_it_ends_is_in_doubt() {
        for head in [
            "Content-Length: 4\nContent-Length: 4",
            "content-length: 4\nX: y\nCONTENT-LENGTH: 4",
            "Content-Length: 4\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\nContent-Length: 4",
        ] {
            assert_eq!(doubtful(&format!("POST / HTTP/1.1\n{head}\n\n")), Some(0), "{head}");
        }
        for bare in
            ["GET / HTTP/1.1\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\n"]
        {
            assert_eq!(doubtful_bytes(bare.as_bytes()), Some(0), "{bare:?}");
        }
        let long = "a".repeat(500);
        assert_eq!(doubtful(&format!("GET /{long} HTTP/1.1\nX: {long}\nContent-Length: 0\n\n")), None);
    }

    /// Blanks before a length and zeros before a size, more than are looked at: a request behind them would be counted for
    /// another one, and what it says twice would be nobody's.
    #[test]
    fn a063_an_end_that_is_written_too_long_to_be_read_is_in_doubt() {
        let blanks = " ".repeat(LONGEST);
        let hidden = "GET /q HTTP/1.1\r\n\r\n";
        for value in
            [format!("{blanks}{}", hidden.len()), format!("0{blanks}"), "x".to_owned(), String::new()]
        {
            let text = format!("POST / HTTP/1.1\nContent-Length:{value}\n\n");
            assert_eq!(doubtful(&text), Some(0), "{value:?}");
        }
        let coding = format!("POST / HTTP/1.1\nTransfer-Encoding:{blanks}chunked\n\n");
        assert_eq!(doubtful(&coding), Some(0));
        for size in [format!("{:0>70}", "5"), "f".repeat(17), ";x".to_owned()] {
            let text = format!("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n{size}\nabcde\n0\n\n");
            assert_eq!(doubtful(&text), Some(1), "{size}");
        }
        let extended = format!("5;x={}", "y".repeat(LONGEST));
        let text = format!("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n{extended}\nabcde\n0\n\n");
        assert_eq!(doubtful(&text), None);
    }

    #[test]
    fn bodies_are_no_heads() {
        let twice = "X\nContent-Length: 1\nContent-Length: 1\n\n";
        let length = twice.replace('\n', "\r\n").len();
        let body = format!("POST / HTTP/1.1\nContent-Length: {length}\n\n{twice}");
        assert_eq!(doubtful(&body), None);
        assert_eq!(doubtful(&format!("{body}\n{body}GET / HTTP/1.1\nA: b\n\n{twice}")), Some(3));
        let chunked = format!(
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n{length:x};x=y\n{twice}\n1\nz\n0\nContent-Length: 1\nContent-Length: 1\n\n"
        );
        assert_eq!(doubtful(&chunked), None);
        assert_eq!(doubtful(&format!("{chunked}{body}{twice}")), Some(2));
    }
}
