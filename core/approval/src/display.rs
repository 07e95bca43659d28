//! What a reviewer sees must be all of what runs (threats A95).

use std::fmt::Write as _;

use gatewright_model::hidden::is_hidden;

/// The longest text that a person can be asked about, in bytes. A longer one is refused instead of cut:
/// what is not shown could be the point.
pub const DISPLAY_LIMIT: usize = 64 << 10;

/// `text` with every character made visible that would hide or rearrange others: controls (but for line
/// breaks and tabs), bidirectional marks, zero-width and other invisible characters, and spaces that end
/// a line. Each becomes `⟦U+XXXX⟧`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            shown.push('\n');
        }
        let solid = line.trim_end_matches(' ').len();
        for (offset, letter) in line.char_indices() {
            if hides(letter) || offset >= solid {
                let _ = write!(shown, "⟦U+{:04X}⟧", u32::from(letter));
            } else {
                shown.push(letter);
            }
        }
    }
    shown
}

fn hides(letter: char) -> bool {
    // Every space that is not the space looks the same and is not.
    let other_space = letter.is_whitespace() && !matches!(letter, ' ' | '\t');
    letter != '\t' && (is_hidden(letter) || other_space)
}
