//! What a request to a resource says in its query.
//!
//! A query is read as the API server converts it (`k8s.io/apimachinery/pkg/runtime/conversion.go`): of a parameter that
//! is there more than once the first counts, and a truth value is true unless it is `0` or `false`.

use std::sync::Arc;

use gatewright_model::kubernetes::RequestInfo;

use super::patch_type;

type Query = [(Arc<str>, Arc<str>)];

/// The first value of a parameter.
pub(crate) fn first<'a>(query: &'a Query, name: &str) -> Option<&'a Arc<str>> {
    query.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
}

/// All values of a parameter.
pub(crate) fn all<'a>(query: &'a Query, name: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
    query.iter().filter(move |(own, _)| **own == *name).map(|(_, value)| value)
}

/// `Convert_Slice_string_To_bool`.
pub(crate) fn is_set(query: &Query, name: &str) -> bool {
    first(query, name).is_some_and(|value| **value != *"0" && !value.eq_ignore_ascii_case("false"))
}

/// Is it a list or a watch, and which one name does it allow?
pub(super) fn of_list(query: &Query) -> (&'static str, Option<Arc<str>>) {
    let verb = if is_set(query, "watch") { "watch" } else { "list" };
    // What can not be read is a list of everything to the authorizer of the API server, before it is refused.
    let name = first(query, "fieldSelector")
        .filter(|_| are_numbers(query))
        .and_then(|selector| exact_name(selector).ok().flatten());
    (verb, name)
}

/// Fills in what the query of a request to a resource says, and what a patch is.
pub(super) fn read(method: &str, query: &Query, media_type: Option<&str>, info: &mut RequestInfo) {
    let text = |name| first(query, name).cloned().unwrap_or_default();
    info.field_selector = text("fieldSelector");
    info.label_selector = text("labelSelector");
    info.field_manager = text("fieldManager");
    info.force = is_set(query, "force");
    info.is_continued = first(query, "continue").is_some_and(|token| !token.is_empty());
    // All of them, because with anything else than `All` in one of them the API server refuses.
    info.dry_run = first(query, "dryRun").is_some() && all(query, "dryRun").all(|value| **value == *"All");
    // `limit=0` is no limit.
    info.limit = first(query, "limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    if method == "PATCH" {
        info.patch_type = media_type.and_then(patch_type);
        if info.patch_type.is_none() {
            info.unknown = Some("the kind of the patch is not known");
        }
    }
    if !are_numbers(query) {
        info.unknown = Some("a parameter of the query is no number, and has to be one");
    }
    if first(query, "fieldSelector").is_some_and(|selector| exact_name(selector).is_err()) {
        info.unknown = Some("the field selector can not be read");
    }
}

fn are_numbers(query: &Query) -> bool {
    ["limit", "timeoutSeconds"]
        .into_iter()
        .filter_map(|name| first(query, name))
        .all(|value| value.parse::<i64>().is_ok())
}

/// A selector that is none.
struct Unreadable;

/// The one name that a field selector allows: `fields.ParseSelector` and `RequiresExactMatch("metadata.name")`.
fn exact_name(selector: &str) -> Result<Option<Arc<str>>, Unreadable> {
    let mut terms = terms(selector);
    // The API server sorts them, and takes the first: which of two names it is counts.
    terms.sort_unstable();
    let mut found = None;
    for term in terms.into_iter().filter(|term| !term.is_empty()) {
        let (field, is_equal, value) = split(term).ok_or(Unreadable)?;
        let value = unescape(value)?;
        if field == "metadata.name" && is_equal && found.is_none() {
            found = Some(value);
        }
    }
    // `IsValidPathSegmentName`.
    let is_name = |name: &String| name != "." && name != ".." && !name.contains(['/', '%']);
    Ok(found.filter(is_name).map(Arc::from))
}

/// Cut at commas that are not escaped.
fn terms(selector: &str) -> Vec<&str> {
    let mut is_escaped = false;
    let separates = |character: char| {
        let found = character == ',' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        found
    };
    selector.split(separates).collect()
}

/// Field, whether it must be equal, value. Cut at the first of `!=`, `==` and `=`.
fn split(term: &str) -> Option<(&str, bool, &str)> {
    let equal = term.find('=')?;
    let (before, value) = (term.get(..equal)?, term.get(equal + 1..)?);
    match before.strip_suffix('!') {
        Some(field) => Some((field, false, value)),
        None => Some((before, true, value.strip_prefix('=').unwrap_or(value))),
    }
}

/// `fields.UnescapeValue`: `\\`, `\,` and `\=`, and none of them without a backslash.
fn unescape(value: &str) -> Result<String, Unreadable> {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                _ => return Err(Unreadable),
            },
            ',' | '=' => return Err(Unreadable),
            _ => out.push(character),
        }
    }
    Ok(out)
}
