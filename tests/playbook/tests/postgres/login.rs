//! From the first byte to the first ReadyForQuery.

use expect_test::expect;
use gatewright_model::session::Side;
use gatewright_playbook::{Play, SEED, Stage, check, check_on, messages::*};
use gatewright_postgres::session::{DownstreamTls, Limits};

fn required() -> Stage {
    Stage { tls: DownstreamTls::Required, ..Stage::default() }
}

#[test]
fn a_session_is_established() {
    check_on(
        &required(),
        |play| {
            play.client(tls_request());
            play.secured(Side::Downstream, None);
            play.client(startup(&[("user", "app"), ("database", "demo"), ("application_name", "psql")]));
            play.client(password("token"));
            play.authenticated();
            play.connected(None, true);
            play.target("S");
            play.secured(Side::Upstream, None);
            play.target(authentication_ok());
            play.target(
                [parameter_status("server_version", "15.18"), key_data(99, &[1, 2, 3, 4])].concat(),
            );
            play.target(ready(b'I'));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x08\x04\xd2\x16/)
              to client: bytes(S)
              start tls Downstream
            secured
            client: bytes(\x00\x00\x006\x00\x03\x00\x00user\x00app\x00database\x00demo\x00application_name\x00psql\x00\x00)
              to client: R
            client: p
              authenticate
            authenticated
              connect as app database=demo application=psql
            connected
              to target: bytes(\x00\x00\x00\x08\x04\xd2\x16/)
            target: bytes(S)
              start tls Upstream
            secured
              to target: bytes(\x00\x00\x00j\x00\x03\x00\x00user\x00app\x00database\x00demo\x00application_name\x00psql\x00client_encoding\x00UTF8\x00standard_conforming_strings\x00on\x00\x00)
            target: R
            target: S(server_version 15.18) K
            target: Z(I)
              to client: R S(server_version 15.18) K Z(I)
        "#]],
    );
}

/// In one piece the session sees the bytes before it answers; in more it has answered already. Either way
/// none of them counts.
const PIECES: [usize; 5] = [1, 2, 3, 8, usize::MAX];

#[test]
fn a001_bytes_before_tls_end_the_session() {
    for piece in PIECES {
        let mut play = Play::new(&required(), piece);
        play.client([tls_request(), startup(&[("user", "app")]), query("select 1")].concat());
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error pg.pretls_bytes"), "{transcript}");
        assert!(!transcript.contains("authenticate") && !transcript.contains("to target"), "{transcript}");
    }
}

/// The server takes the database of the user's name: so must whoever asks which policies are for it.
#[test]
fn a_database_without_a_name_is_the_users_own() {
    for named in [&[("user", "app")][..], &[("user", "app"), ("database", "")]] {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(named));
        play.client(password("token"));
        play.authenticated();
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("connect as app database=app"), "{transcript}");
    }
}

#[test]
fn a002_a_target_that_speaks_before_tls_is_left() {
    for piece in PIECES {
        let mut play = Play::new(&Stage::default(), piece);
        play.client(startup(&[("user", "app")]));
        play.client(password("token"));
        play.authenticated();
        play.connected(Some("secret"), true);
        play.target([&b"S"[..], &authentication_ok(), &ready(b'I')].concat());
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error upstream.pretls"), "{transcript}");
        assert!(transcript.contains("E(08006 the connection to the target failed)"), "{transcript}");
    }
}

