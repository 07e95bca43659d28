//! What this version of the gateway knows of the API: everything else is described, and marked (threats A60).
//!
//! Known is what Kubernetes 1.36 serves, and objects of other groups (custom resources): for those a name, a verb and the
//! subresources `status` and `scale` mean the same everywhere. Other subresources of other groups are served by programs
//! that nobody here knows, and may do anything.

use std::sync::Arc;

use gatewright_model::kubernetes::RequestInfo;

/// Why a request is not understood. None: it is.
pub(super) fn why_unknown(info: &RequestInfo, method: &str, parts: &[&str]) -> Option<&'static str> {
    if !info.is_resource_request {
        return path(method, super::trim(parts));
    }
    if info.authorized_verb.is_empty() {
        return Some("the API has no such method");
    }
    if info.authorized_verb.as_ref() == "proxy" {
        return Some("this way to a proxy was given up by Kubernetes");
    }
    if info.name.is_empty() && !info.subresource.is_empty() {
        return Some("the subresource has no object");
    }
    let has_more = info.parts.len() > 3;
    if has_more && &*info.subresource != "proxy" {
        return Some("the path goes on behind the subresource");
    }
    let (group, resource, subresource) = (&*info.api_group, &*info.resource, &*info.subresource);
    let Some((_, resources)) = GROUPS.iter().find(|(name, _)| *name == group) else {
        return custom(info);
    };
    if !is_version(&info.api_version) || group.is_empty() && *info.api_version != *"v1" {
        return Some("the version of the API is not known");
    }
    let Some((_, subresources)) = resources.iter().find(|(name, _)| *name == resource) else {
        return Some("the resource is not known");
    };
    if !subresource.is_empty() && !subresources.contains(&subresource) {
        return Some("the subresource is not known");
    }
    if (group, resource, subresource) == ("", "nodes", "proxy") {
        return kubelet(&info.parts);
    }
    None
}

/// What a kubelet serves behind `nodes/NAME/proxy`.
fn kubelet(parts: &[Arc<str>]) -> Option<&'static str> {
    let known = parts.get(3).is_some_and(|first| KUBELET.contains(&&**first));
    if known { None } else { Some("the path at the node is not known") }
}

fn custom(info: &RequestInfo) -> Option<&'static str> {
    match (&*info.api_prefix, &*info.subresource) {
        ("api", _) => Some("the version of the API is not known"),
        (_, "" | "status" | "scale") => None,
        _ => Some("the subresource of another group is not known"),
    }
}

/// Paths that are no resource: reading of what the server says about itself.
fn path(method: &str, parts: &[&str]) -> Option<&'static str> {
    if !matches!(method, "GET" | "HEAD") {
        return Some("the method does more than read, and the path is no resource");
    }
    let known = matches!(
        parts,
        [] | ["api"]
            | ["api", "v1"]
            | ["apis"]
            | ["apis", _]
            | ["apis", _, _]
            | ["version" | "metrics"]
            | ["openid", "v1", "jwks"]
            | [".well-known", "openid-configuration"]
            | ["openapi", "v2"]
            | ["openapi", "v3", ..]
            | ["healthz" | "livez" | "readyz", ..]
    );
    if known { None } else { Some("the path is no resource, and not known") }
}

/// `v1`, `v2beta1`.
fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.split_once("alpha").or_else(|| rest.split_once("beta")) {
        Some((major, minor)) => is_number(major) && is_number(minor),
        None => is_number(rest),
    }
}

/// First parts of paths (`pkg/kubelet/server/server.go`).
const KUBELET: &[&str] = &[
    "attach",
    "checkpoint",
    "configz",
    "containerLogs",
    "exec",
    "healthz",
    "logs",
    "metrics",
    "pods",
    "portForward",
    "run",
    "runningpods",
    "stats",
];

