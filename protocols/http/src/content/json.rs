//! JSON that streams past: every byte is passed on as it came, but for the values that are hidden.
//!
//! A strict reader (RFC 8259) with one bit of state for each place in each path at each level of the document. Of the
//! document itself it holds one name or value at most, and that only where something could be hidden in it.
//!
//! What becomes of a value that a path selects:
//!
//! - a string becomes a string, as the method says of its decoded text. A value of more than 64 KiB is redacted, whatever
//!   the method: to hash it or to keep its end would be to hold it.
//! - a number becomes null if it is redacted, and otherwise a string
//! - `true`, `false` and `null` become null
//! - of an object or array every value in it is hidden so, at every depth. Names stay: they are what typed readers of the
//!   document look for. A stronger mask inside a weaker one is kept.
//!
//! Detectors search every other string, every name and every number, after escapes are decoded; of a value of which a
//! path leaves a part, they search first. Two masks can make one name of two.
//!
//! Names are compared as decoded text, and case counts. Of two members with one name each is masked. Several documents
//! one after another (NDJSON, a watch of Kubernetes) are each masked from their root. A byte order mark is no JSON.

mod literal;
mod path;
mod scan;
mod value;

use std::sync::Arc;

pub(super) use self::path::Paths;
use self::{
    literal::{Number, Word},
    path::{Child, Walk},
    scan::{Scan, Scanned},
    value::Long,
};
use super::{
    limit, malformed,
    rules::{Rules, Tally},
    text::Utf8,
};
use crate::refusal::Refusal;

/// Masks a stream of JSON documents.
#[derive(Debug)]
pub(super) struct JsonMasker {
    rules: Arc<Rules>,
    tally: Tally,
    utf8: Utf8,
    state: State,
    walk: Walk,
    levels: Vec<Level>,
    /// What came of a token that is looked at and not over yet.
    held: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// A value must come, or at the root may come. `first`: or the end of the array.
    Value {
        first: bool,
    },
    /// A name must come. `first`: or the end of the object.
    Name {
        first: bool,
    },
    Colon,
    /// A value is over.
    After,
    Text {
        name: bool,
        scan: Scan,
        reading: Reading,
    },
    Number {
        number: Number,
        reading: Reading,
    },
    Word {
        word: Word,
        reading: Reading,
    },
}

/// What is done with the bytes of a token.
#[derive(Debug)]
enum Reading {
    /// They pass.
    Pass,
    /// They are held, until the token is over.
    Look,
    /// There are too many of them to be held.
    Long(Box<Long>),
}

#[derive(Debug)]
struct Level {
    object: bool,
    /// Values that came.
    index: u64,
}

/// A piece of input, how far it was read, and how far it was passed on.
struct Piece<'p> {
    bytes: &'p [u8],
    at: usize,
    passed: usize,
}

impl<'p> Piece<'p> {
    /// Passes on everything before the byte that is read next.
    fn pass(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.take());
    }

    /// Everything that was read and not passed on.
    fn take(&mut self) -> &'p [u8] {
        let taken = self.bytes.get(self.passed..self.at).unwrap_or_default();
        self.passed = self.at;
        taken
    }

    fn rest(&self) -> &'p [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

