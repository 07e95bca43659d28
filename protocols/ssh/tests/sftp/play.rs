//! A relay, and a target that resolves paths.

use std::fmt::Write as _;

use bytes::Bytes;
use expect_test::Expect;
use gatewright_model::{
    id::{EventId, EventIds},
    session::{Outcome, ProtocolError, Side},
    ssh::FileOperation,
};
use gatewright_ssh::sftp::{Does, Sftp};

pub(crate) struct Play {
    pub(crate) relay: Sftp,
    pub(crate) events: EventIds,
    pub(crate) event: EventId,
    pub(crate) asked: Option<FileOperation>,
    pub(crate) transcript: String,
    /// What was sent, and not looked at yet.
    pub(crate) to_target: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    pub(crate) error: Option<&'static str>,
    /// Does the target answer questions about paths by itself?
    pub(crate) resolves: bool,
}

pub(crate) const INIT: u8 = 1;
pub(crate) const OPEN: u8 = 3;
pub(crate) const CLOSE: u8 = 4;
pub(crate) const READ: u8 = 5;
pub(crate) const WRITE: u8 = 6;
pub(crate) const LSTAT: u8 = 7;
pub(crate) const FSTAT: u8 = 8;
pub(crate) const SETSTAT: u8 = 9;
pub(crate) const FSETSTAT: u8 = 10;
pub(crate) const OPENDIR: u8 = 11;
pub(crate) const READDIR: u8 = 12;
pub(crate) const REMOVE: u8 = 13;
pub(crate) const MKDIR: u8 = 14;
pub(crate) const RMDIR: u8 = 15;
pub(crate) const REALPATH: u8 = 16;
pub(crate) const STAT: u8 = 17;
pub(crate) const RENAME: u8 = 18;
pub(crate) const READLINK: u8 = 19;
pub(crate) const SYMLINK: u8 = 20;
pub(crate) const STATUS: u8 = 101;
pub(crate) const HANDLE: u8 = 102;
pub(crate) const DATA: u8 = 103;
pub(crate) const NAME: u8 = 104;
pub(crate) const EXTENDED: u8 = 200;

pub(crate) const READING: u32 = 1;
pub(crate) const WRITING: u32 = 2 | 8 | 16;

