//! The target's side until it accepts the gateway's own credential: TLS, SCRAM, its settings.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{
    id::EventId,
    session::{Account, Input, Outcome, OutcomeResult, Output, ProtocolError, Side, TlsInfo},
};
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};

use super::{Seed, Shared, is_foreign, relay::Relay, settings::is_setting};
use crate::{
    backend::{
        authentication::{self, Authentication},
        error_response, parameter_status,
        ready_for_query::{self, Transaction},
        tag,
    },
    cancel::TargetKey,
    frame::{Frame, Inbox},
    frontend::startup::Startup,
    reader::Reader,
    reply,
};

/// State of the login.
pub(super) struct Login {
    startup: Startup,
    account: Account,
    /// What policies have allowed of the startup packet.
    allowed: Vec<EventId>,
    step: Step,
    tls: Option<TlsInfo>,
    /// What the client will be told once the target is ready: settings and notices.
    words: Vec<Bytes>,
    /// The database is not in UTF-8.
    folds_otherwise: bool,
    key: Option<TargetKey>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("account", &self.account.name).finish_non_exhaustive()
    }
}

enum Step {
    AskingTls,
    Securing,
    /// The startup packet is sent; the target has not asked for anything yet.
    Greeted,
    Scram(Box<ScramSha256>),
    /// The target proved that it knows the credential too.
    ScramProved,
    /// The target accepted.
    Accepted,
}

/// How far a login is.
pub(super) enum Progress {
    /// The target has to say more.
    Waiting,
    /// The target is ready.
    Arrived(Box<Arrival>),
    /// The session is over, and the client was told why.
    Over,
}

/// What the target has said of itself.
pub(super) struct Arrival {
    startup: Startup,
    database: Arc<str>,
    /// What the client is to be told.
    words: Vec<Bytes>,
    folds_otherwise: bool,
    key: Option<TargetKey>,
    transaction: Transaction,
    next_event: EventId,
}

impl Login {
    pub(super) fn start(
        startup: Startup,
        account: Account,
        allowed: Vec<EventId>,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Box<Self> {
        let mut login = Box::new(Self {
            startup,
            account,
            allowed,
            step: Step::AskingTls,
            tls: None,
            words: Vec::new(),
            folds_otherwise: false,
            key: None,
        });
        if login.account.require_tls {
            send(outputs, reply::tls_request());
        } else {
            login.greet(outputs);
        }
        login
    }

    pub(super) fn handle(
        &mut self,
        inbox: &mut Inbox,
        outputs: &mut VecDeque<Output<Bytes>>,
        input: Option<Input<Bytes>>,
    ) -> Result<Progress, ProtocolError> {
        match input {
            Some(Input::Secured { side: Side::Upstream, tls }) => {
                if is_foreign(&tls) {
                    return Err(downgrade("the target speaks another application protocol"));
                }
                self.tls = Some(tls);
                self.greet(outputs);
            }
            Some(Input::Closed { side: Side::Downstream }) => return Ok(Progress::Over),
            Some(Input::Closed { side: Side::Upstream } | Input::Unreachable) => {
                return Err(upstream("upstream.closed", "the target closed the connection during login"));
            }
            Some(Input::Drain) => {
                let unit = reply::rejection(&super::greeting::draining());
                outputs.push_back(Output::Send { side: Side::Downstream, unit });
                return Ok(Progress::Over);
            }
            _ => {}
        }
        match self.step {
            Step::AskingTls => {
                if !inbox.is_empty() {
                    accept_tls(inbox)?;
                    outputs.push_back(Output::StartTls { side: Side::Upstream });
                    self.step = Step::Securing;
                }
                return Ok(Progress::Waiting);
            }
            // The driver feeds nothing while a handshake runs: what is here came before it.
            Step::Securing if inbox.is_empty() => return Ok(Progress::Waiting),
            Step::Securing => return Err(pretls_bytes()),
            _ => {}
        }
        while let Some(frame) = inbox.cut(Side::Upstream, |_| MAX_LOGIN_MESSAGE)? {
            match frame.tag {
                tag::AUTHENTICATION => self.authenticate(authentication::decode(frame.body())?, outputs)?,
                tag::ERROR_RESPONSE => return self.refused(&frame, outputs),
                // Words of a target that has not proved itself are not for the client.
                tag::NOTICE_RESPONSE if !matches!(self.step, Step::Accepted) => {}
                tag::NOTICE_RESPONSE => {
                    error_response::decode(frame.body())?;
                    self.told(frame.bytes)?;
                }
                _ if !matches!(self.step, Step::Accepted) => {
                    return Err(upstream(
                        "upstream.protocol",
                        "a message before authentication was complete",
                    ));
                }
                tag::PARAMETER_STATUS => {
                    let status = parameter_status::decode(frame.body())?;
                    if status.changes_lexer() {
                        return Err(mode_change());
                    }
                    self.folds_otherwise |= status.name == "server_encoding" && status.value != "UTF8";
                    self.told(frame.bytes)?;
                }
                tag::BACKEND_KEY_DATA => self.key = Some(key_data(&frame)?),
                tag::READY_FOR_QUERY => {
                    let next_event = self.allowed.last().map_or(EventId::FIRST, |last| last.next());
                    self.allowed_is(&Outcome { result: OutcomeResult::Ok, ..Outcome::default() }, outputs);
                    return Ok(Progress::Arrived(Box::new(Arrival {
                        startup: self.startup.clone(),
                        database: self.database(),
                        words: std::mem::take(&mut self.words),
                        folds_otherwise: self.folds_otherwise,
                        key: self.key.take(),
                        next_event,
                        transaction: ready_for_query::decode(frame.body())?,
                    })));
                }
                _ => return Err(upstream("upstream.protocol", "an unexpected message during login")),
            }
        }
        Ok(Progress::Waiting)
    }

    /// Keeps what the client will be told.
    fn told(&mut self, message: Bytes) -> Result<(), ProtocolError> {
        if self.words.len() == MAX_WORDS {
            return Err(upstream("upstream.protocol", "too many settings and notices during login"));
        }
        self.words.push(message);
        Ok(())
    }

    /// Sends the startup packet: the client's choice among allowed settings, and the pins that keep our
    /// reading of SQL the server's (threats A13).
    fn greet(&mut self, outputs: &mut VecDeque<Output<Bytes>>) {
        let chosen = self
            .startup
            .parameters
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("client_encoding") && is_setting(name));
        let database = self.database();
        let parameters = [("user", &*self.account.name), ("database", &*database)]
            .into_iter()
            .chain(chosen.map(|(name, value)| (&**name, &**value)))
            .chain([("client_encoding", "UTF8"), ("standard_conforming_strings", "on")]);
        send(outputs, reply::startup(parameters));
        self.step = Step::Greeted;
    }

