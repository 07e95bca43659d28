//! Finds around an `@`: e-mail addresses.
//!
//! An address is a local part of 1 to 64 bytes, `@`, and a domain of at most 253 bytes with at least one dot
//! whose last label is letters only (RFC 5321 section 4.5.3.1 and RFC 1035 section 2.3.4 give the lengths).
//! Three deviations, each because the address stands in text that somebody parses afterwards:
//!
//! - Bytes above 0x7f are letters, in both parts. International addresses (RFC 6531) are found without
//!   tables; text without spaces that touches an address is hidden with it.
//! - The characters that delimit values in queries, arrays and paths (`/ = ? { | } ^` and the backtick) are no
//!   part of a local part, though RFC 5322 would have them.
//! - A backslash is a part of a local part: what is hidden then takes the whole of an escape (`\nbob@…` in
//!   JSON or COPY text) and never leaves a backslash that escapes the wrong character.
//!
//! Of a local part that is too long, the last 64 bytes are taken. Of a domain, the longest right one is.
//!
//! **Not found**, each held by a test: quoted local parts, domains without a dot, address literals
//! (`bob@[192.0.2.1]`), a full-width or percent-encoded or escaped `@`.

use std::ops::Range;

use gatewright_model::mask::Detector;

use crate::find::Candidate;

/// Walks over the `@` of a text and yields the addresses around them, in order of their starts.
#[derive(Debug)]
pub(crate) struct Emails<'t> {
    text: &'t [u8],
    /// Where to look for the next `@`.
    at: usize,
    /// Only addresses that start within this are yielded.
    range: Range<usize>,
}

impl<'t> Emails<'t> {
    /// Judges the addresses of `text` that start within `range`. What lies before it is context.
    pub(crate) fn new(text: &'t [u8], range: Range<usize>, wanted: bool) -> Self {
        let at = if wanted { range.start } else { text.len() };
        Self { text, at, range }
    }

    fn around(&self, at: usize) -> Option<Candidate> {
        let start = local_start(self.text, at)?;
        let end = at + 1 + domain_length(self.text.get(at + 1..)?)?;
        Some(Candidate { detector: Detector::Email, start, end })
    }
}

impl Iterator for Emails<'_> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        loop {
            // The `@` of an address that starts in range lies no further than a local part behind it.
            let limit = self.text.len().min(self.range.end + MAX_LOCAL);
            let at = self.at + memchr::memchr(b'@', self.text.get(self.at..limit)?)?;
            self.at = at + 1;
            if let Some(found) = self.around(at).filter(|found| self.range.contains(&found.start)) {
                return Some(found);
            }
        }
    }
}

/// Where the end of a text begins that can still become part of an address.
pub(crate) fn unsettled(text: &[u8]) -> usize {
    let near = text.iter().rev().take(LOOK_AHEAD);
    text.len() - near.take_while(|byte| is_local(**byte) || **byte == b'@').count()
}

/// Where the local part before the `@` at `at` starts, if there is one.
fn local_start(text: &[u8], at: usize) -> Option<usize> {
    let window = text.get(at.saturating_sub(MAX_LOCAL)..at)?;
    let length = window.iter().rev().take_while(|byte| is_local(**byte)).count();
    let local = window.get(window.len() - length..)?;
    // An address starts with a letter or digit. This also keeps a quote, and a character that the length cut
    // in two, out of the find.
    let trimmed = local.iter().position(|byte| starts_local(*byte))?;
    Some(at - length + trimmed)
}

pub(crate) const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || !byte.is_ascii()
        || matches!(
            byte,
            b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'~' | b'!' | b'#' | b'$' | b'&' | b'*' | b'\\'
        )
}

/// Not the second or a later byte of a UTF-8 character, and not punctuation.
const fn starts_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0xc0 || matches!(byte, b'_' | b'\\')
}

/// The length of the domain that `text` begins with, if it is one.
fn domain_length(text: &[u8]) -> Option<usize> {
    let length = text.iter().take(MAX_DOMAIN).take_while(|byte| is_domain(**byte)).count();
    // Cut at the limit, the end must not be in the middle of a character.
    let cut = text.get(length).is_some_and(|byte| is_continuation(*byte));
    let whole = text.get(..length)?;
    let boundary = if cut { whole.iter().rposition(|byte| !is_continuation(*byte))? } else { length };
    let domain = whole.get(..boundary)?;

    let (mut start, mut labels, mut right) = (0, 0, None);
    for label in domain.split(|byte| *byte == b'.') {
        if label.is_empty() {
            break;
        }
        // A hyphen at the end of the text is punctuation, not a part of the domain.
        let trimmed = label.len() - label.iter().rev().take_while(|byte| **byte == b'-').count();
        labels += 1;
        if labels > 1 && label.get(..trimmed).is_some_and(is_top_level) {
            right = Some(start + trimmed);
        }
        start += label.len() + 1;
    }
    right
}

const fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'-' | b'_')
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn is_top_level(label: &[u8]) -> bool {
    let letters = label.iter().all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    let punycode = label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--"));
    label.len() >= 2 && (letters || punycode)
}

/// RFC 5321 section 4.5.3.1.1, in bytes.
pub(crate) const MAX_LOCAL: usize = 64;

/// RFC 1035 section 2.3.4 less the length byte and the root, in bytes.
const MAX_DOMAIN: usize = 253;

/// The longest find.
const MAX_LENGTH: usize = MAX_LOCAL + 1 + MAX_DOMAIN;

/// How far behind its start an address can depend on bytes: the byte behind it that ends it, and three more of a
/// character that it must not cut.
pub(crate) const LOOK_AHEAD: usize = MAX_LENGTH + 4;
