//! What becomes of a request once it is permitted: it is sent, or refused where its answer could not be masked.

use std::sync::Arc;

use gatewright_model::{
    id::EventId,
    mask::MaskPlan,
    permit::Permit,
    session::{ProtocolError, Side},
    sql::{self, Analysis, Effects, Grade},
};

use super::{
    calls::call_objection,
    catalog_reading::is_ignored,
    complaint::lexer_unsure,
    definitions::scope_of,
    masking::Masks,
    objection::{
        Objection, again_objection, changes_lexing, encoding_objection, failed_objection, fetch_objection,
        guesses, hidden_code, is_unread, mode_objection, objection, own_name_objection, unsure_objection,
    },
    pipeline::{Expect, RunningQuery},
    relay::{Desk, Held, NameKind, Prepared, Relay, Request, Skipping, Undo},
    requests::is_read_alike,
};
use crate::{backend::ready_for_query::Transaction, frontend::tag, mask::ResolvedPlan, reply};

impl Relay {
    /// A permit has come: the held request goes on, if masking can keep its word.
    pub(super) fn permitted(&mut self, permit: Permit, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let Some(held) = self.held.take().filter(|held| held.event == permit.event()) else {
            return Err(ProtocolError {
                fault: Side::Downstream,
                code: "gateway.permit",
                detail: Arc::from("a permit for an event that is not held"),
            });
        };
        let plan = permit.consume().filter(|plan| !plan.is_empty());
        if self.skipping != Skipping::No {
            // Its batch has failed meanwhile: the target ignores it, and answers nothing.
            desk.not_sent(held.event, "skipped");
            return Ok(());
        }
        let masked = plan.is_some();
        let objection = mode_objection(&held.analysis, masked)
            .or_else(|| call_objection(&held.request, masked))
            .or_else(|| own_name_objection(&held.analysis));
        if let Some(objection) = objection {
            self.object(held.event, &objection, held.request.is_simple(), desk);
            return Ok(());
        }
        self.masks_columns |= plan.as_ref().is_some_and(|plan| !plan.columns.is_empty());
        match plan {
            Some(plan) if self.needs_catalog(&held.analysis, &plan, desk) => {
                if is_ignored(&held, self.transaction, &self.pipeline) {
                    self.object(held.event, &failed_objection(), true, desk);
                    return Ok(());
                }
                self.fetch_catalog(desk);
                self.held = Some(Held { waiting_for_catalog: Some(plan), ..held });
            }
            plan => self.release(held, plan, desk),
        }
        Ok(())
    }

    /// Must the catalog be read before this statement can go? One that touches no data needs none, so that
    /// a failed transaction, in which nothing can be read, can be ended.
    fn needs_catalog(&mut self, analysis: &Analysis, plan: &MaskPlan, desk: &Desk<'_>) -> bool {
        !plan.columns.is_empty() && touches_data(analysis) && !self.is_catalog_ready(analysis, desk)
    }

