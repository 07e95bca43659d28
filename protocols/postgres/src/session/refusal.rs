//! What is refused: how the client is told in its place, and how the target comes to the state that an error of its own would leave.

use bytes::Bytes;
use gatewright_model::{decision::Block, id::EventId, permit::Denial, sql::Analysis};
use gatewright_sql::is_syntax_error;

use super::{
    objection::Objection,
    pipeline::{Expect, REFUSED_NAME, REFUSED_TEXT},
    relay::{Desk, Relay, Request, Skipping},
};
use crate::{question, reply};

impl Relay {
    /// A denial has come: the held request is dropped, and the client and the target see an error there.
    pub(super) fn denied(&mut self, denial: &Denial, desk: &mut Desk<'_>) {
        let Some(held) = self.held.take_if(|held| held.event == denial.event) else { return };
        let error = reply::denial(denial);
        if *denial.block.code == *Block::UNPARSED {
            self.refuse_unread(&held.request, &held.analysis, error, desk);
        } else {
            self.refuse(&held.request, error, desk);
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

    pub(super) fn refuse(&mut self, request: &Request, error: Bytes, desk: &mut Desk<'_>) {
        let drops_unnamed = match request {
            Request::Query { .. } => true,
            Request::Parse { name, .. } => name.is_empty(),
            Request::Call { .. } | Request::Execute { .. } => false,
        };
        if drops_unnamed && self.skipping == Skipping::No {
            // A server has dropped the statement without a name by then, whatever it says of the text.
            self.names.forget("");
            self.statements.remove("");
        }
        if request.is_simple() {
            self.refuse_query(error, desk);
        } else if self.skipping == Skipping::No {
            self.refuse_batch(error, desk);
        }
    }

    /// Refuses what nobody has read. Where that is because the text is no SQL, the server is asked what is wrong with it, and the client is told that in
    /// place of `error`: see [`question`].
    pub(super) fn refuse_unread(
        &mut self,
        request: &Request,
        analysis: &Analysis,
        error: Bytes,
        desk: &mut Desk<'_>,
    ) {
        let name = match request {
            // Whatever becomes of a Query or of a Parse without a name, the statement without a name is gone.
            Request::Query { .. } => "",
            Request::Parse { name, .. } if name.is_empty() => "",
            Request::Parse { .. } => REFUSED_NAME,
            Request::Execute { .. } | Request::Call { .. } => return self.refuse(request, error, desk),
        };
        let simple = request.is_simple();
        // The Sync behind a question about a Query would end the client's own batch as well.
        let in_batch = simple && self.batch_open;
        if !is_syntax_error(analysis) || in_batch || self.is_lexer_unsure() {
            return self.refuse(request, error, desk);
        }
        if self.skipping != Skipping::No {
            return;
        }
        self.pipeline.push(Expect::Question { error });
        desk.upstream(question::ask(name, &analysis.text));
        if simple {
            self.pipeline.push(Expect::Sync { is_own: false });
            desk.upstream(reply::sync());
        } else {
            self.batch_open = true;
            self.skipping = Skipping::Target;
        }
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
}
