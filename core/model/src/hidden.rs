//! Characters that a reader does not see, or that change how the text around them is shown.
//!
//! Whatever a person reads before deciding, or after the fact, must look like what it is: a statement
//! must not hide its end behind a right-to-left override, and a record must not move the cursor of the
//! terminal it is printed on (threats A95; Trojan Source, CVE-2021-42574). The approval text and the lines
//! of the log both need the same list and may not depend on each other, so it stands here.

/// Must this character be shown as an escape wherever a person reads it?
///
/// True for control characters (C0, DEL, C1), separators that end a line, bidirectional controls,
/// characters without width, fillers that look like a space, variation selectors and tag characters. It
/// is not about homoglyphs: a Cyrillic `а` is a letter, and is shown as one.
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{0000}'..='\u{001f}'
        | '\u{007f}'..='\u{009f}'
        | '\u{00ad}' // soft hyphen
        | '\u{034f}' // combining grapheme joiner
        | '\u{061c}' // Arabic letter mark
        | '\u{115f}' | '\u{1160}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}' // Khmer inherent vowels
        | '\u{180b}'..='\u{180f}' // Mongolian selectors and separator
        | '\u{200b}'..='\u{200f}' // zero width, directional marks
        | '\u{2028}'..='\u{202e}' // line and paragraph separator, embeddings, overrides
        | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, isolates, deprecated controls
        | '\u{2800}' // braille blank
        | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{e000}'..='\u{f8ff}' // private use: every font shows something else
        | '\u{fe00}'..='\u{fe0f}' // variation selectors
        | '\u{feff}' // byte order mark
        | '\u{fff0}'..='\u{fffb}' // unassigned specials, interlinear annotation
        | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}' // no characters
        | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' // signs over what follows
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{13455}' // the same, and joiners of hieroglyphs
        | '\u{16fe4}' | '\u{1d159}' // fillers
        | '\u{1bca0}'..='\u{1bca3}' // shorthand format controls
        | '\u{1d173}'..='\u{1d17a}' // musical format controls
        | '\u{e0000}'..='\u{10ffff}' // tags, further selectors, private use
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_signs_and_spaces_are_seen() {
        assert!(
            "select 'naïve', 'привет', '漢字', '🙂' ~ +-*/ \u{3000}".chars().all(|seen| !is_hidden(seen))
        );
    }

    #[test]
    fn what_hides_or_rearranges_is_hidden() {
        for character in
            ['\0', '\n', '\x1b', '\x7f', '\u{9b}', '\u{ad}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{feff}']
        {
            assert!(is_hidden(character), "{character:?}");
        }
        for character in ['\u{1d159}', '\u{16fe4}', '\u{13430}', '\u{fdd0}', '\u{ffff}', '\u{600}'] {
            assert!(is_hidden(character), "{character:?}");
        }
        assert!(is_hidden('\u{e0041}') && is_hidden('\u{fe0f}') && is_hidden('\u{3164}'));
    }
}
