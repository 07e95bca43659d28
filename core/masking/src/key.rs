//! The key of keyed hashes.

use std::fmt;

use hmac::{Hmac, KeyInit};
use sha2::{Sha256, digest::array::Array};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// 32 bytes that make masking by hash useless to whoever does not have them.
///
/// Equal values give equal hashes as long as the key stays, which is the point of the method, so the key is
/// kept across restarts and shared by the nodes of one deployment. Reading the file is the caller's part.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MaskKey([u8; LENGTH]);

impl MaskKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// The random source failed.
    pub fn random() -> Result<Self, BadKey> {
        let mut key = Self([0; LENGTH]);
        getrandom::fill(&mut key.0).map_err(|_| BadKey::Random)?;
        Ok(key)
    }

    /// A key from its bytes.
    pub const fn new(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// Reads a key as [`to_hex`](Self::to_hex) writes it. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// The text is not 64 hex digits. The error does not show it.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let mut key = Self([0; LENGTH]);
        hex::decode_to_slice(text.trim_ascii(), &mut key.0).map_err(|_| BadKey::Text)?;
        Ok(key)
    }

    /// The key as 64 hex digits, for the file that keeps it. Each caller is a place to review.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    /// HMAC-SHA-256 under this key, before any data.
    pub(crate) fn hmac(&self) -> Hmac<Sha256> {
        // RFC 2104 section 2: a key shorter than the hash's block is filled up with zeros. Done here, the
        // constructor takes it whole and can not fail.
        let mut block = Zeroizing::new([0u8; BLOCK]);
        for (to, from) in block.iter_mut().zip(self.0) {
            *to = from;
        }
        Hmac::new(&Array(*block))
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The text is no key.
    #[error("a mask key is 64 hex digits (32 random bytes)")]
    Text,
    /// No random bytes.
    #[error("the operating system gave no random bytes for a mask key")]
    Random,
}

/// Bytes of a key: as many as the hash yields, so that the key is not the weaker part.
const LENGTH: usize = 32;

/// Bytes of SHA-256's block (FIPS 180-4 section 1).
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use hmac::Mac;

    use super::*;

    #[test]
    fn text_and_back() {
        let key = MaskKey::random().unwrap();
        let again = MaskKey::parse(&format!("{}\n", *key.to_hex())).unwrap();
        assert_eq!(*key.to_hex(), *again.to_hex());
        assert_ne!(*key.to_hex(), *MaskKey::random().unwrap().to_hex());
    }

    #[test]
    fn what_is_no_key() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            assert_eq!(MaskKey::parse(text).unwrap_err(), BadKey::Text);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", MaskKey::new([7; 32])), "MaskKey(..)");
    }

    #[test]
    fn hmac_is_the_standards_hmac() {
        // RFC 4231 test case 1: the key is 20 bytes of 0x0b, which zeros up to 32 bytes do not change.
        let mut bytes = [0; 32];
        bytes[..20].fill(0x0b);
        let mut hmac = MaskKey::new(bytes).hmac();
        hmac.update(b"Hi There");
        assert_eq!(
            hex::encode(hmac.finalize().into_bytes()),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
