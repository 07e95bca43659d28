//! Watches the policy folder, and the folders of the modules that its documents name.
//!
//! Notifications make a change take effect at once; a slow poll heals those that were missed (network file systems, exhausted
//! watches, renamed folders). A poll looks at what the system says of the files, and reads them where that has changed; after
//! some polls it reads them anyway. Either way the contents decide: the same bytes are never loaded twice.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use gatewright_model::{decision::SetVersion, digest::Digest};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};

use crate::{
    cases::CaseReader,
    host::Host,
    problem::LoadProblem,
    set::PolicySet,
    sources::{self, Sources, Stamp},
    swap::Policies,
};

/// What happened to the folder.
#[derive(Debug)]
pub enum Change<'a> {
    /// A new set is good and will be active when the callback returns `Ok`.
    Swap {
        /// The version that ends.
        old: SetVersion,
        /// The set that begins.
        new: &'a PolicySet,
    },
    /// The set that was given with `Swap` is active. An error to this changes nothing.
    Active {
        /// Its version.
        version: SetVersion,
    },
    /// The contents make the active set: at start, or after a change that was undone.
    Keep {
        /// Its version.
        version: SetVersion,
    },
    /// The new contents can not be used; the active set stays.
    Refuse {
        /// The version that stays.
        kept: SetVersion,
        /// Everything that is wrong.
        problems: &'a [LoadProblem],
    },
}

/// Is told of each change, and writes the audit record. An error to a [`Change::Swap`] keeps the old set:
/// no set is active without its record. It is tried again with the next poll.
pub type OnChange = Box<dyn FnMut(Change<'_>) -> Result<(), String> + Send>;

/// When to look.
#[derive(Debug, Clone, Copy)]
pub struct WatchTimes {
    /// How long the folder must be quiet before it is read.
    pub settle: Duration,
    /// How often the files are looked at without any notification.
    pub poll: Duration,
    /// After so many looks that found nothing new, all contents are read.
    pub polls_unread: u32,
}

impl Default for WatchTimes {
    fn default() -> Self {
        Self { settle: Duration::from_millis(100), poll: Duration::from_secs(2), polls_unread: 30 }
    }
}

/// A folder under watch, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.stop.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Signal {
    Changed,
    Stop,
}

/// Watches `folder` in a thread of its own and keeps `policies` up to date with it.
///
/// # Errors
///
/// The thread can not be started. Where the system gives no notifications, polling goes on alone.
pub fn watch(
    folder: &Path,
    policies: Policies,
    host: Host,
    reader: Arc<dyn CaseReader>,
    times: WatchTimes,
    on_change: OnChange,
) -> io::Result<Watch> {
    let (stop, signals) = mpsc::channel();
    let notifications = stop.clone();
    let folder = folder.to_owned();
    let run = move || {
        let handler = move |event| {
            if may_change(&event) {
                let _ = notifications.send(Signal::Changed);
            }
        };
        let notifier = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!(%error, "no file notifications, polling only"))
            .ok();
        let watcher = FolderWatcher {
            folder,
            policies,
            host,
            reader,
            on_change,
            notifier,
            watched: BTreeSet::new(),
            seen: None,
            modules: Vec::new(),
            stamps: None,
        };
        watcher.run(&signals, times);
    };
    let thread = thread::Builder::new().name("policy-watch".to_owned()).spawn(run)?;
    Ok(Watch { stop, thread: Some(thread) })
}

/// May contents have changed? Whoever reads files is told of as well, which the watcher itself does with each look.
fn may_change(event: &notify::Result<Event>) -> bool {
    let kind = event.as_ref().map(|event| event.kind);
    !matches!(kind, Ok(EventKind::Access(access)) if access != AccessKind::Close(AccessMode::Write))
}

struct FolderWatcher {
    folder: PathBuf,
    policies: Policies,
    host: Host,
    reader: Arc<dyn CaseReader>,
    on_change: OnChange,
    notifier: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Digest of the contents that were dealt with last.
    seen: Option<Digest>,
    /// The modules that were read with it.
    modules: Vec<PathBuf>,
    /// What the system said of all files before they were read. None: that says nothing of what was read.
    stamps: Option<Vec<Stamp>>,
}

