//! Records as JSON in which everything can be seen.
//!
//! A record is some forty short texts and numbers, nearly all of them plain: such a text is looked at once, and copied
//! once. serde_json looks at each byte by itself and hands over the pieces between escapes; written with it, the records of
//! a request cost a twentieth of everything the request costs.

use std::fmt;

use gatewright_model::hidden::is_hidden;
use serde::{
    Serialize, Serializer,
    ser::{
        Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    },
};

/// Appends a value to `json`. Only what records are made of: no number with a fraction, no bytes.
pub(super) fn append(value: &impl Serialize, json: &mut Vec<u8>) -> Result<(), NotJson> {
    value.serialize(Json(json))
}

/// A record has something that no record has, or a key that is no text.
#[derive(Debug)]
pub(crate) struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record can not be written as JSON")
    }
}

impl std::error::Error for NotJson {}

impl serde::ser::Error for NotJson {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Appends one value.
struct Json<'a>(&'a mut Vec<u8>);

/// Appends what stands between brackets, and what closes them.
struct Members<'a> {
    json: &'a mut Vec<u8>,
    is_first: bool,
    close: &'static str,
}

impl<'a> Json<'a> {
    fn members(self, open: u8, close: &'static str) -> Members<'a> {
        self.0.push(open);
        Members { json: self.0, is_first: true, close }
    }

    /// `{"variant":`, which the caller closes.
    fn variant(&mut self, variant: &'static str) {
        self.0.push(b'{');
        name(self.0, variant);
        self.0.push(b':');
    }
}

impl Members<'_> {
    fn next(&mut self) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.json.push(b',');
        }
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), NotJson> {
        self.next();
        value.serialize(Json(self.json))
    }

    fn field(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), NotJson> {
        self.next();
        name(self.json, key);
        self.json.push(b':');
        value.serialize(Json(self.json))
    }

    fn close(self) {
        self.json.extend_from_slice(self.close.as_bytes());
    }
}

/// A text between quotes.
fn text(json: &mut Vec<u8>, text: &str) {
    if !is_plain_text(text.as_bytes()) {
        return escaped(json, text);
    }
    quoted(json, text);
}

/// A name that the program gave, none of which needs an escape.
fn name(json: &mut Vec<u8>, name: &'static str) {
    debug_assert!(is_plain_text(name.as_bytes()), "{name}");
    quoted(json, name);
}

fn quoted(json: &mut Vec<u8>, text: &str) {
    json.reserve(text.len() + 2);
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Does each byte stand for itself?
fn is_plain_text(bytes: &[u8]) -> bool {
    // Of what is left at the end, and of what is short, some bytes are looked at twice.
    if let Some(last) = bytes.last_chunk::<16>() {
        return bytes.as_chunks::<16>().0.iter().all(are_plain) && are_plain(last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return are_plain(first) && are_plain(last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return are_plain(first) && are_plain(last);
    }
    bytes.iter().all(|byte| is_plain(*byte))
}

/// Is it a byte that stands for itself?
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Is each of these? Without a way out in the middle, so that the compiler looks at all of them at once.
fn are_plain<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte))
}

