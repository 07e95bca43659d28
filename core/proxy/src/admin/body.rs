//! Bodies of requests: small, JSON, and of one form.

use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, StatusCode, body::Incoming, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Reads a JSON object of at most `limit` bytes. `example` shows its form to whoever sent another.
pub(super) async fn read<T: DeserializeOwned>(
    request: Request<Incoming>,
    limit: usize,
    example: &str,
) -> Result<T, Problem> {
    let bad = |status, title: &str| {
        Problem::new(status, "admin.body", title, format!("send `{example}` as application/json"))
    };
    // A form of a web page can not have this type, so that no page can answer in a reviewer's browser.
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not JSON"));
    }
    let body = Limited::new(request.into_body(), limit).collect().await;
    let body =
        body.map_err(|_| bad(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broken off"))?;
    let malformed = |_| bad(StatusCode::BAD_REQUEST, "the body has another form");
    // First an object: serde would also fill a struct from the list `[]`.
    let object: serde_json::Map<_, _> = serde_json::from_slice(&body.to_bytes()).map_err(malformed)?;
    serde_json::from_value(object.into()).map_err(malformed)
}

/// Bytes of a body whose texts have so many bytes: in JSON escapes, a text has at most six times its bytes.
pub(super) const fn escaped(texts: usize) -> usize {
    6 * texts + 1024
}
