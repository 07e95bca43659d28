//! Recordings: what programs showed, each in a file that terminal players read.
//!
//! The format is asciicast, version 2 (<https://docs.asciinema.org/manual/asciicast/v2/>): a header, and a line for each thing that
//! happened, `[seconds, code, data]`. Players know `o` (shown) and `r` (another size). Two codes are this gateway's own, and
//! players pass them over:
//!
//! - `b`: shown, and no UTF-8, in Base64. A character that is cut between two pieces is joined first.
//! - `t`: so many bytes were typed. Which ones is not written, because passwords are typed where nothing is shown.
//!
//! A recording proves nothing by itself: its length and digest are in the log ([`Record::RecordingEnded`]), and
//! [`check`] compares them.
//!
//! [`Record::RecordingEnded`]: gatewright_model::audit::Record::RecordingEnded

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatewright_model::{
    digest::Digest,
    id::{EventId, SessionId},
    recording::Size,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::show::{Filter, ReadError, Records};

/// Where recordings are kept.
#[derive(Debug, Clone)]
pub struct Recordings {
    directory: PathBuf,
    most_bytes: u64,
}

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The session.
    pub session: SessionId,
    /// The event that starts it.
    pub event: EventId,
    /// What it is, without arguments.
    pub title: &'a str,
    /// The kind of terminal that it has.
    pub terminal: Option<&'a str>,
    /// The size of that.
    pub size: Size,
}

impl Recordings {
    /// In this directory, each of so many bytes at most.
    pub const fn new(directory: PathBuf, most_bytes: u64) -> Self {
        Self { directory, most_bytes }
    }

    /// The name of the file of a recording.
    pub fn file_name(session: SessionId, event: EventId) -> String {
        format!("{session}-{event}.cast")
    }

    /// Begins one.
    ///
    /// # Errors
    ///
    /// Its file can not be made, or not be written.
    pub fn begin(&self, subject: &Subject<'_>, now: SystemTime) -> io::Result<Recording> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let path = self.directory.join(Self::file_name(subject.session, subject.event));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut recording = Recording {
            file,
            most_bytes: self.most_bytes,
            written: Written { bytes: 0, hash: Sha256::new() },
            cut: Vec::new(),
            line: Vec::new(),
        };
        let header = Header {
            version: 2,
            width: subject.size.columns,
            height: subject.size.rows,
            timestamp: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            title: subject.title,
            env: subject.terminal.map(|terminal| Environment { terminal }),
        };
        serde_json::to_writer(&mut recording.line, &header)?;
        recording.write_line()?;
        Ok(recording)
    }
}

#[derive(Serialize)]
struct Header<'a> {
    version: u8,
    width: u32,
    height: u32,
    timestamp: u64,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Environment<'a>>,
}

#[derive(Serialize)]
struct Environment<'a> {
    #[serde(rename = "TERM")]
    terminal: &'a str,
}

/// A recording that is being written. Each piece is with the operating system when the call has returned.
#[derive(Debug)]
pub struct Recording {
    file: File,
    most_bytes: u64,
    written: Written,
    /// The beginning of a character.
    cut: Vec<u8>,
    line: Vec<u8>,
}

/// What there is of a recording.
#[derive(Debug, Clone)]
pub struct Written {
    bytes: u64,
    hash: Sha256,
}

impl Written {
    /// How long it is.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of it.
    pub fn digest(&self) -> Digest {
        Digest::new(self.hash.clone().finalize().into())
    }
}

