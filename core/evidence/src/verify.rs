//! The offline verifier: reads a log's directory and public keys, and nothing of the gateway.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    checkpoint::{self, Checkpoint, Notes},
    key::VerifyingKeys,
    line::NO_PREVIOUS,
    note::{NOTE_LIMIT_BYTES, NoteError},
    segment::Segment,
    tree::Tree,
    walk::{Place, Problem, ProblemKind, Problems, Walk},
};

/// Verifies the log in `directory`, of which one of `keys` signed the checkpoints.
///
/// [`Verifier`] takes more: a checkpoint that was kept elsewhere, and somebody who watches the progress.
///
/// # Errors
///
/// The directory or a file of it can not be read. Whatever is wrong with what was read is in the report.
pub fn verify(directory: &Path, keys: &VerifyingKeys) -> Result<Report, VerifyError> {
    Verifier::new(directory, keys).run()
}

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The sequence of the last record; as they begin with 1, also how many there should be.
    pub records: u64,
    /// How many files they are in.
    pub segments: usize,
    /// How many checkpoints fit what is there.
    pub checkpoints: u64,
    /// Up to which record a checkpoint covers them. What comes after is held by the chain alone: whoever can
    /// write to the directory could have cut it off, or have written it anew.
    pub covered: u64,
    /// Up to which record the checkpoint covers them that was kept elsewhere, if one was given and fits.
    pub covered_externally: Option<u64>,
    /// Bytes after the last whole line. A crash leaves them; they were never acknowledged.
    pub torn_bytes: u64,
    /// What is wrong. Empty: nothing.
    pub problems: Vec<Problem>,
    /// Problems beyond those that are listed.
    pub omitted: u64,
}

impl Report {
    /// Is nothing wrong?
    pub const fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }

    /// The records that no checkpoint covers yet.
    pub fn tail(&self) -> Option<RangeInclusive<u64>> {
        (self.covered < self.records).then_some(self.covered + 1..=self.records)
    }
}

/// How far the verifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that are there.
    pub total_bytes: u64,
    /// Lines that were read.
    pub lines: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file can not be read.
    #[error("can not read `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no log.
    #[error("there is no log in `{}`: give the directory that holds its `*.jsonl` files", directory.display())]
    NoLog {
        /// The directory.
        directory: PathBuf,
    },
    /// No key was given.
    #[error("no verifier key was given: without one anybody could have signed the checkpoints")]
    NoKey,
    /// The checkpoint that was kept elsewhere is none of this log's.
    #[error("the checkpoint to compare with is not one of this log's: {0}")]
    External(NoteError),
}

/// A verification that is being set up.
pub struct Verifier<'a> {
    directory: &'a Path,
    keys: &'a VerifyingKeys,
    external: Option<&'a str>,
    progress: Option<&'a mut dyn FnMut(Progress)>,
}

impl<'a> Verifier<'a> {
    /// For the log in `directory`, of which one of `keys` signed the checkpoints.
    pub const fn new(directory: &'a Path, keys: &'a VerifyingKeys) -> Self {
        Self { directory, keys, external: None, progress: None }
    }

    /// Compares with a checkpoint (the text of its note) that was kept where the gateway's host can not write.
    /// So even a log that was rolled back, cut or forked together with its checkpoints is found out.
    #[must_use]
    pub const fn against(mut self, note: &'a str) -> Self {
        self.external = Some(note);
        self
    }

    /// Tells `watcher` now and then how far it is.
    #[must_use]
    pub fn on_progress(mut self, watcher: &'a mut dyn FnMut(Progress)) -> Self {
        self.progress = Some(watcher);
        self
    }

