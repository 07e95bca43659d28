//! Follows the chain line by line and names what is wrong with it.
//!
//! Each line says the hash of the line before it, so a changed line is named by its successor, and the
//! successor even knows the hash that the line once had: the walk goes on with that one, and the next
//! signed root proves that nothing else was changed. To tell who of two neighbours is wrong, the walk
//! looks two lines ahead; a line that its own successor contradicts is not believed about the one before.

use std::{collections::VecDeque, fmt, sync::Arc};

use serde::Serialize;

use crate::{
    line::Head,
    segment::{Header, Line},
    tree::{self, Hash, Tree},
};

/// Something that a log as it was written can not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// The first sequence it is about.
    pub first: u64,
    /// The last sequence it is about.
    pub last: u64,
    /// Where it was noticed, if at one place.
    pub place: Option<Place>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The record was changed after it was written; of several, at least one.
    Changed,
    /// The record is not there.
    Missing,
    /// The record stands at another place than its sequence says.
    Displaced,
    /// The record is there more than once.
    Repeated,
    /// The line is no record of this log.
    Foreign,
    /// The records are not those that were signed, and no single one can be named.
    NotAsSigned,
    /// The records were signed, and what is left of the log does not suffice to compare them.
    NotComparable,
    /// A checkpoint is not signed by a known key, does not belong to this log, or was changed.
    BadCheckpoint,
    /// A signed checkpoint is missing from the list of all.
    MissingCheckpoint,
}

/// A line of a file of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's name.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, first, last, place } = self;
        match kind {
            ProblemKind::Foreign => f.write_str("a line is no record of this log")?,
            ProblemKind::BadCheckpoint => {
                f.write_str("a checkpoint is not one that this log's key signed")?
            }
            ProblemKind::MissingCheckpoint => {
                write!(f, "the checkpoint of {last} records is not in the list of all")?
            }
            _ if first == last => write!(f, "record {first} ")?,
            ProblemKind::Changed => write!(f, "at least one of records {first} to {last} ")?,
            _ => write!(f, "records {first} to {last} ")?,
        }
        match (kind, first == last) {
            (ProblemKind::Foreign | ProblemKind::BadCheckpoint | ProblemKind::MissingCheckpoint, _) => {}
            (ProblemKind::Changed, _) => f.write_str("was changed")?,
            (ProblemKind::Missing, true) => f.write_str("is missing")?,
            (ProblemKind::Missing, false) => f.write_str("are missing")?,
            (ProblemKind::Displaced, _) => f.write_str("stands where another belongs")?,
            (ProblemKind::Repeated, _) => f.write_str("is there again")?,
            (ProblemKind::NotAsSigned, true) => f.write_str("is not what was signed")?,
            (ProblemKind::NotAsSigned, false) => f.write_str("are not what was signed")?,
            (ProblemKind::NotComparable, _) => f.write_str("can not be compared with what was signed")?,
        }
        place.iter().try_for_each(|place| write!(f, " ({place})"))
    }
}

/// Problems, as many as a person may want to read.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) listed: Vec<Problem>,
    pub(crate) omitted: u64,
}

impl Problems {
    pub(crate) fn add(&mut self, kind: ProblemKind, first: u64, last: u64, place: Option<Place>) {
        if self.listed.len() < PROBLEM_LIMIT {
            self.listed.push(Problem { kind, first, last, place });
        } else {
            self.omitted += 1;
        }
    }
}

/// The walk along a chain. Feed it every line with [`Walk::handle_line`] and end with [`Walk::handle_end`].
pub(crate) struct Walk {
    origin: String,
    /// The sequence that should come next.
    expected: u64,
    /// The hash of the record before it. None when that record is not there to be hashed.
    previous: Option<Hash>,
    tree: Tree,
    /// Does `tree` hold the true hash of every record so far, as far as can be known?
    tree_known: bool,
    ahead: VecDeque<Seen>,
    /// Ranges that were passed over; a record of them may still turn up elsewhere.
    missing: Vec<(u64, u64, Place)>,
    /// Records that were met before their place: that they are not there is no second problem.
    early: Vec<u64>,
    pub(crate) problems: Problems,
}

/// Asked each time the tree has grown to a size, with `None` where it is not known: is its root the one
/// that was signed for that size, if one was?
pub(crate) type Compare<'a> = dyn FnMut(u64, Option<&Tree>) -> bool + 'a;

