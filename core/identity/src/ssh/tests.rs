//! Certificates as an attacker would make them (threats A38, A40).

use gatewright_model::principal::PrincipalKind;
use ssh_key::{
    PrivateKey,
    certificate::{Builder, CertType},
    private::{Ed25519Keypair, KeypairData},
};

use super::*;

const NOW: u64 = 1_900_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
}

fn public(seed: u8) -> KeyData {
    key(seed).public_key().key_data().clone()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Key 1 is the authority's, key 2 the holder's.
fn trust(principals: Principals) -> SshTrust {
    let authority = TrustedAuthority {
        issuer: "ssh:corp".into(),
        keys: vec![public(1)],
        principals,
        default_kind: PrincipalKind::Human,
        max_lifetime: Duration::from_secs(3_600),
    };
    SshTrust::new(vec![authority], Vec::new()).unwrap()
}

/// A good one, unless it is changed.
fn certificate(change: impl FnOnce(&mut Builder)) -> Certificate {
    certificate_of(&key(1), NOW - 60, NOW + 60, change)
}

fn certificate_of(
    authority: &PrivateKey,
    after: u64,
    before: u64,
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    named(authority, (CertType::User, "alice"), (after, before), change)
}

fn named(
    authority: &PrivateKey,
    (kind, id): (CertType, &str),
    (after, before): (u64, u64),
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    let mut builder = Builder::new(vec![7; 32], public(2), after, before).unwrap();
    builder.cert_type(kind).unwrap().key_id(id).unwrap();
    change(&mut builder);
    builder.sign(authority).unwrap()
}

fn for_deploy(builder: &mut Builder) {
    builder.valid_principal("deploy").unwrap();
}

fn judge(certificate: &Certificate) -> Result<Proved, SshError> {
    let client = "192.0.2.7".parse().unwrap();
    trust(Principals::Accounts).judge_certificate(certificate, client, now())
}

fn refused(certificate: &Certificate) -> SshError {
    judge(certificate).unwrap_err()
}

#[test]
fn a_good_certificate_says_who_and_what() {
    let good = certificate(|builder| {
        for_deploy(builder);
        builder.serial(9).unwrap().extension("permit-pty", "").unwrap();
    });
    let Proved { principal, rights, accounts } = judge(&good).unwrap();
    assert!(accounts.include("deploy") && !accounts.include("root"));
    assert_eq!((&*principal.subject, &*principal.issuer), ("alice", "ssh:corp"));
    assert_eq!(principal.expires_at, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 60)));
    assert!(principal.credential.starts_with("cert-9-"), "{}", principal.credential);
    assert_eq!(principal.kind, PrincipalKind::Human);
    assert!(rights.pty && !rights.port_forwarding && !rights.agent_forwarding && !rights.x11_forwarding);
}

#[test]
fn a040_principals_are_names_and_no_lists_and_none_is_nobody() {
    for name in ["deploy,root", "root", "Deploy", "deploy ", "*", ""] {
        let other = certificate(|builder| {
            builder.valid_principal(name).unwrap();
        });
        assert!(!judge(&other).unwrap().accounts.include("deploy"), "{name:?}");
    }
    let everybody = certificate(|builder| {
        builder.all_principals_valid().unwrap();
    });
    assert_eq!(refused(&everybody), SshError::NoPrincipals);
}

#[test]
fn a040_the_key_id_is_a_name() {
    for id in ["", " ", "al\u{202e}ice", "alice\n"] {
        let odd = named(&key(1), (CertType::User, id), (NOW - 60, NOW + 60), for_deploy);
        assert_eq!(refused(&odd), SshError::KeyId, "{id:?}");
    }
    // Where principals name the holder, one of them is the holder.
    let client = "192.0.2.7".parse().unwrap();
    let names = trust(Principals::Subject);
    let other = certificate(for_deploy);
    assert_eq!(names.judge_certificate(&other, client, now()).unwrap_err(), SshError::KeyId);
    let own = certificate(|builder| {
        builder.valid_principal("alice").unwrap();
    });
    assert_eq!(&*names.judge_certificate(&own, client, now()).unwrap().principal.subject, "alice");
}

#[test]
fn a040_a_host_certificate_is_no_users() {
    let host = named(&key(1), (CertType::Host, "alice"), (NOW - 60, NOW + 60), for_deploy);
    assert_eq!(refused(&host), SshError::Type);
}

