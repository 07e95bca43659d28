//! What a body is, by what its head says of it.

use http::{HeaderMap, header::CONTENT_TYPE};

use super::unsupported;
use crate::refusal::Refusal;

/// What can be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// JSON documents, one or more.
    Json,
    /// Server-sent events.
    EventStream,
    /// Text that is searched as it stands.
    Text,
}

/// Reads `Content-Type`.
///
/// # Errors
///
/// 502 `mask.unsupported`: there is none, or two, or one of what can not be masked. A client that guesses the type of
/// what has none is not outguessed.
pub(super) fn read(headers: &HeaderMap) -> Result<Media, Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return Err(unsupported("a policy hides parts of this answer, and it does not say what it is"));
    };
    let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let media = known(parts.next().unwrap_or_default()).ok_or_else(|| {
        unsupported("a policy hides parts of this answer, and it is of a type that is not looked into")
    })?;
    let utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        name.trim() != "charset" || matches!(value.trim().trim_matches('"'), "utf-8" | "utf8" | "us-ascii")
    });
    if utf8 {
        Ok(media)
    } else {
        Err(unsupported("a policy hides parts of this answer, and it is not UTF-8"))
    }
}

fn known(media: &str) -> Option<Media> {
    let (top, sub) = media.split_once('/')?;
    let suffix = sub.rsplit_once('+').map_or(sub, |(_, suffix)| suffix);
    match (top, sub, suffix) {
        ("text", "event-stream", _) => Some(Media::EventStream),
        ("multipart", ..) => None,
        (_, _, "json") => Some(Media::Json),
        ("application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines", _) => {
            Some(Media::Json)
        }
        ("text", ..) | (_, _, "xml" | "yaml") => Some(Media::Text),
        ("application", "x-yaml" | "x-www-form-urlencoded" | "javascript" | "x-javascript", _) => {
            Some(Media::Text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(value: &'static str) -> Option<Media> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
        read(&headers).ok()
    }

    #[test]
    fn what_is_looked_into() {
        for json in [
            "application/json",
            "application/json; charset=UTF-8",
            "application/json;stream=watch",
            "Application/Problem+JSON",
            "text/json",
            "application/x-ndjson",
            "application/jsonl",
            "application/json; charset=\"utf-8\"",
        ] {
            assert_eq!(of(json), Some(Media::Json), "{json}");
        }
        assert_eq!(of("text/event-stream; charset=utf-8"), Some(Media::EventStream));
        for text in [
            "text/plain",
            "text/html;charset=utf-8",
            "application/xml",
            "image/svg+xml",
            "application/yaml",
        ] {
            assert_eq!(of(text), Some(Media::Text), "{text}");
        }
    }

    #[test]
    fn a058_what_is_not() {
        for other in [
            "",
            "json",
            "application/octet-stream",
            "application/vnd.kubernetes.protobuf",
            "application/vnd.kubernetes.protobuf;stream=watch",
            "application/cbor",
            "application/cbor-seq",
            "application/json-seq",
            "multipart/byteranges; boundary=x",
            "multipart/mixed+json",
            "application/pdf",
            "image/png",
            "application/json; charset=utf-16",
            "text/plain; charset=iso-8859-1",
            "text/plain; charset=utf-8; charset=utf-7",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(read(&HeaderMap::new()).is_err());
        let value = HeaderValue::from_static("application/json");
        let mut two = HeaderMap::new();
        two.append(CONTENT_TYPE, value.clone());
        two.append(CONTENT_TYPE, value);
        assert!(read(&two).is_err());
    }
}