    /// Sends a permitted request, or refuses it where its answer could not be masked.
    pub(super) fn release(&mut self, held: Held, plan: Option<Arc<MaskPlan>>, desk: &mut Desk<'_>) {
        let Held { event, analysis, charge, request, .. } = held;
        let simple = request.is_simple();
        if self.skipping != Skipping::No {
            desk.not_sent(event, "skipped");
            return;
        }
        if self.is_cancelled() {
            desk.not_sent(event, "pg.cancelled");
            return self.refuse(&request, reply::cancelled("pg.cancelled", None), desk);
        }
        let gives_no_data = plan.is_some() && !touches_data(&analysis);
        let plan = plan.filter(|_| !gives_no_data);
        let resolved = match plan.as_ref().map_or(Ok(None), |plan| self.catalog.resolve(plan)) {
            Ok(resolved) => resolved,
            Err(objection) => return self.object(event, &objection, simple, desk),
        };
        if let Some(objection) = objection(&analysis, resolved.as_deref()) {
            desk.not_sent(event, objection.code);
            return self.refuse_unread(&request, &analysis, objection.encode(), desk);
        }
        if self.folds_otherwise && resolved.is_some() && !analysis.text.is_ascii() {
            return self.object(event, &encoding_objection(), simple, desk);
        }
        if let Some(objection) = self.guess_objection(&request, &analysis, resolved.as_deref(), desk) {
            return self.object(event, &objection, simple, desk);
        }
        let mut masks = if gives_no_data {
            Masks::of_no_data()
        } else {
            Masks::new(plan, resolved, &analysis, charge, &self.cursors)
        };
        if let Some(objection) = self.name_objection(&request, &analysis, &masks) {
            return self.object(event, &objection, simple, desk);
        }
        // The question about a COPY is read now, and the COPY was read when it was prepared.
        let copied = masks.copied_query();
        if !simple
            && self.is_lexer_unsure()
            && copied.as_ref().is_some_and(|query| !is_read_alike(query.as_bytes()))
        {
            desk.not_sent(event, "pg.lexer_unsure");
            return self.refuse_batch(lexer_unsure(), desk);
        }
        if let Some(basis) = self.catalog.basis() {
            let fetches = analysis.statements.iter().any(|statement| statement.fetches.is_some());
            masks.rest_on(basis, fetches.then(|| self.catalog.history()).flatten());
        }
        self.note_effects(event, &analysis, desk);
        self.touched_masked |= masks.hides_reports();
        self.strings_unsure |= changes_lexing(&analysis);
        match (request, copied) {
            (Request::Query { .. }, Some(query)) => {
                self.executed += 1;
                self.run_copy(event, &analysis.text, &query, masks, desk);
            }
            (Request::Query { frame } | Request::Call { frame }, _) => {
                self.executed += 1;
                let unseen = analysis.statements.iter().any(hidden_code) || is_unread(&analysis);
                // For whom columns are masked, whatever runs may switch the lexer.
                self.barrier = analysis.effects().session || unseen || self.masks_columns;
                let frees_names = frees_all_names(&analysis);
                self.pipeline.push(Expect::Query(RunningQuery {
                    event,
                    rows: None,
                    answered: false,
                    failed: None,
                    masks,
                    frees_names,
                    calls: frame.tag == tag::FUNCTION_CALL,
                }));
                desk.upstream(frame.bytes);
            }
            (Request::Parse { frame, name, digest, text }, _) => {
                self.names.forget(&name);
                let prepared = Prepared::new(text, digest, self.names.hidden_runs(), &self.budget);
                let old = self.statements.insert(name.clone(), prepared);
                let undo = Undo::Statement(name, old);
                self.forward_in_batch(frame.bytes, Expect::Parse { event, undo }, desk);
            }
            (Request::Execute { frame, portal }, copied) => {
                self.executed += 1;
                self.batch_ran = true;
                if let Some(portal) = self.portals.get(&portal) {
                    masks.of_portal(&portal.analysis);
                }
                if let Some(query) = copied {
                    self.ask_about_copy(&query, desk);
                } else if masks.wants_description() {
                    let describe = reply::describe_portal(&portal);
                    self.forward_in_batch(describe, Expect::OwnDescribe, desk);
                }
                self.forward_in_batch(frame.bytes, Expect::Execute { event, masks }, desk);
            }
        }
    }

    /// Objects to rows that are chosen by a masked column more often than a policy lets one principal do that. A Parse runs nothing, and is no guess.
    fn guess_objection(
        &self,
        request: &Request,
        analysis: &Analysis,
        plan: Option<&ResolvedPlan>,
        desk: &Desk<'_>,
    ) -> Option<Objection> {
        let runs = !matches!(request, Request::Parse { .. });
        guesses(analysis, plan?).into_iter().find_map(|(column, most)| {
            let may = if runs {
                desk.shared.guesses.take(&self.subject, &column, most, desk.now)
            } else {
                most > 0
            };
            (!may).then(|| Objection::guess(&column, most))
        })
    }

    /// Objects to a request that runs what a name stands for, where that may be something else by now than
    /// what was judged, or was described.
    fn name_objection(
        &mut self,
        request: &Request,
        analysis: &Analysis,
        masks: &Masks,
    ) -> Option<Objection> {
        if !matches!(request, Request::Parse { .. }) {
            let mut fetched =
                analysis.statements.iter().filter_map(|statement| statement.fetches.as_deref());
            if fetched.any(|name| self.bound.contains(name)) {
                return Some(fetch_objection());
            }
        }
        let Request::Execute { portal, .. } = request else { return None };
        let (executed, hidden_runs) = (self.executed, self.names.hidden_runs());
        let portal = self.portals.get_mut(portal)?;
        let again = std::mem::replace(&mut portal.started, true) || portal.bound_at != executed;
        let by_name = || again.then(|| again_objection(&portal.analysis, masks)).flatten();
        let surely_known = portal.known_at.is_none_or(|known_at| known_at == hidden_runs);
        let unsure = || (!surely_known).then(|| unsure_objection(analysis, masks)).flatten();
        by_name().or_else(unsure)
    }