#[test]
fn a040_times_and_their_edges() {
    let of = |after, before| judge(&certificate_of(&key(1), after, before, for_deploy)).map(drop);
    assert_eq!(of(NOW - 100, NOW - 1), Err(SshError::Expired));
    assert_eq!(of(NOW - 100, NOW), Err(SshError::Expired));
    assert_eq!(of(NOW - 100, NOW + 1), Ok(()));
    assert_eq!(of(NOW + 1, NOW + 100), Err(SshError::NotYet));
    assert_eq!(of(NOW, NOW + 3_600), Ok(()));
    assert_eq!(of(NOW, NOW + 3_601), Err(SshError::Lifetime));
    assert_eq!(of(0, u64::MAX), Err(SshError::Lifetime));
}

#[test]
fn a040_critical_options_are_understood_or_refused() {
    let with = |name: &str, value: &str| {
        judge(&certificate(|builder| {
            for_deploy(builder);
            builder.critical_option(name, value).unwrap();
        }))
        .map(drop)
    };
    assert_eq!(with("source-address", "192.0.2.0/24"), Ok(()));
    assert_eq!(with("source-address", "10.0.0.0/8"), Err(SshError::SourceAddress));
    assert_eq!(with("source-address", ""), Err(SshError::SourceAddress));
    for (name, value) in [
        ("force-command", "/bin/true"),
        ("verify-required", ""),
        ("no-such-option@example.com", "x"),
        ("Source-Address", "0.0.0.0/0"),
    ] {
        assert_eq!(with(name, value), Err(SshError::CriticalOption), "{name}");
    }
}

#[test]
fn a040_only_a_trusted_authority_counts_and_only_its_signature() {
    assert_eq!(refused(&certificate_of(&key(3), NOW - 60, NOW + 60, for_deploy)), SshError::Authority);
    // Signed by oneself, as the authority that the holder would like to be.
    assert_eq!(refused(&certificate_of(&key(2), NOW - 60, NOW + 60, for_deploy)), SshError::Authority);
    // Each byte of what is signed counts.
    let good = certificate(for_deploy).to_bytes().unwrap();
    let mut accepted = 0;
    for place in 0..good.len() {
        let mut bent = good.clone();
        bent[place] ^= 1;
        if let Ok(bent) = Certificate::from_bytes(&bent) {
            accepted += u32::from(judge(&bent).is_ok());
        }
    }
    assert_eq!(accepted, 0);
}

#[test]
fn a040_an_authority_is_withdrawn_with_its_key() {
    let none = SshTrust::new(Vec::new(), Vec::new()).unwrap();
    let client = "192.0.2.7".parse().unwrap();
    let error = none.judge_certificate(&certificate(for_deploy), client, now()).unwrap_err();
    assert_eq!(error, SshError::Authority);
}

#[test]
fn a040_what_is_said_about_a_holder_is_read_strictly() {
    let with = |text: &str| {
        judge(&certificate(|builder| {
            for_deploy(builder);
            builder.extension(chain::EXTENSION, text).unwrap();
        }))
    };
    let said = with(r#"{"kind":"agent","groups":["sre"],"act":{"sub":"agent-7"}}"#).unwrap().principal;
    assert_eq!(
        (said.kind, said.groups, said.actors),
        (PrincipalKind::Agent, vec!["sre".into()], vec!["agent-7".into()])
    );
    for wrong in [
        "",
        "[]",
        r#"{"groups":"sre"}"#,
        r#"{"groups":[""]}"#,
        r#"{"kind":"root"}"#,
        r#"{"sub":"bob"}"#,
        r#"{"act":{"sub":"alice"}}"#,
        r#"{"groups":["a"],"groups":["b"]}"#,
        r#"{"may":"everything"}"#,
        // Only the gateway's own authority speaks for issuers of tokens.
        r#"{"iss":"https://id.example"}"#,
        r#"{"jti":"x"}"#,
        r#"{"iat":-1}"#,
        r#"{"claims":[["a"]]}"#,
    ] {
        assert_eq!(with(wrong).unwrap_err(), SshError::Chain, "{wrong}");
    }
}

#[test]
fn what_the_gateway_signs_says_what_was_shown_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let own = SshAuthority::load_or_create(&folder.path().join("ca")).unwrap();
    let again = SshAuthority::load_or_create(&folder.path().join("ca")).unwrap();
    assert_eq!(own.public().key_data(), again.public().key_data());
    let trust = SshTrust::new(vec![own.trusted()], Vec::new()).unwrap();
    let principal = Principal {
        subject: "alice".into(),
        issuer: "https://id.example".into(),
        kind: PrincipalKind::Human,
        groups: vec!["sre".into(), "CN=Ops, OU=IT".into()],
        actors: vec!["agent-7".into(), "agent-6".into()],
        claims: vec![("team".into(), "x".into()), ("team".into(), "y".into())],
        credential: "token-1".into(),
        issued_at: Some(now() - Duration::from_secs(100)),
        expires_at: Some(now() + Duration::from_secs(300)),
    };
    let login = UserLogin { principal: &principal, key: &public(2), ttl: Duration::from_secs(3_600) };
    let (certificate, end) = own.certify_user(&login, now()).unwrap();
    assert_eq!(Some(end), principal.expires_at, "it does not outlive the token");
    let client = "192.0.2.7".parse().unwrap();
    let proved = trust.judge_certificate(&certificate, client, now()).unwrap();
    assert_eq!(proved.principal, principal);
    assert_eq!(proved.rights, ChannelRights::ALL);
    // Of a token that does not say when it was issued, the certificate does not either: what is taken back in doubt is taken back.
    let undated = Principal { issued_at: None, ..principal.clone() };
    let login_undated = UserLogin { principal: &undated, ..login };
    let (certificate, _) = own.certify_user(&login_undated, now()).unwrap();
    let proved = trust.judge_certificate(&certificate, client, now()).unwrap();
    assert_eq!(proved.principal.issued_at, None);
    let login = UserLogin { principal: &principal, key: &public(2), ttl: Duration::from_secs(3_600) };
    // A token that is used up is good for nothing.
    let late = now() + Duration::from_secs(300);
    assert!(matches!(own.certify_user(&login, late), Err(AuthorityError::Expired)));
}

