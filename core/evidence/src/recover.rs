//! Opening a log that another process left behind.
//!
//! Only the end is read: from the segment in which the latest checkpoint lies. Its first line repeats the
//! tree of everything before it, and the signed root proves that line. Of the segments before, only the
//! joints are looked at; `verify` reads them all.
//!
//! | what is found | what is done |
//! |---|---|
//! | all in order | go on in the last segment |
//! | the last line is torn: no newline, not JSON, or it does not follow | cut it off into a side file, go on |
//! | changed lines, whose true hashes their successors and the signed root prove | go on in a new segment; alarm |
//! | more than one line after the latest checkpoint is not in order (a power cut lost pages) | move all from there to a side file, go on behind the last good record in a new segment; alarm |
//! | an earlier segment is missing or does not join | go on; alarm |
//! | less, or something else, than was signed | refuse to open: going on would sign a fork |
//!
//! A segment in which something was changed is never appended to (threats F34), and nothing is deleted.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    checkpoint::{self, Checkpoint},
    key::{KeyError, VerifyingKeys},
    line::{self, Head, LINE_LIMIT_BYTES, NO_PREVIOUS},
    segment::{Header, Segment, file_name},
    tree::{Hash, Tree, leaf_hash},
    walk::{Place, Problem, Walk},
};

/// How a log was found when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The sequence of the last record that was kept.
    pub records: u64,
    /// Bytes that were cut off the end, and the file that has them now.
    pub cut: Option<Cut>,
    /// What no crash explains: for an operator to look at now. The log goes on.
    pub alarm: Option<String>,
    /// Each thing that the alarm is about, as far as it has a name.
    pub problems: Vec<Problem>,
}

/// Bytes that were cut off the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// How many.
    pub bytes: u64,
    /// Where they are kept.
    pub kept_in: PathBuf,
}

/// Why a log can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file can not be read or written.
    #[error("can not use `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("another process writes the log in `{}`: two gateways need two directories", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The origin can not be one.
    #[error(transparent)]
    Origin(KeyError),
    /// The checkpoints are of another log or another key.
    #[error("no checkpoint in `{}` is signed by the key of `{origin}`: give the right key and origin, or name the former key", directory.display())]
    OtherKey {
        /// The directory.
        directory: PathBuf,
        /// The origin that was looked for.
        origin: String,
    },
    /// Records that were signed are not there.
    #[error("the log in `{}` ends with record {records}, but {signed} were signed: {REMEDY}", directory.display())]
    Cut {
        /// The directory.
        directory: PathBuf,
        /// How many there are.
        records: u64,
        /// How many were signed.
        signed: u64,
    },
    /// Records are not those that were signed.
    #[error("the log in `{}` is not what was signed, first at {place}: {REMEDY}", directory.display())]
    Changed {
        /// The directory.
        directory: PathBuf,
        /// The first thing that is wrong.
        place: String,
    },
}

const REMEDY: &str = "keep the directory as it is, find out who changed it with `gatewright evidence verify`, \
    and begin a new log in an empty directory with another origin";

/// Where to go on.
pub(crate) struct Start {
    pub(crate) next: u64,
    pub(crate) previous: Hash,
    pub(crate) tree: Tree,
    /// The segment to append to and its length. None: begin a new one.
    pub(crate) segment: Option<(Segment, u64)>,
    /// When the last record was written.
    pub(crate) last_time: Option<SystemTime>,
    /// How many records the latest checkpoint covers.
    pub(crate) signed: u64,
    pub(crate) recovery: Recovery,
}

/// Reads the end of the log in `directory`, repairs what a crash explains, and says where to go on.
pub(crate) fn recover(directory: &Path, origin: &str, keys: &VerifyingKeys) -> Result<Start, OpenError> {
    let mut segments = Segment::list(directory).map_err(failed(directory))?;
    let latest = latest_checkpoint(directory, origin, keys)?;
    remove_empty_end(&mut segments)?;
    let short = Strict::begin(origin, &segments, latest.as_ref()).map_err(failed(directory))?;
    if short.first_segment == 0 {
        return recover_from(short, directory);
    }
    match recover_from(short, directory) {
        // The line that repeats the tree may itself be what was changed: nothing is refused before all was read.
        Err(OpenError::Changed { .. }) => {
            recover_from(Strict::at(origin, &segments, latest.as_ref(), 0, Begin::of_log()), directory)
        }
        other => other,
    }
}