    /// Reads everything once, in memory that does not grow with the log.
    ///
    /// # Errors
    ///
    /// See [`verify`]; and the checkpoint that was kept elsewhere is not signed by these keys.
    pub fn run(mut self) -> Result<Report, VerifyError> {
        // Checkpoints first, segments after: so a log that is being written meanwhile has at least the
        // records that its checkpoints cover.
        let mut signed = Signed::read(self.directory, self.keys, self.external)?;
        let segments = Segment::list(self.directory).map_err(failed(self.directory))?;
        if segments.is_empty() {
            return Err(VerifyError::NoLog { directory: self.directory.into() });
        }
        let mut walk = Walk::new(&signed.origin, 1, Some(NO_PREVIOUS), Tree::default());
        let torn_bytes = self.walk_segments(&segments, &mut walk, &mut signed)?;
        let records = walk.expected() - 1;
        signed.handle_end(records);

        let mut problems = walk.problems.listed;
        problems.append(&mut signed.problems.listed);
        problems.sort_by_key(|problem| (problem.first, problem.last));
        Ok(Report {
            records,
            segments: segments.len(),
            checkpoints: signed.fitting,
            covered: signed.covered,
            covered_externally: signed.covered_externally,
            torn_bytes,
            problems,
            omitted: walk.problems.omitted + signed.problems.omitted,
        })
    }

    fn walk_segments(
        &mut self,
        segments: &[Segment],
        walk: &mut Walk,
        signed: &mut Signed,
    ) -> Result<u64, VerifyError> {
        let length = |segment: &Segment| {
            segment.path.metadata().map(|file| file.len()).map_err(failed(&segment.path))
        };
        let total_bytes = segments.iter().map(length).sum::<Result<u64, _>>()?;
        let mut progress = Progress { bytes: 0, total_bytes, lines: 0 };
        let mut torn_bytes = 0;
        let mut compare = |size, tree: Option<&Tree>| signed.compare(size, tree);
        for (at, segment) in segments.iter().enumerate() {
            let file: Arc<str> = segment.name().into();
            let mut lines = segment.lines().map_err(failed(&segment.path))?;
            let before = progress.bytes;
            loop {
                let number = lines.number + 1;
                let Some(line) = lines.next_line().map_err(failed(&segment.path))? else { break };
                if !line.ended && !line.oversized && at + 1 == segments.len() {
                    torn_bytes = line.bytes.len() as u64;
                    continue;
                }
                walk.handle_line(Place { file: Arc::clone(&file), line: number }, &line, &mut compare);
                progress.lines += 1;
                if progress.lines.is_multiple_of(PROGRESS_LINES) {
                    progress.bytes = before + lines.end;
                    self.progress.iter_mut().for_each(|watcher| watcher(progress));
                }
            }
            progress.bytes = before + lines.end;
            self.progress.iter_mut().for_each(|watcher| watcher(progress));
        }
        walk.handle_end(&mut compare);
        Ok(torn_bytes)
    }
}

/// What was signed: every checkpoint, in the order of their sizes, compared as the tree grows.
struct Signed {
    origin: String,
    keys: VerifyingKeys,
    notes: Option<Notes<Box<dyn BufRead>>>,
    /// The next one of the list of all.
    upcoming: Option<Checkpoint>,
    /// The one that was kept elsewhere, until its size comes.
    external: Option<Checkpoint>,
    /// The one in `checkpoint`: it must be in the list of all, too.
    latest: Option<Checkpoint>,
    fitting: u64,
    covered: u64,
    covered_externally: Option<u64>,
    problems: Problems,
}

