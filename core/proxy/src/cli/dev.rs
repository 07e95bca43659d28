//! `gatewright dev`

use std::{path::PathBuf, time::SystemTime};

use clap::Subcommand;

use super::{Answer, Failure, Terminal};
use crate::dev_certificates::{CertificateRequest, write_certificates};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a throwaway certificate authority, and certificates for the gateway and a target
    Certificates {
        /// Folder to write to; it is made if it is not there, and files in it are replaced
        directory: PathBuf,
        /// A name or IP address of the servers beside localhost; may be given several times
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
    },
}

pub(super) fn run(command: &Command, terminal: &mut Terminal) -> Result<Answer, Failure> {
    let Command::Certificates { directory, hosts } = command;
    let mut request = CertificateRequest::localhost(SystemTime::now());
    request.hosts.extend(hosts.iter().cloned());
    let written = write_certificates(directory, &request).map_err(|error| {
        Failure::new(
            error,
            "name a folder that you may write to, and hosts that are DNS names or IP addresses",
        )
    })?;
    let row = |what: &str, paths: &[&PathBuf]| {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        vec![what.to_owned(), paths.join(", ")]
    };
    let rows = vec![
        row("authority to trust", &[&written.ca]),
        row("gateway, for its clients", &[&written.server.0, &written.server.1]),
        row("target's server", &[&written.target.0, &written.target.1]),
        row("gateway, for the target (account app)", &[&written.client.0, &written.client.1]),
    ];
    terminal.table(&["For", "Files"], rows)?;
    Ok(Answer::Done)
}
