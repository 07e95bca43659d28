//! What a request means to an API server: verb, resource, object.
//!
//! This is `NewRequestInfo` of `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`, line by line, because whatever
//! differs from it is a way around a policy. It is tested against 165 requests that were put to a real API server, which
//! said what it took them for (`64-request-attributes.tsv`).
//!
//! Three things are said differently, and said beside the server's own words ([`RequestInfo::authorized_verb`]): a way into
//! a container is `connect` and a way past the API is `proxy`, whatever the method, so that a rule about `create` or `get` does not
//! let anybody in by accident (threats A53, A54); and what this version of the gateway does not know is described, and
//! marked as not understood (threats A60).

mod known;
pub(crate) mod options;

use std::{borrow::Cow, sync::Arc};

use gatewright_http::path;
use gatewright_model::{
    http::HttpRequest,
    kubernetes::{PatchType, RequestInfo},
};

/// What a request means. Its path is canonical, as every path of an event is.
pub fn read(request: &HttpRequest) -> RequestInfo {
    let segments: Vec<Cow<'_, str>> = path::segments(&request.path)
        // In a canonical path every segment can be decoded. If not, what is not decoded names nothing that is known.
        .map(|segment| path::decoded(segment).unwrap_or(Cow::Borrowed(segment)))
        .collect();
    let parts: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let media_type = request.media_type();
    let mut info = of(&request.method, &parts, &request.query, media_type.as_deref());
    info.unknown = info.unknown.or_else(|| known::why_unknown(&info, &request.method, &parts));
    info
}

/// `parts`: of the path between slashes. Empty ones at both ends do not count.
fn of(
    method: &str,
    parts: &[&str],
    query: &[(Arc<str>, Arc<str>)],
    media_type: Option<&str>,
) -> RequestInfo {
    let parts = trim(parts);
    let mut info = RequestInfo { verb: Arc::from(method.to_ascii_lowercase()), ..RequestInfo::default() };
    if let Some(rest) = api(parts, &mut info) {
        resource(method, rest, query, &mut info);
    }
    info.authorized_verb = Arc::clone(&info.verb);
    if info.is_resource_request {
        options::read(method, query, media_type, &mut info);
        if let Some(verb) = verb_of(&info) {
            info.verb = Arc::from(verb);
        }
    }
    info
}

/// Prefix, group and version. None: no request for a resource. Else what follows, which is at least one part.
fn api<'a, 'b>(parts: &'a [&'b str], info: &mut RequestInfo) -> Option<&'a [&'b str]> {
    let (&prefix, rest) = parts.split_first().filter(|_| parts.len() >= 3)?;
    let rest = match prefix {
        "api" => rest,
        "apis" => {
            let (&group, rest) = rest.split_first().filter(|_| rest.len() >= 3)?;
            info.api_group = Arc::from(group);
            rest
        }
        _ => return None,
    };
    let (&version, rest) = rest.split_first()?;
    info.api_prefix = Arc::from(prefix);
    info.api_version = Arc::from(version);
    info.is_resource_request = true;
    Some(rest)
}

/// `[watch|proxy/][namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE[/...]]]`.
fn resource(method: &str, parts: &[&str], query: &[(Arc<str>, Arc<str>)], info: &mut RequestInfo) {
    let (verb, mut parts) = match parts {
        // Here the API server answers 500.
        ["watch" | "proxy"] => {
            info.unknown = Some("the path has a verb and no resource");
            return;
        }
        [verb @ ("watch" | "proxy"), rest @ ..] => (*verb, rest),
        _ => (verb_of_method(method), parts),
    };
    info.verb = Arc::from(verb);
    if let ["namespaces", namespace, rest @ ..] = parts {
        info.namespace = Arc::from(*namespace);
        if !matches!(rest, [] | ["status" | "finalize", ..]) {
            parts = rest;
        }
    }
    let part = |at: usize| parts.get(at).map_or_else(|| Arc::from(""), |part: &&str| Arc::from(*part));
    info.parts = parts.iter().map(|part| Arc::from(*part)).collect();
    info.resource = part(0);
    info.name = part(1);
    if verb != "proxy" {
        info.subresource = part(2);
    }
    if info.name.is_empty() && verb == "get" {
        let (verb, name) = options::of_list(query);
        info.verb = Arc::from(verb);
        info.name = name.unwrap_or_default();
    }
    if info.name.is_empty() && verb == "delete" {
        info.verb = Arc::from("deletecollection");
    }
}

fn verb_of_method(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The gateway's word, where it is another one than the API server's. Of subresources of all groups: a way into something
/// that is no container yet, like a virtual machine, is one, too.
fn verb_of(info: &RequestInfo) -> Option<&'static str> {
    match &*info.subresource {
        "exec" | "attach" | "portforward" => Some("connect"),
        "proxy" => Some("proxy"),
        _ => None,
    }
}

/// `strings.Trim(path, "/")`, after the path was cut at its slashes.
fn trim<'a, 'b>(mut parts: &'a [&'b str]) -> &'a [&'b str] {
    while let ["", rest @ ..] | [rest @ .., ""] = parts {
        parts = rest;
    }
    parts
}

/// By the media type of a patch's body.
fn patch_type(media_type: &str) -> Option<PatchType> {
    match media_type {
        "application/json-patch+json" => Some(PatchType::Json),
        "application/merge-patch+json" => Some(PatchType::Merge),
        "application/strategic-merge-patch+json" => Some(PatchType::StrategicMerge),
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => Some(PatchType::Apply),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
