//! The statements of PostgreSQL's own regression files.
//!
//! They are in nobody's repository here: the source package of the crate `pg_parse` carries them. `cargo xtask
//! oracle` fetches it; where it is not to be had, the tests that need it say so and compare nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Of the package, where it is unpacked.
const FILES: &str = "lib/libpg_query/test/sql";

/// The folders of [`FILES`] that hold scripts for psql.
const FOLDERS: [&str; 2] = ["postgres_regress", "plpgsql_regress"];

/// Every statement, in the order of the files. None: the files are not here.
pub(crate) fn statements() -> Option<Vec<String>> {
    let Some(package) = package() else {
        println!(
            "NOTHING IS COMPARED: the source of pg_parse 0.15 is not here; `cargo xtask oracle` fetches it"
        );
        return None;
    };
    let mut statements = Vec::new();
    for folder in FOLDERS {
        let folder = fs::read_dir(package.join(FILES).join(folder)).unwrap();
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "sql")) {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            statements.extend(split(&text));
        }
    }
    Some(statements)
}

/// The folder of the package in cargo's registry.
fn package() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    let registries = fs::read_dir(home.join("registry/src")).ok()?;
    let packages = registries.flatten().filter_map(|registry| fs::read_dir(registry.path()).ok()).flatten();
    let mut packages: Vec<PathBuf> = packages.flatten().map(|package| package.path()).collect();
    packages.sort();
    packages.into_iter().find(|package| {
        let name = package.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("pg_parse-0.15.")) && package.join(FILES).is_dir()
    })
}

/// Cuts a script as psql does: at semicolons outside of quotes, parentheses and bodies, and at its own commands.
/// The data behind COPY FROM STDIN is none of it.
fn split(script: &str) -> Vec<String> {
    let mut cut = Cut { rest: script, ..Cut::default() };
    while let Some(character) = cut.rest.chars().next() {
        cut.step(character);
    }
    cut.end();
    cut.statements
}

#[derive(Default)]
struct Cut<'t> {
    rest: &'t str,
    statement: String,
    words: Vec<String>,
    parentheses: usize,
    /// How deep in `begin atomic .. end` this is.
    bodies: usize,
    statements: Vec<String>,
}

impl Cut<'_> {
    fn step(&mut self, character: char) {
        let rest = self.rest;
        match character {
            '\'' => self.take(quoted(rest, '\'', self.statement.ends_with(['e', 'E']))),
            '"' => self.take(quoted(rest, '"', false)),
            '-' if rest.starts_with("--") => self.take(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => self.take(comment(rest)),
            '$' => self.take(dollar(rest).unwrap_or(1)),
            '\\' if rest.starts_with("\\;") => {
                self.statement.push(';');
                self.rest = &rest[2..];
            }
            // `\g`, `\gset`, `\d people`: the end of a statement, and nothing of it.
            '\\' => {
                self.rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
                self.end();
            }
            '(' | '[' => {
                self.parentheses += 1;
                self.take(1);
            }
            ')' | ']' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.take(1);
            }
            ';' if self.parentheses == 0 && self.bodies == 0 => {
                self.rest = &rest[1..];
                self.end();
            }
            // psql's variables: `:'name'` is a string, `:"name"` a name, `:name` the bare text.
            ':' if rest.starts_with("::") => self.take(2),
            ':' if rest[1..].starts_with(['\'', '"']) => self.rest = &rest[1..],
            _ if character.is_alphabetic() || character == '_' => {
                let end = rest.find(|other: char| !other.is_alphanumeric() && !"_$".contains(other));
                self.word(&rest[..end.unwrap_or(rest.len())]);
            }
            _ => self.take(character.len_utf8()),
        }
    }

    fn word(&mut self, word: &str) {
        let lower = word.to_lowercase();
        let is_routine = self.words.first().is_some_and(|first| first == "create")
            && self.words.iter().take(4).any(|word| word == "function" || word == "procedure");
        if is_routine && (lower == "begin" || (lower == "case" && self.bodies > 0)) {
            self.bodies += 1;
        } else if is_routine && lower == "end" {
            self.bodies = self.bodies.saturating_sub(1);
        }
        self.words.push(lower);
        self.take(word.len());
    }

    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.statement.push_str(taken);
        self.rest = rest;
    }

    fn end(&mut self) {
        let statement = std::mem::take(&mut self.statement);
        let words = std::mem::take(&mut self.words);
        (self.parentheses, self.bodies) = (0, 0);
        if words.is_empty() {
            return;
        }
        let reads_data = words[0] == "copy" && words.windows(2).any(|pair| pair == ["from", "stdin"]);
        self.statements.push(statement.trim().to_owned());
        // Some are there to fail, and have no data behind them.
        let data = self.rest.split_once('\n').map_or("", |(_, data)| data);
        let next =
            data.lines().take_while(|line| !line.trim_end().ends_with(';')).position(|line| line == "\\.");
        if let (true, Some(lines)) = (reads_data, next) {
            self.rest = data.splitn(lines + 2, '\n').nth(lines + 1).unwrap_or("");
        }
    }
}

/// How many bytes the quoted text takes that begins here.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if has_escapes && character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// A dollar quote, if one begins here.
fn dollar(text: &str) -> Option<usize> {
    let tag_end = text[1..].find(|other: char| !other.is_alphanumeric() && other != '_')? + 1;
    if !text[tag_end..].starts_with('$') || text[1..].starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let tag = &text[..=tag_end];
    let body = text[tag.len()..].find(tag)?;
    Some(body + 2 * tag.len())
}
