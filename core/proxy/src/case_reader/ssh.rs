//! SSH: one request on a channel, as a session would ask about it.

use std::sync::Arc;

use gatewright_model::{
    event::{Event, Facet},
    id::EventId,
    ssh::{FileManner, FileOperation, FileVerb, SshEvent, SshRequest},
};
use gatewright_policy::SshCase;
use gatewright_ssh::{command, digest, sftp};

/// The event of an SSH case.
pub(super) fn read(case: &SshCase) -> Result<Event, String> {
    let text = |text: &str| Arc::<str>::from(text);
    let request = match &*case.request {
        "session" => SshRequest::Session,
        "pty" => SshRequest::Pty { terminal: text(&case.name) },
        "env" => SshRequest::Env { name: text(&case.name), value: text(&case.value) },
        "exec" => {
            let command = command::read(case.command.as_bytes());
            SshRequest::Exec(command.ok_or("`command` would be refused: it is not UTF-8")?)
        }
        "shell" => SshRequest::Shell,
        "subsystem" => SshRequest::Subsystem { name: text(&case.name) },
        "signal" => SshRequest::Signal { name: text(&case.name) },
        "direct-tcpip" => direct_tcpip(case),
        "direct-streamlocal" => SshRequest::DirectStreamlocal { path: text(&case.path) },
        "file" => SshRequest::File(file(case)?),
        "tcpip-forward" => SshRequest::TcpipForward { address: text(&case.host), port: case.port.into() },
        "streamlocal-forward" => SshRequest::StreamlocalForward { path: text(&case.path) },
        "agent-forwarding" => SshRequest::AgentForwarding,
        "x11" => SshRequest::X11,
        other => {
            let words = SshRequest::WORDS.join(", ");
            return Err(format!("a client can not send `{other}`: use one of {words}"));
        }
    };
    let about = SshEvent {
        request: Arc::new(request),
        terminal: case.terminal.as_deref().map(text),
        environment: case.variables.iter().map(|(name, value)| (text(name), text(value))).collect(),
    };
    let payload = digest::of(&about);
    Ok(Event { id: EventId::FIRST, payload, facet: Facet::Ssh(about) })
}

/// A tunnel to an address leads there; a name to what it was looked up as, if it was.
fn direct_tcpip(case: &SshCase) -> SshRequest {
    let own = case.host.parse().map(|address| vec![address]).unwrap_or_default();
    let addresses = if case.addresses.is_empty() { own } else { case.addresses.clone() };
    SshRequest::DirectTcpip {
        host: Arc::from(&*case.host),
        port: case.port.into(),
        addresses: addresses.into(),
    }
}

/// An operation of SFTP, with its paths as a target would have resolved them.
fn file(case: &SshCase) -> Result<FileOperation, String> {
    let verb = FileVerb::ALL.into_iter().find(|verb| verb.as_str() == case.operation);
    let verb = verb.ok_or_else(|| {
        let words: Vec<_> = FileVerb::ALL.iter().map(|verb| verb.as_str()).collect();
        format!("`{}` is no operation: use one of {}", case.operation, words.join(", "))
    })?;
    let resolved = |key: &str, path: &str| {
        sftp::canonical(path.as_bytes()).ok_or_else(|| {
            format!("`{key}` is no path that is asked about: write an absolute one without `.`, `..`, `\\` and a `/` at its end")
        })
    };
    let other_path = match (verb.has_two_paths(), &*case.other_path) {
        (true, other) => Some(resolved("other_path", other)?),
        (false, "") => None,
        (false, _) => return Err(format!("`{}` has no `other_path`", case.operation)),
    };
    let manner = FileManner { creates: case.creates, replaces: case.replaces, ..FileManner::default() };
    Ok(FileOperation { other_path, manner, ..FileOperation::new(verb, resolved("path", &case.path)?) })
}

#[cfg(test)]
mod tests {
    use gatewright_model::sql::Grade;

    use super::*;

    #[test]
    fn a_case_means_what_a_live_request_means() {
        let case = |request: &str, command: &str| SshCase {
            request: request.to_owned(),
            command: command.to_owned(),
            variables: vec![("A".to_owned(), "1".to_owned())],
            ..SshCase::default()
        };
        let plain = read(&case("exec", "ls -l")).unwrap();
        assert_eq!((plain.grade(), &*plain.summary()), (Grade::Verified, "exec ls and 1 more words"));
        assert_eq!(plain.full_text(), "exec\nls -l\nwith A=\"1\"");
        assert_eq!(read(&case("exec", "ls; id")).unwrap().grade(), Grade::Opaque);
        assert_eq!(read(&case("shell", "")).unwrap().grade(), Grade::Opaque);
        assert!(read(&case("tun", "")).unwrap_err().contains("can not send `tun`"));
        let copy = read(&case("exec", "scp -r -t /srv/./in")).unwrap();
        assert_eq!(copy.summary(), "exec scp write /srv/in");
        let file = |operation: &str, path: &str, other: &str| {
            let (operation, path, other_path) = (operation.to_owned(), path.to_owned(), other.to_owned());
            let request = "file".to_owned();
            read(&SshCase { request, operation, path, other_path, ..SshCase::default() })
                .map(|event| event.summary().into_owned())
        };
        assert_eq!(file("rename", "/srv/a", "/srv/b c").unwrap(), "file rename /srv/a to \"/srv/b c\"");
        assert!(file("read", "/srv/../etc", "").unwrap_err().contains("no path that is asked about"));
        assert!(file("rename", "/srv/a", "").unwrap_err().contains("`other_path`"));
        assert!(file("read", "/srv/a", "/b").unwrap_err().contains("has no `other_path`"));
        assert!(file("delete", "/srv/a", "").unwrap_err().contains("use one of read, write"));
    }
}
