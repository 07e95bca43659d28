//! Frames, whole and in every splitting; what is refused.

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn encoded(opcode: Opcode, is_final: bool, payload: &[u8], key: Option<[u8; 4]>) -> BytesMut {
    let mut out = BytesMut::new();
    encode(opcode, is_final, payload, key, &mut out);
    out
}

/// Frames of what a side sent, in pieces of `size` bytes.
fn decode(sender: Sender, bytes: &[u8], size: usize) -> Result<Vec<Frame>, Violation> {
    let now = Instant::now();
    let mut decoder = Decoder::new(sender, Limits::default());
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(piece);
        while let Some(frame) = decoder.poll_frame(now)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn code(sender: Sender, bytes: &[u8]) -> &'static str {
    let whole = decode(sender, bytes, usize::MAX).unwrap_err();
    assert_eq!(decode(sender, bytes, 1).unwrap_err(), whole);
    whole.code
}

/// RFC 6455 section 5.7.
#[test]
fn the_examples_of_the_standard() {
    let hello = encoded(Opcode::Text, true, b"Hello", None);
    assert_eq!(&hello[..], b"\x81\x05Hello");
    let masked = encoded(Opcode::Text, true, b"Hello", Some(KEY));
    assert_eq!(&masked[..], b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(decode(Sender::Client, &masked, 1).unwrap()[0].payload, "Hello");
    let frames = decode(Sender::Server, b"\x01\x03Hel\x80\x02lo\x89\x05Hello", 1).unwrap();
    let said: Vec<_> =
        frames.iter().map(|frame| (frame.opcode, frame.is_final, &frame.payload[..])).collect();
    assert_eq!(
        said,
        [
            (Opcode::Text, false, &b"Hel"[..]),
            (Opcode::Continuation, true, b"lo"),
            (Opcode::Ping, true, b"Hello")
        ]
    );
}

#[test]
fn every_length_is_read_as_it_is_written_in_every_splitting() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, PART + 1, 3 * PART] {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        for (sender, key) in [(Sender::Client, Some(KEY)), (Sender::Server, None)] {
            let bytes = encoded(Opcode::Binary, true, &payload, key);
            let whole = decode(sender, &bytes, usize::MAX).unwrap();
            assert_eq!(whole.iter().flat_map(|part| part.payload.to_vec()).collect::<Vec<u8>>(), payload);
            assert!(whole.first().unwrap().begins && whole.last().unwrap().ends);
            assert!(whole.iter().all(|part| part.payload.len() <= PART));
            for size in [1, 3, 4096] {
                assert_eq!(decode(sender, &bytes, size).unwrap(), whole, "{length} by {size}");
            }
        }
    }
}

#[test]
fn a075_lengths_that_no_frame_has_are_refused() {
    // 2^63, the greatest number, and lengths that fit into fewer bytes.
    assert_eq!(code(Sender::Server, b"\x82\x7f\x80\0\0\0\0\0\0\0"), "ws.length");
    assert_eq!(code(Sender::Server, b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), "ws.length");
    assert_eq!(code(Sender::Server, b"\x82\x7f\0\0\0\0\0\0\xff\xff"), "ws.length");
    assert_eq!(code(Sender::Server, b"\x82\x7e\0\x7d"), "ws.length");
    // Longer than a message may be: refused before a byte of it is awaited.
    assert_eq!(code(Sender::Server, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), "ws.length");
    // In many frames, too.
    let mut limited = Decoder::new(Sender::Server, Limits { message: 8 });
    limited.push(b"\x02\x04aaaa\x00\x04aaaa\x80\x01a");
    let now = Instant::now();
    assert!(limited.poll_frame(now).unwrap().is_some() && limited.poll_frame(now).unwrap().is_some());
    assert_eq!(limited.poll_frame(now).unwrap_err().code, "ws.length");
}

