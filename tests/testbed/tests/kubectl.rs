//! The stage itself: real kubectl against the replaying API server, with nothing between them.
//!
//! If one of these fails, a test through the gateway proves nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{fs, process::Command};

use gatewright_testbed::{
    ADMIN_TOKEN, Kubectl, Kubernetes, Stage, free_port, has_recent_kubectl, manifest,
};

fn open(recordings: &[&str]) -> (Kubernetes, Kubectl, Stage) {
    let stage = Stage::new("kubectl").unwrap();
    let server = Kubernetes::replaying(&stage, recordings).unwrap();
    let kubectl = Kubectl::new(&stage, "admin", &server.url(), &server.authority(), ADMIN_TOKEN).unwrap();
    (server, kubectl, stage)
}

#[test]
fn get_in_its_forms() {
    if !has_recent_kubectl() {
        return;
    }
    let (server, kubectl, _stage) = open(&["14-kubectl-get", "15-kubectl-get-secret"]);
    let pods = kubectl.run(&["get", "pods"]).unwrap();
    assert!(pods.out.starts_with("NAME") && pods.out.contains("\nweb "), "{pods:?}");
    let secret = kubectl.run(&["get", "secret", "db-credentials", "-o", "yaml"]).unwrap();
    assert!(secret.out.contains("kind: Secret") && secret.out.contains("last-applied"), "{secret:?}");
    let secrets = kubectl.run(&["get", "secrets"]).unwrap();
    assert!(secrets.out.contains("db-credentials"), "{secrets:?}");
    let described = kubectl.run(&["describe", "secret", "db-credentials"]).unwrap();
    assert!(described.out.contains("password:"), "{described:?}");
    let journal = server.journal().unwrap().join("\n");
    assert!(journal.contains(r#"["authorization","Bearer TOKEN-ADMIN"]"#), "{journal}");
    assert!(journal.contains("/api/v1/namespaces/demo/secrets/db-credentials"), "{journal}");
}

#[test]
fn a_token_that_nobody_has_is_refused() {
    if !has_recent_kubectl() {
        return;
    }
    let (server, _, stage) = open(&["14-kubectl-get"]);
    let stranger = Kubectl::new(&stage, "stranger", &server.url(), &server.authority(), "wrong").unwrap();
    let said = stranger.run(&["get", "--raw", "/api/v1/namespaces/demo/pods"]).unwrap();
    assert!(said.code == Some(1) && said.err.contains("logged in"), "{said:?}");
}

#[test]
fn a_watch_shows_each_event() {
    if !has_recent_kubectl() {
        return;
    }
    let (_server, kubectl, _stage) = open(&["31-watch-table"]);
    let mut watch = kubectl.start(&["get", "cm", "-w", "--output-watch-events"]).unwrap();
    let lines = watch.until("DELETED    w2").unwrap();
    assert!(lines.iter().any(|line| line.starts_with("MODIFIED")), "{lines:?}");
}

#[test]
fn apply_creates_leaves_and_patches() {
    if !has_recent_kubectl() {
        return;
    }
    let (server, kubectl, _stage) = open(&["41-apply-client-side"]);
    let text = fs::read_to_string(manifest("app-config.yaml")).unwrap().replace("app-config", "ap-config");
    for (manifest, expected) in [
        (text.clone(), "configmap/ap-config created"),
        (text.clone(), "configmap/ap-config unchanged"),
        (text.replace("info", "debug"), "configmap/ap-config configured"),
    ] {
        let said = kubectl.run_with(&["apply", "-f", "-"], manifest.as_bytes()).unwrap();
        assert_eq!(said.out.trim(), expected, "{said:?}");
    }
    let journal = server.journal().unwrap();
    let writes = ["\"POST\"", "\"PATCH\""]
        .map(|method| journal.iter().filter(|line| line.contains(&format!("\"method\":{method}"))).count());
    assert_eq!(writes, [1, 1]);
}

#[test]
fn exec_over_websocket_and_over_spdy() {
    if !has_recent_kubectl() {
        return;
    }
    let recordings = ["80-exec-websocket", "81-exec-websocket-stdin", "83-exec-spdy"];
    let (server, kubectl, _stage) = open(&recordings);
    let said = kubectl.run(&["exec", "web", "--", "echo", "hi"]).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "hi\n"), "{said:?}");
    let failing = ["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"];
    let said = kubectl.run(&failing).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(7), "out\n"), "{said:?}");
    assert!(said.err.starts_with("err\n"), "{said:?}");
    let said = kubectl.run_with(&["exec", "-i", "web", "--", "cat"], b"one\ntwo\n").unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "one\ntwo\n"), "{said:?}");

    let mut command = kubectl.command(&failing);
    let output = command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    let journal = server.journal().unwrap();
    assert!(journal.iter().any(|line| line.contains("\"kind\":\"open\"")), "streams are noted");
    // base64 of the standard input.
    assert!(journal.iter().any(|line| line.contains("b25lCnR3bwo=")), "messages are noted");
}

#[test]
fn logs_are_followed() {
    if !has_recent_kubectl() {
        return;
    }
    let (_server, kubectl, _stage) = open(&["71-logs-follow"]);
    let mut logs = kubectl.start(&["logs", "-f", "web", "--tail=1"]).unwrap();
    assert_eq!(logs.until("tick 135").unwrap().len(), 6);
    let ended = kubectl.run(&["logs", "-f", "short"]).unwrap();
    assert!(ended.out.ends_with("no newline at the end"), "{ended:?}");
}

#[test]
fn port_forward_over_websocket_and_over_spdy() {
    if !has_recent_kubectl() {
        return;
    }
    for (name, websockets) in [("90-port-forward-websocket", "true"), ("91-port-forward-spdy", "false")] {
        let (_server, kubectl, _stage) = open(&[name]);
        let port = free_port().unwrap();
        let forward = ["port-forward", "pod/web", &format!("{port}:28098")];
        let mut forward =
            kubectl.start_with(&forward, &[("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)]).unwrap();
        forward.until("Forwarding from 127.0.0.1").unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let answer = Command::new("curl").args(["-sS", "-i", "-m", "30", &url]).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{name}: {answer}");
    }
}

#[test]
fn cp_out_of_a_pod() {
    if !has_recent_kubectl() {
        return;
    }
    let (_server, kubectl, _stage) = open(&["88-cp"]);
    let said = kubectl.run(&["cp", "web:/data/site", "back"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(kubectl.home().join("back/index.html").exists());
}

#[test]
fn what_was_never_recorded_is_made_up_where_that_is_said() {
    if !has_recent_kubectl() {
        return;
    }
    let (_server, kubectl, _stage) = open(&[]);
    let said = kubectl.run(&["get", "secrets", "-n", "synthetic", "-o", "name"]).unwrap();
    assert_eq!(said.out, "secret/secret-0\nsecret/secret-1\nsecret/secret-2\n", "{said:?}");
    let said =
        kubectl.run_with(&["exec", "-n", "synthetic", "-i", "echo", "--", "a", "b"], b"in\n").unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "a b\nin\n"), "{said:?}");
}