/// A line that was read and not judged yet.
struct Seen {
    place: Place,
    leaf: Hash,
    head: Option<(u64, Hash)>,
    /// The tree before it, if it is the first line of a segment; and is it the line that must be there?
    header: Option<Tree>,
    header_wanted: bool,
}

impl Seen {
    fn is(&self, sequence: u64) -> bool {
        self.head.is_some_and(|(own, _)| own == sequence)
    }

    /// What the line says about the hash of record `sequence`, if it is its successor.
    fn word_on(&self, sequence: u64) -> Option<Hash> {
        self.head.filter(|(own, _)| *own == sequence + 1).map(|(_, previous)| previous)
    }
}

impl Walk {
    /// Begins before record `expected`, with the hash of the record before it and the tree of all before.
    pub(crate) fn new(origin: &str, expected: u64, previous: Option<Hash>, tree: Tree) -> Self {
        Self {
            origin: origin.into(),
            expected,
            previous,
            tree,
            tree_known: true,
            ahead: VecDeque::with_capacity(3),
            missing: Vec::new(),
            early: Vec::new(),
            problems: Problems::default(),
        }
    }

    /// The record that should come next.
    pub(crate) const fn expected(&self) -> u64 {
        self.expected
    }

    /// The whole state of the chain, if it is known in spite of all problems.
    pub(crate) fn head(self) -> Option<(Hash, Tree)> {
        let complete = self.tree_known && self.tree.size() + 1 == self.expected;
        self.previous.filter(|_| complete).map(|previous| (previous, self.tree))
    }

    /// Takes in a line.
    pub(crate) fn handle_line(&mut self, place: Place, line: &Line<'_>, compare: &mut Compare<'_>) {
        let head = Head::parse(line.bytes).filter(|_| !line.oversized && line.ended);
        let header_wanted = place.line == 1;
        let header = header_wanted.then(|| Header::parse(line.bytes)).flatten();
        let header = header.filter(|(_, origin, _)| *origin == self.origin).map(|(_, _, tree)| tree);
        let head = head.map(|head| (head.sequence, head.previous));
        self.ahead.push_back(Seen {
            place,
            leaf: tree::leaf_hash(line.bytes),
            head,
            header,
            header_wanted,
        });
        if self.ahead.len() == 3 {
            self.settle(compare);
        }
    }

    /// There are no more lines.
    pub(crate) fn handle_end(&mut self, compare: &mut Compare<'_>) {
        while !self.ahead.is_empty() {
            self.settle(compare);
        }
        for (first, last, place) in std::mem::take(&mut self.missing) {
            self.problems.add(ProblemKind::Missing, first, last, Some(place));
        }
    }

    /// Judges the oldest line that is still ahead.
    fn settle(&mut self, compare: &mut Compare<'_>) {
        let Some(line) = self.ahead.pop_front() else { return };
        let expected = self.expected;
        let follower = self.ahead.front();
        let stands_for_expected = follower.is_some_and(|follower| follower.is(expected + 1));
        let expected_follows = follower.is_some_and(|follower| follower.is(expected));
        match line.head {
            Some((sequence, _)) if sequence == expected => self.settle_in_place(&line, compare),
            // The one after belongs here: this line was put in between.
            Some((sequence, _)) if expected_follows => self.note_stray(sequence, &line.place),
            None if expected_follows => self.note_foreign(&line),
            // The next line goes on as if this one were the expected one: its own number was changed ...
            Some((_, previous)) if stands_for_expected && Some(previous) == self.previous => {
                self.note_changed(expected, expected, &line.place);
                self.go_on_by_word(compare);
            }
            None if stands_for_expected => {
                self.note_changed(expected, expected, &line.place);
                self.go_on_by_word(compare);
            }
            // ... or it was put in its stead.
            Some((sequence, _)) if stands_for_expected => {
                self.note_stray(sequence, &line.place);
                self.note_missing(expected, expected, &line.place);
                self.go_on_by_word(compare);
            }
            Some((sequence, previous)) if sequence > expected => {
                self.pass_over(sequence, previous, &line.place, compare);
                self.settle_in_place(&line, compare);
            }
            Some((sequence, _)) => self.note_stray(sequence, &line.place),
            None => self.note_foreign(&line),
        }
    }

