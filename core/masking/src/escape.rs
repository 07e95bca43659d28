//! What a terminal does not show: escape sequences (ECMA-48, and what xterm adds to it).
//!
//! Read as terminals read them: a sequence begins with ESC, or with the same control of eight bits in UTF-8 (`C2 9B` is
//! `ESC [`), and goes on until its final byte, or, of a string (a title, a link), until its terminator. What is no sequence
//! that a terminal would take is text.

/// A piece of a stream, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'p> {
    /// Text: what is shown, and what moves the cursor by itself, like the end of a line.
    Text(&'p [u8]),
    /// A sequence is complete. It is [`Escapes::sequence`].
    Sequence(Reading),
    /// It was none: what is in [`Escapes::sequence`] is text.
    Broken,
}

/// What a sequence is in the text that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing: what stands on both sides is shown side by side.
    Nothing,
    /// A column is passed over.
    Blank,
    /// What follows is shown elsewhere.
    Moves,
}

/// Reads a stream that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct Escapes {
    state: State,
    /// The sequence that is being read, or that was just read.
    sequence: Vec<u8>,
    /// Where in it the last one begins: one that is given up for another is a part of that.
    begin: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// Behind the first byte of a control of eight bits, or of a character.
    Lead,
    Escape,
    /// Behind `ESC` and intermediate bytes.
    Designate,
    Control,
    /// Until ST; where `bell`, until BEL too.
    String {
        bell: bool,
    },
    StringEscape {
        bell: bool,
    },
    StringLead {
        bell: bool,
    },
}

enum Step {
    Go(State),
    End(Reading),
    /// It has ended before this byte.
    EndBefore,
    /// It was none, up to this byte.
    Break,
}

impl Escapes {
    /// The next piece of `rest`, which is taken from it. None: there is no more, and a sequence may be incomplete.
    pub(crate) fn next<'p>(&mut self, rest: &mut &'p [u8]) -> Option<Piece<'p>> {
        if self.state == State::Text {
            self.sequence.clear();
            let plain = rest.get(..plain_length(rest)).filter(|plain| !plain.is_empty());
            if let Some(plain) = plain {
                *rest = rest.get(plain.len()..).unwrap_or_default();
                return Some(Piece::Text(plain));
            }
        }
        while let Some((&byte, after)) = rest.split_first() {
            let step = self.step(byte);
            if matches!(step, Step::Go(_) | Step::End(_)) {
                self.sequence.push(byte);
                *rest = after;
            }
            let piece = match step {
                Step::Go(state) if self.sequence.len() < MAX_SEQUENCE => {
                    self.state = state;
                    continue;
                }
                Step::Go(_) | Step::Break => Piece::Broken,
                Step::End(reading) => Piece::Sequence(reading),
                Step::EndBefore => Piece::Sequence(Reading::Nothing),
            };
            self.state = State::Text;
            return Some(piece);
        }
        None
    }

    /// The sequence that was just read, or what there is of one that is not complete.
    pub(crate) fn sequence(&self) -> &[u8] {
        &self.sequence
    }

    /// Is a sequence not complete?
    pub(crate) fn is_inside(&self) -> bool {
        self.state != State::Text
    }

    fn step(&mut self, byte: u8) -> Step {
        match self.state {
            State::Text => {
                self.begin = 0;
                match byte {
                    ESC => Step::Go(State::Escape),
                    LEAD => Step::Go(State::Lead),
                    _ => Step::End(Reading::Nothing),
                }
            }
            State::Lead => match byte {
                0x80..=0x9f => introduced(byte - 0x40),
                _ => Step::Break,
            },
            State::Escape => match byte {
                0x20..=0x2f => Step::Go(State::Designate),
                0x30..=0x7e => introduced(byte),
                _ => Step::EndBefore,
            },
            State::Designate => match byte {
                0x20..=0x2f => Step::Go(State::Designate),
                // `ESC # 8` fills the screen, and the others change the width of a line.
                0x30..=0x7e if self.sequence.get(self.begin + 1) == Some(&b'#') => {
                    Step::End(Reading::Moves)
                }
                0x30..=0x7e => Step::End(Reading::Nothing),
                _ => Step::EndBefore,
            },
            State::Control => match byte {
                0x40..=0x7e => {
                    let parameters = self.sequence.get(self.begin + 2..).unwrap_or_default();
                    Step::End(control(parameters, byte))
                }
                0x20..=0x3f => Step::Go(State::Control),
                ESC | CANCEL | SUBSTITUTE => Step::EndBefore,
                byte if is_hidden(byte) => Step::Go(State::Control),
                _ => Step::Break,
            },
            State::String { bell } => in_string(bell, byte),
            State::StringEscape { .. } if byte == b'\\' => Step::End(Reading::Nothing),
            State::StringEscape { .. } => {
                // The string is given up for whatever begins here.
                self.begin = self.sequence.len() - 1;
                self.state = State::Escape;
                self.step(byte)
            }
            State::StringLead { .. } if byte == 0x9c => Step::End(Reading::Nothing),
            State::StringLead { bell } => in_string(bell, byte),
        }
    }
}

