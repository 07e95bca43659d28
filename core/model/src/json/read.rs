//! The reader: strict JSON (RFC 8259), and on top of it everything that readers disagree about.

use std::{borrow::Cow, fmt};

use super::{MAX_DEPTH, MAX_LENGTH, MAX_VALUES, Node};

/// Why a text is not read: what, and where. Nothing of the text is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous {
    /// What is wrong.
    pub reason: Reason,
    /// Where in the text, in bytes.
    pub at: usize,
}

/// What readers of JSON disagree about, or none of them reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// More bytes than [`MAX_LENGTH`].
    Long,
    /// A byte order mark.
    ByteOrderMark,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    Syntax,
    /// It ends before the value does.
    Incomplete,
    /// Something stands behind the value.
    Trailing,
    /// More than [`MAX_DEPTH`] levels.
    Deep,
    /// More than [`MAX_VALUES`] names and values.
    Many,
    /// A name twice in one object.
    DuplicateName,
    /// Two names in one object that differ in case only.
    CaseVariants,
    /// U+0000 in a name.
    NulInName,
    /// An escaped surrogate that is no half of a pair.
    LoneSurrogate,
    /// A number beyond what readers hold.
    Number,
}

impl Reason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Long => "the document is too long",
            Self::ByteOrderMark => "the document begins with a byte order mark",
            Self::NotUtf8 => "the document is not UTF-8",
            Self::Syntax => "the document is not JSON",
            Self::Incomplete => "the document ends too early",
            Self::Trailing => "something follows the document",
            Self::Many => "the document has too many values",
            Self::Deep => "the document is nested too deeply",
            Self::DuplicateName => "an object has a name twice",
            Self::CaseVariants => "an object has two names that differ in case only",
            Self::NulInName => "a name contains a zero character",
            Self::LoneSurrogate => "a string contains half of a surrogate pair",
            Self::Number => "a number is larger than readers of JSON can hold",
        }
    }
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.reason.as_str(), self.at)
    }
}

impl std::error::Error for Ambiguous {}

