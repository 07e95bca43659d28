//! What the client asks for, and what becomes of it once it is decided.
//!
//! | message | |
//! | --- | --- |
//! | Query, Parse, Execute | an event: held until it is decided |
//! | Bind, Describe, Close, Sync, Flush, Terminate | uneventful: forwarded |
//! | CopyData, CopyDone, CopyFail | forwarded while a permitted COPY takes in data, else dropped as a server drops them |
//! | FunctionCall | of large objects: as Query; others are refused: a number shows nothing to judge |
//! | anything else | the end of the session |

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    id::EventId,
    mask::MaskPlan,
    permit::{Denial, Permit},
    session::{ProtocolError, Side},
    sql::{self, Analysis, Effects, Grade, SqlPhase},
};

use super::{
    Limits,
    budget::{self, GROWTH},
    calls::call_objection,
    masking::Masks,
    objection::{
        Objection, again_objection, changes_lexing, encoding_objection, failed_objection, fetch_objection,
        guesses, hidden_code, is_unread, mode_objection, objection, unsure_objection,
    },
    pipeline::{Expect, REFUSED_NAME, REFUSED_TEXT, RunningQuery},
    prepared::beyond,
    relay::{Desk, Held, NameKind, Portal, Prepared, Relay, Request, Skipping, Undo, digest_of},
};
use crate::{
    backend::ready_for_query::Transaction,
    frame::{Frame, HEADER, Inbox},
    frontend::{
        bind, execute,
        name::{self, Name},
        parse, query, tag,
    },
    mask::ResolvedPlan,
    reply::{self, Report},
};

impl Relay {
    /// Reads the client's messages until one is held, or there are no more.
    pub(super) fn read_downstream(
        &mut self,
        inbox: &mut Inbox,
        desk: &mut Desk<'_>,
    ) -> Result<(), ProtocolError> {
        loop {
            if self.passing_up > 0 {
                let part = inbox.take(self.passing_up);
                if part.is_empty() {
                    return Ok(());
                }
                self.passing_up -= part.len();
                desk.upstream(part);
                continue;
            }
            if self.barrier && self.pipeline.is_empty() {
                self.barrier = false;
            }
            if !self.reads_requests(&desk.shared.limits) {
                return Ok(());
            }
            let Some(header) = inbox.peek_header() else { return Ok(()) };
            let (tag, size) = header.map_err(|bad| bad.on(Side::Downstream))?;
            // The client may send data before the target has said that it takes some. What comes next is
            // looked at anew each time: a batch behind such a COPY must not wait for it any more. In a batch, the target is asked to
            // say so: it may otherwise wait for a Sync that never comes.
            let before = self.early_copy;
            self.early_copy = matches!(tag, tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL)
                && !self.copy_in
                && !self.pipeline.is_empty()
                && self.skipping == Skipping::No;
            if self.early_copy {
                if !before && self.batch_open {
                    desk.upstream(reply::flush());
                }
                return Ok(());
            }
            if tag == tag::COPY_DATA && self.copy_in {
                self.passing_up = size;
                continue;
            }
            if matches!(tag, tag::PARSE | tag::BIND) && self.wants_room(size, desk) {
                return Ok(());
            }
            let limit = desk.shared.limits.message;
            let Some(frame) = inbox.cut(Side::Downstream, |tag| largest(tag, limit))? else {
                return Ok(());
            };
            self.request(frame, desk)?;
        }
    }

    /// Can a request of the client be taken up now?
    pub(super) fn reads_requests(&self, limits: &Limits) -> bool {
        let full = self.pipeline.len() >= limits.pipeline;
        let early = self.early_copy && !self.copy_in && !self.pipeline.is_empty();
        // The target waits for the data of a COPY: nothing else can be read as a request then.
        let barred = self.barrier && !self.copy_in;
        self.held.is_none() && !barred && !full && !early && !self.said_goodbye && !self.is_over()
    }

