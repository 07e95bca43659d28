//! The same search over what programs write for terminals.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use gatewright_model::mask::MaskMethod;
use unicode_width::UnicodeWidthChar as _;

use crate::{
    Finds, Masker, TextMasker,
    escape::{Escapes, MAX_SEQUENCE, Piece, Reading},
    find::{Find, is_barrier},
    masker::hidden_characters,
    search::Search,
    stream::{MAX_HELD, MAX_PART},
};

/// Hides finds in the output of programs.
///
/// Text is searched as it is shown: escape sequences that show nothing (colours, titles, modes) are taken out of it, and passed on
/// in their places. One that moves the cursor parts what stands before it from what follows; one that steps over a column is
/// a blank. What a string in a sequence says, like a title, is searched by itself.
///
/// As with a [`StreamMasker`](crate::StreamMasker), what comes out does not depend on how the stream was cut, and at most
/// [`MAX_TERMINAL_HELD`] bytes wait. Whoever waits for a prompt or for the echo of a key does not wait for more output:
/// [`let_go`](Self::let_go) passes on what is held. What comes later is searched together with it, and of a find that it
/// completes, everything is hidden that was not shown yet.
///
/// **Not found**, each held by a test: what a program draws in another order than it is read in (it moves the cursor, goes
/// back, writes over what it wrote, repeats a character by `CSI b`); what is written slower than it is let go; text in which
/// there are more than [`MAX_SPENT`] bytes of sequences without any punctuation, or one of more than [`MAX_SEQUENCE`]; characters
/// that take no room between digits (zero-width spaces and joiners, soft hyphens, selectors of variants); the eight-bit controls of encodings other than
/// UTF-8.
pub struct TerminalMasker {
    search: Search,
    /// Searches what sequences say. A `*` for each character leaves them what they are.
    covering: TextMasker,
    /// Finds of one step.
    step: Vec<Find>,
    escapes: Escapes,
    /// Bytes of the sequence that is not complete which were passed on.
    begun: usize,
    /// Sequences that were not passed on, in their order.
    marks: VecDeque<Mark>,
    /// What they say, one behind the other.
    sequences: Vec<u8>,
    /// So much of it was passed on.
    taken: usize,
    /// Bytes of sequences since something parted what stands on its both sides.
    spent: usize,
    width: Width,
}

/// How wide what stands for a find is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As wide as the find: a program that has a terminal knows in which column it writes.
    Kept,
    /// As wide as its method makes it.
    Free,
}

/// A sequence, and where it stands in the text.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Before the character at this place; or instead of it.
    at: usize,
    /// The character at this place is there for the sequence only.
    stands: bool,
    length: usize,
}

impl TerminalMasker {
    /// A new stream.
    pub fn new(masker: Arc<TextMasker>, width: Width) -> Self {
        Self {
            covering: masker.covering(),
            search: Search::new(masker),
            step: Vec::new(),
            escapes: Escapes::default(),
            begun: 0,
            marks: VecDeque::new(),
            sequences: Vec::new(),
            taken: 0,
            spent: 0,
            width,
        }
    }

