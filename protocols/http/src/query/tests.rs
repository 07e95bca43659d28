use proptest::prelude::*;

use super::*;

fn text(query: &str) -> String {
    canonical(query).unwrap().text
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = canonical(query).unwrap().pairs;
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[track_caller]
fn refused(query: &str) {
    let code = canonical(query).map_err(|refusal| refusal.code);
    assert_eq!(code, Err("http.query"), "{query:?}");
}

#[test]
fn there_is_one_form() {
    assert_eq!(text(""), "");
    assert_eq!(text("a=1&b=2&a=3"), "a=1&b=2&a=3");
    assert_eq!(text("&a&&b=&"), "a=&b=");
    assert_eq!(text("a=x+y%2bz%20"), "a=x%20y%2Bz%20");
    assert_eq!(text("a=b=c"), "a=b%3Dc");
    assert_eq!(text("%61%5B%5d=%3b%26%3d%23%27\"{ü"), "a%5B%5D=%3B%26%3D%23%27%22%7B%C3%BC");
    assert_eq!(text("next=https://x:1/a?b,(c)*"), "next=https://x:1/a?b,(c)*");
    // A redirect within a redirect is no attempt: values are decoded once, and that form is sent.
    assert_eq!(text("next=%2Fa%3Fb%3D%2520"), "next=/a?b%3D%2520");
}

#[test]
fn pairs_are_what_the_form_says() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        pairs("a=1&A=x+y&a=%C3%BC%0A&b"),
        [pair("a", "1"), pair("A", "x y"), pair("a", "ü\n"), pair("b", "")]
    );
}

#[test]
fn a069_a_query_that_servers_split_differently_is_refused() {
    for query in [
        "a=1;b=2", ";", "a;b", "=1", "a=1&=2", "+=%", "a=%", "a=%zz", "%u0041=1", "a=%ff", "a=%00", "%00=1",
    ] {
        refused(query);
    }
}

#[test]
fn a069_parameters_beyond_what_frameworks_read_are_refused() {
    let many = |count: usize| vec!["a"; count].join("&");
    assert_eq!(canonical(&many(MOST)).unwrap().pairs.len(), MOST);
    refused(&many(MOST + 1));
    refused(&many(100_000));
    refused(&format!("a={}", "b".repeat(LONGEST)));
    refused(&format!("a={}", "'".repeat(LONGEST / 2)));
}

#[test]
fn a069_duplicates_are_all_there_to_be_judged() {
    assert_eq!(pairs("id=1&id=2&%69d=3&ID=4").len(), 4);
    assert_eq!(pairs("id=1&%69d=3")[1].0, "id");
}

proptest! {
    #[test]
    fn a069_the_form_is_its_own_form(query in "[a-c%0-9+=&?/ü'\\[]{0,40}") {
        if let Ok(once) = canonical(&query) {
            prop_assert_eq!(canonical(&once.text).unwrap(), once);
        }
    }

    #[test]
    fn nothing_panics(query in any::<String>()) {
        let _ = canonical(&query);
    }
}
