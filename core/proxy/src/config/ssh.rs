//! Keys and authorities of SSH.

use std::{fs, sync::Arc};

use gatewright_identity::ssh::{BoundKey, HostTrust, Principals, TrustedAuthority};
use gatewright_model::{principal::PrincipalKind, secret::Secret};
use russh::keys::{PrivateKey, PublicKey, ssh_key::public::KeyData};

use super::{
    reader::{Context, Located, Reader},
    target::{TargetAddress, TargetTls},
};

/// How a target proves that it is the target, and the gateway that it is its account.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// Who the target is: no connection to anybody else.
    pub host: HostTrust,
    /// What proves the account.
    pub login: SshLogin,
}

/// What proves an account at a target.
#[derive(Debug, Clone)]
pub enum SshLogin {
    /// Its key.
    Key(Arc<PrivateKey>),
    /// A certificate of the gateway's own authority, made for each connection.
    Certificate,
    /// Its password, or nothing where there is none.
    Password,
}

/// Some(None): the listener does not speak SSH.
#[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
pub(super) fn read_host_key(
    reader: &Reader<'_>,
    is_ssh: bool,
    context: &mut Context<'_>,
) -> Option<Option<Arc<PrivateKey>>> {
    match (is_ssh, reader.has("host_key")) {
        (true, true) => read_key(reader, "host_key", context).map(Some),
        (true, false) => {
            context.problems.error(
                reader.span.clone(),
                "an SSH listener needs `host_key`: clients know the gateway by it",
                "make one with `ssh-keygen -t ed25519 -N '' -f ssh_host_key`, and add `host_key = { file = \"ssh_host_key\" }`",
            );
            None
        }
        (false, true) => refuse(reader, "host_key", "listeners", context),
        (false, false) => Some(None),
    }
}

/// Some(None): the target does not speak SSH.
#[expect(clippy::option_option, reason = "the outer one is 'already reported', as in all fields")]
pub(super) fn read_target(
    reader: &Reader<'_>,
    is_ssh: bool,
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) -> Option<Option<SshTarget>> {
    if !is_ssh {
        let mut own: Option<Option<SshTarget>> = Some(None);
        for key in ["host_keys", "host_authorities", "known_hosts", "private_key", "certificate"] {
            if reader.has(key) {
                own = refuse(reader, key, "targets", context);
            }
        }
        return own;
    }
    let login = read_login(reader, context);
    let host = read_host(reader, address, context);
    Some(Some(SshTarget { host: host?, login: login? }))
}

fn read_login(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<SshLogin> {
    let private_key = reader.has("private_key").then(|| read_key(reader, "private_key", context));
    let certificate = reader.flag("certificate", context)?.value;
    let ways = [
        ("certificate", certificate),
        ("private_key", private_key.is_some()),
        ("password", reader.has("password")),
    ];
    let mut given = ways.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| *key);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        context.problems.error(
            reader.span_of(second),
            format!("`{second}` has no effect beside `{first}`"),
            "remove one of them",
        );
        return None;
    }
    if ways.iter().all(|(_, is_given)| !is_given) {
        context.problems.warning(
            reader.span.clone(),
            "nothing proves the account to this target: it has to let anybody in",
            "add `private_key = { file = \"…\" }`, `certificate = true` or `password = { file = \"…\" }`",
        );
    }
    Some(match private_key {
        Some(key) => SshLogin::Key(key?),
        None if certificate => SshLogin::Certificate,
        None => SshLogin::Password,
    })
}

fn read_host(
    reader: &Reader<'_>,
    address: Option<&Located<TargetAddress>>,
    context: &mut Context<'_>,
) -> Option<HostTrust> {
    let keys =
        if reader.has("host_keys") { read_keys(reader, "host_keys", context) } else { Some(Vec::new()) };
    let authorities = read_keys(reader, "host_authorities", context);
    let file = reader.path("known_hosts", context);
    let TargetAddress { host, port } = &address?.value;
    let mut trust = HostTrust::new(host, *port);
    let (keys, authorities) = (keys?, authorities?);
    for key in &keys {
        trust.add_key(key.clone());
    }
    for key in authorities {
        trust.add_authority(key);
    }
    if let Some(file) = &file {
        let told = match fs::read_to_string(&file.value) {
            Err(error) => Err(format!("can not read `{}`: {error}", file.value.display())),
            Ok(text) => trust
                .add_known_hosts(&text)
                .map_err(|line| format!("line {} of `{}` can not be read", line.0, file.value.display())),
        };
        if let Err(problem) = told {
            context.problems.error(
                file.span.clone(),
                problem,
                "name a file in the format of OpenSSH's `known_hosts`, as `ssh-keyscan` prints it",
            );
            return None;
        }
    }
    if trust.is_empty() {
        let (span, problem) = match &file {
            Some(file) => (
                file.span.clone(),
                format!("`{}` says nothing about {}", file.value.display(), address?.value),
            ),
            None => (
                reader.span.clone(),
                "an SSH target needs `host_keys`, `host_authorities` or `known_hosts`: anybody could be it otherwise".to_owned(),
            ),
        };
        context.problems.error(
            span,
            problem,
            "add what `ssh-keyscan -t ed25519 HOST` prints behind the name: `host_keys = [\"ssh-ed25519 AAAA…\"]`, once you have made sure that it is the host's",
        );
        return None;
    }
    Some(trust)
}

