//! What the target answers, matched to what was asked.
//!
//! Whatever passes unchanged is collected into one run and sent as the slice it arrived in. A row that no
//! mask touches is not even waited for: it is forwarded in pieces, whatever its size.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::session::{Outcome, OutcomeResult, ProtocolError, Side};

use super::{
    login::mode_change,
    objection::Objection,
    pipeline::{Expect, RunningQuery},
    relay::{Desk, Relay, Skipping, Undo},
};
use crate::{
    backend::{
        command_complete, error_response, notification_response, parameter_status,
        ready_for_query::{self, Transaction},
        row_description, tag,
    },
    frame::{HEADER, Inbox},
    reply::Report,
};

/// What becomes of one message of the target.
enum Verdict {
    /// It goes to the client as it is.
    Pass,
    /// It was for the gateway.
    Swallow,
    /// Something else goes to the client in its place.
    Replace(Bytes),
}

impl Relay {
    /// Reads the target's messages.
    pub(super) fn read_upstream(
        &mut self,
        inbox: &mut Inbox,
        desk: &mut Desk<'_>,
    ) -> Result<(), ProtocolError> {
        // Bytes at the front of the inbox that pass and were not sent yet.
        let mut run = 0;
        loop {
            if self.passing_down > 0 {
                let part = inbox.take(self.passing_down);
                if part.is_empty() {
                    return Ok(());
                }
                self.passing_down -= part.len();
                desk.downstream(part);
                continue;
            }
            let Some(header) = inbox.peek_header_at(run) else { break };
            let (tag, size) = header.map_err(|bad| bad.on(Side::Upstream))?;
            let waiting = inbox.len() - run;
            if self.passes_unread(tag) {
                if waiting >= size {
                    run += size;
                    continue;
                }
                self.passing_down = size - waiting;
                desk.downstream(inbox.take(run + waiting));
                return Ok(());
            }
            if size > desk.shared.limits.answer {
                return Err(too_large(tag, size));
            }
            if waiting < size {
                break;
            }
            if matches!(
                self.pipeline.front(),
                Some(Expect::CatalogQuery { .. } | Expect::CatalogBatch { .. })
            ) {
                // Its end may send something to the client: what came before goes first.
                send_run(inbox, &mut run, desk);
            }
            let body = inbox.peek().get(run + HEADER..run + size).unwrap_or_default();
            match self.answer(tag, body, desk)? {
                Verdict::Pass => run += size,
                verdict => {
                    send_run(inbox, &mut run, desk);
                    inbox.take(size);
                    if let Verdict::Replace(bytes) = verdict {
                        desk.downstream(bytes);
                    }
                    self.after_catalog(desk);
                }
            }
        }
        send_run(inbox, &mut run, desk);
        // A batch that failed has ended a reading of the catalog within it, whatever it failed by.
        self.after_catalog(desk);
        self.flush_notices(desk);
        Ok(())
    }

    /// Is this a part of an answer's data that nobody needs to look into?
    fn passes_unread(&mut self, tag: u8) -> bool {
        let masks = match self.pipeline.front() {
            Some(Expect::Query(query)) if query.calls => {
                query.answered |= tag == tag::FUNCTION_CALL_RESPONSE;
                return tag == tag::FUNCTION_CALL_RESPONSE;
            }
            Some(Expect::Query(query)) => &query.masks,
            Some(Expect::Execute { masks, .. }) => masks,
            _ => return false,
        };
        match tag {
            tag::DATA_ROW => masks.rows_pass(),
            tag::COPY_DATA => masks.copy_passes(),
            _ => false,
        }
    }