impl JsonMasker {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self {
            tally: Tally::new(Arc::clone(&rules)),
            walk: Walk::new(&rules.paths),
            rules,
            utf8: Utf8::default(),
            state: State::Value { first: false },
            levels: Vec::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.check(bytes)?;
        let mut piece = Piece { bytes, at: 0, passed: 0 };
        while piece.at < bytes.len() {
            self.step(&mut piece, out)?;
        }
        let taken = piece.take();
        match &mut self.state {
            State::Text { reading: reading @ Reading::Look, name, .. } => {
                if self.held.len() + taken.len() > LONGEST {
                    let mut long = Long::new(&self.rules, &self.walk, *name);
                    long.push(&self.held, out);
                    long.push(taken, out);
                    self.held.clear();
                    *reading = Reading::Long(Box::new(long));
                } else {
                    self.held.extend_from_slice(taken);
                }
            }
            State::Text { reading: Reading::Long(long), .. } => long.push(taken, out),
            State::Number { reading: Reading::Look, .. } | State::Word { reading: Reading::Look, .. } => {
                if self.held.len() + taken.len() > LONGEST_NUMBER {
                    return Err(limit("a number is longer than 1 KiB"));
                }
                self.held.extend_from_slice(taken);
            }
            _ => out.extend_from_slice(taken),
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.utf8.finish()?;
        // A number at the root has no end of its own.
        if let State::Number { number, .. } = &self.state
            && self.levels.is_empty()
            && number.is_complete()
        {
            self.token(&mut Piece { bytes: &[], at: 0, passed: 0 }, out)?;
        }
        match self.state {
            State::Value { .. } if self.levels.is_empty() => Ok(()),
            _ => Err(malformed("the JSON ends in its middle")),
        }
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Reads some bytes; one at least, or the state changes.
    fn step(&mut self, piece: &mut Piece<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match &mut self.state {
            State::Text { scan, .. } => {
                let (count, scanned) = scan.step(piece.rest());
                piece.at += count;
                match scanned {
                    Scanned::More => Ok(()),
                    Scanned::End => self.token(piece, out),
                    Scanned::Wrong => Err(malformed("a string of the JSON is none")),
                }
            }
            State::Number { number, .. } => {
                piece.at += number.step(piece.rest());
                match piece.rest() {
                    [] => Ok(()),
                    _ if number.is_complete() => self.token(piece, out),
                    _ => Err(malformed("a number of the JSON is none")),
                }
            }
            State::Word { word, .. } => match word.step(piece.rest()) {
                None => Err(NOT_JSON),
                Some(count) => {
                    piece.at += count;
                    if word.is_complete() { self.token(piece, out) } else { Ok(()) }
                }
            },
            State::Value { .. } | State::Name { .. } | State::Colon | State::After => {
                self.between(piece, out)
            }
        }
    }

    /// Reads white space, or one byte of structure.
    fn between(&mut self, piece: &mut Piece<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Some(byte) = piece.rest().first().copied() else { return Ok(()) };
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            let space = piece.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
            piece.at += space.count();
            return Ok(());
        }
        match (&self.state, byte) {
            (State::Value { first: true }, b']') => {
                piece.at += 1;
                self.close(false)
            }
            (State::Value { .. }, _) => self.begin(byte, piece, out),
            (State::Name { .. }, b'"') => {
                let look = self.rules.detectors.is_some() || self.walk.needs_names();
                self.text(true, look, piece, out);
                Ok(())
            }
            (State::Name { first: true }, b'}') => {
                piece.at += 1;
                self.close(true)
            }
            (State::Colon, b':') => {
                piece.at += 1;
                self.state = State::Value { first: false };
                Ok(())
            }
            (State::After, b',') => {
                piece.at += 1;
                match self.levels.last_mut() {
                    Some(level) if level.object => self.state = State::Name { first: false },
                    Some(level) => {
                        level.index += 1;
                        self.walk.choose(&self.rules.paths, Child::Element(level.index));
                        self.state = State::Value { first: false };
                    }
                    None => return Err(NOT_JSON),
                }
                Ok(())
            }
            (State::After, b'}') => {
                piece.at += 1;
                self.close(true)
            }
            (State::After, b']') => {
                piece.at += 1;
                self.close(false)
            }
            _ => Err(NOT_JSON),
        }
    }

