use gatewright_policy_sdk::testkit::{self, EventBuilder};

use super::*;

const RULES: &str = r#"{"rules": [
    {"name": "people", "paths": ["/api/people/**"], "values": [{"path": "$..ssn", "method": {"partial": 4}}],
     "exempt_groups": ["payroll"]},
    {"name": "secrets", "resources": ["secrets", "configmaps"], "values": [{"path": "$.data", "method": "redact"}]},
    {"name": "cards", "detectors": [{"detector": "card_number", "method": "hash"}]}
]}"#;

#[test]
fn a_resource_that_there_can_not_be_is_refused() {
    let with = |resource: &str| {
        testkit::settings::<Settings>(&format!(
            r#"{{"rules": [{{"resources": ["{resource}"], "values": [{{"path": "$.data", "method": "redact"}}]}}]}}"#
        ))
    };
    for good in ["secrets", "deployments.apps", "deployments.*", "sec*", "*", "x.example.com"] {
        assert!(with(good).is_ok(), "{good}");
    }
    for wrong in [
        "pods/log",
        "ConfigMaps",
        "secrets.",
        "configmaps.v1",
        "x.v1beta1",
        ".apps",
        "apps/deployments",
        "secret s",
    ] {
        let said = with(wrong).map(|_| ()).unwrap_err();
        assert!(said.contains("without a subresource"), "{said}");
    }
}

fn masks(request: &EventBuilder) -> Vec<String> {
    match evaluate(&request.event(), &testkit::settings(RULES).unwrap()) {
        Verdict::Mask(mask) => {
            let values = mask.json.iter().map(|json| format!("{} {}", json.rule, json.path));
            let found = mask.detectors.iter().map(|found| found.rule.to_string());
            values.chain(found).collect()
        }
        Verdict::Allow => Vec::new(),
        other => panic!("unexpected answer: {other:?}"),
    }
}

#[test]
fn all_rules_that_fit_hold_together() {
    let get = |path: &str| EventBuilder::http("GET", &format!("https://api.example{path}"));
    assert_eq!(masks(&get("/api/people/7")), ["people $..ssn", "cards"]);
    assert_eq!(masks(&get("/api/people/7").groups(["payroll"])), ["cards"]);
    assert_eq!(masks(&get("/api/orders")), ["cards"]);
    let secrets = EventBuilder::kubernetes("list", "secrets", "demo", "");
    assert_eq!(masks(&secrets), ["secrets $.data", "cards"]);
    assert_eq!(masks(&secrets.api_group("example.com", "v1")), ["cards"]);
}

#[test]
fn rules_are_read_strictly() {
    for rule in [
        r#"{"paths": ["/a"]}"#,
        r#"{"hosts": [], "values": [{"path": "$", "method": "redact"}]}"#,
        r#"{"values": [{"path": "data", "method": "redact"}]}"#,
        r#"{"values": [{"path": "$", "method": "erase"}]}"#,
        r#"{"detectors": [{"detector": "iban", "method": "redact"}]}"#,
    ] {
        let text = format!(r#"{{"rules": [{rule}]}}"#);
        assert!(testkit::settings::<Settings>(&text).is_err(), "{rule}");
    }
}
