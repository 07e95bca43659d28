//! The same search over text that arrives in pieces.

use std::sync::Arc;

use crate::{
    Finds, TextMasker,
    find::{Find, LOOK_AHEAD, LOOK_BEHIND, MAX_FIND, is_barrier},
};

/// Hides finds in a stream: COPY data, terminal output, a body.
///
/// What comes out is, byte for byte, what [`TextMasker::mask`] makes of the whole, however the stream was cut.
/// That needs the end of the stream to be held back: no byte is passed on before everything that could still
/// make it part of a find has been seen. At most [`MAX_HELD`] bytes wait; what ends with a line's end, a comma
/// or a quote does not wait at all.
///
/// Dropping it without [`finish`](Self::finish) drops what it holds: a stream that breaks shows nothing more.
pub struct StreamMasker {
    masker: Arc<TextMasker>,
    /// What was not passed on yet, and before it what later finds must be able to look back at.
    held: Vec<u8>,
    /// Everything before this was passed on.
    passed: usize,
    /// All candidates that start before this were seen. What comes later can not change them.
    judged: usize,
    /// A find that begins before `judged` and may still grow.
    open: Option<Find>,
    finds: Finds,
}

impl StreamMasker {
    /// A new stream.
    pub fn new(masker: Arc<TextMasker>) -> Self {
        Self { masker, held: Vec::new(), passed: 0, judged: 0, open: None, finds: Finds::default() }
    }

    /// Takes in the next piece, and appends what can be passed on to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // In parts, so that the memory that is kept does not grow with the pieces of the caller.
        for part in piece.chunks(MAX_PART) {
            self.held.extend_from_slice(part);
            self.advance(self.settled(), out);
            self.forget();
        }
    }

    /// Appends what is left to `out`: the stream is over. Returns what was hidden in all of it.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Finds {
        self.advance(self.held.len(), out);
        self.finds
    }

    /// What was hidden until now.
    pub const fn finds(&self) -> &Finds {
        &self.finds
    }

    /// Bytes that wait now.
    pub fn held(&self) -> usize {
        self.held.len() - self.passed
    }

    /// Up to where candidates can be judged, because no later byte can change them.
    fn settled(&self) -> usize {
        let far = self.held.len().saturating_sub(LOOK_AHEAD);
        let near = self.held.get(far..).unwrap_or_default();
        let barrier = near.iter().rposition(|byte| is_barrier(*byte));
        barrier.map_or(far, |at| far + at + 1).max(self.judged)
    }

    /// Judges all candidates that start before `until` and passes on what is done with.
    fn advance(&mut self, until: usize, out: &mut Vec<u8>) {
        let candidates = self.masker.candidates(&self.held, self.judged..until);
        for candidate in candidates {
            let next = match &mut self.open {
                None => Some(Find::new(candidate)),
                Some(find) => find.extend(candidate),
            };
            if let Some(next) = next
                && let Some(find) = self.open.replace(next)
            {
                self.finds.count(find.detectors);
                hide(&self.masker, &self.held, &mut self.passed, &find, out);
            }
        }
        self.judged = until;
        if let Some(find) = self.open.take_if(|find| find.range.end <= until) {
            self.finds.count(find.detectors);
            hide(&self.masker, &self.held, &mut self.passed, &find, out);
        }
        let free = self.open.as_ref().map_or(until, |find| find.range.start);
        if let Some(plain) = self.held.get(self.passed..free) {
            out.extend_from_slice(plain);
            self.passed = free;
        }
    }

    /// Drops what nobody can look back at any more.
    fn forget(&mut self) {
        let gone = self.passed.min(self.judged.saturating_sub(LOOK_BEHIND));
        self.held.drain(..gone);
        self.passed -= gone;
        self.judged -= gone;
        if let Some(find) = &mut self.open {
            find.range.start -= gone;
            find.range.end -= gone;
        }
    }
}

/// Passes on the plain text before `find` and what stands for it.
fn hide(masker: &TextMasker, held: &[u8], passed: &mut usize, find: &Find, out: &mut Vec<u8>) {
    out.extend_from_slice(held.get(*passed..find.range.start).unwrap_or_default());
    masker.hide(held, find, out);
    *passed = find.range.end;
}

/// Bytes that can wait at most: the longest find that is still open, and what must be seen behind a byte
/// before nothing can start there any more.
pub const MAX_HELD: usize = MAX_FIND + LOOK_AHEAD;

/// Bytes that are taken in at once.
const MAX_PART: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use gatewright_model::mask::{Detector, MaskMethod};

    use super::*;
    use crate::MaskKey;

    #[test]
    fn a036_memory_does_not_grow_with_the_pieces() {
        let rules = Detector::ALL.map(|detector| (detector, MaskMethod::Redact));
        let masker = Arc::new(TextMasker::new(rules, &MaskKey::new([7; 32])));
        let (mut stream, mut out) = (StreamMasker::new(masker), Vec::new());
        stream.push(&vec![b'a'; 4 << 20], &mut out);
        assert!(stream.held.len() <= MAX_HELD + LOOK_BEHIND);
        assert!(stream.held.capacity() <= 4 * MAX_PART, "{} bytes are kept", stream.held.capacity());
    }
}
