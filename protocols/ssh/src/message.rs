//! What travels on one channel (RFC 4254 sections 5 and 6).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use gatewright_model::recording;

/// A message of a channel.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// From the client, and first: what kind of channel it wants.
    Open(Open),
    /// To the client: the channel is open.
    Accepted,
    /// To the client, in place of it: the channel is not opened, and this is what it may be told.
    Refused(Arc<str>),
    /// A request about the channel.
    Request {
        /// What is asked for.
        request: Request,
        /// Does the sender wait for a reply?
        want_reply: bool,
    },
    /// The reply to the oldest request that has none: it was done.
    Success,
    /// The reply to the oldest request that has none: it was not done.
    Failure,
    /// Data.
    Data(Bytes),
    /// Data of another stream, by its number. 1 is the standard error.
    ExtendedData(u32, Bytes),
    /// What ran has ended with this status.
    ExitStatus(u32),
    /// What ran was ended by a signal.
    ExitSignal {
        /// Its name without `SIG`.
        signal: Arc<str>,
        /// Did it leave a core dump?
        core_dumped: bool,
        /// What is said of it.
        message: Arc<str>,
    },
    /// The sender sends no more data.
    Eof,
}

/// The number of the standard error (section 5.2).
pub const STDERR: u32 = 1;

/// What a client opens: kinds of channels, and what the server is to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// `session`.
    Session,
    /// `direct-tcpip`: a connection from the server to somewhere else.
    DirectTcpip {
        /// Where to.
        host: Arc<str>,
        /// The port there.
        port: u32,
        /// Where the client says that its own connection comes from.
        originator: (Arc<str>, u32),
    },
    /// `direct-streamlocal@openssh.com`.
    DirectStreamlocal {
        /// The path of the socket.
        path: Arc<str>,
    },
    /// `tcpip-forward` (section 7.1), which is no channel: the server is to listen, until this is closed.
    TcpipForward {
        /// The server's address.
        address: Arc<str>,
        /// The server's port; 0: any.
        port: u32,
    },
    /// `streamlocal-forward@openssh.com`, likewise.
    StreamlocalForward {
        /// The path of the socket.
        path: Arc<str>,
    },
}

/// Requests about a channel (section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `pty-req`.
    Pty {
        /// `TERM`.
        terminal: Arc<str>,
        /// Its size.
        size: Size,
        /// Encoded modes, by number (section 8).
        modes: Arc<[(u8, u32)]>,
    },
    /// `env`.
    Env {
        /// The variable.
        name: Arc<str>,
        /// Its value.
        value: Arc<str>,
    },
    /// `exec`: the text for the account's shell.
    Exec(Bytes),
    /// `shell`.
    Shell,
    /// `subsystem`.
    Subsystem(Arc<str>),
    /// `signal`: its name without `SIG`.
    Signal(Arc<str>),
    /// `window-change`: the terminal has another size.
    WindowChange(Size),
    /// `auth-agent-req@openssh.com`.
    AgentForwarding,
    /// `x11-req` (section 6.3.1).
    X11 {
        /// Only one connection is to be led on.
        single_connection: bool,
        /// How a program proves that it may show something.
        protocol: Arc<str>,
        /// What it proves it with.
        cookie: Arc<str>,
        /// Which screen.
        screen: u32,
    },
    /// Another one, by its name.
    Other(Arc<str>),
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Columns of characters.
    pub columns: u32,
    /// Rows of characters.
    pub rows: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Size {
    /// What a recording says of it. A terminal without a size has the usual one.
    pub fn of_characters(self) -> recording::Size {
        let Self { columns, rows, .. } = self;
        if columns == 0 || rows == 0 {
            recording::Size::default()
        } else {
            recording::Size { columns, rows }
        }
    }
}

impl Message {
    /// How many bytes of it are no data: of requests, that a peer may send without asking.
    pub fn said(&self) -> usize {
        let Self::Request { request, .. } = self else { return 0 };
        match request {
            Request::Pty { terminal, modes, .. } => terminal.len() + 8 * modes.len(),
            Request::Env { name, value } => name.len() + value.len(),
            Request::Exec(text) => text.len(),
            Request::Subsystem(name) | Request::Signal(name) | Request::Other(name) => name.len(),
            Request::X11 { protocol, cookie, .. } => protocol.len() + cookie.len(),
            Request::Shell | Request::WindowChange(_) | Request::AgentForwarding => 0,
        }
    }

    /// How many bytes of a channel's window it takes (section 5.2).
    pub fn window(&self) -> usize {
        match self {
            Self::Data(data) | Self::ExtendedData(_, data) => data.len(),
            _ => 0,
        }
    }
}

/// Of data its size, of a command and a variable nothing: both may hold a secret (promise P7).
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(open) => f.debug_tuple("Open").field(open).finish(),
            Self::Accepted => f.write_str("Accepted"),
            Self::Refused(_) => f.write_str("Refused"),
            Self::Request { request, want_reply } => {
                let name = match request {
                    Request::Pty { .. } => "pty-req",
                    Request::Env { .. } => "env",
                    Request::Exec(_) => "exec",
                    Request::Shell => "shell",
                    Request::Subsystem(_) => "subsystem",
                    Request::Signal(_) => "signal",
                    Request::WindowChange(_) => "window-change",
                    Request::AgentForwarding => "auth-agent-req",
                    Request::X11 { .. } => "x11-req",
                    Request::Other(_) => "other",
                };
                f.debug_tuple("Request").field(&name).field(want_reply).finish()
            }
            Self::Success => f.write_str("Success"),
            Self::Failure => f.write_str("Failure"),
            Self::Data(data) => f.debug_tuple("Data").field(&data.len()).finish(),
            Self::ExtendedData(stream, data) => {
                f.debug_tuple("ExtendedData").field(stream).field(&data.len()).finish()
            }
            Self::ExitStatus(status) => f.debug_tuple("ExitStatus").field(status).finish(),
            Self::ExitSignal { signal, .. } => f.debug_tuple("ExitSignal").field(signal).finish(),
            Self::Eof => f.write_str("Eof"),
        }
    }
}
