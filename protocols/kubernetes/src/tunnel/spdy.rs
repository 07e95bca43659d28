//! Named streams in SPDY frames (`k8s.io/apimachinery/pkg/util/httpstream/spdy`, `.../kubelet/pkg/cri/streaming`).
//!
//! A client opens all streams, and says what each is in its headers: `streamtype`, and for port-forward `port` and
//! `requestid`. A stream is forwarded after it is known what it is (threats A62), and a connection to a port after that port
//! was permitted. To a port that is refused nothing is sent: the client gets the reason where kubelets write theirs, in the
//! error stream, and its other streams go on.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use gatewright_http::{
    problem::Problem,
    refusal::Refusal,
    tunnel::{Passing, Tunnel},
    websocket::Rate,
};
use gatewright_model::{
    event::Facet,
    kubernetes::{KubernetesEvent, Stream, StreamKind},
    permit::Denial,
    session::Side,
};

use super::refusal;
use crate::{
    channels::{Channel, Channels, stream as violation},
    spdy::{Decoder, Encoder, Frame, Headers, header},
    status::{Format, Status},
    violation::Violation,
};

/// Streams that are open at once at most. A kubelet takes fewer.
const MOST_STREAMS: usize = 1_000;

/// Frames about the connection that a side may send within a second.
const MOST_CONTROLS: u32 = 100;

/// A stream in SPDY frames.
#[derive(Debug)]
pub struct SpdyTunnel(Relay);

/// Both directions of a SPDY connection, whatever carries its bytes.
#[derive(Debug)]
pub(super) struct Relay {
    event: KubernetesEvent,
    channels: Channels,
    downstream: Half,
    upstream: Half,
    streams: HashMap<u32, Open>,
    /// The last stream that the client opened.
    last: u32,
    /// Channels of a process that there were: each is there once.
    opened: HashSet<Channel>,
    /// The stream that tells how a process ended.
    error: Option<u32>,
    permitted: HashSet<u16>,
    /// A stream whose port is being judged. Nothing is read meanwhile.
    asked: Option<Asked>,
}

/// What comes from a side, and what goes to it.
#[derive(Debug, Default)]
struct Half {
    decoder: Decoder,
    encoder: Encoder,
    controls: Rate,
}

#[derive(Debug)]
struct Open {
    channel: Channel,
    /// The target does not know of it.
    is_refused: bool,
    /// Which sides may still send.
    downstream: bool,
    upstream: bool,
}

#[derive(Debug)]
struct Asked {
    stream: u32,
    fin: bool,
    headers: Headers,
    channel: Channel,
    port: u16,
}

/// Where frames go.
pub(super) struct Out<'a> {
    pub(super) upstream: &'a mut BytesMut,
    pub(super) downstream: &'a mut BytesMut,
    pub(super) ask: &'a mut Option<Box<Facet>>,
}

