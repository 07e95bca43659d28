use std::time::Duration;

use gatewright_policy_sdk::{
    Verdict,
    testkit::{self, EventBuilder},
};

use super::*;

const RULES: &str = r#"{"rules": [
    {"name": "no-admin", "paths": ["/admin/**"], "decision": "block", "reason": "not here", "remedy": "ask"},
    {"methods": ["GET", "HEAD"], "paths": ["/api/people/*"], "groups": ["analysts"], "decision": "allow"},
    {"name": "change", "methods": ["DELETE"], "hosts": ["api.example"], "decision": "escalate",
     "reviewers": ["dba"], "quorum": 2, "ttl": "1h"},
    {"paths": ["/api/health"], "decision": "allow"}
]}"#;

fn judge(settings: &str, request: &EventBuilder) -> Verdict {
    evaluate(&request.event(), &testkit::settings(settings).unwrap())
}

/// The rule that a verdict names.
fn rule(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Block(block) => Some(block.rule.into_owned()),
        Verdict::Escalate(escalation) => Some(escalation.rule.into_owned()),
        other @ (Verdict::Mask(_) | Verdict::Record(_)) => panic!("unexpected answer: {other:?}"),
    }
}

#[track_caller]
fn check(settings: &str, request: &EventBuilder, expected: Option<&str>) {
    assert_eq!(rule(judge(settings, request)).as_deref(), expected);
}

fn request(method: &str, path: &str) -> EventBuilder {
    EventBuilder::http(method, &format!("https://api.example{path}")).groups(["analysts"])
}

#[test]
fn the_first_rule_that_fits_decides() {
    check(RULES, &request("GET", "/api/people/7"), None);
    check(RULES, &request("GET", "/admin/users"), Some("no-admin"));
    check(RULES, &request("DELETE", "/admin/users"), Some("no-admin"));
    check(RULES, &request("DELETE", "/api/people/7"), Some("change"));
    check(RULES, &request("POST", "/api/health"), None);
}

#[test]
fn what_no_rule_fits_is_blocked() {
    for (method, path) in [("PUT", "/api/people/7"), ("GET", "/api/people"), ("GET", "/api/people/7/notes")]
    {
        check(RULES, &request(method, path), Some("no-rule"));
    }
    check(RULES, &request("GET", "/api/people/7").groups([]), Some("no-rule"));
    check(r#"{"rules": []}"#, &request("GET", "/"), Some("no-rule"));
}

#[test]
fn another_spelling_is_no_way_around() {
    for path in ["/admin", "/admin/", "/admin/users/"] {
        check(RULES, &request("GET", path), Some("no-admin"));
    }
    // Another method by its case, another host by its port, are not what the rules allow.
    check(RULES, &request("get", "/api/people/7"), Some("no-rule"));
    let other_port = EventBuilder::http("DELETE", "https://api.example:8443/api/people/7");
    check(RULES, &other_port, Some("change"));
    let other_host = EventBuilder::http("DELETE", "https://api.example.evil/api/people/7");
    check(RULES, &other_host, Some("no-rule"));
}

#[test]
fn a_method_in_disguise_is_blocked() {
    let delete = request("GET", "/api/people/7");
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "x-method-override"] {
        check(RULES, &delete.clone().header(name, "DELETE"), Some("method-override"));
    }
    for query in ["?_method=DELETE", "?a=1&_METHOD=delete"] {
        check(RULES, &request("GET", &format!("/api/people/7{query}")), Some("method-override"));
    }
    let disguised = delete.header("x-http-method-override", "DELETE");
    let any = r#"{"rules": [{"paths": ["/api/**"], "decision": "allow"}]}"#;
    check(any, &disguised, None);
    let lenient =
        r#"{"rules": [{"methods": ["GET"], "decision": "allow"}], "allow_method_override": true}"#;
    check(lenient, &disguised, None);
}

#[test]
fn answers_carry_what_their_rule_says() {
    let Verdict::Block(block) = judge(RULES, &request("GET", "/admin")) else { panic!("not blocked") };
    assert_eq!((&*block.reason, &*block.remedy), ("not here", "ask"));
    let Verdict::Escalate(held) = judge(RULES, &request("DELETE", "/")) else { panic!("not held") };
    assert_eq!((held.reviewers, held.quorum), (vec!["dba".into()], 2));
    assert_eq!(held.ttl, Duration::from_secs(3600));
    assert_eq!(&*held.reason, "this request needs an approval");
    let unnamed = r#"{"rules": [{"methods": ["PUT"], "decision": "allow"}, {"decision": "block"}]}"#;
    check(unnamed, &request("GET", "/"), Some("rule-2"));
}

#[test]
fn sql_is_not_judged() {
    check(RULES, &EventBuilder::query("select 1"), Some("http-only"));
}

