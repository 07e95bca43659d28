//! Keys that are fetched: how often, from where, and for how long they are good.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::forge::*;
use gatewright_identity::{
    Algorithm, FETCH_TIMEOUT, Fetch, FetchError, FetchProblem, Fetched, IdentityError, Issuer,
    IssuerSettings, KEYS_MAX_AGE, KeySetError, MAX_DOCUMENT, REFRESH_AFTER, REFRESH_INTERVAL, SetupError,
    Verifier,
};

const DOCUMENT_URL: &str = "https://id.example/.well-known/openid-configuration";
const KEYS_URL: &str = "https://id.example/keys";

fn discovering(settings: IssuerSettings) -> Verifier {
    Verifier::new(vec![Issuer::with_discovery(settings).unwrap()]).unwrap()
}

fn fresh() -> Verifier {
    discovering(settings(&[Algorithm::EdDsa]))
}

fn fetch(url: &str) -> Option<Fetch> {
    Some(Fetch { issuer: ISSUER.into(), url: url.into() })
}

fn document(keys_url: &str) -> String {
    format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{keys_url}"}}"#)
}

/// Plays one whole refresh.
fn refresh(verifier: &Verifier, keys: &[String], now: SystemTime) {
    assert_eq!(verifier.poll_fetch(now), fetch(DOCUMENT_URL));
    let found = verifier.handle_fetched(ISSUER, Ok(document(KEYS_URL).as_bytes()), now);
    assert_eq!(found, Ok(Fetched::Discovered));
    assert_eq!(verifier.poll_fetch(now), fetch(KEYS_URL));
    let found = verifier.handle_fetched(ISSUER, Ok(jwks(keys).as_bytes()), now);
    assert_eq!(found, Ok(Fetched::Refreshed { keys: keys.len() }));
}

/// A token that is good at `now`.
fn token_at(now: SystemTime) -> gatewright_model::secret::Secret {
    token(&format!(r#""exp":{}"#, now.duration_since(UNIX_EPOCH).unwrap().as_secs() + 300))
}

fn verify(verifier: &Verifier, now: SystemTime) -> String {
    outcome(verifier.verify(&token_at(now), now))
}

fn other(kid: &str) -> gatewright_model::secret::Secret {
    signed(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), &claims(""), ed)
}

#[test]
fn f013_before_the_first_fetch_nobody_gets_in() {
    let verifier = fresh();
    assert_eq!(verifier.verify(&token(""), now()), Err(IdentityError::KeysMissing));
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    assert_eq!(verify(&verifier, now()), "accepted as alice");
}

#[test]
fn f013_one_fetch_is_in_flight() {
    let verifier = fresh();
    assert_eq!(verifier.poll_fetch(now()), fetch(DOCUMENT_URL));
    assert_eq!(verifier.poll_fetch(now()), None);
    assert_eq!(verifier.poll_fetch(now() + FETCH_TIMEOUT - Duration::from_secs(1)), None);
    // It is lost; the next one begins in its time and not earlier.
    assert_eq!(verifier.poll_fetch(now() + FETCH_TIMEOUT), None);
    assert_eq!(verifier.poll_fetch(now() + REFRESH_INTERVAL), fetch(DOCUMENT_URL));
    assert_eq!(verifier.poll_fetch(now() + REFRESH_INTERVAL), None);
}

#[test]
fn f013_keys_outlive_an_outage_until_they_are_too_old() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    let mut at = now();
    let mut fetches = 0u32;
    while at < now() + KEYS_MAX_AGE {
        assert_eq!(verify(&verifier, at), "accepted as alice");
        if verifier.poll_fetch(at).is_some() {
            fetches += 1;
            let failed = verifier.handle_fetched(ISSUER, Err(FetchError::Unreachable), at);
            assert_eq!(failed, Err(FetchProblem::Transport(FetchError::Unreachable)));
        }
        at += Duration::from_secs(30);
    }
    assert_eq!(verifier.verify(&token_at(at), at), Err(IdentityError::KeysStale));
    // Tried on, once in an interval, from the age on at which keys are refreshed.
    assert_eq!(u64::from(fetches), (KEYS_MAX_AGE - REFRESH_AFTER).as_secs() / REFRESH_INTERVAL.as_secs());
    let next = at + REFRESH_INTERVAL;
    refresh(&verifier, &[ed_jwk(&ED, "k1")], next);
    assert_eq!(verify(&verifier, next), "accepted as alice");
}

