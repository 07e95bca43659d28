//! What a client sets with its startup packet.
//!
//! | setting | what becomes of it |
//! | --- | --- |
//! | [`HARMLESS`] | sent to the target as it is |
//! | [`JUDGED`], and those with a dot in their names | policies are asked about the `SET` that does the same (threats A5); where they allow all of them, it is sent to the target in the startup packet, so that `RESET` and `DISCARD` bring it back as they should |
//! | everything else | the client is turned away before it is asked for its token |

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use gatewright_model::{
    event::{Event, Facet},
    id::EventId,
    permit::Denial,
    session::{Account, Input, Outcome, OutcomeResult, Output, ProtocolError, Rejection, Side},
    sql::{SqlEvent, SqlPhase},
};

use super::{Next, Shared, greeting::draining, login::Login, relay::digest_of};
use crate::{
    frontend::{
        options,
        startup::{MAX_NAME, MAX_PARAMETERS, Startup},
    },
    reply,
};

/// Startup parameters that mean the same whatever they are, beside `user` and `database`.
const HARMLESS: [&str; 6] =
    ["application_name", "DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "client_encoding"];

/// Those that drivers let their users set, and that policies decide about.
const JUDGED: [&str; 17] = [
    "bytea_output",
    "client_min_messages",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "jit",
    "lock_timeout",
    "plan_cache_mode",
    "row_security",
    "search_path",
    "statement_timeout",
    "synchronous_commit",
    "transaction_timeout",
    "work_mem",
];

/// Longest value of a startup parameter, in bytes.
const MAX_VALUE: usize = 1_024;

/// Most that all of them may take together, in bytes, with their names. A target takes 10,000 (`MAX_STARTUP_PACKET_LENGTH` of its `libpq/pqcomm.h`), and
/// the gateway adds its own account and pins.
const MAX_TOGETHER: usize = 9_000;

/// Is it sent to the target, once whoever has to be asked has allowed it?
pub(super) fn is_setting(name: &str) -> bool {
    is_harmless(name) || is_judged(name)
}

fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn is_judged(name: &str) -> bool {
    JUDGED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) || is_custom(name)
}

/// Is it one of an extension, or one that only the database's own code knows, like `app.tenant`?
fn is_custom(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_word = |word: &str| {
        word.bytes().next().is_some_and(is_letter)
            && word.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
    };
    !name.starts_with("_pq_.") && name.contains('.') && name.split('.').all(is_word)
}

/// Policies are being asked about the settings.
#[derive(Debug)]
pub(super) struct Asking {
    startup: Startup,
    account: Account,
    waiting: VecDeque<Event>,
    /// Those that were allowed.
    allowed: Vec<EventId>,
    /// Somebody would have to be asked, and there is no time for that.
    needs_reviewer: bool,
}

impl Asking {
    /// Asks about what has to be asked about, before the target is told anything.
    pub(super) fn begin(
        startup: Startup,
        account: Account,
        shared: &Shared,
        outputs: &mut VecDeque<Output<Bytes>>,
    ) -> Next {
        let mut id = EventId::FIRST;
        let judged = startup.parameters.iter().filter(|(name, _)| is_judged(name));
        let waiting = judged.map(|(name, value)| {
            let text = as_set(name, value);
            let analysis = shared.analyser.analyse(&text);
            let sql = SqlEvent { phase: SqlPhase::Query, analysis, parameters: Vec::new() };
            let event = Event { id, payload: digest_of(&[text.as_bytes()]), facet: Facet::Sql(sql) };
            id = id.next();
            event
        });
        let waiting = waiting.collect();
        let mut asking = Self { startup, account, waiting, allowed: Vec::new(), needs_reviewer: false };
        match asking.ask(outputs) {
            Next::Stay => Next::Asking(Box::new(asking)),
            next => next,
        }
    }

    fn ask(&mut self, outputs: &mut VecDeque<Output<Bytes>>) -> Next {
        if let Some(event) = self.waiting.pop_front() {
            outputs.push_back(Output::Decide(event));
            return Next::Stay;
        }
        let allowed = std::mem::take(&mut self.allowed);
        Next::Login(Login::start(self.startup.clone(), self.account.clone(), allowed, outputs))
    }

