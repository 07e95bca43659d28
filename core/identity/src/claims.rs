//! What the claims of a token must be, once its signature was found right.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_model::principal::{Principal, PrincipalKind};

use crate::{
    IdentityError, IssuerSettings, chain,
    json::{Object, Value},
    name::{self, NameProblem},
};

/// Judges the claims of a token of this issuer at `now`. `digest` names the credential if the token does not.
pub(crate) fn judge(
    claims: &Object,
    settings: &IssuerSettings,
    now: SystemTime,
    digest: impl FnOnce() -> Arc<str>,
) -> Result<Principal, IdentityError> {
    check_issuer(claims, settings)?;
    check_type(claims)?;
    check_audience(claims, &settings.audience)?;
    let (issued_at, expires_at) = check_time(claims, now)?;

    let subject = match claims.get("sub") {
        None => return Err(IdentityError::EmptyIdentity("has no `sub`")),
        Some(Value::Text(subject)) => match name::parse(subject) {
            Err(NameProblem::Empty) => return Err(IdentityError::EmptyIdentity("has an empty `sub`")),
            other => other.map_err(|problem| bad("sub", problem.as_str()))?,
        },
        Some(_) => return Err(IdentityError::EmptyIdentity("has a `sub` that is not a string")),
    };
    let credential = credential(claims, digest)?;
    Ok(Principal {
        actors: chain::actors(claims, &subject, &settings.issuer)?,
        subject,
        issuer: Arc::clone(&settings.issuer),
        kind: kind(claims, settings)?,
        groups: groups(claims, &settings.groups_claim)?,
        claims: further(claims, &settings.claims)?,
        credential,
        issued_at,
        expires_at: Some(expires_at),
    })
}

/// The name of a token in records.
pub(crate) fn credential(
    claims: &Object,
    digest: impl FnOnce() -> Arc<str>,
) -> Result<Arc<str>, IdentityError> {
    match claims.get("jti") {
        None => Ok(digest()),
        Some(Value::Text(id)) => name::parse(id).map_err(|problem| bad("jti", problem.as_str())),
        Some(_) => Err(bad("jti", "must be a string")),
    }
}

fn check_issuer(claims: &Object, settings: &IssuerSettings) -> Result<(), IdentityError> {
    match claims.get("iss") {
        Some(Value::Text(issuer)) if **issuer == *settings.issuer => Ok(()),
        _ => Err(IdentityError::Issuer),
    }
}

/// Refuses what is signed by the issuer but was not made to open doors.
fn check_type(claims: &Object) -> Result<(), IdentityError> {
    for (claim, what) in NOT_ACCESS {
        if claims.contains_key(claim) {
            return Err(IdentityError::Type(what));
        }
    }
    // Keycloak's name for it; its ID and refresh tokens differ from access tokens in nothing else.
    match claims.get("typ") {
        None => {}
        Some(Value::Text(name)) if ACCESS_TYPES.into_iter().any(|own| own.eq_ignore_ascii_case(name)) => {}
        Some(_) => return Err(IdentityError::Type("its `typ` claim is another")),
    }
    if claims.contains_key("cnf") {
        return Err(IdentityError::Bound);
    }
    Ok(())
}

fn check_audience(claims: &Object, audience: &str) -> Result<(), IdentityError> {
    match claims.get("aud") {
        Some(Value::Text(own)) if own == audience => Ok(()),
        Some(Value::List(list)) => {
            let mut found = false;
            for own in list {
                let Value::Text(own) = own else { return Err(IdentityError::Audience) };
                found |= own == audience;
            }
            found.then_some(()).ok_or(IdentityError::Audience)
        }
        _ => Err(IdentityError::Audience),
    }
}

/// Judges `exp`, `nbf` and `iat`, and says when the token was issued and when it stops being good: [`LEEWAY`]
/// after `exp`, the same instant from which on it is refused here, so that a session does not end before a new
/// one would.
fn check_time(claims: &Object, now: SystemTime) -> Result<(Option<SystemTime>, SystemTime), IdentityError> {
    let now = now.duration_since(UNIX_EPOCH).map_err(|_| IdentityError::Clock)?;
    let expiry = seconds(claims, "exp")?.ok_or_else(|| bad("exp", "must be there"))?;
    let not_before = seconds(claims, "nbf")?;
    let issued = seconds(claims, "iat")?;
    let end = expiry + LEEWAY;
    if now >= end {
        return Err(IdentityError::Expired { ago: now - expiry });
    }
    if let Some(start) = not_before.max(issued).filter(|start| *start > now + LEEWAY) {
        return Err(IdentityError::NotYet { ahead: start - now });
    }
    let end =
        UNIX_EPOCH.checked_add(end).ok_or_else(|| bad("exp", "must be a time before the year 10000"))?;
    Ok((issued.and_then(|issued| UNIX_EPOCH.checked_add(issued)), end))
}

