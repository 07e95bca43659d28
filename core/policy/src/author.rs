//! What `gatewright policy new|build|test|inspect|check` do. Printing is the command line's.

mod build;
mod new;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use build::{BuildError, Built, build};
pub use new::{Created, NewError, NewModule, new};

use crate::{
    cases::{self, CaseReader, CaseReport},
    host::Host,
    module::{Module, ModuleError},
    problem::LoadProblem,
    set::PolicySet,
    sources::Sources,
};

/// `test`: runs every case of a document, or of all documents of a folder, through `reader` and the compiled
/// modules.
///
/// # Errors
///
/// The documents can not be loaded. A case that fails is no error: its report says so.
pub fn test(
    path: &Path,
    host: &Host,
    reader: &dyn CaseReader,
) -> Result<Vec<CaseReport>, Vec<LoadProblem>> {
    let limit = host.limits().module;
    let sources = if path.is_dir() {
        Sources::folder(path, limit)
    } else {
        Sources::files(&[PathBuf::from(path)], limit)
    };
    let (policies, problems) = PolicySet::bind(&sources, host);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(policies.iter().flat_map(|policy| cases::run_all(policy, reader)).collect())
}

/// `inspect`: what a module says about itself.
///
/// # Errors
///
/// The file can not be read, or is no module that this gateway can use.
pub fn inspect(file: &Path, host: &Host) -> Result<Arc<Module>, InspectError> {
    let bytes = std::fs::read(file)?;
    Ok(host.module(&bytes)?)
}

/// Why a module can not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file can not be read.
    #[error("can not be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is no module that this gateway can use.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

/// `check`: everything that loading a folder does, without using it.
///
/// # Errors
///
/// Everything that is wrong with any document.
pub fn check(folder: &Path, host: &Host, reader: &dyn CaseReader) -> Result<PolicySet, Vec<LoadProblem>> {
    PolicySet::load(folder, host, reader)
}
