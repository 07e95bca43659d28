//! What changes the session: settings, roles, transactions, prepared statements, cursors; and what runs
//! SQL that is not in the text.

use std::sync::Arc;

use gatewright_model::sql::{Declared, Prepared};
use pg_query::{
    NodeEnum,
    protobuf::{
        self, CallStmt, ConstraintsSetStmt, DeallocateStmt, DeclareCursorStmt, DiscardMode, DoStmt,
        ExecuteStmt, PrepareStmt, TransactionStmt, TransactionStmtKind, VariableSetStmt,
    },
};

use super::{Visit, Walk};
use crate::{functions::Harmless, kind};

/// What pg_dump sets where the server has a setting for it, whose name it therefore reads from a table. Whatever setting that is,
/// of those that matter here only `search_path` takes such a value; a role would have to be called so.
const PG_DUMP_VALUE: &str = "view, foreign-table";

impl Walk {
    /// BEGIN and its kin: kind says which.
    pub(super) fn transaction(&mut self, transaction: &TransactionStmt) {
        let TransactionStmt { kind, options, savepoint_name: _, gid: _, chain: _, location: _ } =
            transaction;
        self.effects.transaction = true;
        // What was prepared waits for whoever ends it, in whatever session.
        use TransactionStmtKind as T;
        let prepared = [T::TransStmtPrepare, T::TransStmtCommitPrepared, T::TransStmtRollbackPrepared];
        self.effects.write |= T::try_from(*kind).is_ok_and(|kind| prepared.contains(&kind));
        options.visit(self);
    }

    pub(super) fn set(&mut self, set: &VariableSetStmt) {
        let VariableSetStmt { kind: _, name: _, args, jumble_args: _, is_local: _, location: _ } = set;
        self.effects.session = true;
        if kind::is_set_transaction(set) {
            self.effects.transaction = true;
        }
        args.visit(self);
    }

    /// `ALTER ROLE .. SET`, `ALTER DATABASE .. SET`, `ALTER SYSTEM SET`: a setting of later sessions.
    pub(super) fn alter_setting(&mut self, set: &Option<VariableSetStmt>) {
        self.effects.ddl = true;
        if let Some(set) = set {
            set.args.visit(self);
        }
    }

    pub(super) fn set_constraints(&mut self, set: &ConstraintsSetStmt) {
        let ConstraintsSetStmt { constraints: _, deferred: _ } = set;
        self.effects.session = true;
        self.effects.transaction = true;
    }

    /// `set_config(name, value, local)` in a query is a SET in another spelling: where it names the role
    /// or the lexer, or does not say what it names, that is what the statement is.
    pub(super) fn set_config(&mut self, args: &[protobuf::Node]) {
        self.values_count = true;
        let mut arguments = args.iter().map(constant);
        let setting = arguments.next().flatten();
        let value = arguments.next().flatten();
        let Some(setting) = setting else {
            return match value {
                Some(PG_DUMP_VALUE) => self.kinds_found.insert(kind::SET_SEARCH_PATH),
                _ => self.finds_any_setting(),
            };
        };
        let Some(found) = kind::of_setting(setting, value) else { return };
        self.kinds_found.insert(found);
        if found == kind::SET_LEXING && kind::is_about_strings(setting) {
            self.doubt(OTHER_STRINGS);
        }
    }

    /// It may change any setting, whatever kind that is.
    pub(super) fn finds_any_setting(&mut self) {
        self.kinds_found.insert(kind::SET_ROLE);
        self.kinds_found.insert(kind::SET_LEXING);
        self.doubt(OTHER_STRINGS);
    }

    /// The body is judged as if it ran: EXECUTE will not show it again.
    pub(super) fn prepare(&mut self, prepare: &PrepareStmt) {
        let PrepareStmt { name: _, argtypes, query } = prepare;
        self.effects.session = true;
        self.parameter_types(argtypes);
        query.visit(self);
    }

    /// EXECUTE converts its arguments to them.
    fn parameter_types(&mut self, types: &[protobuf::Node]) {
        for target in types {
            target.visit(self);
            if let Some(NodeEnum::TypeName(target)) = &target.node {
                self.conversion(target);
            }
        }
    }

