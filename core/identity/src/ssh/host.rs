//! Whether a target is the target: its host key, or a certificate about it.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use ssh_key::{
    Algorithm, Certificate, HashAlg,
    known_hosts::{Entry, HostPatterns, Marker},
    public::KeyData,
};

use super::check_strength;

/// What is known about a target. A new one is known by nothing, and never by what it shows the first time.
#[derive(Debug, Clone)]
pub struct HostTrust {
    host: String,
    port: u16,
    keys: Vec<KeyData>,
    authorities: Vec<KeyData>,
    revoked: Vec<KeyData>,
}

/// Why a target was not believed to be the target (threats A47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Another key, or a weak one.
    #[error("the target's host key is none that the configuration names")]
    Key,
    /// A key that was taken back.
    #[error("the target's host key, or the one that signed for it, is marked as revoked")]
    Revoked,
    /// Somebody's certificate.
    #[error("the target's host certificate is of an authority that the configuration does not name")]
    Authority,
    /// Of another host, of a user, or with conditions.
    #[error("the target's host certificate is for another host or for something else")]
    Certificate,
    /// Too early or too late.
    #[error("the target's host certificate is not valid now")]
    Validity,
}

/// A line of a `known_hosts` file can not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine(
    /// Its number, from 1.
    pub usize,
);

impl HostTrust {
    /// About the host and port that the gateway connects to.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        Self { host, port, keys: Vec::new(), authorities: Vec::new(), revoked: Vec::new() }
    }

    /// This key is the target's.
    pub fn add_key(&mut self, key: KeyData) {
        self.keys.push(key);
    }

    /// This authority signs for hosts.
    pub fn add_authority(&mut self, key: KeyData) {
        self.authorities.push(key);
    }

    /// What a file in the format of OpenSSH's `known_hosts` says about the target (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
    ///
    /// # Errors
    ///
    /// A line that can not be read: it may be the one that revokes a key.
    pub fn add_known_hosts(&mut self, text: &str) -> Result<(), BadLine> {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry: Entry = line.parse().map_err(|_| BadLine(number + 1))?;
            if !self.is_meant(entry.host_patterns()) {
                continue;
            }
            let key = entry.public_key().key_data().clone();
            match entry.marker() {
                None => self.keys.push(key),
                Some(Marker::CertAuthority) => self.authorities.push(key),
                Some(Marker::Revoked) => self.revoked.push(key),
            }
        }
        Ok(())
    }

    /// Is anything known? If not, nobody can be the target.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.authorities.is_empty()
    }

    /// Can a certificate be asked for?
    pub const fn has_authorities(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Is this the target's key?
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_key(&self, key: &KeyData) -> Result<(), HostError> {
        if self.revoked.contains(key) {
            return Err(HostError::Revoked);
        }
        if check_strength(key).is_ok() && self.keys.contains(key) { Ok(()) } else { Err(HostError::Key) }
    }

    /// Is this a certificate about the target?
    ///
    /// # Errors
    ///
    /// It is not, or not now.
    pub fn check_certificate(&self, certificate: &Certificate, now: SystemTime) -> Result<(), HostError> {
        let authority = certificate.signature_key();
        if [authority, certificate.public_key()].into_iter().any(|key| self.revoked.contains(key)) {
            return Err(HostError::Revoked);
        }
        if !self.authorities.contains(authority) || check_strength(certificate.public_key()).is_err() {
            return Err(HostError::Authority);
        }
        let principals = certificate.valid_principals();
        // To OpenSSH, no principals are all hosts. Here they are none.
        let is_meant = principals.iter().any(|own| fits(&own.to_ascii_lowercase(), &self.host));
        let is_sha1 = certificate.signature().algorithm() == (Algorithm::Rsa { hash: None });
        if !certificate.cert_type().is_host()
            || !is_meant
            || is_sha1
            || !certificate.critical_options().is_empty()
        {
            return Err(HostError::Certificate);
        }
        let seconds = now.duration_since(UNIX_EPOCH).map_err(|_| HostError::Validity)?.as_secs();
        if !(certificate.valid_after()..certificate.valid_before()).contains(&seconds) {
            return Err(HostError::Validity);
        }
        certificate
            .validate_at(seconds, [&authority.fingerprint(HashAlg::Sha256)])
            .map_err(|_| HostError::Authority)
    }

    fn is_meant(&self, patterns: &HostPatterns) -> bool {
        let name = match self.port {
            22 => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        };
        match patterns {
            HostPatterns::Patterns(patterns) => {
                let mut is_meant = false;
                for pattern in patterns {
                    let pattern = pattern.to_ascii_lowercase();
                    match pattern.strip_prefix('!') {
                        Some(not) if fits(not, &name) => return false,
                        Some(_) => {}
                        None => is_meant |= fits(&pattern, &name),
                    }
                }
                is_meant
            }
            HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
        }
    }
}

