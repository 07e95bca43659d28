//! One method, applied to one value.

use gatewright_model::mask::MaskMethod;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::MaskKey;

/// A method with what it needs to be applied.
#[derive(Clone)]
pub struct Masker {
    method: MaskMethod,
    /// The keyed hash, ready for data. Built once: the key's part of the work is half of a short value's.
    hmac: Hmac<Sha256>,
}

impl Masker {
    /// Makes ready to apply `method`. The key is used by [`MaskMethod::Hash`] only.
    pub fn new(method: MaskMethod, key: &MaskKey) -> Self {
        let mut hmac = key.hmac();
        hmac.update(HASH_DOMAIN);
        Self { method, hmac }
    }

    /// Hides each character by a `*`.
    pub(crate) fn covering(&self) -> Self {
        Self { method: MaskMethod::Partial { keep: 0 }, hmac: self.hmac.clone() }
    }

    /// The method.
    pub const fn method(&self) -> MaskMethod {
        self.method
    }

    /// Appends what stands for `value` to `out`.
    ///
    /// - Redact: [`REDACTED`], whatever the value was. Its length is hidden too.
    /// - Hash: [`HASH_DIGITS`] lower-case hex digits. Equal bytes give equal digits; the same card number
    ///   written with and without hyphens does not.
    /// - Partial: each character becomes one `*`, separators too, but for the last `keep` characters. The
    ///   number of characters stays visible. Bytes that are not UTF-8 count and are hidden, also among the
    ///   last ones, so that the output is UTF-8 always.
    pub fn apply(&self, value: &[u8], out: &mut Vec<u8>) {
        match self.method {
            MaskMethod::Redact => out.extend_from_slice(REDACTED.as_bytes()),
            MaskMethod::Hash => self.hash(value, out),
            MaskMethod::Partial { keep } => partial(value, usize::from(keep), out),
        }
    }

    fn hash(&self, value: &[u8], out: &mut Vec<u8>) {
        let mut hmac = self.hmac.clone();
        hmac.update(value);
        let digest = hmac.finalize().into_bytes();
        for byte in digest.iter().take(HASH_DIGITS / 2) {
            out.extend([byte >> 4, byte & 0x0f].map(hex_digit));
        }
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").field("method", &self.method).finish_non_exhaustive()
    }
}

fn partial(value: &[u8], keep: usize, out: &mut Vec<u8>) {
    let count: usize = value
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty()))
        .sum();
    let mut hidden = hidden_characters(count, keep);
    for chunk in value.utf8_chunks() {
        for char in chunk.valid().chars() {
            if hidden > 0 {
                hidden -= 1;
                out.push(b'*');
            } else {
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if !chunk.invalid().is_empty() {
            hidden = hidden.saturating_sub(1);
            out.push(b'*');
        }
    }
}

/// How many characters of a value are hidden where so many may stay. A value that is not longer than that is hidden
/// whole: else short values would not be hidden.
pub(crate) const fn hidden_characters(count: usize, keep: usize) -> usize {
    if count <= keep { count } else { count - keep }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// What stands for a redacted value. No character of it has a meaning in CSV, in an array or in a JSON string.
pub const REDACTED: &str = "[redacted]";

/// Hex digits of a keyed hash: 128 of HMAC-SHA-256's 256 bits. Two of a billion different values collide
/// with a chance below 2^-68.
pub const HASH_DIGITS: usize = 32;

/// Sets these hashes apart from every other use of the same key. Part of what equal values depend on: a
/// change makes all hashes different.
const HASH_DOMAIN: &[u8] = b"gatewright mask hash v1\0";

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn apply(method: MaskMethod, value: &[u8]) -> String {
        let mut out = Vec::new();
        Masker::new(method, &MaskKey::new([7; 32])).apply(value, &mut out);
        String::from_utf8(out).expect("masked values are UTF-8")
    }

    fn check(method: MaskMethod, values: &[&[u8]], expected: Expect) {
        let table: String = values
            .iter()
            .map(|value| format!("{} -> {}\n", value.escape_ascii(), apply(method, value)))
            .collect();
        expected.assert_eq(&table);
    }

    #[test]
    fn redact_shows_not_even_the_length() {
        check(
            MaskMethod::Redact,
            &[b"", b"x", b"4111111111111111"],
            expect![[r#"
                 -> [redacted]
                x -> [redacted]
                4111111111111111 -> [redacted]
            "#]],
        );
    }

    #[test]
    fn partial_keeps_characters_not_bytes() {
        check(
            MaskMethod::Partial { keep: 4 },
            &[
                b"4111-1111-1111-1111",
                b"12345",
                b"1234",
                b"12",
                b"",
                "Zoë Ångström".as_bytes(),
                "日本語テキスト".as_bytes(),
                b"ab\xff\xfecdef",
                b"abcdef\xff",
            ],
            expect![[r#"
                4111-1111-1111-1111 -> ***************1111
                12345 -> *2345
                1234 -> ****
                12 -> **
                 -> 
                Zo\xc3\xab \xc3\x85ngstr\xc3\xb6m -> ********tröm
                \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x83\x86\xe3\x82\xad\xe3\x82\xb9\xe3\x83\x88 -> ***テキスト
                ab\xff\xfecdef -> ****cdef
                abcdef\xff -> ***def*
            "#]],
        );
    }

    #[test]
    fn partial_that_keeps_nothing_hides_all() {
        assert_eq!(apply(MaskMethod::Partial { keep: 0 }, b"abc"), "***");
        assert_eq!(apply(MaskMethod::Partial { keep: 255 }, b"abc"), "***");
    }

    #[test]
    fn hash_depends_on_value_and_key_only() {
        let one = apply(MaskMethod::Hash, b"alice");
        assert_eq!(one.len(), HASH_DIGITS);
        assert_eq!(one, apply(MaskMethod::Hash, b"alice"));
        assert_ne!(one, apply(MaskMethod::Hash, b"alicf"));
        let mut other = Vec::new();
        Masker::new(MaskMethod::Hash, &MaskKey::new([8; 32])).apply(b"alice", &mut other);
        assert_ne!(one.as_bytes(), other);
    }

    #[test]
    fn hashes_do_not_change_between_releases() {
        // Joins on hashed columns and hashes in old records depend on this value.
        expect!["b3c6b42de7214dba83ff86a6f5813c47"].assert_eq(&apply(MaskMethod::Hash, b"123-45-6789"));
    }

    #[test]
    fn debug_shows_no_key() {
        let masker = Masker::new(MaskMethod::Hash, &MaskKey::new([7; 32]));
        assert_eq!(format!("{masker:?}"), "Masker { method: Hash, .. }");
    }
}
