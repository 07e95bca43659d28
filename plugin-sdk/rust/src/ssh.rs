//! A request of a client of SSH, in the words of RFC 4254.
//!
//! ```
//! use gatewright_policy_sdk::{Event, Verdict, testkit::EventBuilder};
//!
//! fn evaluate(event: &Event) -> Verdict {
//!     let Some(ssh) = event.ssh() else {
//!         return Verdict::block("ssh-only", "this policy judges SSH only", "");
//!     };
//!     match &*ssh.request() {
//!         "session" => Verdict::Allow,
//!         // The words are what every shell makes of the text; of what is more than one plain command there are none.
//!         "exec" if ssh.words().first().is_some_and(|program| program == "uptime") => Verdict::Allow,
//!         _ => Verdict::block("uptime-only", "only `uptime` runs here", "ask for a rule that covers it"),
//!     }
//! }
//!
//! assert_eq!(evaluate(&EventBuilder::ssh_exec("uptime -p", Some(&["uptime", "-p"])).event()), Verdict::Allow);
//! assert!(matches!(evaluate(&EventBuilder::ssh_exec("uptime; id", None).event()), Verdict::Block(_)));
//! assert!(matches!(evaluate(&EventBuilder::ssh("shell").event()), Verdict::Block(_)));
//! ```

use std::{fmt, net::IpAddr};

use crate::raw;

/// A request of a client of SSH.
pub struct Ssh(raw::Ssh);

impl Ssh {
    pub(crate) fn new(raw: raw::Ssh) -> Self {
        Self(raw)
    }

    /// `session`, `pty`, `env`, `exec`, `shell`, `subsystem`, `file`, `signal`, `direct-tcpip`, `direct-streamlocal`, `tcpip-forward`,
    /// `streamlocal-forward`, `agent-forwarding`, `x11`.
    pub fn request(&self) -> String {
        self.0.request()
    }

    /// The name of an `env`, a `subsystem` or a `signal`; of a `pty` the kind of terminal. Otherwise empty.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// The value of an `env`. Otherwise empty.
    pub fn value(&self) -> String {
        self.0.value()
    }

    /// Where a `direct-tcpip` leads to, or the server's address of a `tcpip-forward`. Otherwise empty.
    pub fn host(&self) -> String {
        self.0.host()
    }

    /// The port that belongs to it. Otherwise 0.
    pub fn port(&self) -> u32 {
        self.0.port()
    }

    /// The addresses that a `direct-tcpip` leads to. Of a name that was not looked up yet: none. It is when the name was permitted, and then asked about
    /// once more.
    pub fn addresses(&self) -> Vec<IpAddr> {
        (0..self.0.address_count()).filter_map(|index| self.0.address(index).parse().ok()).collect()
    }

    /// The path of a socket; of a `file` its path, as the target has resolved it. Otherwise empty.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// What is done with a `file`: `read`, `write`, `read-write`, `list`, `stat`, `setstat`, `remove`, `rename`, `mkdir`, `rmdir`, `symlink`,
    /// `hardlink`, `readlink`, `realpath`, `statvfs`, `copy`. Otherwise empty.
    pub fn operation(&self) -> String {
        self.0.operation()
    }

    /// The second path of a `rename`, a `hardlink`, a `symlink` and a `copy`. Otherwise none.
    pub fn other_path(&self) -> Option<String> {
        Some(self.0.other_path()).filter(|path| !path.is_empty())
    }

    /// Is a file made that is not there?
    pub fn creates(&self) -> bool {
        self.0.creates()
    }

    /// Is what was there before lost?
    pub fn replaces(&self) -> bool {
        self.0.replaces()
    }

    /// Of an `exec` that is the other end of `scp` or `rsync`: `read` or `write`, and the paths. Otherwise none.
    pub fn transfer(&self) -> Option<(String, Vec<String>)> {
        let direction = Some(self.0.transfer_direction()).filter(|direction| !direction.is_empty())?;
        let paths = (0..self.0.transfer_path_count()).map(|index| self.0.transfer_path(index)).collect();
        Some((direction, paths))
    }

    /// The text of an `exec`. Otherwise empty.
    pub fn command(&self) -> String {
        self.0.command()
    }

    /// Is the text one plain command? If not, only a shell knows what it does.
    pub fn is_plain(&self) -> bool {
        self.0.is_plain()
    }

    /// The words of a plain command; the first one is the program. Otherwise none.
    pub fn words(&self) -> Vec<String> {
        (0..self.0.word_count()).map(|index| self.0.word(index)).collect()
    }

    /// The kind of the terminal that the channel has. None: it has none.
    pub fn terminal(&self) -> Option<String> {
        self.0.terminal()
    }

    /// Variables that were set on the channel before, and their values.
    pub fn variables(&self) -> Vec<(String, String)> {
        (0..self.0.variable_count())
            .map(|index| (self.0.variable_name(index), self.0.variable_value(index)))
            .collect()
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh").field("request", &self.request()).finish_non_exhaustive()
    }
}