impl Recording {
    /// This was shown, so long after the beginning.
    ///
    /// # Errors
    ///
    /// It can not be written, or the recording is as long as it may be.
    pub fn output(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
        let joined;
        let bytes = if self.cut.is_empty() {
            bytes
        } else {
            joined = [&*std::mem::take(&mut self.cut), bytes].concat();
            &joined
        };
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                self.line(at, "o", chunk.valid())?;
            }
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_cut(invalid) {
                self.cut = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.line(at, "b", &STANDARD.encode(invalid))?;
            }
        }
        Ok(())
    }

    /// So many bytes were typed.
    ///
    /// # Errors
    ///
    /// As [`Recording::output`].
    pub fn typed(&mut self, at: Duration, bytes: usize) -> io::Result<()> {
        self.line(at, "t", &bytes.to_string())
    }

    /// The terminal has another size.
    ///
    /// # Errors
    ///
    /// As [`Recording::output`].
    pub fn resize(&mut self, at: Duration, size: Size) -> io::Result<()> {
        self.line(at, "r", &format!("{}x{}", size.columns, size.rows))
    }

    /// What was recorded has ended. Afterwards, the recording survives the machine.
    ///
    /// # Errors
    ///
    /// As [`Recording::output`].
    pub fn end(&mut self, at: Duration) -> io::Result<()> {
        if !self.cut.is_empty() {
            let cut = STANDARD.encode(std::mem::take(&mut self.cut));
            self.line(at, "b", &cut)?;
        }
        self.file.sync_data()
    }

    /// What there is of it.
    pub const fn written(&self) -> &Written {
        &self.written
    }

    fn line(&mut self, at: Duration, code: &str, data: &str) -> io::Result<()> {
        write!(self.line, "[{}.{:06}, \"{code}\", ", at.as_secs(), at.subsec_micros())?;
        serde_json::to_writer(&mut self.line, data)?;
        self.line.push(b']');
        self.write_line()
    }

    fn write_line(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        let length = self.line.len() as u64;
        let written = if self.written.bytes + length > self.most_bytes {
            Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the recording is as long as it may be"))
        } else {
            self.file.write_all(&self.line)
        };
        if written.is_ok() {
            self.written.bytes += length;
            self.written.hash.update(&self.line);
        }
        self.line.clear();
        self.line.shrink_to(LINE_KEPT_BYTES);
        written
    }
}

/// Can these bytes still become a character, with more behind them?
fn is_cut(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// What is kept of the buffer after a long line.
const LINE_KEPT_BYTES: usize = 16 * 1024;

/// A recording, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// When it began.
    pub time: String,
    /// The session.
    pub session: String,
    /// The event that started it.
    pub event: u64,
    /// Who was recorded.
    pub subject: String,
    /// Where.
    pub target: String,
    /// Its file.
    pub file: String,
    /// Its length, as the log has it. None: the log does not know how it ended.
    pub bytes: Option<u64>,
    /// Does it end where what it records has ended?
    pub complete: bool,
    /// Whether it is what was recorded.
    pub state: State,
    #[serde(skip)]
    sha256: String,
}

/// What became of the file of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is what was recorded.
    Intact,
    /// It is something else.
    Changed,
    /// It is not there, or can not be read.
    Missing,
    /// The log does not say what is in it: it goes on, or has ended with the gateway.
    Open,
}

impl State {
    /// Is it what nobody may have done?
    pub const fn is_wrong(self) -> bool {
        matches!(self, Self::Changed | Self::Missing)
    }

    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Changed => "CHANGED",
            Self::Missing => "MISSING",
            Self::Open => "open",
        }
    }
}

/// Compares every recording that the log in `log` tells of with its file in `directory`.
///
/// # Errors
///
/// The log can not be read. Whether it is what was written, [`verify`](crate::verify()) says.
pub fn check(log: &Path, directory: &Path) -> Result<Vec<Listed>, ReadError> {
    let mut all: Vec<Listed> = Vec::new();
    for record in Records::open(log, Filter::default())? {
        let value = record?.value;
        let text =
            |name: &str| value.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        match text("kind").as_str() {
            "recording_started" => all.push(Listed {
                time: text("time"),
                session: text("session"),
                event: value.get("event").and_then(serde_json::Value::as_u64).unwrap_or_default(),
                subject: text("subject"),
                target: text("target"),
                file: text("file"),
                bytes: None,
                complete: false,
                state: State::Open,
                sha256: String::new(),
            }),
            "recording_ended" => {
                let file = text("file");
                if let Some(listed) = all.iter_mut().rev().find(|listed| listed.file == file) {
                    listed.bytes = value.get("bytes").and_then(serde_json::Value::as_u64);
                    listed.complete =
                        value.get("complete").and_then(serde_json::Value::as_bool).unwrap_or_default();
                    listed.sha256 = text("sha256");
                }
            }
            _ => {}
        }
    }
    for listed in &mut all {
        listed.state = listed.compare(directory);
    }
    Ok(all)
}

impl Listed {
    fn compare(&self, directory: &Path) -> State {
        // Whatever a log says, nothing is read but recordings.
        if self.file.contains('/') || !self.file.ends_with(".cast") {
            return State::Missing;
        }
        let Some(bytes) = self.bytes else {
            // Nothing says what is in it, but it was there.
            return if directory.join(&self.file).is_file() { State::Open } else { State::Missing };
        };
        let Ok(file) = File::open(directory.join(&self.file)) else { return State::Missing };
        match digest_of(file, bytes) {
            // Behind what could be written, there may be a part of what could not.
            Ok((digest, ended)) if digest == self.sha256 && (ended || !self.complete) => State::Intact,
            Ok(_) => State::Changed,
            Err(_) => State::Missing,
        }
    }
}