impl Signed {
    fn read(directory: &Path, keys: &VerifyingKeys, external: Option<&str>) -> Result<Self, VerifyError> {
        let origin = keys.origin().ok_or(VerifyError::NoKey)?.to_owned();
        let external = external.map(|note| Checkpoint::open(note, keys)).transpose();
        let external = external.map_err(VerifyError::External)?;
        if external.as_ref().is_some_and(|external| external.origin != origin) {
            return Err(VerifyError::External(NoteError::UnknownKey));
        }
        let mut problems = Problems::default();
        let latest_path = directory.join(checkpoint::LATEST);
        let latest = read_if_there(&latest_path)?.and_then(|note| {
            let opened = Checkpoint::open(&note, keys).ok().filter(|latest| latest.origin == origin);
            if opened.is_none() {
                let place = Place { file: checkpoint::LATEST.into(), line: 1 };
                problems.add(ProblemKind::BadCheckpoint, 0, 0, Some(place));
            }
            opened
        });
        let path = directory.join(checkpoint::ALL);
        let notes = match File::open(&path) {
            Ok(file) => {
                let length = file.metadata().map_err(failed(&path))?.len();
                Some(Notes::new(Box::new(BufReader::new(file.take(length))) as Box<dyn BufRead>))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(VerifyError::Io { path, source }),
        };
        let mut signed = Self {
            origin,
            keys: keys.clone(),
            notes,
            upcoming: None,
            external,
            latest,
            fitting: 0,
            covered: 0,
            covered_externally: None,
            problems,
        };
        signed.upcoming = signed.next_listed();
        Ok(signed)
    }

    /// The next checkpoint of the list of all that is what it should be.
    fn next_listed(&mut self) -> Option<Checkpoint> {
        loop {
            let notes = self.notes.as_mut()?;
            // A list that can not be read on has ended: what it covers is then missing, and that is said.
            let (note, complete) = notes.next_note().ok().flatten()?;
            if !complete {
                return None;
            }
            let place = Place { file: checkpoint::ALL.into(), line: notes.line };
            let opened = Checkpoint::open(&note, &self.keys).ok();
            if let Some(opened) = opened.filter(|opened| opened.origin == self.origin) {
                if self.latest.as_ref() == Some(&opened) {
                    self.latest = None;
                }
                return Some(opened);
            }
            self.problems.add(ProblemKind::BadCheckpoint, 0, 0, Some(place));
        }
    }

    /// The tree has `size` leaves now: does it have the root that was signed for that size, if one was?
    fn compare(&mut self, size: u64, tree: Option<&Tree>) -> bool {
        let mut fits = true;
        while let Some(listed) = self.upcoming.take_if(|listed| listed.size <= size) {
            fits &= self.compare_one(&listed, tree);
            self.fitting += u64::from(self.covered == listed.size);
            self.upcoming = self.next_listed();
        }
        if let Some(external) = self.external.take_if(|external| external.size <= size)
            && self.compare_one(&external, tree)
            && self.covered == external.size
        {
            self.covered_externally = Some(external.size);
        }
        fits
    }

    /// Is there no contradiction to this checkpoint?
    fn compare_one(&mut self, checkpoint: &Checkpoint, tree: Option<&Tree>) -> bool {
        match tree.filter(|tree| tree.size() == checkpoint.size) {
            Some(tree) if tree.root() == *checkpoint.root.as_bytes() => {
                self.covered = checkpoint.size;
                true
            }
            Some(_) => {
                self.note(ProblemKind::NotAsSigned, checkpoint.size);
                false
            }
            None => {
                self.note(ProblemKind::NotComparable, checkpoint.size);
                true
            }
        }
    }

    /// The log has ended: whatever was signed beyond it was cut off.
    fn handle_end(&mut self, records: u64) {
        let mut signed = self.external.take().map_or(0, |external| external.size);
        while let Some(listed) = self.upcoming.take() {
            signed = signed.max(listed.size);
            self.upcoming = self.next_listed();
        }
        if let Some(latest) = self.latest.take() {
            signed = signed.max(latest.size);
            self.problems.add(ProblemKind::MissingCheckpoint, latest.size, latest.size, None);
        }
        if signed > records {
            self.problems.add(ProblemKind::Missing, records + 1, signed, None);
        }
        if self.covered == 0 && records > 0 && self.problems.listed.is_empty() {
            self.note(ProblemKind::NotComparable, records);
        }
    }

    /// Notes that nothing after what is covered, up to `last`, fits; once for as long as that stays so.
    fn note(&mut self, kind: ProblemKind, last: u64) {
        use ProblemKind::{NotAsSigned, NotComparable};
        let first = (self.covered + 1).min(last);
        match self.problems.listed.last_mut() {
            // What comes after the first difference can not be compared any more: that is no second problem.
            Some(known) if matches!(known.kind, NotAsSigned | NotComparable) && known.first == first => {
                known.last = known.last.max(last);
            }
            _ => self.problems.add(kind, first, last, None),
        }
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, VerifyError> {
    let mut text = Vec::new();
    match File::open(path).and_then(|file| file.take(NOTE_LIMIT_BYTES as u64 + 1).read_to_end(&mut text)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VerifyError::Io { path: path.into(), source }),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> VerifyError {
    move |source| VerifyError::Io { path: path.into(), source }
}

/// Progress is told after so many lines, about a megabyte.
const PROGRESS_LINES: u64 = 1_000;
