//! From the text of a document to its meaning, with all problems at once.

use std::{collections::BTreeSet, path::Path, str::FromStr, sync::Arc};

use gatewright_model::{decision::Mode, principal::PrincipalKind, sql::Grade};
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::{
    Document, Glob, Isolation, Matching,
    case::cases,
    fields::{Fields, Source},
};
use crate::problem::LoadProblem;

const MODES: [(&str, Mode); 3] =
    [("protect", Mode::Protect), ("restrict", Mode::Restrict), ("monitor", Mode::Monitor)];
const GRADES: [(&str, Grade); 2] = [("disputed", Grade::Disputed), ("opaque", Grade::Opaque)];
const ISOLATIONS: [(&str, Isolation); 2] = [("session", Isolation::Session), ("event", Isolation::Event)];
pub(super) const KINDS: [(&str, PrincipalKind); 3] =
    [("human", PrincipalKind::Human), ("agent", PrincipalKind::Agent), ("service", PrincipalKind::Service)];

/// Reads a document.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Document, Vec<LoadProblem>> {
    let mut source = Source { file, text, problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = source.line(error.span().map_or(0, |span| span.start));
        source.report(line, format!("not TOML: {}", error.message()), "");
    }
    // What could be read of a broken text says nothing about what is missing from it.
    if !source.problems.is_empty() {
        return Err(source.problems);
    }
    let document = read(&mut source, table.get_ref());
    match document {
        Some(document) if source.problems.is_empty() => Ok(document),
        _ => Err(source.problems),
    }
}

fn read(source: &mut Source, table: &DeTable) -> Option<Document> {
    let mut fields = Fields::new(table, "", 1);
    let name = fields.required_text(source, "name");
    if let Some(name) = &name
        && !is_name(&name.value)
    {
        source.report(
            name.line,
            "`name` can not be used",
            "write 1 to 64 letters, digits, `-`, `_` or `.`",
        );
    }
    let module = fields.required_text(source, "module");
    let pin = fields.text(source, "sha256");
    if let Some(pin) = &pin
        && (pin.value.len() != 64 || !pin.value.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        source.report(
            pin.line,
            "`sha256` is not a SHA-256",
            "write 64 hex digits, as `sha256sum` prints them",
        );
    }
    let mode = fields.word(source, "mode", &MODES).unwrap_or(Mode::Protect);
    let allow_grades = fields.words(source, "allow_grades", &GRADES).unwrap_or_default();
    let isolation = fields.word(source, "isolation", &ISOLATIONS).unwrap_or(Isolation::Session);
    let matching = fields.table(source, "match", "[match]: ").map(|match_| matching(source, match_));
    let settings = fields.any(source, "settings");
    let settings_line = settings.as_ref().map(|found| found.line);
    let settings = match settings.map(|found| found.value) {
        Some(DeValue::Table(table)) => json_table(table),
        Some(_) => {
            source.report(
                settings_line.unwrap_or(1),
                "`settings` has the wrong type",
                "write `[settings]`",
            );
            Value::Null
        }
        None => Value::Object(Map::new()),
    };
    let cases = cases(source, &mut fields);
    fields.finish(source);
    let module = module?;
    Some(Document {
        file: source.file.to_owned(),
        name: name?.value,
        module: source.file.parent().unwrap_or(Path::new("")).join(&module.value),
        module_line: module.line,
        pin: pin.map(|found| found.value.to_ascii_lowercase()),
        mode,
        allow_grades,
        isolation,
        matching: matching.unwrap_or_default(),
        reviewers: reviewers(&settings),
        settings: settings.to_string(),
        settings_line,
        cases,
    })
}

