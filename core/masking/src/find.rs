//! From what single detectors say to what is hidden.

use std::ops::Range;

use gatewright_model::mask::Detector;

use crate::{email, email::Emails, number, number::Numbers};

/// What one detector found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) detector: Detector,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Which detectors run, and what was found by which: one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DetectorSet(u8);

impl DetectorSet {
    pub(crate) const fn insert(&mut self, detector: Detector) {
        self.0 |= 1 << detector as u8;
    }

    pub(crate) const fn contains(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u8) != 0
    }

    const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn of(detector: Detector) -> Self {
        let mut set = Self(0);
        set.insert(detector);
        set
    }
}

/// One stretch of text to hide: everything that overlapping candidates cover.
///
/// Where finds overlap, no choice between them is made, because each choice would show a part of the other:
/// the stretch is their union and is hidden by the strongest method that any of them asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Find {
    pub(crate) range: Range<usize>,
    pub(crate) detectors: DetectorSet,
}

impl Find {
    pub(crate) const fn new(candidate: Candidate) -> Self {
        Self { range: candidate.start..candidate.end, detectors: DetectorSet::of(candidate.detector) }
    }

    /// Takes in the next candidate in order of starts. What comes back is a find that begins behind this one.
    ///
    /// A find ends growing at [`MAX_FIND`], so that no text can make a stream hold back more than that; what
    /// overlaps beyond becomes a find of its own, at once behind.
    pub(crate) fn extend(&mut self, next: Candidate) -> Option<Self> {
        if next.start >= self.range.end {
            return Some(Self::new(next));
        }
        let end = self.range.end.max(next.end);
        if end - self.range.start > MAX_FIND {
            return Some(Self::new(Candidate { start: self.range.end, ..next }));
        }
        self.range.end = end;
        self.detectors = self.detectors.union(DetectorSet::of(next.detector));
        None
    }
}

/// All candidates of `text` that start within `range`, in order of their starts.
pub(crate) fn candidates(
    text: &[u8],
    range: Range<usize>,
    wanted: DetectorSet,
) -> impl Iterator<Item = Candidate> {
    let cards = wanted.contains(Detector::CardNumber);
    let ssns = wanted.contains(Detector::Ssn);
    let mut numbers = Numbers::new(text, range.clone(), cards, ssns).peekable();
    let mut emails = Emails::new(text, range, wanted.contains(Detector::Email)).peekable();
    std::iter::from_fn(move || match (numbers.peek(), emails.peek()) {
        (Some(number), Some(email)) if email.start < number.start => emails.next(),
        (Some(_), _) => numbers.next(),
        (None, _) => emails.next(),
    })
}

/// Where the end of a text begins that can still become part of a find, whatever follows. What starts before that is
/// judged once and for all.
pub(crate) fn unsettled(text: &[u8], wanted: DetectorSet) -> usize {
    let numbers = wanted.contains(Detector::CardNumber) || wanted.contains(Detector::Ssn);
    let number = if numbers { number::unsettled(text) } else { text.len() };
    let email = if wanted.contains(Detector::Email) { email::unsettled(text) } else { text.len() };
    number.min(email)
}

/// Bytes that can neither be part of a find nor influence one on their other side.
pub(crate) const fn is_barrier(byte: u8) -> bool {
    // Digits, hyphen and dot are local characters too.
    !email::is_local(byte) && byte != b'@' && byte != b' '
}

/// How far behind its start a candidate can depend on bytes.
pub(crate) const LOOK_AHEAD: usize = max(email::LOOK_AHEAD, number::LOOK_AHEAD);

/// How far before its start a candidate can depend on bytes: a local part is at most this long, and a number
/// looks at two.
pub(crate) const LOOK_BEHIND: usize = email::MAX_LOCAL;

/// Bytes of the longest find that overlapping candidates make.
pub(crate) const MAX_FIND: usize = 1_024;

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