    /// Must a message of `size` bytes wait until the target has answered what is before it?
    ///
    /// Whatever a message replaces is kept until then, because the target may still skip the message. It
    /// is asked to answer now: it may otherwise wait for a Sync that stands behind this message.
    fn wants_room(&mut self, size: usize, desk: &mut Desk<'_>) -> bool {
        let most = self.budget.kept().saturating_add(size.saturating_mul(GROWTH));
        let busy = !self.pipeline.is_empty() && self.skipping == Skipping::No && !self.copy_in;
        if !busy || most <= desk.shared.limits.kept {
            return false;
        }
        desk.upstream(reply::flush());
        self.barrier = true;
        true
    }

    /// Is there room for `more` bytes in place of `replaced`?
    fn has_room(&self, more: usize, replaced: Option<usize>, limits: &Limits) -> bool {
        self.budget.kept().saturating_sub(replaced.unwrap_or(0)).saturating_add(more) <= limits.kept
    }

    fn request(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        if self.copy_in {
            return self.request_during_copy(frame, desk);
        }
        if self.skipping != Skipping::No && !matches!(frame.tag, tag::SYNC | tag::TERMINATE) {
            return known(frame.tag);
        }
        match frame.tag {
            tag::QUERY if self.is_lexer_unsure() && !reads_alike(&frame) => {
                self.refuse_query(lexer_unsure(), desk);
            }
            tag::PARSE if self.is_lexer_unsure() && !reads_alike(&frame) => {
                self.refuse_batch(lexer_unsure(), desk);
            }
            tag::QUERY => {
                let text = self.read(query::decode(frame.body())?, desk);
                let judged = self.judged(&text, &desk.shared.limits);
                let payload = digest_of(&[&frame.bytes, beyond(&text, &judged.analysis)]);
                let request = Request::Query { frame };
                self.decide(request, SqlPhase::Query, judged, Vec::new(), payload, desk);
            }
            tag::PARSE => {
                let parse = parse::decode(frame.body())?;
                if parse.name.len() > LONGEST_NAME {
                    self.refuse_batch(name_too_long(), desk);
                    return Ok(());
                }
                let text = self.read(parse.text, desk);
                let judged = self.judged(&text, &desk.shared.limits);
                let (name, digest) = (Box::from(parse.name), digest_of(&[&frame.bytes]));
                if self.statements.len() >= desk.shared.limits.prepared {
                    self.refuse_batch(too_many("prepared statements"), desk);
                    return Ok(());
                }
                let replaced = self.statements.get(&name).map(|old| old.charge.bytes());
                if !self.has_room(budget::of_statement(&text), replaced, &desk.shared.limits) {
                    self.refuse_batch(too_large(&desk.shared.limits), desk);
                    return Ok(());
                }
                let payload = match beyond(&text, &judged.analysis) {
                    [] => digest,
                    beyond => digest_of(&[&frame.bytes, beyond]),
                };
                let request = Request::Parse { frame, name, digest, text };
                self.decide(request, SqlPhase::Parse, judged, Vec::new(), payload, desk);
            }
            tag::BIND => self.bind(frame, desk)?,
            tag::EXECUTE => {
                let name = execute::decode(frame.body())?;
                if name.len() > LONGEST_NAME {
                    self.refuse_batch(name_too_long(), desk);
                    return Ok(());
                }
                let Some(portal) = self.portals.get(name) else {
                    // It may exist at the target, as a cursor that SQL opened: what it would run was not
                    // judged as this portal, so it is not run as one.
                    self.refuse_batch(missing("34000", "portal", name), desk);
                    return Ok(());
                };
                let judged = self.judged(&portal.analysis, &desk.shared.limits);
                let beyond = beyond(&portal.analysis, &judged.analysis);
                let payload = digest_of(&[portal.digest.as_bytes(), &frame.bytes, beyond]);
                let parameters = portal.parameters.clone();
                let request = Request::Execute { portal: Box::from(name), frame };
                self.decide(request, SqlPhase::Execute, judged, parameters, payload, desk);
            }
            tag::DESCRIBE => {
                let expect = match name::decode(frame.body(), "Describe")? {
                    Name::Statement(name) | Name::Portal(name) if name.len() > LONGEST_NAME => {
                        self.refuse_batch(name_too_long(), desk);
                        return Ok(());
                    }
                    Name::Statement(_) => Expect::DescribeStatement,
                    Name::Portal(_) => Expect::DescribePortal,
                };
                self.forward_in_batch(frame.bytes, expect, desk);
            }
            tag::CLOSE => {
                let undo = match name::decode(frame.body(), "Close")? {
                    Name::Statement(name) | Name::Portal(name) if name.len() > LONGEST_NAME => {
                        self.refuse_batch(name_too_long(), desk);
                        return Ok(());
                    }
                    Name::Statement(name) => {
                        self.names.forget(name);
                        Undo::Statement(Box::from(name), self.statements.remove(name))
                    }
                    Name::Portal(name) => Undo::Portal(Box::from(name), self.portals.remove(name)),
                };
                self.forward_in_batch(frame.bytes, Expect::Close { undo }, desk);
            }
            tag::FLUSH => {
                empty(&frame, "Flush")?;
                desk.upstream(frame.bytes);
            }
            tag::SYNC => {
                empty(&frame, "Sync")?;
                self.sync(frame.bytes, desk);
            }
            tag::TERMINATE => {
                // What was sent before is done and answered first, as by the target itself.
                desk.upstream(reply::terminate());
                self.said_goodbye = true;
            }
            tag::FUNCTION_CALL => self.call(frame, desk)?,
            // Without a COPY these are out of place; a server ignores them, and so do we (threats A22).
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => {}
            other => return unknown(other),
        }
        Ok(())
    }