#[test]
fn a_rule_that_can_not_be_meant_is_refused_at_load() {
    let error =
        |rule: &str| testkit::settings::<Settings>(&format!(r#"{{"rules": [{rule}]}}"#)).unwrap_err();
    for (rule, expected) in [
        (r#"{"paths": ["/a"]}"#, "missing field `decision`"),
        (r#"{"decision": "mask"}"#, "unknown variant `mask`"),
        (r#"{"decision": "allow", "groups": []}"#, "an empty `groups` fits nothing"),
        (r#"{"decision": "allow", "methods": ["get"]}"#, "`get` is not a method in capitals"),
        (r#"{"decision": "allow", "path": ["/a"]}"#, "unknown field `path`"),
        (r#"{"decision": "allow", "paths": ["/a*"]}"#, "`*` stands for a whole segment"),
        (r#"{"decision": "allow", "hosts": ["A.example"]}"#, "`A.example` is not a host"),
        (r#"{"decision": "allow", "name": "a b"}"#, "`a b` can not name a rule"),
        (r#"{"decision": "allow", "reason": "x"}"#, "`reason` belongs to rules that block or escalate"),
        (r#"{"decision": "block", "reviewers": ["dba"]}"#, "`reviewers` belongs to rules that escalate"),
        (r#"{"decision": "escalate", "remedy": "x"}"#, "`remedy` belongs to rules that block"),
        (r#"{"decision": "escalate", "quorum": 0}"#, "`quorum` must be from 1 to 16"),
    ] {
        assert!(error(rule).contains(expected), "{rule}: {}", error(rule));
    }
    assert!(testkit::settings::<Settings>("{}").is_err(), "without rules nothing can be meant");
}

const PAYMENTS: &str = r#"{"rules": [
    {"name": "large", "methods": ["POST"], "body": [{"pointer": "/amount", "more_than": 1000}], "decision": "escalate"},
    {"name": "frozen", "body": [{"pointer": "/to/iban", "one_of": ["DE00"]}], "decision": "block"},
    {"name": "euros", "methods": ["POST"],
     "body": [{"pointer": "/currency", "one_of": ["EUR"]}, {"pointer": "/amount", "at_most": 1000}], "decision": "allow"},
    {"name": "reads", "methods": ["GET"], "decision": "allow"}
]}"#;

#[test]
fn what_a_body_says_decides() {
    let post = |json: &str| request("POST", "/payments").json(json);
    check(PAYMENTS, &post(r#"{"amount": 10, "currency": "EUR"}"#), None);
    check(PAYMENTS, &post(r#"{"amount": 1000.5, "currency": "EUR"}"#), Some("large"));
    check(PAYMENTS, &post(r#"{"amount": 10, "currency": "EUR", "to": {"iban": "DE00"}}"#), Some("frozen"));
    check(PAYMENTS, &post(r#"{"amount": 10, "currency": "USD"}"#), Some("no-rule"));
    check(PAYMENTS, &request("GET", "/payments"), None);
}

#[test]
fn a070_what_was_not_read_fits_what_is_stricter() {
    // A number in quotes is no number, and some targets take it for one.
    let quoted = request("POST", "/payments").json(r#"{"amount": "9999", "currency": "EUR"}"#);
    check(PAYMENTS, &quoted, Some("large"));
    check(PAYMENTS, &request("POST", "/payments").body(Some(7)), Some("large"));
    let streamed = request("POST", "/payments").body(None);
    let allows = r#"{"rules": [{"body": [{"pointer": "/a", "one_of": ["1"]}], "decision": "allow"}]}"#;
    check(allows, &streamed, Some("no-rule"));
    check(allows, &request("POST", "/payments"), Some("no-rule"));
    check(allows, &request("POST", "/payments").json(r#"{"a": [1]}"#), Some("no-rule"));
}

/// Some targets take these for what the rule is about.
#[test]
fn a080_other_shapes_of_a_value_are_not_taken_for_none() {
    for body in [
        r#"{"To": {"IBAN": "DE00"}}"#,
        r#"[{"to": {"iban": "DE00"}}]"#,
        r#"{"to": [{"iban": "DE00"}]}"#,
        r#"{"to": {"Iban": "x"}}"#,
    ] {
        let post = request("PUT", "/payments").json(body);
        check(PAYMENTS, &post, Some("frozen"));
    }
    check(PAYMENTS, &request("PUT", "/payments").json(r#"{"to": "DE00"}"#), Some("no-rule"));
}

#[test]
fn conditions_are_read_strictly() {
    for condition in [
        r#"{"pointer": "amount", "at_most": 1}"#,
        r#"{"pointer": "/a~2", "at_most": 1}"#,
        r#"{"pointer": "/a"}"#,
        r#"{"pointer": "/a", "one_of": []}"#,
        r#"{"pointer": "/a", "at_most": 1, "more_than": 0}"#,
        r#"{"pointer": "/a", "is": 1}"#,
    ] {
        let text = format!(r#"{{"rules": [{{"body": [{condition}], "decision": "allow"}}]}}"#);
        assert!(testkit::settings::<Settings>(&text).is_err(), "{condition}");
    }
}
