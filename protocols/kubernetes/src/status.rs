//! What a client is told when there is no answer of the target: a `Status`, as an API server would send it.
//!
//! kubectl prints `Error from server (REASON): MESSAGE` and nothing else of it, so the message alone has to say which rule, why,
//! and what to do. Programs read the same from `details.causes`.

use bytes::Bytes;
use gatewright_http::problem::Problem;
use gatewright_model::kubernetes::RequestInfo;
use http::StatusCode;
use serde::Serialize;

use crate::protobuf;

/// `metav1.Status`, of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    details: Details,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Empty {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    causes: Vec<Cause>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Cause {
    reason: String,
    message: String,
}

/// How a `Status` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Format {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// What a client wants that sent this `Accept`: whatever it names first, if that is protobuf.
    pub fn wanted(accept: Option<&str>) -> Self {
        let first = accept.and_then(|accept| accept.split([',', ';']).next()).unwrap_or_default();
        if first.trim().eq_ignore_ascii_case(Self::Protobuf.media_type()) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }
}

impl Status {
    /// The same as a problem, about what was asked for. `info`: where it is known by then.
    pub fn of(problem: &Problem, info: Option<&RequestInfo>) -> Self {
        let code = problem.status();
        let about = info.filter(|info| info.is_resource_request);
        let text = |field: fn(&RequestInfo) -> &str| about.map(field).unwrap_or_default().to_owned();
        Self {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message: message(problem, about),
            reason: reason(code),
            details: Details {
                name: text(|info| &info.name),
                group: text(|info| &info.api_group),
                kind: text(|info| &info.resource),
                causes: causes(problem),
            },
            code: code.as_u16(),
        }
    }

    /// The body of an answer.
    pub fn encode(&self, format: Format) -> Bytes {
        match format {
            // Strings and a number: serialising them does not fail.
            Format::Json => Bytes::from(serde_json::to_vec(self).unwrap_or_default()),
            Format::Protobuf => protobuf::envelope(self.api_version, self.kind, &self.to_protobuf()),
        }
    }

    /// As the last event of a watch in JSON, which has begun and can not be answered otherwise any more.
    pub fn encode_as_event(&self) -> Bytes {
        #[derive(Serialize)]
        struct Event<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            object: &'a Status,
        }
        let mut text = serde_json::to_vec(&Event { kind: "ERROR", object: self }).unwrap_or_default();
        text.push(b'\n');
        Bytes::from(text)
    }

    /// Field numbers: `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`.
    fn to_protobuf(&self) -> Vec<u8> {
        let mut details = Vec::new();
        protobuf::put_bytes(&mut details, 1, self.details.name.as_bytes());
        protobuf::put_bytes(&mut details, 2, self.details.group.as_bytes());
        protobuf::put_bytes(&mut details, 3, self.details.kind.as_bytes());
        for Cause { reason, message } in &self.details.causes {
            let mut cause = Vec::new();
            protobuf::put_bytes(&mut cause, 1, reason.as_bytes());
            protobuf::put_bytes(&mut cause, 2, message.as_bytes());
            protobuf::put_bytes(&mut details, 4, &cause);
        }
        let mut out = Vec::new();
        protobuf::put_bytes(&mut out, 1, b"");
        protobuf::put_bytes(&mut out, 2, self.status.as_bytes());
        protobuf::put_bytes(&mut out, 3, self.message.as_bytes());
        protobuf::put_bytes(&mut out, 4, self.reason.as_bytes());
        protobuf::put_bytes(&mut out, 5, &details);
        protobuf::put_number(&mut out, 6, self.code.into());
        out
    }
}

/// `secrets "db" is forbidden: REASON (rule RULE): REMEDY (request NUMBER)`.
fn message(problem: &Problem, about: Option<&RequestInfo>) -> String {
    let mut message = String::new();
    if let Some(info) = about.filter(|_| problem.status() == StatusCode::FORBIDDEN) {
        message.push_str(&info.resource);
        if !info.api_group.is_empty() {
            message.push('.');
            message.push_str(&info.api_group);
        }
        if !info.name.is_empty() {
            message.push_str(" \"");
            message.push_str(&info.name);
            message.push('"');
        }
        message.push_str(" is forbidden: ");
    }
    message.push_str(problem.detail());
    let mut add = |before: &str, text: &str, after: &str| {
        if !text.is_empty() {
            message.push_str(before);
            message.push_str(text);
            message.push_str(after);
        }
    };
    add(" (rule ", problem.rule(), ")");
    add(": ", remedy(problem), "");
    if let Some(approval) = problem.approval() {
        add(" (approval ", &approval.to_string(), ")");
    }
    add(" (request ", problem.request_id(), ")");
    message
}

