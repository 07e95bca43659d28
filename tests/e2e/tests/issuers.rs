//! Tokens of external OpenID issuers, through the real psql: what the wire and the record show.
//!
//! That each check is made is held by the tests of `core/identity`; that they are all there, on the way from
//! psql's password prompt to the database, is held here.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::{
    Mint, Psql, Scene, Stage, eventually, evidence,
    oidc::{self, Key, Provider},
    policies,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example";

/// A gateway that trusts the keys of a file.
fn trusting(stage: &Stage, keys: &[&Key]) -> Scene {
    let file = oidc::key_file(stage, keys).unwrap();
    let table = format!(
        "[[identity.issuer]]\nissuer = \"{ISSUER}\"\naudience = \"gatewright\"\njwks_file = \"{}\"\n",
        file.display()
    );
    let allow = policies::allow().unwrap();
    Scene::build(&[("allow", &allow)], true, |setup| setup.more(&table)).unwrap()
}

/// A gateway that finds the keys of a provider by itself.
fn discovering(provider: &Provider) -> Scene {
    let table = format!(
        "[[identity.issuer]]\nissuer = \"{}\"\naudience = \"gatewright\"\ndiscovery = true\nca = \"{}\"\n",
        provider.issuer(),
        provider.authority().display()
    );
    let allow = policies::allow().unwrap();
    Scene::build(&[("allow", &allow)], false, |setup| setup.more(&table)).unwrap()
}

fn psql(scene: &Scene, token: &str) -> Psql {
    Psql::new(scene.gateway.port(), &scene.gateway.authority(), "app", token).options(&["-A", "-t"])
}

fn says(scene: &Scene, token: &str) -> String {
    psql(scene, token).run("select 'reached';").unwrap()
}

/// Waits for as long as the gateway may rest between two refreshes of one issuer's keys, and some more.
fn within_two_refreshes(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(130), "it never came to this: {what}");
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_token_of_an_external_issuer_opens_a_session_and_the_record_says_for_whom() {
    let stage = Stage::new("issuers").unwrap();
    let key = Key::new(&stage, "k1").unwrap();
    let scene = trusting(&stage, &[&key]);
    let token = key.token(&oidc::claims(ISSUER, "ada@id.example")).unwrap();
    assert_eq!(psql(&scene, &token).run("select 6 * 7;").unwrap(), "42\n");

    let records = scene.evidence().unwrap();
    let opened = records.of("session_opened");
    let record = opened.last().unwrap();
    for (field, expected) in [
        ("subject", json!("ada@id.example")),
        ("issuer", json!(ISSUER)),
        ("principal_kind", json!("agent")),
        ("groups", json!(["analysts", "night-shift"])),
        ("actors", json!(["helper"])),
    ] {
        assert_eq!(evidence::find(record, field), Some(&expected), "{record}");
    }
    let decision = records.decisions_about("?");
    let decision = decision.last().copied().or_else(|| records.of("decision").last().copied()).unwrap();
    assert_eq!(evidence::text(decision, "subject"), "ada@id.example", "{decision}");
    assert_eq!(evidence::find(decision, "actors"), Some(&json!(["helper"])), "{decision}");
}

