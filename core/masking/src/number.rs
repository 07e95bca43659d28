//! Finds in runs of digits: payment card numbers and social security numbers.
//!
//! A *group* is a maximal run of digits. Groups are joined by one space or one hyphen.
//!
//! **Card number.** One group, or joined groups of at least three digits each, 13 to 19 digits together, with
//! a right Luhn check digit (ISO/IEC 7812-1 annex B). It starts where a group starts and ends where a group
//! ends, so a number that is part of a longer run of digits is none, and a number that is one of several
//! joined by spaces is still found. The first digit is 2 to 9, or 1 with 15 digits (UATP): no network issues
//! others, and that frees timestamps in milli-, micro- and nanoseconds of false finds. Digits behind a
//! decimal point (`0.4242424242424242`) are a fraction and no card.
//!
//! **SSN.** Groups of three, two and four digits, joined. Area 000, 666 and 900 to 999, group 00 and serial
//! 0000 were never issued.
//!
//! **Not found**, each held by a test: nine bare digits (no check digit, and every second table has such
//! identifiers); other separators (dot, slash, underscore, two spaces, no-break space); card groups of one or
//! two digits; digits of other scripts and full-width digits; digits written as escapes (`\u0034`).

use std::ops::Range;

use gatewright_model::mask::Detector;

use crate::find::Candidate;

/// Walks over the groups of a text and yields what stands at their starts, in order of their starts.
#[derive(Debug)]
pub(crate) struct Numbers<'t> {
    text: &'t [u8],
    /// Where to look for the next group.
    at: usize,
    /// Only groups that start before this are judged.
    until: usize,
    cards: bool,
    ssns: bool,
    /// An SSN that starts where the card that was just yielded starts.
    pending: Option<Candidate>,
}

impl<'t> Numbers<'t> {
    /// Judges the groups of `text` that start within `range`. What lies before it is context.
    pub(crate) const fn new(text: &'t [u8], range: Range<usize>, cards: bool, ssns: bool) -> Self {
        // A walk that looks for nothing is over at once.
        let until = if cards || ssns { range.end } else { 0 };
        Self { text, at: range.start, until, cards, ssns, pending: None }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn is_digit(&self, at: usize) -> bool {
        self.byte(at).is_some_and(|byte| byte.is_ascii_digit())
    }

    /// Is there a byte before `at`, and is it so?
    fn before(&self, at: usize, is: impl Fn(u8) -> bool) -> bool {
        at.checked_sub(1).and_then(|at| self.byte(at)).is_some_and(is)
    }

    /// The next group that starts before `until`, and the end of it.
    fn next_group(&mut self) -> Option<Range<usize>> {
        let start = self.at + first_digit(self.text.get(self.at..self.until)?)?;
        let end = self.group_end(start);
        self.at = end + 1;
        Some(start..end)
    }

    fn group_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    }

    /// Where the group behind the one that ended at `end` starts, if one is joined.
    fn joined(&self, end: usize) -> Option<usize> {
        (matches!(self.byte(end), Some(b' ' | b'-')) && self.is_digit(end + 1)).then_some(end + 1)
    }

    /// The longest card number that starts with this group.
    fn card(&self, group: &Range<usize>) -> Option<Candidate> {
        let fraction = self.before(group.start, |byte| byte == b'.')
            && self.before(group.start - 1, |byte| byte.is_ascii_digit());
        if !self.cards || fraction {
            return None;
        }
        let first = self.byte(group.start)?;
        let mut luhn = Luhn::default();
        let mut group = group.clone();
        let start = group.start;
        let mut found = None;
        loop {
            let digits = self.text.get(group.clone())?;
            if digits.len() < MIN_GROUP_DIGITS || luhn.count + digits.len() > MAX_CARD_DIGITS {
                break;
            }
            luhn.add(digits);
            let issued = match first {
                b'0' => false,
                b'1' => luhn.count == UATP_DIGITS,
                _ => luhn.count >= MIN_CARD_DIGITS,
            };
            if issued && luhn.is_right() {
                found = Some(Candidate { detector: Detector::CardNumber, start, end: group.end });
            }
            match self.joined(group.end) {
                Some(next) => group = next..self.group_end(next),
                None => break,
            }
        }
        found
    }

