//! `[identity]`

use std::{fs, path::PathBuf, sync::Arc};

use super::{
    reader::{Context, Located, Reader},
    target::read_ca,
};
use crate::tls::{ALPN_HTTP, ClientFiles, ClientTls};

/// Whose tokens are accepted.
#[derive(Debug)]
pub struct Identity {
    /// The `aud` of built-in tokens.
    pub audience: Arc<str>,
    /// External issuers.
    pub issuers: Vec<OidcIssuer>,
}

/// An external OpenID Connect issuer.
#[derive(Debug)]
pub struct OidcIssuer {
    /// The `iss` of its tokens: an https URL.
    pub issuer: Arc<str>,
    /// The `aud` that its tokens must carry.
    pub audience: Arc<str>,
    /// Signature algorithms, by their JWA names. At least one, asymmetric only.
    pub algorithms: Vec<&'static str>,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// The claim with the groups.
    pub groups_claim: Arc<str>,
    /// The claim with the kind of principal.
    pub kind_claim: Option<Arc<str>>,
}

/// Where an issuer's keys come from.
#[derive(Debug)]
pub enum IssuerKeys {
    /// A JSON Web Key Set that was read from a file.
    File {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        jwks: Vec<u8>,
    },
    /// Its discovery document, over HTTPS.
    Discovery(Arc<ClientTls>),
}

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Identity> {
    let audience = reader.text("audience", context);
    let issuers: Vec<_> =
        reader.tables("issuer", context).iter().map(|issuer| read_issuer(issuer, context)).collect();
    let mut seen: Vec<&str> = Vec::new();
    for (issuer, span) in issuers.iter().flatten() {
        if seen.contains(&&*issuer.issuer) {
            context.problems.error(
                span.clone(),
                format!("there is another issuer `{}`", issuer.issuer),
                "write each issuer once",
            );
        }
        seen.push(&issuer.issuer);
    }
    let issuers =
        issuers.into_iter().map(|issuer| issuer.map(|(issuer, _)| issuer)).collect::<Option<_>>()?;
    Some(Identity { audience: audience?.value, issuers })
}

fn read_issuer(
    reader: &Reader<'_>,
    context: &mut Context<'_>,
) -> Option<(OidcIssuer, std::ops::Range<usize>)> {
    let issuer = reader.url("issuer", context);
    let audience = reader.text("audience", context);
    let algorithms = reader.choices("algorithms", context);
    let keys = read_keys(reader, context);
    let groups_claim = reader.text("groups_claim", context);
    let kind_claim = reader.text("kind_claim", context);
    if kind_claim.is_none() && reader.has("kind_claim") {
        return None;
    }
    let issuer = issuer?;
    let value = OidcIssuer {
        issuer: issuer.value,
        audience: audience?.value,
        algorithms: algorithms?.value,
        keys: keys?,
        groups_claim: groups_claim?.value,
        kind_claim: kind_claim.map(|claim| claim.value),
    };
    Some((value, issuer.span))
}

fn read_keys(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<IssuerKeys> {
    let discovery = reader.flag("discovery", context)?;
    let file = reader.path("jwks_file", context);
    match (discovery.value, reader.has("jwks_file")) {
        (true, false) => read_discovery(reader, context),
        (false, true) => read_jwks(&file?, context),
        _ => {
            context.problems.error(
                reader.span_of("discovery"),
                "an issuer's keys need exactly one source",
                "write `discovery = true` or `jwks_file = \"…\"`, not both",
            );
            None
        }
    }
}

fn read_discovery(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<IssuerKeys> {
    let ca = read_ca(reader, context)?;
    let files = ClientFiles { ca: ca.value, identity: None };
    match ClientTls::load(files, ALPN_HTTP, context.machine.now) {
        Ok(client) => Some(IssuerKeys::Discovery(Arc::new(client))),
        Err(error) => {
            context.problems.error(ca.span, error.to_string(), error.remedy());
            None
        }
    }
}

fn read_jwks(file: &Located<PathBuf>, context: &mut Context<'_>) -> Option<IssuerKeys> {
    let path = file.value.clone();
    let remedy =
        "save the issuer's key set there: its URL is `jwks_uri` in the issuer's discovery document";
    match fs::read(&path) {
        Ok(jwks) if serde_json::from_slice::<KeySet>(&jwks).is_ok_and(|set| !set.keys.is_empty()) => {
            Some(IssuerKeys::File { path, jwks })
        }
        Ok(_) => {
            let message = format!("`{}` is not a JSON Web Key Set with at least one key", path.display());
            context.problems.error(file.span.clone(), message, remedy);
            None
        }
        Err(error) => {
            let message = format!("can not read `{}`: {error}", path.display());
            context.problems.error(file.span.clone(), message, remedy);
            None
        }
    }
}

/// As much of RFC 7517 section 5 as tells a key set from another file.
#[derive(serde::Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}
