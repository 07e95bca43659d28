//! The log as the gateway uses it.

use std::{
    cell::Cell,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use gatewright_model::audit::Record;
use parking_lot::Mutex;

use crate::{
    disk::{Disk, SystemDisk},
    endings::Fields,
    key::{SigningKey, VerifyingKey, VerifyingKeys, check_name},
    recover::{self, OpenError, Recovery, failed},
    sync::{self, Checkpointer, Shared},
    time::{ClockWatch, TimeText},
    writer::{When, Writer},
};

/// A log that is being written. Clones write the same log; the last one that is dropped closes it.
#[derive(Clone)]
pub struct Log(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    append_deadline: Duration,
    sync_deadline: Duration,
    /// Held for as long as this process writes: two writers would fork the chain.
    _lock: File,
}

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Which log this is, like `gatewright.example/main`: the first line of its checkpoints and the name of
    /// its key. Unique among all logs that one auditor looks at.
    pub origin: String,
    /// A segment that grows beyond so many bytes is followed by another.
    pub segment_bytes: u64,
    /// A checkpoint is signed after so many records ...
    pub checkpoint_records: u64,
    /// ... or after so much time, if there was any record.
    pub checkpoint_interval: Duration,
    /// What was appended is synced after so much time, if nobody wants it sooner.
    pub sync_interval: Duration,
    /// How long an append waits for a disk that hangs in the append before it, until it is refused.
    pub append_deadline: Duration,
    /// How long a sync may take until appends are refused and those who wait for it are to wait no longer
    /// (fault F9).
    pub sync_deadline: Duration,
    /// Keys that signed this log before the present one.
    pub former_keys: Vec<VerifyingKey>,
}

impl LogOptions {
    /// The usual options for the log `origin`.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            segment_bytes: 64 * 1024 * 1024,
            checkpoint_records: 10_000,
            checkpoint_interval: Duration::from_secs(10),
            // The promise is 50 ms (P1); the sync itself needs some of it.
            sync_interval: Duration::from_millis(40),
            append_deadline: Duration::from_secs(2),
            sync_deadline: Duration::from_secs(2),
            former_keys: Vec::new(),
        }
    }
}

/// Proof that a record has its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    sequence: u64,
}

impl Receipt {
    /// The record's sequence, from 1 without gaps.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }
}

/// Can the log take records?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Healthy,
    /// The disk is full. The log tries again by itself, and writes down how many records it had to refuse.
    Full,
    /// The disk failed. Nobody can say what is on it before the log was opened anew.
    Broken(Fault),
    /// The disk has not answered for the deadline of an append or of a sync. Should it answer yet, the log
    /// goes on, and writes down how many records it had to refuse.
    Slow,
    /// It was closed.
    Closed,
}

/// What a disk said when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(Arc<str>);

impl From<&io::Error> for Fault {
    fn from(error: &io::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a record was not accepted. What it was to record must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk is full.
    #[error("the disk of the audit log is full: make room, and it goes on by itself")]
    Full,
    /// The disk failed.
    #[error("the disk of the audit log failed ({0}): mend it and start the gateway again")]
    Broken(Fault),
    /// The disk hangs.
    #[error("the disk of the audit log does not answer")]
    Slow,
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// The record is too long.
    #[error("a record of {bytes} bytes is longer than a line of the audit log may be")]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// The record can not be written as JSON object.
    #[error("a record can not be written as a JSON object")]
    NotARecord,
}

/// Where the log stands: for metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Can it take records?
    pub health: Health,
    /// The last record of the chain; of a disk that hangs, the last that is known to be safe.
    pub last: u64,
    /// The last record that survives the machine.
    pub synced: u64,
    /// The last record that a checkpoint covers.
    pub signed: u64,
}

impl Log {
    /// Opens the log in `directory`, or begins one, and says how it was found.
    ///
    /// A directory that is not there is made. What a crash left is repaired, and what no crash explains is
    /// reported in the [`Recovery`]; both are also written to the log. The module `recover` has the table.
    ///
    /// # Errors
    ///
    /// Another process writes this log; the disk fails; or the log is not what its key has signed, and going
    /// on would sign a fork.
    pub fn open(
        directory: &Path,
        options: LogOptions,
        key: SigningKey,
    ) -> Result<(Self, Recovery), OpenError> {
        let clocks = Box::new(|| (SystemTime::now(), Instant::now()));
        Self::open_on(directory, options, key, Arc::new(SystemDisk), clocks)
    }

