//! Texts that differ in the values of literals only, and may share one reading.
//!
//! Clients that do not bind parameters write values into the text, so that each text is new, and reading
//! one costs some fifty microseconds. Most of these texts mean the same: whoever forbids `delete` does not
//! care which row. The [`Shape`] of a text is the text without the values of its plain literals. A text
//! whose shape was read before gets that reading, if two things were proved when it was made:
//!
//! - *PostgreSQL's scanner cuts both texts alike.* Only literals whose ends depend on nothing but their own
//!   characters are taken out: whole numbers that fit an `int4`, and standard strings. Texts with anything
//!   that gives a quote or a digit another meaning (dollar quotes, parameters, comments, backslashes,
//!   prefixes like `E''`) have no shape.
//! - *The reading did not look at the values.* The walk notes each constant that it passed without a look.
//!   Only if all literals that the shape leaves out are among them, the shape is kept.

use std::collections::BTreeSet;

use gatewright_model::sql::Grade;

use crate::walk::Reading;

/// A text without the values of its plain literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The text, with a mark for each literal.
    key: Box<str>,
    /// Where the literals begin, in bytes of the text.
    starts: Vec<usize>,
}

/// Stand for a literal. No text that is read holds a NUL, so nobody can write them.
const NUMBER: &str = "\0n";
const STRING: &str = "\0s";

/// A number of so many digits fits an `int4`, whatever they are: longer ones are other tokens.
const DIGITS: usize = 9;

/// Shapes of longer texts are not kept: a bulk insert of ten thousand rows comes once.
const MAX_TEXT: usize = 16 << 10;

impl Shape {
    /// The shape of a text that has one, and at least one literal.
    pub(crate) fn of(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let bytes = text.as_bytes();
        let mut key = String::with_capacity(text.len());
        let mut starts = Vec::new();
        // What was copied to the key, and what is being looked at.
        let (mut copied, mut at) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            let end = match byte {
                0 | b'\\' | b'$' => return None,
                b'-' | b'/' if bytes.get(at..).is_some_and(starts_comment) => return None,
                b'"' => end_of_quoted(bytes, at, b'"')?,
                b'\'' => {
                    // `E'..'`, `U&'..'`, `1'..'`: what is before it may say how to read it.
                    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
                    if before
                        .is_some_and(|before| is_word(*before) || matches!(before, b'&' | b'"' | b'\''))
                    {
                        return None;
                    }
                    key.push_str(text.get(copied..at)?);
                    key.push_str(STRING);
                    starts.push(at);
                    copied = end_of_quoted(bytes, at, b'\'')?;
                    copied
                }
                byte if is_word(*byte) => {
                    let word = bytes.get(at..)?;
                    let length = word.iter().position(|byte| !is_word(*byte)).unwrap_or(word.len());
                    let word = word.get(..length)?;
                    if length <= DIGITS && word.iter().all(u8::is_ascii_digit) {
                        key.push_str(text.get(copied..at)?);
                        key.push_str(NUMBER);
                        starts.push(at);
                        copied = at + length;
                    }
                    at + length
                }
                _ => at + 1,
            };
            at = end;
        }
        if starts.is_empty() {
            return None;
        }
        key.push_str(text.get(copied..)?);
        Some(Self { key: key.into_boxed_str(), starts })
    }

    /// What all texts of this shape have in common.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Is the reading of `text`, which has this shape, that of every text that has it?
    pub(crate) fn is_all_that_counts(&self, text: &str, grade: Grade, readings: &[Reading]) -> bool {
        let plain =
            |reading: &Reading| matches!(reading.kind, Some("select" | "insert" | "update" | "delete"));
        if grade != Grade::Verified || !readings.iter().all(plain) {
            return false;
        }
        let passed: BTreeSet<usize> =
            readings.iter().flat_map(|reading| &reading.passed).map(|at| literal_at(text, *at)).collect();
        self.starts.iter().all(|start| passed.contains(start))
    }
}

/// Where the literal of a constant begins that the grammar found at `at`: it takes `- 5` for one constant.
fn literal_at(text: &str, at: usize) -> usize {
    let sign = text.get(at..).and_then(|rest| rest.strip_prefix('-'));
    sign.map_or(at, |rest| text.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len())
}

/// One past the end of what is quoted at `start`. A doubled quote is part of it.
fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..)?;
        // A backslash or a NUL is nothing to be clever about, wherever it is.
        let found = rest.iter().position(|byte| *byte == quote || matches!(byte, 0 | b'\\'))?;
        if rest.get(found) != Some(&quote) {
            return None;
        }
        at += found + 1;
        if bytes.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn starts_comment(rest: &[u8]) -> bool {
    rest.starts_with(b"--") || rest.starts_with(b"/*")
}

/// May it be part of a name or of a number, as PostgreSQL's scanner cuts them? Names may hold a `$` too,
/// but a text with one has no shape.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || !byte.is_ascii()
}
