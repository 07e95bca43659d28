//! Structured logs. Fields, not sentences; no statement, no row, no credential at any level.
//!
//! Values whose text a peer chose are logged as `?value` (quoted and escaped), so that one event stays one
//! line and no terminal sequence of a peer reaches an operator's terminal (threats A99).

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter, layer::SubscriberExt as _};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object on each line, for programs.
    Json,
    /// One line for each event, for people.
    Pretty,
}

/// Sends this process's logs to its standard error.
///
/// # Errors
///
/// The filter can not be understood, or logs were set up before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let colour = std::io::stderr().is_terminal();
    let subscriber = subscriber(format, filter, colour, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)
}

/// Builds what [`init`] installs, with any writer.
///
/// # Errors
///
/// The filter can not be understood.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colour: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_new(filter).map_err(|_| TelemetryError::Filter { filter: filter.to_owned() })?;
    let registry = tracing_subscriber::registry().with(filter);
    Ok(match format {
        LogFormat::Json => {
            Box::new(registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)))
        }
        LogFormat::Pretty => {
            Box::new(registry.with(fmt::layer().compact().with_ansi(colour).with_writer(writer)))
        }
    })
}

/// Logs can not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("`{filter}` is not a log filter; write a level like `info`, or `info,gatewright=debug`")]
    Filter {
        /// What was given.
        filter: String,
    },
    /// Someone did it before.
    #[error("logs are set up already")]
    AlreadySet,
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    use gatewright_model::secret::Secret;
    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(format, "trace", false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(captured.0.lock().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_fields() {
        let line = logged(LogFormat::Json, || tracing::warn!(remaining = 3, "retry failed"));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["message"], "retry failed");
        assert_eq!(value["remaining"], 3);
    }

    #[test]
    fn a099_a_secret_is_never_in_a_log() {
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let secret = Secret::new("canary-f3b9");
            let text = logged(format, || tracing::error!(?secret, "target refused the account"));
            assert!(text.contains("Secret(..)"), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a099_a_name_can_not_forge_a_line_or_steer_a_terminal() {
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let name = "x\r\n2026-01-01 INFO all is well\u{1b}[2J";
            let text = logged(format, || tracing::info!(account = ?name, "session opened"));
            assert_eq!(text.trim_end_matches('\n').lines().count(), 1, "{text}");
            assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
        }
    }

    #[test]
    fn a_wrong_filter_is_an_error_that_helps() {
        let error = subscriber(LogFormat::Json, "info,=[", false, io::sink).err().unwrap();
        assert!(error.to_string().contains("like `info`"), "{error}");
    }
}
