//! Kinds of SQL statements, in settings.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Pattern;

/// A kind of SQL statement, or the beginning of several with a `*` at its end: `drop_table`, `drop_*`, `*`. One that fits no kind is
/// refused: a rule that misspells what it means would never fire.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct StatementPattern(Pattern);

impl StatementPattern {
    /// Does the kind fit?
    pub fn matches(&self, kind: &str) -> bool {
        self.0.matches(kind)
    }
}

/// The kinds that the gateway of this SDK gives.
fn kinds() -> impl Iterator<Item = &'static str> {
    include_str!("../../../wit/statement-kinds.txt").lines()
}

impl TryFrom<String> for StatementPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern = Pattern::try_from(text)?;
        if kinds().any(|kind| pattern.matches(kind)) {
            return Ok(Self(pattern));
        }
        let word = pattern.text().trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("_");
        Err(if kinds().any(|kind| kind == word) {
            format!("`{}` is not a kind of statement: write `{word}`", pattern.text())
        } else {
            format!("`{}` is not a kind of statement: `gatewright policy kinds` lists them", pattern.text())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<StatementPattern, String> {
        StatementPattern::try_from(text.to_owned())
    }

    #[test]
    fn kinds_and_their_beginnings_are_patterns() {
        assert!(pattern("drop_table").unwrap().matches("drop_table"));
        assert!(pattern("drop_*").unwrap().matches("drop_view"));
        assert!(pattern("*").unwrap().matches("unknown"));
    }

    #[test]
    fn what_fits_no_kind_is_refused_with_what_to_write() {
        assert_eq!(
            pattern("DROP  Table").unwrap_err(),
            "`DROP  Table` is not a kind of statement: write `drop_table`"
        );
        for text in ["delet", "drop", "copy", "grant_*_all", "", "drop_tabels*"] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }
}