    /// Takes in the next piece, and appends what can be passed on to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // In parts, so that the memory that is kept does not grow with the pieces of the caller.
        for part in piece.chunks(MAX_PART) {
            self.read(part);
            let passed = self.search.passed();
            self.search.advance(&mut self.step);
            self.pass(passed, out);
            let gone = self.search.forget();
            self.marks.iter_mut().for_each(|mark| mark.at -= gone);
            self.sequences.drain(..std::mem::take(&mut self.taken));
        }
    }

    /// Appends what is held to `out`, though later output might still have made it part of a find.
    pub fn let_go(&mut self, out: &mut Vec<u8>) {
        let passed = self.search.passed();
        self.search.let_go(&mut self.step);
        self.pass(passed, out);
        if self.escapes.is_inside() {
            let sequence = self.escapes.sequence();
            out.extend_from_slice(sequence.get(self.begun..).unwrap_or_default());
            self.begun = sequence.len();
        }
    }

    /// What was hidden until now.
    pub const fn finds(&self) -> &Finds {
        self.search.finds()
    }

    /// Bytes that wait now.
    pub fn held(&self) -> usize {
        let incomplete =
            if self.escapes.is_inside() { self.escapes.sequence().len() - self.begun } else { 0 };
        self.search.text().len() - self.search.passed() + self.sequences.len() - self.taken + incomplete
    }

    fn read(&mut self, mut rest: &[u8]) {
        while let Some(piece) = self.escapes.next(&mut rest) {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::Sequence(reading) => {
                    self.mark(reading);
                    continue;
                }
                Piece::Broken => self.escapes.sequence(),
            };
            if self.spent > 0 && text.iter().rev().any(|byte| is_barrier(*byte)) {
                self.spent = 0;
            }
            self.search.push(text);
            // Let go, it was the last of everything.
            self.search.skip(std::mem::take(&mut self.begun));
        }
    }

    /// A sequence is complete.
    fn mark(&mut self, reading: Reading) {
        let sequence = self.escapes.sequence();
        let sequence = sequence.get(std::mem::take(&mut self.begun)..).unwrap_or_default();
        self.spent += sequence.len();
        let stands_for = match reading {
            _ if self.spent > MAX_SPENT => Some(BARRIER),
            Reading::Nothing => None,
            Reading::Blank => Some(b' '),
            Reading::Moves => Some(BARRIER),
        };
        // Behind what it begins with. Numbers of colours are short; what is longer may say something.
        let (begin, said) = sequence.split_at_checked(2).unwrap_or((sequence, &[]));
        let masked = if said.len() > SHORT { self.covering.mask(said) } else { None };
        self.sequences.extend_from_slice(begin);
        let length = begin.len()
            + match masked {
                Some(masked) => {
                    self.search.finds_mut().add(masked.finds);
                    self.sequences.extend_from_slice(&masked.text);
                    masked.text.len()
                }
                None => {
                    self.sequences.extend_from_slice(said);
                    said.len()
                }
            };
        let (at, stands) = (self.search.text().len(), stands_for.is_some());
        match self.marks.back_mut() {
            Some(last) if !stands && !last.stands && last.at == at => last.length += length,
            _ => self.marks.push_back(Mark { at, stands, length }),
        }
        if let Some(byte) = stands_for {
            self.search.push(&[byte]);
            if byte == BARRIER {
                self.spent = 0;
            }
        }
    }

    /// Passes on what is behind `passed`, with the step's finds hidden.
    fn pass(&mut self, mut passed: usize, out: &mut Vec<u8>) {
        let mut step = std::mem::take(&mut self.step);
        for find in step.drain(..) {
            self.pass_plain(passed..find.range.start.max(passed), out);
            self.hide(&find, passed, out);
            passed = find.range.end;
        }
        self.step = step;
        self.pass_plain(passed..self.search.passed(), out);
    }

    fn pass_plain(&mut self, range: Range<usize>, out: &mut Vec<u8>) {
        let mut at = range.start;
        while let Some(mark) = self.marks.front().copied() {
            if mark.at + usize::from(mark.stands) > range.end {
                break;
            }
            out.extend_from_slice(self.search.text().get(at..mark.at).unwrap_or_default());
            self.pass_mark(out);
            at = mark.at + usize::from(mark.stands);
        }
        out.extend_from_slice(self.search.text().get(at..range.end).unwrap_or_default());
    }

    fn pass_mark(&mut self, out: &mut Vec<u8>) {
        if let Some(mark) = self.marks.pop_front() {
            let end = self.taken + mark.length;
            out.extend_from_slice(self.sequences.get(self.taken..end).unwrap_or_default());
            self.taken = end;
        }
    }

    /// Passes on what stands for the part of a find that is behind `passed`, and the sequences in it.
    fn hide(&mut self, find: &Find, passed: usize, out: &mut Vec<u8>) {
        let masker = Arc::clone(self.search.masker());
        let Some(masker) = masker.strongest(find) else { return };
        let Some(value) = self.search.text().get(find.range.clone()) else { return };
        let is_plain = passed <= find.range.start
            && value.is_ascii()
            && self.marks.front().is_none_or(|mark| mark.at >= find.range.end);
        if is_plain {
            let start = out.len();
            masker.apply(value, out);
            if self.width == Width::Kept {
                out.resize(start + value.len(), b'*');
            }
            return;
        }
        let cover = Cover::new(masker, value, passed.saturating_sub(find.range.start), self.width);
        for (offset, text) in cover.0 {
            let at = find.range.start + offset;
            let mut is_passed_over = false;
            while let Some(mark) = self.marks.front().copied().filter(|mark| mark.at <= at) {
                self.pass_mark(out);
                is_passed_over |= mark.stands;
            }
            // Where the sequence itself takes the column, nothing else may.
            if !is_passed_over {
                out.extend_from_slice(&text);
            }
        }
    }
}

