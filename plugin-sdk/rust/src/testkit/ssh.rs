//! Requests of SSH for tests.

use std::net::IpAddr;

use super::{EventBuilder, raw::Facet, raw::Session};
use crate::Grade;

impl EventBuilder {
    /// A request that needs no more than its word: `session`, `shell`, `x11`, ...
    pub fn ssh(request: &str) -> Self {
        let session = Session {
            protocol: "ssh",
            listener: "ssh".to_owned(),
            target: "host".to_owned(),
            account: "app".to_owned(),
            attributes: Vec::new(),
        };
        let ssh = raw::Ssh { request: request.to_owned(), ..raw::Ssh::default() };
        Self::of("ssh.request", session, Facet::Ssh(Box::new(ssh)))
    }

    /// A command, and the words that the gateway makes of it; none where it is more than one plain command, which is also its
    /// grade.
    pub fn ssh_exec(command: &str, words: Option<&[&str]>) -> Self {
        let mut builder = Self::ssh("exec");
        let ssh = builder.ssh_facet();
        command.clone_into(&mut ssh.command);
        ssh.words = words.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        if words.is_none() { builder.grade(Grade::Opaque) } else { builder }
    }

    /// The name and the value of an `env`, a `subsystem`, a `signal` or a `pty`.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn named(mut self, name: &str, value: &str) -> Self {
        let ssh = self.ssh_facet();
        name.clone_into(&mut ssh.name);
        value.clone_into(&mut ssh.value);
        self
    }

    /// Where a `direct-tcpip` or a `tcpip-forward` leads to.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn destination(mut self, host: &str, port: u32) -> Self {
        let ssh = self.ssh_facet();
        host.clone_into(&mut ssh.host);
        ssh.port = port;
        self
    }

    /// The addresses that a `direct-tcpip` leads to: of a name what it was looked up as, of an address itself.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn addresses<const N: usize>(mut self, addresses: [IpAddr; N]) -> Self {
        self.ssh_facet().addresses = addresses.to_vec();
        self
    }

    /// The path of a socket.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn socket(mut self, path: &str) -> Self {
        path.clone_into(&mut self.ssh_facet().path);
        self
    }

    /// An operation on a file; of those with two paths, the second as well.
    pub fn ssh_file(operation: &str, path: &str, other_path: Option<&str>) -> Self {
        let mut builder = Self::ssh("file");
        let ssh = builder.ssh_facet();
        operation.clone_into(&mut ssh.operation);
        path.clone_into(&mut ssh.path);
        other_path.unwrap_or_default().clone_into(&mut ssh.other_path);
        builder
    }

    /// The file is made where there is none.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn creating(mut self) -> Self {
        self.ssh_facet().creates = true;
        self
    }

    /// What was there before is lost.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.ssh_facet().replaces = true;
        self
    }

    /// The command copies these paths, `read` or `write`.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn transfer(mut self, direction: &str, paths: &[&str]) -> Self {
        let ssh = self.ssh_facet();
        direction.clone_into(&mut ssh.direction);
        ssh.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    /// The channel has a terminal.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn terminal(mut self, kind: &str) -> Self {
        self.ssh_facet().terminal = Some(kind.to_owned());
        self
    }

    /// A variable was set on the channel before.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.ssh_facet().variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn ssh_facet(&mut self) -> &mut raw::Ssh {
        match &mut self.raw.facet {
            Facet::Ssh(ssh) => ssh,
            _ => panic!("this is a part of SSH events"),
        }
    }
}

/// Data with the methods of the contract's handle.
#[doc(hidden)]
#[allow(missing_docs)]
pub(super) mod raw {
    use std::net::IpAddr;

    #[derive(Debug, Clone, Default)]
    pub struct Ssh {
        pub(super) request: String,
        pub(super) name: String,
        pub(super) value: String,
        pub(super) host: String,
        pub(super) port: u32,
        pub(super) addresses: Vec<IpAddr>,
        pub(super) path: String,
        pub(super) operation: String,
        pub(super) other_path: String,
        pub(super) creates: bool,
        pub(super) replaces: bool,
        pub(super) direction: String,
        pub(super) paths: Vec<String>,
        pub(super) command: String,
        pub(super) words: Option<Vec<String>>,
        pub(super) terminal: Option<String>,
        pub(super) variables: Vec<(String, String)>,
    }

    impl Ssh {
        pub(crate) fn request(&self) -> String {
            self.request.clone()
        }

        pub(crate) fn name(&self) -> String {
            self.name.clone()
        }

        pub(crate) fn value(&self) -> String {
            self.value.clone()
        }

        pub(crate) fn host(&self) -> String {
            self.host.clone()
        }

        pub(crate) fn port(&self) -> u32 {
            self.port
        }

        pub(crate) fn address_count(&self) -> u32 {
            self.addresses.len() as u32
        }

        pub(crate) fn address(&self, index: u32) -> String {
            self.addresses[index as usize].to_string()
        }

        pub(crate) fn path(&self) -> String {
            self.path.clone()
        }

        pub(crate) fn operation(&self) -> String {
            self.operation.clone()
        }

        pub(crate) fn other_path(&self) -> String {
            self.other_path.clone()
        }

        pub(crate) fn creates(&self) -> bool {
            self.creates
        }

        pub(crate) fn replaces(&self) -> bool {
            self.replaces
        }

        pub(crate) fn transfer_direction(&self) -> String {
            self.direction.clone()
        }

        pub(crate) fn transfer_path_count(&self) -> u32 {
            self.paths.len() as u32
        }

        pub(crate) fn transfer_path(&self, index: u32) -> String {
            self.paths[index as usize].clone()
        }

        pub(crate) fn command(&self) -> String {
            self.command.clone()
        }

        pub(crate) fn is_plain(&self) -> bool {
            self.words.is_some()
        }

        pub(crate) fn word_count(&self) -> u32 {
            self.words.as_ref().map_or(0, |words| words.len() as u32)
        }

        pub(crate) fn word(&self, index: u32) -> String {
            self.words.as_ref().unwrap()[index as usize].clone()
        }

        pub(crate) fn terminal(&self) -> Option<String> {
            self.terminal.clone()
        }

        pub(crate) fn variable_count(&self) -> u32 {
            self.variables.len() as u32
        }

        pub(crate) fn variable_name(&self, index: u32) -> String {
            self.variables[index as usize].0.clone()
        }

        pub(crate) fn variable_value(&self, index: u32) -> String {
            self.variables[index as usize].1.clone()
        }
    }
}
