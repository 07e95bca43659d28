//! The search through text that arrives in pieces: which finds are sure, and what may be passed on.

use std::{ops::Range, sync::Arc};

use crate::{
    Finds, TextMasker,
    find::{Find, LOOK_BEHIND},
};

/// Text that is being searched. What is hidden, and what stands in its place, is the business of whoever has it.
///
/// No byte is passed on before everything that could still make it part of a find has been seen, unless it is [let
/// go](Self::let_go).
pub(crate) struct Search {
    masker: Arc<TextMasker>,
    /// What was not passed on yet, and before it what later finds must be able to look back at.
    text: Vec<u8>,
    /// Everything before this was passed on.
    passed: usize,
    /// All candidates that start before this were seen. What comes later can not change them.
    judged: usize,
    /// A find that begins before `judged` and may still grow.
    open: Option<Find>,
    /// Where the last find ends that was counted.
    counted: usize,
    finds: Finds,
}

impl Search {
    pub(crate) fn new(masker: Arc<TextMasker>) -> Self {
        Self {
            masker,
            text: Vec::new(),
            passed: 0,
            judged: 0,
            open: None,
            counted: 0,
            finds: Finds::default(),
        }
    }

    pub(crate) fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// So much of what was pushed last was passed on before; so was everything before it.
    pub(crate) fn skip(&mut self, passed: usize) {
        self.passed += passed;
    }

    pub(crate) const fn masker(&self) -> &Arc<TextMasker> {
        &self.masker
    }

    pub(crate) const fn finds(&self) -> &Finds {
        &self.finds
    }

    pub(crate) fn finds_mut(&mut self) -> &mut Finds {
        &mut self.finds
    }

    /// Text that can be looked at. Positions in it hold until [`forget`](Self::forget).
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) const fn kept(&self) -> usize {
        self.text.capacity()
    }

    /// Everything before this was passed on.
    pub(crate) const fn passed(&self) -> usize {
        self.passed
    }

    /// Takes out what is sure. `finds` gets those of which something was not passed on yet; text between them and up to
    /// [`passed`](Self::passed) is to be passed on as it is.
    pub(crate) fn advance(&mut self, finds: &mut Vec<Find>) {
        let settled = self.masker.unsettled(&self.text).max(self.judged);
        self.judge(settled, finds);
    }

    /// Takes out everything, as if nothing more came.
    ///
    /// What comes later is still searched together with it: of a find that it completes, the rest is hidden.
    pub(crate) fn let_go(&mut self, finds: &mut Vec<Find>) {
        let (judged, open) = (self.judged, self.open.clone());
        self.judge(self.text.len(), finds);
        (self.judged, self.open) = (judged, open);
    }

    /// Drops what nobody can look back at any more, and says how much that was.
    pub(crate) fn forget(&mut self) -> usize {
        let seen = self.open.as_ref().map_or(self.judged, |find| find.range.start.min(self.judged));
        let gone = self.passed.min(seen.saturating_sub(LOOK_BEHIND));
        self.text.drain(..gone);
        self.passed -= gone;
        self.judged -= gone;
        self.counted = self.counted.saturating_sub(gone);
        if let Some(find) = &mut self.open {
            find.range.start -= gone;
            find.range.end -= gone;
        }
        gone
    }

    /// Judges all candidates that start before `until`.
    fn judge(&mut self, until: usize, finds: &mut Vec<Find>) {
        let candidates = self.masker.candidates(&self.text, self.judged..until);
        for candidate in candidates {
            let next = match &mut self.open {
                None => Some(Find::new(candidate)),
                Some(find) => find.extend(candidate),
            };
            if let Some(next) = next
                && let Some(find) = self.open.replace(next)
            {
                take_out(find, &mut self.passed, &mut self.counted, &mut self.finds, finds);
            }
        }
        self.judged = until;
        if let Some(find) = self.open.take_if(|find| find.range.end <= until) {
            take_out(find, &mut self.passed, &mut self.counted, &mut self.finds, finds);
        }
        let free = self.open.as_ref().map_or(until, |find| find.range.start);
        self.passed = self.passed.max(free);
    }
}

/// A find is complete.
fn take_out(find: Find, passed: &mut usize, counted: &mut usize, count: &mut Finds, finds: &mut Vec<Find>) {
    let Range { start, end } = find.range;
    if end <= *passed {
        return;
    }
    *passed = end;
    if start >= *counted {
        count.count(find.detectors);
    }
    *counted = end;
    finds.push(find);
}