/// Does the text fit a pattern in which `*` stands for any characters and `?` for one?
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where to go on if what came after the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(place) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((after, from)) = &mut star else { return false };
                *from += 1;
                (at, place) = (*after, *from);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ssh_key::{
        PrivateKey,
        certificate::{Builder, CertType},
        private::{Ed25519Keypair, KeypairData},
    };

    use super::*;

    const NOW: u64 = 1_900_000_000;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
    }

    fn public(seed: u8) -> KeyData {
        key(seed).public_key().key_data().clone()
    }

    fn line(seed: u8) -> String {
        key(seed).public_key().to_openssh().unwrap()
    }

    fn known(port: u16, text: &str) -> HostTrust {
        let mut trust = HostTrust::new("Web-1.example", port);
        trust.add_known_hosts(text).unwrap();
        trust
    }

    #[test]
    fn a047_a_key_is_known_by_name_and_port() {
        for (port, names, is_known) in [
            (22, "web-1.example", true),
            (22, "other,WEB-1.example", true),
            (22, "*.example", true),
            (22, "web-?.example", true),
            (22, "*.example,!web-1.example", false),
            (22, "web-1", false),
            (22, "web-1.example.evil", false),
            (22, "[web-1.example]:2222", false),
            (2222, "[web-1.example]:2222", true),
            (2222, "web-1.example", false),
        ] {
            let trust = known(port, &format!("# a comment\n\n{names} {}\n", line(1)));
            assert_eq!(trust.check_key(&public(1)).is_ok(), is_known, "{names} {port}");
            assert_eq!(trust.check_key(&public(2)), Err(HostError::Key));
        }
        assert!(HostTrust::new("h", 22).check_key(&public(1)).is_err(), "the first time is no proof");
    }

    /// As `ssh-keygen -H` writes it, of `web-1.example`.
    #[test]
    fn hashed_names_are_compared() {
        let salt = [7; 20];
        let hash = Hmac::<Sha1>::new_from_slice(&salt).unwrap().chain_update("web-1.example").finalize();
        let encode = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(bytes)
        };
        let name = format!("|1|{}|{}", encode(&salt), encode(&hash.into_bytes()));
        assert!(known(22, &format!("{name} {}", line(1))).check_key(&public(1)).is_ok());
        assert!(known(2222, &format!("{name} {}", line(1))).check_key(&public(1)).is_err());
    }

    #[test]
    fn a047_a_revoked_key_is_nobodys() {
        let text = format!("web-1.example {0}\n@revoked * {0}\n", line(1));
        assert_eq!(known(22, &text).check_key(&public(1)), Err(HostError::Revoked));
        // And no line is passed over, because that could be the one.
        let mut trust = HostTrust::new("web-1.example", 22);
        let text = format!("web-1.example {}\n@revoked *\n", line(1));
        assert_eq!(trust.add_known_hosts(&text), Err(BadLine(2)));
    }

    fn certificate(kind: CertType, principal: Option<&str>, before: u64) -> Certificate {
        let mut builder = Builder::new(vec![7; 32], public(2), NOW - 60, before).unwrap();
        builder.cert_type(kind).unwrap();
        match principal {
            Some(name) => builder.valid_principal(name).unwrap(),
            None => builder.all_principals_valid().unwrap(),
        };
        builder.sign(&key(1)).unwrap()
    }

    fn judge(trust: &HostTrust, certificate: &Certificate) -> Result<(), HostError> {
        trust.check_certificate(certificate, UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn a047_a_certificate_is_for_this_host_of_a_known_authority_and_now() {
        let trust = known(2222, &format!("@cert-authority [*.example]:* {}\n", line(1)));
        let of = |kind, principal| judge(&trust, &certificate(kind, principal, NOW + 60));
        assert_eq!(of(CertType::Host, Some("web-1.example")), Ok(()));
        assert_eq!(of(CertType::Host, Some("*.example")), Ok(()));
        for other in ["web-2.example", "web-1", "", "*.other"] {
            assert_eq!(of(CertType::Host, Some(other)), Err(HostError::Certificate), "{other}");
        }
        assert_eq!(of(CertType::Host, None), Err(HostError::Certificate));
        assert_eq!(of(CertType::User, Some("web-1.example")), Err(HostError::Certificate));
        let old = certificate(CertType::Host, Some("web-1.example"), NOW);
        assert_eq!(judge(&trust, &old), Err(HostError::Validity));
        let stranger = known(2222, &format!("@cert-authority * {}\n", line(3)));
        let good = certificate(CertType::Host, Some("web-1.example"), NOW + 60);
        assert_eq!(judge(&stranger, &good), Err(HostError::Authority));
        // An authority is no host, and a host no authority.
        assert_eq!(trust.check_key(&public(1)), Err(HostError::Key));
        let host = known(2222, &format!("[web-1.example]:2222 {}\n", line(1)));
        assert_eq!(judge(&host, &good), Err(HostError::Authority));
        let taken_back = known(2222, &format!("@cert-authority * {0}\n@revoked * {0}\n", line(1)));
        assert_eq!(judge(&taken_back, &good), Err(HostError::Revoked));
    }
}