#[test]
fn a081_tokens_that_prove_nothing_reach_no_server() {
    let stage = Stage::new("issuers").unwrap();
    let (key, stranger) = (Key::new(&stage, "k1").unwrap(), Key::new(&stage, "stranger").unwrap());
    let scene = trusting(&stage, &[&key]);
    let good = oidc::claims(ISSUER, "ada");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let recorder = scene.recorder.as_ref().unwrap();
    recorder.forget();
    let cases = [
        ("another audience", key.token(&with("aud", json!("somewhere-else"))), "auth.jwt_aud"),
        ("another issuer", key.token(&with("iss", json!("https://evil.example"))), "auth.jwt_aud"),
        ("expired", key.token(&with("exp", json!(oidc::now() - 61))), "auth.jwt_expired"),
        ("no expiry", key.token(&with("exp", Value::Null)), "auth.jwt_claim"),
        ("not yet valid", key.token(&with("nbf", json!(oidc::now() + 300))), "auth.jwt_claim"),
        ("a circle of actors", key.token(&with("act", json!({ "sub": "ada" }))), "auth.jwt_act"),
        ("no name", key.token(&with("sub", json!(""))), "auth.empty_identity"),
        ("no signature", Ok(oidc::token_without_signature(&good)), "auth.jwt_alg"),
        ("a public key for a secret", key.token_by_hmac(&good), "auth.jwt_alg"),
        ("an unknown key", stranger.token(&good), "auth.jwks"),
        ("a stranger's key under a known name", stranger.token_as("k1", &good), "auth.jwt_signature"),
    ];
    for (what, token, code) in cases {
        let answer = says(&scene, &token.unwrap());
        assert!(answer.contains("FATAL"), "{what}: {answer}");
        assert!(answer.contains(&format!("code: {code}")), "{what}: {answer}");
        assert!(!answer.contains("reached"), "{what}: {answer}");
        // The record of a refusal is written with the next one, or soon.
        eventually(what, || {
            let records = scene.evidence().unwrap();
            records.of("refused").last().is_some_and(|record| evidence::text(record, "code") == code)
        });
    }
    assert!(recorder.bytes().is_empty(), "not a byte of any of them reached the server");
    assert_eq!(
        says(&scene, &key.token(&good).unwrap()),
        "reached\n",
        "the same claims, signed as they should be"
    );
}

#[test]
fn a084_a_new_key_of_an_issuer_is_fetched_and_a_withdrawn_one_lasts_until_then() {
    let stage = Stage::new("issuers").unwrap();
    let (old, new) = (Key::new(&stage, "old").unwrap(), Key::new(&stage, "new").unwrap());
    let provider = Provider::new(&stage).unwrap();
    provider.serve(&[&old]).unwrap();
    let scene = discovering(&provider);
    let claims = oidc::claims(&provider.issuer(), "ada");
    let (by_old, by_new) = (old.token(&claims).unwrap(), new.token(&claims).unwrap());
    eventually("the keys are there", || says(&scene, &by_old) == "reached\n");
    assert_eq!(provider.asked_for_keys(), 1);

    provider.serve(&[&new]).unwrap();
    let refused = says(&scene, &by_new);
    assert!(refused.contains("code: auth.jwks") && refused.contains("try again in a minute"), "{refused}");
    assert_eq!(says(&scene, &by_old), "reached\n", "it was withdrawn, and the gateway has not heard of it");
    within_two_refreshes("the new key is known", || says(&scene, &by_new) == "reached\n");
    let refused = says(&scene, &by_old);
    assert!(refused.contains("code: auth.jwks"), "now it has heard of it: {refused}");
    assert_eq!(provider.asked_for_keys(), 2, "each token asked for its key, and the issuer was asked once");
}

#[test]
fn f013_an_issuer_that_is_down_lets_nobody_in_who_is_not_known_yet() {
    let stage = Stage::new("issuers").unwrap();
    let (key, other) = (Key::new(&stage, "k1").unwrap(), Key::new(&stage, "k2").unwrap());
    let provider = Provider::new(&stage).unwrap();
    let scene = discovering(&provider);
    let claims = oidc::claims(&provider.issuer(), "ada");
    let token = key.token(&claims).unwrap();
    let refused = says(&scene, &token);
    assert!(refused.contains("FATAL") && refused.contains("code: auth.jwks"), "{refused}");
    assert!(refused.contains("keys of the token's issuer are not known yet"), "{refused}");
    assert!(scene.gateway.log().contains("keys of the issuer not refreshed"), "{}", scene.gateway.log());
    let own = scene.gateway.token(&Mint::default()).unwrap();
    assert_eq!(says(&scene, &own), "reached\n", "other issuers are not its hostages");

    provider.serve(&[&key]).unwrap();
    within_two_refreshes("the keys are known", || says(&scene, &token) == "reached\n");
    provider.fall();
    assert_eq!(says(&scene, &token), "reached\n", "known keys outlive an outage");
    let refused = says(&scene, &other.token(&claims).unwrap());
    assert!(refused.contains("code: auth.jwks"), "{refused}");
}
