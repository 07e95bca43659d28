//! Who is let in, and what their user name leads to.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use gatewright_identity::ssh::{Accounts, Proved, SshAuthority, SshError, SshTrust};
use gatewright_model::{principal::Principal, session::Credential, ssh::ChannelRights};
use russh::keys::{Certificate, PublicKey};

use crate::{
    client_sessions::ClientSessions,
    config::{Listener, Target},
};

/// Keys of SSH, for all listeners.
#[derive(Debug)]
pub struct Access {
    /// Whose keys and certificates are accepted.
    pub trust: SshTrust,
    /// Signs what clients show to the gateway.
    pub login: SshAuthority,
    /// Signs what the gateway shows to targets.
    pub targets: SshAuthority,
}

/// A client that was let in.
pub(super) struct Admitted {
    /// What each of its sessions is to show.
    pub(super) credential: Credential,
    pub(super) principal: Arc<Principal>,
    pub(super) rights: ChannelRights,
    /// The user name that it gave.
    pub(super) user: Arc<str>,
    pub(super) destination: Destination,
    /// The accounts that its certificate is good for.
    pub(super) accounts: Accounts,
}

impl Admitted {
    /// The same client, at another door within this one.
    pub(super) fn at(&self, target: &Arc<Target>) -> Self {
        Self {
            credential: self.credential.clone(),
            principal: Arc::clone(&self.principal),
            rights: self.rights,
            user: Arc::clone(&target.account),
            destination: Destination::Target(Arc::clone(target)),
            accounts: self.accounts.clone(),
        }
    }
}

/// What a user name leads to.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    /// An account at a target.
    Target(Arc<Target>),
    /// The gateway itself, from which the client can go on.
    Gateway,
}

/// What may stand between account and target. `%` is what the documentation writes; some programs take it, or `@`, for something else.
const SEPARATORS: [char; 3] = ['%', '+', '@'];

/// Where this user name leads at this listener.
///
/// An account may have any character in it, so the name is not taken apart: it is compared with each one that would lead somewhere.
pub(super) fn destination(listener: &Listener, user: &str) -> Destination {
    let leads = |target: &&Arc<Target>| {
        let rest = user.strip_prefix(&*target.account);
        let rest = rest.and_then(|rest| rest.strip_prefix(SEPARATORS));
        rest.is_some_and(|rest| *rest == *target.name)
    };
    let only = listener.only_target().filter(|target| *target.account == *user);
    only.or_else(|| listener.targets.iter().find(leads))
        .map_or(Destination::Gateway, |target| Destination::Target(Arc::clone(target)))
}

/// Lets a client in that has shown a token.
pub(super) fn admit_token(
    sessions: &ClientSessions,
    user: &str,
    credential: Credential,
) -> Result<Admitted, &'static str> {
    let principal = sessions.authenticate(&credential).map_err(|error| error.code())?;
    Ok(Admitted {
        credential,
        principal,
        rights: ChannelRights::ALL,
        user: Arc::from(user),
        destination: destination(&sessions.door().listener, user),
        accounts: Accounts::ALL,
    })
}

/// What a client shows who has, or offers to have, a key.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    Key(&'a PublicKey),
    Certificate(&'a Certificate),
}

/// Would what is shown let the client in, once it has proved to have its key?
pub(super) fn judge(
    access: &Access,
    sessions: &ClientSessions,
    user: &str,
    shown: Shown<'_>,
) -> Result<(Proved, Destination), SshError> {
    let now = SystemTime::now();
    let proved = match shown {
        Shown::Key(key) => access.trust.judge_key(key.key_data())?,
        Shown::Certificate(certificate) => {
            access.trust.judge_certificate(certificate, sessions.client().ip(), now)?
        }
    };
    let destination = destination(&sessions.door().listener, user);
    if let Destination::Target(target) = &destination
        && !proved.accounts.include(&target.account)
    {
        return Err(SshError::Account);
    }
    Ok((proved, destination))
}

/// Lets a client in that has proved to have its key.
pub(super) fn admit_key(
    access: &Access,
    sessions: &ClientSessions,
    user: &str,
    shown: Shown<'_>,
) -> Result<Admitted, &'static str> {
    let (proved, destination) = judge(access, sessions, user, shown).map_err(|error| {
        tracing::info!(%error, client = %sessions.client(), "a client's key was refused");
        error.code()
    })?;
    let Proved { principal, rights, accounts } = proved;
    let principal = sessions.prove(principal).map_err(|error| error.code())?;
    Ok(Admitted {
        credential: Credential::Connection,
        principal,
        rights,
        user: Arc::from(user),
        destination,
        accounts,
    })
}

/// How long certificates of the gateway's own are good at most. None outlives what was shown for it.
pub(super) const LOGIN_TTL: Duration = Duration::from_secs(24 * 3_600);
