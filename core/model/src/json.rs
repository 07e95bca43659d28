//! A JSON body that every reader reads alike, and what stands where in it.
//!
//! A gateway that reads `{"role":"user","role":"admin"}` as one thing before a target reads it as another has judged
//! nothing (threats A80). So what two readers could read in two ways is no [`Document`]: it has no reading, only a reason
//! ([`Ambiguous`]). What is a document is kept as the bytes that came, with an index over them, and those bytes are sent:
//! nothing is written anew, and no number loses a digit.
//!
//! Refused, beside what is no JSON (RFC 8259) at all:
//!
//! - two members of one object with the same name after unescaping, or with names that differ in case only: Go's
//!   encoding/json takes either for the other. A single `Role` where a policy expects `role` is a document; to the policy
//!   `role` is absent, and a policy that must know it says so.
//! - a byte order mark, text that is not UTF-8, surrogates that are no pair
//! - a name with U+0000, at which readers that were written in C end it
//! - numbers that a double can not hold even roughly, or integers that neither `i64` nor `u64` holds
//! - more than [`MAX_DEPTH`] levels, more than [`MAX_VALUES`] values, more than one document, anything behind it

mod read;

use std::borrow::Cow;

use bytes::Bytes;

pub use self::read::{Ambiguous, Reason};

/// A JSON text with one reading. Cheap to clone.
#[derive(Clone)]
pub struct Document {
    text: Bytes,
    nodes: std::sync::Arc<[Node]>,
}

/// One value, member name included, and where the next one beside it is.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// In the text, in bytes.
    start: u32,
    end: u32,
    /// Index of the node behind this one and everything in it.
    next: u32,
}

impl Document {
    /// Reads a text of at most [`MAX_LENGTH`] bytes. Takes time `n log n` and, for each value and name, twelve bytes.
    ///
    /// # Errors
    ///
    /// It is no JSON, or readers of JSON would not agree on it.
    pub fn read(text: impl Into<Bytes>) -> Result<Self, Ambiguous> {
        let text = text.into();
        let nodes = read::nodes(&text)?;
        Ok(Self { text, nodes: nodes.into() })
    }

    /// The text, as it came.
    pub const fn text(&self) -> &Bytes {
        &self.text
    }

    /// The whole document's value.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, index: 0 }
    }

    /// What a JSON pointer (RFC 6901) points to. `None`: nothing is there, or the text is no pointer.
    pub fn pointer(&self, pointer: &str) -> Option<Value<'_>> {
        if pointer.is_empty() {
            return Some(self.root());
        }
        let mut value = self.root();
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = unescape_token(token)?;
            value = match value.kind() {
                Kind::Object => value.members().find(|(name, _)| *name == token)?.1,
                Kind::Array => value.elements().nth(array_index(&token)?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    fn node(&self, index: u32) -> Option<Node> {
        self.nodes.get(index as usize).copied()
    }
}

/// Nothing but its size: values of a body are in no log.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Document {}

/// A value in a document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document,
    index: u32,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'d> Value<'d> {
    /// What it is.
    pub fn kind(self) -> Kind {
        match self.raw().as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Its JSON text, as it came: the only exact form of a number.
    pub fn raw(self) -> &'d str {
        let node = self.document.node(self.index);
        let bytes = node.and_then(|node| self.document.text.get(node.start as usize..node.end as usize));
        // The whole text was read as UTF-8, and values begin and end with ASCII.
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// A string, decoded.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        (self.kind() == Kind::String).then(|| read::unescape(self.raw()))
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Boolean).then(|| self.raw() == "true")
    }

    /// A number as it was written, digit for digit.
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The elements of an array; of anything else, none.
    pub fn elements(self) -> impl Iterator<Item = Value<'d>> {
        let array = if self.kind() == Kind::Array { self.children() } else { self.no_children() };
        array.map(move |index| Value { index, ..self })
    }

    /// Names, decoded, and values of an object in their order; of anything else, none.
    pub fn members(self) -> impl Iterator<Item = (Cow<'d, str>, Value<'d>)> {
        let mut object = if self.kind() == Kind::Object { self.children() } else { self.no_children() };
        std::iter::from_fn(move || {
            let name = Value { index: object.next()?, ..self };
            let value = Value { index: object.next()?, ..self };
            Some((read::unescape(name.raw()), value))
        })
    }

    fn children(self) -> Children<'d> {
        let until = self.document.node(self.index).map_or(0, |node| node.next);
        Children { document: self.document, index: self.index + 1, until }
    }

    const fn no_children(self) -> Children<'d> {
        Children { document: self.document, index: 0, until: 0 }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Value").field(&self.kind()).finish()
    }
}

/// Walks over the nodes directly below one.
struct Children<'d> {
    document: &'d Document,
    index: u32,
    until: u32,
}

impl Iterator for Children<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.index >= self.until {
            return None;
        }
        let index = self.index;
        self.index = self.document.node(index)?.next;
        Some(index)
    }
}

/// RFC 6901 section 4: `~1` is a slash, `~0` a tilde, and any other `~` an error.
fn unescape_token(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let mut text = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            char => char,
        });
    }
    Some(Cow::Owned(text))
}

/// RFC 6901 section 4: digits without leading zeros.
fn array_index(token: &str) -> Option<usize> {
    let plain =
        token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

/// Levels of arrays and objects. Deeper ones are refused by most readers, each at another depth.
pub const MAX_DEPTH: usize = 128;

/// Names and values of a document: each takes twelve bytes, so that a short text could become a large index.
pub const MAX_VALUES: usize = 256 << 10;

/// Bytes of a document.
pub const MAX_LENGTH: usize = 256 << 20;

#[cfg(test)]
mod tests;
