//! What the gateway itself does for a client whose user name leads to no target: it says where one can go on to, and makes a certificate.
//!
//! ```text
//! ssh -p 2222 gatewright@gateway                                    who you are, and where you can go
//! ssh -p 2222 gatewright@gateway certificate < id_ed25519.pub       a certificate for that key
//! ```

use std::{
    fmt::Write as _,
    future::poll_fn,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use gatewright_identity::ssh::UserLogin;
use gatewright_model::{audit::Record, session::Credential};
use gatewright_ssh::message::{Message, Open, Request, STDERR};
use russh::keys::{HashAlg, PublicKey};
use tokio::time::timeout;

use super::{
    admission::{Access, Admitted, LOGIN_TTL},
    side::Side,
};
use crate::{client_sessions::ClientSessions, config::Target, wire::Pipe as _};

/// How long a client may take to say what it wants, and its key.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a public key at most.
const LONGEST_KEY: usize = 16 << 10;

/// The command that asks for a certificate.
pub const CERTIFICATE: &str = "certificate";

/// Serves a session channel.
pub(super) async fn serve(access: &Access, sessions: &ClientSessions, admitted: &Admitted, mut side: Side) {
    side.queue(Message::Accepted);
    let answered = timeout(PATIENCE, answer(access, sessions, admitted, &mut side)).await;
    let Answer { out, error, status } =
        answered.unwrap_or_else(|_| Answer::no("nothing was asked for in time"));
    if !out.is_empty() {
        side.queue(Message::Data(Bytes::from(out)));
    }
    if !error.is_empty() {
        side.queue(Message::ExtendedData(STDERR, Bytes::from(format!("gatewright: {error}\r\n"))));
    }
    side.queue(Message::ExitStatus(status));
    side.queue(Message::Eof);
    let _ = timeout(PATIENCE, side.close()).await;
}

struct Answer {
    out: String,
    error: String,
    status: u32,
}

impl Answer {
    fn no(error: impl Into<String>) -> Self {
        Self { out: String::new(), error: error.into(), status: 1 }
    }
}

async fn answer(
    access: &Access,
    sessions: &ClientSessions,
    admitted: &Admitted,
    side: &mut Side,
) -> Answer {
    loop {
        let Some(message) = hear(side).await else { return Answer::no("the client has left") };
        let Message::Request { request, want_reply } = message else { continue };
        let starts = matches!(request, Request::Exec(_) | Request::Shell | Request::Subsystem(_));
        if want_reply {
            // A terminal is accepted, so that clients do not complain: nothing comes of it.
            let is_done = starts || matches!(request, Request::Pty { .. });
            side.queue(if is_done { Message::Success } else { Message::Failure });
        }
        return match request {
            Request::Exec(command) if command.trim_ascii() == CERTIFICATE.as_bytes() => {
                // With a certificate one could go on for ever, and get rid of what it does not permit.
                if !matches!(admitted.credential, Credential::Bearer(_)) {
                    return Answer::no("a certificate is made for a token: connect with one");
                }
                match key(side).await {
                    Ok(key) => certificate(access, sessions, admitted, &key),
                    Err(error) => Answer::no(error),
                }
            }
            Request::Shell => Answer { out: help(sessions, admitted), error: String::new(), status: 0 },
            Request::Exec(_) | Request::Subsystem(_) => Answer::no(nowhere(sessions, &admitted.user)),
            _ => continue,
        };
    }
}

async fn hear(side: &mut Side) -> Option<Message> {
    poll_fn(|context| side.poll_read(context)).await.ok().flatten()
}

/// Reads a public key, as it is in a file that ends in `.pub`.
async fn key(side: &mut Side) -> Result<PublicKey, &'static str> {
    let mut text = Vec::new();
    loop {
        match hear(side).await {
            Some(Message::Data(data)) if text.len() + data.len() <= LONGEST_KEY => {
                text.extend_from_slice(&data)
            }
            Some(Message::Data(_)) => return Err("that is longer than a public key"),
            Some(Message::Eof) | None => break,
            Some(_) => {}
        }
        // Whoever types it ends it with the line.
        if text.ends_with(b"\n") {
            break;
        }
    }
    let text = str::from_utf8(&text).map_err(|_| NO_KEY)?;
    PublicKey::from_openssh(text.trim()).map_err(|_| NO_KEY)
}

