use super::*;
use crate::{ProblemKind, checkpoint};

/// A log of three segments that was closed in good order, and one record behind its last checkpoint.
fn closed_log() -> Site {
    let site = Site::new();
    let log = site.open_with(small()).unwrap().0;
    append_many(&log, 20);
    log.close().unwrap();
    drop(log);
    site
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 2_500, ..options() }
}

/// Appends lines as a process would that died before it could sign them.
fn append_unsigned(site: &Site, count: usize) {
    let before = (read(site, checkpoint::ALL), read(site, checkpoint::LATEST));
    let log = site.open_with(LogOptions { segment_bytes: 1 << 20, ..options() }).unwrap().0;
    append_many(&log, count);
    drop(log);
    fs::write(site.path().join(checkpoint::ALL), before.0).unwrap();
    fs::write(site.path().join(checkpoint::LATEST), before.1).unwrap();
}

fn read(site: &Site, name: &str) -> Vec<u8> {
    fs::read(site.path().join(name)).unwrap()
}

fn change_last(site: &Site, change: impl FnOnce(&mut Vec<u8>)) {
    let path = site.segments().pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn f005_a_torn_line_is_cut_off_kept_and_recorded() {
    for torn in ["{\"seq\":22,\"ti", "{", "\0\0\0\0", "{\"seq\":9,\"time\":\"x\"}\n", "not json\n"] {
        let site = closed_log();
        let before = site.text();
        change_last(&site, |bytes| bytes.extend_from_slice(torn.as_bytes()));
        let (log, recovery) = site.open().unwrap();
        let cut = recovery.cut.unwrap();
        assert_eq!((cut.bytes, recovery.alarm), (torn.len() as u64, None));
        assert_eq!(fs::read(&cut.kept_in).unwrap(), torn.as_bytes());
        drop(log);
        let text = site.text();
        assert!(text.starts_with(&before) && text.contains("evidence_recovered"), "{torn:?}");
        site.assert_intact();
    }
}

#[test]
fn f005_every_torn_end_of_the_last_line_is_repaired() {
    let site = closed_log();
    append_unsigned(&site, 1);
    let (name, whole) = (site.segments().pop().unwrap(), fs::read(site.segments().pop().unwrap()).unwrap());
    let line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let signed = (read(&site, checkpoint::ALL), read(&site, checkpoint::LATEST));
    for length in line..whole.len() {
        fs::write(&name, &whole[..length]).unwrap();
        fs::write(site.path().join(checkpoint::ALL), &signed.0).unwrap();
        fs::write(site.path().join(checkpoint::LATEST), &signed.1).unwrap();
        let (log, recovery) = site.open().unwrap();
        assert_eq!(recovery.cut.map_or(0, |cut| cut.bytes), (length - line) as u64);
        assert_eq!(recovery.alarm, None);
        drop(log);
        site.assert_intact();
    }
}

#[test]
fn f005_a_torn_checkpoint_is_cut_off() {
    let extra = "gatewright.example/test\n21\nAAAA";
    for length in 0..extra.len() {
        let site = closed_log();
        let whole = read(&site, checkpoint::ALL);
        let torn = [&whole[..], &extra.as_bytes()[..length]].concat();
        fs::write(site.path().join(checkpoint::ALL), torn).unwrap();
        assert!(site.verify().is_intact(), "the verifier takes it for what it is");
        let log = site.open_clean();
        append_many(&log, 1);
        drop(log);
        site.assert_intact();
        site.open_clean();
    }
}

#[test]
fn f005_a_segment_that_was_only_created_is_begun_again() {
    for contents in ["", "{\"seq\":2"] {
        let site = closed_log();
        let next = site.verify().records + 1;
        fs::write(site.path().join(format!("{next:020}.jsonl")), contents).unwrap();
        let (log, recovery) = site.open().unwrap();
        assert_eq!(recovery.alarm, None);
        append_many(&log, 2);
        drop(log);
        site.assert_intact();
    }
}

/// Every byte of the last segment is flipped: the log either says that something is wrong, or refuses to
/// open; and where it goes on, it does not go on in that segment.
#[test]
fn f034_a_flipped_bit_in_a_signed_record_raises_an_alarm_or_keeps_the_log_shut() {
    let site = Site::new();
    let log = site.open_with(LogOptions { segment_bytes: 4_000, ..options() }).unwrap().0;
    while site.segments().len() < 2 {
        append_many(&log, 1);
    }
    append_many(&log, 3);
    drop(log);
    let path = site.segments().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let signed = (read(&site, checkpoint::ALL), read(&site, checkpoint::LATEST));
    let (mut alarms, mut refusals) = (0, 0);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        fs::write(&path, &bytes).unwrap();
        match site.open() {
            Ok((log, recovery)) => {
                assert!(recovery.alarm.is_some(), "nothing was noticed of byte {at}");
                drop(log);
                assert_eq!(fs::read(&path).unwrap(), bytes, "byte {at}: the segment was written to");
                let report = site.verify();
                assert!(!report.is_intact() && report.covered == report.records, "byte {at}: {report:#?}");
                fs::remove_file(site.segments().pop().unwrap()).unwrap();
                alarms += 1;
            }
            Err(OpenError::Changed { .. } | OpenError::Cut { .. }) => refusals += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
        fs::write(site.path().join(checkpoint::ALL), &signed.0).unwrap();
        fs::write(site.path().join(checkpoint::LATEST), &signed.1).unwrap();
    }
    assert!(alarms > whole.len() / 2 && refusals > 0, "{alarms} alarms, {refusals} refusals");
}

#[test]
fn f034_what_was_changed_behind_the_last_checkpoint_is_moved_aside_with_an_alarm() {
    let site = closed_log();
    append_unsigned(&site, 4);
    let signed = site.verify().covered;
    change_last(&site, |bytes| {
        let at = bytes.len() - 700;
        bytes[at] ^= 0x01;
    });
    let (log, recovery) = site.open().unwrap();
    assert!(recovery.alarm.is_some() && recovery.records >= signed);
    let kept = fs::read_to_string(recovery.cut.unwrap().kept_in).unwrap();
    assert!(kept.contains("code-3"));
    drop(log);
    assert!(site.text().contains("could not be read"));
    site.assert_intact();
}

#[test]
fn f034_a_log_that_is_shorter_than_what_was_signed_is_not_opened() {
    let site = closed_log();
    change_last(&site, |bytes| {
        let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        bytes.truncate(end);
    });
    assert!(matches!(site.open(), Err(OpenError::Cut { records, signed, .. }) if signed == records + 1));
    fs::remove_file(site.segments().pop().unwrap()).unwrap();
    assert!(matches!(site.open(), Err(OpenError::Cut { .. })));
}

#[test]
fn f034_a_missing_or_foreign_segment_raises_an_alarm() {
    let site = closed_log();
    let segments = site.segments();
    let middle = fs::read(&segments[1]).unwrap();
    fs::remove_file(&segments[1]).unwrap();
    let (log, recovery) = site.open().unwrap();
    assert!(recovery.alarm.unwrap().contains("does not join"));
    drop(log);

    let other = Site::new();
    let options = LogOptions { origin: "gatewright.example/other".into(), ..small() };
    append_many(&other.open_with(options).unwrap().0, 20);
    fs::copy(&other.segments()[1], &segments[1]).unwrap();
    let (log, recovery) = site.open().unwrap();
    assert!(recovery.alarm.is_some());
    drop(log);

    fs::write(&segments[1], middle).unwrap();
    drop(site.open_clean());
    site.assert_intact();
}

#[test]
fn f034_a_log_of_another_key_or_origin_is_not_opened() {
    let mut site = closed_log();
    let other = LogOptions { origin: "gatewright.example/other".into(), ..small() };
    assert!(matches!(site.open_with(other), Err(OpenError::OtherKey { .. })));
    let former = std::mem::replace(&mut site.key, SigningKey::generate().unwrap());
    assert!(matches!(site.open(), Err(OpenError::OtherKey { .. })));

    let changed = LogOptions { former_keys: vec![former.verifying_key(ORIGIN)], ..small() };
    let log = site.open_with(changed).unwrap().0;
    append_many(&log, 1);
    drop(log);
    let keys = VerifyingKeys::new([site.key.verifying_key(ORIGIN), former.verifying_key(ORIGIN)]);
    assert!(verify(&site.path(), &keys).unwrap().is_intact());
    assert!(site.verify().problems.iter().any(|problem| problem.kind == ProblemKind::BadCheckpoint));
}

#[test]
fn names_that_can_not_be_an_origin_are_refused() {
    let site = Site::new();
    let options = LogOptions { origin: "two words".into(), ..options() };
    assert!(matches!(site.open_with(options), Err(OpenError::Origin(_))));
}
