//! A request to the Kubernetes API, in the words of the API server's RequestInfo.
//!
//! ```
//! use gatewright_policy_sdk::{Event, Verdict, testkit::EventBuilder};
//!
//! fn evaluate(event: &Event) -> Verdict {
//!     let Some(kubernetes) = event.kubernetes() else {
//!         return Verdict::block("kubernetes-only", "this policy judges the Kubernetes API only", "");
//!     };
//!     // Whatever the spelling: `kubectl exec`, a POST with SPDY, the kubelet's own API behind `nodes/proxy`.
//!     if kubernetes.stream_kind().is_some() {
//!         return Verdict::block("no-streams", "nobody gets into a container", "ask for a debug session");
//!     }
//!     if kubernetes.verb() == "delete" && kubernetes.namespace() == "prod" {
//!         return Verdict::block("prod", "nothing is deleted in `prod`", "delete it by a release");
//!     }
//!     Verdict::Allow
//! }
//!
//! let exec = EventBuilder::kubernetes("connect", "pods", "demo", "web").stream("exec", &["id"]);
//! assert!(matches!(evaluate(&exec.event()), Verdict::Block(_)));
//! assert_eq!(evaluate(&EventBuilder::kubernetes("get", "pods", "demo", "web").event()), Verdict::Allow);
//! ```

use std::fmt;

use crate::{http::Http, raw};

/// A request to the Kubernetes API.
pub struct Kubernetes(raw::Kubernetes);

impl Kubernetes {
    pub(crate) fn new(raw: raw::Kubernetes) -> Self {
        Self(raw)
    }

    /// The request in the words of HTTP: headers, query, the object in its body, the head of the answer.
    pub fn http(&self) -> Http {
        Http::new(self.0.http())
    }

    /// Is it about a resource? If not, it is about a path: `/version`, `/openapi/v3`.
    pub fn is_resource_request(&self) -> bool {
        self.0.is_resource_request()
    }

    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`, `connect`; of a path
    /// the method in lower case.
    pub fn verb(&self) -> String {
        self.0.verb()
    }

    /// The API group; empty for the core group.
    pub fn api_group(&self) -> String {
        self.0.api_group()
    }

    /// The version of the group.
    pub fn api_version(&self) -> String {
        self.0.api_version()
    }

    /// The resource: `pods`.
    pub fn resource(&self) -> String {
        self.0.resource()
    }

    /// The subresource: `status`. Empty: there is none.
    pub fn subresource(&self) -> String {
        self.0.subresource()
    }

    /// The namespace. Empty: the request is about what has none, or about all of them.
    pub fn namespace(&self) -> String {
        self.0.namespace()
    }

    /// The name of the object. Empty: there is none.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// The label selector as it was sent; empty: there is none.
    pub fn label_selector(&self) -> String {
        self.0.label_selector()
    }

    /// The field selector as it was sent; empty: there is none.
    pub fn field_selector(&self) -> String {
        self.0.field_selector()
    }

    /// Does the query ask the server to change nothing?
    pub fn is_dry_run(&self) -> bool {
        self.0.is_dry_run()
    }

    /// How the body of a `patch` is applied: `json`, `merge`, `strategic-merge`, `apply`; empty for everything else.
    pub fn patch_kind(&self) -> String {
        self.0.patch_kind()
    }

    /// The way into a container, or past the API, that is opened, whatever its spelling: `exec`, `attach`, `portforward`, `run` (a
    /// command through the kubelet's own API), `ephemeralcontainers` (`kubectl debug`), `proxy`. None: none. There may be more
    /// some day: a rule that lists what is allowed refuses what it does not know.
    pub fn stream_kind(&self) -> Option<String> {
        self.0.stream_kind()
    }

    /// Does it go through the kubelet's own API (`nodes/NAME/proxy/...`)?
    pub fn stream_by_node(&self) -> bool {
        self.0.stream_by_node()
    }

    /// The namespace of the pod or service that it leads to.
    pub fn stream_namespace(&self) -> String {
        self.0.stream_namespace()
    }

    /// The pod, service or node that it leads to.
    pub fn stream_name(&self) -> String {
        self.0.stream_name()
    }

    /// Of a proxy, and of what goes by a node: the path there.
    pub fn stream_path(&self) -> String {
        self.0.stream_path()
    }

    /// The words of the command that is run.
    pub fn command(&self) -> Vec<String> {
        (0..self.0.command_count()).map(|index| self.0.command(index)).collect()
    }

    /// The container; empty where the request names none.
    pub fn container(&self) -> String {
        self.0.container()
    }

    /// Does the stream carry standard input?
    pub fn stdin(&self) -> bool {
        self.0.stdin()
    }

    /// Does the stream have a terminal?
    pub fn tty(&self) -> bool {
        self.0.tty()
    }

    /// The ports that a `portforward` names.
    pub fn ports(&self) -> Vec<u32> {
        (0..self.0.port_count()).map(|index| self.0.port(index)).collect()
    }

    /// The user whom the client asks to be.
    pub fn impersonated_user(&self) -> Option<String> {
        self.0.impersonated_user()
    }

    /// The groups that it asks to be in.
    pub fn impersonated_groups(&self) -> Vec<String> {
        (0..self.0.impersonated_group_count()).map(|index| self.0.impersonated_group(index)).collect()
    }
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb();
        let resource = self.resource();
        f.debug_struct("Kubernetes")
            .field("verb", &verb)
            .field("resource", &resource)
            .finish_non_exhaustive()
    }
}
