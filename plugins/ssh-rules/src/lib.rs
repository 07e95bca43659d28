//! Allows, blocks or holds requests of SSH. The first rule that fits decides; where none fits, the answer is block.
//!
//! A rule says which requests it is about (`session`, `exec`, `direct-tcpip`, ...) and narrows down what it can see of each: a
//! rule with `commands` fits no command that it does not name, and one with `destinations` fits no other place. What it says
//! about one kind of request says nothing about the others that it names.
//!
//! A command is fitted by its words, which are there for one plain command only. What is more than that (a pipe, a variable, two
//! commands) can be named as a whole, with `texts`; a policy gets to see it only where its document allows the grade `opaque`.
//!
//! That the subsystem `sftp` may run allows nothing of what it does: each operation is a `file`, fitted by what is done and by the paths,
//! which are those that the target has resolved. Commands of scp's old protocol and of rsync are fitted by `transfers`: their paths
//! are what the command says, whatever links there are.
//!
//! A tunnel to a name is asked about twice: by the name, and, when that is permitted, with the addresses that the gateway finds. Rules with `networks` are about
//! those.
//!
//! A rule that allows something can hide what detectors find in its output (`hide`). That keeps card numbers off screens; it is no
//! boundary against whoever runs commands, because a command can write everything in another way.
//! What it shows can be recorded (`record`), and then goes on only while it is.

mod file;
mod place;
mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Event, Verdict, policy};

pub use crate::{
    file::{Direction, FilePattern, Operation},
    place::{Destination, Network},
    settings::{CommandPattern, Hidden, Request, Rule, Settings},
};

policy! {
    name: "ssh-rules",
    kinds: ["ssh.request"],
    settings: Settings,
    evaluate: evaluate,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(ssh) = event.ssh() else {
        return Verdict::block("ssh-only", "this policy judges SSH only", "");
    };
    let principal = event.principal();
    let fits = |rule: &&Rule| {
        rule.fits(&ssh) && rule.groups.as_ref().is_none_or(|groups| principal.in_any_group(groups))
    };
    match settings.rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        Some((index, rule)) => rule.verdict(&ssh, index),
        None => Verdict::block("no-rule", "no rule allows this request", "ask for a rule that covers it"),
    }
}
