//! Which values of a JSON document are meant: a strict part of JSONPath (RFC 9535).
//!
//! What is here can be followed over a document that streams past, without keeping any of it: names, indexes and
//! wildcards, one level down or any number of levels. What is not here can not, or hides a mistake: filters, slices,
//! unions, indexes that count from the end, white space between the parts. A path with any of that is an error, so
//! that no mask is quietly less than its author believed.
//!
//! | written | selects |
//! | --- | --- |
//! | `$` | the whole document |
//! | `.name`, `['name']`, `["name"]` | the member of an object; names are compared as decoded Unicode, case counts |
//! | `[2]` | the third element of an array |
//! | `.*`, `[*]` | every member and every element |
//! | `..name`, `..['name']`, `..[2]`, `..*`, `..[*]` | the same, here and at every depth below |

use std::{fmt, iter::Peekable, str::Chars, str::FromStr, sync::Arc};

/// A path that was read. Two spellings of one path are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath(Arc<[Segment]>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Not only of the value itself, but of every value in it too (`..`).
    pub descend: bool,
    /// Which children.
    pub selector: Selector,
}

/// Which children of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Members of this name.
    Name(Arc<str>),
    /// The element at this place, counted from 0.
    Index(u32),
    /// All of them.
    All,
}

impl JsonPath {
    /// Reads a path. Bounded by [`MAX_LENGTH`] and [`MAX_SEGMENTS`].
    ///
    /// # Errors
    ///
    /// The text is not a path of the part of RFC 9535 that is supported.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        if text.len() > MAX_LENGTH {
            return Err(JsonPathError::Long);
        }
        let mut parser = Parser { text, rest: text.chars().peekable() };
        let mut segments = Vec::new();
        if parser.rest.next() != Some('$') {
            return Err(JsonPathError::Start);
        }
        while let Some(segment) = parser.segment()? {
            if segments.len() == MAX_SEGMENTS {
                return Err(JsonPathError::Deep);
            }
            segments.push(segment);
        }
        Ok(Self(segments.into()))
    }

    /// The steps, from the document's root. None: the path selects the whole document.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<Self, JsonPathError> {
        Self::parse(text)
    }
}

/// One spelling for each path: shorthand where a name allows it, otherwise quoted as in a normalized path (RFC 9535
/// section 2.7).
impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for Segment { descend, selector } in self.segments() {
            match selector {
                Selector::Name(name) if is_shorthand(name) => {
                    write!(f, "{}{name}", if *descend { ".." } else { "." })?;
                }
                Selector::Name(name) => {
                    f.write_str(if *descend { "..['" } else { "['" })?;
                    write_quoted(f, name)?;
                    f.write_str("']")?;
                }
                Selector::Index(index) => write!(f, "{}[{index}]", if *descend { ".." } else { "" })?,
                Selector::All => f.write_str(if *descend { "..*" } else { "[*]" })?,
            }
        }
        Ok(())
    }
}

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonPathError {
    /// Longer than [`MAX_LENGTH`].
    Long,
    /// More steps than [`MAX_SEGMENTS`].
    Deep,
    /// Does not start with `$`.
    Start,
    /// RFC 9535 has it, and a stream can not follow it.
    Unsupported {
        /// Where in the text, in bytes.
        at: usize,
    },
    /// No path at all.
    Syntax {
        /// Where in the text, in bytes.
        at: usize,
    },
}

impl fmt::Display for JsonPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "a JSON path has at most {MAX_LENGTH} bytes"),
            Self::Deep => write!(f, "a JSON path has at most {MAX_SEGMENTS} segments"),
            Self::Start => f.write_str("a JSON path starts with `$`"),
            Self::Unsupported { at } => write!(
                f,
                "filters, slices, unions and negative indexes are not supported in a JSON path (byte {at})"
            ),
            Self::Syntax { at } => write!(
                f,
                "not a JSON path from byte {at} on: use `.name`, `['name']`, `[0]`, `[*]` or `..name`"
            ),
        }
    }
}

