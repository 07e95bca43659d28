//! The same search over text that arrives in pieces.

use std::sync::Arc;

use crate::{
    Finds, TextMasker,
    find::{Find, LOOK_AHEAD, MAX_FIND},
    search::Search,
};

/// Hides finds in a stream: COPY data, a log, a body.
///
/// What comes out is, byte for byte, what [`TextMasker::mask`] makes of the whole, however the stream was cut.
/// That needs the end of the stream to be held back: no byte is passed on before everything that could still
/// make it part of a find has been seen. At most [`MAX_HELD`] bytes wait; what can not be part of a find any more,
/// like the end of a line, does not wait at all.
///
/// Dropping it without [`finish`](Self::finish) drops what it holds: a stream that breaks shows nothing more.
pub struct StreamMasker {
    search: Search,
    /// Finds of one step.
    step: Vec<Find>,
}

impl StreamMasker {
    /// A new stream.
    pub fn new(masker: Arc<TextMasker>) -> Self {
        Self { search: Search::new(masker), step: Vec::new() }
    }

    /// Takes in the next piece, and appends what can be passed on to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // In parts, so that the memory that is kept does not grow with the pieces of the caller.
        for part in piece.chunks(MAX_PART) {
            let passed = self.search.passed();
            self.search.push(part);
            self.search.advance(&mut self.step);
            self.pass(passed, out);
            self.search.forget();
        }
    }

    /// Appends what is left to `out`: the stream is over. Returns what was hidden in all of it.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Finds {
        let passed = self.search.passed();
        self.search.let_go(&mut self.step);
        self.pass(passed, out);
        *self.search.finds()
    }

    /// What was hidden until now.
    pub const fn finds(&self) -> &Finds {
        self.search.finds()
    }

    /// Bytes that wait now.
    pub fn held(&self) -> usize {
        self.search.text().len() - self.search.passed()
    }

    /// Passes on what is behind `passed`, with the step's finds hidden.
    fn pass(&mut self, mut passed: usize, out: &mut Vec<u8>) {
        let (text, masker) = (self.search.text(), self.search.masker());
        for find in self.step.drain(..) {
            out.extend_from_slice(text.get(passed..find.range.start).unwrap_or_default());
            masker.hide(text, &find, out);
            passed = find.range.end;
        }
        out.extend_from_slice(text.get(passed..self.search.passed()).unwrap_or_default());
    }
}

/// Bytes that can wait at most: the longest find that is still open, and what must be seen behind a byte
/// before nothing can start there any more.
pub const MAX_HELD: usize = MAX_FIND + LOOK_AHEAD;

/// Bytes that are taken in at once.
pub(crate) const MAX_PART: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use gatewright_model::mask::{Detector, MaskMethod};

    use super::*;
    use crate::{MaskKey, find::LOOK_BEHIND};

    #[test]
    fn a036_memory_does_not_grow_with_the_pieces() {
        let rules = Detector::ALL.map(|detector| (detector, MaskMethod::Redact));
        let masker = Arc::new(TextMasker::new(rules, &MaskKey::new([7; 32])));
        let (mut stream, mut out) = (StreamMasker::new(masker), Vec::new());
        stream.push(&vec![b'a'; 4 << 20], &mut out);
        assert!(stream.search.text().len() <= MAX_HELD + LOOK_BEHIND);
        assert!(stream.search.kept() <= 4 * MAX_PART, "{} bytes are kept", stream.search.kept());
    }
}
