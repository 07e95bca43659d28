//! Reading the catalog beside the sessions: a login under their account, one question, its rows, goodbye.
//!
//! It sees what is committed by now. A session's own connection does not where its transaction is above READ COMMITTED: the
//! server reads names as they are now, and shows its catalog as it was when the transaction began.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;
use gatewright_model::session::{Errand, Input, Output, ProtocolError, Session, Side};

use super::login::{Login, Progress};
use crate::{
    backend::{error_response, tag},
    catalog::{self, CatalogBuilder, Catalogs},
    changes::Changes,
    frame::Inbox,
    frontend::startup::Startup,
    reply,
};

pub(super) struct CatalogErrand {
    database: Arc<str>,
    /// Where what is read is kept.
    catalogs: Catalogs,
    changes: Changes,
    /// Most bytes of the catalog's rows.
    limit: usize,
    step: Step,
    inbox: Inbox,
    outputs: VecDeque<Output<Bytes>>,
}

enum Step {
    Connecting,
    Login(Box<Login>),
    Reading { builder: Box<CatalogBuilder>, began: Instant, is_complete: bool },
    Over,
}

impl CatalogErrand {
    /// The errand that reads the catalog of `database` into `catalogs`, of at most `limit` bytes.
    pub(super) fn send(database: &Arc<str>, catalogs: &Catalogs, limit: usize) -> Errand<Bytes> {
        let changes = catalogs.changes(database).now();
        let session = Box::new(Self {
            database: Arc::clone(database),
            catalogs: catalogs.clone(),
            changes,
            limit,
            step: Step::Connecting,
            inbox: Inbox::default(),
            outputs: VecDeque::new(),
        });
        // One that began before a change is of no use to whoever asks behind it.
        Errand { key: Arc::from(format!("catalog of {database} after {changes} changes")), session }
    }

    fn read(&mut self) -> Result<(), ProtocolError> {
        let Step::Reading { builder, began, is_complete } = &mut self.step else { return Ok(()) };
        while let Some(frame) = self.inbox.cut(Side::Upstream, |_| self.limit)? {
            match frame.tag {
                tag::DATA_ROW => builder.row(frame.body(), self.limit)?,
                tag::COMMAND_COMPLETE => *is_complete = true,
                tag::ERROR_RESPONSE => {
                    let report = error_response::decode(frame.body())?;
                    return Err(failed(&format!("the target gave SQLSTATE {}", report.sqlstate)));
                }
                tag::READY_FOR_QUERY => {
                    let catalog = std::mem::take(&mut **builder).build().filter(|_| *is_complete);
                    let Some(catalog) = catalog else { return Err(failed("the target gave none")) };
                    self.catalogs.put(&self.database, self.changes, catalog, *began);
                    self.step = Step::Over;
                    let side = Side::Upstream;
                    self.outputs.push_back(Output::Send { side, unit: reply::terminate() });
                    self.outputs.push_back(Output::Close { side });
                    return Ok(());
                }
                tag::ROW_DESCRIPTION | tag::NOTICE_RESPONSE | tag::PARAMETER_STATUS => {}
                _ => return Err(failed("the target gave something else")),
            }
        }
        Ok(())
    }
}

impl Session for CatalogErrand {
    type Unit = Bytes;

    fn handle_input(&mut self, now: Instant, input: Input<Bytes>) -> Result<(), ProtocolError> {
        let input = match input {
            Input::Data { unit, .. } => {
                self.inbox.push(unit);
                None
            }
            Input::Closed { .. } if !matches!(self.step, Step::Over) => {
                return Err(failed("the target closed the connection"));
            }
            input => Some(input),
        };
        match (&mut self.step, input) {
            (Step::Connecting, Some(Input::Connected(account))) => {
                let parameters = [("database", &*self.database), ("application_name", "gatewright")];
                let parameters = parameters.map(|(name, value)| (Arc::from(name), Arc::from(value)));
                let startup = Startup { minor: 0, parameters: parameters.to_vec() };
                self.step = Step::Login(Login::start(startup, account, Vec::new(), &mut self.outputs));
            }
            (Step::Login(login), input) => match login.handle(&mut self.inbox, &mut self.outputs, input)? {
                Progress::Waiting => {}
                Progress::Arrived(_) => {
                    let unit = reply::query(catalog::QUERY);
                    self.outputs.push_back(Output::Send { side: Side::Upstream, unit });
                    let builder = Box::default();
                    self.step = Step::Reading { builder, began: now, is_complete: false };
                }
                Progress::Over => return Err(failed("the target refused the login")),
            },
            _ => self.read()?,
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output<Bytes>> {
        self.outputs.pop_front()
    }

    fn holds_locks(&self) -> bool {
        false
    }

    fn wants_input(&self, side: Side) -> bool {
        side == Side::Upstream && !matches!(self.step, Step::Over)
    }
}

fn failed(detail: &str) -> ProtocolError {
    ProtocolError { fault: Side::Upstream, code: "mask.catalog", detail: Arc::from(detail) }
}
