//! JSON whose values are masked: whole, in pieces, and in every spelling that a target may use.

use expect_test::{Expect, expect};
use gatewright_model::{
    json,
    mask::{MaskMethod, MaskPlan},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{detectors, headers, masked, plan, play, refused};

const JSON: &str = "application/json";
const REDACT: MaskMethod = MaskMethod::Redact;
const PARTIAL: MaskMethod = MaskMethod::Partial { keep: 4 };

fn check(plan: &MaskPlan, body: &str, expected: Expect) {
    expected.assert_eq(&masked(plan, JSON, body));
}

fn by_path(path: &str) -> MaskPlan {
    plan(&[(path, REDACT)], None)
}

#[test]
fn a_value_becomes_what_its_type_can_hold() {
    let body = r#" {"v" : ["secret", 123, -1.5e3, true, false, null, "", {"k":"deep","n":[7]}], "w":1 } "#;
    check(
        &by_path("$.v"),
        body,
        expect![[
            r#" {"v" : ["[redacted]", null, null, null, null, null, "[redacted]", {"k":"[redacted]","n":[null]}], "w":1 } "#
        ]],
    );
    check(
        &plan(&[("$.v", PARTIAL)], None),
        body,
        expect![[
            r#" {"v" : ["**cret", "***", "**.5e3", null, null, null, "", {"k":"****","n":["*"]}], "w":1 } "#
        ]],
    );
    check(
        &plan(&[("$.v", MaskMethod::Hash)], None),
        r#"{"v":["secret","s\u0065cret",123]}"#,
        expect![[
            r#"{"v":["a44bf49d55ea3f87f04f5aea272c23ce","a44bf49d55ea3f87f04f5aea272c23ce","e9cc0b42c99258324e7729f0e63ee35f"]}"#
        ]],
    );
}

#[test]
fn paths_select_what_rfc_9535_says() {
    let body = r#"{"a":{"b":[{"c":1},{"c":2,"a":{"c":3}}]},"c":4}"#;
    for (path, expected) in [
        ("$", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":null}"#),
        ("$.c", r#"{"a":{"b":[{"c":1},{"c":2,"a":{"c":3}}]},"c":null}"#),
        ("$.a.b[0].c", r#"{"a":{"b":[{"c":null},{"c":2,"a":{"c":3}}]},"c":4}"#),
        ("$.a.b[1]", r#"{"a":{"b":[{"c":1},{"c":null,"a":{"c":null}}]},"c":4}"#),
        ("$.a.b[2]", body),
        ("$.a.b[*].c", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":3}}]},"c":4}"#),
        ("$..c", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":null}"#),
        ("$.a..c", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":4}"#),
        ("$..a.c", r#"{"a":{"b":[{"c":1},{"c":2,"a":{"c":null}}]},"c":4}"#),
        ("$..a..c", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":4}"#),
        ("$..[0]", r#"{"a":{"b":[{"c":null},{"c":2,"a":{"c":3}}]},"c":4}"#),
        ("$.*.b", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":4}"#),
        ("$..*", r#"{"a":{"b":[{"c":null},{"c":null,"a":{"c":null}}]},"c":null}"#),
        ("$.C", body),
        ("$[0]", body),
        ("$.a.b.c", body),
    ] {
        assert_eq!(masked(&by_path(path), JSON, body), expected, "{path}");
    }
    assert_eq!(masked(&by_path("$"), JSON, "42"), "null");
    assert_eq!(masked(&by_path("$"), JSON, " \"a\" "), " \"[redacted]\" ");
    assert_eq!(masked(&by_path("$[1]"), JSON, "[[1,2],[3],4]"), "[[1,2],[null],4]");
}

#[test]
fn a080_names_are_compared_as_a_reader_compares_them() {
    let path = by_path("$.ssn");
    check(
        &path,
        r#"{"\u0073s\u006e":"1","ssn":"2","SSN":"3"}"#,
        expect![[r#"{"\u0073s\u006e":"[redacted]","ssn":"[redacted]","SSN":"3"}"#]],
    );
    // Every member of the name, whichever of them a reader takes.
    check(
        &path,
        r#"{"ssn":"1","ssn":"2","ssn":["3"]}"#,
        expect![[r#"{"ssn":"[redacted]","ssn":"[redacted]","ssn":["[redacted]"]}"#]],
    );
    let emoji = by_path(r"$['\ud83d\ude00\n']");
    check(
        &emoji,
        r#"{"😀\n":1,"\ud83d\ude00\u000a":2}"#,
        expect![[r#"{"😀\n":null,"\ud83d\ude00\u000a":null}"#]],
    );
}

#[test]
fn the_stronger_mask_of_two_is_kept_in_any_nesting() {
    let both = plan(&[("$.a", PARTIAL), ("$.a.b", REDACT), ("$..c", MaskMethod::Hash)], None);
    check(
        &both,
        r#"{"a":{"x":"123456","b":"123456","c":"1"},"c":"1"}"#,
        expect![[
            r#"{"a":{"x":"**3456","b":"[redacted]","c":"c41c50e1a05d2d0b889e9fad7621c333"},"c":"c41c50e1a05d2d0b889e9fad7621c333"}"#
        ]],
    );
    let outer = plan(&[("$.a", REDACT), ("$.a.b", PARTIAL)], None);
    check(&outer, r#"{"a":{"b":"123456"}}"#, expect![[r#"{"a":{"b":"[redacted]"}}"#]]);
    // What a path leaves is searched like everything else.
    let searched = plan(&[("$.a", MaskMethod::Partial { keep: 30 })], Some(REDACT));
    check(
        &searched,
        r#"{"a":"this is my mail address, write to me: bob@example.com"}"#,
        expect![[r#"{"a":"******************dress, write to me: [redacted]"}"#]],
    );
}

#[test]
fn detectors_look_into_strings_names_and_numbers() {
    let body = r#"{"4111111111111111":4111111111111111,"a":"mail bob@example.com \"now\"\n","b":123456789,"c":"\u0062ob\u0040example.com"}"#;
    check(
        &detectors(),
        body,
        expect![[r#"{"[redacted]":null,"a":"mail [redacted] \"now\"\n","b":123456789,"c":"[redacted]"}"#]],
    );
    check(
        &plan(&[], Some(PARTIAL)),
        body,
        expect![[
            r#"{"************1111":"************1111","a":"mail ***********.com \"now\"\n","b":123456789,"c":"***********.com"}"#
        ]],
    );
}

#[test]
fn a073_a_secret_in_escapes_is_hidden_at_every_cut() {
    for secret in [
        r"4111111111111111",
        r"\u0034111-1111-1111-1111",
        r"4111\u002d1111\u002d1111\u002d1111",
        r"\u0034\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031\u0031",
        r"123-45-6789",
        r"bob\u0040example.com",
        r"b\u00f6b@example.com",
    ] {
        for (before, after) in
            [("", ""), ("x ", " x"), ("\\\"", "\\n"), (r"\\", r"\\"), (r"\ud83d\ude00 ", r" \ud83d")]
        {
            let body = format!(r#"{{"k":["{before}{secret}{after}"]}}"#);
            // `masked` cuts at every byte and compares.
            let shown = masked(&detectors(), JSON, &body);
            assert!(
                shown.contains("[redacted]") && !shown.contains("1111") && !shown.contains("xample"),
                "{body}: {shown}"
            );
        }
    }
}

#[test]
fn a073_a_long_string_is_searched_in_windows_and_hidden_whole() {
    for secret in ["4111 1111 1111 1111", r"bob\u0040example.com", r"\u0034111111111111111"] {
        for place in [0, 1, 65_500, 65_530, 65_536, 65_540, 131_000] {
            let body = format!("{{\"k\":\"{}{secret}\\\"{}\"}}", ".".repeat(place), "\\\\ ".repeat(10_000));
            let headers = headers(JSON, None);
            let (whole, end) = play(&detectors(), &headers, [body.as_bytes()]);
            assert_eq!(end.unwrap().len(), 1);
            let shown = String::from_utf8(whole.clone()).unwrap();
            let text = json::Document::read(shown).unwrap();
            let text = text.pointer("/k").unwrap().as_str().unwrap().into_owned();
            assert_eq!(
                text,
                format!("{}[redacted]\"{}", ".".repeat(place), "\\ ".repeat(10_000)),
                "{secret} at {place}"
            );
            for size in [1, 7, 4_096, 65_536] {
                assert_eq!(play(&detectors(), &headers, body.as_bytes().chunks(size)).0, whole);
            }
            let (hidden, _) =
                play(&plan(&[("$.k", PARTIAL)], None), &headers, body.as_bytes().chunks(1_000));
            if body.len() > 66_000 {
                assert_eq!(String::from_utf8(hidden).unwrap(), r#"{"k":"[redacted]"}"#);
            }
        }
    }
}

#[test]
fn documents_one_after_another_are_each_masked() {
    for media in [JSON, "application/x-ndjson", "application/json;stream=watch", "application/jsonl"] {
        let body = "{\"a\":1,\"b\":2}\n{\"a\":3}{\"a\":4} \"a\"[5]\r\n7 8\n";
        assert_eq!(
            masked(&by_path("$.a"), media, body),
            "{\"a\":null,\"b\":2}\n{\"a\":null}{\"a\":null} \"a\"[5]\r\n7 8\n"
        );
    }
    assert_eq!(masked(&detectors(), JSON, "4111111111111111\n4111111111111111"), "null\nnull");
    assert_eq!(masked(&detectors(), JSON, ""), "");
}

#[test]
fn a_document_is_passed_on_before_the_next_one_comes() {
    let headers = headers("application/json;stream=watch", None);
    let event = b"{\"type\":\"ADDED\",\"object\":{\"data\":\"x\"}}\n";
    let key = gatewright_masking::MaskKey::new([7; 32]);
    for plan in [by_path("$.object.data"), detectors()] {
        let mut masker = gatewright_http::content::Masker::new(&plan, &key, &headers).unwrap();
        let mut out = Vec::new();
        for count in 1..4 {
            assert!(!masker.push(&mut &event[..], &mut out).unwrap());
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), count);
        }
    }
}

#[test]
fn a080_what_is_no_json_is_cut() {
    let plan = by_path("$..secret");
    for body in [
        "{secret:1}",
        "{'secret':1}",
        "[1,]",
        "{\"a\":1,}",
        "[01]",
        "[1.]",
        "[+1]",
        "[NaN]",
        "[True]",
        "tru ",
        "[\"a\nb\"]",
        r#"["\x41"]"#,
        r#"["\u12g4"]"#,
        "[1}",
        "{\"a\"]",
        "]",
        "}",
        ",",
        ":",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "{1:2}",
        "{\"a\",1}",
        "/* x */ {}",
        ")]}'\n{}",
        "\u{feff}{}",
        "<html>",
        "[",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "\"a",
        "tr",
        "-",
        "[1",
        "{]",
        "[}",
        "\u{1e}{}",
    ] {
        assert_eq!(refused(&plan, JSON, body.as_bytes()), "mask.malformed", "{body}");
    }
    for body in [
        &b"\"\xff\""[..],
        b"\"\xc3",
        b"\"\xed\xa0\x80\"",
        b"{\"\xc1\xb3ecret\":1}",
        b"\"\xc3\"",
        b"\x00",
        b"[1]\x00",
    ] {
        assert_eq!(refused(&plan, JSON, body), "mask.malformed", "{body:?}");
    }
}

#[test]
fn f021_what_is_held_is_bounded() {
    let plan = plan(&[("$..secret", MaskMethod::Hash)], Some(REDACT));
    assert_eq!(refused(&plan, JSON, "[".repeat(200).as_bytes()), "mask.limit");
    assert_eq!(refused(&plan, JSON, "1".repeat(2_000).as_bytes()), "mask.limit");
    let headers = headers(JSON, None);
    // A value of 16 MiB, a name of 16 MiB, an array of a million values: each in one piece, and none kept.
    let long = "x".repeat(16 << 20);
    for body in [
        format!("{{\"secret\":\"{long}\"}}"),
        format!("{{\"{long}\":1}}"),
        format!("[{}1]", "1,".repeat(1_000_000)),
    ] {
        let (_, end) = play(&plan, &headers, body.as_bytes().chunks(65_536));
        assert!(end.is_ok());
    }
}

#[test]
fn counts_are_of_values_by_rule() {
    let plan = plan(&[("$..a", REDACT), ("$..b", REDACT)], Some(PARTIAL));
    let body = br#"{"a":["x",1,true,null],"c":"bob@example.com eve@example.com","4111111111111111":1}"#;
    let (_, end) = play(&plan, &headers(JSON, None), [&body[..]]);
    let counts: Vec<(String, u64)> =
        end.unwrap().into_iter().map(|(rule, count)| (rule.to_string(), count)).collect();
    assert_eq!(counts, [("$..a".to_owned(), 3), ("card_number".to_owned(), 1), ("email".to_owned(), 2)]);
}

/// Documents made of what masks look at.
fn document() -> impl Strategy<Value = String> {
    let names = ["a", "b", r"\u0061", "ssn", "4111111111111111", "", r"\ud83d\ude00", "é"];
    let texts = [
        "",
        "x",
        "bob@example.com",
        r"\u0062ob@example.com",
        "4111 1111 1111 1111",
        "\\\\\\\"",
        r"\ud800",
        "日本",
        "123-45-6789",
    ];
    let leaf = prop_oneof![
        select(texts.to_vec()).prop_map(|text| format!("\"{text}\"")),
        select(vec!["0", "-1.5E+3", "4111111111111111", "true", "false", "null", "[]", "{ }"])
            .prop_map(str::to_owned),
    ];
    let space = || select(vec!["", " ", "\n\t"]);
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..5), space()).prop_map(|(values, space)| format!(
                "[{space}{}]",
                values.join(&format!("{space},{space}"))
            )),
            (vec((select(names.to_vec()), inner), 0..5), space()).prop_map(|(members, space)| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\"{space}:{value}{space}"))
                    .collect();
                format!("{{{space}{}}}", members.join(","))
            }),
        ]
    })
}

fn any_plan() -> impl Strategy<Value = MaskPlan> {
    let paths = [
        "$",
        "$.a",
        "$..a",
        "$.a.b",
        "$..a.b",
        "$[0]",
        "$.*",
        "$..[1]",
        "$..ssn",
        "$.b[*].a",
        "$..*",
        "$['😀']",
    ];
    let methods = [REDACT, PARTIAL, MaskMethod::Hash];
    let masks = vec((select(paths.to_vec()), select(methods.to_vec())), 0..4);
    (masks, prop::option::of(select(methods.to_vec())))
        .prop_map(|(paths, detectors)| plan(&paths, detectors))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a073_any_cut_of_any_document_gives_the_same(document in document(), plan in any_plan(), sizes in vec(1usize..9, 1..9)) {
        let headers = headers(JSON, None);
        let (whole, counts) = play(&plan, &headers, [document.as_bytes()]);
        prop_assert!(counts.is_ok(), "{}: {}", counts.unwrap_err().detail, document);
        let mut pieces = Vec::new();
        let mut rest = document.as_bytes();
        for size in sizes.into_iter().cycle() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(play(&plan, &headers, pieces), (whole.clone(), counts));
        // It is JSON still.
        let shown: Result<serde_json::Value, _> = serde_json::from_slice(&whole);
        let given: Result<serde_json::Value, _> = serde_json::from_str(&document);
        prop_assert!(shown.is_ok() || given.is_err(), "{document}");
        if plan.is_empty() {
            prop_assert_eq!(String::from_utf8(whole).unwrap(), document);
        }
    }
}
