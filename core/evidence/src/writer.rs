//! The writing end of the log: everything that one short lock guards.

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    disk::{Disk, DiskFile},
    line::{self, LINE_LIMIT_BYTES},
    log::{AppendError, Fault, Health},
    segment::{Header, Segment},
    time::TimeText,
    tree::{Hash, Tree, leaf_hash},
};

/// The end of the chain and the file it is in.
///
/// A record is part of the chain as soon as its hash is in `previous` and `tree`; and whatever is part of the
/// chain is in the file or in `pending`, in this order. A line that could not be written is taken back
/// before anybody learns its sequence.
pub(crate) struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) origin: Arc<str>,
    pub(crate) segment_bytes: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Length of the file, without what a failed write may have left behind it.
    pub(crate) file_bytes: u64,
    /// Lines that are chained and not written yet.
    pub(crate) pending: Vec<u8>,
    /// The sequence of the next record.
    pub(crate) next: u64,
    pub(crate) previous: Hash,
    pub(crate) tree: Tree,
    /// The last sequence that is in a file.
    pub(crate) written: u64,
    /// Files that are full and not synced yet.
    pub(crate) retired: Vec<Arc<dyn DiskFile>>,
    pub(crate) health: Health,
    /// Records that were refused since the disk is full.
    pub(crate) refused: u64,
    pub(crate) time: TimeText,
}

/// When a chained record must be in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before `append` returns.
    Now,
    /// With the next one that must be, or at the next sync.
    Soon,
}

/// What one sync has to cover.
pub(crate) struct Batch {
    pub(crate) files: Vec<Arc<dyn DiskFile>>,
    /// A file was created since the last batch: its name must be synced as well, and what is in the files
    /// before should be signed, so that a later start needs to read only the last.
    pub(crate) begins_segment: bool,
    pub(crate) last: u64,
    /// The root of everything up to `last`. None while lines could not be written.
    pub(crate) root: Option<Hash>,
}

impl Writer {
    /// Chains a record and, `Now`, writes it. `fields` is the record as a JSON object.
    pub(crate) fn append(&mut self, at: SystemTime, fields: &[u8], when: When) -> Result<u64, AppendError> {
        if let Err(error) = self.check_health() {
            self.refused += 1;
            return Err(error);
        }
        self.chain(at, fields, when).inspect_err(|_| self.refused += 1)
    }

    /// Writes a record although the disk was full a moment ago: if that works, it has room again.
    pub(crate) fn resume(&mut self, at: SystemTime, fields: &[u8]) -> Result<u64, AppendError> {
        self.health = Health::Healthy;
        let sequence = self.chain(at, fields, When::Now)?;
        self.refused = 0;
        Ok(sequence)
    }

    fn chain(&mut self, at: SystemTime, fields: &[u8], when: When) -> Result<u64, AppendError> {
        let bytes = fields.len() + LINE_OVERHEAD_BYTES;
        if bytes > LINE_LIMIT_BYTES {
            return Err(AppendError::TooLong { bytes });
        }
        if self.file_bytes + (self.pending.len() + bytes) as u64 > self.segment_bytes {
            self.begin_segment(at)?;
        }
        self.chain_line(at, fields, when)
    }

    fn chain_line(&mut self, at: SystemTime, fields: &[u8], when: When) -> Result<u64, AppendError> {
        let before = self.pending.len();
        let time = self.time.format(at);
        line::append_line(&mut self.pending, self.next, time, &self.previous, fields)
            .ok_or(AppendError::NotARecord)?;
        let line = self.pending.get(before..self.pending.len() - 1).unwrap_or_default();
        let leaf = leaf_hash(line);
        if when == When::Now || self.pending.len() > PENDING_LIMIT_BYTES {
            self.write(self.next, before)?;
        }
        let sequence = self.next;
        self.next += 1;
        self.previous = leaf;
        self.tree.push(leaf);
        Ok(sequence)
    }

    /// Writes what is chained and not written yet.
    pub(crate) fn flush(&mut self) -> Result<(), AppendError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.check_health()?;
        self.write(self.next - 1, self.pending.len())
    }

    /// Writes all of `pending`, the last line of which is record `last`. If that fails, what stands behind
    /// `keep` in `pending` was never there.
    fn write(&mut self, last: u64, keep: usize) -> Result<(), AppendError> {
        match self.file.append(&self.pending) {
            Ok(()) => {
                self.file_bytes += self.pending.len() as u64;
                self.pending.clear();
                self.pending.shrink_to(PENDING_LIMIT_BYTES);
                self.written = last;
                Ok(())
            }
            Err(error) => {
                self.pending.truncate(keep);
                // A part of it may be in the file. It must not stay there: the next line would be glued to it.
                let cut = self.file.truncate(self.file_bytes);
                Err(self.fail(&cut.err().unwrap_or(error)))
            }
        }
    }

    /// Begins a new segment. Its first line repeats the tree.
    pub(crate) fn begin_segment(&mut self, at: SystemTime) -> Result<(), AppendError> {
        self.flush()?;
        let segment = Segment::new(&self.directory, self.next);
        let file = self.disk.open(&segment.path, true).map_err(|error| self.fail(&error))?;
        let full = std::mem::replace(&mut self.file, file);
        let full_bytes = std::mem::take(&mut self.file_bytes);
        if let Err(error) = self.begin_file(at) {
            // Stay with the segment that is too full, so that the log can go on when there is room again.
            self.file = full;
            self.file_bytes = full_bytes;
            let removed = self.disk.remove(&segment.path);
            return Err(removed.err().map_or(error, |error| self.fail(&error)));
        }
        self.retired.push(full);
        Ok(())
    }

    /// Writes the first line of a file.
    pub(crate) fn begin_file(&mut self, at: SystemTime) -> Result<(), AppendError> {
        let mut fields = Vec::new();
        let header = Header::new(&self.origin, &self.tree);
        line::encode_fields(&header, &mut fields).map_err(|_| AppendError::NotARecord)?;
        self.chain_line(at, &fields, When::Now).map(|_| ())
    }

    /// What a sync has to cover now.
    pub(crate) fn take_batch(&mut self) -> Batch {
        let begins_segment = !self.retired.is_empty();
        let mut files = std::mem::take(&mut self.retired);
        files.push(Arc::clone(&self.file));
        let complete = self.tree.size() == self.written;
        Batch { files, begins_segment, last: self.written, root: complete.then(|| self.tree.root()) }
    }

    pub(crate) fn check_health(&self) -> Result<(), AppendError> {
        match &self.health {
            Health::Healthy => Ok(()),
            Health::Full => Err(AppendError::Full),
            Health::Broken(fault) => Err(AppendError::Broken(fault.clone())),
            Health::Slow => Err(AppendError::Slow),
            Health::Closed => Err(AppendError::Closed),
        }
    }

    /// A full disk may have room again. After any other error nobody can say what the file holds, so nothing
    /// is written to it again before it was read anew, by the next start.
    fn fail(&mut self, error: &io::Error) -> AppendError {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        self.health = if full { Health::Full } else { Health::Broken(Fault::from(error)) };
        match &self.health {
            Health::Broken(fault) => AppendError::Broken(fault.clone()),
            _ => AppendError::Full,
        }
    }
}

/// Lines that are written with the next one are at most so many bytes; more are written at once.
const PENDING_LIMIT_BYTES: usize = 256 * 1024;

/// What the log adds to the fields of a record, at most.
const LINE_OVERHEAD_BYTES: usize = 160;