impl Relay {
    pub(super) fn new(event: KubernetesEvent, channels: Channels) -> Self {
        Self {
            event,
            channels,
            downstream: Half::default(),
            upstream: Half::default(),
            streams: HashMap::new(),
            last: 0,
            opened: HashSet::new(),
            error: None,
            permitted: HashSet::new(),
            asked: None,
        }
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Violation> {
        self.half(from).decoder.push(bytes);
        self.read(now, from, out)
    }

    /// Sends what is held back: nothing more comes from this side.
    pub(super) fn end(&mut self, from: Side, out: &mut Out<'_>) {
        if from == Side::Upstream {
            self.flush(out);
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        answer: Result<(), &Denial>,
        out: &mut Out<'_>,
    ) -> Result<(), Violation> {
        let Some(Asked { stream, fin, headers, channel, port }) = self.asked.take() else { return Ok(()) };
        match answer {
            Ok(()) => {
                self.permitted.insert(port);
                self.open(stream, fin, headers, channel, out);
            }
            Err(denial) => self.refuse(stream, channel, port, denial, out),
        }
        self.read(now, Side::Downstream, out)
    }

    pub(super) fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.channels.masked()
    }

    /// Tells the client of a process in the stream that says how it ended.
    fn terminate(&mut self, problem: &Problem, out: &mut Out<'_>) {
        let Some(stream) = self.error else { return };
        let payload = Status::of(problem, None).encode(Format::Json);
        self.send(Side::Downstream, &Frame::Data { stream, fin: true, payload }, out);
        self.send(Side::Downstream, &Frame::GoAway { last: self.last, status: 0 }, out);
    }

    fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
        }
    }

    fn send(&mut self, to: Side, frame: &Frame, out: &mut Out<'_>) {
        match to {
            Side::Downstream => self.downstream.encoder.encode(frame, out.downstream),
            Side::Upstream => self.upstream.encoder.encode(frame, out.upstream),
        }
    }

    fn read(&mut self, now: Instant, from: Side, out: &mut Out<'_>) -> Result<(), Violation> {
        while self.asked.is_none() {
            let Some(frame) = self.half(from).decoder.poll_frame()? else { break };
            self.frame(now, from, frame, out)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        now: Instant,
        from: Side,
        frame: Frame,
        out: &mut Out<'_>,
    ) -> Result<(), Violation> {
        match (frame, from) {
            (Frame::SynStream { stream, fin, headers }, Side::Downstream) => {
                return self.begin(stream, fin, headers, out);
            }
            (Frame::SynReply { stream, fin, headers }, Side::Upstream) => {
                let Some(open) = self.streams.get_mut(&stream).filter(|open| !open.is_refused) else {
                    return self.late(stream);
                };
                open.upstream &= !fin;
                self.send(Side::Downstream, &Frame::SynReply { stream, fin, headers }, out);
            }
            (Frame::Data { stream, fin, payload }, _) => {
                return self.data(now, from, stream, fin, &payload, out);
            }
            (Frame::RstStream { stream, status }, _) => {
                let Some(open) = self.streams.remove(&stream) else { return self.late(stream) };
                if !open.is_refused {
                    if from == Side::Upstream {
                        self.flush_stream(stream, open.channel, out);
                    }
                    self.send(from.other(), &Frame::RstStream { stream, status }, out);
                }
            }
            (frame @ (Frame::Settings { .. } | Frame::Ping { .. } | Frame::WindowUpdate { .. }), _) => {
                if self.half(from).controls.exceeds(MOST_CONTROLS, now) {
                    return Err(violation(
                        "there are more frames about the connection than any program needs",
                    ));
                }
                self.send(from.other(), &frame, out);
            }
            (frame @ Frame::GoAway { .. }, _) => {
                self.end(from, out);
                self.send(from.other(), &frame, out);
            }
            (Frame::SynStream { .. }, Side::Upstream) => {
                return Err(violation("the target opened a stream"));
            }
            (Frame::SynReply { .. }, Side::Downstream) | (Frame::Headers { .. }, _) => {
                return Err(violation("headers came where none belong"));
            }
        }
        Ok(())
    }

    /// A client opens a stream.
    fn begin(
        &mut self,
        stream: u32,
        fin: bool,
        headers: Headers,
        out: &mut Out<'_>,
    ) -> Result<(), Violation> {
        if stream.is_multiple_of(2) || stream <= self.last {
            return Err(violation("a client's streams have odd numbers that grow"));
        }
        if self.streams.len() >= MOST_STREAMS {
            return Err(violation("there are more streams than any client needs"));
        }
        self.last = stream;
        let channel = self.channel(&headers)?;
        match channel {
            Channel::Port { port, .. } | Channel::PortError { port, .. } => {
                if !self.is_permitted(port) {
                    *out.ask = self.about(port);
                    self.asked = Some(Asked { stream, fin, headers, channel, port });
                    return Ok(());
                }
            }
            _ => {
                self.channels.open(channel)?;
                if !self.opened.insert(channel) {
                    return Err(violation("a process has one stream of each kind"));
                }
                if channel == Channel::Error {
                    self.error = Some(stream);
                }
            }
        }
        self.open(stream, fin, headers, channel, out);
        Ok(())
    }

    fn open(&mut self, stream: u32, fin: bool, headers: Headers, channel: Channel, out: &mut Out<'_>) {
        self.streams.insert(stream, Open { channel, is_refused: false, downstream: !fin, upstream: true });
        self.send(Side::Upstream, &Frame::SynStream { stream, fin, headers }, out);
    }

    /// Tells a client in the error stream, as a kubelet does with a port where nobody listens.
    fn refuse(&mut self, stream: u32, channel: Channel, port: u16, denial: &Denial, out: &mut Out<'_>) {
        self.streams.insert(stream, Open { channel, is_refused: true, downstream: true, upstream: false });
        let block = &denial.block;
        let said = match channel {
            Channel::PortError { .. } => {
                let text = format!("port {port}: {} (rule {}): {}", block.reason, block.rule, block.remedy);
                Bytes::from(text)
            }
            _ => Bytes::new(),
        };
        self.send(Side::Downstream, &Frame::SynReply { stream, fin: false, headers: Headers::new() }, out);
        self.send(Side::Downstream, &Frame::Data { stream, fin: true, payload: said }, out);
    }

    /// What a stream is, by its headers.
    fn channel(&self, headers: &Headers) -> Result<Channel, Violation> {
        let kind = header(headers, "streamtype");
        if self.channels.kind() != StreamKind::PortForward {
            return Ok(match kind {
                Some("error") => Channel::Error,
                Some("stdin") => Channel::Stdin,
                Some("stdout") => Channel::Stdout,
                Some("stderr") => Channel::Stderr,
                Some("resize") => Channel::Resize,
                _ => return Err(violation("a stream is of no known type")),
            });
        }
        let port = header(headers, "port").and_then(port).ok_or(violation("a stream has no port"))?;
        let number = |text: &str| text.parse().ok();
        let connection = header(headers, "requestid").and_then(number).unwrap_or_default();
        match kind {
            Some("data") => Ok(Channel::Port { port, connection }),
            Some("error") => Ok(Channel::PortError { port, connection }),
            _ => Err(violation("a stream is of no known type")),
        }
    }

    fn is_permitted(&self, port: u16) -> bool {
        let judged = self.event.stream.as_ref().is_some_and(|stream| stream.ports.contains(&port));
        judged || self.permitted.contains(&port)
    }

    /// The request once more, about one port.
    fn about(&self, port: u16) -> Option<Box<Facet>> {
        let stream = self.event.stream.as_ref()?;
        let stream = Stream { ports: vec![port], ..Stream::clone(stream) };
        let event = KubernetesEvent { stream: Some(Arc::new(stream)), ..self.event.clone() };
        Some(Box::new(Facet::Kubernetes(event)))
    }

    fn data(
        &mut self,
        now: Instant,
        from: Side,
        stream: u32,
        fin: bool,
        payload: &Bytes,
        out: &mut Out<'_>,
    ) -> Result<(), Violation> {
        let Some(open) = self.streams.get_mut(&stream) else { return self.late(stream) };
        let may_send = match from {
            Side::Downstream => &mut open.downstream,
            Side::Upstream => &mut open.upstream,
        };
        if !*may_send {
            return Err(violation("data came on a stream that its sender had closed"));
        }
        *may_send = !fin;
        let (channel, is_refused) = (open.channel, open.is_refused);
        if !open.downstream && !open.upstream {
            self.streams.remove(&stream);
        }
        if is_refused {
            return Ok(());
        }
        let mut shown = Vec::new();
        if !payload.is_empty() {
            self.channels.data(now, from, channel, payload, &mut shown)?;
        }
        if fin {
            if from == Side::Upstream {
                self.channels.flush(channel, &mut shown);
            }
            if channel == Channel::Stdin || channel == Channel::Resize {
                self.channels.close(from, channel, &mut shown)?;
            }
        }
        if fin || !shown.is_empty() || payload.is_empty() {
            self.send(from.other(), &Frame::Data { stream, fin, payload: Bytes::from(shown) }, out);
        }
        Ok(())
    }

    /// A frame of a stream that is over, which its sender did not know yet. Nothing of it is passed on.
    fn late(&self, stream: u32) -> Result<(), Violation> {
        if stream <= self.last {
            Ok(())
        } else {
            Err(violation("a frame is of a stream that nobody opened"))
        }
    }

    /// Sends what is held back of all output.
    fn flush(&mut self, out: &mut Out<'_>) {
        let held = self.channels.held();
        let streams: Vec<(u32, Channel)> = self
            .streams
            .iter()
            .filter(|(_, open)| held.contains(&open.channel))
            .map(|(stream, open)| (*stream, open.channel))
            .collect();
        for (stream, channel) in streams {
            self.flush_stream(stream, channel, out);
        }
    }

    fn flush_stream(&mut self, stream: u32, channel: Channel, out: &mut Out<'_>) {
        let mut held = Vec::new();
        self.channels.flush(channel, &mut held);
        if !held.is_empty() {
            let payload = Bytes::from(held);
            self.send(Side::Downstream, &Frame::Data { stream, fin: false, payload }, out);
        }
    }
}

