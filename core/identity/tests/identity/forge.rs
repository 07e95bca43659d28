//! Makes tokens by hand, right and wrong ones.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatewright_identity::{Algorithm, IdentityError, Issuer, IssuerSettings, Verifier};
use gatewright_model::{principal::Principal, secret::Secret};

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const OTHER_ISSUER: &str = "https://other.example";
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(crate) static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
pub(crate) static ED: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().unwrap());
pub(crate) static OTHER_ED: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn ed_jwk(key: &Ed25519KeyPair, kid: &str) -> String {
    let x = b64(key.public_key());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","use":"sig"}}"#)
}

pub(crate) fn ec_jwk(kid: &str) -> String {
    let point = EC.public_key().as_ref();
    let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{kid}"}}"#)
}

pub(crate) fn rsa_jwk(kid: &str) -> String {
    let key = RSA.public_key();
    let n = b64(key.modulus().big_endian_without_leading_zero());
    let e = b64(key.exponent().big_endian_without_leading_zero());
    format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}","kid":"{kid}","alg":"RS256"}}"#)
}

pub(crate) fn jwks(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub(crate) fn settings(algorithms: &[Algorithm]) -> IssuerSettings {
    IssuerSettings::new(ISSUER, "gatewright", algorithms.to_vec())
}

/// Trusts one issuer with one Ed25519 key, and another issuer with another.
pub(crate) fn verifier() -> Verifier {
    verifier_of(settings(&[Algorithm::EdDsa]))
}

pub(crate) fn verifier_of(settings: IssuerSettings) -> Verifier {
    let own = Issuer::with_keys(settings, jwks(&[ed_jwk(&ED, "k1")]).as_bytes()).unwrap();
    let other = IssuerSettings::new(OTHER_ISSUER, "gatewright", vec![Algorithm::EdDsa]);
    let other = Issuer::with_keys(other, jwks(&[ed_jwk(&OTHER_ED, "k1")]).as_bytes()).unwrap();
    Verifier::new(vec![own, other]).unwrap()
}

/// The claims of a good token, with `extra` members in front; those of the same name replace them.
pub(crate) fn claims(extra: &str) -> String {
    let standard = [
        ("iss", format!(r#""{ISSUER}""#)),
        ("sub", r#""alice""#.to_owned()),
        ("aud", r#""gatewright""#.to_owned()),
        ("exp", (NOW + 300).to_string()),
    ];
    let own = outermost(extra);
    let rest = standard
        .iter()
        .filter(|(name, _)| !own.contains(&format!(r#""{name}":"#)))
        .map(|(name, value)| format!(r#""{name}":{value}"#));
    let members = std::iter::once(extra.to_owned()).filter(|it| !it.is_empty()).chain(rest);
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// What of these members is not inside an object.
fn outermost(members: &str) -> String {
    let mut depth = 0;
    members
        .chars()
        .filter(|char| {
            depth += i32::from(*char == '{') - i32::from(*char == '}');
            depth == 0
        })
        .collect()
}

pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#;

pub(crate) fn signed(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Secret {
    let mut token = format!("{}.{}", b64(header), b64(claims));
    let signature = sign(token.as_bytes());
    token.push('.');
    token.push_str(&b64(signature));
    Secret::new(token)
}

pub(crate) fn ed(message: &[u8]) -> Vec<u8> {
    ED.sign(message).as_ref().to_vec()
}

pub(crate) fn ec(message: &[u8]) -> Vec<u8> {
    EC.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

pub(crate) fn rsa(message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; RSA.public_modulus_len()];
    RSA.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

/// A token with these further or replaced claims, signed by the right key.
pub(crate) fn token(extra: &str) -> Secret {
    signed(HEADER, &claims(extra), ed)
}

pub(crate) fn verify(extra: &str) -> Result<Principal, IdentityError> {
    verifier().verify(&token(extra), now())
}

/// The code with which a token with these claims is refused, or what it was taken for.
pub(crate) fn code(extra: &str) -> String {
    outcome(verify(extra))
}

pub(crate) fn outcome(result: Result<Principal, IdentityError>) -> String {
    match result {
        Ok(principal) => format!("accepted as {}", principal.subject),
        Err(error) => error.rejection().code.to_owned(),
    }
}
