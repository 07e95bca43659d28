//! Somebody with every right on the directory edits the log (threats A98): what is covered by a checkpoint
//! can not be changed, removed, added to or reordered unseen.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this file is a test"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gatewright_evidence::{
    Log, LogOptions, ProblemKind, Report, SigningKey, Verifier, VerifyError, VerifyingKeys, verify,
};
use gatewright_model::{audit::Record, id::SessionId};

const ORIGIN: &str = "gatewright.example/attacked";
const SEED: u64 = 98;
const EDITS: u64 = 6_000;

#[test]
fn a098_random_edits_of_signed_records_are_all_detected() {
    let log = Attacked::new(40);
    let mut random = Random(SEED);
    let mut kinds = BTreeSet::new();
    for edit in 0..EDITS {
        let (name, edited) = log.edit(&mut random);
        if edited == log.segments {
            continue;
        }
        log.write(&edited);
        let report = log.verify();
        assert!(!report.is_intact(), "edit {edit} ({name}) with seed {SEED} was not detected: {report:#?}");
        assert!(report.problems.iter().all(|problem| !problem.to_string().is_empty()));
        kinds.insert(name);
    }
    assert_eq!(kinds.len(), 9, "each kind of edit was tried: {kinds:?}");
}

#[test]
fn a098_every_flipped_byte_of_a_signed_record_is_named() {
    let log = Attacked::new(6);
    let (path, whole) = &log.segments[0];
    let mut line = 1;
    for (at, byte) in whole.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x04;
        fs::write(path, bytes).unwrap();
        let report = log.verify();
        let is_named =
            |record| report.problems.iter().any(|found| (found.first..=found.last).contains(&record));
        // Without its newline a record becomes one line with the next, and that may be the one that is missed.
        let named = is_named(line) || (*byte == b'\n' && is_named(line + 1));
        assert!(named, "byte {at} of record {line}: {report:#?}");
        line += u64::from(*byte == b'\n');
    }
}

#[test]
fn a098_a_changed_record_is_named_and_nothing_else() {
    let log = Attacked::new(12);
    for record in 2..=11 {
        log.write(&log.with_lines(|lines| lines[record - 1] = lines[record - 1].replace("code-", "xode-")));
        assert_eq!(log.named(), [(ProblemKind::Changed, record as u64, record as u64)]);
    }
}

#[test]
fn a098_a_missing_record_is_named_and_nothing_else() {
    let log = Attacked::new(12);
    for record in 2..=12 {
        log.write(&log.with_lines(|lines| drop(lines.remove(record - 1))));
        assert_eq!(log.named(), [(ProblemKind::Missing, record as u64, record as u64)]);
    }
}

#[test]
fn a098_several_missing_records_are_named() {
    let log = Attacked::new(12);
    log.write(&log.with_lines(|lines| drop(lines.drain(4..8))));
    let named = log.named();
    assert_eq!(named[0].0, ProblemKind::NotComparable);
    assert!(named.contains(&(ProblemKind::Missing, 5, 8)), "{named:?}");
}

#[test]
fn a098_swapped_records_are_named_and_nothing_else() {
    let log = Attacked::new(12);
    for (one, other) in [(3, 4), (3, 5), (2, 11)] {
        log.write(&log.with_lines(|lines| lines.swap(one - 1, other - 1)));
        let named: BTreeSet<_> = log.named().into_iter().map(|(_, first, last)| (first, last)).collect();
        let expected = if other - one == 1 { vec![other as u64] } else { vec![one as u64, other as u64] };
        assert_eq!(named, expected.into_iter().map(|record| (record, record)).collect());
    }
}

#[test]
fn a098_a_repeated_record_is_named_and_nothing_else() {
    let log = Attacked::new(12);
    for record in 2..=12 {
        log.write(&log.with_lines(|lines| lines.insert(record, lines[record - 1].clone())));
        assert_eq!(log.named(), [(ProblemKind::Repeated, record as u64, record as u64)]);
    }
}

#[test]
fn a098_a_line_that_is_put_in_is_named_and_nothing_else() {
    let log = Attacked::new(12);
    log.write(&log.with_lines(|lines| lines.insert(5, "{\"seq\":99}".into())));
    assert_eq!(log.named(), [(ProblemKind::Foreign, 6, 6)]);
}

#[test]
fn a098_a_cut_tail_is_detected_up_to_the_checkpoint() {
    let log = Attacked::new(12);
    for kept in 1..13 {
        log.write(&log.with_lines(|lines| lines.truncate(kept)));
        assert_eq!(log.named(), [(ProblemKind::Missing, kept as u64 + 1, 13)]);
    }
}

