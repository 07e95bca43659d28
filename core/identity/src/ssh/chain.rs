//! What a certificate says about its holder beyond a name: the extension [`EXTENSION`].
//!
//! Its value is a JSON object with the claims of an access token: `sub`, `gatewright:kind` is `kind`, `groups`, `act` (RFC 8693 section 4.1),
//! and of the gateway's own certificates `iss`, `jti` and `iat` of the token that was shown for it, and `claims`, a list of pairs.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_model::principal::{Principal, PrincipalKind};
use serde_json::{Map, Value as Json, json};

use super::SshError;
use crate::{
    builtin::nested,
    chain,
    json::{Object, Value, parse_object},
    name,
};

/// The name of the extension. An ordinary SSH server does not know it, and passes over it.
pub(super) const EXTENSION: &str = "principal@gatewright";

/// Bytes of it at most. A token has no more.
const MAX_LENGTH: usize = crate::MAX_TOKEN;

/// What was said.
pub(super) struct Said {
    pub(super) subject: Option<Arc<str>>,
    pub(super) issuer: Option<Arc<str>>,
    pub(super) credential: Option<Arc<str>>,
    pub(super) kind: Option<PrincipalKind>,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) actors: Vec<Arc<str>>,
    pub(super) claims: Vec<(Arc<str>, Arc<str>)>,
    pub(super) issued_at: Option<SystemTime>,
}

/// Writes what was proved about somebody.
pub(super) fn write(principal: &Principal) -> String {
    let mut object = Map::new();
    object.insert("iss".into(), json!(*principal.issuer));
    object.insert("sub".into(), json!(*principal.subject));
    object.insert("jti".into(), json!(*principal.credential));
    object.insert("kind".into(), json!(principal.kind.as_str()));
    object.insert("groups".into(), names(&principal.groups));
    if let Some(act) = nested(&principal.actors) {
        object.insert("act".into(), act);
    }
    let claims = principal.claims.iter().map(|(name, value)| json!([**name, **value]));
    object.insert("claims".into(), claims.collect());
    let issued = principal.issued_at.and_then(|issued| issued.duration_since(UNIX_EPOCH).ok());
    if let Some(issued) = issued {
        object.insert("iat".into(), json!(issued.as_secs()));
    }
    Json::Object(object).to_string()
}

fn names(names: &[Arc<str>]) -> Json {
    names.iter().map(|name| json!(**name)).collect()
}

/// Reads it. `issuer` is who vouches where it does not say; what is there must be right (nothing malformed is absent).
pub(super) fn read(document: &str, issuer: &str) -> Result<Said, SshError> {
    if document.len() > MAX_LENGTH {
        return Err(SshError::Chain);
    }
    let object = parse_object(document.as_bytes()).ok_or(SshError::Chain)?;
    if object.keys().any(|key| !KNOWN.contains(&&**key)) {
        return Err(SshError::Chain);
    }
    let subject = text_of(&object, "sub")?;
    let own_issuer = text_of(&object, "iss")?;
    let named = own_issuer.as_deref().unwrap_or(issuer);
    let actors = chain::actors(&object, subject.as_deref().unwrap_or_default(), named)
        .map_err(|_| SshError::Chain)?;
    let kind = match text_of(&object, "kind")? {
        Some(word) => Some(PrincipalKind::parse(&word).ok_or(SshError::Chain)?),
        None => None,
    };
    let issued_at = match object.get("iat") {
        None => None,
        Some(Value::Integer(seconds)) => {
            Some(UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)).ok_or(SshError::Chain)?)
        }
        Some(_) => return Err(SshError::Chain),
    };
    Ok(Said {
        credential: text_of(&object, "jti")?,
        groups: list(&object, "groups")?.iter().map(text).collect::<Result<_, _>>()?,
        claims: list(&object, "claims")?.iter().map(pair).collect::<Result<_, _>>()?,
        issuer: own_issuer,
        subject,
        kind,
        actors,
        issued_at,
    })
}

/// A member that nobody knows may take something back.
const KNOWN: [&str; 8] = ["iss", "sub", "jti", "kind", "groups", "act", "claims", "iat"];

fn text_of(object: &Object, key: &str) -> Result<Option<Arc<str>>, SshError> {
    object.get(key).map(text).transpose()
}

fn text(value: &Value) -> Result<Arc<str>, SshError> {
    match value {
        Value::Text(text) => name::parse(text).map_err(|_| SshError::Chain),
        _ => Err(SshError::Chain),
    }
}

fn list<'o>(object: &'o Object, key: &str) -> Result<&'o [Value], SshError> {
    match object.get(key) {
        None => Ok(&[]),
        Some(Value::List(list)) => Ok(list),
        Some(_) => Err(SshError::Chain),
    }
}

fn pair(value: &Value) -> Result<(Arc<str>, Arc<str>), SshError> {
    match value {
        Value::List(pair) => match &pair[..] {
            [name, value] => Ok((text(name)?, text(value)?)),
            _ => Err(SshError::Chain),
        },
        _ => Err(SshError::Chain),
    }
}
