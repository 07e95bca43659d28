//! Kubernetes: the head of an HTTP request, read as an API server reads it.
//!
//! Whom the client wants to be is taken from its headers, as if the operator had let it say so: a policy that wants to
//! judge that can be tested.

use gatewright_kubernetes::dialect;
use gatewright_model::event::{Event, Facet};
use gatewright_policy::HttpCase;

use super::http::{event, http};

/// The event of a Kubernetes case.
pub(super) fn read(case: &HttpCase) -> Result<Event, String> {
    let read = dialect::event(http(case)?);
    let read = read.map_err(|refusal| {
        format!("`{}` would be refused: {} ({})", case.url, refusal.detail, refusal.code)
    })?;
    Ok(event(Facet::Kubernetes(read)))
}

#[cfg(test)]
mod tests {
    use gatewright_model::{
        http::HttpBody,
        kubernetes::{KubernetesEvent, StreamKind},
        sql::Grade,
    };

    use super::*;

    fn case(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<KubernetesEvent, String> {
        let case = HttpCase {
            method: method.to_owned(),
            url: format!("https://k8s.example{path}"),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: HttpBody::Empty,
            route: String::new(),
            route_parameters: Vec::new(),
            response: None,
        };
        match read(&case)?.facet {
            Facet::Kubernetes(kubernetes) => Ok(kubernetes),
            _ => panic!("not Kubernetes"),
        }
    }

    #[test]
    fn a_case_means_what_a_live_request_means() {
        let list = case("GET", "/api/v1/namespaces/demo/secrets?limit=500", &[]).unwrap();
        assert_eq!((&*list.info.verb, &*list.info.resource), ("list", "secrets"));
        assert_eq!(list.summary(), "list secrets in demo");
        let upgrade = [("upgrade", "websocket"), ("sec-websocket-protocol", "v5.channel.k8s.io")];
        let exec = case("GET", "/api/v1/namespaces/demo/pods/web/exec?command=id", &upgrade).unwrap();
        assert_eq!(exec.stream.as_ref().unwrap().kind, StreamKind::Exec);
        assert!(exec.upgrade.is_some());
        assert_eq!(case("GET", "/graphql", &[]).unwrap().grade(), Grade::Opaque);
    }

    #[test]
    fn whom_a_client_wants_to_be_is_part_of_a_case() {
        let bob = case("GET", "/api/v1/nodes", &[("Impersonate-User", "bob")]).unwrap();
        assert_eq!(&*bob.impersonation.unwrap().user, "bob");
        assert!(case("GET", "/api/v1/nodes", &[("Impersonate-Group", "a")]).is_err());
        assert!(case("GET", "/api//v1/nodes", &[]).is_err());
    }
}
