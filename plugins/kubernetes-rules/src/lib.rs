//! Allows, blocks or holds requests to the Kubernetes API. The first rule that fits decides; where none fits, the answer is
//! block.
//!
//! Two things are fitted by no rule that does not name them, however wide it is:
//!
//! - the ways into a container and past the API (`exec`, `attach`, `portforward`, `run`, `ephemeralcontainers`, `proxy`),
//!   whatever the request that opens them looks like. A rule about them is about the pod that they lead to, also where they
//!   go through the kubelet's own API, which a rule has to name too (`by_node`);
//! - acting as somebody else (`impersonates`).
//!
//! A rule can show less than what is there (`shows`): lists, tables and watches then have these objects only.
//! What is shown in a container can be recorded (`record`), and goes on only while it is. So are files that are copied out of one
//! (`kubectl cp`), which are output of a command.

mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Event, Mask, ShownObject, Verdict, policy, settings::Answer};

pub use crate::settings::{NamePattern, ResourcePattern, Rule, Settings, Shown, StreamKind};

policy! {
    name: "kubernetes-rules",
    kinds: ["kubernetes.request"],
    settings: Settings,
    evaluate: evaluate,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(kubernetes) = event.kubernetes() else {
        return Verdict::block("kubernetes-only", "this policy judges the Kubernetes API only", "");
    };
    let principal = event.principal();
    let fits = |rule: &&Rule| {
        rule.fits(&kubernetes) && rule.groups.as_ref().is_none_or(|groups| principal.in_any_group(groups))
    };
    match settings.rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        Some((index, rule)) => answer(index, rule),
        None => Verdict::block("no-rule", "no rule allows this request", "ask for a rule that covers it"),
    }
}

fn answer(index: usize, rule: &Rule) -> Verdict {
    match (&rule.answer, &rule.shows) {
        (Answer::Allow, Some(shows)) => {
            let name = match &rule.name {
                Some(name) => name.as_str().to_owned(),
                None => format!("rule-{}", index + 1),
            };
            let objects = shows.iter().map(|shown| ShownObject {
                namespace: shown.namespace.clone().into(),
                name: shown.name.clone().into(),
                rule: name.clone().into(),
            });
            Mask { objects: objects.collect(), ..Mask::default() }.into()
        }
        (answer, _) => {
            let verdict = answer.verdict(rule.name.as_ref(), index);
            if rule.record { verdict.recorded() } else { verdict }
        }
    }
}
