//! What only a real API server proves: kubectl and curl through the gateway to the `kube-apiserver` of `KUBEBUILDER_ASSETS`.
//! Without one, these are left out, and say so.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::fmt::Write as _;

use gatewright_e2e::{
    Mint,
    cluster::{hide_secrets, rules},
    real_cluster::{Audited, RealCluster},
};
use gatewright_testbed::{has_recent_kubectl, repository};

const ALICE: Mint<'static> =
    Mint { subject: "alice", groups: &["devs"], actors: &[], kind: "human", ttl: "1h" };
const VERA: Mint<'static> = Mint { subject: "vera", groups: &["vault-admins"], ..ALICE };
const IVAN: Mint<'static> = Mint { subject: "ivan", groups: &["interns"], ..ALICE };
const ROBOT: Mint<'static> = Mint { actors: &["deploy-bot"], ..ALICE };
/// The gateway lets her look, the cluster does not.
const NORA: Mint<'static> = Mint { subject: "nora", groups: &["guests"], ..ALICE };

const RULES: &str = r#"
[[settings.rules]]
name = "discover"
paths = ["/api", "/api/*", "/apis", "/apis/**", "/version", "/openapi/**"]
decision = "allow"

[[settings.rules]]
name = "what-may-i"
verbs = ["create"]
resources = ["selfsubjectaccessreviews.authorization.k8s.io", "selfsubjectrulesreviews.authorization.k8s.io"]
decision = "allow"

[[settings.rules]]
name = "part"
verbs = ["get", "list", "watch"]
resources = ["configmaps", "secrets"]
groups = ["interns"]
shows = [{ namespace = "demo", name = "pub-*" }]
decision = "allow"

[[settings.rules]]
name = "look"
verbs = ["get", "list", "watch"]
resources = ["*"]
decision = "allow"

[[settings.rules]]
name = "write"
verbs = ["create", "patch", "update"]
resources = ["configmaps", "secrets"]
namespaces = ["demo"]
decision = "allow"

[[settings.rules]]
name = "clear"
verbs = ["delete"]
resources = ["configmaps"]
namespaces = ["demo"]
decision = "allow"

[[settings.rules]]
name = "keep"
verbs = ["delete", "deletecollection"]
resources = ["secrets"]
decision = "block"
reason = "secrets belong to the release pipeline"
remedy = "change them where the release is made"
"#;

/// What the Secrets hold, as it was written and as it is sent.
const HELD: &[&str] = &["S3cr3t", "UzNjcjN0", "app_rw", "YXBwX3J3"];

fn open() -> Option<RealCluster> {
    if !has_recent_kubectl() {
        return None;
    }
    let policies = [("cluster", &*rules(RULES).unwrap()), ("hide-secrets", &hide_secrets().unwrap())];
    RealCluster::open(&policies).unwrap()
}

#[track_caller]
fn holds_nothing(text: &str, of: &dyn std::fmt::Debug) {
    assert!(!HELD.iter().any(|held| text.contains(held)), "{of:?}: {text}");
}

