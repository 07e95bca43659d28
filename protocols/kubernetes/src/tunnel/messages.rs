//! WebSockets whose messages have no channels: a log, a watch, and what a Pod or Service behind a proxy speaks.
//!
//! Of a log each message is a piece of text, which detectors search. Of a watch each message is an event; to hide something in it is
//! not done: clients watch over plain HTTP, where it is. What is behind a proxy is nothing that the gateway knows.

use std::{sync::Arc, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gatewright_http::{
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    websocket::{self, Decoder, Frame, Limits, Opcode, Sender},
};
use gatewright_masking::MaskKey;
use gatewright_model::{kubernetes::RequestInfo, mask::MaskPlan, permit::Denial, session::Side};
use http::StatusCode;

use super::{NOT_ASKED, refusal};
use crate::{
    channels::{Channel, Channels, stream},
    violation::Violation,
};

/// A WebSocket without channels.
#[derive(Debug)]
pub struct MessageTunnel {
    kind: Kind,
    downstream: Decoder,
    upstream: Decoder,
}

#[derive(Debug)]
enum Kind {
    Log { channels: Box<Channels>, is_base64: bool },
    Watch,
    Proxy,
}

impl MessageTunnel {
    /// For what an API server itself sends in messages: `watch`, and `pods/log`.
    ///
    /// # Errors
    ///
    /// 502 `upstream.upgrade`: nothing else does. 403 `mask.unsupported`.
    pub fn new(
        info: &RequestInfo,
        protocol: &str,
        masks: Option<&MaskPlan>,
        key: &MaskKey,
    ) -> Result<Self, Refusal> {
        let is_base64 = match protocol {
            "" | "binary.k8s.io" => false,
            "base64.binary.k8s.io" => true,
            _ => return Err(NOT_ASKED),
        };
        match (&*info.verb, &*info.subresource) {
            ("watch", _) if !is_base64 => Self::unmasked(Kind::Watch, masks),
            ("get", "log") => {
                let channels = Box::new(Channels::of_log(masks, key)?);
                Ok(Self::of(Kind::Log { channels, is_base64 }))
            }
            _ => Err(NOT_ASKED),
        }
    }

    /// For what is behind a proxy.
    ///
    /// # Errors
    ///
    /// 403 `mask.unsupported`: nothing can be hidden in it.
    pub fn of_proxy(masks: Option<&MaskPlan>) -> Result<Self, Refusal> {
        Self::unmasked(Kind::Proxy, masks)
    }

    fn unmasked(kind: Kind, masks: Option<&MaskPlan>) -> Result<Self, Refusal> {
        if masks.is_some_and(|plan| !plan.is_empty()) { Err(UNMASKABLE) } else { Ok(Self::of(kind)) }
    }

    fn of(kind: Kind) -> Self {
        let decoder = |sender| Decoder::new(sender, Limits::default());
        Self { kind, downstream: decoder(Sender::Client), upstream: decoder(Sender::Server) }
    }

    fn decoder(&mut self, from: Side) -> &mut Decoder {
        match from {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
        }
    }

    fn step(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Violation> {
        self.decoder(from).push(bytes);
        while let Some(frame) = self.decoder(from).poll_frame(now)? {
            if frame.opcode.is_control() {
                if frame.opcode == Opcode::Close && from == Side::Upstream {
                    self.flush(passing);
                }
                websocket::encode(
                    frame.opcode,
                    true,
                    &frame.payload,
                    frame.key,
                    passing.towards(from.other()),
                );
                continue;
            }
            match (&mut self.kind, from) {
                (Kind::Log { .. } | Kind::Watch, Side::Downstream) => {
                    return Err(stream("a client sends data, and is only to be told something"));
                }
                (Kind::Log { channels, is_base64 }, Side::Upstream) => {
                    let shown = line(channels, *is_base64, now, &frame)?;
                    if !shown.is_empty() || frame.payload.is_empty() {
                        websocket::encode(opcode(*is_base64), true, &shown, None, &mut passing.downstream);
                    }
                }
                (Kind::Watch | Kind::Proxy, _) => websocket::forward(&frame, passing.towards(from.other())),
            }
        }
        passing.over |= self.downstream.is_closed() && self.upstream.is_closed();
        Ok(())
    }

    /// Sends what is held back: the log is over.
    fn flush(&mut self, passing: &mut Passing) {
        let Kind::Log { channels, is_base64 } = &mut self.kind else { return };
        let mut held = Vec::new();
        channels.flush(Channel::Log, &mut held);
        if !held.is_empty() {
            let text = encoded(*is_base64, held);
            websocket::encode(opcode(*is_base64), true, &text, None, &mut passing.downstream);
        }
    }
}

/// What is shown of a piece of a log.
fn line(
    channels: &mut Channels,
    is_base64: bool,
    now: Instant,
    frame: &Frame,
) -> Result<Vec<u8>, Violation> {
    let mut shown = Vec::new();
    if is_base64 {
        // A server cuts its messages at 32 KiB.
        if !frame.begins || !frame.ends || !frame.is_final {
            return Err(stream("a message of a log is longer than a server makes them"));
        }
        let bytes = BASE64_STANDARD.decode(&frame.payload);
        let bytes = bytes.map_err(|_| stream("a message is not base64"))?;
        channels.data(now, Side::Upstream, Channel::Log, &bytes, &mut shown)?;
    } else {
        channels.data(now, Side::Upstream, Channel::Log, &frame.payload, &mut shown)?;
    }
    Ok(encoded(is_base64, shown))
}

fn encoded(is_base64: bool, bytes: Vec<u8>) -> Vec<u8> {
    if is_base64 { BASE64_STANDARD.encode(bytes).into_bytes() } else { bytes }
}

const fn opcode(is_base64: bool) -> Opcode {
    if is_base64 { Opcode::Text } else { Opcode::Binary }
}

const UNMASKABLE: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "mask.unsupported",
    detail: "a policy hides something in messages that the gateway only passes on",
};

impl Tunnel for MessageTunnel {
    fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        self.step(now, from, bytes, passing).map_err(refusal)
    }

    fn end(&mut self, _now: Instant, from: Side, passing: &mut Passing) -> Result<(), Refusal> {
        if from == Side::Upstream {
            self.flush(passing);
        }
        Ok(())
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
        match &self.kind {
            Kind::Log { channels, .. } => channels.masked(),
            Kind::Watch | Kind::Proxy => Vec::new(),
        }
    }
}
