//! Allows, blocks or holds answers of HTTP and of the Kubernetes API by what their heads say: status, media type, length. The first
//! rule that fits decides; where none fits, the answer is block.
//!
//! It judges no request: which ones are sent is the business of another policy, without which none is. When an answer is
//! judged, its request has run: a block keeps what the target says, and undoes nothing.

mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Event, Kubernetes, Verdict, policy};

pub use crate::settings::{Rule, Settings};

policy! {
    name: "answer-rules",
    kinds: ["http.response", "kubernetes.response"],
    settings: Settings,
    evaluate: evaluate,
}

/// Judges one answer.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let http = event.kubernetes().as_ref().map(Kubernetes::http).or_else(|| event.http());
    let Some((http, answer)) = http.and_then(|http| http.response().map(|answer| (http, answer))) else {
        return Verdict::block("answers-only", "this policy judges answers only", "");
    };
    let (host, path) = (http.host(), http.path());
    let principal = event.principal();
    let fits = |rule: &&Rule| {
        rule.fits_request(&host, &path)
            && rule.fits_answer(&answer)
            && rule.groups.as_ref().is_none_or(|groups| principal.in_any_group(groups))
    };
    match settings.rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        Some((index, rule)) => rule.answer.verdict(rule.name.as_ref(), index),
        None => Verdict::block("no-rule", "no rule allows this answer", "ask for a rule that covers it"),
    }
}
