//! Where tunnels lead: places as they are written, and networks of addresses.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

/// A place, as the client writes it: `db.internal:5432`, `10.0.0.7:*`, `*.internal:443`. Names and addresses of one place are two places; a rule that
/// blocks an address blocks the names that lead to it as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Destination {
    /// None: any.
    host: Option<String>,
    /// What stands before it: any labels.
    below: bool,
    /// None: any.
    port: Option<u32>,
}

impl Destination {
    pub(crate) fn matches(&self, host: &str, port: u32) -> bool {
        let host = host.to_ascii_lowercase();
        self.port.is_none_or(|own| own == port)
            && self.host.as_ref().is_none_or(|own| {
                if self.below {
                    host.strip_suffix(&**own).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                } else {
                    host == *own
                }
            })
    }
}

impl TryFrom<String> for Destination {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a destination: write `HOST:PORT`, each of them or `*`");
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = match port {
            "*" => None,
            port => Some(port.parse::<u16>().map_err(|_| refuse())?.into()),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (host, below) = match host.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (host, false),
        };
        let host = (below || host != "*").then(|| host.to_ascii_lowercase());
        if host.as_ref().is_some_and(|host| host.is_empty() || host.contains('*')) {
            return Err(refuse());
        }
        Ok(Self { host, below, port })
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Network {
    first: IpAddr,
    /// How many bits are the same.
    length: u32,
}

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                differs.checked_shr(32 - self.length).unwrap_or_default() == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                differs.checked_shr(128 - self.length).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text}` is not a network: write its first address and how many bits all of them share, like `10.0.0.0/8`, or one address"
            )
        };
        let (first, length) = match text.split_once('/') {
            Some((first, length)) => (first, Some(length.parse::<u32>().map_err(|_| refuse())?)),
            None => (&*text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| refuse())?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(bits);
        let rest = match first {
            IpAddr::V4(first) => first.to_bits().checked_shl(length).unwrap_or_default() != 0,
            IpAddr::V6(first) => first.to_bits().checked_shl(length).unwrap_or_default() != 0,
        };
        // What is meant by `10.0.0.7/8` is not clear.
        if length > bits || rest {
            return Err(refuse());
        }
        Ok(Self { first, length })
    }
}
