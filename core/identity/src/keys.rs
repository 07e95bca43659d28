//! The public keys of an issuer.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Algorithm, MAX_DOCUMENT,
    json::{Object, Value, parse_object},
};

/// A JWK set (RFC 7517) as far as it is of use: keys ready to verify, each for one pinned algorithm.
///
/// A key that offers two algorithms of its family is there twice, so that a lookup names exactly what will be
/// computed and no algorithm is chosen by a token.
pub(crate) struct KeySet(Vec<Key>);

struct Key {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl KeySet {
    /// Reads a set for an issuer that is pinned to these algorithms.
    ///
    /// Keys of other types, uses and algorithms are left out, as RFC 7517 section 5 wants it, and so are RSA
    /// keys below 2048 bits. What makes the set as a whole doubtful refuses it.
    pub(crate) fn parse(document: &[u8], pinned: &[Algorithm]) -> Result<Self, KeySetError> {
        if document.len() > MAX_DOCUMENT {
            return Err(KeySetError::TooLong);
        }
        let set = parse_object(document).ok_or(KeySetError::NotAKeySet)?;
        let Some(Value::List(list)) = set.get("keys") else { return Err(KeySetError::NotAKeySet) };
        if list.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys: Vec<Key> = Vec::new();
        for jwk in list {
            let Value::Object(jwk) = jwk else { return Err(KeySetError::NotAKeySet) };
            for key in read(jwk, pinned)? {
                let same = |other: &Key| other.id == key.id && other.algorithm == key.algorithm;
                if key.id.is_some() && keys.iter().any(same) {
                    return Err(KeySetError::Ambiguous);
                }
                keys.push(key);
            }
        }
        Ok(Self(keys))
    }

    /// The one key for a token of this algorithm and `kid`. A token without `kid` is taken only where there is
    /// no choice.
    pub(crate) fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Option<&ParsedPublicKey> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        let key = fitting.next()?;
        fitting.next().is_none().then_some(&key.public)
    }

    /// How many pairs of key and algorithm can be used.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, key.algorithm))).finish()
    }
}

fn read(jwk: &Object, pinned: &[Algorithm]) -> Result<Vec<Key>, KeySetError> {
    // `d` of RSA, EC and OKP keys, `k` of symmetric ones.
    if jwk.contains_key("d") || jwk.contains_key("k") {
        return Err(KeySetError::PrivateKey);
    }
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::Text(id)) => Some(id.as_str()),
        Some(_) => return Err(KeySetError::NotAKeySet),
    };
    if !is_for_signatures(jwk) {
        return Ok(Vec::new());
    }
    let wanted = |algorithm: &&Algorithm| match jwk.get("alg") {
        None => true,
        Some(Value::Text(name)) => algorithm.as_str() == name,
        Some(_) => false,
    };
    let ready = pinned.iter().filter(wanted).filter_map(|algorithm| {
        let public = public_key(jwk, *algorithm)?;
        Some(Key { id: id.map(Into::into), algorithm: *algorithm, public })
    });
    Ok(ready.collect())
}

fn is_for_signatures(jwk: &Object) -> bool {
    let used = match jwk.get("use") {
        None => true,
        Some(Value::Text(used)) => used == "sig",
        Some(_) => false,
    };
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::List(list)) => {
            list.iter().any(|item| matches!(item, Value::Text(operation) if operation == "verify"))
        }
        Some(_) => false,
    };
    used && operations
}