/// The chain after the last checkpoint can be cut unseen, and the report says from where on.
#[test]
fn a098_what_no_checkpoint_covers_is_said() {
    let log = Attacked::new(12);
    let checkpoints = log.checkpoints();
    log.append(5);
    log.restore(&checkpoints);
    let report = log.verify();
    assert!(report.is_intact());
    assert_eq!((report.covered, report.tail()), (13, Some(14..=18)));
}

#[test]
fn a098_a_chain_that_was_written_anew_is_not_what_was_signed() {
    let log = Attacked::new(12);
    let checkpoints = log.checkpoints();
    fs::remove_dir_all(&log.directory).unwrap();
    log.append_coded("other", 12);
    log.restore(&checkpoints);
    let report = log.verify();
    assert_eq!(report.covered, 0);
    assert_eq!((report.problems[0].kind, report.problems[0].last), (ProblemKind::NotAsSigned, 13));
}

#[test]
fn a098_a_rolled_back_log_is_found_out_by_a_checkpoint_from_elsewhere() {
    let log = Attacked::new(12);
    let yesterday: Vec<_> = log.files();
    log.append(5);
    let note = fs::read_to_string(log.directory.join("checkpoint")).unwrap();
    log.replace(&yesterday);
    assert!(log.verify().is_intact(), "inside the directory nothing tells");
    let report = log.verify_against(&note).unwrap();
    assert_eq!(report.covered_externally, None);
    assert_eq!((report.problems[0].kind, report.problems[0].first), (ProblemKind::Missing, 14));
}

#[test]
fn a098_a_fork_is_found_out_by_a_checkpoint_from_elsewhere() {
    let log = Attacked::new(12);
    let yesterday: Vec<_> = log.files();
    log.append_coded("true", 5);
    let note = fs::read_to_string(log.directory.join("checkpoint")).unwrap();
    log.replace(&yesterday);
    log.append_coded("false", 9);
    assert!(log.verify().is_intact(), "the key signed both");
    let report = log.verify_against(&note).unwrap();
    assert_eq!(report.covered_externally, None);
    assert_eq!(report.problems[0].kind, ProblemKind::NotAsSigned);
}

#[test]
fn a098_a_checkpoint_from_elsewhere_must_be_this_logs() {
    let log = Attacked::new(3);
    let other = Attacked::new(3);
    let note = fs::read_to_string(other.directory.join("checkpoint")).unwrap();
    assert!(matches!(log.verify_against(&note), Err(VerifyError::External(_))));
}

#[test]
fn a098_checkpoints_that_were_removed_or_forged_are_detected() {
    let log = Attacked::new(12);
    let [all, latest] = ["checkpoints", "checkpoint"].map(|name| log.directory.join(name));
    let (whole, note) = (fs::read_to_string(&all).unwrap(), fs::read_to_string(&latest).unwrap());

    fs::write(&all, &whole[..whole.len() - note.len() - 1]).unwrap();
    assert_eq!(log.named(), [(ProblemKind::MissingCheckpoint, 13, 13)]);

    fs::remove_file(&all).unwrap();
    fs::remove_file(&latest).unwrap();
    assert_eq!(log.named(), [(ProblemKind::NotComparable, 1, 13)]);

    fs::write(&all, whole.replace("\n13\n", "\n12\n")).unwrap();
    assert!(log.named().contains(&(ProblemKind::BadCheckpoint, 0, 0)));

    let other = Attacked::new(3);
    fs::copy(other.directory.join("checkpoints"), &all).unwrap();
    assert!(log.named().contains(&(ProblemKind::BadCheckpoint, 0, 0)));
}

#[test]
fn a098_without_a_key_nothing_is_verified() {
    let log = Attacked::new(3);
    assert!(matches!(verify(&log.directory, &VerifyingKeys::default()), Err(VerifyError::NoKey)));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(verify(empty.path(), &log.keys()), Err(VerifyError::NoLog { .. })));
}

/// A log in good order, of which the attacker has every byte.
struct Attacked {
    _dir: tempfile::TempDir,
    directory: PathBuf,
    key: SigningKey,
    /// Each segment as it was written.
    segments: Vec<(PathBuf, Vec<u8>)>,
}