    fn database(&self) -> Arc<str> {
        self.startup.database().map_or_else(|| Arc::clone(&self.account.name), Arc::clone)
    }

    fn authenticate(
        &mut self,
        request: Authentication<'_>,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Result<(), ProtocolError> {
        match (&mut self.step, request) {
            (Step::Greeted, Authentication::Sasl { scram, scram_plus }) => {
                let Some(password) = &self.account.password else {
                    return Err(upstream(
                        "upstream.credential",
                        "the target wants a password and none is set",
                    ));
                };
                let end_point = self.tls.as_ref().and_then(|tls| tls.server_end_point.as_deref());
                let (mechanism, binding) = match end_point {
                    Some(hash) if scram_plus => {
                        (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash.to_vec()))
                    }
                    // Says that we could have bound: a server that was made to hide PLUS will notice.
                    Some(_) if scram => (SCRAM_SHA_256, ChannelBinding::unrequested()),
                    None if scram => (SCRAM_SHA_256, ChannelBinding::unsupported()),
                    _ => return Err(downgrade("the target offers no SCRAM-SHA-256")),
                };
                let exchange = ScramSha256::new(password.expose().as_bytes(), binding);
                send(outputs, reply::sasl_initial(mechanism, exchange.message()));
                self.step = Step::Scram(Box::new(exchange));
                Ok(())
            }
            (Step::Scram(exchange), Authentication::SaslContinue(data)) => {
                exchange.update(data).map_err(|_| scram_failed())?;
                send(outputs, reply::sasl_response(exchange.message()));
                Ok(())
            }
            (Step::Scram(exchange), Authentication::SaslFinal(data)) => {
                exchange.finish(data).map_err(|_| scram_failed())?;
                self.step = Step::ScramProved;
                Ok(())
            }
            (Step::ScramProved, Authentication::Ok) => {
                self.step = Step::Accepted;
                Ok(())
            }
            // A certificate was enough. Where the gateway holds a password, a target that does not ask for
            // it has not proved that it is the one the password is for (threats A3).
            (Step::Greeted, Authentication::Ok) if self.account.password.is_none() => {
                self.step = Step::Accepted;
                Ok(())
            }
            (Step::Greeted, Authentication::Ok) => Err(downgrade(
                "the target lets the account in without the password that is set for it: it may be another one",
            )),
            (_, Authentication::Weak(_)) => {
                Err(downgrade("the target asks for a password in a form that would give it away"))
            }
            _ => Err(downgrade("the target broke the order of authentication")),
        }
    }

    /// The target said no. Its words are shown once it has proved itself, and never before.
    fn refused(
        &mut self,
        frame: &Frame,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Result<Progress, ProtocolError> {
        let report = error_response::decode(frame.body())?;
        let code = Some(Arc::from(report.sqlstate));
        self.allowed_is(&Outcome { result: OutcomeResult::Error, code, ..Outcome::default() }, outputs);
        if !matches!(self.step, Step::Accepted) {
            // These say nothing of a credential, and a client knows what to do.
            return Err(match report.sqlstate {
                "53300" => upstream(reply::BUSY, "the target has no connection to spare"),
                "57P03" => upstream(reply::NOT_READY, "the target does not take connections now"),
                _ => upstream("upstream.auth_failed", "the target refused the gateway's credential"),
            });
        }
        outputs.push_back(Output::Send { side: Side::Downstream, unit: frame.bytes.clone() });
        Ok(Progress::Over)
    }

    /// Says what has become of the settings that policies were asked about.
    fn allowed_is(&mut self, outcome: &Outcome, outputs: &mut VecDeque<Output<Bytes>>) {
        let finished = |event| Output::Finished { event, outcome: outcome.clone() };
        outputs.extend(self.allowed.drain(..).map(finished));
    }
}

