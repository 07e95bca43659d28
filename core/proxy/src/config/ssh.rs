//! Keys of SSH.

use std::sync::Arc;

use gatewright_model::secret::Secret;
use russh::keys::{PrivateKey, PublicKey};

use super::{
    reader::{Context, Reader},
    target::TargetTls,
};

/// How a target proves that it is the target, and the gateway that it is its account.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The target's host keys: one of them, or no connection.
    pub host_keys: Vec<PublicKey>,
    /// The account's key. None: its password.
    pub private_key: Option<Arc<PrivateKey>>,
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
    context: &mut Context<'_>,
) -> Option<Option<SshTarget>> {
    if !is_ssh {
        let mut own: Option<Option<SshTarget>> = Some(None);
        for key in ["host_keys", "private_key"] {
            if reader.has(key) {
                own = refuse(reader, key, "targets", context);
            }
        }
        return own;
    }
    let private_key = reader.has("private_key").then(|| read_key(reader, "private_key", context));
    if reader.has("private_key") && reader.has("password") {
        context.problems.error(
            reader.span_of("password"),
            "`password` has no effect beside `private_key`",
            "remove one of them",
        );
    }
    if !reader.has("host_keys") {
        context.problems.error(
            reader.span.clone(),
            "an SSH target needs `host_keys`: anybody could be it otherwise",
            "add what `ssh-keyscan -t ed25519 HOST` prints behind the name: `host_keys = [\"ssh-ed25519 AAAA…\"]`, once you have made sure that it is the host's",
        );
        return None;
    }
    let texts = reader.texts("host_keys", context)?;
    let mut host_keys = Vec::new();
    for text in &texts.value {
        match PublicKey::from_openssh(text) {
            Ok(key) => host_keys.push(key),
            Err(_) => context.problems.error(
                texts.span.clone(),
                "one of `host_keys` is no public key",
                "write keys as `ssh-keyscan` prints them, without the name before them: `ssh-ed25519 AAAA…`",
            ),
        }
    }
    if texts.value.is_empty() {
        context.problems.error(
            texts.span.clone(),
            "`host_keys` is empty: nobody can be this target",
            "add a key",
        );
    }
    if host_keys.is_empty() || host_keys.len() < texts.value.len() {
        return None;
    }
    let private_key = match private_key {
        Some(key) => Some(key?),
        None => None,
    };
    Some(Some(SshTarget { host_keys, private_key }))
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
