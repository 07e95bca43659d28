//! What the target says beside its rows: errors, notices and notifications. It may quote what a mask hides.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use gatewright_model::session::{Outcome, OutcomeResult, ProtocolError, Side};

use super::{
    answers::{Verdict, unasked},
    objection::Objection,
    pipeline::{Expect, RunningQuery},
    relay::{Desk, Relay, Skipping},
};
use crate::{
    backend::{error_response, notification_response, tag},
    question,
    reply::{self, Report},
};

impl Relay {
    /// Could what the target says beside its rows quote a masked value?
    pub(super) fn hides_reports(&mut self, desk: &Desk<'_>) -> bool {
        self.look_at_reports(desk);
        let now = match self.pipeline.front() {
            Some(Expect::Query(RunningQuery { masks, .. }) | Expect::Execute { masks, .. }) => {
                masks.hides_reports()
            }
            _ => false,
        };
        now || self.touched_masked
    }

    /// Somebody's notification: what it says is not known to hold nothing that is masked.
    pub(super) fn notification(&self, body: &[u8]) -> Result<Verdict, ProtocolError> {
        if !self.masks_columns {
            return Ok(Verdict::Pass);
        }
        let without = notification_response::without_payload(body)?;
        Ok(Verdict::Replace(without))
    }

    pub(super) fn error(&mut self, body: &[u8], desk: &mut Desk<'_>) -> Result<Verdict, ProtocolError> {
        let mut report = error_response::decode(body)?;
        // It stands in records as well.
        if self.masks_columns && !error_response::is_servers_own(report.sqlstate) {
            report.sqlstate = SOMEBODYS;
        }
        self.look_at_reports(desk);
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
                let hides = hides && !report.is_about_a_name() && !report.is_about_a_failed_transaction();
                Ok(if hides { Verdict::Replace(scrubbed("ERROR", report.sqlstate)) } else { Verdict::Pass })
            }
            Expect::RefusedQuery { error } => Ok(Verdict::Replace(std::mem::take(error))),
            Expect::Question { error } => {
                let told = question::answer(body);
                if let Some(told) =
                    told.map_err(|cause| cause.in_message(Side::Upstream, "ErrorResponse"))?
                {
                    *error = told;
                }
                Ok(self.batch_failed(&report, desk))
            }
            Expect::CatalogQuery { .. } => {
                let cancelled = (*sqlstate == *CANCELLED).then(|| told(body));
                self.catalog.fail(cancelled);
                Ok(Verdict::Swallow)
            }
            Expect::CatalogBatch { .. } if *sqlstate == *CANCELLED => {
                self.catalog.fail(Some(told(body)));
                Ok(self.batch_failed(&report, desk))
            }
            Expect::Sync { is_own: true } => Ok(Verdict::Swallow),
            // The commit that a Sync does can fail.
            Expect::Sync { .. } if self.touched_masked => {
                Ok(Verdict::Replace(scrubbed("ERROR", report.sqlstate)))
            }
            Expect::Sync { .. } => Ok(Verdict::Pass),
            _ => Ok(self.batch_failed(&report, desk)),
        }
    }

    /// The target skips everything up to the next Sync; so does our account of it.
    fn batch_failed(&mut self, report: &error_response::Report<'_>, desk: &mut Desk<'_>) -> Verdict {
        let sqlstate = &Arc::from(report.sqlstate);
        let is_own = self.pipeline.is_in_own_batch();
        let (skipped, synced) = self.pipeline.take_batch();
        if !synced {
            self.skipping = Skipping::Target;
        }
        // What only reads a text can quote nothing but that text.
        let reads = matches!(skipped.first(), Some(Expect::Parse { .. }));
        let quotes = self.touched_masked && !reads && !report.is_about_a_failed_transaction();
        let mut verdict = quotes.then(|| Verdict::Replace(scrubbed("ERROR", sqlstate)));
        let mut undos = Vec::new();
        let mut read = self.take_delivered();
        // What the gateway asks before a request fails as that would.
        let failing = skipped.iter().position(|expect| !expect.comes_before());
        for (index, expect) in skipped.into_iter().enumerate().rev() {
            let failed = Some(index) == failing;
            let mut over = |event, masked| {
                if failed {
                    let code = Some(Arc::clone(sqlstate));
                    let result = OutcomeResult::Error;
                    let read = read.take();
                    desk.finished(event, Outcome { result, code, masked, read, ..Outcome::default() });
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
                Expect::RefusedBatch { error } | Expect::Question { error } if failed => {
                    verdict = Some(Verdict::Replace(error))
                }
                Expect::CatalogBatch { .. } => {
                    self.catalog.abort();
                    if is_own {
                        // The client has asked for nothing yet: what it asks for is answered when this is over.
                        verdict = Some(Verdict::Swallow);
                    } else if failed && **sqlstate != *CANCELLED {
                        verdict = Some(Verdict::Replace(Objection::no_catalog().encode()));
                    }
                }
                _ => {}
            }
        }
        self.undo(undos.into_iter());
        verdict.unwrap_or(Verdict::Pass)
    }

    pub(super) fn notice(&mut self, body: &[u8], desk: &Desk<'_>) -> Result<Verdict, ProtocolError> {
        let report = error_response::decode(body)?;
        let hides = self.hides_reports(desk);
        Ok(if hides { Verdict::Replace(scrubbed("NOTICE", report.sqlstate)) } else { Verdict::Pass })
    }
}

/// The SQLSTATE of what a client has cancelled, or took too long (manual, appendix A).
const CANCELLED: &str = "57014";

/// An error with this body.
fn told(body: &[u8]) -> Bytes {
    reply::message(tag::ERROR_RESPONSE, |message| message.put_slice(body))
}

/// What stands for a code that is none of the server's own: that of `RAISE EXCEPTION`, which drivers expect of somebody's code.
const SOMEBODYS: &str = "P0001";

/// An error or notice of a statement with masks: a code of the server's own stays, its words could quote a masked value.
fn scrubbed(severity: &'static str, sqlstate: &str) -> Bytes {
    let sqlstate = match error_response::is_servers_own(sqlstate) {
        true => sqlstate,
        false if severity == "NOTICE" => "01000",
        false => SOMEBODYS,
    };
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
