//! Server-sent events whose data is masked, cut at every byte.

use expect_test::expect;
use gatewright_model::mask::MaskMethod;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{detectors, headers, masked, plan, play, refused};

const EVENTS: &str = "text/event-stream";

#[test]
fn an_event_in_which_nothing_is_hidden_passes_as_it_came() {
    let both = plan(&[("$.a", MaskMethod::Redact)], Some(MaskMethod::Redact));
    for stream in [
        "data: x\n\n",
        ": comment\n\nid:1\r\nevent: y\r\ndata:{\"b\": 1}\r\ndata\r\n\r\n",
        "\u{feff}data: x\r\rretry: 10\r\n\r\n\n\n\r\r\r\n",
        "data: [DONE]\n\n",
        "data: x",
        "data: {\"b\":\n",
        "data:  two  spaces \n\n",
    ] {
        let stream = stream.replace("{\"b\":\n", "{\"b\":\ndata: 1}\n");
        assert_eq!(masked(&both, EVENTS, &stream), stream);
    }
}

#[test]
fn a073_a_secret_in_an_event_is_hidden_at_every_cut() {
    let both = plan(&[("$.a", MaskMethod::Redact)], Some(MaskMethod::Redact));
    let stream = "id: 7\r\ndata: {\"a\":\r\nevent: e\r\ndata: \"secret\",\r\ndata: \"b\":\"bob\\u0040example.com\"}\r\n\r\n\
                  : bob@example.com\n\ndata: card 4111111111111111\n\ndata: 4111111111111111";
    expect![[r#"
        id: 7\r
        data: {"a":\r
        data: "[redacted]",\r
        data: "b":"[redacted]"}\r
        event: e\r
        \r
        : [redacted]

        data: card [redacted]

        data: [redacted]
    "#]]
    .assert_eq(&masked(&both, EVENTS, stream).replace('\r', "\\r"));
}

#[test]
fn an_event_is_passed_on_with_its_end() {
    let key = gatewright_masking::MaskKey::new([7; 32]);
    let mut masker =
        gatewright_http::content::Masker::new(&detectors(), &key, &headers(EVENTS, None)).unwrap();
    for end in ["\n\n", "\r\n\r\n", "\r\r"] {
        let event = format!("data: bob@example.com{end}");
        let mut out = Vec::new();
        masker.push(&mut event.as_bytes(), &mut out).unwrap();
        masker.push(&mut &b"data: "[..], &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("data: [redacted]"));
        masker.push(&mut &b"\n\n"[..], &mut Vec::new()).unwrap();
    }
}

#[test]
fn a080_data_that_looks_like_json_must_be_json() {
    let paths = plan(&[("$.a", MaskMethod::Redact)], None);
    for data in ["{'a':1}", "{\"a\":1", "[1,]", "\"a", " {a}"] {
        let stream = format!("data: {data}\n\n");
        assert_eq!(refused(&paths, EVENTS, stream.as_bytes()), "mask.malformed", "{data}");
    }
    // A path that selects whole documents hides words and numbers too, and what is no JSON is not passed.
    let root = plan(&[("$", MaskMethod::Redact)], None);
    assert_eq!(
        masked(&root, EVENTS, "id: 1\ndata: 42\n\ndata: [DONE]\n\n"),
        "id: 1\ndata: null\n\ndata: [DONE]\n\n"
    );
    assert_eq!(refused(&root, EVENTS, b"data: secret\n\n"), "mask.malformed");
    // Without paths, text is text.
    assert_eq!(masked(&detectors(), EVENTS, "data: {bob@example.com\n\n"), "data: {[redacted]\n\n");
}

#[test]
fn f021_an_event_is_bounded() {
    let stream = "data: x\n".repeat(200_000);
    let (_, end) = play(&detectors(), &headers(EVENTS, None), stream.as_bytes().chunks(65_536));
    assert_eq!(end.unwrap_err().code, "mask.limit");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a073_any_cut_of_any_stream_gives_the_same(
        parts in vec(select(vec!["\n", "\r", "\r\n", "\n\n", "data: ", "data:", "data", "id: 1", ": c", "{\"a\":1}", "bob@example.com", "x", "[", "é"]), 0..30),
        size in 1usize..7,
    ) {
        let stream = parts.concat();
        let plan = plan(&[("$.a", MaskMethod::Redact)], Some(MaskMethod::Redact));
        let headers = headers(EVENTS, None);
        let whole = play(&plan, &headers, [stream.as_bytes()]);
        let cut = play(&plan, &headers, stream.as_bytes().chunks(size));
        prop_assert_eq!(whole.1.is_ok(), cut.1.is_ok());
        if whole.1.is_ok() {
            prop_assert!(!String::from_utf8_lossy(&whole.0).contains("bob@"));
            prop_assert_eq!(whole, cut);
        }
    }
}