fn recover_from(mut strict: Strict<'_>, directory: &Path) -> Result<Start, OpenError> {
    let segments = strict.segments;
    let signed = strict.latest.map_or(0, |latest| latest.size);
    strict.read().map_err(failed(directory))?;
    if strict.contradicts_signature {
        return Err(changed(directory, format!("record {signed} or before")));
    }
    let joints = broken_joints(segments.get(..=strict.first_segment).unwrap_or_default());
    let mut recovery = Recovery { records: strict.good, ..Recovery::default() };
    if let Some(joint) = joints.map_err(failed(directory))? {
        recovery.alarm = Some(format!("{joint}: see `gatewright evidence verify`"));
    } else if strict.latest.is_none() && strict.good > 1 {
        recovery.alarm = Some("the log has records and no checkpoint".into());
    }

    let mut end = segments.last().cloned();
    match strict.deviation.take() {
        None if strict.good < signed => return Err(cut(directory, strict.good, signed)),
        None => {}
        Some(deviation) if strict.good >= signed => {
            if !deviation.is_torn_end {
                let place = deviation.place(segments);
                recovery.alarm =
                    Some(format!("records after the latest checkpoint could not be read, from {place}"));
                end = None;
            }
            recovery.cut = Some(keep_aside(segments, &deviation)?);
        }
        Some(deviation) => return go_on_behind_damage(directory, segments, &strict, &deviation, recovery),
    }
    Ok(Start {
        next: strict.good + 1,
        previous: strict.leaf,
        tree: strict.tree,
        segment: end.map(|segment| (segment, strict.good_bytes)).filter(|(_, bytes)| *bytes > 0),
        last_time: strict.last_time,
        signed,
        recovery,
    })
}

/// Something that was signed is not as it was. Goes on if the signed root proves the hashes of all that was
/// changed: then the chain is whole, and what was changed stays where it is, for everybody to see.
fn go_on_behind_damage(
    directory: &Path,
    segments: &[Segment],
    strict: &Strict<'_>,
    deviation: &Deviation,
    mut recovery: Recovery,
) -> Result<Start, OpenError> {
    let Begin { next, previous, tree } = &strict.begin;
    let mut walk = Walk::new(strict.origin, *next, Some(*previous), tree.clone());
    let mut proved = false;
    let mut compare = |size, tree: Option<&Tree>| {
        let Some(latest) = strict.latest.filter(|latest| latest.size == size) else { return true };
        proved = tree.is_some_and(|tree| tree.root() == *latest.root.as_bytes());
        proved
    };
    let mut torn = None;
    for (at, segment) in segments.iter().enumerate().skip(strict.first_segment) {
        let mut lines = segment.lines().map_err(failed(&segment.path))?;
        let file: Arc<str> = segment.name().into();
        loop {
            let (offset, number) = (lines.end, lines.number + 1);
            let Some(line) = lines.next_line().map_err(failed(&segment.path))? else { break };
            if !line.ended && !line.oversized && at + 1 == segments.len() {
                torn = Some(Deviation { segment: at, offset, line: number, is_torn_end: true });
                continue;
            }
            walk.handle_line(Place { file: Arc::clone(&file), line: number }, &line, &mut compare);
        }
    }
    walk.handle_end(&mut compare);
    recovery.problems = std::mem::take(&mut walk.problems.listed);
    let first = recovery.problems.first().map_or_else(|| deviation.place(segments), ToString::to_string);
    let next = walk.expected();
    let Some((previous, tree)) = walk.head().filter(|_| proved) else {
        return Err(changed(directory, first));
    };
    if let Some(torn) = torn {
        recovery.cut = Some(keep_aside(segments, &torn)?);
    }
    recovery.records = next - 1;
    recovery.alarm = Some(format!("{first}: see `gatewright evidence verify`"));
    let signed = strict.latest.map_or(0, |latest| latest.size);
    Ok(Start { next, previous, tree, segment: None, last_time: strict.last_time, signed, recovery })
}

/// The latest checkpoint that the log's key signed.
fn latest_checkpoint(
    directory: &Path,
    origin: &str,
    keys: &VerifyingKeys,
) -> Result<Option<Checkpoint>, OpenError> {
    let (latest_path, all_path) = (directory.join(checkpoint::LATEST), directory.join(checkpoint::ALL));
    let latest = match fs::read_to_string(&latest_path) {
        Ok(note) => Some(note),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => None,
        Err(error) => return Err(failed(&latest_path)(error)),
    };
    let (last, whole) = checkpoint::last_note(&all_path).map_err(failed(&all_path))?;
    if let Ok(file) = OpenOptions::new().write(true).open(&all_path) {
        // A note that was torn by a crash is worth nothing; the next one must not be glued to it.
        file.set_len(whole).map_err(failed(&all_path))?;
    }
    let notes: Vec<_> = latest.into_iter().chain(last).collect();
    let opened = notes.iter().filter_map(|note| Checkpoint::open(note, keys).ok());
    let opened = opened.filter(|opened| opened.origin == origin).max_by_key(|opened| opened.size);
    if opened.is_none() && !notes.is_empty() {
        return Err(OpenError::OtherKey { directory: directory.into(), origin: origin.into() });
    }
    Ok(opened)
}

