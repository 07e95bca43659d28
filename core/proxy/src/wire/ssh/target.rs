//! The connection to a target: opened with the first channel that needs it, and proved to be the target before any credential.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use gatewright_identity::ssh::{HostError, HostTrust, TargetLogin};
use gatewright_model::{id::SessionId, principal::Principal};
use gatewright_ssh::message::Open;
use russh::{
    Channel, Preferred,
    client::{self, AuthResult, ChannelOpenHandle, Handle, Msg, Session},
    keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Access, MESSAGES, PACKET, Side, WINDOW, algorithms,
    forward::{Grants, Origin},
};
use crate::{
    config::{SshLogin, Target},
    upstream,
};

/// The connection of one client's connection.
pub(super) struct Link {
    access: Arc<Access>,
    /// For whom it is, as the target's log shows it.
    key_id: String,
    handle: Mutex<Option<Connected>>,
    /// What the target may open.
    grants: Arc<Grants>,
}

struct Connected {
    handle: Handle<Peer>,
    /// Cancelled when the connection has ended.
    gone: CancellationToken,
}

/// A target did not prove to be the target.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HostKeyMismatch(HostError);

impl Link {
    /// None yet. `session` is what records call the client's connection.
    pub(super) fn new(access: Arc<Access>, principal: &Principal, session: SessionId) -> Self {
        let chain: String = principal.actors.iter().rev().flat_map(|actor| [" > ", actor]).collect();
        let key_id = format!("{}{chain} (gatewright {session})", principal.subject);
        Self { access, key_id, handle: Mutex::default(), grants: Arc::default() }
    }

    /// What the target may open.
    pub(super) const fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    /// Opens a channel, and the connection where there is none. Of a name that a tunnel leads to, `found` are the addresses.
    pub(super) async fn open(
        &self,
        target: &Arc<Target>,
        open: &Open,
        found: Option<&[IpAddr]>,
    ) -> io::Result<Side> {
        let work = async {
            let mut link = self.handle.lock().await;
            let handle = &self.connected(&mut link, target).await?.handle;
            let opened = match open {
                Open::Session => handle.channel_open_session().await,
                Open::DirectTcpip { host, port, originator: (address, own) } => {
                    // A name would be looked up by the target, which may find something else than what was judged.
                    let places = match (host.parse::<IpAddr>(), found) {
                        (Ok(address), _) => &[address][..],
                        (Err(_), Some(found)) => found,
                        (Err(_), None) => return Err(io::ErrorKind::AddrNotAvailable.into()),
                    };
                    let mut opened = Err(russh::Error::WrongChannel);
                    for place in places {
                        let place = place.to_string();
                        opened = handle.channel_open_direct_tcpip(place, *port, &**address, *own).await;
                        if !matches!(opened, Err(russh::Error::ChannelOpenFailure(_))) {
                            break;
                        }
                    }
                    opened
                }
                Open::DirectStreamlocal { path } => handle.channel_open_direct_streamlocal(&**path).await,
                Open::TcpipForward { .. } | Open::StreamlocalForward { .. } => {
                    return Err(io::ErrorKind::Unsupported.into());
                }
            };
            opened.map_err(io::Error::other)
        };
        let opened = timeout(target.connect_timeout, work).await;
        let channel = opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (read, write) = channel.split();
        Ok(Side::of_target(read, write, Arc::clone(&self.grants)))
    }

