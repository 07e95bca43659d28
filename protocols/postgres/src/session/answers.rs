//! What the target answers, matched to what was asked.
//!
//! Whatever passes unchanged is collected into one run and sent as the slice it arrived in. A row that no
//! mask touches is not joined either: its parts are kept until its end is there, so that a target that dies
//! leaves no half row before the gateway's last words; and a large one is forwarded in pieces, whatever its size.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_model::session::{Outcome, OutcomeResult, ProtocolError, Side};

use super::{
    login::mode_change,
    objection::Objection,
    pipeline::{Expect, RunningQuery},
    relay::{Desk, Relay, Skipping, Undo},
};
use crate::{
    backend::{
        command_complete, copy_out_response, parameter_status,
        ready_for_query::{self, Transaction},
        row_description, tag,
    },
    frame::{HEADER, Inbox},
    reply::{self, Report},
};

/// A row that passes and has not ended yet. Nothing of it was sent.
#[derive(Debug, Default)]
pub(super) struct UnfinishedRow {
    /// As it arrived. Mostly the rest comes at once, and nothing is copied.
    head: Bytes,
    more: BytesMut,
    /// All of it, in bytes.
    size: usize,
    /// Bytes until its end.
    missing: usize,
}

impl UnfinishedRow {
    fn begin(&mut self, head: Bytes, size: usize) {
        self.missing = size.saturating_sub(head.len());
        self.size = size;
        self.head = head;
    }

    fn go_on(&mut self, part: &[u8]) {
        self.missing = self.missing.saturating_sub(part.len());
        self.more.extend_from_slice(part);
    }

    fn take(&mut self) -> [Bytes; 2] {
        [std::mem::take(&mut self.head), std::mem::take(&mut self.more).freeze()]
    }
}

/// Rows up to this size are sent when they are whole, larger ones in pieces, in bytes.
const WAITED_FOR: usize = 64 << 10;

