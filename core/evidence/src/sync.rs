//! The one thread that syncs, signs, and watches the clocks.
//!
//! Whoever needs a record on the disk waits for this thread; all who wait share its next fdatasync (group
//! commit), and whatever was appended while one sync runs is covered by the next. A sync that failed is
//! never tried again and taken for success: the kernel may have marked the lost pages clean.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use gatewright_model::audit::Record;
use parking_lot::{Condvar, Mutex};

use crate::{
    checkpoint::{self, Checkpoint},
    disk::{Disk, DiskFile},
    key::SigningKey,
    line,
    log::{AppendError, Clocks, Fault, Health, LogOptions},
    time::ClockWatch,
    tree::Hash,
    writer::{Batch, When, Writer},
};

/// What the log's handles and its thread share.
pub(crate) struct Shared {
    pub(crate) writer: Mutex<Writer>,
    /// The last record that was synced.
    pub(crate) synced: AtomicU64,
    /// The last record that was signed.
    pub(crate) signed: AtomicU64,
    /// Was anything appended since the last sync began?
    dirty: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Told when the thread has something to do.
    wanted: Condvar,
    /// Told when a checkpoint that somebody waits for is there.
    done: Condvar,
    clocks: Clocks,
    /// When the thread began what it does with the disk now, in nanoseconds after `epoch`. 0: it waits.
    busy_since: AtomicU64,
    epoch: Instant,
    /// The last record of which somebody has given up that it will be synced in time.
    given_up: AtomicU64,
    /// Records that were refused because the disk did not answer a sync.
    refused: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// Who waits for which record, by record and ticket.
    wakers: BTreeMap<(u64, u64), Waker>,
    next_ticket: u64,
    urgent: bool,
    stop: bool,
    /// How often a checkpoint was asked for, and how many of these were answered, last with what.
    asked: u64,
    answered: u64,
    answer: Option<AppendError>,
    /// Why nothing will be synced any more.
    ended: Option<AppendError>,
}

impl Shared {
    pub(crate) fn new(writer: Writer, clocks: Clocks, signed: u64) -> Self {
        Self {
            synced: AtomicU64::new(0),
            signed: AtomicU64::new(signed),
            dirty: AtomicBool::new(false),
            waiting: Mutex::default(),
            wanted: Condvar::new(),
            done: Condvar::new(),
            clocks,
            busy_since: AtomicU64::new(0),
            epoch: Instant::now(),
            given_up: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            writer: Mutex::new(writer),
        }
    }

    /// Has the disk not answered for so long, or for so long that somebody has given up? While it hangs, nobody can say what of all
    /// that was appended will ever be on it.
    pub(crate) fn is_stalled(&self, limit: Duration) -> bool {
        if self.is_given_up() {
            return true;
        }
        let since = self.busy_since.load(Ordering::Acquire);
        since != 0 && self.epoch.elapsed().saturating_sub(Duration::from_nanos(since)) >= limit
    }