#[test]
fn a058_a_real_secret_is_masked_in_every_form() {
    let Some(real) = open() else { return };
    let (alice, vera) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&VERA).unwrap());
    for ask in [
        &["get", "secrets"][..],
        &["get", "secrets", "-A", "-o", "wide"],
        &["get", "secrets", "-o", "yaml"],
        &["get", "secrets", "-o", "json", "--show-managed-fields"],
        &["get", "secret", "db-credentials", "-o", "yaml"],
        &["get", "secret", "db-credentials", "-o", "json", "--show-managed-fields"],
        &["get", "secret", "db-credentials", "-o", "go-template={{.metadata.name}} {{.data}}"],
        &["get", "secret", "-l", "app=web", "-o", "yaml"],
        &["get", "secret", "--field-selector", "metadata.name=db-credentials", "-o", "yaml"],
        &["describe", "secret", "db-credentials"],
        &["get", "--raw", "/api/v1/namespaces/demo/secrets/db-credentials"],
        &["get", "--raw", "/api/v1/secrets?resourceVersion=0"],
        // What kubectl reads again to change it, and what it prints of the answer.
        &["annotate", "secret", "db-credentials", "seen=yes", "-o", "yaml"],
        &["label", "secret", "db-credentials", "tier=db", "-o", "json"],
        &[
            "patch",
            "secret",
            "db-credentials",
            "-p",
            r#"{"metadata":{"labels":{"tier":"web"}}}"#,
            "-o",
            "yaml",
        ],
    ] {
        let said = alice.run(ask).unwrap();
        assert_eq!(said.code, Some(0), "{ask:?}: {said:?}");
        assert!(said.out.contains("db-credentials"), "{ask:?}: {said:?}");
        holds_nothing(&format!("{said:?}"), &ask);
    }
    let token = real.cluster.scene.gateway.token(&ALICE).unwrap();
    for accept in [
        "application/vnd.kubernetes.protobuf",
        "application/yaml",
        "application/cbor",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
    ] {
        let header = format!("Accept: {accept}");
        for query in ["", "?includeObject=Object", "?includeObject=Object&pretty=true"] {
            let path = format!("/api/v1/namespaces/demo/secrets{query}");
            let answer = real.cluster.curl(&token, &["-H", &header], &path).unwrap();
            // A server may not know a form; what it does know names the Secret.
            assert!(answer.contains("db-credentials") || answer.ends_with("\n406"), "{accept}: {answer}");
            holds_nothing(&answer, &accept);
        }
    }
    // It was there all the time, and changes of what is around it have left it alone.
    let ask = ["get", "secret", "db-credentials", "-o", "jsonpath={.data.password}"];
    assert!(vera.run(&ask).unwrap().out.starts_with("UzNjcjN0"));
    assert!(real.admin(&ask).unwrap().starts_with("UzNjcjN0"));
}

