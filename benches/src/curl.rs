//! curl: how long an answer takes.

use std::process::Command;

use gatewright_testbed::{Error, Result};

/// Seconds and bytes of so many answers on one connection.
pub(crate) fn fetch(url: &str, token: &str, times: u32) -> Result<(f64, f64)> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--fail", "--max-time", "600"]);
    curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    curl.args(["--write-out", "%{time_total} %{size_download}\n"]);
    for _ in 0..times {
        curl.args(["--output", "/dev/null", url]);
    }
    let output = curl.output().map_err(|error| Error::new(format!("running curl: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().filter_map(|line| {
        let (seconds, bytes) = line.split_once(' ')?;
        Some((seconds.parse::<f64>().ok()?, bytes.parse::<f64>().ok()?))
    });
    let (seconds, bytes) = numbers.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if output.status.success() && bytes > 0.0 {
        return Ok((seconds, bytes));
    }
    Err(Error::new(format!("curl ended with {}: {text}", output.status)))
}
