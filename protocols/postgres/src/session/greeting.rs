//! The client's side until its identity is proved: TLS, the startup packet, the token.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use gatewright_model::session::{
    ConnectRequest, Credential, Input, Output, ProtocolError, Rejection, Side,
};

use super::{
    DownstreamTls, Next, Shared, is_foreign,
    settings::{Asking, options_denied, parameter_denied, with_options},
};
use crate::{
    cancel::{Cancelled, OwnKey},
    frame::Inbox,
    frontend::{
        self, password,
        startup::{self, Opening, Startup},
    },
    reply,
};

/// State of the greeting.
#[derive(Debug)]
pub(super) struct Greeting {
    tls: DownstreamTls,
    secured: bool,
    asked_gss: bool,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Waiting for a packet that opens the connection.
    Opening,
    /// Waiting for the TLS handshake.
    Securing,
    /// Waiting for the token.
    Password(Startup),
    /// Waiting for the verdict on the token.
    Verifying(Startup),
    /// Waiting for the upstream connection.
    Connecting(Startup),
}

impl Greeting {
    pub(super) const fn new(tls: DownstreamTls) -> Self {
        Self { tls, secured: false, asked_gss: false, step: Step::Opening }
    }

    /// Is the client far enough to be told why it is turned away?
    pub(super) const fn may_speak(&self) -> bool {
        match self.step {
            Step::Opening => self.secured || !matches!(self.tls, DownstreamTls::Required),
            Step::Securing => false,
            Step::Password(_) | Step::Verifying(_) | Step::Connecting(_) => true,
        }
    }

    /// Is a message of the client wanted now?
    pub(super) const fn reads_messages(&self) -> bool {
        matches!(self.step, Step::Opening | Step::Password(_))
    }

    pub(super) fn handle(
        &mut self,
        shared: &Shared,
        inbox: &mut Inbox,
        outputs: &mut VecDeque<Output<Bytes>>,
        input: Option<Input<Bytes>>,
    ) -> Result<Next, ProtocolError> {
        let step = std::mem::replace(&mut self.step, Step::Opening);
        match (step, input) {
            (_, Some(Input::Closed { .. })) => Ok(Next::Over),
            (step, Some(Input::Drain)) => {
                self.step = step;
                Ok(self.turn_away(outputs, &draining()))
            }
            (_, Some(Input::Rejected(rejection))) => Ok(self.turn_away(outputs, &rejection)),
            (Step::Connecting(startup), Some(Input::Connected(account))) => {
                Ok(Asking::begin(startup, account, shared, outputs))
            }
            (Step::Connecting(_), Some(Input::Unreachable)) => Ok(self.turn_away(outputs, &unreachable())),
            (Step::Verifying(startup), Some(Input::Authenticated(_))) => {
                outputs.push_back(Output::Connect(connect_request(&startup)));
                self.step = Step::Connecting(startup);
                Ok(Next::Stay)
            }
            // Direct TLS: the handshake came first, and must have named the protocol (manual, 55.2.11).
            (Step::Opening, Some(Input::Secured { side: Side::Downstream, tls })) => {
                if self.secured || tls.alpn.as_deref() != Some(super::ALPN) {
                    return Err(unexpected("a direct TLS connection without ALPN `postgresql`"));
                }
                self.secured = true;
                self.read(shared, inbox, outputs)
            }
            (Step::Securing, Some(Input::Secured { side: Side::Downstream, tls })) => {
                if is_foreign(&tls) {
                    return Err(unexpected("TLS for another application protocol"));
                }
                self.secured = true;
                self.read(shared, inbox, outputs)
            }
            (step, None) => {
                self.step = step;
                self.read(shared, inbox, outputs)
            }
            (step, Some(_)) => {
                self.step = step;
                Ok(Next::Stay)
            }
        }
    }

