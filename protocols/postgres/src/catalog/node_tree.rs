//! PostgreSQL's text form of a parsed query (`pg_node_tree`; `nodes/outfuncs.c` writes it, `nodes/read.c` reads it).
//!
//! `{LABEL :field value :field value}` is a node, `(value value)` a list, `<>` is null; anything else is one token up to a blank, bracket or brace, in which a
//! backslash takes the meaning from the next byte. A token in a value may begin with a colon as a field does (a column can be called `:resno`), so the first
//! token behind a field is its value whatever it looks like. Further ones, which only the bytes of a constant have, are not kept.

/// A part of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// A node with its fields.
    Struct {
        /// What it is, like `TARGETENTRY`.
        label: &'a [u8],
        /// Its fields, in their order.
        fields: Vec<(&'a [u8], Node<'a>)>,
    },
    /// A list.
    List(Vec<Node<'a>>),
    /// A number, name, or `<>`.
    Token(&'a [u8]),
}

/// The deepest nesting that is read. The server's own limit is its stack.
const DEEPEST: usize = 300;

impl<'a> Node<'a> {
    /// Reads a whole tree. None: it is none, or too deep.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let mut tokens = Tokens { rest: text };
        let first = tokens.next()?;
        let node = tokens.node(first, DEEPEST)?;
        tokens.next().is_none().then_some(node)
    }

    /// Is it a node with this label?
    pub(super) fn is(&self, label: &str) -> bool {
        matches!(self, Self::Struct { label: own, .. } if *own == label.as_bytes())
    }

    /// A field of a node.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Struct { fields, .. } = self else { return None };
        fields.iter().find(|(field, _)| *field == name.as_bytes()).map(|(_, value)| value)
    }

    /// A field that is a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.token(name)?).ok()?.parse().ok()
    }

    /// A field that is one token.
    pub(super) fn token(&self, name: &str) -> Option<&'a [u8]> {
        match self.field(name)? {
            Self::Token(token) => Some(token),
            _ => None,
        }
    }

    /// The entries of a field that is a list. None where it is something else; a null one has none.
    pub(super) fn list(&self, name: &str) -> Option<&[Self]> {
        match self.field(name)? {
            Self::List(entries) => Some(entries),
            Self::Token(b"<>") => Some(&[]),
            _ => None,
        }
    }

    /// What it consists of.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Self> {
        let (fields, entries) = match self {
            Self::Struct { fields, .. } => (fields.as_slice(), Default::default()),
            Self::List(entries) => (Default::default(), entries.as_slice()),
            Self::Token(_) => Default::default(),
        };
        fields.iter().map(|(_, value)| value).chain(entries)
    }
}

/// The tokens of a text (`pg_strtok`).
struct Tokens<'a> {
    rest: &'a [u8],
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t')
}

const fn is_bracket(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'{' | b'}')
}

fn begins_with_bracket(text: &[u8]) -> bool {
    text.first().is_some_and(|byte| is_bracket(*byte))
}

fn end_of_word(text: &[u8]) -> usize {
    let mut end = 0;
    while let Some(byte) = text.get(end) {
        match byte {
            b'\\' => end += 2,
            byte if is_blank(*byte) || is_bracket(*byte) => return end,
            _ => end += 1,
        }
    }
    text.len()
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| !is_blank(*byte))?;
        let (_, text) = self.rest.split_at(start);
        let (token, rest) = text.split_at(if begins_with_bracket(text) { 1 } else { end_of_word(text) });
        self.rest = rest;
        Some(token)
    }

    /// The value that begins with `first`.
    fn node(&mut self, first: &'a [u8], deeper: usize) -> Option<Node<'a>> {
        let deeper = deeper.checked_sub(1)?;
        match first {
            b"{" => {
                let label = self.next().filter(|label| !begins_with_bracket(label))?;
                let mut fields = Vec::new();
                loop {
                    match self.next()? {
                        b"}" => return Some(Node::Struct { label, fields }),
                        [b':', name @ ..] => {
                            let first = self.next()?;
                            fields.push((name, self.node(first, deeper)?));
                        }
                        further => {
                            self.node(further, deeper)?;
                        }
                    }
                }
            }
            b"(" => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        b")" => return Some(Node::List(entries)),
                        first => entries.push(self.node(first, deeper)?),
                    }
                }
            }
            b")" | b"}" => None,
            token => Some(Node::Token(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lists_and_tokens() {
        let tree = Node::read(b"({A :x 1 :y <> :list (i 1 2)\n:of {B :name a\\ b\\)}})").unwrap();
        let Node::List(entries) = &tree else { panic!("{tree:?}") };
        let [node] = &**entries else { panic!("{tree:?}") };
        assert!(node.is("A") && !node.is("B"));
        assert_eq!((node.number::<i16>("x"), node.number::<i16>("y")), (Some(1), None));
        assert_eq!(node.list("y"), Some(&[][..]));
        assert_eq!(node.list("list").map(<[_]>::len), Some(3));
        assert_eq!(node.field("of").and_then(|of| of.token("name")), Some(&b"a\\ b\\)"[..]));
    }

    #[test]
    fn a025_a_name_that_looks_like_a_field_is_a_value() {
        let node = Node::read(b"{TARGETENTRY :resname :resno :resno 7 :resjunk false}").unwrap();
        assert_eq!((node.token("resname"), node.number::<i16>("resno")), (Some(&b":resno"[..]), Some(7)));
    }

    #[test]
    fn the_bytes_of_a_constant_are_passed_over() {
        let node = Node::read(b"{CONST :constvalue 8 [ 32 0 0 0 -1 ] :location 7}").unwrap();
        assert_eq!((node.token("constvalue"), node.number::<i16>("location")), (Some(&b"8"[..]), Some(7)));
    }

    #[test]
    fn what_is_no_tree_is_not_read() {
        let cut = b"({A :x (1 {B :y 2}) :z \\";
        assert!((0..=cut.len()).all(|end| Node::read(&cut[..end]).is_none()));
        for text in ["{", "{A :x }", "{{A} :x 1}", ")", "1 2", "{A} {A}", "(1))", ""] {
            assert_eq!(Node::read(text.as_bytes()), None, "{text}");
        }
        let nested = |depth: usize| "(".repeat(depth) + &")".repeat(depth);
        assert!(Node::read(nested(DEEPEST).as_bytes()).is_some());
        assert!(Node::read(nested(DEEPEST + 1).as_bytes()).is_none());
        assert!(Node::read(nested(1_000_000).as_bytes()).is_none());
    }
}
