//! The settings. `gatewright policy inspect` prints them as a JSON schema.

use gatewright_policy_sdk::settings::{HostPattern, PathPattern, Quorum, RuleName, Sentence, Ttl};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which requests are allowed, blocked or held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The first one that fits decides. A request that none fits is blocked.
    pub rules: Vec<Rule>,
    /// May a request ask the target to take it for one of another method (`X-HTTP-Method-Override`, `_method` in
    /// the query), though a rule names methods? Default: false.
    #[serde(default)]
    pub allow_method_override: bool,
}

impl Settings {
    pub(crate) fn tells_methods_apart(&self) -> bool {
        self.rules.iter().any(|rule| rule.methods.is_some())
    }
}

/// Requests, and what becomes of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule {
    pub(crate) name: Option<RuleName>,
    pub(crate) methods: Option<Vec<String>>,
    hosts: Option<Vec<HostPattern>>,
    paths: Option<Vec<PathPattern>>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) answer: Answer,
}

impl Rule {
    pub(crate) fn fits(&self, method: &str, host: &str, path: &str) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(|own| own == method))
            && self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| own.matches(host)))
            && self.paths.as_ref().is_none_or(|paths| paths.iter().any(|own| own.matches(path)))
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Allow,
    Block { reason: Sentence, remedy: Sentence },
    Escalate { reason: Sentence, reviewers: Vec<String>, quorum: Quorum, ttl: Ttl },
}

/// What a rule does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Forward it.
    Allow,
    /// Refuse it.
    Block,
    /// Hold it until reviewers decide.
    Escalate,
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    /// Its name in records and for people. Default: `rule-1`, `rule-2`, ... by its place.
    name: Option<RuleName>,
    /// Methods in capitals. Default: any.
    methods: Option<Vec<String>>,
    /// Hosts without ports: `api.example`, `*.example`. Default: any.
    hosts: Option<Vec<HostPattern>>,
    /// Paths: `*` is one segment, `**` at the end any number of them. Default: any.
    paths: Option<Vec<PathPattern>>,
    /// The principal is in any of these. Default: everybody.
    groups: Option<Vec<String>>,
    /// What becomes of the request.
    decision: Decision,
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
        // A list that came out empty by mistake must not mean everybody.
        let empty = [
            ("methods", fields.methods.as_ref().is_some_and(Vec::is_empty)),
            ("hosts", fields.hosts.as_ref().is_some_and(Vec::is_empty)),
            ("paths", fields.paths.as_ref().is_some_and(Vec::is_empty)),
            ("groups", fields.groups.as_ref().is_some_and(Vec::is_empty)),
        ];
        if let Some((name, _)) = empty.into_iter().find(|(_, empty)| *empty) {
            return Err(format!("an empty `{name}` fits nothing: leave it out for any"));
        }
        if let Some(method) = fields.methods.iter().flatten().find(|method| !is_method(method)) {
            return Err(format!("`{}` is not a method in capitals", method.escape_debug()));
        }
        let answer = fields.answer()?;
        let RuleFields { name, methods, hosts, paths, groups, .. } = fields;
        Ok(Self { name, methods, hosts, paths, groups, answer })
    }
}

impl RuleFields {
    fn answer(&self) -> Result<Answer, String> {
        let Self { decision, reason, remedy, reviewers, quorum, ttl, .. } = self;
        let (blocks, holds) = (*decision == Decision::Block, *decision == Decision::Escalate);
        let misplaced = [
            ("reason", reason.is_some() && !blocks && !holds, "block or escalate"),
            ("remedy", remedy.is_some() && !blocks, "block"),
            ("reviewers", reviewers.is_some() && !holds, "escalate"),
            ("quorum", quorum.is_some() && !holds, "escalate"),
            ("ttl", ttl.is_some() && !holds, "escalate"),
        ];
        if let Some((name, _, decision)) = misplaced.into_iter().find(|(_, misplaced, _)| *misplaced) {
            return Err(format!("`{name}` belongs to rules that {decision}"));
        }
        let reason_or = |default: &str| match reason {
            Some(reason) => Ok(reason.clone()),
            None => Sentence::try_from(default.to_owned()),
        };
        Ok(match decision {
            Decision::Allow => Answer::Allow,
            Decision::Block => Answer::Block {
                reason: reason_or("this request is not allowed here")?,
                remedy: remedy.clone().unwrap_or_default(),
            },
            Decision::Escalate => Answer::Escalate {
                reason: reason_or("this request needs an approval")?,
                reviewers: reviewers.clone().unwrap_or_default(),
                quorum: quorum.unwrap_or_default(),
                ttl: ttl.unwrap_or_default(),
            },
        })
    }
}

/// A method of small letters would be another method, and a rule about it one that never fires.
fn is_method(method: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !method.is_empty() && method.bytes().all(fits)
}
