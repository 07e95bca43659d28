//! What operators do: see who is in, end a session, take a token back.
//!
//! Every act is on disk before it has an effect; somebody who is no operator and tries is recorded as well.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use gatewright_approval::COMMENT_LIMIT;
use gatewright_identity::{MAX_NAME, RevocationScope};
use gatewright_model::{
    audit::Record,
    event::SessionContext,
    id::SessionId,
    principal::{Principal, PrincipalKind},
};
use hyper::{Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{
    body,
    problem::Problem,
    route::{AdminState, internal},
};
use crate::{
    revocations::{ChangeError, seconds, until},
    sessions::End,
};

/// May this principal do what operators do? `act` is what is tried, where it would change anything.
///
/// Nobody who is acted for: it could be the work of whoever acts.
pub(super) fn check(
    state: &AdminState,
    principal: &Principal,
    act: Option<&'static str>,
) -> Result<(), Problem> {
    let is_operator = state.operators.iter().any(|group| principal.in_group(group));
    if is_operator && principal.actors.is_empty() {
        return Ok(());
    }
    if let Some(act) = act {
        let (operator, issuer) = (&principal.subject, &principal.issuer);
        tracing::warn!(?operator, act, "refused: not an operator");
        let record = Record::OperatorRefused { operator, issuer, act };
        state.log.append(SystemTime::now(), &record).map_err(|error| unrecorded(&error))?;
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "admin.denied",
        "this is for operators",
        "use a token of a member of an operator group (`[admin] operators`) for whom nobody acts",
    ))
}

/// The body of an act that needs nothing but its reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

/// Reads `{"reason": "…"}`.
pub(super) async fn read_reason(request: Request<Incoming>) -> Result<String, Problem> {
    let limit = body::escaped(COMMENT_LIMIT);
    let body: Reason = body::read(request, limit, "{\"reason\": \"…\"}").await?;
    checked(body.reason)
}

fn checked(reason: String) -> Result<String, Problem> {
    if !reason.trim().is_empty() && reason.len() <= COMMENT_LIMIT {
        return Ok(reason);
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "admin.reason",
        format!("a reason is there and has at most {COMMENT_LIMIT} bytes"),
        "say why: it goes into the evidence",
    ))
}

/// What is to be revoked: whatever has all of what is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// One token, by its name in records.
    token: Option<Arc<str>>,
    /// A name anywhere in the chain.
    subject: Option<Arc<str>>,
    /// Tokens of this issuer.
    issuer: Option<Arc<str>>,
    /// Only tokens that were issued until now.
    #[serde(default)]
    issued_so_far: bool,
    reason: String,
}

/// Reads what is to be revoked.
pub(super) async fn read_revoke(request: Request<Incoming>) -> Result<Revoke, Problem> {
    let limit = body::escaped(COMMENT_LIMIT + 3 * MAX_NAME);
    let revoke: Revoke = body::read(request, limit, "{\"subject\": \"…\", \"reason\": \"…\"}").await?;
    Ok(Revoke { reason: checked(revoke.reason)?, ..revoke })
}

/// What a revocation did.
#[derive(Debug, Serialize)]
pub(super) struct Revoked {
    id: Arc<str>,
    /// Sessions that it ended.
    ended: usize,
    /// Will it outlive a restart of the gateway?
    kept: bool,
}

/// Takes something back, and ends the sessions that it opened.
pub(super) async fn revoke(
    state: &AdminState,
    operator: Principal,
    revoke: Revoke,
) -> Result<Revoked, Problem> {
    let now = SystemTime::now();
    let scope = RevocationScope {
        credential: revoke.token,
        subject: revoke.subject,
        issuer: revoke.issuer,
        issued_before: revoke.issued_so_far.then(|| until(now)),
    };
    let unusable = |title: String, remedy: &str| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "admin.scope", title, remedy)
    };
    scope.check().map_err(|error| unusable(error.to_string(), "name it as the records do"))?;
    if scope.locks_out(&operator) {
        let remedy = "ask another operator, name one token, or revoke only what was issued so far";
        return Err(unusable("this would lock out yourself".to_owned(), remedy));
    }
    let revocations = Arc::clone(&state.revocations);
    let reason = revoke.reason;
    let added = blocking(move || revocations.add(scope, &operator, &reason, now)).await?;
    tracing::info!(revocation = &*added.id, ended = added.ended, "revoked");
    Ok(Revoked { id: added.id, ended: added.ended, kept: added.kept })
}

/// What was lifted.
#[derive(Debug, Serialize)]
pub(super) struct Lifted {
    id: String,
    lifted: bool,
}