/// Reads a whole text.
pub(super) fn nodes(text: &[u8]) -> Result<Vec<Node>, Ambiguous> {
    let fail = |reason, at| Err(Ambiguous { reason, at });
    if text.len() > MAX_LENGTH {
        return fail(Reason::Long, MAX_LENGTH);
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return fail(Reason::ByteOrderMark, 0);
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => return fail(Reason::NotUtf8, error.valid_up_to()),
    };
    let mut reader = Reader { text, at: 0, nodes: Vec::new(), names: Vec::new() };
    reader.space();
    reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return fail(Reason::Trailing, reader.at);
    }
    Ok(reader.nodes)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    nodes: Vec<Node>,
    /// The names of all objects that are open, with where they stand.
    names: Vec<(Cow<'t, str>, usize)>,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<(), Ambiguous> {
        let index = self.open();
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => return self.fail(Reason::Deep),
            _ if self.nodes.len() >= MAX_VALUES => return self.fail(Reason::Many),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return self.unexpected(),
        }
        self.close(index);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Ambiguous> {
        let outer = self.names.len();
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let (index, start) = (self.open(), self.at);
            let name = self.string()?;
            self.close(index);
            if name.contains('\0') {
                return Err(Ambiguous { reason: Reason::NulInName, at: start });
            }
            self.names.push((name, start));
            self.space();
            self.expect(b':')?;
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.eat(b'}') {
                break;
            }
            self.expect(b',')?;
            self.space();
        }
        let names = self.names.split_off(outer);
        check_names(names)
    }

    fn array(&mut self, depth: usize) -> Result<(), Ambiguous> {
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    /// Checks a string and decodes it.
    fn string(&mut self) -> Result<Cow<'t, str>, Ambiguous> {
        let start = self.at;
        self.at += 1;
        let mut escapes = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.unexpected(),
            }
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).unwrap_or_default();
        Ok(if escapes { unescape(raw) } else { Cow::Borrowed(inside(raw)) })
    }

    fn escape(&mut self) -> Result<(), Ambiguous> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.unit()? {
                0xdc00..=0xdfff => return Err(Ambiguous { reason: Reason::LoneSurrogate, at: start }),
                0xd800..=0xdbff => {
                    let pair = self.rest().starts_with(b"\\u") && {
                        self.at += 1;
                        matches!(self.unit()?, 0xdc00..=0xdfff)
                    };
                    if !pair {
                        return Err(Ambiguous { reason: Reason::LoneSurrogate, at: start });
                    }
                }
                _ => {}
            },
            _ => return self.unexpected(),
        }
        Ok(())
    }

    /// `u` and four hex digits.
    fn unit(&mut self) -> Result<u32, Ambiguous> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.unexpected();
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), Ambiguous> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            integer = false;
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        let held = if integer {
            number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
        } else {
            number.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if held { Ok(()) } else { Err(Ambiguous { reason: Reason::Number, at: start }) }
    }

    fn digits(&mut self) -> Result<(), Ambiguous> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { self.unexpected() } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<(), Ambiguous> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(())
    }

    fn space(&mut self) {
        self.at +=
            self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn expect(&mut self, byte: u8) -> Result<(), Ambiguous> {
        if self.eat(byte) { Ok(()) } else { self.unexpected() }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn open(&mut self) -> usize {
        let start = offset(self.at);
        self.nodes.push(Node { start, end: start, next: 0 });
        self.nodes.len() - 1
    }

    fn close(&mut self, index: usize) {
        let (end, next) = (offset(self.at), offset(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(index) {
            (node.end, node.next) = (end, next);
        }
    }

    fn fail<T>(&self, reason: Reason) -> Result<T, Ambiguous> {
        Err(Ambiguous { reason, at: self.at })
    }

    fn unexpected<T>(&self) -> Result<T, Ambiguous> {
        self.fail(if self.at == self.text.len() { Reason::Incomplete } else { Reason::Syntax })
    }
}

/// Offsets and numbers of nodes are below [`MAX_LENGTH`].
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Are all names of one object different to every reader?
fn check_names(mut names: Vec<(Cow<'_, str>, usize)>) -> Result<(), Ambiguous> {
    names.sort_unstable();
    if let Some(at) = repeated(&names) {
        return Err(Ambiguous { reason: Reason::DuplicateName, at });
    }
    for (name, _) in &mut names {
        if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            *name = Cow::Owned(fold(name));
        }
    }
    names.sort_unstable();
    match repeated(&names) {
        Some(at) => Err(Ambiguous { reason: Reason::CaseVariants, at }),
        None => Ok(()),
    }
}

/// Where the second of two equal names stands.
fn repeated(sorted: &[(Cow<'_, str>, usize)]) -> Option<usize> {
    sorted.array_windows().find(|[(one, _), (other, _)]| one == other).map(|[_, (_, at)]| *at)
}

/// One form for all that readers without case take for equal. Up and then down, so that `ſ` is an `s` and the Kelvin
/// sign a `k`, as they are to Go.
fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Decodes a string that was checked, quotes included.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    let inside = inside(raw);
    let Some(first) = inside.find('\\') else { return Cow::Borrowed(inside) };
    let (plain, mut rest) = inside.split_at(first);
    let mut text = String::with_capacity(inside.len());
    text.push_str(plain);
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let high = unit(&mut chars);
                let low = if matches!(high, 0xd800..0xdc00) {
                    chars.nth(1);
                    Some(unit(&mut chars))
                } else {
                    None
                };
                let units = [Some(high), low].into_iter().flatten();
                text.extend(
                    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)),
                );
            }
            Some(char) => text.push(char),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn unit(chars: &mut std::str::Chars<'_>) -> u16 {
    let digits = chars.by_ref().take(4).filter_map(|char| char.to_digit(16));
    digits.fold(0, |unit, digit| unit << 4 | digit as u16)
}

fn inside(raw: &str) -> &str {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}
