//! Frames of every kind, in every splitting; what is refused.

use bytes::BytesMut;

use super::*;

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| (Box::from(*name), Box::from(*value))).collect()
}

fn one_of_each() -> Vec<Frame> {
    vec![
        Frame::SynStream {
            stream: 1,
            fin: false,
            headers: headers(&[("streamtype", "error"), ("port", "28098"), ("requestid", "0")]),
        },
        Frame::SynReply { stream: 1, fin: true, headers: headers(&[]) },
        Frame::SynStream { stream: 3, fin: true, headers: headers(&[("streamtype", "data")]) },
        Frame::Headers { stream: 3, fin: false, headers: headers(&[("x", &"y".repeat(5000))]) },
        Frame::Data { stream: 3, fin: false, payload: Bytes::from(vec![7; PART]) },
        Frame::Data { stream: 3, fin: true, payload: Bytes::new() },
        Frame::RstStream { stream: 3, status: 5 },
        Frame::Settings { entries: Bytes::from_static(&[1, 0, 0, 4, 0, 0, 1, 0]) },
        Frame::Ping { id: 9 },
        Frame::WindowUpdate { stream: 0, delta: 65_536 },
        Frame::GoAway { last: 3, status: 0 },
    ]
}

fn encoded(frames: &[Frame]) -> BytesMut {
    let (mut encoder, mut out) = (Encoder::new(), BytesMut::new());
    for frame in frames {
        encoder.encode(frame, &mut out);
    }
    out
}

fn decode(bytes: &[u8], size: usize) -> Result<Vec<Frame>, Violation> {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for piece in bytes.chunks(size) {
        decoder.push(piece);
        while let Some(frame) = decoder.poll_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn what_is_written_is_read_in_every_splitting() {
    let bytes = encoded(&one_of_each());
    for size in [1, 2, 7, 4096, usize::MAX] {
        assert_eq!(decode(&bytes, size).unwrap(), one_of_each(), "by {size}");
    }
}

#[test]
fn a_long_data_frame_comes_in_parts_and_ends_once() {
    let mut bytes = BytesMut::from(&[0, 0, 0, 3, 1][..]);
    let length = PART * 2 + 5;
    bytes.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&vec![1; length]);
    let parts = decode(&bytes, 1000).unwrap();
    let said: Vec<(usize, bool)> = parts
        .iter()
        .map(|part| match part {
            Frame::Data { payload, fin, .. } => (payload.len(), *fin),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [(PART, false), (PART, false), (5, true)]);
}

#[test]
fn a062_frames_that_are_none_are_refused() {
    for (bytes, what) in [
        (&b"\x80\x02\0\x01\0\0\0\0"[..], "another version"),
        (b"\x80\x03\0\x0b\0\0\0\0", "a type that there is not"),
        (b"\x80\x03\0\x06\x01\0\0\x04\0\0\0\x01", "a ping with flags"),
        (b"\x80\x03\0\x06\0\0\0\x05\0\0\0\x01\0", "a ping that is too long"),
        (b"\x80\x03\0\x06\0\0\0\x03\0\0\0", "a ping that is too short"),
        (b"\x80\x03\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x05", "no stream is reset"),
        (b"\x80\x03\0\x01\x02\0\0\0", "a stream in one direction"),
        (b"\x80\x03\0\x01\0\xff\xff\xff", "a control frame of 16 MiB"),
        (b"\x80\x03\0\x04\0\0\0\x0c\0\0\0\x02\0\0\0\0\0\0\0\0", "settings that are fewer than they say"),
        (b"\0\0\0\0\0\0\0\0", "data of no stream"),
        (b"\0\0\0\x01\x02\0\0\0", "data with flags"),
    ] {
        assert!(decode(bytes, usize::MAX).is_err(), "{what}");
        assert!(decode(bytes, 1).is_err(), "{what}");
    }
}

/// A SYN_REPLY with a block that is compressed as given.
fn with_block(text: &[u8]) -> Vec<u8> {
    let mut compress = flate2::Compress::new(flate2::Compression::best(), true);
    let mut block = Vec::with_capacity(1 << 20);
    compress.compress_vec(text, &mut block, flate2::FlushCompress::Sync).unwrap();
    let mut frame = vec![0x80, 3, 0, 2, 0];
    frame.extend_from_slice(&(block.len() as u32 + 4).to_be_bytes()[1..]);
    frame.extend_from_slice(&[0, 0, 0, 1]);
    frame.extend_from_slice(&block);
    frame
}

fn pairs(count: u32, pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut text = count.to_be_bytes().to_vec();
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        text.extend_from_slice(&(part.len() as u32).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

#[test]
fn a062_headers_that_could_be_read_in_two_ways_are_refused() {
    assert!(decode(&with_block(&pairs(1, &[(b"port", b"80")])), 1).is_ok());
    for (text, what) in [
        (pairs(1, &[(b"port", b"80\x0022")]), "two values"),
        (pairs(2, &[(b"port", b"80"), (b"port", b"22")]), "a name twice"),
        (pairs(1, &[(b"Port", b"80")]), "upper case"),
        (pairs(1, &[(b"", b"80")]), "no name"),
        (pairs(1, &[(b"port", b"80\xff")]), "no text"),
        (pairs(1, &[(b"port", b"80"), (b"x", b"y")]), "more than it says"),
        (pairs(2, &[(b"port", b"80")]), "fewer than it says"),
        (pairs(u32::MAX, &[]), "a great number"),
        (b"\0\0\0\x01\xff\xff\xff\xff".to_vec(), "a great length"),
    ] {
        assert!(decode(&with_block(&text), 1).is_err(), "{what}");
    }
}

#[test]
fn a062_a_block_that_grows_is_stopped() {
    let bomb = pairs(1, &[(b"x", &vec![b'y'; 10 << 20])]);
    let frame = with_block(&bomb);
    assert!(frame.len() < MOST_CONTROL, "{}", frame.len());
    assert_eq!(decode(&frame, usize::MAX).unwrap_err().code, "spdy.frame");
    let mut garbage = with_block(&pairs(0, &[]));
    let last = garbage.len() - 3;
    garbage[last] ^= 0x55;
    assert!(decode(&garbage, usize::MAX).is_err());
}

proptest::proptest! {
    /// Nothing that a peer sends panics, and how it arrived makes no difference.
    #[test]
    fn any_bytes_in_any_splitting(
        kind in 0_u8..12,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        size in 1_usize..9,
    ) {
        let mut frame = vec![0x80, 3, 0, kind, 0, 0, 0, bytes.len() as u8];
        frame.extend_from_slice(&bytes);
        proptest::prop_assert_eq!(decode(&frame, size).ok(), decode(&frame, usize::MAX).ok());
        proptest::prop_assert_eq!(decode(&bytes, size).ok(), decode(&bytes, usize::MAX).ok());
    }
}