#[test]
fn a084_unknown_kids_cause_one_fetch_in_an_interval() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    let mut fetches = 0;
    for index in 0..10_000u32 {
        let at = now() + REFRESH_INTERVAL / 10_000 * index;
        assert_eq!(verifier.verify(&other(&format!("k{index}x")), at), Err(IdentityError::KeyUnknown));
        fetches += u32::from(verifier.poll_fetch(at).is_some());
    }
    assert_eq!(fetches, 0, "the interval of the first refresh is not over");
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now() + REFRESH_INTERVAL);
    assert_eq!(verifier.poll_fetch(now() + 3 * REFRESH_INTERVAL), None, "nobody asked again");
}

#[test]
fn a084_tokens_that_are_refused_earlier_cause_no_fetch() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    for header in
        [r#"{"alg":"RS256","kid":"x"}"#, r#"{"alg":"EdDSA","kid":"x","jku":"https://evil.example"}"#]
    {
        assert!(verifier.verify(&signed(header, &claims(""), ed), now()).is_err());
    }
    assert!(verifier.verify(&signed(HEADER, &claims(""), |_| vec![0; 64]), now()).is_err());
    assert_eq!(verifier.poll_fetch(now() + 2 * REFRESH_INTERVAL), None);
}

#[test]
fn a084_rotated_and_withdrawn_keys() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&OTHER_ED, "k0")], now());
    let later = now() + REFRESH_INTERVAL;
    assert_eq!(verifier.verify(&token_at(later), later), Err(IdentityError::KeyUnknown));
    refresh(&verifier, &[ed_jwk(&OTHER_ED, "k0"), ed_jwk(&ED, "k1")], later);
    assert_eq!(verify(&verifier, later), "accepted as alice");

    // Withdrawn: refused from the next regular refresh on.
    let regular = later + REFRESH_AFTER;
    refresh(&verifier, &[ed_jwk(&OTHER_ED, "k0")], regular);
    assert_eq!(verifier.verify(&token_at(regular), regular), Err(IdentityError::KeyUnknown));

    // All withdrawn: nobody gets in.
    let last = regular + REFRESH_AFTER;
    refresh(&verifier, &[], last);
    assert_eq!(verifier.verify(&token_at(last), last), Err(IdentityError::KeyUnknown));
}

