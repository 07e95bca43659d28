//! The settings. `gatewright policy inspect` prints them as a JSON schema.

use gatewright_policy_sdk::{
    Body, Http, Json,
    settings::{
        Answer, AnswerFields, Decision, HostPattern, PathPattern, Quorum, RuleName, Sentence, Ttl,
        refuse_empty,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which requests are allowed, blocked or held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The first one that fits decides. A request that none fits is blocked.
    pub rules: Vec<Rule>,
    /// May a request ask the target to take it for one of another method with `_method` in the query, though a rule names
    /// methods? Default: false. The headers that ask for it (`X-HTTP-Method-Override` and its like) the gateway itself
    /// refuses, whatever a policy says.
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
    body: Vec<Condition>,
    pub(crate) answer: Answer,
}

impl Rule {
    pub(crate) fn fits(&self, method: &str, host: &str, path: &str) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(|own| own == method))
            && self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| own.matches(host)))
            && self.paths.as_ref().is_none_or(|paths| paths.iter().any(|own| own.matches(path)))
    }

    /// Does what the body says fit? What could not be read fits whatever is stricter: rules that block or hold, and
    /// none that allows.
    pub(crate) fn fits_body(&self, http: &Http) -> bool {
        let allows = matches!(self.answer, Answer::Allow);
        self.body.iter().all(|condition| condition.holds(http).unwrap_or(!allows))
    }
}

/// Something that a JSON body says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ConditionFields")]
#[schemars(with = "ConditionFields")]
pub struct Condition {
    pointer: String,
    wanted: Wanted,
}

#[derive(Debug, Clone)]
enum Wanted {
    OneOf(Vec<String>),
    AtMost(f64),
    MoreThan(f64),
}

/// A condition as it is written: a pointer and one of the others.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConditionFields {
    /// A JSON pointer (RFC 6901) into the body: `/to/iban`.
    pointer: String,
    /// What is there is one of these: the characters of a string, or a number, `true`, `false` or `null` as it is written.
    one_of: Option<Vec<String>>,
    /// What is there is a number, and at most this one.
    at_most: Option<f64>,
    /// What is there is a number, and more than this one.
    more_than: Option<f64>,
}

impl TryFrom<ConditionFields> for Condition {
    type Error = String;

    fn try_from(fields: ConditionFields) -> Result<Self, String> {
        let ConditionFields { pointer, one_of, at_most, more_than } = fields;
        let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !(pointer.is_empty() || pointer.starts_with('/')) || !escapes {
            return Err(format!("`{}` is not a JSON pointer, like `/to/iban`", pointer.escape_debug()));
        }
        let wanted = match (one_of, at_most, more_than) {
            (Some(words), None, None) if !words.is_empty() => Wanted::OneOf(words),
            (None, Some(limit), None) => Wanted::AtMost(limit),
            (None, None, Some(limit)) => Wanted::MoreThan(limit),
            _ => return Err("a condition has one of `one_of`, `at_most` and `more_than`".to_owned()),
        };
        Ok(Self { pointer, wanted })
    }
}

impl Condition {
    /// Is nothing there that a target could take for it: an element of an array in place of an object, a name in other letters?
    fn is_absent(&self, json: &Json<'_>) -> bool {
        let mut at = String::new();
        for segment in self.pointer.split('/').skip(1) {
            match json.kind(&at).as_deref() {
                Some("object") => {}
                Some("array") => return false,
                _ => return true,
            }
            let name = segment.replace("~1", "/").replace("~0", "~");
            if json.keys(&at).any(|key| key != name && key.to_lowercase() == name.to_lowercase()) {
                return false;
            }
            at = format!("{at}/{segment}");
        }
        true
    }

    /// None: the body was not read, or what is there can not be compared.
    fn holds(&self, http: &Http) -> Option<bool> {
        let json = match http.body() {
            // Nothing is there, that is known.
            Body::Empty => return Some(false),
            _ => http.json()?,
        };
        let Some(kind) = json.kind(&self.pointer) else { return self.is_absent(&json).then_some(false) };
        match &self.wanted {
            Wanted::OneOf(words) => Some(words.contains(&json.text(&self.pointer)?)),
            Wanted::AtMost(limit) | Wanted::MoreThan(limit) => {
                let number: f64 = (kind == "number").then(|| json.text(&self.pointer))??.parse().ok()?;
                Some((number <= *limit) == matches!(self.wanted, Wanted::AtMost(_)))
            }
        }
    }
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
    /// What its JSON body says, all of it. A body that could not be read (it is no JSON, or too large) fits rules that
    /// block or escalate, and none that allows. Default: anything.
    body: Option<Vec<Condition>>,
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
        refuse_empty([
            ("methods", fields.methods.as_ref().map(Vec::len)),
            ("hosts", fields.hosts.as_ref().map(Vec::len)),
            ("paths", fields.paths.as_ref().map(Vec::len)),
            ("groups", fields.groups.as_ref().map(Vec::len)),
            ("body", fields.body.as_ref().map(Vec::len)),
        ])?;
        if let Some(method) = fields.methods.iter().flatten().find(|method| !is_method(method)) {
            return Err(format!("`{}` is not a method in capitals", method.escape_debug()));
        }
        let RuleFields {
            name,
            methods,
            hosts,
            paths,
            groups,
            body,
            decision,
            reason,
            remedy,
            reviewers,
            quorum,
            ttl,
        } = fields;
        let answer = AnswerFields { decision, reason, remedy, reviewers, quorum, ttl }.read()?;
        Ok(Self { name, methods, hosts, paths, groups, body: body.unwrap_or_default(), answer })
    }
}

/// A method of small letters would be another method, and a rule about it one that never fires.
fn is_method(method: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !method.is_empty() && method.bytes().all(fits)
}
