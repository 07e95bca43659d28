//! A TOML table that is read key by key, so that one reading finds everything that is wrong with it: keys
//! of the wrong type, keys that are missing, keys that nobody asked for.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::problem::LoadProblem;

/// Where problems go, and how a place in the text becomes a line.
pub(super) struct Source<'s> {
    pub(super) file: &'s Path,
    pub(super) text: &'s str,
    pub(super) problems: Vec<LoadProblem>,
}

impl Source<'_> {
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn report(&mut self, line: usize, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(LoadProblem::new(self.file, Some(line), message, remedy));
    }
}

/// A table of which each key is taken once.
pub(super) struct Fields<'t, 'i> {
    table: &'t DeTable<'i>,
    known: Vec<&'static str>,
    /// What the table is called in messages: `[match]`, or nothing for the document itself.
    place: &'static str,
    pub(super) line: usize,
}

/// A value with the line it stands on.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

impl<'t, 'i> Fields<'t, 'i> {
    pub(super) fn new(table: &'t DeTable<'i>, place: &'static str, line: usize) -> Self {
        Self { table, known: Vec::new(), place, line }
    }

    /// The value of a key, whatever it is.
    pub(super) fn any(&mut self, source: &Source, key: &'static str) -> Option<Found<&'t DeValue<'i>>> {
        self.know(key);
        let value: &Spanned<DeValue> = self.table.get(key)?;
        Some(Found { value: value.get_ref(), line: source.line(value.span().start) })
    }

    pub(super) fn text(&mut self, source: &mut Source, key: &'static str) -> Option<Found<String>> {
        let found = self.any(source, key)?;
        match found.value.as_str() {
            Some(text) => Some(Found { value: text.to_owned(), line: found.line }),
            None => self.wrong(source, key, found.line, "text in quotes"),
        }
    }

    /// Is it `true`? What is not there is not.
    pub(super) fn is_so(&mut self, source: &mut Source, key: &'static str) -> bool {
        let Some(found) = self.any(source, key) else { return false };
        match found.value {
            DeValue::Boolean(is_so) => *is_so,
            _ => self.wrong(source, key, found.line, "`true` or `false`").unwrap_or_default(),
        }
    }

    pub(super) fn required_text(
        &mut self,
        source: &mut Source,
        key: &'static str,
    ) -> Option<Found<String>> {
        if self.table.get(key).is_none() {
            self.know(key);
            let place = self.place;
            source.report(
                self.line,
                format!("{place}`{key}` is missing"),
                format!("add `{key} = \"...\"`"),
            );
            return None;
        }
        self.text(source, key)
    }

    pub(super) fn texts(&mut self, source: &mut Source, key: &'static str) -> Option<Found<Vec<String>>> {
        let found = self.lines_of_texts(source, key)?;
        Some(Found { value: found.value.into_iter().map(|text| text.value).collect(), line: found.line })
    }

    /// The value of a key that is a list of texts, each with its line.
    pub(super) fn lines_of_texts(
        &mut self,
        source: &mut Source,
        key: &'static str,
    ) -> Option<Found<Vec<Found<String>>>> {
        let found = self.any(source, key)?;
        let text = |item: &Spanned<DeValue>| {
            let value = item.get_ref().as_str()?.to_owned();
            Some(Found { value, line: source.line(item.span().start) })
        };
        let texts =
            found.value.as_array().and_then(|items| items.iter().map(text).collect::<Option<Vec<_>>>());
        match texts {
            Some(value) => Some(Found { value, line: found.line }),
            None => self.wrong(source, key, found.line, "a list of texts, like [\"a\", \"b\"]"),
        }
    }

    /// The value of a key that is a table of texts. A list of texts is that many pairs of the same name.
    pub(super) fn pairs(
        &mut self,
        source: &mut Source,
        key: &'static str,
    ) -> Option<Vec<(String, String)>> {
        let found = self.any(source, key)?;
        let Some(table) = found.value.as_table() else {
            return self.wrong(source, key, found.line, "a table of texts, like { name = \"value\" }");
        };
        let mut pairs = Vec::new();
        for (name, value) in table {
            let texts: Option<Vec<_>> = match value.get_ref() {
                DeValue::String(text) => Some(vec![&**text]),
                DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
                _ => None,
            };
            let Some(texts) = texts else {
                let line = source.line(value.span().start);
                return self.wrong(source, key, line, "texts in quotes as its values");
            };
            pairs.extend(texts.into_iter().map(|text| (name.get_ref().to_string(), text.to_owned())));
        }
        Some(pairs)
    }

    pub(super) fn table(
        &mut self,
        source: &mut Source,
        key: &'static str,
        place: &'static str,
    ) -> Option<Fields<'t, 'i>> {
        let found = self.any(source, key)?;
        match found.value.as_table() {
            Some(table) => Some(Fields::new(table, place, found.line)),
            None => self.wrong(source, key, found.line, "a table"),
        }
    }

    /// The value of a key that is one of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        source: &mut Source,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = self.text(source, key)?;
        one_of(source, key, found.line, &found.value, words)
    }

    /// The value of a key that is a list of words.
    pub(super) fn words<T: Copy>(
        &mut self,
        source: &mut Source,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<Vec<T>> {
        let found = self.texts(source, key)?;
        Some(found.value.iter().filter_map(|text| one_of(source, key, found.line, text, words)).collect())
    }

    /// Is the key there, whatever its value?
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn know(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, source: &mut Source) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let line = source.line(key.span().start);
                let known = self.known.join("`, `");
                let message = format!("{}`{name}` is not a known key", self.place);
                source.report(line, message, format!("use one of `{known}`"));
            }
        }
    }

    fn wrong<T>(&self, source: &mut Source, key: &str, line: usize, wanted: &str) -> Option<T> {
        source.report(line, format!("{}`{key}` has the wrong type", self.place), format!("write {wanted}"));
        None
    }
}

fn one_of<T: Copy>(
    source: &mut Source,
    key: &str,
    line: usize,
    text: &str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let known = words.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        source.report(
            line,
            format!("`{key}` can not be `{text}`"),
            format!("use one of `{}`", all.join("`, `")),
        );
    }
    known.map(|(_, value)| *value)
}
