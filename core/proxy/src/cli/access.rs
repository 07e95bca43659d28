//! How commands of reviewers and operators reach the admin listener.

mod client;

use std::{env, path::PathBuf};

use gatewright_model::secret::Secret;
use serde_json::Value;

use self::client::Client;
use super::{Failure, block_on};
use crate::config::read_private;

/// An id that goes into a path: only what can be one. `list` is the command that shows those that there are.
pub(super) fn hex_id<'i>(id: &'i str, digits: usize, what: &str, list: &str) -> Result<&'i str, Failure> {
    if id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id);
    }
    Err(Failure::new(
        format_args!("`{id}` is not the id of {what}"),
        format!("an id has {digits} hex digits: see `{list}`"),
    ))
}

/// Where the admin listener is, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// The admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901", env = "GATEWRIGHT_ADMIN")]
    admin: String,
    /// Certificate authorities (PEM) to verify an https listener against, instead of the system's
    #[arg(long, value_name = "FILE", env = "GATEWRIGHT_ADMIN_CA")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    token: TokenArgument,
}

/// `--token-file`
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgument {
    /// File with your token; without it, the environment variable `GATEWRIGHT_TOKEN` is used
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Access {
    /// Asks, and gives the JSON of the answer.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let client = Client::new(&self.admin, self.ca.as_deref())?;
        let token = self.token.read()?;
        block_on(client.call(method, path, &token, body))?
    }
}

impl TokenArgument {
    /// A token is never an argument: every user of a machine can see the arguments of every process.
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        let remedy = "name a file with `--token-file`, or set GATEWRIGHT_TOKEN, to your token";
        let text = match &self.token_file {
            Some(path) => {
                let bytes = read_private(path).map_err(|error| Failure::new(&error, error.remedy(path)))?;
                String::from_utf8(bytes.to_vec()).ok()
            }
            None => env::var("GATEWRIGHT_TOKEN").ok(),
        };
        match text.as_deref().map(str::trim) {
            Some(token) if !token.is_empty() => Ok(Secret::new(token)),
            _ => Err(Failure::new("there is no token", remedy)),
        }
    }
}

/// A field of an answer, as people read it. Empty where it is not there.
pub(super) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(Value::Array(items)) => {
            let items =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            items.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// The subject, and who acts for it.
pub(super) fn who(request: &Value) -> String {
    let actors = request.get("actors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let actors: Vec<_> = actors.iter().filter_map(Value::as_str).collect();
    let subject = text(request, "subject");
    if actors.is_empty() { subject } else { format!("{subject} through {}", actors.join(", ")) }
}