/// What the client can do: HTTP does not know the refusals of this API.
fn remedy(problem: &Problem) -> &str {
    match (problem.remedy_text(), problem.code()) {
        ("", "k8s.unknown") => "ask for a path of the Kubernetes API, as kubectl does",
        ("", "k8s.upgrade") => "open the stream as kubectl does, by WebSocket or SPDY",
        ("", "k8s.impersonate") => {
            "send no Impersonate header (kubectl: no `--as`); where none was sent, tell the operator of the gateway"
        }
        ("", "k8s.not_shown") => "ask the operator of the gateway for a policy that shows it",
        (remedy, _) => remedy,
    }
}

fn causes(problem: &Problem) -> Vec<Cause> {
    let approval = problem.approval().map(ToString::to_string).unwrap_or_default();
    let all = [
        ("Code", problem.code()),
        ("Rule", problem.rule()),
        ("Remedy", remedy(problem)),
        ("Request", problem.request_id()),
        ("Approval", &approval),
    ];
    let said = all.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(reason, text)| Cause { reason: format!("Gatewright{reason}"), message: text.to_owned() })
        .collect()
}

/// `metav1.StatusReason` of a status. What it has no word for has none: kubectl prints the message alone.
const fn reason(code: StatusCode) -> &'static str {
    match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        408 | 504 => "Timeout",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;
    use gatewright_model::{decision::Block, id::EventId, permit::Denial};

    use super::*;
    use crate::{request_info, transcripts};

    fn denied() -> Problem {
        let block = Block {
            code: Arc::from("policy.blocked"),
            rule: Arc::from("no-exec/exec"),
            reason: Arc::from("nobody runs commands in production"),
            remedy: Arc::from("ask the platform team"),
        };
        Problem::denied(&Denial { event: EventId::FIRST, block, approval: None }).request("s1/1")
    }

    fn info() -> RequestInfo {
        request_info::read(&transcripts::request("GET", "/api/v1/namespaces/demo/pods/web/exec", &[]))
    }

    #[test]
    fn a_refusal_says_to_kubectl_which_rule_why_and_what_to_do() {
        let status = Status::of(&denied(), Some(&info()));
        expect![[r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"web\" is forbidden: nobody runs commands in production (rule no-exec/exec): ask the platform team (request s1/1)","reason":"Forbidden","details":{"name":"web","kind":"pods","causes":[{"reason":"GatewrightCode","message":"policy.blocked"},{"reason":"GatewrightRule","message":"no-exec/exec"},{"reason":"GatewrightRemedy","message":"ask the platform team"},{"reason":"GatewrightRequest","message":"s1/1"}]},"code":403}"#]]
            .assert_eq(&String::from_utf8_lossy(&status.encode(Format::Json)));
    }

    #[test]
    fn a_refusal_of_the_gateways_own_says_what_to_do() {
        for (code, expected) in [
            ("k8s.unknown", "a path of the Kubernetes API"),
            ("k8s.upgrade", "WebSocket or SPDY"),
            ("k8s.impersonate", "no `--as`"),
            ("k8s.not_shown", "ask the operator"),
            ("json.ambiguous", "each name once"),
        ] {
            let status = Status::of(&Problem::new(StatusCode::BAD_REQUEST, code, "it is wrong"), None);
            assert!(status.message.starts_with("it is wrong: "), "{}", status.message);
            assert!(status.message.contains(expected), "{}", status.message);
            assert!(status.details.causes.iter().any(|cause| cause.reason == "GatewrightRemedy"), "{code}");
        }
    }

    #[test]
    fn a_refusal_in_protobuf_has_the_shape_of_a_recorded_one() {
        let recorded = transcripts::items("63-errors");
        let recorded = recorded
            .iter()
            .find(|item| {
                item.dir == "response" && item.header("content-type") == Some(Format::Protobuf.media_type())
            })
            .unwrap();
        let ours = Status::of(&denied(), Some(&info())).encode(Format::Protobuf);
        let tags = |bytes: &[u8]| {
            let raw = protobuf::open(bytes).unwrap();
            assert_eq!((raw.api_version, raw.kind), ("v1", "Status"));
            protobuf::fields(raw.object).map(|field| field.unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(tags(&ours), tags(&recorded.bytes()));
    }

    #[test]
    fn the_format_is_what_the_client_names_first() {
        for (accept, format) in [
            (Some("application/vnd.kubernetes.protobuf,application/json"), Format::Protobuf),
            (Some("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata"), Format::Protobuf),
            (Some("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), Format::Json),
            (Some("application/json, application/vnd.kubernetes.protobuf"), Format::Json),
            (Some("application/cbor"), Format::Json),
            (None, Format::Json),
        ] {
            assert_eq!(Format::wanted(accept), format, "{accept:?}");
        }
    }
}
