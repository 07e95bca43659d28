//! What the client asks for.
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
    session::{ProtocolError, Side},
    sql::{Analysis, SqlPhase},
};

use super::{
    Limits,
    budget::{self, GROWTH},
    complaint::{bad_encoding, bad_name, lexer_unsure, missing, too_large, too_many},
    pipeline::Expect,
    prepared::beyond,
    relay::{Desk, Portal, Relay, Request, Skipping, Undo, digest_of},
};
use crate::{
    frame::{Frame, HEADER, Inbox},
    frontend::{
        bind, execute,
        name::{self, Name},
        parse, query, tag,
    },
    reply,
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
        let waits = self.held.is_some() || self.calls.waits();
        !waits && !barred && !full && !early && !self.said_goodbye && !self.is_over()
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
                let text = match query::decode(frame.body()) {
                    Ok(text) => self.read(text, desk),
                    Err(broken) => {
                        let error = bad_encoding(frame.body(), 1).ok_or(broken)?;
                        self.refuse_query(error, desk);
                        return Ok(());
                    }
                };
                let judged = self.judged(&text, &desk.shared.limits);
                let payload = digest_of(&[&frame.bytes, beyond(&text, &judged.analysis)]);
                let request = Request::Query { frame };
                self.decide(request, SqlPhase::Query, judged, Vec::new(), payload, desk);
            }
            tag::PARSE => {
                let parse = match parse::decode(frame.body()) {
                    Ok(parse) => parse,
                    Err(broken) => return self.unread(broken, frame.body(), 2, desk),
                };
                if let Some(error) = bad_name(parse.name) {
                    self.refuse_batch(error, desk);
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
                let name = match execute::decode(frame.body()) {
                    Ok(name) => name,
                    Err(broken) => return self.unread(broken, frame.body(), 1, desk),
                };
                if let Some(error) = bad_name(name) {
                    self.refuse_batch(error, desk);
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
                let Some(name) = self.name_in(&frame, "Describe", desk)? else { return Ok(()) };
                let expect = match name {
                    Name::Statement(_) => Expect::DescribeStatement,
                    Name::Portal(_) => Expect::DescribePortal,
                };
                self.forward_in_batch(frame.bytes, expect, desk);
            }
            tag::CLOSE => {
                let Some(name) = self.name_in(&frame, "Close", desk)? else { return Ok(()) };
                let undo = match name {
                    Name::Statement(name) => {
                        self.names.forget(name);
                        Undo::Statement(Box::from(name), self.statements.remove(name))
                    }
                    Name::Portal(name) => {
                        self.cursors.forget_all();
                        Undo::Portal(Box::from(name), self.portals.remove(name))
                    }
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

    /// A message of a batch can not be read: by the encoding of its first `count` texts, or else it breaks the protocol.
    fn unread(
        &mut self,
        broken: ProtocolError,
        texts: &[u8],
        count: usize,
        desk: &mut Desk<'_>,
    ) -> Result<(), ProtocolError> {
        let error = bad_encoding(texts, count).ok_or(broken)?;
        self.refuse_batch(error, desk);
        Ok(())
    }

    /// The name that a Describe or Close is about. None: it was refused.
    fn name_in<'f>(
        &mut self,
        frame: &'f Frame,
        message: &'static str,
        desk: &mut Desk<'_>,
    ) -> Result<Option<Name<'f>>, ProtocolError> {
        let name = match name::decode(frame.body(), message) {
            Ok(name) => name,
            Err(broken) => return self.unread_name(broken, frame, desk).map(|()| None),
        };
        let (Name::Statement(text) | Name::Portal(text)) = name;
        let Some(error) = bad_name(text) else { return Ok(Some(name)) };
        self.refuse_batch(error, desk);
        Ok(None)
    }

    /// The same of a Describe or Close, whose name stands behind its kind.
    fn unread_name(
        &mut self,
        broken: ProtocolError,
        frame: &Frame,
        desk: &mut Desk<'_>,
    ) -> Result<(), ProtocolError> {
        self.unread(broken, frame.body().get(1..).unwrap_or_default(), 1, desk)
    }

    /// What a text means, if that can still be told.
    fn read(&self, text: &str, desk: &Desk<'_>) -> Arc<Analysis> {
        if self.strings_unsure {
            return desk.shared.analyser.unread(text, "this session has changed how strings are read");
        }
        desk.shared.analyser.analyse(text)
    }

    /// May what the target reads now mean something else than what we read? In a session that has switched, nothing is read at all.
    pub(super) const fn is_lexer_unsure(&self) -> bool {
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
        let bind = match bind::decode(frame.body()) {
            Ok(bind) => bind,
            Err(broken) => return self.unread(broken, frame.body(), 2, desk),
        };
        if let Some(error) = bad_name(bind.portal).or_else(|| bad_name(bind.statement)) {
            self.refuse_batch(error, desk);
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

    pub(super) fn forward_in_batch(&mut self, bytes: Bytes, expect: Expect, desk: &mut Desk<'_>) {
        self.batch_open = true;
        self.pipeline.push(expect);
        desk.upstream(bytes);
    }
}

/// Is its text read alike whatever `standard_conforming_strings` and `client_encoding` are? Backslashes and what is no ASCII are what they are about.
fn reads_alike(frame: &Frame) -> bool {
    is_read_alike(frame.body())
}

pub(super) fn is_read_alike(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&b'\\')
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
