//! The second opinion: `sqlparser`, which shares no code with PostgreSQL.
//!
//! It can not decide: it rejects a tenth of what PostgreSQL accepts, and finds no relation in many
//! statements where there is one. But where it does read a text, it was written by other people from other
//! documents. So it may object to three things:
//!
//! - the number of statements,
//! - what a statement is, in the large: a query, an insert, a drop,
//! - a relation that it sees and the first reader does not. (The other way round is one of its gaps.)
//!
//! Where it does not read the text, there is no second opinion, and that is no objection: whoever writes
//! the text can bring that about anyway.
//!
//! Its tree is as deep as a chain of operators is long, and dropping it recurses without a limit: some
//! ten thousand terms overflow a thread's stack, which kills the process. So texts of more than
//! [`MAX_TOKENS`] tokens are not shown to it.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use sqlparser::{
    ast::{CopyTarget, ObjectName, ObjectNamePart, SetExpr, Statement, visit_relations},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::walk::Reading;

/// The most tokens of a text that is read twice. The stack that its tree can need grows with this:
/// `tests/sql/robust.rs` holds it to a thread of 2 MiB.
pub(crate) const MAX_TOKENS: usize = 2_000;

/// Deeper nesting is not read. PostgreSQL's grammar has no such limit, and the gateway's first reader
/// stops at about the same depth.
const MAX_DEPTH: usize = 50;

/// PostgreSQL cuts longer names (`NAMEDATALEN` - 1).
const MAX_NAME: usize = 63;

/// What the second reader has to say against the first. None: nothing.
pub(crate) fn objection(text: &str, readings: &[Reading]) -> Option<&'static str> {
    let parse = || {
        let mut parser =
            Parser::new(&PostgreSqlDialect {}).with_recursion_limit(MAX_DEPTH).try_with_sql(text).ok()?;
        parser.parse_statements().ok()
    };
    // It is not the reader that decides: should it panic, it has no opinion.
    let statements = catch_unwind(AssertUnwindSafe(parse)).ok().flatten()?;
    // What follows this it takes for the data, which is in messages of its own: so it has no opinion about that.
    let copies_data = |statement: &Statement| {
        matches!(statement, Statement::Copy { to: false, target: CopyTarget::Stdin, .. })
    };
    let (read, readings) = match statements.iter().position(copies_data) {
        Some(at) => (at + 1, readings.get(..=at).unwrap_or(readings)),
        None => (statements.len(), readings),
    };
    if read != readings.len() {
        return Some("the second reader counts another number of statements");
    }
    statements.iter().zip(readings).find_map(|(statement, reading)| {
        let differs = match (family_of(statement), reading.kind.and_then(family_of_kind)) {
            (Some(theirs), Some(ours)) => theirs != ours,
            _ => false,
        };
        if differs {
            return Some("the second reader takes a statement for another kind");
        }
        unseen_relation(statement, reading).then_some("the second reader sees a relation that is not there")
    })
}