    /// Nothing is added to what a hanging disk has not taken yet.
    pub(crate) fn check_progress(&self, limit: Duration) -> Result<(), AppendError> {
        if !self.is_stalled(limit) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::AcqRel);
        Err(AppendError::Slow)
    }

    /// Whoever has waited for the record does not any more. That may be earlier than the thread can tell: it was woken later.
    pub(crate) fn give_up(&self, sequence: u64) {
        self.given_up.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Is a record that somebody has given up on not on the disk yet?
    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire) > self.synced.load(Ordering::Acquire)
    }

    fn begin(&self) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
        self.busy_since.store(now, Ordering::Release);
    }

    fn end_busy(&self) {
        self.busy_since.store(0, Ordering::Release);
    }

    /// Something was appended: it is to be synced within the interval. Only the first append after a sync
    /// takes the lock.
    pub(crate) fn mark_dirty(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            let _waiting = self.waiting.lock();
            self.wanted.notify_one();
        }
    }

    pub(crate) fn poll_synced(
        &self,
        sequence: u64,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<(), AppendError>> {
        if self.synced.load(Ordering::Acquire) >= sequence {
            return Poll::Ready(Ok(()));
        }
        let mut waiting = self.waiting.lock();
        // Again under the lock: the thread moves `synced` on before it takes it to wake those who wait.
        if self.synced.load(Ordering::Acquire) >= sequence {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = &waiting.ended {
            return Poll::Ready(Err(error.clone()));
        }
        let number = ticket.unwrap_or(waiting.next_ticket);
        if ticket.is_none() {
            waiting.next_ticket += 1;
            *ticket = Some(number);
        }
        waiting.wakers.insert((sequence, number), waker.clone());
        waiting.urgent = true;
        self.wanted.notify_one();
        Poll::Pending
    }

    pub(crate) fn forget_waiter(&self, sequence: u64, ticket: u64) {
        self.waiting.lock().wakers.remove(&(sequence, ticket));
    }

    /// Asks for a sync and a signature, and waits until they are there, or for `limit`.
    pub(crate) fn sync_and_sign(&self, limit: Option<Duration>) -> Result<(), AppendError> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut waiting = self.waiting.lock();
        waiting.asked += 1;
        let own = waiting.asked;
        self.wanted.notify_one();
        while waiting.answered < own {
            if let Some(error) = &waiting.ended {
                return Err(error.clone());
            }
            match deadline {
                None => self.done.wait(&mut waiting),
                Some(deadline) => {
                    if self.done.wait_until(&mut waiting, deadline).timed_out() && waiting.answered < own {
                        return Err(AppendError::Slow);
                    }
                }
            }
        }
        waiting.answer.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn stop(&self) {
        self.waiting.lock().stop = true;
        self.wanted.notify_one();
    }

    /// Nothing will be synced any more: everybody who waits is told.
    fn end(&self, error: &AppendError) {
        let mut waiting = self.waiting.lock();
        waiting.ended.get_or_insert_with(|| error.clone());
        // That nothing is synced any more is what whoever appends is told, and not that the disk hangs.
        self.given_up.store(0, Ordering::Release);
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        self.done.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    /// Everything up to `last` is on the disk.
    fn publish(&self, last: u64) {
        self.synced.store(last, Ordering::Release);
        let mut waiting = self.waiting.lock();
        let later = waiting.wakers.split_off(&(last + 1, 0));
        let wakers = std::mem::replace(&mut waiting.wakers, later);
        drop(waiting);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("synced", &self.synced)
            .field("signed", &self.signed)
            .finish_non_exhaustive()
    }
}

/// Starts the thread.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    watch: ClockWatch,
    sync_interval: Duration,
) -> io::Result<JoinHandle<()>> {
    let syncer = Syncer { shared, checkpointer, watch, sync_interval, broken: None };
    thread::Builder::new().name("evidence-sync".into()).spawn(move || syncer.run())
}

struct Syncer {
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    watch: ClockWatch,
    sync_interval: Duration,
    /// Set once the disk failed: nothing is asked of it again.
    broken: Option<AppendError>,
}

impl Syncer {
    fn run(mut self) {
        loop {
            let (asked, stop) = self.wait();
            self.watch_clocks();
            self.try_to_resume();
            self.shared.begin();
            let result = self.sync(asked.is_some());
            self.shared.end_busy();
            self.note_stall();
            if let Some(asked) = asked {
                let mut waiting = self.shared.waiting.lock();
                waiting.answered = asked;
                waiting.answer = result.err();
                self.shared.done.notify_all();
            }
            if stop {
                return self.shared.end(&AppendError::Closed);
            }
        }
    }

    /// Waits until there is something to do. Says up to which number checkpoints were asked for, if any is
    /// not answered yet, and whether this is the end.
    fn wait(&self) -> (Option<u64>, bool) {
        let shared = &self.shared;
        let mut deadline = Instant::now() + IDLE_INTERVAL;
        let mut dirty = false;
        let mut waiting = shared.waiting.lock();
        loop {
            if waiting.stop || waiting.urgent || waiting.asked > waiting.answered {
                break;
            }
            if !dirty && shared.dirty.load(Ordering::Acquire) {
                dirty = true;
                deadline = deadline.min(Instant::now() + self.sync_interval);
            }
            if shared.wanted.wait_until(&mut waiting, deadline).timed_out() {
                break;
            }
        }
        waiting.urgent = false;
        ((waiting.asked > waiting.answered).then_some(waiting.asked), waiting.stop)
    }

    /// Writes, syncs, and signs if it is time for that or `sign` wants it.
    fn sync(&mut self, sign: bool) -> Result<(), AppendError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        // Before the batch is taken: whatever is appended later marks it again.
        self.shared.dirty.store(false, Ordering::Release);
        let (flushed, batch, disk) = {
            let mut writer = self.shared.writer.lock();
            let flushed = writer.flush();
            (flushed, writer.take_batch(), Arc::clone(&writer.disk))
        };
        if batch.last > self.shared.synced.load(Ordering::Acquire) {
            if let Err(error) = sync_files(&batch, &*disk, &self.checkpointer.directory) {
                return Err(self.break_down(&error));
            }
            self.shared.publish(batch.last);
        }
        if let Err(error) = flushed {
            return Err(self.note_failure(error));
        }
        let Some(root) = batch.root else { return Ok(()) };
        let due = sign || batch.begins_segment || self.checkpointer.is_due(batch.last);
        if due && self.checkpointer.signed < batch.last {
            match self.checkpointer.sign(&*disk, batch.last, root) {
                Ok(()) => self.shared.signed.store(batch.last, Ordering::Release),
                // What was appended is safe. The signature is tried again with the next batch.
                Err(error) if is_full(&error) => return Err(AppendError::Full),
                Err(error) => return Err(self.break_down(&error)),
            }
        }
        Ok(())
    }

    /// A disk that failed once is not asked again.
    fn break_down(&mut self, error: &io::Error) -> AppendError {
        let fault = Fault::from(error);
        self.shared.writer.lock().health = Health::Broken(fault.clone());
        self.note_failure(AppendError::Broken(fault))
    }

    fn note_failure(&mut self, error: AppendError) -> AppendError {
        if matches!(error, AppendError::Broken(_)) {
            self.broken = Some(error.clone());
            self.shared.end(&error);
        }
        error
    }

    /// If the disk was full: has it room again?
    fn try_to_resume(&self) {
        let mut writer = self.shared.writer.lock();
        if writer.health == Health::Full {
            let (now, _) = (self.shared.clocks)();
            let record = Record::EvidenceResumed { refused: writer.refused };
            let mut fields = Vec::new();
            if line::encode_fields(&record, &mut fields).is_ok() {
                // If it has not, the writer's health says so, and the next round tries again.
                let _ = writer.resume(now, &fields);
            }
        }
    }

    /// If the disk hung: it answered, and what was refused meanwhile is written down. A disk that failed
    /// takes no record of it.
    fn note_stall(&self) {
        if self.shared.is_given_up() {
            // It goes on: the next round syncs that record.
            return;
        }
        let refused = self.shared.refused.swap(0, Ordering::AcqRel);
        if refused == 0 {
            return;
        }
        let (now, _) = (self.shared.clocks)();
        let mut fields = Vec::new();
        if line::encode_fields(&Record::EvidenceResumed { refused }, &mut fields).is_ok()
            && self.shared.writer.lock().append(now, &fields, When::Now).is_ok()
        {
            self.shared.mark_dirty();
        }
    }

    fn watch_clocks(&mut self) {
        let (wall, monotonic) = (self.shared.clocks)();
        let Some(seconds) = self.watch.handle_reading(wall, monotonic) else { return };
        let mut fields = Vec::new();
        if line::encode_fields(&Record::ClockStepped { seconds }, &mut fields).is_ok() {
            // A log that takes no records now says so elsewhere, and takes no record of this step.
            let _ = self.shared.writer.lock().append(wall, &fields, When::Now);
        }
    }
}

