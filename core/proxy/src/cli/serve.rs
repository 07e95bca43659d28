//! `gatewright serve`

use std::sync::Arc;

use super::{Answer, ConfigArgument, Failure, Terminal};
use crate::telemetry::{self, LogFormat};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// How log lines look
    #[arg(long, value_enum, default_value = "pretty", env = "GATEWRIGHT_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: a level, or levels by module
    #[arg(long, value_name = "FILTER", default_value = "info", env = "GATEWRIGHT_LOG")]
    log: String,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<Answer, Failure> {
    telemetry::init(arguments.log_format, &arguments.log)
        .map_err(|error| Failure::new(error, "see `gatewright serve --help`"))?;
    let config = match arguments.config.load(terminal)? {
        Ok(config) => Arc::new(config),
        Err(answer) => return Ok(answer),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(HOUSEKEEPERS).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(format_args!("can not start: {error}"), "check the limits of this user (`ulimit -a`)")
    })?;
    runtime.block_on(crate::serve::run(config)).map_err(|error| Failure::new(&error, error.remedy()))?;
    Ok(Answer::Done)
}

/// Threads for what is no client's: the admin listener, the tasks that look after something. Clients have
/// [threads of their own](crate::workers).
const HOUSEKEEPERS: usize = 2;
