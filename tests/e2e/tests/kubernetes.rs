//! Real kubectl, the Python client and curl through the gateway to an API server.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{fs, process::Command, thread};

use gatewright_e2e::{
    Mint, approvals,
    cluster::{Cluster, hide_secrets, python, rules},
    eventually,
    real_cluster::RealCluster,
};
use gatewright_testbed::{ADMIN_TOKEN, Kubectl, gateway_program, has_recent_kubectl, manifest};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["devs"], actors: &[], kind: "human", ttl: "1h" };
const BOB: Mint<'static> =
    Mint { subject: "bob", groups: &["reviewers"], actors: &[], kind: "human", ttl: "1h" };

const SUE: Mint<'static> = Mint { subject: "sue", groups: &["sre"], actors: &[], kind: "human", ttl: "1h" };

/// Everybody looks, and writes ConfigMaps; what is deleted somebody else has looked at; into containers get some.
const RULES: &str = r#"
[[settings.rules]]
name = "discover"
paths = ["/api", "/api/*", "/apis", "/apis/**", "/version", "/openapi/**"]
decision = "allow"

[[settings.rules]]
name = "into-containers"
streams = ["exec", "portforward"]
namespaces = ["demo", "synthetic"]
groups = ["sre"]
decision = "allow"

[[settings.rules]]
name = "attach"
streams = ["attach"]
groups = ["sre"]
decision = "escalate"
reason = "it may be somebody else's terminal"
reviewers = ["reviewers"]

[[settings.rules]]
name = "look"
verbs = ["get", "list", "watch"]
resources = ["*", "pods/log"]
decision = "allow"

[[settings.rules]]
name = "write"
verbs = ["create", "patch", "update"]
resources = ["configmaps"]
namespaces = ["demo"]
decision = "allow"

[[settings.rules]]
name = "delete"
verbs = ["delete"]
resources = ["configmaps"]
decision = "escalate"
reason = "what it configures may still run"
reviewers = ["reviewers"]

[[settings.rules]]
name = "keep"
verbs = ["delete"]
resources = ["secrets"]
decision = "block"
reason = "secrets belong to the release pipeline"
"#;

fn open(recordings: &[&str]) -> Cluster {
    let policies = [("cluster", &*rules(RULES).unwrap()), ("hide-secrets", &hide_secrets().unwrap())];
    Cluster::open(recordings, &policies).unwrap()
}

#[test]
fn kubectl_reads_under_the_gateways_credential() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["14-kubectl-get", "15-kubectl-get-secret"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let pods = kubectl.run(&["get", "pods"]).unwrap();
    assert!(pods.out.contains("\nweb "), "{pods:?}");
    let secret = kubectl.run(&["get", "secret", "db-credentials", "-o", "yaml"]).unwrap();
    assert!(secret.out.contains("kind: Secret"), "{secret:?}");
    let token = fs::read_to_string(kubectl.home().join("token")).unwrap();
    for seen in cluster.seen().unwrap().iter().filter(|seen| seen.event == "head") {
        assert_eq!(seen.header("authorization"), ["Bearer TOKEN-ADMIN"], "{}", seen.line);
        assert_eq!(seen.header("impersonate-user"), ["alice"], "{}", seen.line);
        assert_eq!(seen.header("impersonate-group"), ["devs"], "{}", seen.line);
        assert!(!seen.line.to_string().contains(token.trim()), "{}", seen.line);
    }
    let evidence = cluster.scene.evidence().unwrap();
    let decisions = evidence.decisions_about("secrets");
    assert_eq!(decisions.len(), 1, "{}", evidence.text());
    assert_eq!(decisions[0]["subject"], "alice");
    assert!(!evidence.text().contains("TOKEN-ADMIN") && !evidence.text().contains(token.trim()));
}

#[test]
fn kubectl_gets_its_token_from_the_credential_plugin() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["14-kubectl-get"]);
    let home = cluster.scene.stage.private_directory("carol").unwrap();
    let config = home.join("kubeconfig");
    let (output, program) = (config.display().to_string(), gateway_program().unwrap());
    let gateway = cluster.scene.gateway.config().display().to_string();
    let plugin = ["--", &program.display().to_string(), "token", "exec-credential", "--config", &gateway];
    let who = ["--subject", "carol", "--kind", "human", "--group", "devs"];
    cluster.kubeconfig(&[&["--output", &output], &plugin[..], &who].concat()).unwrap();
    let kubectl = Kubectl::with_config(&cluster.scene.stage, "carol", &config).unwrap();
    let pods = kubectl.run(&["get", "pods"]).unwrap();
    assert!(pods.out.contains("\nweb "), "{pods:?}");
    assert_eq!(cluster.scene.evidence().unwrap().decisions_about("pods")[0]["subject"], "carol");
}

