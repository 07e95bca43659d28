//! wrk: the same request over and over, on connections that are kept.

use std::process::Command;

use gatewright_testbed::{Error, Result};

/// Connections at one time. With few, a proxy is often woken for one request; with many, it finds several each time.
pub(crate) const CONNECTIONS: [u32; 2] = [16, 64];

/// What one run did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) requests: f64,
    pub(crate) rate: f64,
}

/// Asks for some seconds, on so many connections. An answer that is no success makes the run worthless, and is an error.
pub(crate) fn get(url: &str, token: &str, connections: u32, seconds: u32) -> Result<Run> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    let output = wrk.args(["-H", &format!("Authorization: Bearer {token}"), url]).output();
    let output = output.map_err(|error| Error::new(format!("running wrk: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = requests.and_then(|(number, _)| number.parse().ok());
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|number| number.trim().parse().ok());
    let clean = !text.contains("Non-2xx") && !text.contains("Socket errors");
    match (requests, rate) {
        (Some(requests), Some(rate)) if output.status.success() && clean => Ok(Run { requests, rate }),
        _ => Err(Error::new(format!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}
