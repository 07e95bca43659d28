//! Rows A2, A3 and A10: a target that is not what it should be.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Read, Write};

use gatewright_e2e::{
    Certificates, FakeUpstream, Gateway, Mint, Setup, Stage, fake, gateway_program, policies, wire,
};

/// A gateway in front of a target of our own making.
fn gateway(stage: &Stage, target: &FakeUpstream, certificates: &Certificates) -> Gateway {
    let password = stage.directory().join("target-password");
    std::fs::write(&password, "the-target-password").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Setup::new(stage, "gateway", &gateway_program().unwrap())
        .unwrap()
        .target(&[
            &format!("address = \"127.0.0.1:{}\"", target.port()),
            "account = \"app\"",
            &format!("password = {{ file = \"{}\" }}", password.display()),
            &format!(
                "tls = {{ mode = \"verify\", ca = \"{}\", server_name = \"localhost\" }}",
                certificates.authority().display()
            ),
        ])
        .policy("allow", &policies::allow().unwrap())
        .unwrap()
        .start()
        .unwrap()
}

/// What a client with a good token gets.
fn client_sees(gateway: &Gateway) -> String {
    let psql = gateway.psql(&Mint::default()).unwrap().options(&["-v", "VERBOSITY=verbose"]);
    psql.run("select 'reached';").unwrap()
}

/// Plays a target; whatever it does, the client gets an error of the gateway's own words, and the target gets
/// neither the password nor a statement.
fn refused(
    script: impl Fn(&mut fake::Connection) -> std::io::Result<()> + Send + Sync + 'static,
) -> String {
    let stage = Stage::new("target").unwrap();
    let certificates = Certificates::new(&stage, "tls").unwrap();
    let target = FakeUpstream::start(script).unwrap();
    let gateway = gateway(&stage, &target, &certificates);
    let seen = client_sees(&gateway);
    assert!(seen.contains("FATAL"), "{seen}");
    assert!(!seen.contains("PLANTED"), "words of a target that did not prove itself are not shown: {seen}");
    for received in target.received() {
        let text = String::from_utf8_lossy(&received).into_owned();
        assert!(!text.contains("the-target-password") && !text.contains("reached"), "{text}");
    }
    seen
}

#[test]
fn a002_words_before_tls_are_not_shown() {
    refused(|connection| {
        connection.ssl_request()?;
        let mut planted = b"S".to_vec();
        planted.extend(wire::message('E', b"SERROR\0CXX000\0MPLANTED\0\0"));
        connection.write_all(&planted)
    });
    refused(|connection| {
        connection.ssl_request()?;
        connection.write_all(b"EPLANTED\0")
    });
}

#[test]
fn a003_a_target_without_tls_gets_nothing() {
    refused(|connection| {
        connection.ssl_request()?;
        connection.write_all(b"N")?;
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).map(drop)
    });
}

#[test]
fn a003_a_certificate_of_another_name_or_authority_is_refused() {
    let stage = Stage::new("target").unwrap();
    let strangers = Certificates::new(&stage, "strangers").unwrap();
    let stranger = strangers.server("server").unwrap();
    refused(move |connection| connection.accept_tls(&stranger)?.flush());

    let certificates = Certificates::new(&stage, "ours").unwrap();
    let elsewhere = certificates.server_elsewhere("elsewhere").unwrap();
    let target = FakeUpstream::start(move |connection| connection.accept_tls(&elsewhere)?.flush()).unwrap();
    let gateway = gateway(&stage, &target, &certificates);
    assert!(client_sees(&gateway).contains("FATAL"));
}

#[test]
fn a003_a_weaker_proof_than_scram_is_not_given() {
    // Asked for the password itself (3), or for its MD5 (5).
    for request in [vec![0, 0, 0, 3], vec![0, 0, 0, 5, 1, 2, 3, 4]] {
        tls_target(move |stream| {
            let mut startup = [0; 1024];
            let _ = stream.read(&mut startup)?;
            stream.write_all(&wire::message('R', &request))?;
            stream.flush()?;
            let mut rest = [0; 1024];
            while stream.read(&mut rest)? > 0 {}
            Ok(())
        });
    }
}

#[test]
fn a010_a_hostile_target_ends_its_own_session_only() {
    for planted in [
        // SCRAM, and then two thousand million rounds of hashing.
        wire::message('R', b"\0\0\0\x0bSCRAM-SHA-256\0\0"),
        wire::message('R', &[vec![0, 0, 0, 10], b"SCRAM-SHA-256\0\0".to_vec()].concat()),
        // An error without a code, a notice without an end, rows before anybody asked.
        wire::message('E', b""),
        wire::message('N', &vec![b'M'; 1 << 20]),
        wire::message('D', &[0, 5, 0, 0]),
        wire::message_of_length('R', 0xffff_ffff, b""),
        wire::message_of_length('T', 3, b""),
    ] {
        tls_target(move |stream| {
            let mut startup = [0; 1024];
            let _ = stream.read(&mut startup)?;
            stream.write_all(&planted)?;
            stream.flush()?;
            let _ = stream.read(&mut startup)?;
            stream.write_all(&wire::message(
                'R',
                &[vec![0, 0, 0, 11], b"r=x,s=QSXCR+Q6sek8bf92,i=2147483647".to_vec()].concat(),
            ))?;
            stream.flush()?;
            let mut rest = [0; 1024];
            while stream.read(&mut rest)? > 0 {}
            Ok(())
        });
    }
}

/// A target with a good certificate and a script inside of TLS.
fn tls_target(script: impl Fn(&mut dyn Stream) -> std::io::Result<()> + Send + Sync + 'static) {
    let stage = Stage::new("target").unwrap();
    let certificates = Certificates::new(&stage, "tls").unwrap();
    let pair = certificates.server("server").unwrap();
    let target = FakeUpstream::start(move |connection| script(&mut connection.accept_tls(&pair)?)).unwrap();
    let gateway = gateway(&stage, &target, &certificates);
    let seen = client_sees(&gateway);
    assert!(seen.contains("FATAL") && !seen.contains("reached"), "{seen}");
    // The gateway itself is as before.
    assert_eq!(gateway.get("/healthz").unwrap().status, 200);
}

/// Both directions of a connection.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}
