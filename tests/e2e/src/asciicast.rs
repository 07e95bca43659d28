//! Recordings, as a test reads them.

use std::{fs, path::PathBuf};

use gatewright_testbed::{Error, Gateway, Result};
use serde_json::Value;

/// The files of all recordings of a gateway, by their names.
pub fn files(gateway: &Gateway) -> Vec<PathBuf> {
    let folder = fs::read_dir(gateway.evidence().join("recordings"));
    let mut files: Vec<PathBuf> = folder.into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    files
}

/// The header and the events of a recording: each a code and what it says, in the order of their times.
///
/// # Errors
/// Where it is none.
pub fn events(text: &str) -> Result<(Value, Vec<(String, String)>)> {
    let json = |line: &str| serde_json::from_str::<Value>(line).map_err(|error| bad(&error.to_string()));
    let mut lines = text.lines();
    let header = json(lines.next().unwrap_or_default())?;
    if header.get("version") != Some(&2.into()) {
        return Err(bad("it is of another version"));
    }
    let mut last = 0.0;
    let mut events = Vec::new();
    for line in lines {
        let event = json(line)?;
        let field = |at: usize| event.get(at).and_then(Value::as_str).map(str::to_owned);
        let at = event.get(0).and_then(Value::as_f64).filter(|at| *at >= last);
        last = at.ok_or_else(|| bad("its times go back"))?;
        events.push(field(1).zip(field(2)).ok_or_else(|| bad("an event has no code, or no data"))?);
    }
    Ok((header, events))
}

/// What was shown, as far as it is text.
pub fn shown(events: &[(String, String)]) -> String {
    events.iter().filter(|(code, _)| code == "o").map(|(_, data)| &**data).collect()
}

/// How many bytes were typed.
pub fn typed(events: &[(String, String)]) -> usize {
    let typed = events.iter().filter(|(code, _)| code == "t");
    typed.map(|(_, data)| data.parse::<usize>().unwrap_or_default()).sum()
}

fn bad(why: &str) -> Error {
    Error::new(format!("not a recording: {why}"))
}
