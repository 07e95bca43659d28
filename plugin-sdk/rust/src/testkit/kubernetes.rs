//! Kubernetes requests for tests.

use super::{EventBuilder, raw::Facet, raw::Session};

impl EventBuilder {
    /// A request for a resource of the core group, version `v1`. `resource` may name a subresource: `pods/log`. The
    /// HTTP request beside it is a `GET` of a path that nothing depends on: say what a policy reads of it.
    pub fn kubernetes(verb: &str, resource: &str, namespace: &str, name: &str) -> Self {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let url = format!("https://kubernetes.example/api/v1/namespaces/{namespace}/{resource}/{name}");
        let Facet::Http(http) = Self::http("GET", &url).raw.facet else { panic!("HTTP makes HTTP") };
        let kubernetes = raw::Kubernetes {
            http,
            is_resource_request: true,
            verb: verb.to_owned(),
            api_version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..raw::Kubernetes::default()
        };
        let session = Session {
            protocol: "kubernetes",
            listener: "kubernetes".to_owned(),
            target: "demo".to_owned(),
            account: "app".to_owned(),
            attributes: Vec::new(),
        };
        Self::of("kubernetes.request", session, Facet::Kubernetes(Box::new(kubernetes)))
    }

    /// The API group, in place of the core group, and its version.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn api_group(mut self, group: &str, version: &str) -> Self {
        let api = self.api();
        group.clone_into(&mut api.api_group);
        version.clone_into(&mut api.api_version);
        self
    }

    /// What it opens or runs, and the command, where it is one.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn stream(mut self, kind: &str, command: &[&str]) -> Self {
        let api = self.api();
        api.stream_kind = Some(kind.to_owned());
        api.command = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The path behind a proxy.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn stream_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.api().stream_path);
        self
    }

    /// The ports that it names.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn ports(mut self, ports: &[u32]) -> Self {
        self.api().ports = ports.to_vec();
        self
    }

    /// The user whom it asks to be.
    ///
    /// # Panics
    /// Where the event is of another protocol.
    #[must_use]
    pub fn impersonates(mut self, user: &str, groups: &[&str]) -> Self {
        let api = self.api();
        api.impersonated_user = Some(user.to_owned());
        api.impersonated_groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self
    }

    fn api(&mut self) -> &mut raw::Kubernetes {
        match &mut self.raw.facet {
            Facet::Kubernetes(kubernetes) => kubernetes,
            Facet::Sql(_) | Facet::Http(_) | Facet::Ssh(_) => panic!("this is a part of Kubernetes events"),
        }
    }
}

/// Data with the methods of the contract's handle.
#[doc(hidden)]
#[allow(missing_docs)]
pub(super) mod raw {
    use crate::testkit::raw::Http;

    #[derive(Debug, Clone, Default)]
    pub struct Kubernetes {
        pub(in crate::testkit) http: Http,
        pub(super) is_resource_request: bool,
        pub(super) verb: String,
        pub(super) api_group: String,
        pub(super) api_version: String,
        pub(super) resource: String,
        pub(super) subresource: String,
        pub(super) namespace: String,
        pub(super) name: String,
        pub(super) stream_kind: Option<String>,
        pub(super) stream_path: String,
        pub(super) command: Vec<String>,
        pub(super) ports: Vec<u32>,
        pub(super) impersonated_user: Option<String>,
        pub(super) impersonated_groups: Vec<String>,
    }

    impl Kubernetes {
        pub(crate) fn http(&self) -> Http {
            self.http.clone()
        }

        pub(crate) fn is_resource_request(&self) -> bool {
            self.is_resource_request
        }

        pub(crate) fn verb(&self) -> String {
            self.verb.clone()
        }

        pub(crate) fn api_group(&self) -> String {
            self.api_group.clone()
        }

        pub(crate) fn api_version(&self) -> String {
            self.api_version.clone()
        }

        pub(crate) fn resource(&self) -> String {
            self.resource.clone()
        }

        pub(crate) fn subresource(&self) -> String {
            self.subresource.clone()
        }

        pub(crate) fn namespace(&self) -> String {
            self.namespace.clone()
        }

        pub(crate) fn name(&self) -> String {
            self.name.clone()
        }

        pub(crate) fn label_selector(&self) -> String {
            self.http.query("labelSelector").unwrap_or_default()
        }

        pub(crate) fn field_selector(&self) -> String {
            self.http.query("fieldSelector").unwrap_or_default()
        }

        pub(crate) fn is_dry_run(&self) -> bool {
            self.http.query("dryRun").as_deref() == Some("All")
        }

        pub(crate) fn patch_kind(&self) -> String {
            let kind = match self.http.media_type().as_deref() {
                Some("application/json-patch+json") => "json",
                Some("application/merge-patch+json") => "merge",
                Some("application/strategic-merge-patch+json") => "strategic-merge",
                Some("application/apply-patch+yaml") => "apply",
                _ => "",
            };
            kind.to_owned()
        }

        pub(crate) fn stream_kind(&self) -> Option<String> {
            self.stream_kind.clone()
        }

        pub(crate) fn command_count(&self) -> u32 {
            self.command.len() as u32
        }

        pub(crate) fn command(&self, index: u32) -> String {
            self.command[index as usize].clone()
        }

        pub(crate) fn stream_by_node(&self) -> bool {
            self.resource == "nodes"
        }

        pub(crate) fn stream_namespace(&self) -> String {
            self.namespace.clone()
        }

        pub(crate) fn stream_name(&self) -> String {
            self.name.clone()
        }

        pub(crate) fn stream_path(&self) -> String {
            self.stream_path.clone()
        }

        pub(crate) fn container(&self) -> String {
            self.http.query("container").unwrap_or_default()
        }

        pub(crate) fn stdin(&self) -> bool {
            self.http.query("stdin").as_deref() == Some("true")
        }

        pub(crate) fn tty(&self) -> bool {
            self.http.query("tty").as_deref() == Some("true")
        }

        pub(crate) fn port_count(&self) -> u32 {
            self.ports.len() as u32
        }

        pub(crate) fn port(&self, index: u32) -> u32 {
            self.ports[index as usize]
        }

        pub(crate) fn impersonated_user(&self) -> Option<String> {
            self.impersonated_user.clone()
        }

        pub(crate) fn impersonated_group_count(&self) -> u32 {
            self.impersonated_groups.len() as u32
        }

        pub(crate) fn impersonated_group(&self, index: u32) -> String {
            self.impersonated_groups[index as usize].clone()
        }
    }
}
