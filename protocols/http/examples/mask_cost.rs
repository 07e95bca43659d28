//! What hiding values in a body costs: megabytes per second of one core, for bodies as APIs send them.
//!
//! `cargo run --release --package gatewright-http --example mask_cost`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a terminal")]

use std::{sync::Arc, time::Instant};

use gatewright_http::content::Masker;
use gatewright_masking::MaskKey;
use gatewright_model::{
    json_path::JsonPath,
    mask::{Detector, DetectorMask, JsonMask, MaskMethod, MaskPlan},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

fn main() {
    let row = r#"{"id":1234567,"name":"Ada Lovelace","email":"ada@example.com","address":{"street":"St James's Square 12","city":"London"},"tags":["first","mathematics"],"balance":-12.5,"active":true,"note":"Wrote what is taken for the first program, with a table of \"operations\" for it."}"#;
    let rows = vec![row; 40_000].join(",\n");
    let json = format!("[{rows}]");
    let prose = "What she wrote is taken for the first program, with a table of operations. Write to her: ada@example.com.\n"
        .repeat(100_000);
    let events = format!("id: 1\ndata: {row}\n\n").repeat(40_000);

    let path = |path: &str| JsonMask {
        path: JsonPath::parse(path).unwrap(),
        method: MaskMethod::Redact,
        rule: Arc::from("r"),
    };
    let detectors = || {
        Detector::ALL
            .map(|detector| DetectorMask { detector, method: MaskMethod::Redact, rule: Arc::from("r") })
            .to_vec()
    };
    let one = MaskPlan { json: vec![path("$[*].email")], ..MaskPlan::default() };
    let elsewhere = MaskPlan { json: vec![path("$.items[*].email")], ..MaskPlan::default() };
    let anywhere = MaskPlan { json: vec![path("$..email"), path("$..street")], ..MaskPlan::default() };
    let all = MaskPlan { detectors: detectors(), ..MaskPlan::default() };
    let both = MaskPlan { json: vec![path("$..street")], ..all.clone() };

    measure("json, a path that leads nowhere", &elsewhere, "application/json", json.as_bytes());
    measure("json, one path", &one, "application/json", json.as_bytes());
    measure("json, two paths at any depth", &anywhere, "application/json", json.as_bytes());
    measure("json, all detectors", &all, "application/json", json.as_bytes());
    measure("json, detectors and a path", &both, "application/json", json.as_bytes());
    measure("text, all detectors", &all, "text/plain", prose.as_bytes());
    measure("events, one path", &anywhere, "text/event-stream", events.as_bytes());
}

fn measure(what: &str, plan: &MaskPlan, media: &'static str, body: &[u8]) {
    let headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static(media))].into_iter().collect();
    let key = MaskKey::new([7; 32]);
    let mut out = Vec::new();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let mut masker = Masker::new(plan, &key, &headers).unwrap();
        for mut piece in body.chunks(64 << 10) {
            out.clear();
            while masker.push(&mut piece, &mut out).unwrap() {}
        }
        masker.finish(&mut out).unwrap();
        best = best.min(begun.elapsed().as_secs_f64());
    }
    println!("{what:34} {:7.0} MB/s", body.len() as f64 / best / 1e6);
}
