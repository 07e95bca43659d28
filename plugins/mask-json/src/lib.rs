//! Hides values in JSON answers, and detected values in answers of any text, from everyone who is not in an exempt group.
//!
//! It judges requests of HTTP and of the Kubernetes API, and allows all of them: what must not be asked at all is the
//! business of another policy. What could not be hidden is not answered: the gateway refuses an answer that it can not
//! read.

#[cfg(test)]
mod tests;

use gatewright_policy_sdk::{
    Detector, DetectorMask, Event, JsonMask, Kubernetes, Mask, Method, Verdict, policy,
    settings::{HostPattern, PathPattern, Pattern, RuleName, refuse_empty},
};
use schemars::JsonSchema;
use serde::Deserialize;

policy! {
    name: "mask-json",
    kinds: ["http.request", "kubernetes.request"],
    settings: Settings,
    evaluate: evaluate,
}

/// What is hidden, and from whom not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// All that fit hold together.
    pub rules: Vec<Rule>,
}

/// Answers, and what is hidden in them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule(RuleFields);

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    /// Its name in records and for people. Default: `rule-1`, `rule-2`, ... by its place.
    name: Option<RuleName>,
    /// Answers to requests for these hosts, without ports. Default: any.
    hosts: Option<Vec<HostPattern>>,
    /// Answers to requests for these paths: `*` is one segment, `**` at the end any number of them. Default: any.
    paths: Option<Vec<PathPattern>>,
    /// Answers about these resources of the Kubernetes API: `secrets`, `certificates.cert-manager.io`; a subresource makes no
    /// difference. A rule with resources is about the Kubernetes API only. Default: any.
    resources: Option<Vec<Pattern>>,
    /// Values by JSONPath: `$.ssn`, `$.people[*].email`, `$..password`. For the Kubernetes API a path begins at the object:
    /// `$.data` hides the data of a secret in a list, a watch or a table too. Default: none.
    #[serde(default)]
    values: Vec<Value>,
    /// Kinds of values that are looked for in every text. Default: none.
    #[serde(default)]
    detectors: Vec<Found>,
    /// Members of these groups see everything. Default: none.
    #[serde(default)]
    exempt_groups: Vec<String>,
}

/// Values by their path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Value {
    /// A JSONPath (RFC 9535) of `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*`, `..name` and `..*`.
    path: String,
    /// `"redact"`, `"hash"`, or `{ partial = 4 }` to leave the last 4 characters.
    method: Method,
}

/// A kind of value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Found {
    /// `"card_number"`, `"ssn"` or `"email"`.
    detector: Detector,
    /// `"redact"`, `"hash"`, or `{ partial = 4 }` to leave the last 4 characters.
    method: Method,
}

impl TryFrom<RuleFields> for Rule {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        refuse_empty([
            ("hosts", fields.hosts.as_ref().map(Vec::len)),
            ("paths", fields.paths.as_ref().map(Vec::len)),
            ("resources", fields.resources.as_ref().map(Vec::len)),
        ])?;
        if let Some(wrong) = fields.resources.iter().flatten().find(|resource| !is_a_resource(resource)) {
            return Err(format!(
                "`{}` is no resource: write `secrets`, `deployments.apps` or `*`, without a subresource, which makes no difference",
                wrong.text().escape_debug()
            ));
        }
        if fields.values.is_empty() && fields.detectors.is_empty() {
            return Err("a rule hides something: add `values` or `detectors`".to_owned());
        }
        if let Some(value) = fields.values.iter().find(|value| !value.path.starts_with('$')) {
            return Err(format!("`{}` is not a JSONPath: begin it with `$`", value.path.escape_debug()));
        }
        Ok(Self(fields))
    }
}

impl Rule {
    fn fits(&self, event: &Event) -> bool {
        let Self(rule) = self;
        let kubernetes = event.kubernetes();
        let Some(http) = kubernetes.as_ref().map(Kubernetes::http).or_else(|| event.http()) else {
            return false;
        };
        let (host, path) = (http.host(), http.path());
        rule.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| own.matches(&host)))
            && rule.paths.as_ref().is_none_or(|paths| paths.iter().any(|own| own.matches(&path)))
            && rule.resources.as_ref().is_none_or(|resources| {
                let resource = kubernetes.as_ref().map(full_resource);
                resource.is_some_and(|resource| resources.iter().any(|own| own.matches(&resource)))
            })
    }
}

/// Can a resource of the API have this name? Whoever writes another one would wait for a mask that never comes.
fn is_a_resource(pattern: &Pattern) -> bool {
    let text = pattern.text();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    // `configmaps.v1`: that is a version, and no group.
    let is_version = text
        .split_once('.')
        .and_then(|(_, group)| group.strip_prefix('v'))
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()) && !rest.contains('.'));
    text.bytes().all(plain)
        && !text.starts_with('.')
        && !(pattern.is(text) && (text.ends_with('.') || is_version))
}

fn full_resource(kubernetes: &Kubernetes) -> String {
    let group = kubernetes.api_group();
    let dot = if group.is_empty() { "" } else { "." };
    format!("{}{dot}{group}", kubernetes.resource())
}

/// Judges one request.
pub fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    if event.http().is_none() && event.kubernetes().is_none() {
        return Verdict::block("http-only", "this policy judges HTTP and the Kubernetes API only", "");
    }
    let principal = event.principal();
    let mut mask = Mask::default();
    for (index, rule) in settings.rules.iter().enumerate() {
        if principal.in_any_group(&rule.0.exempt_groups) || !rule.fits(event) {
            continue;
        }
        let name = match &rule.0.name {
            Some(name) => name.as_str().to_owned(),
            // People count from one.
            None => format!("rule-{}", index + 1),
        };
        mask.json.extend(rule.0.values.iter().map(|value| JsonMask {
            path: value.path.clone().into(),
            method: value.method,
            rule: name.clone().into(),
        }));
        mask.detectors.extend(rule.0.detectors.iter().map(|found| DetectorMask {
            detector: found.detector,
            method: found.method,
            rule: name.clone().into(),
        }));
    }
    mask.into()
}