/// A part of a packet.
pub(crate) enum Part<'a> {
    Number(u32),
    Long(u64),
    Text(&'a str),
    Raw(&'a [u8]),
}
pub(crate) use Part::{Long, Number, Raw, Text};

pub(crate) fn packet(kind: u8, parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = vec![kind];
    for part in parts {
        match part {
            Number(number) => body.extend(number.to_be_bytes()),
            Long(number) => body.extend(number.to_be_bytes()),
            Text(text) => {
                body.extend((text.len() as u32).to_be_bytes());
                body.extend(text.as_bytes());
            }
            Raw(bytes) => body.extend(*bytes),
        }
    }
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

pub(crate) fn path(kind: u8, id: u32, path: &str) -> Vec<u8> {
    packet(kind, &[Number(id), Text(path)])
}

pub(crate) fn open(id: u32, path: &str, flags: u32) -> Vec<u8> {
    packet(OPEN, &[Number(id), Text(path), Number(flags), Number(0)])
}

pub(crate) fn write(id: u32, handle: &str, offset: u64, content: &str) -> Vec<u8> {
    packet(WRITE, &[Number(id), Text(handle), Long(offset), Text(content)])
}

pub(crate) fn read(id: u32, handle: &str, offset: u64) -> Vec<u8> {
    packet(READ, &[Number(id), Text(handle), Long(offset), Number(4)])
}

pub(crate) fn status(id: u32, code: u32) -> Vec<u8> {
    packet(STATUS, &[Number(id), Number(code), Text("said"), Text("")])
}

pub(crate) fn names(id: u32, name: &str) -> Vec<u8> {
    packet(NAME, &[Number(id), Number(1), Text(name), Text(name), Number(0)])
}

pub(crate) fn version(extensions: &[(&str, &str)]) -> Vec<u8> {
    let pairs = extensions.iter().flat_map(|(name, version)| [Text(name), Text(version)]);
    packet(2, &[Number(3)].into_iter().chain(pairs).collect::<Vec<_>>())
}

pub(crate) const EXTENSIONS: [(&str, &str); 8] = [
    ("posix-rename@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fsync@openssh.com", "2"),
    ("copy-data", "1"),
    ("users-groups-by-id@openssh.com", "1"),
    ("home-directory", "1"),
    ("md5-hash@x", "1"),
];

/// What the target makes of a path: `/srv/link` leads to `/etc`, and nothing is below `/gone`.
pub(crate) fn resolve(path: &str) -> Result<String, u32> {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/users/app/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
        match parts[..] {
            ["srv", "link"] => parts = vec!["etc"],
            ["gone", _] => return Err(2),
            ["secret", ..] => return Err(3),
            _ => {}
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

impl Play {
    pub(crate) fn new() -> Self {
        Self {
            relay: Sftp::new(),
            events: EventIds::default(),
            event: EventId::FIRST,
            asked: None,
            transcript: String::new(),
            to_target: Vec::new(),
            to_client: Vec::new(),
            error: None,
            resolves: true,
        }
    }

    /// Past its beginning.
    pub(crate) fn ready() -> Self {
        let mut play = Self::new();
        play.client(&packet(INIT, &[Number(3)])).target(&version(&EXTENSIONS));
        play.transcript.clear();
        play
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) -> &mut Self {
        assert!(self.relay.wants_client(), "nobody wants it");
        let told = self.relay.hear(Side::Downstream, Bytes::copy_from_slice(bytes));
        self.done(told)
    }

    pub(crate) fn target(&mut self, bytes: &[u8]) -> &mut Self {
        let told = self.relay.hear(Side::Upstream, Bytes::copy_from_slice(bytes));
        self.done(told)
    }

    pub(crate) fn permit(&mut self) -> &mut Self {
        assert!(self.relay.asks(self.event));
        let told = self.relay.permitted();
        self.done(told)
    }

    pub(crate) fn deny(&mut self) -> &mut Self {
        assert!(self.relay.asks(self.event));
        let told = self.relay.denied("no");
        self.done(told)
    }

    pub(crate) fn done(&mut self, told: Result<(), ProtocolError>) -> &mut Self {
        while let Some(does) = self.relay.poll() {
            match does {
                Does::Ask(operation) => {
                    self.event = self.events.draw();
                    self.relay.asked(self.event);
                    writeln!(self.transcript, "ask {}: {}", self.event, operation.summary()).unwrap();
                    self.asked = Some(operation);
                }
                Does::Send(Side::Upstream, bytes) => self.to_target.extend(bytes),
                Does::Send(Side::Downstream, bytes) => self.to_client.extend(bytes),
                Does::Finish(event, outcome) => self.finished(event, &outcome),
            }
            self.show();
        }
        if let Err(error) = told {
            writeln!(self.transcript, "error: {}", error.code).unwrap();
            self.error = Some(error.code);
        }
        self
    }

    pub(crate) fn finished(&mut self, event: EventId, outcome: &Outcome) {
        let mut line = format!("finished {event}: {}", outcome.result.as_str());
        if let Some(code) = &outcome.code {
            write!(line, " {code}").unwrap();
        }
        for (word, content) in [("read", outcome.read), ("written", outcome.written)] {
            let Some(content) = content else { continue };
            let digest = content.digest.map_or_else(|| "no digest".to_owned(), |digest| digest.short());
            write!(line, ", {word} {} {digest}", content.bytes).unwrap();
        }
        writeln!(self.transcript, "{line}").unwrap();
    }

    /// Whole packets that were sent.
    pub(crate) fn show(&mut self) {
        while let Some(packet) = cut(&mut self.to_client) {
            writeln!(self.transcript, "to client: {}", shown(&packet)).unwrap();
        }
        while let Some(packet) = cut(&mut self.to_target) {
            if self.resolves && packet[0] == REALPATH {
                let id = u32::from_be_bytes(packet[1..5].try_into().unwrap());
                let answer = match resolve(std::str::from_utf8(&packet[9..]).unwrap()) {
                    Ok(path) => names(id, &path),
                    Err(code) => status(id, code),
                };
                self.target(&answer);
                continue;
            }
            writeln!(self.transcript, "to target: {}", shown(&packet)).unwrap();
        }
    }
}

pub(crate) fn cut(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*stream.first_chunk()?) as usize;
    (stream.len() >= 4 + length).then(|| stream.drain(..4 + length).skip(4).collect())
}

/// A packet: its type, its number, and what of the rest can be read.
pub(crate) fn shown(packet: &[u8]) -> String {
    let name = match packet[0] {
        INIT => "INIT",
        2 => "VERSION",
        OPEN => "OPEN",
        CLOSE => "CLOSE",
        READ => "READ",
        WRITE => "WRITE",
        LSTAT => "LSTAT",
        FSTAT => "FSTAT",
        SETSTAT => "SETSTAT",
        FSETSTAT => "FSETSTAT",
        OPENDIR => "OPENDIR",
        READDIR => "READDIR",
        REMOVE => "REMOVE",
        MKDIR => "MKDIR",
        RMDIR => "RMDIR",
        REALPATH => "REALPATH",
        STAT => "STAT",
        RENAME => "RENAME",
        READLINK => "READLINK",
        SYMLINK => "SYMLINK",
        STATUS => "STATUS",
        HANDLE => "HANDLE",
        DATA => "DATA",
        NAME => "NAME",
        EXTENDED => "EXTENDED",
        _ => "?",
    };
    let id = u32::from_be_bytes(packet[1..5].try_into().unwrap());
    let mut rest = &packet[5..];
    let mut text = String::new();
    if packet[0] == STATUS {
        write!(text, " {}", u32::from_be_bytes(*rest.first_chunk().unwrap())).unwrap();
        rest = &rest[4..];
    }
    while let Some(size) = rest.first_chunk().map(|size| u32::from_be_bytes(*size) as usize) {
        let Some(string) = rest.get(4..4 + size).filter(|string| is_text(string)) else {
            rest = &rest[1..];
            continue;
        };
        write!(text, " {}", String::from_utf8_lossy(string)).unwrap();
        rest = &rest[4 + size..];
    }
    format!("{name} {id}{text}")
}

pub(crate) fn is_text(string: &[u8]) -> bool {
    !string.is_empty() && string.iter().all(|byte| *byte >= b' ')
}

pub(crate) fn check(play: &Play, expected: Expect) {
    expected.assert_eq(&play.transcript);
}
