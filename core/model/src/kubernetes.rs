//! What a request to a Kubernetes API server means, in the words of the API server's own RequestInfo.
//!
//! Everything here was read from method, path, query and headers alone, in the form in which the target reads them
//! (`k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`). What is in a body is the business of [`HttpEvent`].

use std::{fmt::Write as _, sync::Arc};

use crate::{http::HttpEvent, sql::Grade};

/// One request to an API server.
#[derive(Debug, Clone)]
pub struct KubernetesEvent {
    /// The request as HTTP: what is sent, and what is known of its body.
    pub http: HttpEvent,
    /// What the API server makes of it.
    pub info: Arc<RequestInfo>,
    /// The protocol that the connection is to be switched to, if the client asks for that.
    pub upgrade: Option<Upgrade>,
    /// The way into a container, or past the API, that it opens.
    pub stream: Option<Arc<Stream>>,
    /// Whom the client wants to act as. Only where the operator allows clients to say so; refused with 400 before otherwise.
    pub impersonation: Option<Arc<Impersonation>>,
}

/// Verb, resource and object of a request, as the API server reads them. What it does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    /// Does it name a resource of the API? If not, it is a path like `/healthz` or `/apis`, and only the verb is set:
    /// the method in lower case.
    pub is_resource_request: bool,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; `connect` for exec, attach and
    /// port-forward, and `proxy` for what leads past the API, whatever the method. Empty: a method that the API server does not know.
    pub verb: Arc<str>,
    /// The verb that the API server asks its own authorizer about: for `connect` and `proxy` it is `get` or `create`, by the
    /// method. Otherwise the same as `verb`.
    pub authorized_verb: Arc<str>,
    /// `api` or `apis`.
    pub api_prefix: Arc<str>,
    /// Like `apps`. Empty: the core group.
    pub api_group: Arc<str>,
    /// Like `v1`.
    pub api_version: Arc<str>,
    /// The namespace. A request for a namespace itself has its name here, too.
    pub namespace: Arc<str>,
    /// Like `secrets`, as written in the path. Case counts.
    pub resource: Arc<str>,
    /// Like `exec` or `status`.
    pub subresource: Arc<str>,
    /// The object's name: from the path, or, of a list or a watch, from a field selector that allows one name only.
    pub name: Arc<str>,
    /// The path behind group, version and namespace: resource, name, subresource, and what follows.
    pub parts: Vec<Arc<str>>,
    /// The field selector, as sent.
    pub field_selector: Arc<str>,
    /// The label selector, as sent.
    pub label_selector: Arc<str>,
    /// Is nothing of it to be kept (`dryRun=All`)?
    pub dry_run: bool,
    /// What kind of a patch its body is.
    pub patch_type: Option<PatchType>,
    /// How many objects a list may have. None: all.
    pub limit: Option<u64>,
    /// Does it go on with a list that was begun before?
    pub is_continued: bool,
    /// Who claims the fields that it sets.
    pub field_manager: Arc<str>,
    /// May it take fields from other managers (`force=true`)?
    pub force: bool,
    /// Why it was not understood: for people, without values from the request. None: it was.
    pub unknown: Option<&'static str>,
}

/// Kinds of patches, by their media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatchType {
    /// `application/json-patch+json` (RFC 6902).
    Json,
    /// `application/merge-patch+json` (RFC 7396).
    Merge,
    /// `application/strategic-merge-patch+json`.
    StrategicMerge,
    /// `application/apply-patch+yaml` and `application/apply-patch+cbor`: server-side apply.
    Apply,
}

impl PatchType {
    /// The word that policies use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Merge => "merge",
            Self::StrategicMerge => "strategic-merge",
            Self::Apply => "apply",
        }
    }
}

/// A protocol that a client wants to switch to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Which one.
    pub transport: Transport,
    /// The protocols that it offers to speak on it, the preferred one first: `v5.channel.k8s.io`, ...
    pub protocols: Vec<Arc<str>>,
}

/// What carries a stream after a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 6455.
    WebSocket,
    /// SPDY/3.1.
    Spdy,
}

impl Transport {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "spdy",
        }
    }
}

/// A way into a container, or past the API, by whichever path it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// What it is.
    pub kind: StreamKind,
    /// Does it go through the kubelet's own API (`nodes/NAME/proxy/...`)? The API server then asks only whether the client may use
    /// `nodes/proxy`, not whether it may use `pods/exec`.
    pub by_node: bool,
    /// The namespace of the Pod or Service; where it goes by a node: the one in the kubelet's path.
    pub namespace: Arc<str>,
    /// The Pod, Service or node.
    pub name: Arc<str>,
    /// The container, where the request names one.
    pub container: Arc<str>,
    /// The command and its arguments. Of [`StreamKind::Run`]: one text, which the kubelet splits at blanks.
    pub command: Vec<Arc<str>>,
    /// Does the client send input?
    pub stdin: bool,
    /// Does it want the output?
    pub stdout: bool,
    /// Does it want the errors?
    pub stderr: bool,
    /// Is there a terminal?
    pub tty: bool,
    /// Ports that the request names. Of port-forward most clients name them later, in the stream: each is judged when it comes.
    pub ports: Vec<u16>,
    /// Of a proxy: the scheme in the name (`https:web:443`), or empty.
    pub proxy_scheme: Arc<str>,
    /// Of a proxy: the port in the name, a number or a name, or empty.
    pub proxy_port: Arc<str>,
    /// Of a proxy, and of what goes by a node: the path there, with its first slash.
    pub proxy_path: Arc<str>,
}

