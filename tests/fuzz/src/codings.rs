//! Content codings: bytes of a target, decoded by libraries of others.
//!
//! The first byte of an input chooses a coding, the second how the rest is cut. The rest is the body.

#![expect(clippy::expect_used, reason = "a property that does not hold is a panic")]

use std::sync::Arc;

use gatewright_http::content::Masker;
use gatewright_masking::MaskKey;
use gatewright_model::mask::{Detector, DetectorMask, MaskMethod, MaskPlan};
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target =
    Target { name: "codings", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: no body panics or grows without bounds, and the end is the same however it is cut.
fn check(input: &[u8]) {
    let [coding, size, body @ ..] = input else { return };
    let coding = CODINGS.get(usize::from(*coding) % CODINGS.len()).copied().unwrap_or("gzip");
    let whole = play(coding, body, body.len().max(1));
    let cut = play(coding, body, usize::from(*size % 16) + 1);
    assert!(whole.0.len() <= 500 * body.len() + (3 << 20), "{} bytes from {}", whole.0.len(), body.len());
    // Of a bomb, more may be shown before it is known for one.
    assert_eq!(whole.1.is_none(), cut.1.is_none(), "the end depends on the cut");
    if whole.1.is_none() {
        assert_eq!(whole.0, cut.0, "what is shown depends on the cut");
    }
}

fn play(coding: &'static str, body: &[u8], size: usize) -> (Vec<u8>, Option<&'static str>) {
    let headers: HeaderMap = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (CONTENT_ENCODING, HeaderValue::from_static(coding)),
    ]
    .into_iter()
    .collect();
    let email =
        DetectorMask { detector: Detector::Email, method: MaskMethod::Redact, rule: Arc::from("email") };
    let plan = MaskPlan { detectors: vec![email], ..MaskPlan::default() };
    let mut out = Vec::new();
    let mut masker = Masker::new(&plan, &MaskKey::new([7; 32]), &headers).expect("text is masked");
    for mut piece in body.chunks(size) {
        loop {
            match masker.push(&mut piece, &mut out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => return (out, Some(refusal.code)),
            }
        }
    }
    let end = masker.finish(&mut out).err().map(|refusal| refusal.code);
    (out, end)
}

const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "gzip, gzip", "zstd, br"];

fn seeds() -> Vec<Vec<u8>> {
    let bodies: [(u8, &[u8]); 9] = [
        (0, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.gz")),
        (1, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.zlib")),
        (1, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.deflate")),
        (2, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.br")),
        (3, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.zst")),
        (2, include_bytes!("../../../protocols/http/tests/masks/bodies/spaces.br")),
        (3, include_bytes!("../../../protocols/http/tests/masks/bodies/spaces.zst")),
        (4, include_bytes!("../../../protocols/http/tests/masks/bodies/spaces.gz.gz")),
        (5, include_bytes!("../../../protocols/http/tests/masks/bodies/people.json.br")),
    ];
    bodies.iter().map(|(coding, body)| [&[*coding, 5], *body].concat()).collect()
}

/// Beginnings of members, frames and blocks.
const WORDS: &[&[u8]] = &[
    b"\x1f\x8b\x08\x00",
    b"\x78\x9c",
    b"\x03\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x28\xb5\x2f\xfd\x24",
    b"\x01\x00\x00",
    b"\xff\xff",
    b"\x00\x00\x00\xff\xff",
    b"\x06",
    b"\x3b",
];
