use super::*;
use crate::{AppendError, Health};

#[test]
fn f007_a_full_disk_refuses_at_once_and_the_log_goes_on_when_it_has_room() {
    for partly in [0, 1, 17, 200, usize::MAX] {
        let site = Site::new();
        let log = site.open_clean();
        log.append(at(0), &record("before")).unwrap();
        site.disk.set(|disk| disk.append_fault = Some((Fault::Full, partly)));
        assert_eq!(log.append(at(1), &record("denied")), Err(AppendError::Full));
        assert_eq!(log.append_lazily(at(1), &record("denied")), Err(AppendError::Full));
        assert_eq!(log.status().health, Health::Full);
        site.disk.set(|disk| disk.append_fault = None);
        eventually("it goes on", || log.status().health == Health::Healthy);
        log.append(at(2), &record("after")).unwrap();
        log.close().unwrap();
        let text = site.text();
        assert!(!text.contains("denied"), "{text}");
        assert!(text.contains(r#""kind":"evidence_resumed","refused":2"#), "{text}");
        assert!(text.contains("before") && text.contains("after"));
        site.assert_intact();
    }
}

#[test]
fn f007_lazy_records_that_met_a_full_disk_are_written_when_it_has_room() {
    let site = Site::new();
    let log = site.open_clean();
    site.disk.set(|disk| disk.append_fault = Some((Fault::Full, 30)));
    let receipt = log.append_lazily(at(0), &record("lazy")).unwrap();
    eventually("it notices", || log.status().health == Health::Full);
    assert!(log.status().synced < receipt.sequence(), "what is not written is not durable");
    site.disk.set(|disk| disk.append_fault = None);
    block_on(log.durable(receipt)).unwrap();
    log.close().unwrap();
    assert!(site.text().contains("lazy"));
    site.assert_intact();
}

#[test]
fn f007_a_new_segment_that_does_not_fit_is_begun_later() {
    let site = Site::new();
    let log = site.open_with(LogOptions { segment_bytes: 600, ..options() }).unwrap().0;
    append_many(&log, 1);
    site.disk.set(|disk| disk.append_fault = Some((Fault::Full, 50)));
    assert_eq!(log.append(at(1), &record("denied")), Err(AppendError::Full));
    site.disk.set(|disk| disk.append_fault = None);
    eventually("it goes on", || log.status().health == Health::Healthy);
    append_many(&log, 3);
    log.close().unwrap();
    assert!(site.assert_intact().segments >= 2);
}

#[test]
fn f007_a_log_that_closes_on_a_full_disk_says_so() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    log.append_lazily(at(0), &record("lazy")).unwrap();
    site.disk.set(|disk| disk.append_fault = Some((Fault::Full, 0)));
    assert_eq!(log.close(), Err(AppendError::Full));
    drop(log);
    site.disk.set(|disk| disk.append_fault = None);
    site.open_clean();
    site.assert_intact();
}

#[test]
fn f008_a_write_that_failed_ends_the_log_until_it_is_opened_anew() {
    let site = Site::new();
    let log = site.open_clean();
    let before = log.append(at(0), &record("before")).unwrap();
    site.disk.set(|disk| disk.append_fault = Some((Fault::Io, 40)));
    assert!(matches!(log.append(at(1), &record("denied")), Err(AppendError::Broken(_))));
    site.disk.set(|disk| disk.append_fault = None);
    assert!(matches!(log.append(at(2), &record("later")), Err(AppendError::Broken(_))));
    block_on(log.durable(before)).unwrap();
    drop(log);
    let log = site.open_clean();
    log.append(at(3), &record("anew")).unwrap();
    drop(log);
    let text = site.text();
    assert!(
        text.contains("before")
            && text.contains("anew")
            && !text.contains("denied")
            && !text.contains("later")
    );
    site.assert_intact();
}

#[test]
fn f008_a_sync_that_failed_is_never_tried_again_and_taken_for_success() {
    let site = Site::new();
    let log =
        site.open_with(LogOptions { sync_interval: Duration::from_secs(3_600), ..options() }).unwrap().0;
    let receipt = log.append(at(0), &record("written")).unwrap();
    site.disk.set(|disk| disk.sync_fault = Some(Fault::Io));
    assert!(matches!(block_on(log.durable(receipt)), Err(AppendError::Broken(_))));
    // The kernel would report success now, and the page may be lost.
    site.disk.set(|disk| disk.sync_fault = None);
    assert!(matches!(block_on(log.durable(receipt)), Err(AppendError::Broken(_))));
    assert!(matches!(log.append(at(1), &record("later")), Err(AppendError::Broken(_))));
    assert!(matches!(log.sync(), Err(AppendError::Broken(_))));
    assert!(log.status().synced < receipt.sequence());
    assert!(matches!(log.close(), Err(AppendError::Broken(_))));
    drop(log);
    site.open_clean();
    site.assert_intact();
}

#[test]
fn f009_an_append_behind_one_that_hangs_is_refused_after_the_deadline() {
    let site = Site::new();
    let deadline = Duration::from_millis(50);
    let log = site.open_with(LogOptions { append_deadline: deadline, ..options() }).unwrap().0;
    site.disk.set(|disk| disk.hangs = true);
    thread::scope(|scope| {
        let hanging = scope.spawn(|| log.append(at(0), &record("hung")));
        eventually("an append hangs", || site.disk.state.0.lock().is_hanging);
        assert_eq!(log.append(at(1), &record("behind")), Err(AppendError::Slow));
        assert_eq!(log.status().health, Health::Slow, "who asks does not hang, either");
        site.disk.set(|disk| disk.hangs = false);
        hanging.join().unwrap().unwrap();
    });
    log.append(at(2), &record("after")).unwrap();
    drop(log);
    site.assert_intact();
}

/// Until the deadline nobody can know; from then on nothing is added to what may never be on the disk.
#[test]
fn f009_a_sync_that_hangs_refuses_everything_until_the_disk_answers() {
    let site = Site::new();
    let deadline = Duration::from_millis(50);
    let log = site.open_with(LogOptions { sync_deadline: deadline, ..options() }).unwrap().0;
    site.disk.set(|disk| disk.sync_hangs = true);
    let receipt = log.append(at(0), &record("waiting")).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(log.durable(receipt)));
        eventually("it is noticed", || log.status().health == Health::Slow);
        assert_eq!(log.append(at(1), &record("denied")), Err(AppendError::Slow));
        assert_eq!(log.append_lazily(at(1), &record("denied")), Err(AppendError::Slow));
        assert_eq!(log.sync(), Err(AppendError::Slow), "who answers for a reviewer does not hang, either");
        assert!(log.status().synced < receipt.sequence());
        site.disk.set(|disk| disk.sync_hangs = false);
        waiting.join().unwrap().unwrap();
    });
    eventually("it goes on", || log.status().health == Health::Healthy);
    log.append(at(2), &record("after")).unwrap();
    log.close().unwrap();
    let text = site.text();
    assert!(text.contains(r#""kind":"evidence_resumed","refused":2"#), "{text}");
    assert!(text.contains("waiting") && text.contains("after") && !text.contains("denied"), "{text}");
    site.assert_intact();
}

/// Whoever waits has a clock of its own, and it may have begun before the log's.
#[test]
fn f009_what_somebody_has_given_up_on_keeps_everybody_back_at_once() {
    let site = Site::new();
    let deadline = Duration::from_secs(3_600);
    let log = site.open_with(LogOptions { sync_deadline: deadline, ..options() }).unwrap().0;
    site.disk.set(|disk| disk.sync_hangs = true);
    let receipt = log.append(at(0), &record("given up")).unwrap();
    let mut waiting = Box::pin(log.durable(receipt));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    log.give_up(receipt);
    assert_eq!(log.append(at(1), &record("denied")), Err(AppendError::Slow));
    assert_eq!(log.append_lazily(at(1), &record("denied")), Err(AppendError::Slow));
    assert_eq!(log.status().health, Health::Slow);
    site.disk.set(|disk| disk.sync_hangs = false);
    eventually("it goes on", || log.status().health == Health::Healthy);
    log.append(at(2), &record("after")).unwrap();
    drop((waiting, log));
    let text = site.text();
    assert!(text.contains("given up") && text.contains("after") && !text.contains("denied"), "{text}");
    site.assert_intact();
}

#[test]
fn f009_a_sync_that_nobody_waits_for_any_more_and_that_fails_is_no_success() {
    let site = Site::new();
    let deadline = Duration::from_millis(50);
    let log = site.open_with(LogOptions { sync_deadline: deadline, ..options() }).unwrap().0;
    site.disk.set(|disk| disk.sync_hangs = true);
    let receipt = log.append(at(0), &record("given up")).unwrap();
    let mut given_up = Box::pin(log.durable(receipt));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    eventually("it is noticed", || log.status().health == Health::Slow);
    drop(given_up);
    log.give_up(receipt);
    site.disk.set(|disk| {
        disk.sync_hangs = false;
        disk.sync_fault = Some(Fault::Io);
    });
    eventually("it is noticed", || matches!(log.status().health, Health::Broken(_)));
    site.disk.set(|disk| disk.sync_fault = None);
    assert!(matches!(block_on(log.durable(receipt)), Err(AppendError::Broken(_))));
    assert!(matches!(log.append(at(1), &record("later")), Err(AppendError::Broken(_))));
    assert!(log.status().synced < receipt.sequence());
}

#[test]
fn f010_a_step_of_the_wall_clock_is_recorded() {
    let site = Site::new();
    let wall = Arc::new(Mutex::new(at(0)));
    let start = Instant::now();
    let clocks = {
        let wall = Arc::clone(&wall);
        Box::new(move || (*wall.lock(), start))
    };
    let disk = Arc::clone(&site.disk) as Arc<dyn Disk>;
    let (log, _) = Log::open_on(&site.path(), options(), site.key.clone(), disk, clocks).unwrap();
    *wall.lock() = at(0) - Duration::from_secs(3_600);
    log.append(at(0) - Duration::from_secs(3_600), &record("earlier")).unwrap();
    log.sync().unwrap();
    log.close().unwrap();
    assert!(site.text().contains(r#""kind":"clock_stepped","seconds":-3600"#), "{}", site.text());
    site.assert_intact();
}

/// A power cut: of each file, what was synced stays; each 512-byte sector after that is kept, lost (zeroes)
/// or never written, at random.
#[test]
fn f006_a_power_cut_loses_no_durable_record() {
    for seed in 0..100u64 {
        let mut random = Random(seed);
        let site = Site::new();
        let options = LogOptions {
            segment_bytes: 8_000,
            checkpoint_records: 20,
            sync_interval: Duration::from_secs(3_600),
            ..options()
        };
        let log = site.open_with(options.clone()).unwrap().0;
        let mut durable = Vec::new();
        for number in 0..50 + random.below(100) {
            let code = format!("code-{number}-");
            let receipt = log.append(at(number), &record(&code)).unwrap();
            if random.below(8) == 0 {
                block_on(log.durable(receipt)).unwrap();
                durable.push((receipt.sequence(), code));
            }
        }
        // The power goes: nothing more reaches the disk, and what was not synced is at its mercy.
        site.disk.set(|disk| disk.sync_fault = Some(Fault::Io));
        let _ = log.close();
        drop(log);
        site.disk.set(|disk| {
            disk.sync_fault = None;
            for path in site.segments() {
                let synced =
                    disk.synced.iter().find(|(own, _)| *own == path).map_or(0, |(_, length)| *length);
                lose_unsynced(&path, synced as usize, &mut random);
            }
        });
        let (log, recovery) =
            site.open_with(options).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        append_many(&log, 3);
        drop(log);
        let report = site.verify();
        assert!(report.is_intact(), "seed {seed}: {report:#?} {recovery:#?}");
        let text = site.text();
        for (sequence, code) in durable {
            let line = text.lines().find(|line| line.starts_with(&format!("{{\"seq\":{sequence},")));
            assert!(
                line.is_some_and(|line| line.contains(&code)),
                "seed {seed}: record {sequence} is lost"
            );
        }
    }
}

fn lose_unsynced(path: &Path, synced: usize, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    let mut from = synced;
    while from < bytes.len() {
        let to = ((from / 512 + 1) * 512).min(bytes.len());
        match random.below(3) {
            0 => bytes[from..to].fill(0),
            1 if random.below(4) == 0 => bytes.truncate(from),
            _ => {}
        }
        from = to;
    }
    fs::write(path, bytes).unwrap();
}

/// SplitMix64: enough to choose faults, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
