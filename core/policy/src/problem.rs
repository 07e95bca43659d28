//! Why a policy folder can not be used: every reason at once, each with its place and its remedy.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One reason why a set of policies was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadProblem {
    /// The file to mend.
    pub file: PathBuf,
    /// The line of it, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// What is wrong, without what the document or its module says in it: for those who may not read the policies. None:
    /// the message says it in the host's own words.
    pub brief: Option<String>,
}

impl LoadProblem {
    pub(crate) fn new(
        file: &Path,
        line: Option<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { file: file.to_owned(), line, message: message.into(), remedy: remedy.into(), brief: None }
    }

    pub(crate) fn in_brief(self, brief: impl Into<String>) -> Self {
        Self { brief: Some(brief.into()), ..self }
    }

    /// What is wrong, for those who may not read the policies.
    pub fn brief(&self) -> &str {
        self.brief.as_deref().unwrap_or(&self.message)
    }
}

impl fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadProblem {}
