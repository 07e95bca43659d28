//! JSON read strictly: what two readers could understand in two ways is refused.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// An object. No name occurs twice.
pub(crate) type Object = BTreeMap<String, Value>;

/// A JSON value. No `Debug`: it can be a claim of a token.
pub(crate) enum Value {
    /// `null`, `true` or a number that is not a non-negative integer below 2^64 as written: a float, a
    /// negative number, `1e3`. Nothing here reads any of them except booleans.
    Other,
    Bool(bool),
    Integer(u64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// Reads a document that must be one object and nothing behind it. `None`: it is not.
///
/// Depth is bounded by serde_json (128), size by the caller.
pub(crate) fn parse_object(document: &[u8]) -> Option<Object> {
    match serde_json::from_slice(document) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some((name, value)) = members.next_entry()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a081_duplicate_names_are_refused_at_every_depth() {
        for document in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
        ] {
            assert!(parse_object(document.as_bytes()).is_none(), "{document}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":{"a":2}}"#).is_some());
    }

    #[test]
    fn a083_only_plain_integers_are_integers() {
        for number in ["-1", "-0", "1.0", "1e3", "1E3", "18446744073709551616", "0.0", "null"] {
            let object = parse_object(format!(r#"{{"n":{number}}}"#).as_bytes()).unwrap();
            assert!(matches!(object["n"], Value::Other), "{number}");
        }
        let object = parse_object(br#"{"n":18446744073709551615}"#).unwrap();
        assert!(matches!(object["n"], Value::Integer(u64::MAX)));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        for document in [
            "",
            "1",
            "[]",
            "null",
            "{",
            "{}{}",
            "{} x",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            &deep,
        ] {
            assert!(parse_object(document.as_bytes()).is_none(), "{document:.20}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_none());
        assert!(parse_object(b" {} \n").is_some());
    }
}