    /// Has the target listen. What comes back is cancelled when the connection to it has ended.
    pub(super) async fn forward(
        &self,
        target: &Arc<Target>,
        open: &Open,
        bound: &OnceLock<u32>,
    ) -> io::Result<CancellationToken> {
        let work = async {
            let mut link = self.handle.lock().await;
            let Connected { handle, gone } = self.connected(&mut link, target).await?;
            match open {
                Open::TcpipForward { address, port } => {
                    let chosen = handle.tcpip_forward(&**address, *port).await.map_err(io::Error::other)?;
                    if *port == 0 {
                        let _ = bound.set(chosen);
                    }
                }
                Open::StreamlocalForward { path } => {
                    handle.streamlocal_forward(&**path).await.map_err(io::Error::other)?;
                }
                _ => return Err(io::ErrorKind::Unsupported.into()),
            }
            Ok(gone.clone())
        };
        timeout(target.connect_timeout, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Has the target listen no more. `port` is the one that it has chosen.
    pub(super) async fn cancel_forward(&self, open: &Open, port: Option<u32>) {
        let link = self.handle.lock().await;
        let Some(Connected { handle, .. }) = link.as_ref() else { return };
        // An error: there is no connection any more, and it listens no more.
        let _ = match open {
            Open::TcpipForward { address, port: wanted } => {
                handle.cancel_tcpip_forward(&**address, port.unwrap_or(*wanted)).await
            }
            Open::StreamlocalForward { path } => handle.cancel_streamlocal_forward(&**path).await,
            _ => Ok(()),
        };
    }

    /// The connection: the one that is there, or a new one. One may have ended, with a target that was started again for instance.
    async fn connected<'l>(
        &self,
        link: &'l mut Option<Connected>,
        target: &Target,
    ) -> io::Result<&'l Connected> {
        if link.as_ref().is_none_or(|link| link.handle.is_closed()) {
            *link = Some(self.connect(target).await?);
        }
        link.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn connect(&self, target: &Target) -> io::Result<Connected> {
        let Some(ssh) = &target.ssh else { return Err(io::ErrorKind::Unsupported.into()) };
        let stream = upstream::connect(target).await?.into_stream();
        let config = client::Config {
            window_size: WINDOW,
            maximum_packet_size: PACKET,
            channel_buffer_size: MESSAGES,
            preferred: preferred(&ssh.host),
            // Whether it is still there is asked by nobody else.
            keepalive_interval: Some(KEEPALIVE),
            ..client::Config::default()
        };
        let (refusal, gone) = (Arc::new(OnceLock::new()), CancellationToken::new());
        let peer = Peer {
            host: ssh.host.clone(),
            refusal: Arc::clone(&refusal),
            grants: Arc::clone(&self.grants),
            _gone: gone.clone().drop_guard(),
        };
        let connected = client::connect_stream(Arc::new(config), stream, peer).await;
        let mut handle = match (connected, refusal.get()) {
            (Ok(handle), None) => handle,
            (_, Some(refusal)) => return Err(io::Error::other(HostKeyMismatch(*refusal))),
            (Err(PeerError(error)), None) => return Err(io::Error::other(error)),
        };
        if !self.prove(&mut handle, target, &ssh.login).await? {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the target does not accept the gateway's own credential",
            ));
        }
        Ok(Connected { handle, gone })
    }

    /// Proves the gateway's account. `false`: the target does not believe it.
    async fn prove(
        &self,
        handle: &mut Handle<Peer>,
        target: &Target,
        login: &SshLogin,
    ) -> io::Result<bool> {
        let account = target.account.to_string();
        let result = match login {
            SshLogin::Key(key) => {
                // RSA's own name is that of SHA-1, which nobody takes any more.
                let hash = matches!(key.algorithm(), Algorithm::Rsa { .. }).then_some(HashAlg::Sha512);
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                handle.authenticate_publickey(account, key).await
            }
            SshLogin::Certificate => {
                let login = TargetLogin { account: &target.account, key_id: self.key_id.clone() };
                let made = self.access.targets.certify_for_target(login, SystemTime::now());
                let (key, certificate) = made.map_err(io::Error::other)?;
                handle.authenticate_openssh_cert(account, Arc::new(key), certificate).await
            }
            SshLogin::Password => match &target.password {
                Some(password) => handle.authenticate_password(account, password.expose()).await,
                None => handle.authenticate_none(account).await,
            },
        };
        Ok(matches!(result.map_err(io::Error::other)?, AuthResult::Success))
    }
}

/// What is spoken with a host about which this is known: a certificate of it is asked for where one can be believed.
pub fn preferred(host: &HostTrust) -> Preferred {
    let all = algorithms();
    let host_key_certificates = if host.has_authorities() { all.key.clone() } else { Vec::new().into() };
    Preferred { host_key_certificates, ..all }
}

/// How often a silent target is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What a target may do of itself: prove that it is the target, and open channels that were granted.
struct Peer {
    host: HostTrust,
    /// Why it is not.
    refusal: Arc<OnceLock<HostError>>,
    grants: Arc<Grants>,
    /// The connection ends with this.
    _gone: DropGuard,
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
        let checked = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.host.check_key(key.key_data()),
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.host.check_certificate(certificate, SystemTime::now())
            }
        };
        Ok(match checked {
            Ok(()) => true,
            Err(error) => {
                let _ = self.refusal.set(error);
                false
            }
        })
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), PeerError> {
        let origin = Origin::Port(address.to_owned(), port);
        self.grants.lead_on(origin, (originator.to_owned(), originator_port), channel, reply);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), PeerError> {
        self.grants.lead_on(Origin::Socket(path.to_owned()), (String::new(), 0), channel, reply);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), PeerError> {
        self.grants.lead_on(Origin::Agent, (String::new(), 0), channel, reply);
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<Msg>,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), PeerError> {
        self.grants.lead_on(Origin::X11, (originator.to_owned(), originator_port), channel, reply);
        Ok(())
    }
}
