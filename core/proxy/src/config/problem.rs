//! What is wrong with a configuration, and how people and programs are told.

use std::{fmt, ops::Range, path::PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

use super::names::Names;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The gateway does not start with it.
    Error,
    /// The gateway starts; someone should know.
    Warning,
}

/// One problem, with its place and its remedy.
#[derive(Debug, Clone)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, never with a secret.
    pub message: String,
    /// Where, as bytes of the file. None: about the file as a whole.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub remedy: String,
}

/// Problems of one file, in the order of the file.
#[derive(Clone)]
pub struct Problems {
    file: PathBuf,
    /// The text as it may be shown: values that could be secrets are blanked, byte for byte, so that
    /// places stay right.
    shown: String,
    list: Vec<Problem>,
}

impl Problems {
    /// No problem yet with this file. `source` may be empty where it could not be read.
    pub(super) fn new(file: PathBuf, source: &str) -> Self {
        Self { file, shown: blank_suspicious_lines(source), list: Vec::new() }
    }

    /// Adds an error.
    pub(super) fn error(
        &mut self,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, span.into(), message.into(), remedy.into());
    }

    /// Adds a warning.
    pub(super) fn warning(
        &mut self,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Warning, span.into(), message.into(), remedy.into());
    }

    fn push(&mut self, severity: Severity, span: Option<Range<usize>>, message: String, remedy: String) {
        self.list.push(Problem { severity, message, span, remedy });
    }

    /// Never shows these bytes of the file: they may be a secret.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        blank(&mut self.shown, span);
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
    }

    /// The problems with their places in the file, for people.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let file = self.file.display().to_string();
        let mut text = String::new();
        for problem in &self.list {
            let level = match problem.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let title = level.primary_title(&problem.message);
            let group = match self.in_file(problem) {
                Some(span) => title.element(
                    Snippet::source(&self.shown).path(&file).annotation(AnnotationKind::Primary.span(span)),
                ),
                None => Group::with_title(title).element(Origin::path(&file)),
            };
            text.push_str(&renderer.render(&[group.element(Level::HELP.message(&problem.remedy))]));
            text.push_str("\n\n");
        }
        text
    }

    /// The problems, for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let list = self.list.iter().map(|problem| {
            let span = self.in_file(problem);
            let (line, column) = span.as_ref().map(|span| self.position(span.start)).unzip();
            json!({
                "severity": match problem.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "message": problem.message,
                "remedy": problem.remedy,
                "file": self.file.display().to_string(),
                "line": line,
                "column": column,
                "text": span.and_then(|span| self.shown.get(span)),
            })
        });
        list.collect()
    }

    fn in_file(&self, problem: &Problem) -> Option<Range<usize>> {
        problem.span.clone().filter(|span| self.shown.get(span.clone()).is_some())
    }

    /// Line and column of a byte, both from 1, columns in characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.shown.get(..byte).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// Why a configuration can not be used: every error that was found, not the first one only.
#[derive(Debug, Clone)]
pub struct ConfigErrors {
    pub(super) problems: Problems,
    /// Boxed, so that a result without errors stays small.
    pub(super) found: Box<Found>,
}

/// What of a configuration can be used to check other things, although the whole can not be used.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Folder of the gateway's own keys. May not exist yet.
    pub state: Option<PathBuf>,
    /// Folder of the policy documents, if it exists.
    pub policies: Option<PathBuf>,
    /// What policies can speak of, if all of it could be read.
    pub names: Option<Names>,
}

impl ConfigErrors {
    /// The errors, and the warnings that were found on the way.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What was good enough to go on with.
    pub fn found(&self) -> &Found {
        &self.found
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

/// Blanks what follows `=` on each line whose key sounds like a secret and whose value is not a table.
///
/// Values that were parsed are hidden by their place; this is for files that can not be parsed, where a
/// snippet around the syntax error could show a password.
fn blank_suspicious_lines(source: &str) -> String {
    let mut shown = source.to_owned();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        if let Some((key, value)) = line.split_once('=') {
            let key = key.to_ascii_lowercase();
            let suspicious =
                ["password", "passwd", "secret", "token"].iter().any(|word| key.contains(word));
            if suspicious && !value.trim_start().starts_with('{') {
                blank(&mut shown, start + key.len() + 1..start + line.len());
            }
        }
        start += line.len();
    }
    shown
}

/// Replaces every visible byte of the range by `*`.
fn blank(text: &mut String, range: Range<usize>) {
    let Some(part) = text.get(range.clone()) else { return };
    let stars: String = part
        .chars()
        .flat_map(|letter| {
            let shown = if letter.is_ascii_whitespace() { letter } else { '*' };
            std::iter::repeat_n(shown, letter.len_utf8())
        })
        .collect();
    text.replace_range(range, &stars);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let problems = Problems::new("x".into(), "a = 1\nbö = 2\n");
        assert_eq!(problems.position(0), (1, 1));
        assert_eq!(problems.position(6), (2, 1));
        assert_eq!(problems.position(9), (2, 3));
    }

    #[test]
    fn a099_a_password_in_a_broken_file_is_not_shown() {
        let mut problems = Problems::new("x".into(), "password = \"hunter2\nname = \"a\"\n");
        problems.error(11..19, "invalid basic string", "close it");
        let shown = problems.render(false);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("password = ********"), "{shown}");
        assert!(!problems.to_json().to_string().contains("hunter2"));
    }

    #[test]
    fn blanking_keeps_places() {
        let mut text = "ab ö\ncd".to_owned();
        blank(&mut text, 1..6);
        assert_eq!(text, "a* **\ncd");
    }
}
