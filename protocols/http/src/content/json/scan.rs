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

/// Bytes before the first that means something. In blocks, which compilers turn into vector code.
fn plain(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let plain =
        blocks.iter().take_while(|block| !block.iter().fold(false, |any, byte| any | special(*byte)));
    let skipped = plain.count() * BLOCK;
    let rest = bytes.get(skipped..).unwrap_or_default();
    skipped + rest.iter().position(|byte| special(*byte)).unwrap_or(rest.len())
}

const fn special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// Bytes that are tested at once. Most strings are short.
const BLOCK: usize = 16;