/// Kinds of ways into a container, or past the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// Runs a command in a container.
    Exec,
    /// Input and output of the process that a container was started with.
    Attach,
    /// Connections to ports of a Pod.
    PortForward,
    /// Runs a command, and answers with its output (`run` of the kubelet).
    Run,
    /// Adds a container to a running Pod (`kubectl debug`). What is to run in it is in the body.
    EphemeralContainers,
    /// An HTTP request to a Pod or Service, or to what a node serves beside the above.
    Proxy,
}

impl StreamKind {
    /// The word that policies and records use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Run => "run",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Proxy => "proxy",
        }
    }
}

/// Whom a request is to be done as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Impersonation {
    /// `Impersonate-User`.
    pub user: Arc<str>,
    /// `Impersonate-Uid`. May be empty.
    pub uid: Arc<str>,
    /// `Impersonate-Group`, in their order.
    pub groups: Vec<Arc<str>>,
    /// `Impersonate-Extra-KEY`, keys decoded and in lower case, in their order.
    pub extra: Vec<(Arc<str>, Arc<str>)>,
}

impl KubernetesEvent {
    /// The event kind that policies ask for and records carry.
    pub const KIND: &'static str = "kubernetes.request";
    /// The event kind of an answer.
    pub const ANSWER_KIND: &'static str = "kubernetes.response";