    pub(super) fn handle(
        &mut self,
        outputs: &mut VecDeque<Output<Bytes>>,
        input: Option<Input<Bytes>>,
    ) -> Result<Next, ProtocolError> {
        let (code, last_words) = match input {
            Some(Input::Permitted(permit)) => {
                self.allowed.push(permit.event());
                // A setting has no answer in which anything could be masked.
                drop(permit.consume());
                return Ok(self.ask(outputs));
            }
            Some(Input::Held { approval, .. }) => {
                outputs.push_back(Output::Withdraw(approval));
                self.needs_reviewer = true;
                return Ok(Next::Stay);
            }
            Some(Input::Denied(denial)) => ("pg.param_denied", Some(self.refusal(&denial))),
            Some(Input::Drain) => ("gateway.draining", Some(reply::rejection(&draining()))),
            Some(Input::Closed { side: Side::Downstream }) => ("client_closed", None),
            Some(Input::Closed { side: Side::Upstream }) => ("upstream.closed", None),
            _ => return Ok(Next::Stay),
        };
        // The target has heard of none of them.
        let outcome =
            Outcome { result: OutcomeResult::Refused, code: Some(Arc::from(code)), ..Outcome::default() };
        for event in self.allowed.drain(..) {
            outputs.push_back(Output::Finished { event, outcome: outcome.clone() });
        }
        if code == "upstream.closed" {
            return Err(ProtocolError {
                fault: Side::Upstream,
                code,
                detail: Arc::from("the target closed the connection before the login"),
            });
        }
        outputs.extend(last_words.map(|unit| Output::Send { side: Side::Downstream, unit }));
        Ok(Next::Over)
    }

    fn refusal(&self, denial: &Denial) -> Bytes {
        if !self.needs_reviewer {
            return reply::denial_of_session(denial);
        }
        reply::rejection(&Rejection {
            code: "pg.param_denied",
            message: Arc::from("a setting of the startup packet would need a reviewer's approval"),
            remedy: Arc::from("connect without it, and set it with SET: that can wait for a reviewer"),
        })
    }
}

/// The statement that does the same. Its value stands there as one text, also where the setting is a list.
fn as_set(name: &str, value: &str) -> String {
    let name =
        if is_custom(name) { format!("\"{}\"", name.replace('.', "\".\"")) } else { name.to_owned() };
    format!("set {name} to '{}'", value.replace('\'', "''"))
}

/// Puts the settings of `options` in the place of that parameter. None: it holds something else.
///
/// A parameter that is named by itself counts more, and of two in `options` the later one: as at the server.
pub(super) fn with_options(mut startup: Startup) -> Option<Startup> {
    let Some(at) = startup.parameters.iter().position(|(name, _)| &**name == "options") else {
        return Some(startup);
    };
    let (_, text) = startup.parameters.remove(at);
    for (name, value) in options::decode(&text)?.into_iter().rev() {
        // Not everything that may be a parameter is a setting.
        if !is_setting(&name) || startup.parameters.len() == MAX_PARAMETERS {
            return None;
        }
        if !startup.parameters.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
            startup.parameters.push((Arc::from(name), Arc::from(value)));
        }
    }
    Some(startup)
}

pub(super) fn options_denied() -> Rejection {
    let settings = [HARMLESS.as_slice(), JUDGED.as_slice()].concat().join("`, `");
    Rejection {
        code: "pg.param_denied",
        message: Arc::from("the startup parameter `options` holds something that is not allowed"),
        remedy: Arc::from(format!("set nothing but `{settings}` in PGOPTIONS or the driver's settings")),
    }
}

pub(super) fn parameter_denied(startup: &Startup) -> Option<Rejection> {
    let denied = |code: &'static str, message: String, remedy: &str| {
        Some(Rejection { code, message: Arc::from(message), remedy: Arc::from(remedy) })
    };
    for (name, value) in &startup.parameters {
        let known = matches!(&**name, "user" | "database") || is_setting(name) || name.starts_with("_pq_.");
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
        // The server would cut it, and lead to a database that has another name.
        let is_name = matches!(&**name, "user" | "database");
        if value.len() > if is_name { MAX_NAME } else { MAX_VALUE } {
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
    let together: usize = startup.parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if together > MAX_TOGETHER {
        return denied(
            "pg.param_denied",
            format!("the startup parameters take {together} bytes, and may take {MAX_TOGETHER}"),
            "set some of them with SET, after the login",
        );
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
