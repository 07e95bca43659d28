//! Rows A1 to A9: from the first byte to a session.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_attacks::Attack;
use gatewright_e2e::{
    eventually,
    wire::{self, Message},
};

const APP: &[(&str, &str)] = &[("user", "app"), ("database", "postgres")];

#[test]
fn a001_bytes_behind_a_request_for_tls_are_not_read_as_if_they_came_inside_it() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    let mut client = attack.connect().unwrap();
    let glued = [wire::SSL_REQUEST.to_vec(), wire::startup(APP), wire::query("select 'smuggled'")].concat();
    client.send(&glued).unwrap();
    // The connection ends, and at most the answer to the request itself was sent.
    assert!(client.until_closed().unwrap().len() <= 1);
    assert_eq!(attack.upstream_bytes(), 0);
    attack.recorded("pg.pretls_bytes").unwrap();
}

#[test]
fn a001_no_token_is_taken_without_tls() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    let mut client = attack.connect().unwrap();
    client.send(&wire::startup(APP)).unwrap();
    let answer = client.until_ready().unwrap();
    assert!(
        answer.iter().all(|message| message.tag == 'E'),
        "a client without TLS is not asked for a password: {answer:?}"
    );
    assert_eq!(attack.upstream_bytes(), 0);
}

#[test]
fn a004_a_second_startup_ends_the_connection_at_every_step() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    let other = wire::startup(&[("user", "postgres"), ("database", "postgres")]);
    // In place of the password, and behind it.
    for second in [other.clone(), wire::SSL_REQUEST.to_vec(), wire::query("select 1"), wire::cancel(1, 1)] {
        let mut client = attack.connect_tls().unwrap();
        client.send(&wire::startup(APP)).unwrap();
        client.expect('R').unwrap();
        client.send(&second).unwrap();
        let answer = client.until_ready().unwrap();
        assert!(answer.iter().all(|message| message.tag == 'E'), "{answer:?}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
    let mut client = attack.session().unwrap();
    client.send(&other).unwrap();
    assert!(client.until_ready().unwrap().iter().all(|message| message.tag == 'E'));
    // The gateway leaves the target, and says nothing else to it.
    let terminate = 5;
    eventually("the target is left", || attack.upstream_bytes() == terminate);
}

#[test]
fn a005_startup_parameters_are_a_list_of_what_is_allowed() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    for (name, value) in [
        ("options", "-c role=postgres"),
        ("options", "-c standard_conforming_strings=off"),
        ("options", "-c timezone=UTC -c role=postgres"),
        ("options", "--timezone=UTC\\ -crole=postgres -c\trole=postgres"),
        ("options", "-c timezone=UTC -c session_preload_libraries=evil"),
        ("session_authorization", "postgres"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "SJIS"),
        ("role", "postgres"),
        ("session_preload_libraries", "evil"),
        ("replication", "true"),
        ("replication", "database"),
    ] {
        let mut client = attack.connect_tls().unwrap();
        client.send(&wire::startup(&[("user", "app"), ("database", "postgres"), (name, value)])).unwrap();
        let answer = client.until_ready_or_password().unwrap();
        let refused = answer.iter().any(|message| message.tag == 'E');
        assert!(refused, "{name}={value}: {answer:?}");
        assert_eq!(attack.upstream_bytes(), 0, "{name}={value}");
    }
    let many: Vec<(String, &str)> = (0..10_000).map(|n| (format!("p{n}"), "x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let mut client = attack.connect_tls().unwrap();
    // The connection may be closed before all of it is sent.
    let answer = client.send(&wire::startup(&many)).and_then(|()| client.until_closed());
    assert!(!answer.is_ok_and(|answer| answer.starts_with(b"R")));
    assert_eq!(attack.upstream_bytes(), 0);
}

#[test]
fn a006_gss_is_declined_and_other_protocols_are_negotiated_or_refused() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    let mut client = attack.connect().unwrap();
    client.send(&wire::GSSENC_REQUEST).unwrap();
    assert_eq!(client.bytes(1).unwrap(), b"N");
    // Asked again and again, it does not go on for ever.
    for _ in 0..10_000 {
        if client.send(&wire::GSSENC_REQUEST).is_err() {
            break;
        }
    }
    assert!(client.until_closed().unwrap().len() < 10);
    // Version 3.99 with an option is talked down to 3.0 as PostgreSQL does it, or refused; never passed on.
    let mut client = attack.connect_tls().unwrap();
    client
        .send(&wire::startup_version(
            0x0003_0063,
            &[("user", "app"), ("database", "postgres"), ("_pq_.evil", "1")],
        ))
        .unwrap();
    let first = client.message().unwrap();
    assert!(first.is_none_or(|message| matches!(message.tag, 'v' | 'E')));
    for version in [0x0002_0000, 0x0004_0000, 0, 0xffff_ffff] {
        let mut client = attack.connect_tls().unwrap();
        client.send(&wire::startup_version(version, APP)).unwrap();
        assert!(client.until_ready().unwrap().iter().all(|message| message.tag == 'E'), "{version:#x}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
}

#[test]
fn a007_lengths_that_lie_cost_a_connection_and_no_memory() {
    let attack = Attack::prepare().unwrap();
    attack.forget();
    let before = resident(attack.scene.gateway.pid());
    let lengths = [0, 1, 2, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    for length in lengths {
        let mut client = attack.connect_tls().unwrap();
        client.send(&u32::to_be_bytes(length)).unwrap();
        client.send(&wire::PROTOCOL_3_0.to_be_bytes()).unwrap();
        assert!(!client.until_closed().unwrap().starts_with(b"R"), "startup of {length}");

        let mut client = attack.connect_tls().unwrap();
        client.send(&wire::startup(APP)).unwrap();
        client.expect('R').unwrap();
        client.send(&wire::message_of_length('p', length, b"token\0")).unwrap();
        let answer = client.until_ready().unwrap();
        assert!(answer.iter().all(|message| message.tag == 'E'), "password of {length}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
    for tag in ['Q', 'P', 'B', 'D', 'E', 'C', 'H', 'S', 'X', 'd', 'c', 'f', 'F', 'p', '?'] {
        for length in lengths {
            let mut client = attack.session().unwrap();
            let _ = client.send(&wire::message_of_length(tag, length, &[0; 64]));
            let answer = client.until_ready().unwrap();
            let refused = answer.iter().all(|message| matches!(message.tag, 'E'));
            assert!(refused, "`{tag}` of {length}: {answer:?}");
            assert!(attack.upstream_bytes() <= wire::terminate().len(), "`{tag}` of {length}");
        }
    }
    attack.recorded("pg.bad_length").unwrap();
    let after = resident(attack.scene.gateway.pid());
    assert!(after < before + 64 * 1024, "{before} KiB before, {after} KiB after");
}

#[test]
fn a008_a_cancel_key_of_somebody_else_or_a_guess_cancels_nothing() {
    let attack = Attack::prepare().unwrap();
    let mut victim = attack.session().unwrap();
    victim.send(&wire::query("select pg_sleep(3), 'undisturbed'")).unwrap();
    for guess in 0..2_000_u32 {
        let mut client = attack.connect().unwrap();
        client.send(&wire::cancel(guess, guess.wrapping_mul(0x9e37_79b9))).unwrap();
        if guess % 100 == 0 {
            assert!(client.until_closed().unwrap().is_empty(), "a cancel request is never answered");
        }
    }
    let answer = victim.until_ready().unwrap();
    let row = answer.iter().find(|message| message.tag == 'D').map(Message::row);
    assert_eq!(row.unwrap()[1].as_deref(), Some("undisturbed"), "{answer:?}");
}

#[test]
fn a009_what_one_session_leaves_no_other_session_finds() {
    let attack = Attack::prepare().unwrap();
    let mut first = attack.session().unwrap();
    first.query("set work_mem = '7MB'").unwrap();
    first.query("create temp table leftover (secret text)").unwrap();
    first.query("select pg_advisory_lock(42)").unwrap();
    first.query("prepare leftover as select 1").unwrap();
    first.send(&wire::terminate()).unwrap();
    first.until_closed().unwrap();
    let mut second = attack.session().unwrap();
    let row =
        |messages: &[Message]| messages.iter().find(|message| message.tag == 'D').unwrap().row()[0].clone();
    assert_ne!(row(&second.query("show work_mem").unwrap()).as_deref(), Some("7MB"));
    assert_eq!(wire::states(&second.query("select * from leftover").unwrap()).len(), 1);
    assert_eq!(wire::states(&second.query("execute leftover").unwrap()).len(), 1);
}

/// Resident memory in KiB.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
