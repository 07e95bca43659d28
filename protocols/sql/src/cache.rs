//! Analyses by exact text.
//!
//! Sessions send the same texts over and over, so a hit is the common case and on the path of every
//! statement. It costs one hash of the text, one comparison with it, and a lock that is held for one
//! look-up; the shards keep threads out of each other's way.
//!
//! Each shard holds two generations of equal size. New entries go to the young one; when it is full it
//! becomes the old one, and what was old and is not used again is forgotten. A hit in the old generation
//! moves the entry to the young one. That is nearly LRU, without a list to keep in order on each hit.
//!
//! The hash is keyed at random, so that nobody can choose texts that collide; and if two do, the later
//! one takes the place, for the whole text is compared.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    mem,
    sync::Arc,
};

use gatewright_model::sql::{Analysis, Output, Statement};
use parking_lot::Mutex;

/// A power of two, well above the number of cores that share the gateway's work.
const SHARDS: usize = 16;

/// An entry may take this part of its generation: one text must not push out all others.
const LARGEST_PART: usize = 8;

#[derive(Debug)]
pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// For one generation of one shard.
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Shard {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    entries: HashMap<u64, Arc<Analysis>, BuildHasherDefault<AlreadyHashed>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(entries: usize, bytes: usize) -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            max_entries: entries.div_ceil(2 * SHARDS),
            max_bytes: bytes / (2 * SHARDS),
        }
    }

    /// The analysis of `text`, made by `analyse` if it is not kept. No lock is held meanwhile: two threads
    /// may make the same one.
    pub(crate) fn get_or_insert(&self, text: &str, analyse: impl FnOnce() -> Analysis) -> Arc<Analysis> {
        let hash = self.hasher.hash_one(text);
        // The map uses the lowest and the highest bits.
        let shard = self.shards.get((hash >> 32) as usize % SHARDS);
        if let Some(shard) = shard
            && let Some(analysis) = shard.lock().get(hash, text)
        {
            return analysis;
        }
        let analysis = Arc::new(analyse());
        let size = size(&analysis);
        if let Some(shard) = shard
            && self.max_entries > 0
            && size <= self.max_bytes / LARGEST_PART
        {
            shard.lock().insert(hash, Arc::clone(&analysis), size, self);
        }
        analysis
    }
}

impl Shard {
    fn get(&mut self, hash: u64, text: &str) -> Option<Arc<Analysis>> {
        if let Some(analysis) = self.young.entries.get(&hash).filter(|analysis| *analysis.text == *text) {
            return Some(Arc::clone(analysis));
        }
        let analysis = self.old.entries.get(&hash).filter(|analysis| *analysis.text == *text)?;
        let analysis = Arc::clone(analysis);
        // Its size counts in the old generation until that is forgotten, and now in the young one too:
        // the limit is kept on the safe side.
        self.young.bytes += size(&analysis);
        self.young.entries.insert(hash, Arc::clone(&analysis));
        Some(analysis)
    }

    fn insert(&mut self, hash: u64, analysis: Arc<Analysis>, size: usize, limits: &Cache) {
        let is_full =
            self.young.entries.len() >= limits.max_entries || self.young.bytes + size > limits.max_bytes;
        if is_full {
            self.old = mem::take(&mut self.young);
        }
        self.young.bytes += size;
        self.young.entries.insert(hash, analysis);
    }
}

/// About how many bytes of memory an analysis takes.
fn size(analysis: &Analysis) -> usize {
    // An `Arc<str>` of a name: two counts, the text, what the allocator adds.
    const NAME: usize = 48;
    let statement = |statement: &Statement| {
        let outputs = statement.outputs.iter().flatten();
        let columns = outputs.map(|output| match output {
            Output::Computed(columns) => columns.len(),
            Output::Direct | Output::Unknown => 0,
        });
        let names = statement.relations.len() + statement.columns.len() + statement.functions.len();
        mem::size_of::<Statement>()
            + 3 * NAME * names
            + statement.outputs.iter().flatten().count() * mem::size_of::<Output>()
            + 3 * NAME * columns.sum::<usize>()
    };
    mem::size_of::<Analysis>()
        + analysis.text.len()
        + analysis.normalised.len()
        + 4 * NAME
        + analysis.statements.iter().map(statement).sum::<usize>()
        + analysis.statements.iter().filter_map(Statement::body).map(statement).sum::<usize>()
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

    #[test]
    fn the_same_text_is_read_once() {
        let analyser = Analyser::new(AnalyserLimits::default());
        assert!(kept(&analyser, "select 1"));
        let one = analyser.analyse("select 1");
        let other = analyser.analyse("select  1");
        assert_eq!(&*other.text, "select  1", "the exact text is the key");
        assert!(!Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn a_cache_of_nothing_still_answers() {
        for limits in [
            AnalyserLimits { cache_entries: 0, ..AnalyserLimits::default() },
            AnalyserLimits { cache_bytes: 0, ..AnalyserLimits::default() },
        ] {
            let analyser = Analyser::new(limits);
            assert!(!kept(&analyser, "select 1"));
            assert_eq!(analyser.analyse("select 1").statements.len(), 1);
        }
    }

    #[test]
    fn it_stays_within_its_limits() {
        let limits =
            AnalyserLimits { cache_entries: 64, cache_bytes: 256 * 1024, ..AnalyserLimits::default() };
        let analyser = Analyser::new(limits);
        for number in 0..2_000 {
            analyser.analyse(&format!("select {number}"));
        }
        let shards = || analyser.cache.shards.iter().map(|shard| shard.lock());
        let entries: usize =
            shards().map(|shard| shard.young.entries.len() + shard.old.entries.len()).sum();
        let bytes: usize = shards().map(|shard| shard.young.bytes + shard.old.bytes).sum();
        assert!((1..=64).contains(&entries), "{entries}");
        assert!(bytes <= 256 * 1024, "{bytes}");
    }

    #[test]
    fn a_text_that_is_used_stays_while_others_pass() {
        let limits = AnalyserLimits { cache_entries: 320, ..AnalyserLimits::default() };
        let analyser = Analyser::new(limits);
        let first = analyser.analyse("select 'used'");
        for number in 0..2_000 {
            analyser.analyse(&format!("select {number}"));
            assert!(Arc::ptr_eq(&first, &analyser.analyse("select 'used'")), "after {number}");
        }
    }

    #[test]
    fn a_gigantic_text_is_not_kept() {
        let analyser = Analyser::new(AnalyserLimits::default());
        assert!(!kept(&analyser, &format!("select '{}'", "x".repeat(600_000))));
    }
}
