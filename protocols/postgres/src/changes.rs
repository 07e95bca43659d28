//! Changes of definitions that sessions send to one database of a target.
//!
//! A change is open from before it is sent until it is known to be committed or rolled back: it may be true at any time between. What was read of the
//! catalog before it ended may be wrong for whatever depends on what it touches, and for nothing else.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// Names of relations, without their schemas. None: any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Option<HashSet<Arc<str>>>);

impl Scope {
    /// Anything at all.
    pub const ALL: Self = Self(None);

    /// Most names that are told apart, so that a change takes a bounded part of memory.
    const MAX_NAMES: usize = 1_024;

    /// These names.
    pub fn of(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut scope = Self(Some(HashSet::new()));
        scope.widen(Self(Some(names.into_iter().collect())));
        scope
    }

    /// These names as well.
    pub fn widen(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(own), Some(other)) => own.extend(other),
            (own, None) => *own = None,
            (None, _) => {}
        }
        self.0.take_if(|names| names.len() > Self::MAX_NAMES);
    }

    fn meets(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => !own.is_disjoint(other),
            (Some(names), None) | (None, Some(names)) => !names.is_empty(),
            (None, None) => true,
        }
    }
}

/// How many changes had ended at some time. What was read of the catalog carries that of its beginning.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changes(u64);

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whose change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author(u64);

/// The changes of one database, as far as they may still matter.
#[derive(Debug, Default, Clone)]
pub struct ChangeLog(Arc<Log>);

#[derive(Debug, Default)]
struct Log {
    // The first two are what an answer asks that nothing was changed for; the lock is taken around a change, and by those that are answered while it
    // matters.
    ended: AtomicU64,
    open: AtomicUsize,
    authors: AtomicU64,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    open: Vec<(u64, Change)>,
    /// The last ones that ended, in order.
    ended: VecDeque<(Changes, Change)>,
    /// Those up to this one are not known any more.
    forgotten: Changes,
    next: u64,
}

#[derive(Debug)]
struct Change {
    author: Author,
    scope: Scope,
    /// It may be more than one transaction, and what was true between two of them nobody knows.
    is_several: bool,
}

impl Change {
    /// Is it somebody else's, and touches what this depends on?
    fn is_met_by(&self, own: Option<Author>, dependence: &Scope) -> bool {
        Some(self.author) != own && self.scope.meets(dependence)
    }
}

/// Ended changes that are kept.
const KEPT: usize = 1_024;

impl ChangeLog {
    /// Those that have ended by now. To be asked before a reading begins.
    pub fn now(&self) -> Changes {
        Changes(self.0.ended.load(Ordering::SeqCst))
    }

    /// Somebody new.
    pub fn author(&self) -> Author {
        Author(self.0.authors.fetch_add(1, Ordering::Relaxed))
    }

    /// Is what was read at `since` still true of what this depends on, as far as is known?
    pub fn is_true_since(&self, since: Changes, dependence: impl FnOnce() -> Scope) -> bool {
        self.now() == since || self.0.entries.lock().ended_since(since, None, &dependence())
    }

    /// Was it true all the time until now, and is nobody else than `own` about to change it?
    pub fn is_settled_since(
        &self,
        since: Changes,
        own: Author,
        dependence: impl FnOnce() -> Scope,
    ) -> bool {
        // In this order: one that ends between the two has been counted.
        if self.0.open.load(Ordering::SeqCst) == 0 && self.now() == since {
            return true;
        }
        let dependence = dependence();
        let entries = self.0.entries.lock();
        let mut open = entries.open.iter();
        entries.ended_since(since, Some(own), &dependence)
            && !open.any(|(_, change)| change.is_met_by(Some(own), &dependence))
    }

    /// Has anybody but `own` changed what this depends on at most once since then? Then it was at any time as it was then, or as it is now.
    pub fn is_one_since(&self, since: Changes, own: Author, dependence: &Scope) -> bool {
        let entries = self.0.entries.lock();
        let ended = entries.ended.iter().filter(|(number, _)| *number > since).map(|(_, change)| change);
        let changes = ended.chain(entries.open.iter().map(|(_, change)| change));
        let met = changes.filter(|change| change.is_met_by(Some(own), dependence));
        since >= entries.forgotten
            && met.map(|change| 1 + u8::from(change.is_several)).take(2).sum::<u8>() <= 1
    }

    /// A change is about to be sent.
    pub fn open(&self, author: Author, scope: Scope) -> OpenChange {
        let mut entries = self.0.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.open.push((number, Change { author, scope, is_several: false }));
        self.0.open.fetch_add(1, Ordering::SeqCst);
        OpenChange { log: self.clone(), number }
    }
}