const NO_KEY: &str = "send a public key on standard input: `… certificate < ~/.ssh/id_ed25519.pub`";

fn certificate(access: &Access, sessions: &ClientSessions, admitted: &Admitted, key: &PublicKey) -> Answer {
    let now = SystemTime::now();
    // It may have been taken back, or have expired, since the client came in.
    let still = sessions.authenticate(&admitted.credential);
    let still = still.and_then(|principal| sessions.door().verifier.check_revocations(&principal));
    if let Err(error) = still {
        sessions.refuse(error.code());
        return Answer::no(format!("{error} [{}]", error.code()));
    }
    let login = UserLogin { principal: &admitted.principal, key: key.key_data(), ttl: LOGIN_TTL };
    let (certificate, end) = match access.login.certify_user(&login, now) {
        Ok(made) => made,
        Err(error) => return Answer::no(error.to_string()),
    };
    let Ok(text) = certificate.to_openssh() else {
        return Answer::no("no certificate can be made of this");
    };
    let record = Record::CertificateIssued {
        session: sessions.id(),
        listener: &sessions.door().listener.name,
        client: sessions.client(),
        subject: &admitted.principal.subject,
        issuer: &admitted.principal.issuer,
        credential: &admitted.principal.credential,
        key: &key.fingerprint(HashAlg::Sha256).to_string(),
        serial: certificate.serial(),
        expires: end.duration_since(UNIX_EPOCH).map_or(0, |end| end.as_secs()),
    };
    if let Err(error) = sessions.door().enforcement.log.append(now, &record) {
        tracing::error!(%error, "a certificate is not given because it could not be recorded");
        return Answer::no("it could not be recorded, so there is none [evidence.unavailable]");
    }
    Answer { out: format!("{text}\n"), error: String::new(), status: 0 }
}

fn help(sessions: &ClientSessions, admitted: &Admitted) -> String {
    let principal = &admitted.principal;
    let mut text = format!("You are {} ({}).\r\n", principal.subject, principal.kind.as_str());
    let actors: Vec<&str> = principal.actors.iter().map(|actor| &**actor).collect();
    if !actors.is_empty() {
        let _ = write!(text, "Acting for you: {}.\r\n", actors.join(", "));
    }
    text.push_str("User names that lead on from here:\r\n");
    for target in &sessions.door().listener.targets {
        let _ = write!(text, "  {}%{}\r\n", target.account, target.name);
    }
    text
}

/// What is said of a user name that leads to no target.
pub(super) fn nowhere(sessions: &ClientSessions, user: &str) -> String {
    let names = names(sessions, |target| format!("{}%{}", target.account, target.name));
    format!(
        "the user name `{}` leads to no target; use one of: {names} [auth.account_denied]",
        user.escape_debug()
    )
}

/// What is said of a tunnel from here to somewhere else than to a target.
pub(super) fn no_way_on(sessions: &ClientSessions, open: &Open) -> String {
    let names = names(sessions, |target| target.name.to_string());
    match open {
        Open::DirectTcpip { host, .. } => format!(
            "`{}` is no target of this listener: from here one goes on to {names}, by these names [auth.account_denied]",
            host.escape_debug()
        ),
        _ => format!(
            "from here one goes on to {names}, with `ssh -J`, and to nothing else [auth.account_denied]"
        ),
    }
}

fn names(sessions: &ClientSessions, name: impl Fn(&Target) -> String) -> String {
    let targets = &sessions.door().listener.targets;
    let names: Vec<String> = targets.iter().take(MOST_NAMES).map(|target| name(target)).collect();
    let more = if targets.len() > MOST_NAMES { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// Targets that are named in one line.
const MOST_NAMES: usize = 8;
