//! The text as it may be recorded: no literal, no comment.
//!
//! Made from the tokens of PostgreSQL's own scanner. `pg_query::normalize` is not used: it leaves the
//! literals of many utility statements in place (passwords among them), and all comments.
//!
//! A slice of the text is copied only for a token that is no literal, and only if it has the shape of a
//! name or an operator. So a mistake in a token's bounds makes a text opaque instead of leaking.

use std::{fmt::Write as _, sync::Arc};

use pg_query::protobuf::{ScanToken, Token};
use sha2::{Digest, Sha256};

pub(crate) struct Normalised {
    pub(crate) text: Arc<str>,
    pub(crate) fingerprint: Arc<str>,
}

/// The text without literals and comments, and its fingerprint. None where the tokens do not fit the text.
pub(crate) fn normalise(text: &str, tokens: &[ScanToken]) -> Option<Normalised> {
    let pieces = pieces(text, tokens)?;
    // `$1` may be in the text already: literals are numbered after the highest.
    let mut number = pieces.iter().filter_map(Piece::parameter).max().unwrap_or(0);
    let mut normalised = String::with_capacity(text.len());
    for piece in &pieces {
        let follows_name = normalised.ends_with(|last: char| is_name(last)) && piece.starts_like_a_name();
        if !normalised.is_empty() && (piece.spaced || follows_name) {
            normalised.push(' ');
        }
        match piece.text {
            Some(verbatim) => normalised.push_str(verbatim),
            None => {
                number = number.saturating_add(1);
                // Writing to a string does not fail.
                let _ = write!(normalised, "${number}");
            }
        }
    }
    Some(Normalised {
        text: Arc::from(normalised),
        fingerprint: fingerprint(pieces.iter().map(|piece| piece.text)),
    })
}

/// A hash of the tokens, literals left out and unquoted names folded: 64 bits of SHA-256, so that nobody
/// can make another statement with the fingerprint of one that a policy knows.
pub(crate) fn fingerprint<'t>(tokens: impl Iterator<Item = Option<&'t str>>) -> Arc<str> {
    let mut hash = Sha256::new();
    for token in tokens {
        match token {
            None => hash.update(b"'"),
            Some(quoted) if quoted.contains('"') => hash.update(quoted),
            Some(folded) => hash.update(folded.to_ascii_lowercase()),
        }
        // No token holds a NUL.
        hash.update([0]);
    }
    let mut hex = String::with_capacity(16);
    for byte in hash.finalize().iter().take(8) {
        let _ = write!(hex, "{byte:02x}");
    }
    Arc::from(hex)
}

/// One token that stays.
struct Piece<'t> {
    /// None for a literal.
    text: Option<&'t str>,
    /// White space or a comment stood before it.
    spaced: bool,
}

impl Piece<'_> {
    fn parameter(&self) -> Option<u32> {
        self.text?.strip_prefix('$')?.parse().ok()
    }

    fn starts_like_a_name(&self) -> bool {
        self.text.is_none_or(|text| text.starts_with(is_name))
    }
}

fn pieces<'t>(text: &'t str, tokens: &[ScanToken]) -> Option<Vec<Piece<'t>>> {
    let mut pieces = Vec::with_capacity(tokens.len());
    let mut end_of_last = 0;
    for token in tokens {
        let start = usize::try_from(token.start).ok()?;
        let end = usize::try_from(token.end).ok()?;
        let spaced = start > end_of_last;
        match Token::try_from(token.token).ok()? {
            Token::SqlComment | Token::CComment => continue,
            Token::Sconst
            | Token::Usconst
            | Token::Bconst
            | Token::Xconst
            | Token::Fconst
            | Token::Iconst => {
                pieces.push(Piece { text: None, spaced });
            }
            _ => {
                let slice = text.get(start..end)?;
                if !may_be_recorded(slice) {
                    return None;
                }
                pieces.push(Piece { text: Some(slice), spaced });
            }
        }
        end_of_last = end;
    }
    Some(pieces)
}

/// Has it the shape of a name, a quoted name, or an operator?
fn may_be_recorded(slice: &str) -> bool {
    let is_quoted = || {
        let quoted = slice.strip_prefix("U&").or_else(|| slice.strip_prefix("u&")).unwrap_or(slice);
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.replace("\"\"", "").contains('"'))
    };
    !slice.is_empty() && (slice.chars().all(is_name) || slice.chars().all(is_operator) || is_quoted())
}

/// Characters of names, keywords and parameters.
fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

fn is_operator(character: char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '\'' | '"' | '_' | '$' | '\\')
}
