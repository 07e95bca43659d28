//! Percent-encoding (RFC 3986 section 2.1), read strictly and written in one way.

use std::borrow::Cow;

/// Why a text can not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A `%` without two hex digits: some programs keep it, some drop it, some refuse it.
    Sequence,
    /// The bytes are not UTF-8: some programs read them as Latin-1, some replace them.
    NotUtf8,
}

/// The text that was encoded.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let (high, low) = (bytes.next().and_then(digit), bytes.next().and_then(digit));
            let (Some(high), Some(low)) = (high, low) else { return Err(Malformed::Sequence) };
            high << 4 | low
        } else {
            byte
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Malformed::NotUtf8)
}

/// The bytes that were encoded; what can not be decoded stays as it is.
pub(crate) fn decode_what_can_be(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let pair = after.first_chunk().and_then(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        let (byte, after) = match (byte, pair) {
            (b'%', Some(byte)) => (byte, after.get(2..).unwrap_or_default()),
            _ => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(decoded)
}

/// Appends `text`, with every byte encoded in upper-case hex that `stays` does not let be.
pub(crate) fn encode(text: &str, stays: fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex(byte >> 4));
            out.push(hex(byte & 0x0f));
        }
    }
}

/// Would it be decoded once more by a program that decodes too often?
pub(crate) fn looks_encoded(text: &str) -> bool {
    text.as_bytes().windows(3).any(
        |three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
    )
}

/// Characters that mean the same encoded or not, everywhere (RFC 3986 section 2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const fn hex(nibble: u8) -> char {
    (if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }) as char
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut out = String::new();
        encode("a b/ü%", is_unreserved, &mut out);
        assert_eq!(out, "a%20b%2F%C3%BC%25");
        assert_eq!(decode(&out).unwrap(), "a b/ü%");
    }

    #[test]
    fn what_can_not_be_decoded_stays() {
        assert_eq!(&*decode_what_can_be(b"%40%4%zz%ff%"), b"@%4%zz\xff%");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in ["%", "%4", "%zz", "%u0041", "a%2", "% 41", "%+1"] {
            assert_eq!(decode(text), Err(Malformed::Sequence), "{text}");
        }
        for text in ["%ff", "%c0%af", "%ed%a0%80", "%f8%80%80%80%af"] {
            assert_eq!(decode(text), Err(Malformed::NotUtf8), "{text}");
        }
    }
}
