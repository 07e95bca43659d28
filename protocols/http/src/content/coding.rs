//! Content codings (RFC 9110 section 8.4.1): what is masked is what the client's program will read.
//!
//! A masked body leaves without its coding. A request whose answer is to be masked asks for [`OFFERED`] and nothing else;
//! the other decoders are for targets that do not listen.
//!
//! Bombs (threats A71): memory is bounded by the window of a coding, whatever the body grows to, and a body that grows to
//! more than [`RATIO`] times its size is cut. A body whose end is missing, or behind whose end there is more, is an error:
//! what a lenient reader might make of it was not masked.

mod brotli;
mod flate;
mod zstd;

use http::{HeaderMap, header::CONTENT_ENCODING};

use self::{
    brotli::Brotli,
    flate::{Deflate, Gzip},
    zstd::Zstd,
};
use super::unsupported;
use crate::refusal::Refusal;

/// What a request asks for when its answer will be masked, if its client takes it: the coding that every server has, and
/// whose decoder holds back nothing of a stream.
pub const OFFERED: &str = "gzip";

/// The codings of a body, undone one after another.
#[derive(Debug)]
pub(super) struct Chain {
    outer: Decoder,
    inner: Option<Decoder>,
    /// What `outer` made and `inner` has not read, from `read` on.
    between: Vec<u8>,
    read: usize,
    taken: u64,
    made: u64,
}

#[derive(Debug)]
enum Decoder {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Brotli),
    Zstd(Box<Zstd>),
}

impl Chain {
    /// Reads `Content-Encoding`. `None`: the body is not coded.
    ///
    /// # Errors
    ///
    /// 502 `mask.unsupported`: a coding is not known, or there are more than two.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut decoders = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            for coding in value.as_bytes().split(|byte| *byte == b',') {
                decoders.extend(Decoder::new(coding.trim_ascii())?);
            }
        }
        // The last in the list was applied last.
        let (outer, inner) = match (decoders.pop(), decoders.pop(), decoders.pop()) {
            (None, ..) => return Ok(None),
            (Some(outer), inner, None) => (outer, inner),
            _ => {
                return Err(unsupported(
                    "a policy hides parts of this answer, and it has more than two codings",
                ));
            }
        };
        Ok(Some(Self { outer, inner, between: Vec::new(), read: 0, taken: 0, made: 0 }))
    }

    /// Takes bytes from `input` and fills `out`. Less than all of it: nothing is left to do before there is more input.
    pub(super) fn decode(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let before = input.len();
            let count = self.step(input, room)?;
            filled += count;
            self.taken += (before - input.len()) as u64;
            self.made += count as u64;
            if self.made > SLACK + self.taken.saturating_mul(RATIO) {
                return Err(Refusal::bad_answer(
                    CODE,
                    "the target's answer grows too much when it is decoded",
                ));
            }
            if count == 0 {
                break;
            }
        }
        Ok(filled)
    }

    fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        let Some(inner) = &mut self.inner else { return self.outer.step(input, out) };
        loop {
            let mut waiting = self.between.get(self.read..).unwrap_or_default();
            let count = inner.step(&mut waiting, out)?;
            self.read = self.between.len() - waiting.len();
            if count > 0 {
                return Ok(count);
            }
            self.between.resize(BETWEEN, 0);
            self.read = 0;
            let count = self.outer.step(input, &mut self.between)?;
            self.between.truncate(count);
            self.made += count as u64;
            if count == 0 {
                return Ok(0);
            }
        }
    }

    /// The body is over.
    ///
    /// # Errors
    ///
    /// 502 `http.encoding`: and its codings are not.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        // No body at all is what some servers send with an error; nothing of it is shown.
        let over = self.taken == 0
            || self.outer.is_complete() && self.inner.as_ref().is_none_or(Decoder::is_complete);
        if over { Ok(()) } else { Err(broken("the coding of the target's answer ends in its middle")) }
    }
}

impl Decoder {
    fn new(coding: &[u8]) -> Result<Option<Self>, Refusal> {
        Ok(Some(match coding.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => return Ok(None),
            b"gzip" | b"x-gzip" => Self::Gzip(Gzip::new()),
            b"deflate" => Self::Deflate(Deflate::new()),
            b"br" => Self::Brotli(Brotli::new()),
            b"zstd" => Self::Zstd(Box::new(Zstd::new())),
            _ => {
                return Err(unsupported(
                    "a policy hides parts of this answer, and its coding is not known",
                ));
            }
        }))
    }

    /// Takes all of `input` or fills `out`; 0 only when there is nothing more to give.
    fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, out),
            Self::Deflate(deflate) => deflate.step(input, out),
            Self::Brotli(brotli) => brotli.step(input, out),
            Self::Zstd(zstd) => zstd.step(input, out),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.is_complete(),
            Self::Deflate(deflate) => deflate.is_complete(),
            Self::Brotli(brotli) => brotli.is_complete(),
            Self::Zstd(zstd) => zstd.is_complete(),
        }
    }
}

const fn broken(detail: &'static str) -> Refusal {
    Refusal::bad_answer(CODE, detail)
}

const CODE: &str = "http.encoding";

const CORRUPT: Refusal = broken("the target's answer is not in the coding that it names");

const TRAILING: Refusal = broken("something follows the end of the coding of the target's answer");

/// How many times its size a body may grow to. Logs and tables of mostly equal rows reach a hundred.
const RATIO: u64 = 500;

/// Bytes that are not counted: small bodies of one repeated byte are no bombs.
const SLACK: u64 = 1 << 20;

/// Bytes between two decoders.
const BETWEEN: usize = 16 << 10;