impl std::error::Error for JsonPathError {}

struct Parser<'t> {
    text: &'t str,
    rest: Peekable<Chars<'t>>,
}

impl Parser<'_> {
    /// The next step; `None` at the end of the text.
    fn segment(&mut self) -> Result<Option<Segment>, JsonPathError> {
        let segment = match self.rest.next() {
            None => return Ok(None),
            Some('[') => Segment { descend: false, selector: self.bracketed()? },
            Some('.') if self.eat('.') => {
                let selector = if self.eat('[') { self.bracketed()? } else { self.dotted()? };
                Segment { descend: true, selector }
            }
            Some('.') => Segment { descend: false, selector: self.dotted()? },
            Some(_) => return Err(self.syntax()),
        };
        Ok(Some(segment))
    }

    fn dotted(&mut self) -> Result<Selector, JsonPathError> {
        if self.eat('*') {
            return Ok(Selector::All);
        }
        if !self.rest.peek().is_some_and(|char| starts_name(*char)) {
            return Err(self.syntax());
        }
        let mut name = String::new();
        while let Some(char) = self.rest.next_if(|char| continues_name(*char)) {
            name.push(char);
        }
        Ok(Selector::Name(name.into()))
    }

    fn bracketed(&mut self) -> Result<Selector, JsonPathError> {
        let selector = match self.rest.peek() {
            Some('*') => {
                self.rest.next();
                Selector::All
            }
            Some(quote @ ('\'' | '"')) => {
                let quote = *quote;
                self.rest.next();
                Selector::Name(self.quoted(quote)?)
            }
            Some(digit) if digit.is_ascii_digit() => Selector::Index(self.index()?),
            Some('?' | ':' | '-') => return Err(self.unsupported()),
            _ => return Err(self.syntax()),
        };
        match self.rest.peek() {
            Some(']') => {
                self.rest.next();
                Ok(selector)
            }
            Some(',' | ':') => Err(self.unsupported()),
            _ => Err(self.syntax()),
        }
    }

    fn index(&mut self) -> Result<u32, JsonPathError> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(self.syntax());
        }
        digits.parse().map_err(|_| self.syntax())
    }

    fn quoted(&mut self, quote: char) -> Result<Arc<str>, JsonPathError> {
        let mut name = String::new();
        loop {
            match self.rest.next() {
                Some(char) if char == quote => return Ok(name.into()),
                Some('\\') => name.push(self.escaped(quote)?),
                Some(char) if char >= ' ' => name.push(char),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escaped(&mut self, quote: char) -> Result<char, JsonPathError> {
        match self.rest.next() {
            Some(char) if char == quote => Ok(char),
            Some(char @ ('\\' | '/')) => Ok(char),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let mut units = vec![self.unit()?];
                if matches!(units.first(), Some(0xd800..0xdc00)) && self.eat('\\') && self.eat('u') {
                    units.push(self.unit()?);
                }
                let mut chars = char::decode_utf16(units);
                match (chars.next(), chars.next()) {
                    (Some(Ok(char)), None) => Ok(char),
                    _ => Err(self.syntax()),
                }
            }
            _ => Err(self.syntax()),
        }
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u16, JsonPathError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.rest.next().and_then(|char| char.to_digit(16)).ok_or_else(|| self.syntax())?;
            unit = unit << 4 | digit as u16;
        }
        Ok(unit)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn at(&self) -> usize {
        let rest: usize = self.rest.clone().map(char::len_utf8).sum();
        self.text.len() - rest
    }

    fn syntax(&self) -> JsonPathError {
        JsonPathError::Syntax { at: self.at() }
    }

    fn unsupported(&self) -> JsonPathError {
        JsonPathError::Unsupported { at: self.at() }
    }
}

/// RFC 9535 section 2.5.1.1.
const fn starts_name(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_' || !char.is_ascii()
}

const fn continues_name(char: char) -> bool {
    starts_name(char) || char.is_ascii_digit()
}

fn is_shorthand(name: &str) -> bool {
    name.chars().next().is_some_and(starts_name) && name.chars().all(continues_name)
}

fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    for char in name.chars() {
        match char {
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\'' | '\\' => write!(f, "\\{char}")?,
            ..' ' => write!(f, "\\u{:04x}", u32::from(char))?,
            _ => write!(f, "{char}")?,
        }
    }
    Ok(())
}

