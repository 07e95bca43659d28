//! `gatewright config`

use clap::Subcommand;

use super::{Answer, Failure, Terminal};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the reference of every setting, as Markdown
    Reference,
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    match command {
        Command::Reference => terminal.line(crate::config::reference().trim_end())?,
    }
    Ok(Answer::Done)
}
