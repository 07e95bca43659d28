//! What a request to an API server means. An input is a line of method and target.

use std::sync::Arc;

use gatewright_http::{path, query};
use gatewright_kubernetes::{protobuf, request_info, stream};
use gatewright_model::http::HttpRequest;

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target =
    Target { name: "kubernetes", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: nothing panics; whatever is called exec, attach, port-forward or proxy has a verb that says so, a stream, or a mark
/// that it was not understood; and what has no resource has no namespace and no name.
fn check(input: &[u8]) {
    let _ = protobuf::open(input);
    let text = String::from_utf8_lossy(input);
    let Some((method, target)) = text.split_once(' ') else { return };
    let (given, asked) = target.split_once('?').unwrap_or((target, ""));
    let (Ok(path), Ok(query)) = (path::canonical(given), query::canonical(asked)) else { return };
    let request = HttpRequest {
        method: Arc::from(method),
        scheme: "https",
        authority: Arc::from("k8s.example"),
        path: Arc::from(path),
        query: query.pairs,
        query_text: Arc::from(query.text),
        headers: Vec::new(),
        route: Arc::from("all"),
        route_parameters: Vec::new(),
    };
    let info = request_info::read(&request);
    let stream = stream::read(&request, &info);
    assert_eq!(info, request_info::read(&request));
    if !info.is_resource_request {
        assert!(info.namespace.is_empty() && info.name.is_empty() && info.resource.is_empty());
        assert!(stream.is_none());
        return;
    }
    if matches!(&*info.subresource, "exec" | "attach" | "portforward" | "proxy") {
        assert!(matches!(&*info.verb, "connect" | "proxy") && stream.is_some(), "{target}");
    }
    let segments = request.path.split('/').any(|segment| segment == "exec");
    assert!(
        !segments
            || stream.is_some()
            || info.unknown.is_some()
            || info.name.as_ref() == "exec"
            || info.namespace.as_ref() == "exec"
            || info.api_group.as_ref() == "exec"
            || info.resource.as_ref() == "exec"
            || info.api_version.as_ref() == "exec",
        "{target}"
    );
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "GET /api/v1/namespaces/demo/secrets?fieldSelector=metadata.name%3Dx&watch=1&limit=500",
        "POST /api/v1/namespaces/demo/pods/web/exec?command=sh&container=c&stdin=true&tty=true",
        "GET /api/v1/nodes/node1:10250/proxy/exec/demo/web/c?command=id&output=1",
        "POST /api/v1/proxy/nodes/node1/run/demo/web/c?cmd=id",
        "DELETE /apis/apps/v1/namespaces/demo/deployments/shop/scale?dryRun=All",
        "GET /api/v1/watch/namespaces/demo/status",
        "PATCH /api/v1/namespaces/demo/pods/https:web:443/proxy/a/b?c=d",
        "GET /apis/example.com/v1/namespaces/demo/widgets/w/exec",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

const WORDS: &[&[u8]] = &[
    b"/api",
    b"/apis",
    b"/v1",
    b"/namespaces/",
    b"/watch/",
    b"/proxy/",
    b"/exec",
    b"/attach",
    b"/portforward",
    b"/portForward",
    b"/nodes/",
    b"/pods/",
    b"?fieldSelector=metadata.name%3D",
    b"&watch",
    b"%5C%2C",
    b"%2C",
    b"k8s\0",
];
