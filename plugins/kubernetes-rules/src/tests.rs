use gatewright_policy_sdk::testkit::{self, EventBuilder};

use super::*;

const RULES: &str = r#"{"rules": [
    {"name": "discovery", "verbs": ["get"], "paths": ["/api/**", "/apis/**", "/version"], "decision": "allow"},
    {"name": "no-secrets", "resources": ["secrets"], "decision": "block", "reason": "not here"},
    {"name": "debug", "streams": ["exec"], "namespaces": ["demo"], "groups": ["sre"], "decision": "escalate"},
    {"name": "lists", "verbs": ["list", "watch"], "resources": ["*"], "decision": "allow",
     "shows": [{"namespace": "demo"}, {"namespace": "", "name": "node-*"}]},
    {"name": "reads", "verbs": ["get"], "resources": ["*", "pods/log"], "namespaces": ["demo"], "decision": "allow"},
    {"name": "scale", "verbs": ["update", "patch"], "resources": ["*/scale"], "decision": "allow"}
]}"#;

fn rule(settings: &str, request: &EventBuilder) -> Option<String> {
    shown(evaluate(&request.event(), &testkit::settings(settings).unwrap()))
}

fn shown(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Block(block) => Some(block.rule.into_owned()),
        Verdict::Escalate(escalation) => Some(format!("held: {}", escalation.rule)),
        Verdict::Mask(mask) => Some(format!("shown: {} of {}", mask.objects.len(), mask.objects[0].rule)),
        Verdict::Record(verdict) => Some(format!("recorded, {}", shown(*verdict).unwrap_or_default())),
    }
}

#[track_caller]
fn check(request: &EventBuilder, expected: Option<&str>) {
    assert_eq!(rule(RULES, request).as_deref(), expected);
}

fn request(verb: &str, resource: &str) -> EventBuilder {
    EventBuilder::kubernetes(verb, resource, "demo", "web").groups(["sre"])
}

#[test]
fn the_first_rule_that_fits_decides() {
    check(&request("get", "pods"), None);
    check(&request("get", "pods/log"), None);
    check(&request("get", "pods/status"), Some("no-rule"));
    check(&request("get", "secrets"), Some("no-secrets"));
    check(&request("get", "deployments").api_group("apps", "v1"), None);
    check(&request("patch", "deployments/scale").api_group("apps", "v1"), None);
    check(&request("patch", "deployments").api_group("apps", "v1"), Some("no-rule"));
    check(&request("list", "pods"), Some("shown: 2 of lists"));
    check(&EventBuilder::kubernetes("get", "pods", "prod", "web"), Some("no-rule"));
}

/// A resource of another group that has the same name is another one.
#[test]
fn a060_a_name_is_one_of_its_group() {
    check(&request("get", "secrets").api_group("example.com", "v1"), None);
    let apps = r#"{"rules": [{"resources": ["deployments.apps"], "decision": "allow"}]}"#;
    assert_eq!(rule(apps, &request("get", "deployments")).as_deref(), Some("no-rule"));
    assert_eq!(rule(apps, &request("get", "deployments").api_group("apps", "v1")), None);
}

#[test]
fn a053_streams_are_fitted_by_rules_about_streams_only() {
    check(&request("connect", "pods/exec").stream("exec", &["id"]), Some("held: debug"));
    check(&request("get", "pods/exec").stream("exec", &["id"]).groups([]), Some("no-rule"));
    check(&request("connect", "pods/attach").stream("attach", &[]), Some("no-rule"));
    // The kubelet's own API is another way, though it leads to the same pod.
    let by_node = EventBuilder::kubernetes("proxy", "nodes/proxy", "demo", "web").groups(["sre"]);
    check(&by_node.stream("exec", &["id"]), Some("no-rule"));
    let all = r#"{"rules": [{"decision": "allow"}]}"#;
    assert_eq!(rule(all, &request("get", "pods")), None);
    for kind in ["exec", "attach", "portforward", "run", "ephemeralcontainers", "proxy", "teleport"] {
        let stream = request("create", "pods/exec").stream(kind, &[]);
        assert_eq!(rule(all, &stream).as_deref(), Some("no-rule"), "{kind}");
    }
}

