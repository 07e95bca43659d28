//! Segments: the files of a log. Each is named by the sequence of its first line, which says how large the
//! tree was before it and what its peaks were; so a log is taken up from its last segment alone.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use gatewright_model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    line::{Head, LINE_LIMIT_BYTES},
    tree::{Hash, Tree},
};

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The sequence of its first line.
    pub(crate) first: u64,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Segment {
    pub(crate) fn new(directory: &Path, first: u64) -> Self {
        Self { first, path: directory.join(format!("{first:020}{SUFFIX}")) }
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }

    /// All segments of a log, oldest first. Other files of the directory are none of ours.
    pub(crate) fn list(directory: &Path) -> io::Result<Vec<Self>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = file_name(&path);
            let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20);
            let first = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            if let Some(first) = first.and_then(|digits| digits.parse().ok()) {
                segments.push(Self { first, path });
            }
        }
        segments.sort_by_key(|segment| segment.first);
        Ok(segments)
    }

    pub(crate) fn lines(&self) -> io::Result<Lines<BufReader<File>>> {
        Ok(Lines::new(BufReader::with_capacity(256 * 1024, File::open(&self.path)?)))
    }
}

/// What the first line of a segment says, beside what every line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Header {
    SegmentOpened {
        /// Which log.
        origin: String,
        /// The peaks of the tree over all lines before this one, largest first, in hex.
        tree: Vec<String>,
    },
}

impl Header {
    /// What its line says as its `kind`.
    pub(crate) const KIND: &str = "segment_opened";

    pub(crate) fn new(origin: &str, tree: &Tree) -> Self {
        let peaks = tree.peaks().iter().map(|peak| Digest::new(*peak).to_string());
        Self::SegmentOpened { origin: origin.into(), tree: peaks.collect() }
    }

    /// Reads the first line of a segment: its head, its origin, and the tree before it.
    pub(crate) fn parse(line: &[u8]) -> Option<(Head<'_>, String, Tree)> {
        let head = Head::parse(line)?;
        let Self::SegmentOpened { origin, tree } = serde_json::from_slice(line).ok()?;
        let peaks = tree.iter().map(|peak| {
            let mut hash: Hash = [0; 32];
            hex::decode_to_slice(peak, &mut hash).ok().map(|()| hash)
        });
        let tree = Tree::from_peaks(head.sequence.checked_sub(1)?, peaks.collect::<Option<_>>()?)?;
        Some((head, origin, tree))
    }
}

/// Reads a segment line by line, in memory of one line.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub(crate) number: u64,
    /// The offset behind the line that was read last, in bytes.
    pub(crate) end: u64,
}

/// One line of a segment.
pub(crate) struct Line<'a> {
    /// Its bytes, without the newline.
    pub(crate) bytes: &'a [u8],
    /// Does a newline end it? Only the last line of a file may lack it.
    pub(crate) ended: bool,
    /// Was it longer than any line of ours? Then `bytes` is a part of it.
    pub(crate) oversized: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, end: 0 }
    }

    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.line.shrink_to(256 * 1024);
        let limit = LINE_LIMIT_BYTES as u64 + 1;
        let mut read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line)? as u64;
        if read == 0 {
            return Ok(None);
        }
        let mut ended = self.line.last() == Some(&b'\n');
        let oversized = !ended && read == limit;
        if oversized {
            read += self.skip_line(&mut ended)?;
        }
        self.number += 1;
        self.end += read;
        let bytes = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some(Line { bytes, ended, oversized }))
    }

    /// Passes over the rest of an oversized line.
    fn skip_line(&mut self, ended: &mut bool) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let used = newline.map_or(buffer.len(), |at| at + 1);
            *ended = newline.is_some();
            self.reader.consume(used);
            skipped += used as u64;
            if *ended || used == 0 {
                return Ok(skipped);
            }
        }
    }
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

const SUFFIX: &str = ".jsonl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_segments_are_listed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "00000000000000000011.jsonl",
            "00000000000000000001.jsonl",
            "1.jsonl",
            "checkpoint",
            "0000000000000000000x.jsonl",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let firsts: Vec<_> =
            Segment::list(dir.path()).unwrap().iter().map(|segment| segment.first).collect();
        assert_eq!(firsts, [1, 11]);
        assert_eq!(Segment::new(dir.path(), 11).name(), "00000000000000000011.jsonl");
    }

    #[test]
    fn lines_are_cut_at_newlines_and_the_last_may_be_torn() {
        let mut lines = Lines::new(&b"a\n\nbc"[..]);
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            seen.push((line.bytes.to_vec(), line.ended));
        }
        assert_eq!(seen, [(b"a".to_vec(), true), (b"".to_vec(), true), (b"bc".to_vec(), false)]);
        assert_eq!((lines.number, lines.end), (3, 5));
    }

    #[test]
    fn an_oversized_line_is_passed_over_in_bounded_memory() {
        let long = io::repeat(b'x').take(2 * LINE_LIMIT_BYTES as u64);
        let mut lines = Lines::new(BufReader::new(long.chain(&b"\nshort\n"[..])));
        assert!(lines.next_line().unwrap().is_some_and(|line| line.oversized && line.ended));
        assert_eq!(lines.next_line().unwrap().unwrap().bytes, b"short");
        assert!(lines.line.capacity() < LINE_LIMIT_BYTES);
    }
}
