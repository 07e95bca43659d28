//! Switched connections: WebSocket frames, SPDY frames, and what a stream into a container makes of them.
//!
//! An input is what one side sent after the switch.

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use gatewright_http::{
    path, query,
    tunnel::Passing,
    websocket::{self, Limits, Opcode, Sender},
};
use gatewright_kubernetes::{dialect, spdy, tunnel};
use gatewright_masking::MaskKey;
use gatewright_model::{
    http::{HttpBody, HttpEvent, HttpRequest},
    session::Side,
};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target =
    Target { name: "streams", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: nothing panics; how bytes arrived makes no difference; what was read is written so that it is read again; and
/// no stream sends on much more than came.
fn check(input: &[u8]) {
    for sender in [Sender::Client, Sender::Server] {
        let whole = frames(sender, input, usize::MAX);
        assert_eq!(whole, frames(sender, input, 3), "WebSocket, by 3");
        if let Some(frames) = whole {
            check_written(sender, &frames);
        }
    }
    let whole = spdy_frames(input, usize::MAX);
    assert_eq!(whole, spdy_frames(input, 3), "SPDY, by 3");
    if let Some(whole) = whole {
        let (mut encoder, mut out) = (spdy::Encoder::new(), BytesMut::new());
        whole.iter().for_each(|frame| encoder.encode(frame, &mut out));
        assert_eq!(spdy_frames(&out, 7), Some(whole), "SPDY, written again");
    }
    for (target, upgrade, protocol) in STREAMS {
        for from in [Side::Downstream, Side::Upstream] {
            check_stream(target, upgrade, protocol, from, input);
        }
    }
}

fn frames(sender: Sender, input: &[u8], size: usize) -> Option<Vec<websocket::Frame>> {
    let mut decoder = websocket::Decoder::new(sender, Limits::default());
    let (mut frames, now) = (Vec::new(), Instant::now());
    for piece in input.chunks(size) {
        decoder.push(piece);
        while let Some(frame) = decoder.poll_frame(now).ok()? {
            frames.push(frame);
        }
    }
    Some(frames)
}

fn check_written(sender: Sender, frames: &[websocket::Frame]) {
    let mut out = BytesMut::new();
    for frame in frames.iter().filter(|frame| frame.begins && frame.ends) {
        let text = frame.opcode == Opcode::Text && std::str::from_utf8(&frame.payload).is_err();
        if !text {
            websocket::encode(frame.opcode, frame.is_final, &frame.payload, frame.key, &mut out);
        }
    }
    // Frames that were left out may be missing in their message.
    if frames.iter().all(|frame| frame.begins && frame.ends && frame.opcode != Opcode::Text) {
        let again = self::frames(sender, &out, 5);
        assert_eq!(again.as_deref(), Some(frames), "WebSocket, written again");
    }
}

fn spdy_frames(input: &[u8], size: usize) -> Option<Vec<spdy::Frame>> {
    let mut decoder = spdy::Decoder::new();
    let mut frames = Vec::new();
    for piece in input.chunks(size) {
        decoder.push(piece);
        while let Some(frame) = decoder.poll_frame().ok()? {
            frames.push(frame);
        }
    }
    Some(frames)
}

fn check_stream(target: &str, upgrade: &str, protocol: &str, from: Side, input: &[u8]) {
    let (given, asked) = target.split_once('?').unwrap_or((target, ""));
    let (Ok(path), Ok(query)) = (path::canonical(given), query::canonical(asked)) else { return };
    let request = HttpRequest {
        method: Arc::from("GET"),
        scheme: "https",
        authority: Arc::from("k8s.example"),
        path: Arc::from(path),
        query: query.pairs,
        query_text: Arc::from(query.text),
        headers: vec![(Arc::from("upgrade"), Arc::from(upgrade))],
        route: Arc::from("all"),
        route_parameters: Vec::new(),
    };
    let http = HttpEvent { request: Arc::new(request), body: HttpBody::Empty, response: None };
    let Ok(event) = dialect::event(http) else { return };
    let recorded = tunnel::title(&event).is_some();
    let Ok(mut stream) = tunnel::new(&event, protocol, None, &MaskKey::new([7; 32]), recorded) else {
        return;
    };
    let (mut passing, now) = (Passing::default(), Instant::now());
    let mut result = stream.push(now, from, input, &mut passing);
    for _ in 0..input.len() {
        if result.is_err() || passing.ask.take().is_none() {
            break;
        }
        result = stream.answer(now, Ok(()), &mut passing);
    }
    let sent = passing.upstream.len() + passing.downstream.len();
    // Headers are compressed anew, and every part becomes a frame.
    assert!(sent <= input.len() * 40 + 64, "{} bytes became {sent}", input.len());
}

const EXEC: &str = "/api/v1/namespaces/demo/pods/web/exec?command=sh&stdin=1&stdout=1&stderr=1&tty=1";
const FORWARD: &str = "/api/v1/namespaces/demo/pods/web/portforward?ports=80";

const STREAMS: &[(&str, &str, &str)] = &[
    (EXEC, "websocket", "v5.channel.k8s.io"),
    (EXEC, "websocket", "v4.base64.channel.k8s.io"),
    (EXEC, "SPDY/3.1", "v4.channel.k8s.io"),
    (FORWARD, "websocket", "v4.channel.k8s.io"),
    (FORWARD, "websocket", "SPDY/3.1+portforward.k8s.io"),
    (FORWARD, "SPDY/3.1", "portforward.k8s.io"),
    ("/api/v1/namespaces/demo/pods/web/log?follow=1", "websocket", "base64.binary.k8s.io"),
];

fn seeds() -> Vec<Vec<u8>> {
    let websocket = |messages: &[&[u8]], key| {
        let mut out = BytesMut::new();
        for message in messages {
            websocket::encode(Opcode::Binary, true, message, key, &mut out);
        }
        out.to_vec()
    };
    let headers = |kind: &str| {
        let pairs = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        pairs.map(|(name, value)| (Box::from(name), Box::from(value))).to_vec()
    };
    let frames = [
        spdy::Frame::SynStream { stream: 1, fin: false, headers: headers("error") },
        spdy::Frame::SynStream { stream: 3, fin: false, headers: headers("data") },
        spdy::Frame::Data { stream: 3, fin: true, payload: "GET / HTTP/1.0\r\n\r\n".into() },
        spdy::Frame::Ping { id: 1 },
        spdy::Frame::RstStream { stream: 3, status: 5 },
        spdy::Frame::GoAway { last: 0, status: 0 },
    ];
    let (mut encoder, mut spdy) = (spdy::Encoder::new(), BytesMut::new());
    frames.iter().for_each(|frame| encoder.encode(frame, &mut spdy));
    vec![
        websocket(&[b"\x04{\"Width\":101,\"Height\":33}\n", b"\x00ls\n", b"\xff\x00"], Some([1, 2, 3, 4])),
        websocket(&[b"\x01", b"\x01out\n", b"\x03{\"metadata\":{},\"status\":\"Success\"}"], None),
        websocket(&[&spdy], Some([9, 8, 7, 6])),
        b"\x81\x05Hello\x89\x02hi\x01\x03Hel\x80\x02lo\x88\x02\x03\xe8".to_vec(),
        spdy.to_vec(),
    ]
}

const WORDS: &[&[u8]] = &[
    b"\x82\x80\0\0\0\0",
    b"\x81\x7e\x00\x7e",
    b"\x82\x7f\x80\0\0\0\0\0\0\0",
    b"\x88\x02\x03\xe8",
    b"\x89\x00",
    b"\x80\x03\x00\x01\0\0\0",
    b"\x80\x03\x00\x02\0\0\0",
    b"\x80\x03\x00\x03\0\0\0\x08\0\0\0\x01\0\0\0\x05",
    b"\x80\x03\x00\x06\0\0\0\x04\0\0\0\x01",
    b"\x00\x00\x00\x03\x01\0\0\0",
    b"\xff\x00",
];