/// A last segment without a byte is one that a crash interrupted before its first line.
fn remove_empty_end(segments: &mut Vec<Segment>) -> Result<(), OpenError> {
    if let Some(last) = segments.last()
        && last.path.metadata().map_err(failed(&last.path))?.len() == 0
    {
        fs::remove_file(&last.path).map_err(failed(&last.path))?;
        segments.pop();
    }
    Ok(())
}

/// Reads lines for as long as each is exactly the one that must come next.
struct Strict<'a> {
    origin: &'a str,
    segments: &'a [Segment],
    latest: Option<&'a Checkpoint>,
    /// Where reading begins.
    begin: Begin,
    first_segment: usize,
    /// The last record that is in order, its hash, the tree up to it, and the end of its line in its segment.
    good: u64,
    leaf: Hash,
    tree: Tree,
    good_bytes: u64,
    last_time: Option<SystemTime>,
    /// The first line that is not in order.
    deviation: Option<Deviation>,
    contradicts_signature: bool,
}

struct Begin {
    next: u64,
    previous: Hash,
    tree: Tree,
}

impl Begin {
    /// Before the first record there is nothing to be believed.
    fn of_log() -> Self {
        Self { next: 1, previous: NO_PREVIOUS, tree: Tree::default() }
    }
}

/// A line that is not the one that must come next.
struct Deviation {
    segment: usize,
    offset: u64,
    line: u64,
    /// Is it the very last line of the log?
    is_torn_end: bool,
}

impl Deviation {
    fn place(&self, segments: &[Segment]) -> String {
        let name = segments.get(self.segment).map(Segment::name).unwrap_or_default();
        Place { file: name.into(), line: self.line }.to_string()
    }
}

impl<'a> Strict<'a> {
    /// Begins with the last segment whose tree is not larger than what was signed, if its first line can be
    /// read, else with one before.
    fn begin(origin: &'a str, segments: &'a [Segment], latest: Option<&'a Checkpoint>) -> io::Result<Self> {
        let mut begin = Begin::of_log();
        let mut first_segment = 0;
        for (at, segment) in segments.iter().enumerate().rev() {
            if latest.is_none_or(|latest| segment.first > latest.size) {
                continue;
            }
            let mut lines = segment.lines()?;
            let header = lines.next_line()?.filter(|line| line.ended).and_then(|line| {
                let (head, header_origin, tree) = Header::parse(line.bytes)?;
                let ours = header_origin == origin && head.sequence == segment.first;
                ours.then_some(Begin { next: head.sequence, previous: head.previous, tree })
            });
            if let Some(header) = header {
                begin = header;
                first_segment = at;
                break;
            }
        }
        Ok(Self::at(origin, segments, latest, first_segment, begin))
    }

    /// Begins with this segment and what is before it.
    fn at(
        origin: &'a str,
        segments: &'a [Segment],
        latest: Option<&'a Checkpoint>,
        first_segment: usize,
        begin: Begin,
    ) -> Self {
        Self {
            origin,
            segments,
            latest,
            first_segment,
            good: begin.next - 1,
            leaf: begin.previous,
            tree: begin.tree.clone(),
            begin,
            good_bytes: 0,
            last_time: None,
            deviation: None,
            contradicts_signature: false,
        }
    }

