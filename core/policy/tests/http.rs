//! HTTP events: what a module reads of them, what it may not ask, and what can not be done for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::sync::Arc;

use expect_test::expect;
use gatewright_model::{
    decision::{Decision, Mode},
    event::{Event, SessionContext},
    http::{HttpBody, HttpRequest, HttpResponse},
    json::Document,
};
use gatewright_policy::SessionPolicies;

use support::*;

fn rules(rest: &str) -> String {
    document("rules", &shipped().join("http_rules.wasm"), rest)
}

#[tokio::test]
async fn the_shipped_module_allows_blocks_and_holds() {
    let folder = Folder::new();
    let settings = r#"
[settings]
rules = [
    { methods = ["GET"], paths = ["/people/**"], decision = "allow" },
    { name = "change", paths = ["/people/*"], decision = "escalate", reviewers = ["dba"], quorum = 2 },
]"#;
    folder.write("p.toml", &rules(settings));
    let set = folder.set(&host());
    assert_eq!(judge(&set, &http("GET", "/people/7")).await.decision, Decision::Allow);
    let Decision::Escalate { escalation, .. } = judge(&set, &http("DELETE", "/people/7")).await.decision
    else {
        panic!("not held")
    };
    assert_eq!((&*escalation.rule, escalation.quorum), ("rules/change", 2));
    let evaluation = judge(&set, &http("GET", "/admin")).await;
    assert_eq!(blocked(&evaluation), "http.denied");
    assert_eq!(evaluation.diagnostics[0].rule.as_deref(), Some("no-rule"));
    // It did not ask for SQL, and what nobody is asked about is blocked.
    assert_eq!(blocked(&judge(&set, &query("select 1")).await), "policy.no_match");
}

/// Every function of the HTTP facet, called by a module through the SDK.
#[tokio::test]
async fn what_a_module_reads_is_what_the_request_holds() {
    let pair = |name: &str, value: &str| (Arc::from(name), Arc::from(value));
    let request = HttpRequest {
        query: vec![pair("a", "1"), pair("b", ""), pair("a", "2")],
        query_text: "a=1&b&a=2".into(),
        headers: vec![
            pair("content-type", "Application/JSON; charset=utf-8"),
            pair("x-tenant", "one"),
            pair("x-tenant", "two"),
        ],
        route: "people".into(),
        route_parameters: vec![pair("id", "7")],
        ..head("PUT", "/people/7/")
    };
    let folder = Folder::new();
    folder.write("p.toml", &document("p", &everything(), "[settings]\nanswer = \"http\"\n"));
    let set = folder.set(&host());
    let session =
        Arc::new(SessionContext { protocol: "http", ..SessionContext::clone(&session("alice", &[])) });
    let said = async |request: &HttpRequest, body| {
        let event = http_event(request.clone(), body);
        reason(&judge_again(&mut SessionPolicies::new(), &set, &session, &event).await).to_owned()
    };
    let expected = expect![[
        r#"http.request http PUT https api.example /people/7/ false true false "people" Some("7") None Some("1") None [("a", "1"), ("b", ""), ("a", "2")] Some("one") None [("content-type", "Application/JSON; charset=utf-8"), ("x-tenant", "one"), ("x-tenant", "two")] Some("application/json") Streamed { length: Some(7) }"#
    ]];
    expected.assert_eq(&said(&request, HttpBody::Streamed { length: Some(7) }).await);
    let expected = expect![[
        r#"http.request http GET https api.example / true false false "" None None None None [] None None [] None Empty"#
    ]];
    expected.assert_eq(&said(&head("GET", "/"), HttpBody::Empty).await);
    let expected = expect![[
        r#"http.request http POST https api.example / false false false "" None None None None [] None None [] None Streamed { length: None }"#
    ]];
    expected.assert_eq(&said(&head("POST", "/"), HttpBody::Streamed { length: None }).await);
}