    pub(crate) fn open_on(
        directory: &Path,
        options: LogOptions,
        key: SigningKey,
        disk: Arc<dyn Disk>,
        clocks: Clocks,
    ) -> Result<(Self, Recovery), OpenError> {
        check_name(&options.origin).map_err(OpenError::Origin)?;
        let failed = failed(directory);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(&failed)?;
        let lock = lock(directory)?;
        let own = key.verifying_key(&options.origin);
        let keys = VerifyingKeys::new(std::iter::once(own).chain(options.former_keys.iter().cloned()));
        let start = recover::recover(directory, &options.origin, &keys)?;

        let begins = start.segment.is_none();
        let (segment, file_bytes) =
            start.segment.unwrap_or_else(|| (crate::segment::Segment::new(directory, start.next), 0));
        let file = disk.open(&segment.path, begins).map_err(recover::failed(&segment.path))?;
        let checkpointer =
            Checkpointer::open(&*disk, directory, &options, key, start.signed).map_err(&failed)?;
        let (now, _) = clocks();
        let mut writer = Writer {
            disk,
            directory: directory.into(),
            origin: options.origin.as_str().into(),
            segment_bytes: options.segment_bytes,
            file,
            file_bytes,
            pending: Vec::new(),
            next: start.next,
            previous: start.previous,
            tree: start.tree,
            written: start.next - 1,
            retired: Vec::new(),
            health: Health::Healthy,
            refused: 0,
            time: TimeText::default(),
        };
        if begins {
            writer.begin_file(now).map_err(|error| failed(io::Error::other(error)))?;
        }
        let shared = Arc::new(Shared::new(writer, clocks, start.signed));
        let watch = ClockWatch::new(start.last_time);
        let thread = sync::spawn(Arc::clone(&shared), checkpointer, watch, options.sync_interval);
        let log = Self(Arc::new(Handle {
            thread: Mutex::new(Some(thread.map_err(&failed)?)),
            shared,
            append_deadline: options.append_deadline,
            sync_deadline: options.sync_deadline,
            _lock: lock,
        }));
        // However long it takes: nobody is served before.
        log.record_recovery(now, &start.recovery)
            .and_then(|()| log.0.shared.sync_and_sign(None))
            .map_err(|error| failed(io::Error::other(error)))?;
        Ok((log, start.recovery))
    }