/// Behind `ESC`, or as a control of eight bits.
const fn introduced(byte: u8) -> Step {
    match byte {
        b'[' => Step::Go(State::Control),
        b']' => Step::Go(State::String { bell: true }),
        b'P' | b'X' | b'^' | b'_' => Step::Go(State::String { bell: false }),
        // Index, next line, reverse index, reset, restore the cursor, back and forward index.
        b'D' | b'E' | b'M' | b'c' | b'6' | b'8' | b'9' => Step::End(Reading::Moves),
        _ => Step::End(Reading::Nothing),
    }
}

const fn in_string(bell: bool, byte: u8) -> Step {
    match byte {
        BELL if bell => Step::End(Reading::Nothing),
        ESC => Step::Go(State::StringEscape { bell }),
        LEAD => Step::Go(State::StringLead { bell }),
        CANCEL | SUBSTITUTE => Step::EndBefore,
        _ => Step::Go(State::String { bell }),
    }
}

/// What a control sequence does to the place of what follows.
fn control(parameters: &[u8], last: u8) -> Reading {
    // Private ones set modes, and with intermediate bytes there is none that moves the cursor.
    if parameters.iter().any(|byte| matches!(byte, 0x20..=0x2f | 0x3c..=0x3f)) {
        return Reading::Nothing;
    }
    match last {
        b'C' | b'a' if matches!(parameters, b"" | b"0" | b"1") => Reading::Blank,
        // Up, down, right, left, to a line, to a column, to a place, tabs, lines in and out, scroll, repeat, margins, restore.
        b'A'..=b'I'
        | b'L'
        | b'M'
        | b'S'
        | b'T'
        | b'Z'
        | b'`'
        | b'a'
        | b'b'
        | b'd'
        | b'e'
        | b'f'
        | b'j'
        | b'k'
        | b'r'
        | b'u' => Reading::Moves,
        // Colours, erasing, modes, reports.
        _ => Reading::Nothing,
    }
}

/// How many bytes at the beginning begin no sequence, and are none.
fn plain_length(text: &[u8]) -> usize {
    let mut length = 0;
    // In blocks, which compilers turn into vector code.
    for block in text.chunks(BLOCK) {
        if block.iter().fold(false, |any, byte| any | is_special(*byte))
            && let Some(at) = block.iter().position(|byte| is_special(*byte))
        {
            return length + at;
        }
        length += block.len();
    }
    length
}

const fn is_special(byte: u8) -> bool {
    byte == ESC || byte == LEAD || is_hidden(byte)
}

/// Controls that neither show anything nor move the cursor: all but BS, HT, LF, VT, FF, CR, and SUB, for which some show
/// something; and DEL.
const fn is_hidden(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, 0x08..=0x0d | SUBSTITUTE | ESC)) || byte == 0x7f
}

const ESC: u8 = 0x1b;
const BELL: u8 = 0x07;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;

/// The first byte of U+0080 to U+00BF in UTF-8.
const LEAD: u8 = 0xc2;

/// Bytes of a sequence. Longer ones are pictures, or never end: they are text.
pub(crate) const MAX_SEQUENCE: usize = 4_096;

