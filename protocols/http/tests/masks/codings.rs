//! The bodies were made by other programs: Node's zlib and brotli, and the reference zstd.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{detectors, headers, plan, play};
use gatewright_model::mask::MaskMethod;

const JSON: &str = "application/json";

const PEOPLE: &[u8] = include_bytes!("bodies/people.json");

const BODIES: &[(&str, &[u8])] = &[
    ("gzip", include_bytes!("bodies/people.json.gz")),
    ("x-gzip", include_bytes!("bodies/people.json.gz")),
    ("GZip", include_bytes!("bodies/people.json.gz")),
    ("deflate", include_bytes!("bodies/people.json.zlib")),
    ("deflate", include_bytes!("bodies/people.json.deflate")),
    ("br", include_bytes!("bodies/people.json.br")),
    ("zstd", include_bytes!("bodies/people.json.zst")),
];

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a071_a_body_is_masked_in_every_coding() {
    let plan = plan(&[("$.items[*].ssn", MaskMethod::Redact)], Some(MaskMethod::Redact));
    let (expected, counts) = play(&plan, &headers(JSON, None), [PEOPLE]);
    let shown = String::from_utf8(expected.clone()).unwrap();
    assert!(!shown.contains("123-45") && !shown.contains("example.com") && !shown.contains("4111"));
    assert!(shown.contains("Person 39"));
    for (coding, body) in BODIES {
        for size in [1, 3, 100, 10_000] {
            let (out, end) = play(&plan, &headers(JSON, Some(coding)), body.chunks(size));
            assert_eq!(end, counts, "{coding} by {size}");
            assert_eq!(out, expected, "{coding} by {size}");
        }
    }
}

#[test]
fn a071_two_codings_are_undone_in_their_order() {
    let twice = gzip(BODIES[5].1);
    let expected = play(&detectors(), &headers(JSON, None), [PEOPLE]);
    for size in [1, 50, 10_000] {
        assert_eq!(play(&detectors(), &headers(JSON, Some("br, gzip")), twice.chunks(size)), expected);
        assert_eq!(
            play(&detectors(), &headers(JSON, Some("br, identity,gzip")), twice.chunks(size)),
            expected
        );
    }
    let (shown, end) = play(&detectors(), &headers(JSON, Some("gzip, br")), [&*twice]);
    assert_eq!((shown.len(), end.unwrap_err().code), (0, "http.encoding"), "the wrong order");
    let mut lines = headers(JSON, Some("br"));
    lines.append(http::header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    assert_eq!(play(&detectors(), &lines, [&*twice]), expected, "two lines are one list");
}

#[test]
fn a071_a_coding_that_is_not_known_is_refused() {
    for coding in
        ["compress", "gzip, gzip, gzip", "aws-chunked", "dcb", "zstd, unheard-of", "gzip;q=1", "*"]
    {
        let (shown, end) = play(&detectors(), &headers(JSON, Some(coding)), [PEOPLE]);
        assert_eq!((shown.len(), end.unwrap_err().code), (0, "mask.unsupported"), "{coding}");
    }
}

#[test]
fn a071_a_bomb_is_cut() {
    let bombs: [(&str, &[u8]); 4] = [
        ("gzip", include_bytes!("bodies/spaces.gz")),
        ("br", include_bytes!("bodies/spaces.br")),
        ("zstd", include_bytes!("bodies/spaces.zst")),
        ("gzip, gzip", include_bytes!("bodies/spaces.gz.gz")),
    ];
    for (coding, bomb) in bombs {
        for media in [JSON, "text/plain"] {
            let (shown, end) = play(&detectors(), &headers(media, Some(coding)), [bomb]);
            assert_eq!(end.unwrap_err().code, "http.encoding", "{coding}");
            assert!(shown.len() < 10 << 20, "{coding}: {} bytes", shown.len());
        }
    }
}

#[test]
fn a071_a_wrong_label_shows_nothing() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let (shown, end) = play(&detectors(), &headers(JSON, Some(coding)), [PEOPLE]);
        assert!(end.is_err(), "{coding}");
        assert!(!String::from_utf8_lossy(&shown).contains("4111"), "{coding}");
    }
    // Coded, and not said to be.
    for (coding, body) in BODIES {
        for media in [JSON, "text/plain", "text/event-stream"] {
            let (shown, end) = play(&detectors(), &headers(media, None), [*body]);
            assert!(end.is_err(), "{coding} as {media}");
            assert!(shown.is_empty(), "{coding} as {media}");
        }
    }
}

#[test]
fn a071_a_coding_that_is_cut_is_an_error() {
    for (coding, body) in BODIES {
        for length in 1..body.len() {
            let (_, end) = play(&detectors(), &headers(JSON, Some(coding)), [&body[..length]]);
            assert!(end.is_err(), "{coding} cut at {length}");
        }
        let trailing = [body, &b"x"[..]].concat();
        assert!(play(&detectors(), &headers(JSON, Some(coding)), [&*trailing]).1.is_err(), "{coding}");
        // An error without a body keeps its coding with some servers.
        assert_eq!(play(&detectors(), &headers(JSON, Some(coding)), [&b""[..]]).1, Ok(Vec::new()));
    }
}

#[test]
fn a071_a_checksum_that_is_wrong_is_an_error() {
    for (coding, body) in BODIES.iter().filter(|(coding, _)| matches!(*coding, "gzip" | "zstd")) {
        let mut body = body.to_vec();
        let place = body.len() - if *coding == "gzip" { 6 } else { 2 };
        body[place] ^= 1;
        assert!(play(&detectors(), &headers(JSON, Some(coding)), [&*body]).1.is_err(), "{coding}");
    }
}

#[test]
fn members_of_gzip_and_frames_of_zstd_follow_one_another() {
    let zstd = BODIES[6].1;
    let gzips = [gzip(b"{\"a\":\"bob@exam"), gzip(b""), gzip(b""), gzip(b"ple.com\"}")].concat();
    for size in [1, 10, 1_000] {
        let (shown, end) = play(&detectors(), &headers(JSON, Some("gzip")), gzips.chunks(size));
        assert!(end.is_ok());
        assert_eq!(String::from_utf8(shown).unwrap(), "{\"a\":\"[redacted]\"}");
        let twice = [zstd, zstd].concat();
        let (shown, end) = play(&detectors(), &headers(JSON, Some("zstd")), twice.chunks(size));
        assert!(end.is_ok());
        assert_eq!(shown, play(&detectors(), &headers(JSON, None), [PEOPLE, PEOPLE]).0);
    }
}