/// Decimal digits, and nothing that another reader takes for more or less than them.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

impl SpdyTunnel {
    /// For a request that was permitted.
    pub fn new(event: KubernetesEvent, channels: Channels) -> Self {
        Self(Relay::new(event, channels))
    }
}

impl Tunnel for SpdyTunnel {
    fn push(
        &mut self,
        now: Instant,
        from: Side,
        bytes: &[u8],
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        let Passing { upstream, downstream, ask, .. } = passing;
        let pushed = self.0.push(now, from, bytes, &mut Out { upstream, downstream, ask });
        // What passes before the protocol is broken is sent, so it is recorded.
        passing.record.extend(self.0.channels.recorded());
        pushed.map_err(refusal)
    }

    fn end(&mut self, _now: Instant, from: Side, passing: &mut Passing) -> Result<(), Refusal> {
        // Servers end now and then inside a frame: it ends for the client in the same way.
        let Passing { upstream, downstream, ask, .. } = passing;
        self.0.end(from, &mut Out { upstream, downstream, ask });
        passing.record.extend(self.0.channels.recorded());
        Ok(())
    }

    fn answer(
        &mut self,
        now: Instant,
        answer: Result<(), &Denial>,
        passing: &mut Passing,
    ) -> Result<(), Refusal> {
        let Passing { upstream, downstream, ask, .. } = passing;
        let answered = self.0.answer(now, answer, &mut Out { upstream, downstream, ask });
        passing.record.extend(self.0.channels.recorded());
        answered.map_err(refusal)
    }

    fn terminate(&mut self, problem: &Problem, passing: &mut Passing) {
        let Passing { upstream, downstream, ask, .. } = passing;
        self.0.terminate(problem, &mut Out { upstream, downstream, ask });
    }

    fn masked(&self) -> Vec<(Arc<str>, u64)> {
        self.0.masked()
    }
}
