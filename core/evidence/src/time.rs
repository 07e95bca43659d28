//! Times as the log writes them, and the watch for steps of the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Writes RFC 3339 times in UTC with microseconds: `2026-11-20T13:12:49.000001Z`, always 27 bytes, so that
/// times compare as text.
///
/// The calendar is computed once a second; the text of that second is kept.
#[derive(Debug)]
pub(crate) struct TimeText {
    second: i64,
    text: [u8; TIME_BYTES],
}

/// Length of a time, in bytes.
pub(crate) const TIME_BYTES: usize = 27;

impl Default for TimeText {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00.000000Z" }
    }
}

impl TimeText {
    /// The text of `at`. Years before 0 and after 9999 are written as the nearest time that has a text.
    pub(crate) fn format(&mut self, at: SystemTime) -> &[u8; TIME_BYTES] {
        let (second, micros) = since_epoch(at);
        if second != self.second {
            self.second = second;
            self.write_second();
        }
        write_number(&mut self.text, 20, 6, micros);
        &self.text
    }

    fn write_second(&mut self) {
        let (year, month, day) = civil_from_days(self.second.div_euclid(86_400));
        let of_day = self.second.rem_euclid(86_400).unsigned_abs();
        for (at, width, number) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, of_day / 3_600),
            (14, 2, of_day / 60 % 60),
            (17, 2, of_day % 60),
        ] {
            write_number(&mut self.text, at, width, number);
        }
    }
}

/// Reads what [`TimeText`] writes.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let bytes: &[u8; TIME_BYTES] = text.as_bytes().try_into().ok()?;
    let number = |range| bytes.get::<std::ops::Range<usize>>(range).and_then(parse_digits);
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let of_day = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + of_day;
    let micros = Duration::from_micros(number(20..26)?.unsigned_abs());
    let at = if seconds < 0 {
        UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs()))
    } else {
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds.unsigned_abs()))
    }?
    .checked_add(micros)?;
    // Whatever does not read back the same (a 13th month, other punctuation) was no such time.
    (TimeText::default().format(at) == bytes).then_some(at)
}

fn parse_digits(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn since_epoch(at: SystemTime) -> (i64, u64) {
    const FIRST: i64 = -62_167_219_200; // 0000-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    let (second, micros) = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_micros()),
        Err(error) => {
            let before = error.duration();
            let second = i64::try_from(before.as_secs()).map_or(i64::MIN, |second| -second);
            match before.subsec_nanos() {
                0 => (second, 0),
                nanos => (second.saturating_sub(1), (1_000_000_000 - nanos) / 1_000),
            }
        }
    };
    match second {
        ..FIRST => (FIRST, 0),
        FIRST..=LAST => (second, micros.into()),
        _ => (LAST, 999_999),
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn civil_from_days(days: i64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs())
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

fn write_number(text: &mut [u8], at: usize, width: usize, mut number: u64) {
    for digit in text.iter_mut().skip(at).take(width).rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Notices steps of the wall clock (threats F10).
///
/// Both clocks are compared with one fixed pair of readings and not with the reading before, so that many
/// small steps are noticed as soon as they add up.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    anchor: Option<(SystemTime, Instant)>,
    /// The time of the last record of the process before this one: the clock must not lie before it.
    floor: Option<SystemTime>,
}

impl ClockWatch {
    pub(crate) const fn new(floor: Option<SystemTime>) -> Self {
        Self { anchor: None, floor }
    }

    /// Takes in a reading of both clocks; says by how many seconds the wall clock was stepped, if it was.
    pub(crate) fn handle_reading(&mut self, wall: SystemTime, monotonic: Instant) -> Option<i64> {
        let expected = match (self.anchor, self.floor.take()) {
            (Some((then_wall, then)), _) => {
                then_wall.checked_add(monotonic.saturating_duration_since(then))
            }
            (None, Some(floor)) => Some(wall.max(floor)),
            (None, None) => Some(wall),
        };
        let step = expected.map_or(i64::MAX, |expected| signed_seconds(expected, wall));
        if step.unsigned_abs() <= STEP_SECONDS {
            self.anchor.get_or_insert((wall, monotonic));
            return None;
        }
        self.anchor = Some((wall, monotonic));
        Some(step)
    }
}

fn signed_seconds(from: SystemTime, to: SystemTime) -> i64 {
    match to.duration_since(from) {
        Ok(forward) => i64::try_from(forward.as_secs()).unwrap_or(i64::MAX),
        Err(error) => i64::try_from(error.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

/// A step of more than this many seconds is recorded (threats F10).
const STEP_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(second: i64, micros: u64) -> String {
        let distance = Duration::from_secs(second.unsigned_abs());
        let at = if second < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
        let at = at + Duration::from_micros(micros);
        let text = String::from_utf8(TimeText::default().format(at).to_vec()).unwrap();
        assert_eq!(parse(&text), Some(at), "{text} reads back");
        text
    }

    /// Computed with Python's datetime.
    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(951_782_400, 1), "2000-02-29T00:00:00.000001Z");
        assert_eq!(text(951_868_799, 999_999), "2000-02-29T23:59:59.999999Z");
        assert_eq!(text(1_795_348_800, 0), "2026-11-22T12:00:00.000000Z");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(text(-1, 500_000), "1969-12-31T23:59:59.500000Z");
        assert_eq!(text(-2_208_988_800, 0), "1900-01-01T00:00:00.000000Z");
        assert_eq!(text(253_402_300_799, 999_999), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_kept_second_gives_the_same_text() {
        let mut kept = TimeText::default();
        for step in 0..2_000u64 {
            let at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_000 + step * 7_777);
            assert_eq!(kept.format(at), TimeText::default().format(at));
        }
    }

    #[test]
    fn what_is_not_such_a_time_is_refused() {
        for text in [
            "",
            "2026-13-01T00:00:00.000000Z",
            "2026-02-30T00:00:00.000000Z",
            "2026-11-20 13:12:49.000000Z",
            "2026-11-20T13:12:49Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn f010_a_step_of_the_wall_clock_is_noticed_once() {
        let (wall, start) = (UNIX_EPOCH + 1_000_000 * HOUR, Instant::now());
        let mut watch = ClockWatch::new(None);
        assert_eq!(watch.handle_reading(wall, start), None);
        assert_eq!(watch.handle_reading(wall + HOUR, start + HOUR), None);
        assert_eq!(watch.handle_reading(wall + HOUR, start + 2 * HOUR), Some(-3_600));
        assert_eq!(watch.handle_reading(wall + 2 * HOUR, start + 3 * HOUR), None);
        let ten_years = 87_600 * HOUR;
        assert_eq!(
            watch.handle_reading(wall + ten_years + 3 * HOUR, start + 4 * HOUR),
            Some(87_600 * 3_600)
        );
    }

    #[test]
    fn f010_small_steps_add_up() {
        let (wall, start) = (UNIX_EPOCH + 1_000_000 * HOUR, Instant::now());
        let mut watch = ClockWatch::new(None);
        let steps =
            (0..5u32).filter_map(|n| watch.handle_reading(wall + n * Duration::from_secs(25), start));
        assert_eq!(steps.collect::<Vec<_>>(), [75]);
    }

    #[test]
    fn f010_a_clock_before_the_last_record_is_noticed_at_start() {
        let (wall, start) = (UNIX_EPOCH + 1_000_000 * HOUR, Instant::now());
        assert_eq!(ClockWatch::new(Some(wall + HOUR)).handle_reading(wall, start), Some(-3_600));
        assert_eq!(ClockWatch::new(Some(wall - HOUR)).handle_reading(wall, start), None);
    }
}