    /// Keeps our tables of names the target's, where SQL can change what a name stands for.
    fn note_effects(&mut self, event: EventId, analysis: &Arc<Analysis>, desk: &Desk<'_>) {
        self.names.note(event, analysis, &self.budget, &desk.shared.limits);
        self.cursors.note(event, analysis, &self.budget, &desk.shared.limits);
        if is_unread(analysis) {
            self.lexer_unsure = true;
            self.defines = true;
        }
        for statement in analysis.statements.iter() {
            match &statement.prepared {
                // PREPARE shares its names with Parse. A name that is taken can not be prepared again, so
                // what we know stays true until SQL frees names.
                Some(sql::Prepared::Deallocate { .. }) => self.names_freed = true,
                Some(sql::Prepared::Prepare { name, .. }) if self.names_freed => {
                    self.forget_name(&(NameKind::Statement, Box::from(&**name)));
                }
                _ => {}
            }
            // Shares its names with Bind.
            if let Some(declared) = &statement.declares {
                self.forget_name(&(NameKind::Portal, Box::from(&*declared.name)));
            }
            let hidden = hidden_code(statement);
            self.lexer_unsure |= hidden;
            if statement.effects.ddl || hidden {
                self.defines = true;
            }
            if let Some(scope) = scope_of(statement) {
                if self.pipeline.may_end_transaction() {
                    self.catalog.may_end_transaction();
                }
                // It may commit as often as it likes.
                let is_several = statement.kind == "do";
                self.catalog.outdate(scope, is_several, &self.database, desk);
            }
            // What is rolled back takes its definitions along.
            if statement.effects.transaction {
                self.catalog.outdate_private();
            }
            let is_alone =
                self.transaction == Transaction::Idle && COMMIT_BY_THEMSELVES.contains(&statement.kind);
            if is_alone || ENDS.contains(&statement.kind) {
                self.catalog.may_end_transaction();
            }
        }
    }
}

/// Is no name of a prepared statement left once the text has run?
fn frees_all_names(analysis: &Analysis) -> bool {
    let frees_all = |statement: &sql::Statement| {
        matches!(statement.prepared, Some(sql::Prepared::Deallocate { name: None }))
    };
    analysis.statements.iter().any(frees_all)
}

/// Can any statement of the text show or change data? What only begins, ends or sets something can not.
fn touches_data(analysis: &Analysis) -> bool {
    analysis.grade != Grade::Verified
        || analysis.statements.iter().any(|statement| {
            let Effects { read, write, ddl, host_access, dynamic, .. } = statement.effects;
            let idle = IDLE.contains(&statement.kind);
            !idle || read || write || ddl || host_access || dynamic
        })
}

/// Kinds of statements that end a transaction, and perhaps begin another one, or may run something that does.
const ENDS: [&str; 5] = ["call", "commit", "execute", "prepare_transaction", "rollback"];

/// Kinds that end the transaction of a batch where they stand (`PreventInTransactionBlock` of PostgreSQL's `xact.c`), or some of which do. In a
/// transaction that a client has begun they fail.
const COMMIT_BY_THEMSELVES: [&str; 19] = [
    "alter_database",
    "alter_subscription",
    "alter_system",
    "alter_type",
    "analyze",
    "cluster",
    "commit_prepared",
    "create_database",
    "create_index",
    "create_subscription",
    "create_tablespace",
    "discard_all",
    "drop_database",
    "drop_index",
    "drop_subscription",
    "drop_tablespace",
    "reindex",
    "rollback_prepared",
    "vacuum",
];

/// Kinds of statements that only begin, end or set something.
const IDLE: [&str; 10] = [
    "begin",
    "start_transaction",
    "commit",
    "rollback",
    "savepoint",
    "release",
    "rollback_to_savepoint",
    "set",
    "set_transaction",
    "show",
];
