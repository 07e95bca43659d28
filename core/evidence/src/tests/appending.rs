use super::*;
use crate::{Filter, Health, Records, Verifier};

#[test]
fn records_have_sequences_without_gaps_and_verify() {
    let site = Site::new();
    let log = site.open_clean();
    let first = log.append(at(0), &record("a")).unwrap();
    let second = log.append(at(1), &record("b")).unwrap();
    assert_eq!((first.sequence(), second.sequence()), (2, 3), "1 is the segment's first line");
    log.close().unwrap();
    let report = site.assert_intact();
    assert_eq!((report.records, report.covered, report.tail()), (3, 3, None));
}

#[test]
fn an_appended_record_is_in_the_file_at_once_and_a_lazy_one_with_the_next() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    log.append_lazily(at(0), &record("lazy")).unwrap();
    assert!(!site.text().contains("lazy"));
    log.append(at(0), &record("eager")).unwrap();
    let text = site.text();
    assert!(text.find("lazy").unwrap() < text.find("eager").unwrap());
    drop(log);
    site.assert_intact();
}

#[test]
fn a_lazy_record_is_written_and_synced_without_anybody_asking() {
    let site = Site::new();
    let log = site.open_clean();
    let receipt = log.append_lazily(at(0), &record("lazy")).unwrap();
    eventually("synced", || log.status().synced >= receipt.sequence());
    assert!(site.text().contains("lazy"));
}

#[test]
fn many_lazy_records_do_not_pile_up_in_memory() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    let long = "x".repeat(100_000);
    for _ in 0..10 {
        log.append_lazily(at(0), &record(&long)).unwrap();
    }
    assert!(site.text().len() > 500_000);
}

#[test]
fn a_durable_record_was_synced() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    let receipt = log.append(at(0), &record("a")).unwrap();
    block_on(log.durable(receipt)).unwrap();
    assert!(log.status().synced >= receipt.sequence());
    let length = fs::metadata(&site.segments()[0]).unwrap().len();
    assert!(site.disk.state.0.lock().synced.contains(&(site.segments()[0].clone(), length)));
}

#[test]
fn a_waiter_that_gives_up_is_forgotten() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    let first = log.append(at(0), &record("a")).unwrap();
    let mut given_up = Box::pin(log.durable(first));
    let _ = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(given_up);
    block_on(log.durable(first)).unwrap();
}

#[test]
fn those_who_wait_together_share_syncs() {
    let site = Site::new();
    let log = site.open_clean();
    // While one sync can not end, all others line up behind it: the disk's lock is held.
    let before = site.disk.state.0.lock().syncs;
    let receipts: Vec<_> = (0..200).map(|n| log.append(at(n), &record("a")).unwrap()).collect();
    let gate = site.disk.state.0.lock();
    let waiters: Vec<_> = receipts
        .into_iter()
        .map(|receipt| {
            let log = log.clone();
            thread::spawn(move || block_on(log.durable(receipt)))
        })
        .collect();
    drop(gate);
    for waiter in waiters {
        waiter.join().unwrap().unwrap();
    }
    let syncs = site.disk.state.0.lock().syncs - before;
    assert!(syncs < 200, "{syncs} syncs for 200 records");
}

#[test]
fn threads_append_in_the_order_of_the_sequences() {
    let site = Site::new();
    let log = site.open_with(LogOptions { segment_bytes: 20_000, ..options() }).unwrap().0;
    thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..250u64 {
                    let code = format!("{thread}-{number}");
                    if number % 3 == 0 {
                        log.append_lazily(at(number), &record(&code)).unwrap();
                    } else {
                        log.append(at(number), &record(&code)).unwrap();
                    }
                }
            });
        }
    });
    log.close().unwrap();
    let report = site.assert_intact();
    assert!(report.segments > 5);
    let entries = Records::open(&site.path(), Filter::default()).unwrap().map(Result::unwrap);
    let sequences: Vec<_> = entries.map(|entry| entry.value["seq"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=report.records).collect::<Vec<_>>());
    assert_eq!(sequences.len(), 1_000 + report.segments);
}

