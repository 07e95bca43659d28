//! Recorded streams through a tunnel, in every splitting; and what no client or server may do.

mod exchanges;
mod recordings;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use gatewright_http::{
    tunnel::Passing,
    websocket::{self, Opcode, Sender},
};
use gatewright_model::{
    decision::Block,
    event::Facet,
    http::{HttpBody, HttpEvent},
    id::EventId,
    kubernetes::Upgrade,
    mask::{Detector, DetectorMask, MaskMethod},
    permit::Denial,
    recording,
    session::Side,
};

use super::*;
use crate::{
    channels::{Channel, Exit, exit},
    request_info,
    spdy::{Decoder, Encoder, Frame, header},
    stream, transcripts,
};

const KEY: [u8; 4] = [1, 2, 3, 4];

fn event(method: &str, target: &str, transport: Transport) -> KubernetesEvent {
    let request = transcripts::request(method, target, &[]);
    let info = request_info::read(&request);
    let stream = stream::read(&request, &info).map(Arc::new);
    KubernetesEvent {
        http: HttpEvent { request: Arc::new(request), body: HttpBody::Empty, response: None },
        info: Arc::new(info),
        upgrade: Some(Upgrade { transport, protocols: Vec::new() }),
        stream,
        impersonation: None,
    }
}

/// A tunnel, what came out of it, and what is said about ports.
struct Play {
    tunnel: Box<dyn Tunnel>,
    upstream: BytesMut,
    downstream: BytesMut,
    asked: Vec<u16>,
    refuses: Vec<u16>,
    record: Vec<recording::Frame>,
    is_spdy: bool,
    is_base64: bool,
    over: bool,
    now: Instant,
}

fn detectors() -> MaskPlan {
    let method = MaskMethod::Redact;
    let detectors = vec![DetectorMask { detector: Detector::CardNumber, method, rule: "cards".into() }];
    MaskPlan { detectors, ..MaskPlan::default() }
}

fn play(event: &KubernetesEvent, protocol: &str, masks: Option<&MaskPlan>) -> Play {
    start(event, protocol, masks, false)
}

fn start(event: &KubernetesEvent, protocol: &str, masks: Option<&MaskPlan>, recorded: bool) -> Play {
    Play {
        tunnel: new(event, protocol, masks, &MaskKey::new([7; 32]), recorded).unwrap(),
        upstream: BytesMut::new(),
        downstream: BytesMut::new(),
        asked: Vec::new(),
        refuses: Vec::new(),
        record: Vec::new(),
        is_spdy: event.upgrade.as_ref().unwrap().transport == Transport::Spdy,
        is_base64: protocol.contains("base64"),
        over: false,
        now: Instant::now(),
    }
}

impl Play {
    fn push(&mut self, from: Side, bytes: &[u8]) -> Result<(), Refusal> {
        let mut passing = Passing::default();
        let mut result = self.tunnel.push(self.now, from, bytes, &mut passing);
        while let Some(facet) = passing.ask.take() {
            let Facet::Kubernetes(about) = *facet else { panic!("another facet") };
            let port = about.stream.unwrap().ports[0];
            self.asked.push(port);
            let block = Block {
                code: "policy.blocked".into(),
                rule: "ports/few".into(),
                reason: "this port is closed".into(),
                remedy: "use another one".into(),
            };
            let denial = Denial { event: EventId::FIRST, block, approval: None };
            let answer = if self.refuses.contains(&port) { Err(&denial) } else { Ok(()) };
            result = self.tunnel.answer(self.now, answer, &mut passing);
        }
        self.take(passing);
        result
    }

    fn end(&mut self, from: Side) {
        let mut passing = Passing::default();
        self.tunnel.end(self.now, from, &mut passing).unwrap();
        self.take(passing);
    }

    fn take(&mut self, passing: Passing) {
        self.upstream.extend_from_slice(&passing.upstream);
        self.downstream.extend_from_slice(&passing.downstream);
        self.record.extend(passing.record);
        self.over |= passing.over;
    }