impl Arrival {
    /// Tells the client that the target is ready for it.
    pub(super) fn welcome(
        self,
        shared: &Shared,
        seed: Seed,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Box<Relay> {
        let Self { startup, database, words, folds_otherwise, key: target, transaction, next_event } = self;
        let own = seed.own_key(startup.minor, target.as_ref());
        let mut unit = bytes::BytesMut::from(&*reply::authentication_ok());
        for words in words {
            unit.extend_from_slice(&words);
        }
        unit.extend_from_slice(&reply::key_data(&own));
        let side = Side::Downstream;
        outputs.push_back(Output::Send { side, unit: unit.freeze() });
        outputs.push_back(Output::Send { side, unit: reply::ready_for_query(transaction) });
        let registration = target.map(|target| shared.cancel_keys.register(own, target));
        let mut relay = Relay::new(database, registration, transaction, next_event);
        relay.folds_otherwise = folds_otherwise;
        Box::new(relay)
    }
}

/// Reads the one byte that answers an SSLRequest. Anything but a lone `S` ends the session before any
/// byte of a credential is sent (threats A2, A3).
pub(super) fn accept_tls(inbox: &mut Inbox) -> Result<(), ProtocolError> {
    match inbox.peek() {
        b"S" => {
            inbox.take(1);
            Ok(())
        }
        [b'S', ..] => Err(pretls_bytes()),
        [b'N', ..] => Err(downgrade("the target does not speak TLS")),
        _ => Err(upstream("upstream.pretls", "the target did not answer the request for TLS")),
    }
}

/// Largest message during login, in bytes: far above any honest one.
const MAX_LOGIN_MESSAGE: usize = 64 << 10;

/// Most settings and notices that a target may tell during login.
const MAX_WORDS: usize = 128;

fn key_data(frame: &Frame) -> Result<TargetKey, ProtocolError> {
    let mut reader = Reader::new(frame.body());
    let process = reader.u32().map_err(|cause| cause.in_message(Side::Upstream, "BackendKeyData"))?;
    let key = Bytes::copy_from_slice(reader.rest());
    // 4 bytes in protocol 3.0, up to 256 in 3.2 (manual, section 55.7).
    if (4..=256).contains(&key.len()) {
        Ok(TargetKey { process, key })
    } else {
        Err(upstream("upstream.protocol", "a cancel key of an impossible length"))
    }
}

fn send(outputs: &mut VecDeque<Output<Bytes>>, unit: Bytes) {
    outputs.push_back(Output::Send { side: Side::Upstream, unit });
}

fn upstream(code: &'static str, detail: &str) -> ProtocolError {
    ProtocolError { fault: Side::Upstream, code, detail: Arc::from(detail) }
}

fn pretls_bytes() -> ProtocolError {
    upstream("upstream.pretls", "bytes in clear before the TLS handshake")
}

fn downgrade(detail: &str) -> ProtocolError {
    upstream("upstream.downgrade", detail)
}

fn scram_failed() -> ProtocolError {
    upstream("upstream.auth_failed", "the SCRAM exchange with the target failed")
}

pub(super) fn mode_change() -> ProtocolError {
    upstream("sql.mode_change", "the target reads SQL in a mode that the gateway does not")
}