impl FolderWatcher {
    fn run(mut self, signals: &Receiver<Signal>, times: WatchTimes) {
        let mut polls = Polls::default();
        loop {
            if polls.reads(times.polls_unread, || self.seem_untouched()) {
                self.look();
            }
            match signals.recv_timeout(times.poll) {
                Ok(Signal::Changed) => {
                    if settle(signals, times.settle) == Settled::Stop {
                        return;
                    }
                    polls = Polls::default();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Are the files those that were read, as far as that can be told without reading them? Never while there is something to be tried again.
    fn seem_untouched(&self) -> bool {
        self.seen.is_some()
            && self.stamps.is_some()
            && self.stamps == sources::stamps(&self.folder, &self.modules, SystemTime::now())
    }

    fn look(&mut self) {
        // Before they are read: what changes meanwhile has another stamp afterwards.
        let stamps = sources::stamps(&self.folder, &self.modules, SystemTime::now());
        let sources = Sources::folder(&self.folder, self.host.limits().module);
        let modules: Vec<_> = sources.modules().map(Path::to_owned).collect();
        let follows = self.follow(&sources);
        self.stamps = stamps.filter(|_| modules == self.modules && follows);
        self.modules = modules;
        if self.seen == Some(sources.digest()) {
            return;
        }
        self.seen = Some(sources.digest());
        let active = self.policies.current().version();
        match PolicySet::from_sources(&sources, &self.host, &*self.reader) {
            Ok(set) if set.version().digest == active.digest => {
                if let Err(reason) = (self.on_change)(Change::Keep { version: active }) {
                    tracing::error!(reason, "nobody was told that the policies stay");
                }
            }
            Ok(set) => {
                let Self { policies, on_change, .. } = self;
                let swapped = policies.swap(set, |old, new| on_change(Change::Swap { old, new }));
                match swapped.map(|version| on_change(Change::Active { version })) {
                    Ok(told) => {
                        told.unwrap_or_else(|reason| {
                            tracing::error!(reason, "nobody was told of new policies")
                        });
                    }
                    Err(reason) => {
                        tracing::error!(reason, "the new policies are not used");
                        self.seen = None;
                    }
                }
            }
            Err(problems) => {
                let refused = Change::Refuse { kept: active, problems: &problems };
                if let Err(reason) = (self.on_change)(refused) {
                    tracing::error!(reason, "the refusal of new policies could not be recorded");
                }
            }
        }
    }

    /// Watches the folders in which the next change can happen. A document that can not be read names no
    /// module, so folders are only added to.
    /// `false`: one of them is to be tried again.
    fn follow(&mut self, sources: &Sources) -> bool {
        let Some(notifier) = &mut self.notifier else { return true };
        let mut follows = true;
        for folder in sources.module_folders().into_iter().chain([self.folder.clone()]) {
            if self.watched.contains(&folder) {
                continue;
            }
            // A folder that does not exist yet is tried again at the next look.
            if notifier.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(folder);
            } else {
                follows = false;
            }
        }
        follows
    }
}

/// Polls since something was heard or read.
#[derive(Default)]
struct Polls {
    unread: u32,
}

impl Polls {
    /// Does this one read the files? After so many that did not it does, however untouched they seem.
    fn reads(&mut self, most_unread: u32, seem_untouched: impl FnOnce() -> bool) -> bool {
        let reads = self.unread == 0 || self.unread > most_unread || !seem_untouched();
        self.unread = if reads { 1 } else { self.unread + 1 };
        reads
    }
}

#[derive(PartialEq, Eq)]
enum Settled {
    Quiet,
    Stop,
}

/// Waits until nothing was heard for a while: editors and builds write in several steps.
fn settle(signals: &Receiver<Signal>, quiet: Duration) -> Settled {
    for _ in 0..SETTLE_ROUNDS {
        match signals.recv_timeout(quiet) {
            Ok(Signal::Changed) => {}
            Err(RecvTimeoutError::Timeout) => return Settled::Quiet,
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Settled::Stop,
        }
    }
    Settled::Quiet
}

/// A folder that never is quiet is read all the same after this many notifications.
const SETTLE_ROUNDS: usize = 1000;

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use notify::event::ModifyKind;

    use super::*;

    /// It would read all policies without a pause.
    #[test]
    fn f019_what_the_watcher_reads_does_not_wake_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p.toml"), "").unwrap();
        let (told, events) = mpsc::channel();
        let mut notifier = notify::recommended_watcher(move |event| drop(told.send(event))).unwrap();
        notifier.watch(folder.path(), RecursiveMode::NonRecursive).unwrap();
        let _ = sources::stamps(folder.path(), &[], SystemTime::now());
        drop(Sources::folder(folder.path(), 1 << 20));
        fs::write(folder.path().join("end"), "").unwrap();

        // All that was heard before the file that is written last.
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_end = |event: &notify::Result<Event>| {
            event.as_ref().is_ok_and(|event| event.paths.iter().any(|path| path.ends_with("end")))
        };
        let mut heard = Vec::new();
        loop {
            let event = events.recv_timeout(deadline - Instant::now()).unwrap();
            if is_end(&event) {
                assert!(may_change(&event), "{event:?}");
                break;
            }
            heard.push(event);
        }
        assert!(!heard.iter().any(may_change), "{heard:?}");
    }

    #[test]
    fn f019_polls_read_what_seems_changed_and_once_in_a_while_what_does_not() {
        let mut polls = Polls::default();
        let reads: Vec<_> = (0..9).map(|_| polls.reads(3, || true)).collect();
        assert_eq!(reads, [true, false, false, false, true, false, false, false, true]);
        assert!(polls.reads(3, || false));
        assert!(!polls.reads(3, || true));
    }

    #[test]
    fn what_may_change_contents_wakes_the_watcher() {
        let woken = |kind| may_change(&Ok(Event::new(kind)));
        assert!(
            woken(EventKind::Modify(ModifyKind::Any)) && woken(EventKind::Any) && woken(EventKind::Other)
        );
        assert!(woken(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!woken(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!woken(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(may_change(&Err(notify::Error::generic("the queue is full"))));
    }
}