/// With what a client was given, nobody gets past the gateway: a target trusts another key.
#[test]
fn a040_what_is_for_targets_is_not_good_at_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let clients = SshAuthority::load_or_create(&folder.path().join("clients")).unwrap();
    let targets = SshAuthority::load_or_create(&folder.path().join("targets")).unwrap();
    let login = TargetLogin { account: "deploy", key_id: "alice".to_owned() };
    let (key, certificate) = targets.certify_for_target(login, now()).unwrap();
    assert_eq!(certificate.public_key(), key.public_key().key_data());
    assert_eq!(certificate.valid_principals(), ["deploy"]);
    let trust = SshTrust::new(vec![clients.trusted()], Vec::new()).unwrap();
    let client = "192.0.2.7".parse().unwrap();
    let error = trust.judge_certificate(&certificate, client, now()).unwrap_err();
    assert_eq!(error, SshError::Authority);
    // And the other way round: an authority's key that others can read is not used.
    std::fs::set_permissions(
        folder.path().join("clients"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    assert!(matches!(SshAuthority::load(&folder.path().join("clients")), Err(AuthorityError::Open { .. })));
}

#[test]
fn a038_a_key_is_somebodys_or_nobodys() {
    let bound = BoundKey {
        key: public(2),
        subject: "ci".into(),
        kind: PrincipalKind::Service,
        groups: vec!["ci".into()],
        actors: Vec::new(),
    };
    let trust = SshTrust::new(Vec::new(), vec![bound.clone()]).unwrap();
    let principal = trust.judge_key(&public(2)).unwrap().principal;
    assert_eq!((&*principal.subject, &*principal.issuer), ("ci", KEYS_ISSUER));
    assert!(principal.credential.starts_with("SHA256:"));
    assert_eq!(trust.judge_key(&public(3)).unwrap_err(), SshError::KeyUnknown);
    assert!(SshTrust::new(Vec::new(), vec![bound.clone(), bound.clone()]).is_err());
    let bad = BoundKey { subject: "c\u{200b}i".into(), ..bound };
    assert!(SshTrust::new(Vec::new(), vec![bad]).is_err());
}

/// What `ssh-keygen -t rsa -b 1024` and `-t ed25519-sk` make.
#[test]
fn a040_weak_keys_and_keys_of_other_types_are_refused() {
    let weak = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQD0eQpP7wHVNpOGAHoVgot9Vfp0NX1+xoq3SepXJ3Krs8LZ0TxIkThA431MT+\
        RWBFL0QCfSYC7yl4bDBnppxHN4tr8jfdoaNjIoX2WiG2hzJEyMeXU+LMft0VDIyo+ktl8h5+1W0J+gdRT47xgh9Xar\
        2J4RY3uVSrueduJUQvgB9Q==";
    let key = ssh_key::PublicKey::from_openssh(weak).unwrap();
    assert_eq!(check_strength(key.key_data()), Err(SshError::KeyWeak));
    let security_key = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIFiFzuJ4bl01RBFtR7z5jGIC1N4CWK1TQPQlBHvDb8IrAAAABHNzaDo=";
    let key = ssh_key::PublicKey::from_openssh(security_key).unwrap();
    assert_eq!(check_strength(key.key_data()), Err(SshError::KeyType));
}
