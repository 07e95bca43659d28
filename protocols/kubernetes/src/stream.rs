//! Ways into a container, and past the API, in every spelling (threats A53, A54).
//!
//! | path | what it is |
//! | --- | --- |
//! | `pods/NAME/exec`, `attach`, `portforward`, by GET or POST | exec, attach, port-forward |
//! | `nodes/NAME/proxy/exec/...`, `attach`, `run`, `portForward` | the same, by the kubelet's own API: the API server asks about `nodes/proxy` only |
//! | `proxy/nodes/NAME/...` | the same, as Kubernetes served it before 1.10 |
//! | `pods/NAME/ephemeralcontainers` by anything but reading | a container that is added to a running Pod: `kubectl debug` |
//! | `pods/NAME/proxy/...`, `services/NAME/proxy/...`, with scheme and port in the name (`https:web:443`) | an HTTP request to what runs there |
//!
//! Which protocol carries it (WebSocket, SPDY, or none: a `run` answers like any request) makes no difference here.

use std::sync::Arc;

use gatewright_model::{
    http::HttpRequest,
    kubernetes::{RequestInfo, Stream, StreamKind},
};

use crate::request_info::options::{all, first, is_set};

/// The way that a request opens. None: it opens none.
pub fn read(request: &HttpRequest, info: &RequestInfo) -> Option<Stream> {
    if !info.is_resource_request {
        return None;
    }
    let kind = match (&*info.subresource, &*info.verb) {
        ("exec", _) => StreamKind::Exec,
        ("attach", _) => StreamKind::Attach,
        ("portforward", _) => StreamKind::PortForward,
        ("ephemeralcontainers", verb) if verb != "get" => StreamKind::EphemeralContainers,
        (_, "proxy") => return Some(proxy(request, info)),
        _ => return None,
    };
    let query = &request.query;
    let is_process = matches!(kind, StreamKind::Exec | StreamKind::Attach);
    let flag = |name| is_process && is_set(query, name);
    Some(Stream {
        container: first(query, "container").cloned().unwrap_or_default(),
        command: if kind == StreamKind::Exec {
            all(query, "command").cloned().collect()
        } else {
            Vec::new()
        },
        stdin: flag("stdin"),
        stdout: flag("stdout"),
        stderr: flag("stderr"),
        tty: flag("tty"),
        // `Convert_Slice_string_To_Slice_int32`: each of them may have commas.
        ports: all(query, "ports")
            .flat_map(|ports| ports.split(','))
            .filter_map(|port| port.parse().ok())
            .collect(),
        ..new(kind, &info.namespace, &info.name)
    })
}

fn new(kind: StreamKind, namespace: &Arc<str>, name: &Arc<str>) -> Stream {
    Stream {
        kind,
        by_node: false,
        namespace: Arc::clone(namespace),
        name: Arc::clone(name),
        container: Arc::default(),
        command: Vec::new(),
        stdin: false,
        stdout: false,
        stderr: false,
        tty: false,
        ports: Vec::new(),
        proxy_scheme: Arc::default(),
        proxy_port: Arc::default(),
        proxy_path: Arc::default(),
    }
}

fn proxy(request: &HttpRequest, info: &RequestInfo) -> Stream {
    // With the verb in the path there is no subresource before what follows.
    let before = if &*info.subresource == "proxy" { 3 } else { 2 };
    let path: Vec<&str> = info.parts.iter().skip(before).map(AsRef::as_ref).collect();
    let (scheme, name, port) = split(&info.name);
    let stream = Stream {
        proxy_scheme: Arc::from(scheme),
        proxy_port: Arc::from(port),
        proxy_path: Arc::from(format!("/{}", path.join("/"))),
        ..new(StreamKind::Proxy, &info.namespace, &Arc::from(name))
    };
    if &*info.resource == "nodes" { by_node(request, &path, stream) } else { stream }
}

/// `utilnet.SplitSchemeNamePort`: `[SCHEME:]NAME[:PORT]`.
fn split(name: &str) -> (&str, &str, &str) {
    match name.split(':').collect::<Vec<_>>()[..] {
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => ("", name, ""),
    }
}

/// What a kubelet is asked for (`pkg/kubelet/server`).
fn by_node(request: &HttpRequest, path: &[&str], stream: Stream) -> Stream {
    let query = &request.query;
    let text = |text: &str| Arc::from(text);
    // `/exec/NAMESPACE/POD/[UID/]CONTAINER`; a port-forward has no container.
    let (kind, [namespace, pod], container) = match path {
        ["exec", namespace, pod, .., container] => (StreamKind::Exec, [namespace, pod], *container),
        ["attach", namespace, pod, .., container] => (StreamKind::Attach, [namespace, pod], *container),
        ["run", namespace, pod, .., container] => (StreamKind::Run, [namespace, pod], *container),
        ["portForward", namespace, pod, ..] => (StreamKind::PortForward, [namespace, pod], ""),
        _ => return Stream { by_node: true, ..stream },
    };
    let is_process = matches!(kind, StreamKind::Exec | StreamKind::Attach);
    // A kubelet takes `1` for true, and also looks into the body of a form: what is not said here may be said there.
    let flag = |name| is_process && first(query, name).is_some_and(|value| &**value == "1");
    Stream {
        kind,
        by_node: true,
        namespace: text(namespace),
        name: text(pod),
        container: text(container),
        command: match kind {
            StreamKind::Exec => all(query, "command").cloned().collect(),
            StreamKind::Run => first(query, "cmd").cloned().into_iter().collect(),
            _ => Vec::new(),
        },
        stdin: flag("input"),
        stdout: flag("output"),
        stderr: flag("error"),
        tty: flag("tty"),
        // Each of them may have commas (`NewV4Options` of the kubelet).
        ports: all(query, "port")
            .flat_map(|ports| ports.split(','))
            .filter_map(|port| port.parse().ok())
            .collect(),
        ..stream
    }
}