#[test]
fn a_delete_that_is_blocked_says_why_and_reaches_nobody() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["46-delete"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let said = kubectl.run(&["delete", "secret", "db-credentials"]).unwrap();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("(Forbidden)"), "{said:?}");
    assert!(said.err.contains("secrets belong to the release pipeline"), "{said:?}");
    assert_eq!(cluster.requests().unwrap(), [] as [String; 0]);
}

#[test]
fn a_delete_that_is_escalated_waits_for_a_reviewer() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["46-delete", "10-get-secret-forms"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    thread::scope(|scope| {
        let held = scope.spawn(|| kubectl.run(&["delete", "cm", "d2", "--wait=false"]).unwrap());
        let id = approvals::wait(&cluster.scene.gateway).unwrap();
        assert_eq!(cluster.requests().unwrap(), [] as [String; 0]);
        let approved = approvals::answer(&cluster.scene.gateway, "approve", &id, &BOB).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        let said = held.join().unwrap();
        assert_eq!((said.code, said.out.as_str()), (Some(0), "configmap \"d2\" deleted\n"), "{said:?}");
    });
}

#[test]
fn kubectl_applies_and_the_body_arrives_as_it_was_sent() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["41-apply-client-side"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let text = fs::read_to_string(manifest("app-config.yaml")).unwrap().replace("app-config", "ap-config");
    for (manifest, expected) in
        [(text.clone(), "configmap/ap-config created"), (text.clone(), "configmap/ap-config unchanged")]
    {
        let said = kubectl.run_with(&["apply", "-f", "-"], manifest.as_bytes()).unwrap();
        assert_eq!(said.out.trim(), expected, "{said:?}");
    }
    let seen = cluster.seen().unwrap();
    let body = seen.iter().find(|seen| seen.event == "body").unwrap();
    assert!(String::from_utf8_lossy(&body.data).contains("ap-config"));
}

#[test]
fn a_watch_and_a_log_come_while_they_happen() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["31-watch-table", "71-logs-follow"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let mut watch = kubectl.start(&["get", "cm", "-w", "--output-watch-events"]).unwrap();
    let mut logs = kubectl.start(&["logs", "-f", "web", "--tail=1"]).unwrap();
    // Neither has an end: what is shown was not waiting for one.
    watch.until("DELETED    w2").unwrap();
    logs.until("tick 135").unwrap();
}

