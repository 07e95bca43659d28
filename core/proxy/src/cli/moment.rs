//! Points in time, as people read them. Programs get seconds since 1970.

use std::time::Duration;

use der::DateTime;

/// RFC 3339 in UTC, to the second: `2026-11-20T20:00:00Z`. None beyond the year 9999.
pub(super) fn moment(seconds: u64) -> Option<String> {
    DateTime::from_unix_duration(Duration::from_secs(seconds)).ok().map(|time| time.to_string())
}

/// How long it is from `now` until `end`, both in seconds since 1970: `90 s left`, `12 min left`, `3 h left`, `over`.
pub(super) fn left(end: u64, now: u64) -> String {
    match end.saturating_sub(now) {
        0 => "over".to_owned(),
        seconds @ 1..120 => format!("{seconds} s left"),
        seconds @ 120..7_200 => format!("{} min left", seconds / 60),
        seconds => format!("{} h left", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(moment(1_795_348_800).as_deref(), Some("2026-11-22T12:00:00Z"));
        assert_eq!(moment(u64::MAX), None);
    }

    #[test]
    fn what_is_left_is_told_in_the_unit_that_counts() {
        let left = [0, 1, 100, 101, 219, 220, 7_299, 7_300].map(|end| left(end, 100));
        assert_eq!(
            left,
            ["over", "over", "over", "1 s left", "119 s left", "2 min left", "119 min left", "2 h left"]
        );
    }
}
