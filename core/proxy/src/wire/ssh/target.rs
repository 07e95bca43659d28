//! The connection to a target: opened with the first channel that needs it, and proved to be the target before any credential.

use std::{fmt, io, sync::Arc};

use gatewright_ssh::message::Open;
use russh::{
    client::{self, AuthResult, Handle},
    keys::{
        Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
        ssh_key::public::KeyData,
    },
};
use tokio::{sync::Mutex, time::timeout};

use super::{MESSAGES, PACKET, Side, WINDOW, algorithms};
use crate::{
    config::{SshTarget, Target},
    upstream,
};

/// One connection of a client has one of these.
#[derive(Default)]
pub(super) struct Link(Mutex<Option<Handle<Peer>>>);

/// A target showed another host key than the configuration names.
#[derive(Debug)]
pub struct HostKeyMismatch;

impl fmt::Display for HostKeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the target's host key is none of `host_keys`")
    }
}

impl std::error::Error for HostKeyMismatch {}

impl Link {
    /// Opens a channel, and the connection where there is none.
    pub(super) async fn open(&self, target: &Arc<Target>, open: &Open) -> io::Result<Side> {
        let work = async {
            let mut link = self.0.lock().await;
            // Closed, by a target that was started again for instance.
            if link.as_ref().is_none_or(Handle::is_closed) {
                *link = Some(connect(target).await?);
            }
            let Some(handle) = link.as_ref() else { return Err(io::ErrorKind::NotConnected.into()) };
            let opened = match open {
                Open::Session => handle.channel_open_session().await,
                Open::DirectTcpip { host, port, originator: (address, own) } => {
                    handle.channel_open_direct_tcpip(&**host, *port, &**address, *own).await
                }
                Open::DirectStreamlocal { path } => handle.channel_open_direct_streamlocal(&**path).await,
            };
            opened.map_err(io::Error::other)
        };
        let opened = timeout(target.connect_timeout, work).await;
        let channel = opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (read, write) = channel.split();
        Ok(Side::of_target(read, write))
    }
}

async fn connect(target: &Target) -> io::Result<Handle<Peer>> {
    let Some(ssh) = &target.ssh else { return Err(io::ErrorKind::Unsupported.into()) };
    let stream = upstream::connect(target).await?.into_stream();
    let config = client::Config {
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: MESSAGES,
        preferred: algorithms(),
        // Whether it is still there is asked by nobody else.
        keepalive_interval: Some(KEEPALIVE),
        ..client::Config::default()
    };
    let peer = Peer { host_keys: ssh.host_keys.clone() };
    let mut handle = match client::connect_stream(Arc::new(config), stream, peer).await {
        Ok(handle) => handle,
        Err(PeerError(russh::Error::UnknownKey)) => return Err(io::Error::other(HostKeyMismatch)),
        Err(PeerError(error)) => return Err(io::Error::other(error)),
    };
    if !prove(&mut handle, target, ssh).await.map_err(io::Error::other)? {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the target does not accept the gateway's own credential",
        ));
    }
    Ok(handle)
}

/// Proves the gateway's account. `false`: the target does not believe it.
async fn prove(handle: &mut Handle<Peer>, target: &Target, ssh: &SshTarget) -> Result<bool, russh::Error> {
    let account = target.account.to_string();
    let result = if let Some(key) = &ssh.private_key {
        // RSA's own name is that of SHA-1, which nobody takes any more.
        let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512);
        handle.authenticate_publickey(account, PrivateKeyWithHashAlg::new(Arc::clone(key), hash)).await?
    } else if let Some(password) = &target.password {
        handle.authenticate_password(account, password.expose()).await?
    } else {
        handle.authenticate_none(account).await?
    };
    Ok(matches!(result, AuthResult::Success))
}

/// How often a silent target is asked whether it is there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// What a target may do of itself: nothing but to prove that it is the target.
struct Peer {
    host_keys: Vec<PublicKey>,
}

#[derive(Debug)]
struct PeerError(russh::Error);

impl From<russh::Error> for PeerError {
    fn from(error: russh::Error) -> Self {
        Self(error)
    }
}

impl client::Handler for Peer {
    type Error = PeerError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, PeerError> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let shown: &KeyData = key.key_data();
        Ok(self.host_keys.iter().any(|own| own.key_data() == shown))
    }
}
