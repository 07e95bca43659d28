//! Hiding values in the body of an answer while it streams past.
//!
//! ```text
//! piece --> coding (gzip, br, ...) --> json | events | text --> piece, as identity
//!           ratio, truncation          paths and detectors
//! ```
//!
//! Nothing here does I/O, and nothing grows with the body: a [`Masker`] holds a window of a coding, the longest value that
//! it must see whole, and one level of state for each level of a document. However the body was cut into pieces, what
//! comes out is the same.
//!
//! What is not understood is not passed. A coding, a media type or a charset that is not known is a [`Refusal`] before the
//! first byte; a body that is not what its head says is one in its middle, and the answer is cut there: half of it was
//! masked, and the rest is not shown.
//!
//! | media type | paths of the plan | detectors |
//! | --- | --- | --- |
//! | `application/json`, `*+json`, NDJSON and documents one after another | values | strings, numbers and names |
//! | `text/event-stream` | values of JSON in `data` | likewise, and every other line |
//! | `text/*`, XML, YAML, forms, scripts | refused: it could be JSON under another name | the text as it stands |
//! | everything else, `multipart/*` among it | refused | refused |

mod coding;
mod event_stream;
mod json;
mod media;
mod rules;
mod text;

use std::sync::Arc;

use gatewright_masking::MaskKey;
use gatewright_model::mask::MaskPlan;
use http::HeaderMap;

pub use self::coding::OFFERED;
use self::{
    coding::Chain, event_stream::EventStreamMasker, json::JsonMasker, media::Media, rules::Rules,
    text::TextBody,
};
use crate::refusal::Refusal;

/// Masks one body.
#[derive(Debug)]
pub struct Masker {
    /// None: the body is not coded.
    coding: Option<Chain>,
    body: Body,
    /// What was decoded in this step.
    decoded: Vec<u8>,
}

#[derive(Debug)]
enum Body {
    Json(Box<JsonMasker>),
    Events(Box<EventStreamMasker>),
    Text(TextBody),
}

impl Masker {
    /// Makes ready for a body with these headers.
    ///
    /// # Errors
    ///
    /// 502 `mask.unsupported`: the plan can not be kept for such a body.
    pub fn new(plan: &MaskPlan, key: &MaskKey, headers: &HeaderMap) -> Result<Self, Refusal> {
        if !plan.columns.is_empty() || !plan.objects.is_empty() {
            return Err(unsupported("a policy hides columns or objects, and a body of bytes has none"));
        }
        let rules = Arc::new(Rules::new(plan, key));
        let coding = Chain::read(headers)?;
        let body = match media::read(headers)? {
            Media::Json => Body::Json(Box::new(JsonMasker::new(rules))),
            Media::EventStream => Body::Events(Box::new(EventStreamMasker::new(rules))),
            Media::Text if rules.paths.is_empty() => Body::Text(TextBody::new(rules)),
            Media::Text => {
                return Err(unsupported("a policy hides values of JSON, and this answer is text"));
            }
        };
        Ok(Self { coding, body, decoded: Vec::new() })
    }

    /// Takes in a part of `input`, removes it there, and appends what can be passed on to `out`. `true`: there is more to
    /// do, call again before new input, also when nothing of this one is left. One call appends some hundred KiB at most,
    /// so that whoever calls can wait for a slow reader in between.
    ///
    /// # Errors
    ///
    /// 502 `http.encoding`, `mask.malformed` or `mask.limit`. Nothing more may be passed on.
    pub fn push(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Refusal> {
        let Some(coding) = &mut self.coding else {
            let (piece, rest) = input.split_at_checked(STEP).unwrap_or((*input, &[]));
            self.body.push(piece, out)?;
            *input = rest;
            return Ok(!rest.is_empty());
        };
        self.decoded.resize(STEP, 0);
        let count = coding.decode(input, &mut self.decoded)?;
        self.body.push(self.decoded.get(..count).unwrap_or_default(), out)?;
        Ok(count == STEP || !input.is_empty())
    }

    /// The body is over. Appends what is left to `out`.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push): the body is not complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if let Some(coding) = &self.coding {
            coding.finish()?;
        }
        match &mut self.body {
            Body::Json(json) => json.finish(out),
            Body::Events(events) => events.finish(out),
            Body::Text(text) => text.finish(out),
        }
    }

    /// Values that were hidden until now, by rule.
    pub fn counts(&self) -> Vec<(Arc<str>, u64)> {
        match &self.body {
            Body::Json(json) => json.tally().counts(),
            Body::Events(events) => events.tally().counts(),
            Body::Text(text) => text.tally().counts(),
        }
    }
}

impl Body {
    fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Self::Json(json) => json.push(piece, out),
            Self::Events(events) => events.push(piece, out),
            Self::Text(text) => text.push(piece, out),
        }
    }
}

/// A body for which a plan can not be kept.
pub(crate) const fn unsupported(detail: &'static str) -> Refusal {
    Refusal::bad_answer("mask.unsupported", detail)
}

/// A body that is not what its head says.
const fn malformed(detail: &'static str) -> Refusal {
    Refusal::bad_answer("mask.malformed", detail)
}

/// A body with something longer than is held.
const fn limit(detail: &'static str) -> Refusal {
    Refusal::bad_answer("mask.limit", detail)
}

/// Bytes of a body that one step takes in. A masked number can be 34 times as long as it was.
const STEP: usize = 16 << 10;