impl Attacked {
    /// With so many records beside the first line of the first segment, all of them signed.
    fn new(records: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Self {
            directory: dir.path().join("evidence"),
            _dir: dir,
            key: SigningKey::generate().unwrap(),
            segments: Vec::new(),
        };
        log.append(records);
        let files = log.files().into_iter();
        log.segments = files.filter(|(path, _)| path.extension().is_some_and(|e| e == "jsonl")).collect();
        log.segments.sort();
        log
    }

    fn append(&self, records: u64) {
        self.append_coded("code", records);
    }

    fn append_coded(&self, code: &str, records: u64) {
        let options = LogOptions {
            segment_bytes: 5_000,
            checkpoint_interval: Duration::from_secs(3_600),
            ..LogOptions::new(ORIGIN)
        };
        let (log, _) = Log::open(&self.directory, options, self.key.clone()).unwrap();
        for number in 0..records {
            let code = format!("{code}-{number}");
            let session = SessionId::from_random([0; 16]);
            let record = Record::SessionClosed { session, code: &code, events: number };
            log.append(time(number), &record).unwrap();
        }
        log.close().unwrap();
    }

    fn keys(&self) -> VerifyingKeys {
        self.key.verifying_key(ORIGIN).into()
    }

    fn verify(&self) -> Report {
        verify(&self.directory, &self.keys()).unwrap()
    }

    fn verify_against(&self, note: &str) -> Result<Report, VerifyError> {
        Verifier::new(&self.directory, &self.keys()).against(note).run()
    }

    fn named(&self) -> Vec<(ProblemKind, u64, u64)> {
        let problems = self.verify().problems;
        problems.into_iter().map(|problem| (problem.kind, problem.first, problem.last)).collect()
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    fn checkpoints(&self) -> [Vec<u8>; 2] {
        ["checkpoints", "checkpoint"].map(|name| fs::read(self.directory.join(name)).unwrap())
    }

    fn restore(&self, checkpoints: &[Vec<u8>; 2]) {
        fs::write(self.directory.join("checkpoints"), &checkpoints[0]).unwrap();
        fs::write(self.directory.join("checkpoint"), &checkpoints[1]).unwrap();
    }

    fn replace(&self, files: &[(PathBuf, Vec<u8>)]) {
        fs::remove_dir_all(&self.directory).unwrap();
        fs::create_dir(&self.directory).unwrap();
        self.write(files);
    }

    fn write(&self, files: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.segments.iter().filter(|(path, _)| path.exists()) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            fs::write(path, bytes).unwrap();
        }
    }

    /// The log, which must be of one segment, with its lines changed.
    fn with_lines(&self, change: impl FnOnce(&mut Vec<String>)) -> Vec<(PathBuf, Vec<u8>)> {
        let [(path, bytes)] = &self.segments[..] else { panic!("more than one segment") };
        let mut lines = String::from_utf8(bytes.clone()).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        vec![(path.clone(), text.into_bytes())]
    }

    /// One random edit.
    fn edit(&self, random: &mut Random) -> (&'static str, Vec<(PathBuf, Vec<u8>)>) {
        let mut files = self.segments.clone();
        let chosen = random.below(files.len());
        let other = random.below(files.len());
        let bytes = &mut files[chosen].1;
        let mut lines: Vec<Vec<u8>> =
            bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (one, two) = (random.below(lines.len()), random.below(lines.len()));
        let name = match random.below(9) {
            0 => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
                return ("flip", files);
            }
            1 => {
                let at = random.below(bytes.len());
                bytes.truncate(at);
                return ("truncate", files);
            }
            2 => {
                let (from, length) = (random.below(bytes.len()), 1 + random.below(600));
                bytes.drain(from..(from + length).min(bytes.len()));
                return ("cut out", files);
            }
            3 => {
                files.remove(chosen);
                return ("remove segment", files);
            }
            4 => {
                let moved = files[chosen].1.clone();
                files[chosen].1 = std::mem::replace(&mut files[other].1, moved);
                return ("exchange segments", files);
            }
            5 => {
                lines.swap(one, two);
                "swap"
            }
            6 => {
                lines.remove(one);
                "delete"
            }
            7 => {
                lines.insert(two, lines[one].clone());
                "repeat"
            }
            _ => {
                let text =
                    String::from_utf8_lossy(&lines[one]).replace("code-", "c0de-").replace("tree", "free");
                lines[one] = text.into_bytes();
                "rewrite"
            }
        };
        files[chosen].1 = lines.concat();
        (name, files)
    }
}

fn time(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000 + second)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