/// Does it see a relation that the first reader knows under no role: relation, CTE or function?
fn unseen_relation(statement: &Statement, reading: &Reading) -> bool {
    let relations = reading.statement.relations.iter().map(|relation| &*relation.name);
    let functions = reading.statement.functions.iter().map(|function| &*function.name);
    let ctes = reading.ctes.iter().map(|name| &**name);
    let known: HashSet<&str> = relations.chain(functions).chain(ctes).collect();
    visit_relations(statement, |name| {
        let is_known = match folded(name) {
            // `from only people`: to the second reader, a table `only` under an alias.
            Some(name) => name == "only" || known.contains(name.as_str()),
            None => true,
        };
        if is_known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .is_break()
}

/// The last part of a name, as PostgreSQL stores it.
fn folded(name: &ObjectName) -> Option<String> {
    let Some(ObjectNamePart::Identifier(part)) = name.0.last() else { return None };
    let name =
        if part.quote_style.is_some() { part.value.clone() } else { part.value.to_ascii_lowercase() };
    let end = (0..=MAX_NAME.min(name.len())).rev().find(|end| name.is_char_boundary(*end))?;
    name.get(..end).map(str::to_owned)
}

/// What a statement is, in the large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Query,
    Insert,
    Update,
    Delete,
    Merge,
    Truncate,
    Copy,
    Create,
    Alter,
    Drop,
    Comment,
    Grant,
    Revoke,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Set,
    Show,
    Explain,
    Prepare,
    Execute,
    Deallocate,
    Declare,
    Fetch,
    Close,
    Discard,
    Listen,
    Unlisten,
    Notify,
    Call,
    Lock,
    Vacuum,
    Analyze,
}

/// The family of what the second reader saw. None: it means nothing in PostgreSQL, or has several.
fn family_of(statement: &Statement) -> Option<Family> {
    use Statement as S;
    Some(match statement {
        S::Query(query) => match &*query.body {
            // `with .. insert`.
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => return family_of(statement),
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::SetOperation { .. }
            | SetExpr::Values(_)
            | SetExpr::Table(_) => Family::Query,
        },
        S::Insert(_) => Family::Insert,
        S::Update(_) => Family::Update,
        S::Delete(_) => Family::Delete,
        S::Merge(_) => Family::Merge,
        S::Truncate(_) => Family::Truncate,
        S::Copy { .. } => Family::Copy,
        S::CreateView(_)
        | S::CreateTable(_)
        | S::CreateIndex(_)
        | S::CreateRole(_)
        | S::CreateServer(_)
        | S::CreatePolicy(_)
        | S::CreateOperator(_)
        | S::CreateOperatorFamily(_)
        | S::CreateOperatorClass(_)
        | S::CreateTextSearch(_)
        | S::CreateExtension(_)
        | S::CreateCollation(_)
        | S::CreateSchema { .. }
        | S::CreateDatabase { .. }
        | S::CreateFunction(_)
        | S::CreateTrigger(_)
        | S::CreateProcedure { .. }
        | S::CreateSequence { .. }
        | S::CreateDomain(_)
        | S::CreateType { .. }
        | S::CreateUser(_) => Family::Create,
        S::AlterTable(_)
        | S::AlterSchema(_)
        | S::AlterIndex { .. }
        | S::AlterView { .. }
        | S::AlterFunction(_)
        | S::AlterType(_)
        | S::AlterCollation(_)
        | S::AlterOperator(_)
        | S::AlterOperatorFamily(_)
        | S::AlterOperatorClass(_)
        | S::AlterTextSearch(_)
        | S::AlterRole { .. }
        | S::AlterPolicy(_)
        | S::AlterUser(_) => Family::Alter,
        S::Drop { .. }
        | S::DropFunction(_)
        | S::DropDomain(_)
        | S::DropProcedure { .. }
        | S::DropPolicy(_)
        | S::DropExtension(_)
        | S::DropOperator(_)
        | S::DropOperatorFamily(_)
        | S::DropOperatorClass(_)
        | S::DropTrigger(_) => Family::Drop,
        S::Comment { .. } => Family::Comment,
        S::Grant(_) => Family::Grant,
        S::Revoke(_) => Family::Revoke,
        S::StartTransaction { .. } => Family::Begin,
        S::Commit { .. } => Family::Commit,
        S::Rollback { .. } => Family::Rollback,
        S::Savepoint { .. } | S::ReleaseSavepoint { .. } => Family::Savepoint,
        S::Set(_) | S::Reset(_) => Family::Set,
        S::ShowVariable { .. } => Family::Show,
        S::Explain { .. } => Family::Explain,
        S::Prepare { .. } => Family::Prepare,
        S::Execute { .. } => Family::Execute,
        S::Deallocate { .. } => Family::Deallocate,
        S::Declare { .. } => Family::Declare,
        S::Fetch { .. } => Family::Fetch,
        S::Close { .. } => Family::Close,
        S::Discard { .. } => Family::Discard,
        S::LISTEN { .. } => Family::Listen,
        S::UNLISTEN { .. } => Family::Unlisten,
        S::NOTIFY { .. } => Family::Notify,
        S::Call(_) => Family::Call,
        S::Lock(_) => Family::Lock,
        S::Vacuum(_) => Family::Vacuum,
        S::Analyze(_) => Family::Analyze,
        // Statements of other databases, which PostgreSQL's grammar does not read.
        _ => return None,
    })
}

/// The family of a kind. None: the second reader has several words for it, or none.
fn family_of_kind(kind: &str) -> Option<Family> {
    Some(match kind {
        "select" | "select_into" => Family::Query,
        "insert" => Family::Insert,
        "update" => Family::Update,
        "delete" => Family::Delete,
        "merge" => Family::Merge,
        "truncate" => Family::Truncate,
        "copy_to" | "copy_from" => Family::Copy,
        "comment" => Family::Comment,
        "grant" | "grant_role" => Family::Grant,
        "revoke" | "revoke_role" => Family::Revoke,
        "begin" | "start_transaction" => Family::Begin,
        "commit" => Family::Commit,
        "rollback" | "rollback_to_savepoint" => Family::Rollback,
        "savepoint" | "release" => Family::Savepoint,
        "set"
        | "reset"
        | "reset_all"
        | "set_role"
        | "set_session_authorization"
        | "set_search_path"
        | "set_row_security"
        | "set_lexing"
        | "set_transaction" => Family::Set,
        "show" => Family::Show,
        "explain" => Family::Explain,
        "prepare" => Family::Prepare,
        "execute" => Family::Execute,
        "deallocate" | "deallocate_all" => Family::Deallocate,
        "declare_cursor" => Family::Declare,
        "fetch" => Family::Fetch,
        "close_cursor" | "close_cursor_all" => Family::Close,
        "discard_all" | "discard_plans" | "discard_sequences" | "discard_temp" => Family::Discard,
        "listen" => Family::Listen,
        "unlisten" => Family::Unlisten,
        "notify" => Family::Notify,
        "call" => Family::Call,
        "lock_table" => Family::Lock,
        "vacuum" => Family::Vacuum,
        "analyze" => Family::Analyze,
        _ if kind.starts_with("create_") => Family::Create,
        _ if kind.starts_with("alter_") => Family::Alter,
        _ if kind.starts_with("drop_") => Family::Drop,
        _ => return None,
    })
}