#[cold]
fn escaped(json: &mut Vec<u8>, text: &str) {
    json.push(b'"');
    for character in text.chars() {
        match character {
            '"' => json.extend_from_slice(b"\\\""),
            '\\' => json.extend_from_slice(b"\\\\"),
            '\n' => json.extend_from_slice(b"\\n"),
            '\r' => json.extend_from_slice(b"\\r"),
            '\t' => json.extend_from_slice(b"\\t"),
            '\u{8}' => json.extend_from_slice(b"\\b"),
            '\u{c}' => json.extend_from_slice(b"\\f"),
            hidden if is_hidden(hidden) => {
                for unit in hidden.encode_utf16(&mut [0; 2]) {
                    json.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            shown => json.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    json.push(b'"');
}

/// Methods that write a number as it is.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {
        $(fn $method(self, number: $number) -> Result<(), NotJson> {
            self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            Ok(())
        })*
    };
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = NotJson;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Impossible<(), NotJson>;
    type SerializeTupleVariant = Impossible<(), NotJson>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    numbers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    fn serialize_bool(self, value: bool) -> Result<(), NotJson> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), NotJson> {
        text(self.0, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), NotJson> {
        text(self.0, value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NotJson> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotJson> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NotJson> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotJson> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NotJson> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        self.variant(variant);
        value.serialize(Json(self.0))?;
        self.0.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, NotJson> {
        Ok(self.members(b'[', "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, NotJson> {
        Ok(self.members(b'[', "]"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, NotJson> {
        Ok(self.members(b'{', "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, NotJson> {
        Ok(self.members(b'{', "}"))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, NotJson> {
        self.variant(variant);
        Ok(self.members(b'{', "}}"))
    }

    fn serialize_f32(self, _: f32) -> Result<(), NotJson> {
        Err(NotJson)
    }

    fn serialize_f64(self, _: f64) -> Result<(), NotJson> {
        Err(NotJson)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), NotJson> {
        Err(NotJson)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, NotJson> {
        Err(NotJson)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotJson> {
        Err(NotJson)
    }
}

impl SerializeSeq for Members<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        self.element(value)
    }

    fn end(self) -> Result<(), NotJson> {
        self.close();
        Ok(())
    }
}

impl SerializeTuple for Members<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        self.element(value)
    }

    fn end(self) -> Result<(), NotJson> {
        self.close();
        Ok(())
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotJson> {
        self.next();
        let begin = self.json.len();
        key.serialize(Json(self.json))?;
        let is_text = self.json.get(begin) == Some(&b'"');
        self.json.push(b':');
        if is_text { Ok(()) } else { Err(NotJson) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        value.serialize(Json(self.json))
    }

    fn end(self) -> Result<(), NotJson> {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), NotJson> {
        self.close();
        Ok(())
    }
}

impl SerializeStructVariant for Members<'_> {
    type Ok = ();
    type Error = NotJson;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), NotJson> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Every shape that serde knows, and that a record may have.
    #[derive(Debug, Clone, Serialize)]
    enum Shape {
        Unit,
        Newtype(Option<i64>),
        Struct { text: String, pair: (u8, bool), letter: char },
        Map(BTreeMap<String, Vec<u64>>),
        Nothing(()),
    }

    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Empty,
        Inner(Inner),
        Fields { a: u64, b: Vec<String> },
    }

    #[derive(Debug, Clone, Serialize)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        kept: String,
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        prop_oneof![
            Just(Shape::Unit),
            any::<Option<i64>>().prop_map(Shape::Newtype),
            (any::<String>(), any::<(u8, bool)>(), any::<char>())
                .prop_map(|(text, pair, letter)| Shape::Struct { text, pair, letter }),
            any::<BTreeMap<String, Vec<u64>>>().prop_map(Shape::Map),
            Just(Shape::Nothing(())),
        ]
    }

    fn tagged() -> impl Strategy<Value = Tagged> {
        prop_oneof![
            Just(Tagged::Empty),
            (any::<Option<u8>>(), any::<String>())
                .prop_map(|(left_out, kept)| Tagged::Inner(Inner { left_out, kept })),
            (any::<u64>(), any::<Vec<String>>()).prop_map(|(a, b)| Tagged::Fields { a, b }),
        ]
    }

    fn written(value: &impl Serialize) -> String {
        let mut json = Vec::new();
        append(value, &mut json).unwrap();
        String::from_utf8(json).unwrap()
    }

    proptest! {
        #[test]
        fn it_means_what_serde_json_means(shapes in prop::collection::vec(shapes(), 0..4), tagged in tagged()) {
            let value = (shapes, tagged);
            let own: serde_json::Value = serde_json::from_str(&written(&value)).unwrap();
            prop_assert_eq!(own, serde_json::to_value(&value).unwrap());
        }

        #[test]
        fn where_nothing_is_hidden_it_is_the_same_text(text in "[ -~\\n\\t\u{e4}\u{6f22}]{0,70}|[a-z\"]{0,70}") {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn each_byte_is_plain_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..50 {
                for (place, other) in
                    (0..length).flat_map(|place| [b' ', b'a', b'~'].map(|other| (place, other)))
                {
                    let mut bytes = vec![other; length];
                    bytes[place] = byte;
                    assert_eq!(is_plain_text(&bytes), is_plain(byte), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn what_no_record_has_is_an_error() {
        assert!(append(&1.5, &mut Vec::new()).is_err());
        assert!(append(&BTreeMap::from([(1, 2)]), &mut Vec::new()).is_err());
        assert!(append(&BTreeMap::from([((1, 2), 2)]), &mut Vec::new()).is_err());
    }
}
