//! What a certificate must be, check by check.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_model::{principal::Principal, ssh::ChannelRights};
use sha2::{Digest as _, Sha256};
use ssh_key::{Algorithm, Certificate, certificate::OptionsMap};

use super::{Accounts, Principals, Proved, SshError, TrustedAuthority, chain, check_strength, source};
use crate::name;

/// Judges a certificate whose holder holds its key.
///
/// Cheap checks come first, and none of them depends on what is secret: an authority that is not known costs no signature.
pub(super) fn judge(
    authorities: &[TrustedAuthority],
    certificate: &Certificate,
    client: IpAddr,
    now: SystemTime,
) -> Result<Proved, SshError> {
    check_strength(certificate.public_key())?;
    let authority = find(authorities, certificate)?;
    if !certificate.cert_type().is_user() {
        return Err(SshError::Type);
    }
    // RSA's own name is that of SHA-1.
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err(SshError::SignatureAlgorithm);
    }
    let expires_at = check_time(certificate, authority, now)?;
    check_signature(certificate, now)?;
    check_options(certificate.critical_options(), client)?;
    let (subject, accounts) = check_principals(certificate, authority)?;
    let principal = principal(certificate, authority, subject, expires_at)?;
    Ok(Proved { principal, rights: rights(certificate.extensions()), accounts })
}

fn find<'a>(
    authorities: &'a [TrustedAuthority],
    certificate: &Certificate,
) -> Result<&'a TrustedAuthority, SshError> {
    let key = certificate.signature_key();
    let signs = |authority: &&TrustedAuthority| authority.keys.contains(key);
    authorities.iter().find(signs).ok_or(SshError::Authority)
}

/// When it stops being good.
fn check_time(
    certificate: &Certificate,
    authority: &TrustedAuthority,
    now: SystemTime,
) -> Result<SystemTime, SshError> {
    let now = now.duration_since(UNIX_EPOCH).map_err(|_| SshError::Clock)?.as_secs();
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    if now < after {
        return Err(SshError::NotYet);
    }
    if now >= before {
        return Err(SshError::Expired);
    }
    // One that is good for ever has the greatest number there is.
    if before - after > authority.max_lifetime.as_secs() {
        return Err(SshError::Lifetime);
    }
    UNIX_EPOCH.checked_add(Duration::from_secs(before)).ok_or(SshError::Lifetime)
}

/// The authority is known: what is left is that it signed this.
fn check_signature(certificate: &Certificate, now: SystemTime) -> Result<(), SshError> {
    let seconds = now.duration_since(UNIX_EPOCH).map_err(|_| SshError::Clock)?.as_secs();
    let own = certificate.signature_key().fingerprint(ssh_key::HashAlg::Sha256);
    certificate.validate_at(seconds, [&own]).map_err(|_| SshError::Signature)
}

fn check_options(options: &OptionsMap, client: IpAddr) -> Result<(), SshError> {
    for (name, value) in options.iter() {
        match &**name {
            "source-address" if source::lists(value, client) => {}
            "source-address" => return Err(SshError::SourceAddress),
            _ => return Err(SshError::CriticalOption),
        }
    }
    Ok(())
}

/// Whose it is, and the accounts that it is good for.
fn check_principals(
    certificate: &Certificate,
    authority: &TrustedAuthority,
) -> Result<(Arc<str>, Accounts), SshError> {
    let principals = certificate.valid_principals();
    if principals.is_empty() {
        return Err(SshError::NoPrincipals);
    }
    let subject = name::parse(certificate.key_id()).map_err(|_| SshError::KeyId)?;
    match authority.principals {
        Principals::Accounts => {
            let accounts = principals.iter().map(|own| Arc::from(&**own)).collect();
            Ok((subject, Accounts(Some(accounts))))
        }
        Principals::Subject | Principals::Own => {
            let names = principals.iter().any(|own| **own == *subject);
            if names { Ok((subject, Accounts::ALL)) } else { Err(SshError::KeyId) }
        }
    }
}

fn principal(
    certificate: &Certificate,
    authority: &TrustedAuthority,
    subject: Arc<str>,
    expires_at: SystemTime,
) -> Result<Principal, SshError> {
    let is_own = authority.principals == Principals::Own;
    let said = match certificate.extensions().get(chain::EXTENSION) {
        Some(text) => Some(chain::read(text, &authority.issuer)?),
        None if is_own => return Err(SshError::Chain),
        None => None,
    };
    let valid_after = UNIX_EPOCH.checked_add(Duration::from_secs(certificate.valid_after()));
    let Some(said) = said else {
        return Ok(Principal {
            subject,
            issuer: Arc::clone(&authority.issuer),
            kind: authority.default_kind,
            groups: Vec::new(),
            actors: Vec::new(),
            claims: Vec::new(),
            credential: credential(certificate),
            issued_at: valid_after,
            expires_at: Some(expires_at),
        });
    };
    if said.subject.as_ref().is_some_and(|own| *own != subject) {
        return Err(SshError::Chain);
    }
    // Who it was acted for is compared with the subject: it must be the one that was said.
    if said.actors.contains(&subject) {
        return Err(SshError::Chain);
    }
    // Only the gateway's own authority speaks for issuers of tokens.
    let (issuer, own_credential) = if is_own {
        (said.issuer.ok_or(SshError::Chain)?, said.credential.ok_or(SshError::Chain)?)
    } else if said.issuer.is_some_and(|own| own != authority.issuer) || said.credential.is_some() {
        return Err(SshError::Chain);
    } else {
        (Arc::clone(&authority.issuer), credential(certificate))
    };
    Ok(Principal {
        subject,
        issuer,
        kind: said.kind.unwrap_or(authority.default_kind),
        groups: said.groups,
        actors: said.actors,
        claims: said.claims,
        // The token's: what takes back a token takes back the certificates that were had for it.
        credential: own_credential,
        // A token that does not say when it was issued was issued before: that its certificate is new says nothing of it.
        issued_at: if is_own { said.issued_at } else { said.issued_at.or(valid_after) },
        expires_at: Some(expires_at),
    })
}

/// Names a certificate in records: its serial number, which an authority may leave at 0, and 64 bits of the SHA-256 of its key and
/// its holder.
fn credential(certificate: &Certificate) -> Arc<str> {
    let mut hash = Sha256::new();
    hash.update(certificate.public_key().fingerprint(ssh_key::HashAlg::Sha256).as_bytes());
    hash.update(certificate.key_id());
    let digest = hex::encode(hash.finalize());
    format!("cert-{}-{}", certificate.serial(), digest.get(..16).unwrap_or_default()).into()
}

/// OpenSSH's meaning: what is not there is not permitted.
fn rights(extensions: &OptionsMap) -> ChannelRights {
    let has = |name: &str| extensions.contains_key(name);
    ChannelRights {
        pty: has("permit-pty"),
        port_forwarding: has("permit-port-forwarding"),
        agent_forwarding: has("permit-agent-forwarding"),
        x11_forwarding: has("permit-X11-forwarding"),
    }
}