    /// What a text means, if that can still be told.
    fn read(&self, text: &str, desk: &Desk<'_>) -> Arc<Analysis> {
        if self.strings_unsure {
            return desk.shared.analyser.unread(text, "this session has changed how strings are read");
        }
        desk.shared.analyser.analyse(text)
    }

    /// May what the target reads now mean something else than what we read? In a session that has switched, nothing is read at all.
    const fn is_lexer_unsure(&self) -> bool {
        // For whom columns are masked, whatever has run may have: a view over the settings, somebody's trigger.
        (self.lexer_unsure || (self.masks_columns && self.batch_ran)) && !self.strings_unsure
    }

    fn request_during_copy(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        match frame.tag {
            tag::COPY_DONE | tag::COPY_FAIL => {
                self.copy_in = false;
                desk.upstream(frame.bytes);
                Ok(())
            }
            // A server ignores these while it takes in data (manual, section 55.2.6).
            tag::FLUSH | tag::SYNC => Ok(()),
            tag::TERMINATE => {
                desk.upstream(reply::copy_fail("the client left"));
                self.abandon(desk.outputs);
                desk.upstream(reply::terminate());
                self.leave();
                Ok(())
            }
            other => {
                desk.upstream(reply::copy_fail("the client broke the protocol"));
                Err(ProtocolError {
                    fault: Side::Downstream,
                    code: "pg.copy_state",
                    detail: Arc::from(format!(
                        "a message of type `{}` while COPY takes in data",
                        char::from(other).escape_default()
                    )),
                })
            }
        }
    }