    /// What passed on a channel of a process.
    fn passed(&self, channel: Channel) -> Vec<u8> {
        let (number, word) = match channel {
            Channel::Stdin => (0, "stdin"),
            Channel::Stdout => (1, "stdout"),
            Channel::Stderr => (2, "stderr"),
            Channel::Error => (3, "error"),
            other => panic!("{other:?}"),
        };
        let (sender, bytes) = match channel.sender() {
            Some(Side::Downstream) => (Sender::Client, &self.upstream),
            _ => (Sender::Server, &self.downstream),
        };
        if self.is_spdy {
            let opened = frames(&self.upstream).into_iter().find_map(|frame| match frame {
                Frame::SynStream { stream, headers, .. } => {
                    (header(&headers, "streamtype") == Some(word)).then_some(stream)
                }
                _ => None,
            });
            let own = frames(bytes).into_iter().filter_map(|frame| match frame {
                Frame::Data { stream, payload, .. } if Some(stream) == opened => Some(payload),
                _ => None,
            });
            return own.flatten().collect();
        }
        let first = if self.is_base64 { b'0' + number } else { number };
        let own = read(sender, bytes).into_iter().filter_map(|(opcode, message)| {
            let is_own = !opcode.is_control() && message.first() == Some(&first);
            is_own.then(|| match self.is_base64 {
                true => BASE64_STANDARD.decode(&message[1..]).unwrap(),
                false => message[1..].to_vec(),
            })
        });
        own.flatten().collect()
    }

    /// From a client, as one message.
    fn client(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let mut frame = BytesMut::new();
        websocket::encode(Opcode::Binary, true, message, Some(KEY), &mut frame);
        self.push(Side::Downstream, &frame)
    }

    fn server(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let mut frame = BytesMut::new();
        websocket::encode(Opcode::Binary, true, message, None, &mut frame);
        self.push(Side::Upstream, &frame)
    }

    /// What the client gets: payloads of channels.
    fn shown(&self, channel: u8) -> String {
        let messages = messages(Sender::Server, &self.downstream);
        let own = messages.iter().filter(|message| message.first() == Some(&channel));
        own.map(|message| String::from_utf8_lossy(&message[1..]).into_owned()).collect()
    }
}

fn messages(sender: Sender, bytes: &[u8]) -> Vec<Vec<u8>> {
    read(sender, bytes).into_iter().map(|(_, message)| message).collect()
}