#[test]
fn the_python_client_reads_and_is_refused() {
    let cluster = open(&["20-python-client"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let script = r#"
from kubernetes import client, config
config.load_kube_config()
v1 = client.CoreV1Api()
print([s.metadata.name for s in v1.list_namespaced_secret("demo").items])
try:
    v1.delete_namespaced_secret("db-credentials", "demo")
except client.exceptions.ApiException as error:
    print(error.status)
"#;
    let out = python(&kubectl, script).unwrap();
    assert!(out.contains("'db-credentials'") && out.trim().ends_with("403"), "{out}");
    let deletes = cluster.requests().unwrap();
    assert!(deletes.iter().all(|request| request.starts_with("GET ")), "{deletes:?}");
}

#[test]
fn curl_gets_what_kubectl_gets() {
    let cluster = open(&["10-get-secret-forms"]);
    let token = cluster.scene.gateway.token(&ALICE).unwrap();
    let secret = cluster.curl(&token, &[], "/api/v1/namespaces/demo/secrets/db-credentials").unwrap();
    assert!(
        secret.contains("\"Secret\"") && !secret.contains("UzNjcjN0") && secret.ends_with("\n200"),
        "{secret}"
    );
    // The target's own credential is no credential here.
    let refused = cluster.curl(ADMIN_TOKEN, &[], "/api/v1/namespaces/demo/secrets").unwrap();
    assert!(refused.ends_with("\n401"), "{refused}");
    assert_eq!(cluster.requests().unwrap(), ["GET /api/v1/namespaces/demo/secrets/db-credentials"]);
}

#[test]
fn an_answer_without_an_end_ends_when_its_client_leaves() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["71-logs-follow"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let mut logs = kubectl.start(&["logs", "-f", "web", "--tail=1"]).unwrap();
    logs.until("tick 135").unwrap();
    drop(logs);
    eventually("the outcome of the request is recorded", || {
        let evidence = cluster.scene.evidence().unwrap();
        evidence.of("outcome").len() == evidence.of("decision").len()
    });
}

/// What the Secret holds, as it was written and as it is sent.
const HELD: &[&str] = &["S3cr3t", "UzNjcjN0", "app_rw", "YXBwX3J3"];

#[test]
fn a_secret_is_masked_however_it_is_asked_for() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["15-kubectl-get-secret", "10-get-secret-forms", "14-kubectl-get"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    for ask in [
        &["get", "secret", "db-credentials", "-o", "yaml"][..],
        &["get", "secret", "db-credentials", "-o", "json"],
        &["get", "secret", "db-credentials", "--show-managed-fields", "-o", "yaml"],
        &["get", "secret", "db-credentials", "-o", "jsonpath={.data.password}"],
        &["get", "--raw", "/api/v1/namespaces/demo/secrets/db-credentials"],
        &["get", "secrets"],
        &["get", "secrets", "-o", "yaml"],
        &["describe", "secret", "db-credentials"],
    ] {
        let said = kubectl.run(ask).unwrap();
        assert_eq!(said.code, Some(0), "{ask:?}: {said:?}");
        for held in HELD {
            assert!(!said.out.contains(held) && !said.err.contains(held), "{ask:?}: {said:?}");
        }
    }
    let said = kubectl.run(&["get", "secret", "db-credentials", "-o", "yaml"]).unwrap();
    assert!(said.out.contains("  password: "), "that there is one is seen: {said:?}");
    // Another one may see it: what was hidden was there.
    let vera = Mint { subject: "vera", groups: &["vault-admins"], ..ALICE };
    let said =
        cluster.kubectl(&vera).unwrap().run(&["get", "secret", "db-credentials", "-o", "yaml"]).unwrap();
    assert!(said.out.contains("UzNjcjN0"), "{said:?}");
}

#[test]
fn kubectl_runs_commands_in_containers() {
    if !has_recent_kubectl() {
        return;
    }
    let recordings = ["80-exec-websocket", "81-exec-websocket-stdin", "83-exec-spdy"];
    let cluster = open(&recordings);
    let kubectl = cluster.kubectl(&SUE).unwrap();
    let said = kubectl.run(&["exec", "web", "--", "echo", "hi"]).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "hi\n"), "{said:?}");
    let failing = ["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"];
    let said = kubectl.run(&failing).unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(7), "out\n"), "{said:?}");
    let said = kubectl.run_with(&["exec", "-i", "web", "--", "cat"], b"one\ntwo\n").unwrap();
    assert_eq!((said.code, said.out.as_str()), (Some(0), "one\ntwo\n"), "{said:?}");
    let mut command = kubectl.command(&failing);
    let output = command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    let evidence = cluster.scene.evidence().unwrap();
    assert!(evidence.decisions_about("exec").len() >= 4, "{}", evidence.text());
}

#[test]
fn input_and_output_of_a_command_are_streamed_and_end_apart() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&[]);
    let kubectl = cluster.kubectl(&SUE).unwrap();
    let input: Vec<u8> = (0..3_000_000_u32).map(|number| b'a' + (number % 23) as u8).collect();
    let echo = ["exec", "-n", "synthetic", "-i", "echo", "--", "begin"];
    let said = kubectl.run_with(&echo, &input).unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let expected = format!("begin\n{}", String::from_utf8(input).unwrap());
    assert!(said.out == expected, "{} bytes came back", said.out.len());
}

#[test]
fn a054_exec_is_blocked_in_each_spelling_and_reaches_nobody() {
    if !has_recent_kubectl() {
        return;
    }
    let recordings =
        ["80-exec-websocket", "83-exec-spdy", "87-attach", "90-port-forward-websocket", "96-node-proxy"];
    let cluster = open(&recordings);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    for (ask, websockets) in [
        (&["exec", "web", "--", "echo", "hi"][..], "true"),
        (&["exec", "web", "--", "echo", "hi"], "false"),
        (&["exec", "-it", "web", "--", "sh"], "true"),
        (&["attach", "web"], "true"),
        (&["cp", "web:/data/site", "back"], "true"),
    ] {
        let mut command = kubectl.command(ask);
        let output = command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets).output().unwrap();
        assert!(!output.status.success(), "{ask:?}: {output:?}");
    }
    let port = gatewright_testbed::free_port().unwrap();
    let said = kubectl.run(&["port-forward", "pod/web", &format!("{port}:28098")]).unwrap();
    assert_ne!(said.code, Some(0), "{said:?}");

    let token = cluster.scene.gateway.token(&ALICE).unwrap();
    let node = "/api/v1/nodes/node2/proxy/run/demo/web/c?cmd=echo%20from-run";
    let websocket = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: v5.channel.k8s.io",
    ];
    let spdy = ["Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"];
    for (method, path, headers) in [
        ("POST", node, &[][..]),
        ("GET", "/api/v1/nodes/node2/proxy/exec/demo/web/c?command=id&output=1", &websocket),
        ("GET", "/api/v1/namespaces/demo/pods/web/exec?command=id&stdout=true", &websocket),
        ("GET", "/api/v1/namespaces/demo/pods/web/exec?command=id&stdout=true", &[]),
        ("POST", "/api/v1/namespaces/demo/pods/web/exec?command=id&stdout=true", &spdy),
        ("POST", "/api/v1/namespaces/demo/pods/web%2Fexec?command=id&stdout=true", &spdy),
        ("GET", "/api/v1/namespaces/demo/pods/web/attach?stdout=true", &websocket),
        ("GET", "/api/v1/namespaces/demo/pods/web:8080/proxy/", &[]),
    ] {
        let headers: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
        let arguments = [&["--http1.1", "-X", method, "-o", "/dev/null"], &headers[..]].concat();
        let status = cluster.curl(&token, &arguments, path).unwrap();
        let status = status.trim();
        assert!(["400", "403"].contains(&status), "{method} {path}: {status}");
    }
    // kubectl looks at the pod first, and that is allowed.
    let requests = cluster.requests().unwrap();
    let looks = |request: &String| request == "GET /api/v1/namespaces/demo/pods/web";
    assert!(requests.iter().all(looks), "{requests:?}");
    assert!(cluster.seen().unwrap().iter().all(|seen| seen.event != "frame"));
}

