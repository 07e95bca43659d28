//! Settings: a struct of the policy, filled from the `[settings]` of a document.

mod answer;
mod http;
mod statement;

use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

#[cfg(not(target_family = "wasm"))]
pub(crate) use self::http::is_segment;
pub use self::{
    answer::{Answer, AnswerFields, Decision, Quorum, RuleName, Sentence, Ttl},
    http::{HostPattern, PathPattern},
    statement::StatementPattern,
};

/// What a policy's settings must be able to do. Derive both, and refuse unknown fields: a misspelt
/// setting is then an error at load and not a rule that never fires.
///
/// ```
/// # use {serde::Deserialize, schemars::JsonSchema};
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Settings {
///     /// Statements that must say which rows they mean.
///     require_where: Vec<String>,
/// }
/// # impl Default for Settings { fn default() -> Self { Self { require_where: Vec::new() } } }
/// ```
///
/// Bounds that the types can not say belong into `#[serde(try_from = "...")]`.
pub trait Settings: DeserializeOwned + JsonSchema + Send + Sync {}

impl<S: DeserializeOwned + JsonSchema + Send + Sync> Settings for S {}

/// Refuses lists that are there and empty, by their names and lengths: one that came out empty by mistake must not mean
/// everything, and one that is meant so fits nothing.
///
/// # Errors
///
/// Which list it is.
pub fn refuse_empty<const N: usize>(lists: [(&str, Option<usize>); N]) -> Result<(), String> {
    match lists.into_iter().find(|(_, length)| *length == Some(0)) {
        Some((name, _)) => Err(format!("an empty `{name}` fits nothing: leave it out for any")),
        None => Ok(()),
    }
}

/// Reads settings from JSON, as the gateway hands them over.
///
/// # Errors
///
/// Which setting is wrong and what may stand there.
pub fn read<S: Settings>(json: &str) -> Result<S, String> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        // The place is one in a JSON text that the operator, who writes TOML, never sees.
        match message.rfind(" at line ") {
            Some(place) => message[..place].to_owned(),
            None => message,
        }
    })
}

/// The JSON schema of the settings.
pub fn schema<S: Settings>() -> String {
    schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<S>()
        .to_value()
        .to_string()
}

/// A word, or the beginning of words with a `*` at its end: `drop_table`, `drop_*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Pattern {
    beginning: String,
    open: bool,
}

impl Pattern {
    /// Is it this word, and no other?
    pub fn is(&self, word: &str) -> bool {
        !self.open && self.beginning == word
    }

    /// What stands before the `*`, or all of it where there is none.
    pub fn text(&self) -> &str {
        &self.beginning
    }

    /// Does the word fit?
    pub fn matches(&self, word: &str) -> bool {
        if self.open { word.starts_with(&self.beginning) } else { word == self.beginning }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (beginning, open) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (&*text, false),
        };
        if text.is_empty() || beginning.contains('*') {
            return Err(format!("`{text}` is not a pattern: write a word, with `*` at its end at most"));
        }
        Ok(Self { beginning: beginning.to_owned(), open })
    }
}

/// A relation by its full name: `public.people`. The schema must be said, so that a rule means one relation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct RelationName {
    /// The schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl TryFrom<String> for RelationName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, name)) if !schema.is_empty() && !name.is_empty() && !name.contains('.') => {
                Ok(Self { schema: schema.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("`{text}` is not the full name of a relation: write `schema.name`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_words_and_beginnings() {
        let pattern = |text: &str| Pattern::try_from(text.to_owned());
        assert!(pattern("drop_*").unwrap().matches("drop_table"));
        assert!(!pattern("drop").unwrap().matches("drop_table"));
        assert!(pattern("*").unwrap().matches("anything"));
        assert!(pattern("a*b").is_err() && pattern("").is_err());
    }

    #[test]
    fn a_relation_needs_its_schema() {
        let name = |text: &str| RelationName::try_from(text.to_owned());
        assert_eq!(name("hr.staff").unwrap().name, "staff");
        assert!(name("staff").is_err() && name("a.b.c").is_err() && name(".b").is_err());
    }

    #[test]
    fn an_error_says_what_may_stand_there() {
        let error = read::<Vec<crate::Effect>>(r#"["reed"]"#).unwrap_err();
        assert!(error.starts_with("unknown variant `reed`, expected one of `read`"), "{error}");
        assert!(!error.contains("line"), "{error}");
    }
}
