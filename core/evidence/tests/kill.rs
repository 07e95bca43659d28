//! The gateway dies by SIGKILL while it writes: no acknowledged record may be lost (threats F5).
//!
//! This test starts itself once more as a child. The child appends from several threads and reports each
//! receipt through a pipe; the parent kills it at a random moment and looks at what is on the disk. All
//! rounds go on in one log, so that each child also recovers what the one before left.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this file is a test"
)]

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use gatewright_evidence::{Filter, Log, LogOptions, Records, SigningKey, VerifyingKeys, verify};
use gatewright_model::{audit::Record, id::SessionId};

const CHILD: &str = "GATEWRIGHT_EVIDENCE_TEST_CHILD";
const ORIGIN: &str = "gatewright.example/kill";
const ROUNDS: u64 = 50;

#[test]
fn f005_no_acknowledged_record_is_lost_by_sigkill() {
    if let Some(directory) = env::var_os(CHILD) {
        return append_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::create(&directory.path().join("key.pem")).unwrap();
    let keys = VerifyingKeys::from(key.verifying_key(ORIGIN));
    let log = directory.path().join("evidence");
    let mut acknowledged = HashMap::new();
    let mut random = [0; ROUNDS as usize];
    getrandom::fill(&mut random).unwrap();
    for (round, random) in random.into_iter().enumerate() {
        let before = acknowledged.len();
        run_and_kill(directory.path(), Duration::from_micros(u64::from(random) * 300), &mut acknowledged);
        assert!(acknowledged.len() > before, "the child of round {round} wrote nothing");
        let report = verify(&log, &keys).unwrap();
        assert!(report.is_intact(), "after round {round}: {report:#?}");
    }
    for entry in Records::open(&log, Filter::default()).unwrap() {
        let value = entry.map_or_else(|_| serde_json::Value::Null, |entry| entry.value);
        let sequence = value["seq"].as_u64();
        if let Some(code) = sequence.and_then(|sequence| acknowledged.remove(&sequence)) {
            assert_eq!(value["code"], code.as_str());
        }
    }
    assert!(acknowledged.is_empty(), "lost: {acknowledged:?}");
}

/// Runs a child, kills it some time after its first receipt, and takes down every receipt it reported.
fn run_and_kill(directory: &Path, after: Duration, acknowledged: &mut HashMap<u64, String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "f005_no_acknowledged_record_is_lost_by_sigkill", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let killed = AtomicBool::new(false);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = Vec::new();
    thread::scope(|scope| {
        let mut killer = Some(|| {
            thread::sleep(after);
            child.kill().unwrap();
            killed.store(true, Ordering::Relaxed);
        });
        while output.read_until(b'\n', &mut line).unwrap() > 0 {
            // A line that the kill cut in two was not read by anybody.
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some(receipt) = text.strip_suffix('\n').and_then(|text| text.strip_prefix("receipt ")) {
                let (sequence, code) = receipt.split_once(' ').unwrap();
                acknowledged.insert(sequence.parse().unwrap(), code.to_owned());
                if let Some(killer) = killer.take() {
                    scope.spawn(killer);
                }
            }
            line.clear();
        }
    });
    assert!(killed.load(Ordering::Relaxed), "the child ended by itself");
    child.wait().unwrap();
}

fn append_until_killed(directory: &Path) {
    let key = SigningKey::load(&directory.join("key.pem")).unwrap();
    let options = LogOptions {
        // Small, so that children die while they begin segments and sign checkpoints, too.
        segment_bytes: 50_000,
        checkpoint_records: 50,
        sync_interval: Duration::from_millis(1),
        ..LogOptions::new(ORIGIN)
    };
    let (log, recovery) = Log::open(&directory.join("evidence"), options, key).unwrap();
    assert_eq!(recovery.alarm, None, "a kill is no reason for an alarm");
    thread::scope(|scope| {
        for thread in 0..3 {
            let log = &log;
            scope.spawn(move || {
                for number in 0u64.. {
                    let code = format!("{}-{thread}-{number}", std::process::id());
                    let session = SessionId::from_random([0; 16]);
                    let record = Record::SessionClosed { session, code: &code, events: number };
                    if number % 4 == 3 {
                        log.append_lazily(SystemTime::now(), &record).unwrap();
                        continue;
                    }
                    let receipt = log.append(SystemTime::now(), &record).unwrap();
                    let report = format!("receipt {} {code}\n", receipt.sequence());
                    std::io::stdout().lock().write_all(report.as_bytes()).unwrap();
                }
            });
        }
    });
}
