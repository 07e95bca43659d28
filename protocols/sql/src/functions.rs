//! What calling a function can do, as far as its name tells.
//!
//! PostgreSQL's own functions are in a table made from a real server's `pg_proc` (`functions/postgres.txt`;
//! `tests/sql/live.rs` makes it, and compares it with any server it finds). What is not in there
//! is [`FunctionClass::Unknown`]: its body is in a catalog that this crate does not see, so a statement
//! that calls it counts as a write.
//!
//! The same holds for operators and types: one that is not among PostgreSQL's own (`operators.txt`,
//! `types.txt`) has somebody's function behind it.
//!
//! What this can not see, because the text does not say it: an unqualified name that the server's
//! `search_path` or overload rules resolve to somebody's own function, operator or type of the same name;
//! functions behind conversions that are not written, views, triggers, rules, defaults, operator classes and
//! index expressions; `p.f` for `f(p)`. Who may create such things decides whether that matters: creating
//! them is `ddl`, and names the function that they bind.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use gatewright_model::sql::{Effects, FunctionClass};

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) class: FunctionClass,
    /// What a statement does by calling it, besides what its own kind does.
    pub(crate) effects: Effects,
}

/// Functions that PostgreSQL does not have, and of which somebody says that they change nothing and give nothing but what they compute from their
/// arguments. Shared by all walks of an analyser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Harmless(Arc<HashSet<QualifiedName>>);

impl FromIterator<QualifiedName> for Harmless {
    fn from_iter<I: IntoIterator<Item = QualifiedName>>(names: I) -> Self {
        Self(Arc::new(names.into_iter().collect()))
    }
}

/// The name of a function with its schema, both as PostgreSQL stores them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QualifiedName {
    schema: Box<str>,
    name: Box<str>,
}

/// A text is not a name with its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotQualified;

impl FromStr for QualifiedName {
    type Err = NotQualified;

    /// From `schema.name`, folded as it is stored, and with a dot in neither.
    fn from_str(text: &str) -> Result<Self, NotQualified> {
        match text.split('.').collect::<Vec<_>>()[..] {
            [schema, name] if !schema.is_empty() && !name.is_empty() => {
                Ok(Self { schema: schema.into(), name: name.into() })
            }
            _ => Err(NotQualified),
        }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl Harmless {
    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known of the function of this name. One without a schema may be anybody's.
    pub(crate) fn classify(&self, schema: Option<&str>, name: &str) -> Known {
        let known = classify(schema, name);
        let vouched =
            |schema: &str| self.0.contains(&QualifiedName { schema: schema.into(), name: name.into() });
        match known.class {
            FunctionClass::Unknown if !self.0.is_empty() && schema.is_some_and(vouched) => {
                self::known("harmless")
            }
            _ => known,
        }
    }
}

/// What is known of the function of this name.
pub(crate) fn classify(schema: Option<&str>, name: &str) -> Known {
    let in_catalog = schema == Some("pg_catalog");
    match TABLE.get(name) {
        Some(entry) if entry.is_extension => {
            if in_catalog {
                unknown()
            } else {
                known(entry.word)
            }
        }
        Some(entry) if schema.is_none() || in_catalog => known(entry.word),
        None if in_catalog && LATER.split_whitespace().any(|later| later == name) => known("harmless"),
        None if has(&ELSEWHERE, name) => {
            let unknown = unknown();
            Known { effects: Effects { host_access: true, ..unknown.effects }, ..unknown }
        }
        _ => unknown(),
    }
}

/// Does PostgreSQL have a function of this name that takes one row and gives away what is in it?
///
/// `p.row_to_json` calls it when `p` is a row without such a column.
pub(crate) fn takes_a_row(name: &str) -> bool {
    TABLE.get(name).is_some_and(|entry| entry.takes_a_row) || TAKE_A_ROW_ELSEWHERE.contains(&name)
}

/// Those that PostgreSQL 15 does not have: of 16 to 18, and of the extension hstore.
const TAKE_A_ROW_ELSEWHERE: [&str; 6] =
    ["any_value", "hstore", "json_agg_strict", "jsonb_agg_strict", "max", "min"];

/// Is it an operator of PostgreSQL's, by its name? What it does with types that PostgreSQL has no such
/// operator for is not in the text.
pub(crate) fn is_operator(schema: Option<&str>, name: &str) -> bool {
    schema.is_none_or(|schema| schema == "pg_catalog") && has(&OPERATORS, name)
}

/// Is it a type of PostgreSQL's, by its name?
pub(crate) fn is_type(schema: Option<&str>, name: &str) -> bool {
    match schema {
        None | Some("pg_catalog") => has(&TYPES, name),
        Some("information_schema") => INFORMATION_SCHEMA_TYPES.contains(&name),
        Some(_) => false,
    }
}

fn has(sorted: &[&str], name: &str) -> bool {
    sorted.binary_search(&name).is_ok()
}

/// Domains, whose checks are PostgreSQL's own.
const INFORMATION_SCHEMA_TYPES: [&str; 5] =
    ["cardinal_number", "character_data", "sql_identifier", "time_stamp", "yes_or_no"];

/// Does it change something, and yet give nothing of any row?
pub(crate) fn gives_a_number_only(schema: Option<&str>, name: &str) -> bool {
    schema.is_none_or(|schema| schema == "pg_catalog") && ["nextval", "setval"].contains(&name)
}

/// Is it the function that changes settings?
pub(crate) fn is_set_config(names: &[&str]) -> bool {
    matches!(names, ["set_config"] | [.., "pg_catalog", "set_config"])
}

fn unknown() -> Known {
    Known { class: FunctionClass::Unknown, effects: Effects { write: true, ..Effects::default() } }
}

/// The classes of reviewed.txt. A word that is not among them is unknown.
fn known(word: &str) -> Known {
    let none = Effects::default();
    let (class, effects) = match word {
        "harmless" => (FunctionClass::Harmless, none),
        "changing" => (FunctionClass::Changing, Effects { write: true, ..none }),
        "session" => (FunctionClass::Changing, Effects { session: true, ..none }),
        "host" => (FunctionClass::Host, Effects { host_access: true, ..none }),
        "host_changing" => (FunctionClass::Host, Effects { host_access: true, write: true, ..none }),
        "dynamic" => (FunctionClass::Dynamic, Effects { dynamic: true, write: true, ..none }),
        "dynamic_host" => {
            (FunctionClass::Dynamic, Effects { dynamic: true, host_access: true, write: true, ..none })
        }
        _ => return unknown(),
    };
    Known { class, effects }
}

struct Entry {
    word: &'static str,
    takes_a_row: bool,
    is_extension: bool,
}

static TABLE: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let extensions = lines(EXTENSIONS).flat_map(|line| {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        words.map(move |name| (name, Entry { word, takes_a_row: false, is_extension: true }))
    });
    let postgres = lines(POSTGRES).filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let word = words.next()?;
        Some((name, Entry { word, takes_a_row: words.next() == Some("row"), is_extension: false }))
    });
    extensions.chain(postgres).collect()
});

