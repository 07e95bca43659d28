//! Text: searched as it stands, through any cut.
//!
//! The text must be UTF-8 without U+0000. Both are true of all honest text, and not of UTF-16 or of compressed data under
//! a wrong label, in which detectors would find nothing and a reader everything. Escapes of the format (`&#52;` in HTML,
//! `%34` in a form) are not decoded.

use std::sync::Arc;

use gatewright_masking::{Finds, StreamMasker};

use super::{
    malformed,
    rules::{Rules, Tally},
};
use crate::refusal::Refusal;

/// Masks a body of text.
pub(super) struct TextBody {
    rules: Arc<Rules>,
    utf8: Utf8,
    /// None: there is nothing to look for, or the text is over.
    stream: Option<StreamMasker>,
    /// What was hidden in all of it.
    finds: Finds,
}

impl TextBody {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        let stream = rules.detectors.clone().map(StreamMasker::new);
        Self { rules, utf8: Utf8::default(), stream, finds: Finds::default() }
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.check(piece)?;
        if memchr::memchr(0, piece).is_some() {
            return Err(malformed("the text contains a zero character"));
        }
        match &mut self.stream {
            Some(stream) => stream.push(piece, out),
            None => out.extend_from_slice(piece),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.finish()?;
        if let Some(stream) = self.stream.take() {
            self.finds = stream.finish(out);
        }
        Ok(())
    }

    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::new(Arc::clone(&self.rules));
        tally.found(self.stream.as_ref().map_or(&self.finds, StreamMasker::finds));
        tally
    }
}

impl std::fmt::Debug for TextBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextBody").finish_non_exhaustive()
    }
}

/// Proves that pieces together are UTF-8.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character whose end is in the next piece.
    carry: [u8; 4],
    held: usize,
}

impl Utf8 {
    pub(super) fn check(&mut self, mut piece: &[u8]) -> Result<(), Refusal> {
        while self.held > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let Some(slot) = self.carry.get_mut(self.held) else { return Err(NOT_UTF8) };
            *slot = *byte;
            self.held += 1;
            match std::str::from_utf8(self.carry.get(..self.held).unwrap_or_default()) {
                Ok(_) => self.held = 0,
                Err(error) if error.error_len().is_some() => return Err(NOT_UTF8),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NOT_UTF8),
            Err(error) => {
                let tail = piece.get(error.valid_up_to()..).unwrap_or_default();
                for (slot, byte) in self.carry.iter_mut().zip(tail) {
                    *slot = *byte;
                }
                self.held = tail.len();
                Ok(())
            }
        }
    }

    pub(super) const fn finish(&self) -> Result<(), Refusal> {
        if self.held == 0 { Ok(()) } else { Err(NOT_UTF8) }
    }
}

const NOT_UTF8: Refusal = malformed("the text is not UTF-8");
