//! Statements that nobody waits for any more: cancelled, or left behind.

use expect_test::expect;
use gatewright_model::session::Side;
use gatewright_playbook::{Play, SEED, Stage, check, messages::*};

use super::masks;

/// A CancelRequest with the key that every play's client gets.
fn cancel_request() -> Vec<u8> {
    packet(&[0x04, 0xd2, 0x16, 0x2e, 0x0a, 0x0b, 0x0c, 0x0d, 0x12, 0x34, 0x56, 0x78])
}

/// What a client does that cancels whatever the owner of the key waits for.
fn cancel(stage: &Stage) -> String {
    let mut canceller = Play::new(stage, usize::MAX);
    canceller.client(cancel_request());
    canceller.transcript().to_string()
}

#[test]
fn a_cancel_request_withdraws_what_a_reviewer_was_asked() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client(query("drop table scratch"));
    owner.hold();
    let transcript = cancel(&stage);
    assert!(transcript.contains("  withdraw "), "{transcript}");
    assert!(!transcript.contains("connect"), "nothing runs at the target: {transcript}");
    owner.withdrawn();
    assert!(cancel(&stage).contains("error pg.cancel_denied"), "a late one finds nothing");
}

#[test]
fn what_is_cancelled_while_it_is_judged_does_not_run() {
    for (request, permits) in [
        (query("drop table scratch"), 0),
        ([parse("", "drop table scratch"), bind("", "", &[]), execute(""), sync()].concat(), 1),
    ] {
        let stage = Stage::default();
        let mut owner = Play::relay(&stage, usize::MAX);
        owner.client(request);
        (0..permits).for_each(|_| owner.permit());
        let transcript = cancel(&stage);
        assert!(!transcript.contains("error") && !transcript.contains("connect"), "{transcript}");
        owner.permit();
        if permits > 0 {
            let answer = [message(b'1', b""), message(b'2', b""), error("42601", "syntax error")];
            owner.target([answer.concat(), ready(b'I')].concat());
        }
        let transcript = owner.transcript().to_string();
        assert!(transcript.contains("E(57014 canceling statement due to user request)"), "{transcript}");
        assert!(transcript.contains("pg.cancelled"), "{transcript}");
        let sent = render(owner.transcript().target_bytes(), true);
        assert!(!sent.contains("Q(drop") && !sent.contains("E()"), "{sent}");
        // The next one is another.
        owner.client(query("select 1"));
        owner.permit();
        assert!(render(owner.transcript().target_bytes(), true).ends_with("Q(select 1)"));
    }
}

#[test]
fn a008_what_comes_behind_a_cancelled_statement_runs_whatever_became_of_that() {
    let ends: [fn(&mut Play); 2] = [Play::permit, Play::deny];
    for end in ends {
        let stage = Stage::default();
        let mut owner = Play::relay(&stage, usize::MAX);
        owner.client([query("select 1"), query("select 2"), query("select 3")].concat());
        cancel(&stage);
        end(&mut owner);
        owner.permit();
        owner.permit();
        let transcript = owner.transcript().to_string();
        assert!(!transcript.contains("to target: Q(select 1)"), "{transcript}");
        for sent in ["to target: Q(select 2)", "to target: Q(select 3)"] {
            assert!(transcript.contains(sent), "{sent}: {transcript}");
        }
    }
}

#[test]
fn what_is_cancelled_before_a_reviewer_is_asked_is_withdrawn() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client(query("drop table scratch"));
    cancel(&stage);
    assert!(!owner.transcript().to_string().contains("withdraw"));
    owner.hold();
    assert!(owner.transcript().to_string().contains("  withdraw "), "{}", owner.transcript());
    owner.withdrawn();
    assert!(owner.transcript().to_string().contains("E(57014"), "{}", owner.transcript());
}

