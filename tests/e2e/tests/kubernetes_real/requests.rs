//! What a real server takes a request for, and whom it takes it from: its own audit log says.

use gatewright_e2e::{
    cluster::rules,
    real_cluster::{Audited, RealCluster},
};
use gatewright_testbed::{has_recent_kubectl, repository};

use crate::{ALICE, NORA, ROBOT, open};

#[test]
fn a055_a_real_server_judges_the_principal_and_not_the_gateways_account() {
    let Some(real) = open() else { return };
    let (alice, nora) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&NORA).unwrap());
    assert_eq!(alice.run(&["get", "cm"]).unwrap().code, Some(0));
    let said = nora.run(&["get", "cm"]).unwrap();
    let expected = "Error from server (Forbidden): configmaps is forbidden: User \"nora\" cannot list \
                    resource \"configmaps\" in API group \"\" in the namespace \"demo\"";
    assert!(said.err.contains(expected), "{said:?}");

    for (who, ask, answer) in [
        (&alice, &["auth", "can-i", "list", "secrets"][..], "yes"),
        (&alice, &["auth", "can-i", "delete", "nodes"], "no"),
        (&nora, &["auth", "can-i", "list", "secrets"], "no"),
    ] {
        let said = who.run(ask).unwrap();
        assert_eq!(said.out.trim(), answer, "{ask:?}: {said:?}");
    }
    let listed = alice.run(&["auth", "can-i", "--list"]).unwrap();
    assert!(listed.out.contains("configmaps") && !listed.out.contains("*.*"), "{listed:?}");

    for claimed in [&["--as=root"][..], &["--as=alice", "--as-group=system:masters"]] {
        let said = alice.run(&[&["get", "nodes"], claimed].concat()).unwrap();
        assert_eq!(said.code, Some(1), "{claimed:?}: {said:?}");
        assert!(said.err.contains("does not let clients impersonate"), "{claimed:?}: {said:?}");
    }
    // Who acts for somebody is in the server's audit log, too.
    let token = real.cluster.scene.gateway.token(&ROBOT).unwrap();
    let answer = real.cluster.curl(&token, &[], "/api/v1/namespaces/demo/secrets?limit=1").unwrap();
    assert!(answer.ends_with("\n200"), "{answer}");
    let audited = real.audited().unwrap();
    let extra = &audited.last().unwrap().extra;
    assert_eq!(extra["gatewright.dev/actor"], serde_json::json!(["deploy-bot"]), "{extra}");
    for (event, (user, groups)) in audited.iter().filter_map(|event| Some((event, event.done_as.as_ref()?)))
    {
        assert_eq!(event.user, "admin", "{event:?}");
        assert!(["alice", "nora"].contains(&user.as_str()), "{event:?}");
        let own = if user == "alice" { "devs" } else { "guests" };
        assert_eq!(groups[..], [own.to_owned(), "system:authenticated".to_owned()], "{event:?}");
    }
    let lists = |name: &str| {
        let is = |event: &&Audited| {
            event.summary().as_deref() == Some("list configmaps in demo")
                && event.done_as.as_ref().is_some_and(|(user, _)| user == name)
        };
        audited.iter().filter(is).map(|event| event.code).collect::<Vec<_>>()
    };
    assert_eq!((lists("alice"), lists("nora")), (vec![200], vec![403]));
}

/// A policy that lets everything through, so that it is the server that says what a request was.
const EVERYTHING: &str = r#"
[[settings.rules]]
paths = ["/", "/**"]
decision = "allow"

[[settings.rules]]
streams = ["exec", "attach", "portforward", "run", "ephemeralcontainers", "proxy"]
by_node = true
decision = "allow"

[[settings.rules]]
resources = ["*", "*/*"]
decision = "allow"
"#;

const WAYS: &[&str] = &["exec", "attach", "portforward", "proxy", "ephemeralcontainers"];

fn behind_verb(summary: &str) -> &str {
    summary.split_once(' ').map_or(summary, |(_, rest)| rest)
}

#[test]
fn a052_what_the_gateway_judges_is_what_a_real_server_does() {
    if !has_recent_kubectl() {
        return;
    }
    let Some(real) = RealCluster::open(&[("cluster", &rules(EVERYTHING).unwrap())]).unwrap() else {
        return;
    };
    // She may do nothing, so nothing happens; what it would have been is in the server's audit log.
    let token = real.cluster.scene.gateway.token(&NORA).unwrap();
    let table = repository().join("tests/testbed/kubernetes/transcripts/64-request-attributes.tsv");
    let table = std::fs::read_to_string(table).unwrap();
    let (mut judged, mut seen, mut compared) = (0, 0, 0);
    for line in table.lines().skip(1) {
        let mut fields = line.split('\t');
        let (method, path, headers) =
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        if !headers.is_empty() {
            continue;
        }
        let way = if method == "HEAD" { &["--head"][..] } else { &["-X", method] };
        let answer = real.cluster.curl(&token, &[way, &["--http1.1", "-m", "5"]].concat(), path).unwrap();
        let evidence = real.cluster.scene.evidence().unwrap();
        let decisions = evidence.of("decision");
        let audited = real.audited().unwrap();
        let (new, reached) = (&decisions[judged..], &audited[seen..]);
        (judged, seen) = (decisions.len(), audited.len());
        // Nothing reaches the server that was not judged.
        assert!(reached.len() <= new.len(), "{line}: {reached:?}");
        for event in reached {
            compared += 1;
            let mut said = new.iter().filter_map(|record| record.get("command")?.as_str());
            let Some(summary) = event.summary() else {
                let is_path = |own: &str| {
                    own.strip_prefix(method).is_some_and(|rest| rest.starts_with(" localhost:"))
                };
                assert!(said.any(is_path), "{line}: a path and no object, and not {new:?}; {answer}");
                continue;
            };
            // The server says how it was asked for a way into a container; the gateway, what it is.
            let is_way = WAYS.iter().any(|way| event.object["subresource"] == *way);
            let same = |own: &str| {
                // A name with a blank in it is quoted.
                let own = &own.replace('"', "");
                let (own, summary) =
                    if is_way { (behind_verb(own), behind_verb(&summary)) } else { (&**own, &*summary) };
                // Behind it is where a request to a kubelet leads to.
                own.strip_prefix(summary)
                    .is_some_and(|rest| rest.is_empty() || is_way && rest.starts_with(" to "))
            };
            assert!(said.any(same), "{line}: {summary}, and not {new:?}; {answer}");
        }
    }
    assert!(compared > 100, "{compared} requests reached the server");
}