#[tokio::test]
async fn a091_questions_that_no_request_answers_block() {
    let host = host();
    for attack in [
        "json-of-what-was-not-read",
        "mask-json-by-no-path",
        "path-under-nothing",
        "path-under-relative",
        "path-under-dots",
        "header-without-name",
        "header-with-space",
        "query-out-of-range",
        "header-out-of-range",
        "undeclared-clock",
    ] {
        let folder = Folder::new();
        folder.hostile("p", attack);
        let evaluation = judge(&folder.set(&host), &http("GET", "/people")).await;
        assert_eq!(blocked(&evaluation), "policy.invalid", "{attack}");
    }
}

#[tokio::test]
async fn a_body_is_asked_by_pointers_and_an_answer_by_names() {
    let host = host();
    let text = br#"{"a": {"b": [1.50, "x\u0031"]}}"#.as_slice();
    let json = Arc::new(Document::read(text).unwrap());
    let read = http_event(head("POST", "/"), HttpBody::Read { bytes: text.into(), json: Some(json) });
    for (attack, ends) in [("json-by-no-pointer", "policy.invalid"), ("json-of-what-was-not-read", "")] {
        let folder = Folder::new();
        folder.hostile("p", attack);
        match judge(&folder.set(&host), &read).await.decision {
            Decision::Block(block) => assert_eq!(&*block.code, ends, "{attack}"),
            other => assert_eq!((other, ends), (Decision::Allow, ""), "{attack}"),
        }
    }
    let folder = Folder::new();
    folder.hostile("p", "answer-header-with-space");
    let set = folder.set(&host);
    let request = http("GET", "/people");
    assert_eq!(judge(&set, &request).await.decision, Decision::Allow, "it has no answer yet");
    let answer = HttpResponse { status: 200, headers: Vec::new() };
    let facet = request.facet.with_answer(Arc::new(answer)).unwrap();
    let answer = Arc::new(Event { facet, ..Event::clone(&request) });
    assert_eq!(blocked(&judge(&set, &answer).await), "policy.invalid");
}

/// Another value of anything that a module could read makes another request.
#[tokio::test]
async fn an_answer_is_given_again_to_the_same_request_only() {
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let pair = |name: &str, value: &str| (Arc::from(name), Arc::from(value));
    let plain = head("GET", "/people");
    let mut asked = async |request: &HttpRequest, body| {
        let event = http_event(request.clone(), body);
        let said = judge_again(&mut instances, &set, &alice, &event).await;
        reason(&said).split(',').count()
    };
    assert_eq!(asked(&plain, HttpBody::Empty).await, 1);
    assert_eq!(asked(&plain, HttpBody::Empty).await, 1, "heard again, not asked again");
    let others = [
        HttpRequest { method: "HEAD".into(), ..plain.clone() },
        HttpRequest { scheme: "http", ..plain.clone() },
        HttpRequest { authority: "other.example".into(), ..plain.clone() },
        HttpRequest { path: "/people/".into(), ..plain.clone() },
        HttpRequest { query: vec![pair("a", "")], query_text: "a".into(), ..plain.clone() },
        HttpRequest { headers: vec![pair("x-request-id", "1")], ..plain.clone() },
        HttpRequest { headers: vec![pair("x-request-id", "2")], ..plain.clone() },
        HttpRequest { route: "people".into(), ..plain.clone() },
        HttpRequest { route_parameters: vec![pair("id", "7")], ..plain.clone() },
    ];
    for (number, other) in others.iter().enumerate() {
        assert_eq!(asked(other, HttpBody::Empty).await, number + 2, "{other:?}");
    }
    let before = others.len() + 1;
    assert_eq!(asked(&others[8], HttpBody::Empty).await, before, "the last ones are kept");
    assert_eq!(asked(&plain, HttpBody::Empty).await, before + 1, "and only so many of them");
    let body = || HttpBody::Streamed { length: Some(1) };
    assert_eq!(asked(&others[8], body()).await, before + 2, "a body is not part of what is compared");
    assert_eq!(asked(&others[8], body()).await, before + 3);
}

