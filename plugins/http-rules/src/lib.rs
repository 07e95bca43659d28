//! Allows, blocks or holds HTTP requests by method, host, path, group and what a JSON body says. The first rule that fits decides; where
//! none fits, the answer is block.
//!
//! A rule about a method means what the target will do, so a request that asks the target to take it for another
//! method (`X-HTTP-Method-Override` and its like) is blocked. That can be seen in headers and in the query; in a
//! form's body it can not.

mod settings;
#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{Event, Http, Verdict, policy};

pub use crate::settings::{Condition, Rule, Settings};

policy! {
    name: "http-rules",
    kinds: ["http.request"],
    inputs: ["body"],
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
            && rule.fits_body(&http)
            && rule.groups.as_ref().is_none_or(|groups| principal.in_any_group(groups))
    };
    match settings.rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        Some((index, rule)) => rule.answer.verdict(rule.name.as_ref(), index),
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
