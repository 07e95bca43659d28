//! Tests that put a disk of their own under the log, and what they share.

mod appending;
mod faults;
mod recovering;

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gatewright_model::{audit::Record, id::SessionId};
use parking_lot::{Condvar, Mutex};

use crate::{
    Log, LogOptions, OpenError, Recovery, Report, SigningKey, VerifyingKeys,
    disk::{Disk, DiskFile, SystemDisk},
    verify,
};

const ORIGIN: &str = "gatewright.example/test";

/// A directory with a log and its key.
struct Site {
    dir: tempfile::TempDir,
    key: SigningKey,
    disk: Arc<TestDisk>,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: SigningKey::generate().unwrap(),
            disk: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("evidence")
    }

    fn open(&self) -> Result<(Log, Recovery), OpenError> {
        self.open_with(options())
    }

    fn open_with(&self, options: LogOptions) -> Result<(Log, Recovery), OpenError> {
        let clocks = Box::new(|| (at(0), Instant::now()));
        Log::open_on(
            &self.path(),
            options,
            self.key.clone(),
            Arc::clone(&self.disk) as Arc<dyn Disk>,
            clocks,
        )
    }

    /// Opens a log that must be in order, or new.
    fn open_clean(&self) -> Log {
        let (log, recovery) = self.open().unwrap();
        assert_eq!((&recovery.cut, &recovery.alarm), (&None, &None));
        log
    }

    fn keys(&self) -> VerifyingKeys {
        self.key.verifying_key(ORIGIN).into()
    }

    fn verify(&self) -> Report {
        verify(&self.path(), &self.keys()).unwrap()
    }

    #[track_caller]
    fn assert_intact(&self) -> Report {
        let report = self.verify();
        assert!(report.is_intact(), "{report:#?}");
        report
    }

    /// The segments' contents, one after the other.
    fn text(&self) -> String {
        self.segments().iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
        paths.sort();
        paths
    }
}

/// Options under which nothing happens by itself for as long as a test runs.
fn options() -> LogOptions {
    LogOptions { checkpoint_interval: Duration::from_secs(3_600), ..LogOptions::new(ORIGIN) }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000 + second)
}

/// A record that can be told from others by its code.
fn record(code: &str) -> Record<'_> {
    Record::SessionClosed { session: SessionId::from_random([7; 16]), code, events: 1 }
}

fn append_many(log: &Log, count: usize) {
    for number in 0..count {
        log.append(at(number as u64), &record(&format!("code-{number}"))).unwrap();
    }
}

/// A disk that can be full, broken or slow, and that notes what would be synced instead of syncing it.
#[derive(Default)]
struct TestDisk {
    state: Arc<(Mutex<DiskState>, Condvar)>,
}

#[derive(Default)]
struct DiskState {
    /// What the next appends do, after writing this many bytes of theirs.
    append_fault: Option<(Fault, usize)>,
    sync_fault: Option<Fault>,
    /// Syncs wait while this is set.
    sync_hangs: bool,
    /// Appends wait while this is set.
    hangs: bool,
    /// Is an append waiting?
    is_hanging: bool,
    syncs: u64,
    /// Each file and its length at its last sync.
    synced: Vec<(PathBuf, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Full,
    Io,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => io::Error::from_raw_os_error(28),
            Self::Io => io::Error::from_raw_os_error(5),
        }
    }
}

impl TestDisk {
    fn set(&self, change: impl FnOnce(&mut DiskState)) {
        change(&mut self.state.0.lock());
        self.state.1.notify_all();
    }
}

struct TestFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    state: Arc<(Mutex<DiskState>, Condvar)>,
}

impl Disk for TestDisk {
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = SystemDisk.open(path, new)?;
        Ok(Arc::new(TestFile { file, path: path.into(), state: Arc::clone(&self.state) }))
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("new");
        fs::write(&temporary, contents)?;
        fs::rename(&temporary, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for TestFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.0.lock();
        while state.hangs {
            state.is_hanging = true;
            self.state.1.wait(&mut state);
        }
        if let Some((fault, partly)) = state.append_fault {
            self.file.append(&bytes[..partly.min(bytes.len())])?;
            return Err(fault.error());
        }
        self.file.append(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.0.lock();
        while state.sync_hangs {
            self.state.1.wait(&mut state);
        }
        if let Some(fault) = state.sync_fault {
            return Err(fault.error());
        }
        state.syncs += 1;
        let length = fs::metadata(&self.path)?.len();
        state.synced.retain(|(path, _)| *path != self.path);
        state.synced.push((self.path.clone(), length));
        Ok(())
    }
}

/// Waits for a future on this thread, for at most a minute: then something hangs.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let begin = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "a future hangs");
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// Tries until it holds, for at most a minute.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never came to this: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