    fn bind(&mut self, frame: Frame, desk: &mut Desk<'_>) -> Result<(), ProtocolError> {
        let bind = bind::decode(frame.body())?;
        if bind.portal.len() > LONGEST_NAME || bind.statement.len() > LONGEST_NAME {
            self.refuse_batch(name_too_long(), desk);
            return Ok(());
        }
        let Some(prepared) = self.statements.get(bind.statement) else {
            // It may exist at the target, prepared by SQL under the same name: see above.
            self.refuse_batch(missing("26000", "prepared statement", bind.statement), desk);
            return Ok(());
        };
        if self.portals.len() >= desk.shared.limits.prepared {
            self.refuse_batch(too_many("portals"), desk);
            return Ok(());
        }
        let more = budget::of_values(&bind.parameters);
        let replaced = self.portals.get(bind.portal).map(|old| old.charge.bytes());
        if !self.has_room(more, replaced, &desk.shared.limits) {
            self.refuse_batch(too_large(&desk.shared.limits), desk);
            return Ok(());
        }
        if !bind.portal.is_empty() && self.bound.len() >= desk.shared.limits.prepared {
            self.refuse_batch(too_many("portals"), desk);
            return Ok(());
        }
        let portal = Portal {
            analysis: Arc::clone(&prepared.analysis),
            parameters: bind.parameters,
            digest: digest_of(&[prepared.digest.as_bytes(), &frame.bytes]),
            charge: self.budget.charge(more),
            _statement: Arc::clone(&prepared.charge),
            started: false,
            bound_at: self.executed,
            known_at: match (bind.statement, bind.portal) {
                ("", "") => None,
                ("", _) => Some(self.names.hidden_runs()),
                _ => Some(prepared.known_at),
            },
        };
        if !bind.portal.is_empty() {
            self.bound.insert(Box::from(bind.portal));
        }
        let undo =
            Undo::Portal(Box::from(bind.portal), self.portals.insert(Box::from(bind.portal), portal));
        self.forward_in_batch(frame.bytes, Expect::Bind { undo }, desk);
        Ok(())
    }

    fn sync(&mut self, bytes: Bytes, desk: &mut Desk<'_>) {
        let lexer_unsure = self.is_lexer_unsure();
        self.batch_open = false;
        self.batch_ran = false;
        match std::mem::replace(&mut self.skipping, Skipping::No) {
            Skipping::Own => desk.downstream(reply::ready_for_query(self.transaction)),
            Skipping::No | Skipping::Target => {
                // A name that the target has not accepted yet may mean something else there. Within its batch
                // that does no harm: the target skips the rest. The next batch waits until it is known.
                self.barrier |= self.pipeline.names_something() || lexer_unsure;
                self.pipeline.push(Expect::Sync { is_own: false });
                desk.upstream(bytes);
            }
        }
    }

