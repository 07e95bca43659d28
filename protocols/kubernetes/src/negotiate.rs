//! In which form objects travel.
//!
//! The gateway reads and hides in JSON only: every client that speaks protobuf or CBOR to an API server also takes JSON,
//! because custom resources have no other form. So where an answer has to be read, `Accept` is rewritten to JSON
//! before it is sent, and nothing else can come back (threats A58, A73). Where nothing has to be read, clients keep what they
//! asked for: an informer's protobuf is a third of the size.
//!
//! Bodies of requests are another matter: `kubectl create secret` posts protobuf, and does not fall back when it is refused. Such a
//! body is streamed and not looked into, and the event says so: a policy that looks at verb, resource and name can
//! decide about it, and one that needs the object can refuse it.

/// In which form a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON: can be read and masked.
    Json,
    /// YAML. kubectl sends JSON under this name (`application/apply-patch+yaml`), which is YAML, too.
    Yaml,
    /// `k8s\0` and a `runtime.Unknown`.
    Protobuf,
    /// RFC 8949.
    Cbor,
    /// Something else.
    Other,
}

/// The form of the body of a request, by its `Content-Type`. An API server takes a body without one for JSON.
pub fn form(content_type: Option<&str>) -> Form {
    let Some(content_type) = content_type else { return Form::Json };
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*media_type {
        "application/json" | "text/json" => Form::Json,
        "application/yaml" | "application/apply-patch+yaml" | "text/yaml" => Form::Yaml,
        "application/vnd.kubernetes.protobuf" => Form::Protobuf,
        "application/cbor" | "application/cbor-seq" | "application/apply-patch+cbor" => Form::Cbor,
        other if other.starts_with("application/") && other.ends_with("+json") => Form::Json,
        _ => Form::Other,
    }
}

/// `Accept` for an answer that has to be read: what of the client's own is JSON, in its order, or plain JSON.
///
/// Parameters stay: `as=Table` and `as=PartialObjectMetadata` choose what is in the JSON. Whoever asks for YAML or for protobuf alone
/// gets JSON: the `Content-Type` of the answer says so, and clients go by that.
pub fn accept(given: Option<&str>) -> String {
    let items = given.unwrap_or_default().split(',').map(str::trim);
    let json: Vec<&str> = items.filter(|item| is_json(item)).collect();
    if json.is_empty() { "application/json".to_owned() } else { json.join(",") }
}

fn is_json(item: &str) -> bool {
    let mut parts = item.split(';').map(str::trim);
    let is_type =
        parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    // `q=0` means: not this.
    is_type
        && !parts.any(|part| {
            part.strip_prefix("q=0").is_some_and(|rest| rest.trim_matches(['0', '.']).is_empty())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcripts;

    #[test]
    fn a058_only_json_is_asked_for() {
        for (given, sent) in [
            (Some("application/vnd.kubernetes.protobuf,application/json"), "application/json"),
            (Some("application/vnd.kubernetes.protobuf;stream=watch"), "application/json"),
            (Some("application/cbor,application/json"), "application/json"),
            (Some("application/yaml"), "application/json"),
            (Some("*/*"), "application/json"),
            (Some("application/json;q=0.0, application/cbor"), "application/json"),
            (
                Some("APPLICATION/JSON;as=Table;v=v1;g=meta.k8s.io"),
                "APPLICATION/JSON;as=Table;v=v1;g=meta.k8s.io",
            ),
            (None, "application/json"),
        ] {
            assert_eq!(accept(given), sent, "{given:?}");
        }
    }

    /// What real clients asked for stays JSON, and stays a table where it was one.
    #[test]
    fn every_recorded_client_gets_json() {
        for name in
            ["14-kubectl-get", "16-kubectl-describe", "31-watch-table", "97-informers-kube-scheduler"]
        {
            for item in transcripts::items(name).iter().filter(|item| item.dir == "request") {
                let given = item.header("accept");
                let sent = accept(given);
                assert!(sent.split(',').all(|item| item.starts_with("application/json")), "{sent}");
                let has_table = |text: &str| text.contains("as=Table");
                assert_eq!(given.is_some_and(has_table), has_table(&sent), "{given:?}");
            }
        }
    }

    #[test]
    fn the_form_of_a_body_is_what_its_type_says() {
        for (content_type, expected) in [
            (None, Form::Json),
            (Some("application/json; charset=utf-8"), Form::Json),
            (Some("application/strategic-merge-patch+json"), Form::Json),
            (Some("application/apply-patch+yaml"), Form::Yaml),
            (Some("application/vnd.kubernetes.protobuf"), Form::Protobuf),
            (Some("application/apply-patch+cbor"), Form::Cbor),
            (Some("text/plain"), Form::Other),
            (Some(""), Form::Other),
        ] {
            assert_eq!(form(content_type), expected, "{content_type:?}");
        }
    }
}
