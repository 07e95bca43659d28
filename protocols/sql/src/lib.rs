//! PostgreSQL's SQL, read twice: text in, [`Analysis`] out.
//!
//! ```text
//! text --> bounds --> pg_query (PostgreSQL's own grammar) --> walk --> statements
//!             |           |                                               |
//!             |           +--> normalise, fingerprint                     |
//!             |                                     sqlparser --> compare-+--> grade
//!             +--> opaque
//! ```
//!
//! A verdict about a statement is worth as much as the reading it rests on, and guards that read SQL
//! differently from the server are the class of bug that proxies of this kind get wrong most often. So
//! the server's own grammar decides, one walk of ours looks at every node it can make, and a second,
//! unrelated parser may object: see [`Grade`]. What can not be read is not guessed at: it is opaque.
//!
//! What is read here is the text and nothing else: no catalog, no `search_path`, no server version. Names
//! without a schema may be in any, a view may be anything, and a function is known by its name only.
//!
//! The text is read as the server reads it with `standard_conforming_strings = on` and in UTF-8. A statement that
//! would change it has the kind `set_lexing`. The gateway holds its sessions to UTF-8. With other strings a session can
//! go on where a policy takes what is opaque upon itself: the statement is, and so is every text after it.
//!
//! libpg_query is C, and the place where a text costs most. For a few texts its scanner takes time that
//! grows with the square of their length: those are opaque before it sees them.

mod analysis;
mod cache;
mod copies;
mod functions;
mod kind;
mod lineage;
mod normalise;
mod scope;
mod second_reader;
mod shape;
mod walk;

use std::sync::Arc;

use gatewright_model::sql::Analysis;
#[cfg(doc)]
use gatewright_model::sql::Grade;

use parking_lot::Mutex;

pub use crate::{
    analysis::is_syntax_error,
    functions::{Harmless, NotQualified, QualifiedName},
    kind::statement_kinds,
};

use crate::{
    cache::{Cache, Common},
    shape::Shape,
};

/// What an [`Analyser`] takes on, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalyserLimits {
    /// The longest text that is read, in bytes. A longer one is opaque. PostgreSQL itself reads up to 1 GiB.
    pub max_text: usize,
    /// The most statements of one text. More are opaque.
    pub max_statements: usize,
    /// The most texts whose analysis is kept. 0: none.
    pub cache_entries: usize,
    /// The most bytes of memory that kept texts and analyses take, as estimated from their parts.
    pub cache_bytes: usize,
}

impl Default for AnalyserLimits {
    fn default() -> Self {
        Self {
            max_text: 1024 * 1024,
            max_statements: 1_000,
            cache_entries: 20_000,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Reads SQL, and remembers what it has read.
///
/// Reading costs from tens of microseconds to, for the longest texts, tenths of a second of CPU: a text
/// longer than a few kilobytes is better read away from threads that do I/O. What was read before costs
/// a hash of the text; what differs from it in the values of literals only, a copy and two hashes.
#[derive(Debug)]
pub struct Analyser {
    limits: AnalyserLimits,
    harmless: Harmless,
    texts: Cache<Analysis>,
    shapes: Cache<Common>,
    /// Held while a long text is read.
    long: Mutex<()>,
}

/// A text of more bytes than this is long.
const LONG: usize = 64 << 10;

impl Analyser {
    /// An analyser with nothing read yet.
    pub fn new(limits: AnalyserLimits) -> Self {
        Self::with_harmless(limits, Harmless::default())
    }

    /// The same, which takes these functions for harmless where a text names their schema.
    pub fn with_harmless(limits: AnalyserLimits, harmless: Harmless) -> Self {
        let (entries, bytes) = (limits.cache_entries / 2, limits.cache_bytes / 2);
        Self {
            limits,
            harmless,
            texts: Cache::new(entries, bytes),
            shapes: Cache::new(entries, bytes),
            long: Mutex::default(),
        }
    }

    /// What a text means. What can not be read is [`Grade::Opaque`], never an error.
    ///
    /// No lock is held while a text of up to 64 KiB is read: two threads may read the same one.
    pub fn analyse(&self, text: &str) -> Arc<Analysis> {
        if let Some(analysis) = self.texts.get(text) {
            return analysis;
        }
        let shape = if text.len() <= self.limits.max_text { Shape::of(text) } else { None };
        if let Some(common) = shape.as_ref().and_then(|shape| self.shapes.get(shape.key())) {
            // Not kept by its text: values that are used once would push out the texts that are used often.
            return Arc::new(Analysis { text: Arc::from(text), ..Analysis::clone(&common.analysis) });
        }
        // What is long takes much memory while it is read: one at a time.
        let _alone = (text.len() > LONG).then(|| self.long.lock());
        let (analysis, shape) = analysis::analyse(text, shape, &self.limits, &self.harmless);
        let analysis = Arc::new(analysis);
        self.texts.insert(Arc::clone(&analysis));
        if let Some(shape) = shape {
            self.shapes.insert(Arc::new(Common { shape, analysis: Arc::clone(&analysis) }));
        }
        analysis
    }

    /// What a text means of which it is known beforehand that it can not be read as the server reads it, and why.
    pub fn unread(&self, text: &str, reason: &'static str) -> Arc<Analysis> {
        Arc::new(analysis::unread(Arc::from(text), reason))
    }
}