#[test]
fn a075_reserved_bits_and_opcodes_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(code(Sender::Server, &[0x81 | bit, 0x00]), "ws.reserved");
    }
    for opcode in [0x3, 0x7, 0xb, 0xf] {
        assert_eq!(code(Sender::Server, &[0x80 | opcode, 0x00]), "ws.reserved");
    }
}

#[test]
fn a075_who_masks_is_fixed() {
    assert_eq!(code(Sender::Client, b"\x81\x05Hello"), "ws.mask");
    assert_eq!(code(Sender::Server, &encoded(Opcode::Text, true, b"Hello", Some(KEY))), "ws.mask");
}

#[test]
fn a075_control_frames_are_whole_short_and_few() {
    assert_eq!(code(Sender::Server, b"\x09\x00"), "ws.control");
    assert_eq!(code(Sender::Server, b"\x89\x7e\x00\x7e"), "ws.control");
    let flood = b"\x89\x00".repeat(101);
    assert_eq!(code(Sender::Server, &flood), "ws.flood");
    // As many each second, for as long as it lasts.
    let (start, mut decoder) = (Instant::now(), Decoder::new(Sender::Server, Limits::default()));
    for second in 0..3 {
        decoder.push(&b"\x89\x00".repeat(100));
        let now = start + Duration::from_secs(second);
        for _ in 0..100 {
            assert!(decoder.poll_frame(now).unwrap().is_some());
        }
    }
}

#[test]
fn a075_text_is_utf_8_over_the_borders_of_frames() {
    assert!(decode(Sender::Server, b"\x01\x01\xc3\x80\x01\xbc", 1).is_ok());
    assert_eq!(code(Sender::Server, b"\x81\x01\xff"), "ws.text");
    assert_eq!(code(Sender::Server, b"\x81\x02\xc0\xaf"), "ws.text");
    // A character that never ends.
    assert_eq!(code(Sender::Server, b"\x01\x01\xc3\x80\x00"), "ws.text");
    assert_eq!(code(Sender::Server, b"\x01\x01\xc3\x80\x01a"), "ws.text");
    // A part may end inside a character; only the message must not.
    let long = "\u{20ac}".repeat(PART);
    let bytes = encoded(Opcode::Text, true, long.as_bytes(), None);
    assert!(decode(Sender::Server, &bytes, 4096).is_ok());
    assert!(decode(Sender::Server, b"\x82\x01\xff", 1).is_ok(), "bytes are any bytes");
}

#[test]
fn a075_messages_do_not_begin_inside_each_other() {
    assert_eq!(code(Sender::Server, b"\x80\x00"), "ws.order");
    assert_eq!(code(Sender::Server, b"\x01\x00\x81\x00"), "ws.order");
    assert_eq!(code(Sender::Server, b"\x02\x00\x82\x00"), "ws.order");
}

#[test]
fn a075_a_close_is_the_last_thing_and_well_formed() {
    assert!(decode(Sender::Server, b"\x88\x02\x03\xe8", 1).is_ok());
    assert!(decode(Sender::Server, b"\x88\x00", 1).is_ok());
    assert_eq!(code(Sender::Server, b"\x88\x01\x03"), "ws.close");
    for reserved in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let [high, low] = reserved.to_be_bytes();
        assert_eq!(code(Sender::Server, &[0x88, 2, high, low]), "ws.close", "{reserved}");
    }
    assert_eq!(code(Sender::Server, b"\x88\x03\x03\xe8\xff"), "ws.close");
    assert_eq!(code(Sender::Server, b"\x88\x02\x03\xe8\x81\x00"), "ws.close");
}

proptest::proptest! {
    /// Nothing that a peer sends panics, and how it arrived makes no difference.
    #[test]
    fn any_bytes_in_any_splitting(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), size in 1_usize..9) {
        for sender in [Sender::Client, Sender::Server] {
            proptest::prop_assert_eq!(decode(sender, &bytes, size).ok(), decode(sender, &bytes, usize::MAX).ok());
        }
    }
}
