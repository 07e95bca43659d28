use super::*;

fn read(text: &str) -> Document {
    Document::read(text.to_owned()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: impl Into<Bytes>) -> (Reason, usize) {
    let Ambiguous { reason, at } = Document::read(text).unwrap_err();
    (reason, at)
}

#[test]
fn a080_two_members_of_one_name_have_no_reading() {
    assert_eq!(refused(r#"{"a":1,"a":2}"#), (Reason::DuplicateName, 7));
    assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), (Reason::DuplicateName, 7));
    assert_eq!(refused(r#"{"😀":1,"\ud83d\ude00":2}"#), (Reason::DuplicateName, 10));
    assert_eq!(refused(r#"[{"x":{"a":1,"b":{"a":1},"a":1}}]"#), (Reason::DuplicateName, 25));
    assert_eq!(refused(r#"{"":1,"":2}"#), (Reason::DuplicateName, 6));
    // The same name in different objects is no duplicate.
    read(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#);
}

#[test]
fn a080_names_that_differ_in_case_only_have_no_reading() {
    assert_eq!(refused(r#"{"role":1,"Role":2}"#), (Reason::CaseVariants, 10));
    assert_eq!(refused(r#"{"kind":1,"\u212aind":2}"#), (Reason::CaseVariants, 10));
    assert_eq!(refused(r#"{"ſpec":1,"spec":2}"#), (Reason::CaseVariants, 11));
    assert_eq!(refused(r#"{"größe":1,"GRÖSSE":2}"#), (Reason::CaseVariants, 13));
    read(r#"{"Role":1,"role2":2}"#);
}

#[test]
fn a080_what_readers_disagree_about_has_no_reading() {
    assert_eq!(refused(&b"\xef\xbb\xbf{}"[..]), (Reason::ByteOrderMark, 0));
    assert_eq!(refused(&b"{\"a\":\"\xff\"}"[..]), (Reason::NotUtf8, 6));
    assert_eq!(refused(&b"{\"a\":\"\xed\xa0\x80\"}"[..]), (Reason::NotUtf8, 6));
    assert_eq!(refused(&b"{\"a\":\"\xc0\xaf\"}"[..]), (Reason::NotUtf8, 6));
    assert_eq!(refused(r#"["\ud800"]"#), (Reason::LoneSurrogate, 2));
    assert_eq!(refused(r#"["\ud800x"]"#), (Reason::LoneSurrogate, 2));
    assert_eq!(refused(r#"["\ud800\u0041"]"#), (Reason::LoneSurrogate, 2));
    assert_eq!(refused(r#"["\udc00"]"#), (Reason::LoneSurrogate, 2));
    assert_eq!(refused(r#"{"role\u0000":1}"#), (Reason::NulInName, 1));
    for number in ["1e400", "-1e400", "18446744073709551616", "-9223372036854775809"] {
        assert_eq!(refused(format!("[{number}]")), (Reason::Number, 1), "{number}");
    }
    assert_eq!(refused("{} {}"), (Reason::Trailing, 3));
    assert_eq!(refused("{}x"), (Reason::Trailing, 2));
    assert_eq!(refused("{}\0"), (Reason::Trailing, 2));
    assert_eq!(refused("\u{feff}{}"), (Reason::ByteOrderMark, 0));
    assert_eq!(refused("{}\u{feff}"), (Reason::Trailing, 2));
}

#[test]
fn a080_what_lenient_readers_take_has_no_reading() {
    for text in [
        "{a:1}",
        "{'a':1}",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[+1]",
        "[01]",
        "[1.]",
        "[.5]",
        "[0x10]",
        "[1e]",
        "[-]",
        "[True]",
        "[nul]",
        "// x\n{}",
        "[1 /* x */]",
        "[\"a\nb\"]",
        "[\"\t\"]",
        r#"["\x41"]"#,
        r#"["\u12g4"]"#,
        r#"["\'"]"#,
        "[1;2]",
        "{\"a\"}",
        "{\"a\":}",
        "{1:2}",
        "[1}",
        "\u{a0}{}",
        "\u{c}{}",
    ] {
        assert_eq!(refused(text.to_owned()).0, Reason::Syntax, "{text}");
    }
    for text in
        ["", " ", "{", "[", "[1", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "tru", "\"", "\"\\", "-", "1e"]
    {
        assert_eq!(refused(text.to_owned()).0, Reason::Incomplete, "{text}");
    }
}

#[test]
fn a080_depth_ends_before_the_stack_does() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    read(&nested(MAX_DEPTH));
    assert_eq!(refused(nested(MAX_DEPTH + 1)), (Reason::Deep, MAX_DEPTH));
    assert_eq!(refused("[".repeat(1_000_000)).0, Reason::Deep);
    assert_eq!(refused("{\"a\":".repeat(1_000_000)).0, Reason::Deep);
}

#[test]
fn a_value_is_what_was_written() {
    let text = r#" {"s":"a\u0034\n\ud83d\ude00\/","n":9007199254740993,"f":1.10,"t":true,"z":null,"a":[1,[2,{"k":3}]],"e":{}} "#;
    let document = read(text);
    let at = |pointer| document.pointer(pointer).unwrap();
    assert_eq!(document.text(), text);
    assert_eq!(at("/s").as_str().unwrap(), "a4\n😀/");
    assert_eq!(at("/n").as_number(), Some("9007199254740993"));
    assert_eq!(at("/f").as_number(), Some("1.10"));
    assert_eq!(at("/t").as_bool(), Some(true));
    assert_eq!(at("/z").kind(), Kind::Null);
    assert_eq!(at("/a/1/1/k").raw(), "3");
    assert_eq!(at("/a").elements().map(Value::raw).collect::<Vec<_>>(), ["1", r#"[2,{"k":3}]"#]);
    assert_eq!(at("/e").members().count(), 0);
    assert_eq!(document.root().members().count(), 7);
    assert_eq!((at("/n").as_str(), at("/s").as_number(), at("/n").as_bool()), (None, None, None));
    assert_eq!(read("3").root().raw(), "3");
}

#[test]
fn pointers_are_those_of_rfc_6901() {
    // Section 5 of the RFC.
    let document = read(
        r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#,
    );
    for (pointer, expected) in [
        ("/foo", r#"["bar","baz"]"#),
        ("/foo/0", r#""bar""#),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/e^f", "3"),
        ("/g|h", "4"),
        ("/i\\j", "5"),
        ("/k\"l", "6"),
        ("/ ", "7"),
        ("/m~0n", "8"),
    ] {
        assert_eq!(document.pointer(pointer).unwrap().raw(), expected, "{pointer}");
    }
    assert_eq!(document.pointer("").unwrap().kind(), Kind::Object);
    for nothing in
        ["foo", "/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/x", "/foo/0/x", "/m~n", "/m~2n", "/x"]
    {
        assert!(document.pointer(nothing).is_none(), "{nothing}");
    }
}

#[test]
fn debug_and_errors_show_nothing_of_the_text() {
    let document = read(r#"{"password":"hunter2"}"#);
    assert_eq!(format!("{document:?} {:?}", document.root()), "Document { bytes: 22, .. } Value(Object)");
    let error = Document::read(r#"{"hunter2":1,"hunter2":2}"#).unwrap_err();
    assert_eq!(error.to_string(), "an object has a name twice (byte 13)");
}
