//! Prints how fast values are searched, with nothing to find and with finds.
//!
//! `cargo run --release --example throughput -p gatewright-masking`

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use gatewright_masking::{MaskKey, TerminalMasker, TextMasker, Width};
use gatewright_model::mask::{Detector, MaskMethod};

fn main() {
    let rules = [
        (Detector::CardNumber, MaskMethod::Partial { keep: 4 }),
        (Detector::Ssn, MaskMethod::Redact),
        (Detector::Email, MaskMethod::Hash),
    ];
    let masker = TextMasker::new(rules, &MaskKey::new([7; 32]));
    let values = [
        ("prose of 1 KB, nothing found", "The quick brown fox jumps over the lazy dog. ".repeat(23)),
        ("a name, nothing found", "Grace Hopper".to_owned()),
        ("an identifier of 19 digits, nothing found", "1700000000000000001".to_owned()),
        ("4 KB of numbers, nothing found", "1017 23 4.5 88 19701 ".repeat(195)),
        ("a card number, partial", "4111 1111 1111 1111".to_owned()),
        ("an SSN, redacted", "123-45-6789".to_owned()),
        ("an address, hashed", "grace.hopper@example.com".to_owned()),
        ("1 KB with one find", format!("{}123-45-6789", "lorem ipsum dolor ".repeat(56))),
    ];
    for (name, value) in &values {
        let (mut count, started) = (0u32, Instant::now());
        while started.elapsed() < Duration::from_millis(300) {
            for _ in 0..1_000 {
                black_box(masker.mask(black_box(value.as_bytes())));
            }
            count += 1_000;
        }
        let seconds = started.elapsed().as_secs_f64();
        let bytes = f64::from(count) * value.len() as f64;
        println!(
            "{name}: {:.0} MB/s, {:.0} ns a value",
            bytes / seconds / 1e6,
            seconds * 1e9 / f64::from(count)
        );
    }
    let masker = Arc::new(masker);
    let listing =
        "-rw-r--r-- 1 alice alice 18231 Nov 12 09:14 \x1b[0m\x1b[01;32mreport.txt\x1b[0m\n".repeat(470);
    let binary: String = (0..32_768_u32).map(|number| char::from((number * 7_919 % 128) as u8)).collect();
    let outputs = [
        ("prose", "The quick brown fox jumps over the lazy dog. ".repeat(728)),
        ("a log", "2026-01-02T03:04:05.678Z INFO request 17 took 23 ms, status 200\n".repeat(500)),
        ("a coloured listing", listing),
        ("bytes of any value", binary),
        ("card numbers", "4111 1111 1111 1111 of Grace Hopper\n".repeat(900)),
    ];
    for (name, output) in &outputs {
        let mut stream = TerminalMasker::new(Arc::clone(&masker), Width::Free);
        let (mut bytes, started) = (0, Instant::now());
        while started.elapsed() < Duration::from_millis(300) {
            // As a channel hands it in.
            for piece in output.as_bytes().chunks(32 * 1_024) {
                let mut out = Vec::with_capacity(piece.len());
                stream.push(black_box(piece), &mut out);
                black_box(out);
                bytes += piece.len();
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!("output in pieces of 32 KB, {name}: {:.0} MB/s", bytes as f64 / seconds / 1e6);
    }
}
