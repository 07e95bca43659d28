//! SPDY inside WebSocket messages, where message borders mean nothing: how kubectl forwards ports since 1.30.

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use gatewright_http::{
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    websocket::{self, Decoder, Limits, Opcode, Sender},
};
use gatewright_model::{kubernetes::KubernetesEvent, permit::Denial, session::Side};

use super::{
    refusal,
    spdy::{Out, Relay},
};
use crate::{
    channels::{Channels, stream},
    violation::Violation,
};

/// SPDY in WebSocket messages.
#[derive(Debug)]
pub struct NestedTunnel {
    relay: Relay,
    downstream: Decoder,
    upstream: Decoder,
    /// What the client masked its last frame with.
    key: Option<[u8; 4]>,
}

impl NestedTunnel {
    /// For a request that was permitted.
    pub fn new(event: KubernetesEvent, channels: Channels) -> Self {
        // All of a connection may be one message in many frames; of each only a part is held.
        let limits = Limits { message: u64::MAX };
        Self {
            relay: Relay::new(event, channels),
            downstream: Decoder::new(Sender::Client, limits),
            upstream: Decoder::new(Sender::Server, limits),
            key: None,
        }
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
            if from == Side::Downstream {
                self.key = frame.key;
            }
            match frame.opcode {
                Opcode::Text => return Err(stream("a message is text where bytes are expected")),
                Opcode::Binary | Opcode::Continuation => {
                    self.carried(passing, |relay, out| relay.push(now, from, &frame.payload, out))?
                }
                Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    if frame.opcode == Opcode::Close {
                        self.carried(passing, |relay, out| {
                            relay.end(from, out);
                            Ok(())
                        })?;
                    }
                    websocket::encode(
                        frame.opcode,
                        true,
                        &frame.payload,
                        frame.key,
                        passing.towards(from.other()),
                    );
                }
            }
        }
        passing.over |= self.downstream.is_closed() && self.upstream.is_closed();
        Ok(())
    }

    /// Puts what the relay sends into messages.
    fn carried(
        &mut self,
        passing: &mut Passing,
        act: impl FnOnce(&mut Relay, &mut Out<'_>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let (mut upstream, mut downstream) = (BytesMut::new(), BytesMut::new());
        let mut out = Out { upstream: &mut upstream, downstream: &mut downstream, ask: &mut passing.ask };
        act(&mut self.relay, &mut out)?;
        if !upstream.is_empty() {
            websocket::encode(Opcode::Binary, true, &upstream, self.key, &mut passing.upstream);
        }
        if !downstream.is_empty() {
            websocket::encode(Opcode::Binary, true, &downstream, None, &mut passing.downstream);
        }
        Ok(())
    }
}

impl Tunnel for NestedTunnel {
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
        let ended = self.carried(passing, |relay, out| {
            relay.end(from, out);
            Ok(())
        });
        ended.map_err(refusal)
    }

    fn answer(
        &mut self,
        now: Instant,
        answer: Result<(), &Denial>,
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        self.carried(passing, |relay, out| relay.answer(now, answer, out)).map_err(refusal)?;
        // What had come behind what was asked about.
        self.step(now, Side::Downstream, &[], passing).map_err(refusal)
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.relay.masked()
    }
}
