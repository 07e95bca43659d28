//! Schedules of SFTP, played to a relay without a socket.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod files;
mod paths;
mod play;

use expect_test::expect;
use proptest::prelude::*;

use crate::play::*;

#[test]
fn a_beginning_hides_what_has_no_meaning() {
    let mut play = Play::new();
    play.resolves = false;
    let offers = [Number(6), Text("x"), Text("y")];
    play.client(&packet(INIT, &offers)).target(&version(&EXTENSIONS));
    assert!(!play.relay.wants_client());
    play.target(&names(u32::MAX, "/users/app"));
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
        ask 1: file remove /users/app/a
        to client: STATUS 1 3 no en
        ask 2: file stat /users/app/b
        to target: STAT 2 /users/app/b
    "#]],
    );
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
