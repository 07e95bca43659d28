//! What is open, and what passes of it.

use bytes::Bytes;
use expect_test::expect;
use gatewright_model::session::Side;
use gatewright_ssh::sftp::Does;

use crate::play::*;

#[test]
fn a_file_is_written_and_read_with_one_verdict_each() {
    let mut play = Play::ready();
    play.client(&open(1, "x", WRITING)).permit().target(&packet(HANDLE, &[Number(1), Text("h")]));
    play.client(&[write(2, "h", 0, "hel"), write(3, "h", 3, "lo"), path(CLOSE, 4, "h")].concat());
    play.target(&[status(2, 0), status(3, 0), status(4, 0)].concat());
    play.client(&open(5, "/users/app/x", READING))
        .permit()
        .target(&packet(HANDLE, &[Number(5), Text("h")]));
    play.client(&[read(6, "h", 0), read(7, "h", 3), read(8, "h", 5), path(CLOSE, 9, "h")].concat());
    play.target(&packet(DATA, &[Number(6), Text("hel")])).target(&packet(DATA, &[Number(7), Text("lo")]));
    play.target(&[status(8, 1), status(9, 0)].concat());
    check(
        &play,
        expect![[r#"
            ask 1: file write /users/app/x
            to target: OPEN 1 /users/app/x
            to client: HANDLE 1 h
            to target: WRITE 2 h hel
            to target: WRITE 3 h lo
            to target: CLOSE 4 h
            to client: STATUS 2 0 said
            to client: STATUS 3 0 said
            finished 1: ok, written 5 2cf24dba5fb0
            to client: STATUS 4 0 said
            ask 2: file read /users/app/x
            to target: OPEN 5 /users/app/x
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
