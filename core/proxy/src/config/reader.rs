//! Reads values out of parsed TOML, as the table of settings describes them.
//!
//! Every reading function notes what is wrong and goes on, so that one run finds every error. `None` from
//! any of them means "not there, or already reported".

use std::{
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gatewright_model::secret::Secret;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Machine,
    duration::parse_duration,
    nearest::nearest,
    problem::Problems,
    schema::{Kind, Need, SECRET, Setting},
    secret,
};

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of the file, while it is read.
pub(super) struct Reader<'a> {
    /// None: the table is not there, and every setting has its default.
    table: Option<&'a DeTable<'a>>,
    /// The table's header, for errors about what is not there.
    pub(super) span: Range<usize>,
    settings: &'static [Setting],
    /// What people call this table: `[admin]`, `[[target]]`.
    title: String,
}

/// Everything that reading needs beside the table.
pub(super) struct Context<'a> {
    pub(super) problems: Problems,
    /// Relative paths start here.
    pub(super) base: &'a Path,
    pub(super) machine: &'a Machine<'a>,
}

impl<'a> Reader<'a> {
    /// Starts on the whole file.
    pub(super) fn root(
        table: &'a DeTable<'a>,
        settings: &'static [Setting],
        context: &mut Context<'_>,
    ) -> Self {
        Self::enter(Some(table), 0..0, settings, String::new(), context)
    }

    fn enter(
        table: Option<&'a DeTable<'a>>,
        span: Range<usize>,
        settings: &'static [Setting],
        title: String,
        context: &mut Context<'_>,
    ) -> Self {
        let reader = Self { table, span, settings, title };
        reader.report_unknown(context);
        if table.is_some() {
            reader.report_missing(context);
        }
        reader
    }

    fn report_unknown(&self, context: &mut Context<'_>) {
        for (key, value) in self.table.into_iter().flatten() {
            if self.settings.iter().any(|setting| setting.key == key.get_ref()) {
                continue;
            }
            // A mistyped `pasword = "…"` must not show its value.
            context.problems.hide(value.span());
            let within = if self.title.is_empty() { String::new() } else { format!(" in {}", self.title) };
            let remedy = match nearest(key.get_ref(), self.settings.iter().map(|setting| setting.key)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => {
                    let known: Vec<_> = self.settings.iter().map(|setting| setting.key).collect();
                    format!("the settings here are: {}", known.join(", "))
                }
            };
            context.problems.error(
                key.span(),
                format!("unknown setting `{}`{within}", key.get_ref()),
                remedy,
            );
        }
    }

    fn report_missing(&self, context: &mut Context<'_>) {
        for setting in self.settings.iter().filter(|setting| matches!(setting.need, Need::Required)) {
            if self.find(setting.key).is_some() {
                continue;
            }
            let title = &self.title;
            let (message, remedy) = match setting.kind {
                Kind::Table(_) => (
                    format!("the section `[{}]` is missing", setting.key),
                    format!("add `[{}]`: {}", setting.key, decapitalise(setting.about)),
                ),
                Kind::Tables(_) => (
                    format!("there is no `[[{}]]`", setting.key),
                    format!("add at least one `[[{}]]`: {}", setting.key, decapitalise(setting.about)),
                ),
                _ => (
                    format!("{title} has no `{}`", setting.key),
                    format!("add `{} = …`: {}", setting.key, decapitalise(setting.about)),
                ),
            };
            let span = if title.is_empty() { None } else { Some(self.span.clone()) };
            context.problems.error(span, message, remedy);
        }
    }

    fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.iter().find(|(own, _)| own.get_ref() == key).map(|(_, value)| value)
    }

    /// The given value, or the default, or None.
    fn take<T>(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
        convert: impl FnOnce(&DeValue<'_>, &Range<usize>, &mut Context<'_>) -> Option<T>,
    ) -> Option<Located<T>> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        if let Some(value) = self.find(key) {
            let span = value.span();
            return convert(value.get_ref(), &span, context).map(|value| Located { value, span });
        }
        let Need::Default(text) = setting.need else { return None };
        let default = DeValue::parse(text).ok()?;
        let span = self.span.clone();
        convert(default.get_ref(), &span, context).map(|value| Located { value, span })
    }

    /// Is it in the file?
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The place of a key's value, or of the table where it is not there.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.find(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(super) fn text(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<Arc<str>>> {
        self.take(key, context, |value, span, context| {
            let text = expect_text(key, value, span, context)?;
            if text.is_empty() {
                context.problems.error(span.clone(), format!("`{key}` is empty"), "give it a value");
                return None;
            }
            Some(Arc::from(text))
        })
    }

    pub(super) fn name(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<Arc<str>>> {
        self.take(key, context, |value, span, context| {
            let text = expect_text(key, value, span, context)?;
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if text.is_empty() || text.len() > NAME_LENGTH || !text.bytes().all(good) {
                context.problems.error(
                    span.clone(),
                    format!("`{text}` is not a name"),
                    format!("use up to {NAME_LENGTH} letters, digits, `-`, `_` and `.`"),
                );
                return None;
            }
            Some(Arc::from(text))
        })
    }

    pub(super) fn texts(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
    ) -> Option<Located<Vec<Arc<str>>>> {
        self.take(key, context, |value, span, context| {
            let Some(array) = value.as_array() else {
                return wrong_type(key, "a list of texts, like `[\"a\", \"b\"]`", value, span, context);
            };
            let texts = array
                .iter()
                .map(|item| expect_text(key, item.get_ref(), &item.span(), context).map(Arc::from));
            // Collected in two steps, so that every wrong item is reported.
            let texts: Vec<Option<Arc<str>>> = texts.collect();
            texts.into_iter().collect()
        })
    }

    pub(super) fn choices(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
    ) -> Option<Located<Vec<&'static str>>> {
        let known = self.words(key);
        self.take(key, context, |value, span, context| {
            let Some(array) = value.as_array() else {
                return wrong_type(key, "a list of words", value, span, context);
            };
            if array.is_empty() {
                context.problems.error(
                    span.clone(),
                    format!("`{key}` is empty"),
                    format!("name at least one of: {}", known.join(", ")),
                );
                return None;
            }
            let words = array.iter().map(|item| {
                let word = expect_text(key, item.get_ref(), &item.span(), context)?;
                expect_word(key, word, known, &item.span(), context)
            });
            let words: Vec<Option<&'static str>> = words.collect();
            words.into_iter().collect()
        })
    }

    pub(super) fn choice(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
    ) -> Option<Located<&'static str>> {
        let known = self.words(key);
        self.take(key, context, |value, span, context| {
            let word = expect_text(key, value, span, context)?;
            expect_word(key, word, known, span, context)
        })
    }

    fn words(&self, key: &str) -> &'static [&'static str] {
        match self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.kind) {
            Some(Kind::Choice(words) | Kind::Choices(words)) => words,
            _ => &[],
        }
    }

    pub(super) fn path(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<PathBuf>> {
        let text = self.text(key, context)?;
        Some(Located { value: context.base.join(&*text.value), span: text.span })
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
    ) -> Option<Located<Duration>> {
        self.take(key, context, |value, span, context| {
            let Some(text) = value.as_str() else {
                return wrong_type(key, "a duration in quotes, like `\"30s\"`", value, span, context);
            };
            match parse_duration(text) {
                Ok(duration) => Some(duration),
                Err(error) => {
                    let message = format!("`{text}` is not a duration");
                    context.problems.error(span.clone(), message, error.to_string());
                    None
                }
            }
        })
    }

    pub(super) fn listen(
        &self,
        key: &'static str,
        context: &mut Context<'_>,
    ) -> Option<Located<SocketAddr>> {
        self.take(key, context, |value, span, context| {
            let text = expect_text(key, value, span, context)?;
            match text.parse() {
                Ok(address) => Some(address),
                Err(_) => {
                    context.problems.error(
                        span.clone(),
                        format!("`{text}` is not an address to listen on"),
                        "write an IP address and a port, like `127.0.0.1:6432` or `[::1]:6432`",
                    );
                    None
                }
            }
        })
    }

    /// An `https` URL without credentials, query or fragment.
    pub(super) fn url(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<Arc<str>>> {
        self.take(key, context, |value, span, context| {
            let text = expect_text(key, value, span, context)?;
            let uri = text.parse::<hyper::Uri>().ok();
            let good = uri.as_ref().is_some_and(|uri| {
                uri.scheme_str() == Some("https")
                    && uri.host().is_some_and(|host| !host.is_empty())
                    && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                    && uri.query().is_none()
                    && !text.contains('#')
            });
            if !good {
                // It may carry a password before the `@`.
                context.problems.hide(span.clone());
                context.problems.error(
                    span.clone(),
                    format!("`{key}` is not an https URL"),
                    "write it like `https://id.example`, with no user, query or fragment",
                );
                return None;
            }
            Some(Arc::from(text))
        })
    }

    pub(super) fn flag(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<bool>> {
        self.take(key, context, |value, span, context| match value.as_bool() {
            Some(flag) => Some(flag),
            None => wrong_type(key, "`true` or `false`, without quotes", value, span, context),
        })
    }

    pub(super) fn number(&self, key: &'static str, context: &mut Context<'_>) -> Option<Located<i64>> {
        let (low, high) = match self.settings.iter().find(|setting| setting.key == key)?.kind {
            Kind::Number(low, high) => (low, high),
            _ => return None,
        };
        self.take(key, context, |value, span, context| {
            let Some(integer) = value.as_integer() else {
                return wrong_type(key, "a whole number, without quotes", value, span, context);
            };
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
            let number = number.filter(|number| (low..=high).contains(number));
            if number.is_none() {
                context.problems.error(
                    span.clone(),
                    format!("`{key}` is out of range"),
                    format!("write a number from {low} to {high}"),
                );
            }
            number
        })
    }

    /// A secret, fetched from where the file says it is.
    pub(super) fn secret(&self, key: &'static str, context: &mut Context<'_>) -> Option<Secret> {
        let value = self.find(key)?;
        let Some(table) = value.get_ref().as_table() else {
            context.problems.hide(value.span());
            context.problems.error(
                value.span(),
                format!("`{key}` is written into the file, where every reader, backup and review would see it"),
                format!(
                    "write `{key} = {{ file = \"…\" }}` or `{key} = {{ env = \"…\" }}`, and change the secret"
                ),
            );
            return None;
        };
        let title = format!("`{key}`");
        secret::read(&Reader::enter(Some(table), value.span(), SECRET, title, context), context)
    }

    /// A table within this one. `Some` as well where it may be left out and is not there.
    pub(super) fn table(&self, key: &'static str, context: &mut Context<'_>) -> Option<Reader<'a>> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        let Kind::Table(inner) = setting.kind else { return None };
        let title = format!("`[{key}]`");
        let Some(value) = self.find(key) else {
            return match setting.need {
                Need::Required => None,
                _ => Some(Self::enter(None, self.span.clone(), inner, title, context)),
            };
        };
        match value.get_ref().as_table() {
            Some(table) => Some(Self::enter(Some(table), value.span(), inner, title, context)),
            None => {
                wrong_type(key, &format!("a table: `[{key}]`"), value.get_ref(), &value.span(), context)
            }
        }
    }

    /// Each table of a list of tables.
    pub(super) fn tables(&self, key: &'static str, context: &mut Context<'_>) -> Vec<Reader<'a>> {
        let kind = self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.kind);
        let (Some(Kind::Tables(inner)), Some(value)) = (kind, self.find(key)) else { return Vec::new() };
        let expected = format!("a list of tables: `[[{key}]]`");
        let Some(array) = value.get_ref().as_array() else {
            let _: Option<()> = wrong_type(key, &expected, value.get_ref(), &value.span(), context);
            return Vec::new();
        };
        let tables = array.iter().filter_map(|item| match item.get_ref().as_table() {
            Some(table) => {
                Some(Self::enter(Some(table), item.span(), inner, format!("`[[{key}]]`"), context))
            }
            None => wrong_type(key, &expected, item.get_ref(), &item.span(), context),
        });
        tables.collect()
    }
}

fn expect_text<'v>(
    key: &str,
    value: &'v DeValue<'_>,
    span: &Range<usize>,
    context: &mut Context<'_>,
) -> Option<&'v str> {
    match value.as_str() {
        Some(text) => Some(text),
        None => wrong_type(key, "text in quotes", value, span, context),
    }
}

fn expect_word(
    key: &str,
    word: &str,
    known: &'static [&'static str],
    span: &Range<usize>,
    context: &mut Context<'_>,
) -> Option<&'static str> {
    let found = known.iter().copied().find(|own| *own == word);
    if found.is_none() {
        let remedy = format!("it can be: {}", known.join(", "));
        context.problems.error(span.clone(), format!("`{word}` is not known as `{key}`"), remedy);
    }
    found
}

fn wrong_type<T>(
    key: &str,
    expected: &str,
    value: &DeValue<'_>,
    span: &Range<usize>,
    context: &mut Context<'_>,
) -> Option<T> {
    let message = format!("`{key}` is of the wrong type: {}", value.type_str());
    context.problems.error(span.clone(), message, format!("write {expected}"));
    None
}

fn decapitalise(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Names are labels of metrics and fields of records: short is kind to both.
const NAME_LENGTH: usize = 63;
