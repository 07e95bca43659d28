//! Output for terminals: what is shown is searched, however it is written and cut.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::sync::Arc;

use expect_test::{Expect, expect};
use gatewright_masking::{MAX_SPENT, MAX_TERMINAL_HELD, MaskKey, TerminalMasker, TextMasker, Width};
use gatewright_model::mask::{Detector, MaskMethod};
use proptest::{collection::vec, prelude::*, sample::select};
use unicode_width::UnicodeWidthStr as _;

fn masker(method: MaskMethod) -> Arc<TextMasker> {
    let rules = Detector::ALL.map(|detector| (detector, method));
    Arc::new(TextMasker::new(rules, &MaskKey::new([7; 32])))
}

const PARTIAL: MaskMethod = MaskMethod::Partial { keep: 4 };

fn streamed<'t>(pieces: impl IntoIterator<Item = &'t [u8]>, method: MaskMethod, width: Width) -> Vec<u8> {
    let (mut stream, mut out) = (TerminalMasker::new(masker(method), width), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
        assert!(stream.held() <= MAX_TERMINAL_HELD, "{} bytes are held", stream.held());
    }
    stream.let_go(&mut out);
    assert_eq!(stream.held(), 0);
    out
}

fn masked(text: &str, method: MaskMethod, width: Width) -> String {
    let whole = streamed([text.as_bytes()], method, width);
    assert_eq!(streamed(text.as_bytes().chunks(1), method, width), whole, "{text:?} byte by byte");
    String::from_utf8(whole).unwrap()
}

fn check(texts: &[&str], method: MaskMethod, width: Width, expected: Expect) {
    let line = |text: &&str| format!("{:?} -> {:?}\n", text, masked(text, method, width));
    expected.assert_eq(&texts.iter().map(line).collect::<String>());
}

