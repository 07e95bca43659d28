//! What somebody may have meant.

/// The name that is most like what was written, if it is like it at all.
pub(crate) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (strsim::damerau_levenshtein(written, name), name));
    let (distance, best) = scored.min()?;
    (distance <= written.len().max(3) / 3).then_some(best)
}
