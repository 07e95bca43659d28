//! Answers of which parts are hidden: what that means for both heads.
//!
//! A mask is kept or the answer is refused (threats A72). So a request whose answer will be masked asks for all of it, and
//! in no form that is not looked into; and an answer says nothing about a body that nobody will see: its length, its
//! digests, the tags by which its content could be guessed.
//!
//! Detectors search the values of headers too: a redirect to `/users/bob@example.com` would show what the body hides. A
//! find is hidden in its place; where it only shows once percent-encoding is undone, the header is dropped. A number in a
//! trace identifier that has a right check digit is hidden as well.

use std::sync::Arc;

use bytes::BytesMut;
use gatewright_masking::{MaskKey, TextMasker};
use gatewright_model::mask::{Detector, MaskPlan};
use http::{HeaderMap, HeaderValue, StatusCode, header, response};

use crate::{
    content::{Masker, OFFERED, unsupported},
    filter::Filter,
    percent,
    refusal::Refusal,
};

/// Hides parts of answers.
#[derive(Debug, Clone)]
pub struct Masking {
    key: MaskKey,
}

impl Masking {
    /// With this key of keyed hashes.
    pub const fn new(key: MaskKey) -> Self {
        Self { key }
    }

    /// The key.
    pub(crate) const fn key(&self) -> &MaskKey {
        &self.key
    }

    /// Changes the head of a request so that its answer can be masked. `reads`: it is one that asks for no change.
    ///
    /// # Errors
    ///
    /// 403 `mask.unsupported`: no answer of HTTP can be, as the plan hides columns of tables or objects of lists.
    pub fn prepare(&self, plan: &MaskPlan, reads: bool, headers: &mut HeaderMap) -> Result<(), Refusal> {
        if !plan.columns.is_empty() || !plan.objects.is_empty() {
            return Err(UNMASKABLE);
        }
        let codings = headers.get_all(header::ACCEPT_ENCODING).iter();
        let takes_offer =
            codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(takes_offer);
        let coding = if takes_offer { OFFERED } else { "identity" };
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
        for name in PARTIAL_REQUEST {
            headers.remove(*name);
        }
        if reads {
            // Whether a condition holds tells what the whole answer is, bit by bit.
            headers.remove(header::IF_MATCH);
            headers.remove(header::IF_UNMODIFIED_SINCE);
        }
        Ok(())
    }

    /// Changes the head of an answer, and makes what masks its body. A head without a body gets a filter as well, for
    /// what was hidden in it.
    ///
    /// # Errors
    ///
    /// 502 `mask.unsupported`: the plan can not be kept for this answer. Nothing of it may be sent.
    pub fn filter(
        &self,
        plan: &MaskPlan,
        head: &mut response::Parts,
        has_body: bool,
    ) -> Result<Box<dyn Filter>, Refusal> {
        // Nobody asked for a part. What is missing in one could be what a path begins with.
        if matches!(head.status, StatusCode::PARTIAL_CONTENT | StatusCode::IM_USED) {
            return Err(unsupported("a policy hides parts of this answer, and it is only a part itself"));
        }
        let masker = if has_body { Some(Masker::new(plan, &self.key, &head.headers)?) } else { None };
        for name in ABOUT_THE_BODY {
            head.headers.remove(*name);
        }
        let masked = self.search(plan, &mut head.headers);
        Ok(Box::new(BodyMask { masker, masked, made: Vec::new() }))
    }

    /// Hides what detectors find in headers.
    fn search(&self, plan: &MaskPlan, headers: &mut HeaderMap) -> Vec<(Arc<str>, u64)> {
        let mut masked = Vec::new();
        if plan.detectors.is_empty() {
            return masked;
        }
        let rules = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        let detectors = TextMasker::new(rules, &self.key);
        let mut count = |detector: Detector, finds: u64| {
            for mask in plan.detectors.iter().filter(|mask| mask.detector == detector && finds > 0) {
                add(&mut masked, &mask.rule, finds);
            }
        };
        let mut kept = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers.iter() {
            let plain = detectors.mask(value.as_bytes());
            let hidden = plain.as_ref().map_or(value.as_bytes(), |found| &found.text);
            // Anything left once the encoding is undone?
            let encoded = detectors.mask(&percent::decode_what_can_be(hidden));
            for found in plain.iter().chain(encoded.iter()) {
                Detector::ALL.into_iter().for_each(|detector| count(detector, found.finds.of(detector)));
            }
            if encoded.is_none()
                && let Ok(value) = HeaderValue::from_bytes(hidden)
            {
                kept.append(name.clone(), value);
            }
        }
        *headers = kept;
        masked
    }
}

/// Masks a body, and knows what was hidden in its head.
#[derive(Debug)]
struct BodyMask {
    /// None: there is no body.
    masker: Option<Masker>,
    masked: Vec<(Arc<str>, u64)>,
    /// What one step made.
    made: Vec<u8>,
}

impl Filter for BodyMask {
    fn push(&mut self, mut piece: &[u8], out: &mut BytesMut) -> Result<(), Refusal> {
        let Some(masker) = &mut self.masker else { return Ok(()) };
        let before = out.len();
        loop {
            self.made.clear();
            let more = masker.push(&mut piece, &mut self.made)?;
            out.extend_from_slice(&self.made);
            if !more {
                return Ok(());
            }
            if out.len() - before > BURST {
                return Err(Refusal::bad_answer(
                    "http.encoding",
                    "a piece of the target's answer grows too much when it is decoded",
                ));
            }
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Refusal> {
        let Some(masker) = &mut self.masker else { return Ok(()) };
        self.made.clear();
        masker.finish(&mut self.made)?;
        out.extend_from_slice(&self.made);
        Ok(())
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        let mut masked = self.masked.clone();
        for (rule, count) in self.masker.iter().flat_map(Masker::counts) {
            add(&mut masked, &rule, count);
        }
        masked
    }
}

fn add(masked: &mut Vec<(Arc<str>, u64)>, rule: &Arc<str>, more: u64) {
    match masked.iter_mut().find(|(own, _)| own == rule) {
        Some((_, count)) => *count += more,
        None => masked.push((Arc::clone(rule), more)),
    }
}

/// Is this one of the codings that are acceptable (RFC 9110 section 12.5.3), and the one that is offered?
fn takes_offer(coding: &[u8]) -> bool {
    let mut parts = coding.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let offered = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(OFFERED.as_bytes()));
    let weight = parts.next().unwrap_or(b"q=1");
    offered && weight.iter().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// What asks for a part of an answer, for an answer only if it has changed, or for digests of what will not be shown. A
/// condition on a write (`If-Match`) stays: without it the write would be another one. It tells whether a value is what somebody
/// guesses, once for each write that would be done.
const PARTIAL_REQUEST: &[&str] = &[
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "a-im",
    "want-digest",
    "want-repr-digest",
    "want-content-digest",
    "x-amz-checksum-mode",
];

/// What an answer says of its body as it was.
const ABOUT_THE_BODY: &[&str] = &[
    "content-length",
    "content-encoding",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
    "content-md5",
    "digest",
    "repr-digest",
    "content-digest",
    "delta-base",
    "im",
    "signature",
    "signature-input",
    "x-goog-hash",
    "x-checksum",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-ms-blob-content-md5",
    "x-content-sha256",
    "x-sha256",
];

/// Bytes that one piece may become. What one piece becomes waits for the client all at once.
const BURST: usize = 32 << 20;

const UNMASKABLE: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides parts of this answer, and the gateway can not do that to it",
};
