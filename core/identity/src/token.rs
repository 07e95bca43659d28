//! A token cut into its parts, before anything in it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Algorithm, IdentityError,
    json::{Object, Value, parse_object},
};

/// A JWS in compact form (RFC 7515 section 3.1) whose payload is a JSON object. No `Debug`: nothing of a
/// token is ever shown.
pub(crate) struct Token<'t> {
    pub(crate) algorithm: Algorithm,
    /// Which key signed it, if it says so. Compared with the keys of the issuer and used for nothing else:
    /// never a path, a query or an address.
    pub(crate) key_id: Option<String>,
    pub(crate) claims: Object,
    /// What was signed.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Cuts and decodes. Work and memory are bounded by [`MAX_TOKEN`], which is looked at first.
    pub(crate) fn parse(text: &'t str) -> Result<Self, IdentityError> {
        if text.len() > MAX_TOKEN {
            return Err(IdentityError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_THREE_PARTS)?;
        // Five parts would be an encrypted token; its dots end up in what should be claims.
        if claims.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        let (algorithm, key_id) = parse_header(&object(header)?)?;
        Ok(Self {
            algorithm,
            key_id,
            claims: object(claims)?,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }
}

fn parse_header(header: &Object) -> Result<(Algorithm, Option<String>), IdentityError> {
    // A parameter that we do not read can not mislead us, and RFC 7515 section 4 has it ignored. These would
    // change what the signature means or where its key comes from: nobody honest sends them here.
    if let Some(name) = REFUSED_HEADERS.into_iter().find(|name| header.contains_key(*name)) {
        return Err(IdentityError::Header(name));
    }
    let algorithm = match header.get("alg") {
        Some(Value::Text(name)) => Algorithm::parse(name).ok_or(IdentityError::Algorithm)?,
        _ => return Err(IdentityError::Algorithm),
    };
    match header.get("typ") {
        None => {}
        Some(Value::Text(name)) if TYPES.into_iter().any(|own| own.eq_ignore_ascii_case(name)) => {}
        Some(_) => return Err(IdentityError::Type("its header's `typ` is another")),
    }
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Value::Text(key_id)) => Ok((algorithm, Some(key_id.clone()))),
        Some(_) => Err(IdentityError::Malformed("`kid` must be a string")),
    }
}

fn object(part: &str) -> Result<Object, IdentityError> {
    parse_object(&decode(part)?).ok_or(IdentityError::Malformed(
        "header and claims must be JSON objects in which no name occurs twice",
    ))
}

/// Decodes strictly: no padding, no white space, no bits left over. Each text decodes one way, and no other
/// text decodes to the same, so a token can not be changed and stay valid.
fn decode(part: &str) -> Result<Vec<u8>, IdentityError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| IdentityError::Malformed("its parts must be base64url without padding"))
}

const NOT_THREE_PARTS: IdentityError = IdentityError::Malformed("it must have three parts");

/// Header parameters that refuse a token (RFC 7515 section 4.1, RFC 7516 section 4.1, RFC 7797).
const REFUSED_HEADERS: [&str; 13] =
    ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty", "epk", "apu", "apv", "p2s"];

/// Types of access tokens: RFC 9068 section 2.1, with and without `application/`, and the plain type that
/// issuers used before it.
const TYPES: [&str; 4] = ["JWT", "at+jwt", "application/at+jwt", "application/jwt"];

/// Bytes of a token. Real ones have 1 to 4 KB; this is also what HTTP servers take as a header line.
pub const MAX_TOKEN: usize = 16 * 1_024;
