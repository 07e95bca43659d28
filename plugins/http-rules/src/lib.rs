//! Allows, blocks or holds HTTP requests by method, host, path and group. The first rule that fits decides; where
//! none fits, the answer is block.
//!
//! A rule about a method means what the target will do, so a request that asks the target to take it for another
//! method (`X-HTTP-Method-Override` and its like) is blocked. That can be seen in headers and in the query; in a
//! form's body it can not.

mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Escalation, Event, Http, Verdict, policy};

use crate::settings::Answer;
pub use crate::settings::{Decision, Rule, Settings};

policy! {
    name: "http-rules",
    kinds: ["http.request"],
    settings: Settings,
    evaluate: evaluate,
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    let Some(http) = event.http() else {
        return Verdict::block("http-only", "this policy judges HTTP only", "");
    };
    if settings.tells_methods_apart() && !settings.allow_method_override && overrides_method(&http) {
        return Verdict::block(
            "method-override",
            "a request that asks to be taken for another method can not be judged by its own",
            "send the method itself",
        );
    }
    let (method, host, path) = (http.method(), http.host(), http.path());
    let principal = event.principal();
    let fits = |rule: &&Rule| {
        rule.fits(&method, &host, &path)
            && rule.groups.as_ref().is_none_or(|groups| principal.in_any_group(groups))
    };
    match settings.rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        Some((index, rule)) => answer(index, rule),
        None => Verdict::block("no-rule", "no rule allows this request", "ask for a rule that covers it"),
    }
}

/// Every spelling that a well-known framework listens to.
fn overrides_method(http: &Http) -> bool {
    ["x-http-method-override", "x-http-method", "x-method-override"]
        .into_iter()
        .any(|name| http.header(name).is_some())
        || http.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("_method"))
}

fn answer(index: usize, rule: &Rule) -> Verdict {
    let name = match &rule.name {
        Some(name) => name.as_str().to_owned(),
        // People count from one.
        None => format!("rule-{}", index + 1),
    };
    match &rule.answer {
        Answer::Allow => Verdict::Allow,
        Answer::Block { reason, remedy } => Verdict::block(name, reason.text(), remedy.text()),
        Answer::Escalate { reason, reviewers, quorum, ttl } => Verdict::Escalate(Escalation {
            reviewers: reviewers.iter().map(|group| group.clone().into()).collect(),
            quorum: quorum.get(),
            ttl: ttl.get(),
            ..Escalation::new(name, reason.text())
        }),
    }
}