#[test]
fn a053_what_is_shown_in_a_container_is_recorded_by_whichever_way_it_goes() {
    let rules = r#"{"rules": [
        {"streams": ["exec", "attach"], "by_node": true, "names": ["web"], "decision": "allow", "record": true},
        {"streams": ["exec"], "names": ["db"], "decision": "escalate", "record": true},
        {"streams": ["exec", "run"], "decision": "allow", "record": false}
    ]}"#;
    assert!(testkit::settings::<Settings>(rules).is_err(), "what `run` answers has no recording");
    let rules = rules.replace(r#", "record": false"#, "");
    let exec =
        |name: &str| EventBuilder::kubernetes("connect", "pods/exec", "demo", name).stream("exec", &["id"]);
    assert_eq!(rule(&rules, &exec("web")).as_deref(), Some("recorded, "));
    assert_eq!(
        rule(&rules, &request("get", "pods/attach").stream("attach", &[])).as_deref(),
        Some("recorded, ")
    );
    let by_node = EventBuilder::kubernetes("proxy", "nodes/proxy", "demo", "web").stream("exec", &["id"]);
    assert_eq!(rule(&rules, &by_node).as_deref(), Some("recorded, "));
    assert_eq!(rule(&rules, &exec("db")).as_deref(), Some("recorded, held: rule-2"));
    assert_eq!(rule(&rules, &exec("other")), None);
}

#[test]
fn a055_nobody_is_somebody_else_unless_a_rule_says_so() {
    let all = r#"{"rules": [{"decision": "allow"}]}"#;
    let posing = request("get", "pods").impersonates("admin", &["system:masters"]);
    assert_eq!(rule(all, &posing).as_deref(), Some("no-rule"));
    let allowed = r#"{"rules": [{"impersonates": ["dev-*", "*"], "impersonates_groups": ["devs"], "decision": "allow"}]}"#;
    assert_eq!(rule(allowed, &request("get", "pods").impersonates("dev-1", &["devs"])), None);
    for (user, groups) in
        [("admin", &["system:masters"][..]), ("system:admin", &[]), ("dev-1", &["devs", "ops"])]
    {
        let posing = request("get", "pods").impersonates(user, groups);
        assert_eq!(rule(allowed, &posing).as_deref(), Some("no-rule"), "{user}");
    }
    assert_eq!(rule(allowed, &request("get", "pods")).as_deref(), Some("no-rule"));
    let whole = r#"{"rules": [{"impersonates": ["system:admin"], "decision": "allow"}]}"#;
    assert_eq!(rule(whole, &request("get", "pods").impersonates("system:admin", &[])), None);
}

#[test]
fn an_empty_namespace_is_all_of_them_at_once() {
    let rules = r#"{"rules": [{"verbs": ["list"], "namespaces": [""], "decision": "allow"}]}"#;
    assert_eq!(rule(rules, &EventBuilder::kubernetes("list", "pods", "", "")), None);
    assert_eq!(
        rule(rules, &EventBuilder::kubernetes("list", "pods", "demo", "")).as_deref(),
        Some("no-rule")
    );
}

/// Server-side apply makes what is not there.
#[test]
fn a058_to_apply_is_to_create_as_well() {
    let patches = r#"{"rules": [{"verbs": ["patch"], "decision": "allow"}]}"#;
    let both = r#"{"rules": [{"verbs": ["patch", "create"], "decision": "allow"}]}"#;
    let patch = request("patch", "configmaps").header("content-type", "application/merge-patch+json");
    let apply = request("patch", "configmaps").header("content-type", "application/apply-patch+yaml");
    assert_eq!(rule(patches, &patch), None);
    assert_eq!(rule(patches, &apply).as_deref(), Some("no-rule"));
    assert_eq!(rule(both, &apply), None);
}

#[test]
fn rules_are_read_strictly() {
    for rule in [
        r#"{"verbs": [], "decision": "allow"}"#,
        r#"{"resources": ["Secrets"], "decision": "allow"}"#,
        r#"{"resources": ["pods/"], "decision": "allow"}"#,
        r#"{"resources": [""], "decision": "allow"}"#,
        r#"{"paths": ["/version"], "resources": ["pods"], "decision": "allow"}"#,
        r#"{"streams": ["exec"], "resources": ["pods"], "decision": "allow"}"#,
        r#"{"streams": ["ssh"], "decision": "allow"}"#,
        r#"{"by_node": true, "decision": "allow"}"#,
        r#"{"record": true, "decision": "allow"}"#,
        r#"{"streams": ["exec", "portforward"], "record": true, "decision": "allow"}"#,
        r#"{"streams": ["ephemeralcontainers"], "record": true, "decision": "allow"}"#,
        r#"{"streams": ["exec"], "record": true, "decision": "block"}"#,
        r#"{"shows": [{"namespace": "demo"}], "decision": "block"}"#,
        r#"{"reason": "why", "decision": "allow"}"#,
        r#"{"verb": ["get"], "decision": "allow"}"#,
    ] {
        let text = format!(r#"{{"rules": [{rule}]}}"#);
        assert!(testkit::settings::<Settings>(&text).is_err(), "{rule}");
    }
}
