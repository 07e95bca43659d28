//! From a request to its answer.

use std::{sync::Arc, time::SystemTime};

use gatewright_approval::{Answer, Approvals};
use gatewright_evidence::Log;
use gatewright_identity::Verifier;
use gatewright_model::{id::ApprovalId, principal::Principal, secret::Secret};
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use serde::Serialize;

use super::{
    approvals, operators,
    problem::Problem,
    status::{Status, StatusProvider},
};
use crate::{metrics::Metrics, revocations::Revocations, sessions::Sessions};

/// Everything that answers are made of.
pub struct AdminState {
    /// Requests that wait for reviewers.
    pub approvals: Approvals,
    /// Proves who a reviewer is.
    pub verifier: Arc<Verifier>,
    /// Groups that may decide where a policy names none.
    pub reviewers: Vec<Arc<str>>,
    /// Groups that may end sessions and revoke tokens.
    pub operators: Vec<Arc<str>>,
    /// Which sessions are open.
    pub sessions: Arc<Sessions>,
    /// What is revoked.
    pub revocations: Arc<Revocations>,
    /// Takes the record of each answer before the answer has an effect.
    pub log: Log,
    /// What `/metrics` prints.
    pub metrics: Arc<Metrics>,
    /// What `/status` and `/readyz` say.
    pub status: Arc<dyn StatusProvider>,
}

pub(super) type Body = Full<Bytes>;

pub(super) async fn respond(state: &AdminState, request: Request<Incoming>) -> Response<Body> {
    let mut response = match answer(state, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn answer(state: &AdminState, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    // Paths are matched as they are: an encoded or doubled slash is another path, and there is none.
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["healthz"] => {
            allow(&request, &Method::GET)?;
            Ok(text("text/plain; charset=utf-8", "ok\n".into()))
        }
        ["readyz"] => {
            allow(&request, &Method::GET)?;
            ready(state).await
        }
        ["metrics"] => {
            allow(&request, &Method::GET)?;
            let page = state.metrics.encode().map_err(|_| internal("the metrics can not be written"))?;
            Ok(text("application/openmetrics-text; version=1.0.0; charset=utf-8", page))
        }
        ["status"] => {
            allow(&request, &Method::GET)?;
            json(&status(state).await?)
        }
        ["approvals"] => {
            allow(&request, &Method::GET)?;
            let reviewer = authenticate(state, request.headers())?;
            json(&approvals::list(state, &reviewer)?)
        }
        ["approvals", id] => {
            allow(&request, &Method::GET)?;
            let reviewer = authenticate(state, request.headers())?;
            json(&approvals::show(state, &reviewer, &approval_id(id)?)?)
        }
        ["approvals", id, verb @ ("approve" | "reject")] => {
            allow(&request, &Method::POST)?;
            let reviewer = authenticate(state, request.headers())?;
            let answer = if verb == "approve" { Answer::Approve } else { Answer::Reject };
            let id = approval_id(id)?;
            let comment = approvals::read_comment(request).await?;
            json(&approvals::decide(state, reviewer, id, answer, comment).await?)
        }
        ["sessions"] => {
            allow(&request, &Method::GET)?;
            operators::check(state, &authenticate(state, request.headers())?, None)?;
            json(&operators::sessions(state))
        }
        ["sessions", id, "end"] => {
            allow(&request, &Method::POST)?;
            let operator = authenticate(state, request.headers())?;
            operators::check(state, &operator, Some("end"))?;
            let reason = operators::read_reason(request).await?;
            json(&operators::end(state, operator, id.to_owned(), reason).await?)
        }
        ["revocations"] if request.method() == Method::POST => {
            let operator = authenticate(state, request.headers())?;
            operators::check(state, &operator, Some("revoke"))?;
            let revoke = operators::read_revoke(request).await?;
            json(&operators::revoke(state, operator, revoke).await?)
        }
        ["revocations"] => {
            allow(&request, &Method::GET)?;
            operators::check(state, &authenticate(state, request.headers())?, None)?;
            json(&operators::revocations(state))
        }
        ["revocations", id, "lift"] => {
            allow(&request, &Method::POST)?;
            let operator = authenticate(state, request.headers())?;
            operators::check(state, &operator, Some("lift"))?;
            let reason = operators::read_reason(request).await?;
            json(&operators::lift(state, operator, id.to_owned(), reason).await?)
        }
        _ => Err(Problem::not_found()),
    }
}

/// How the gateway is. It may have to wait for the log, while the disk hangs: nobody else on this thread waits along.
async fn status(state: &AdminState) -> Result<Status, Problem> {
    let provider = Arc::clone(&state.status);
    let status = tokio::task::spawn_blocking(move || provider.status()).await;
    status.map_err(|_| internal("the status can not be read"))
}

async fn ready(state: &AdminState) -> Result<Response<Body>, Problem> {
    let status = status(state).await?;
    if status.ready {
        let page = if status.degraded.is_empty() { "ready\n" } else { "ready, degraded: see /status\n" };
        return Ok(text("text/plain; charset=utf-8", page.into()));
    }
    let title = if status.draining { "the gateway is ending" } else { "new sessions are not served" };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "admin.not_ready", title, "see /status"))
}

fn allow(request: &Request<Incoming>, method: &Method) -> Result<(), Problem> {
    if request.method() == method {
        return Ok(());
    }
    Err(Problem::method(if method == Method::GET { "GET" } else { "POST" }))
}

/// Who asks, by `Authorization: Bearer` (RFC 6750 section 2.1). Exactly one such field.
fn authenticate(state: &AdminState, headers: &HeaderMap) -> Result<Principal, Problem> {
    let denied = |title: String, remedy: String| {
        Problem::new(StatusCode::UNAUTHORIZED, "admin.unauthenticated", title, remedy)
    };
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (field, another) = (fields.next(), fields.next());
    let token = field.filter(|_| another.is_none()).and_then(|field| {
        let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim_matches(' ')))
    });
    let Some(token) = token else {
        return Err(denied(
            "this needs a token".to_owned(),
            "send `Authorization: Bearer TOKEN`, once".to_owned(),
        ));
    };
    state.verifier.verify(&token, SystemTime::now()).map_err(|error| {
        let rejection = error.rejection();
        tracing::warn!(code = rejection.code, "admin request with a bad token");
        denied(rejection.message.to_string(), rejection.remedy.to_string())
    })
}

fn approval_id(text: &str) -> Result<ApprovalId, Problem> {
    ApprovalId::parse(text).ok_or_else(Problem::not_found)
}

pub(super) fn internal(title: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "admin.internal", title, "see the gateway's log")
}

fn json(value: &impl Serialize) -> Result<Response<Body>, Problem> {
    let page = serde_json::to_string(value).map_err(|_| internal("the answer can not be written"))?;
    Ok(text("application/json", page))
}

fn text(kind: &'static str, page: String) -> Response<Body> {
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
