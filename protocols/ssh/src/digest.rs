//! The digest that an approval is bound to.
//!
//! SHA-256 over `gatewright ssh.request 1` and everything that a reviewer sees of the request (the command, the terminal, the variables that
//! were set before), each preceded by its length in bytes as 8 bytes, big-endian.

use gatewright_model::{digest::Digest, ssh::SshEvent};
use sha2::{Digest as _, Sha256};

/// The digest of a request.
pub fn of(event: &SshEvent) -> Digest {
    let mut hash = Sha256::new();
    for field in ["gatewright ssh.request 1", event.request.as_str(), &event.full_text()] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    Digest::new(hash.finalize().into())
}
