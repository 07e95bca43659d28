use proptest::prelude::*;

use super::*;

fn good(path: &str) -> String {
    canonical(path).unwrap()
}

#[track_caller]
fn refused(path: &str) {
    let code = canonical(path).map_err(|refusal| refusal.code);
    assert_eq!(code, Err("http.path"), "{path:?}");
}

#[test]
fn there_is_one_form() {
    assert_eq!(good("/"), "/");
    assert_eq!(good("/a/b/"), "/a/b/");
    assert_eq!(good("/%61%2d%7e"), "/a-~");
    assert_eq!(good("/a%20b/%c3%bc"), "/a%20b/%C3%BC");
    assert_eq!(good("/ü/{x}|^\"<>`"), "/%C3%BC/%7Bx%7D%7C%5E%22%3C%3E%60");
    assert_eq!(good("/a%24%40%3a%3D,b"), "/a$@:=,b");
    assert_eq!(good("/v1.2+build"), "/v1.2%2Bbuild");
    assert_eq!(good("/100%25"), "/100%25");
    assert_eq!(good("/a%3fb%23c"), "/a%3Fb%23c");
    assert_eq!(good("/.well-known/..a/a..b/Inc."), "/.well-known/..a/a..b/Inc.");
}

#[test]
fn a052_dot_segments_are_refused_in_every_spelling() {
    for path in
        ["/.", "/..", "/a/./b", "/a/../b", "/a/..", "/%2e", "/%2E%2e/a", "/.%2e", "/a/.%2E/", "/..."]
    {
        refused(path);
    }
    for path in ["/a/..%20/b", "/a/%20", "/%20..", "/.%20.", "/..%00", "/..%c2%a0"] {
        refused(path);
    }
}

#[test]
fn a052_separators_are_refused_in_every_spelling() {
    for path in ["//", "//a", "/a//b", "/a//", "/a%2fb", "/a%2Fb", "/%2f", "/a\\b", "/a%5cb", "/a%5C..%5Cb"]
    {
        refused(path);
    }
    for path in
        ["/a;b=c", "/a;", "/a%3bb", "/;/a", "/..;/a", "/\u{ff0e}\u{ff0e}/a", "/a\u{ff0f}b", "/%ef%bc%8f"]
    {
        refused(path);
    }
}

#[test]
fn a052_what_is_no_path_is_refused() {
    for path in ["", "*", "a", "http://x/", "\\a", "%2fa", " /a"] {
        refused(path);
    }
    for path in ["/a%00", "/a%0ab", "/a%0d%0aHost:x", "/a%7f", "/a%c2%85b", "/a%e2%80%aeb", "/a%e2%80%8b"] {
        refused(path);
    }
    refused(&format!("/{}", "a".repeat(LONGEST)));
    refused(&format!("/{}", "{".repeat(LONGEST / 2)));
}

#[test]
fn a069_what_could_be_decoded_twice_is_refused() {
    for path in ["/%252e%252e/a", "/%25%32%65", "/a%252fb", "/%2525", "/%25zz%2541"] {
        refused(path);
    }
    // A percent sign that could make no other character.
    assert_eq!(good("/%25zz"), "/%25zz");
    for path in ["/%", "/a%2", "/%zz", "/%u002e", "/%c0%ae", "/%c0%af", "/%e0%80%af", "/%ff"] {
        refused(path);
    }
}

proptest! {
    #[test]
    fn a069_the_form_is_its_own_form(path in "/[a-zA-Z0-9%./;+ü~ -]{0,40}") {
        if let Ok(once) = canonical(&path) {
            prop_assert_eq!(canonical(&once).unwrap(), once);
        }
    }

    #[test]
    fn a069_the_form_says_what_was_said(path in "(/(%[2-7][0-9A-Fa-f]|[a-z.+~]|ü){0,8}){1,4}") {
        if let Ok(once) = canonical(&path) {
            prop_assert_eq!(percent::decode(&once), percent::decode(&path));
        }
    }

    #[test]
    fn nothing_panics(path in any::<String>()) {
        let _ = canonical(&path);
        let _ = canonical(&format!("/{path}"));
    }
}