impl Entries {
    /// Is nothing among the changes that have ended since then, but for `own`, which meets `dependence`?
    fn ended_since(&self, since: Changes, own: Option<Author>, dependence: &Scope) -> bool {
        let mut later = self.ended.iter().rev().take_while(|(number, _)| *number > since);
        since >= self.forgotten && !later.any(|(_, change)| change.is_met_by(own, dependence))
    }
}

/// A change that the target was sent. It has ended when this is dropped.
#[derive(Debug)]
pub struct OpenChange {
    log: ChangeLog,
    number: u64,
}

impl OpenChange {
    /// It touches this as well. `is_several`: perhaps in another transaction.
    pub fn widen(&self, scope: Scope, is_several: bool) {
        let mut entries = self.log.0.entries.lock();
        if let Some((_, own)) = entries.open.iter_mut().find(|(number, _)| *number == self.number) {
            own.scope.widen(scope);
            own.is_several |= is_several;
        }
    }
}

impl Drop for OpenChange {
    fn drop(&mut self) {
        let log = &self.log.0;
        let mut entries = log.entries.lock();
        let Some(at) = entries.open.iter().position(|(number, _)| *number == self.number) else { return };
        let (_, change) = entries.open.swap_remove(at);
        let number = Changes(log.ended.load(Ordering::SeqCst) + 1);
        entries.ended.push_back((number, change));
        if entries.ended.len() > KEPT
            && let Some((oldest, _)) = entries.ended.pop_front()
        {
            entries.forgotten = oldest;
        }
        log.ended.store(number.0, Ordering::SeqCst);
        log.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Scope {
        Scope::of(names.iter().map(|name| Arc::from(*name)))
    }

    #[test]
    fn a025_a_change_counts_for_what_depends_on_it() {
        let log = ChangeLog::default();
        let (own, other) = (log.author(), log.author());
        let before = log.now();
        let change = log.open(other, names(&["v"]));
        change.widen(names(&["w"]), false);
        let settled = |since, author, name: &str| log.is_settled_since(since, author, || names(&[name]));
        for (name, is_met) in [("v", true), ("w", true), ("x", false)] {
            assert_eq!(settled(before, own, name), !is_met, "{name}");
            assert!(settled(before, other, name), "one's own is no surprise");
            assert!(log.is_true_since(before, || names(&[name])), "nothing has ended");
        }
        assert!(!log.is_settled_since(before, own, || Scope::ALL));
        drop(change);
        for (name, is_met) in [("v", true), ("w", true), ("x", false)] {
            assert_eq!(log.is_true_since(before, || names(&[name])), !is_met, "{name}");
            assert_eq!(settled(before, own, name), !is_met, "{name}");
            assert!(settled(log.now(), own, name), "{name}");
        }
        assert!(log.is_true_since(before, || names(&[])), "what depends on nothing is always true");
        drop(log.open(other, Scope::ALL));
        assert!(!settled(before, own, "x"));
    }

    #[test]
    fn a029_two_changes_have_a_time_between_them() {
        let log = ChangeLog::default();
        let (own, other, third) = (log.author(), log.author(), log.author());
        let before = log.now();
        let is_one = |name: &str| log.is_one_since(before, own, &names(&[name]));
        assert!(is_one("v"));
        let first = log.open(other, names(&["v"]));
        assert!(is_one("v"), "it is under way");
        drop(first);
        assert!(is_one("v"), "it is done");
        drop(log.open(own, names(&["v"])));
        assert!(is_one("v"), "one's own is no surprise");
        drop(log.open(third, names(&["x"])));
        assert!(is_one("v"), "it touches something else");
        let second = log.open(third, names(&["v"]));
        assert!(!is_one("v"), "two, of which one is under way");
        drop(second);
        assert!(!is_one("v"), "two");
        assert!(log.is_one_since(log.now(), own, &Scope::ALL), "since then there was none");

        let several = log.open(other, names(&["y"]));
        assert!(is_one("y"));
        several.widen(names(&["y"]), true);
        assert!(!is_one("y"), "in more than one transaction");
        (0..=KEPT).for_each(|_| drop(log.open(own, names(&["z"]))));
        assert!(!is_one("nothing"), "what happened then is not known any more");
    }

    #[test]
    fn a025_what_is_not_known_any_more_has_changed() {
        let log = ChangeLog::default();
        let (author, before) = (log.author(), log.now());
        (0..KEPT).for_each(|_| drop(log.open(author, names(&["v"]))));
        assert!(log.is_true_since(before, || names(&["x"])));
        drop(log.open(author, names(&["v"])));
        assert!(!log.is_true_since(before, || names(&["x"])));
        assert!(log.is_true_since(log.now(), || Scope::ALL));
        let mut many = names(&["x"]);
        many.widen(Scope::of((0..=Scope::MAX_NAMES).map(|number| Arc::from(number.to_string()))));
        assert_eq!(many, Scope::ALL);
    }
}