/// What becomes of one message of the target.
pub(super) enum Verdict {
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
        while self.definitions.is_none() {
            if self.passing_down > 0 {
                let part = inbox.take(self.passing_down);
                if part.is_empty() {
                    return Ok(());
                }
                self.passing_down -= part.len();
                self.delivered += part.len() as u64;
                desk.downstream(part);
                continue;
            }
            if self.row.missing > 0 {
                if inbox.len() < self.row.missing {
                    self.row.go_on(&inbox.take(self.row.missing));
                    return Ok(());
                }
                for part in self.row.take().into_iter().filter(|part| !part.is_empty()) {
                    desk.downstream(part);
                }
                run = std::mem::take(&mut self.row.missing);
                self.delivered += self.row.size as u64;
            }
            let Some(header) = inbox.peek_header_at(run) else { break };
            let (tag, size) = header.map_err(|bad| bad.on(Side::Upstream))?;
            let waiting = inbox.len() - run;
            if self.passes_unread(tag) {
                if waiting >= size {
                    run += size;
                    self.delivered += size as u64;
                    continue;
                }
                if size > WAITED_FOR {
                    self.passing_down = size - waiting;
                    self.delivered += waiting as u64;
                    desk.downstream(inbox.take(run + waiting));
                    return Ok(());
                }
                send_run(inbox, &mut run, desk);
                self.row.begin(inbox.take(waiting), size);
                break;
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
            if self.awaits_definitions(tag, desk) {
                break;
            }
            let body = inbox.peek().get(run + HEADER..run + size).unwrap_or_default();
            match self.answer(tag, body, desk)? {
                Verdict::Pass => {
                    run += size;
                    if is_data(tag) {
                        self.delivered += size as u64;
                    }
                }
                verdict => {
                    send_run(inbox, &mut run, desk);
                    inbox.take(size);
                    if let Verdict::Replace(bytes) = verdict {
                        if is_data(tag) {
                            self.delivered += bytes.len() as u64;
                        }
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
            tag::NOTICE_RESPONSE => return self.notice(body, desk),
            tag::PARAMETER_STATUS => {
                let status = parameter_status::decode(body)?;
                let expected = self.strings_unsure && status.is_about_strings();
                if status.changes_lexer() && !expected {
                    return Err(mode_change());
                }
                // Code that can not be seen can write a masked value into those that hold any text.
                let hides = status.holds_any_text() && self.hides_reports(desk);
                return Ok(if hides { Verdict::Swallow } else { Verdict::Pass });
            }
            tag::NOTIFICATION_RESPONSE => return self.notification(body),
            tag::ERROR_RESPONSE => return self.error(body, desk),
            tag::READY_FOR_QUERY => return self.ready(ready_for_query::decode(body)?, desk),
            _ => {}
        }
        if tag == tag::COMMAND_COMPLETE {
            // What it leaves to be checked later may speak of it too.
            self.look_at_reports(desk);
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
                let withheld = query.masks.has_withheld();
                query.masks.next_statement();
                Ok(self.completed(withheld, tag, body))
            }
            (Expect::Query(query), tag::EMPTY_QUERY_RESPONSE) => {
                query.answered = true;
                query.masks.next_statement();
                Ok(Verdict::Pass)
            }
            (Expect::Execute { masks, .. }, tag::COMMAND_COMPLETE) => {
                let rows = command_complete::decode(body)?;
                let withheld = masks.has_withheld();
                self.executed(rows, desk);
                Ok(self.completed(withheld, tag, body))
            }
            (Expect::Execute { .. }, tag::EMPTY_QUERY_RESPONSE | tag::PORTAL_SUSPENDED) => {
                self.executed(None, desk);
                Ok(Verdict::Pass)
            }
            (expect @ (Expect::Query(_) | Expect::Execute { .. }), tag::COPY_IN_RESPONSE) => {
                // The target ignores a Sync that stands before the data: its batch is open until the next one, and nothing waits for its end before that.
                if matches!(expect, Expect::Execute { .. }) {
                    (self.batch_open, self.batch_ran, self.barrier) = (true, true, false);
                }
                self.copy_in = true;
                self.pipeline.forget_syncs();
                Ok(Verdict::Pass)
            }
            (
                Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. },
                tag::COPY_OUT_RESPONSE,
            ) => {
                masks.begin_copy(copy_out_response::decode(body)?)?;
                Ok(Verdict::Pass)
            }
            (Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }, tag::COPY_DATA) => {
                let written = masks.copy_data(body, desk)?;
                Ok(match written {
                    None => Verdict::Pass,
                    Some(data) if data.is_empty() => Verdict::Swallow,
                    Some(data) => {
                        Verdict::Replace(reply::message(tag::COPY_DATA, |out| out.put_slice(&data)))
                    }
                })
            }
            (Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }, tag::COPY_DONE) => {
                masks.end_copy()?;
                Ok(Verdict::Pass)
            }
            (Expect::OwnCopy, tag::CLOSE_COMPLETE | tag::PARSE_COMPLETE) => Ok(Verdict::Swallow),
            (Expect::OwnCopy, tag::BIND_COMPLETE) => {
                self.pipeline.pop();
                Ok(Verdict::Swallow)
            }
            (
                Expect::CopyQuestion { .. },
                tag::PARSE_COMPLETE | tag::PARAMETER_DESCRIPTION | tag::NO_DATA,
            ) => Ok(Verdict::Swallow),
            (Expect::CopyQuestion { fields, .. }, tag::ROW_DESCRIPTION) => {
                *fields = Some(row_description::decode(body)?);
                Ok(Verdict::Swallow)
            }
            (Expect::CopyQuestion { closed, fields }, tag::CLOSE_COMPLETE) => {
                *closed += 1;
                if *closed < 2 {
                    return Ok(Verdict::Swallow);
                }
                let fields = fields.take();
                self.pipeline.pop();
                if let (Some(Expect::Execute { masks, .. }), Some(fields)) = (self.pipeline.front(), fields)
                {
                    masks.describe_copy(&fields, desk);
                }
                Ok(Verdict::Swallow)
            }
            (Expect::OwnClose { closed }, tag::CLOSE_COMPLETE) => {
                *closed += 1;
                if *closed == 2 {
                    self.pipeline.pop();
                }
                Ok(Verdict::Swallow)
            }
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

    /// Says once in a session that there are nulls where values were: it looks as if they were missing.
    fn completed(&mut self, withheld: bool, tag: u8, body: &[u8]) -> Verdict {
        if !withheld || std::mem::replace(&mut self.withheld_told, true) {
            return Verdict::Pass;
        }
        let notice = Report {
            severity: "NOTICE",
            sqlstate: "00000",
            message: "values that could be masked ones are null in this answer",
            detail: "of a view over masked columns, and of much that is computed, nobody can say which of its columns they are; said once in a session",
            hint: "select the columns from their tables",
        };
        let complete = reply::message(tag, |message| message.put_slice(body));
        Verdict::Replace([notice.encode(), complete].concat().into())
    }

    fn executed(&mut self, rows: Option<u64>, desk: &mut Desk<'_>) {
        self.copy_in = false;
        if let Some(Expect::Execute { event, mut masks }) = self.pipeline.pop() {
            self.names.settle(event, true, desk.shared.limits.prepared);
            self.cursors.settle(event, true, desk.shared.limits.prepared);
            let (masked, read) = (masks.take_counts(), self.take_delivered());
            let result = OutcomeResult::Ok;
            desk.finished(event, Outcome { result, rows, masked, read, ..Outcome::default() });
        }
    }

    fn ready(&mut self, transaction: Transaction, desk: &mut Desk<'_>) -> Result<Verdict, ProtocolError> {
        self.copy_in = false;
        let Some(expect) = self.pipeline.pop() else { return Err(unasked(tag::READY_FOR_QUERY)) };
        self.transaction = transaction;
        if transaction == Transaction::Idle {
            self.catalog.may_end_transaction();
        }
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
                self.cursors.settle(event, failed.is_none(), desk.shared.limits.prepared);
                let result = if failed.is_some() { OutcomeResult::Error } else { OutcomeResult::Ok };
                let (masked, read) = (masks.take_counts(), self.take_delivered());
                let outcome = Outcome { result, code: failed, rows, masked, read, ..Outcome::default() };
                desk.finished(event, outcome);
            }
            Expect::Sync { is_own: true } => {
                self.settled();
                return Ok(Verdict::Swallow);
            }
            Expect::Sync { is_own: false } | Expect::RefusedQuery { .. } => {}
            Expect::CatalogQuery { complete } => {
                if complete {
                    self.catalog.complete(&self.database, desk);
                } else {
                    self.catalog.abort();
                }
                self.settled();
                return Ok(Verdict::Swallow);
            }
            _ => return Err(unasked(tag::READY_FOR_QUERY)),
        }
        self.settled();
        Ok(Verdict::Pass)
    }

    /// The target waits for more.
    fn settled(&mut self) {
        if !self.pipeline.is_empty() {
            return;
        }
        self.names.settle_rest();
        self.cursors.settle_rest();
        // It has said by now whether it reads text in another way.
        self.lexer_unsure &= self.batch_open;
        if self.transaction == Transaction::Idle && !self.batch_open {
            // Portals end with their transaction, and so does what it left to be checked at its end.
            self.portals.clear();
            self.cursors.forget_all();
            self.bound.clear();
            self.touched_masked = false;
            self.defines = false;
            self.catalog.leave_transaction();
        }
    }

    /// A request that waited for the catalog goes on, or is refused, once the reading is over.
    pub(super) fn after_catalog(&mut self, desk: &mut Desk<'_>) {
        if self.pipeline.reads_catalog() || self.catalog.is_read_beside() {
            return;
        }
        let Some(mut held) = self.held.take_if(|held| held.waiting_for_catalog.is_some()) else { return };
        let plan = held.waiting_for_catalog.take();
        let cancelled = self.catalog.take_cancelled();
        if self.skipping != Skipping::No {
            // Its batch has failed, and that was answered already.
            desk.not_sent(held.event, if cancelled.is_some() { "pg.cancelled" } else { "mask.catalog" });
            return;
        }
        if self.is_catalog_ready(&held.analysis, desk) {
            self.release(held, plan, desk);
        } else if let Some(error) = cancelled {
            desk.not_sent(held.event, "pg.cancelled");
            self.refuse(&held.request, error, desk);
        } else {
            let objection = Objection::no_catalog();
            desk.not_sent(held.event, objection.code);
            self.refuse_unread(&held.request, &held.analysis, objection.encode(), desk);
        }
    }
}

/// Is it a part of the data of an answer?
const fn is_data(tag: u8) -> bool {
    matches!(tag, tag::DATA_ROW | tag::COPY_DATA | tag::FUNCTION_CALL_RESPONSE)
}

fn send_run(inbox: &mut Inbox, run: &mut usize, desk: &mut Desk<'_>) {
    if *run > 0 {
        desk.downstream(inbox.take(std::mem::take(run)));
    }
}

pub(super) fn unasked(tag: u8) -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: "upstream.protocol",
        detail: Arc::from(format!(
            "a message of type `{}` that answers nothing",
            char::from(tag).escape_default()
        )),
    }
}

fn too_large(tag: u8, size: usize) -> ProtocolError {
    ProtocolError {
        fault: Side::Upstream,
        code: reply::TOO_LARGE,
        detail: Arc::from(format!(
            "a message of type `{}` with {size} bytes must be held to be masked, and is too large for that",
            char::from(tag).escape_default()
        )),
    }
}
