//! Checkpoints: the size and root of the tree, signed, as <https://c2sp.org/tlog-checkpoint> writes them.
//!
//! The log's directory holds every checkpoint in `checkpoints`, oldest first, with an empty line after
//! each, and the latest one alone in `checkpoint`. Copy that one file to a place that the gateway's host can
//! not write to, and no later change of what it covers stays unseen.

use std::{
    fs,
    io::{self, BufRead, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatewright_model::digest::Digest;

use crate::{
    key::{SigningKey, VerifyingKeys},
    note::{self, DASH, NOTE_LIMIT_BYTES, Note, NoteError},
    tree::Hash,
};

/// The file with every checkpoint.
pub(crate) const ALL: &str = "checkpoints";

/// The file with the latest checkpoint.
pub(crate) const LATEST: &str = "checkpoint";

/// What the log's key vouches for: its first `size` records have this tree root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many records; as sequences begin with 1, also the last sequence that is covered.
    pub size: u64,
    /// The root of their Merkle tree (RFC 6962).
    pub root: Digest,
}

impl Checkpoint {
    pub(crate) fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.into(), size, root: Digest::new(root) }
    }

    pub(crate) fn sign(&self, key: &SigningKey) -> String {
        let text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()));
        note::sign(&text, &self.origin, key)
    }

    /// Reads a checkpoint and verifies that one of `keys` signed it in the name of its origin.
    ///
    /// # Errors
    ///
    /// It is not a checkpoint, or not one of these keys'.
    pub fn open(note: &str, keys: &VerifyingKeys) -> Result<Self, NoteError> {
        let (text, signer) = Note::parse(note)?.verify(keys)?;
        let checkpoint = Self::parse(text).ok_or(NoteError::Malformed)?;
        // A key may vouch for its own log only, even where it is known under several names.
        if signer.name() != checkpoint.origin { Err(NoteError::UnknownKey) } else { Ok(checkpoint) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let root: Hash = STANDARD.decode(root).ok()?.try_into().ok()?;
        // Extension lines are allowed and mean nothing to us; empty ones are not allowed.
        let canonical =
            !origin.is_empty() && number.to_string() == size && lines.all(|line| !line.is_empty());
        canonical.then(|| Self::new(origin, number, root))
    }
}

/// Reads the notes of a `checkpoints` file one by one, in constant memory.
pub(crate) struct Notes<R> {
    reader: R,
    /// The line at which the last note began, from 1.
    pub(crate) line: u64,
    next_line: u64,
}

impl<R: BufRead> Notes<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader, line: 0, next_line: 1 }
    }

    /// The next note and whether it is complete. What follows the last complete note is what a crash left.
    pub(crate) fn next_note(&mut self) -> io::Result<Option<(String, bool)>> {
        let mut note = Vec::new();
        let mut signed = false;
        self.line = self.next_line;
        loop {
            let start = note.len();
            let limit = (NOTE_LIMIT_BYTES - start.min(NOTE_LIMIT_BYTES)) as u64;
            let read = (&mut self.reader).take(limit).read_until(b'\n', &mut note)?;
            let line = note.get(start..).unwrap_or_default();
            if read == 0 {
                let text = String::from_utf8_lossy(&note).into_owned();
                return Ok((!text.is_empty()).then_some((text, false)));
            }
            self.next_line += 1;
            if line == b"\n" && signed {
                note.truncate(start);
                return Ok(Some((String::from_utf8_lossy(&note).into_owned(), true)));
            }
            signed |= line.starts_with(DASH.as_bytes()) && line.ends_with(b"\n");
        }
    }
}

/// The end of a `checkpoints` file: the last complete note, and how many bytes the file may keep.
pub(crate) fn last_note(path: &Path) -> io::Result<(Option<String>, u64)> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, 0)),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * NOTE_LIMIT_BYTES as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(2 * NOTE_LIMIT_BYTES as u64).read_to_end(&mut tail)?;

    // A note is complete where an empty line follows its signatures.
    let ends = (0..tail.len())
        .rev()
        .filter(|end| tail.get(..*end + 1).is_some_and(|head| head.ends_with(b"\n\n")));
    let mut complete = ends.map(|end| end + 1).filter(|end| last_line_is_signature(tail.get(..*end)));
    let Some(end) = complete.next() else { return Ok((None, start)) };
    let begin = complete.next().unwrap_or(0);
    let note = tail.get(begin..end - 1).map(|note| String::from_utf8_lossy(note).into_owned());
    Ok((note, start + end as u64))
}

fn last_line_is_signature(head: Option<&[u8]>) -> bool {
    let lines = head.and_then(|head| head.strip_suffix(b"\n\n"));
    let line = lines.and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
    line.is_some_and(|line| line.starts_with(DASH.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{VerifyingKey, tree::Tree, tree::leaf_hash};

    /// Made with Python's `hashlib` and `cryptography`: the private key `00 01 .. 1f`, and the checkpoint it
    /// signs for three lines.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
        -----END PRIVATE KEY-----\n";
    const VERIFIER: &str =
        "gatewright.example/vector+048ae12c+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    const LINES: [&[u8]; 3] = [b"{\"a\":1}", b"{\"b\":2}", b"{\"c\":3}"];
    const NOTE: &str = "gatewright.example/vector\n3\nFaeAyGKD1CyME604W/lnlPK2G+zyLO/wjQJV4FUch48=\n\n\
        \u{2014} gatewright.example/vector BIrhLJ+qB6/+wGC7Eo+UeYw3PAWUH4P66OE17OSDAm6EailXhiu65f7ENAPudzmthRsSkR3a5c/3g6sDQKameTqClQQ=\n";

    #[test]
    fn a_checkpoint_is_what_another_program_makes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, PEM).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = SigningKey::load(&path).unwrap();
        assert_eq!(key.verifying_key("gatewright.example/vector").to_string(), VERIFIER);

        let mut tree = Tree::default();
        LINES.iter().for_each(|line| tree.push(leaf_hash(line)));
        let checkpoint = Checkpoint::new("gatewright.example/vector", tree.size(), tree.root());
        assert_eq!(checkpoint.sign(&key), NOTE);
        let keys = VerifyingKeys::from(VerifyingKey::parse(VERIFIER).unwrap());
        assert_eq!(Checkpoint::open(NOTE, &keys), Ok(checkpoint));
    }

    #[test]
    fn texts_that_are_no_checkpoint_are_refused() {
        let root = STANDARD.encode([7; 32]);
        let good = format!("a/b\n12\n{root}\n");
        assert!(Checkpoint::parse(&good).is_some());
        assert!(Checkpoint::parse(&format!("{good}extension\n")).is_some());
        for text in [
            format!("a/b\n012\n{root}\n"),
            format!("a/b\n+12\n{root}\n"),
            format!("\n12\n{root}\n"),
            format!("a/b\n12\n{root}"),
            format!("{good}\n"),
            "a/b\n12\nAAAA\n".to_owned(),
            "a/b\n12\n".to_owned(),
        ] {
            assert_eq!(Checkpoint::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_may_vouch_for_its_own_log_only() {
        let key = SigningKey::generate().unwrap();
        let other = Checkpoint::new("log.example/other", 1, [0; 32]);
        let text = format!("{}\n1\n{}\n", other.origin, STANDARD.encode([0; 32]));
        let note = note::sign(&text, "log.example/own", &key);
        let keys = VerifyingKeys::from(key.verifying_key("log.example/own"));
        assert_eq!(Checkpoint::open(&note, &keys), Err(NoteError::UnknownKey));
    }
}
