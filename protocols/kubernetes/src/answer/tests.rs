//! Recorded answers through the filters: nothing of a Secret is left in any shape, and all the rest is.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use gatewright_model::mask::{Detector, DetectorMask, JsonMask, MaskMethod, ObjectFilter};
use serde_json::Value;

use super::*;
use crate::{request_info, transcripts};

const KEY: [u8; 32] = [7; 32];

fn paths(paths: &[&str]) -> MaskPlan {
    let mask = |path: &&str| JsonMask {
        path: path.parse().unwrap(),
        method: MaskMethod::Redact,
        rule: "secrets/values".into(),
    };
    MaskPlan { json: paths.iter().map(mask).collect(), ..MaskPlan::default() }
}

fn only(shown: &[(&str, &str)]) -> MaskPlan {
    let shown = shown.iter().map(|(namespace, name)| (Arc::from(*namespace), Arc::from(*name))).collect();
    MaskPlan { objects: vec![ObjectFilter { shown, rule: "list".into() }], ..MaskPlan::default() }
}

/// The answer in pieces of `size` bytes.
fn show(
    method: &str,
    target: &str,
    status: u16,
    plan: &MaskPlan,
    body: &[u8],
    size: usize,
) -> Result<Vec<u8>, Refusal> {
    let info = request_info::read(&transcripts::request(method, target, &[]));
    let status = StatusCode::from_u16(status).unwrap();
    let mut filter = filter(&info, status, plan, &MaskKey::new(KEY))?;
    let mut out = BytesMut::new();
    for piece in body.chunks(size) {
        filter.push(piece, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok(out.to_vec())
}

fn text(shown: Result<Vec<u8>, Refusal>) -> String {
    String::from_utf8(shown.unwrap()).unwrap()
}

fn documents(body: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(body).into_iter().map(Result::unwrap).collect()
}

struct Answer {
    name: String,
    method: String,
    target: String,
    status: u16,
    body: Vec<u8>,
}

/// Recorded answers in JSON to requests for a resource.
fn recorded(names: &[&str], resource: &str) -> Vec<Answer> {
    let mut all = Vec::new();
    for name in names {
        let mut asked = BTreeMap::new();
        for item in transcripts::items(name) {
            if item.dir == "request" {
                asked.insert(item.conn, item.head);
                continue;
            }
            let mut words = asked[&item.conn].split(' ');
            let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let is_json = item.header("content-type") == Some("application/json");
            if is_json && target.contains(resource) && item.header("content-encoding").is_none() {
                let status = item.head.split(' ').nth(1).unwrap().parse().unwrap();
                let name = format!("{name} {} {method} {target}", item.conn);
                all.push(Answer { name, method, target, status, body: item.bytes() });
            }
        }
    }
    assert!(all.len() > 3, "{names:?}");
    all
}

/// Everything in the Secrets of the recordings, as it is and in base64.
fn secrets() -> Vec<String> {
    let mut all = Vec::new();
    for answer in
        recorded(&["11-list-secrets-forms", "33-watch-secrets", "47-deletecollection"], "/secrets")
    {
        let mut found = Vec::new();
        documents(&answer.body).iter().for_each(|document| values(document, &mut found));
        for value in found {
            if let Ok(Ok(text)) = BASE64_STANDARD.decode(&value).map(String::from_utf8) {
                all.push(text);
            }
            all.push(value);
        }
    }
    all.sort();
    all.dedup();
    // Too short to be nowhere else.
    all.retain(|value| value.len() > 6);
    assert!(all.iter().any(|value| value == "S3cr3t-pa55w0rd"));
    all
}

fn values(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("data", Value::Object(data)) => {
                        found.extend(data.values().filter_map(|value| Some(value.as_str()?.to_owned())));
                    }
                    (_, value) => values(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| values(value, found)),
        _ => {}
    }
}

const SECRETS: &[&str] = &[
    "10-get-secret-forms",
    "11-list-secrets-forms",
    "15-kubectl-get-secret",
    "33-watch-secrets",
    "41-apply-client-side",
    "47-deletecollection",
];

#[test]
fn a057_no_value_of_a_secret_is_left_in_any_shape() {
    let (secrets, plan) = (secrets(), paths(&["$.data"]));
    let answers = recorded(SECRETS, "/secrets");
    let mut masked = 0;
    for Answer { name, method, target, status, body } in &answers {
        let shown = text(show(method, target, *status, &plan, body, usize::MAX));
        for secret in &secrets {
            let escaped = Value::from(secret.as_str()).to_string();
            assert!(
                !shown.contains(secret) && !shown.contains(escaped.trim_matches('"')),
                "{name}: {secret}"
            );
        }
        assert!(
            !shown.contains("last-applied-configuration\":") && !shown.contains("managedFields"),
            "{name}"
        );
        masked += shown.matches(&BASE64_STANDARD.encode("[redacted]")).count();
        // As many objects, of the same names.
        let names = |body: &[u8]| {
            let mut names = Vec::new();
            documents(body).iter().for_each(|document| names_of(document, &mut names));
            names
        };
        assert_eq!(names(shown.as_bytes()), names(body), "{name}");
    }
    assert!(answers.len() > 60 && masked > 100, "{} {masked}", answers.len());
}

fn names_of(value: &Value, found: &mut Vec<String>) {
    if let Some(name) = value.pointer("/metadata/name").and_then(Value::as_str) {
        found.push(name.to_owned());
    }
    let children = match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(all) => all.iter().collect(),
        _ => Vec::new(),
    };
    children.into_iter().for_each(|child| names_of(child, found));
}