/// The digest of so many bytes, and whether there are no more.
fn digest_of(mut file: File, bytes: u64) -> io::Result<(String, bool)> {
    let (mut hash, mut left) = (Sha256::new(), bytes);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        let read = buffer.get(..length).unwrap_or_default();
        let counted =
            read.get(..usize::try_from(left).unwrap_or(usize::MAX).min(length)).unwrap_or_default();
        hash.update(counted);
        left -= counted.len() as u64;
        if length == 0 || counted.len() < length {
            return Ok((hex::encode(hash.finalize()), length == counted.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(most_bytes: u64) -> (tempfile::TempDir, Recordings) {
        let directory = tempfile::tempdir().unwrap();
        let recordings = Recordings::new(directory.path().join("recordings"), most_bytes);
        (directory, recordings)
    }

    fn subject() -> Subject<'static> {
        Subject {
            session: SessionId::from_random([7; 16]),
            event: EventId::FIRST,
            title: "bash",
            terminal: Some("xterm"),
            size: Size::default(),
        }
    }

    fn text(recordings: &Recordings) -> String {
        let subject = subject();
        let name = Recordings::file_name(subject.session, subject.event);
        std::fs::read_to_string(recordings.directory.join(name)).unwrap()
    }

    #[test]
    fn a_recording_is_an_asciicast_and_loses_no_byte() {
        let (_directory, recordings) = recordings(1 << 20);
        let mut recording = recordings.begin(&subject(), UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        let at = Duration::from_millis(1_500);
        recording.output(at, "a\x1b[31m\"é".as_bytes()).unwrap();
        // A character in three pieces, bytes that are none, and one that is never complete.
        recording.output(at, b"\xe6").unwrap();
        recording.output(at, b"\x97").unwrap();
        recording.output(at, b"\xa5\xff\xfeb\xe6\x97").unwrap();
        recording.typed(at, 3).unwrap();
        recording.resize(at, Size { columns: 100, rows: 30 }).unwrap();
        recording.end(at).unwrap();
        let text = text(&recordings);
        assert_eq!(
            text,
            "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":5,\"title\":\"bash\",\"env\":{\"TERM\":\"xterm\"}}\n\
             [1.500000, \"o\", \"a\\u001b[31m\\\"é\"]\n[1.500000, \"o\", \"日\"]\n[1.500000, \"b\", \"/w==\"]\n\
             [1.500000, \"b\", \"/g==\"]\n[1.500000, \"o\", \"b\"]\n[1.500000, \"t\", \"3\"]\n\
             [1.500000, \"r\", \"100x30\"]\n[1.500000, \"b\", \"5pc=\"]\n"
        );
        assert_eq!(recording.written().bytes(), text.len() as u64);
        assert_eq!(recording.written().digest().to_string(), hex::encode(Sha256::digest(&text)));
    }

    #[test]
    fn a050_a_recording_that_is_full_takes_nothing_more() {
        let (_directory, recordings) = recordings(200);
        let mut recording = recordings.begin(&subject(), UNIX_EPOCH).unwrap();
        recording.output(Duration::ZERO, b"short").unwrap();
        let before = text(&recordings);
        assert!(recording.output(Duration::ZERO, &[b'x'; 200]).is_err());
        assert_eq!(text(&recordings), before);
        assert_eq!(recording.written().bytes(), before.len() as u64);
    }

    #[test]
    fn only_the_gateway_reads_a_recording_and_none_is_written_twice() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_directory, recordings) = recordings(1 << 20);
        recordings.begin(&subject(), UNIX_EPOCH).unwrap();
        let name = Recordings::file_name(subject().session, subject().event);
        let mode = recordings.directory.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(recordings.begin(&subject(), UNIX_EPOCH).is_err());
    }

    #[test]
    fn the_digest_is_of_what_was_written_and_says_whether_there_is_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, [b'a'; 200_000]).unwrap();
        for (bytes, ended) in [(200_000, true), (199_999, false), (65_536, false), (200_001, true)] {
            let read = digest_of(File::open(&path).unwrap(), bytes).unwrap();
            let length = bytes.min(200_000) as usize;
            assert_eq!(read, (hex::encode(Sha256::digest(vec![b'a'; length])), ended), "{bytes}");
        }
    }
}
