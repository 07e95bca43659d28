//! What a client has opened, and what passed of it.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use gatewright_model::{
    digest::Digest,
    id::EventId,
    session::{Content, Outcome, OutcomeResult},
};
use sha2::{Digest as _, Sha256};

use super::{reply::status, request::Opens};

/// Things that a client may have open, at most.
const MOST_OPEN: usize = 1024;

/// Something that was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// With which event.
    pub(super) event: EventId,
    pub(super) path: Arc<str>,
    pub(super) opens: Opens,
    pub(super) read: Tally,
    pub(super) written: Tally,
    /// The first thing that the target could not do with it.
    trouble: Option<u32>,
}

/// Everything that is open, by the event that it was opened with: a handle may be another's once it is closed.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: HashMap<EventId, OpenFile>,
    handles: HashMap<Bytes, EventId>,
}

impl Files {
    pub(super) fn have_room(&self) -> bool {
        self.files.len() < MOST_OPEN
    }

    /// `false`: the target has given out a handle that is in use.
    pub(super) fn open(&mut self, handle: Bytes, file: OpenFile) -> bool {
        let event = file.event;
        self.files.insert(event, file);
        self.handles.insert(handle, event).is_none()
    }

    pub(super) fn find(&self, handle: &[u8]) -> Option<&OpenFile> {
        self.files.get(self.handles.get(handle)?)
    }

    pub(super) fn get(&mut self, event: EventId) -> Option<&mut OpenFile> {
        self.files.get_mut(&event)
    }

    /// The client closes it: nothing is done with this handle any more.
    pub(super) fn forget(&mut self, handle: &[u8]) {
        self.handles.remove(handle);
    }

    /// It is closed. What became of it.
    pub(super) fn close(&mut self, event: EventId, code: u32) -> Option<Outcome> {
        let mut file = self.files.remove(&event)?;
        file.note(code);
        let ended = ended(file.trouble.unwrap_or(status::OK));
        Some(Outcome { result: ended.result, code: ended.code, ..file.outcome(OutcomeResult::Unknown) })
    }

    /// All that is open, in the order of their events, when nothing is closed any more.
    pub(super) fn give_up(&mut self) -> Vec<(EventId, Outcome)> {
        let given_up = |(event, file): (EventId, OpenFile)| (event, file.outcome(OutcomeResult::Unknown));
        self.handles.clear();
        let mut all: Vec<_> = self.files.drain().map(given_up).collect();
        all.sort_unstable_by_key(|(event, _)| *event);
        all
    }
}

impl OpenFile {
    pub(super) fn new(event: EventId, path: Arc<str>, opens: Opens) -> Self {
        Self { event, path, opens, read: Tally::default(), written: Tally::default(), trouble: None }
    }

    /// The target has answered something that was done with it.
    pub(super) const fn note(&mut self, code: u32) {
        if self.trouble.is_none() && code != status::OK {
            self.trouble = Some(code);
        }
    }

    pub(super) const fn is_readable(&self) -> bool {
        matches!(self.opens, Opens::File { readable: true, .. })
    }

    pub(super) const fn is_writable(&self) -> bool {
        matches!(self.opens, Opens::File { writable: true, .. })
    }

    fn outcome(self, result: OutcomeResult) -> Outcome {
        let (is_readable, is_writable) = (self.is_readable(), self.is_writable());
        Outcome {
            result,
            read: is_readable.then(|| self.read.content()),
            written: is_writable.then(|| self.written.content()),
            ..Outcome::default()
        }
    }
}

/// How something ended that the target has answered with this status.
pub(super) fn ended(code: u32) -> Outcome {
    let word = status::word(code);
    let result = if word.is_none() { OutcomeResult::Ok } else { OutcomeResult::Error };
    Outcome { result, code: word.map(Arc::from), ..Outcome::default() }
}

/// Counts what passes in one direction.
#[derive(Debug)]
pub(super) struct Tally {
    /// What the other side has taken.
    taken: u64,
    /// Where the next piece begins, if each comes once and in its order.
    next: u64,
    /// None: they did not.
    hash: Option<Sha256>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { taken: 0, next: 0, hash: Some(Sha256::new()) }
    }
}

impl Tally {
    /// A content begins that belongs here in the file.
    pub(super) fn begin(&mut self, offset: u64) {
        if offset != self.next {
            self.spoil();
        }
    }

    /// A piece of it passes.
    pub(super) fn pass(&mut self, piece: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(piece);
            self.next += piece.len() as u64;
        }
    }

    /// So much of it has arrived.
    pub(super) const fn take(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(bytes);
    }

    /// The file gets this length: what passed is all of it, or not any more.
    pub(super) fn cut(&mut self, size: u64) {
        if size != self.next {
            self.spoil();
        }
    }

    /// What is in the file is not what passes here.
    pub(super) fn spoil(&mut self) {
        self.hash = None;
    }

    fn content(self) -> Content {
        let whole = self.next == self.taken;
        let digest = self.hash.filter(|_| whole).map(|hash| Digest::new(hash.finalize().into()));
        Content { bytes: self.taken, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[(u64, &[u8])], taken: u64) -> Content {
        let mut tally = Tally::default();
        for (offset, piece) in pieces {
            tally.begin(*offset);
            tally.pass(piece);
        }
        tally.take(taken);
        tally.content()
    }

    #[test]
    fn a_digest_is_of_all_that_passed_or_there_is_none() {
        let hello = of(&[(0, b"hel"), (3, b"lo")], 5);
        let expected = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!((hello.bytes, hello.digest.unwrap().to_string().as_str()), (5, expected));
        assert_eq!(of(&[(3, b"lo"), (0, b"hel")], 5).digest, None);
        assert_eq!(of(&[(0, b"hel"), (0, b"hel")], 6).digest, None);
        assert_eq!(of(&[(0, b"hel"), (4, b"o")], 4).digest, None);
        // Not all of it was taken.
        assert_eq!(of(&[(0, b"hel"), (3, b"lo")], 3), Content { bytes: 3, digest: None });
        assert!(of(&[], 0).digest.is_some());
    }
}
