//! One text, read by the analyser and by the walk that knows nothing.

use std::{collections::HashSet, sync::LazyLock};

use gatewright_model::sql::{Access, Analysis, Effects, Grade, Statement};
use gatewright_sql::{Analyser, AnalyserLimits, statement_kinds};

use crate::{
    mutate::Keeps,
    tree::{self, Found},
};

/// What became of one text.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both say the same.
    Agreed,
    /// PostgreSQL's grammar does not read it, and neither does the analyser.
    Unreadable,
    /// The analyser does not say that it understood, and why.
    Refused(String),
    /// The analyser missed something.
    Missed(String),
}

/// An analyser that has read nothing before and keeps nothing.
static ANALYSER: LazyLock<Analyser> = LazyLock::new(|| {
    Analyser::new(AnalyserLimits { cache_entries: 0, cache_bytes: 0, ..AnalyserLimits::default() })
});

pub(crate) fn analyse(text: &str) -> Analysis {
    (*ANALYSER.analyse(text)).clone()
}

static KINDS: LazyLock<HashSet<&str>> = LazyLock::new(|| statement_kinds().collect());

/// Compares the two readings of a text.
pub(crate) fn compare(text: &str, analysis: &Analysis) -> Outcome {
    let parsed = pg_query::parse(text, 0);
    let Ok(parsed) = parsed else {
        return match analysis.grade {
            Grade::Opaque => Outcome::Unreadable,
            _ => Outcome::Missed("it is not SQL, and is said to be understood".to_owned()),
        };
    };
    if analysis.grade == Grade::Opaque {
        return Outcome::Refused(analysis.grade_reason.as_deref().unwrap_or("?").to_owned());
    }
    let trees: Vec<_> =
        parsed.protobuf.stmts.iter().map(|raw| serde_json::to_value(&raw.stmt).unwrap()).collect();
    if trees.len() != analysis.statements.len() {
        return Outcome::Missed(format!(
            "{} statements, and not {}",
            trees.len(),
            analysis.statements.len()
        ));
    }
    let mut kinds = analysis.statements.iter().flat_map(Statement::kinds);
    if let Some(kind) = kinds.find(|kind| !KINDS.contains(kind)) {
        return Outcome::Missed(format!("the kind {kind} is not listed"));
    }
    let missed: Vec<String> = trees
        .iter()
        .zip(analysis.statements.iter())
        .flat_map(|(tree, statement)| missed(tree::tag(tree), &tree::find(tree), statement))
        .collect();
    if !missed.is_empty() {
        return Outcome::Missed(missed.join(", "));
    }
    match analysis.grade {
        Grade::Disputed => Outcome::Refused(analysis.grade_reason.as_deref().unwrap_or("?").to_owned()),
        _ => Outcome::Agreed,
    }
}

/// What is in the tree and not in the statement.
fn missed(tag: &str, found: &Found, statement: &Statement) -> Vec<String> {
    let mut missed = Vec::new();
    for wanted in &found.relations {
        let is_there = statement.relations.iter().any(|relation| {
            *relation.name == wanted.name
                && relation.schema.as_deref().unwrap_or_default() == wanted.schema
                && wanted.access.is_none_or(|access| access == relation.access)
        });
        if !is_there {
            let access = wanted.access.map_or("named", Access::as_str);
            missed.push(format!("relation {}.{} {access}", wanted.schema, wanted.name));
        }
    }
    for wanted in &found.functions {
        if !statement.functions.iter().any(|function| *function.name == **wanted) {
            missed.push(format!("function {wanted}"));
        }
        if !KNOWN.contains(wanted.as_str()) && !statement.effects.write {
            missed.push(format!("effect write of function {wanted}"));
        }
    }
    let effects = statement.effects;
    for wanted in &found.effects {
        if !has(effects, wanted) {
            missed.push(format!("effect {wanted}"));
        }
    }
    if !kinds(tag).iter().any(|start| statement.kind.starts_with(start)) {
        // What changes the role or the path is called so, whatever it is in.
        let is_setting = statement.kind.starts_with("set_")
            && (found.functions.iter().any(|name| name == "set_config")
                || found.relations.iter().any(|relation| relation.name == "pg_settings"));
        if !is_setting {
            missed.push(format!("{tag} is said to be {}", statement.kind));
        }
    }
    missed
}