/// Gives something back.
pub(super) async fn lift(
    state: &AdminState,
    operator: Principal,
    id: String,
    reason: String,
) -> Result<Lifted, Problem> {
    let (revocations, named) = (Arc::clone(&state.revocations), id.clone());
    if blocking(move || revocations.lift(&named, &operator, &reason)).await? {
        tracing::info!(revocation = id, "revocation lifted");
        return Ok(Lifted { id, lifted: true });
    }
    Err(Problem::no_such(
        "there is no such revocation: it was lifted, or never was",
        "`gatewright revocations list` (GET /revocations) shows those that hold",
    ))
}

/// It waits for the disk: not on a thread that serves sessions.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, ChangeError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(act).await {
        Ok(result) => result.map_err(|error| changed(&error)),
        Err(_) => Err(internal("nothing was changed")),
    }
}

fn changed(error: &ChangeError) -> Problem {
    match error {
        ChangeError::Unrecorded(error) => unrecorded(error),
        ChangeError::Full => Problem::new(
            StatusCode::CONFLICT,
            "admin.full",
            error.to_string(),
            "lift those whose tokens have expired, or revoke by subject or issuer",
        ),
        ChangeError::Unsaved | ChangeError::Random => internal(&error.to_string()),
    }
}

fn unrecorded(error: &gatewright_evidence::AppendError) -> Problem {
    tracing::error!(%error, "an act of an operator could not be recorded and has no effect");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "admin.unrecorded",
        "this could not be recorded and has no effect",
        "look at the evidence log: while it can not be written, no request is served",
    )
}

/// A session, as operators see it: no statement is in it.
#[derive(Debug, Serialize)]
pub(super) struct SessionView {
    session: SessionId,
    subject: Arc<str>,
    issuer: Arc<str>,
    principal_kind: PrincipalKind,
    groups: Vec<Arc<str>>,
    actors: Vec<Arc<str>>,
    credential: Arc<str>,
    protocol: &'static str,
    listener: Arc<str>,
    target: Arc<str>,
    account: Arc<str>,
    client: SocketAddr,
    /// Seconds since 1970.
    opened_at: u64,
    /// Seconds since 1970.
    expires_at: Option<u64>,
}

/// The sessions that are open, the oldest first.
pub(super) fn sessions(state: &AdminState) -> Vec<SessionView> {
    state.sessions.list().iter().map(|context| view(context)).collect()
}

fn view(context: &SessionContext) -> SessionView {
    let principal = &context.principal;
    SessionView {
        session: context.id,
        subject: Arc::clone(&principal.subject),
        issuer: Arc::clone(&principal.issuer),
        principal_kind: principal.kind,
        groups: principal.groups.clone(),
        actors: principal.actors.clone(),
        credential: Arc::clone(&principal.credential),
        protocol: context.protocol,
        listener: Arc::clone(&context.listener),
        target: Arc::clone(&context.target),
        account: Arc::clone(&context.account),
        client: context.client,
        opened_at: seconds(context.opened_at),
        expires_at: principal.expires_at.map(seconds),
    }
}

/// A session that was ended.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    session: SessionId,
    ended: bool,
}

/// Ends one session. Its client may connect again, if its token is still good.
pub(super) async fn end(
    state: &AdminState,
    operator: Principal,
    id: String,
    reason: String,
) -> Result<Ended, Problem> {
    let open = state.sessions.list();
    let Some(session) = open.iter().map(|context| context.id).find(|own| own.to_string() == id) else {
        return Err(Problem::no_such(
            "there is no such session: it has ended, or never was",
            "`gatewright sessions list` (GET /sessions) shows those that are open",
        ));
    };
    let log = state.log.clone();
    blocking(move || {
        let record = Record::SessionEnded {
            session,
            operator: &operator.subject,
            issuer: &operator.issuer,
            reason: &reason,
        };
        log.append(SystemTime::now(), &record)?;
        Ok(log.sync()?)
    })
    .await?;
    let ended = state.sessions.end(End::Operator, |context| context.id == session) > 0;
    tracing::info!(%session, ended, "session ended by an operator");
    Ok(Ended { session, ended })
}

/// A revocation, as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct RevocationView {
    id: Arc<str>,
    token: Option<Arc<str>>,
    subject: Option<Arc<str>>,
    issuer: Option<Arc<str>>,
    /// Seconds since 1970.
    issued_before: Option<u64>,
    /// Seconds since 1970.
    since: u64,
    by: Arc<str>,
    reason: Arc<str>,
}

/// What is revoked, in the order in which it was.
pub(super) fn revocations(state: &AdminState) -> Vec<RevocationView> {
    let list = state.revocations.list();
    let views = list.iter().map(|revocation| RevocationView {
        id: Arc::clone(&revocation.id),
        token: revocation.scope.credential.clone(),
        subject: revocation.scope.subject.clone(),
        issuer: revocation.scope.issuer.clone(),
        issued_before: revocation.scope.issued_before.map(seconds),
        since: seconds(revocation.since),
        by: Arc::clone(&revocation.by),
        reason: Arc::clone(&revocation.reason),
    });
    views.collect()
}
