//! The query of a request: pairs to judge, and the one text of them that is sent.
//!
//! A query has no grammar of its own; that of HTML forms is what servers read, each with its own additions. What is
//! written here is read alike by all of them:
//!
//! - `+` is a space, as in forms, and is sent as `%20`; a plus sign is sent as `%2B`.
//! - `&` separates, and nothing else: a `;` that is not encoded is refused, because older frameworks split at it.
//! - `a` is sent as `a=`: some frameworks see a name there, some a value, some nothing. A value without a name is refused.
//! - Empty pieces (`a&&b`) are dropped. Duplicates stay, in their order: which one a server takes is its own affair, and a
//!   rule has to look at all of them.
//! - A number and a length are bounded: beyond a thousand parameters common frameworks drop the rest without a word.
//! - NUL, `%` without two hex digits, and what is not UTF-8 are refused.

use std::{borrow::Cow, sync::Arc};

use crate::{
    percent::{self, Malformed},
    refusal::Refusal,
};

/// The longest query, in bytes, before and after.
pub const LONGEST: usize = 16 << 10;

/// Parameters at most. PHP, Django, ASP.NET and Express stop at this number.
pub const MOST: usize = 1_000;

/// A query that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Names and values, decoded, in their order.
    pub pairs: Vec<(Arc<str>, Arc<str>)>,
    /// What is sent, without `?`. Its own canonical form.
    pub text: String,
}

/// Reads a query, given without its `?`.
///
/// # Errors
///
/// 400 `http.query`, where two programs could read it in two ways, or it is too long.
pub fn canonical(query: &str) -> Result<Query, Refusal> {
    if query.len() > LONGEST {
        return refuse(TOO_LONG);
    }
    if query.contains(';') {
        return refuse(
            "the query has a semicolon: separate parameters with `&`, write `%3B` for the character",
        );
    }
    let mut read = Query { pairs: Vec::new(), text: String::with_capacity(query.len()) };
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        if read.pairs.len() == MOST {
            return refuse("the query has more than 1,000 parameters");
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if name.is_empty() {
            return refuse("the query has a value without a name");
        }
        if !read.text.is_empty() {
            read.text.push('&');
        }
        percent::encode(&name, stays, &mut read.text);
        read.text.push('=');
        percent::encode(&value, stays, &mut read.text);
        read.pairs.push((Arc::from(name), Arc::from(value)));
    }
    if read.text.len() > LONGEST { refuse(TOO_LONG) } else { Ok(read) }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let decoded = if text.contains('+') {
        percent::decode(&text.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()))
    } else {
        percent::decode(text)
    };
    match decoded {
        Ok(text) if text.contains('\0') => refuse("the query has a NUL character"),
        Ok(text) => Ok(text),
        Err(Malformed::Sequence) => refuse("the query has a percent sign without two hex digits"),
        Err(Malformed::NotUtf8) => refuse("the query is not UTF-8"),
    }
}

fn refuse<T>(detail: &'static str) -> Result<T, Refusal> {
    Err(Refusal::bad("http.query", detail))
}

/// What need not be encoded in a name or value (RFC 3986 section 3.4), without what any reader could split at or decode.
const fn stays(byte: u8) -> bool {
    percent::is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'(' | b')' | b'*' | b',' | b':' | b'@' | b'/' | b'?')
}

const TOO_LONG: &str = "the query is longer than 16 KiB";

#[cfg(test)]
mod tests;