fn read(sender: Sender, bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut decoder = websocket::Decoder::new(sender, websocket::Limits::default());
    let mut messages: Vec<(Opcode, Vec<u8>)> = Vec::new();
    decoder.push(bytes);
    while let Some(frame) = decoder.poll_frame(Instant::now()).unwrap() {
        match messages.last_mut().filter(|_| !frame.begins) {
            Some((_, begun)) => begun.extend_from_slice(&frame.payload),
            None => messages.push((frame.opcode, frame.payload.to_vec())),
        }
    }
    messages
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    decoder.push(bytes);
    while let Some(frame) = decoder.poll_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

struct Recorded {
    name: String,
    event: KubernetesEvent,
    protocol: String,
    /// Sides and bytes, in their order.
    items: Vec<(Side, Vec<u8>)>,
}

impl Recorded {
    fn bytes(&self, from: Side) -> Vec<u8> {
        let own = self.items.iter().filter(|(side, _)| *side == from);
        own.flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// All connections of the recordings that were switched.
fn recorded() -> Vec<Recorded> {
    let mut all = Vec::new();
    for name in [
        "36-watch-websocket",
        "72-logs-websocket",
        "80-exec-websocket",
        "81-exec-websocket-stdin",
        "82-exec-websocket-tty",
        "83-exec-spdy",
        "84-exec-spdy-tty",
        "86-exec-subprotocols",
        "87-attach",
        "88-cp",
        "90-port-forward-websocket",
        "91-port-forward-spdy",
        "92-port-forward-python",
        "95-pod-service-proxy",
    ] {
        let mut requests = BTreeMap::new();
        let mut streams: BTreeMap<u32, Recorded> = BTreeMap::new();
        for item in transcripts::items(name) {
            match &*item.dir {
                "request" => drop(requests.insert(item.conn, item.head)),
                "response" if item.head.starts_with("HTTP/1.1 101") => {
                    let is_spdy = item.header("upgrade") == Some("SPDY/3.1");
                    let (transport, header) = if is_spdy {
                        (Transport::Spdy, "x-stream-protocol-version")
                    } else {
                        (Transport::WebSocket, "sec-websocket-protocol")
                    };
                    let mut words = requests[&item.conn].split(' ');
                    let event = event(words.next().unwrap(), words.next().unwrap(), transport);
                    let protocol = item.header(header).unwrap_or_default().to_owned();
                    let name = format!("{name} {}", item.conn);
                    streams.insert(item.conn, Recorded { name, event, protocol, items: Vec::new() });
                }
                "up" | "down" => {
                    let side = if item.dir == "up" { Side::Downstream } else { Side::Upstream };
                    streams.get_mut(&item.conn).unwrap().items.push((side, item.bytes()));
                }
                _ => {}
            }
        }
        all.extend(streams.into_values());
    }
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// With SPDY, headers are compressed anew: compare frames. Inside a tunnel borders of messages are others, too.
fn same(recorded: &Recorded, from: Side, sent: &[u8], came: &[u8]) -> bool {
    let nested = recorded.protocol.starts_with("SPDY/3.1+");
    let is_spdy = recorded.event.upgrade.as_ref().unwrap().transport == Transport::Spdy;
    let sender = if from == Side::Downstream { Sender::Client } else { Sender::Server };
    match (nested, is_spdy) {
        (false, false) => sent == came,
        (false, true) => frames(sent) == frames(came),
        (true, _) => {
            let carried = |bytes| messages(sender, bytes).concat();
            // A close is the last message, and no SPDY.
            frames(&carried(sent)) == frames(&carried(came))
        }
    }
}

#[test]
fn recorded_streams_pass_unchanged_in_every_splitting() {
    for recorded in recorded() {
        for size in [usize::MAX, 1, 1000] {
            let mut play = play(&recorded.event, &recorded.protocol, None);
            for (from, bytes) in &recorded.items {
                for piece in bytes.chunks(size) {
                    play.push(*from, piece)
                        .unwrap_or_else(|refusal| panic!("{}: {refusal:?}", recorded.name));
                }
            }
            play.end(Side::Upstream);
            let (up, down) = (recorded.bytes(Side::Downstream), recorded.bytes(Side::Upstream));
            assert!(same(&recorded, Side::Downstream, &play.upstream, &up), "{} up", recorded.name);
            assert!(same(&recorded, Side::Upstream, &play.downstream, &down), "{} down", recorded.name);
        }
    }
}

/// With masks that find nothing, every byte of output arrives as well, at the latest when the stream ends.
#[test]
fn a062_with_masks_nothing_of_the_output_is_lost_and_the_exit_status_is_right() {
    let mut seen = 0;
    for recorded in recorded() {
        let is_process = recorded
            .event
            .stream
            .as_ref()
            .is_some_and(|stream| matches!(stream.kind, StreamKind::Exec | StreamKind::Attach));
        if !is_process {
            continue;
        }
        let run = |masks: Option<&MaskPlan>| {
            let mut play = play(&recorded.event, &recorded.protocol, masks);
            for (from, bytes) in &recorded.items {
                play.push(*from, bytes).unwrap();
            }
            play.end(Side::Upstream);
            [Channel::Stdin, Channel::Stdout, Channel::Stderr, Channel::Error]
                .map(|channel| play.passed(channel))
        };
        assert_eq!(run(None), run(Some(&detectors())), "{}", recorded.name);
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_exit_status_is_what_the_error_channel_says() {
    let status = |code: &str| {
        format!(
            r#"{{"metadata":{{}},"status":"Failure","reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{code}"}}]}}}}"#
        )
    };
    assert_eq!(exit(br#"{"metadata":{},"status":"Success"}"#), Exit::Code(0));
    assert_eq!(exit(status("7").as_bytes()), Exit::Code(7));
    assert_eq!(exit(status("x").as_bytes()), Exit::Failed);
    assert_eq!(exit(br#"{"status":"Failure","message":"no such command"}"#), Exit::Failed);
    assert_eq!(exit(b"command terminated"), Exit::Failed);
    assert_eq!(exit(b""), Exit::Code(0));
}

const EXEC: &str =
    "/api/v1/namespaces/demo/pods/web/exec?command=sh&stdin=true&stdout=true&stderr=true&tty=true";
const OUTPUT: &str = "/api/v1/namespaces/demo/pods/web/exec?command=id&stdout=true";
const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";

fn exec(target: &str, protocol: &str) -> Play {
    play(&event("GET", target, Transport::WebSocket), protocol, None)
}

#[test]
fn a062_who_may_send_on_which_channel_is_fixed() {
    for (message, what) in [
        (&b"\x01x"[..], "output from a client"),
        (b"\x02x", "errors from a client"),
        (b"\x03{\"status\":\"Success\"}", "an end from a client"),
        (b"\x05x", "a channel that there is not"),
        (b"\xff\x00\x00", "two channels closed at once"),
        (b"\xff", "no channel closed"),
        (b"\xff\x07", "a channel closed that there is not"),
    ] {
        let refusal = exec(EXEC, V5).client(message).expect_err(what);
        assert_eq!(refusal.code, "k8s.stream", "{what}");
    }
    for (message, what) in [(&b"\x00x"[..], "input from a server"), (b"\x04{}", "a size from a server")] {
        assert_eq!(exec(EXEC, V5).server(message).expect_err(what).code, "k8s.stream");
    }
    // Before the fifth version there is no close, and 255 is no channel.
    assert!(exec(EXEC, V4).client(b"\xff\x00").is_err());
}

#[test]
fn a062_input_after_its_end_is_refused() {
    let mut play = exec(EXEC, V5);
    play.client(b"\x00ls\n").unwrap();
    play.client(b"\xff\x00").unwrap();
    let before = play.upstream.len();
    assert_eq!(play.client(b"\x00rm -rf /\n").unwrap_err().code, "k8s.stream");
    assert_eq!(play.upstream.len(), before, "nothing of it is sent");
    assert_eq!(play.passed(Channel::Stdin), b"ls\n");
    let mut play = exec(EXEC, V5);
    play.client(b"\xff\x00").unwrap();
    assert!(play.client(b"\xff\x00").is_err(), "closed twice");
}

#[test]
fn a062_what_the_judged_request_did_not_ask_for_is_refused() {
    assert!(exec(OUTPUT, V5).client(b"\x00id\n").is_err(), "input");
    assert!(
        exec(OUTPUT, V5).client(b"\x04{\"Width\":1,\"Height\":1}").is_err(),
        "a size without a terminal"
    );
    assert!(exec(EXEC, V5).client(b"\x00id\n").is_ok());
}

#[test]
fn a062_sizes_are_short_and_not_too_many() {
    let mut play = exec(EXEC, V5);
    for _ in 0..50 {
        play.client(b"\x04{\"Width\":101,\"Height\":33}\n").unwrap();
    }
    assert_eq!(play.client(b"\x04{\"Width\":101,\"Height\":33}\n").unwrap_err().code, "k8s.stream");
    let mut play = exec(EXEC, V5);
    for _ in 0..120 {
        play.now += Duration::from_millis(25);
        play.client(b"\x04{\"Width\":101,\"Height\":33}\n").unwrap();
    }
    assert!(exec(EXEC, V5).client(&[b"\x04", &[b' '; 300][..]].concat()).is_err());
}

/// An API server takes each frame for a message, and its first byte for a channel.
#[test]
fn a062_a_message_in_several_frames_is_refused() {
    let mut frame = BytesMut::new();
    websocket::encode(Opcode::Binary, false, b"\x00ec", Some(KEY), &mut frame);
    websocket::encode(Opcode::Continuation, true, b"\x01ho", Some(KEY), &mut frame);
    let mut play = exec(EXEC, V5);
    assert_eq!(play.push(Side::Downstream, &frame).unwrap_err().code, "k8s.stream");
    assert!(play.upstream.is_empty());
}

#[test]
fn a075_a_broken_frame_ends_both_sides() {
    assert_eq!(exec(EXEC, V5).push(Side::Downstream, b"\xc2\x80\0\0\0\0").unwrap_err().code, "ws.reserved");
    assert_eq!(exec(EXEC, V5).push(Side::Upstream, b"\x82\xff").unwrap_err().code, "ws.mask");
}

#[test]
fn a_long_message_of_input_arrives_whole() {
    for protocol in [V4, "v4.base64.channel.k8s.io"] {
        let mut play = exec(EXEC, protocol);
        let input: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        let is_base64 = protocol != V4;
        let message = if is_base64 {
            format!("0{}", BASE64_STANDARD.encode(&input)).into_bytes()
        } else {
            [&b"\0"[..], &input].concat()
        };
        let mut frame = BytesMut::new();
        websocket::encode(Opcode::Binary, true, &message, Some(KEY), &mut frame);
        for piece in frame.chunks(1000) {
            play.push(Side::Downstream, piece).unwrap();
        }
        assert!(play.passed(Channel::Stdin) == input);
        let sent = messages(Sender::Client, &play.upstream);
        assert!(sent.len() > 1 && sent.iter().all(|message| message[0] == message_channel(is_base64)));
    }
}

fn message_channel(is_base64: bool) -> u8 {
    if is_base64 { b'0' } else { 0 }
}

#[test]
fn output_is_masked_through_every_cut_and_comes_before_the_end() {
    let text = b"card 4111 1111 1111 1111 of alice\n";
    for cut in 0..text.len() {
        let mut play = play(&event("GET", OUTPUT, Transport::WebSocket), V5, Some(&detectors()));
        play.server(&[b"\x01", &text[..cut]].concat()).unwrap();
        play.server(&[b"\x01", &text[cut..]].concat()).unwrap();
        // Held back: no line's end follows.
        play.server(b"\x01 4111111111111111").unwrap();
        play.server(b"\x03{\"metadata\":{},\"status\":\"Success\"}").unwrap();
        let shown = play.shown(1);
        assert_eq!(shown, "card [redacted] of alice\n [redacted]", "cut at {cut}");
        assert_eq!(messages(Sender::Server, &play.downstream).last().unwrap()[0], 3, "the end comes last");
        assert_eq!(play.tunnel.masked(), [("cards".into(), 2)]);
    }
}

#[test]
fn output_that_ends_without_a_status_is_shown_to_its_last_byte() {
    let mut play = play(&event("GET", OUTPUT, Transport::WebSocket), V5, Some(&detectors()));
    play.server(b"\x01 4111111111111111").unwrap();
    play.push(Side::Upstream, b"\x88\x02\x03\xe8").unwrap();
    assert_eq!(play.shown(1), " [redacted]");
    assert!(!play.over);
    play.push(Side::Downstream, b"\x88\x82\0\0\0\0\x03\xe8").unwrap();
    assert!(play.over, "both sides have closed");
}

#[test]
fn what_can_not_be_masked_is_refused_before_a_byte() {
    let json = MaskPlan {
        json: vec![gatewright_model::mask::JsonMask {
            path: "$.data".parse().unwrap(),
            method: MaskMethod::Redact,
            rule: "r".into(),
        }],
        ..MaskPlan::default()
    };
    let key = MaskKey::new([7; 32]);
    for (target, transport, protocol, plan) in [
        (EXEC, Transport::WebSocket, V5, &json),
        (EXEC, Transport::Spdy, V4, &json),
        (
            "/api/v1/namespaces/demo/pods/web/portforward",
            Transport::Spdy,
            "portforward.k8s.io",
            &detectors(),
        ),
        ("/api/v1/namespaces/demo/pods/web:80/proxy/ws", Transport::WebSocket, "", &detectors()),
        ("/api/v1/namespaces/demo/secrets?watch=1", Transport::WebSocket, "", &json),
    ] {
        let refusal = new(&event("GET", target, transport), protocol, Some(plan), &key, false).unwrap_err();
        assert_eq!(refusal.code, "mask.unsupported", "{target}");
    }
}

#[test]
fn a051_a_switch_that_does_not_fit_the_request_is_no_stream() {
    let key = MaskKey::new([7; 32]);
    for (target, transport, protocol) in [
        (EXEC, Transport::WebSocket, "SPDY/3.1+portforward.k8s.io"),
        (EXEC, Transport::WebSocket, "v6.channel.k8s.io"),
        ("/api/v1/namespaces/demo/secrets/x", Transport::WebSocket, ""),
        ("/api/v1/namespaces/demo/secrets?watch=1", Transport::Spdy, ""),
        ("/version", Transport::WebSocket, ""),
        ("/api/v1/namespaces/demo/pods/web:80/proxy/", Transport::Spdy, ""),
    ] {
        let refusal = new(&event("GET", target, transport), protocol, None, &key, false).unwrap_err();
        assert_eq!(refusal.code, "upstream.upgrade", "{target}");
    }
}

fn spdy_play(target: &str) -> (Play, Encoder) {
    (play(&event("POST", target, Transport::Spdy), V4, None), Encoder::new())
}

fn syn(stream: u32, pairs: &[(&str, &str)]) -> Frame {
    let headers = pairs.iter().map(|(name, value)| (Box::from(*name), Box::from(*value))).collect();
    Frame::SynStream { stream, fin: false, headers }
}

fn data(stream: u32, fin: bool, bytes: &'static [u8]) -> Frame {
    Frame::Data { stream, fin, payload: bytes.into() }
}

fn send(play: &mut Play, encoder: &mut Encoder, from: Side, frames: &[Frame]) -> Result<(), Refusal> {
    let mut bytes = BytesMut::new();
    for frame in frames {
        encoder.encode(frame, &mut bytes);
    }
    play.push(from, &bytes)
}

const FORWARD: &str = "/api/v1/namespaces/demo/pods/web/portforward";

fn pair(first: u32, port: &str, request: &str) -> [Frame; 2] {
    let headers = |kind| [("streamtype", kind), ("port", port), ("requestid", request)];
    [syn(first, &headers("error")), syn(first + 2, &headers("data"))]
}

#[test]
fn a053_a_port_is_judged_before_anything_is_sent_to_it() {
    let (mut play, mut encoder) = spdy_play(FORWARD);
    play.refuses = vec![22];
    let [error, open] = pair(1, "22", "0");
    send(&mut play, &mut encoder, Side::Downstream, &[error, open, data(3, true, b"SSH-2.0-x")]).unwrap();
    assert!(play.upstream.is_empty(), "nothing reaches the target");
    assert_eq!(play.asked, [22, 22]);
    let told: Vec<u8> = frames(&play.downstream)
        .iter()
        .filter_map(|frame| match frame {
            Frame::Data { stream: 1, payload, .. } => Some(payload.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(told, b"port 22: this port is closed (rule ports/few): use another one");
    // Others go on, and a port is asked about once.
    let [error, open] = pair(5, "80", "1");
    send(&mut play, &mut encoder, Side::Downstream, &[error, open, data(7, false, b"GET /")]).unwrap();
    let [error, open] = pair(9, "80", "2");
    send(&mut play, &mut encoder, Side::Downstream, &[error, open]).unwrap();
    assert_eq!(play.asked, [22, 22, 80]);
    let sent = frames(&play.upstream);
    assert_eq!(sent.len(), 5);
    assert_eq!(sent[2], data(7, false, b"GET /"));
}

#[test]
fn a053_a_port_that_could_be_read_in_two_ways_is_refused() {
    for port in ["", "0", "+80", "080", "80 ", "65536", "-1", "http", "0x50"] {
        let (mut play, mut encoder) = spdy_play(FORWARD);
        let [error, _] = pair(1, port, "0");
        assert!(send(&mut play, &mut encoder, Side::Downstream, &[error]).is_err(), "{port:?}");
        assert!(play.upstream.is_empty());
    }
}

#[test]
fn a062_streams_that_no_client_opens_are_refused() {
    let cases: [(&str, Vec<Frame>); 8] = [
        ("an even number", vec![syn(2, &[("streamtype", "error")])]),
        ("a number twice", vec![syn(1, &[("streamtype", "error")]), syn(1, &[("streamtype", "stdout")])]),
        ("two inputs", vec![syn(1, &[("streamtype", "stdin")]), syn(3, &[("streamtype", "stdin")])]),
        ("an unknown type", vec![syn(1, &[("streamtype", "secrets")])]),
        ("no type", vec![syn(1, &[])]),
        ("data of a stream that nobody opened", vec![data(9, false, b"x")]),
        ("output from a client", vec![syn(1, &[("streamtype", "stdout")]), data(1, false, b"x")]),
        (
            "input after its end",
            vec![syn(1, &[("streamtype", "stdin")]), data(1, true, b""), data(1, false, b"x")],
        ),
    ];
    for (what, frames) in cases {
        let (mut play, mut encoder) = spdy_play(EXEC);
        let refusal = send(&mut play, &mut encoder, Side::Downstream, &frames).expect_err(what);
        assert_eq!(refusal.code, "k8s.stream", "{what}");
    }
    let (mut play, mut encoder) = spdy_play(EXEC);
    assert!(send(&mut play, &mut encoder, Side::Upstream, &[syn(2, &[("streamtype", "stdin")])]).is_err());
    let (mut play, mut encoder) = spdy_play(OUTPUT);
    assert!(
        send(&mut play, &mut encoder, Side::Downstream, &[syn(1, &[("streamtype", "stdin")])]).is_err(),
        "input that the judged request did not ask for"
    );
    let (mut play, mut encoder) = spdy_play(EXEC);
    let pings: Vec<Frame> = (0..101).map(|id| Frame::Ping { id }).collect();
    assert!(send(&mut play, &mut encoder, Side::Downstream, &pings).is_err(), "a flood");
}

#[test]
fn a062_output_over_spdy_is_masked_and_a_half_close_stays_one() {
    let event = event("POST", EXEC, Transport::Spdy);
    let mut play = play(&event, V4, Some(&detectors()));
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let opened: Vec<Frame> = ["error", "stdin", "stdout"]
        .into_iter()
        .zip([1, 3, 5])
        .map(|(kind, stream)| syn(stream, &[("streamtype", kind)]))
        .collect();
    send(&mut play, &mut client, Side::Downstream, &opened).unwrap();
    send(&mut play, &mut client, Side::Downstream, &[data(3, true, b"")]).unwrap();
    let came = [
        data(5, false, b"pay 4111 1111 11"),
        data(5, false, b"11 1111"),
        data(5, true, b""),
        data(1, false, b"{\"metadata\":{},\"status\":\"Success\"}"),
        Frame::RstStream { stream: 1, status: 5 },
        Frame::GoAway { last: 5, status: 0 },
    ];
    send(&mut play, &mut server, Side::Upstream, &came).unwrap();
    assert_eq!(frames(&play.upstream)[3], data(3, true, b""));
    let shown: Vec<u8> = frames(&play.downstream)
        .iter()
        .filter_map(|frame| match frame {
            Frame::Data { stream: 5, payload, .. } => Some(payload.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(shown, b"pay [redacted]");
    assert_eq!(exit(&play.passed(Channel::Error)), Exit::Code(0));
}
