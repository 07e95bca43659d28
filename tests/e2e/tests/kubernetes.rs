//! Real kubectl, the Python client and curl through the gateway to an API server.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{fs, process::Command, thread};

use gatewright_e2e::{
    Mint, approvals,
    cluster::{Cluster, python, rules},
    eventually,
};
use gatewright_testbed::{gateway_program, manifest};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["devs"], actors: &[], kind: "human", ttl: "1h" };
const BOB: Mint<'static> =
    Mint { subject: "bob", groups: &["reviewers"], actors: &[], kind: "human", ttl: "1h" };

/// Reading and writing of ConfigMaps; a Secret is gone only when somebody else has looked.
const RULES: &str = r#"
[[settings.rules]]
name = "discover"
methods = ["GET"]
paths = ["/api", "/apis", "/version", "/openapi/**"]
decision = "allow"

[[settings.rules]]
name = "read"
methods = ["GET"]
paths = ["/api/v1/namespaces/**"]
decision = "allow"

[[settings.rules]]
name = "write"
methods = ["POST", "PATCH"]
paths = ["/api/v1/namespaces/demo/configmaps", "/api/v1/namespaces/demo/configmaps/*"]
decision = "allow"

[[settings.rules]]
name = "delete"
methods = ["DELETE"]
paths = ["/api/v1/namespaces/demo/configmaps/*"]
decision = "escalate"
reason = "what it configures may still run"
reviewers = ["reviewers"]
"#;

fn open(recordings: &[&str]) -> Cluster {
    Cluster::open(recordings, &[("cluster", &rules(RULES).unwrap())]).unwrap()
}

#[test]
fn kubectl_reads_under_the_gateways_credential() {
    let cluster = open(&["14-kubectl-get", "15-kubectl-get-secret"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let pods = kubectl.run(&["get", "pods"]).unwrap();
    assert!(pods.out.contains("\nweb "), "{pods:?}");
    let secret = kubectl.run(&["get", "secret", "db-credentials", "-o", "yaml"]).unwrap();
    assert!(secret.out.contains("kind: Secret"), "{secret:?}");
    let token = fs::read_to_string(kubectl.home().join("token")).unwrap();
    for seen in cluster.seen().unwrap().iter().filter(|seen| seen.event == "head") {
        assert_eq!(seen.header("authorization"), ["Bearer TOKEN-ADMIN"], "{}", seen.line);
        assert!(!seen.line.to_string().contains(token.trim()), "{}", seen.line);
    }
    let evidence = cluster.scene.evidence().unwrap();
    let decisions = evidence.decisions_about("/api/v1/namespaces/demo/secrets/db-credentials");
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["subject"], "alice");
    assert!(!evidence.text().contains("TOKEN-ADMIN") && !evidence.text().contains(token.trim()));
}

#[test]
fn kubectl_gets_its_token_from_the_credential_plugin() {
    let cluster = open(&["14-kubectl-get"]);
    let home = cluster.scene.stage.private_directory("carol").unwrap();
    let config = home.join("kubeconfig");
    let (output, program) = (config.display().to_string(), gateway_program().unwrap());
    let gateway = cluster.scene.gateway.config().display().to_string();
    let plugin = ["--", &program.display().to_string(), "token", "exec-credential", "--config", &gateway];
    let who = ["--subject", "carol", "--kind", "human", "--group", "devs"];
    cluster.kubeconfig(&[&["--output", &output], &plugin[..], &who].concat()).unwrap();
    let kubectl = gatewright_testbed::Kubectl::with_config(&cluster.scene.stage, "carol", &config).unwrap();
    let pods = kubectl.run(&["get", "pods"]).unwrap();
    assert!(pods.out.contains("\nweb "), "{pods:?}");
    assert_eq!(cluster.scene.evidence().unwrap().decisions_about("/demo/pods")[0]["subject"], "carol");
}

#[test]
fn a_delete_that_is_blocked_says_why_and_reaches_nobody() {
    let cluster = open(&["46-delete"]);
    let kubectl = cluster.kubectl(&ALICE).unwrap();
    let said = kubectl.run(&["delete", "secret", "db-credentials"]).unwrap();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.to_lowercase().contains("forbidden"), "{said:?}");
    assert_eq!(cluster.requests().unwrap(), [] as [String; 0]);
}

#[test]
fn a_delete_that_is_escalated_waits_for_a_reviewer() {
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
    let curl = |header: &str, path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "60", "--path-as-is", "-w", "\n%{http_code}", "-H", header, "--cacert"]);
        command.arg(cluster.scene.gateway.authority());
        let output = command.arg(format!("https://localhost:{}{path}", cluster.port)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let bearer = format!("Authorization: Bearer {token}");
    let secret = curl(&bearer, "/api/v1/namespaces/demo/secrets/db-credentials");
    assert!(secret.contains("\"kind\": \"Secret\"") && secret.ends_with("\n200"), "{secret}");
    // The target's own credential is no credential here.
    let refused = curl("Authorization: Bearer TOKEN-ADMIN", "/api/v1/namespaces/demo/secrets");
    assert!(refused.ends_with("\n401"), "{refused}");
    assert_eq!(cluster.requests().unwrap(), ["GET /api/v1/namespaces/demo/secrets/db-credentials"]);
}

#[test]
fn an_answer_without_an_end_ends_when_its_client_leaves() {
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
