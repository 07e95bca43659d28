//! What a client of SSH asks for on one channel, in the words of RFC 4254.

mod file;
mod transfer;

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

pub use self::{
    file::{FileAttributes, FileManner, FileOperation, FileVerb},
    transfer::{Direction, Transfer},
};
use crate::sql::Grade;

/// One request of a client, and what was agreed on its channel before.
#[derive(Debug, Clone)]
pub struct SshEvent {
    /// What is asked for.
    pub request: Arc<SshRequest>,
    /// The kind of terminal that the channel has (`xterm`). None: it has none.
    pub terminal: Option<Arc<str>>,
    /// Variables that were set on the channel, in their order. What runs, runs with them.
    pub environment: Vec<(Arc<str>, Arc<str>)>,
}

/// Kinds of requests. The words of [`SshRequest::as_str`] are those of RFC 4254, without the names of vendors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshRequest {
    /// A channel on which something may be run.
    Session,
    /// A terminal for it.
    Pty {
        /// Its kind, as `TERM` has it.
        terminal: Arc<str>,
    },
    /// A variable for it.
    Env {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: Arc<str>,
    },
    /// A command is run by the account's shell.
    Exec(Command),
    /// The account's shell reads what the client types.
    Shell,
    /// A program that the server has a name for.
    Subsystem {
        /// The name: `sftp`.
        name: Arc<str>,
    },
    /// Something is done with a file, by the subsystem `sftp`.
    File(FileOperation),
    /// A signal for what runs.
    Signal {
        /// Its name without `SIG`: `TERM`.
        name: Arc<str>,
    },
    /// A connection from the server to somewhere else.
    DirectTcpip {
        /// Where to: a name or an address, as the client writes it.
        host: Arc<str>,
        /// The port there.
        port: u32,
        /// The addresses that it leads to, of which the target is told one after the other. Of a name: none as long as it was not looked
        /// up, which is done when the name was permitted.
        addresses: Arc<[IpAddr]>,
    },
    /// A connection to a socket in the server's file system.
    DirectStreamlocal {
        /// Its path.
        path: Arc<str>,
    },
    /// Connections to the server are to be passed to the client.
    TcpipForward {
        /// The server's address.
        address: Arc<str>,
        /// The server's port; 0: any.
        port: u32,
    },
    /// The same of a socket in the server's file system.
    StreamlocalForward {
        /// Its path.
        path: Arc<str>,
    },
    /// What runs may use the client's keys.
    AgentForwarding,
    /// What runs may use the client's display.
    X11,
}

/// What a client may ask for at all, as far as its own proof limits it: an SSH certificate does. More is refused before a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRights {
    /// A terminal.
    pub pty: bool,
    /// Connections through the server, in either direction.
    pub port_forwarding: bool,
    /// The client's keys for what runs.
    pub agent_forwarding: bool,
    /// The client's display for what runs.
    pub x11_forwarding: bool,
}

impl ChannelRights {
    /// No limits: policies alone decide.
    pub const ALL: Self =
        Self { pty: true, port_forwarding: true, agent_forwarding: true, x11_forwarding: true };

    /// May this be asked for?
    pub const fn include(self, request: &SshRequest) -> bool {
        match request {
            SshRequest::Pty { .. } => self.pty,
            SshRequest::DirectTcpip { .. }
            | SshRequest::DirectStreamlocal { .. }
            | SshRequest::TcpipForward { .. }
            | SshRequest::StreamlocalForward { .. } => self.port_forwarding,
            SshRequest::AgentForwarding => self.agent_forwarding,
            SshRequest::X11 => self.x11_forwarding,
            _ => true,
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The text, exactly as it is sent. The account's shell reads it, whichever that is.
    pub text: Arc<str>,
    /// The words that every POSIX shell makes of it. None: it is more than one plain command (it expands, joins, redirects, ...), or
    /// nothing at all, and only the shell knows what it does.
    pub words: Option<Vec<Arc<str>>>,
    /// What it copies, where it is a program's other end that does nothing else.
    pub transfer: Option<Transfer>,
}

impl SshRequest {
    /// The word that policies use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Pty { .. } => "pty",
            Self::Env { .. } => "env",
            Self::Exec(_) => "exec",
            Self::Shell => "shell",
            Self::Subsystem { .. } => "subsystem",
            Self::File(_) => "file",
            Self::Signal { .. } => "signal",
            Self::DirectTcpip { .. } => "direct-tcpip",
            Self::DirectStreamlocal { .. } => "direct-streamlocal",
            Self::TcpipForward { .. } => "tcpip-forward",
            Self::StreamlocalForward { .. } => "streamlocal-forward",
            Self::AgentForwarding => "agent-forwarding",
            Self::X11 => "x11",
        }
    }

    /// Every word.
    pub const WORDS: [&'static str; 14] = [
        "session",
        "pty",
        "env",
        "exec",
        "shell",
        "subsystem",
        "file",
        "signal",
        "direct-tcpip",
        "direct-streamlocal",
        "tcpip-forward",
        "streamlocal-forward",
        "agent-forwarding",
        "x11",
    ];

    /// Does it start what the channel is for?
    pub const fn starts(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Shell | Self::Subsystem { .. })
    }
}

impl SshEvent {
    /// The event kind that policies ask for and records carry.
    pub const KIND: &'static str = "ssh.request";