pub(crate) fn has(effects: Effects, wanted: &str) -> bool {
    effects.each().iter().any(|(word, on)| *on && *word == wanted)
}

/// What the kind of a statement of this tag begins with: the first word of the tag, where nothing else is said.
fn kinds(tag: &str) -> Vec<String> {
    let words: &[&str] = match tag {
        "SelectStmt" => &["select"],
        "CreateTableAsStmt" => &["create_table_as", "create_materialized_view"],
        "DefineStmt" | "CompositeTypeStmt" => &["create_"],
        "IndexStmt" => &["create_index"],
        "ViewStmt" => &["create_view"],
        "RuleStmt" => &["create_rule"],
        "CreatedbStmt" => &["create_database"],
        "DropdbStmt" => &["drop_database"],
        "CopyStmt" => &["copy_"],
        "RenameStmt" => &["alter_"],
        "GrantStmt" | "GrantRoleStmt" => &["grant", "revoke"],
        "SecLabelStmt" => &["security_label"],
        "CheckPointStmt" => &["checkpoint"],
        "ClosePortalStmt" => &["close_cursor"],
        "ConstraintsSetStmt" => &["set_constraints"],
        "VacuumStmt" => &["vacuum", "analyze"],
        "FetchStmt" => &["fetch", "move"],
        "LockStmt" => &["lock_table"],
        "VariableSetStmt" => &["set", "reset"],
        "VariableShowStmt" => &["show"],
        "TransactionStmt" => &[
            "begin",
            "start_transaction",
            "commit",
            "rollback",
            "savepoint",
            "release",
            "prepare_transaction",
        ],
        _ => {
            let end = tag.char_indices().skip(1).find(|(_, letter)| letter.is_uppercase());
            return vec![tag[..end.map_or(tag.len(), |(at, _)| at)].to_lowercase()];
        }
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The names of functions that somebody has looked at: any other may do anything.
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let postgres = include_str!("../../src/functions/postgres.txt").lines();
    let postgres = postgres.filter_map(|line| line.split_whitespace().next());
    let others =
        [include_str!("../../src/functions/extensions.txt"), include_str!("../../src/functions/later.txt")];
    postgres.chain(others.into_iter().flat_map(str::split_whitespace)).collect()
});

/// What the original does and its mutant does not. None: nothing.
pub(crate) fn lost(original: &Analysis, mutant: &Analysis, keeps: Keeps) -> Option<String> {
    if keeps == Keeps::Nothing {
        return (!has(mutant.effects(), "dynamic")).then(|| "lost the effect dynamic".to_owned());
    }
    let mut lost = Vec::new();
    let relations = || mutant.statements.iter().flat_map(|statement| &statement.relations);
    let functions = || mutant.statements.iter().flat_map(|statement| &statement.functions);
    for statement in original.statements.iter() {
        for relation in &statement.relations {
            let names = relation.name == "old".into() || relation.name == "new".into();
            let is_there = relations().any(|other| {
                (other.schema == relation.schema && other.name == relation.name)
                    && (keeps == Keeps::Names || other.access == relation.access)
            });
            if !is_there && !names {
                lost.push(format!(
                    "lost {:?}.{} {}",
                    relation.schema,
                    relation.name,
                    relation.access.as_str()
                ));
            }
        }
        for function in &statement.functions {
            if !functions().any(|other| other == function) {
                lost.push(format!("lost {}()", function.name));
            }
        }
        if keeps == Keeps::Everything {
            let effects = mutant.effects();
            for (word, _) in statement.effects.each().iter().filter(|(word, on)| *on && !has(effects, word))
            {
                lost.push(format!("lost the effect {word}"));
            }
        }
    }
    (!lost.is_empty()).then(|| lost.join(", "))
}