fn sync_files(batch: &Batch, disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    batch.files.iter().try_for_each(|file| file.sync())?;
    if batch.begins_segment { disk.sync_directory(directory) } else { Ok(()) }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Signs checkpoints and keeps them beside the segments.
pub(crate) struct Checkpointer {
    directory: PathBuf,
    origin: String,
    key: SigningKey,
    all: Arc<dyn DiskFile>,
    all_bytes: u64,
    records: u64,
    interval: Duration,
    signed: u64,
    signed_at: Instant,
}

impl Checkpointer {
    pub(crate) fn open(
        disk: &dyn Disk,
        directory: &Path,
        options: &LogOptions,
        key: SigningKey,
        signed: u64,
    ) -> io::Result<Self> {
        let path = directory.join(checkpoint::ALL);
        let all = disk.open(&path, false)?;
        Ok(Self {
            all_bytes: path.metadata()?.len(),
            all,
            directory: directory.into(),
            origin: options.origin.clone(),
            key,
            records: options.checkpoint_records,
            interval: options.checkpoint_interval,
            signed,
            signed_at: Instant::now(),
        })
    }

    fn is_due(&self, last: u64) -> bool {
        last.saturating_sub(self.signed) >= self.records || self.signed_at.elapsed() >= self.interval
    }

    /// Signs the tree of everything up to `last`, which is on the disk already. First the list of all, then
    /// the latest: so the latest is never one that the list lacks.
    fn sign(&mut self, disk: &dyn Disk, last: u64, root: Hash) -> io::Result<()> {
        let note = Checkpoint::new(&self.origin, last, root).sign(&self.key);
        let listed = format!("{note}\n");
        if let Err(error) = self.all.append(listed.as_bytes()).and_then(|()| self.all.sync()) {
            self.all.truncate(self.all_bytes)?;
            return Err(error);
        }
        self.all_bytes += listed.len() as u64;
        disk.replace(&self.directory.join(checkpoint::LATEST), note.as_bytes())?;
        disk.sync_directory(&self.directory)?;
        self.signed = last;
        self.signed_at = Instant::now();
        Ok(())
    }
}

/// Without anything to do, the thread looks at the clocks this often.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