    /// A value begins.
    fn begin(&mut self, byte: u8, piece: &mut Piece<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.levels.is_empty() {
            self.walk.root(&self.rules.paths);
        }
        let (detects, hides) = (self.rules.detectors.is_some(), self.walk.hidden().is_some());
        match byte {
            b'{' | b'[' => {
                if self.levels.len() == MAX_DEPTH {
                    return Err(limit("the JSON is nested more than 128 levels deep"));
                }
                let object = byte == b'{';
                self.levels.push(Level { object, index: 0 });
                self.walk.enter();
                self.state = if object {
                    State::Name { first: true }
                } else {
                    self.walk.choose(&self.rules.paths, Child::Element(0));
                    State::Value { first: true }
                };
                piece.at += 1;
            }
            b'"' => self.text(false, detects || hides, piece, out),
            b'-' | b'0'..=b'9' => {
                piece.pass(out);
                let reading = if detects || hides { Reading::Look } else { Reading::Pass };
                self.state = State::Number { number: Number::default(), reading };
            }
            _ => {
                let word = Word::new(byte).ok_or(NOT_JSON)?;
                piece.pass(out);
                let reading = if hides { Reading::Look } else { Reading::Pass };
                self.state = State::Word { word, reading };
            }
        }
        Ok(())
    }

    /// A string begins.
    fn text(&mut self, name: bool, look: bool, piece: &mut Piece<'_>, out: &mut Vec<u8>) {
        let reading = if look {
            piece.pass(out);
            Reading::Look
        } else {
            Reading::Pass
        };
        piece.at += 1;
        self.state = State::Text { name, scan: Scan::default(), reading };
    }

    /// A token is over: what was read of `piece` and not passed on is its end.
    fn token(&mut self, piece: &mut Piece<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let next = if self.levels.is_empty() { State::Value { first: false } } else { State::After };
        match std::mem::replace(&mut self.state, next) {
            State::Text { name, reading, .. } => {
                if name {
                    self.state = State::Colon;
                }
                self.text_over(name, reading, piece, out);
            }
            State::Number { reading: Reading::Look, .. } => {
                let Self { held, rules, walk, tally, .. } = self;
                let number = whole(held, piece.take());
                if number.len() > LONGEST_NUMBER {
                    return Err(limit("a number is longer than 1 KiB"));
                }
                value::number(number, walk.hidden(), rules, tally, out);
                held.clear();
            }
            State::Word { reading: Reading::Look, .. } => {
                let word = whole(&mut self.held, piece.take());
                if word != b"null"
                    && let Some(path) = self.walk.hidden()
                {
                    self.tally.path(path);
                }
                out.extend_from_slice(b"null");
                self.held.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn text_over(&mut self, name: bool, reading: Reading, piece: &mut Piece<'_>, out: &mut Vec<u8>) {
        let Self { held, rules, walk, tally, .. } = self;
        match reading {
            Reading::Pass => {
                if name {
                    walk.choose(&rules.paths, Child::Unknown);
                }
            }
            Reading::Look => {
                let raw = whole(held, piece.take());
                if raw.len() > LONGEST {
                    let mut long = Long::new(rules, walk, name);
                    long.push(raw, out);
                    long.finish(tally, out);
                    if name {
                        walk.choose(&rules.paths, Child::Unknown);
                    }
                } else if name {
                    value::name(raw, rules, walk, tally, out);
                } else {
                    value::text(raw, walk.hidden(), rules, tally, out);
                }
                held.clear();
            }
            Reading::Long(mut long) => {
                long.push(piece.take(), out);
                long.finish(tally, out);
                if name {
                    walk.choose(&rules.paths, Child::Unknown);
                }
            }
        }
    }

    /// An object or array is over.
    fn close(&mut self, object: bool) -> Result<(), Refusal> {
        match self.levels.pop() {
            Some(level) if level.object == object => {}
            _ => return Err(NOT_JSON),
        }
        self.walk.leave();
        self.state = if self.levels.is_empty() { State::Value { first: false } } else { State::After };
        Ok(())
    }
}

/// A token in one piece: without a copy, if it came so.
fn whole<'t>(held: &'t mut Vec<u8>, end: &'t [u8]) -> &'t [u8] {
    if held.is_empty() {
        return end;
    }
    held.extend_from_slice(end);
    held
}

const NOT_JSON: Refusal = malformed("the body is not JSON");

/// Bytes of a string that is held to be looked at, as it is written.
const LONGEST: usize = 64 << 10;

/// Bytes of a number that is held. More digits than any reader keeps.
const LONGEST_NUMBER: usize = 1_024;

/// Levels of arrays and objects.
const MAX_DEPTH: usize = 128;