/// Bytes of a path's text. Paths are written by people and by generators of policies; this is far beyond both.
pub const MAX_LENGTH: usize = 1_024;

/// Steps of one path. Each costs a bit of state for each level of a document.
pub const MAX_SEGMENTS: usize = 32;

/// Paths of one plan. What follows paths refuses a plan with more.
pub const MAX_PATHS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_path_and_its_one_spelling() {
        for (text, canonical) in [
            ("$", "$"),
            ("$.a", "$.a"),
            ("$['a']", "$.a"),
            ("$[\"a\"]", "$.a"),
            ("$.a.b[0]", "$.a.b[0]"),
            ("$.items[*].ssn", "$.items[*].ssn"),
            ("$.*", "$[*]"),
            ("$..ssn", "$..ssn"),
            ("$..['ssn']", "$..ssn"),
            ("$..*", "$..*"),
            ("$..[*]", "$..*"),
            ("$..[3]", "$..[3]"),
            ("$.metadata.annotations['a.b/c']", "$.metadata.annotations['a.b/c']"),
            (r"$['it\'s']", r"$['it\'s']"),
            (r#"$["it's"]"#, r"$['it\'s']"),
            (r"$['\u0041\u00e9\ud83d\ude00']", "$.Aé😀"),
            (r"$['\n\u0001\\\/']", r"$['\n\u0001\\/']"),
            ("$['']", "$['']"),
            ("$.größe", "$.größe"),
            ("$[4294967295]", "$[4294967295]"),
        ] {
            let path = JsonPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(path.to_string(), canonical);
            assert_eq!(JsonPath::parse(canonical), Ok(path), "{text}");
        }
    }

    #[test]
    fn what_a_stream_can_not_follow_is_said_to_be_so() {
        for text in ["$[?@.a]", "$[1:2]", "$[:2]", "$[0,1]", "$['a','b']", "$[-1]", "$..[?@]"] {
            let error = JsonPath::parse(text).unwrap_err();
            assert!(matches!(error, JsonPathError::Unsupported { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_path() {
        for text in ["", "a", ".a", "@.a", " $.a"] {
            assert_eq!(JsonPath::parse(text), Err(JsonPathError::Start), "{text}");
        }
        for (text, at) in [
            ("$.", 2),
            ("$..", 3),
            ("$...a", 3),
            ("$a", 2),
            ("$.a ", 4),
            ("$ .a", 2),
            ("$.1", 2),
            ("$.a-b", 4),
            ("$[", 2),
            ("$[a]", 2),
            ("$[]", 2),
            ("$['a'", 5),
            ("$['a", 4),
            ("$[ 'a']", 2),
            ("$[01]", 4),
            ("$[4294967296]", 12),
            (r"$['\x']", 5),
            (r"$['\ud800']", 9),
            (r"$['\ud800\ud800']", 15),
            (r"$['\u12']", 8),
            ("$['\n']", 4),
            (r#"$['\"']"#, 5),
        ] {
            assert_eq!(JsonPath::parse(text), Err(JsonPathError::Syntax { at }), "{text}");
        }
    }

    #[test]
    fn paths_are_bounded() {
        assert_eq!(JsonPath::parse(&format!("$.{}", "a".repeat(MAX_LENGTH))), Err(JsonPathError::Long));
        assert!(JsonPath::parse(&format!("${}", ".a".repeat(MAX_SEGMENTS))).is_ok());
        let deep = JsonPath::parse(&format!("${}", ".a".repeat(MAX_SEGMENTS + 1)));
        assert_eq!(deep, Err(JsonPathError::Deep));
    }
}
