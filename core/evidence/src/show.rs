//! Reading a log for people and programs: record by record, with filters. It verifies nothing: that is what
//! [`crate::verify()`] is for.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::SystemTime,
    vec,
};

use gatewright_model::audit::Record;
use serde_json::Value;

use crate::{
    segment::{Header, Lines, Segment},
    time::{TIME_BYTES, TimeText},
};

/// Which records are wanted. What is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this session: 32 hex digits.
    pub session: Option<String>,
    /// Of this subject.
    pub subject: Option<String>,
    /// Of this kind: one of [`kinds`].
    pub kind: Option<String>,
    /// With this decision: `allow`, `block`, `mask`, `escalate`.
    pub decision: Option<String>,
    /// At this time or later.
    pub since: Option<SystemTime>,
}

/// The kinds of records that a log can hold, as [`Filter::kind`] takes them.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    std::iter::once(Header::KIND).chain(Record::KINDS)
}

/// One record that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The line as it stands in the log, without its newline.
    pub line: String,
    /// The same, taken apart.
    pub value: Value,
}

/// Why a record can not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file can not be read.
    #[error("can not read `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no record. Reading goes on with the next.
    #[error("{file} line {line} is no record: see `gatewright evidence verify`")]
    NotARecord {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: u64,
    },
}

/// Reads the records of a log, oldest first.
pub struct Records {
    segments: vec::IntoIter<Segment>,
    open: Option<(Segment, Lines<BufReader<File>>)>,
    wanted: Vec<(&'static str, String)>,
    since: Option<[u8; TIME_BYTES]>,
}

impl Records {
    /// Reads the log in `directory`. Records that are written while it reads may be read or not.
    ///
    /// # Errors
    ///
    /// The directory can not be read.
    pub fn open(directory: &Path, filter: Filter) -> Result<Self, ReadError> {
        let segments = Segment::list(directory);
        let segments = segments.map_err(|source| ReadError::Io { path: directory.into(), source })?;
        let Filter { session, subject, kind, decision, since } = filter;
        let fields = [("session", session), ("subject", subject), ("kind", kind), ("decision", decision)];
        Ok(Self {
            segments: segments.into_iter(),
            open: None,
            wanted: fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            since: since.map(|since| *TimeText::default().format(since)),
        })
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let Some((segment, lines)) = &mut self.open else {
                let Some(segment) = self.segments.next() else { return Ok(None) };
                let lines = segment.lines();
                let lines = lines.map_err(|source| ReadError::Io { path: segment.path.clone(), source })?;
                self.open = Some((segment, lines));
                continue;
            };
            let number = lines.number + 1;
            let line = lines.next_line();
            let line = line.map_err(|source| ReadError::Io { path: segment.path.clone(), source });
            // Only a line that was ended is a record; the last one may be just being written.
            let Some(line) = line?.filter(|line| line.ended) else {
                self.open = None;
                continue;
            };
            let text = std::str::from_utf8(line.bytes).ok();
            let entry = text.and_then(|text| Some((text, serde_json::from_str::<Value>(text).ok()?)));
            let Some((text, value)) = entry.filter(|(_, value)| value.is_object()) else {
                return Err(ReadError::NotARecord { file: segment.name(), line: number });
            };
            if is_wanted(&value, &self.wanted, self.since.as_ref()) {
                return Ok(Some(Entry { line: text.into(), value }));
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

fn is_wanted(value: &Value, wanted: &[(&'static str, String)], since: Option<&[u8; TIME_BYTES]>) -> bool {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    wanted.iter().all(|(name, wanted)| text(name) == Some(wanted.as_str()))
        && since.is_none_or(|since| text("time").is_some_and(|time| time.as_bytes() >= since.as_slice()))
}
