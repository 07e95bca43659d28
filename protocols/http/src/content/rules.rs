//! A plan made ready for one answer, and what it hid.

use std::sync::Arc;

use gatewright_masking::{Finds, MaskKey, TextMasker};
use gatewright_model::mask::{DetectorMask, MaskMethod, MaskPlan};

use super::json::Paths;

/// What to look for in an answer.
#[derive(Debug)]
pub(super) struct Rules {
    /// Values of JSON.
    pub(super) paths: Paths,
    /// None: the plan has no detectors.
    pub(super) detectors: Option<Arc<TextMasker>>,
    masks: Vec<DetectorMask>,
    names: Vec<Arc<str>>,
}

impl Rules {
    pub(super) fn new(plan: &MaskPlan, key: &MaskKey) -> Self {
        let detectors = plan.detectors.iter().map(|mask| (mask.detector, mask.method));
        let detectors = TextMasker::new(detectors, key);
        let paths = plan.json.iter().map(|mask| Arc::clone(&mask.rule));
        Self {
            paths: Paths::new(&plan.json, key),
            detectors: (!plan.detectors.is_empty()).then(|| Arc::new(detectors)),
            masks: plan.detectors.clone(),
            names: paths.chain(plan.detectors.iter().map(|mask| Arc::clone(&mask.rule))).collect(),
        }
    }

    /// Is something of this to be redacted, and not only changed?
    pub(super) fn redacts(&self, finds: &Finds) -> bool {
        let mut found = self.masks.iter().filter(|mask| finds.of(mask.detector) > 0);
        found.any(|mask| mask.method == MaskMethod::Redact)
    }
}

/// How many values each rule hid.
#[derive(Debug)]
pub(super) struct Tally {
    rules: Arc<Rules>,
    counts: Vec<u64>,
}

impl Tally {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self { counts: vec![0; rules.names.len()], rules }
    }

    /// A value was hidden by the path with this number.
    pub(super) fn path(&mut self, path: usize) {
        self.add(path, 1);
    }

    /// Detectors found something.
    pub(super) fn found(&mut self, finds: &Finds) {
        let first = self.counts.len() - self.rules.masks.len();
        for index in 0..self.rules.masks.len() {
            let count = self.rules.masks.get(index).map_or(0, |mask| finds.of(mask.detector));
            self.add(first + index, count);
        }
    }

    /// Adds what was counted for a part of the same answer.
    pub(super) fn add_all(&mut self, part: &Self) {
        for (index, count) in part.counts.iter().enumerate() {
            self.add(index, *count);
        }
    }

    fn add(&mut self, index: usize, more: u64) {
        if let Some(count) = self.counts.get_mut(index) {
            *count += more;
        }
    }

    /// By rule, without those that hid nothing.
    pub(super) fn counts(&self) -> Vec<(Arc<str>, u64)> {
        let mut sums: Vec<(Arc<str>, u64)> = Vec::new();
        for (name, count) in self.rules.names.iter().zip(&self.counts).filter(|(_, count)| **count > 0) {
            match sums.iter_mut().find(|(own, _)| own == name) {
                Some((_, sum)) => *sum += count,
                None => sums.push((Arc::clone(name), *count)),
            }
        }
        sums
    }
}
