//! What SQL's FETCH reads.
//!
//! The target describes what a cursor computes by types only. What it is computed of stands in the DECLARE, and that is believed
//! once the target has accepted it, for as long as nothing could have given the cursor's name another meaning: its transaction goes on,
//! nothing is closed, rolled back or defined in it, and no code runs that can not be seen. Of any other cursor, what is computed is
//! withheld from those for whom columns are masked.

use std::{collections::HashMap, sync::Arc};

use gatewright_model::{
    id::EventId,
    sql::{Analysis, Declared, Grade, Statement},
};

use super::{
    Limits,
    budget::{self, Budget, Charge},
    ledger::Ledger,
    objection::{hidden_code, is_unread},
};

/// The cursors that are known, each with its query.
#[derive(Debug, Default)]
pub(super) struct Cursors(Ledger<Kept>);

/// The query of a cursor, and what its text takes.
type Kept = (Arc<Statement>, Arc<Charge>);

impl Cursors {
    /// Notes what a message that is sent now does to cursors. What there is no room for is not known later.
    pub(super) fn note(
        &mut self,
        event: EventId,
        analysis: &Arc<Analysis>,
        budget: &Budget,
        limits: &Limits,
    ) {
        if is_unread(analysis) || analysis.statements.iter().any(may_change) {
            self.forget_all();
        }
        let last = analysis.statements.iter().rposition(may_change).map_or(0, |at| at + 1);
        let declared =
            || analysis.statements.iter().skip(last).filter_map(|statement| statement.declares.as_ref());
        declared().for_each(|declared| self.0.forget(&declared.name));
        let bytes = budget::of_statement(analysis);
        let has_room = budget.kept().saturating_add(bytes) <= limits.kept;
        if declared().next().is_some() && has_room && analysis.grade == Grade::Verified {
            let charge = Arc::new(budget.charge(bytes));
            let kept = |declared: &Declared| {
                (Arc::clone(&declared.name), (Arc::clone(&declared.query), Arc::clone(&charge)))
            };
            self.0.promise(event, declared().map(kept).collect());
        }
    }

    /// See [`Ledger::settle`].
    pub(super) fn settle(&mut self, event: EventId, ok: bool, limit: usize) {
        self.0.settle(event, ok, limit);
    }

    /// See [`Ledger::settle_rest`].
    pub(super) fn settle_rest(&mut self) {
        self.0.settle_rest();
    }

    /// Every name may stand for something else from now on.
    pub(super) fn forget_all(&mut self) {
        self.0.forget_all();
    }

    /// The queries of what a text fetches from, by the place of the statement in it.
    pub(super) fn fetched(&self, analysis: &Analysis) -> Vec<(usize, Arc<Statement>)> {
        let mut fetched = Vec::new();
        // What this text has declared so far; None once nothing is known of cursors from before it.
        let mut own: HashMap<&str, &Arc<Statement>> = HashMap::new();
        let mut before = Some(&self.0);
        for (at, statement) in analysis.statements.iter().enumerate() {
            if let Some(name) = statement.fetches.as_deref() {
                let from_before = || Some(&before?.get(name)?.0);
                let query = own.get(name).copied().or_else(from_before);
                fetched.extend(query.map(|query| (at, Arc::clone(query))));
            }
            if may_change(statement) {
                own.clear();
                before = None;
            }
            if let Some(declared) = &statement.declares {
                own.insert(&declared.name, &declared.query);
            }
        }
        fetched
    }
}

/// May it end cursors, give their names to others, or change what the names in their queries stand for?
fn may_change(statement: &Statement) -> bool {
    let goes_on =
        ["begin", "start_transaction", "savepoint", "release", "set_transaction", "set_constraints"];
    let effects = statement.effects;
    hidden_code(statement)
        || effects.ddl
        || (effects.transaction && !goes_on.contains(&statement.kind))
        || ["close", "discard"].iter().any(|start| statement.kind.starts_with(start))
}
