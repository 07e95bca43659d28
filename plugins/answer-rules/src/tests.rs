use gatewright_policy_sdk::{
    Verdict,
    testkit::{self, EventBuilder},
};

use super::*;

const RULES: &str = r#"{"rules": [
    {"name": "secrets", "paths": ["/keys/**"], "groups": ["agents"], "decision": "block", "reason": "not for agents"},
    {"name": "errors", "statuses": ["4xx", "503"], "decision": "allow"},
    {"name": "large", "more_than": 1000, "decision": "escalate", "reason": "a large answer needs a second person"},
    {"name": "json", "media_types": ["application/json", "text/*"], "decision": "allow"}
]}"#;

fn request(path: &str) -> EventBuilder {
    EventBuilder::http("GET", &format!("https://api.example{path}")).groups(["agents"])
}

fn judge(settings: &str, event: &EventBuilder) -> Verdict {
    evaluate(&event.event(), &testkit::settings(settings).unwrap())
}

/// The rule that a verdict names; `allow` names none.
#[track_caller]
fn check(event: &EventBuilder, expected: &str) {
    let named = match judge(RULES, event) {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Block(block) => block.rule.into_owned(),
        Verdict::Escalate(escalation) => escalation.rule.into_owned(),
        other @ (Verdict::Mask(_) | Verdict::Record(_)) => panic!("unexpected answer: {other:?}"),
    };
    assert_eq!(named, expected);
}

#[test]
fn the_first_rule_that_fits_decides_and_none_is_a_block() {
    let small = ("content-length", "1000");
    check(&request("/").answer(200, [("content-type", "application/json"), small]), "allow");
    check(&request("/").answer(200, [("content-type", "Text/CSV; charset=utf-8"), small]), "allow");
    check(&request("/").answer(200, [("content-type", "application/zip"), small]), "no-rule");
    check(&request("/").answer(404, []), "allow");
    check(&request("/").answer(503, []), "allow");
    check(&request("/").answer(500, [small]), "no-rule");
    check(&request("/keys/7").answer(200, [("content-type", "application/json"), small]), "secrets");
    check(&request("/keys/7").groups([]).answer(200, [("content-type", "text/plain"), small]), "allow");
}

#[test]
fn what_an_answer_does_not_say_is_the_worse() {
    let json = ("content-type", "application/json");
    check(&request("/").answer(200, [json]), "large");
    check(&request("/").answer(200, [json, ("content-length", "1001")]), "large");
    check(&request("/").answer(200, [json, ("content-length", "+1")]), "large");
    check(&request("/").answer(200, [json, ("content-length", "1"), ("content-length", "1")]), "large");
    check(&request("/").answer(200, [("content-length", "1")]), "no-rule");
    let two = [json, ("content-type", "application/zip"), ("content-length", "1")];
    check(&request("/").answer(200, two), "no-rule");
    let one = ("content-length", "1");
    for media_type in ["text/plain;, application/zip", "text/", "text/x/../../application/zip", "text/a b"]
    {
        check(&request("/").answer(200, [("content-type", media_type), one]), "no-rule");
    }
    // A slice of something large, and something large that is packed.
    check(&request("/").answer(206, [json, one]), "large");
    check(&request("/").answer(200, [json, one, ("content-encoding", "gzip")]), "large");
    // Nothing is as short as can be; of what type it is, is not said.
    check(&request("/").answer(204, []), "no-rule");
}

#[test]
fn requests_are_judged_by_somebody_else() {
    check(&request("/"), "answers-only");
    check(&EventBuilder::query("select 1"), "answers-only");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    for rule in [
        r#"{"statuses": [], "decision": "allow"}"#,
        r#"{"statuses": ["100"], "decision": "allow"}"#,
        r#"{"statuses": ["2x"], "decision": "allow"}"#,
        r#"{"statuses": ["6xx"], "decision": "allow"}"#,
        r#"{"at_most": 1, "more_than": 2, "decision": "allow"}"#,
        r#"{"media_types": ["*/json"], "decision": "allow"}"#,
        r#"{"methods": ["GET"], "decision": "allow"}"#,
    ] {
        assert!(testkit::settings::<Settings>(&format!(r#"{{"rules": [{rule}]}}"#)).is_err(), "{rule}");
    }
}
