//! As much of protobuf as the API's envelope needs: `k8s\0`, then a `runtime.Unknown` with the object inside.
//!
//! Objects are not decoded: the gateway has no schemas of them, and asks for JSON where it has to see or hide something.
//! What is read here is enough to say what an object claims to be.

use bytes::Bytes;

/// `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`: every object begins with it.
const MAGIC: &[u8] = b"k8s\0";

/// An object in its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Like `apps/v1`.
    pub api_version: &'a str,
    /// Like `Deployment`.
    pub kind: &'a str,
    /// The object, encoded by its own schema.
    pub object: &'a [u8],
}

/// A message that is none, or is longer than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads an envelope.
///
/// # Errors
///
/// It is none, or its object has a coding of its own, which nothing writes.
pub fn open(bytes: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
    let mut envelope = Envelope { api_version: "", kind: "", object: &[] };
    for field in fields(rest) {
        match field? {
            (1, Value::Bytes(type_meta)) => {
                for field in fields(type_meta) {
                    match field? {
                        (1, Value::Bytes(text)) => envelope.api_version = utf8(text)?,
                        (2, Value::Bytes(text)) => envelope.kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Value::Bytes(object)) => envelope.object = object,
            (3, Value::Bytes(coding)) if !coding.is_empty() => return Err(Malformed),
            _ => {}
        }
    }
    Ok(envelope)
}

/// Writes an envelope.
pub(crate) fn envelope(api_version: &str, kind: &str, object: &[u8]) -> Bytes {
    let mut type_meta = Vec::new();
    put_bytes(&mut type_meta, 1, api_version.as_bytes());
    put_bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put_bytes(&mut out, 1, &type_meta);
    put_bytes(&mut out, 2, object);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    Bytes::from(out)
}

/// A field's value, as far as its wire type tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A variable-length number.
    Number(u64),
    /// 4 or 8 bytes, or any number of them.
    Bytes(&'a [u8]),
}

/// Numbers and values of the fields of a message, in their order. Ends with the first error.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u64, Value<'_>), Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Value<'a>), Malformed> {
    let tag = number(rest)?;
    let length = match tag & 7 {
        0 => return Ok((tag >> 3, Value::Number(number(rest)?))),
        1 => 8,
        2 => usize::try_from(number(rest)?).map_err(|_| Malformed)?,
        5 => 4,
        _ => return Err(Malformed),
    };
    let (value, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok((tag >> 3, Value::Bytes(value)))
}

fn number(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or(Malformed)?;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

/// A field of bytes, text or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A field of a number.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u8, number: u64) {
    out.push(field << 3);
    put_varint(out, number);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcripts;

    #[test]
    fn a_recorded_object_says_what_it_is() {
        let bodies = transcripts::items("40-create");
        let kinds: Vec<String> = bodies
            .iter()
            .filter(|item| item.header("content-type") == Some("application/vnd.kubernetes.protobuf"))
            .map(|item| open(&item.bytes()).unwrap().kind.to_owned())
            .collect();
        assert!(kinds.iter().any(|kind| kind == "Secret"), "{kinds:?}");
    }

    #[test]
    fn a058_what_is_cut_or_no_message_is_refused() {
        let whole = envelope("v1", "Secret", b"\x0a\x00");
        assert_eq!(
            open(&whole).unwrap(),
            Envelope { api_version: "v1", kind: "Secret", object: b"\x0a\x00" }
        );
        for end in 4..whole.len() {
            // Cut between two fields it is a shorter message: without its end.
            let cut = open(&whole[..end]);
            assert!(
                cut.is_err() || cut.unwrap() != open(&whole).unwrap() || end >= whole.len() - 4,
                "{end}"
            );
        }
        assert_eq!(open(b"{}"), Err(Malformed));
        assert_eq!(open(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Err(Malformed));
        assert_eq!(open(b"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), Err(Malformed));
        assert_eq!(open(b"k8s\0\x1a\x04gzip"), Err(Malformed));
    }
}
