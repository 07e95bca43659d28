//! Which paths a place in a document is on.
//!
//! A *place* is a number of steps of one path that were taken. At each level of the document there is a set of them: those
//! whose next step selects among the children. It is a set of bits, so that a level costs the same whatever the paths are.

use gatewright_masking::{MaskKey, Masker};
use gatewright_model::{
    json_path::{Segment, Selector},
    mask::JsonMask,
};

/// The paths of a plan.
#[derive(Debug, Default)]
pub(in crate::content) struct Paths {
    /// Every step of every path, the steps of one path side by side.
    steps: Vec<Step>,
    /// The places at which each document begins.
    start: Vec<u64>,
    /// The strongest path that selects the whole document.
    root: Option<usize>,
    methods: Vec<Masker>,
}

#[derive(Debug)]
struct Step {
    segment: Segment,
    /// The path that this is the last step of.
    last: Option<usize>,
}

/// A child of an object or array.
#[derive(Debug, Clone, Copy)]
pub(super) enum Child<'n> {
    /// A member, by its decoded name.
    Member(&'n [u8]),
    /// A member of whose name is known only that no path has it.
    Unknown,
    /// An element.
    Element(u64),
}

impl Paths {
    pub(in crate::content) fn new(masks: &[JsonMask], key: &MaskKey) -> Self {
        let methods = masks.iter().map(|mask| Masker::new(mask.method, key)).collect();
        let mut paths = Self { methods, ..Self::default() };
        let mut starts = Vec::new();
        for (path, mask) in masks.iter().enumerate() {
            let segments = mask.path.segments();
            if segments.is_empty() {
                paths.root = paths.stronger(paths.root, path);
                continue;
            }
            starts.push(paths.steps.len());
            for (index, segment) in segments.iter().enumerate() {
                let last = (index + 1 == segments.len()).then_some(path);
                paths.steps.push(Step { segment: segment.clone(), last });
            }
        }
        paths.start = vec![0; paths.steps.len().div_ceil(64)];
        starts.into_iter().for_each(|place| insert(&mut paths.start, place));
        paths
    }

    pub(in crate::content) const fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }

    /// Is there one that selects whole documents?
    pub(in crate::content) const fn select_root(&self) -> bool {
        self.root.is_some()
    }

    /// How a path hides.
    pub(super) fn masker(&self, path: usize) -> Option<&Masker> {
        self.methods.get(path)
    }

    fn stronger(&self, one: Option<usize>, other: usize) -> Option<usize> {
        let strength = |path| self.masker(path).map(|masker| masker.method().strength());
        match one {
            Some(one) if strength(one) >= strength(other) => Some(one),
            _ => Some(other),
        }
    }
}

/// Where in a document a reader is.
#[derive(Debug)]
pub(super) struct Walk {
    /// Words of one set.
    words: usize,
    /// The sets of all open levels.
    sets: Vec<u64>,
    /// The path that hides everything in each open level.
    hidden: Vec<Option<usize>>,
    /// The set of the value that comes next, should it have children.
    next: Vec<u64>,
    /// The path that hides it.
    next_hidden: Option<usize>,
}

impl Walk {
    pub(super) fn new(paths: &Paths) -> Self {
        let words = paths.start.len();
        Self { words, sets: Vec::new(), hidden: Vec::new(), next: vec![0; words], next_hidden: None }
    }

    /// A document begins.
    pub(super) fn root(&mut self, paths: &Paths) {
        self.next.clone_from(&paths.start);
        self.next_hidden = paths.root;
    }

    /// The value that was chosen begins, and has children.
    pub(super) fn enter(&mut self) {
        self.sets.extend_from_slice(&self.next);
        self.hidden.push(self.next_hidden);
    }

    /// The innermost open value is over.
    pub(super) fn leave(&mut self) {
        self.sets.truncate(self.sets.len().saturating_sub(self.words));
        self.hidden.pop();
    }

    /// Can the name of a member make a difference?
    pub(super) fn needs_names(&self) -> bool {
        self.places().iter().any(|word| *word != 0)
    }

    /// The path that hides the value that comes next.
    pub(super) const fn hidden(&self) -> Option<usize> {
        self.next_hidden
    }

    /// Goes on to a child of the innermost open value.
    pub(super) fn choose(&mut self, paths: &Paths, child: Child<'_>) {
        self.next_hidden = self.hidden.last().copied().flatten();
        // Without paths there is nothing to follow; clearing an empty set is not free either.
        if self.words == 0 {
            return;
        }
        self.next.fill(0);
        let first = self.sets.len().saturating_sub(self.words);
        let places = self.sets.get(first..).unwrap_or_default();
        for (index, word) in places.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let place = index * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                let Some(step) = paths.steps.get(place) else { continue };
                if step.segment.descend {
                    insert(&mut self.next, place);
                }
                if selects(&step.segment.selector, child) {
                    match step.last {
                        Some(path) => self.next_hidden = paths.stronger(self.next_hidden, path),
                        None => insert(&mut self.next, place + 1),
                    }
                }
            }
        }
    }

    fn places(&self) -> &[u64] {
        self.sets.get(self.sets.len().saturating_sub(self.words)..).unwrap_or_default()
    }
}

fn selects(selector: &Selector, child: Child<'_>) -> bool {
    match (selector, child) {
        (Selector::All, _) => true,
        (Selector::Name(name), Child::Member(own)) => name.as_bytes() == own,
        (Selector::Index(index), Child::Element(own)) => u64::from(*index) == own,
        _ => false,
    }
}

fn insert(set: &mut [u64], place: usize) {
    if let Some(word) = set.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}
