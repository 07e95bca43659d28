//! What detectors find, and what they do not: tables of texts.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use expect_test::{Expect, expect};
use gatewright_masking::{MaskKey, TextMasker};
use gatewright_model::mask::{Detector, MaskMethod};

fn masker(method: MaskMethod) -> TextMasker {
    TextMasker::new(Detector::ALL.map(|detector| (detector, method)), &MaskKey::new([7; 32]))
}

fn check(texts: &[&str], expected: Expect) {
    let masker = masker(MaskMethod::Redact);
    let table: String = texts
        .iter()
        .map(|text| match masker.mask(text.as_bytes()) {
            Some(masked) => {
                let counts = Detector::ALL.map(|detector| masked.finds.of(detector));
                format!("{text} -> {} {counts:?}\n", String::from_utf8(masked.text).unwrap())
            }
            None => format!("{text} -> as it is\n"),
        })
        .collect();
    expected.assert_eq(&table);
}

#[test]
fn card_numbers() {
    check(
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111-1111 11111111",
            "3782 822463 10005",
            "30569309025904",
            "4222222222222",
            "6304000000000000000",
            "135410014004955",
            "card:4111111111111111.",
            "x4111111111111111y",
            "id 42 4111111111111111 12",
            "(4111 1111 1111 1111)(5500 0000 0000 0004)",
            "1.5 4111111111111111",
            "a.4111111111111111",
        ],
        expect![[r#"
            4111111111111111 -> [redacted] [1, 0, 0]
            4111 1111 1111 1111 -> [redacted] [1, 0, 0]
            4111-1111-1111-1111 -> [redacted] [1, 0, 0]
            4111-1111 11111111 -> [redacted] [1, 0, 0]
            3782 822463 10005 -> [redacted] [1, 0, 0]
            30569309025904 -> [redacted] [1, 0, 0]
            4222222222222 -> [redacted] [1, 0, 0]
            6304000000000000000 -> [redacted] [1, 0, 0]
            135410014004955 -> [redacted] [1, 0, 0]
            card:4111111111111111. -> card:[redacted]. [1, 0, 0]
            x4111111111111111y -> x[redacted]y [1, 0, 0]
            id 42 4111111111111111 12 -> id 42 [redacted] 12 [1, 0, 0]
            (4111 1111 1111 1111)(5500 0000 0000 0004) -> ([redacted])([redacted]) [2, 0, 0]
            1.5 4111111111111111 -> 1.5 [redacted] [1, 0, 0]
            a.4111111111111111 -> a.[redacted] [1, 0, 0]
        "#]],
    );
}

#[test]
fn numbers_that_are_no_cards() {
    check(
        &[
            "4111111111111112",
            "411111111111111",
            "04111111111111111",
            "41111111111111110000",
            "0000000000000000",
            "1111111111111117",
            "1700000000004",
            "0.4111111111111111",
            "2024-01-01 2024-02-02",
            "12 13 14 15 16 17 18 19",
        ],
        expect![[r#"
            4111111111111112 -> as it is
            411111111111111 -> as it is
            04111111111111111 -> as it is
            41111111111111110000 -> as it is
            0000000000000000 -> as it is
            1111111111111117 -> as it is
            1700000000004 -> as it is
            0.4111111111111111 -> as it is
            2024-01-01 2024-02-02 -> as it is
            12 13 14 15 16 17 18 19 -> as it is
        "#]],
    );
}

#[test]
fn card_numbers_that_are_not_found() {
    check(
        &[
            "4111.1111.1111.1111",
            "4111  1111  1111  1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "41 11 11 11 11 11 11 11",
            "４１１１１１１１１１１１１１１１",
            "٤١١١١١١١١١١١١١١١",
            r"\u0034111111111111111",
        ],
        expect![[r#"
            4111.1111.1111.1111 -> as it is
            4111  1111  1111  1111 -> as it is
            4111 1111 1111 1111 -> as it is
            41 11 11 11 11 11 11 11 -> as it is
            ４１１１１１１１１１１１１１１１ -> as it is
            ٤١١١١١١١١١١١١١١١ -> as it is
            \u0034111111111111111 -> as it is
        "#]],
    );
}

#[test]
fn social_security_numbers() {
    check(
        &[
            "123-45-6789",
            "123 45 6789",
            "ssn=078-05-1120;",
            "001-01-0001",
            "899-99-9999",
            "123-45-6789-0",
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
            "1123-45-6789",
            "123-45-67890",
        ],
        expect![[r#"
            123-45-6789 -> [redacted] [0, 1, 0]
            123 45 6789 -> [redacted] [0, 1, 0]
            ssn=078-05-1120; -> ssn=[redacted]; [0, 1, 0]
            001-01-0001 -> [redacted] [0, 1, 0]
            899-99-9999 -> [redacted] [0, 1, 0]
            123-45-6789-0 -> [redacted]-0 [0, 1, 0]
            000-12-3456 -> as it is
            666-12-3456 -> as it is
            900-12-3456 -> as it is
            123-00-4567 -> as it is
            123-45-0000 -> as it is
            1123-45-6789 -> as it is
            123-45-67890 -> as it is
        "#]],
    );
}

#[test]
fn social_security_numbers_that_are_not_found() {
    check(
        &["123456789", "123.45.6789", "123--45--6789", "１２３-45-6789"],
        expect![[r#"
        123456789 -> as it is
        123.45.6789 -> as it is
        123--45--6789 -> as it is
        １２３-45-6789 -> as it is
    "#]],
    );
}

#[test]
fn email_addresses() {
    check(
        &[
            "bob@example.com",
            "Bob <bob.o'neil+tag@mail.example.co.uk>, and",
            "mail bob@example.com.",
            "müller@münchen.example",
            "用户@例子.公司",
            "a@xn--e1afmkfd.xn--p1ai",
            "{a@x.com,b@y.com}",
            r#"{"to":"bob@example.com","n":1}"#,
            r"line\nbob@example.com\nnext",
            r"DOMAIN\bob@example.com",
            "https://user:pw@host.example.com/path",
            "?a=1&email=bob@example.com&b=2",
            "'bob@example.com'",
            "bob@example.com-",
            "bob@example.com.123",
        ],
        expect![[r#"
            bob@example.com -> [redacted] [0, 0, 1]
            Bob <bob.o'neil+tag@mail.example.co.uk>, and -> Bob <[redacted]>, and [0, 0, 1]
            mail bob@example.com. -> mail [redacted]. [0, 0, 1]
            müller@münchen.example -> [redacted] [0, 0, 1]
            用户@例子.公司 -> [redacted] [0, 0, 1]
            a@xn--e1afmkfd.xn--p1ai -> [redacted] [0, 0, 1]
            {a@x.com,b@y.com} -> {[redacted],[redacted]} [0, 0, 2]
            {"to":"bob@example.com","n":1} -> {"to":"[redacted]","n":1} [0, 0, 1]
            line\nbob@example.com\nnext -> [redacted]\nnext [0, 0, 1]
            DOMAIN\bob@example.com -> [redacted] [0, 0, 1]
            https://user:pw@host.example.com/path -> https://user:[redacted]/path [0, 0, 1]
            ?a=1&email=bob@example.com&b=2 -> ?a=1&email=[redacted]&b=2 [0, 0, 1]
            'bob@example.com' -> '[redacted]' [0, 0, 1]
            bob@example.com- -> [redacted]- [0, 0, 1]
            bob@example.com.123 -> [redacted].123 [0, 0, 1]
        "#]],
    );
}

#[test]
fn email_addresses_that_are_not_found() {
    check(
        &[
            "bob@localhost",
            "bob@[192.0.2.1]",
            "bob@192.0.2.1",
            "@example.com",
            "bob@.com",
            "bob@example.c",
            "bob @example.com",
            "\"bob smith\"@example.com",
            "bob＠example.com",
            "bob%40example.com",
            r"bob\u0040example.com",
            "...@example.com",
        ],
        expect![[r#"
            bob@localhost -> as it is
            bob@[192.0.2.1] -> as it is
            bob@192.0.2.1 -> as it is
            @example.com -> as it is
            bob@.com -> as it is
            bob@example.c -> as it is
            bob @example.com -> as it is
            "bob smith"@example.com -> as it is
            bob＠example.com -> as it is
            bob%40example.com -> as it is
            bob\u0040example.com -> as it is
            ...@example.com -> as it is
        "#]],
    );
}

#[test]
fn overlapping_finds_are_hidden_as_one() {
    check(
        &[
            "4111111111111111@example.com",
            "4111 1111 1111 1111@example.com",
            "a@b.co@d.eu",
            "123-45-6789@example.com",
            "4111 1111 1111 1111 5500 0000 0000 0004",
        ],
        expect![[r#"
            4111111111111111@example.com -> [redacted] [1, 0, 1]
            4111 1111 1111 1111@example.com -> [redacted] [1, 0, 1]
            a@b.co@d.eu -> [redacted] [0, 0, 1]
            123-45-6789@example.com -> [redacted] [0, 1, 1]
            4111 1111 1111 1111 5500 0000 0000 0004 -> [redacted] [redacted] [2, 0, 0]
        "#]],
    );
}

#[test]
fn the_strongest_method_hides_an_overlap() {
    let key = MaskKey::new([7; 32]);
    let rules = [
        (Detector::CardNumber, MaskMethod::Redact),
        (Detector::Email, MaskMethod::Partial { keep: 4 }),
        (Detector::Email, MaskMethod::Partial { keep: 6 }),
    ];
    let masker = TextMasker::new(rules, &key);
    let hide = |text: &str| String::from_utf8(masker.mask(text.as_bytes()).unwrap().text).unwrap();
    assert_eq!(hide("bob@example.com"), "***********.com");
    assert_eq!(hide("4111111111111111@example.com"), "[redacted]");
}

#[test]
fn only_wanted_detectors_run() {
    let text = b"123-45-6789 4111111111111111 bob@example.com";
    for wanted in Detector::ALL {
        let masker = TextMasker::new([(wanted, MaskMethod::Redact)], &MaskKey::new([7; 32]));
        let finds = masker.mask(text).unwrap().finds;
        for detector in Detector::ALL {
            assert_eq!(finds.of(detector), u64::from(detector == wanted));
        }
    }
    assert!(TextMasker::new([], &MaskKey::new([7; 32])).mask(text).is_none());
}

/// A long local part is hidden by its last 64 bytes, a character at the limit is not cut in two, and a domain
/// ends at its limit at the end of a character.
#[test]
fn lengths_are_bounded_at_characters() {
    let masker = masker(MaskMethod::Redact);
    let local = format!("{}@example.com", "é".repeat(50));
    assert_eq!(
        String::from_utf8(masker.mask(local.as_bytes()).unwrap().text).unwrap(),
        format!("{}[redacted]", "é".repeat(18))
    );
    let odd = format!("a{}b@example.com", "é".repeat(50));
    assert_eq!(
        String::from_utf8(masker.mask(odd.as_bytes()).unwrap().text).unwrap(),
        format!("a{}[redacted]", "é".repeat(19))
    );
    let domain = format!("a@b.{}", "é".repeat(200));
    assert_eq!(
        String::from_utf8(masker.mask(domain.as_bytes()).unwrap().text).unwrap(),
        format!("[redacted]{}", "é".repeat(75))
    );
}

/// A036: a find in every position of a long value, with bytes around it that are not UTF-8.
#[test]
fn a036_a_find_at_every_position_of_a_value_is_hidden() {
    let masker = masker(MaskMethod::Redact);
    for secret in ["4111 1111 1111 1111", "123-45-6789", "bob@example.com"] {
        for at in 0..200 {
            let mut value = vec![0xff; at];
            value.push(b',');
            value.extend_from_slice(secret.as_bytes());
            value.extend(vec![b'"'; 200 - at]);
            let masked = masker.mask(&value).unwrap().text;
            let end = value.len() - (200 - at);
            let expected = [&value[..=at], b"[redacted]", &value[end..]].concat();
            assert_eq!(masked, expected, "{secret} at {at}");
        }
    }
}

/// A025, as far as detectors go: what an expression leaves readable in a longer text is hidden there.
#[test]
fn a025_secrets_inside_composed_text_are_hidden() {
    check(
        &[
            "(7,123-45-6789,4111111111111111,note)",
            r#"{"id":7,"ssn":"123-45-6789","card":"4111 1111 1111 1111"}"#,
            "{123-45-6789,078-05-1120}",
            "Failing row contains (1, 123-45-6789, 4111111111111111, bad).",
            "<ssn>123-45-6789</ssn>",
        ],
        expect![[r#"
            (7,123-45-6789,4111111111111111,note) -> (7,[redacted],[redacted],note) [1, 1, 0]
            {"id":7,"ssn":"123-45-6789","card":"4111 1111 1111 1111"} -> {"id":7,"ssn":"[redacted]","card":"[redacted]"} [1, 1, 0]
            {123-45-6789,078-05-1120} -> {[redacted],[redacted]} [0, 2, 0]
            Failing row contains (1, 123-45-6789, 4111111111111111, bad). -> Failing row contains (1, [redacted], [redacted], bad). [1, 1, 0]
            <ssn>123-45-6789</ssn> -> <ssn>[redacted]</ssn> [0, 1, 0]
        "#]],
    );
}