#[test]
fn a084_documents_that_lead_elsewhere_are_refused() {
    for (document, problem) in [
        (document("http://id.example/keys"), "must begin with https://"),
        (document("https://evil.example/keys"), "another host"),
        (document("https://id.example.evil.example/keys"), "another host"),
        (document("https://id.example@evil.example/keys"), "host name"),
        (document("https://id.example:8443/keys"), "another host"),
        (document("file:///etc/passwd"), "must begin with https://"),
        (format!(r#"{{"issuer":"{ISSUER}"}}"#), "no `jwks_uri`"),
        (format!(r#"{{"issuer":"{ISSUER}","jwks_uri":["{KEYS_URL}"]}}"#), "no `jwks_uri`"),
        (format!(r#"{{"issuer":"{ISSUER}/","jwks_uri":"{KEYS_URL}"}}"#), "another issuer"),
        (format!(r#"{{"jwks_uri":"{KEYS_URL}"}}"#), "another issuer"),
        (
            format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{KEYS_URL}"}}"#),
            "not a JSON object",
        ),
        ("<html>".to_owned(), "not a JSON object"),
        (" ".repeat(MAX_DOCUMENT + 1), "longer than"),
    ] {
        let verifier = fresh();
        assert_eq!(verifier.poll_fetch(now()), fetch(DOCUMENT_URL));
        let error = verifier.handle_fetched(ISSUER, Ok(document.as_bytes()), now()).unwrap_err();
        assert!(error.to_string().contains(problem), "{document:.80}: {error}");
        assert_eq!(verifier.poll_fetch(now()), None, "that refresh is over");
    }
}

#[test]
fn a084_other_hosts_are_allowed_by_name() {
    let mut settings = settings(&[Algorithm::EdDsa]);
    settings.key_hosts = vec!["keys.example".into()];
    let verifier = discovering(settings);
    assert!(verifier.poll_fetch(now()).is_some());
    let url = "https://keys.example/v3/certs?p=1";
    assert_eq!(
        verifier.handle_fetched(ISSUER, Ok(document(url).as_bytes()), now()),
        Ok(Fetched::Discovered)
    );
    assert_eq!(verifier.poll_fetch(now()), fetch(url));
}

#[test]
fn a084_bad_key_sets_change_nothing() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    let mut at = now() + REFRESH_AFTER;
    for (answer, problem) in [
        (Ok(b"<html>".to_vec()), FetchProblem::Keys(KeySetError::NotAKeySet)),
        (Ok(document(KEYS_URL).into_bytes()), FetchProblem::Keys(KeySetError::NotAKeySet)),
        (Ok(vec![b' '; MAX_DOCUMENT + 1]), FetchProblem::Keys(KeySetError::TooLong)),
        (Err(FetchError::Status(302)), FetchProblem::Transport(FetchError::Status(302))),
        (Err(FetchError::TooLong), FetchProblem::Transport(FetchError::TooLong)),
    ] {
        assert_eq!(verifier.poll_fetch(at), fetch(DOCUMENT_URL));
        verifier.handle_fetched(ISSUER, Ok(document(KEYS_URL).as_bytes()), at).unwrap();
        assert_eq!(verifier.poll_fetch(at), fetch(KEYS_URL));
        let answer = answer.as_ref().map(Vec::as_slice).map_err(|error| *error);
        assert_eq!(verifier.handle_fetched(ISSUER, answer, at), Err(problem));
        assert_eq!(verify(&verifier, at), "accepted as alice");
        at += REFRESH_INTERVAL;
    }
}

#[test]
fn a084_answers_that_nobody_asked_for_are_dropped() {
    let verifier = fresh();
    let keys = jwks(&[ed_jwk(&ED, "k1")]);
    for issuer in [ISSUER, "https://evil.example"] {
        assert_eq!(verifier.handle_fetched(issuer, Ok(keys.as_bytes()), now()), Err(FetchProblem::Unasked));
    }
    assert_eq!(verifier.verify(&token(""), now()), Err(IdentityError::KeysMissing));
    // A key set in place of the discovery document is none.
    assert!(verifier.poll_fetch(now()).is_some());
    assert_eq!(verifier.handle_fetched(ISSUER, Ok(keys.as_bytes()), now()), Err(FetchProblem::OtherIssuer));
    assert_eq!(verifier.verify(&token(""), now()), Err(IdentityError::KeysMissing));
}

#[test]
fn f010_keys_of_an_unknown_age_are_refreshed_first() {
    let verifier = fresh();
    refresh(&verifier, &[ed_jwk(&ED, "k1")], now());
    let back = now() - Duration::from_secs(3_600);
    assert_eq!(verifier.verify(&token_at(back), back), Err(IdentityError::KeysStale));
    refresh(&verifier, &[ed_jwk(&ED, "k1")], back);
    assert_eq!(verify(&verifier, back), "accepted as alice");
    let ahead = now() + 10 * KEYS_MAX_AGE;
    assert_eq!(verifier.verify(&token_at(ahead), ahead), Err(IdentityError::KeysStale));
    refresh(&verifier, &[ed_jwk(&ED, "k1")], ahead);
    assert_eq!(verify(&verifier, ahead), "accepted as alice");
}

#[test]
fn what_can_not_be_set_up_says_why() {
    let with_issuer = |issuer: &str| {
        Issuer::with_discovery(IssuerSettings::new(issuer, "gatewright", vec![Algorithm::EdDsa])).err()
    };
    assert!(matches!(with_issuer("http://id.example"), Some(SetupError::Url(_))));
    assert!(matches!(with_issuer("https://id.example?x"), Some(SetupError::Url(_))));
    assert_eq!(with_issuer(""), Some(SetupError::Empty("issuer")));
    assert_eq!(with_issuer("https://id.example/realms/a/"), None);
    let keys = jwks(&[ed_jwk(&ED, "k1")]);
    let none = Issuer::with_keys(settings(&[Algorithm::Rs256]), keys.as_bytes()).err();
    assert_eq!(none, Some(SetupError::Keys(KeySetError::Unusable)));
    assert_eq!(
        Issuer::with_keys(settings(&[]), keys.as_bytes()).err(),
        Some(SetupError::Empty("algorithms"))
    );
    let twice = || Issuer::with_keys(settings(&[Algorithm::EdDsa]), keys.as_bytes()).unwrap();
    assert_eq!(Verifier::new(vec![twice(), twice()]).err(), Some(SetupError::Twice(ISSUER.into())));
    assert_eq!(Verifier::new(Vec::new()).unwrap().verify(&token(""), now()), Err(IdentityError::Issuer));
}