    /// Why it was not understood, where it was not.
    pub fn grade_reason(&self) -> Option<Arc<str>> {
        match &*self.request {
            SshRequest::Exec(Command { words: None, .. }) => Some(Arc::from(
                "the command is more than one plain command: only a shell knows what it does",
            )),
            SshRequest::Shell => Some(Arc::from("what a shell is told is a stream of keys")),
            _ => None,
        }
    }

    /// How well it was understood. What a shell is told nobody can know before.
    pub fn grade(&self) -> Grade {
        if self.grade_reason().is_some() { Grade::Opaque } else { Grade::Verified }
    }

    /// Must its record be on disk before it is forwarded (promise P1)? All that does more than prepare or look does.
    pub fn leaves_a_trace(&self) -> bool {
        match &*self.request {
            SshRequest::Session | SshRequest::Pty { .. } | SshRequest::Env { .. } => false,
            SshRequest::File(operation) => !operation.verb.only_looks(),
            _ => true,
        }
    }

    /// What is asked for in one line that is safe to record: of a command the program, of a variable the name, of files the
    /// paths.
    pub fn summary(&self) -> String {
        let word = self.request.as_str();
        match &*self.request {
            SshRequest::Session | SshRequest::Shell | SshRequest::AgentForwarding | SshRequest::X11 => {
                word.to_owned()
            }
            SshRequest::File(operation) => operation.summary(),
            SshRequest::Pty { terminal } => format!("{word} {terminal}"),
            SshRequest::Env { name, .. } | SshRequest::Subsystem { name } | SshRequest::Signal { name } => {
                format!("{word} {name}")
            }
            SshRequest::Exec(Command { transfer: Some(transfer), .. }) => transfer.summary(),
            SshRequest::Exec(Command { words, .. }) => match words.as_deref() {
                Some([program]) => format!("{word} {program}"),
                Some([program, rest @ ..]) => format!("{word} {program} and {} more words", rest.len()),
                _ => format!("{word} a command of a shell"),
            },
            SshRequest::DirectTcpip { host, port, addresses } => {
                let found: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                match &*found {
                    [] => format!("{word} {host}:{port}"),
                    [own] if **own == **host => format!("{word} {host}:{port}"),
                    found => format!("{word} {host}:{port} at {}", found.join(", ")),
                }
            }
            SshRequest::TcpipForward { address, port } => format!("{word} {address}:{port}"),
            SshRequest::DirectStreamlocal { path } | SshRequest::StreamlocalForward { path } => {
                format!("{word} {path}")
            }
        }
    }

    /// The request as a reviewer must see it: everything that is sent, and what it runs with.
    pub fn full_text(&self) -> String {
        let mut text = match &*self.request {
            SshRequest::Exec(command) => format!("exec\n{}", command.text),
            SshRequest::Env { name, value } => format!("env {name}={value}"),
            SshRequest::File(operation) => operation.full_text(),
            _ => self.summary(),
        };
        if let Some(terminal) = &self.terminal {
            // Writing to a string does not fail.
            let _ = write!(text, "\nwith a terminal: {terminal}");
        }
        for (name, value) in &self.environment {
            let _ = write!(text, "\nwith {name}={value:?}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: SshRequest) -> SshEvent {
        SshEvent { request: Arc::new(request), terminal: None, environment: Vec::new() }
    }

    fn exec(text: &str, words: Option<&[&str]>) -> SshEvent {
        let words = words.map(|words| words.iter().map(|word| Arc::from(*word)).collect());
        event(SshRequest::Exec(Command { text: Arc::from(text), words, transfer: None }))
    }

    #[test]
    fn a_record_has_no_argument_and_a_reviewer_sees_all_of_it() {
        let login = exec("mysql -phunter2", Some(&["mysql", "-phunter2"]));
        assert_eq!(login.summary(), "exec mysql and 1 more words");
        assert_eq!(exec("PASSWORD=hunter2 deploy", None).summary(), "exec a command of a shell");
        let variable = event(SshRequest::Env { name: "TOKEN".into(), value: "hunter2".into() });
        assert_eq!(variable.summary(), "env TOKEN");
        let with = SshEvent {
            terminal: Some("xterm".into()),
            environment: vec![("LD_PRELOAD".into(), "/tmp/\u{202e}x".into())],
            ..login
        };
        assert_eq!(
            with.full_text(),
            "exec\nmysql -phunter2\nwith a terminal: xterm\nwith LD_PRELOAD=\"/tmp/\\u{202e}x\""
        );
    }

    #[test]
    fn only_what_prepares_leaves_no_trace_and_only_what_is_plain_is_verified() {
        assert!(!event(SshRequest::Session).leaves_a_trace());
        assert!(!event(SshRequest::Pty { terminal: "xterm".into() }).leaves_a_trace());
        assert!(exec("id", Some(&["id"])).leaves_a_trace());
        for verb in FileVerb::ALL {
            let file = event(SshRequest::File(FileOperation::new(verb, "/a".into())));
            assert_eq!(file.leaves_a_trace(), !verb.only_looks());
            assert_eq!(file.summary(), format!("file {} /a", verb.as_str()));
        }
        assert_eq!(exec("id", Some(&["id"])).grade(), Grade::Verified);
        assert_eq!(exec("id; id", None).grade(), Grade::Opaque);
        assert_eq!(event(SshRequest::Shell).grade(), Grade::Opaque);
    }
}
