//! Detectors and methods together, over one whole value.

use std::fmt;

use gatewright_model::mask::{Detector, MaskMethod};

use crate::{
    MaskKey, Masker,
    find::{Candidate, DetectorSet, Find, candidates, unsettled},
};

/// Searches text with some detectors and hides what they find.
#[derive(Debug, Clone)]
pub struct TextMasker {
    wanted: DetectorSet,
    rules: Vec<(Detector, Masker)>,
}

impl TextMasker {
    /// Searches with each of these detectors and hides by its method. A detector that is named twice uses
    /// the stronger method.
    pub fn new(rules: impl IntoIterator<Item = (Detector, MaskMethod)>, key: &MaskKey) -> Self {
        let mut wanted = DetectorSet::default();
        let rules = rules
            .into_iter()
            .inspect(|(detector, _)| wanted.insert(*detector))
            .map(|(detector, method)| (detector, Masker::new(method, key)))
            .collect();
        Self { wanted, rules }
    }

    /// `text` with every find hidden. `None`: there is no find, the text stays as it is, and nothing was
    /// allocated. Takes time linear in the length of the text, whatever is in it.
    pub fn mask(&self, text: &[u8]) -> Option<Masked> {
        if text.len() < SHORTEST_FIND {
            return None;
        }
        let mut candidates = self.candidates(text, 0..text.len());
        let mut find = Find::new(candidates.next()?);
        let mut masked = Masked { text: Vec::with_capacity(text.len()), finds: Finds::default() };
        let mut done = 0;
        loop {
            let next = candidates.find_map(|candidate| find.extend(candidate));
            masked.text.extend_from_slice(text.get(done..find.range.start).unwrap_or_default());
            self.hide(text, &find, &mut masked.text);
            masked.finds.count(find.detectors);
            done = find.range.end;
            match next {
                Some(next) => find = next,
                None => break,
            }
        }
        masked.text.extend_from_slice(text.get(done..).unwrap_or_default());
        Some(masked)
    }

    pub(crate) fn candidates<'t>(
        &self,
        text: &'t [u8],
        range: std::ops::Range<usize>,
    ) -> impl Iterator<Item = Candidate> + use<'t> {
        candidates(text, range, self.wanted)
    }

    /// Where the end of `text` begins that can still become part of a find.
    pub(crate) fn unsettled(&self, text: &[u8]) -> usize {
        unsettled(text, self.wanted)
    }

    /// Appends what stands for `find`.
    pub(crate) fn hide(&self, text: &[u8], find: &Find, out: &mut Vec<u8>) {
        if let (Some(masker), Some(value)) = (self.strongest(find), text.get(find.range.clone())) {
            masker.apply(value, out);
        }
    }

    /// Searches with the same detectors, and hides each character by a `*`.
    pub(crate) fn covering(&self) -> Self {
        let rules = self.rules.iter().map(|(detector, masker)| (*detector, masker.covering())).collect();
        Self { wanted: self.wanted, rules }
    }

    /// What hides `find`.
    pub(crate) fn strongest(&self, find: &Find) -> Option<&Masker> {
        let rules = self.rules.iter().filter(|(detector, _)| find.detectors.contains(*detector));
        rules.map(|(_, masker)| masker).max_by_key(|masker| masker.method().strength())
    }
}

/// Text in which something was hidden.
#[derive(Clone, PartialEq, Eq)]
pub struct Masked {
    /// The text. UTF-8 if the original was.
    pub text: Vec<u8>,
    /// What was hidden.
    pub finds: Finds,
}

impl fmt::Debug for Masked {
    /// Without the text: what was not found in a value is still a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masked").field("finds", &self.finds).finish_non_exhaustive()
    }
}

/// How many places were hidden, by detector. A place where two detectors' finds overlap counts for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finds([u64; Detector::ALL.len()]);

impl Finds {
    /// Places where this detector found something.
    pub fn of(&self, detector: Detector) -> u64 {
        self.0.get(detector as usize).copied().unwrap_or_default()
    }

    /// Adds those of another value.
    pub fn add(&mut self, other: Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours += theirs;
        }
    }

    pub(crate) fn count(&mut self, detectors: DetectorSet) {
        for (count, detector) in self.0.iter_mut().zip(Detector::ALL) {
            *count += u64::from(detectors.contains(detector));
        }
    }
}

/// Bytes of `a@b.co`, the shortest text in which anything can be found.
const SHORTEST_FIND: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_in_the_order_of_all() {
        for (index, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!(detector as usize, index);
        }
    }
}
