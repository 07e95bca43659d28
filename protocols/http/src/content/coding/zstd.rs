//! Zstandard (RFC 8878), with the window that its content coding is limited to: 8 MiB (RFC 9659).
//!
//! The decoder reads whole blocks and gives what no later block can refer to, so it holds back up to a window of a stream.
//! Frames to be skipped are refused: nothing is in them for a reader.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::CORRUPT;
use crate::refusal::Refusal;

pub(super) struct Zstd {
    decoder: FrameDecoder,
    /// What came and is no whole header or block yet.
    held: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A frame must come. `some`: another one, or nothing.
    Header { some: bool },
    /// A block must come.
    Block { checksum: bool },
    /// The last block came; its content is being given.
    Last { checksum: bool },
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { decoder, held: Vec::new(), state: State::Header { some: false } }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        loop {
            if let State::Block { .. } | State::Last { .. } = self.state {
                let count = self.decoder.read(out).map_err(|_| CORRUPT)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if let State::Last { checksum } = self.state {
                let sums = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
                if checksum && sums.0 != sums.1 {
                    return Err(CORRUPT);
                }
                self.state = State::Header { some: true };
            }
            if !self.advance(input)? {
                return Ok(0);
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Header { some: true } && self.held.is_empty()
    }

    /// Reads a header or a block. `false`: more of it must come.
    fn advance(&mut self, input: &mut &[u8]) -> Result<bool, Refusal> {
        match self.state {
            State::Header { .. } => {
                if !self.fill(input, MAGIC.len() + 1) {
                    return Ok(false);
                }
                let descriptor = match self.held.split_first_chunk() {
                    Some((&MAGIC, [descriptor, ..])) => *descriptor,
                    _ => return Err(CORRUPT),
                };
                if !self.fill(input, header_length(descriptor)) {
                    return Ok(false);
                }
                self.decoder.reset(self.held.as_slice()).map_err(|_| CORRUPT)?;
                self.state = State::Block { checksum: descriptor & 0x04 != 0 };
            }
            State::Block { checksum } => {
                if !self.fill(input, BLOCK_HEADER) {
                    return Ok(false);
                }
                let Some([first, second, third]) = self.held.first_chunk() else { return Ok(false) };
                let header = u32::from_le_bytes([*first, *second, *third, 0]);
                // Section 3.1.1.2: one bit, two bits of type, and a length; of type 1, that of one repeated byte.
                let last = header & 1 != 0;
                let length = if header >> 1 & 3 == 1 { 1 } else { header >> 3 };
                if length > MAX_BLOCK {
                    return Err(CORRUPT);
                }
                let sum = if last && checksum { CHECKSUM } else { 0 };
                if !self.fill(input, BLOCK_HEADER + length as usize + sum) {
                    return Ok(false);
                }
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(self.held.as_slice(), one).map_err(|_| CORRUPT)?;
                if last {
                    self.state = State::Last { checksum };
                }
            }
            State::Last { .. } => return Ok(true),
        }
        self.held.clear();
        Ok(true)
    }

    /// Holds so many bytes, if there are so many.
    fn fill(&mut self, input: &mut &[u8], length: usize) -> bool {
        let wanted = length.saturating_sub(self.held.len()).min(input.len());
        if let Some((taken, rest)) = input.split_at_checked(wanted) {
            self.held.extend_from_slice(taken);
            *input = rest;
        }
        self.held.len() >= length
    }
}

impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Bytes of a frame's header with its magic number (section 3.1.1.1).
const fn header_length(descriptor: u8) -> usize {
    let single = descriptor & 0x20 != 0;
    let window = if single { 0 } else { 1 };
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let content = match descriptor >> 6 {
        0 if single => 1,
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    MAGIC.len() + 1 + window + dictionary + content
}

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that may be referred to (RFC 9659 section 3).
const MAX_WINDOW: u64 = 8 << 20;

/// Section 3.1.1.2.4.
const MAX_BLOCK: u32 = 128 << 10;

const BLOCK_HEADER: usize = 3;

const CHECKSUM: usize = 4;
