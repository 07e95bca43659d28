//! What was read, by its key: analyses by their exact text, and by the shape of it.
//!
//! Sessions send the same texts over and over, so a hit is the common case and on the path of every
//! statement. It costs one hash of the key, one comparison with it, and a lock that is held for one
//! look-up; the shards keep threads out of each other's way.
//!
//! Each shard holds two generations of equal size. New entries go to the young one; when it is full it
//! becomes the old one, and what was old and is not used again is forgotten. A hit in the old generation
//! moves the entry to the young one. That is nearly LRU, without a list to keep in order on each hit.
//!
//! The hash is keyed at random, so that nobody can choose texts that collide; and if two do, the later
//! one takes the place, for the whole key is compared.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    mem,
    sync::Arc,
};

use gatewright_model::sql::Analysis;
use parking_lot::Mutex;

use crate::shape::Shape;

/// A power of two, well above the number of cores that share the gateway's work.
const SHARDS: usize = 16;

/// An entry may take this part of its generation: one text must not push out all others.
const LARGEST_PART: usize = 8;

/// What can be kept.
pub(crate) trait Keyed {
    /// What it is found by.
    fn key(&self) -> &str;
    /// About how many bytes of memory it takes.
    fn size(&self) -> usize;
}

#[derive(Debug)]
pub(crate) struct Cache<E> {
    shards: [Mutex<Shard<E>>; SHARDS],
    hasher: RandomState,
    /// For one generation of one shard.
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Shard<E> {
    young: Generation<E>,
    old: Generation<E>,
}

#[derive(Debug)]
struct Generation<E> {
    entries: HashMap<u64, Arc<E>, BuildHasherDefault<AlreadyHashed>>,
    bytes: usize,
}

impl<E: Keyed> Cache<E> {
    pub(crate) fn new(entries: usize, bytes: usize) -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            max_entries: entries.div_ceil(2 * SHARDS),
            max_bytes: bytes / (2 * SHARDS),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<E>> {
        let hash = self.hasher.hash_one(key);
        self.shard(hash)?.lock().get(hash, key)
    }

    /// Keeps an entry, if there is room for one of its size.
    pub(crate) fn insert(&self, entry: Arc<E>) {
        let (hash, size) = (self.hasher.hash_one(entry.key()), entry.size());
        if let Some(shard) = self.shard(hash)
            && self.max_entries > 0
            && size <= self.max_bytes / LARGEST_PART
        {
            shard.lock().insert(hash, entry, size, self);
        }
    }

    fn shard(&self, hash: u64) -> Option<&Mutex<Shard<E>>> {
        // The map uses the lowest and the highest bits.
        self.shards.get((hash >> 32) as usize % SHARDS)
    }
}

impl<E: Keyed> Shard<E> {
    fn get(&mut self, hash: u64, key: &str) -> Option<Arc<E>> {
        if let Some(entry) = self.young.entries.get(&hash).filter(|entry| entry.key() == key) {
            return Some(Arc::clone(entry));
        }
        let entry = Arc::clone(self.old.entries.get(&hash).filter(|entry| entry.key() == key)?);
        // Its size counts in the old generation until that is forgotten, and now in the young one too:
        // the limit is kept on the safe side.
        self.young.bytes += entry.size();
        self.young.entries.insert(hash, Arc::clone(&entry));
        Some(entry)
    }

    fn insert(&mut self, hash: u64, entry: Arc<E>, size: usize, limits: &Cache<E>) {
        let is_full =
            self.young.entries.len() >= limits.max_entries || self.young.bytes + size > limits.max_bytes;
        if is_full {
            self.old = mem::take(&mut self.young);
        }
        self.young.bytes += size;
        self.young.entries.insert(hash, entry);
    }
}

// Derived, these would ask for an entry that has a default.
impl<E> Default for Shard<E> {
    fn default() -> Self {
        Self { young: Generation::default(), old: Generation::default() }
    }
}

impl<E> Default for Generation<E> {
    fn default() -> Self {
        Self { entries: HashMap::default(), bytes: 0 }
    }
}

impl Keyed for Analysis {
    fn key(&self) -> &str {
        &self.text
    }

    fn size(&self) -> usize {
        self.footprint()
    }
}

/// The reading that all texts of one shape share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) shape: Shape,
    pub(crate) analysis: Arc<Analysis>,
}

impl Keyed for Common {
    fn key(&self) -> &str {
        self.shape.key()
    }

    fn size(&self) -> usize {
        mem::size_of::<Self>() + self.shape.key().len() + self.analysis.footprint()
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` keys are hashed; anything else would still be correct, and slow.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Analyser, AnalyserLimits};

    fn kept(analyser: &Analyser, text: &str) -> bool {
        Arc::ptr_eq(&analyser.analyse(text), &analyser.analyse(text))
    }

    /// Entries and bytes of all generations.
    fn filled<E>(cache: &Cache<E>) -> (usize, usize) {
        let shards = cache.shards.iter().map(|shard| shard.lock());
        shards.fold((0, 0), |(entries, bytes), shard| {
            let here = shard.young.entries.len() + shard.old.entries.len();
            (entries + here, bytes + shard.young.bytes + shard.old.bytes)
        })
    }

    #[test]
    fn the_same_text_is_read_once() {
        let analyser = Analyser::new(AnalyserLimits::default());
        assert!(kept(&analyser, "select 1"));
        let one = analyser.analyse("select now()");
        let other = analyser.analyse("select  now()");
        assert_eq!(&*other.text, "select  now()", "the exact text is the key");
        assert!(!Arc::ptr_eq(&one.statements, &other.statements));
    }

    #[test]
    fn a_cache_of_nothing_still_answers() {
        for limits in [
            AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() },
            AnalyserLimits { cache_bytes: 0, ..AnalyserLimits::default() },
        ] {
            let analyser = Analyser::new(limits);
            assert!(!kept(&analyser, "select 1"));
            assert!(!Arc::ptr_eq(
                &analyser.analyse("select 2").statements,
                &analyser.analyse("select 3").statements
            ));
            assert_eq!(analyser.analyse("select 1").statements.len(), 1);
        }
    }

    #[test]
    fn it_stays_within_its_limits() {
        let limits =
            AnalyserLimits { cache_entries: 64, cache_bytes: 1024 * 1024, ..AnalyserLimits::default() };
        let analyser = Analyser::new(limits);
        for number in 0..2_000 {
            analyser.analyse(&format!("select f{number}({number})"));
        }
        let (texts, shapes) = (filled(&analyser.texts), filled(&analyser.shapes));
        for (entries, bytes) in [texts, shapes] {
            assert!((1..=32).contains(&entries), "{entries}");
            assert!(bytes <= 512 * 1024, "{bytes}");
        }
    }

    #[test]
    fn a_text_that_is_used_stays_while_others_pass() {
        let limits = AnalyserLimits { cache_entries: 320, ..AnalyserLimits::default() };
        let analyser = Analyser::new(limits);
        let first = analyser.analyse("select 'used'");
        for number in 0..2_000 {
            analyser.analyse(&format!("select f{number}()"));
            assert!(Arc::ptr_eq(&first, &analyser.analyse("select 'used'")), "after {number}");
        }
    }

    #[test]
    fn a_gigantic_text_is_not_kept() {
        let analyser = Analyser::new(AnalyserLimits::default());
        assert!(!kept(&analyser, &format!("select '{}'", "x".repeat(600_000))));
    }
}
