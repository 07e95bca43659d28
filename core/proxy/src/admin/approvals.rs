//! What reviewers do: see what waits, and decide it.
//!
//! An answer is on disk before it counts. An answer that was not the reviewer's to give is recorded as
//! well: someone tried (threats A94, A100).

use std::{sync::Arc, time::SystemTime};

use gatewright_approval::{Answer, AnswerError, Approvals, COMMENT_LIMIT, RequestView, State};
use gatewright_evidence::{AppendError, Log};
use gatewright_model::{audit::Record, id::ApprovalId, principal::Principal};
use hyper::{Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{
    body,
    problem::Problem,
    route::{AdminState, internal},
};

/// What became of a request after an answer.
#[derive(Debug, Serialize)]
pub(super) struct Decided {
    id: ApprovalId,
    state: State,
}

/// The requests that this reviewer may decide, the oldest first. There may be none: whoever could be asked some time, by the
/// configuration or by a policy in use, sees an empty list. An error is for those who wait in vain.
pub(super) fn list(state: &AdminState, reviewer: &Principal) -> Result<Vec<RequestView>, Problem> {
    let mut views = state.approvals.list(false);
    views.retain(|view| may_see(view, reviewer));
    let may_be_asked =
        || state.reviewers.iter().chain(&state.status.reviewers()).any(|group| reviewer.in_group(group));
    if views.is_empty() && !may_be_asked() {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "admin.denied",
            "you are in no group that reviews anything",
            "use a token of a member of a group that `[approvals] reviewers` or a policy's `reviewers` names",
        ));
    }
    Ok(views)
}

/// One request, waiting or settled lately.
pub(super) fn show(
    state: &AdminState,
    reviewer: &Principal,
    id: &ApprovalId,
) -> Result<RequestView, Problem> {
    match state.approvals.show(id) {
        Some(view) if may_see(&view, reviewer) => Ok(view),
        Some(_) => Err(denied()),
        None => Err(no_such()),
    }
}

/// A statement under review may hold what only its reviewers should read.
fn may_see(view: &RequestView, reviewer: &Principal) -> bool {
    view.reviewers.iter().any(|group| reviewer.in_group(group))
}

fn denied() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "admin.denied",
        "this is for other reviewers",
        "ask the gateway's operator who reviews this, or use a token of a member of one of those groups",
    )
}

fn no_such() -> Problem {
    Problem::no_such(
        "there is no such request: it was settled long ago or before the gateway's last start, or never was",
        "`gatewright approvals list` (GET /approvals) shows those that wait",
    )
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    #[serde(default)]
    comment: String,
}

/// Reads `{"comment": "…"}`.
pub(super) async fn read_comment(request: Request<Incoming>) -> Result<String, Problem> {
    let limit = body::escaped(COMMENT_LIMIT);
    let body: Comment = body::read(request, limit, "{\"comment\": \"…\"}").await?;
    Ok(body.comment)
}

/// Takes a reviewer's answer.
pub(super) async fn decide(
    state: &AdminState,
    reviewer: Principal,
    id: ApprovalId,
    answer: Answer,
    comment: String,
) -> Result<Decided, Problem> {
    let (approvals, log) = (state.approvals.clone(), state.log.clone());
    // It waits for the disk: not on a thread that serves sessions.
    let decided = tokio::task::spawn_blocking(move || {
        answer_on_record(&approvals, &log, &reviewer, &id, answer, &comment)
    });
    match decided.await {
        Ok(result) => result.map_err(NotDecided::into_problem),
        Err(_) => Err(internal("the answer was not taken")),
    }
}

fn answer_on_record(
    approvals: &Approvals,
    log: &Log,
    reviewer: &Principal,
    id: &ApprovalId,
    answer: Answer,
    comment: &str,
) -> Result<Decided, NotDecided> {
    let now = SystemTime::now();
    let answered = |answer, comment| Record::ApprovalAnswered {
        approval: id,
        reviewer: &reviewer.subject,
        issuer: &reviewer.issuer,
        answer,
        comment,
    };
    let result = approvals.answer(id, reviewer, answer, comment, now, |_view| {
        log.append(now, &answered(answer.as_str(), comment))?;
        log.sync().map_err(NotDecided::from)
    });
    match result {
        Ok(state) => {
            let (reviewer, answer) = (Arc::clone(&reviewer.subject), answer.as_str());
            tracing::info!(approval = %id, ?reviewer, answer, ?state, "approval answered");
            Ok(Decided { id: id.clone(), state })
        }
        Err(error) => {
            if let NotDecided::Refused(refused) = &error
                && *refused != AnswerError::Unknown
            {
                tracing::warn!(approval = %id, reviewer = ?reviewer.subject, code = refused.code(), "answer refused");
                log.append(now, &answered("refused", &refused.to_string()))?;
            }
            Err(error)
        }
    }
}

/// Why an answer did not count.
#[derive(Debug)]
enum NotDecided {
    /// It was not the reviewer's to give, or came too late.
    Refused(AnswerError),
    /// It could not be recorded.
    Unrecorded(AppendError),
}

impl From<AnswerError> for NotDecided {
    fn from(error: AnswerError) -> Self {
        Self::Refused(error)
    }
}

impl From<AppendError> for NotDecided {
    fn from(error: AppendError) -> Self {
        Self::Unrecorded(error)
    }
}

impl NotDecided {
    fn into_problem(self) -> Problem {
        let error = match self {
            Self::Refused(error) => error,
            Self::Unrecorded(error) => {
                tracing::error!(%error, "an answer could not be recorded and does not count");
                let remedy = "the gateway's operator has to look at the evidence log";
                return Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "admin.unrecorded",
                    "the answer could not be recorded and does not count",
                    remedy,
                );
            }
        };
        let (status, remedy) = match error {
            AnswerError::Unknown => return no_such(),
            AnswerError::Settled | AnswerError::Again => (StatusCode::CONFLICT, "see GET /approvals/{id}"),
            AnswerError::OwnRequest | AnswerError::ByAgent | AnswerError::NotAReviewer => {
                (StatusCode::FORBIDDEN, "ask another reviewer")
            }
            AnswerError::CommentTooLong | AnswerError::CommentMissing => {
                (StatusCode::UNPROCESSABLE_ENTITY, "send `{\"comment\": \"…\"}`")
            }
        };
        Problem::new(status, error.code(), error.to_string(), remedy)
    }
}
