//! Puts the parts together and runs them until SIGTERM.

use std::sync::Arc;

use crate::config::Config;

/// Runs the gateway until it is told to stop.
///
/// # Errors
///
/// It could not start.
pub async fn run(config: Arc<Config>) -> Result<(), ServeError> {
    let _ = config;
    Err(ServeError::NotBuilt)
}

/// The gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data path is not part of this build.
    #[error("serving is not part of this build")]
    NotBuilt,
}