/// Bytes that are tested at once.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Each piece in brackets: text, `-` nothing, `_` a blank, `>` moves, `!` broken.
    fn read(pieces: &[&[u8]]) -> String {
        let (mut escapes, mut out) = (Escapes::default(), String::new());
        for mut rest in pieces.iter().copied() {
            while let Some(piece) = escapes.next(&mut rest) {
                let (kind, bytes) = match piece {
                    Piece::Text(text) => ('"', text),
                    Piece::Sequence(Reading::Nothing) => ('-', escapes.sequence()),
                    Piece::Sequence(Reading::Blank) => ('_', escapes.sequence()),
                    Piece::Sequence(Reading::Moves) => ('>', escapes.sequence()),
                    Piece::Broken => ('!', escapes.sequence()),
                };
                out.push_str(&format!("[{kind}{}]", bytes.escape_ascii()));
            }
        }
        if escapes.is_inside() {
            out.push_str(&format!("[?{}]", escapes.sequence().escape_ascii()));
        }
        out
    }

    fn check(texts: &[&str], expected: Expect) {
        let lines: String = texts
            .iter()
            .map(|text| {
                let whole = read(&[text.as_bytes()]);
                let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                // Cut anywhere, the sequences are the same; text may come in more pieces.
                let sequences = |read: &str| {
                    read.split('[').filter(|piece| !piece.starts_with('"')).collect::<String>()
                };
                assert_eq!(sequences(&read(&bytes)), sequences(&whole), "{text:?}");
                whole + "\n"
            })
            .collect();
        expected.assert_eq(&lines);
    }

    #[test]
    fn sequences_are_told_from_text() {
        check(
            &[
                "a\x1b[31mb\x1b[0mc",
                "a\x1b[Kb\x1b[?25lc\x1b[?1049hd",
                "a\x1b[Cb\x1b[1Cc\x1b[2Cd\x1b[5;1He\x1b[2 qf",
                "a\x1b(Bb\x1b#8c\x1b=d\x1b8e\x1bMf",
                "\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bPq#0\x1b\\c",
                "a\0b\x07c\x0ed\x0fe\x7ff",
                "a\u{9b}31mb\u{9d}0;t\u{9c}c\u{85}d\u{a0}e",
                "tab\tline\r\nback\x08",
            ],
            expect![[r#"
                ["a][-\x1b[31m]["b][-\x1b[0m]["c]
                ["a][-\x1b[K]["b][-\x1b[?25l]["c][-\x1b[?1049h]["d]
                ["a][_\x1b[C]["b][_\x1b[1C]["c][>\x1b[2C]["d][>\x1b[5;1H]["e][-\x1b[2 q]["f]
                ["a][-\x1b(B]["b][>\x1b#8]["c][-\x1b=]["d][>\x1b8]["e][>\x1bM]["f]
                [-\x1b]0;title\x07]["a][-\x1b]8;;http://x\x1b\\]["b][-\x1bPq#0\x1b\\]["c]
                ["a][-\x00]["b][-\x07]["c][-\x0e]["d][-\x0f]["e][-\x7f]["f]
                ["a][-\xc2\x9b31m]["b][-\xc2\x9d0;t\xc2\x9c]["c][>\xc2\x85]["d][!\xc2]["\xa0e]
                ["tab\tline\r\nback\x08]
            "#]],
        );
    }

    #[test]
    fn what_is_given_up_is_a_part_of_what_follows_or_text() {
        check(
            &[
                "\x1b\x1b[31ma",
                "\x1b[3\x1b[1ma",
                "\x1b[3\na",
                "\x1b[3\x18a",
                "\x1b[3\x071ma",
                "\x1b]0;t\x1b[5Ha",
                "\x1b]0;t\x1aa",
                "\x1b\na",
                "\x1b(\na",
                "\u{e9}\u{9b}",
            ],
            expect![[r#"
                [-\x1b][-\x1b[31m]["a]
                [-\x1b[3][-\x1b[1m]["a]
                [!\x1b[3]["\na]
                [-\x1b[3][-\x18]["a]
                [-\x1b[3\x071m]["a]
                [>\x1b]0;t\x1b[5H]["a]
                [-\x1b]0;t]["\x1aa]
                [-\x1b]["\na]
                [-\x1b(]["\na]
                ["\xc3\xa9][?\xc2\x9b]
            "#]],
        );
    }

    #[test]
    fn what_is_not_complete_waits_and_what_never_ends_is_text() {
        check(
            &["a\x1b", "a\x1b[3", "a\x1b]0;t", "a\x1b]0;t\x1b", "a\x1b(", "\x1b]\u{e9}"],
            expect![[r#"
            ["a][?\x1b]
            ["a][?\x1b[3]
            ["a][?\x1b]0;t]
            ["a][?\x1b]0;t\x1b]
            ["a][?\x1b(]
            [?\x1b]\xc3\xa9]
        "#]],
        );
        let endless = format!("\x1b]{}", "x".repeat(2 * MAX_SEQUENCE));
        assert!(read(&[endless.as_bytes()]).starts_with("[!\\x1b]xxx"));
    }
}