/// The key, if it is one for this algorithm and no weak one.
fn public_key(jwk: &Object, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let member = |name: &str| match jwk.get(name) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let number = |name: &str| URL_SAFE_NO_PAD.decode(member(name)?).ok();
    let point = |curve: &str, length: usize| {
        let (x, y) = (number("x")?, number("y")?);
        let fits = member("crv")? == curve && x.len() == length && y.len() == length;
        // SEC 1 section 2.3.3: an uncompressed point.
        fits.then(|| [&[0x04], x.as_slice(), &y].concat())
    };
    match (member("kty")?, algorithm) {
        ("EC", Algorithm::Es256) => {
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point("P-256", 32)?).ok()
        }
        ("EC", Algorithm::Es384) => {
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point("P-384", 48)?).ok()
        }
        ("OKP", Algorithm::EdDsa) => {
            let key: [u8; 32] = number("x")?.try_into().ok()?;
            // A point of small order verifies signatures that nobody made.
            let weak = ed25519_dalek::VerifyingKey::from_bytes(&key).ok()?.is_weak();
            if weak || member("crv")? != "Ed25519" {
                return None;
            }
            ParsedPublicKey::new(&ED25519, key).ok()
        }
        ("RSA", _) => {
            let (n, e) = (number("n")?, number("e")?);
            let bits = n.len() * 8 - usize::try_from(n.first()?.leading_zeros()).ok()?;
            let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
            let fits = (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits)
                && odd(&n)
                && odd(&e)
                && e != [1]
                && e.len() <= MAX_EXPONENT;
            let params = algorithm.rsa()?;
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(params).ok().filter(|_| fits)
        }
        _ => None,
    }
}

/// Why a document gives no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not read.
    #[error("the key set is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
    /// Not JSON, JSON with duplicate names, or not a JWK set.
    #[error("the document is not a JWK set (RFC 7517): an object with a list `keys`")]
    NotAKeySet,
    /// A secret is published.
    #[error(
        "the key set holds a private or symmetric key: publish the public keys only, and replace that key"
    )]
    PrivateKey,
    /// One `kid` and algorithm, two keys.
    #[error("two keys of the set have the same `kid` and algorithm")]
    Ambiguous,
    /// Too many keys.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// No key of a pinned algorithm.
    #[error("the key set has no key for the algorithms that the issuer is pinned to")]
    Unusable,
}

/// Keys in a set. Large providers publish fewer than ten.
const MAX_KEYS: usize = 64;

/// NIST SP 800-131A revision 2, table 2.
const MIN_RSA_BITS: usize = 2_048;

/// What aws-lc verifies with at most; beyond, a verification is a way to spend our time.
const MAX_RSA_BITS: usize = 8_192;

