//! The settings. `gatewright policy inspect` prints them as a JSON schema.

use std::net::IpAddr;

use gatewright_policy_sdk::{
    Detector, DetectorMask, Mask, Method, Ssh, Verdict,
    settings::{Answer, AnswerFields, Decision, Pattern, Quorum, RuleName, Sentence, Ttl, refuse_empty},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    file::{Direction, FilePattern, Files, Operation},
    place::{Destination, Network},
};

/// Which requests are allowed, blocked or held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The first one that fits decides. A request that none fits is blocked.
    pub rules: Vec<Rule>,
}

/// Requests, and what becomes of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule {
    pub(crate) name: Option<RuleName>,
    requests: Vec<Request>,
    commands: Option<Vec<CommandPattern>>,
    texts: Option<Vec<String>>,
    subsystems: Option<Vec<Pattern>>,
    files: Files,
    variables: Option<Vec<Pattern>>,
    destinations: Option<Vec<Destination>>,
    networks: Option<Vec<Network>>,
    sockets: Option<Vec<Pattern>>,
    terminal: Option<bool>,
    pub(crate) groups: Option<Vec<String>>,
    hide: Option<Vec<Hidden>>,
    record: bool,
    answer: Answer,
}

impl Rule {
    /// The answer to a request that it fits. It stands at this place, from 0.
    pub(crate) fn verdict(&self, ssh: &Ssh, index: usize) -> Verdict {
        let writes = WRITES.iter().any(|own| own.as_str() == ssh.request());
        let verdict = match &self.hide {
            Some(hide) if writes => {
                let name = match &self.name {
                    Some(name) => name.as_str().to_owned(),
                    None => format!("rule-{}", index + 1),
                };
                let detectors = hide.iter().map(|hidden| DetectorMask {
                    detector: hidden.detector,
                    method: hidden.method,
                    rule: name.clone().into(),
                });
                Mask { detectors: detectors.collect(), ..Mask::default() }.into()
            }
            _ => self.answer.verdict(self.name.as_ref(), index),
        };
        if self.record && writes { verdict.recorded() } else { verdict }
    }

    pub(crate) fn fits(&self, ssh: &Ssh) -> bool {
        let request = ssh.request();
        if !self.requests.iter().any(|own| own.as_str() == request)
            || self.terminal.is_some_and(|terminal| terminal != ssh.terminal().is_some())
        {
            return false;
        }
        let any = |patterns: &Option<Vec<Pattern>>, word: &str| {
            patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|own| own.matches(word)))
        };
        match &*request {
            "exec" => self.fits_command(ssh),
            "subsystem" => any(&self.subsystems, &ssh.name()),
            "file" => self.files.fit(ssh),
            "env" => any(&self.variables, &ssh.name()),
            "direct-tcpip" => self.fits_tunnel(ssh),
            "tcpip-forward" => {
                let (host, port) = (ssh.host(), ssh.port());
                let fits = |own: &Destination| own.matches(&host, port);
                self.destinations.as_ref().is_none_or(|destinations| destinations.iter().any(fits))
            }
            "direct-streamlocal" | "streamlocal-forward" => any(&self.sockets, &ssh.path()),
            _ => true,
        }
    }

    /// A rule that blocks fits where anything fits that the name leads to; another one where all of it does. As long as that is not known, there is nothing
    /// of it that could be blocked, and the rest may wait for it: the gateway asks once more.
    fn fits_tunnel(&self, ssh: &Ssh) -> bool {
        let (host, port, addresses) = (ssh.host(), ssh.port(), ssh.addresses());
        let blocks = matches!(self.answer, Answer::Block { .. });
        let within = |address: &IpAddr| self.networks.iter().flatten().any(|own| own.contains(*address));
        let in_networks = self.networks.is_none()
            || if blocks { addresses.iter().any(within) } else { addresses.iter().all(within) };
        let fits = |own: &Destination| {
            own.matches(&host, port)
                || blocks && addresses.iter().any(|address| own.matches(&address.to_string(), port))
        };
        in_networks && self.destinations.as_ref().is_none_or(|destinations| destinations.iter().any(fits))
    }

    fn fits_command(&self, ssh: &Ssh) -> bool {
        if self.commands.is_none() && self.texts.is_none() && !self.files.are_about_commands() {
            return true;
        }
        let words = ssh.words();
        let fits = |own: &CommandPattern| ssh.is_plain() && own.matches(&words);
        self.commands.iter().flatten().any(fits)
            || self.texts.iter().flatten().any(|text| *text == ssh.command())
            || self.files.fit_command(ssh)
    }
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// A channel on which something may be run.
    Session,
    /// A terminal for it.
    Pty,
    /// A variable for it.
    Env,
    /// A command.
    Exec,
    /// The account's shell, and whatever it is told.
    Shell,
    /// A program that the server has a name for, like `sftp`.
    Subsystem,
    /// Something is done with a file, by the subsystem `sftp`.
    File,
    /// A signal for what runs.
    Signal,
    /// A connection from the server to somewhere else.
    DirectTcpip,
    /// A connection to a socket in the server's file system.
    DirectStreamlocal,
    /// Connections to the server are passed to the client.
    TcpipForward,
    /// The same of a socket in the server's file system.
    StreamlocalForward,
    /// What runs may use the client's keys.
    AgentForwarding,
    /// What runs may use the client's display.
    X11,
}

