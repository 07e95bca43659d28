//! Text in which detectors search, and what is no text.

use super::{detectors, headers, masked, plan, play, refused};
use gatewright_model::mask::MaskMethod;

#[test]
fn a073_text_is_hidden_at_every_cut() {
    for media in
        ["text/plain", "text/html; charset=utf-8", "application/xml", "text/csv", "application/yaml"]
    {
        let body = "Dear bob@example.com, your card 4111-1111-1111-1111 and 123-45-6789 é\n";
        assert_eq!(
            masked(&detectors(), media, body),
            "Dear [redacted], your card [redacted] and [redacted] é\n"
        );
    }
}

#[test]
fn a071_text_in_another_charset_is_not_passed() {
    let utf16: Vec<u8> = "4111111111111111".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [&b"\xff\xfe"[..], &utf16].concat();
    for body in [&utf16[..], &marked, b"\xe9t\xe9", b"caf\xc3", b"a\0b"] {
        for media in ["text/plain", "text/event-stream"] {
            assert_eq!(refused(&detectors(), media, body), "mask.malformed", "{body:?}");
        }
    }
}

#[test]
fn paths_are_not_kept_in_text() {
    let paths = plan(&[("$.ssn", MaskMethod::Redact)], None);
    let (shown, end) = play(&paths, &headers("text/plain", None), [&b"{\"ssn\":1}"[..]]);
    assert_eq!((shown.len(), end.unwrap_err().code), (0, "mask.unsupported"));
}

#[test]
fn what_was_hidden_is_counted_also_where_the_text_is_cut() {
    let key = gatewright_masking::MaskKey::new([7; 32]);
    let headers = headers("text/plain", None);
    let mut masker = gatewright_http::content::Masker::new(&detectors(), &key, &headers).unwrap();
    masker.push(&mut &b"bob@example.com\n"[..], &mut Vec::new()).unwrap();
    assert!(masker.push(&mut &b"\xff"[..], &mut Vec::new()).is_err());
    assert_eq!(masker.counts(), [(std::sync::Arc::from("email"), 1)]);
}