#[tokio::test]
async fn requests_that_are_too_large_to_keep_are_asked_about_each_time() {
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let large = head("GET", &format!("/{}", "a".repeat(8_200)));
    for times in [1, 2] {
        let event = http_event(large.clone(), HttpBody::Empty);
        let said = judge_again(&mut instances, &set, &alice, &event).await;
        assert_eq!(reason(&said).split(',').count(), times);
    }
}

/// It was judged when it was a request, and whoever asked for requests only knows no answers.
#[tokio::test]
async fn an_answer_that_no_policy_asks_about_goes_on() {
    let folder = Folder::new();
    folder.write("p.toml", &document("p", &everything(), "[settings]\nanswer = \"http\"\n"));
    let set = folder.set(&host());
    let request = http("GET", "/people");
    let facet =
        request.facet.with_answer(Arc::new(HttpResponse { status: 200, headers: Vec::new() })).unwrap();
    let answer = Arc::new(Event { facet, ..Event::clone(&request) });
    let mut instances = SessionPolicies::new();
    let alice = session("alice", &[]);
    let said = judge_again(&mut instances, &set, &alice, &request).await;
    assert!(matches!(said.decision, Decision::Block(_)));
    assert!(instances.ask_about("http.request") && !instances.ask_about("http.response"));
    let said = judge_again(&mut instances, &set, &alice, &answer).await;
    assert_eq!(said.decision, Decision::Allow);
    assert!(said.diagnostics.is_empty());
}

#[tokio::test]
async fn a092_a_facet_that_is_kept_shows_nothing_of_another_protocol() {
    let folder = Folder::new();
    folder.hostile("p", "kept-sql");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let first = judge_again(&mut instances, &set, &alice, &query("select 1")).await;
    assert_eq!(reason(&first), "select 1");
    let second = judge_again(&mut instances, &set, &alice, &http("GET", "/people")).await;
    assert_eq!(blocked(&second), "policy.invalid");
}

/// A mask that nobody applies would let through what a policy wants hidden.
#[tokio::test]
async fn a_mask_of_an_answer_that_can_not_be_masked_is_a_block() {
    let host = host();
    let folder = Folder::new();
    for (attack, rule) in [("mask-column", "p/column"), ("show-object", "p/object")] {
        folder.hostile("p", attack);
        let Decision::Block(block) = judge(&folder.set(&host), &http("GET", "/people")).await.decision
        else {
            panic!("not blocked")
        };
        assert_eq!((&*block.code, &*block.rule), ("mask.unsupported", rule));
    }
    for (attack, sql, http_too) in [
        ("mask-column", true, false),
        ("mask-json", false, true),
        ("mask-detector", true, true),
        ("show-object", false, false),
    ] {
        folder.hostile("p", attack);
        let set = folder.set(&host);
        let is_masked =
            async |event: &Arc<Event>| matches!(judge(&set, event).await.decision, Decision::Mask(_));
        assert_eq!(is_masked(&query("select 1")).await, sql, "{attack}");
        assert_eq!(is_masked(&http("GET", "/people")).await, http_too, "{attack}");
    }
    folder.hostile("p", "mask-column");
    // An approval of somebody else's escalation would be no leave to show what is to be masked.
    folder.hostile("q", "escalate");
    let evaluation = judge(&folder.set(&host), &http("GET", "/people")).await;
    assert_eq!(blocked(&evaluation), "mask.unsupported");
    assert!(evaluation.diagnostics.iter().any(|diagnostic| diagnostic.decision == "escalate"));
    // A monitor changes nothing, and says what it would have done.
    let watching = "mode = \"monitor\"\n[settings]\nattack = \"mask-column\"\n";
    folder.write("p.toml", &document("p", hostile(), watching)).hostile("q", "none");
    let evaluation = judge(&folder.set(&host), &http("GET", "/people")).await;
    assert_eq!(evaluation.decision, Decision::Allow);
    let watched = evaluation.diagnostics.iter().find(|own| own.mode == Mode::Monitor).unwrap();
    assert_eq!(watched.decision, "mask");
}