impl Request {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Pty => "pty",
            Self::Env => "env",
            Self::Exec => "exec",
            Self::Shell => "shell",
            Self::Subsystem => "subsystem",
            Self::File => "file",
            Self::Signal => "signal",
            Self::DirectTcpip => "direct-tcpip",
            Self::DirectStreamlocal => "direct-streamlocal",
            Self::TcpipForward => "tcpip-forward",
            Self::StreamlocalForward => "streamlocal-forward",
            Self::AgentForwarding => "agent-forwarding",
            Self::X11 => "x11",
        }
    }
}

/// What writes for people: something can be hidden in that.
const WRITES: &[Request] = &[Request::Exec, Request::Shell, Request::Subsystem];

/// A kind of value that is hidden in what is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// `"card_number"`, `"ssn"` or `"email"`.
    detector: Detector,
    /// `"redact"`, `"hash"`, or `{ partial = 4 }` to leave the last 4 characters.
    method: Method,
}

/// The words of a command: `uptime`, `systemctl status *`, `git-upload-pack repos/*`, `ls **`. A word with `*` at its end is the beginning
/// of a word, of none that has `..` among its parts; `*` alone is any word but an option (`-x`). A last word `**` is any number
/// of words, none included. Other programs of the same name are others: `uptime` is not `/tmp/uptime`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct CommandPattern {
    words: Vec<Pattern>,
    /// More words may follow.
    open: bool,
}

impl CommandPattern {
    fn matches(&self, words: &[String]) -> bool {
        let enough =
            if self.open { words.len() >= self.words.len() } else { words.len() == self.words.len() };
        enough && self.words.iter().zip(words).all(|(own, word)| stands_for(own, word))
    }
}

/// What `*` stands for is what somebody had in mind who wrote it: no option where a word was meant, and nothing outside of a folder.
fn stands_for(own: &Pattern, word: &str) -> bool {
    let is_option = own.text().is_empty() && word.starts_with('-');
    let leaves = !own.text().is_empty() && word.split('/').any(|part| part == "..");
    own.is(word) || (own.matches(word) && !is_option && !leaves)
}

impl TryFrom<String> for CommandPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (rest, open) = match text.strip_suffix("**") {
            Some(rest) if rest.is_empty() || rest.ends_with(' ') => (rest, true),
            _ => (&*text, false),
        };
        let words: Result<Vec<_>, _> =
            rest.split_ascii_whitespace().map(|word| Pattern::try_from(word.to_owned())).collect();
        let words = words.map_err(|_| {
            format!("`{text}` is not a command: write words, with `*` at the end of a word, or `**` at the end of all")
        })?;
        if words.is_empty() && !open {
            return Err("a command has at least one word".to_owned());
        }
        Ok(Self { words, open })
    }
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    /// Its name in records and for people. Default: `rule-1`, `rule-2`, ... by its place.
    name: Option<RuleName>,
    /// What it is about.
    requests: Vec<Request>,
    /// Of `exec`: plain commands, by their words: `uptime`, `systemctl status *`, `ls **`. Default: any, plain or not.
    commands: Option<Vec<CommandPattern>>,
    /// Of `exec`: commands by their whole text, plain or not. Beside `commands`, one of both has to fit. Default: as `commands`.
    texts: Option<Vec<String>>,
    /// Of `exec`: commands that are the other end of `scp -O` or `rsync`, by the way that files go: `read`, `write`. Of `commands`, `texts` and this, one
    /// has to fit. What such a program is told behind its command nobody judges: rsync's filters name files as well, and links lead where they lead. Default: as
    /// `commands`.
    transfers: Option<Vec<Direction>>,
    /// Of `subsystem`: its name: `sftp`. What it may do is a matter of `file`. Default: any.
    subsystems: Option<Vec<Pattern>>,
    /// Of `file`: what is done: `read`, `list`, `write`, `rename`, ... Default: anything.
    operations: Option<Vec<Operation>>,
    /// Of `file`, and of `exec` with `transfers`: `/etc/motd`, `/users/*/notes`, `/srv/**`. Where there are two paths, both have to fit. A transfer
    /// is about everything below its path, so only patterns with `**` fit one. Default: any.
    paths: Option<Vec<FilePattern>>,
    /// Of `file`: only where what was there before is lost (`true`), because a file is emptied or cut, or another takes its name; or only where it is
    /// not (`false`). Default: either.
    replaces: Option<bool>,
    /// Of `env`: the name of the variable: `LANG`, `LC_*`. Default: any.
    variables: Option<Vec<Pattern>>,
    /// Of `direct-tcpip` and `tcpip-forward`: `db.internal:5432`, `*.internal:443`, `*:*`. Default: any.
    destinations: Option<Vec<Destination>>,
    /// Of `direct-tcpip`: the addresses that it leads to, which of a name are those that the gateway finds: all of them lie in one of these networks, or, in a
    /// rule that blocks, one of them does: `10.0.0.0/8`. Beside `destinations`, both have to fit. Default: any.
    networks: Option<Vec<Network>>,
    /// Of `direct-streamlocal` and `streamlocal-forward`: the path of the socket. Default: any.
    sockets: Option<Vec<Pattern>>,
    /// Only where the channel has a terminal (`true`), or where it has none (`false`). Default: either.
    terminal: Option<bool>,
    /// The principal is in any of these. Default: everybody.
    groups: Option<Vec<String>>,
    /// What becomes of the request.
    decision: Decision,
    /// Of `exec`, `shell` and `subsystem` that are allowed: what detectors find in the output is hidden. In files that `sftp`
    /// carries nothing can be, so it is refused with this. Default: nothing.
    hide: Option<Vec<Hidden>>,
    /// Of `exec`, `shell` and `subsystem` that are not blocked: they go on only while what they show is recorded. Files that `sftp`
    /// carries are not, so it is refused with this. Default: false.
    record: Option<bool>,
    /// Of a block or escalation: why, in a sentence that the client reads.
    reason: Option<Sentence>,
    /// Of a block: what to do to get access. Default: nothing.
    remedy: Option<Sentence>,
    /// Of an escalation: groups whose members may decide. Default: the reviewers that the gateway's configuration
    /// names.
    reviewers: Option<Vec<String>>,
    /// Of an escalation: how many different reviewers must approve, 1 to 16. Default: 1.
    quorum: Option<Quorum>,
    /// Of an escalation: how long to wait for them, 1 second to 7 days: `30s`, `10m`, `2h`, `1d`. Default: `10m`.
    ttl: Option<Ttl>,
}

