//! One record as one line: `{"seq":N,"time":"…","prev":"…","kind":"…",…}`.
//!
//! The three fields of the log come first and in this order, so that the verifier reads them without a
//! JSON parser; the rest is the record as `core/model` serialises it. A line holds no control character
//! and none that a reader does not see or that rearranges what is shown
//! ([`is_hidden`](gatewright_model::hidden::is_hidden)): they stand there as `\u` escapes, which every JSON
//! parser turns back into the same text. So a name that a client chose can neither end a line nor move the
//! cursor of the terminal that prints it.

mod json;

use gatewright_model::hex;
use serde::Serialize;

pub(crate) use self::json::NotJson;
use crate::{
    time::{self, TIME_BYTES},
    tree::Hash,
};

/// A line may be this long, in bytes. A record that needs more is refused, and with it what it records.
pub(crate) const LINE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// What the first line has as hash of the one before.
pub(crate) const NO_PREVIOUS: Hash = [0; 32];

/// Serialises the fields of a record: a JSON object, of which [`append_line`] makes a line.
pub(crate) fn encode_fields(record: &impl Serialize, fields: &mut Vec<u8>) -> Result<(), NotJson> {
    fields.clear();
    json::append(record, fields)
}

/// Appends one line, with its newline. `None` when `fields` is no JSON object with at least one field.
pub(crate) fn append_line(
    lines: &mut Vec<u8>,
    sequence: u64,
    time: &[u8; TIME_BYTES],
    previous: &Hash,
    fields: &[u8],
) -> Option<()> {
    let rest = fields.strip_prefix(b"{").filter(|rest| rest.starts_with(b"\""))?;
    lines.reserve(PREFIX_BYTES + fields.len());
    lines.extend_from_slice(SEQUENCE);
    lines.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
    lines.extend_from_slice(TIME);
    lines.extend_from_slice(time);
    lines.extend_from_slice(PREVIOUS);
    lines.extend_from_slice(hex::encode(previous, &mut [0; 64]).as_bytes());
    lines.extend_from_slice(b"\",");
    lines.extend_from_slice(rest);
    lines.push(b'\n');
    Some(())
}

/// The log's own three fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) sequence: u64,
    pub(crate) time: &'a str,
    pub(crate) previous: Hash,
}

impl<'a> Head<'a> {
    /// Reads them from a line without its newline. `None` where the line was not written by this log.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(SEQUENCE)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at_checked(digits)?;
        let canonical = !number.starts_with(b"0");
        let sequence = std::str::from_utf8(number).ok()?.parse().ok().filter(|_| canonical)?;
        let (time, rest) = rest.strip_prefix(TIME)?.split_at_checked(TIME_BYTES)?;
        let time = std::str::from_utf8(time).ok()?;
        let (hex, rest) = rest.strip_prefix(PREVIOUS)?.split_at_checked(64)?;
        let mut previous = NO_PREVIOUS;
        ::hex::decode_to_slice(hex, &mut previous).ok()?;
        rest.strip_prefix(b"\",\"")?;
        Some(Self { sequence, time, previous })
    }

    /// When, if it is a time.
    pub(crate) fn at(&self) -> Option<std::time::SystemTime> {
        time::parse(self.time)
    }
}

/// Is this line, without its newline, whole JSON?
pub(crate) fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

const SEQUENCE: &[u8] = b"{\"seq\":";
const TIME: &[u8] = b",\"time\":\"";
const PREVIOUS: &[u8] = b"\",\"prev\":\"";

/// Room for the log's fields: 7 + 20 + 9 + 27 + 10 + 64 + 3 bytes.
const PREFIX_BYTES: usize = 140;

#[cfg(test)]
mod tests {
    use gatewright_model::hidden::is_hidden;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::time::TimeText;

    fn line(sequence: u64, previous: Hash, record: &impl Serialize) -> Vec<u8> {
        let (mut fields, mut lines) = (Vec::new(), Vec::new());
        encode_fields(record, &mut fields).unwrap();
        let time = *TimeText::default().format(std::time::UNIX_EPOCH);
        append_line(&mut lines, sequence, &time, &previous, &fields).unwrap();
        lines
    }

    #[test]
    fn a_line_is_the_logs_fields_and_then_the_records() {
        let line = line(7, [0xab; 32], &serde_json::json!({"kind": "test", "name": "a"}));
        let expected = format!(
            "{{\"seq\":7,\"time\":\"1970-01-01T00:00:00.000000Z\",\"prev\":\"{}\",\"kind\":\"test\",\"name\":\"a\"}}\n",
            "ab".repeat(32)
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_with_fields_makes_no_line() {
        let time = *TimeText::default().format(std::time::UNIX_EPOCH);
        for fields in ["", "{}", "[1]", "\"text\"", "null"] {
            assert_eq!(
                append_line(&mut Vec::new(), 1, &time, &NO_PREVIOUS, fields.as_bytes()),
                None,
                "{fields}"
            );
        }
    }

    #[test]
    fn heads_that_this_log_does_not_write_are_refused() {
        let line = line(7, [0xab; 32], &serde_json::json!({"kind": "test"}));
        let text = String::from_utf8(line).unwrap();
        let text = text.trim_end();
        assert_eq!(Head::parse(text.as_bytes()).unwrap().sequence, 7);
        for changed in [
            text.replace("\"seq\":7", "\"seq\":07"),
            text.replace("\"seq\":7", "\"seq\":+7"),
            text.replace("\"seq\":7", "\"seq\":"),
            text.replace("\"seq\":7", "\"seq\": 7"),
            text.replace("abab\"", "abag\""),
            text.replace(",\"kind\"", " \"kind\""),
        ] {
            assert_eq!(Head::parse(changed.as_bytes()), None, "{changed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_one_visible_line_and_reads_back(text in any::<String>(), key in "\\PC{0,8}") {
            let record = serde_json::json!({"kind": "test", "text": text, format!("k{key}"): key});
            let line = line(1, NO_PREVIOUS, &record);
            let text_of_line = std::str::from_utf8(&line).unwrap();
            let (last, rest) = text_of_line.as_bytes().split_last().unwrap();
            prop_assert_eq!(*last, b'\n');
            prop_assert!(std::str::from_utf8(rest).unwrap().chars().all(|c| !is_hidden(c)));
            let read: Value = serde_json::from_slice(rest).unwrap();
            prop_assert_eq!(read["text"].as_str().unwrap(), text);
            prop_assert_eq!(Head::parse(rest).unwrap().sequence, 1);
        }

        #[test]
        fn heads_of_any_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&bytes);
            let _ = Head::parse(&[SEQUENCE, &bytes].concat());
        }
    }
}
