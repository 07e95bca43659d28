//! Every recorded stream, decoded, against what an independent program made of it (`*.frames.txt`).

use std::{collections::BTreeMap, time::Instant};

use bytes::BytesMut;
use gatewright_http::websocket::{self, Opcode, Sender};

use crate::{spdy, transcripts};

/// Bytes of one direction of one connection, and how they are framed.
struct Direction {
    /// The frames of WebSocket are SPDY inside.
    is_tunnel: bool,
    is_spdy: bool,
    sender: Sender,
    bytes: Vec<u8>,
}

fn directions(name: &str) -> BTreeMap<(u32, String), Direction> {
    let mut all = BTreeMap::new();
    let mut switched = BTreeMap::new();
    for item in transcripts::items(name) {
        if item.dir == "response" && item.head.starts_with("HTTP/1.1 101") {
            let is_spdy = item.header("upgrade") == Some("SPDY/3.1");
            let protocol = item.header("sec-websocket-protocol").unwrap_or_default();
            switched.insert(item.conn, (is_spdy, protocol.starts_with("SPDY/3.1+")));
        }
        if item.dir == "up" || item.dir == "down" {
            let (is_spdy, is_tunnel) = switched[&item.conn];
            let sender = if item.dir == "up" { Sender::Client } else { Sender::Server };
            let empty = Direction { is_tunnel, is_spdy, sender, bytes: Vec::new() };
            let direction = all.entry((item.conn, item.dir.clone())).or_insert(empty);
            direction.bytes.extend(item.bytes());
        }
    }
    all
}

/// The lines of `NAME.frames.txt` for each direction, without what a payload says.
fn expected(name: &str) -> BTreeMap<(u32, String), Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in transcripts::text(&format!("{name}.frames.txt")).lines().skip(1) {
        let mut words = line.split_whitespace();
        let (conn, _seq) = (words.next().unwrap().parse().unwrap(), words.next());
        let dir = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        if dir == "--" || words[0] == "connection" || words[0] == "LEFT" {
            continue;
        }
        // Everything up to the length; headers whole.
        let end = words.iter().position(|word| word.starts_with("len=")).map_or(words.len(), |at| at + 1);
        all.entry((conn, dir.to_owned())).or_default().push(words[..end].join(" "));
    }
    all
}

struct Lines {
    direction: Direction,
    spdy: spdy::Decoder,
    lines: Vec<String>,
    length: usize,
}

impl Lines {
    fn spdy(&mut self, bytes: &[u8]) {
        self.spdy.push(bytes);
        while let Some(frame) = self.spdy.poll_frame().unwrap() {
            let flags = |fin: bool| u8::from(fin);
            let pairs = |headers: &spdy::Headers| {
                let pairs: Vec<_> =
                    headers.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
                format!("[{}]", pairs.join(", "))
            };
            let line = match frame {
                spdy::Frame::SynStream { stream, fin, headers } => {
                    format!("SYN_STREAM flags={} stream={stream} {}", flags(fin), pairs(&headers))
                }
                spdy::Frame::SynReply { stream, fin, headers } => {
                    format!("SYN_REPLY flags={} stream={stream} {}", flags(fin), pairs(&headers))
                }
                spdy::Frame::RstStream { stream, status } => {
                    format!("RST_STREAM flags=0 stream={stream} status={status}")
                }
                spdy::Frame::GoAway { last, status } => {
                    format!("GOAWAY flags=0 last={last} status={status}")
                }
                spdy::Frame::Data { stream, fin, payload } => {
                    format!("DATA flags={} stream={stream} len={}", flags(fin), payload.len())
                }
                other => panic!("{other:?}"),
            };
            self.lines.push(line);
        }
    }

    fn read(mut self, size: usize) -> Vec<String> {
        let bytes = std::mem::take(&mut self.direction.bytes);
        if self.direction.is_spdy {
            bytes.chunks(size).for_each(|piece| self.spdy(piece));
            return self.lines;
        }
        let mut decoder = websocket::Decoder::new(self.direction.sender, websocket::Limits::default());
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            while let Some(frame) = decoder.poll_frame(Instant::now()).unwrap() {
                self.length = if frame.begins { 0 } else { self.length } + frame.payload.len();
                let word = match frame.opcode {
                    Opcode::Continuation => "cont",
                    Opcode::Text => "text",
                    Opcode::Binary => "binary",
                    Opcode::Close => "close",
                    Opcode::Ping => "ping",
                    Opcode::Pong => "pong",
                };
                let not_final = if frame.is_final { "" } else { " (not final)" };
                let masked = if frame.key.is_some() { " masked" } else { "" };
                if frame.ends {
                    self.lines.push(format!("{word}{not_final}{masked} len={}", self.length));
                }
                if self.direction.is_tunnel && !frame.opcode.is_control() {
                    self.spdy(&frame.payload);
                }
            }
        }
        assert!(decoder.is_between_messages());
        self.lines
    }
}

const STREAMS: [&str; 13] = [
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
];

#[test]
fn recorded_streams_are_read_as_another_program_reads_them() {
    for name in STREAMS {
        let expected = expected(name);
        for (key, direction) in directions(name) {
            let lines =
                Lines { direction, spdy: spdy::Decoder::new(), lines: Vec::new(), length: 0 }.read(1000);
            assert_eq!(Some(&lines), expected.get(&key), "{name} {key:?}");
        }
    }
}

/// Bytes of a side as they are when every frame was decoded and encoded again.
#[test]
fn recorded_websocket_frames_are_written_as_they_were() {
    for name in STREAMS {
        for (key, direction) in directions(name).into_iter().filter(|(_, direction)| !direction.is_spdy) {
            let mut decoder = websocket::Decoder::new(direction.sender, websocket::Limits::default());
            let mut out = BytesMut::new();
            decoder.push(&direction.bytes);
            while let Some(frame) = decoder.poll_frame(Instant::now()).unwrap() {
                assert!(frame.begins && frame.ends, "no recorded frame is so long");
                websocket::encode(frame.opcode, frame.is_final, &frame.payload, frame.key, &mut out);
            }
            assert!(out == direction.bytes, "{name} {key:?}");
        }
    }
}
