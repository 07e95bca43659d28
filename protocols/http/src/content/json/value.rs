//! What stands for a name or a value.

use std::{borrow::Cow, sync::Arc};

use gatewright_masking::{REDACTED, StreamMasker};
use gatewright_model::mask::MaskMethod;

use super::path::{Child, Walk};
use crate::content::rules::{Rules, Tally};

/// Appends a name, and goes on to its value.
pub(super) fn name(raw: &[u8], rules: &Rules, walk: &mut Walk, tally: &mut Tally, out: &mut Vec<u8>) {
    let name = decode(raw);
    walk.choose(&rules.paths, Child::Member(&name));
    search(raw, &name, rules, tally, out);
}

/// Appends what stands for a string.
pub(super) fn text(raw: &[u8], hidden: Option<usize>, rules: &Rules, tally: &mut Tally, out: &mut Vec<u8>) {
    let text = decode(raw);
    let Some((path, masker)) = hidden.and_then(|path| Some((path, rules.paths.masker(path)?))) else {
        return search(raw, &text, rules, tally, out);
    };
    tally.path(path);
    let mut masked = Vec::new();
    // What a path leaves of a value is searched as everything else is.
    match rules.detectors.as_ref().filter(|_| matches!(masker.method(), MaskMethod::Partial { .. })) {
        Some(detectors) => {
            let found = detectors.mask(&text);
            masker.apply(found.as_ref().map_or(&*text, |found| &found.text), &mut masked);
        }
        None => masker.apply(&text, &mut masked),
    }
    quote(&masked, out);
}

/// Appends what stands for a number.
pub(super) fn number(
    raw: &[u8],
    hidden: Option<usize>,
    rules: &Rules,
    tally: &mut Tally,
    out: &mut Vec<u8>,
) {
    let found = rules.detectors.as_ref().and_then(|detectors| detectors.mask(raw));
    match (hidden.and_then(|path| Some((path, rules.paths.masker(path)?))), found) {
        (Some((path, masker)), found) => {
            tally.path(path);
            let mut masked = Vec::new();
            match masker.method() {
                // A value of another type is what a reader of numbers is least prepared for.
                MaskMethod::Redact => return out.extend_from_slice(b"null"),
                MaskMethod::Hash => masker.apply(raw, &mut masked),
                MaskMethod::Partial { .. } => {
                    masker.apply(found.as_ref().map_or(raw, |found| &found.text), &mut masked);
                }
            }
            quote(&masked, out);
        }
        (None, Some(found)) => {
            tally.found(&found.finds);
            if rules.redacts(&found.finds) {
                out.extend_from_slice(b"null");
            } else {
                quote(&found.text, out);
            }
        }
        (None, None) => out.extend_from_slice(raw),
    }
}

/// Appends a string in which detectors hide what they find. Where they find nothing, as it was written.
fn search(raw: &[u8], text: &[u8], rules: &Rules, tally: &mut Tally, out: &mut Vec<u8>) {
    match rules.detectors.as_ref().and_then(|detectors| detectors.mask(text)) {
        Some(found) => {
            tally.found(&found.finds);
            quote(&found.text, out);
        }
        None => out.extend_from_slice(raw),
    }
}

/// A string that is longer than what is held: redacted, or searched as a stream. Its escapes are written anew, as only
/// its end could tell that nothing is in it.
pub(super) enum Long {
    Hidden {
        path: usize,
    },
    Searched {
        unescape: Unescape,
        stream: Box<StreamMasker>,
        begun: bool,
    },
    /// A name that paths are compared with, and nothing else.
    Plain,
}

impl Long {
    /// `name`: it is the name of a member, which paths do not hide.
    pub(super) fn new(rules: &Rules, walk: &Walk, name: bool) -> Self {
        match (walk.hidden().filter(|_| !name), &rules.detectors) {
            (Some(path), _) => Self::Hidden { path },
            (None, Some(detectors)) => Self::Searched {
                unescape: Unescape::default(),
                stream: Box::new(StreamMasker::new(Arc::clone(detectors))),
                begun: false,
            },
            (None, None) => Self::Plain,
        }
    }