#[test]
fn a_number_with_colours_in_it_is_hidden_and_keeps_them() {
    check(
        &[
            "\x1b[31m4111\x1b[0m 1111 1111 1111 ok",
            "4111111\x1b[01;31m\x1b[K1111\x1b[m\x1b[K11111",
            "bob@\x1b]8;;mailto:x\x1b\\example.com\x1b]8;;\x1b\\ ok",
            "4111\x1b[C1111\x1b[C1111\x1b[C1111",
            "4\x071\x001\x0e1\x0f11111\x7f111111\x1b(B1",
            "4111 1111\u{9b}1m 1111 1111",
        ],
        PARTIAL,
        Width::Kept,
        expect![[r#"
            "\u{1b}[31m4111\u{1b}[0m 1111 1111 1111 ok" -> "\u{1b}[31m****\u{1b}[0m***********1111 ok"
            "4111111\u{1b}[01;31m\u{1b}[K1111\u{1b}[m\u{1b}[K11111" -> "*******\u{1b}[01;31m\u{1b}[K****\u{1b}[m\u{1b}[K*1111"
            "bob@\u{1b}]8;;mailto:x\u{1b}\\example.com\u{1b}]8;;\u{1b}\\ ok" -> "****\u{1b}]8;;mailto:x\u{1b}\\*******.com\u{1b}]8;;\u{1b}\\ ok"
            "4111\u{1b}[C1111\u{1b}[C1111\u{1b}[C1111" -> "****\u{1b}[C****\u{1b}[C****\u{1b}[C1111"
            "4\u{7}1\01\u{e}1\u{f}11111\u{7f}111111\u{1b}(B1" -> "*\u{7}*\0*\u{e}*\u{f}*****\u{7f}***111\u{1b}(B1"
            "4111 1111\u{9b}1m 1111 1111" -> "*********\u{9b}1m******1111"
        "#]],
    );
}

#[test]
fn what_stands_for_it_is_as_wide_where_a_terminal_counts_columns() {
    let texts =
        ["|4111111111111111|", "|a@b.co|", "|4111 \x1b[1m1111 1111\x1b[0m 1111|", "|日本@example.com|"];
    check(
        &texts,
        MaskMethod::Redact,
        Width::Kept,
        expect![[r#"
        "|4111111111111111|" -> "|[redacted]******|"
        "|a@b.co|" -> "|[redac|"
        "|4111 \u{1b}[1m1111 1111\u{1b}[0m 1111|" -> "|[reda\u{1b}[1mcted]****\u{1b}[0m*****|"
        "|日本@example.com|" -> "|[redacted]******|"
    "#]],
    );
    check(
        &texts,
        MaskMethod::Hash,
        Width::Kept,
        expect![[r#"
        "|4111111111111111|" -> "|f2a3ed64afefa1ce|"
        "|a@b.co|" -> "|8a0ff0|"
        "|4111 \u{1b}[1m1111 1111\u{1b}[0m 1111|" -> "|7095f\u{1b}[1mcfb5224bc\u{1b}[0m29b25|"
        "|日本@example.com|" -> "|42af379f69c01ab4|"
    "#]],
    );
    check(
        &texts,
        PARTIAL,
        Width::Kept,
        expect![[r#"
        "|4111111111111111|" -> "|************1111|"
        "|a@b.co|" -> "|**b.co|"
        "|4111 \u{1b}[1m1111 1111\u{1b}[0m 1111|" -> "|*****\u{1b}[1m*********\u{1b}[0m*1111|"
        "|日本@example.com|" -> "|************.com|"
    "#]],
    );
    check(
        &texts,
        MaskMethod::Redact,
        Width::Free,
        expect![[r#"
        "|4111111111111111|" -> "|[redacted]|"
        "|a@b.co|" -> "|[redacted]|"
        "|4111 \u{1b}[1m1111 1111\u{1b}[0m 1111|" -> "|[reda\u{1b}[1mcted]\u{1b}[0m|"
        "|日本@example.com|" -> "|[redacted]|"
    "#]],
    );
    check(
        &texts,
        PARTIAL,
        Width::Free,
        expect![[r#"
        "|4111111111111111|" -> "|************1111|"
        "|a@b.co|" -> "|**b.co|"
        "|4111 \u{1b}[1m1111 1111\u{1b}[0m 1111|" -> "|*****\u{1b}[1m*********\u{1b}[0m*1111|"
        "|日本@example.com|" -> "|**********.com|"
    "#]],
    );
}

#[test]
fn what_a_title_says_is_hidden_in_it() {
    check(
        &["\x1b]0;card 4111111111111111\x07$ ", "\x1bPbob@example.com\x1b\\", "\x1b[4111111111111111m"],
        MaskMethod::Redact,
        Width::Kept,
        expect![[r#"
            "\u{1b}]0;card 4111111111111111\u{7}$ " -> "\u{1b}]0;card ****************\u{7}$ "
            "\u{1b}Pbob@example.com\u{1b}\\" -> "\u{1b}P***************\u{1b}\\"
            "\u{1b}[4111111111111111m" -> "\u{1b}[****************m"
        "#]],
    );
}

/// A sequence that passes a column over takes it.
#[test]
fn a_column_that_is_passed_over_is_not_written_to() {
    for width in [Width::Kept, Width::Free] {
        let out = masked("|4111\x1b[C1111\x1b[C1111\x1b[C1111|", PARTIAL, width);
        assert_eq!(out, "|****\x1b[C****\x1b[C****\x1b[C1111|");
    }
}

/// A second net, and no boundary: what is drawn is not what is read.
#[test]
fn numbers_that_are_not_found() {
    check(
        &[
            // Drawn from behind.
            "\x1b[9G11111111\x1b[1G41111111",
            // Written over.
            "4112\x081 1111 1111 1111",
            "4111 1111 \r\x1b[10C1111 1111",
            // Four times the same.
            "4111 1\x1b[3b 1111 1111",
            "4111 1111\x1b[3C1111 1111",
            // A terminal ends the line, and takes the rest for a colour.
            "411111111111111\x1b[3\n1m1",
        ],
        PARTIAL,
        Width::Kept,
        expect![[r#"
            "\u{1b}[9G11111111\u{1b}[1G41111111" -> "\u{1b}[9G11111111\u{1b}[1G41111111"
            "4112\u{8}1 1111 1111 1111" -> "4112\u{8}1 1111 1111 1111"
            "4111 1111 \r\u{1b}[10C1111 1111" -> "4111 1111 \r\u{1b}[10C1111 1111"
            "4111 1\u{1b}[3b 1111 1111" -> "4111 1\u{1b}[3b 1111 1111"
            "4111 1111\u{1b}[3C1111 1111" -> "4111 1111\u{1b}[3C1111 1111"
            "411111111111111\u{1b}[3\n1m1" -> "411111111111111\u{1b}[3\n1m1"
        "#]],
    );
    let colours = "\x1b[31m".repeat(MAX_SPENT / 5 + 1);
    let torn = format!("4111 1111{colours} 1111 1111");
    assert_eq!(masked(&torn, PARTIAL, Width::Kept), torn);
    // Latin 1 has the control of eight bits, and UTF-8 a part of a character.
    let latin = b"4111 1111\x9b1m 1111 1111";
    assert_eq!(streamed([&latin[..]], PARTIAL, Width::Kept), latin);
}

/// A place that a program moves to begins something of its own: what stands before it can not hide a number there.
#[test]
fn what_is_drawn_elsewhere_is_found_by_itself() {
    check(
        &["12 \x1b[5;1H4111111111111111\x1b[6;1H7", "99\x1b[24d4111 1111 1111 1111\r\n"],
        PARTIAL,
        Width::Kept,
        expect![[r#"
            "12 \u{1b}[5;1H4111111111111111\u{1b}[6;1H7" -> "12 \u{1b}[5;1H************1111\u{1b}[6;1H7"
            "99\u{1b}[24d4111 1111 1111 1111\r\n" -> "99\u{1b}[24d***************1111\r\n"
        "#]],
    );
}

fn let_go(pieces: &[&str], method: MaskMethod, width: Width) -> String {
    let (mut stream, mut shown) = (TerminalMasker::new(masker(method), width), String::new());
    for piece in pieces {
        let mut out = Vec::new();
        stream.push(piece.as_bytes(), &mut out);
        shown += &format!("{:?}", String::from_utf8_lossy(&out));
        out.clear();
        stream.let_go(&mut out);
        assert_eq!(stream.held(), 0);
        shown += &format!("|{:?} ", String::from_utf8_lossy(&out));
    }
    shown + &format!("{:?}", Detector::ALL.map(|detector| stream.finds().of(detector)))
}

#[test]
fn what_was_let_go_is_remembered_and_the_rest_is_hidden() {
    for (pieces, method, width, expected) in [
        (
            &["$ ", "4111 1111", " 1111 11", "11", "\r\n"][..],
            PARTIAL,
            Width::Kept,
            expect![[r#""$ "|"" ""|"4111 1111" ""|" 1111 11" ""|"**" "\r\n"|"" [1, 0, 0]"#]],
        ),
        (
            &["4111 1111", " 1111 1111", "\n"],
            MaskMethod::Redact,
            Width::Kept,
            expect![[r#"""|"4111 1111" ""|"[redacted]" "\n"|"" [1, 0, 0]"#]],
        ),
        (
            &["4111 1111", " 1111 1111", "\n"],
            MaskMethod::Redact,
            Width::Free,
            expect![[r#"""|"4111 1111" ""|"[redacted]" "\n"|"" [1, 0, 0]"#]],
        ),
        // It was one when it was let go, and is a longer one now.
        (
            &["bob@example.co", "m", " x"],
            MaskMethod::Redact,
            Width::Free,
            expect![[r#"""|"[redacted]" ""|"[redacted]" " "|"x" [0, 0, 1]"#]],
        ),
        (
            &["4111111111111111", " ", "4111111111111111", "\n"],
            PARTIAL,
            Width::Kept,
            expect![[r#"""|"************1111" ""|" " ""|"************1111" "\n"|"" [2, 0, 0]"#]],
        ),
        // Sequences, too.
        (
            &["411111111\x1b[3", "1m1111111\x1b", "[0m\n"],
            PARTIAL,
            Width::Kept,
            expect![[r#"""|"411111111\u{1b}[3" "1m"|"*******\u{1b}" "[0m\n"|"" [1, 0, 0]"#]],
        ),
        (
            &["a\x1b]0;bob@exam", "ple.com\x07b"],
            PARTIAL,
            Width::Kept,
            expect![[r#"""|"a\u{1b}]0;bob@exam" "ple.com\u{7}"|"b" [0, 0, 0]"#]],
        ),
        (
            &["a\x1b[3", "\n4111111111111111\n"],
            PARTIAL,
            Width::Kept,
            expect![[r#"""|"a\u{1b}[3" "\n************1111\n"|"" [1, 0, 0]"#]],
        ),
    ] {
        expected.assert_eq(&let_go(pieces, method, width));
    }
}

/// A prompt and the echo of keys: only what may still become a find waits.
#[test]
fn what_can_not_become_a_find_is_passed_on_at_once() {
    let cards = TextMasker::new([(Detector::CardNumber, PARTIAL)], &MaskKey::new([7; 32]));
    let (mut stream, mut out) = (TerminalMasker::new(Arc::new(cards), Width::Kept), Vec::new());
    let typed = "\x1b[?2004halice@host:~$ cat cards.txt";
    for byte in typed.as_bytes() {
        stream.push(&[*byte], &mut out);
    }
    assert_eq!(String::from_utf8_lossy(&out), typed);
    stream.push(b"\x1b[0m 4\x1b[1m", &mut out);
    assert_eq!(stream.held(), 5);
}

#[test]
fn a_sequence_that_never_ends_and_endless_ones_are_passed_on() {
    for endless in
        ["\x1b]0;xxxxxxxxxxxxxxxx", "\x1b[31m", "\x1b[", "\x1bP", "4\x1b[1m", "\0", "\u{9b}", "1\x1b[C"]
    {
        let text = endless.repeat(300_000 / endless.len());
        for size in [1, 997, text.len()] {
            let out = streamed(text.as_bytes().chunks(size), PARTIAL, Width::Kept);
            assert_eq!(out.len(), text.len(), "{endless:?} in pieces of {size}");
        }
    }
    // It was text all along.
    let never = format!("\x1b]0;{} 4111111111111111\n", "x".repeat(5_000));
    assert!(masked(&never, PARTIAL, Width::Kept).ends_with("x ************1111\n"));
}

/// Parts of texts near finds, sequences of every kind, and parts of sequences.
fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(select([TEXTS, SEQUENCES, TORN].concat()), 0..120).prop_map(|parts| parts.concat())
}

const TEXTS: &[&[u8]] = &[
    b"4111",
    b"1111",
    b"4111111111111111",
    b"5500 0000 0000 0004",
    b"123-45-6789",
    b"123",
    b"45",
    b"6",
    b" ",
    b"-",
    b".",
    b"@",
    b"bob",
    b"bob@example.com",
    b"@example.com",
    b".co",
    "é".as_bytes(),
    "日本".as_bytes(),
    b"\xff",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    b"\r\n",
    b",",
];

const SEQUENCES: &[&[u8]] = &[
    b"\x1b[31m",
    b"\x1b[0m",
    b"\x1b[K",
    b"\x1b[C",
    b"\x1b[5;1H",
    b"\x1b(B",
    b"\x1b]0;bob@example.com\x07",
    b"\x1b]8;;x\x1b\\",
    b"\xc2\x9b1m",
    b"\0",
    b"\x07",
];

const TORN: &[&[u8]] =
    &[b"\x1b", b"[", b"\x1b[3", b"\xc2", b"\x1b]", b"\x1bP", b"\\", b"m", b"\x80", b"\x9b", b"\x18"];

fn cut(text: &[u8], cuts: Vec<usize>) -> Vec<&[u8]> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn methods() -> impl Strategy<Value = MaskMethod> {
    select(vec![PARTIAL, MaskMethod::Redact, MaskMethod::Hash])
}

/// Sequences that show nothing, between any two characters of a text.
fn with_sequences(text: &str, places: &[(usize, usize)]) -> String {
    let hidden =
        ["\x1b[31m", "\x1b[0;1m", "\x1b[K", "\x1b(B", "\x1b]0;title\x07", "\u{9b}1m", "\0", "\x1b[?25l"];
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    for (place, which) in places {
        if let Some(at) = place.checked_rem(parts.len()) {
            parts[at] += hidden[which % hidden.len()];
        }
    }
    parts.concat()
}

fn without_sequences(text: &str) -> String {
    let mut text = text.to_owned();
    for hidden in
        ["\x1b[31m", "\x1b[0;1m", "\x1b[K", "\x1b(B", "\x1b]0;title\x07", "\u{9b}1m", "\0", "\x1b[?25l"]
    {
        text = text.replace(hidden, "");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a073_any_cut_gives_the_result_of_the_whole(text in text(), cuts in vec(0usize..4_000, 0..40), method in methods(), kept in any::<bool>()) {
        let width = if kept { Width::Kept } else { Width::Free };
        let whole = streamed([&*text], method, width);
        prop_assert_eq!(streamed(cut(&text, cuts), method, width), whole.clone());
        prop_assert_eq!(streamed(text.chunks(1), method, width), whole);
    }

    /// A find is hidden whatever is hidden in it, and everything else stays.
    #[test]
    fn a073_what_is_shown_is_what_the_text_alone_would_show(
        text in vec(select(vec!["4111", "1111 ", "123-45-6789", "bob", "@", "example.com", ".", "é", "日", "\n", " ", "4111111111111111", "-"]), 0..60),
        places in vec((any::<usize>(), any::<usize>()), 0..60),
        method in methods(),
    ) {
        let text = text.concat();
        let dressed = with_sequences(&text, &places);
        let free = masked(&dressed, method, Width::Free);
        let alone = masker(method).mask(text.as_bytes());
        let alone = alone.map_or_else(|| text.clone(), |masked| String::from_utf8(masked.text).unwrap());
        prop_assert_eq!(without_sequences(&free), alone);
        let kept = masked(&dressed, method, Width::Kept);
        // None of the sequences is lost, or anywhere else.
        let lines = |text: &str| text.split('\n').map(|line| without_sequences(line).width()).collect::<Vec<_>>();
        prop_assert_eq!(lines(&kept), lines(&dressed));
        prop_assert_eq!(kept.matches('\x1b').count(), dressed.matches('\x1b').count());
    }

    /// Whatever is let go and when, what comes after it is hidden, and nothing is lost or twice there.
    #[test]
    fn a073_what_is_let_go_is_passed_on_once(text in text(), cuts in vec(0usize..4_000, 0..40)) {
        let (mut stream, mut out) = (TerminalMasker::new(masker(PARTIAL), Width::Free), Vec::new());
        for (index, piece) in cut(&text, cuts).into_iter().enumerate() {
            stream.push(piece, &mut out);
            if index % 2 == 0 {
                stream.let_go(&mut out);
                prop_assert_eq!(stream.held(), 0);
            }
        }
        stream.let_go(&mut out);
        // Each character that is hidden is one `*`.
        let count = |text: &[u8]| text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty())).sum::<usize>();
        let same = |text: &[u8]| String::from_utf8_lossy(text).chars().filter(char::is_ascii_control).collect::<String>();
        prop_assert_eq!(same(&out), same(&text));
        if std::str::from_utf8(&text).is_ok() && std::str::from_utf8(&out).is_ok() {
            prop_assert_eq!(count(&out), count(&text));
        }
    }

    /// What is complete within one piece is hidden, whatever was let go before it.
    #[test]
    fn a036_a_find_that_nothing_tears_is_hidden(before in text(), after in text()) {
        for secret in ["4111 1111 1111 1111", "123-45-6789", "bob@example.com"] {
            let (mut stream, mut out) = (TerminalMasker::new(masker(MaskMethod::Redact), Width::Kept), Vec::new());
            stream.push(&before, &mut out);
            stream.let_go(&mut out);
            let start = out.len();
            // Whatever sequence is open is given up.
            stream.push(format!("\x18\n{secret}\n").as_bytes(), &mut out);
            stream.push(&after, &mut out);
            stream.let_go(&mut out);
            let shown = String::from_utf8_lossy(&out[start..]).into_owned();
            prop_assert!(shown.starts_with("\x18\n[redacted]"), "{shown:?}");
        }
    }
}
