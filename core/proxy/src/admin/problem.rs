//! Errors as `application/problem+json` (RFC 9457), for people and programs.

use hyper::{Response, StatusCode, header};
use serde::Serialize;

use super::route::Body;

/// Why a request was not carried out.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// What went wrong, in words.
    title: String,
    /// A stable code for programs.
    code: &'static str,
    /// What to do about it. May be empty.
    remedy: String,
    #[serde(skip)]
    allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        title: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status, title: title.into(), code, remedy: remedy.into(), allow: None }
    }

    /// 404, of a path that nothing has.
    pub(super) fn not_found() -> Self {
        let remedy =
            "see GET /healthz, /readyz, /metrics, /approvals, /sessions or /revocations for what is there";
        Self::new(StatusCode::NOT_FOUND, "admin.not_found", "there is nothing here", remedy)
    }

    /// 404, of a thing that is not there, or not any more: whoever named it has mistyped it, or comes too late.
    pub(super) fn no_such(title: &str, remedy: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "admin.not_found", title, remedy)
    }

    pub(super) fn method(allow: &'static str) -> Self {
        let remedy = format!("use {allow}");
        let title = "the method does not fit this path";
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "admin.method", title, remedy);
        Self { allow: Some(allow), ..problem }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct WithStatus<'a> {
            status: u16,
            #[serde(flatten)]
            problem: &'a Problem,
        }
        let page = serde_json::to_vec(&WithStatus { status: self.status.as_u16(), problem: &self });
        let mut response = Response::new(Body::from(page.unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, header::HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3.
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
