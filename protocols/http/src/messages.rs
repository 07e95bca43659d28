//! A WebSocket as HTTP has it: messages in both directions, and in those of the target what must be hidden.
//!
//! Frames are read and written again, masked or not: what was not understood does not pass (threats A75). Where something is
//! to be hidden, a message of text is taken whole, because a value may stand in any of its frames; it becomes one frame. What
//! is no text could carry anything, and ends the connection.
//!
//! Detectors see one message at a time: a number that a target spreads over two messages is two halves of nothing.

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use gatewright_masking::MaskKey;
use gatewright_model::{mask::MaskPlan, permit::Denial, session::Side};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS},
};

use crate::{
    content::Masker,
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    websocket::{self, Decoder, Frame, Limits, Opcode, Sender, Violation},
};

/// A WebSocket.
#[derive(Debug)]
pub struct WebSocketTunnel {
    downstream: Decoder,
    upstream: Decoder,
    hidden: Option<Hidden>,
}

/// What is hidden in the messages of a target.
#[derive(Debug)]
struct Hidden {
    plan: MaskPlan,
    key: MaskKey,
    /// The frames of a message that is not complete.
    message: BytesMut,
    /// Is the message one of text?
    is_text: bool,
    masked: Vec<(Arc<str>, u64)>,
}

/// The longest message in which something is hidden, in bytes.
const LONGEST: usize = 1 << 20;

impl WebSocketTunnel {
    /// For the answer with this head.
    ///
    /// # Errors
    ///
    /// 502 `upstream.upgrade`: the target wants extensions, which nobody offered. 502 `mask.unsupported`.
    pub fn new(answer: &HeaderMap, masks: Option<&MaskPlan>, key: &MaskKey) -> Result<Self, Refusal> {
        if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(Refusal::bad_answer(
                "upstream.upgrade",
                "the target uses extensions that nobody offered",
            ));
        }
        if masks.is_some_and(|plan| !plan.columns.is_empty() || !plan.objects.is_empty()) {
            return Err(UNMASKABLE);
        }
        let decoder = |sender| Decoder::new(sender, Limits::default());
        let hidden = masks.filter(|plan| !plan.is_empty()).map(|plan| Hidden {
            plan: plan.clone(),
            key: key.clone(),
            message: BytesMut::new(),
            is_text: false,
            masked: Vec::new(),
        });
        Ok(Self { downstream: decoder(Sender::Client), upstream: decoder(Sender::Server), hidden })
    }

    fn decoder(&mut self, from: Side) -> &mut Decoder {
        match from {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
        }
    }
}

impl Tunnel for WebSocketTunnel {
    fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        let to = from.other();
        self.decoder(from).push(bytes);
        while let Some(frame) = self.decoder(from).poll_frame(now).map_err(refusal)? {
            let out = passing.towards(to);
            match (&mut self.hidden, from) {
                (Some(hidden), Side::Upstream) if !frame.opcode.is_control() => hidden.take(&frame, out)?,
                // Of a close, its code; what else a control frame carries is text that nobody looks into.
                (Some(_), Side::Upstream) => {
                    let code = if frame.opcode == Opcode::Close { frame.payload.get(..2) } else { None };
                    websocket::encode(frame.opcode, true, code.unwrap_or_default(), None, out);
                }
                _ => websocket::forward(&frame, out),
            }
        }
        passing.over |= self.downstream.is_closed() && self.upstream.is_closed();
        Ok(())
    }

    fn end(&mut self, _now: Instant, from: Side, _passing: &mut Passing) -> Result<(), Refusal> {
        if self.decoder(from).is_between_messages() {
            Ok(())
        } else {
            Err(Refusal::bad_answer("ws.cut", "a side ended in the middle of a message"))
        }
    }

    fn answer(
        &mut self,
        _now: Instant,
        _answer: Result<(), &Denial>,
        _passing: &mut Passing,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.hidden.as_ref().map(|hidden| hidden.masked.clone()).unwrap_or_default()
    }
}

impl Hidden {
    fn take(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), Refusal> {
        if frame.begins && frame.opcode != Opcode::Continuation {
            self.is_text = frame.opcode == Opcode::Text;
        }
        if !self.is_text {
            return Err(UNMASKABLE);
        }
        if self.message.len() + frame.payload.len() > LONGEST {
            return Err(Refusal::bad_answer(
                "mask.limit",
                "a message is longer than what can be hidden in at once",
            ));
        }
        self.message.extend_from_slice(&frame.payload);
        if frame.is_final && frame.ends {
            let message = self.message.split();
            let shown = self.mask(&message)?;
            websocket::encode(Opcode::Text, true, &shown, None, out);
        }
        Ok(())
    }

    fn mask(&mut self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(message).is_ok();
        let media_type = if is_json { "application/json" } else { "text/plain" };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let mut masker = Masker::new(&self.plan, &self.key, &headers)?;
        let (mut input, mut shown) = (message, Vec::with_capacity(message.len()));
        while masker.push(&mut input, &mut shown)? {}
        masker.finish(&mut shown)?;
        for (rule, count) in masker.counts() {
            match self.masked.iter_mut().find(|(own, _)| *own == rule) {
                Some((_, all)) => *all += count,
                None => self.masked.push((rule, count)),
            }
        }
        Ok(shown)
    }
}

