//! What the gateway recorded, as its own `evidence show --json` prints it.

use gatewright_testbed::{Error, Gateway, Result};
use serde_json::Value;

/// The records of a log, oldest first.
#[derive(Debug, Clone)]
pub struct Evidence {
    records: Vec<Value>,
}

impl Evidence {
    /// Reads the log of a gateway, which may be running.
    ///
    /// # Errors
    /// Where the command fails, or prints something that is not a line of JSON for each record.
    pub fn read(gateway: &Gateway) -> Result<Self> {
        let text = gateway.run(&["evidence", "show", "--json"])?;
        let records = text.lines().map(|line| {
            serde_json::from_str(line)
                .map_err(|error| Error::new(format!("not a record ({error}): {line}")))
        });
        Ok(Self { records: records.collect::<Result<_>>()? })
    }

    /// Every record of a kind: `decision`, `outcome`, `policy_swapped`, ...
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.records
            .iter()
            .filter(|record| find(record, "kind").and_then(Value::as_str) == Some(kind))
            .collect()
    }

    /// The decisions about a command, by a part of its normalised text.
    pub fn decisions_about(&self, part: &str) -> Vec<&Value> {
        let about = |record: &&Value| {
            find(record, "command").and_then(Value::as_str).is_some_and(|text| text.contains(part))
        };
        self.of("decision").into_iter().filter(about).collect()
    }

    /// Everything, as one text: for looking for what must not be in it.
    pub fn text(&self) -> String {
        self.records.iter().map(|record| format!("{record}\n")).collect()
    }
}

/// A field of a record, whether it stands in the record itself or in the part that the log wraps.
pub fn find<'a>(record: &'a Value, field: &str) -> Option<&'a Value> {
    record.get(field).or_else(|| record.as_object()?.values().find_map(|inner| inner.get(field)))
}

/// A field of a record as text; empty where it is not there.
pub fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    find(record, field).and_then(Value::as_str).unwrap_or_default()
}
