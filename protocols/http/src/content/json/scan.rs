//! Finds the end of a string, and proves on the way that it is one.

/// Where in a string a reader is, between two pieces.
#[derive(Debug, Default)]
pub(super) struct Scan(Inside);

#[derive(Debug, Default, Clone, Copy)]
enum Inside {
    #[default]
    Plain,
    /// Behind a backslash.
    Escape,
    /// In `\uXXXX`, with so many digits to come.
    Hex(u8),
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The string goes on.
    More,
    /// It is over.
    End,
    /// This is no string of JSON.
    Wrong,
}

impl Scan {
    /// Reads on. The opening quote was read; the closing one is among the bytes that are counted.
    pub(super) fn step(&mut self, bytes: &[u8]) -> (usize, Scanned) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            match self.0 {
                Inside::Plain => {
                    let plain = plain(bytes.get(at..).unwrap_or_default());
                    if plain > 0 {
                        at += plain;
                        continue;
                    }
                    match byte {
                        b'"' => return (at + 1, Scanned::End),
                        b'\\' => self.0 = Inside::Escape,
                        _ => return (at, Scanned::Wrong),
                    }
                }
                Inside::Escape => match byte {
                    b'u' => self.0 = Inside::Hex(4),
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.0 = Inside::Plain,
                    _ => return (at, Scanned::Wrong),
                },
                Inside::Hex(left) => {
                    if !byte.is_ascii_hexdigit() {
                        return (at, Scanned::Wrong);
                    }
                    self.0 = if left > 1 { Inside::Hex(left - 1) } else { Inside::Plain };
                }
            }
            at += 1;
        }
        (at, Scanned::More)
    }
}

/// Bytes before the first that means something: a quote, a backslash, a control character.
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let mut at = 0;
    for word in words {
        let found = special_bits(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += word.len();
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// Eight bytes at once, as most strings are too short for more: the lowest bit that is set is in the first special byte.
/// Higher bits may be wrong, because a borrow runs upwards.
const fn special_bits(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(ONES * bound as u64) & !word & HIGH
    }
    below(word, b' ') | below(word ^ (ONES * b'"' as u64), 1) | below(word ^ (ONES * b'\\' as u64), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is_and_whatever_is_around_it() {
        for around in 0..=255u8 {
            for byte in 0..=255u8 {
                let special = |byte| byte == b'"' || byte == b'\\' || byte < b' ';
                for at in [0, 3, 7, 8, 12, 16] {
                    let mut bytes = [around; 17];
                    bytes[at] = byte;
                    let expected = bytes.iter().position(|byte| special(*byte)).unwrap_or(17);
                    assert_eq!(plain(&bytes), expected, "{byte} among {around} at {at}");
                }
            }
        }
    }
}
