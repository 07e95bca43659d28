//! How what stands for a masked value is written, so that it is a value of the column's type.
//!
//! A method makes text. Where a type has one plain way to hold that text, it is used, in both formats alike. Numbers, dates and
//! the like have none: any number would pass for a real one. They become null.

use gatewright_masking::Masker;
use gatewright_model::mask::MaskMethod;

use crate::reader::{Malformed, Reader, length};

/// The form of a type's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text and binary form are both the text itself.
    Text,
    /// A JSON string.
    Json,
    /// The same, with the version of the format before it in binary.
    Jsonb,
    /// A hash as a UUID of version 8, which is for such uses (RFC 9562, section 5.8).
    Uuid,
    /// The bytes of the text.
    Bytes,
    /// Each element by itself. How many there are stays visible.
    TextArray,
}

/// The value has not the form of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoSuchForm;

impl Form {
    /// The form for a type, by its oid (`pg_type.dat`), and a method. None: the value becomes null.
    pub(crate) const fn of(type_oid: u32, method: MaskMethod) -> Option<Self> {
        match (type_oid, method) {
            (oid, _) if holds_text(oid) => Some(Self::Text),
            // The last characters of a document are brackets, or of whatever value comes last.
            (114, MaskMethod::Redact | MaskMethod::Hash) => Some(Self::Json),
            (3802, MaskMethod::Redact | MaskMethod::Hash) => Some(Self::Jsonb),
            (2950, MaskMethod::Hash) => Some(Self::Uuid),
            (17, _) => Some(Self::Bytes),
            // `name[]`, `text[]`, `bpchar[]`, `varchar[]`.
            (1003 | 1009 | 1014 | 1015, _) => Some(Self::TextArray),
            _ => None,
        }
    }

    /// Writes what stands for `value`. False: it is to be null, because the value has not the form of its type.
    pub(crate) fn write(self, masker: &Masker, value: &[u8], binary: bool, out: &mut Vec<u8>) -> bool {
        out.clear();
        let written = match self {
            Self::Text => {
                masker.apply(value, out);
                Ok(())
            }
            Self::Json => json(masker, value, out),
            Self::Jsonb if binary => match value.split_first() {
                Some((version @ 1, text)) => {
                    out.push(*version);
                    json(masker, text, out)
                }
                _ => Err(NoSuchForm),
            },
            Self::Jsonb => json(masker, value, out),
            Self::Uuid => uuid(masker, value, binary, out),
            Self::Bytes => bytes(masker, value, binary, out),
            Self::TextArray if binary => binary_array(masker, value, out).map_err(|_| NoSuchForm),
            Self::TextArray => text_array(masker, value, out),
        };
        written.is_ok()
    }
}

/// Types whose text and binary forms are both the text itself, so that a masked text is a value of the
/// type: `name`, `text`, `bpchar`, `varchar`, `unknown` (oids of `pg_type.dat`).
pub(crate) const fn holds_text(type_oid: u32) -> bool {
    matches!(type_oid, 19 | 25 | 1042 | 1043 | 705)
}

/// What redacting and hashing write needs no escape in a JSON string.
fn json(masker: &Masker, text: &[u8], out: &mut Vec<u8>) -> Result<(), NoSuchForm> {
    out.push(b'"');
    masker.apply(text, out);
    out.push(b'"');
    Ok(())
}

fn uuid(masker: &Masker, value: &[u8], binary: bool, out: &mut Vec<u8>) -> Result<(), NoSuchForm> {
    // The hash is that of the text form, in both formats.
    let text = if binary { hyphenated(&hex(value)).ok_or(NoSuchForm)? } else { value.to_vec() };
    let mut digits = Vec::new();
    masker.apply(&text, &mut digits);
    let mut id: [u8; 16] = unhex(&digits).and_then(|id| id.try_into().ok()).ok_or(NoSuchForm)?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    if binary {
        out.extend(id);
    } else {
        out.extend(hyphenated(&hex(&id)).ok_or(NoSuchForm)?);
    }
    Ok(())
}

/// 32 hex digits, as a UUID is written.
fn hyphenated(digits: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = digits.split_at_checked(8)?;
    let (second, rest) = rest.split_at_checked(4)?;
    let (third, rest) = rest.split_at_checked(4)?;
    let (fourth, last) = rest.split_at_checked(4)?;
    (last.len() == 12).then(|| [first, second, third, fourth, last].join(&b'-'))
}

