//! The settings. `gatewright policy inspect` prints them as a JSON schema.

use gatewright_policy_sdk::{
    Kubernetes,
    settings::{
        Answer, AnswerFields, Decision, PathPattern, Pattern, Quorum, RuleName, Sentence, Ttl, refuse_empty,
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
}

/// Requests, and what becomes of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "RuleFields")]
#[schemars(with = "RuleFields")]
pub struct Rule {
    pub(crate) name: Option<RuleName>,
    verbs: Option<Vec<Pattern>>,
    resources: Option<Vec<ResourcePattern>>,
    namespaces: Option<Vec<NamePattern>>,
    names: Option<Vec<NamePattern>>,
    paths: Option<Vec<PathPattern>>,
    streams: Option<Vec<StreamKind>>,
    by_node: bool,
    impersonates: Option<Vec<Pattern>>,
    impersonates_groups: Vec<Pattern>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) shows: Option<Vec<Shown>>,
    pub(crate) record: bool,
    pub(crate) answer: Answer,
}

impl Rule {
    pub(crate) fn fits(&self, request: &Kubernetes) -> bool {
        if !self.fits_impersonation(request) {
            return false;
        }
        let verb = request.verb();
        let fits_verb =
            |verb: &str| self.verbs.as_ref().is_none_or(|verbs| verbs.iter().any(|own| own.matches(verb)));
        // Server-side apply makes what is not there.
        if !fits_verb(&verb) || (request.patch_kind() == "apply" && !fits_verb("create")) {
            return false;
        }
        let fits = |patterns: &Option<Vec<NamePattern>>, name: &str| {
            patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|own| own.matches(name)))
        };
        match (request.stream_kind(), &self.streams) {
            (Some(kind), Some(streams)) => {
                let through = !request.stream_by_node() || self.by_node;
                return through
                    && streams.iter().any(|stream| stream.as_str() == kind)
                    && fits(&self.namespaces, &request.stream_namespace())
                    && fits(&self.names, &request.stream_name());
            }
            (None, None) => {}
            _ => return false,
        }
        if !request.is_resource_request() {
            let paths = self.paths.iter().flatten();
            return paths.into_iter().any(|pattern| pattern.matches(&request.http().path()));
        }
        if self.paths.is_some() {
            return false;
        }
        let (resource, subresource, group) =
            (request.resource(), request.subresource(), request.api_group());
        let fits_resource = |pattern: &ResourcePattern| pattern.matches(&resource, &group, &subresource);
        self.resources.as_ref().is_none_or(|resources| resources.iter().any(fits_resource))
            && fits(&self.namespaces, &request.namespace())
            && fits(&self.names, &request.name())
    }
}

impl Rule {
    /// A cluster's own users and groups (`system:...`) are meant by their whole names only: whoever may be anybody is not
    /// to be the cluster's administrator by that.
    fn fits_impersonation(&self, request: &Kubernetes) -> bool {
        let fits = |patterns: &[Pattern], name: &str| {
            let is_whole = |pattern: &&Pattern| !name.starts_with("system:") || pattern.is(name);
            patterns.iter().filter(is_whole).any(|pattern| pattern.matches(name))
        };
        match (request.impersonated_user(), &self.impersonates) {
            (None, None) => true,
            (Some(user), Some(users)) => {
                let groups = request.impersonated_groups();
                fits(users, &user) && groups.iter().all(|group| fits(&self.impersonates_groups, group))
            }
            _ => false,
        }
    }
}

/// The name of a namespace or an object, or the beginning of names with a `*` at its end. The empty one fits requests without a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct NamePattern(Option<Pattern>);

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        self.0.as_ref().map_or(name.is_empty(), |pattern| pattern.matches(name))
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            Ok(Self(None))
        } else {
            Pattern::try_from(text).map(|pattern| Self(Some(pattern)))
        }
    }
}

/// A resource, its group, and a subresource: `secrets`, `deployments.apps`, `pods/log`, `*.apps`, `*`, `*/status`, `*/*`.
/// Without a group it is of the core group, but for `*`, which is of any. Without a subresource it is the object itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct ResourcePattern {
    /// None: any.
    resource: Option<String>,
    /// None: any.
    group: Option<String>,
    /// None: any that there is.
    subresource: Option<String>,
}

impl ResourcePattern {
    fn matches(&self, resource: &str, group: &str, subresource: &str) -> bool {
        let fits = |own: &Option<String>, text: &str| own.as_ref().is_none_or(|own| own == text);
        fits(&self.resource, resource)
            && fits(&self.group, group)
            && match &self.subresource {
                Some(own) => own == subresource,
                None => !subresource.is_empty(),
            }
    }
}

impl TryFrom<String> for ResourcePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let word = |word: &str| {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !word.is_empty() && word.bytes().all(fits)
        };
        let any = |part: &str| (part != "*").then(|| part.to_owned());
        let (object, subresource) = match text.split_once('/') {
            Some((object, subresource)) => (object, any(subresource)),
            None => (&*text, Some(String::new())),
        };
        let (resource, group) = match object.split_once('.') {
            Some((resource, group)) => (any(resource), Some(group.to_owned())),
            None if object == "*" => (None, None),
            None => (Some(object.to_owned()), Some(String::new())),
        };
        let good = resource.as_deref().is_none_or(word)
            && group.as_deref().is_none_or(|group| group.is_empty() || word(group))
            && subresource.as_deref().is_none_or(|part| part.is_empty() || word(part))
            && !text.ends_with(['/', '.']);
        if good {
            Ok(Self { resource, group, subresource })
        } else {
            Err(format!(
                "`{text}` is not a resource: write `secrets`, `deployments.apps`, `pods/log` or `*`"
            ))
        }
    }
}