fn refusal(violation: Violation) -> Refusal {
    Refusal { status: StatusCode::BAD_GATEWAY, code: violation.code, detail: violation.detail }
}

const UNMASKABLE: Refusal = Refusal::bad_answer(
    "mask.unsupported",
    "a policy hides parts of what is sent, and this can not be read",
);

#[cfg(test)]
mod tests {
    use gatewright_model::{
        json_path::JsonPath,
        mask::{Detector, DetectorMask, JsonMask, MaskMethod},
    };

    use super::*;

    fn plan() -> MaskPlan {
        let (method, rule) = (MaskMethod::Partial { keep: 4 }, Arc::from("hide/ssn"));
        MaskPlan {
            json: vec![JsonMask { path: JsonPath::parse("$..ssn").unwrap(), method, rule }],
            ..MaskPlan::default()
        }
    }

    fn detectors() -> MaskPlan {
        let (method, rule) = (MaskMethod::Redact, Arc::from("hide/cards"));
        let detectors = vec![DetectorMask { detector: Detector::CardNumber, method, rule }];
        MaskPlan { detectors, ..MaskPlan::default() }
    }

    fn tunnel(masks: Option<&MaskPlan>) -> WebSocketTunnel {
        WebSocketTunnel::new(&HeaderMap::new(), masks, &MaskKey::new([7; 32])).unwrap()
    }

    fn frames(parts: &[(Opcode, bool, &str)]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for (opcode, is_final, text) in parts {
            websocket::encode(*opcode, *is_final, text.as_bytes(), None, &mut out);
        }
        out.to_vec()
    }

    /// What a client is shown of what a target sends, cut after every `step` bytes.
    fn shown(masks: Option<&MaskPlan>, sent: &[u8], step: usize) -> Result<Vec<u8>, Refusal> {
        let (mut tunnel, mut passing) = (tunnel(masks), Passing::default());
        for piece in sent.chunks(step) {
            tunnel.push(Instant::now(), Side::Upstream, piece, &mut passing)?;
        }
        Ok(passing.downstream.to_vec())
    }

    #[test]
    fn a073_values_are_hidden_however_a_message_is_cut() {
        let sent = frames(&[
            (Opcode::Text, false, "{\"ssn\": \"078-05"),
            (Opcode::Ping, true, "?"),
            (Opcode::Continuation, true, "-1120\", \"name\": \"Ann\"}"),
            (Opcode::Text, true, "[{\"ssn\": 1}]"),
        ]);
        let whole = shown(Some(&plan()), &sent, sent.len()).unwrap();
        let text = String::from_utf8_lossy(&whole);
        assert!(text.contains("\"*******1120\"") && text.contains("Ann"), "{text}");
        assert!(!text.contains("078-05"), "{text}");
        for step in 1..sent.len() {
            assert_eq!(shown(Some(&plan()), &sent, step).unwrap(), whole, "{step}");
        }
        let cards =
            frames(&[(Opcode::Text, false, "pay 4111 1111 "), (Opcode::Continuation, true, "1111 1111")]);
        let text = shown(Some(&detectors()), &cards, 1).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("4111"), "no JSON is text");
    }

    #[test]
    fn a075_what_can_not_be_read_is_not_shown() {
        for (masks, sent) in [
            (plan(), frames(&[(Opcode::Binary, true, "{\"ssn\": 1}")])),
            (plan(), frames(&[(Opcode::Text, true, "no JSON")])),
            (detectors(), frames(&[(Opcode::Binary, false, "4111"), (Opcode::Continuation, true, "")])),
            (detectors(), frames(&[(Opcode::Text, true, &"x".repeat(LONGEST + 1))])),
        ] {
            assert!(shown(Some(&masks), &sent, 4096).is_err());
        }
        let mut answer = HeaderMap::new();
        answer.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
        assert!(WebSocketTunnel::new(&answer, None, &MaskKey::new([7; 32])).is_err());
    }

    #[test]
    fn a075_frames_that_are_none_end_the_connection() {
        for sent in
            [&[0x91, 0x00][..], &[0x83, 0x00], &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], &[0x80, 0x00]]
        {
            assert!(shown(None, sent, 1).is_err(), "{sent:?}");
        }
        let plain = frames(&[(Opcode::Text, true, "{\"ssn\": 1}"), (Opcode::Binary, true, "\u{0}\u{1}")]);
        assert_eq!(shown(None, &plain, 3).unwrap(), plain, "as it came");
    }

    #[test]
    fn a074_a_message_that_is_cut_is_no_end() {
        let (mut tunnel, mut passing) = (tunnel(None), Passing::default());
        let half = frames(&[(Opcode::Text, false, "half")]);
        tunnel.push(Instant::now(), Side::Upstream, &half, &mut passing).unwrap();
        assert!(tunnel.end(Instant::now(), Side::Upstream, &mut passing).is_err());
    }
}
