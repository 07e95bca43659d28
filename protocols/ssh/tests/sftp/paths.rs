//! Which path an operation is about.

use expect_test::expect;

use crate::play::*;

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
            ("link", "/users/app/link"),
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
        ask 1: file rename /users/app/a to /etc/b
        to target: RENAME 1 /users/app/a /etc/b
        finished 1: ok
        to client: STATUS 1 0 said
        ask 2: file rename /users/app/a to /etc/b
        to target: EXTENDED 1 posix-rename@openssh.com /users/app/a /etc/b
        finished 2: error sftp.failure
        to client: STATUS 1 4 said
        ask 3: file hardlink /users/app/a to /etc/b
        to target: EXTENDED 1 hardlink@openssh.com /users/app/a /etc/b
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
        ([names(u32::MAX, "/users/app"), names(u32::MAX, "/srv")], true),
        ([names(u32::MAX, "/users/app"), names(u32::MAX, "/etc")], false),
        ([names(u32::MAX, "/etc"), names(u32::MAX, "/srv")], false),
        ([names(u32::MAX, "/users/app"), status(u32::MAX, 2)], false),
        ([names(u32::MAX, "/users/app"), names(u32::MAX, "no path")], false),
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
            ask 2: file realpath /users/app
            to client: NAME 2 /users/app /users/app
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
