//! Tokens that lie: each is made by hand, and each proves nothing.

use crate::forge::{self, *};
use aws_lc_rs::hmac;
use gatewright_identity::{Algorithm, IdentityError, Issuer, MAX_TOKEN, Verifier};
use gatewright_model::{principal::PrincipalKind, secret::Secret};
use proptest::prelude::*;

#[test]
fn a_good_token_proves_its_subject() {
    let principal =
        verify(r#""groups":["a","b"],"principal_kind":"human","jti":"t1","act":{"sub":"agent-7"}"#)
            .unwrap();
    assert_eq!(&*principal.subject, "alice");
    assert_eq!(&*principal.issuer, ISSUER);
    assert_eq!(principal.groups, ["a".into(), "b".into()]);
    assert_eq!(principal.actors, ["agent-7".into()]);
    assert_eq!(principal.kind, PrincipalKind::Human);
    assert_eq!(&*principal.credential, "t1");
}

#[test]
fn a081_none_and_hmac_are_no_algorithms() {
    let secrets = [
        b64(aws_lc_rs::signature::KeyPair::public_key(&*ED)).into_bytes(),
        jwks(&[ed_jwk(&ED, "k1")]).into_bytes(),
    ];
    for name in ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "RS256 ", "eddsa"] {
        let header = format!(r#"{{"alg":"{name}","kid":"k1"}}"#);
        assert_eq!(
            outcome(verifier().verify(&signed(&header, &claims(""), |_| Vec::new()), now())),
            "auth.jwt_alg"
        );
        assert_eq!(outcome(verifier().verify(&signed(&header, &claims(""), ed), now())), "auth.jwt_alg");
        for secret in &secrets {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
            assert_eq!(
                outcome(verifier().verify(&signed(&header, &claims(""), sign), now())),
                "auth.jwt_alg"
            );
        }
    }
    for header in [r#"{"kid":"k1"}"#, r#"{"alg":null}"#, r#"{"alg":["EdDSA"]}"#, r#"{"alg":7}"#] {
        assert_eq!(outcome(verifier().verify(&signed(header, &claims(""), ed), now())), "auth.jwt_alg");
    }
}

#[test]
fn a081_an_rsa_public_key_is_no_hmac_secret() {
    let issuer =
        Issuer::with_keys(settings(&[Algorithm::Rs256]), jwks(&[rsa_jwk("k1")]).as_bytes()).unwrap();
    let verifier = Verifier::new(vec![issuer]).unwrap();
    let good = signed(r#"{"alg":"RS256","kid":"k1"}"#, &claims(""), rsa);
    assert_eq!(outcome(verifier.verify(&good, now())), "accepted as alice");

    let der = aws_lc_rs::signature::KeyPair::public_key(&*RSA).as_ref().to_vec();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der)
    );
    for secret in [der, pem.into_bytes(), rsa_jwk("k1").into_bytes()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
        for name in ["HS256", "RS256"] {
            let forged = signed(&format!(r#"{{"alg":"{name}","kid":"k1"}}"#), &claims(""), sign);
            assert_ne!(outcome(verifier.verify(&forged, now())), "accepted as alice");
        }
    }
    // The right key with another of its algorithms is not what the issuer is pinned to.
    for name in ["RS384", "RS512", "PS256", "ES256"] {
        let forged = signed(&format!(r#"{{"alg":"{name}","kid":"k1"}}"#), &claims(""), rsa);
        assert_eq!(outcome(verifier.verify(&forged, now())), "auth.jwt_alg");
    }
}

#[test]
fn a081_ecdsa_signatures_of_nothing_are_wrong() {
    let issuer =
        Issuer::with_keys(settings(&[Algorithm::Es256]), jwks(&[ec_jwk("k1")]).as_bytes()).unwrap();
    let verifier = Verifier::new(vec![issuer]).unwrap();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let good = signed(header, &claims(""), ec);
    assert_eq!(outcome(verifier.verify(&good, now())), "accepted as alice");

    let order = hex::decode(ORDER).unwrap();
    let (zero, one) = ([0u8; 32], {
        let mut one = [0u8; 32];
        one[31] = 1;
        one
    });
    for signature in [
        Vec::new(),
        vec![0; 64],
        [zero, one].concat(),
        [one, zero].concat(),
        [order.clone(), order.clone()].concat(),
        [order.as_slice(), &one].concat(),
        vec![0xff; 64],
        vec![0; 63],
        vec![0; 65],
        // ASN.1 for r=s=0 and r=s=1, which is another encoding.
        vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        vec![0x30, 6, 2, 1, 1, 2, 1, 1],
    ] {
        let forged = signed(header, &claims(""), |_| signature.clone());
        assert_eq!(verifier.verify(&forged, now()), Err(IdentityError::Signature), "{signature:02x?}");
    }
}

#[test]
fn a081_headers_that_bring_keys_or_change_meaning_are_refused() {
    for member in [
        r#""jku":"https://evil.example/jwks""#.to_owned(),
        format!(r#""jwk":{}"#, ed_jwk(&OTHER_ED, "k1")),
        r#""x5u":"https://evil.example/c""#.to_owned(),
        r#""x5c":["AAAA"]"#.to_owned(),
        r#""crit":["exp"]"#.to_owned(),
        r#""crit":[]"#.to_owned(),
        r#""b64":false"#.to_owned(),
        r#""zip":"DEF""#.to_owned(),
        r#""enc":"A256GCM""#.to_owned(),
        r#""cty":"JWT""#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k1",{member}}}"#);
        // Signed by the key that it brings, and by the right one: neither makes it good.
        for key in [&*OTHER_ED, &*ED] {
            let sign = |message: &[u8]| key.sign(message).as_ref().to_vec();
            assert_eq!(
                outcome(verifier().verify(&signed(&header, &claims(""), sign), now())),
                "auth.jwt_alg",
                "{member}"
            );
        }
    }
}

#[test]
fn a081_kid_is_compared_and_nothing_else() {
    for kid in
        ["../../../../dev/null", "k1' or '1'='1", "https://evil.example/k", "K1", "k1\\u0000", "k2", ""]
    {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
        assert_eq!(
            outcome(verifier().verify(&signed(&header, &claims(""), ed), now())),
            "auth.jwks",
            "{kid}"
        );
    }
    for kid in ["7", "null", r#"["k1"]"#, r#"{"k1":1}"#] {
        let header = format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#);
        assert_eq!(
            outcome(verifier().verify(&signed(&header, &claims(""), ed), now())),
            "auth.jwt_malformed",
            "{kid}"
        );
    }
}

#[test]
fn a081_forms_that_are_no_signed_token_are_refused() {
    let good = token("");
    let good = good.expose();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        signed.to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}.{claims}.{claims}.{signature}.{signature}"),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("Bearer {good}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}. {claims}.{signature}"),
        good.replace('.', "%2e"),
        format!(r#"{{"payload":"{claims}","protected":"{header}","signature":"{signature}"}}"#),
    ] {
        assert_eq!(
            outcome(verifier().verify(&Secret::new(text.clone()), now())),
            "auth.jwt_malformed",
            "{text:.30}"
        );
    }
    for (header, claims) in [
        (r#"{"alg":"none","alg":"EdDSA","kid":"k1"}"#, forge::claims("")),
        (r#"{"alg":"EdDSA","kid":"k1","\u0061lg":"EdDSA"}"#, forge::claims("")),
        (HEADER, format!(r#"{{"sub":"root",{}"#, &forge::claims("")[1..])),
        (HEADER, "[]".to_owned()),
        ("[]", forge::claims("")),
    ] {
        assert_eq!(
            outcome(verifier().verify(&forge::signed(header, &claims, ed), now())),
            "auth.jwt_malformed"
        );
    }
}

#[test]
fn a081_size_is_looked_at_first() {
    let long = Secret::new("a".repeat(MAX_TOKEN + 1));
    assert_eq!(verifier().verify(&long, now()), Err(IdentityError::TooLong));
    let padded = token(&format!(r#""pad":"{}""#, "x".repeat(MAX_TOKEN)));
    assert_eq!(verifier().verify(&padded, now()), Err(IdentityError::TooLong));
}

#[test]
fn a082_a_key_vouches_for_its_own_issuer_only() {
    let other = |message: &[u8]| OTHER_ED.sign(message).as_ref().to_vec();
    let theirs = claims(&format!(r#""iss":"{OTHER_ISSUER}""#));
    assert_eq!(outcome(verifier().verify(&signed(HEADER, &theirs, other), now())), "accepted as alice");
    assert_eq!(outcome(verifier().verify(&signed(HEADER, &theirs, ed), now())), "auth.jwt_signature");
    assert_eq!(
        outcome(verifier().verify(&signed(HEADER, &claims(""), other), now())),
        "auth.jwt_signature"
    );
    for issuer in [
        "\"https://evil.example\"",
        "\"https://id.example/\"",
        "\"HTTPS://id.example\"",
        "\"\"",
        "null",
        "7",
        r#"["https://id.example"]"#,
    ] {
        assert_eq!(code(&format!(r#""iss":{issuer}"#)), "auth.jwt_aud", "{issuer}");
    }
}

#[test]
fn a082_the_audience_is_required_and_exact() {
    assert_eq!(code(r#""aud":["x","gatewright"]"#), "accepted as alice");
    for audience in [
        "\"other\"",
        "\"gatewright2\"",
        "\"Gatewright\"",
        "\"gatewright \"",
        "\"*\"",
        "\"\"",
        "[]",
        "[\"other\"]",
        "null",
        "7",
        "{}",
        "[[\"gatewright\"]]",
        "[\"gatewright\",7]",
        "{\"gatewright\":1}",
    ] {
        assert_eq!(
            code(&format!(r#""aud":{audience},"azp":"gatewright","client_id":"gatewright""#)),
            "auth.jwt_aud",
            "{audience}"
        );
    }
    let without = format!(r#"{{"iss":"{ISSUER}","sub":"alice","azp":"gatewright","exp":{}}}"#, NOW + 300);
    assert_eq!(outcome(verifier().verify(&signed(HEADER, &without, ed), now())), "auth.jwt_aud");
}

#[test]
fn a082_tokens_of_other_types_are_refused() {
    for extra in [
        r#""nonce":"n""#,
        r#""at_hash":"h""#,
        r#""c_hash":null"#,
        r#""events":{}"#,
        r#""typ":"ID""#,
        r#""typ":"Refresh""#,
        r#""typ":7"#,
    ] {
        assert_eq!(code(extra), "auth.jwt_aud", "{extra}");
    }
    assert_eq!(code(r#""typ":"Bearer""#), "accepted as alice");
    for (kind, expected) in [
        ("\"JWT\"", "accepted as alice"),
        ("\"jwt\"", "accepted as alice"),
        ("\"application/at+jwt\"", "accepted as alice"),
        ("\"logout+jwt\"", "auth.jwt_aud"),
        ("\"dpop+jwt\"", "auth.jwt_aud"),
        ("\"JWE\"", "auth.jwt_aud"),
        ("\"\"", "auth.jwt_aud"),
        ("null", "auth.jwt_aud"),
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k1","typ":{kind}}}"#);
        assert_eq!(
            outcome(verifier().verify(&signed(&header, &claims(""), ed), now())),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn a083_times_are_whole_numbers_and_expiry_is_required() {
    let without = format!(r#"{{"iss":"{ISSUER}","sub":"alice","aud":"gatewright"}}"#);
    assert_eq!(outcome(verifier().verify(&signed(HEADER, &without, ed), now())), "auth.jwt_claim");
    let soon = NOW + 300;
    for time in [
        format!("\"{soon}\""),
        format!("{soon}.0"),
        format!("{soon}.5"),
        "1.8e9".to_owned(),
        format!("-{soon}"),
        "9223372036854775808".to_owned(),
        "18446744073709551615".to_owned(),
        "18446744073709551616".to_owned(),
        "1e400".to_owned(),
        "253402300800".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        format!("[{soon}]"),
        "{}".to_owned(),
    ] {
        for claim in ["exp", "nbf", "iat"] {
            let code = code(&format!(r#""{claim}":{time}"#));
            // 1e400 is no JSON number for the reader.
            assert!(code == "auth.jwt_claim" || code == "auth.jwt_malformed", "{claim} {time}: {code}");
        }
    }
}

#[test]
fn a083_clocks_may_differ_by_less_than_a_minute() {
    for (ago, expected) in [(59, "accepted as alice"), (60, "auth.jwt_expired"), (61, "auth.jwt_expired")] {
        assert_eq!(code(&format!(r#""exp":{}"#, NOW - ago)), expected, "expired {ago} s ago");
    }
    for claim in ["nbf", "iat"] {
        for (ahead, expected) in
            [(59, "accepted as alice"), (60, "accepted as alice"), (61, "auth.jwt_claim")]
        {
            assert_eq!(code(&format!(r#""{claim}":{}"#, NOW + ahead)), expected, "{claim} in {ahead} s");
        }
    }
    let principal = verify(&format!(r#""exp":{}"#, NOW - 59)).unwrap();
    assert!(principal.expires_at.unwrap() > now(), "a session that begins does not end at once");
}

#[test]
fn a083_an_address_has_one_at() {
    let mut settings = settings(&[Algorithm::EdDsa]);
    settings.claims = vec!["email".into(), "team".into()];
    let verifier = verifier_of(settings);
    let verify = |extra: &str| verifier.verify(&token(extra), now());
    for email in [
        "\"alice@corp.example@evil.example\"",
        "\"alice\"",
        "\"@corp.example\"",
        "\"alice@\"",
        "\"\"",
        "7.5",
        "null",
        "{}",
        "\"a@b.example,c@d.example\"",
        "[[\"a@b.example\"]]",
        "\"alice@corp.example\\u0000\"",
    ] {
        assert_eq!(outcome(verify(&format!(r#""email":{email}"#))), "auth.jwt_claim", "{email}");
    }
    let principal = verify(r#""email":"alice@corp.example","team":["a",7,true],"other":"x""#).unwrap();
    let expected: [(std::sync::Arc<str>, std::sync::Arc<str>); 4] = [
        ("email".into(), "alice@corp.example".into()),
        ("team".into(), "a".into()),
        ("team".into(), "7".into()),
        ("team".into(), "true".into()),
    ];
    assert_eq!(principal.claims, expected);
}

#[test]
fn a056_nobody_and_nothing_are_no_identity() {
    let without = format!(r#"{{"iss":"{ISSUER}","aud":"gatewright","exp":{}}}"#, NOW + 300);
    assert_eq!(outcome(verifier().verify(&signed(HEADER, &without, ed), now())), "auth.empty_identity");
    for extra in [
        r#""sub":"""#,
        r#""sub":" ""#,
        r#""sub":null"#,
        r#""sub":7"#,
        r#""sub":["alice"]"#,
        r#""sub":{}"#,
        r#""groups":"admins""#,
        r#""groups":null"#,
        r#""groups":7"#,
        r#""groups":{}"#,
        r#""groups":[""]"#,
        r#""groups":["a",""]"#,
        r#""groups":["a",7]"#,
        r#""groups":[["a"]]"#,
        r#""groups":[null]"#,
    ] {
        assert_eq!(code(extra), "auth.empty_identity", "{extra}");
    }
    for extra in [
        r#""_claim_names":{"groups":"src1"}"#,
        r#""_claim_names":7"#,
        r#""sub":"alice\n""#,
        r#""groups":["a\u202eb"]"#,
        r#""jti":7"#,
        r#""jti":"""#,
    ] {
        assert_eq!(code(extra), "auth.jwt_claim", "{extra}");
    }
    assert!(verify("").unwrap().groups.is_empty());
    assert!(verify(r#""groups":[]"#).unwrap().groups.is_empty());
}

#[test]
fn a056_a_person_is_one_only_if_someone_says_so() {
    assert_eq!(verify("").unwrap().kind, PrincipalKind::Service);
    assert_eq!(verify(r#""principal_kind":"agent""#).unwrap().kind, PrincipalKind::Agent);
    for kind in ["\"Human\"", "\"admin\"", "\"\"", "null", "7", "[\"human\"]"] {
        assert_eq!(code(&format!(r#""principal_kind":{kind}"#)), "auth.jwt_claim", "{kind}");
    }
}

#[test]
fn a085_a_token_that_is_bound_to_a_key_is_no_bearer_token() {
    for extra in [r#""cnf":{"jkt":"x"}"#, r#""cnf":{"x5t#S256":"x"}"#, r#""cnf":null"#] {
        assert_eq!(code(extra), "auth.replay", "{extra}");
    }
}

#[test]
fn a085_nothing_of_a_token_is_ever_shown() {
    let marker = "s3cr3tmarker";
    let mut settings = settings(&[Algorithm::EdDsa]);
    settings.claims = vec!["email".into()];
    let verifier = verifier_of(settings);
    let headers = [
        HEADER.to_owned(),
        format!(r#"{{"alg":"{marker}"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{marker}"}}"#),
        format!(r#"{{"alg":"EdDSA","jku":"{marker}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"{marker}"}}"#),
    ];
    let claims = ["iss", "aud", "exp", "nbf", "principal_kind", "groups", "act", "jti", "typ", "email"]
        .map(|claim| claims(&format!(r#""{claim}":"{marker}\n""#)));
    let mut refused = 0;
    for header in &headers {
        for claims in &claims {
            let token = signed(header, claims, ed);
            let error = verifier.verify(&token, now()).unwrap_err();
            let shown = format!("{error} {error:?} {:?} {token:?} {verifier:?}", error.rejection());
            assert!(!shown.contains(marker), "{shown}");
            for part in token.expose().split('.') {
                assert!(!shown.contains(part), "{shown}");
            }
            refused += 1;
        }
    }
    assert_eq!(refused, headers.len() * claims.len());
}

#[test]
fn a085_a_token_without_id_is_named_by_its_digest() {
    let token = token("");
    let credential = verifier().verify(&token, now()).unwrap().credential;
    assert_eq!(credential.len(), 16);
    assert!(!token.expose().contains(&*credential));
    assert_eq!(credential, verifier().verify(&token, now()).unwrap().credential);
    assert_ne!(credential, verify(r#""x":1"#).unwrap().credential);
}

/// The order of P-256 (FIPS 186-4 D.1.2.3): r and s of a signature are below it and above zero.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// With (r, s), (r, order - s) is a right signature too. The token stays the same credential.
#[test]
fn a085_a_turned_signature_makes_no_new_credential() {
    let issuer =
        Issuer::with_keys(settings(&[Algorithm::Es256]), jwks(&[ec_jwk("k1")]).as_bytes()).unwrap();
    let verifier = Verifier::new(vec![issuer]).unwrap();
    let turn = |message: &[u8]| {
        let mut signature = ec(message);
        let mut borrow = 0;
        for (digit, order) in signature[32..].iter_mut().zip(hex::decode(ORDER).unwrap()).rev() {
            let difference = i16::from(order) - i16::from(*digit) - borrow;
            borrow = i16::from(difference < 0);
            *digit = difference.rem_euclid(256) as u8;
        }
        signature
    };
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let (plain, turned) = (signed(header, &claims(""), ec), signed(header, &claims(""), turn));
    assert_ne!(plain, turned);
    let credential = |token| verifier.verify(token, now()).unwrap().credential;
    assert_eq!(credential(&plain), credential(&turned));
}

#[test]
fn a087_a_chain_is_read_whole_or_not_at_all() {
    let chain = r#""act":{"sub":"c","act":{"sub":"b","act":{"sub":"a"}}}"#;
    assert_eq!(verify(chain).unwrap().actors, ["c".into(), "b".into(), "a".into()]);
    for extra in [
        r#""act":"agent-7""#,
        r#""act":null"#,
        r#""act":{"sub":"alice"}"#,
        r#""act":{"sub":"a","act":{"sub":"a"}}"#,
        r#""act":{"sub":"a","act":"b"}"#,
        r#""act":{"sub":"a","iss":"https://other.example"}"#,
    ] {
        assert_eq!(code(extra), "auth.jwt_act", "{extra}");
    }
    // Two `act` are two chains: which one is it?
    assert_eq!(code(r#""act":{"sub":"a"},"act":{"sub":"b"}"#), "auth.jwt_malformed");
    // A right that was not used is no actor.
    assert!(verify(r#""may_act":{"sub":"a"}"#).unwrap().actors.is_empty());
}

#[test]
fn a087_a_chain_can_not_be_added_to_a_token() {
    let good = token("");
    let (_, signature) = good.expose().rsplit_once('.').unwrap();
    let forged = format!("{}.{}.{signature}", b64(HEADER), b64(claims(r#""act":{"sub":"agent-7"}"#)));
    assert_eq!(verifier().verify(&Secret::new(forged), now()), Err(IdentityError::Signature));
}

#[test]
fn f010_a_clock_that_jumps_lets_nobody_in_who_should_not() {
    use std::time::{Duration, UNIX_EPOCH};
    let year = Duration::from_secs(365 * 86_400);
    let issued = token(&format!(r#""iat":{NOW}"#));
    let at = |now| outcome(verifier().verify(&issued, now));
    assert_eq!(at(now()), "accepted as alice");
    assert_eq!(at(now() + 10 * year), "auth.jwt_expired");
    assert_eq!(at(now() + Duration::from_secs(3_600)), "auth.jwt_expired");
    assert_eq!(at(now() - Duration::from_secs(3_600)), "auth.jwt_claim");
    assert_eq!(at(now() - 10 * year), "auth.jwt_claim");
    assert_eq!(at(UNIX_EPOCH), "auth.jwt_claim");
    assert_eq!(at(UNIX_EPOCH - Duration::from_secs(1)), "auth.clock");
    assert_eq!(outcome(verifier().verify(&token(r#""exp":253402300799"#), now())), "accepted as alice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A081: no change of a good token leaves it good.
    #[test]
    fn a081_changed_tokens_prove_nothing(
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ".to_vec()),
        change in 0..3,
    ) {
        let good = token("");
        let mut text = good.expose().as_bytes().to_vec();
        let at = at.index(text.len());
        match change {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => { text.remove(at); }
        }
        let changed = String::from_utf8(text).unwrap();
        let same = changed == good.expose();
        prop_assert_eq!(verifier().verify(&Secret::new(changed), now()).is_ok(), same);
    }

    /// Nothing panics, whatever arrives.
    #[test]
    fn a081_any_text_is_taken(header in ".{0,60}", claims in ".{0,60}", text in ".{0,200}") {
        prop_assert!(verifier().verify(&Secret::new(text), now()).is_err());
        prop_assert!(verifier().verify(&signed(&header, &claims, ed), now()).is_err());
        prop_assert!(verifier().verify(&signed(HEADER, &claims, ed), now()).is_err());
    }
}
