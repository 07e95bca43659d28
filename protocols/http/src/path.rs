//! The path of a request, in the one form that is judged and sent.
//!
//! Proxies and servers disagree about nearly everything that can stand in a path, and each disagreement is a way
//! around a rule (threats A52, A69). So whatever is read in two ways by programs that are in use is refused:
//!
//! | refused | because |
//! | --- | --- |
//! | `/` or `\` encoded, `\` | a separator for some, a character for others |
//! | `.` and `..`, encoded or not; nothing but dots and spaces | resolved by some, before or after a rule looks; Windows drops trailing dots and spaces |
//! | `//` | merged by some |
//! | `;`, encoded or not | begins a parameter that some servers take out before they look further |
//! | `%25` that leaves another `%41` behind | decoded once more by some |
//! | `%` without two hex digits | kept, dropped or refused |
//! | what is not UTF-8 | read as Latin-1, or replaced |
//! | control and invisible characters, NUL | end a string; are not what a reviewer sees |
//! | characters that become `/ \ . % ;` under NFKC or a "best fit" code page | so do some file systems and frameworks |
//!
//! What is left is decoded, and encoded again where it must be: upper-case hex, `+` as `%2B` (a space to some).
//! One slash at the end is no empty segment and stays. Case counts: a server that does not think so needs rules that
//! name both.

use std::borrow::Cow;

use gatewright_model::hidden::is_hidden;

use crate::{
    percent::{self, Malformed},
    refusal::Refusal,
};

/// The longest path, in bytes, before and after: what common servers accept as a whole request line.
pub const LONGEST: usize = 8 << 10;

/// The one form of `path`. It is its own canonical form.
///
/// # Errors
///
/// 400 `http.path`, where two programs could read it in two ways.
pub fn canonical(path: &str) -> Result<String, Refusal> {
    let Some(rest) = path.strip_prefix('/') else {
        return refuse("the path does not begin with a slash");
    };
    // Before anything is decoded: whoever sends more than that does not get it read.
    if path.len() > LONGEST {
        return refuse(TOO_LONG);
    }
    let mut out = String::with_capacity(path.len());
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        if is_a_plain_word(segment) {
            out.push('/');
            out.push_str(segment);
            continue;
        }
        let text = decoded(segment)?;
        if text.is_empty() && segments.peek().is_some() {
            return refuse("the path has an empty segment (`//`)");
        }
        check(&text)?;
        out.push('/');
        percent::encode(&text, stays, &mut out);
    }
    if out.len() > LONGEST { refuse(TOO_LONG) } else { Ok(out) }
}

/// The segments of a canonical path, encoded as they stand there. `/` has none; a slash at the end is an empty one.
pub fn segments(canonical: &str) -> impl Iterator<Item = &str> {
    canonical.strip_prefix('/').filter(|rest| !rest.is_empty()).into_iter().flat_map(|rest| rest.split('/'))
}

/// A segment as text.
///
/// # Errors
///
/// 400 `http.path`, where it is not percent-encoded UTF-8.
pub fn decoded(segment: &str) -> Result<Cow<'_, str>, Refusal> {
    percent::decode(segment).or_else(|malformed| match malformed {
        Malformed::Sequence => refuse("the path has a percent sign without two hex digits"),
        Malformed::NotUtf8 => refuse("the path is not UTF-8"),
    })
}

/// Most segments are: nothing of them is encoded, and nothing is to be refused.
fn is_a_plain_word(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !segment.is_empty() && segment.bytes().all(plain)
}

fn check(text: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.chars().all(|character| character == '.' || character.is_whitespace()) {
        return refuse("the path has a dot segment, or one that a server could take for it");
    }
    for character in text.chars() {
        match character {
            '/' | '\\' => return refuse("the path has an encoded slash, or a backslash"),
            ';' => return refuse("the path has a parameter (`;`)"),
            _ if is_hidden(character) => {
                return refuse("the path has a control character, or one that can not be seen");
            }
            _ if FOLDED.contains(&character) => {
                return refuse("the path has a character that some servers turn into a separator");
            }
            _ => {}
        }
    }
    if percent::looks_encoded(text) {
        return refuse("the path is percent-encoded twice");
    }
    Ok(())
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::bad("http.path", detail))
}

/// What need not be encoded in a segment (RFC 3986 section 3.3, `pchar`), but for `;` and `+`.
const fn stays(byte: u8) -> bool {
    percent::is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b',' | b'=' | b':' | b'@')
}

const TOO_LONG: &str = "the path is longer than 8 KiB";

/// Forms of `/ \ . % ;` for other widths, and what code pages map to them.
const FOLDED: [char; 30] = [
    '\u{37e}', '\u{66a}', '\u{2026}', '\u{2100}', '\u{2101}', '\u{2105}', '\u{2106}', '\u{fe14}',
    '\u{fe19}', '\u{fe30}', '\u{a5}', '\u{2024}', '\u{2025}', '\u{2044}', '\u{20a9}', '\u{2215}',
    '\u{2216}', '\u{29f5}', '\u{29f8}', '\u{fe52}', '\u{fe54}', '\u{fe68}', '\u{fe6a}', '\u{ff05}',
    '\u{ff0e}', '\u{ff0f}', '\u{ff1b}', '\u{ff3c}', '\u{ffe5}', '\u{ffe6}',
];

#[cfg(test)]
mod tests;
