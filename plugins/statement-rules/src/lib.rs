//! Blocks statements by what they are and do. All rules are settings; without any, it refuses what can
//! not be judged: what was not understood, SQL built at run time, access to the server's host, and
//! changing one's role.
//!
//! A statement is never let through because one rule likes it: every statement of a request must pass
//! every rule.

mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Effect, Effects, Event, Grade, Principal, Sql, Statement, Verdict, policy};

pub use crate::settings::{Settings, WhereKind};

policy! {
    name: "statement-rules",
    kinds: ["sql.*"],
    settings: Settings,
    evaluate: evaluate,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(sql) = event.sql() else {
        return Verdict::block("sql-only", "this policy judges SQL only", "");
    };
    match refuse(event, &sql, settings) {
        Some(block) => block,
        None => Verdict::Allow,
    }
}

/// The first rule that refuses.
fn refuse(event: &Event, sql: &Sql, settings: &Settings) -> Option<Verdict> {
    let grade = event.grade();
    if grade != Grade::Verified && !settings.allow_grades.contains(&grade) {
        return Some(Verdict::block(
            format!("grade-{}", grade.as_str()),
            "the statement was not understood well enough to be judged",
            "write it in a plainer form",
        ));
    }
    let principal = event.principal();
    if principal.in_any_group(&settings.exempt_groups) {
        return None;
    }
    let read_only = settings.read_only || principal.in_any_group(&settings.read_only_groups);
    sql.statements().find_map(|statement| {
        let effects = statement.effects();
        kind(statement, settings)
            .or_else(|| missing_where(statement, settings))
            .or_else(|| effect(effects, settings))
            .or_else(|| changes(effects, read_only, &principal))
            .or_else(|| function(statement, settings))
    })
}

fn kind(statement: Statement, settings: &Settings) -> Option<Verdict> {
    statement.kinds().iter().find_map(|kind| one_kind(kind, settings))
}

fn one_kind(kind: &str, settings: &Settings) -> Option<Verdict> {
    let fits =
        |patterns: &[settings::StatementPattern]| patterns.iter().any(|pattern| pattern.matches(kind));
    if !settings.allow_role_switch && ROLE_SWITCHES.contains(&kind) {
        return Some(Verdict::block(
            "role-switch",
            "changing the role of the session, or what all its sessions begin with, is not allowed",
            "",
        ));
    }
    if fits(&settings.deny_kinds) {
        return Some(Verdict::block("kind-denied", format!("`{kind}` is not allowed here"), ""));
    }
    let listed = settings.only_kinds.as_deref().is_none_or(fits);
    (!listed).then(|| {
        Verdict::block("kind-not-listed", format!("`{kind}` is not among the statements allowed here"), "")
    })
}

/// Statements that make the session act as somebody else, or change what every later session of the
/// account begins with: all principals share it. `RESET` of either is one of them.
const ROLE_SWITCHES: [&str; 4] =
    ["set_role", "set_session_authorization", "alter_role_set", "alter_database_set"];

fn missing_where(statement: Statement, settings: &Settings) -> Option<Verdict> {
    if settings.require_where.is_empty() || statement.has_where() != Some(false) {
        return None;
    }
    let kind = statement.kind();
    // In any other statement (a CTE, EXPLAIN, PREPARE) it can not be told which of the two lacks its WHERE.
    let exempt = match &*kind {
        "update" => !settings.require_where.contains(&WhereKind::Update),
        "delete" => !settings.require_where.contains(&WhereKind::Delete),
        _ => false,
    };
    (!exempt).then(|| {
        Verdict::block(
            "where-required",
            "an update or delete without a WHERE clause changes every row",
            "say which rows are meant in a WHERE clause",
        )
    })
}

fn effect(effects: Effects, settings: &Settings) -> Option<Verdict> {
    let denied = settings.deny_effects.iter().find(|effect| effects.contains(**effect))?;
    let (rule, reason) = match denied {
        Effect::Read => ("effect-read", "reading is not allowed here"),
        Effect::Write => ("effect-write", "changing data is not allowed here"),
        Effect::Ddl => ("effect-ddl", "changing the catalog is not allowed here"),
        Effect::Session => ("effect-session", "changing the session is not allowed here"),
        Effect::HostAccess => {
            ("effect-host_access", "reaching files, programs or other servers is not allowed here")
        }
        Effect::Transaction => ("effect-transaction", "transactions are not allowed here"),
        Effect::Dynamic => ("effect-dynamic", "SQL that is built at run time can not be judged"),
    };
    let remedy = if *denied == Effect::Dynamic { "send the statement itself" } else { "" };
    Some(Verdict::block(rule, reason, remedy))
}

fn changes(effects: Effects, read_only: bool, principal: &Principal) -> Option<Verdict> {
    // A list of what is allowed, so that an effect of a newer gateway is not.
    if !read_only || effects.is_only(&[Effect::Read, Effect::Transaction, Effect::Session]) {
        return None;
    }
    let who = principal.subject();
    Some(Verdict::block(
        "read-only",
        if who.len() <= 100 && !who.contains(char::is_control) {
            format!("`{who}` may read and not change anything here")
        } else {
            "you may read and not change anything here".to_owned()
        },
        "ask for a group that may change data",
    ))
}

fn function(statement: Statement, settings: &Settings) -> Option<Verdict> {
    if settings.deny_functions.is_empty() && settings.deny_function_classes.is_empty() {
        return None;
    }
    statement.functions().find_map(|function| {
        let name = function.name();
        let denied = settings.deny_functions.iter().any(|pattern| pattern.matches(&name))
            || (!settings.deny_function_classes.is_empty()
                && settings.deny_function_classes.contains(&function.class()));
        denied.then(|| Verdict::block("function-denied", "a function of this call is not allowed here", ""))
    })
}