#[test]
fn a057_how_an_answer_was_cut_makes_no_difference() {
    let plan = paths(&["$.data.password", "$.data.token"]);
    for Answer { name, method, target, status, body } in
        recorded(&["10-get-secret-forms", "11-list-secrets-forms", "33-watch-secrets"], "/secrets")
    {
        let whole = show(&method, &target, status, &plan, &body, usize::MAX).unwrap();
        for size in [1, 7, 100] {
            assert!(
                show(&method, &target, status, &plan, &body, size).unwrap() == whole,
                "{name} by {size}"
            );
        }
    }
}

/// Typed clients decode `data` as base64: what stands for a value has to be that, too.
#[test]
fn what_stands_for_a_value_of_a_secret_is_base64() {
    for Answer { name, method, target, status, body } in recorded(SECRETS, "/secrets") {
        let shown = show(&method, &target, status, &paths(&["$.data.*"]), &body, usize::MAX).unwrap();
        let mut found = Vec::new();
        documents(&shown).iter().for_each(|document| values(document, &mut found));
        for value in found {
            assert_eq!(BASE64_STANDARD.decode(&value).unwrap(), b"[redacted]", "{name}");
        }
    }
}

#[test]
fn a_path_hides_what_it_selects_and_nothing_else() {
    let target = "/api/v1/namespaces/demo/secrets/db-credentials";
    let body = &recorded(&["10-get-secret-forms"], "/secrets")[1].body;
    let shown = documents(&show("GET", target, 200, &paths(&["$.data.password"]), body, 9).unwrap());
    let came = documents(body);
    assert_eq!(shown[0]["data"]["url"], came[0]["data"]["url"]);
    assert_eq!(shown[0]["data"]["password"], BASE64_STANDARD.encode("[redacted]"));
    assert_eq!(shown[0]["metadata"]["labels"], came[0]["metadata"]["labels"]);
}

#[test]
fn a_partial_mask_keeps_the_end_of_the_value_and_not_of_its_base64() {
    let mut plan = paths(&["$.data.password"]);
    plan.json[0].method = MaskMethod::Partial { keep: 3 };
    let body = &recorded(&["10-get-secret-forms"], "/secrets")[1].body;
    let target = "/api/v1/namespaces/demo/secrets/db-credentials";
    let shown = documents(&show("GET", target, 200, &plan, body, usize::MAX).unwrap());
    let password = BASE64_STANDARD.decode(shown[0]["data"]["password"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(password).unwrap(), "************0rd");
}

#[test]
fn a_detector_finds_what_a_secret_has_in_base64() {
    let method = MaskMethod::Redact;
    let mask = DetectorMask { detector: Detector::CardNumber, method, rule: "cards".into() };
    let plan = MaskPlan { detectors: vec![mask], ..MaskPlan::default() };
    let card = BASE64_STANDARD.encode("4111 1111 1111 1111");
    let body = format!(
        r#"{{"kind":"Secret","metadata":{{"name":"x"}},"data":{{"card":"{card}","n":"AAEC/w=="}}}}"#
    );
    let shown = text(show("GET", "/api/v1/namespaces/demo/secrets/x", 200, &plan, body.as_bytes(), 1));
    let hidden = BASE64_STANDARD.encode("[redacted]");
    assert!(shown.contains(&hidden) && !shown.contains(&card), "{shown}");
    assert!(shown.contains("AAEC/w=="), "bytes stay what they are: {shown}");
}

#[test]
fn a057_a_list_shows_the_objects_that_fit() {
    let plan = only(&[("demo", "db-*"), ("other", "*")]);
    for Answer { name, method, target, status, body } in
        recorded(&["11-list-secrets-forms", "33-watch-secrets", "31-watch-table"], "/secrets")
    {
        let has_no_objects = target.contains("includeObject=None");
        let shown = show(&method, &target, status, &plan, &body, 50);
        if has_no_objects {
            // Nothing says which row is which object.
            assert_eq!(shown.unwrap_err().code, "mask.unsupported", "{name}");
            continue;
        }
        let mut names = Vec::new();
        documents(&shown.unwrap()).iter().for_each(|document| names_of(document, &mut names));
        assert!(names.iter().all(|name| name == "db-credentials"), "{name}: {names:?}");
        assert!(!names.is_empty() || status != 200, "{name}");
    }
}

#[test]
fn a057_a_watch_goes_on_where_an_object_is_not_shown() {
    let plan = only(&[("demo", "a")]);
    let event = |kind: &str, name: &str| {
        format!(
            r#"{{"type":"{kind}","object":{{"kind":"Secret","metadata":{{"name":"{name}","namespace":"demo"}}}}}}"#
        )
    };
    let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Secret","metadata":{"resourceVersion":"7"}}}"#;
    let error = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410}}"#;
    let body =
        [&event("ADDED", "b"), &event("ADDED", "a"), bookmark, &event("DELETED", "b"), error].join("\n");
    let shown =
        text(show("GET", "/api/v1/namespaces/demo/secrets?watch=1", 200, &plan, body.as_bytes(), 3));
    assert_eq!(shown, [&event("ADDED", "a"), bookmark, error, ""].join("\n"));
}