    fn answer(&mut self, tag: u8, body: &[u8], desk: &mut Desk<'_>) -> Result<Verdict, ProtocolError> {
        match tag {
            // These may come at any time (manual, section 55.2.7).
            tag::NOTICE_RESPONSE => return self.notice(body),
            tag::PARAMETER_STATUS => {
                let status = parameter_status::decode(body)?;
                let expected = self.strings_unsure && status.is_about_strings();
                if status.changes_lexer() && !expected {
                    return Err(mode_change());
                }
                // Code that can not be seen can write a masked value into those that hold any text.
                let hides = status.holds_any_text() && self.hides_reports();
                return Ok(if hides { Verdict::Swallow } else { Verdict::Pass });
            }
            tag::NOTIFICATION_RESPONSE => return self.notification(body),
            tag::ERROR_RESPONSE => return self.error(body, desk),
            tag::READY_FOR_QUERY => return self.ready(ready_for_query::decode(body)?, desk),
            _ => {}
        }
        let Some(front) = self.pipeline.front() else { return Err(unasked(tag)) };
        match (front, tag) {
            (Expect::Query(query), tag::ROW_DESCRIPTION) => {
                query.masks.describe(&row_description::decode(body)?, desk);
                Ok(Verdict::Pass)
            }
            (Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }, tag::DATA_ROW) => {
                Ok(masks.row(body)?.map_or(Verdict::Pass, Verdict::Replace))
            }
            (Expect::Query(query), tag::COMMAND_COMPLETE) => {
                query.answered = true;
                if let Some(rows) = command_complete::decode(body)? {
                    query.rows = Some(query.rows.unwrap_or(0).saturating_add(rows));
                }
                query.masks.next_statement();
                Ok(Verdict::Pass)
            }
            (Expect::Query(query), tag::EMPTY_QUERY_RESPONSE) => {
                query.answered = true;
                query.masks.next_statement();
                Ok(Verdict::Pass)
            }
            (Expect::Execute { .. }, tag::COMMAND_COMPLETE) => {
                let rows = command_complete::decode(body)?;
                self.executed(rows, desk);
                Ok(Verdict::Pass)
            }
            (Expect::Execute { .. }, tag::EMPTY_QUERY_RESPONSE | tag::PORTAL_SUSPENDED) => {
                self.executed(None, desk);
                Ok(Verdict::Pass)
            }
            (Expect::Query(_) | Expect::Execute { .. }, tag::COPY_IN_RESPONSE) => {
                self.copy_in = true;
                self.pipeline.forget_syncs();
                Ok(Verdict::Pass)
            }
            (
                Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. },
                tag::COPY_OUT_RESPONSE,
            ) => {
                // Detectors read text; a binary COPY of a statement that they watch can not be searched.
                let text = body.first() == Some(&0);
                if text || masks.copy_passes() { Ok(Verdict::Pass) } else { Err(binary_copy()) }
            }
            (Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }, tag::COPY_DATA) => {
                Ok(masks.copy_data(body, desk).map_or(Verdict::Pass, Verdict::Replace))
            }
            (Expect::Query(_) | Expect::Execute { .. }, tag::COPY_DONE) => Ok(Verdict::Pass),
            (Expect::Parse { event, .. }, tag::PARSE_COMPLETE) => {
                desk.finished(*event, Outcome { result: OutcomeResult::Ok, ..Outcome::default() });
                self.pipeline.pop();
                Ok(Verdict::Pass)
            }
            (Expect::Bind { .. }, tag::BIND_COMPLETE)
            | (Expect::DescribeStatement | Expect::DescribePortal, tag::ROW_DESCRIPTION | tag::NO_DATA) => {
                self.pipeline.pop();
                Ok(Verdict::Pass)
            }
            (Expect::Close { undo }, tag::CLOSE_COMPLETE) => {
                // A portal that is gone is not in the way of a cursor of its name.
                if let Undo::Portal(name, _) = undo
                    && !self.portals.contains_key(name)
                {
                    self.bound.remove(name);
                }
                self.pipeline.pop();
                Ok(Verdict::Pass)
            }
            (Expect::DescribeStatement, tag::PARAMETER_DESCRIPTION) => Ok(Verdict::Pass),
            (Expect::OwnDescribe, tag::ROW_DESCRIPTION) => {
                let fields = row_description::decode(body)?;
                self.pipeline.pop();
                if let Some(Expect::Execute { masks, .. }) = self.pipeline.front() {
                    masks.describe(&fields, desk);
                }
                Ok(Verdict::Swallow)
            }
            (Expect::OwnDescribe, tag::NO_DATA) => {
                self.pipeline.pop();
                Ok(Verdict::Swallow)
            }
            (Expect::CatalogQuery { .. } | Expect::CatalogBatch { .. }, tag::DATA_ROW) => {
                self.catalog.row(body, desk.shared.limits.catalog)?;
                Ok(Verdict::Swallow)
            }
            (Expect::CatalogQuery { complete }, tag::COMMAND_COMPLETE) => {
                *complete = true;
                Ok(Verdict::Swallow)
            }
            (Expect::CatalogQuery { .. }, tag::ROW_DESCRIPTION)
            | (
                Expect::CatalogBatch { .. },
                tag::PARSE_COMPLETE | tag::BIND_COMPLETE | tag::COMMAND_COMPLETE,
            ) => Ok(Verdict::Swallow),
            (Expect::CatalogBatch { closed }, tag::CLOSE_COMPLETE) => {
                *closed += 1;
                if *closed == 2 {
                    self.pipeline.pop();
                    self.catalog.complete(&self.database, desk);
                }
                Ok(Verdict::Swallow)
            }
            _ => Err(unasked(tag)),
        }
    }

    fn executed(&mut self, rows: Option<u64>, desk: &mut Desk<'_>) {
        self.copy_in = false;
        if let Some(Expect::Execute { event, mut masks }) = self.pipeline.pop() {
            self.names.settle(event, true, desk.shared.limits.prepared);
            let masked = masks.take_counts();
            desk.finished(event, Outcome { result: OutcomeResult::Ok, rows, masked, ..Outcome::default() });
        }
    }

    fn ready(&mut self, transaction: Transaction, desk: &mut Desk<'_>) -> Result<Verdict, ProtocolError> {
        self.copy_in = false;
        let Some(expect) = self.pipeline.pop() else { return Err(unasked(tag::READY_FOR_QUERY)) };
        self.transaction = transaction;
        match expect {
            // Whatever was asked is answered first: an answer that comes too early is one to something else.
            Expect::Query(RunningQuery { answered: false, failed: None, .. }) => {
                return Err(unasked(tag::READY_FOR_QUERY));
            }
            Expect::RefusedQuery { error } if !error.is_empty() => {
                return Err(unasked(tag::READY_FOR_QUERY));
            }
            Expect::Query(RunningQuery { event, rows, failed, mut masks, frees_names, .. }) => {
                if frees_names && failed.is_none() {
                    self.forget_statements();
                }
                self.names.settle(event, failed.is_none(), desk.shared.limits.prepared);
                let result = if failed.is_some() { OutcomeResult::Error } else { OutcomeResult::Ok };
                let masked = masks.take_counts();
                desk.finished(event, Outcome { result, code: failed, rows, masked, ..Outcome::default() });
            }
            Expect::Sync { is_own: true } => {
                self.settled(desk);
                return Ok(Verdict::Swallow);
            }
            Expect::Sync { is_own: false } | Expect::RefusedQuery { .. } => {}
            Expect::CatalogQuery { complete } => {
                if complete {
                    self.catalog.complete(&self.database, desk);
                } else {
                    self.catalog.abort();
                }
                self.settled(desk);
                return Ok(Verdict::Swallow);
            }
            _ => return Err(unasked(tag::READY_FOR_QUERY)),
        }
        self.settled(desk);
        Ok(Verdict::Pass)
    }

    /// The target waits for more.
    fn settled(&mut self, desk: &Desk<'_>) {
        if !self.pipeline.is_empty() {
            return;
        }
        self.names.settle_rest();
        // It has said by now whether it reads text in another way.
        self.lexer_unsure &= self.batch_open;
        if self.transaction == Transaction::Idle && !self.batch_open {
            // Portals end with their transaction, and so does what it left to be checked at its end.
            self.portals.clear();
            self.bound.clear();
            self.touched_masked = false;
            self.defines = false;
            if self.catalog.leave_transaction() {
                desk.shared.catalogs.forget(&self.database);
            }
        }
    }

    /// Could what the target says beside its rows quote a masked value?
    fn hides_reports(&mut self) -> bool {
        let now = match self.pipeline.front() {
            Some(Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }) => {
                masks.hides_reports()
            }
            _ => false,
        };
        now || self.touched_masked
    }

    /// Somebody's notification: what it says is not known to hold nothing that is masked.
    fn notification(&self, body: &[u8]) -> Result<Verdict, ProtocolError> {
        if !self.masks_columns {
            return Ok(Verdict::Pass);
        }
        let without = notification_response::without_payload(body)?;
        Ok(Verdict::Replace(without))
    }

    fn error(&mut self, body: &[u8], desk: &mut Desk<'_>) -> Result<Verdict, ProtocolError> {
        let report = error_response::decode(body)?;
        if report.is_fatal() {
            let hides = self.touched_masked;
            self.abandon(desk.outputs);
            self.leave();
            return Ok(if hides {
                Verdict::Replace(scrubbed("FATAL", report.sqlstate))
            } else {
                Verdict::Pass
            });
        }
        self.copy_in = false;
        let sqlstate: Arc<str> = Arc::from(report.sqlstate);
        let Some(front) = self.pipeline.front() else { return Err(unasked(tag::ERROR_RESPONSE)) };
        match front {
            Expect::Query(query) => {
                query.failed = Some(sqlstate);
                let hides = query.masks.hides_reports() || self.touched_masked;
                Ok(if hides { Verdict::Replace(scrubbed("ERROR", report.sqlstate)) } else { Verdict::Pass })
            }
            Expect::RefusedQuery { error } => Ok(Verdict::Replace(std::mem::take(error))),
            Expect::CatalogQuery { .. } => {
                self.catalog.fail();
                Ok(Verdict::Swallow)
            }
            Expect::Sync { is_own: true } => Ok(Verdict::Swallow),
            // The commit that a Sync does can fail.
            Expect::Sync { .. } if self.touched_masked => {
                Ok(Verdict::Replace(scrubbed("ERROR", report.sqlstate)))
            }
            Expect::Sync { .. } => Ok(Verdict::Pass),
            _ => Ok(self.batch_failed(&sqlstate, desk)),
        }
    }

    /// The target skips everything up to the next Sync; so does our account of it.
    fn batch_failed(&mut self, sqlstate: &Arc<str>, desk: &mut Desk<'_>) -> Verdict {
        let is_own = self.pipeline.is_in_own_batch();
        let (skipped, synced) = self.pipeline.take_batch();
        if !synced {
            self.skipping = Skipping::Target;
        }
        // What only reads a text can quote nothing but that text.
        let quotes = self.touched_masked && !matches!(skipped.first(), Some(Expect::Parse { .. }));
        let mut verdict = quotes.then(|| Verdict::Replace(scrubbed("ERROR", sqlstate)));
        let mut undos = Vec::new();
        for (index, expect) in skipped.into_iter().enumerate().rev() {
            let failed = index == 0;
            let mut over = |event, masked| {
                if failed {
                    let code = Some(Arc::clone(sqlstate));
                    let result = OutcomeResult::Error;
                    desk.finished(event, Outcome { result, code, masked, ..Outcome::default() });
                } else {
                    desk.not_sent(event, "skipped");
                }
            };
            match expect {
                Expect::Parse { event, undo } => {
                    over(event, Vec::new());
                    undos.push(undo);
                }
                Expect::Execute { event, mut masks } => over(event, masks.take_counts()),
                Expect::Query(query) => over(query.event, Vec::new()),
                Expect::Bind { undo } | Expect::Close { undo } => undos.push(undo),
                Expect::RefusedBatch { error } if failed => verdict = Some(Verdict::Replace(error)),
                Expect::CatalogBatch { .. } => {
                    self.catalog.abort();
                    if is_own {
                        // The client has asked for nothing yet: what it asks for is answered when this is over.
                        verdict = Some(Verdict::Swallow);
                    } else if failed {
                        verdict = Some(Verdict::Replace(Objection::no_catalog().encode()));
                    }
                }
                _ => {}
            }
        }
        self.undo(undos.into_iter());
        verdict.unwrap_or(Verdict::Pass)
    }

    fn notice(&mut self, body: &[u8]) -> Result<Verdict, ProtocolError> {
        let report = error_response::decode(body)?;
        let hides = self.hides_reports();
        Ok(if hides { Verdict::Replace(scrubbed("NOTICE", report.sqlstate)) } else { Verdict::Pass })
    }

    /// A request that waited for the catalog goes on, or is refused, once the reading is over.
    fn after_catalog(&mut self, desk: &mut Desk<'_>) {
        if self.pipeline.reads_catalog() {
            return;
        }
        let Some(mut held) = self.held.take_if(|held| held.waiting_for_catalog.is_some()) else { return };
        let plan = held.waiting_for_catalog.take();
        if self.skipping != Skipping::No {
            // Its batch has failed, and that was answered already.
            desk.not_sent(held.event, "mask.catalog");
            return;
        }
        if self.catalog.is_ready(&self.database, desk) {
            self.release(held, plan, desk);
        } else {
            let simple = held.request.is_simple();
            self.object(held.event, &Objection::no_catalog(), simple, desk);
        }
    }
}

