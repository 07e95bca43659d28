//! Prints how fast values are searched, with nothing to find and with finds.
//!
//! `cargo run --release --example throughput -p gatewright-masking`

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use gatewright_masking::{MaskKey, TextMasker};
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
}