    /// The SSN that starts with this group.
    fn ssn(&self, area: &Range<usize>) -> Option<Candidate> {
        if !self.ssns || area.len() != 3 {
            return None;
        }
        let group = self.joined(area.end).map(|start| start..self.group_end(start))?;
        if group.len() != 2 {
            return None;
        }
        let serial = self.joined(group.end).map(|start| start..self.group_end(start))?;
        if serial.len() != 4 {
            return None;
        }
        let never_issued = matches!(self.text.get(area.clone())?, b"000" | b"666" | [b'9', ..])
            || self.text.get(group)? == b"00"
            || self.text.get(serial.clone())? == b"0000";
        (!never_issued).then_some(Candidate { detector: Detector::Ssn, start: area.start, end: serial.end })
    }
}

impl Iterator for Numbers<'_> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        loop {
            let group = self.next_group()?;
            // A group that began before the range was judged with what came before.
            if group.len() < MIN_GROUP_DIGITS || self.before(group.start, |byte| byte.is_ascii_digit()) {
                continue;
            }
            let (card, ssn) = (self.card(&group), self.ssn(&group));
            if card.is_some() {
                self.pending = ssn;
                return card;
            }
            if ssn.is_some() {
                return ssn;
            }
        }
    }
}

/// Where the end of a text begins that can still become part of a number: groups, and what joins them.
pub(crate) fn unsettled(text: &[u8]) -> usize {
    let near = text.get(text.len().saturating_sub(LOOK_AHEAD)..).unwrap_or_default();
    let mut start = near.len();
    let mut rest = near;
    loop {
        let joined = match rest {
            [before @ .., b' ' | b'-'] => before,
            _ => rest,
        };
        let digits = joined.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return text.len() - near.len() + start;
        }
        start = joined.len() - digits;
        rest = joined.get(..start).unwrap_or_default();
    }
}

/// Luhn's sum over a number whose length is not known yet: which digits count double depends on where it
/// ends, so both sums are kept.
#[derive(Debug, Default)]
struct Luhn {
    count: usize,
    /// The sum in which the last digit counts once.
    last_once: u32,
    /// The sum in which the last digit counts double.
    last_double: u32,
}

impl Luhn {
    fn add(&mut self, digits: &[u8]) {
        for digit in digits {
            let digit = u32::from(digit - b'0');
            let doubled = if digit < 5 { digit * 2 } else { digit * 2 - 9 };
            (self.last_once, self.last_double) = (self.last_double + digit, self.last_once + doubled);
            self.count += 1;
        }
    }

    /// Is the last digit the right check digit? It counts once.
    const fn is_right(&self) -> bool {
        self.last_once.is_multiple_of(10)
    }
}

/// The first digit. Text without digits is passed over in blocks, which compilers turn into vector code.
fn first_digit(text: &[u8]) -> Option<usize> {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let without = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |any, byte| any | byte.is_ascii_digit()));
    let skipped = without.count() * BLOCK;
    let rest = text.get(skipped..)?;
    Some(skipped + rest.iter().position(u8::is_ascii_digit)?)
}

/// ISO/IEC 7812-1: a primary account number has at most 19 digits; the shortest still issued has 13.
const MIN_CARD_DIGITS: usize = 13;
const MAX_CARD_DIGITS: usize = 19;

/// Digits of a Universal Air Travel Plan card, the only network under the first digit 1.
const UATP_DIGITS: usize = 15;

/// The smallest group that cards are printed with (4-3-3-3). Less would take lists of small numbers and dates.
const MIN_GROUP_DIGITS: usize = 3;

/// Bytes that are tested for digits at once.
const BLOCK: usize = 32;

/// The longest find: 19 digits in groups of three, with what joins them.
const MAX_LENGTH: usize = MAX_CARD_DIGITS + MAX_CARD_DIGITS / MIN_GROUP_DIGITS;

/// How far behind its start a number can depend on bytes: whether one more group is joined, and is too long.
pub(crate) const LOOK_AHEAD: usize = MAX_LENGTH + 1 + MIN_GROUP_DIGITS;

#[cfg(test)]
mod tests {
    use super::*;

    fn luhn(digits: &str) -> bool {
        let mut luhn = Luhn::default();
        luhn.add(digits.as_bytes());
        luhn.is_right()
    }

    #[test]
    fn luhn_of_known_numbers() {
        for right in ["0", "18", "79927398713", "4111111111111111", "378282246310005", "4222222222222"] {
            assert!(luhn(right), "{right}");
        }
        for wrong in ["1", "17", "79927398710", "4111111111111112", "1411111111111111"] {
            assert!(!luhn(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_first_digit_is_found_wherever_it_is() {
        for at in 0..100 {
            let mut text = vec![b'x'; 100];
            text[at] = b'7';
            assert_eq!(first_digit(&text), Some(at));
        }
        assert_eq!(first_digit(&[b'x'; 100]), None);
        assert_eq!(first_digit(b""), None);
    }
}