    /// Reads what the client sent, as far as this step may.
    fn read(
        &mut self,
        shared: &Shared,
        inbox: &mut Inbox,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Result<Next, ProtocolError> {
        loop {
            match &self.step {
                Step::Opening => {
                    let Some(packet) = inbox.cut_startup()? else { return Ok(Next::Stay) };
                    match self.open(shared, startup::decode(&packet)?, inbox, outputs)? {
                        Next::Stay => {}
                        next => return Ok(next),
                    }
                }
                Step::Password(_) => {
                    if inbox.peek().first().is_some_and(|tag| *tag != frontend::tag::PASSWORD) {
                        return Err(unexpected("a message other than the password"));
                    }
                    let Some(frame) = inbox.cut(Side::Downstream, |_| password::LIMIT)? else {
                        return Ok(Next::Stay);
                    };
                    let token = password::decode(frame.body())?;
                    let Step::Password(startup) = std::mem::replace(&mut self.step, Step::Opening) else {
                        return Ok(Next::Stay);
                    };
                    self.step = Step::Verifying(startup);
                    outputs.push_back(Output::Authenticate(Credential::Bearer(token)));
                    return Ok(Next::Stay);
                }
                Step::Securing => {
                    // The driver feeds nothing while a handshake runs.
                    return if inbox.is_empty() { Ok(Next::Stay) } else { Err(pretls_bytes()) };
                }
                Step::Verifying(_) | Step::Connecting(_) => return Ok(Next::Stay),
            }
        }
    }

    fn open(
        &mut self,
        shared: &Shared,
        opening: Opening,
        inbox: &Inbox,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Result<Next, ProtocolError> {
        let mut send = |unit| outputs.push_back(Output::Send { side: Side::Downstream, unit });
        match opening {
            Opening::Tls => {
                // Bytes behind an SSLRequest would be read as if they had come inside TLS
                // (CVE-2021-23214, threats A1).
                if !inbox.is_empty() {
                    return Err(pretls_bytes());
                }
                if self.secured {
                    return Err(unexpected("a second request for TLS"));
                }
                if self.tls == DownstreamTls::Off {
                    send(Bytes::from_static(b"N"));
                } else {
                    send(Bytes::from_static(b"S"));
                    outputs.push_back(Output::StartTls { side: Side::Downstream });
                    self.step = Step::Securing;
                }
            }
            Opening::Gss => {
                if self.asked_gss || self.secured {
                    return Err(unexpected("a second request for GSSAPI encryption"));
                }
                if !inbox.is_empty() {
                    return Err(pretls_bytes());
                }
                self.asked_gss = true;
                send(Bytes::from_static(b"N"));
            }
            Opening::Cancel { process, key } => {
                let Cancelled { judged, held, target } = shared.cancel_keys.cancel(OwnKey { process, key });
                let is_done = judged || held.is_some();
                outputs.extend(held.map(Output::Withdraw));
                return match target {
                    Some(target) => {
                        outputs.push_back(Output::Connect(ConnectRequest::OutOfBand));
                        Ok(Next::Cancel(target))
                    }
                    None if is_done => Ok(Next::Over),
                    None => {
                        self.step = Step::Securing;
                        Err(ProtocolError {
                            fault: Side::Downstream,
                            code: "pg.cancel_denied",
                            detail: Arc::from("a cancel request with a key that nothing runs under"),
                        })
                    }
                };
            }
            Opening::Startup(startup) => return Ok(self.startup(startup, outputs)),
        }
        Ok(Next::Stay)
    }

    fn startup(&mut self, startup: Startup, outputs: &mut VecDeque<Output<Bytes>>) -> Next {
        if self.tls == DownstreamTls::Required && !self.secured {
            return self.turn_away(
                outputs,
                &Rejection {
                    code: "pg.tls_required",
                    message: Arc::from("this listener accepts TLS connections only"),
                    remedy: Arc::from("connect with sslmode=verify-full"),
                },
            );
        }
        let Some(startup) = with_options(startup) else {
            return self.turn_away(outputs, &options_denied());
        };
        if let Some(rejection) = parameter_denied(&startup) {
            return self.turn_away(outputs, &rejection);
        }
        let options: Vec<&str> = startup
            .parameters
            .iter()
            .map(|(name, _)| &**name)
            .filter(|name| name.starts_with("_pq_."))
            .collect();
        let mut send = |unit| outputs.push_back(Output::Send { side: Side::Downstream, unit });
        if startup.minor > NEWEST_MINOR || !options.is_empty() {
            send(reply::negotiate_version(startup.minor.min(NEWEST_MINOR), &options));
        }
        send(reply::ask_password());
        self.step = Step::Password(startup);
        Next::Stay
    }

    fn turn_away(&self, outputs: &mut VecDeque<Output<Bytes>>, rejection: &Rejection) -> Next {
        outputs.push_back(Output::Send { side: Side::Downstream, unit: reply::rejection(rejection) });
        Next::Over
    }
}

/// The newest protocol that is spoken with clients is 3.2, of PostgreSQL 18. To the target it is 3.0.
const NEWEST_MINOR: u16 = 2;

fn connect_request(startup: &Startup) -> ConnectRequest {
    let user = startup.get("user").cloned();
    let database = startup.database().cloned();
    let mut attributes = Vec::new();
    attributes.extend(database.map(|database| ("database", database)));
    attributes.extend(startup.get("application_name").map(|name| ("application", Arc::clone(name))));
    ConnectRequest::Session { account: user, attributes }
}

pub(super) fn draining() -> Rejection {
    Rejection {
        code: "gateway.draining",
        message: Arc::from("the gateway is shutting down"),
        remedy: Arc::from("connect again"),
    }
}

fn unreachable() -> Rejection {
    Rejection {
        code: "upstream.unreachable",
        message: Arc::from("the target can not be reached"),
        remedy: Arc::from("try again later, or ask the gateway's operator"),
    }
}

fn pretls_bytes() -> ProtocolError {
    ProtocolError {
        fault: Side::Downstream,
        code: "pg.pretls_bytes",
        detail: Arc::from("bytes in clear before the TLS handshake"),
    }
}

fn unexpected(what: &str) -> ProtocolError {
    ProtocolError { fault: Side::Downstream, code: "pg.unexpected_startup", detail: Arc::from(what) }
}
