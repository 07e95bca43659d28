//! The command line. One file for each command; this file names them and turns their answers into exit
//! codes.

mod access;
mod approvals;
mod check;
mod config;
mod dev;
mod evidence;
mod kubeconfig;
mod login;
mod moment;
mod outline;
mod policy;
mod private_file;
mod revocations;
mod serve;
mod sessions;
mod ssh_config;
mod terminal;
mod token;

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

pub use self::terminal::Terminal;
use crate::config::Config;

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    name = "gatewright",
    version,
    about = "A protocol-aware, programmable security proxy",
    after_help = EXIT_CODES,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the answer is no: an error in a configuration, a failed case, evidence that does not verify
  2  wrong usage
  3  it could not be done: a file, the network or a permission was in the way";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Arguments),
    /// Prove a configuration, its policies and its keys without serving
    Check(check::Arguments),
    /// About the configuration file
    #[command(subcommand)]
    Config(config::Command),
    /// Tokens of the built-in issuer
    #[command(subcommand)]
    Token(token::Command),
    /// Turn a token into a certificate for OpenSSH
    Login(login::Arguments),
    /// Write the configuration with which OpenSSH speaks to a listener
    SshConfig(ssh_config::Arguments),
    /// Print the authority that SSH targets are to trust
    SshAuthority(ssh_config::AuthorityArguments),
    /// Write a kubeconfig with which kubectl speaks to a listener
    Kubeconfig(kubeconfig::Arguments),
    /// Write, build, test and inspect policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Requests that wait for a reviewer
    #[command(subcommand)]
    Approvals(approvals::Command),
    /// Sessions that are open
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Tokens, people and agents that are to be kept out
    #[command(subcommand)]
    Revocations(revocations::Command),
    /// The log of decisions
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Helpers for demos and tests
    #[command(subcommand)]
    Dev(dev::Command),
}

/// Runs the command that `arguments` (with the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>, terminal: &mut Terminal) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` are errors to clap, and go to standard output.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments, terminal),
        Command::Check(arguments) => check::run(&arguments, terminal),
        Command::Config(command) => config::run(&command, terminal),
        Command::Token(command) => token::run(&command, terminal),
        Command::Login(arguments) => login::run(&arguments, terminal),
        Command::SshConfig(arguments) => ssh_config::run(&arguments, terminal),
        Command::SshAuthority(arguments) => ssh_config::authority(&arguments, terminal),
        Command::Kubeconfig(arguments) => kubeconfig::run(&arguments, terminal),
        Command::Policy(command) => policy::run(&command, terminal),
        Command::Approvals(command) => approvals::run(&command, terminal),
        Command::Sessions(command) => sessions::run(&command, terminal),
        Command::Revocations(command) => revocations::run(&command, terminal),
        Command::Evidence(command) => evidence::run(&command, terminal),
        Command::Dev(command) => dev::run(&command, terminal),
    };
    match result {
        Ok(Answer::Done) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(Failure { broken_pipe: true, .. }) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to be done where even this can not be written.
            let _ = terminal.note(failure);
            ExitCode::from(3)
        }
    }
}

/// What a command that could be carried out answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Done, or yes.
    Done,
    /// No, and the terminal says why.
    No,
}

/// Why a command could not be carried out, and what to do.
#[derive(Debug)]
struct Failure {
    message: String,
    remedy: String,
    /// Whoever read the output has had enough.
    broken_pipe: bool,
}

impl Failure {
    fn new(message: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self { message: message.to_string(), remedy: remedy.into(), broken_pipe: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  help: {}", terminal::visible(&self.message), self.remedy)
    }
}

impl From<io::Error> for Failure {
    /// From writing to the terminal.
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self {
            message: format!("can not write the output: {error}"),
            remedy: "write it to another place".to_owned(),
            broken_pipe,
        }
    }
}

/// `--config`, as most commands have it.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file
    #[arg(long, short, value_name = "FILE", default_value = "gatewright.toml", env = "GATEWRIGHT_CONFIG")]
    config: PathBuf,
}

impl ConfigArgument {
    fn path(&self) -> &Path {
        &self.config
    }

    /// Loads it; what is wrong with it goes to the terminal.
    fn load(&self, terminal: &mut Terminal) -> Result<Result<Config, Answer>, Failure> {
        match Config::load(&self.config) {
            Ok(config) => {
                if !config.warnings.is_empty() {
                    terminal.note(config.warnings.render(terminal.colour).trim_end())?;
                }
                Ok(Ok(config))
            }
            Err(errors) => {
                let problems = errors.problems();
                terminal.note(problems.render(terminal.colour))?;
                terminal.note(format_args!(
                    "{}: {}",
                    self.config.display(),
                    count(problems.len(), "problem")
                ))?;
                Ok(Err(Answer::No))
            }
        }
    }
}

/// `1 problem`, `2 problems`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A runtime for commands that speak over the network.
fn block_on<T>(act: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(format_args!("can not start: {error}"), "check the limits of this user (`ulimit -a`)")
    })?;
    Ok(runtime.block_on(act))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }
}
