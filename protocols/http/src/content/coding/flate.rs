//! gzip (RFC 1952) and deflate (RFC 1950, or 1951 as some servers have it).

use flate2::{Decompress, FlushDecompress, Status};

use super::{CORRUPT, TRAILING};
use crate::refusal::Refusal;

/// Members of gzip, one after another. Length and checksum of each are proved.
#[derive(Debug)]
pub(super) struct Gzip {
    inflate: Decompress,
    /// The last member is complete.
    ended: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { inflate: Decompress::new_gzip(WINDOW_BITS), ended: false }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        loop {
            if self.ended && !input.is_empty() {
                *self = Self::new();
            }
            let (count, ended) = inflate(&mut self.inflate, input, out)?;
            self.ended |= ended;
            // A member without content gives nothing, and another one may follow.
            if count > 0 || !ended || input.is_empty() {
                return Ok(count);
            }
        }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }
}

/// `deflate` is zlib; servers that send it bare are told by the first two bytes, as browsers do.
#[derive(Debug)]
pub(super) struct Deflate {
    state: State,
    ended: bool,
}

#[derive(Debug)]
enum State {
    /// So far, this came.
    Undecided(Option<u8>),
    Decided(Decompress),
}

impl Deflate {
    pub(super) const fn new() -> Self {
        Self { state: State::Undecided(None), ended: false }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        let mut given = 0;
        if let State::Undecided(first) = self.state {
            let Some((byte, rest)) = input.split_first() else { return Ok(0) };
            *input = rest;
            let Some(first) = first else {
                self.state = State::Undecided(Some(*byte));
                return self.step(input, out);
            };
            // RFC 1950 section 2.2: method 8, and together a multiple of 31.
            let zlib = first & 0x0f == 8 && u16::from_be_bytes([first, *byte]).is_multiple_of(31);
            let mut decompress = Decompress::new(zlib);
            let mut head: &[u8] = &[first, *byte];
            (given, self.ended) = inflate(&mut decompress, &mut head, out)?;
            self.state = State::Decided(decompress);
        }
        let State::Decided(decompress) = &mut self.state else { return Ok(given) };
        if self.ended {
            return if input.is_empty() { Ok(given) } else { Err(TRAILING) };
        }
        let room = out.get_mut(given..).unwrap_or_default();
        let (count, ended) = inflate(decompress, input, room)?;
        self.ended = ended;
        if ended && !input.is_empty() {
            return Err(TRAILING);
        }
        Ok(given + count)
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }
}

/// Bytes that were given, and whether the stream is over. Goes on while there is input and room.
fn inflate(inflate: &mut Decompress, input: &mut &[u8], out: &mut [u8]) -> Result<(usize, bool), Refusal> {
    let mut given = 0;
    loop {
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let room = out.get_mut(given..).unwrap_or_default();
        let status = inflate.decompress(input, room, FlushDecompress::None).map_err(|_| CORRUPT)?;
        let (taken, made) = (inflate.total_in() - taken, inflate.total_out() - made);
        *input = input.get(usize::try_from(taken).unwrap_or(usize::MAX)..).ok_or(CORRUPT)?;
        given += usize::try_from(made).unwrap_or(usize::MAX);
        match status {
            Status::StreamEnd => return Ok((given, true)),
            _ if taken == 0 && made == 0 => return Ok((given, false)),
            _ => {}
        }
    }
}

/// The largest window of deflate, 32 KiB.
const WINDOW_BITS: u8 = 15;