/// The texts of every list `reviewers` in the settings, however deep: that is what modules call those who may decide what they
/// hold. What a module makes of it is its own affair, and each request says for itself who may answer it.
fn reviewers(settings: &Value) -> BTreeSet<Arc<str>> {
    let mut found = BTreeSet::new();
    let mut left = vec![settings];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => {
                if let Some(Value::Array(groups)) = fields.get("reviewers") {
                    found.extend(groups.iter().filter_map(Value::as_str).map(Arc::from));
                }
                left.extend(fields.values());
            }
            _ => {}
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn matching(source: &mut Source, mut fields: Fields) -> Matching {
    let globs = |fields: &mut Fields, source: &mut Source, key| {
        let found = fields.lines_of_texts(source, key)?;
        if found.value.is_empty() {
            let remedy = format!("write `{key} = [\"*\"]` for any, or leave `{key}` out");
            source.report(found.line, format!("[match]: an empty `{key}` fits nothing"), remedy);
        }
        Some(found.value.into_iter().map(|found| Glob { text: found.value, line: found.line }).collect())
    };
    let matching = Matching {
        listeners: globs(&mut fields, source, "listeners"),
        targets: globs(&mut fields, source, "targets"),
        protocols: globs(&mut fields, source, "protocols"),
        databases: globs(&mut fields, source, "databases"),
        groups: globs(&mut fields, source, "groups"),
        principal_kinds: fields.words(source, "principal_kinds", &KINDS),
    };
    fields.finish(source);
    matching
}

/// Settings as JSON. Times become text: JSON has none.
fn json_table(table: &DeTable) -> Value {
    Value::Object(
        table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect(),
    )
}

fn json(value: &DeValue) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), |number| Value::Number(number.into())),
        DeValue::Float(number) => f64::from_str(number.as_str())
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        DeValue::Boolean(on) => Value::Bool(*on),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| json(item.get_ref())).collect()),
        DeValue::Table(table) => json_table(table),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let problems = match parse(Path::new("p.toml"), text) {
            Ok(document) => {
                format!("{} {} {}\n", document.name, document.mode.as_str(), document.settings)
            }
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        };
        expected.assert_eq(&problems);
    }

    #[test]
    fn the_least_document() {
        check(
            "name = \"a\"\nmodule = \"a.wasm\"\n",
            expect![[r#"
            a protect {}
        "#]],
        );
    }

    #[test]
    fn settings_become_json() {
        check(
            "name = \"a\"\nmodule = \"a.wasm\"\nmode = \"monitor\"\n[settings]\nn = 1_000\nh = 0xff\nlist = [{ a = 1.5 }]\non = true\n",
            expect![[r#"
                a monitor {"h":255,"list":[{"a":1.5}],"n":1000,"on":true}
            "#]],
        );
    }

    #[test]
    fn reviewers_are_found_wherever_a_module_has_them() {
        let text = "name = \"a\"\nmodule = \"a.wasm\"\n[settings]\nreviewers = [\"dba\"]\nkinds = [\"drop_*\"]\n\
                    [[settings.rules]]\nreviewers = [\"treasury\", \"dba\"]\n[[settings.rules]]\nreviewers = \"none\"\n";
        let document = parse(Path::new("p.toml"), text).unwrap();
        let found: Vec<&str> = document.reviewers.iter().map(|group| &**group).collect();
        assert_eq!(found, ["dba", "treasury"]);
    }

    #[test]
    fn a_case_of_another_protocol_has_no_database() {
        check(
            "name = \"a\"\nmodule = \"a.wasm\"\n[match]\ndatabases = []\n[[case]]\nname = \"c\"\nexpect = \"allow\"\n\
             ssh = { request = \"exec\", command = \"uptime\" }\ndatabase = \"crm\"\n",
            expect![[r#"
                p.toml:4: [match]: an empty `databases` fits nothing; write `databases = ["*"]` for any, or leave `databases` out
                p.toml:9: [[case]]: only sessions of PostgreSQL have a `database`; leave it out
            "#]],
        );
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        check(
            "nam = \"a\"\nmodule = 7\nmode = \"warn\"\nsha256 = \"abc\"\nallow_grades = [\"verified\"]\n\
             [match]\ngroups = []\nprincipal_kinds = [\"robot\"]\nuser = \"x\"\n\
             [[case]]\nname = \"c\"\nexpect = \"deny\"\nprincipal = { group = \"a\" }\n",
            expect![[r#"
                p.toml:1: `name` is missing; add `name = "..."`
                p.toml:2: `module` has the wrong type; write text in quotes
                p.toml:4: `sha256` is not a SHA-256; write 64 hex digits, as `sha256sum` prints them
                p.toml:3: `mode` can not be `warn`; use one of `protect`, `restrict`, `monitor`
                p.toml:5: `allow_grades` can not be `verified`; use one of `disputed`, `opaque`
                p.toml:7: [match]: an empty `groups` fits nothing; write `groups = ["*"]` for any, or leave `groups` out
                p.toml:8: `principal_kinds` can not be `robot`; use one of `human`, `agent`, `service`
                p.toml:9: [match]: `user` is not a known key; use one of `listeners`, `targets`, `protocols`, `databases`, `groups`, `principal_kinds`
                p.toml:10: [[case]]: the request is missing; add `sql = "..."`, or `http = { method = "GET", url = "https://..." }`, or `kubernetes = ...`, or `ssh = { request = "exec", command = "uptime" }`
                p.toml:13: principal: `group` is not a known key; use one of `subject`, `groups`, `kind`, `actors`
                p.toml:12: `expect` can not be `deny`; use one of `allow`, `block`, `mask`, `escalate`, `no_match`
                p.toml:1: `nam` is not a known key; use one of `name`, `module`, `sha256`, `mode`, `allow_grades`, `isolation`, `match`, `settings`, `case`
            "#]],
        );
    }

    #[test]
    fn what_is_not_toml_says_where() {
        check(
            "name = \"a\"\nmodule = \n",
            expect![[r#"
            p.toml:2: not TOML: string values must be quoted, expected literal string
        "#]],
        );
    }
}
