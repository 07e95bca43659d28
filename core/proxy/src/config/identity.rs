//! `[identity]`

use std::{fs, ops::Range, path::PathBuf, sync::Arc};

use gatewright_identity::{
    Algorithm, BuiltinIssuer, Issuer, IssuerSettings, SetupError, Verifier,
    ssh::{BoundKey, SshAuthority, SshTrust, TrustedAuthority},
};
use gatewright_model::principal::PrincipalKind;

use super::{
    reader::{Context, Located, Reader},
    ssh,
    target::read_ca,
};
use crate::{
    identity_fetch::IssuerClients,
    tls::{ALPN_HTTP, ClientFiles, ClientTls},
};

/// Whose tokens are accepted.
#[derive(Debug)]
pub struct Identity {
    /// The `aud` of built-in tokens.
    pub audience: Arc<str>,
    /// External issuers.
    pub issuers: Vec<OidcIssuer>,
    /// SSH: external authorities.
    pub ssh_authorities: Vec<TrustedAuthority>,
    /// SSH: keys that are somebody's.
    pub ssh_keys: Vec<BoundKey>,
}

/// An external OpenID Connect issuer.
#[derive(Debug)]
pub struct OidcIssuer {
    /// What its tokens must look like.
    pub settings: IssuerSettings,
    /// Where its keys come from.
    pub keys: IssuerKeys,
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

impl Identity {
    /// The verifier of all issuers: the gateway's own, and those of the configuration.
    ///
    /// # Errors
    ///
    /// Never after [`super::Config::load`], which tried each of them.
    pub fn verifier(&self, builtin: &BuiltinIssuer) -> Result<Verifier, SetupError> {
        let own = builtin.issuer(BuiltinIssuer::settings(self.audience.clone()))?;
        let external = self.issuers.iter().map(OidcIssuer::issuer).collect::<Result<Vec<_>, _>>()?;
        Verifier::new([own].into_iter().chain(external).collect())
    }

    /// Whose SSH keys and certificates are accepted: the gateway's own authority's, and those of the configuration.
    ///
    /// # Errors
    ///
    /// Never after [`super::Config::load`], unless the gateway's own key is one of them.
    pub fn ssh_trust(&self, own: &SshAuthority) -> Result<SshTrust, SetupError> {
        let authorities = [own.trusted()].into_iter().chain(self.ssh_authorities.iter().cloned());
        SshTrust::new(authorities.collect(), self.ssh_keys.clone())
    }

