//! Schedules of SFTP, played to a relay without a socket, against a target that resolves paths.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;

use bytes::Bytes;
use expect_test::{Expect, expect};
use gatewright_model::{
    id::{EventId, EventIds},
    session::{Outcome, Side},
    ssh::FileOperation,
};
use gatewright_ssh::sftp::{Does, Sftp};
use proptest::prelude::*;

struct Play {
    relay: Sftp,
    events: EventIds,
    event: EventId,
    asked: Option<FileOperation>,
    transcript: String,
    /// What was sent, and not looked at yet.
    to_target: Vec<u8>,
    to_client: Vec<u8>,
    error: Option<&'static str>,
    /// Does the target answer questions about paths by itself?
    resolves: bool,
}

const INIT: u8 = 1;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const RMDIR: u8 = 15;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const RENAME: u8 = 18;
const READLINK: u8 = 19;
const SYMLINK: u8 = 20;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const EXTENDED: u8 = 200;

const READING: u32 = 1;
const WRITING: u32 = 2 | 8 | 16;

/// A part of a packet.
enum Part<'a> {
    Number(u32),
    Long(u64),
    Text(&'a str),
    Raw(&'a [u8]),
}
use Part::{Long, Number, Raw, Text};

fn packet(kind: u8, parts: &[Part<'_>]) -> Vec<u8> {
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

fn path(kind: u8, id: u32, path: &str) -> Vec<u8> {
    packet(kind, &[Number(id), Text(path)])
}

fn open(id: u32, path: &str, flags: u32) -> Vec<u8> {
    packet(OPEN, &[Number(id), Text(path), Number(flags), Number(0)])
}

fn write(id: u32, handle: &str, offset: u64, content: &str) -> Vec<u8> {
    packet(WRITE, &[Number(id), Text(handle), Long(offset), Text(content)])
}

fn read(id: u32, handle: &str, offset: u64) -> Vec<u8> {
    packet(READ, &[Number(id), Text(handle), Long(offset), Number(4)])
}

fn status(id: u32, code: u32) -> Vec<u8> {
    packet(STATUS, &[Number(id), Number(code), Text("said"), Text("")])
}

fn names(id: u32, name: &str) -> Vec<u8> {
    packet(NAME, &[Number(id), Number(1), Text(name), Text(name), Number(0)])
}

fn version(extensions: &[(&str, &str)]) -> Vec<u8> {
    let pairs = extensions.iter().flat_map(|(name, version)| [Text(name), Text(version)]);
    packet(2, &[Number(3)].into_iter().chain(pairs).collect::<Vec<_>>())
}

const EXTENSIONS: [(&str, &str); 8] = [
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
fn resolve(path: &str) -> Result<String, u32> {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/home/app/{path}") };
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
    fn new() -> Self {
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
    fn ready() -> Self {
        let mut play = Self::new();
        play.client(&packet(INIT, &[Number(3)])).target(&version(&EXTENSIONS));
        play.transcript.clear();
        play
    }

    fn client(&mut self, bytes: &[u8]) -> &mut Self {
        assert!(self.relay.wants_client(), "nobody wants it");
        let told = self.relay.hear(Side::Downstream, Bytes::copy_from_slice(bytes));
        self.done(told)
    }

    fn target(&mut self, bytes: &[u8]) -> &mut Self {
        let told = self.relay.hear(Side::Upstream, Bytes::copy_from_slice(bytes));
        self.done(told)
    }

    fn permit(&mut self) -> &mut Self {
        assert!(self.relay.asks(self.event));
        let told = self.relay.permitted();
        self.done(told)
    }

    fn deny(&mut self) -> &mut Self {
        assert!(self.relay.asks(self.event));
        let told = self.relay.denied("no");
        self.done(told)
    }

    fn done(&mut self, told: Result<(), gatewright_model::session::ProtocolError>) -> &mut Self {
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

    fn finished(&mut self, event: EventId, outcome: &Outcome) {
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
    fn show(&mut self) {
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

fn cut(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*stream.first_chunk()?) as usize;
    (stream.len() >= 4 + length).then(|| stream.drain(..4 + length).skip(4).collect())
}

/// A packet: its type, its number, and what of the rest can be read.
fn shown(packet: &[u8]) -> String {
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

fn is_text(string: &[u8]) -> bool {
    !string.is_empty() && string.iter().all(|byte| *byte >= b' ')
}

fn check(play: &Play, expected: Expect) {
    expected.assert_eq(&play.transcript);
}

#[test]
fn a_beginning_hides_what_has_no_meaning() {
    let mut play = Play::new();
    play.resolves = false;
    let offers = [Number(6), Text("x"), Text("y")];
    play.client(&packet(INIT, &offers)).target(&version(&EXTENSIONS));
    assert!(!play.relay.wants_client());
    play.target(&names(u32::MAX, "/home/app"));
    assert!(play.relay.wants_client());
    check(
        &play,
        expect![[r#"
            to target: INIT 3
            to client: VERSION 3 posix-rename@openssh.com 1 hardlink@openssh.com 1 statvfs@openssh.com 2 copy-data 1 home-directory 1
            to target: REALPATH 4294967295 .
        "#]],
    );
}

#[test]
fn a_file_is_written_and_read_with_one_verdict_each() {
    let mut play = Play::ready();
    play.client(&open(1, "x", WRITING)).permit().target(&packet(HANDLE, &[Number(1), Text("h")]));
    play.client(&[write(2, "h", 0, "hel"), write(3, "h", 3, "lo"), path(CLOSE, 4, "h")].concat());
    play.target(&[status(2, 0), status(3, 0), status(4, 0)].concat());
    play.client(&open(5, "/home/app/x", READING)).permit().target(&packet(HANDLE, &[Number(5), Text("h")]));
    play.client(&[read(6, "h", 0), read(7, "h", 3), read(8, "h", 5), path(CLOSE, 9, "h")].concat());
    play.target(&packet(DATA, &[Number(6), Text("hel")])).target(&packet(DATA, &[Number(7), Text("lo")]));
    play.target(&[status(8, 1), status(9, 0)].concat());
    check(
        &play,
        expect![[r#"
            ask 1: file write /home/app/x
            to target: OPEN 1 /home/app/x
            to client: HANDLE 1 h
            to target: WRITE 2 h hel
            to target: WRITE 3 h lo
            to target: CLOSE 4 h
            to client: STATUS 2 0 said
            to client: STATUS 3 0 said
            finished 1: ok, written 5 2cf24dba5fb0
            to client: STATUS 4 0 said
            ask 2: file read /home/app/x
            to target: OPEN 5 /home/app/x
            to client: HANDLE 5 h
            to target: READ 6 h
            to target: READ 7 h
            to target: READ 8 h
            to target: CLOSE 9 h
            to client: DATA 6 hel
            to client: DATA 7 lo
            to client: STATUS 8 1 said
            finished 2: ok, read 5 2cf24dba5fb0
            to client: STATUS 9 0 said
        "#]],
    );
}

#[test]
fn what_comes_behind_an_operation_waits_until_it_is_decided() {
    let mut play = Play::ready();
    play.client(&[path(REMOVE, 1, "a"), path(STAT, 2, "b"), path(MKDIR, 3, "c\0")].concat()[..40]);
    assert!(!play.relay.wants_client());
    play.deny();
    assert!(!play.relay.wants_client());
    play.permit();
    assert!(play.relay.wants_client());
    check(
        &play,
        expect![[r#"
        ask 1: file remove /home/app/a
        to client: STATUS 1 3 no en
        ask 2: file stat /home/app/b
        to target: STAT 2 /home/app/b
    "#]],
    );
}

/// A46: every way to write one place is that place.
#[test]
fn a046_a_path_is_what_the_target_makes_of_it() {
    for (written, meant) in [
        ("../../etc/passwd", "/etc/passwd"),
        ("/srv/../etc/passwd", "/etc/passwd"),
        ("/srv/link/passwd", "/etc/passwd"),
        ("/srv/link/../srv/x", "/srv/x"),
        ("//etc/./passwd", "/etc/passwd"),
        ("/srv/..../x", "/srv/..../x"),
        ("/srv/%2e%2e/x", "/srv/%2e%2e/x"),
        ("/srv/\u{ff0e}\u{ff0e}/x", "/srv/\u{ff0e}\u{ff0e}/x"),
        ("/srv/*", "/srv/*"),
    ] {
        let mut play = Play::ready();
        play.client(&open(1, written, READING));
        assert_eq!(&*play.asked.as_ref().unwrap().path, meant);
        play.permit();
        assert!(play.transcript.contains(&format!("to target: OPEN 1 {meant}\n")), "{}", play.transcript);
    }
}

/// A46: what acts on a name leaves the link at its end alone, and follows those before it.
#[test]
fn a046_of_a_name_the_directory_is_resolved() {
    for kind in [LSTAT, REMOVE, RMDIR, READLINK] {
        for (written, meant) in [
            ("/srv/link", "/srv/link"),
            ("/srv/link/x", "/etc/x"),
            ("/srv/link/..", "/"),
            ("link", "/home/app/link"),
            ("/", "/"),
        ] {
            let mut play = Play::ready();
            play.client(&path(kind, 1, written)).permit();
            assert!(play.transcript.ends_with(&format!(" 1 {meant}\n")), "{}", play.transcript);
            assert_eq!(&*play.asked.unwrap().path, meant);
        }
    }
    let mut play = Play::ready();
    play.client(&path(LSTAT, 1, "/srv/link/"));
    assert_eq!(&*play.asked.unwrap().path, "/etc");
}

/// A46: two names are two paths.
#[test]
fn a046_both_names_of_a_rename_and_a_link_are_judged() {
    let two = |kind, first: &str, second: &str| packet(kind, &[Number(1), Text(first), Text(second)]);
    let extended = |name: &str| packet(EXTENDED, &[Number(1), Text(name), Text("a"), Text("/srv/link/b")]);
    let mut play = Play::ready();
    play.client(&two(RENAME, "a", "/srv/link/b")).permit().target(&status(1, 0));
    play.client(&extended("posix-rename@openssh.com"));
    assert!(play.asked.as_ref().unwrap().manner.replaces);
    play.permit().target(&status(1, 4));
    play.client(&extended("hardlink@openssh.com")).permit().target(&status(1, 0));
    // Of a symbolic link, what it leads to is said first.
    play.client(&two(SYMLINK, "../../etc/passwd", "/srv/x/y")).permit().target(&status(1, 0));
    check(
        &play,
        expect![[r#"
        ask 1: file rename /home/app/a to /etc/b
        to target: RENAME 1 /home/app/a /etc/b
        finished 1: ok
        to client: STATUS 1 0 said
        ask 2: file rename /home/app/a to /etc/b
        to target: EXTENDED 1 posix-rename@openssh.com /home/app/a /etc/b
        finished 2: error sftp.failure
        to client: STATUS 1 4 said
        ask 3: file hardlink /home/app/a to /etc/b
        to target: EXTENDED 1 hardlink@openssh.com /home/app/a /etc/b
        finished 3: ok
        to client: STATUS 1 0 said
        ask 4: file symlink /srv/x/y to /etc/passwd
        to target: SYMLINK 1 ../../etc/passwd /srv/x/y
        finished 4: ok
        to client: STATUS 1 0 said
    "#]],
    );
}

/// A46: what a person has looked at is what is done, however long that took.
#[test]
fn a046_what_was_approved_is_resolved_again() {
    let rename = packet(RENAME, &[Number(1), Text("a"), Text("/srv/b")]);
    for (again, is_done) in [
        ([names(u32::MAX, "/home/app"), names(u32::MAX, "/srv")], true),
        ([names(u32::MAX, "/home/app"), names(u32::MAX, "/etc")], false),
        ([names(u32::MAX, "/etc"), names(u32::MAX, "/srv")], false),
        ([names(u32::MAX, "/home/app"), status(u32::MAX, 2)], false),
        ([names(u32::MAX, "/home/app"), names(u32::MAX, "no path")], false),
    ] {
        let mut play = Play::ready();
        play.client(&rename);
        play.relay.held();
        play.resolves = false;
        play.permit();
        assert!(!play.relay.wants_client() && !play.relay.asks(play.event));
        play.target(&again[0]).target(&again[1]);
        assert_eq!(play.transcript.contains("to target: RENAME"), is_done, "{}", play.transcript);
        assert_eq!(play.transcript.contains("finished 1: refused sftp.changed"), !is_done);
        assert!(play.relay.wants_client());
    }
    // Nobody waits for it any more.
    let mut gone = Play::ready();
    gone.client(&rename);
    gone.relay.held();
    gone.resolves = false;
    gone.permit();
    let left = gone.relay.give_up();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.code.as_deref(), Some("sftp.not_sent"));
}

/// A46: nobody learns without a permit whether something is there.
#[test]
fn a046_what_can_not_be_resolved_is_asked_about_all_the_same() {
    let mut play = Play::ready();
    play.client(&path(STAT, 1, "/gone/x/../y")).deny();
    play.client(&path(STAT, 2, "/gone/x/../y")).permit();
    play.client(&path(REALPATH, 3, "/secret/x")).deny();
    play.client(&path(REALPATH, 4, "/secret/x")).permit();
    check(
        &play,
        expect![[r#"
        ask 1: file stat /gone/y
        to client: STATUS 1 3 no en
        ask 2: file stat /gone/y
        to client: STATUS 2 2 said
        finished 2: error sftp.no_such_file
        ask 3: file realpath /secret/x
        to client: STATUS 3 3 no en
        ask 4: file realpath /secret/x
        to client: STATUS 4 3 said
        finished 4: error sftp.permission_denied
    "#]],
    );
}

#[test]
fn where_a_path_leads_is_an_answer_that_a_permit_gives() {
    let mut play = Play::ready();
    play.client(&path(REALPATH, 1, "/srv/link")).deny();
    play.client(&path(REALPATH, 2, "")).permit();
    play.client(&packet(EXTENDED, &[Number(3), Text("home-directory"), Text("root")]));
    play.target(&names(u32::MAX, "/root")).deny();
    check(
        &play,
        expect![[r#"
            ask 1: file realpath /etc
            to client: STATUS 1 3 no en
            ask 2: file realpath /home/app
            to client: NAME 2 /home/app /home/app
            finished 2: ok
            to target: EXTENDED 4294967295 home-directory root
            ask 3: file realpath /root
            to client: STATUS 3 3 no en
        "#]],
    );
}

/// A46: a path that two systems read in two ways is none.
#[test]
fn a046_paths_that_are_none_reach_nobody() {
    let mut play = Play::ready();
    let raw = |bytes: &[u8]| {
        let size = (bytes.len() as u32).to_be_bytes();
        packet(REMOVE, &[Number(1), Raw(&size), Raw(bytes)])
    };
    for bytes in [&b"/srv/a\0b"[..], b"/srv/..\\..\\etc", b"/srv/\xff", b"", &[b'a'; 4097]] {
        play.transcript.clear();
        play.client(&raw(bytes));
        let refused =
            play.transcript.starts_with("to client: STATUS 1 ") && play.transcript.lines().count() == 1;
        assert!(refused && play.transcript.contains("[sftp.path]"), "{}", play.transcript);
    }
    // And one of the target's that is not canonical is none either.
    play.resolves = false;
    for answer in ["relative", "/a/../b", "/a\\b", ""] {
        play.transcript.clear();
        play.client(&path(STAT, 1, "x")).target(&names(u32::MAX, answer));
        assert!(play.transcript.contains("to client: STATUS 1 4 "), "{}", play.transcript);
    }
    assert!(play.asked.is_none());
}

/// A46: an extension that nobody has a word for is none, whatever the target can do.
#[test]
fn a046_extensions_without_a_meaning_are_refused() {
    let mut play = Play::ready();
    for name in [
        "md5-hash@x",
        "users-groups-by-id@openssh.com",
        // Another version, and one that the target does not have.
        "fsync@openssh.com",
        "lsetstat@openssh.com",
        "POSIX-RENAME@openssh.com",
    ] {
        play.transcript.clear();
        let rest = if name.starts_with("lset") { [Text("/a"), Number(0)] } else { [Text("/a"), Raw(b"")] };
        let [first, second] = rest;
        play.client(&packet(EXTENDED, &[Number(1), Text(name), first, second]));
        assert!(
            !play.transcript.contains("to target") && play.asked.is_none(),
            "{name}: {}",
            play.transcript
        );
        assert!(
            play.transcript.contains("STATUS 1 8 ") || play.transcript.contains("STATUS 1 4 "),
            "{name}: {}",
            play.transcript
        );
    }
}

/// A46: to read is to change nothing.
#[test]
fn a046_an_open_that_makes_or_empties_a_file_is_no_reading() {
    for (flags, word) in [
        (1, "read"),
        (1 | 8, "read-write"),
        (1 | 16, "read-write"),
        (1 | 4, "read-write"),
        (1 | 32, "read-write"),
        (1 | 2, "read-write"),
        (2, "write"),
        (2 | 4, "write"),
    ] {
        let mut play = Play::ready();
        play.client(&open(1, "/x", flags));
        assert_eq!(play.asked.unwrap().verb.as_str(), word, "{flags}");
    }
    // A server takes one without a direction for reading, and empties the file all the same.
    for flags in [0, 16, 8 | 16, 0x40 | 1, u32::MAX] {
        let mut play = Play::ready();
        play.client(&open(1, "/x", flags));
        assert!(play.asked.is_none() && play.transcript.contains("STATUS 1 8"), "{}", play.transcript);
    }
}

#[test]
fn a046_a_handle_is_what_it_was_opened_as() {
    let mut play = Play::ready();
    play.client(&open(1, "/r", READING)).permit().target(&packet(HANDLE, &[Number(1), Text("r")]));
    play.client(&open(1, "/w", 2)).permit().target(&packet(HANDLE, &[Number(1), Text("w")]));
    play.client(&path(OPENDIR, 1, "/d")).permit().target(&packet(HANDLE, &[Number(1), Text("d")]));
    play.transcript.clear();
    for wrong in [
        write(1, "r", 0, "x"),
        write(1, "d", 0, "x"),
        write(1, "none", 0, "x"),
        read(1, "w", 0),
        read(1, "d", 0),
        read(1, "none", 0),
        path(READDIR, 1, "r"),
        path(CLOSE, 1, "none"),
        path(FSTAT, 1, ""),
        packet(FSETSTAT, &[Number(1), Text("none"), Number(0)]),
        packet(EXTENDED, &[Number(1), Text("copy-data"), Text("w"), Long(0), Long(0), Text("w"), Long(0)]),
        packet(EXTENDED, &[Number(1), Text("copy-data"), Text("r"), Long(0), Long(0), Text("r"), Long(0)]),
    ] {
        play.client(&wrong);
    }
    assert_eq!(play.transcript.matches("to client: STATUS 1").count(), 12, "{}", play.transcript);
    assert_eq!(play.transcript.lines().count(), 12, "{}", play.transcript);
    // What is changed by a handle is changed by its path, and a copy is one from a path to another.
    play.transcript.clear();
    play.client(&packet(FSETSTAT, &[Number(1), Text("r"), Number(4), Number(0o4755)])).deny();
    play.client(&packet(
        EXTENDED,
        &[Number(1), Text("copy-data"), Text("r"), Long(0), Long(0), Text("w"), Long(0)],
    ))
    .permit();
    check(
        &play,
        expect![[r#"
        ask 4: file setstat /r
        to client: STATUS 1 3 no en
        ask 5: file copy /r to /w
        to target: EXTENDED 1 copy-data r w
    "#]],
    );
}

/// What belongs to a handle belongs to what it was given out for, also when the handle is given out again.
#[test]
fn contents_are_counted_where_they_belong() {
    let mut play = Play::ready();
    play.client(&open(1, "/a", 2)).permit().target(&packet(HANDLE, &[Number(1), Text("0")]));
    play.client(&open(2, "/b", 2)).permit().target(&packet(HANDLE, &[Number(2), Text("1")]));
    play.client(&[write(3, "0", 0, "aa"), write(4, "1", 0, "b"), write(5, "0", 2, "a")].concat());
    play.client(&path(CLOSE, 6, "0")).client(&write(7, "0", 3, "lost"));
    play.client(&open(8, "/c", 2)).permit().target(&packet(HANDLE, &[Number(8), Text("0")]));
    play.client(&write(9, "0", 0, "c"));
    play.target(&[status(9, 0), status(5, 0), status(4, 4), status(3, 0), status(6, 0)].concat());
    play.client(&path(CLOSE, 10, "1")).target(&status(10, 0));
    assert!(play.transcript.contains("finished 1: ok, written 3 "), "{}", play.transcript);
    assert!(!play.transcript.contains("finished 1: ok, written 3 no"), "{}", play.transcript);
    assert!(
        play.transcript.contains("finished 2: error sftp.failure, written 0 no digest"),
        "{}",
        play.transcript
    );
    let left: Vec<_> = play.relay.give_up();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].1.result.as_str(), left[0].1.written.unwrap().bytes), ("unknown", 1));
}

/// scp writes over what is there, and cuts the file where it has ended.
#[test]
fn a_file_that_is_cut_where_it_ends_is_what_passed() {
    for (size, is_whole) in [(5, true), (4, false), (6, false)] {
        let mut play = Play::ready();
        play.client(&open(1, "/a", 2)).permit().target(&packet(HANDLE, &[Number(1), Text("h")]));
        play.client(
            &[write(2, "h", 0, "hello"), packet(FSETSTAT, &[Number(3), Text("h"), Number(1), Long(size)])]
                .concat(),
        );
        assert!(play.asked.as_ref().unwrap().manner.replaces);
        play.permit()
            .client(&path(CLOSE, 4, "h"))
            .target(&[status(2, 0), status(3, 0), status(4, 0)].concat());
        assert_eq!(
            play.transcript.contains("finished 1: ok, written 5 2cf24dba5fb0"),
            is_whole,
            "{}",
            play.transcript
        );
    }
}

#[test]
fn what_was_sent_and_not_answered_is_unknown() {
    let mut play = Play::ready();
    play.client(&path(REMOVE, 1, "/a")).permit();
    play.client(&open(2, "/b", READING)).permit();
    play.client(&path(REMOVE, 3, "/c"));
    let left: Vec<_> = play.relay.give_up().iter().map(|(event, _)| event.to_string()).collect();
    // The third was not permitted, and has no outcome.
    assert_eq!(left, ["1", "2"]);
}

#[test]
fn a_number_that_is_in_use_ends_the_channel() {
    let mut play = Play::ready();
    play.client(&path(STAT, 1, "/a")).permit().client(&path(STAT, 1, "/b"));
    assert_eq!(play.error, Some("sftp.protocol"));
}

#[test]
fn what_is_no_sftp_ends_the_channel() {
    for bytes in [
        b"GET / HTTP/1.1\r\n".to_vec(),
        packet(INIT, &[Number(3)]),
        packet(21, &[Number(1), Text("/a"), Text("/b")]),
        packet(STATUS, &[Number(1), Number(0)]),
        packet(STAT, &[Number(1), Text("/a"), Raw(b"x")]),
        packet(STAT, &[Number(1), Number(9)]),
        packet(SETSTAT, &[Number(1), Text("/a"), Number(0x10)]),
        packet(SETSTAT, &[Number(1), Text("/a"), Number(1), Number(1)]),
        packet(OPEN, &[Number(1), Text("/a"), Number(1)]),
        vec![0, 0, 0, 0, 0],
        vec![0xff; 5],
    ] {
        let mut play = Play::ready();
        play.client(&bytes);
        assert_eq!(play.error, Some("sftp.protocol"), "{bytes:?} {}", play.transcript);
        assert!(!play.transcript.contains("to target"), "{}", play.transcript);
    }
    for bytes in [path(STAT, 1, "/a"), packet(INIT, &[Number(2)])] {
        let mut play = Play::new();
        play.client(&bytes);
        assert_eq!(play.error, Some("sftp.protocol"));
    }
}

#[test]
fn a_target_that_says_what_nobody_asked_ends_the_channel() {
    let twice = packet(HANDLE, &[Number(1), Text("h")]);
    for bytes in [
        status(7, 0),
        names(1, "/a"),
        packet(DATA, &[Number(1), Text("x")]),
        version(&[]),
        packet(HANDLE, &[Number(1), Text("0")]),
        twice,
    ] {
        let mut play = Play::ready();
        play.client(&open(1, "/a", READING)).permit().target(&packet(HANDLE, &[Number(1), Text("0")]));
        play.client(&open(1, "/b", READING)).permit();
        if bytes == packet(HANDLE, &[Number(1), Text("h")]) {
            play.target(&bytes);
        }
        play.target(&bytes);
        assert_eq!(play.error, Some("upstream.protocol"), "{bytes:?} {}", play.transcript);
    }
    let mut play = Play::new();
    play.client(&packet(INIT, &[Number(3)])).target(&packet(2, &[Number(4)]));
    assert_eq!(play.error, Some("upstream.protocol"));
}

/// More requests than a target takes wait with the client.
#[test]
fn a048_requests_without_an_answer_are_bounded() {
    let mut play = Play::ready();
    play.client(&open(0, "/a", READING)).permit().target(&packet(HANDLE, &[Number(0), Text("h")]));
    let all: Vec<u8> = (0..3000).flat_map(|id| read(id, "h", 0)).collect();
    play.transcript.clear();
    play.client(&all);
    assert!(!play.relay.wants_client());
    assert_eq!(play.transcript.lines().count(), 1024);
    for id in 0..3000 {
        play.target(&status(id, 4));
    }
    assert!(play.relay.wants_client());
    assert_eq!(play.transcript.matches("to target").count(), 3000);
}

/// A large content is not waited for.
#[test]
fn a_content_passes_in_pieces() {
    let mut play = Play::ready();
    play.client(&open(1, "/a", 2)).permit().target(&packet(HANDLE, &[Number(1), Text("h")]));
    let content = "x".repeat(250 << 10);
    let whole = write(2, "h", 0, &content);
    let (mut sent, mut before) = (0, 0);
    for piece in whole.chunks(1000) {
        play.relay.hear(Side::Downstream, Bytes::copy_from_slice(piece)).unwrap();
        while let Some(Does::Send(Side::Upstream, bytes)) = play.relay.poll() {
            sent += bytes.len();
        }
        before += piece.len();
        assert_eq!(sent, before);
    }
    play.target(&[status(2, 0)].concat()).client(&path(CLOSE, 3, "h")).target(&status(3, 0));
    assert!(play.transcript.contains(&format!("written {} ", content.len())), "{}", play.transcript);
    let mut too_large = Play::ready();
    too_large.client(&open(1, "/a", 2)).permit().target(&packet(HANDLE, &[Number(1), Text("h")]));
    too_large.client(&write(2, "h", 0, &"x".repeat(256 << 10)));
    assert_eq!(too_large.error, Some("sftp.protocol"));
}

/// Everything that a client can do, permitted, with a target that does it.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let client = [
        packet(INIT, &[Number(3)]),
        open(1, "x", WRITING),
        path(STAT, 2, "/srv/link"),
        packet(RENAME, &[Number(3), Text("a"), Text("b")]),
        path(REMOVE, 4, "\\"),
        packet(EXTENDED, &[Number(5), Text("what"), Text("ever")]),
        path(REALPATH, 6, "."),
        path(REMOVE, 7, "/gone/x/y"),
        write(8, "h", 0, "content"),
    ]
    .concat();
    (client, packet(HANDLE, &[Number(1), Text("h")]))
}

fn play_in_pieces(client: &[u8], pieces: impl Iterator<Item = usize>) -> String {
    let mut play = Play::new();
    let mut at = 0;
    for size in pieces.chain([client.len()]) {
        let end = (at + size).min(client.len());
        play.client(&client[at..end]);
        at = end;
        if play.error.is_some() {
            break;
        }
        while !play.relay.wants_client() {
            if play.relay.asks(play.event) {
                play.permit();
            } else {
                play.target(&version(&EXTENSIONS));
            }
        }
    }
    play.transcript
}

#[test]
fn however_it_comes_it_is_the_same() {
    let (client, handle) = conversation();
    let whole = play_in_pieces(&client, std::iter::empty());
    assert!(whole.contains("file rename") && whole.contains("[sftp.handle]"), "{whole}");
    for at in 0..client.len() {
        assert_eq!(play_in_pieces(&client, [at].into_iter()), whole);
    }
    assert_eq!(play_in_pieces(&client, std::iter::repeat_n(1, client.len())), whole);
    let mut play = Play::ready();
    play.client(&open(1, "x", READING)).permit();
    for byte in handle {
        play.target(&[byte]);
    }
    assert!(play.transcript.ends_with("to client: HANDLE 1 h\n"), "{}", play.transcript);
}

proptest! {
    /// Whatever a client sends, no path reaches the target that was not asked about.
    #[test]
    fn a046_no_path_gets_around_its_event(
        mutations in prop::collection::vec((0usize..300, any::<u8>()), 0..6),
        cut in 0usize..300,
    ) {
        let (mut client, _) = conversation();
        for (at, byte) in mutations {
            if let Some(place) = client.get_mut(at) {
                *place = byte;
            }
        }
        let transcript = play_in_pieces(&client, [cut].into_iter());
        let mut permitted = Vec::new();
        for line in transcript.lines() {
            if let Some((_, operation)) = line.split_once(": file ") {
                permitted.extend(operation.split(' ').map(str::to_owned));
            }
            let Some(sent) = line.strip_prefix("to target: ") else { continue };
            let is_path = |word: &&str| word.starts_with('/');
            for path in sent.split(' ').filter(is_path) {
                let is_permitted = permitted.iter().any(|own| own == path);
                prop_assert!(is_permitted || transcript.contains('"'), "{}", transcript);
            }
        }
    }
}
