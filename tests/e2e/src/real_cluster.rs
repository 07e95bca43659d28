//! A real API server behind the gateway, where the machine has one.

use gatewright_testbed::{ADMIN_TOKEN, Error, Kubectl, Kubernetes, Result, Stage, manifest};
use serde_json::Value;

use crate::cluster::Cluster;

/// What there is to begin with: the namespace `demo`, and what the cluster itself lets the gateway's principals do. The roles that
/// every cluster has (`view`, `edit`) are made by a controller, and none runs here.
const BEGINNING: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: demo }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: team }
rules:
- { apiGroups: [""], resources: [secrets, configmaps, namespaces], verbs: ["*"] }
- { apiGroups: [demo.example.com], resources: [widgets], verbs: ["*"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: team }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: team }
subjects:
- { apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs }
- { apiGroup: rbac.authorization.k8s.io, kind: Group, name: interns }
- { apiGroup: rbac.authorization.k8s.io, kind: Group, name: vault-admins }
"#;

/// A real API server with the Secret `db-credentials` in `demo`, and a gateway in front of it.
#[derive(Debug)]
pub struct RealCluster {
    /// The server, and the gateway.
    pub cluster: Cluster,
    /// kubectl of who may do everything, past the gateway.
    pub admin: Kubectl,
}

/// A request, as the server's audit log says that it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// The verb of the API.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// Whom the connection's credential belongs to.
    pub user: String,
    /// As whom it was done, where that is somebody else, and its groups.
    pub done_as: Option<(String, Vec<String>)>,
    /// What else is said of whom it was done as, and null where nothing is.
    pub extra: Value,
    /// What it was about (`audit.k8s.io/v1`, `ObjectReference`); null where it was no object.
    pub object: Value,
    /// The status of the answer.
    pub code: u64,
}

impl RealCluster {
    /// Starts all of it; nothing where there is no real server, which is said.
    ///
    /// # Errors
    /// Where something does not start.
    #[expect(
        clippy::print_stdout,
        reason = "whoever reads what a test said is to see that it tested nothing"
    )]
    pub fn open(policies: &[(&str, &str)]) -> Result<Option<Self>> {
        let stage = Stage::new("e2e-real")?;
        let Some(server) = Kubernetes::real(&stage)? else {
            println!("KUBEBUILDER_ASSETS names no kube-apiserver and etcd: no real server is tested");
            return Ok(None);
        };
        let admin = Kubectl::new(&stage, "admin", &server.url(), &server.authority(), ADMIN_TOKEN)?;
        let secret = manifest("db-credentials.yaml").display().to_string();
        let this = Self { cluster: Cluster::in_front_of(server, policies)?, admin };
        this.has(BEGINNING)?;
        this.admin(&["apply", "-f", &secret])?;
        Ok(Some(this))
    }

    /// Makes what a manifest describes, past the gateway.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub fn has(&self, manifest: &str) -> Result<()> {
        let said = self.admin.run_with(&["create", "--validate=false", "-f", "-"], manifest.as_bytes())?;
        if said.code == Some(0) { Ok(()) } else { Err(Error::new(said.err)) }
    }

    /// Runs kubectl past the gateway, and gives what it printed.
    ///
    /// # Errors
    /// Where it fails.
    pub fn admin(&self, arguments: &[&str]) -> Result<String> {
        let said = self.admin.run(arguments)?;
        if said.code == Some(0) { Ok(said.out) } else { Err(Error::new(said.err)) }
    }

    /// What reached the server by the gateway and was answered, in order.
    ///
    /// # Errors
    /// Where its audit log can not be read.
    pub fn audited(&self) -> Result<Vec<Audited>> {
        let lines = self.cluster.server.audit()?;
        let events = lines.iter().map(|line| Audited::read(line)).collect::<Result<Vec<_>>>()?;
        Ok(events.into_iter().flatten().filter(|event| event.done_as.is_some()).collect())
    }
}

impl Audited {
    /// Nothing where it is about the beginning of an answer that goes on.
    fn read(line: &str) -> Result<Option<Self>> {
        let event: Value = serde_json::from_str(line)
            .map_err(|error| Error::new(format!("not a line of the audit log ({error}): {line}")))?;
        let text = |pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        if text("/stage") == "ResponseStarted" {
            return Ok(None);
        }
        let groups = event.pointer("/impersonatedUser/groups").and_then(Value::as_array);
        let groups = groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let is_other = event.get("impersonatedUser").is_some();
        Ok(Some(Self {
            verb: text("/verb"),
            uri: text("/requestURI"),
            user: text("/user/username"),
            done_as: is_other.then(|| (text("/impersonatedUser/username"), groups)),
            extra: event.pointer("/impersonatedUser/extra").cloned().unwrap_or_default(),
            object: event.get("objectRef").cloned().unwrap_or_default(),
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
        }))
    }

    /// In the words in which the gateway records a request for an object: `list configmaps in demo`. Nothing where it is about none.
    pub fn summary(&self) -> Option<String> {
        let field = |name: &str| self.object.get(name).and_then(Value::as_str).unwrap_or_default();
        self.object.as_object()?;
        let mut text = format!("{} {}", self.verb, field("resource"));
        for (before, name) in
            [(".", "apiGroup"), ("/", "subresource"), (" ", "name"), (" in ", "namespace")]
        {
            if !field(name).is_empty() {
                text.push_str(before);
                text.push_str(field(name));
            }
        }
        Some(text)
    }
}