#[test]
fn a_first_table_of_a_watch_keeps_its_columns() {
    let row = r#"{"cells":["b"],"object":{"metadata":{"name":"b","namespace":"demo"}}}"#;
    let table = |columns: &str| {
        format!(
            r#"{{"type":"ADDED","object":{{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":{columns},"rows":[{row}]}}}}"#
        )
    };
    let body = table(r#"[{"name":"Name"}]"#) + &table("null");
    let target = "/api/v1/namespaces/demo/secrets?watch=1";
    let shown = text(show("GET", target, 200, &only(&[("demo", "a")]), body.as_bytes(), 5));
    expect_test::expect![[r#"
        {"type":"ADDED","object":{"apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"Name"}],"kind":"Table","rows":[]}}
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a057_a_list_that_shows_a_part_does_not_say_how_many_there_are() {
    let body = br#"{"kind":"SecretList","apiVersion":"v1","metadata":{"remainingItemCount":7,"resourceVersion":"1"},"items":[]}"#;
    let target = "/api/v1/secrets?limit=1";
    let shown = text(show("GET", target, 200, &only(&[("demo", "*")]), body, 9));
    assert!(!shown.contains("remaining") && shown.contains("resourceVersion"), "{shown}");
    // A list where one object is asked for, and what is no list where one is.
    let one = "/api/v1/namespaces/demo/secrets/a";
    let list = br#"{"kind":"SecretList","apiVersion":"v1","items":[{"metadata":{"name":"a"},"data":{"k":"cw=="}}]}"#;
    assert!(show("GET", one, 200, &paths(&["$.data"]), list, 9).is_err());
    let status = br#"{"kind":"Secret","apiVersion":"v1","status":"x","message":"s3cret","items":[]}"#;
    assert!(show("GET", target, 200, &paths(&["$.data"]), status, 9).is_err());
}

/// A server that finds a value wrong quotes it.
#[test]
fn a058_words_about_a_value_are_hidden_with_it() {
    let status = |reason: &str| {
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"about s3cret","reason":"{reason}","details":{{"causes":[{{"message":"s3cret"}}]}},"code":422}}"#
        )
    };
    let target = "/api/v1/namespaces/demo/secrets/a";
    let masks = paths(&["$.data"]);
    let invalid = text(show("PATCH", target, 422, &masks, status("Invalid").as_bytes(), 7));
    assert!(!invalid.contains("s3cret") && invalid.contains("Invalid"), "{invalid}");
    let forbidden = text(show("PATCH", target, 403, &masks, status("Forbidden").as_bytes(), 7));
    assert!(forbidden.contains("about s3cret"), "{forbidden}");
    // Somebody else's kind of the same name is an object like any other.
    let other =
        br#"{"kind":"Status","apiVersion":"example.com/v1","metadata":{"name":"b","namespace":"demo"}}"#;
    assert!(show("GET", target, 200, &only(&[("demo", "a")]), other, 7).is_err());
}

#[test]
fn a057_cells_of_a_custom_table_are_empty_where_a_path_is_hidden() {
    let body = br#"{"kind":"Table","columnDefinitions":[],"rows":[{"cells":["w","s3cret",7],"object":{"metadata":{"name":"w"},"spec":{"key":"s3cret"}}}]}"#;
    let target = "/apis/example.com/v1/namespaces/demo/widgets";
    let shown = text(show("GET", target, 200, &paths(&["$.spec.key"]), body, usize::MAX));
    assert!(!shown.contains("s3cret") && shown.contains(r#""cells":["w",null,null]"#), "{shown}");
    // Of Secrets they are counts and ages.
    let target = "/api/v1/namespaces/demo/secrets";
    let body = br#"{"kind":"Table","columnDefinitions":[],"rows":[{"cells":["w","Opaque",7,"3d"],"object":{"metadata":{"name":"w"}}}]}"#;
    let shown = text(show("GET", target, 200, &paths(&["$.data"]), body, usize::MAX));
    assert!(shown.contains(r#""cells":["w","Opaque",7,"3d"]"#), "{shown}");
}

#[test]
fn a058_what_is_no_answer_of_an_api_server_is_not_passed() {
    let list = "/api/v1/namespaces/demo/secrets";
    let watch = "/api/v1/namespaces/demo/secrets?watch=1";
    let get = "/api/v1/namespaces/demo/secrets/x";
    let plan = paths(&["$.data"]);
    for (target, body) in [
        (list, &br#"{"kind":"SecretList","items":[{"data":{"a":"YQ=="}}"#[..]),
        (list, br#"{"kind":"SecretList","items":{"a":{"data":{}}}}"#),
        (list, br#"{"kind":"SecretList","objects":[{"data":{"a":"YQ=="}}]}"#),
        (list, br#"{"items":[]}{"items":[]}"#),
        (list, b"[]"),
        (list, b""),
        (list, br#"{"items":[{"metadata":{"name":"a","name":"b"}}]}"#),
        (list, b"k8s\0"),
        (watch, br#"{"type":"ADDED","object":{"data":{"a":"YQ=="}}"#),
        (watch, br#"{"type":"ADDED","object":{},"old":{"data":{"a":"YQ=="}}}"#),
        (watch, br#"{"type":"RENAMED","object":{"data":{"a":"YQ=="}}}"#),
        (get, br#"{"data":{"a":"YQ=="}"#),
        (get, br#"{"data":{}} {"data":{}}"#),
        (get, br#"{"data":{"a":"YQ=="},}"#),
    ] {
        let refused = show("GET", target, 200, &plan, body, usize::MAX);
        let refusal = refused.expect_err(std::str::from_utf8(body).unwrap_or_default());
        assert!(refusal.code.starts_with("mask."), "{refusal:?}");
        assert!(show("GET", target, 200, &plan, body, 1).is_err());
    }
}

/// A name may be written with escapes, and mean the same to a client.
#[test]
fn a058_a_list_by_another_spelling_is_a_list() {
    let body = br#"{"kind":"SecretList","\u0069tems":[{"metadata":{"name":"a"},"d\u0061ta":{"a":"c2VjcmV0LXZhbHVl"}}]}"#;
    let shown =
        text(show("GET", "/api/v1/namespaces/demo/secrets", 200, &paths(&["$.data"]), body, usize::MAX));
    assert!(!shown.contains("c2VjcmV0LXZhbHVl"), "{shown}");
}

#[test]
fn an_object_that_is_too_large_is_not_held() {
    let mut body = br#"{"kind":"SecretList","items":[{"metadata":{"name":"a"},"data":{"a":""#.to_vec();
    body.resize(LARGEST_OBJECT + 100, b'a');
    let refused = show("GET", "/api/v1/namespaces/demo/secrets", 200, &paths(&["$.data"]), &body, 65_536);
    assert_eq!(refused.unwrap_err().code, "mask.limit");
}

/// Lists of any shape, with nothing hidden that they have.
#[test]
fn what_is_not_hidden_stays_what_it_was() {
    let plan = paths(&["$.nothing.like.this"]);
    for Answer { name, method, target, status, body } in recorded(
        &["12-get-configmap-forms", "13-list-pods-forms", "47-deletecollection"],
        "/namespaces/demo",
    ) {
        let shown = show(&method, &target, status, &plan, &body, 1000).unwrap();
        let without = |body: &[u8]| {
            let mut all = documents(body);
            all.iter_mut().for_each(forget);
            all
        };
        assert_eq!(without(&shown), without(&body), "{name}");
    }
}

/// Takes out what is taken out, and cells.
fn forget(value: &mut Value) {
    if let Value::Object(members) = value {
        for name in ["managedFields", "cells", "kubectl.kubernetes.io/last-applied-configuration"] {
            members.remove(name);
        }
    }
    let children: Vec<&mut Value> = match value {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(all) => all.iter_mut().collect(),
        _ => Vec::new(),
    };
    children.into_iter().for_each(forget);
}