/// Resources and their subresources.
type Group = (&'static str, &'static [(&'static str, &'static [&'static str])]);

const NONE: &[&str] = &[];
const STATUS: &[&str] = &["status"];
const SCALE: &[&str] = &["scale", "status"];

/// What a kube-apiserver of 1.36 serves, as it says in its discovery documents, and what older ones served under the same
/// names.
const GROUPS: &[Group] = &[
    (
        "",
        &[
            ("bindings", NONE),
            ("componentstatuses", NONE),
            ("configmaps", NONE),
            ("endpoints", NONE),
            ("events", NONE),
            ("limitranges", NONE),
            ("namespaces", &["finalize", "status"]),
            ("nodes", &["proxy", "status"]),
            ("persistentvolumeclaims", STATUS),
            ("persistentvolumes", STATUS),
            (
                "pods",
                &[
                    "attach",
                    "binding",
                    "ephemeralcontainers",
                    "eviction",
                    "exec",
                    "log",
                    "portforward",
                    "proxy",
                    "resize",
                    "status",
                ],
            ),
            ("podtemplates", NONE),
            ("replicationcontrollers", SCALE),
            ("resourcequotas", STATUS),
            ("secrets", NONE),
            ("serviceaccounts", &["token"]),
            ("services", &["proxy", "status"]),
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            ("mutatingadmissionpolicies", NONE),
            ("mutatingadmissionpolicybindings", NONE),
            ("mutatingwebhookconfigurations", NONE),
            ("validatingadmissionpolicies", STATUS),
            ("validatingadmissionpolicybindings", NONE),
            ("validatingwebhookconfigurations", NONE),
        ],
    ),
    ("apiextensions.k8s.io", &[("customresourcedefinitions", STATUS)]),
    ("apiregistration.k8s.io", &[("apiservices", STATUS)]),
    (
        "apps",
        &[
            ("controllerrevisions", NONE),
            ("daemonsets", STATUS),
            ("deployments", SCALE),
            ("replicasets", SCALE),
            ("statefulsets", SCALE),
        ],
    ),
    ("authentication.k8s.io", &[("selfsubjectreviews", NONE), ("tokenreviews", NONE)]),
    (
        "authorization.k8s.io",
        &[
            ("localsubjectaccessreviews", NONE),
            ("selfsubjectaccessreviews", NONE),
            ("selfsubjectrulesreviews", NONE),
            ("subjectaccessreviews", NONE),
        ],
    ),
    ("autoscaling", &[("horizontalpodautoscalers", STATUS)]),
    ("batch", &[("cronjobs", STATUS), ("jobs", STATUS)]),
    ("certificates.k8s.io", &[("certificatesigningrequests", &["approval", "status"])]),
    ("coordination.k8s.io", &[("leases", NONE)]),
    ("discovery.k8s.io", &[("endpointslices", NONE)]),
    ("events.k8s.io", &[("events", NONE)]),
    ("flowcontrol.apiserver.k8s.io", &[("flowschemas", STATUS), ("prioritylevelconfigurations", STATUS)]),
    (
        "networking.k8s.io",
        &[
            ("ingressclasses", NONE),
            ("ingresses", STATUS),
            ("ipaddresses", NONE),
            ("networkpolicies", NONE),
            ("servicecidrs", STATUS),
        ],
    ),
    ("node.k8s.io", &[("runtimeclasses", NONE)]),
    ("policy", &[("poddisruptionbudgets", STATUS)]),
    (
        "rbac.authorization.k8s.io",
        &[("clusterrolebindings", NONE), ("clusterroles", NONE), ("rolebindings", NONE), ("roles", NONE)],
    ),
    (
        "resource.k8s.io",
        &[
            ("deviceclasses", NONE),
            ("resourceclaims", STATUS),
            ("resourceclaimtemplates", NONE),
            ("resourceslices", NONE),
        ],
    ),
    ("scheduling.k8s.io", &[("priorityclasses", NONE)]),
    (
        "storage.k8s.io",
        &[
            ("csidrivers", NONE),
            ("csinodes", NONE),
            ("csistoragecapacities", NONE),
            ("storageclasses", NONE),
            ("volumeattachments", STATUS),
            ("volumeattributesclasses", NONE),
        ],
    ),
];
