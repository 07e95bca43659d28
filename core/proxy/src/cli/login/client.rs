//! Asks a gateway's SSH listener for a certificate.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use gatewright_identity::ssh::HostTrust;
use gatewright_model::secret::Secret;
use russh::{
    ChannelMsg,
    client::{self, AuthResult},
    keys::{Certificate, PublicKey, PublicKeyOrCertificate},
};
use tokio::{net::TcpStream, time::timeout};

use super::{Failure, parse};
use crate::wire::ssh::{CERTIFICATE, preferred};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer at most.
const LONGEST_ANSWER: usize = 64 << 10;

/// A gateway that is known.
pub(super) struct Gateway {
    host: String,
    port: u16,
    trust: HostTrust,
}

impl Gateway {
    pub(super) fn find(address: &str, known_hosts: &Path) -> Result<Self, Failure> {
        let parsed = address.rsplit_once(':').and_then(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some((host.to_owned(), port.parse().ok()?))
        });
        let Some((host, port)) = parsed.filter(|(host, _)| !host.is_empty()) else {
            return Err(Failure::new(
                format_args!("`{address}` is not where a gateway is"),
                "write it as HOST:PORT",
            ));
        };
        let mut trust = HostTrust::new(&host, port);
        let remedy = format!(
            "ask the gateway's operator for its host key (`gatewright ssh-config` writes a file for `--known-hosts`), or, if you know it to be \
             right, `ssh-keyscan -p {port} {host} >> {}`",
            known_hosts.display()
        );
        match fs::read_to_string(known_hosts) {
            Ok(text) => trust.add_known_hosts(&text).map_err(|line| {
                Failure::new(
                    format_args!("line {} of `{}` can not be read", line.0, known_hosts.display()),
                    "mend it, or name another file with `--known-hosts`",
                )
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::new(
                    format_args!("can not read `{}`: {error}", known_hosts.display()),
                    remedy,
                ));
            }
        }
        if trust.is_empty() {
            return Err(Failure::new(
                format_args!("`{}` does not say who {address} is", known_hosts.display()),
                remedy,
            ));
        }
        Ok(Self { host, port, trust })
    }

    /// A certificate for this key, for who holds this token.
    pub(super) async fn certify(self, token: &Secret, key: &PublicKey) -> Result<Certificate, Failure> {
        let asked = timeout(PATIENCE, self.ask(token, key)).await;
        asked.unwrap_or_else(|_| Err(Failure::new("the gateway does not answer", "try again later")))
    }

    async fn ask(self, token: &Secret, key: &PublicKey) -> Result<Certificate, Failure> {
        let at = format!("{}:{}", self.host, self.port);
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::new(format_args!("can not reach the gateway at {at}: {error}"), "look at `--gateway`")
        };
        let stream =
            TcpStream::connect((&*self.host, self.port)).await.map_err(|error| unreachable(&error))?;
        let config = client::Config { preferred: preferred(&self.trust), ..client::Config::default() };
        let peer = Peer(self.trust);
        let mut handle = match client::connect_stream(Arc::new(config), stream, peer).await {
            Ok(handle) => handle,
            Err(russh::Error::UnknownKey) => {
                return Err(Failure::new(
                    format_args!("whoever answers at {at} has another host key than the gateway"),
                    "do not send your token there: ask the gateway's operator",
                ));
            }
            Err(error) => return Err(unreachable(&error)),
        };
        let proved = handle.authenticate_password(USER, token.expose()).await;
        if !matches!(proved.map_err(|error| unreachable(&error))?, AuthResult::Success) {
            return Err(Failure::new(
                "the gateway does not accept the token",
                "fetch a new one; the gateway's operator finds the reason in its log",
            ));
        }
        let line = key.to_openssh().map_err(|error| unreachable(&error))?;
        let mut channel = handle.channel_open_session().await.map_err(|error| unreachable(&error))?;
        channel.exec(true, CERTIFICATE).await.map_err(|error| unreachable(&error))?;
        channel.data_bytes(format!("{line}\n")).await.map_err(|error| unreachable(&error))?;
        let (mut out, mut error) = (Vec::new(), Vec::new());
        while let Some(message) = channel.wait().await {
            let (data, to) = match message {
                ChannelMsg::Data { data } => (data, &mut out),
                ChannelMsg::ExtendedData { data, .. } => (data, &mut error),
                _ => continue,
            };
            if to.len() + data.len() > LONGEST_ANSWER {
                break;
            }
            to.extend_from_slice(&data);
        }
        parse(&String::from_utf8_lossy(&out)).ok_or_else(|| {
            let error = String::from_utf8_lossy(&error);
            let said = error.trim().trim_start_matches("gatewright: ");
            let said = if said.is_empty() { "the gateway gave no certificate" } else { said };
            Failure::new(said, "ask the gateway's operator")
        })
    }
}

/// The user name that leads to no target. Any that is no account would do.
const USER: &str = "gatewright";

struct Peer(HostTrust);

impl client::Handler for Peer {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.0.check_key(key.key_data()).is_ok(),
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.0.check_certificate(certificate, std::time::SystemTime::now()).is_ok()
            }
        })
    }
}
