//! The built-in issuer, from its key file to a principal.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_identity::{
    BUILTIN_ISSUER, BuiltinError, BuiltinIssuer, IdentityError, Issuer, LEEWAY, MAX_TTL, MintRequest,
    Verifier,
};
use gatewright_model::{principal::PrincipalKind, secret::Secret};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn request() -> MintRequest {
    MintRequest {
        subject: "alice".into(),
        groups: vec!["analysts".into(), "reviewers".into()],
        actors: vec!["agent-7".into(), "orchestrator".into()],
        kind: PrincipalKind::Human,
        audience: "gatewright".into(),
        ttl: Duration::from_secs(3_600),
        claims: vec![("team".into(), "data \"x\"".into())],
    }
}

fn verifier(issuer: &BuiltinIssuer) -> Verifier {
    let mut settings = BuiltinIssuer::settings("gatewright");
    settings.claims = vec!["team".into()];
    Verifier::new(vec![issuer.issuer(settings).unwrap()]).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_minted_is_what_is_proved() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = BuiltinIssuer::create(directory.path()).unwrap();
    let token = issuer.mint(&request(), now()).unwrap();
    let principal = verifier(&issuer).verify(&token, now()).unwrap();
    let request = request();
    assert_eq!(principal.subject, request.subject);
    assert_eq!(&*principal.issuer, BUILTIN_ISSUER);
    assert_eq!(principal.groups, request.groups);
    assert_eq!(principal.actors, request.actors);
    assert_eq!(principal.kind, request.kind);
    assert_eq!(principal.claims, request.claims);
    assert_eq!(principal.expires_at, Some(now() + request.ttl + LEEWAY));
    let again = issuer.mint(&request, now()).unwrap();
    assert_ne!(principal.credential, verifier(&issuer).verify(&again, now()).unwrap().credential);
    let expired = verifier(&issuer).verify(&token, now() + request.ttl + LEEWAY);
    assert_eq!(expired, Err(IdentityError::Expired { ago: LEEWAY }));
}

#[test]
fn the_key_is_kept_and_only_its_owner_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let (key, public) = (directory.path().join("issuer.pem"), directory.path().join("issuer.jwks.json"));
    let created = BuiltinIssuer::create(directory.path()).unwrap();
    assert_eq!(mode(&key), 0o600);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(matches!(BuiltinIssuer::create(directory.path()), Err(BuiltinError::File { .. })));

    // A token of the key as it was created verifies with the key as it was read, and with the public file.
    let token = created.mint(&request(), now()).unwrap();
    fs::remove_file(&public).unwrap();
    let loaded = BuiltinIssuer::load(directory.path()).unwrap();
    assert!(verifier(&loaded).verify(&token, now()).is_ok());
    let jwks = fs::read(&public).unwrap();
    let issuer = Issuer::with_keys(BuiltinIssuer::settings("gatewright"), &jwks).unwrap();
    assert!(Verifier::new(vec![issuer]).unwrap().verify(&token, now()).is_ok());

    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(BuiltinIssuer::load(directory.path()), Err(BuiltinError::Open { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "no key").unwrap();
    assert!(matches!(BuiltinIssuer::load(directory.path()), Err(BuiltinError::Key)));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(BuiltinIssuer::load(empty.path()), Err(BuiltinError::File { .. })));
}

#[test]
fn a082_another_gateways_issuer_has_the_same_name_and_another_key() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) =
        (BuiltinIssuer::create(one.path()).unwrap(), BuiltinIssuer::create(two.path()).unwrap());
    let token = one.mint(&request(), now()).unwrap();
    assert_eq!(verifier(&two).verify(&token, now()), Err(IdentityError::KeyUnknown));
}

#[test]
fn a083_no_token_is_minted_that_would_not_verify() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = BuiltinIssuer::create(directory.path()).unwrap();
    let mint = |change: fn(&mut MintRequest)| {
        let mut request = request();
        change(&mut request);
        issuer.mint(&request, now()).map(|_| ()).unwrap_err().to_string()
    };
    for (message, wanted) in [
        (mint(|request| request.subject = "".into()), "empty `sub`"),
        (mint(|request| request.subject = "al\nice".into()), "`sub` must not have control"),
        (mint(|request| request.groups = vec!["".into()]), "empty name"),
        (mint(|request| request.actors = vec!["alice".into()]), "twice"),
        (
            mint(|request| request.actors = (0..9).map(|index| format!("a{index}").into()).collect()),
            "more than 8",
        ),
        (mint(|request| request.ttl = Duration::ZERO), "at least 1 second"),
        (mint(|request| request.ttl = MAX_TTL + Duration::from_secs(1)), "at most 24 hours"),
        (mint(|request| request.claims = vec![("sub".into(), "root".into())]), "`sub` can not be set"),
        (
            mint(|request| request.claims = vec![("groups".into(), "admins".into())]),
            "`groups` can not be set",
        ),
        (mint(|request| request.claims = vec![("act".into(), "x".into())]), "`act` can not be set"),
        (mint(|request| request.claims = vec![("nonce".into(), "x".into())]), "not an access token"),
        (mint(|request| request.claims = vec![("email".into(), "a@b@c".into())]), "one address"),
        (
            mint(|request| {
                request.groups = (0..4_000).map(|index| format!("group-{index}").into()).collect()
            }),
            "longer than",
        ),
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    assert!(issuer.mint(&request(), UNIX_EPOCH - Duration::from_secs(1)).is_err());
}

#[test]
fn a085_the_key_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = BuiltinIssuer::create(directory.path()).unwrap();
    let pem = fs::read_to_string(directory.path().join("issuer.pem")).unwrap();
    let body = pem.lines().nth(1).unwrap();
    let shown =
        format!("{issuer:?} {:?} {}", issuer.issuer(BuiltinIssuer::settings("a")).unwrap(), issuer.jwks());
    assert!(!shown.contains(body));
    assert!(!shown.contains("SigningKey"));
    assert_eq!(format!("{:?}", issuer.mint(&request(), now()).unwrap()), format!("{:?}", Secret::new("")));
}
