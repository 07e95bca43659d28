//! The client's side until its identity is proved: TLS, the startup packet, the token.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use gatewright_model::session::{
    ConnectRequest, Credential, Input, Output, ProtocolError, Rejection, Side,
};

use super::{DownstreamTls, Next, Shared, is_foreign, login::Login};
use crate::{
    cancel::{Cancelled, OwnKey},
    frame::Inbox,
    frontend::{
        self, options, password,
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
                Ok(Next::Login(Login::start(startup, account, outputs)))
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
                let Cancelled { held, target } = shared.cancel_keys.find(OwnKey { process, key });
                let withdraws = held.is_some();
                outputs.extend(held.map(Output::Withdraw));
                return match target {
                    Some(target) => {
                        outputs.push_back(Output::Connect(ConnectRequest::OutOfBand));
                        Ok(Next::Cancel(target))
                    }
                    None if withdraws => Ok(Next::Over),
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

/// Startup parameters that a client may set, beside `user` and `database`. Everything else could change
/// what a statement means (`search_path`, `options`, `role`; threats A5).
pub(super) const CLIENT_SETTINGS: [&str; 6] =
    ["application_name", "DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "client_encoding"];

/// Longest value of a startup parameter, in bytes.
const MAX_VALUE: usize = 1_024;

/// Puts the settings of `options` in the place of that parameter. None: it holds something else.
///
/// A parameter that is named by itself counts more, and of two in `options` the later one: as at the server.
fn with_options(mut startup: Startup) -> Option<Startup> {
    let Some(at) = startup.parameters.iter().position(|(name, _)| &**name == "options") else {
        return Some(startup);
    };
    let (_, text) = startup.parameters.remove(at);
    for (name, value) in options::decode(&text)?.into_iter().rev() {
        // Not everything that may be a parameter is a setting.
        if !CLIENT_SETTINGS.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name)) {
            return None;
        }
        if !startup.parameters.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
            startup.parameters.push((Arc::from(name), Arc::from(value)));
        }
    }
    Some(startup)
}

fn options_denied() -> Rejection {
    let settings = CLIENT_SETTINGS.join("`, `");
    Rejection {
        code: "pg.param_denied",
        message: Arc::from("the startup parameter `options` holds something that is not allowed"),
        remedy: Arc::from(format!("set nothing but `{settings}` in PGOPTIONS or the driver's settings")),
    }
}

fn parameter_denied(startup: &Startup) -> Option<Rejection> {
    let denied = |code: &'static str, message: String, remedy: &str| {
        Some(Rejection { code, message: Arc::from(message), remedy: Arc::from(remedy) })
    };
    for (name, value) in &startup.parameters {
        let known = matches!(&**name, "user" | "database")
            || CLIENT_SETTINGS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
            || name.starts_with("_pq_.");
        if name.eq_ignore_ascii_case("replication") && !matches!(&**value, "false" | "off" | "0" | "no") {
            return denied(
                "pg.mode_denied",
                "replication connections are not allowed".to_owned(),
                "connect without the parameter `replication`",
            );
        }
        if !known && !name.eq_ignore_ascii_case("replication") {
            return denied(
                "pg.param_denied",
                format!("the startup parameter `{name}` is not allowed"),
                "remove it from the connection string, PGOPTIONS or the driver's settings",
            );
        }
        if value.len() > MAX_VALUE {
            return denied(
                "pg.param_denied",
                format!("the startup parameter `{name}` is too long"),
                "shorten it",
            );
        }
        if name.eq_ignore_ascii_case("client_encoding") && !is_utf8(value) {
            return denied(
                "sql.mode_change",
                "only the client encoding UTF8 is supported".to_owned(),
                "set client_encoding to UTF8",
            );
        }
    }
    if startup.get("user").is_none_or(|user| user.is_empty()) {
        return denied("pg.param_denied", "no user name was given".to_owned(), "give a user name");
    }
    None
}

/// Spellings of UTF-8 that PostgreSQL knows.
fn is_utf8(encoding: &str) -> bool {
    let letters = encoding.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    let folded: Vec<u8> = letters.collect();
    matches!(&*folded, b"utf8" | b"unicode")
}

fn connect_request(startup: &Startup) -> ConnectRequest {
    let user = startup.get("user").cloned();
    let database = startup.get("database").cloned().or_else(|| user.clone());
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
