//! What a recording has of a stream, and what a client is told when there can be none any more.

use gatewright_http::problem::Problem;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::spdy;

const ATTACH: &str = "/api/v1/namespaces/demo/pods/web/attach?stdout=true";

/// All that a recording has, a line each.
fn lines(play: &Play) -> Vec<String> {
    play.record.iter().map(|frame| format!("{frame:?}")).collect()
}

fn shown(play: &Play) -> Vec<u8> {
    let output = play.record.iter().filter_map(|frame| match frame {
        recording::Frame::Output(bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    output.flatten().collect()
}

fn typed(play: &Play) -> usize {
    let typed = play.record.iter().filter_map(|frame| match frame {
        recording::Frame::Typed(bytes) => Some(*bytes),
        _ => None,
    });
    typed.sum()
}

fn recorded_exec(target: &str, protocol: &str, masks: Option<&MaskPlan>) -> Play {
    start(&event("GET", target, Transport::WebSocket), protocol, masks, true)
}

#[test]
fn a050_a_recording_has_what_is_shown_and_how_much_is_typed() {
    let mut play = recorded_exec(EXEC, V5, None);
    play.server(b"\x01").unwrap();
    play.client(b"\x04{\"Width\":101,\"Height\":33}\n").unwrap();
    play.client(b"\x00hunter2\n").unwrap();
    play.server(b"\x01out\n").unwrap();
    play.server(b"\x02err\n").unwrap();
    play.client(b"\xff\x00").unwrap();
    play.server(b"\x03{\"metadata\":{},\"status\":\"Success\"}").unwrap();
    let expected = ["Resize(Size { columns: 101, rows: 33 })", "Typed(8)", "Output(4)", "Output(4)"];
    assert_eq!(lines(&play), expected);
    assert_eq!(shown(&play), b"out\nerr\n");
}

/// Whatever a real client and a real server said, in every splitting and by either protocol.
#[test]
fn a050_a_recording_has_all_that_passes_of_recorded_streams() {
    let mut seen = 0;
    for recorded in recorded() {
        if !recorded.event.opens_a_process() {
            continue;
        }
        for size in [usize::MAX, 1, 1000] {
            let masks = (size == 1000).then(detectors);
            let mut play = start(&recorded.event, &recorded.protocol, masks.as_ref(), true);
            for (from, bytes) in &recorded.items {
                for piece in bytes.chunks(size) {
                    play.push(*from, piece).unwrap();
                }
            }
            play.end(Side::Upstream);
            let mut output = play.passed(Channel::Stdout);
            output.extend(play.passed(Channel::Stderr));
            let mut recorded = shown(&play);
            // Both kinds of output are one here, in the order in which they came.
            output.sort_unstable();
            recorded.sort_unstable();
            assert!(output == recorded);
            assert_eq!(typed(&play), play.passed(Channel::Stdin).len());
        }
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn a050_what_is_masked_is_recorded_as_it_is_shown() {
    let text = b"card 4111 1111 1111 1111 of alice\n";
    for cut in 0..text.len() {
        let mut play = recorded_exec(OUTPUT, V5, Some(&detectors()));
        play.server(&[b"\x01", &text[..cut]].concat()).unwrap();
        play.server(&[b"\x01", &text[cut..]].concat()).unwrap();
        // Held back, until it is known that nothing follows.
        play.server(b"\x01 4111111111111111").unwrap();
        play.server(b"\x03{\"metadata\":{},\"status\":\"Success\"}").unwrap();
        assert_eq!(shown(&play), b"card [redacted] of alice\n [redacted]", "cut at {cut}");
        assert_eq!(shown(&play), play.passed(Channel::Stdout));
    }
}

/// What had passed before a peer broke the protocol was sent.
#[test]
fn a050_what_comes_before_a_violation_is_recorded() {
    let mut bytes = BytesMut::new();
    websocket::encode(Opcode::Binary, true, b"\x01before", None, &mut bytes);
    websocket::encode(Opcode::Binary, true, b"\x00after", None, &mut bytes);
    let mut passing = Passing::default();
    let mut play = recorded_exec(EXEC, V5, None);
    assert!(play.tunnel.push(play.now, Side::Upstream, &bytes, &mut passing).is_err());
    play.take(passing);
    assert_eq!(shown(&play), b"before");
    assert_eq!(play.passed(Channel::Stdout), b"before");
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let mut play = exec(EXEC, V5);
    play.client(b"\x00ls\n").unwrap();
    play.client(b"\x04any size that there is").unwrap();
    play.server(b"\x01out").unwrap();
    play.end(Side::Upstream);
    assert_eq!(lines(&play), [] as [&str; 0]);
}

#[test]
fn a050_a_size_that_can_not_be_recorded_is_not_sent() {
    for size in [
        &b"\x04x"[..],
        b"\x04{\"Width\":101}",
        b"\x04{\"width\":101,\"Height\":33}",
        b"\x04{\"Width\":101,\"Height\":33,\"More\":1}",
        b"\x04{\"Width\":-1,\"Height\":33}",
        b"\x04{\"Width\":65536,\"Height\":33}",
        b"\x04[101,33]",
        b"\x04{\"Width\":101,\"Height\":33}]",
    ] {
        let mut play = recorded_exec(EXEC, V5, None);
        assert_eq!(play.client(size).unwrap_err().code, "k8s.stream", "{size:?}");
        assert!(play.upstream.is_empty(), "{size:?}");
    }
    // One that never ends is none.
    let mut play = recorded_exec(EXEC, V5, None);
    play.client(&[b"\x04{", &[b' '; 200][..]].concat()).unwrap();
    assert!(play.client(&[b"\x04", &[b' '; 200][..]].concat()).is_err());
}

#[test]
fn sizes_are_read_however_they_are_cut() {
    let text = b"{\"Width\":101,\"Height\":33}\n{\"Height\":40,\"Width\":120}{\"Width\":0,\"Height\":0}";
    let expected = [(101, 33), (120, 40), (80, 24)]
        .map(|(columns, rows)| format!("Resize(Size {{ columns: {columns}, rows: {rows} }})"));
    for cut in 0..text.len() {
        let mut play = recorded_exec(EXEC, V5, None);
        for piece in [&text[..cut], &text[cut..]] {
            play.client(&[b"\x04", piece].concat()).unwrap();
        }
        assert_eq!(lines(&play), expected, "cut at {cut}");
    }
}

/// What shows nothing has no recording: a policy that wants one is to be told so, and not to believe that there is one.
#[test]
fn a053_what_shows_nothing_can_not_be_recorded() {
    let key = MaskKey::new([7; 32]);
    for (target, transport, protocol) in [
        (FORWARD, Transport::Spdy, "portforward.k8s.io"),
        (FORWARD, Transport::WebSocket, "SPDY/3.1+portforward.k8s.io"),
        ("/api/v1/namespaces/demo/pods/web/portforward?ports=80", Transport::WebSocket, V4),
        ("/api/v1/namespaces/demo/pods/web:80/proxy/ws", Transport::WebSocket, ""),
        ("/api/v1/namespaces/demo/pods/web/log?follow=1", Transport::WebSocket, ""),
        ("/api/v1/nodes/n/proxy/run/demo/web/c?cmd=id", Transport::WebSocket, V4),
    ] {
        let refusal = new(&event("GET", target, transport), protocol, None, &key, true).unwrap_err();
        assert_eq!(refusal.code, "record.unsupported", "{target}");
    }
    let title = |target: &str| title(&event("GET", target, Transport::WebSocket));
    // Arguments may be secrets.
    assert_eq!(title(&format!("{EXEC}&command=-phunter2")).as_deref(), Some("sh"));
    assert_eq!(title(ATTACH).as_deref(), Some("attach"));
    let by_node = "/api/v1/nodes/n/proxy/exec/demo/web/c?command=id&output=1";
    assert_eq!(title(by_node).as_deref(), Some("id"));
    let plain = KubernetesEvent { upgrade: None, ..event("GET", EXEC, Transport::WebSocket) };
    assert_eq!(super::title(&plain), None, "nothing is opened");
}

fn failed() -> Problem {
    Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "record.failed", "it can not be recorded")
}

fn terminate(play: &mut Play) {
    let mut passing = Passing::default();
    play.tunnel.terminate(&failed(), &mut passing);
    play.take(passing);
}

fn told(play: &Play) -> serde_json::Value {
    serde_json::from_slice(&play.passed(Channel::Error)).unwrap()
}

/// kubectl shows the message of what comes on the error channel, if the connection then ends in good order.
#[test]
fn a050_a_client_is_told_why_its_stream_ends() {
    for protocol in [V5, V4, "v4.base64.channel.k8s.io"] {
        let mut play = recorded_exec(EXEC, protocol, Some(&detectors()));
        if !play.is_base64 {
            // Held back, and not recorded: it is not shown.
            play.server(b"\x01 4111111111111111").unwrap();
        }
        let before = play.upstream.len();
        terminate(&mut play);
        assert_eq!(told(&play)["status"], "Failure");
        assert_eq!(told(&play)["message"], "it can not be recorded");
        assert_eq!(exit(&play.passed(Channel::Error)), Exit::Failed);
        assert_eq!(play.passed(Channel::Stdout), shown(&play));
        assert!(play.downstream.ends_with(b"\x88\x02\x03\xe8"), "a close");
        assert_eq!(play.upstream.len(), before, "the target is told nothing");
    }
    let spdy = event("POST", EXEC, Transport::Spdy);
    let (mut play, mut encoder) = (start(&spdy, V4, None, true), Encoder::new());
    let opened = [syn(1, &[("streamtype", "error")]), syn(3, &[("streamtype", "stdin")])];
    send(&mut play, &mut encoder, Side::Downstream, &opened).unwrap();
    let before = play.upstream.len();
    terminate(&mut play);
    assert_eq!(told(&play)["message"], "it can not be recorded");
    let sent = frames(&play.downstream);
    assert!(matches!(sent[0], spdy::Frame::Data { stream: 1, fin: true, .. }), "{sent:?}");
    assert!(matches!(sent[1], spdy::Frame::GoAway { last: 3, .. }), "{sent:?}");
    assert_eq!(play.upstream.len(), before);
    // Before the client has opened a stream for that, and where there is none, there is no place for it.
    let mut play = start(&spdy, V4, None, true);
    terminate(&mut play);
    assert!(play.downstream.is_empty());
    let (mut play, _) = spdy_play(FORWARD);
    terminate(&mut play);
    assert!(play.downstream.is_empty());
}

proptest! {
    /// However messages of all channels are mixed and cut, a recording has what passes, and nothing else.
    #[test]
    fn a050_a_recording_has_what_passes_and_nothing_else(
        messages in vec((0_u8..4, vec(any::<u8>(), 0..40)), 0..20),
        size in 1_usize..50,
    ) {
        let mut play = recorded_exec(EXEC, V5, Some(&detectors()));
        for (kind, bytes) in messages {
            let (from, key, number) = match kind {
                0 => (Side::Downstream, Some(KEY), 0),
                1 | 2 => (Side::Upstream, None, kind),
                _ => (Side::Upstream, None, 3),
            };
            let mut frame = BytesMut::new();
            websocket::encode(Opcode::Binary, true, &[&[number], &bytes[..]].concat(), key, &mut frame);
            for piece in frame.chunks(size) {
                play.push(from, piece).unwrap();
            }
        }
        play.end(Side::Upstream);
        let mut output = play.passed(Channel::Stdout);
        output.extend(play.passed(Channel::Stderr));
        let mut recorded = shown(&play);
        output.sort_unstable();
        recorded.sort_unstable();
        prop_assert_eq!(output, recorded);
        prop_assert_eq!(typed(&play), play.passed(Channel::Stdin).len());
    }
}
