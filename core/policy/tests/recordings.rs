//! A policy that wants something recorded: of what can not be, nothing goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::sync::Arc;

use gatewright_model::{
    decision::Decision,
    digest::Digest,
    event::{Event, Facet},
    http::{HttpBody, HttpEvent, HttpResponse},
    id::EventId,
    kubernetes::{KubernetesEvent, RequestInfo, Stream, StreamKind, Transport, Upgrade},
    ssh::{Command, SshEvent, SshRequest},
};

use support::*;

fn event(facet: Facet) -> Arc<Event> {
    Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet })
}

fn ssh(request: SshRequest) -> Arc<Event> {
    event(Facet::Ssh(SshEvent { request: Arc::new(request), terminal: None, environment: Vec::new() }))
}

/// A request to a pod, with or without a stream, over a WebSocket.
fn kubernetes(kind: Option<StreamKind>) -> KubernetesEvent {
    let stream = kind.map(|kind| Stream {
        kind,
        by_node: false,
        namespace: "demo".into(),
        name: "web".into(),
        container: "".into(),
        command: Vec::new(),
        stdin: true,
        stdout: true,
        stderr: true,
        tty: true,
        ports: Vec::new(),
        proxy_scheme: "".into(),
        proxy_port: "".into(),
        proxy_path: "".into(),
    });
    let info = RequestInfo { is_resource_request: true, verb: "connect".into(), ..RequestInfo::default() };
    KubernetesEvent {
        http: HttpEvent { request: Arc::new(head("GET", "/")), body: HttpBody::Empty, response: None },
        info: Arc::new(info),
        upgrade: Some(Upgrade { transport: Transport::WebSocket, protocols: Vec::new() }),
        stream: stream.map(Arc::new),
        impersonation: None,
    }
}

fn by_node(kind: StreamKind) -> KubernetesEvent {
    let event = kubernetes(Some(kind));
    let stream = Stream { by_node: true, ..Stream::clone(event.stream.as_ref().unwrap()) };
    KubernetesEvent { stream: Some(Arc::new(stream)), ..event }
}

#[tokio::test]
async fn a050_what_can_be_recorded_goes_on_and_is() {
    let folder = Folder::new();
    let set = folder.hostile("p", "record").set(&host());
    let command = Command { text: "id".into(), words: Some(vec!["id".into()]), transfer: None };
    for event in [
        ssh(SshRequest::Exec(command)),
        ssh(SshRequest::Subsystem { name: "netconf".into() }),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::Exec)))),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::Attach)))),
        event(Facet::Kubernetes(by_node(StreamKind::Exec))),
    ] {
        let evaluation = judge(&set, &event).await;
        assert_eq!((evaluation.decision, evaluation.recorded), (Decision::Allow, true), "{event:?}");
    }
}

/// To go on without a recording would be to go on without what the policy asks for.
#[tokio::test]
async fn a050_what_can_not_be_recorded_is_blocked() {
    let folder = Folder::new();
    let set = folder.hostile("p", "record").set(&host());
    let exec = || kubernetes(Some(StreamKind::Exec));
    let answer = HttpResponse { status: 200, headers: Vec::new() };
    let answered =
        KubernetesEvent { http: HttpEvent { response: Some(Arc::new(answer)), ..exec().http }, ..exec() };
    for event in [
        query("select 1"),
        http("GET", "/people"),
        ssh(SshRequest::Session),
        ssh(SshRequest::Pty { terminal: "xterm".into() }),
        ssh(SshRequest::DirectTcpip { host: "db".into(), port: 5432, addresses: Arc::new([]) }),
        event(Facet::Kubernetes(kubernetes(None))),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::PortForward)))),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::Run)))),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::EphemeralContainers)))),
        event(Facet::Kubernetes(kubernetes(Some(StreamKind::Proxy)))),
        event(Facet::Kubernetes(by_node(StreamKind::Run))),
        // It opens nothing, and what it is answered nobody records.
        event(Facet::Kubernetes(KubernetesEvent { upgrade: None, ..exec() })),
        event(Facet::Kubernetes(answered)),
    ] {
        let evaluation = judge(&set, &event).await;
        assert_eq!(blocked(&evaluation), "record.unsupported", "{event:?}");
        assert!(!evaluation.recorded, "{event:?}");
    }
}

/// Any policy can ask for it, whatever the others say.
#[tokio::test]
async fn what_one_policy_wants_recorded_is_recorded() {
    let exec = event(Facet::Kubernetes(kubernetes(Some(StreamKind::Exec))));
    let host = host();
    let folder = Folder::new();
    folder.hostile("p", "none").hostile("q", "record");
    assert!(judge(&folder.set(&host), &exec).await.recorded);
    folder.hostile("q", "record-and-escalate");
    let evaluation = judge(&folder.set(&host), &exec).await;
    assert!(evaluation.recorded && matches!(evaluation.decision, Decision::Escalate { .. }));
    // What does not go on has no recording.
    folder.hostile("q", "record").hostile("r", "block");
    let evaluation = judge(&folder.set(&host), &exec).await;
    assert_eq!((blocked(&evaluation), evaluation.recorded), ("k8s.denied", false));
    // Watching is not asking.
    let monitor = "mode = \"monitor\"\n[settings]\nattack = \"record\"\n";
    let folder = Folder::new();
    folder.hostile("p", "none").write("q.toml", &document("q", hostile(), monitor));
    let set = folder.set(&host);
    assert!(!judge(&set, &exec).await.recorded);
    assert_eq!(judge(&set, &query("select 1")).await.decision, Decision::Allow);
}

#[tokio::test]
async fn a091_a_block_that_wants_a_recording_is_no_verdict() {
    let folder = Folder::new();
    let set = folder.hostile("p", "record-and-block").set(&host());
    let evaluation = judge(&set, &query("select 1")).await;
    assert_eq!((blocked(&evaluation), evaluation.recorded), ("policy.invalid", false));
}
