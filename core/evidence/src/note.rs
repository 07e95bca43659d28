//! Signed notes: text with Ed25519 signatures, in the format of <https://c2sp.org/signed-note>.
//!
//! Written to the specification and tested against notes of Go's `sumdb/note`, so that an auditor needs
//! no tool of ours to check who signed what.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::key::{SigningKey, VerifyingKey, VerifyingKeys};

/// Signs `text`, which ends with a newline, in the name of `name`.
pub(crate) fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let own = key.verifying_key(name);
    let mut signature = Vec::with_capacity(4 + 64);
    signature.extend_from_slice(&own.id());
    signature.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n{DASH}{name} {}\n", STANDARD.encode(signature))
}

/// A note as it was read. Its text means nothing before [`Note::verify`] said who signed it.
#[derive(Debug)]
pub(crate) struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Debug)]
struct Signature<'a> {
    name: &'a str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// Why a note is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It does not have the form of a signed note.
    #[error("it is not a signed note")]
    Malformed,
    /// No signature of it is of a known key.
    #[error("no known key signed it")]
    UnknownKey,
    /// A known key's signature does not fit the text.
    #[error("its signature does not fit its text")]
    BadSignature,
}

impl<'a> Note<'a> {
    /// Takes a note apart. What is read is exactly the note: nothing may stand before or after it.
    pub(crate) fn parse(note: &'a str) -> Result<Self, NoteError> {
        let control = |byte: u8| byte < 0x20 && byte != b'\n';
        if note.len() > NOTE_LIMIT_BYTES || note.bytes().any(control) {
            return Err(NoteError::Malformed);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        // The text keeps the newline that ends its last line.
        let text = note.get(..text.len() + 1).ok_or(NoteError::Malformed)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures = signatures.split('\n').map(Signature::parse).collect::<Result<_, _>>()?;
        Ok(Self { text, signatures })
    }

    /// The text, once a known key has signed it. Signatures of unknown keys are passed over; one of a known
    /// key that does not fit makes the whole note bad, as the specification recommends.
    pub(crate) fn verify<'k>(
        &self,
        keys: &'k VerifyingKeys,
    ) -> Result<(&'a str, &'k VerifyingKey), NoteError> {
        let mut signer = None;
        for signature in &self.signatures {
            let Some(key) = keys.find(signature.name, signature.id) else { continue };
            if !key.verifies(self.text.as_bytes(), &signature.bytes) {
                return Err(NoteError::BadSignature);
            }
            signer = Some(key);
        }
        signer.map(|key| (self.text, key)).ok_or(NoteError::UnknownKey)
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Result<Self, NoteError> {
        let (name, encoded) =
            line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
        if name.is_empty() || name.contains(['+', ' ']) {
            return Err(NoteError::Malformed);
        }
        let decoded = STANDARD.decode(encoded).map_err(|_| NoteError::Malformed)?;
        let (id, bytes) = decoded.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        Ok(Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

/// An em dash and a space begin each signature line.
pub(crate) const DASH: &str = "\u{2014} ";

/// Room for a checkpoint with 16 signatures of post-quantum witnesses, about 5 kB each.
pub(crate) const NOTE_LIMIT_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of `golang.org/x/mod/sumdb/note`.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\
        \n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_go_verifies() {
        let keys = VerifyingKeys::from(VerifyingKey::parse(GO_KEY).unwrap());
        let note = Note::parse(GO_NOTE).unwrap();
        let (text, signer) = note.verify(&keys).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert_eq!(signer.name(), "PeterNeumann");
    }

    #[test]
    fn a098_a_changed_note_does_not_verify() {
        let keys = VerifyingKeys::from(VerifyingKey::parse(GO_KEY).unwrap());
        for at in 0..GO_NOTE.len() {
            let mut bytes = GO_NOTE.as_bytes().to_vec();
            bytes[at] ^= 0x01;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verified =
                Note::parse(&changed).and_then(|note| note.verify(&keys).map(|(text, _)| text.len()));
            assert!(verified.is_err(), "byte {at} may be changed");
        }
    }

    #[test]
    fn unknown_signatures_are_passed_over_and_do_not_count() {
        let key = SigningKey::generate().unwrap();
        let keys = VerifyingKeys::from(key.verifying_key("log.example/a"));
        let ours = sign("text\n", "log.example/a", &key);
        let theirs = sign("text\n", "witness.example", &SigningKey::generate().unwrap());
        let witness = theirs.rsplit_once("\n\n").unwrap().1;
        let both = format!("{ours}{witness}");
        assert!(Note::parse(&both).unwrap().verify(&keys).is_ok());
        assert_eq!(Note::parse(&theirs).unwrap().verify(&keys).unwrap_err(), NoteError::UnknownKey);
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        for text in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} a b\n",
            "text\n\n- a AAAAAAAA\n",
            "a\tb\n\n\u{2014} a AAAAAAAA\n",
        ] {
            assert_eq!(Note::parse(text).unwrap_err(), NoteError::Malformed, "{text:?}");
        }
    }
}
