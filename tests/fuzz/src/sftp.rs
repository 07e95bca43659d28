//! SFTP. An input is what a client sends after it has opened a file; the target answers questions about paths as one without links does, and everything is permitted.

use bytes::Bytes;
use gatewright_model::{id::EventIds, session::Side, ssh::FileOperation};
use gatewright_ssh::sftp::{Does, Sftp};

use crate::{Target, mutate::Shape};

pub(crate) const TARGET: Target = Target { name: "sftp", seeds, words: WORDS, shape: Shape::Binary, check };

/// Properties: nothing panics; however the input is cut, the target is sent the same and the same is asked about; no
/// operation on a path reaches the target that was not asked about, with its paths as they were.
fn check(input: &[u8]) {
    let whole = Played::of(input, input.len().max(1));
    for size in [1, 7] {
        assert!(Played::of(input, size) == whole, "{size}");
    }
    let mut asked = whole.asked.iter();
    let mut rest = whole.sent.as_slice();
    while let Some((packet, behind)) = cut(rest) {
        rest = behind;
        let kind = packet.first().copied().unwrap_or_default();
        // Those with a handle, and the gateway's own.
        if !matches!(kind, 3 | 7 | 9 | 11 | 13..=15 | 17..=20) {
            continue;
        }
        let is_it = |operation: &&FileOperation| {
            let has = |path: &str| packet.windows(path.len()).any(|window| window == path.as_bytes());
            has(&operation.path) && (kind == 20 || operation.other_path.as_deref().is_none_or(has))
        };
        assert!(asked.any(|operation| is_it(&operation)), "{packet:?}");
    }
}

/// What became of an input.
#[derive(Default, PartialEq)]
struct Played {
    asked: Vec<FileOperation>,
    sent: Vec<u8>,
    failed: bool,
}

impl Played {
    fn of(input: &[u8], size: usize) -> Self {
        let (mut relay, events, mut played) = (Sftp::new(), EventIds::default(), Self::default());
        let mut answered = 0;
        // Other handles than this one are not given out: when one is there is a matter of time.
        let open = packet(3, OPENED, &[text("/opened"), number(0x1b), number(0)]);
        let begin = [packet(1, 3, &[]), open];
        for piece in begin.iter().map(Vec::as_slice).chain(input.chunks(size)) {
            let mut told = relay.hear(Side::Downstream, Bytes::copy_from_slice(piece));
            loop {
                let mut event = None;
                while let Some(does) = relay.poll() {
                    match does {
                        Does::Ask(operation) => {
                            let own = events.draw();
                            relay.asked(own);
                            event = Some(own);
                            played.asked.push(operation);
                        }
                        Does::Send(Side::Upstream, bytes) => played.sent.extend_from_slice(&bytes),
                        Does::Send(..) | Does::Finish(..) => {}
                    }
                }
                if told.is_err() {
                    played.failed = true;
                    return played;
                }
                if event.is_some_and(|event| relay.asks(event)) {
                    told = relay.permitted();
                    continue;
                }
                let unanswered = played.sent.get(answered..).unwrap_or_default();
                let Some((packet, rest)) = cut(unanswered) else { break };
                answered = played.sent.len() - rest.len();
                let Some(answer) = answer(packet) else { continue };
                told = relay.hear(Side::Upstream, Bytes::from(answer));
            }
            if !relay.wants_client() {
                break;
            }
        }
        played
    }
}

/// The first packet of a stream, without its length.
fn cut(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = stream.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// What the target says to that.
fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let (kind, rest) = packet.split_first()?;
    let (id, rest) = rest.split_first_chunk::<4>()?;
    let text = |text: &[u8]| [&(text.len() as u32).to_be_bytes()[..], text].concat();
    let is_opened = *id == OPENED.to_be_bytes();
    let body = match kind {
        1 => [&[2][..], &[0, 0, 0, 3], &text(b"posix-rename@openssh.com"), &text(b"1")].concat(),
        16 => {
            let asked = std::str::from_utf8(rest.get(4..)?).ok()?;
            let mut parts = vec!["home"];
            if asked.starts_with('/') {
                parts.clear();
            }
            for part in asked.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            let path = text(format!("/{}", parts.join("/")).as_bytes());
            [&[104][..], id, &[0, 0, 0, 1], &path, &path, &[0; 4]].concat()
        }
        3 if is_opened => [&[102][..], id, &text(b"h")].concat(),
        _ => return None,
    };
    Some(text(&body))
}

/// The number of the request that opens a file.
const OPENED: u32 = 0x00c0_ffee;

fn packet(kind: u8, id: u32, rest: &[Vec<u8>]) -> Vec<u8> {
    let body = [&[kind][..], &id.to_be_bytes(), &rest.concat()].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

fn number(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn seeds() -> Vec<Vec<u8>> {
    let write = packet(6, 3, &[text("h"), vec![0; 8], text("content")]);
    let open = packet(3, 2, &[text("a/../x"), number(0x1a), number(0)]);
    let name = text("posix-rename@openssh.com");
    [
        [open, write, packet(4, 4, &[text("h")])].concat(),
        [packet(17, 2, &[text("/srv/a")]), packet(13, 3, &[text("b/")])].concat(),
        packet(18, 2, &[text("a"), text("/b/../c")]),
        packet(20, 2, &[text("../x"), text("/srv/y")]),
        packet(200, 2, &[name, text("a"), text("b")]),
        packet(9, 2, &[text("/a"), number(0xf), vec![0; 28]]),
        packet(16, 2, &[text(".")]),
    ]
    .into()
}

const WORDS: &[&[u8]] = &[
    b"/",
    b"..",
    b"../",
    b"/.",
    b"\\",
    b"\0",
    b"\xff",
    b"hardlink@openssh.com",
    b"statvfs@openssh.com",
    b"copy-data",
    &[0, 0, 0, 9, 13, 0, 0, 0, 9, 0, 0, 0, 0],
    &[0, 4, 0, 0],
    &[0x80, 0, 0, 0],
];