#[test]
fn an_attach_that_is_escalated_goes_on_when_it_is_approved() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["87-attach"]);
    let kubectl = cluster.kubectl(&SUE).unwrap();
    let mut attached = kubectl.start(&["attach", "web"]).unwrap();
    let id = approvals::wait(&cluster.scene.gateway).unwrap();
    let upgrades = |cluster: &Cluster| {
        cluster.requests().unwrap().iter().filter(|request| request.contains("/attach")).count()
    };
    assert_eq!(upgrades(&cluster), 0);
    let approved = approvals::answer(&cluster.scene.gateway, "approve", &id, &BOB).unwrap();
    assert!(approved.status.success(), "{approved:?}");
    attached.until("tick").unwrap();
    assert_eq!(upgrades(&cluster), 1);
}

#[test]
fn ports_are_forwarded_to_who_may() {
    if !has_recent_kubectl() {
        return;
    }
    for (name, websockets) in [("90-port-forward-websocket", "true"), ("91-port-forward-spdy", "false")] {
        let cluster = open(&[name]);
        let kubectl = cluster.kubectl(&SUE).unwrap();
        let port = gatewright_testbed::free_port().unwrap();
        let forward = ["port-forward", "pod/web", &format!("{port}:28098")];
        let variables = [("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)];
        let mut forward = kubectl.start_with(&forward, &variables).unwrap();
        forward.until("Forwarding from 127.0.0.1").unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let answer = Command::new("curl").args(["-sS", "-i", "-m", "30", &url]).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{name}: {answer}");
    }
}

#[test]
fn files_are_copied_out_of_a_container() {
    if !has_recent_kubectl() {
        return;
    }
    let cluster = open(&["88-cp"]);
    let kubectl = cluster.kubectl(&SUE).unwrap();
    let said = kubectl.run(&["cp", "web:/data/site", "back"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(kubectl.home().join("back/index.html").exists());
}

/// Against a real API server where the machine has one (`KUBEBUILDER_ASSETS`). What only that can prove is in `kubernetes_real`.
#[test]
fn a_secret_of_whatever_server_there_is_is_read_and_not_deleted() {
    if !has_recent_kubectl() {
        return;
    }
    let policies = [("cluster", &*rules(RULES).unwrap()), ("hide-secrets", &hide_secrets().unwrap())];
    let cluster = match RealCluster::open(&policies).unwrap() {
        Some(real) => real.cluster,
        None => Cluster::open(&["15-kubectl-get-secret"], &policies).unwrap(),
    };
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    for ask in [&["get", "secrets"][..], &["get", "secret", "db-credentials", "-o", "yaml"]] {
        let said = kubectl.run(ask).unwrap();
        assert!(said.out.contains("db-credentials"), "{ask:?}: {said:?}");
        assert!(!HELD.iter().any(|held| said.out.contains(held)), "{ask:?}: {said:?}");
    }
    let said = kubectl.run(&["delete", "secret", "db-credentials"]).unwrap();
    assert!(said.err.contains("secrets belong to the release pipeline"), "{said:?}");
    let said = kubectl.run(&["get", "secret", "db-credentials"]).unwrap();
    assert_eq!(said.code, Some(0), "it is still there: {said:?}");
}
