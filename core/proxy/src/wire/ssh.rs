//! SSH by russh: each channel of a client is a session with a driver of its own.
//!
//! ```text
//! client --- russh's server --- channel --- Driver --- channel --- russh's client --- target
//!                            \- channel --- Driver --- channel -/
//! ```
//!
//! A connection of a client has one connection to its target, opened with the first request that is permitted; its
//! channels are channels of that one. russh is patched (`third-party/README.md`): above all, a reply may be given late, and a
//! peer's window opens when what it sent was taken on.

mod admission;
mod forward;
mod handler;
mod mortal;
mod own;
mod serve;
mod side;
mod target;
mod words;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use gatewright_model::session::TlsInfo;
use gatewright_ssh::message::{Message, Open};
use russh::{Preferred, cipher, compression, kex, keys::Algorithm, keys::EcdsaCurve, keys::HashAlg, mac};
use tokio::net::lookup_host;

pub use self::{
    admission::Access,
    own::CERTIFICATE,
    serve::{Client, Entrance, serve},
    target::{HostKeyMismatch, preferred},
};
use self::{side::Side, target::Link};
use super::{Unit, Wire, WithTurn};
use crate::config::Target;

/// Bytes that a peer may send on a channel before somebody has taken them on.
const WINDOW: u32 = 1 << 20;

/// A packet's data at most, in bytes: what every implementation takes (RFC 4253 section 6.1).
const PACKET: u32 = 32 << 10;

/// Messages of a channel that wait between russh and its reader. The reader waits for nothing, so there are few.
const MESSAGES: usize = 64;

/// Addresses of one name at most: the target tries them one after the other.
const MOST_ADDRESSES: usize = 8;

/// The two sides of one channel.
pub(in crate::wire) struct Channels {
    /// What kind of channel it is.
    open: Open,
    /// The connection to the target, which the client's other channels use as well.
    link: Arc<Link>,
    /// Where the channel leads to, where that was asked for by a name.
    found: OnceLock<Arc<[IpAddr]>>,
}

impl Wire for Channels {
    const SHARES_SESSIONS: bool = true;
    const WITH_TURN: WithTurn = WithTurn::None;

    type Unit = Message;
    type Downstream = Side;
    type Upstream = Side;

    async fn connect(&self, target: &Arc<Target>) -> io::Result<Side> {
        self.link.open(target, &self.open, self.found.get().map(|found| &**found)).await
    }

    /// What is found is what is judged, and what the target is told: nobody looks the name up once more.
    async fn look_up(&self, host: &str) -> Arc<[IpAddr]> {
        let mut found = Vec::new();
        // The port is none of a resolver's business.
        if let Ok(all) = lookup_host((host, 0)).await {
            for address in all.map(|address| address.ip().to_canonical()) {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        found.truncate(MOST_ADDRESSES);
        Arc::clone(self.found.get_or_init(|| found.into()))
    }

    async fn secure_downstream(&self, _: Side) -> io::Result<(Side, TlsInfo)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn secure_upstream(&self, _: Side, _: &Target) -> io::Result<(Side, TlsInfo)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Unit for Message {
    fn size(&self) -> usize {
        self.window()
    }
}

/// What is spoken on both sides: nothing that is broken, and no compression, which lets a reader of lengths guess at secrets.
///
/// The names of extensions are a part of the list of key exchanges: without them, nobody agrees on strict key exchange, which is
/// what holds against Terrapin (CVE-2023-48795), nor on which signatures are taken.
const fn algorithms() -> Preferred {
    use std::borrow::Cow::Borrowed;
    Preferred {
        kex: Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Borrowed(&[
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ]),
        host_key_certificates: Borrowed(&[]),
        cipher: Borrowed(&[
            cipher::AES_256_GCM,
            cipher::AES_128_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_128_CTR,
        ]),
        // The last two are for libssh2 before 1.11, which has no others of today.
        mac: Borrowed(&[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256]),
        compression: Borrowed(&[compression::NONE]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threats A41: what is offered is what may be agreed on.
    #[test]
    fn a041_nothing_weak_is_offered_and_strict_key_exchange_is() {
        let preferred = algorithms();
        let all = [
            preferred.kex.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>(),
            preferred.cipher.iter().map(|name| name.as_ref().to_owned()).collect(),
            preferred.mac.iter().map(|name| name.as_ref().to_owned()).collect(),
            preferred.key.iter().map(|name| name.as_str().to_owned()).collect(),
        ];
        for name in all.iter().flatten() {
            let weak = ["none", "cbc", "sha1", "md5", "3des", "group1-", "group14-sha1", "dss"];
            assert!(!weak.iter().any(|weak| name.contains(weak)) && name != "ssh-rsa", "{name}");
        }
        for extension in ["kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com", "ext-info-s"] {
            assert!(all[0].iter().any(|name| name == extension), "{extension}");
        }
        assert_eq!(preferred.compression.len(), 1);
    }
}
