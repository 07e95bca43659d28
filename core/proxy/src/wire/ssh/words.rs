//! russh's messages of a channel in the words of `protocols/ssh`, and back.

use std::sync::Arc;

use gatewright_ssh::message::{Message, Request, Size};
use russh::{ChannelMsg, Pty};

/// What was said on a channel. None: nothing that anybody is to hear of.
pub(super) fn heard(message: ChannelMsg) -> Option<Message> {
    let request = |request, want_reply| Some(Message::Request { request, want_reply });
    match message {
        ChannelMsg::Data { data } => Some(Message::Data(data)),
        ChannelMsg::ExtendedData { data, ext } => Some(Message::ExtendedData(ext, data)),
        ChannelMsg::Eof => Some(Message::Eof),
        ChannelMsg::Success => Some(Message::Success),
        ChannelMsg::Failure => Some(Message::Failure),
        ChannelMsg::ExitStatus { exit_status } => Some(Message::ExitStatus(exit_status)),
        ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, .. } => {
            Some(Message::ExitSignal {
                signal: Arc::from(signal_name.name()),
                core_dumped,
                message: Arc::from(error_message),
            })
        }
        ChannelMsg::RequestPty {
            want_reply,
            term,
            col_width: columns,
            row_height: rows,
            pix_width: width,
            pix_height: height,
            terminal_modes,
        } => {
            let modes = terminal_modes.iter().map(|(mode, value)| (*mode as u8, *value)).collect();
            let size = Size { columns, rows, width, height };
            request(Request::Pty { terminal: Arc::from(term), size, modes }, want_reply)
        }
        ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => request(
            Request::Env { name: Arc::from(variable_name), value: Arc::from(variable_value) },
            want_reply,
        ),
        ChannelMsg::Exec { want_reply, command } => request(Request::Exec(command.into()), want_reply),
        ChannelMsg::RequestShell { want_reply } => request(Request::Shell, want_reply),
        ChannelMsg::RequestSubsystem { want_reply, name } => {
            request(Request::Subsystem(Arc::from(name)), want_reply)
        }
        ChannelMsg::Signal { signal } => request(Request::Signal(Arc::from(signal.name())), false),
        ChannelMsg::WindowChange {
            col_width: columns,
            row_height: rows,
            pix_width: width,
            pix_height: height,
        } => request(Request::WindowChange(Size { columns, rows, width, height }), false),
        ChannelMsg::AgentForward { want_reply } => request(Request::AgentForwarding, want_reply),
        ChannelMsg::RequestX11 {
            want_reply,
            single_connection,
            x11_authentication_protocol: protocol,
            x11_authentication_cookie: cookie,
            x11_screen_number: screen,
        } => {
            let (protocol, cookie) = (Arc::from(protocol), Arc::from(cookie));
            request(Request::X11 { single_connection, protocol, cookie, screen }, want_reply)
        }
        ChannelMsg::OtherRequest { want_reply, name } => {
            request(Request::Other(Arc::from(name)), want_reply)
        }
        _ => None,
    }
}

/// The modes of a terminal as russh has them. Those without a name are left out, as servers do.
pub(super) fn modes(modes: &[(u8, u32)]) -> Vec<(Pty, u32)> {
    let named = modes.iter().filter_map(|(mode, value)| Some((Pty::from_u8(*mode)?, *value)));
    named.filter(|(mode, _)| *mode != Pty::TTY_OP_END).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_keep_their_numbers() {
        let given = [(1, 3), (53, 1), (0, 0), (255, 9)];
        let back: Vec<_> = modes(&given).iter().map(|(mode, value)| (*mode as u8, *value)).collect();
        assert_eq!(back, [(1, 3), (53, 1)]);
    }
}
