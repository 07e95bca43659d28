//! What only a real API server proves: kubectl and curl through the gateway to the `kube-apiserver` of `KUBEBUILDER_ASSETS`.
//! Without one, these are left out, and say so.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use gatewright_e2e::{
    Mint,
    cluster::{hide_secrets, rules},
    real_cluster::RealCluster,
};
use gatewright_testbed::has_recent_kubectl;

mod kubernetes_real {
    mod reading;
    mod requests;
    mod writing;
}

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["devs"], actors: &[], kind: "human", ttl: "1h" };
const VERA: Mint<'static> = Mint { subject: "vera", groups: &["vault-admins"], ..ALICE };
const IVAN: Mint<'static> = Mint { subject: "ivan", groups: &["interns"], ..ALICE };
const BOB: Mint<'static> = Mint { subject: "bob", groups: &["reviewers"], ..ALICE };
const ROBOT: Mint<'static> = Mint { actors: &["deploy-bot"], ..ALICE };
/// The gateway lets her look, the cluster does not.
const NORA: Mint<'static> = Mint { subject: "nora", groups: &["guests"], ..ALICE };

const RULES: &str = r#"
[[settings.rules]]
name = "discover"
paths = ["/api", "/api/*", "/apis", "/apis/**", "/version", "/openapi/**"]
decision = "allow"

[[settings.rules]]
name = "what-may-i"
verbs = ["create"]
resources = ["selfsubjectaccessreviews.authorization.k8s.io", "selfsubjectrulesreviews.authorization.k8s.io"]
decision = "allow"

[[settings.rules]]
name = "part"
verbs = ["get", "list", "watch"]
resources = ["configmaps", "secrets"]
groups = ["interns"]
shows = [{ namespace = "demo", name = "pub-*" }]
decision = "allow"

[[settings.rules]]
name = "look"
verbs = ["get", "list", "watch"]
resources = ["*"]
decision = "allow"

[[settings.rules]]
name = "write"
verbs = ["create", "patch", "update"]
resources = ["configmaps", "secrets"]
namespaces = ["demo"]
decision = "allow"

[[settings.rules]]
name = "careful"
verbs = ["delete"]
resources = ["configmaps"]
names = ["careful-*"]
decision = "escalate"
reason = "somebody else has to look"
reviewers = ["reviewers"]

[[settings.rules]]
name = "clear"
verbs = ["delete"]
resources = ["configmaps"]
namespaces = ["demo"]
decision = "allow"

[[settings.rules]]
name = "keep"
verbs = ["delete", "deletecollection"]
resources = ["secrets"]
decision = "block"
reason = "secrets belong to the release pipeline"
remedy = "change them where the release is made"
"#;

/// What the Secrets hold, as it was written and as it is sent.
const HELD: &[&str] = &["S3cr3t", "UzNjcjN0", "app_rw", "YXBwX3J3"];

fn open() -> Option<RealCluster> {
    if !has_recent_kubectl() {
        return None;
    }
    let policies = [("cluster", &*rules(RULES).unwrap()), ("hide-secrets", &hide_secrets().unwrap())];
    RealCluster::open(&policies).unwrap()
}

#[track_caller]
fn holds_nothing(text: &str, of: &dyn std::fmt::Debug) {
    assert!(!HELD.iter().any(|held| text.contains(held)), "{of:?}: {text}");
}
