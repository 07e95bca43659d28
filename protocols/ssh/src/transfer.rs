//! Commands with which the clients of scp's old protocol and of rsync start their other end.
//!
//! Said of what is understood to its last word only: with an option that is not listed here, a path may mean something else, or
//! be none of the command's at all (rsync's `-s` sends them later). What copies is then a command like any other.
//!
//! The paths are what the command says. Links on the way are the host's business, and rsync can make some.

use std::sync::Arc;

use gatewright_model::{
    hidden::is_hidden,
    ssh::{Direction, Transfer},
};

/// What the words of a plain command copy.
pub(crate) fn read(words: &[Arc<str>]) -> Option<Transfer> {
    let (program, words) = words.split_first()?;
    match &**program {
        "scp" => scp(words),
        "rsync" => rsync(words),
        _ => None,
    }
}

/// `scp [-r] [-p] [-d] [-v] -t|-f [--] PATH`
fn scp(words: &[Arc<str>]) -> Option<Transfer> {
    let mut direction = None;
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        let Some(options) = word.strip_prefix('-') else { break };
        rest = behind;
        if options == "-" {
            break;
        }
        if options.is_empty() {
            return None;
        }
        for option in options.chars() {
            let says = match option {
                't' => Direction::Write,
                'f' => Direction::Read,
                'r' | 'p' | 'd' | 'v' => continue,
                _ => return None,
            };
            if direction.replace(says).is_some() {
                return None;
            }
        }
    }
    transfer("scp", direction?, rest)
}

/// `rsync --server [--sender] -OPTIONS . PATH`
fn rsync(words: &[Arc<str>]) -> Option<Transfer> {
    /// Options that say how something is copied, and nothing of what: neither other paths, nor that links are followed, nor that the source is
    /// removed.
    const HOW: &str = "vlogDtprznucHAXSWdmOx";
    let (server, mut rest) = words.split_first()?;
    if &**server != "--server" {
        return None;
    }
    let mut direction = Direction::Write;
    if let Some((sender, behind)) = rest.split_first()
        && &**sender == "--sender"
    {
        (direction, rest) = (Direction::Read, behind);
    }
    while let Some((word, behind)) = rest.split_first()
        && let Some(options) = word.strip_prefix('-')
    {
        rest = behind;
        // Behind an `e` it says what the client is capable of.
        let (how, capabilities) = options.split_once('e').unwrap_or((options, "."));
        let is_known = how.chars().all(|option| HOW.contains(option));
        let is_capability = |character: char| character.is_ascii_alphanumeric() || character == '.';
        if options.is_empty()
            || !is_known
            || !capabilities.starts_with('.')
            || !capabilities.chars().all(is_capability)
        {
            return None;
        }
    }
    let (here, paths) = rest.split_first()?;
    if &**here != "." || paths.iter().any(|path| path.starts_with('-')) {
        return None;
    }
    transfer("rsync", direction, paths)
}

fn transfer(program: &'static str, direction: Direction, paths: &[Arc<str>]) -> Option<Transfer> {
    // There is one place to write to.
    if paths.is_empty() || (direction == Direction::Write && paths.len() != 1) {
        return None;
    }
    let paths = paths.iter().map(|path| plain(path)).collect::<Option<_>>()?;
    Some(Transfer { program, direction, paths })
}

/// A path of which there is one reading. None: it is expanded by somebody, or goes up.
fn plain(path: &str) -> Option<Arc<str>> {
    let is_expanded = |character: char| "*?[]{}~$`\\!".contains(character) || is_hidden(character);
    if path.is_empty() || path.contains(is_expanded) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return None;
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let plain = format!("{root}{}", parts.join("/"));
    Some(Arc::from(if plain.is_empty() { "." } else { &plain }))
}

#[cfg(test)]
mod tests {
    use crate::command;

    fn said(text: &str) -> Option<String> {
        let command = command::read(text.as_bytes()).unwrap();
        let transfer = command.transfer?;
        Some(format!("{} {} {}", transfer.program, transfer.direction.as_str(), transfer.paths.join(" ")))
    }

    #[test]
    fn what_clients_send_is_recognised() {
        for (text, expected) in [
            ("scp -t /srv/in", "scp write /srv/in"),
            ("scp -v -r -p -d -t -- -odd", "scp write -odd"),
            ("scp -rf '/srv/a b' /srv/c/./d//", "scp read /srv/a b /srv/c/d"),
            ("scp -f .", "scp read ."),
            ("rsync --server -vlogDtpre.iLsfxCIvu . /srv/in/", "rsync write /srv/in"),
            ("rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv/out notes", "rsync read /srv/out notes"),
        ] {
            assert_eq!(said(text).as_deref(), Some(expected), "{text}");
        }
    }

    /// Threats A46: what is not understood to its last word is a command like any other.
    #[test]
    fn a046_what_may_mean_other_paths_is_not_recognised() {
        for text in [
            "scp",
            "scp -t",
            "scp -f",
            "scp -t -f /srv/a",
            "scp -t /srv/a /srv/b",
            "scp -t /srv/../etc/passwd",
            "scp -f '/srv/*'",
            "scp -f '/srv/[ab]'",
            "scp -f '~root/x'",
            "scp -f '/srv/{a,b}'",
            "scp -f ''",
            "scp -f /srv/a; id",
            "scp -f $HOME",
            "scp -S /tmp/x -f /srv/a",
            "scp -oProxyCommand=id -f /srv/a",
            "scp -f - /srv/a",
            "scp /srv/a /srv/b",
            "/tmp/scp -f /srv/a",
            "rsync -a /srv/a /srv/b",
            "rsync --server -logDtpre.iLsfxCIvu /srv/in",
            "rsync --server -slogDtpre.iLsfxCIvu . /srv/in",
            "rsync --server --sender -L . /srv/in",
            "rsync --server --sender --remove-source-files -r . /srv/out",
            "rsync --server -re/tmp/x . /srv/in",
            "rsync --server -re.i . /srv/in --log-file=/etc/x",
            "rsync --server -re.i . -- /srv/in",
            "rsync --server --daemon .",
            "rsync --sender --server -r . /srv/out",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
