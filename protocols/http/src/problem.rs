//! What a client is told when there is no answer of the target: `application/problem+json` (RFC 9457).
//!
//! An agent reads `code`, `remedy` and `approval` and knows what to do next; a person reads `detail`. The type is
//! `about:blank`, so the title is the status; `code` tells problems apart.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_model::{id::ApprovalId, permit::Denial, session::Rejection};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    response,
};
use serde::Serialize;

use crate::{refusal::Refusal, remedy};

/// A problem, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What went wrong, in a sentence.
    detail: Arc<str>,
    /// A stable code, like `http.path`.
    code: Arc<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    rule: Arc<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    remedy: Arc<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    request: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalId>,
    /// A credential was presented, and it was not good.
    #[serde(skip)]
    rejected: bool,
}

impl Problem {
    /// A problem with a status (400 to 599), a stable code and a sentence. The remedy is that of the code, if it has one.
    pub fn new(status: StatusCode, code: impl Into<Arc<str>>, detail: impl Into<Arc<str>>) -> Self {
        let code = code.into();
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            rule: Arc::from(""),
            remedy: Arc::from(remedy::of(&code)),
            code,
            request: Arc::from(""),
            approval: None,
            rejected: false,
        }
    }

    /// With what the client can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Arc<str>>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// With the request for approval that it is about.
    #[must_use]
    pub fn waits_for(mut self, approval: ApprovalId) -> Self {
        self.approval = Some(approval);
        self
    }

    /// With the name under which the evidence knows the request.
    #[must_use]
    pub fn request(mut self, request: impl Into<Arc<str>>) -> Self {
        self.request = request.into();
        self
    }

    /// The status: 400 to 599.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What went wrong, in a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Which rule of which policy refused it. Empty: none did.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What the client can do about it. May be empty.
    pub fn remedy_text(&self) -> &str {
        &self.remedy
    }

    /// The name under which the evidence knows the request. May be empty.
    pub fn request_id(&self) -> &str {
        &self.request
    }

    /// The approval that the request waits for.
    pub const fn approval(&self) -> Option<&ApprovalId> {
        self.approval.as_ref()
    }

    /// 401: the credential was not good.
    pub fn rejected(rejection: &Rejection) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, rejection.code, Arc::clone(&rejection.message));
        Self { rejected: true, ..problem.remedy(Arc::clone(&rejection.remedy)) }
    }

    /// 403: a decision.
    pub fn denied(denial: &Denial) -> Self {
        let block = &denial.block;
        Self {
            rule: Arc::clone(&block.rule),
            remedy: Arc::clone(&block.remedy),
            approval: denial.approval.clone(),
            ..Self::new(StatusCode::FORBIDDEN, Arc::clone(&block.code), Arc::clone(&block.reason))
        }
    }

    /// The head and the body of the answer.
    pub fn into_answer(self) -> (response::Parts, Bytes) {
        // Strings and a number: serialising them does not fail.
        let body = Bytes::from(serde_json::to_vec(&self).unwrap_or_default());
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = &mut parts.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        // What was refused now may be allowed in a moment.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if &*self.code == "approval.pending" {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        if parts.status == StatusCode::UNAUTHORIZED {
            let challenge = if self.rejected { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        (parts, body)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status, refusal.code, refusal.detail)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use gatewright_model::{decision::Block, id::EventId};

    use super::*;

    fn text(problem: Problem) -> String {
        let (parts, body) = problem.into_answer();
        let challenge = parts.headers.get(WWW_AUTHENTICATE).map(|value| format!("{value:?} "));
        format!("{} {}{}", parts.status, challenge.unwrap_or_default(), String::from_utf8_lossy(&body))
    }

    #[test]
    fn a_denial_says_why_and_what_to_do() {
        let block = Block {
            code: Arc::from("http.denied"),
            rule: Arc::from("no-deletes/method"),
            reason: Arc::from("says \"no\"\r\n\u{1b}[2J"),
            remedy: Arc::from("ask"),
        };
        let approval = Some(ApprovalId::from_random([7; 10]));
        let denial = Denial { event: EventId::FIRST, block, approval };
        expect![[r#"403 Forbidden {"type":"about:blank","title":"Forbidden","status":403,"detail":"says \"no\"\r\n\u001b[2J","code":"http.denied","rule":"no-deletes/method","remedy":"ask","request":"s/1","approval":"0w3ge1r70w3ge1r7"}"#]]
            .assert_eq(&text(Problem::denied(&denial).request("s/1")));
    }

    #[test]
    fn a_challenge_tells_a_bad_token_from_none() {
        let rejection = Rejection {
            code: "auth.jwt_expired",
            message: Arc::from("the token has expired"),
            remedy: Arc::from("get a new one"),
        };
        assert!(text(Problem::rejected(&rejection)).contains(r#"Bearer error=\"invalid_token\""#));
        let missing = text(Problem::new(StatusCode::UNAUTHORIZED, "auth.missing", "there is no token"));
        assert!(missing.starts_with("401 Unauthorized \"Bearer\" "), "{missing}");
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let odd = Problem::new(StatusCode::IM_A_TEAPOT, "tea.pot", "this is short and stout");
        expect![[r#"418 I'm a teapot {"type":"about:blank","title":"I'm a teapot","status":418,"detail":"this is short and stout","code":"tea.pot"}"#]]
            .assert_eq(&text(odd));
    }

    #[test]
    fn a_refusal_of_the_gateways_own_says_what_to_do() {
        let ambiguous = Refusal::bad("json.ambiguous", "an object has a name twice");
        expect![[r#"400 Bad Request {"type":"about:blank","title":"Bad Request","status":400,"detail":"an object has a name twice","code":"json.ambiguous","remedy":"send JSON that every reader understands alike: UTF-8, each name once in an object, numbers that fit"}"#]].assert_eq(&text(ambiguous.into()));
    }
}
