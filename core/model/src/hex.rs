//! Bytes as hex digits, in one piece: identifiers and digests are in every record.

/// Writes `bytes` into `text`, which has room for two lower-case digits for each of them.
pub fn encode<'t>(bytes: &[u8], text: &'t mut [u8]) -> &'t str {
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0x0f)];
    }
    std::str::from_utf8(text).unwrap_or_default()
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