#[test]
fn the_log_goes_on_after_it_was_closed_and_opened() {
    let site = Site::new();
    for _ in 0..5 {
        let log = site.open_with(LogOptions { segment_bytes: 2_000, ..options() }).unwrap().0;
        append_many(&log, 7);
    }
    let report = site.assert_intact();
    assert_eq!(report.tail(), None);
    assert_eq!(report.records, 35 + report.segments as u64);
}

#[test]
fn only_one_process_writes_a_log() {
    let site = Site::new();
    let log = site.open_clean();
    assert!(matches!(site.open(), Err(OpenError::Locked { .. })));
    drop(log);
    site.open_clean();
}

#[test]
fn a_closed_log_takes_nothing() {
    let site = Site::new();
    let log = site.open_clean();
    let clone = log.clone();
    let receipt = log.append(at(0), &record("a")).unwrap();
    log.close().unwrap();
    assert_eq!(clone.append(at(0), &record("b")), Err(crate::AppendError::Closed));
    assert_eq!(clone.sync(), Err(crate::AppendError::Closed));
    assert_eq!(clone.status().health, Health::Closed);
    block_on(clone.durable(receipt)).unwrap();
}

#[test]
fn a_record_that_is_too_long_is_refused_and_the_next_is_not() {
    let site = Site::new();
    let log = site.open_clean();
    let long = "x".repeat(17 * 1024 * 1024);
    assert!(matches!(log.append(at(0), &record(&long)), Err(crate::AppendError::TooLong { .. })));
    log.append(at(0), &record("short")).unwrap();
    drop(log);
    site.assert_intact();
}

#[test]
fn checkpoints_come_by_number_and_by_time() {
    let site = Site::new();
    let log = site.open_with(LogOptions { checkpoint_records: 10, ..options() }).unwrap().0;
    append_many(&log, 20);
    eventually("signed by number", || log.status().signed >= 10);
    drop(log);
    let interval = Duration::from_millis(1);
    let log = site.open_with(LogOptions { checkpoint_interval: interval, ..options() }).unwrap().0;
    let receipt = log.append(at(0), &record("a")).unwrap();
    eventually("signed by time", || log.status().signed >= receipt.sequence());
    drop(log);
    site.assert_intact();
}

#[test]
fn a_checkpoint_names_the_log_and_can_be_kept_elsewhere() {
    let site = Site::new();
    let log = site.open_clean();
    append_many(&log, 5);
    log.sync().unwrap();
    let note = fs::read_to_string(site.path().join("checkpoint")).unwrap();
    assert!(note.starts_with("gatewright.example/test\n6\n"));
    append_many(&log, 5);
    drop(log);
    let keys = site.keys();
    let report = Verifier::new(&site.path(), &keys).against(&note).run().unwrap();
    assert!(report.is_intact());
    assert_eq!((report.covered, report.covered_externally), (11, Some(6)));
}

#[test]
fn the_verifier_tells_how_far_it_is() {
    let site = Site::new();
    let log = site.open_clean();
    append_many(&log, 2_500);
    drop(log);
    let mut seen = Vec::new();
    let keys = site.keys();
    Verifier::new(&site.path(), &keys).on_progress(&mut |progress| seen.push(progress)).run().unwrap();
    let last = seen.last().unwrap();
    assert!(seen.len() >= 3 && seen.is_sorted_by_key(|progress| progress.bytes));
    assert_eq!((last.bytes, last.lines), (last.total_bytes, 2_501));
}

#[test]
fn records_are_shown_by_what_they_say() {
    let site = Site::new();
    let log = site.open_clean();
    append_many(&log, 3);
    log.append(at(100), &Record::GatewayStopped).unwrap();
    drop(log);
    let show = |filter| -> Vec<String> {
        let entries = Records::open(&site.path(), filter).unwrap();
        entries.map(|entry| entry.unwrap().value["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(show(Filter::default()).len(), 5);
    assert_eq!(
        show(Filter { kind: Some("gateway_stopped".into()), ..Filter::default() }),
        ["gateway_stopped"]
    );
    assert_eq!(show(Filter { session: Some("07".repeat(16)), ..Filter::default() }).len(), 3);
    assert_eq!(
        show(Filter { since: Some(at(2)), ..Filter::default() }),
        ["session_closed", "gateway_stopped"]
    );
    assert_eq!(show(Filter { subject: Some("alice".into()), ..Filter::default() }), [""; 0]);
}