/// The words of a table of names, in the order that [`has`] searches by.
fn sorted(table: &'static str) -> Vec<&'static str> {
    let lines = table.lines().filter(|line| !line.starts_with("# "));
    let mut words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.sort_unstable();
    words
}

static OPERATORS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| sorted(include_str!("functions/operators.txt")));
static TYPES: LazyLock<Vec<&'static str>> = LazyLock::new(|| sorted(include_str!("functions/types.txt")));

static ELSEWHERE: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| sorted(include_str!("functions/elsewhere.txt")));

const POSTGRES: &str = include_str!("functions/postgres.txt");
const EXTENSIONS: &str = include_str!("functions/extensions.txt");
const LATER: &str = include_str!("functions/later.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a021_what_reaches_out_of_the_database_in_another_version_is_known_for_it() {
        for schema in [None, Some("pg_catalog"), Some("anybodys")] {
            for name in ["pg_start_backup", "pg_ls_summariesdir", "pg_log_standby_snapshot"] {
                let known = classify(schema, name);
                assert_eq!(known.class, FunctionClass::Unknown, "somebody may have made it");
                assert!(known.effects.host_access && known.effects.write, "{name}");
            }
        }
    }

    #[test]
    fn closed_by_default() {
        let class = |schema, name| classify(schema, name).class;
        assert_eq!(class(None, "lower"), FunctionClass::Harmless);
        assert_eq!(class(Some("pg_catalog"), "lower"), FunctionClass::Harmless);
        assert_eq!(class(Some("public"), "lower"), FunctionClass::Unknown);
        assert_eq!(class(None, "our_own"), FunctionClass::Unknown);
        assert_eq!(class(None, "pg_advisory_lock"), FunctionClass::Changing);
        assert_eq!(class(None, "uuidv7"), FunctionClass::Unknown);
        assert_eq!(class(Some("pg_catalog"), "uuidv7"), FunctionClass::Harmless);
        assert!(classify(None, "our_own").effects.write);
    }

    #[test]
    fn a021_functions_that_reach_the_host() {
        for name in
            ["pg_read_file", "pg_ls_dir", "lo_import", "lo_export", "pg_reload_conf", "pg_stat_file"]
        {
            assert_eq!(classify(None, name).class, FunctionClass::Host, "{name}");
            assert!(classify(None, name).effects.host_access, "{name}");
        }
        for schema in [None, Some("public")] {
            assert!(classify(schema, "dblink").effects.host_access);
            assert_eq!(classify(schema, "dblink_exec").class, FunctionClass::Dynamic);
        }
    }

    #[test]
    fn a017_functions_that_run_sql_given_as_text() {
        for name in ["query_to_xml", "table_to_xml", "database_to_xml", "cursor_to_xml", "ts_stat"] {
            assert_eq!(classify(None, name).class, FunctionClass::Dynamic, "{name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_understood() {
        for (name, entry) in TABLE.iter() {
            assert_ne!(known(entry.word).class, FunctionClass::Unknown, "{name}");
        }
        assert!(TABLE.len() > 2_500);
    }

    #[test]
    fn functions_that_take_a_row() {
        for name in ["row_to_json", "to_jsonb", "array_agg", "json_agg", "concat"] {
            assert!(takes_a_row(name), "{name}");
        }
        for name in ["id", "ssn", "name", "count", "lower"] {
            assert!(!takes_a_row(name), "{name}");
        }
    }
}
