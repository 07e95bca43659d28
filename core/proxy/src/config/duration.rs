//! Lengths of time as people write them: `30s`, `5m`, `250ms`.

use std::time::Duration;

/// Reads a whole number followed by `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
///
/// The text has another form, or is longer than a thousand years. The error says what is expected.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(DurationError)?;
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(60 * 60),
        "d" => number.checked_mul(24 * 60 * 60),
        _ => None,
    };
    // Far ends of time overflow where an instant is computed from them.
    seconds.filter(|seconds| *seconds < LONGEST_SECONDS).map(Duration::from_secs).ok_or(DurationError)
}

/// A text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number and a unit, like `30s`, `5m`, `2h` or `250ms`")]
pub struct DurationError;

const LONGEST_SECONDS: u64 = 1_000 * 365 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(parse_duration("1d"), Ok(Duration::from_secs(86_400)));
    }

    #[test]
    fn nothing_else() {
        for text in
            ["", "30", "s", "-1s", "1.5s", "1 s", "1w", "99999999999999999999s", "9999999999999d", "٣s"]
        {
            assert_eq!(parse_duration(text), Err(DurationError), "{text}");
        }
    }
}