/// What stands for each character of a find, by its place.
struct Cover(Vec<(usize, Vec<u8>)>);

impl Cover {
    /// Of the characters of `value` from `shown` on.
    fn new(masker: &Masker, value: &[u8], shown: usize, width: Width) -> Self {
        let characters: Vec<_> = characters(value).filter(|character| character.at >= shown).collect();
        let columns = |character: &Character| match width {
            Width::Kept => character.columns,
            Width::Free => 1,
        };
        if let MaskMethod::Partial { keep } = masker.method() {
            let all = characters.len();
            // Where some were shown that had to be hidden, the others are.
            let hidden = if shown == 0 { hidden_characters(all, usize::from(keep)) } else { all };
            return Self(
                characters
                    .iter()
                    .enumerate()
                    .map(|(index, character)| match character.char {
                        Some(char) if index >= hidden => {
                            (character.at, char.encode_utf8(&mut [0; 4]).as_bytes().to_vec())
                        }
                        _ => (character.at, vec![b'*'; columns(character)]),
                    })
                    .collect(),
            );
        }
        let mut cover = Vec::new();
        masker.apply(value, &mut cover);
        if width == Width::Kept {
            cover.resize(characters.iter().map(columns).sum(), b'*');
        }
        let mut rest = &*cover;
        let last = characters.len().saturating_sub(1);
        let covered = characters.iter().enumerate().map(|(index, character)| {
            let length = if index == last { rest.len() } else { columns(character).min(rest.len()) };
            let (text, others) = rest.split_at_checked(length).unwrap_or_default();
            rest = others;
            (character.at, text.to_vec())
        });
        Self(covered.collect())
    }
}

/// A character of a find.
struct Character {
    at: usize,
    /// None: it is not UTF-8.
    char: Option<char>,
    columns: usize,
}

fn characters(value: &[u8]) -> impl Iterator<Item = Character> {
    let mut at = 0;
    value.utf8_chunks().flat_map(move |chunk| {
        let start = at;
        let end = start + chunk.valid().len();
        at = end + chunk.invalid().len();
        let valid = chunk.valid().char_indices().map(move |(offset, char)| Character {
            at: start + offset,
            char: Some(char),
            columns: char.width().unwrap_or_default(),
        });
        let invalid =
            (!chunk.invalid().is_empty()).then_some(Character { at: end, char: None, columns: 1 });
        valid.chain(invalid)
    })
}

/// Stands in the text for a sequence that parts what is on its both sides.
const BARRIER: u8 = 0x1b;

/// What a sequence says in so many bytes is nothing that could be found.
const SHORT: usize = 8;

/// Bytes of sequences in text that nothing parts. Behind them, it is parted.
pub const MAX_SPENT: usize = 16 * 1_024;

/// Bytes that can wait at most: text, the sequences in it, and one that is not complete.
pub const MAX_TERMINAL_HELD: usize = MAX_HELD + MAX_SPENT + 2 * MAX_SEQUENCE;
