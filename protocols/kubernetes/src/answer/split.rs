//! Cuts a stream of JSON documents into what has to be looked at whole: members of a document, elements of its lists.

use gatewright_http::refusal::Refusal;
use http::StatusCode;

use super::{LARGEST_OBJECT, malformed};

/// A piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A document begins.
    Begin,
    /// A member that is no list of objects: its name, as written, and its value.
    Member(&'a [u8], &'a [u8]),
    /// A list of objects begins: its name, as written.
    List(&'a [u8]),
    /// An object of the list.
    Element(&'a [u8]),
    /// The list ends.
    ListEnd,
    /// The document ends.
    End,
    /// A document, where documents are not cut.
    Document(&'a [u8]),
}

/// Reads bytes in pieces of any size.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Names of members that are lists of objects. None: documents are not cut.
    lists: &'static [&'static str],
    at: At,
    /// The value that is being read, as far as it came.
    value: Vec<u8>,
    name: Vec<u8>,
    scan: Scan,
    documents: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between documents.
    Outside,
    /// A document that is not cut.
    Whole,
    /// Before a member's name. `first`: or the document's end.
    Name {
        first: bool,
    },
    InName,
    Colon,
    /// Before a member's value.
    Value,
    InValue,
    AfterValue,
    /// Before an element. `first`: or the list's end.
    Element {
        first: bool,
    },
    InElement,
    AfterElement,
}

/// Where in a value a byte is.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    begun: bool,
}

/// What a byte does to a value.
#[derive(PartialEq, Eq)]
enum Step {
    More,
    /// It is the value's last byte.
    Last,
    /// It follows the value.
    Behind,
}

impl Scan {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.in_text = false;
                    return if self.depth == 0 { Step::Last } else { Step::More };
                }
                _ => {}
            }
            return Step::More;
        }
        let begun = std::mem::replace(&mut self.begun, true);
        match byte {
            // Text right behind a number is no JSON; whoever reads the value will say so.
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return Step::Behind,
            b'}' | b']' => {
                self.depth -= 1;
                return if self.depth == 0 { Step::Last } else { Step::More };
            }
            b',' | b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 && begun => return Step::Behind,
            _ => {}
        }
        Step::More
    }
}

impl Splitter {
    /// Cuts documents at members of these names that are lists; not at all, if there are none.
    pub(super) const fn new(lists: &'static [&'static str]) -> Self {
        Self {
            lists,
            at: At::Outside,
            value: Vec::new(),
            name: Vec::new(),
            scan: Scan { depth: 0, in_text: false, is_escaped: false, begun: false },
            documents: 0,
        }
    }

    /// Documents that were complete.
    pub(super) const fn documents(&self) -> u64 {
        self.documents
    }

    /// Is nothing begun?
    pub(super) fn is_outside(&self) -> bool {
        self.at == At::Outside
    }

    /// Takes in bytes, and gives each piece that is complete to `take`.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(Piece<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if matches!(self.at, At::Whole | At::InName | At::InValue | At::InElement) {
                rest = self.read(rest, take)?;
                continue;
            }
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                rest = behind;
                continue;
            }
            self.at = match (self.at, byte) {
                (At::Outside, b'{') if self.lists.is_empty() => At::Whole,
                (At::Outside, b'{') => {
                    take(Piece::Begin)?;
                    rest = behind;
                    At::Name { first: true }
                }
                (At::Name { .. }, b'"') => At::InName,
                (At::Name { first: true } | At::AfterValue, b'}') => {
                    take(Piece::End)?;
                    self.documents += 1;
                    rest = behind;
                    At::Outside
                }
                (At::Colon, b':') => {
                    rest = behind;
                    At::Value
                }
                (At::Value, b'[') if self.is_list()? => {
                    take(Piece::List(&self.name))?;
                    rest = behind;
                    At::Element { first: true }
                }
                (At::Value, _) => At::InValue,
                (At::AfterValue, b',') => {
                    rest = behind;
                    At::Name { first: false }
                }
                (At::Element { first: true } | At::AfterElement, b']') => {
                    take(Piece::ListEnd)?;
                    rest = behind;
                    At::AfterValue
                }
                (At::Element { .. }, _) => At::InElement,
                (At::AfterElement, b',') => {
                    rest = behind;
                    At::Element { first: false }
                }
                _ => return Err(malformed("the target's answer is no JSON")),
            };
            if matches!(self.at, At::Whole | At::InName | At::InValue | At::InElement) {
                self.value.clear();
                self.scan = Scan::default();
            }
        }
        Ok(())
    }

    /// Reads on in a value, and says what is left behind it.
    fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        take: &mut dyn FnMut(Piece<'_>) -> Result<(), Refusal>,
    ) -> Result<&'a [u8], Refusal> {
        let mut length = bytes.len();
        let mut is_over = false;
        for (at, byte) in bytes.iter().enumerate() {
            match self.scan.step(*byte) {
                Step::More => continue,
                Step::Last => length = at + 1,
                Step::Behind => length = at,
            }
            is_over = true;
            break;
        }
        let (own, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if self.value.len() + own.len() > LARGEST_OBJECT {
            return Err(TOO_LARGE);
        }
        // What came whole in one piece is not copied.
        let value = if is_over && self.value.is_empty() {
            own
        } else {
            self.value.extend_from_slice(own);
            &self.value
        };
        if !is_over {
            return Ok(rest);
        }
        self.at = match self.at {
            At::InName => {
                self.name.clear();
                self.name.extend_from_slice(value);
                At::Colon
            }
            At::InValue => {
                take(Piece::Member(&self.name, value))?;
                At::AfterValue
            }
            At::InElement => {
                take(Piece::Element(value))?;
                At::AfterElement
            }
            _ => {
                take(Piece::Document(value))?;
                self.documents += 1;
                At::Outside
            }
        };
        Ok(rest)
    }

    fn is_list(&self) -> Result<bool, Refusal> {
        let name = text(&self.name)?;
        Ok(self.lists.contains(&&*name))
    }
}

/// A name as text.
pub(super) fn text(name: &[u8]) -> Result<String, Refusal> {
    serde_json::from_slice(name).map_err(|_| malformed("the target's answer is no JSON"))
}

const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::BAD_GATEWAY,
    code: "mask.limit",
    detail: "an object of the target's answer is larger than 8 MiB",
};