    /// Which of them it is.
    pub const fn kind(&self) -> &'static str {
        if self.http.response.is_some() { Self::ANSWER_KIND } else { Self::KIND }
    }

    /// Why it was not understood, where it was not.
    pub fn grade_reason(&self) -> Option<Arc<str>> {
        self.info.unknown.map(Arc::from)
    }

    /// How well it was understood. What is in a body that was streamed is not claimed to be: see [`HttpEvent::body`].
    pub fn grade(&self) -> Grade {
        if self.info.unknown.is_some() { Grade::Opaque } else { self.http.grade() }
    }

    /// Does it open input and output of a process, which people see and type? Nothing else of this API can be recorded.
    pub fn opens_a_process(&self) -> bool {
        let is_process =
            |stream: &Arc<Stream>| matches!(stream.kind, StreamKind::Exec | StreamKind::Attach);
        let is_request = self.upgrade.is_some() && self.http.response.is_none();
        is_request && self.stream.as_ref().is_some_and(is_process)
    }

    /// Must its record be on disk before it is forwarded (promise P1)? All that does more than read does.
    pub fn leaves_a_trace(&self) -> bool {
        let reads = match &*self.info.verb {
            "get" | "list" | "watch" => self.http.request.is_safe(),
            _ => !self.info.is_resource_request && self.http.request.is_safe(),
        };
        !reads || self.stream.is_some() || self.impersonation.is_some() || self.grade() != Grade::Verified
    }

    /// What is done to what, in one line that is safe to record: no selector, no command, no query.
    pub fn summary(&self) -> String {
        let info = &self.info;
        if !info.is_resource_request {
            return self.http.summary();
        }
        let verb = match &self.stream {
            Some(stream) => stream.kind.as_str(),
            None if info.verb.is_empty() => &self.http.request.method,
            None => &info.verb,
        };
        let answer = self.http.response.as_ref().map(|answer| format!("{} to ", answer.status));
        let mut text = format!("{}{verb} {}", answer.unwrap_or_default(), info.resource);
        let mut part = |before: &str, name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
            if name.is_empty() {
            } else if name.bytes().all(plain) {
                text.push_str(before);
                text.push_str(name);
            } else {
                // A name may be any text: `x in prod as admin` is to be read as the name that it is.
                let _ = write!(text, "{before}{name:?}");
            }
        };
        part(".", &info.api_group);
        part("/", &info.subresource);
        part(" ", &info.name);
        part(" in ", &info.namespace);
        // A request to the node itself leads to no pod.
        let leads_on = |stream: &&Stream| stream.by_node && !stream.namespace.is_empty();
        if let Some(stream) = self.stream.as_deref().filter(leads_on) {
            part(" to ", &stream.namespace);
            part("/", &stream.name);
        }
        if let Some(impersonation) = &self.impersonation {
            part(" as ", &impersonation.user);
        }
        text
    }

    /// The request as a reviewer must see it: what it means, then everything that is sent.
    pub fn full_text(&self) -> String {
        let mut text = self.summary();
        if let Some(unknown) = self.info.unknown {
            // Writing to a string does not fail.
            let _ = write!(text, "\nnot understood: {unknown}");
        }
        if let Some(stream) = &self.stream {
            if !stream.command.is_empty() {
                let _ = write!(text, "\ncommand: {:?}", stream.command);
            }
            if !stream.container.is_empty() {
                let _ = write!(text, "\ncontainer: {:?}", stream.container);
            }
            let flags = [(stream.stdin, "stdin"), (stream.tty, "tty")];
            for (_, flag) in flags.into_iter().filter(|(is_set, _)| *is_set) {
                let _ = write!(text, "\nwith {flag}");
            }
            for port in &stream.ports {
                let _ = write!(text, "\nport: {port}");
            }
        }
        if let Some(Impersonation { user, uid, groups, extra }) = self.impersonation.as_deref() {
            let _ = write!(text, "\nas user {user:?}, uid {uid:?}, groups {groups:?}, extra {extra:?}");
        }
        text.push_str("\n\n");
        text.push_str(&self.http.full_text());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HttpBody, HttpRequest};

    fn event(method: &str, info: RequestInfo) -> KubernetesEvent {
        let request = HttpRequest {
            method: Arc::from(method),
            scheme: "https",
            authority: Arc::from("k8s.example"),
            path: Arc::from("/api/v1/x"),
            query: Vec::new(),
            query_text: Arc::from(""),
            headers: Vec::new(),
            route: Arc::from("all"),
            route_parameters: Vec::new(),
        };
        KubernetesEvent {
            http: HttpEvent { request: Arc::new(request), body: HttpBody::Empty, response: None },
            info: Arc::new(info),
            upgrade: None,
            stream: None,
            impersonation: None,
        }
    }

    fn info(verb: &str) -> RequestInfo {
        RequestInfo {
            is_resource_request: true,
            verb: Arc::from(verb),
            api_group: Arc::from("apps"),
            resource: Arc::from("deployments"),
            subresource: Arc::from("scale"),
            namespace: Arc::from("demo"),
            name: Arc::from("web"),
            ..RequestInfo::default()
        }
    }

    fn exec() -> Stream {
        Stream {
            kind: StreamKind::Exec,
            by_node: false,
            namespace: Arc::from("demo"),
            name: Arc::from("web"),
            container: Arc::from("c"),
            command: vec![Arc::from("sh"), Arc::from("-c"), Arc::from("echo \u{202e}hunter2")],
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
            ports: Vec::new(),
            proxy_scheme: Arc::from(""),
            proxy_port: Arc::from(""),
            proxy_path: Arc::from(""),
        }
    }

    #[test]
    fn only_what_was_understood_and_only_reads_leaves_no_trace() {
        assert!(!event("GET", info("list")).leaves_a_trace());
        assert!(event("PATCH", info("patch")).leaves_a_trace());
        // `/api/v1/watch/...` is a watch with every method; the API server refuses all but GET, and that is its business.
        assert!(event("POST", info("watch")).leaves_a_trace());
        let unknown = RequestInfo { unknown: Some("a new thing"), ..info("get") };
        assert!(event("GET", unknown).leaves_a_trace());
        let exec = KubernetesEvent { stream: Some(Arc::new(exec())), ..event("GET", info("connect")) };
        assert!(exec.leaves_a_trace());
    }

    #[test]
    fn a_record_has_no_command_and_a_reviewer_sees_all_of_it() {
        assert_eq!(event("PATCH", info("patch")).summary(), "patch deployments.apps/scale web in demo");
        let event = KubernetesEvent { stream: Some(Arc::new(exec())), ..event("GET", info("connect")) };
        assert!(!event.summary().contains("hunter2"), "{}", event.summary());
        let text = event.full_text();
        assert!(text.contains(r#"command: ["sh", "-c", "echo \u{202e}hunter2"]"#), "{text}");
        assert!(text.contains("GET https://k8s.example/api/v1/x"), "{text}");
    }

    #[test]
    fn a_way_through_a_node_is_said_with_the_pod_that_it_leads_to_and_not_with_the_node_twice() {
        let nodes = || RequestInfo {
            api_group: Arc::from(""),
            resource: Arc::from("nodes"),
            subresource: Arc::from("proxy"),
            namespace: Arc::from(""),
            name: Arc::from("node1"),
            ..info("get")
        };
        let through = |stream: Stream| {
            KubernetesEvent { stream: Some(Arc::new(stream)), ..event("GET", nodes()) }.summary()
        };
        assert_eq!(through(Stream { by_node: true, ..exec() }), "exec nodes/proxy node1 to demo/web");
        let itself = Stream {
            kind: StreamKind::Proxy,
            by_node: true,
            namespace: Arc::from(""),
            name: Arc::from("node1"),
            ..exec()
        };
        assert_eq!(through(itself), "proxy nodes/proxy node1");
    }
}