#[test]
fn a058_a_real_watch_masks_each_event_as_it_comes() {
    let Some(real) = open() else { return };
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    let ways = [
        &["get", "secrets", "-w", "-o", "json"][..],
        &["get", "secrets", "-w", "-o", "yaml", "--output-watch-events"],
        &["get", "secrets", "-w", "--output-watch-events"],
    ];
    let mut watches: Vec<_> = ways.iter().map(|way| (way, alice.start(way).unwrap())).collect();
    for (way, watch) in &mut watches {
        watch.until("db-credentials").unwrap_or_else(|error| panic!("{way:?}: {error}"));
    }
    let make = |name: &str| {
        real.admin(&["create", "secret", "generic", name, "--from-literal=password=S3cr3t-app_rw"]).unwrap()
    };
    make("early");
    real.admin(&["patch", "secret", "early", "-p", r#"{"stringData":{"password":"S3cr3t-2"}}"#]).unwrap();
    real.admin(&["delete", "secret", "early"]).unwrap();
    make("late");
    for (way, watch) in &mut watches {
        let lines = watch.until("late").unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert!(lines.iter().any(|line| line.contains("early")), "{way:?}: {lines:?}");
        holds_nothing(&lines.join("\n"), way);
    }
}

#[test]
fn what_kubectl_writes_arrives_at_a_real_server() {
    let Some(real) = open() else { return };
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    let ran = |arguments: &[&str], input: &str| {
        let said = alice.run_with(arguments, input.as_bytes()).unwrap();
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out.trim().to_owned()
    };
    let config = |name: &str, colour: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ colour: {colour} }}\n"
        )
    };
    let colour = |name: &str| real.admin(&["get", "cm", name, "-o", "jsonpath={.data.colour}"]).unwrap();

    let apply = ["apply", "-f", "-"];
    assert_eq!(ran(&apply, &config("one", "red")), "configmap/one created");
    assert_eq!(ran(&apply, &config("one", "red")), "configmap/one unchanged");
    assert_eq!(ran(&apply, &config("one", "blue")), "configmap/one configured");
    assert_eq!(colour("one"), "blue");
    ran(&["apply", "--dry-run=server", "-f", "-"], &config("one", "black"));
    assert_eq!(colour("one"), "blue");

    let server_side =
        |manager: &'static str| ["apply", "--server-side", "--field-manager", manager, "-f", "-"];
    assert_eq!(ran(&server_side("mine"), &config("two", "red")), "configmap/two serverside-applied");
    let said = alice.run_with(&server_side("other"), config("two", "blue").as_bytes()).unwrap();
    assert!(said.code != Some(0) && said.err.contains("conflict"), "{said:?}");
    assert_eq!(colour("two"), "red");
    ran(&[&server_side("other")[..], &["--force-conflicts"]].concat(), &config("two", "blue"));
    assert_eq!(colour("two"), "blue");

    for (kind, patch) in [
        ("merge", r#"{"data":{"colour":"pink"}}"#),
        ("strategic", r#"{"data":{"colour":"grey"}}"#),
        ("json", r#"[{"op":"replace","path":"/data/colour","value":"gold"}]"#),
    ] {
        ran(&["patch", "cm", "one", "--type", kind, "-p", patch], "");
        assert!(patch.contains(&colour("one")), "{kind}: {}", colour("one"));
    }
    let mut edit = alice.command(&["edit", "cm", "one"]);
    let edit = edit.env("KUBE_EDITOR", "sed -i s/gold/green/").output().unwrap();
    assert!(edit.status.success(), "{edit:?}");
    assert_eq!(colour("one"), "green");
    ran(&["replace", "-f", "-"], &config("one", "white"));
    assert_eq!(colour("one"), "white");
    // In protobuf.
    ran(&["create", "cm", "three", "--from-literal=colour=red"], "");
    assert_eq!(colour("three"), "red");
    assert_eq!(ran(&["delete", "cm", "three"], ""), "configmap \"three\" deleted");
    let said = real.admin.run(&["get", "cm", "three"]).unwrap();
    assert!(said.err.contains("NotFound"), "{said:?}");

    // The server's own refusals are told as they are.
    let said = alice.run_with(&["create", "-f", "-"], config("one", "red").as_bytes()).unwrap();
    assert!(said.err.contains("(AlreadyExists)") && said.err.contains("already exists"), "{said:?}");
    let stale = config("one", "red").replace("name: one", "name: one, resourceVersion: \"1\"");
    let said = alice.run_with(&["replace", "-f", "-"], stale.as_bytes()).unwrap();
    assert!(said.err.contains("(Conflict)"), "{said:?}");
}

#[test]
fn a_blocked_delete_leaves_a_real_secret_and_says_why() {
    let Some(real) = open() else { return };
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    for ask in [
        &["delete", "secret", "db-credentials"][..],
        &["delete", "secret", "--all"],
        &["delete", "secret", "-l", "app=web", "--dry-run=server"],
        &["delete", "secret", "db-credentials", "--force", "--grace-period=0"],
        &["delete", "--raw", "/api/v1/namespaces/demo/secrets/db-credentials"],
    ] {
        let said = alice.run(ask).unwrap();
        assert_eq!(said.code, Some(1), "{ask:?}: {said:?}");
        let expected = "Error from server (Forbidden): secrets \"db-credentials\" is forbidden: \
                        secrets belong to the release pipeline (rule ";
        assert!(said.err.contains(expected), "{ask:?}: {said:?}");
        assert!(said.err.contains("change them where the release is made"), "{ask:?}: {said:?}");
    }
    let token = real.cluster.scene.gateway.token(&ALICE).unwrap();
    let all = real.cluster.curl(&token, &["-X", "DELETE"], "/api/v1/namespaces/demo/secrets").unwrap();
    assert!(all.contains(r#""kind":"Status""#) && all.ends_with("\n403"), "{all}");
    let audited = real.audited().unwrap();
    assert!(audited.iter().any(|event| event.verb == "get" && event.code == 200), "{audited:?}");
    assert!(!audited.iter().any(|event| event.verb.starts_with("delete")), "{audited:?}");
    real.admin(&["get", "secret", "db-credentials"]).unwrap();
}

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

#[test]
fn a_real_list_in_pages_is_whole_and_one_with_a_filter_is_not() {
    let Some(real) = open() else { return };
    let mut many = String::new();
    for number in 0..260 {
        let kind = if number % 4 == 0 { "pub" } else { "own" };
        // Each is large enough that the whole list is compressed.
        let value = format!("{number}-{}", "S3cr3t".repeat(200));
        write!(
            many,
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {kind}-{number:03}, namespace: demo }}\nstringData: {{ word: \"{value}\" }}\n"
        )
        .unwrap();
    }
    real.has(&many).unwrap();
    let (alice, ivan) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&IVAN).unwrap());
    for chunk in ["0", "50", "500"] {
        for output in ["wide", "json", "yaml", "name"] {
            let ask = ["get", "secrets", "--chunk-size", chunk, "-o", output];
            for (kubectl, own, public) in [(&alice, true, true), (&ivan, false, true)] {
                let said = kubectl.run(&ask).unwrap();
                assert_eq!(said.code, Some(0), "{ask:?}: {}", said.err);
                let has = |number: u32| {
                    let kind = if number % 4 == 0 { "pub" } else { "own" };
                    said.out.contains(&format!("{kind}-{number:03}"))
                };
                for number in 0..260 {
                    let expected = if number % 4 == 0 { public } else { own };
                    assert_eq!(has(number), expected, "{number} of {ask:?}: {}", said.out);
                }
                assert_eq!(said.out.contains("db-credentials"), own, "{ask:?}");
                holds_nothing(&said.out, &ask);
            }
        }
    }
    let pages = real.audited().unwrap();
    let pages =
        pages.iter().filter(|event| event.uri.contains("limit=50") && event.uri.contains("continue="));
    assert_eq!(pages.count(), 5 * 4 * 2);

    // A page by hand, as client libraries ask for it.
    let raw = |query: &str| {
        alice.run(&["get", "--raw", &format!("/api/v1/namespaces/demo/secrets?limit=100{query}")])
    };
    let first = raw("").unwrap();
    let (_, token) = first.out.split_once("\"continue\":\"").unwrap();
    let (token, _) = token.split_once('"').unwrap();
    assert!(first.out.contains("\"remainingItemCount\":161"), "{:.300}", first.out);
    let second = raw(&format!("&continue={token}")).unwrap();
    assert!(!second.out.contains("own-001") && second.out.contains("own-1"), "{:.300}", second.out);

    // What is filtered can not be seen one by one, nor when it changes.
    let said = ivan.run(&["get", "secret", "own-001"]).unwrap();
    assert_ne!(said.code, Some(0), "{said:?}");
    let mut watch = ivan.start(&["get", "secrets", "-w", "--output-watch-events"]).unwrap();
    watch.until("pub-256").unwrap();
    for name in ["own-001", "pub-000"] {
        real.admin(&["label", "secret", name, "touched=yes"]).unwrap();
    }
    let lines = watch.until("MODIFIED").unwrap();
    assert!(lines.last().unwrap().contains("pub-000"), "{:?}", lines.last());
    assert!(!lines.iter().any(|line| line.contains("own-")), "{lines:?}");
}

#[test]
fn discovery_of_a_real_server_is_the_same_through_the_gateway() {
    let Some(real) = open() else { return };
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    for ask in [
        &["api-resources", "-o", "wide", "--sort-by", "name"][..],
        &["api-versions"],
        &["explain", "secret.data"],
        &["explain", "deployment.spec.template", "--recursive"],
        &["version"],
        &["get", "--raw", "/apis/apps/v1"],
        &["get", "--raw", "/openapi/v2"],
    ] {
        let (direct, through) = (real.admin(ask).unwrap(), alice.run(ask).unwrap());
        assert!(direct.len() > 20, "{ask:?}: {direct}");
        assert!(
            through.out == direct,
            "{ask:?}: {:.500} and not {direct:.500}; {}",
            through.out,
            through.err
        );
    }
    // Nothing else of what a server says beside its objects.
    let said = alice.run(&["get", "--raw", "/metrics"]).unwrap();
    assert!(said.err.contains("no rule allows this request"), "{said:?}");
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
fn a051_what_the_gateway_judges_is_what_a_real_server_does() {
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
                let is_path =
                    |own: &str| own.strip_prefix(method).is_some_and(|rest| rest.starts_with(" localhost:"));
                assert!(said.any(is_path), "{line}: a path and no object, and not {new:?}; {answer}");
                continue;
            };
            // The server says how it was asked for a way into a container; the gateway, what it is.
            let is_way = WAYS.iter().any(|way| event.object["subresource"] == *way);
            let same = |own: &str| {
                let (own, summary) =
                    if is_way { (behind_verb(own), behind_verb(&summary)) } else { (own, &*summary) };
                // Behind it is where a request to a kubelet leads to.
                own.strip_prefix(summary)
                    .is_some_and(|rest| rest.is_empty() || is_way && rest.starts_with(" to "))
            };
            assert!(said.any(same), "{line}: {summary}, and not {new:?}; {answer}");
        }
    }
    assert!(compared > 60, "{compared} requests reached the server");
}
