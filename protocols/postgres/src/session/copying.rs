//! A COPY whose rows are to be masked: the target is asked first which columns they are.
//!
//! It is asked within the same transaction that the COPY runs in, where the locks of the question are kept: no view
//! or table in it can be another one by the time that it runs. For a COPY that came as a Query, whose transaction
//! would be its own, the gateway sends it as a batch. The client does not notice: the messages of a COPY are the same.

use std::sync::Arc;

use gatewright_model::id::EventId;

use super::{
    masking::Masks,
    pipeline::Expect,
    relay::{Desk, Relay},
};
use crate::reply;

/// The statement whose description is asked for.
const QUESTION: &str = "gatewright.question";

/// The statement and portal under which a COPY runs that came as a Query.
const COPY: &str = "gatewright.copy";

impl Relay {
    /// Asks what the COPY that is sent next will send.
    pub(super) fn ask_about_copy(&mut self, query: &str, desk: &mut Desk<'_>) {
        self.batch_open = true;
        self.pipeline.push(Expect::CopyQuestion { closed: 0, fields: None });
        // What an error has left of the last question is closed first.
        desk.upstream(reply::close_statement(QUESTION));
        desk.upstream(reply::parse(QUESTION, query));
        desk.upstream(reply::describe_statement(QUESTION));
        desk.upstream(reply::close_statement(QUESTION));
    }

    /// Runs a COPY that came as a Query.
    pub(super) fn run_copy(
        &mut self,
        event: EventId,
        text: &Arc<str>,
        query: &str,
        masks: Masks,
        desk: &mut Desk<'_>,
    ) {
        self.pipeline.push(Expect::OwnCopy);
        desk.upstream(reply::close_portal(COPY));
        desk.upstream(reply::close_statement(COPY));
        desk.upstream(reply::parse(COPY, text));
        desk.upstream(reply::bind(COPY, COPY));
        self.ask_about_copy(query, desk);
        self.pipeline.push(Expect::Execute { event, masks });
        desk.upstream(reply::execute(COPY));
        self.pipeline.push(Expect::OwnClose { closed: 0 });
        desk.upstream(reply::close_portal(COPY));
        desk.upstream(reply::close_statement(COPY));
        // Like a Query, it ends what the client may have left open of a batch.
        self.batch_open = false;
        self.batch_ran = false;
        self.barrier = true;
        self.pipeline.push(Expect::Sync { is_own: false });
        desk.upstream(reply::sync());
    }
}
