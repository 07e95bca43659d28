//! Header blocks (section 2.6.10): names and values, compressed with one zlib stream for all blocks of a direction.

use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Headers, violation};
use crate::violation::Violation;

/// The longest block after it was inflated, in bytes: a stream has three short headers.
const MOST: usize = 16 << 10;

/// Pairs in a block at most.
const MOST_PAIRS: u32 = 64;

/// Blocks of one direction, to be read.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

/// Blocks of one direction, to be written.
#[derive(Debug)]
pub(super) struct Deflater(Compress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// One block, whole.
    pub(super) fn read(&mut self, mut block: &[u8]) -> Result<Headers, Violation> {
        let mut out = Vec::new();
        let mut chunk = [0; 2048];
        loop {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress(block, &mut chunk, FlushDecompress::Sync);
            // Both are at most the lengths of what was given.
            let taken = (self.0.total_in() - before_in) as usize;
            let made = (self.0.total_out() - before_out) as usize;
            block = block.get(taken..).unwrap_or_default();
            out.extend_from_slice(chunk.get(..made).unwrap_or_default());
            match result {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|_| BROKEN)?;
                    continue;
                }
                Ok(Status::Ok | Status::BufError) => {}
                // The stream goes on until the connection ends.
                Ok(Status::StreamEnd) | Err(_) => return Err(BROKEN),
            }
            if out.len() > MOST {
                return Err(violation("the headers of a stream are longer than 16 KiB"));
            }
            if made < chunk.len() && (block.is_empty() || taken == 0) {
                break;
            }
        }
        if block.is_empty() { parse(&out) } else { Err(BROKEN) }
    }
}

impl Deflater {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::default(), true);
        // Before anything was written it is always taken.
        let _ = compress.set_dictionary(&DICTIONARY);
        Self(compress)
    }

    /// Appends one block.
    pub(super) fn write(&mut self, headers: &Headers, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        // As many as were read, or a few of our own.
        text.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        for part in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&(part.len() as u32).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        let mut rest = &text[..];
        let mut chunk = [0; 2048];
        loop {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let result = self.0.compress(rest, &mut chunk, FlushCompress::Sync);
            rest = rest.get((self.0.total_in() - before_in) as usize..).unwrap_or_default();
            let made = (self.0.total_out() - before_out) as usize;
            out.extend_from_slice(chunk.get(..made).unwrap_or_default());
            if result.is_err() || made < chunk.len() && rest.is_empty() {
                return;
            }
        }
    }
}

/// A number of pairs, then a length and text for each name and each value.
fn parse(mut block: &[u8]) -> Result<Headers, Violation> {
    let count = number(&mut block)?;
    if count > MOST_PAIRS {
        return Err(violation("a stream has more than 64 headers"));
    }
    let mut headers: Headers = Vec::new();
    for _ in 0..count {
        let (name, value) = (text(&mut block)?, text(&mut block)?);
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'_')
        };
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(violation("a stream has a header whose name is none"));
        }
        // Several values of one header are separated by NUL, and no program sends them: which one counts would be a guess.
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(violation("a stream has a header with several values, or one that is no text"));
        }
        if headers.iter().any(|(other, _)| **other == *name) {
            return Err(violation("a stream has a header twice"));
        }
        headers.push((Box::from(name), Box::from(value)));
    }
    if block.is_empty() { Ok(headers) } else { Err(BROKEN) }
}

fn number(block: &mut &[u8]) -> Result<u32, Violation> {
    let (four, rest) = block.split_first_chunk().ok_or(BROKEN)?;
    *block = rest;
    Ok(u32::from_be_bytes(*four))
}

fn text<'a>(block: &mut &'a [u8]) -> Result<&'a str, Violation> {
    let length = number(block)? as usize;
    let (text, rest) = block.split_at_checked(length).ok_or(BROKEN)?;
    *block = rest;
    std::str::from_utf8(text).map_err(|_| BROKEN)
}

const BROKEN: Violation = violation("the headers of a stream can not be read");

/// What both sides know before the first block: words with their lengths before them, then text.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in WORDS {
        bytes.extend_from_slice(&(word.len() as u32).to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(TEXT.as_bytes());
    bytes
});

const WORDS: &[&str] = &[
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];

const TEXT: &str = "\
    100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized\
    403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
    Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
    chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,\
    text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