    fn read(&mut self) -> io::Result<()> {
        for (at, segment) in self.segments.iter().enumerate().skip(self.first_segment) {
            let mut lines = segment.lines()?;
            self.good_bytes = 0;
            loop {
                let (offset, number) = (lines.end, lines.number + 1);
                let Some(line) = lines.next_line()? else { break };
                let follows = line.ended && !line.oversized && self.follows(line.bytes, number == 1);
                if follows {
                    self.good_bytes = lines.end;
                    continue;
                }
                let last_segment = at + 1 == self.segments.len();
                let is_torn_end = lines.next_line()?.is_none() && last_segment;
                self.deviation = Some(Deviation { segment: at, offset, line: number, is_torn_end });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes in a line if it is the one that must come next.
    fn follows(&mut self, line: &[u8], is_first: bool) -> bool {
        let Some(head) = Head::parse(line) else { return false };
        if head.sequence != self.good + 1 || head.previous != self.leaf || !line::is_json(line) {
            return false;
        }
        if is_first {
            let header = Header::parse(line);
            if header.is_none_or(|(_, origin, tree)| origin != self.origin || tree != self.tree) {
                return false;
            }
        }
        self.last_time = head.at();
        self.good = head.sequence;
        self.leaf = leaf_hash(line);
        self.tree.push(self.leaf);
        if let Some(latest) = self.latest.filter(|latest| latest.size == self.good) {
            self.contradicts_signature = self.tree.root() != *latest.root.as_bytes();
        }
        true
    }
}

/// Moves everything from a deviation to the end of the log into a side file.
fn keep_aside(segments: &[Segment], deviation: &Deviation) -> Result<Cut, OpenError> {
    let mut behind: VecDeque<_> = segments.iter().skip(deviation.segment).collect();
    let Some(first) = behind.pop_front() else { return Ok(Cut { bytes: 0, kept_in: PathBuf::new() }) };
    let (kept_in, mut kept) = new_side_file(&first.path, deviation.offset)?;
    let mut file = File::open(&first.path).map_err(failed(&first.path))?;
    file.seek(SeekFrom::Start(deviation.offset)).map_err(failed(&first.path))?;
    let mut bytes = io::copy(&mut file, &mut kept).map_err(failed(&kept_in))?;
    for segment in &behind {
        let mut file = File::open(&segment.path).map_err(failed(&segment.path))?;
        bytes += io::copy(&mut file, &mut kept).map_err(failed(&kept_in))?;
    }
    kept.flush().and_then(|()| kept.sync_all()).map_err(failed(&kept_in))?;
    sync_parent(&kept_in)?;
    // Only now that the copy is safe: cut, last file first, so that a crash in between leaves a longer log.
    while let Some(segment) = behind.pop_back() {
        fs::remove_file(&segment.path).map_err(failed(&segment.path))?;
    }
    let file = OpenOptions::new().write(true).open(&first.path).map_err(failed(&first.path))?;
    file.set_len(deviation.offset).and_then(|()| file.sync_all()).map_err(failed(&first.path))?;
    if deviation.offset == 0 {
        fs::remove_file(&first.path).map_err(failed(&first.path))?;
    }
    sync_parent(&kept_in)?;
    Ok(Cut { bytes, kept_in })
}

fn new_side_file(segment: &Path, offset: u64) -> Result<(PathBuf, File), OpenError> {
    let mut attempt = 0u32;
    loop {
        let path = segment.with_extension(format!("cut-{offset}-{attempt}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(failed(&path)(error)),
        }
    }
}

fn sync_parent(path: &Path) -> Result<(), OpenError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed(parent))
}

/// The first place where a segment does not begin with what its predecessor ended with.
fn broken_joints(segments: &[Segment]) -> io::Result<Option<String>> {
    let mut expected = (1, NO_PREVIOUS);
    for (at, segment) in segments.iter().enumerate() {
        let mut lines = segment.lines()?;
        let first = lines.next_line()?;
        let head =
            first.and_then(|line| Head::parse(line.bytes).map(|head| (head.sequence, head.previous)));
        if head != Some(expected) {
            return Ok(Some(format!("segment {} does not join the one before it", segment.name())));
        }
        if at + 1 == segments.len() {
            break;
        }
        let last = last_line(&segment.path)?;
        let Some(head) = Head::parse(&last) else {
            return Ok(Some(format!("segment {} does not end with a record", segment.name())));
        };
        expected = (head.sequence + 1, leaf_hash(&last));
    }
    Ok(None)
}

/// The last line of a file, without its newline.
fn last_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut span = 64 * 1024;
    loop {
        let start = length.saturating_sub(span);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        BufReader::new(&file).take(span).read_to_end(&mut tail)?;
        if tail.last() == Some(&b'\n') {
            tail.pop();
        }
        let newline = tail.iter().rposition(|byte| *byte == b'\n');
        if let Some(newline) = newline {
            return Ok(tail.split_off(newline + 1));
        }
        if start == 0 || span > LINE_LIMIT_BYTES as u64 {
            return Ok(tail);
        }
        span *= 16;
    }
}

fn cut(directory: &Path, records: u64, signed: u64) -> OpenError {
    OpenError::Cut { directory: directory.into(), records, signed }
}

fn changed(directory: &Path, place: String) -> OpenError {
    OpenError::Changed { directory: directory.into(), place }
}

pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.into(), source }
}

impl Cut {
    /// The name that the record of the recovery has for the file.
    pub(crate) fn file_name(&self) -> String {
        file_name(&self.kept_in)
    }
}