    fn forward_in_batch(&mut self, bytes: Bytes, expect: Expect, desk: &mut Desk<'_>) {
        self.batch_open = true;
        self.pipeline.push(expect);
        desk.upstream(bytes);
    }

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
        let objection =
            mode_objection(&held.analysis, masked).or_else(|| call_objection(&held.request, masked));
        if let Some(objection) = objection {
            self.object(held.event, &objection, held.request.is_simple(), desk);
            return Ok(());
        }
        self.masks_columns |= plan.as_ref().is_some_and(|plan| !plan.columns.is_empty());
        match plan {
            Some(plan) if self.needs_catalog(&held.analysis, &plan, desk) => {
                if self.is_ignored(&held) {
                    self.object(held.event, &failed_objection(), true, desk);
                    return Ok(());
                }
                self.read_catalog(desk);
                self.held = Some(Held { waiting_for_catalog: Some(plan), ..held });
            }
            plan => self.release(held, plan, desk),
        }
        Ok(())
    }

    /// Will the target ignore this, because its transaction has failed? Then the catalog can not be read either.
    fn is_ignored(&self, held: &Held) -> bool {
        self.transaction == Transaction::Failed
            && self.pipeline.is_empty()
            && matches!(held.request, Request::Query { .. })
            && held.analysis.grade != Grade::Opaque
            && !held.analysis.effects().transaction
    }

    /// Must the catalog be read before this statement can go? One that touches no data needs none, so that
    /// a failed transaction, in which nothing can be read, can be ended.
    fn needs_catalog(&mut self, analysis: &Analysis, plan: &MaskPlan, desk: &Desk<'_>) -> bool {
        !plan.columns.is_empty() && touches_data(analysis) && !self.catalog.is_ready(&self.database, desk)
    }

    /// Sends a permitted request, or refuses it where its answer could not be masked.
    pub(super) fn release(&mut self, held: Held, plan: Option<Arc<MaskPlan>>, desk: &mut Desk<'_>) {
        let Held { event, analysis, charge, request, .. } = held;
        let simple = request.is_simple();
        if self.skipping != Skipping::No {
            desk.not_sent(event, "skipped");
            return;
        }
        let plan = plan.filter(|_| touches_data(&analysis));
        let resolved = match plan.as_ref().map_or(Ok(None), |plan| self.catalog.resolve(plan)) {
            Ok(resolved) => resolved,
            Err(objection) => return self.object(event, &objection, simple, desk),
        };
        if let Some(objection) = objection(&analysis, resolved.as_deref()) {
            return self.object(event, &objection, simple, desk);
        }
        if self.folds_otherwise && resolved.is_some() && !analysis.text.is_ascii() {
            return self.object(event, &encoding_objection(), simple, desk);
        }
        if let Some(objection) = self.guess_objection(&request, &analysis, resolved.as_deref(), desk) {
            return self.object(event, &objection, simple, desk);
        }
        let masks = Masks::new(plan, resolved, &analysis, charge);
        if let Some(objection) = self.name_objection(&request, &analysis, &masks) {
            return self.object(event, &objection, simple, desk);
        }
        self.note_effects(event, &analysis, desk);
        self.touched_masked |= masks.hides_reports();
        self.strings_unsure |= changes_lexing(&analysis);
        match request {
            Request::Query { frame } | Request::Call { frame } => {
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
            Request::Parse { frame, name, digest, text } => {
                self.names.forget(&name);
                let prepared = Prepared::new(text, digest, self.names.hidden_runs(), &self.budget);
                let old = self.statements.insert(name.clone(), prepared);
                let undo = Undo::Statement(name, old);
                self.forward_in_batch(frame.bytes, Expect::Parse { event, undo }, desk);
            }
            Request::Execute { frame, portal } => {
                self.executed += 1;
                self.batch_ran = true;
                if masks.wants_description() {
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

    /// A denial has come: the held request is dropped, and the client and the target see an error there.
    pub(super) fn denied(&mut self, denial: &Denial, desk: &mut Desk<'_>) {
        let Some(held) = self.held.take_if(|held| held.event == denial.event) else { return };
        let error = reply::denial(denial);
        match held.request {
            Request::Query { .. } | Request::Call { .. } => self.refuse_query(error, desk),
            Request::Parse { .. } | Request::Execute { .. } => {
                if self.skipping == Skipping::No {
                    self.refuse_batch(error, desk);
                }
            }
        }
    }

    pub(super) fn object(
        &mut self,
        event: EventId,
        objection: &Objection,
        simple: bool,
        desk: &mut Desk<'_>,
    ) {
        desk.not_sent(event, objection.code);
        let error = objection.encode();
        if simple { self.refuse_query(error, desk) } else { self.refuse_batch(error, desk) }
    }

    /// Answers a Query (or FunctionCall) with an error, in its place.
    pub(super) fn refuse_query(&mut self, error: Bytes, desk: &mut Desk<'_>) {
        if self.skipping != Skipping::No {
            // Its batch has failed meanwhile: nobody is answered.
        } else if self.target_is_quiet() {
            desk.downstream(error);
            desk.downstream(reply::ready_for_query(self.transaction));
        } else {
            self.pipeline.push(Expect::RefusedQuery { error });
            desk.upstream(reply::query(REFUSED_TEXT));
        }
    }

    /// Answers a message of a batch with an error, in its place, and skips the rest of the batch.
    pub(super) fn refuse_batch(&mut self, error: Bytes, desk: &mut Desk<'_>) {
        if self.target_is_quiet() {
            desk.downstream(error);
            self.skipping = Skipping::Own;
        } else {
            self.batch_open = true;
            self.pipeline.push(Expect::RefusedBatch { error });
            desk.upstream(reply::parse(REFUSED_NAME, REFUSED_TEXT));
            self.skipping = Skipping::Target;
        }
    }

    /// Keeps our tables of names the target's, where SQL can change what a name stands for.
    fn note_effects(&mut self, event: EventId, analysis: &Arc<Analysis>, desk: &Desk<'_>) {
        self.names.note(event, analysis, &self.budget, &desk.shared.limits);
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
            if let Some(name) = &statement.declares {
                self.forget_name(&(NameKind::Portal, Box::from(&**name)));
            }
            let hidden = hidden_code(statement);
            self.lexer_unsure |= hidden;
            if statement.effects.ddl || hidden {
                self.defines = true;
            }
            if statement.effects.ddl {
                self.catalog.outdate();
                desk.shared.catalogs.forget(&self.database);
            }
            // What is rolled back takes its definitions along.
            if statement.effects.transaction {
                self.catalog.outdate_private();
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

/// Is its text read alike whatever `standard_conforming_strings` and `client_encoding` are? Backslashes and what is no ASCII are what they are about.
fn reads_alike(frame: &Frame) -> bool {
    frame.body().is_ascii() && !frame.body().contains(&b'\\')
}

/// The largest frame of each type, in bytes, when `limit` is the largest that carries text or values.
fn largest(tag: u8, limit: usize) -> usize {
    match tag {
        tag::QUERY | tag::PARSE | tag::BIND | tag::FUNCTION_CALL | tag::COPY_DATA => limit,
        // `PQ_SMALL_MESSAGE_LIMIT` of PostgreSQL's `libpq/libpq.h`.
        _ => 10_000,
    }
}

fn known(tag: u8) -> Result<(), ProtocolError> {
    match tag {
        tag::QUERY
        | tag::PARSE
        | tag::BIND
        | tag::EXECUTE
        | tag::DESCRIBE
        | tag::CLOSE
        | tag::FLUSH
        | tag::FUNCTION_CALL
        | tag::COPY_DATA
        | tag::COPY_DONE
        | tag::COPY_FAIL => Ok(()),
        other => unknown(other),
    }
}

fn unknown(tag: u8) -> Result<(), ProtocolError> {
    Err(ProtocolError {
        fault: Side::Downstream,
        code: "pg.unknown_message",
        detail: Arc::from(format!("invalid frontend message type {tag}")),
    })
}

fn empty(frame: &Frame, message: &'static str) -> Result<(), ProtocolError> {
    if frame.bytes.len() == HEADER {
        Ok(())
    } else {
        Err(crate::reader::Malformed::Trailing.in_message(Side::Downstream, message))
    }
}

/// The longest name that a target tells from all others, in bytes: it cuts longer ones (`NAMEDATALEN` of
/// PostgreSQL's `pg_config_manual.h`, less one).
const LONGEST_NAME: usize = 63;

fn name_too_long() -> Bytes {
    Report {
        severity: "ERROR",
        sqlstate: "42622",
        message: "the name of a statement or portal is longer than 63 bytes",
        detail: "code: pg.name_too_long",
        hint: "use a shorter name",
    }
    .encode()
}

fn lexer_unsure() -> Bytes {
    Report {
        severity: "ERROR",
        sqlstate: "0A000",
        message: "code that can not be seen has run in this batch, and may have changed how text is read",
        detail: "code: pg.lexer_unsure",
        hint: "send Sync before a statement that has a backslash or is not in ASCII",
    }
    .encode()
}

fn missing(sqlstate: &'static str, what: &str, name: &str) -> Bytes {
    let message = if name.is_empty() {
        format!("unnamed {what} does not exist")
    } else {
        format!("{what} \"{name}\" does not exist")
    };
    Report { severity: "ERROR", sqlstate, message: &message, detail: "", hint: "" }.encode()
}

fn too_many(what: &str) -> Bytes {
    let message = format!("too many {what} in one session");
    Report {
        severity: "ERROR",
        sqlstate: "54000",
        message: &message,
        detail: "code: pg.limit",
        hint: "close some",
    }
    .encode()
}

fn too_large(limits: &Limits) -> Bytes {
    let message = format!(
        "the prepared statements and bound values of this session take more than {} bytes",
        limits.kept
    );
    Report {
        severity: "ERROR",
        sqlstate: "53200",
        message: &message,
        detail: "code: pg.limit",
        hint: "close some, or end the transaction whose portals they are, and send it again",
    }
    .encode()
}