    /// Appends a record and writes it: when this returns, the record survives the death of the process.
    /// [`Log::durable`] says when it survives that of the machine.
    ///
    /// # Errors
    ///
    /// The record was not accepted and is not in the log.
    pub fn append<'a>(
        &self,
        at: SystemTime,
        record: impl Into<Fields<'a>>,
    ) -> Result<Receipt, AppendError> {
        self.append_fields(at, &record.into(), When::Now)
    }

    /// Appends a record that may be lost when the process dies within the sync interval: it has its place in
    /// the chain at once, and is written with the next record or the next sync. For outcomes, whose
    /// absence means `unknown`.
    ///
    /// # Errors
    ///
    /// The record was not accepted and is not in the log.
    pub fn append_lazily<'a>(
        &self,
        at: SystemTime,
        record: impl Into<Fields<'a>>,
    ) -> Result<Receipt, AppendError> {
        self.append_fields(at, &record.into(), When::Soon)
    }

    /// Writes everything that was appended lazily.
    ///
    /// # Errors
    ///
    /// It could not be written. It keeps its place in the chain, and is written when that is possible again.
    pub fn write(&self) -> Result<(), AppendError> {
        self.0.shared.check_progress(self.0.sync_deadline)?;
        let writer = self.0.shared.writer.try_lock_for(self.0.append_deadline);
        writer.ok_or(AppendError::Slow)?.flush()
    }

    fn append_fields(
        &self,
        at: SystemTime,
        record: &Fields<'_>,
        when: When,
    ) -> Result<Receipt, AppendError> {
        // Serialising is the larger half of the work and needs nothing of the chain, so it happens before
        // the lock, into a buffer that each thread keeps. Under the lock remain a copy, a hash over the line
        // and one over a node, and write(2); see examples/append_cost.rs for what they cost.
        let mut fields = FIELDS.take();
        let encoded = record.encode(&mut fields).map_err(|_| AppendError::NotARecord);
        // A write would still succeed, into memory that a hanging disk may never take.
        let encoded = encoded.and_then(|()| self.0.shared.check_progress(self.0.sync_deadline));
        let result = encoded.and_then(|()| {
            let mut writer =
                self.0.shared.writer.try_lock_for(self.0.append_deadline).ok_or(AppendError::Slow)?;
            writer.append(at, &fields, when)
        });
        fields.shrink_to(FIELDS_KEPT_BYTES);
        FIELDS.set(fields);
        self.0.shared.mark_dirty();
        result.map(|sequence| Receipt { sequence })
    }

    /// Resolves when the record of `receipt` is on the disk (fdatasync), and asks for that to be soon. All who
    /// wait at the same time share one sync.
    ///
    /// It has no clock: whoever awaits it gives up after [`Log::sync_deadline`], says so ([`Log::give_up`]), and takes the record for not
    /// written. It may be on the disk nevertheless, then or later.
    pub fn durable(&self, receipt: Receipt) -> Durable {
        Durable { shared: Arc::clone(&self.0.shared), sequence: receipt.sequence, ticket: None }
    }

    /// Nobody waits for the record of `receipt` any more: the disk hangs. Nothing is appended until it is on the disk after all.
    pub fn give_up(&self, receipt: Receipt) {
        self.0.shared.give_up(receipt.sequence);
    }

    /// How long to wait for [`Log::durable`].
    pub fn sync_deadline(&self) -> Duration {
        self.0.sync_deadline
    }

    /// Writes and syncs everything that was appended and signs a checkpoint for it. Blocks meanwhile, for at
    /// most the sync deadline.
    ///
    /// # Errors
    ///
    /// The disk is full, failed or hangs, or the log was closed.
    pub fn sync(&self) -> Result<(), AppendError> {
        self.0.shared.sync_and_sign(Some(self.0.sync_deadline))
    }

    /// Closes the log in good order: everything is synced and signed. Clones can append no more.
    ///
    /// # Errors
    ///
    /// The disk is full, failed or hangs. The log is closed nevertheless.
    pub fn close(&self) -> Result<(), AppendError> {
        self.0.close()
    }

    /// Where the log stands. Waits for a disk that hangs no longer than an append does.
    pub fn status(&self) -> Status {
        let synced = self.0.shared.synced.load(Ordering::Acquire);
        let signed = self.0.shared.signed.load(Ordering::Acquire);
        match self.0.shared.writer.try_lock_for(self.0.append_deadline) {
            Some(writer) => {
                let stalled = self.0.shared.is_stalled(self.0.sync_deadline);
                let health = match &writer.health {
                    Health::Healthy if stalled => Health::Slow,
                    health => health.clone(),
                };
                Status { health, last: writer.next - 1, synced, signed }
            }
            None => Status { health: Health::Slow, last: synced, synced, signed },
        }
    }

    fn record_recovery(&self, now: SystemTime, recovery: &Recovery) -> Result<(), AppendError> {
        if recovery.cut.is_none() && recovery.alarm.is_none() {
            return Ok(());
        }
        let kept_in = recovery.cut.as_ref().map(recover::Cut::file_name);
        let record = Record::EvidenceRecovered {
            cut_bytes: recovery.cut.as_ref().map_or(0, |cut| cut.bytes),
            kept_in: kept_in.as_deref(),
            alarm: recovery.alarm.as_deref(),
        };
        self.append(now, &record).map(|_| ())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.status()).finish()
    }
}

impl Handle {
    fn close(&self) -> Result<(), AppendError> {
        let Some(thread) = self.thread.lock().take() else { return Err(AppendError::Closed) };
        let result = self.shared.sync_and_sign(Some(CLOSE_DEADLINE.max(self.sync_deadline)));
        self.shared.stop();
        if result == Err(AppendError::Slow) {
            // The thread is inside of a call that may never return: the process must be able to end without it.
            return result;
        }
        // The thread holds no lock when it panics, and it does not; there is nothing to hand on.
        let _ = thread.join();
        self.shared.writer.lock().health = Health::Closed;
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Closed already, or the disk failed: whoever wanted to know has called `close`.
        let _ = self.close();
    }
}

/// A future that resolves when a record is on the disk. It needs no particular runtime.
#[derive(Debug)]
#[must_use = "a record is not known to be on the disk before this has resolved"]
pub struct Durable {
    shared: Arc<Shared>,
    sequence: u64,
    /// The number under which the waker is kept.
    ticket: Option<u64>,
}

impl Future for Durable {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.shared.poll_synced(this.sequence, &mut this.ticket, context.waker())
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.forget_waiter(self.sequence, ticket);
        }
    }
}

/// Both clocks of the machine: the wall's and the monotonic one.
pub(crate) type Clocks = Box<dyn Fn() -> (SystemTime, Instant) + Send + Sync>;

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    let file =
        options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { directory: directory.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

thread_local! {
    /// The fields of the record that this thread appends.
    static FIELDS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How long closing waits for a disk: what it misses is the signature under the last records.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// What each thread keeps of its buffer after a long record.
const FIELDS_KEPT_BYTES: usize = 64 * 1024;