/// Public keys. None as well where one of them is none.
fn read_keys(reader: &Reader<'_>, key: &'static str, context: &mut Context<'_>) -> Option<Vec<KeyData>> {
    let texts = reader.texts(key, context)?;
    let mut keys = Vec::new();
    for text in &texts.value {
        match PublicKey::from_openssh(text) {
            Ok(key) => keys.push(key.key_data().clone()),
            Err(_) => context.problems.error(
                texts.span.clone(),
                format!("one of `{key}` is no public key"),
                "write keys as `ssh-keyscan` prints them, without the name before them: `ssh-ed25519 AAAA…`",
            ),
        }
    }
    (keys.len() == texts.value.len()).then_some(keys)
}

/// `[[identity.ssh_authority]]`
pub(super) fn read_authority(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<TrustedAuthority> {
    let name = reader.name("name", context);
    let keys = read_keys(reader, "keys", context);
    let principals = reader.choice("principals", context);
    let default_kind = reader.choice("default_kind", context);
    let max_lifetime = reader.duration("max_lifetime", context);
    Some(TrustedAuthority {
        issuer: format!("ssh:{}", name?.value).into(),
        keys: keys?,
        principals: match principals?.value {
            "subject" => Principals::Subject,
            _ => Principals::Accounts,
        },
        default_kind: PrincipalKind::parse(default_kind?.value)?,
        max_lifetime: max_lifetime?.value,
    })
}

/// `[[identity.ssh_key]]`
pub(super) fn read_bound_key(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<BoundKey> {
    let key = reader.text("key", context);
    let subject = reader.text("subject", context);
    let kind = reader.choice("kind", context);
    let groups = reader.texts("groups", context);
    let actors = reader.texts("actors", context);
    let key = key?;
    let Ok(parsed) = PublicKey::from_openssh(&key.value) else {
        context.problems.error(
            key.span,
            "`key` is no public key",
            "write it as it is in the file that ends in `.pub`: `ssh-ed25519 AAAA…`",
        );
        return None;
    };
    Some(BoundKey {
        key: parsed.key_data().clone(),
        subject: subject?.value,
        kind: PrincipalKind::parse(kind?.value)?,
        groups: groups?.value,
        actors: actors?.value,
    })
}

/// The connection is protected by SSH itself.
pub(super) fn no_tls(reader: &Reader<'_>, context: &mut Context<'_>) -> Option<TargetTls> {
    if reader.has("tls") {
        context.problems.error(
            reader.span_of("tls"),
            "SSH protects its connections itself",
            "remove `tls`",
        );
        return None;
    }
    Some(TargetTls::Off)
}

fn read_key(reader: &Reader<'_>, key: &'static str, context: &mut Context<'_>) -> Option<Arc<PrivateKey>> {
    let text: Secret = reader.secret(key, context)?;
    // A secret has no newline at its end, and the format wants one.
    let parsed = PrivateKey::from_openssh(format!("{}\n", text.expose()));
    let (problem, remedy) = match parsed {
        Ok(parsed) if !parsed.is_encrypted() => return Some(Arc::new(parsed)),
        Ok(_) => {
            ("is locked with a passphrase, which nobody can type", "remove it with `ssh-keygen -p -f FILE`")
        }
        Err(_) => {
            ("is no private key in OpenSSH's format", "make one with `ssh-keygen -t ed25519 -N '' -f FILE`")
        }
    };
    context.problems.error(reader.span_of(key), format!("`{key}` {problem}"), remedy);
    None
}

fn refuse<T>(reader: &Reader<'_>, key: &str, of: &str, context: &mut Context<'_>) -> Option<T> {
    context.problems.error(reader.span_of(key), format!("`{key}` is for SSH {of} only"), "remove it");
    None
}