/// Bytes of an RSA exponent: 65537 needs three.
const MAX_EXPONENT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn count(jwk: &str, pinned: &[Algorithm]) -> Result<usize, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{{{jwk}}}]}}"#).as_bytes(), pinned).map(|set| set.len())
    }

    fn rsa(bytes: usize, last: u8, exponent: &[u8]) -> String {
        let mut n = vec![0xc5; bytes];
        n[bytes - 1] = last;
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(exponent));
        format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
    }

    #[test]
    fn a081_weak_rsa_keys_are_not_used() {
        const F4: &[u8] = &[1, 0, 1];
        let pinned = [Algorithm::Rs256];
        assert_eq!(count(&rsa(256, 1, F4), &pinned), Ok(1));
        assert_eq!(count(&rsa(128, 1, F4), &pinned), Ok(0), "1024 bits");
        assert_eq!(count(&rsa(255, 1, F4), &pinned), Ok(0), "2040 bits");
        assert_eq!(count(&rsa(1_025, 1, F4), &pinned), Ok(0), "8200 bits");
        assert_eq!(count(&rsa(256, 2, F4), &pinned), Ok(0), "an even modulus");
        assert_eq!(count(&rsa(256, 1, &[1]), &pinned), Ok(0), "exponent 1");
        assert_eq!(count(&rsa(256, 1, &[2]), &pinned), Ok(0), "exponent 2");
        assert_eq!(count(&rsa(256, 1, &[]), &pinned), Ok(0), "no exponent");
        assert_eq!(count(&rsa(256, 1, &[1; 5]), &pinned), Ok(0), "a huge exponent");
    }

    #[test]
    fn a081_keys_are_used_for_pinned_algorithms_of_their_type_only() {
        let all = Algorithm::ALL;
        assert_eq!(count(ED25519, &all), Ok(1));
        assert_eq!(count(&rsa(256, 1, &[1, 0, 1]), &all), Ok(6));
        assert_eq!(count(&format!(r#"{},"alg":"PS256""#, rsa(256, 1, &[1, 0, 1])), &all), Ok(1));
        for extra in [
            r#""use":"enc""#,
            r#""use":7"#,
            r#""alg":"HS256""#,
            r#""alg":"RS256""#,
            r#""alg":7"#,
            r#""key_ops":["sign"]"#,
            r#""key_ops":"verify""#,
        ] {
            assert_eq!(count(&format!("{ED25519},{extra}"), &all), Ok(0), "{extra}");
        }
        assert_eq!(
            count(&format!(r#"{ED25519},"use":"sig","alg":"EdDSA","key_ops":["verify"]"#), &all),
            Ok(1)
        );
        assert_eq!(count(ED25519, &[Algorithm::Es256, Algorithm::Rs256]), Ok(0));
    }

    #[test]
    fn a081_points_that_are_none_are_not_used() {
        let zero = URL_SAFE_NO_PAD.encode([0; 32]);
        for jwk in [
            format!(r#""kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}""#),
            format!(r#""kty":"EC","crv":"P-384","x":"{zero}","y":"{zero}""#),
            format!(r#""kty":"OKP","crv":"Ed25519","x":"{zero}""#),
            r#""kty":"OKP","crv":"Ed25519","x":"AA""#.to_owned(),
            r#""kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#.to_owned(),
            r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=""#.to_owned(),
            r#""kty":7"#.to_owned(),
        ] {
            assert_eq!(count(&jwk, &Algorithm::ALL), Ok(0), "{jwk}");
        }
    }

    #[test]
    fn a084_doubtful_sets_are_refused() {
        let parse = |document: &str| KeySet::parse(document.as_bytes(), &Algorithm::ALL).err();
        let twice = format!(r#"{{"keys":[{{{ED25519},"kid":"a"}},{{{ED25519},"kid":"a"}}]}}"#);
        for (document, error) in [
            ("<html>", KeySetError::NotAKeySet),
            ("[]", KeySetError::NotAKeySet),
            ("{}", KeySetError::NotAKeySet),
            (r#"{"keys":{}}"#, KeySetError::NotAKeySet),
            (r#"{"keys":[7]}"#, KeySetError::NotAKeySet),
            (r#"{"keys":[],"keys":[]}"#, KeySetError::NotAKeySet),
            (r#"{"keys":[{"kty":"OKP","kid":7}]}"#, KeySetError::NotAKeySet),
            (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, KeySetError::PrivateKey),
            (&format!(r#"{{"keys":[{{{ED25519},"d":"AAAA"}}]}}"#), KeySetError::PrivateKey),
            (&twice, KeySetError::Ambiguous),
            (&format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 65].join(",")), KeySetError::TooMany),
            (&" ".repeat(MAX_DOCUMENT + 1), KeySetError::TooLong),
        ] {
            assert_eq!(parse(document), Some(error), "{document:.60}");
        }
        assert_eq!(parse(r#"{"keys":[]}"#), None, "an issuer may withdraw all keys");
    }

    #[test]
    fn a081_a_token_without_kid_is_taken_only_where_there_is_no_choice() {
        let one = format!(r#"{{"keys":[{{{ED25519},"kid":"a"}}]}}"#);
        let two = format!(r#"{{"keys":[{{{ED25519},"kid":"a"}},{{{ED25519},"kid":"b"}},{{{ED25519}}}]}}"#);
        let find = |document: &str, id: Option<&str>| {
            KeySet::parse(document.as_bytes(), &Algorithm::ALL)
                .unwrap()
                .find(Algorithm::EdDsa, id)
                .is_some()
        };
        assert!(find(&one, None) && find(&one, Some("a")) && find(&two, Some("b")));
        assert!(!find(&two, None) && !find(&one, Some("b")) && !find(&one, Some("")));
    }
}