/// Are the ports that a request names ports? One that is none would be missing from what is judged.
pub(crate) fn are_ports(request: &HttpRequest) -> bool {
    let mut named = ["ports", "port"].into_iter().flat_map(|name| all(&request.query, name));
    named.all(|ports| ports.split(',').all(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{request_info, transcripts};

    fn stream(method: &str, target: &str) -> Option<Stream> {
        let request = transcripts::request(method, target, &[]);
        read(&request, &request_info::read(&request))
    }

    /// Kind, way, place and command.
    fn said(method: &str, target: &str) -> String {
        let Some(stream) = stream(method, target) else { return "none".to_owned() };
        let Stream { kind, by_node, namespace, name, container, command, .. } = stream;
        format!(
            "{}{} {namespace}/{name}/{container} {command:?}",
            kind.as_str(),
            if by_node { " by node" } else { "" }
        )
    }

    #[test]
    fn a053_exec_is_exec_in_every_spelling() {
        let expected = r#"exec demo/web/c ["sh", "-c", "id"]"#;
        let api = "/api/v1/namespaces/demo/pods/web/exec?command=sh&command=-c&container=c&command=id";
        for method in ["GET", "POST", "PUT"] {
            assert_eq!(said(method, api), expected, "{method}");
        }
        let expected = r#"exec by node demo/web/c ["sh", "-c", "id"]"#;
        for target in [
            "/api/v1/nodes/node1/proxy/exec/demo/web/c?command=sh&command=-c&command=id&output=1",
            "/api/v1/nodes/https:node1:10250/proxy/exec/demo/web/c?command=sh&command=-c&command=id",
            "/api/v1/nodes/node1/proxy/exec/demo/web/0a1b/c?command=sh&command=-c&command=id",
            "/api/v1/proxy/nodes/node1/exec/demo/web/c?command=sh&command=-c&command=id",
        ] {
            assert_eq!(said("GET", target), expected, "{target}");
        }
    }

    #[test]
    fn a053_every_other_way_in_is_seen_too() {
        for (method, target, expected) in [
            ("POST", "/api/v1/namespaces/demo/pods/web/attach?container=c", "attach demo/web/c []"),
            ("GET", "/api/v1/namespaces/demo/pods/web/portforward", "portforward demo/web/ []"),
            (
                "PATCH",
                "/api/v1/namespaces/demo/pods/web/ephemeralcontainers",
                "ephemeralcontainers demo/web/ []",
            ),
            (
                "PUT",
                "/api/v1/namespaces/demo/pods/web/ephemeralcontainers",
                "ephemeralcontainers demo/web/ []",
            ),
            ("GET", "/api/v1/namespaces/demo/pods/web/ephemeralcontainers", "none"),
            (
                "POST",
                "/api/v1/nodes/n/proxy/run/demo/web/c?cmd=sh%20-c%20id",
                r#"run by node demo/web/c ["sh -c id"]"#,
            ),
            ("POST", "/api/v1/nodes/n/proxy/attach/demo/web/c", "attach by node demo/web/c []"),
            ("POST", "/api/v1/nodes/n/proxy/portForward/demo/web", "portforward by node demo/web/ []"),
            ("GET", "/api/v1/nodes/n/proxy/pods", "proxy by node /n/ []"),
            ("GET", "/api/v1/namespaces/demo/pods/web/log", "none"),
            ("GET", "/apis/apps/v1/namespaces/demo/deployments", "none"),
        ] {
            assert_eq!(said(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn a054_a_proxy_names_scheme_port_and_path() {
        for (target, expected) in [
            ("pods/web/proxy", ["", "web", "", "/"]),
            ("pods/web:80/proxy/a/b?c=d", ["", "web", "80", "/a/b"]),
            ("services/https:web:http/proxy/", ["https", "web", "http", "/"]),
            ("pods/a:b:c:d/proxy/x", ["", "a:b:c:d", "", "/x"]),
        ] {
            let stream = stream("DELETE", &format!("/api/v1/namespaces/demo/{target}")).unwrap();
            let Stream { kind, proxy_scheme, name, proxy_port, proxy_path, .. } = stream;
            assert_eq!(kind, StreamKind::Proxy);
            assert_eq!([&*proxy_scheme, &*name, &*proxy_port, &*proxy_path], expected, "{target}");
        }
    }

    #[test]
    fn flags_and_ports_are_read_as_their_reader_reads_them() {
        let exec =
            stream("GET", "/api/v1/namespaces/d/pods/w/exec?stdin&stdout=1&stderr=false&tty=true").unwrap();
        assert_eq!([exec.stdin, exec.stdout, exec.stderr, exec.tty], [true, true, false, true]);
        let exec = stream("GET", "/api/v1/nodes/n/proxy/exec/d/w/c?input=1&output=true&tty=1").unwrap();
        assert_eq!([exec.stdin, exec.stdout, exec.stderr, exec.tty], [true, false, false, true]);
        let forward =
            stream("GET", "/api/v1/namespaces/d/pods/w/portforward?ports=80,443&ports=22").unwrap();
        assert_eq!(forward.ports, [80, 443, 22]);
    }
}