#[test]
fn a002_an_error_before_tls_is_not_shown() {
    check(
        |play| {
            play.client(startup(&[("user", "app")]));
            play.client(password("token"));
            play.authenticated();
            play.connected(Some("secret"), true);
            play.target(error("XX000", "lies of a stranger"));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
            client: p
              authenticate
            authenticated
              connect as app database=app
            connected
              to target: bytes(\x00\x00\x00\x08\x04\xd2\x16/)
            target: E(XX000 lies of a stranger)
              to client: E(08006 the connection to the target failed)
              error upstream.pretls
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a003_a_target_without_tls_gets_no_credential() {
    check(
        |play| {
            play.client(startup(&[("user", "app")]));
            play.client(password("token"));
            play.authenticated();
            play.connected(Some("secret"), true);
            play.target("N");
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
            client: p
              authenticate
            authenticated
              connect as app database=app
            connected
              to target: bytes(\x00\x00\x00\x08\x04\xd2\x16/)
            target: bytes(N)
              to client: E(08006 the connection to the target failed)
              error upstream.downgrade
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a003_a_target_that_asks_for_a_weak_proof_gets_none() {
    for request in [&[0, 0, 0, 3][..], &[0, 0, 0, 5, 1, 2, 3, 4], &[0, 0, 0, 7], &[0, 0, 0, 0]] {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(&[("user", "app")]));
        play.client(password("token"));
        play.authenticated();
        play.connected(Some("secret"), false);
        play.target(message(b'R', request));
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("error upstream.downgrade"), "{request:?}:\n{transcript}");
        assert!(!transcript.contains("secret"), "{transcript}");
    }
}

#[test]
fn a004_a_second_startup_during_authentication_ends_the_session() {
    check(
        |play| {
            play.client(startup(&[("user", "app")]));
            play.client(startup(&[("user", "postgres")]));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
            client: bytes(\x00\x00\x00\x17\x00\x03\x00\x00user\x00postgres\x00\x00)
              to client: E(08P01 a message other than the password)
              error pg.unexpected_startup
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a005_startup_parameters_that_change_meaning_are_refused_by_name() {
    for (name, value) in [
        ("options", "-c role=postgres"),
        ("options", "-c timezone=UTC -c role=postgres"),
        ("options", "-c timezone=UTC -c app.=x"),
        ("options", "-c timezone=UTC -c app.tenant;x=1"),
        ("options", "-c timezone=UTC\\ -c\\ role=postgres -crole=postgres"),
        ("options", "-c client_encoding=SJIS"),
        ("options", "-c user=postgres"),
        ("options", "-c replication=off"),
        ("options", "-c timezone"),
        ("options", "-d 5"),
        ("session_authorization", "postgres"),
        ("session_preload_libraries", "evil"),
        ("role", "postgres"),
        ("Role", "postgres"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "SJIS"),
        ("replication", "database"),
        ("replication", "true"),
        // The server cuts it, and another database has that name.
        ("database", "x123456789x123456789x123456789x123456789x123456789x123456789x123"),
    ] {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(&[("user", "app"), (name, value)]));
        let transcript = play.transcript().to_string();
        assert!(transcript.contains("E(28000 "), "{name}={value}:\n{transcript}");
        assert!(transcript.contains("close Downstream"), "{transcript}");
        assert!(!transcript.contains("to target"), "{transcript}");
    }
}

#[test]
fn a005_as_many_settings_as_parameters_fit_into_options_and_no_more() {
    let begins = |count: usize| {
        let options: String = (0..count).map(|number| format!(" -c app.x{number}=1")).collect();
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(&[("user", "app"), ("options", &options)]));
        play.transcript().to_string()
    };
    assert!(begins(63).ends_with("  to client: R\n"));
    assert!(begins(64).contains("E(28000 the startup parameter `options` holds"));
}

/// A target closes the connection over a larger packet, and says nothing of use.
#[test]
fn a004_what_is_too_large_for_a_target_is_refused_by_the_gateway() {
    let begins = |size: usize| {
        let value = "x".repeat(size);
        let names: Vec<String> = (0..9).map(|number| format!("app.x{number}")).collect();
        let settings = names.iter().map(|name| (&**name, &*value));
        let all: Vec<(&str, &str)> = [("user", "app")].into_iter().chain(settings).collect();
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(&all));
        play.transcript().to_string()
    };
    assert!(begins(990).ends_with("  to client: R\n"));
    let refused = begins(1000);
    assert!(
        refused.contains("E(28000 the startup parameters take 9081 bytes, and may take 9000)"),
        "{refused}"
    );
}

#[test]
fn a005_only_pinned_and_allowed_parameters_reach_the_target() {
    let mut play = Play::new(&Stage::default(), usize::MAX);
    play.client(startup(&[("user", "app"), ("client_encoding", "utf-8"), ("TimeZone", "UTC")]));
    play.client(password("token"));
    play.authenticated();
    play.connected(None, false);
    let sent = play.transcript().target_bytes().escape_ascii().to_string();
    assert!(
        sent.ends_with(
            "user\\x00app\\x00database\\x00app\\x00TimeZone\\x00UTC\\x00client_encoding\\x00UTF8\\x00\
             standard_conforming_strings\\x00on\\x00\\x00"
        ),
        "{sent}"
    );
}

#[test]
fn a005_settings_in_options_reach_the_target_as_parameters_of_their_own() {
    let mut play = Play::new(&Stage::default(), usize::MAX);
    let options = "-c intervalstyle=iso_8601 -ctimezone=UTC --datestyle=ISO,\\ MDY -c DateStyle=SQL \
                   -c client_encoding=utf8";
    play.client(startup(&[("user", "app"), ("options", options), ("TimeZone", "PST8PDT")]));
    play.client(password("token"));
    play.authenticated();
    play.connected(None, false);
    let sent = play.transcript().target_bytes().escape_ascii().to_string();
    assert!(
        sent.ends_with(
            "user\\x00app\\x00database\\x00app\\x00TimeZone\\x00PST8PDT\\x00DateStyle\\x00SQL\\x00\
             intervalstyle\\x00iso_8601\\x00client_encoding\\x00UTF8\\x00standard_conforming_strings\\x00on\\x00\\x00"
        ),
        "{sent}"
    );
}

/// A client that sets `settings`, as far as the gateway asks policies about them.
fn asking(settings: &[(&str, &str)]) -> Play {
    let mut play = Play::new(&Stage::default(), usize::MAX);
    play.client(startup(&[&[("user", "app")], settings].concat()));
    play.client(password("token"));
    play.authenticated();
    play.connected(None, false);
    play
}

#[test]
fn a005_settings_of_the_startup_packet_are_judged_before_the_target_hears_of_them() {
    let mut play = asking(&[
        ("options", "-c search_path=a,b -c App.Tenant=o'x\\\\y --statement-timeout=7s"),
        ("TimeZone", "UTC"),
    ]);
    let decides = [
        "decide sql.query `set statement_timeout to '7s'`",
        r#"decide sql.query `set "App"."Tenant" to 'o''x\y'`"#,
        "decide sql.query `set search_path to 'a,b'`",
    ];
    for text in decides {
        let transcript = play.transcript().to_string();
        assert!(transcript.ends_with(&format!("  {text}\n")), "{text}:\n{transcript}");
        assert!(!transcript.contains("to target"), "{transcript}");
        play.permit();
    }
    let sent = play.transcript().target_bytes().escape_ascii().to_string();
    assert!(
        sent.ends_with(
            r"user\x00app\x00database\x00app\x00TimeZone\x00UTC\x00statement_timeout\x007s\x00App.Tenant\x00o\'x\\y\x00search_path\x00a,b\x00client_encoding\x00UTF8\x00standard_conforming_strings\x00on\x00\x00"
        ),
        "{sent}"
    );
    play.target([authentication_ok(), ready(b'I')].concat());
    // What the session asks about next is another event.
    play.client(query("select 1"));
    play.permit();
    play.target([complete("SELECT 1"), ready(b'I')].concat());
    let transcript = play.transcript().to_string();
    for finished in ["finished 1: ok", "finished 2: ok", "finished 3: ok", "finished 4: ok"] {
        assert!(transcript.contains(finished), "{finished}:\n{transcript}");
    }
}

#[test]
fn a005_a_setting_that_a_policy_refuses_ends_the_session_before_the_target_hears_of_it() {
    let refuse: [fn(&mut Play); 2] = [Play::deny, |play| {
        // A reviewer would take longer than a client waits for its session.
        play.hold();
        assert!(play.transcript().to_string().contains("  withdraw "), "{}", play.transcript());
        play.withdrawn();
    }];
    for refuse in refuse {
        let mut play = asking(&[("row_security", "off"), ("search_path", "evil")]);
        play.permit();
        refuse(&mut play);
        let transcript = play.transcript().to_string();
        assert!(!transcript.contains("to target"), "{transcript}");
        assert!(transcript.contains("finished 1: refused pg.param_denied"), "{transcript}");
        let told = transcript.contains("E(42501 blocked by policy")
            || transcript.contains("E(28000 a setting of the startup packet would need a reviewer");
        assert!(told && transcript.ends_with("close Downstream\n"), "{transcript}");
    }
}

#[test]
fn a_target_without_room_is_told_from_one_that_refuses_the_credential() {
    for (state, told) in [
        ("53300", "E(53300 the target has too many connections: try again)"),
        ("57P03", "E(57P03 the target does not take connections now: try again)"),
        ("28P01", "E(08006 the connection to the target failed)"),
        ("XX000", "E(08006 the connection to the target failed)"),
    ] {
        let mut play = asking(&[]);
        play.target(error(state, "words of nobody knows whom"));
        let transcript = play.transcript().to_string();
        assert!(transcript.contains(told) && !transcript.contains("to client: E(words"), "{transcript}");
        assert!(transcript.ends_with("close Downstream\n"), "{transcript}");
    }
}

#[test]
fn a006_gss_is_declined_once() {
    check(
        |play| {
            play.client(packet(&0x04d2_1630u32.to_be_bytes()));
            play.client(packet(&0x04d2_1630u32.to_be_bytes()));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x08\x04\xd2\x160)
              to client: bytes(N)
            client: bytes(\x00\x00\x00\x08\x04\xd2\x160)
              to client: E(08P01 a second request for GSSAPI encryption)
              error pg.unexpected_startup
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a006_a_newer_minor_version_is_negotiated_down() {
    check(
        |play| {
            let mut body = 0x0003_0063u32.to_be_bytes().to_vec();
            body.extend(b"user\0app\0_pq_.unknown\0on\0\0");
            play.client(packet(&body));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\"\x00\x03\x00cuser\x00app\x00_pq_.unknown\x00on\x00\x00)
              to client: v R
        "#]],
    );
}

#[test]
fn a006_another_major_version_is_refused() {
    check(
        |play| play.client(packet(&0x0002_0000u32.to_be_bytes())),
        expect![[r#"
        client: bytes(\x00\x00\x00\x08\x00\x02\x00\x00)
          to client: E(08P01 unsupported protocol 2.0)
          error pg.mode_denied
          close Upstream
          close Downstream
    "#]],
    );
}

#[test]
fn a008_a_cancel_request_without_a_running_owner_is_dropped() {
    check(
        |play| {
            play.client(packet(&[0x04, 0xd2, 0x16, 0x2e, 0x0a, 0x0b, 0x0c, 0x0d, 0x12, 0x34, 0x56, 0x78]));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x10\x04\xd2\x16.\n\x0b\x0c\r\x124Vx)
              error pg.cancel_denied
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a008_a_cancel_request_reaches_the_owners_query_under_the_targets_key() {
    let stage = Stage::default();
    let mut owner = Play::relay(&stage, usize::MAX);
    owner.client(query("select pg_sleep(10)"));
    owner.permit();
    let mut canceller = Play::new(&stage, usize::MAX);
    canceller.client(packet(&[0x04, 0xd2, 0x16, 0x2e, 0x0a, 0x0b, 0x0c, 0x0d, 0x12, 0x34, 0x56, 0x78]));
    canceller.connected(None, false);
    assert_eq!(
        canceller.transcript().target_bytes(),
        [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 99, 1, 2, 3, 4]
    );
    // Whoever waits until it is done must not go on before it is: the next statement would be hit.
    assert!(!canceller.transcript().to_string().contains("close"), "{}", canceller.transcript());
    canceller.leaves(Side::Upstream);
    assert!(
        canceller.transcript().to_string().ends_with("close Downstream\n"),
        "{}",
        canceller.transcript()
    );
}

#[test]
fn a010_a_target_that_breaks_the_order_of_login_is_left() {
    for bytes in [ready(b'I'), data_row(&["x"]), key_data(1, &[0; 4]), message(b'R', b"\0\0\0\x0bx")] {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(startup(&[("user", "app")]));
        play.client(password("token"));
        play.authenticated();
        play.connected(Some("secret"), false);
        play.target(bytes);
        assert!(play.transcript().to_string().contains("error upstream."), "{}", play.transcript());
    }
}

#[test]
fn a013_a_target_in_another_mode_is_left() {
    check(
        |play| {
            play.client(startup(&[("user", "app")]));
            play.client(password("token"));
            play.authenticated();
            play.connected(None, false);
            play.target(
                [authentication_ok(), parameter_status("standard_conforming_strings", "off")].concat(),
            );
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
            client: p
              authenticate
            authenticated
              connect as app database=app
            connected
              to target: bytes(\x00\x00\x00S\x00\x03\x00\x00user\x00app\x00database\x00app\x00client_encoding\x00UTF8\x00standard_conforming_strings\x00on\x00\x00)
            target: R S(standard_conforming_strings off)
              to client: E(08006 the connection to the target failed)
              error sql.mode_change
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a_bad_token_is_explained() {
    check(
        |play| {
            play.client(startup(&[("user", "app")]));
            play.client(password("token"));
            play.rejected();
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
            client: p
              authenticate
            rejected
              to client: E(28P01 the token expired)
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn a077_a_slow_client_is_dropped() {
    check_on(
        &Stage { limits: Limits::default(), ..Stage::default() },
        |play| {
            play.client(&startup(&[("user", "app")])[..5]);
            play.timeout();
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00)
            timeout
              to client: E(08P01 the connection was not established in time)
              error net.slow
              close Upstream
              close Downstream
        "#]],
    );
}

#[test]
fn tls_is_required_where_it_is_required() {
    check_on(
        &required(),
        |play| play.client(startup(&[("user", "app")])),
        expect![[r#"
        client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
          to client: E(28000 this listener accepts TLS connections only)
          close Upstream
          close Downstream
    "#]],
    );
}

#[test]
fn direct_tls_must_name_the_protocol() {
    check_on(
        &required(),
        |play| play.secured(Side::Downstream, Some(b"http/1.1")),
        expect![[r#"
        secured
          error pg.unexpected_startup
          close Upstream
          close Downstream
    "#]],
    );
    check_on(
        &required(),
        |play| {
            play.secured(Side::Downstream, Some(b"postgresql"));
            play.client(startup(&[("user", "app")]));
        },
        expect![[r#"
            secured
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x00user\x00app\x00\x00)
              to client: R
        "#]],
    );
}

#[test]
fn a_client_of_protocol_3_2_gets_a_long_cancel_key_under_the_targets_process_id() {
    let mut play = Play::new(&Stage::default(), usize::MAX);
    let mut body = 0x0003_0002u32.to_be_bytes().to_vec();
    body.extend(b"user\0app\0\0");
    play.client(packet(&body));
    play.client(password("token"));
    play.authenticated();
    play.connected(None, false);
    play.target([authentication_ok(), key_data(99, &[1, 2, 3, 4]), ready(b'I')].concat());
    // The target is asked in 3.0 and gives a short one, which is kept from the client.
    let given = [authentication_ok(), key_data(99, &SEED.secret), ready(b'I')].concat();
    assert!(play.transcript().client_bytes().ends_with(&given), "{}", play.transcript());
}

#[test]
fn a006_protocol_3_1_was_never_published_and_is_spoken_as_3_0() {
    check(
        |play| {
            let mut body = 0x0003_0001u32.to_be_bytes().to_vec();
            body.extend(b"user\0app\0\0");
            play.client(packet(&body));
        },
        expect![[r#"
            client: bytes(\x00\x00\x00\x12\x00\x03\x00\x01user\x00app\x00\x00)
              to client: R
        "#]],
    );
}

/// What a target says of itself once it has accepted the gateway (a name that was cut, a collation that has changed) is for the client; what it says before is not.
#[test]
fn a002_notices_of_a_target_that_has_proved_itself_reach_the_client() {
    for piece in PIECES {
        let mut play = Play::new(&Stage::default(), piece);
        play.client(startup(&[("user", "app"), ("database", "demo")]));
        play.client(password("token"));
        play.authenticated();
        play.connected(None, false);
        let early = message(b'N', b"SWARNING\0VWARNING\0C01000\0Mlies of a stranger\0\0");
        let notice = message(b'N', b"SNOTICE\0VNOTICE\0C42622\0Mwill be truncated\0\0");
        play.target(
            [early, authentication_ok(), notice, key_data(99, &[1, 2, 3, 4]), ready(b'I')].concat(),
        );
        let told = String::from_utf8_lossy(play.transcript().client_bytes()).into_owned();
        assert!(told.contains("will be truncated") && !told.contains("stranger"), "{told}");
        let mut play = Play::new(&Stage::default(), piece);
        play.client(startup(&[("user", "app"), ("database", "demo")]));
        play.client(password("token"));
        play.authenticated();
        play.connected(None, false);
        let notice = message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Magain\0\0");
        play.target([authentication_ok(), notice.repeat(200)].concat());
        assert!(play.transcript().to_string().contains("error upstream.protocol"), "{}", play.transcript());
    }
}