/// A way into a container, or past the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// Runs a command in a container.
    Exec,
    /// Input and output of the process that a container was started with.
    Attach,
    /// Connections to ports of a pod.
    PortForward,
    /// Runs a command through the kubelet's own API.
    Run,
    /// Adds a container to a running pod (`kubectl debug`).
    EphemeralContainers,
    /// HTTP requests to a pod, a service or a node.
    Proxy,
}

impl StreamKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Run => "run",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Proxy => "proxy",
        }
    }
}

/// Objects that are shown. In each part, `*` stands for any characters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Their namespace. Objects without one have the namespace ``.
    pub(crate) namespace: String,
    /// Their name. Default: any.
    #[serde(default = "any")]
    pub(crate) name: String,
}

fn any() -> String {
    "*".to_owned()
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    /// Its name in records and for people. Default: `rule-1`, `rule-2`, ... by its place.
    name: Option<RuleName>,
    /// Verbs of the API: `get`, `list`, `delete*`. Default: any.
    verbs: Option<Vec<Pattern>>,
    /// Resources: `secrets`, `deployments.apps`, `pods/log`, `*`. Default: any object, any subresource.
    resources: Option<Vec<ResourcePattern>>,
    /// Namespaces: `demo`, `team-*`. The empty one stands for requests that are about all namespaces, or about what has
    /// none. Default: any.
    namespaces: Option<Vec<NamePattern>>,
    /// Names of objects. The empty one stands for requests without a name. Default: any.
    names: Option<Vec<NamePattern>>,
    /// Paths of what is no resource: `/version`, `/openapi/**`. A rule with paths is about nothing else. Default: none.
    paths: Option<Vec<PathPattern>>,
    /// Ways into a container or past the API. A rule with streams is about nothing else, and `namespaces` and `names` are then
    /// those of the pod, service or node that they lead to. Default: none.
    streams: Option<Vec<StreamKind>>,
    /// Also where they go through the kubelet's own API (`nodes/NAME/proxy`)? Default: false.
    by_node: Option<bool>,
    /// Users that the client asks to be: `bob`, `dev-*`. A rule with users is about such requests only, one without is about none
    /// of them. Names that begin with `system:` have to be written whole. Default: none.
    impersonates: Option<Vec<Pattern>>,
    /// Groups that it may ask to be in; with any other one, the rule does not fit. Default: none.
    impersonates_groups: Option<Vec<Pattern>>,
    /// The principal is in any of these. Default: everybody.
    groups: Option<Vec<String>>,
    /// Of a rule that allows: what lists, tables and watches show. Default: everything.
    shows: Option<Vec<Shown>>,
    /// Of a rule about the streams `exec` and `attach` that does not block: they go on only while what they show is recorded.
    /// Default: false.
    record: Option<bool>,
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
            ("verbs", fields.verbs.as_ref().map(Vec::len)),
            ("resources", fields.resources.as_ref().map(Vec::len)),
            ("namespaces", fields.namespaces.as_ref().map(Vec::len)),
            ("names", fields.names.as_ref().map(Vec::len)),
            ("paths", fields.paths.as_ref().map(Vec::len)),
            ("streams", fields.streams.as_ref().map(Vec::len)),
            ("groups", fields.groups.as_ref().map(Vec::len)),
            ("impersonates", fields.impersonates.as_ref().map(Vec::len)),
            ("shows", fields.shows.as_ref().map(Vec::len)),
        ])?;
        let RuleFields {
            name,
            verbs,
            resources,
            namespaces,
            names,
            paths,
            streams,
            by_node,
            impersonates,
            impersonates_groups,
            groups,
            shows,
            record,
            ..
        } = fields.clone();
        if paths.is_some()
            && (resources.is_some() || streams.is_some() || namespaces.is_some() || names.is_some())
        {
            return Err(
                "what has a path has no resource, namespace, name or stream: write two rules".to_owned()
            );
        }
        if streams.is_some() && resources.is_some() {
            return Err("`streams` are about whatever opens them: leave out `resources`".to_owned());
        }
        if by_node.is_some() && streams.is_none() {
            return Err("`by_node` belongs to rules with `streams`".to_owned());
        }
        if shows.is_some() && fields.decision != Decision::Allow {
            return Err("`shows` belongs to rules that allow".to_owned());
        }
        if record.is_some() {
            let shows_something = |kind: &StreamKind| matches!(kind, StreamKind::Exec | StreamKind::Attach);
            if !streams.as_ref().is_some_and(|streams| streams.iter().all(shows_something)) {
                return Err("`record` belongs to rules about `exec` and `attach`: the other streams show nothing that can be recorded, so write another rule for them".to_owned());
            }
            if fields.decision == Decision::Block {
                return Err("`record` belongs to rules that allow or escalate".to_owned());
            }
        }
        let RuleFields { decision, reason, remedy, reviewers, quorum, ttl, .. } = fields;
        let answer = AnswerFields { decision, reason, remedy, reviewers, quorum, ttl }.read()?;
        let by_node = by_node.unwrap_or(false);
        let impersonates_groups = impersonates_groups.unwrap_or_default();
        Ok(Self {
            name,
            verbs,
            resources,
            namespaces,
            names,
            paths,
            streams,
            by_node,
            impersonates,
            impersonates_groups,
            groups,
            shows,
            record: record.unwrap_or_default(),
            answer,
        })
    }
}