    /// How the issuers with discovery are reached.
    pub fn clients(&self) -> IssuerClients {
        let clients = self.issuers.iter().filter_map(|issuer| match &issuer.keys {
            IssuerKeys::Discovery(client) => Some((issuer.settings.issuer.clone(), client.clone())),
            IssuerKeys::File { .. } => None,
        });
        clients.collect()
    }
}

impl OidcIssuer {
    fn issuer(&self) -> Result<Issuer, SetupError> {
        match &self.keys {
            IssuerKeys::File { jwks, .. } => Issuer::with_keys(self.settings.clone(), jwks),
            IssuerKeys::Discovery(_) => Issuer::with_discovery(self.settings.clone()),
        }
    }
}

pub(super) fn read(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Identity> {
    let audience = reader.text("audience", context);
    let issuers: Vec<_> =
        reader.tables("issuer", context).iter().map(|issuer| read_issuer(issuer, context)).collect();
    let mut seen: Vec<&str> = Vec::new();
    for (issuer, span) in issuers.iter().flatten() {
        let name = &*issuer.settings.issuer;
        if seen.contains(&name) {
            context.problems.error(
                span.clone(),
                format!("there is another issuer `{name}`"),
                "write each issuer once: which of them verifies a token must not depend on their order",
            );
        }
        seen.push(name);
    }
    let issuers = issuers.into_iter().map(|issuer| issuer.map(|(issuer, _)| issuer)).collect::<Option<_>>();
    let ssh = read_ssh(reader, context);
    let (ssh_authorities, ssh_keys) = ssh?;
    Some(Identity { audience: audience?.value, issuers: issuers?, ssh_authorities, ssh_keys })
}

fn read_ssh(
    reader: &Reader<'_>,
    context: &mut Context<'_>,
) -> Option<(Vec<TrustedAuthority>, Vec<BoundKey>)> {
    let read: Vec<_> = reader
        .tables("ssh_authority", context)
        .iter()
        .map(|authority| ssh::read_authority(authority, context))
        .collect();
    let authorities: Option<Vec<_>> = read.into_iter().collect();
    let tables = reader.tables("ssh_key", context);
    let read: Vec<_> = tables.iter().map(|key| ssh::read_bound_key(key, context)).collect();
    let keys: Option<Vec<_>> = read.into_iter().collect();
    let (authorities, keys) = (authorities?, keys?);
    let mut names: Vec<_> = authorities.iter().map(|authority| &authority.issuer).collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|pair| pair.first() == pair.last());
    let wrong = SshTrust::new(authorities.clone(), keys.clone()).err().map(|error| error.to_string());
    if let Some(problem) = wrong.or_else(|| twice.then(|| "two authorities have one name".to_owned())) {
        context.problems.error(
            reader.span.clone(),
            problem,
            "write each name, and each key, once: whose it is must not depend on their order",
        );
        return None;
    }
    Some((authorities, keys))
}

fn read_issuer(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<(OidcIssuer, Range<usize>)> {
    let issuer = reader.url("issuer", context);
    let audience = reader.text("audience", context);
    let algorithms = reader.choices("algorithms", context);
    let keys = read_keys(reader, context);
    let groups_claim = reader.text("groups_claim", context);
    let kind_claim = reader.text("kind_claim", context);
    let default_kind = reader.choice("default_kind", context);
    let claims = reader.texts("claims", context);
    let key_hosts = reader.texts("key_hosts", context);
    let (issuer, keys) = (issuer?, keys?);
    let settings = IssuerSettings {
        issuer: issuer.value,
        audience: audience?.value,
        algorithms: algorithms?.value.into_iter().filter_map(Algorithm::parse).collect(),
        groups_claim: groups_claim?.value,
        kind_claim: kind_claim?.value,
        default_kind: PrincipalKind::parse(default_kind?.value)?,
        claims: claims?.value,
        key_hosts: key_hosts?.value,
    };
    let value = OidcIssuer { settings, keys: keys.value };
    if let Err(error) = value.issuer() {
        context.problems.error(keys.span, error.to_string(), JWKS_REMEDY);
        return None;
    }
    Some((value, issuer.span))
}

fn read_keys(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<Located<IssuerKeys>> {
    let discovery = reader.flag("discovery", context)?;
    let file = reader.path("jwks_file", context);
    let (value, key) = match (discovery.value, reader.has("jwks_file")) {
        (true, false) => (read_discovery(reader, context)?, "issuer"),
        (false, true) => (read_jwks(&file?, context)?, "jwks_file"),
        _ => {
            context.problems.error(
                reader.span_of("discovery"),
                "an issuer's keys need exactly one source",
                "write `discovery = true` or `jwks_file = \"…\"`, not both",
            );
            return None;
        }
    };
    Some(Located { value, span: reader.span_of(key) })
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
    match fs::read(&path) {
        Ok(jwks) => Some(IssuerKeys::File { path, jwks }),
        Err(error) => {
            let message = format!("can not read `{}`: {error}", path.display());
            context.problems.error(file.span.clone(), message, JWKS_REMEDY);
            None
        }
    }
}

const JWKS_REMEDY: &str = "save the issuer's key set: its URL is `jwks_uri` in the issuer's discovery document, \
    below `/.well-known/openid-configuration`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::identity::ALGORITHMS;

    #[test]
    fn every_algorithm_of_the_schema_is_known_and_none_is_left_out() {
        for name in ALGORITHMS {
            assert_eq!(Algorithm::parse(name).map(Algorithm::as_str), Some(*name));
        }
        assert_eq!(ALGORITHMS.len(), Algorithm::ALL.len());
    }
}