    /// What runs was prepared earlier, in a message that is not at hand here: whoever knows the session
    /// may put it in this place, see [`Prepared::Execute`].
    pub(super) fn execute(&mut self, execute: &ExecuteStmt) {
        let ExecuteStmt { name: _, params } = execute;
        self.runs_unseen_sql();
        params.visit(self);
    }

    pub(super) fn declare_cursor(&mut self, declare: &DeclareCursorStmt) {
        let DeclareCursorStmt { portalname: _, options: _, query } = declare;
        self.effects.session = true;
        query.visit(self);
    }

    pub(super) fn do_block(&mut self, block: &DoStmt) {
        // The code is a string in an option.
        let DoStmt { args } = block;
        self.runs_unseen_sql();
        args.visit(self);
    }

    pub(super) fn call_statement(&mut self, call: &CallStmt) {
        let CallStmt { funccall, funcexpr, outargs } = call;
        self.runs_unseen_sql();
        if let Some(call) = funccall {
            self.func_call(call);
        }
        if funcexpr.is_some() {
            self.doubt("an analysed call in a parse tree");
        }
        outargs.visit(self);
    }

    pub(super) fn runs_unseen_sql(&mut self) {
        self.effects.dynamic = true;
        self.effects.write = true;
    }
}

/// Why a statement that switches `standard_conforming_strings` off, or may, is not understood: what comes after
/// it will not be.
const OTHER_STRINGS: &str = "it changes how the strings in all that follows are read";

/// The doubt about a statement that is a SET, RESET or the like of its own.
pub(super) fn doubt(node: &NodeEnum) -> Option<&'static str> {
    match node {
        NodeEnum::VariableSetStmt(set) if kind::is_about_strings(&set.name) => {
            (kind::of(node) == Some(kind::SET_LEXING)).then_some(OTHER_STRINGS)
        }
        _ => None,
    }
}

/// What a statement does with the name of a prepared one.
pub(super) fn prepared(node: &NodeEnum, harmless: &Harmless) -> Option<Prepared> {
    match node {
        NodeEnum::PrepareStmt(prepare) => {
            let PrepareStmt { name, argtypes, query } = &**prepare;
            let body = query.as_ref()?.node.as_ref()?;
            let mut walk = Walk::new(harmless);
            walk.parameter_types(argtypes);
            let body = Arc::new(super::read(body, walk).statement);
            Some(Prepared::Prepare { name: Arc::from(name.as_str()), body })
        }
        NodeEnum::ExecuteStmt(execute) => {
            let ExecuteStmt { name, params } = execute;
            let mut walk = Walk::new(harmless);
            params.visit(&mut walk);
            Some(Prepared::Execute { name: Arc::from(name.as_str()), arguments: walk.effects })
        }
        NodeEnum::DeallocateStmt(deallocate) => {
            let DeallocateStmt { name, isall, location: _ } = deallocate;
            let name = (!isall).then(|| Arc::from(name.as_str()));
            Some(Prepared::Deallocate { name })
        }
        NodeEnum::DiscardStmt(discard) => {
            let all = DiscardMode::try_from(discard.target) == Ok(DiscardMode::DiscardAll);
            all.then_some(Prepared::Deallocate { name: None })
        }
        _ => None,
    }
}

/// The cursor that FETCH or MOVE reads.
pub(super) fn fetches(node: &NodeEnum) -> Option<Arc<str>> {
    match node {
        NodeEnum::FetchStmt(fetch) => Some(Arc::from(fetch.portalname.as_str())),
        _ => None,
    }
}

/// The cursor that DECLARE makes.
pub(super) fn declares(node: &NodeEnum, harmless: &Harmless) -> Option<Declared> {
    let NodeEnum::DeclareCursorStmt(declare) = node else { return None };
    let query = declare.query.as_ref()?.node.as_ref()?;
    let query = Arc::new(super::read(query, Walk::new(harmless)).statement);
    Some(Declared { name: Arc::from(declare.portalname.as_str()), query })
}

/// The text of a constant argument.
fn constant(node: &protobuf::Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(value)) => match &value.val {
            Some(protobuf::a_const::Val::Sval(string)) => Some(&string.sval),
            _ => None,
        },
        _ => None,
    }
}