    fn settle_in_place(&mut self, line: &Seen, compare: &mut Compare<'_>) {
        let expected = self.expected;
        self.check_header(line);
        let (follower, second) = (self.ahead.front(), self.ahead.get(1));
        let word = follower.and_then(|follower| follower.word_on(expected));
        let follower_is_contradicted = follower.zip(second).is_some_and(|(follower, second)| {
            second.word_on(expected + 1).is_some_and(|word| word != follower.leaf)
        });
        let nobody_vouches_for_follower =
            second.is_none_or(|second| second.word_on(expected + 1).is_none());
        let contradicts_previous =
            self.previous.is_some_and(|previous| line.head.is_none_or(|(_, word)| word != previous));
        let true_leaf = match word {
            Some(word) if word != line.leaf && !follower_is_contradicted => {
                let last = if nobody_vouches_for_follower { expected + 1 } else { expected };
                self.note_changed(expected, last, &line.place);
                word
            }
            _ => {
                if contradicts_previous {
                    self.note_changed(expected, expected, &line.place);
                }
                line.leaf
            }
        };
        self.go_on(true_leaf, compare);
    }

    /// The first line of a segment repeats the tree: take it where ours was lost, compare it otherwise.
    fn check_header(&mut self, line: &Seen) {
        match (&line.header, line.header_wanted) {
            (Some(tree), _) if !self.tree_known && tree.size() + 1 == self.expected => {
                self.tree = tree.clone();
                self.tree_known = true;
            }
            (Some(tree), _) if self.tree_known && *tree != self.tree => {
                self.note_changed(self.expected, self.expected, &line.place);
            }
            (None, true) => self.problems.add(
                ProblemKind::Changed,
                self.expected,
                self.expected,
                Some(line.place.clone()),
            ),
            _ => {}
        }
    }

    /// Records from the expected one to the one before `sequence` are not here.
    fn pass_over(&mut self, sequence: u64, word: Hash, place: &Place, compare: &mut Compare<'_>) {
        let last = sequence - 1;
        self.note_missing(self.expected, last, place);
        if last == self.expected {
            // Of a single missing record, the hash is known from the record after it.
            self.go_on(word, compare);
        } else {
            self.tree_known = false;
            self.expected = sequence;
            self.previous = None;
        }
    }

    /// Goes on with the hash that the next line has for the expected record.
    fn go_on_by_word(&mut self, compare: &mut Compare<'_>) {
        let word = self.ahead.front().and_then(|follower| follower.word_on(self.expected));
        self.go_on(word.unwrap_or_default(), compare);
    }

    fn go_on(&mut self, leaf: Hash, compare: &mut Compare<'_>) {
        if self.tree_known {
            self.tree.push(leaf);
        }
        let known = self.tree_known;
        self.tree_known = compare(self.expected, known.then_some(&self.tree)) && known;
        self.previous = Some(leaf);
        self.expected += 1;
    }

    fn note_changed(&mut self, first: u64, last: u64, place: &Place) {
        // A line can be contradicted from both sides, and is named once.
        if self.problems.listed.last().is_none_or(|known| (known.first, known.last) != (first, last)) {
            self.problems.add(ProblemKind::Changed, first, last, Some(place.clone()));
        }
    }

    fn note_foreign(&mut self, line: &Seen) {
        self.problems.add(ProblemKind::Foreign, self.expected, self.expected, Some(line.place.clone()));
    }

    fn note_missing(&mut self, first: u64, last: u64, place: &Place) {
        if first == last && self.early.contains(&first) {
            return;
        }
        if self.missing.len() < PROBLEM_LIMIT {
            self.missing.push((first, last, place.clone()));
        } else {
            self.problems.add(ProblemKind::Missing, first, last, Some(place.clone()));
        }
    }

    /// A record stands where it does not belong: was it passed over before, or is it there again?
    fn note_stray(&mut self, sequence: u64, place: &Place) {
        let range = self.missing.iter().position(|(first, last, _)| (*first..=*last).contains(&sequence));
        let kind = if let Some((first, last, before)) = range.map(|at| self.missing.swap_remove(at)) {
            let rests = [(first, sequence.wrapping_sub(1)), (sequence.wrapping_add(1), last)];
            let rests = rests.into_iter().filter(|(from, to)| (first..=last).contains(from) && from <= to);
            self.missing.extend(rests.map(|(from, to)| (from, to, before.clone())));
            ProblemKind::Displaced
        } else if sequence < self.expected {
            ProblemKind::Repeated
        } else {
            if self.early.len() < PROBLEM_LIMIT {
                self.early.push(sequence);
            }
            ProblemKind::Displaced
        };
        self.problems.add(kind, sequence, sequence, Some(place.clone()));
    }
}

/// How many problems are listed, and how many gaps are kept in mind.
const PROBLEM_LIMIT: usize = 1_000;
