//! Brotli (RFC 7932), without the large windows that are no part of it: at most 16 MiB.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{CORRUPT, TRAILING};
use crate::refusal::Refusal;

pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), ended: false }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        if self.ended {
            return if input.is_empty() { Ok(0) } else { Err(TRAILING) };
        }
        let (mut waiting, mut taken) = (input.len(), 0);
        let (mut room, mut given, mut total) = (out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut waiting,
            &mut taken,
            input,
            &mut room,
            &mut given,
            out,
            &mut total,
            &mut self.state,
        );
        *input = input.get(taken..).ok_or(CORRUPT)?;
        match result {
            BrotliResult::ResultFailure => return Err(CORRUPT),
            BrotliResult::ResultSuccess => {
                self.ended = true;
                if !input.is_empty() {
                    return Err(TRAILING);
                }
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(given)
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }
}

impl std::fmt::Debug for Brotli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brotli").field("ended", &self.ended).finish_non_exhaustive()
    }
}
