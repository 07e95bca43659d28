//! What a reviewer does in a terminal.

use std::{
    process::Output,
    thread,
    time::{Duration, Instant},
};

use gatewright_testbed::{Error, Gateway, Mint, Result};
use serde_json::Value;

/// The reviewer who looks.
const BOB: Mint<'static> =
    Mint { subject: "bob", groups: &["reviewers"], actors: &[], kind: "human", ttl: "1h" };

/// Waits until a request is pending, and gives its id.
///
/// # Errors
/// Where none comes.
pub fn wait(gateway: &Gateway) -> Result<String> {
    let start = Instant::now();
    loop {
        if let Some(id) = pending(gateway)?.first() {
            return Ok(id.clone());
        }
        if start.elapsed() > Duration::from_secs(20) {
            return Err(Error::new("no approval request came"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The ids of the requests that wait.
///
/// # Errors
/// Where the gateway's command fails.
pub fn pending(gateway: &Gateway) -> Result<Vec<String>> {
    let output = gateway.approvals(&BOB, &["list", "--json"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    let list: Value = serde_json::from_str(&text).map_err(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Error::new(format!("approvals list --json printed {text:?} ({error}) {complaint}"))
    })?;
    let requests = list.as_array().cloned().unwrap_or_default().into_iter();
    let pending = requests.filter(|request| request.get("state").is_some_and(|state| state == "pending"));
    Ok(pending.filter_map(|request| request.get("id")?.as_str().map(str::to_owned)).collect())
}

/// Approves or rejects a request as somebody.
///
/// # Errors
/// Where the command can not be run; that it refuses is in its output.
pub fn answer(gateway: &Gateway, verb: &str, id: &str, who: &Mint<'_>) -> Result<Output> {
    gateway.approvals(who, &[verb, id, "--comment", "looked at it"])
}