impl TryFrom<RuleFields> for Rule {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        refuse_empty([
            ("requests", Some(fields.requests.len())),
            ("commands", fields.commands.as_ref().map(Vec::len)),
            ("texts", fields.texts.as_ref().map(Vec::len)),
            ("transfers", fields.transfers.as_ref().map(Vec::len)),
            ("subsystems", fields.subsystems.as_ref().map(Vec::len)),
            ("operations", fields.operations.as_ref().map(Vec::len)),
            ("paths", fields.paths.as_ref().map(Vec::len)),
            ("variables", fields.variables.as_ref().map(Vec::len)),
            ("destinations", fields.destinations.as_ref().map(Vec::len)),
            ("networks", fields.networks.as_ref().map(Vec::len)),
            ("sockets", fields.sockets.as_ref().map(Vec::len)),
            ("groups", fields.groups.as_ref().map(Vec::len)),
            ("hide", fields.hide.as_ref().map(Vec::len)),
        ])?;
        let RuleFields {
            name,
            requests,
            commands,
            texts,
            transfers,
            subsystems,
            operations,
            paths,
            replaces,
            variables,
            destinations,
            networks,
            sockets,
            terminal,
            groups,
            decision,
            hide,
            record,
            reason,
            remedy,
            reviewers,
            quorum,
            ttl,
        } = fields;
        // What narrows nothing down was meant for something: somebody believes that it does.
        let about = |wanted: &[Request]| requests.iter().any(|own| wanted.contains(own));
        for (key, is_there, wanted) in [
            ("commands", commands.is_some(), &[Request::Exec][..]),
            ("texts", texts.is_some(), &[Request::Exec]),
            ("transfers", transfers.is_some(), &[Request::Exec]),
            ("subsystems", subsystems.is_some(), &[Request::Subsystem]),
            ("operations", operations.is_some(), &[Request::File]),
            ("paths", paths.is_some() && transfers.is_none(), &[Request::File]),
            ("replaces", replaces.is_some(), &[Request::File]),
            ("variables", variables.is_some(), &[Request::Env]),
            ("destinations", destinations.is_some(), &[Request::DirectTcpip, Request::TcpipForward]),
            ("networks", networks.is_some(), &[Request::DirectTcpip]),
            ("sockets", sockets.is_some(), &[Request::DirectStreamlocal, Request::StreamlocalForward]),
            ("hide", hide.is_some(), WRITES),
            ("record", record.is_some(), WRITES),
        ] {
            if is_there && !about(wanted) {
                let words: Vec<_> =
                    wanted.iter().map(|request| format!("`{}`", request.as_str())).collect();
                return Err(format!("`{key}` belongs to rules about {}", words.join(" or ")));
            }
        }
        if hide.is_some() && decision != Decision::Allow {
            return Err("`hide` belongs to rules that allow".to_owned());
        }
        if record.is_some() && decision == Decision::Block {
            return Err("`record` belongs to rules that allow or escalate".to_owned());
        }
        let answer = AnswerFields { decision, reason, remedy, reviewers, quorum, ttl }.read()?;
        Ok(Self {
            name,
            requests,
            commands,
            texts,
            subsystems,
            files: Files { operations, transfers, paths, replaces },
            variables,
            destinations,
            networks,
            sockets,
            terminal,
            groups,
            hide,
            record: record.unwrap_or_default(),
            answer,
        })
    }
}