fn seconds(claims: &Object, claim: &str) -> Result<Option<Duration>, IdentityError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Integer(seconds)) if *seconds <= MAX_TIME => Ok(Some(Duration::from_secs(*seconds))),
        Some(Value::Integer(_)) => Err(bad(claim, "must be a time before the year 10000")),
        Some(_) => Err(bad(claim, "must be a whole number of seconds since 1970, not negative")),
    }
}

fn kind(claims: &Object, settings: &IssuerSettings) -> Result<PrincipalKind, IdentityError> {
    match claims.get(&*settings.kind_claim) {
        None => Some(settings.default_kind),
        Some(Value::Text(word)) => PrincipalKind::parse(word),
        Some(_) => None,
    }
    .ok_or_else(|| bad(&settings.kind_claim, "must be `human`, `agent` or `service`"))
}

fn groups(claims: &Object, claim: &str) -> Result<Vec<Arc<str>>, IdentityError> {
    // OpenID Connect Core section 5.6.2: the claim is kept elsewhere. Nobody in no group is not what it says.
    if let Some(elsewhere) = claims.get("_claim_names") {
        match elsewhere {
            Value::Object(names) if !names.contains_key(claim) => {}
            _ => return Err(bad(claim, "must be in the token itself, not referred to by `_claim_names`")),
        }
    }
    let list = match claims.get(claim) {
        None => return Ok(Vec::new()),
        Some(Value::List(list)) => list,
        Some(_) => return Err(IdentityError::EmptyIdentity("has groups that are not a list of strings")),
    };
    list.iter()
        .map(|group| match group {
            Value::Text(group) => name::parse(group).map_err(|problem| match problem {
                NameProblem::Empty => IdentityError::EmptyIdentity("has a group with an empty name"),
                problem => bad(claim, problem.as_str()),
            }),
            _ => Err(IdentityError::EmptyIdentity("has groups that are not a list of strings")),
        })
        .collect()
}

/// Copies the claims that policies read, as text. A list gives one pair for each of its items.
fn further(claims: &Object, wanted: &[Arc<str>]) -> Result<Vec<Pair>, IdentityError> {
    let mut pairs = Vec::new();
    for claim in wanted {
        match claims.get(&**claim) {
            None => {}
            Some(Value::List(list)) => {
                for item in list {
                    pairs.push((Arc::clone(claim), text(claim, item)?));
                }
            }
            Some(value) => pairs.push((Arc::clone(claim), text(claim, value)?)),
        }
    }
    Ok(pairs)
}

/// The name of a claim and its value.
type Pair = (Arc<str>, Arc<str>);

fn text(claim: &str, value: &Value) -> Result<Arc<str>, IdentityError> {
    match value {
        // Two `@` have two readings, and each reader takes his own (CVE-2026-40574).
        Value::Text(text) if claim == "email" && !is_address(text) => {
            Err(bad(claim, "must be one address"))
        }
        Value::Text(text) => name::parse(text).map_err(|problem| bad(claim, problem.as_str())),
        Value::Bool(value) => Ok(if *value { "true" } else { "false" }.into()),
        Value::Integer(value) => Ok(value.to_string().into()),
        Value::Other | Value::List(_) | Value::Object(_) => {
            Err(bad(claim, "must be text, a whole number, true or false, or a list of these"))
        }
    }
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains([' ', ','])
    })
}

fn bad(claim: &str, problem: &'static str) -> IdentityError {
    IdentityError::Claim { claim: claim.into(), problem }
}

/// By how much the clocks of issuer and gateway may differ. RFC 7519 section 4.1.4 has "a few minutes, usually
/// no more"; one is enough for machines that run NTP.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// 9999-12-31T23:59:59Z. What is beyond is a mistake or an attack on arithmetic.
const MAX_TIME: u64 = 253_402_300_799;

/// Claims that access tokens do not have: of OpenID Connect Core sections 2 and 3.3.2.11, and of RFC 8417.
const NOT_ACCESS: [(&str, &str); 4] = [
    ("nonce", "it is an ID token (it has `nonce`)"),
    ("at_hash", "it is an ID token (it has `at_hash`)"),
    ("c_hash", "it is an ID token (it has `c_hash`)"),
    ("events", "it is a security event or logout token (it has `events`)"),
];

/// What issuers put into a `typ` claim of an access token, if they have one.
const ACCESS_TYPES: [&str; 3] = ["Bearer", "JWT", "at+jwt"];
