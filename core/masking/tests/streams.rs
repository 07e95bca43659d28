//! Streams: however the text is cut, the result is that of the whole, in bounded memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use gatewright_masking::{Finds, MAX_HELD, MaskKey, StreamMasker, TextMasker};
use gatewright_model::mask::{Detector, MaskMethod};
use proptest::{collection::vec, prelude::*, sample::select};

fn masker() -> Arc<TextMasker> {
    let rules = [
        (Detector::CardNumber, MaskMethod::Partial { keep: 4 }),
        (Detector::Ssn, MaskMethod::Redact),
        (Detector::Email, MaskMethod::Hash),
    ];
    Arc::new(TextMasker::new(rules, &MaskKey::new([7; 32])))
}

fn whole(text: &[u8]) -> (Vec<u8>, Finds) {
    masker()
        .mask(text)
        .map_or_else(|| (text.to_vec(), Finds::default()), |masked| (masked.text, masked.finds))
}

fn streamed<'t>(pieces: impl IntoIterator<Item = &'t [u8]>) -> (Vec<u8>, Finds) {
    let (mut stream, mut out) = (StreamMasker::new(masker()), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
        assert!(stream.held() <= MAX_HELD, "{} bytes are held", stream.held());
    }
    let finds = stream.finish(&mut out);
    (out, finds)
}

/// Texts made of what detectors look at, so that random texts are near finds and full of overlaps. Half of them
/// have nothing that parts finds for sure, so that a stream has to hold back as much as it can.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts = |parts: Vec<&'static [u8]>| vec(select(parts), 0..200).prop_map(|parts| parts.concat());
    prop_oneof![parts(TOUCHING.to_vec()), parts([TOUCHING, PARTING].concat())]
}

const TOUCHING: &[&[u8]] = &[
    b"4111",
    b"1111",
    b"4111111111111111",
    b"5500 0000 0000 0004",
    b"123-45-6789",
    b"123",
    b"45",
    b"6789",
    b"0",
    b" ",
    b"-",
    b".",
    b"@",
    b"\\",
    b"a",
    b"bob",
    b"bob@example.com",
    b"@example.com",
    b".co",
    b"4",
    b"5555555555555555",
    "é".as_bytes(),
    "日本".as_bytes(),
    b"\xff",
    b"\x80",
    b"_",
    b"'",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const PARTING: &[&[u8]] = &[b"\n", b",", b"\"", b"\0", b"/"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a073_any_chunking_gives_the_result_of_the_whole(text in text(), cuts in vec(0usize..4_000, 0..40)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        prop_assert_eq!(streamed(pieces), whole(&text));
    }

    #[test]
    fn a073_byte_by_byte_gives_the_result_of_the_whole(text in text()) {
        prop_assert_eq!(streamed(text.chunks(1)), whole(&text));
    }

    #[test]
    fn any_bytes_are_taken_and_utf8_stays_utf8(text in any::<Vec<u8>>(), more in text()) {
        for text in [text, more] {
            let (masked, _) = whole(&text);
            if std::str::from_utf8(&text).is_ok() {
                prop_assert!(std::str::from_utf8(&masked).is_ok());
            }
        }
    }

    /// A find is never passed: whatever stands around it, if that does not touch it.
    #[test]
    fn a036_what_is_surrounded_by_anything_is_hidden(before in text(), after in text()) {
        for secret in ["4111 1111 1111 1111", "123-45-6789", "bob@example.com"] {
            let text = [&before, b"\n".as_slice(), secret.as_bytes(), b"\n", &after].concat();
            let (masked, _) = whole(&text);
            let around = [whole(&before).0, b"\n".to_vec(), whole(secret.as_bytes()).0, b"\n".to_vec(), whole(&after).0];
            prop_assert_eq!(masked, around.concat());
        }
    }
}

/// A073: each secret cut at every byte, in two and in three.
#[test]
fn a073_secrets_cut_at_every_byte_are_hidden() {
    for secret in ["4111 1111 1111 1111", "123-45-6789", "bob@example.com"] {
        let text = format!("before {secret} after");
        let text = text.as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let (masked, finds) = streamed(pieces);
                assert_eq!((masked, finds), whole(text), "{secret} cut at {first} and {second}");
                assert_ne!(finds, Finds::default());
            }
        }
    }
}

/// Two finds that touch are two, and two that share a byte are one, wherever a stream is cut.
#[test]
fn a073_finds_that_meet_are_told_apart_by_one_byte() {
    for (between, ssns, emails, shown) in [(64, 1, 1, 2), (63, 1, 1, 1)] {
        let text = format!("123-45-6789{}@example.com {}", "a".repeat(between), "b".repeat(400));
        let rules = [Detector::Ssn, Detector::Email].map(|detector| (detector, MaskMethod::Redact));
        let masker = Arc::new(TextMasker::new(rules, &MaskKey::new([7; 32])));
        let whole = masker.mask(text.as_bytes()).unwrap();
        let (mut stream, mut out) = (StreamMasker::new(masker), Vec::new());
        for byte in text.as_bytes() {
            stream.push(&[*byte], &mut out);
        }
        let finds = stream.finish(&mut out);
        assert_eq!((finds.of(Detector::Ssn), finds.of(Detector::Email)), (ssns, emails));
        assert_eq!(String::from_utf8(out.clone()).unwrap().matches("[redacted]").count(), shown);
        assert_eq!((out, finds), (whole.text, whole.finds));
    }
}

/// A036: text that overlaps without end does not make the stream hold more, and still shows nothing.
#[test]
fn a036_endless_overlaps_are_held_in_bounded_memory() {
    for chain in ["a@b.co@c.co@d.co", "5555 5555 5555 5555 ", "aaaaaaaa", "11111111", "4-4-4 4"] {
        let text = chain.repeat(200_000 / chain.len());
        let expected = whole(text.as_bytes());
        assert_eq!(streamed(text.as_bytes().chunks(997)), expected, "{chain}");
        assert_eq!(streamed([text.as_bytes()]), expected, "{chain}");
    }
    let (shown, _) = whole("a@b.co@c.co@d.co".repeat(10_000).as_bytes());
    assert!(!shown.contains(&b'@'));
}

/// What is complete is passed on at once: a reader of lines never waits for the next line.
#[test]
fn a_line_is_passed_on_with_its_end() {
    let (mut stream, mut out) = (StreamMasker::new(masker()), Vec::new());
    stream.push(b"1\t123-45-6789\tx\n", &mut out);
    assert_eq!(out, b"1\t[redacted]\tx\n");
    assert_eq!(stream.held(), 0);
    stream.push(b"2 123-45", &mut out);
    assert_eq!(stream.held(), 8);
}

/// A stream that breaks shows nothing of what it holds.
#[test]
fn a_dropped_stream_shows_nothing_more() {
    let (mut stream, mut out) = (StreamMasker::new(masker()), Vec::new());
    stream.push(b"123-45-6789", &mut out);
    drop(stream);
    assert!(out.is_empty());
}
