//! The subsystem `sftp` on a channel: what both sides send goes through a relay that knows what it does.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    id::EventId,
    permit::{Denial, Permit},
    session::{ProtocolError, Side},
    ssh::SshRequest,
};

use super::{Channel, unmaskable};
use crate::{
    message::Message,
    sftp::{Does, Sftp},
    telling,
};

/// Lines on the standard error about operations that were refused. OpenSSH's client shows no text of a status, and others do not read this at all.
const MOST_TOLD: u32 = 32;

/// The relay of a channel that runs `sftp`.
#[derive(Debug, Default)]
pub(super) struct Files {
    relay: Sftp,
    told: u32,
}

impl Channel {
    /// Data of a side. None: it is nothing to the relay, because there is none.
    pub(super) fn relay(&mut self, side: Side, data: &Bytes) -> Option<Result<(), ProtocolError>> {
        let files = self.files.as_mut()?;
        let heard = files.relay.hear(side, data.clone());
        Some(self.serve(heard))
    }

    /// Is something wanted of the client, as far as the relay goes?
    pub(super) fn wants_files(&self) -> bool {
        self.files.as_ref().is_none_or(|files| files.relay.wants_client())
    }

    /// A permit for an operation is used up. It comes back where it is for none.
    pub(super) fn permitted_file(&mut self, permit: Permit) -> Result<Result<(), ProtocolError>, Permit> {
        let Some(files) = self.files.as_mut().filter(|files| files.relay.asks(permit.event())) else {
            return Err(permit);
        };
        let went_on = if permit.consume().is_some_and(|masks| !masks.is_empty()) {
            let text = telling::words(&telling::rejected(&unmaskable()));
            files.relay.withheld(unmaskable().code, &text)
        } else {
            files.relay.permitted()
        };
        Ok(self.serve(went_on))
    }

    /// A person is asked about an operation, if it is one.
    pub(super) fn held_file(&mut self, event: EventId) {
        if let Some(files) = self.files.as_mut().filter(|files| files.relay.asks(event)) {
            files.relay.held();
        }
    }

    /// An operation is refused. None: it was none.
    pub(super) fn denied_file(&mut self, denial: &Denial) -> Option<Result<(), ProtocolError>> {
        let session = self.seed.session;
        let files = self.files.as_mut().filter(|files| files.relay.asks(denial.event))?;
        let text = telling::denied(denial, session);
        let went_on = files.relay.denied(&telling::words(&text));
        files.told += 1;
        if files.told <= MOST_TOLD {
            self.tell(&text);
        }
        Some(self.serve(went_on))
    }

    /// Does what the relay wants done.
    fn serve(&mut self, went_on: Result<(), ProtocolError>) -> Result<(), ProtocolError> {
        while let Some(does) = self.files.as_mut().and_then(|files| files.relay.poll()) {
            match does {
                Does::Ask(operation) => {
                    let event = self.decide(Arc::new(SshRequest::File(operation)));
                    if let Some(files) = &mut self.files {
                        files.relay.asked(event);
                    }
                }
                Does::Send(side, bytes) => self.send(side, Message::Data(bytes)),
                Does::Finish(event, outcome) => self.finish(event, outcome),
            }
        }
        if let Err(error) = &went_on {
            self.tell(&format!("{} [{}]", error.detail, error.code));
            self.stop("KILL");
            self.end();
        }
        went_on
    }

    /// Whatever of it has not ended does not any more.
    pub(super) fn give_up_files(&mut self) {
        let Some(mut files) = self.files.take() else { return };
        for (event, outcome) in files.relay.give_up() {
            self.finish(event, outcome);
        }
    }
}
