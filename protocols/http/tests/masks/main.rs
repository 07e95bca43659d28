//! Masks of bodies: whatever the coding, the type and the cut, no secret passes, and nothing else changes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that does what can not be done is a broken test"
)]

mod codings;
mod events;
mod json;
mod texts;

use std::sync::Arc;

use gatewright_http::{content::Masker, refusal::Refusal};
use gatewright_masking::MaskKey;
use gatewright_model::{
    json_path::JsonPath,
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
};
use http::{HeaderMap, HeaderValue, header};

/// A plan of paths, and of all detectors or none.
fn plan(paths: &[(&str, MaskMethod)], detectors: Option<MaskMethod>) -> MaskPlan {
    let json = paths.iter().map(|(path, method)| JsonMask {
        path: JsonPath::parse(path).unwrap(),
        method: *method,
        rule: Arc::from(*path),
    });
    let detectors = detectors.into_iter().flat_map(|method| {
        Detector::ALL.map(|detector| DetectorMask { detector, method, rule: Arc::from(detector.as_str()) })
    });
    MaskPlan { json: json.collect(), detectors: detectors.collect(), ..MaskPlan::default() }
}

fn detectors() -> MaskPlan {
    plan(&[], Some(MaskMethod::Redact))
}

fn headers(media: &'static str, coding: Option<&'static str>) -> HeaderMap {
    let coding = coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
    [(header::CONTENT_TYPE, HeaderValue::from_static(media))].into_iter().chain(coding).collect()
}

/// What was hidden, by rule, or why it was refused.
type End = Result<Vec<(Arc<str>, u64)>, Refusal>;

/// What is shown, and how it ended.
fn play<'p>(
    plan: &MaskPlan,
    headers: &HeaderMap,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<u8>, End) {
    let mut out = Vec::new();
    let mut masker = match Masker::new(plan, &MaskKey::new([7; 32]), headers) {
        Ok(masker) => masker,
        Err(refusal) => return (out, Err(refusal)),
    };
    for mut piece in pieces {
        loop {
            match masker.push(&mut piece, &mut out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => return (out, Err(refusal)),
            }
        }
        assert!(piece.is_empty());
    }
    let end = masker.finish(&mut out).map(|()| masker.counts());
    (out, end)
}

/// The text that a good body becomes: whole, byte by byte, and cut in two at every byte, always the same.
fn masked(plan: &MaskPlan, media: &'static str, body: &str) -> String {
    let headers = headers(media, None);
    let (whole, end) = play(plan, &headers, [body.as_bytes()]);
    let counts = end.unwrap_or_else(|refusal| panic!("{}: {body}", refusal.detail));
    let bytes = play(plan, &headers, body.as_bytes().chunks(1));
    assert_eq!((&whole, Ok(&counts)), (&bytes.0, bytes.1.as_ref()), "byte by byte: {body}");
    for at in 0..body.len().min(2_000) {
        let (one, other) = body.as_bytes().split_at(at);
        let (cut, end) = play(plan, &headers, [one, other]);
        assert_eq!(String::from_utf8_lossy(&cut), String::from_utf8_lossy(&whole), "cut at {at}: {body}");
        assert_eq!(end.as_ref(), Ok(&counts));
    }
    String::from_utf8(whole).unwrap()
}

/// The code with which a body is refused, however it is cut. What was shown before has nothing of `secret`.
fn refused(plan: &MaskPlan, media: &'static str, body: &[u8]) -> &'static str {
    let headers = headers(media, None);
    let code = play(plan, &headers, [body]).1.map(|_| String::from_utf8_lossy(body).into_owned());
    let code = code.expect_err("refused").code;
    let (_, end) = play(plan, &headers, body.chunks(1));
    assert_eq!(end.unwrap_err().code, code, "byte by byte");
    code
}
