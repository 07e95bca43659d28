//! Numbered channels in WebSocket messages (`k8s.io/apimachinery/pkg/util/remotecommand`, `.../kubelet/pkg/cri/streaming/portforward`).
//!
//! The first byte of a message is its channel. API servers take every *frame* for a message, others put frames together
//! first: a message in several frames would have two readings, so there are none (threats A62). kubectl and kubelets
//! send none.

use std::{sync::Arc, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use gatewright_http::{
    problem::Problem,
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    websocket::{self, Decoder, Frame, Limits, Opcode, Sender},
};
use gatewright_model::{kubernetes::StreamKind, permit::Denial, session::Side};

use super::{NOT_ASKED, refusal};
use crate::{
    channels::{Channel, Channels, stream},
    status::{Format, Status},
    violation::Violation,
};

/// The channel that tells how it ended.
const ERROR: u8 = 3;

/// RFC 6455 section 7.4.1.
const NORMAL_CLOSURE: u16 = 1_000;

/// Closes a channel, since the fifth version.
const CLOSE: u8 = 255;

/// A stream in numbered channels.
#[derive(Debug)]
pub struct ChannelTunnel {
    protocol: Protocol,
    /// Of a port-forward: channel 2n is connection n, 2n + 1 its errors.
    ports: Vec<u16>,
    channels: Channels,
    downstream: Direction,
    upstream: Direction,
}

#[derive(Debug, Clone, Copy)]
struct Protocol {
    is_base64: bool,
    has_close: bool,
}

/// What comes from one side.
#[derive(Debug)]
struct Direction {
    decoder: Decoder,
    /// The message that is being read, which is longer than a part.
    current: Option<Current>,
    /// What a client masked its last frame with.
    key: Option<[u8; 4]>,
}

#[derive(Debug)]
struct Current {
    number: u8,
    /// Base64 that did not fill three bytes.
    carry: Vec<u8>,
}

impl Protocol {
    fn read(name: &str) -> Option<Self> {
        let (is_base64, has_close) = match name {
            // Without any a server speaks the first version.
            "" | "channel.k8s.io" | "v2.channel.k8s.io" | "v3.channel.k8s.io" | "v4.channel.k8s.io" => {
                (false, false)
            }
            "v5.channel.k8s.io" => (false, true),
            "base64.channel.k8s.io" | "v4.base64.channel.k8s.io" => (true, false),
            _ => return None,
        };
        Some(Self { is_base64, has_close })
    }
}

impl ChannelTunnel {
    /// `ports`: of a port-forward, as the query named them.
    ///
    /// # Errors
    ///
    /// 502 `upstream.upgrade`: the target chose a protocol that is none of these.
    pub fn new(protocol: &str, ports: &[u16], channels: Channels) -> Result<Self, Refusal> {
        let protocol = Protocol::read(protocol).ok_or(NOT_ASKED)?;
        let direction = |sender| Direction {
            decoder: Decoder::new(sender, Limits::default()),
            current: None,
            key: None,
        };
        Ok(Self {
            protocol,
            ports: ports.to_vec(),
            channels,
            downstream: direction(Sender::Client),
            upstream: direction(Sender::Server),
        })
    }

    fn direction(&mut self, from: Side) -> &mut Direction {
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
        self.direction(from).decoder.push(bytes);
        while let Some(frame) = self.direction(from).decoder.poll_frame(now)? {
            let key = frame.key;
            self.direction(from).key = key;
            if frame.opcode.is_control() {
                if frame.opcode == Opcode::Close {
                    self.flush(from, passing);
                }
                websocket::encode(frame.opcode, true, &frame.payload, key, passing.towards(from.other()));
                passing.over |= self.downstream.decoder.is_closed() && self.upstream.decoder.is_closed();
                continue;
            }
            if !frame.is_final || frame.opcode == Opcode::Continuation {
                return Err(stream(
                    "a message is in several frames, and servers would read it in two ways",
                ));
            }
            self.message(now, from, &frame, passing)?;
        }
        Ok(())
    }

    /// A message, or a part of a long one.
    fn message(
        &mut self,
        now: Instant,
        from: Side,
        frame: &Frame,
        passing: &mut Passing,
    ) -> Result<(), Violation> {
        let is_base64 = self.protocol.is_base64;
        let (mut current, payload) = if frame.begins {
            let Some((&first, rest)) = frame.payload.split_first() else {
                // Nothing, for nobody.
                websocket::encode(frame.opcode, true, &[], frame.key, passing.towards(from.other()));
                return Ok(());
            };
            let number = match (is_base64, first) {
                (true, digit @ b'0'..=b'9') => digit - b'0',
                (true, _) => return Err(stream("a message has no channel")),
                (false, number) => number,
            };
            (Current { number, carry: Vec::new() }, rest)
        } else {
            let current = self.direction(from).current.take().ok_or(stream("a message has no channel"))?;
            (current, &frame.payload[..])
        };
        let decoded =
            if is_base64 { current.decode(payload, frame.ends)? } else { Bytes::copy_from_slice(payload) };
        let number = current.number;
        if !frame.ends {
            self.direction(from).current = Some(current);
        }
        if number == CLOSE && self.protocol.has_close {
            let [closed] = decoded[..] else { return Err(stream("a close is about one channel")) };
            return self.close(from, closed, frame, passing);
        }
        let channel = self.channel(number)?;
        let mut shown = Vec::new();
        if channel == Channel::Error {
            // Output that was held back comes before the end.
            self.flush(from, passing);
        }
        self.channels.data(now, from, channel, &decoded, &mut shown)?;
        // A message without bytes says something, too: a server begins with one.
        if !shown.is_empty() || decoded.is_empty() {
            self.send(from, number, frame.opcode, &shown, passing);
        }
        Ok(())
    }

    fn close(
        &mut self,
        from: Side,
        number: u8,
        frame: &Frame,
        passing: &mut Passing,
    ) -> Result<(), Violation> {
        let channel = self.channel(number)?;
        let mut held = Vec::new();
        self.channels.close(from, channel, &mut held)?;
        if !held.is_empty() {
            self.send(from, number, Opcode::Binary, &held, passing);
        }
        self.send(from, CLOSE, frame.opcode, &[number], passing);
        Ok(())
    }

    /// Sends what is held back of output: nothing more of it comes from this side.
    fn flush(&mut self, from: Side, passing: &mut Passing) {
        if from != Side::Upstream {
            return;
        }
        for channel in self.channels.held() {
            let mut held = Vec::new();
            self.channels.flush(channel, &mut held);
            let number = match channel {
                Channel::Stderr => 2,
                _ => 1,
            };
            if !held.is_empty() {
                let opcode = if self.protocol.is_base64 { Opcode::Text } else { Opcode::Binary };
                self.send(from, number, opcode, &held, passing);
            }
        }
    }

    fn send(&mut self, from: Side, number: u8, opcode: Opcode, bytes: &[u8], passing: &mut Passing) {
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        if self.protocol.is_base64 {
            message.extend_from_slice(&[b'0' + number]);
            message.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
        } else {
            message.extend_from_slice(&[number]);
            message.extend_from_slice(bytes);
        }
        let key = self.direction(from).key;
        // Text that was masked, or cut from a longer message, need not be text any more.
        let opcode = match std::str::from_utf8(&message) {
            Ok(_) => opcode,
            Err(_) => Opcode::Binary,
        };
        websocket::encode(opcode, true, &message, key, passing.towards(from.other()));
    }

    /// What a number means.
    fn channel(&self, number: u8) -> Result<Channel, Violation> {
        if self.channels.kind() == StreamKind::PortForward {
            let connection = number / 2;
            let port = self.ports.get(usize::from(connection)).copied();
            let port = port.ok_or(stream("there is a channel of a port that was not asked for"))?;
            let connection = connection.into();
            return Ok(if number.is_multiple_of(2) {
                Channel::Port { port, connection }
            } else {
                Channel::PortError { port, connection }
            });
        }
        Ok(match number {
            0 => Channel::Stdin,
            1 => Channel::Stdout,
            2 => Channel::Stderr,
            ERROR => Channel::Error,
            4 => Channel::Resize,
            _ => return Err(stream("a message is of a channel that there is not")),
        })
    }
}

impl Current {
    /// Base64 of which a part may be still to come.
    fn decode(&mut self, text: &[u8], ends: bool) -> Result<Bytes, Violation> {
        self.carry.extend_from_slice(text);
        let whole = if ends { self.carry.len() } else { self.carry.len() / 4 * 4 };
        let rest = self.carry.split_off(whole);
        let text = std::mem::replace(&mut self.carry, rest);
        BASE64_STANDARD.decode(text).map(Bytes::from).map_err(|_| stream("a message is not base64"))
    }
}

impl Tunnel for ChannelTunnel {
    fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        let stepped = self.step(now, from, bytes, passing);
        // What passes before the protocol is broken is sent, so it is recorded.
        passing.record.extend(self.channels.recorded());
        stepped.map_err(refusal)
    }

    fn end(&mut self, _now: Instant, from: Side, passing: &mut Passing) -> Result<(), Refusal> {
        // A connection that ends without a close, even inside a frame, ends for the other side in the same way.
        self.flush(from, passing);
        passing.record.extend(self.channels.recorded());
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

    fn terminate(&mut self, problem: &Problem, passing: &mut Passing) {
        if self.channels.kind() == StreamKind::PortForward {
            return;
        }
        let status = Status::of(problem, None).encode(Format::Json);
        let opcode = if self.protocol.is_base64 { Opcode::Text } else { Opcode::Binary };
        self.send(Side::Upstream, ERROR, opcode, &status, passing);
        // Clients read what they were told when the connection ends in good order, and not when it is cut.
        let code = NORMAL_CLOSURE.to_be_bytes();
        websocket::encode(Opcode::Close, true, &code, None, &mut passing.downstream);
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.channels.masked()
    }
}