    /// Takes in the next bytes, quotes included.
    pub(super) fn push(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Hidden { .. } => {}
            Self::Plain => out.extend_from_slice(raw),
            Self::Searched { unescape, stream, begun } => {
                let mut raw = raw;
                if !*begun && let Some((b'"', rest)) = raw.split_first() {
                    (*begun, raw) = (true, rest);
                    out.push(b'"');
                }
                // A quote that ends the string is not escaped, and nothing follows it.
                let raw =
                    if unescape.is_plain_end(raw) { raw.get(..raw.len() - 1).unwrap_or(raw) } else { raw };
                let (mut text, mut masked) = (Vec::with_capacity(raw.len()), Vec::new());
                unescape.push(raw, &mut text);
                stream.push(&text, &mut masked);
                escape(&masked, out);
            }
        }
    }

    pub(super) fn finish(self, tally: &mut Tally, out: &mut Vec<u8>) {
        match self {
            Self::Plain => {}
            Self::Hidden { path } => {
                tally.path(path);
                quote(REDACTED.as_bytes(), out);
            }
            Self::Searched { mut unescape, stream, .. } => {
                let (mut text, mut masked) = (Vec::new(), Vec::new());
                unescape.flush(&mut text);
                let mut stream = *stream;
                stream.push(&text, &mut masked);
                tally.found(&stream.finish(&mut masked));
                escape(&masked, out);
                out.push(b'"');
            }
        }
    }
}

impl std::fmt::Debug for Long {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Long").finish_non_exhaustive()
    }
}

/// A string that was scanned, quotes included, as text.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut unescape = Unescape::default();
    unescape.push(inside, &mut text);
    unescape.flush(&mut text);
    Cow::Owned(text)
}

/// Decodes escapes that were scanned, through any cut.
#[derive(Debug, Default)]
pub(super) struct Unescape {
    inside: Inside,
    /// The first half of a pair.
    high: Option<u16>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Inside {
    #[default]
    Plain,
    Escape,
    Hex {
        unit: u16,
        left: u8,
    },
}

impl Unescape {
    fn push(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) {
        while let Some((byte, rest)) = bytes.split_first() {
            match self.inside {
                Inside::Plain => {
                    let end = memchr::memchr(b'\\', bytes).unwrap_or(bytes.len());
                    let (plain, escape) = bytes.split_at(end);
                    if !plain.is_empty() {
                        self.flush(text);
                        text.extend_from_slice(plain);
                    }
                    if !escape.is_empty() {
                        self.inside = Inside::Escape;
                    }
                    bytes = escape.get(1..).unwrap_or_default();
                    continue;
                }
                Inside::Escape if *byte == b'u' => self.inside = Inside::Hex { unit: 0, left: 4 },
                Inside::Escape => {
                    self.flush(text);
                    self.inside = Inside::Plain;
                    text.push(match byte {
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => *other,
                    });
                }
                Inside::Hex { unit, left } => {
                    let digit = char::from(*byte).to_digit(16).unwrap_or_default();
                    let unit = unit << 4 | digit as u16;
                    self.inside = Inside::Hex { unit, left: left - 1 };
                    if left == 1 {
                        self.inside = Inside::Plain;
                        self.unit(unit, text);
                    }
                }
            }
            bytes = rest;
        }
    }

    fn unit(&mut self, unit: u16, text: &mut Vec<u8>) {
        let high = self.high.take();
        match (high, unit) {
            (Some(high), 0xdc00..=0xdfff) => put(&[high, unit], text),
            (high, 0xd800..=0xdbff) => {
                high.into_iter().for_each(|high| put(&[high], text));
                self.high = Some(unit);
            }
            (high, unit) => {
                high.into_iter().for_each(|high| put(&[high], text));
                put(&[unit], text);
            }
        }
    }

    /// Half of a pair, whose other half did not come.
    fn flush(&mut self, text: &mut Vec<u8>) {
        self.high.take().into_iter().for_each(|high| put(&[high], text));
    }

    /// Do these bytes, which come next, end with a quote that is not escaped?
    fn is_plain_end(&self, bytes: &[u8]) -> bool {
        let Some((b'"', before)) = bytes.split_last() else { return false };
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let open = slashes == before.len() && self.inside == Inside::Escape;
        (slashes + usize::from(open)).is_multiple_of(2)
    }
}

/// Half of a pair is no character; U+FFFD stands for it, as in most readers.
fn put(units: &[u16], text: &mut Vec<u8>) {
    for char in char::decode_utf16(units.iter().copied()) {
        let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Appends text as the inside of a string.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
        let (plain, special) = rest.split_at(end);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}