fn bytes(masker: &Masker, value: &[u8], binary: bool, out: &mut Vec<u8>) -> Result<(), NoSuchForm> {
    if binary {
        masker.apply(value, out);
        return Ok(());
    }
    // With `bytea_output = escape` a backslash is written twice: nothing begins so.
    let value = value.strip_prefix(b"\\x").and_then(unhex).ok_or(NoSuchForm)?;
    let mut masked = Vec::new();
    masker.apply(&value, &mut masked);
    out.extend(b"\\x");
    out.extend(hex(&masked));
    Ok(())
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

/// `array_send`: dimensions, whether there are nulls, the type of the elements, and each with its length.
fn binary_array(masker: &Masker, value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(value);
    let dimensions = usize::try_from(reader.i32()?).map_err(|_| Malformed::OutOfRange)?;
    reader.i32()?;
    if !holds_text(reader.u32()?) {
        return Err(Malformed::OutOfRange);
    }
    // `MAXDIM` of PostgreSQL's `utils/array.h`.
    if dimensions > 6 {
        return Err(Malformed::OutOfRange);
    }
    reader.bytes(8 * dimensions)?;
    out.extend_from_slice(value.get(..12 + 8 * dimensions).ok_or(Malformed::Short)?);
    let mut masked = Vec::new();
    while !reader.is_empty() {
        match reader.value()? {
            None => out.extend((-1_i32).to_be_bytes()),
            Some(element) => {
                masked.clear();
                masker.apply(element, &mut masked);
                out.extend(length(masked.len())?.to_be_bytes());
                out.extend_from_slice(&masked);
            }
        }
    }
    Ok(())
}

/// `array_out`: braces, commas, and elements of which some are quoted.
fn text_array(masker: &Masker, value: &[u8], out: &mut Vec<u8>) -> Result<(), NoSuchForm> {
    let mut rest = value;
    if value.starts_with(b"[") {
        // Bounds that do not begin at 1.
        let end = memchr::memchr(b'=', value).ok_or(NoSuchForm)? + 1;
        let (bounds, elements) = value.split_at_checked(end).ok_or(NoSuchForm)?;
        if !bounds.iter().all(|byte| byte.is_ascii_digit() || b"[]:=-".contains(byte)) {
            return Err(NoSuchForm);
        }
        out.extend_from_slice(bounds);
        rest = elements;
    }
    let mut masked = Vec::new();
    while let Some((byte, behind)) = rest.split_first() {
        if b"{},".contains(byte) {
            out.push(*byte);
            rest = behind;
            continue;
        }
        let (element, behind) = if *byte == b'"' { quoted(behind)? } else { unquoted(rest) };
        rest = behind;
        let Some(element) = element else {
            out.extend(b"NULL");
            continue;
        };
        masked.clear();
        masker.apply(&element, &mut masked);
        out.push(b'"');
        for byte in &masked {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    Ok(())
}

/// An element and what is behind it. None: null.
type Element<'a> = (Option<Vec<u8>>, &'a [u8]);

fn quoted(mut rest: &[u8]) -> Result<Element<'_>, NoSuchForm> {
    let mut element = Vec::new();
    loop {
        let (byte, behind) = rest.split_first().ok_or(NoSuchForm)?;
        rest = behind;
        match byte {
            b'"' => return Ok((Some(element), rest)),
            b'\\' => {
                let (byte, behind) = rest.split_first().ok_or(NoSuchForm)?;
                element.push(*byte);
                rest = behind;
            }
            byte => element.push(*byte),
        }
    }
}

/// The server quotes an element that holds a brace, a comma, a quote, a backslash or white space, and one that says NULL.
fn unquoted(rest: &[u8]) -> Element<'_> {
    let end = rest.iter().position(|byte| b"{},".contains(byte)).unwrap_or(rest.len());
    let (element, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    ((element != b"NULL").then(|| element.to_vec()), behind)
}

#[cfg(test)]
mod tests {
    use gatewright_masking::MaskKey;

    use super::*;

    const PARTIAL: MaskMethod = MaskMethod::Partial { keep: 2 };

    /// What stands for a value, in text or binary format. None: null.
    fn written(type_oid: u32, method: MaskMethod, value: &[u8], binary: bool) -> Option<Vec<u8>> {
        let masker = Masker::new(method, &MaskKey::new([7; 32]));
        let mut out = b"left over".to_vec();
        Form::of(type_oid, method)?.write(&masker, value, binary, &mut out).then_some(out)
    }

    fn text(type_oid: u32, method: MaskMethod, value: &str) -> Option<String> {
        written(type_oid, method, value.as_bytes(), false).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a034_json_becomes_a_json_string() {
        use MaskMethod::{Hash, Redact};
        assert_eq!(text(114, Redact, r#"{"a": 1}"#).as_deref(), Some("\"[redacted]\""));
        assert_eq!(text(3802, Redact, "[1]").as_deref(), Some("\"[redacted]\""));
        assert_eq!(written(114, Redact, b"[1]", true), Some(b"\"[redacted]\"".to_vec()));
        assert_eq!(written(3802, Redact, b"\x01[1]", true), Some(b"\x01\"[redacted]\"".to_vec()));
        assert_eq!(written(3802, Redact, b"\x02[1]", true), None, "a version that is not known");
        assert_eq!(written(3802, Redact, b"", true), None);
        let hashed = text(3802, Hash, "[1]").unwrap();
        assert_eq!(hashed.len(), 34);
        assert_eq!(written(3802, Hash, b"\x01[1]", true), Some(format!("\x01{hashed}").into_bytes()));
        assert_eq!(text(114, PARTIAL, "\"secret\""), None, "it would show the end of the document");
    }

    #[test]
    fn a034_a_hash_of_a_uuid_is_a_uuid_and_the_same_in_both_formats() {
        let id = "0f0e0d0c-0b0a-4908-8706-050403020100";
        let hashed = text(2950, MaskMethod::Hash, id).unwrap();
        assert_eq!(hashed.len(), 36);
        assert_eq!(hashed.as_bytes()[14], b'8', "{hashed}");
        assert!(b"89ab".contains(&hashed.as_bytes()[19]), "{hashed}");
        let raw = unhex(id.replace('-', "").as_bytes()).unwrap();
        let binary = written(2950, MaskMethod::Hash, &raw, true).unwrap();
        assert_eq!(hyphenated(&hex(&binary)).unwrap(), hashed.as_bytes());
        assert_eq!(written(2950, MaskMethod::Hash, &raw[1..], true), None, "no uuid");
        assert_eq!(text(2950, MaskMethod::Redact, id), None);
        assert_eq!(text(2950, PARTIAL, id), None);
    }

    #[test]
    fn a034_bytes_become_the_bytes_of_a_text() {
        let redacted = format!("\\x{}", String::from_utf8(hex(b"[redacted]")).unwrap());
        assert_eq!(text(17, MaskMethod::Redact, "\\x00ff"), Some(redacted));
        assert_eq!(text(17, PARTIAL, "\\x414243").as_deref(), Some("\\x2a4243"));
        assert_eq!(written(17, PARTIAL, b"ABC", true), Some(b"*BC".to_vec()));
        for value in ["ABC", "\\x4", "\\x4g", "", "\\\\x41"] {
            assert_eq!(text(17, PARTIAL, value), None, "{value}");
        }
    }

    #[test]
    fn a034_each_element_of_an_array_is_masked() {
        for (value, expected) in [
            ("{}", "{}"),
            ("{abc,NULL,\"NULL\"}", r#"{"*bc",NULL,"**LL"}"#),
            (r#"{{"a\"\\b","c,d"},{"","{}x"}}"#, r#"{{"**\\b","*,d"},{"","*}x"}}"#),
            ("[0:1]={abc,def}", r#"[0:1]={"*bc","*ef"}"#),
        ] {
            assert_eq!(text(1009, PARTIAL, value).as_deref(), Some(expected), "{value}");
        }
        for value in ["{\"abc", "{\"abc\\", "[secret]={abc}", "[0:1]"] {
            assert_eq!(text(1009, PARTIAL, value), None, "{value}");
        }
        let head = [1_i32, 1, 25, 2, 1].map(i32::to_be_bytes).concat();
        let elements = |first: &[u8]| {
            [&head[..], &(first.len() as i32).to_be_bytes(), first, &(-1_i32).to_be_bytes()].concat()
        };
        let value = elements(b"abc");
        assert_eq!(written(1009, PARTIAL, &value, true), Some(elements(b"*bc")));
        for end in (0..value.len()).filter(|end| ![head.len(), value.len() - 4].contains(end)) {
            assert_eq!(written(1009, PARTIAL, &value[..end], true), None, "cut at {end}");
        }
        let numbers = [1_i32, 0, 23, 1, 1, 4, 7].map(i32::to_be_bytes).concat();
        assert_eq!(written(1009, PARTIAL, &numbers, true), None, "elements of another type");
    }

    #[test]
    fn a034_what_has_no_plain_form_becomes_null() {
        // Integers, numerics, dates, an enum or composite of somebody's, an array of integers.
        for oid in [20, 21, 23, 700, 701, 1700, 1082, 1114, 1184, 869, 16, 16_999, 1007] {
            for method in [MaskMethod::Redact, MaskMethod::Hash, PARTIAL] {
                assert_eq!(Form::of(oid, method), None, "{oid}");
            }
        }
    }
}
