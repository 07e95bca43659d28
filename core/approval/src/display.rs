//! What a reviewer sees must be all of what runs (threats A95).

use std::fmt::Write as _;

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
    match letter {
        '\t' => false,
        // Soft hyphen, combining grapheme joiner, Hangul and Mongolian fillers.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{180b}'..='\u{180f}' => true,
        // Every space that is not the space: they look the same and are not.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => true,
        // Zero width, marks, embeddings, isolates, separators, invisible operators.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Byte order mark, variation selectors, interlinear annotations, tags.
        '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        '\u{61c}' => true,
        other => other.is_control(),
    }
}
