//! One error: what went wrong, and what to do.

use std::{fmt, path::Path, process::Output};

/// The result of setting something up.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and what to do about it.
#[derive(Debug)]
pub struct Error {
    what: String,
    remedy: Option<String>,
}

impl Error {
    /// An error that says what happened.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What happened.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do, if that is known.
    pub fn advice(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  what to do: {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Says which file or program an I/O error is about.
pub(crate) fn about<T>(result: std::io::Result<T>, doing: &str, path: impl AsRef<Path>) -> Result<T> {
    result.map_err(|error| Error::new(format!("{doing} {}: {error}", path.as_ref().display())))
}

/// The standard output of a program that ended well, or an error with what it said.
pub(crate) fn output_of(program: &str, result: std::io::Result<Output>) -> Result<String> {
    let output = about(result, "running", program)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("{program} ended with {}: {} {}", output.status, text.trim(), complaint.trim())))
}
