//! The settings. `gatewright policy inspect` prints them as a JSON schema.

use gatewright_policy_sdk::{
    Response,
    settings::{
        Answer, AnswerFields, Decision, HostPattern, PathPattern, Pattern, Quorum, RuleName, Sentence, Ttl,
        refuse_empty,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which answers are allowed, blocked or held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The first one that fits decides. An answer that none fits is blocked.
    pub rules: Vec<Rule>,
}

/// Answers, and what becomes of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule {
    pub(crate) name: Option<RuleName>,
    hosts: Option<Vec<HostPattern>>,
    paths: Option<Vec<PathPattern>>,
    pub(crate) groups: Option<Vec<String>>,
    statuses: Option<Vec<Status>>,
    media_types: Option<Vec<Pattern>>,
    length: Option<Length>,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone, Copy)]
enum Length {
    AtMost(u64),
    MoreThan(u64),
}

/// A status, or all of its class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
struct Status {
    first: u32,
    last: u32,
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (first, last) = match text.strip_suffix("xx") {
            Some(class) => (format!("{class}00"), format!("{class}99")),
            None => (text.clone(), text.clone()),
        };
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if (200..600).contains(&first) => Ok(Self { first, last }),
            _ => Err(format!("`{}` is not a status: write one like `404`, or `4xx`", text.escape_debug())),
        }
    }
}

impl Rule {
    pub(crate) fn fits_request(&self, host: &str, path: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| own.matches(host)))
            && self.paths.as_ref().is_none_or(|paths| paths.iter().any(|own| own.matches(path)))
    }

    /// Does what the answer's head says fit? What it does not say fits whatever is stricter: rules that block or hold,
    /// and none that allows.
    pub(crate) fn fits_answer(&self, answer: &Response) -> bool {
        let allows = matches!(self.answer, Answer::Allow);
        let status = answer.status();
        self.statuses
            .as_ref()
            .is_none_or(|own| own.iter().any(|own| (own.first..=own.last).contains(&status)))
            && self.media_types.as_ref().is_none_or(|own| {
                let said = media_type(answer);
                said.map_or(!allows, |said| own.iter().any(|own| own.matches(&said)))
            })
            && self.length.is_none_or(|own| {
                length(answer).map_or(!allows, |said| match own {
                    Length::AtMost(limit) => said <= limit,
                    Length::MoreThan(limit) => said > limit,
                })
            })
    }
}

/// The media type, where every reader takes it for the same.
fn media_type(answer: &Response) -> Option<String> {
    let value = one(answer, "content-type")?;
    let said = answer.media_type()?;
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
    };
    let (kind, rest) = said.split_once('/')?;
    (is_word(kind) && is_word(rest) && !value.contains(',')).then_some(said)
}

/// How long what is in the answer is. What is coded is longer than its length, and a part of something says little of it.
fn length(answer: &Response) -> Option<u64> {
    let status = answer.status();
    if matches!(status, 204 | 304) {
        return Some(0);
    }
    if status == 206 || answer.header("content-encoding").is_some() {
        return None;
    }
    let said = one(answer, "content-length")?;
    let is_number = said.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { said.parse().ok() } else { None }
}

/// A header that is there once. Of two, nobody knows which one a client takes.
fn one(answer: &Response, name: &str) -> Option<String> {
    let mut values = answer.headers().filter(|(own, _)| own == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    /// Its name in records and for people. Default: `rule-1`, `rule-2`, ... by its place.
    name: Option<RuleName>,
    /// Answers to requests for these hosts, without ports: `api.example`, `*.example`. Default: any.
    hosts: Option<Vec<HostPattern>>,
    /// Answers to requests for these paths: `*` is one segment, `**` at the end any number of them. Default: any.
    paths: Option<Vec<PathPattern>>,
    /// The principal is in any of these. Default: everybody.
    groups: Option<Vec<String>>,
    /// Statuses: `404`, or a class of them, `4xx`. Default: any.
    statuses: Option<Vec<Status>>,
    /// Media types without parameters: `application/json`, `image/*`. An answer that says none, or two, fits rules that
    /// block or escalate, and none that allows. Default: any.
    media_types: Option<Vec<Pattern>>,
    /// The answer says how long it is, and it is at most so many bytes. One that does not say (which is also one that is
    /// coded, like gzip, or a part of something) fits as for `media_types`.
    at_most: Option<u64>,
    /// The answer says how long it is, and it is more bytes than these. One that does not say fits as for `media_types`.
    more_than: Option<u64>,
    /// What becomes of the answer.
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
        refuse_empty([
            ("hosts", fields.hosts.as_ref().map(Vec::len)),
            ("paths", fields.paths.as_ref().map(Vec::len)),
            ("groups", fields.groups.as_ref().map(Vec::len)),
            ("statuses", fields.statuses.as_ref().map(Vec::len)),
            ("media_types", fields.media_types.as_ref().map(Vec::len)),
        ])?;
        let length = match (fields.at_most, fields.more_than) {
            (None, None) => None,
            (Some(limit), None) => Some(Length::AtMost(limit)),
            (None, Some(limit)) => Some(Length::MoreThan(limit)),
            (Some(_), Some(_)) => return Err("a rule has one of `at_most` and `more_than`".to_owned()),
        };
        let RuleFields { name, hosts, paths, groups, statuses, media_types, .. } = fields;
        let RuleFields { decision, reason, remedy, reviewers, quorum, ttl, .. } = fields;
        let answer = AnswerFields { decision, reason, remedy, reviewers, quorum, ttl }.read()?;
        Ok(Self { name, hosts, paths, groups, statuses, media_types, length, answer })
    }
}