#[test]
fn a_withdrawn_statement_is_answered_as_a_cancelled_one() {
    check(
        |play| {
            play.log_in();
            play.client(query("drop table scratch"));
            play.hold();
            play.withdrawn();
            play.client(query("select 1"));
        },
        expect![[r#"
            client: Q(drop table scratch)
              decide sql.query `drop table scratch`
            hold
              to client: N(00000 held for approval as request 0000000000000000: a person must look)
            withdrawn
              to client: E(57014 canceling statement due to user request) Z(I)
            client: Q(select 1)
              decide sql.query `select 1`
        "#]],
    );
}

#[test]
fn a_withdrawn_statement_fails_its_transaction() {
    check(
        |play| {
            play.log_in();
            play.client(query("begin"));
            play.permit();
            play.target([complete("BEGIN"), ready(b'T')].concat());
            play.client(query("drop table scratch"));
            play.hold();
            play.withdrawn();
            play.target([error("42601", "syntax error"), ready(b'E')].concat());
        },
        expect![[r#"
            client: Q(begin)
              decide sql.query `begin`
            permit
              to target: Q(begin)
            target: C(BEGIN) Z(T)
              to client: C(BEGIN) Z(T)
              finished 1: ok
            client: Q(drop table scratch)
              decide sql.query `drop table scratch`
            hold
              to client: N(00000 held for approval as request 0000000000000000: a person must look)
            withdrawn
              to target: Q(gatewright refused a statement here)
            target: E(42601 syntax error) Z(E)
              to client: E(57014 canceling statement due to user request) Z(E)
        "#]],
    );
}

#[test]
fn a_held_execute_is_withdrawn_and_its_batch_is_skipped() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client([parse("", "drop table scratch"), bind("", "", &[]), execute(""), sync()].concat());
    owner.permit();
    owner.hold();
    let transcript = cancel(&stage);
    assert!(transcript.contains("  withdraw "), "{transcript}");
    assert!(!transcript.contains("connect"), "what was only prepared is not cancelled: {transcript}");
    owner.withdrawn();
    owner.target(
        [message(b'1', b""), message(b'2', b""), error("42601", "syntax error"), ready(b'I')].concat(),
    );
    let client = render(owner.transcript().client_bytes(), false);
    assert_eq!(client, "1 2 E(57014 canceling statement due to user request) Z(I)");
}

#[test]
fn what_runs_before_a_held_statement_is_cancelled_with_it() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client([query("select pg_sleep(600)"), query("drop table scratch")].concat());
    owner.permit();
    owner.hold();
    let transcript = cancel(&stage);
    assert!(
        transcript.contains("  withdraw ") && transcript.contains("connect out of band"),
        "{transcript}"
    );
}

#[test]
fn a_cancel_request_is_carried_on_though_its_sender_leaves() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client(query("select pg_sleep(600)"));
    owner.permit();
    let mut canceller = Play::new(&stage, usize::MAX);
    canceller.client(cancel_request());
    canceller.leaves(Side::Downstream);
    canceller.connected(None, true);
    canceller.target(b"S");
    canceller.secured(Side::Upstream, None);
    assert_eq!(
        canceller.transcript().target_bytes(),
        [&[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 99][..], &[1, 2, 3, 4]].concat()
    );
}

#[test]
fn f003_what_runs_for_a_client_that_is_gone_is_cancelled() {
    check(
        |play| {
            play.log_in();
            play.client(query("select pg_sleep(600)"));
            play.permit();
            // A part of an answer that is never finished.
            play.target(&row_description(&[("pg_sleep", 0, 0)])[..7]);
            play.leaves(Side::Downstream);
            play.connected(None, false);
            play.leaves(Side::Upstream);
        },
        expect![[r#"
            client: Q(select pg_sleep(600))
              decide sql.query `select pg_sleep(600)`
            permit
              to target: Q(select pg_sleep(600))
            target: bytes(T\x00\x00\x00!\x00\x01)
            client leaves
              to target: X
              finished 1: unknown
              close Upstream
              connect out of band
            connected
              to target: bytes(\x00\x00\x00\x10\x04\xd2\x16.\x00\x00\x00c\x01\x02\x03\x04)
            target leaves
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn f003_so_is_what_runs_in_a_session_that_must_end() {
    check(
        |play| {
            play.log_in();
            play.client(
                [parse("", "select pg_sleep(600)"), bind("", "", &[]), execute(""), sync()].concat(),
            );
            play.permit();
            play.permit();
            play.terminated();
            play.connected(None, true);
            play.target(b"S");
            play.secured(Side::Upstream, None);
            play.leaves(Side::Upstream);
        },
        expect![[r#"
            client: P(select pg_sleep(600)) B() E() S
              decide sql.parse `select pg_sleep(600)`
            permit
              to target: P(select pg_sleep(600)) B()
              decide sql.execute `select pg_sleep(600)`
            permit
              to target: E() S
            terminated
              to target: X
              to client: E(28000 the credential has expired)
              finished 1: unknown
              finished 2: unknown
              close Upstream
              connect out of band
            connected
              to target: bytes(\x00\x00\x00\x08\x04\xd2\x16/)
            target: bytes(S)
              start tls Upstream
            secured
              to target: bytes(\x00\x00\x00\x10\x04\xd2\x16.\x00\x00\x00c\x01\x02\x03\x04)
            target leaves
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn f003_where_nothing_runs_nothing_is_cancelled() {
    type Leave = fn(&mut Play);
    let leave: [Leave; 3] =
        [|play| play.client(message(b'X', b"")), |play| play.leaves(Side::Downstream), Play::terminated];
    for leave in leave {
        for state in [b'I', b'T'] {
            let mut play = Play::relay(&Stage::default(), usize::MAX);
            play.client(query("select 1"));
            play.permit();
            play.target([complete("SELECT 1"), ready(state)].concat());
            leave(&mut play);
            let transcript = play.transcript().to_string();
            assert!(
                !transcript.contains("connect") && transcript.contains("close Upstream"),
                "{transcript}"
            );
        }
    }
}

#[test]
fn f003_whoever_says_goodbye_behind_a_statement_wants_it_to_run() {
    for leaves_at_once in [false, true] {
        let mut play = Play::relay(&Stage::default(), usize::MAX);
        play.client([query("insert into orders values (1)"), message(b'X', b"")].concat());
        play.permit();
        assert_eq!(render(play.transcript().target_bytes(), true), "Q(insert into orders values (1)) X");
        if leaves_at_once {
            play.leaves(Side::Downstream);
        }
        play.target([complete("INSERT 0 1"), ready(b'I')].concat());
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("to client: C(INSERT 0 1) Z(I)"), "{transcript}");
        assert!(
            transcript.contains("ok, 1 rows") && transcript.ends_with("close Downstream\n"),
            "{transcript}"
        );
        assert!(!transcript.contains("connect") && !transcript.contains("error"), "{transcript}");
    }
    // Without a Sync the target answers nothing, and leaves.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([parse("", "select 1"), message(b'X', b"")].concat());
    play.permit();
    play.leaves(Side::Upstream);
    let transcript = play.transcript().to_string();
    assert!(transcript.contains("finished 1: unknown") && !transcript.contains("error"), "{transcript}");
    // One that must end is cancelled all the same.
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    play.client([query("select pg_sleep(600)"), message(b'X', b"")].concat());
    play.permit();
    play.terminated();
    assert!(play.transcript().to_string().contains("connect out of band"), "{}", play.transcript());
}

#[test]
fn a008_a_long_key_cancels_and_its_beginning_does_not() {
    let stage = Stage::default();
    let mut owner = Play::new(&stage, usize::MAX);
    let mut body = 0x0003_0002u32.to_be_bytes().to_vec();
    body.extend(b"user\0app\0\0");
    owner.client(packet(&body));
    owner.client(password("token"));
    owner.authenticated();
    owner.connected(None, false);
    owner.target([authentication_ok(), key_data(99, &[1, 2, 3, 4]), ready(b'I')].concat());
    owner.client(query("select pg_sleep(600)"));
    owner.permit();
    let asked = |process: u32, secret: &[u8]| {
        let mut canceller = Play::new(&stage, usize::MAX);
        let code = 0x04d2_162e_u32.to_be_bytes();
        canceller.client(packet(&[code.as_slice(), &process.to_be_bytes(), secret].concat()));
        canceller.transcript().to_string()
    };
    for (process, secret) in [(99, &SEED.secret[..4]), (SEED.process, &SEED.secret[..]), (99, &[0; 32])] {
        let transcript = asked(process, secret);
        assert!(transcript.contains("error pg.cancel_denied"), "{transcript}");
    }
    let transcript = asked(99, &SEED.secret);
    assert!(transcript.contains("connect out of band"), "{transcript}");
}

/// The target's catalog may be locked: who waits for it may leave off.
#[test]
fn what_is_cancelled_while_the_catalog_is_read_does_not_run() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.keep_errands();
    owner.client(query("select ssn from people"));
    owner.permit_masked(masks::plan());
    owner.timeout();
    assert!(render(owner.transcript().client_bytes(), false).is_empty(), "nobody has cancelled it yet");
    let transcript = cancel(&stage);
    assert!(!transcript.contains("connect"), "nothing runs at the target: {transcript}");
    owner.timeout();
    let told = render(owner.transcript().client_bytes(), false);
    assert_eq!(told, "E(57014 canceling statement due to user request) Z(I)", "{}", owner.transcript());
    owner.returned();
    assert!(owner.transcript().target_bytes().is_empty(), "{}", owner.transcript());

    // On the session's own connection it is the target that is told.
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client(query("select ssn from people"));
    owner.permit_masked(masks::plan());
    let transcript = cancel(&stage);
    assert!(transcript.contains("connect"), "{transcript}");
}