fn send_run(inbox: &mut Inbox, run: &mut usize, desk: &mut Desk<'_>) {
    if *run > 0 {
        desk.downstream(inbox.take(std::mem::take(run)));
    }
}

/// An error or notice of a statement with masks: its code stays, its words could quote a masked value.
fn scrubbed(severity: &'static str, sqlstate: &str) -> Bytes {
    let kind = condition(sqlstate).unwrap_or("an error");
    Report {
        severity,
        sqlstate,
        message: &format!("{kind} (SQLSTATE {sqlstate})"),
        detail: "the server's own words are hidden: they could quote values that a policy masks",
        hint: "",
    }
    .encode()
}

/// What a code says, without a word of the server's (manual, appendix A).
fn condition(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "00000" => "a notice",
        "01000" => "a warning",
        "22001" => "a value is too long",
        "22003" => "a number is out of range",
        "22007" | "22008" => "a date or time is not valid",
        "22012" => "division by zero",
        "22P02" => "a value has not the form of its type",
        "23502" => "a value must not be null",
        "23503" => "a foreign key is violated",
        "23505" => "a value is there already and must be unique",
        "23514" => "a check constraint is violated",
        "25P02" => "current transaction is aborted, commands ignored until end of transaction block",
        "26000" => "there is no such prepared statement",
        "34000" => "there is no such cursor or portal",
        "40001" => "the transaction could not be serialised: try again",
        "40P01" => "a deadlock was found",
        "42501" => "permission denied",
        "42601" => "a syntax error",
        "42702" => "a column is ambiguous",
        "42703" => "a column does not exist",
        "42704" => "an object does not exist",
        "42710" | "42P07" => "it exists already",
        "42803" => "a grouping error",
        "42804" => "types do not match",
        "42883" => "a function or operator does not exist",
        "42P01" => "a relation does not exist",
        "53300" => "too many connections",
        "57014" => "the statement was cancelled",
        "57P01" => "the server is shutting down",
        _ => return None,
    })
}

fn unasked(tag: u8) -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: "upstream.protocol",
        detail: Arc::from(format!(
            "a message of type `{}` that answers nothing",
            char::from(tag).escape_default()
        )),
    }
}

fn binary_copy() -> ProtocolError {
    ProtocolError {
        fault: Side::Downstream,
        code: "mask.copy",
        detail: Arc::from("a COPY in binary format can not be searched for what must be masked"),
    }
}

fn too_large(tag: u8, size: usize) -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: "upstream.too_large",
        detail: Arc::from(format!(
            "a message of type `{}` with {size} bytes must be held to be masked, and is too large for that",
            char::from(tag).escape_default()
        )),
    }
}
