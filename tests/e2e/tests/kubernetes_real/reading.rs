//! What is shown of what a real server has.

use std::fmt::Write as _;

use gatewright_e2e::{
    cluster::{hide, rules},
    eventually,
    real_cluster::RealCluster,
};
use gatewright_testbed::{Kubectl, has_recent_kubectl, manifest};

use crate::{ALICE, IVAN, RULES, VERA, holds_nothing, open};

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
fn a057_a_real_watch_masks_each_event_as_it_comes() {
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

fn is_public(number: u32) -> bool {
    number.is_multiple_of(4)
}

#[test]
fn a057_a_real_list_in_pages_is_whole_and_one_with_a_filter_is_not() {
    let Some(real) = open() else { return };
    let mut many = String::new();
    let names: Vec<String> = (0..260_u32)
        .map(|number| format!("{}-{number:03}", if is_public(number) { "pub" } else { "own" }))
        .collect();
    for name in &names {
        // Each is so large that a server would compress the list.
        let value = format!("{name}-{}", "S3cr3t".repeat(200));
        write!(many, "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {name}, namespace: demo }}\nstringData: {{ word: \"{value}\" }}\n").unwrap();
    }
    real.has(&many).unwrap();
    let (alice, ivan) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&IVAN).unwrap());
    for chunk in ["0", "50", "500"] {
        for output in ["wide", "json", "yaml", "name"] {
            let ask = ["get", "secrets", "--chunk-size", chunk, "-o", output];
            for (kubectl, sees_all) in [(&alice, true), (&ivan, false)] {
                let said = kubectl.run(&ask).unwrap();
                assert_eq!(said.code, Some(0), "{ask:?}: {}", said.err);
                for name in names.iter().map(String::as_str).chain(["db-credentials"]) {
                    let expected = sees_all || name.starts_with("pub-");
                    assert_eq!(said.out.contains(name), expected, "{name} of {ask:?}: {}", said.out);
                }
                holds_nothing(&said.out, &ask);
            }
        }
    }
    let pages = real.audited().unwrap();
    let pages =
        pages.iter().filter(|event| event.uri.contains("limit=50") && event.uri.contains("continue="));
    // Of who sees a part, none: the token at the end of a page names what is not shown.
    assert_eq!(pages.count(), 5 * 4);

    // A page by hand, as client libraries ask for it.
    let page = |kubectl: &Kubectl, query: &str| {
        let path = format!("/api/v1/namespaces/demo/secrets?limit=100{query}");
        kubectl.run(&["get", "--raw", &path]).unwrap().out
    };
    let first = page(&alice, "");
    let (_, token) = first.split_once("\"continue\":\"").unwrap();
    let (token, _) = token.split_once('"').unwrap();
    assert!(first.contains("\"remainingItemCount\":161"), "{first:.300}");
    let second = page(&alice, &format!("&continue={token}"));
    assert!(!second.contains("own-001") && second.contains("own-1"), "{second:.300}");
    // How many there are is not for who sees a part, nor where a page would have ended.
    let whole = page(&ivan, "");
    assert!(whole.contains("pub-000") && whole.contains("pub-256"), "{whole:.300}");
    assert!(!whole.contains("remainingItemCount") && !whole.contains("\"continue\":\""), "{whole:.300}");
    let path = format!("/api/v1/namespaces/demo/secrets?limit=100&continue={token}");
    let refused = ivan.run(&["get", "--raw", &path]).unwrap();
    assert!(refused.code != Some(0) && refused.err.contains("list again"), "{}", refused.err);

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
fn a057_a_custom_resource_is_masked_in_the_columns_that_it_chose_itself() {
    if !has_recent_kubectl() {
        return;
    }
    let widgets = r#"
[[settings.rules]]
name = "tokens"
resources = ["widgets.demo.example.com"]
values = [{ path = "$.spec.apiToken", method = "redact" }]
exempt_groups = ["vault-admins"]
"#;
    let policies =
        [("cluster", &*rules(RULES).unwrap()), ("hide-tokens", &hide("hide-tokens", widgets).unwrap())];
    let Some(real) = RealCluster::open(&policies).unwrap() else { return };
    let file = |name: &str| manifest(name).display().to_string();
    real.admin(&["apply", "-f", &file("widget-crd.yaml")]).unwrap();
    real.admin(&["wait", "--for=condition=Established", "crd/widgets.demo.example.com"]).unwrap();
    eventually("the server knows widgets", || {
        real.admin.run(&["apply", "-f", &file("widget.yaml")]).unwrap().code == Some(0)
    });
    let (alice, vera) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&VERA).unwrap());
    for ask in [
        &["get", "widgets"][..],
        &["get", "wd", "w1", "-o", "wide"],
        &["get", "widgets", "-o", "yaml"],
        &["get", "widget", "w1", "-o", "json", "--show-managed-fields"],
        &["get", "widget", "w1", "-o", "custom-columns=N:.metadata.name,T:.spec.apiToken"],
        &["describe", "widget", "w1"],
    ] {
        let (hidden, shown) = (alice.run(ask).unwrap(), vera.run(ask).unwrap());
        assert!(hidden.out.contains("w1"), "{ask:?}: {hidden:?}");
        assert!(!hidden.out.contains("tok-from"), "{ask:?}: {hidden:?}");
        assert!(shown.out.contains("tok-from"), "{ask:?}: {shown:?}");
    }
}

/// A message may repeat a value. Where one is hidden, what kind of error it is has to do: programs go by that.
#[test]
fn a057_errors_of_a_real_server_keep_their_kind_and_say_no_more_than_objects_do() {
    let Some(real) = open() else { return };
    let (alice, vera) = (real.cluster.kubectl(&ALICE).unwrap(), real.cluster.kubectl(&VERA).unwrap());
    let kind = |text: &str| text.split(": ").next().map(str::to_owned);
    for (path, expected) in [
        ("secrets/none", "Error from server (NotFound)"),
        ("secrets?limit=1&continue=abc", "Error from server (BadRequest)"),
        ("secrets?resourceVersion=abc", "Error from server"),
        ("secrets?fieldSelector=data.password%3DS3cr3t", "Error from server (BadRequest)"),
        ("secrets?labelSelector=a%20S3cr3t", "Error from server (BadRequest)"),
        ("secrets?watch=1&resourceVersion=abc", "Error from server"),
        ("secrets?watch=1&labelSelector=a%20S3cr3t", "Error from server (BadRequest)"),
    ] {
        let path = format!("/api/v1/namespaces/demo/{path}");
        let ask = ["get", "--raw", &path];
        let (direct, through) = (real.admin.run(&ask).unwrap(), vera.run(&ask).unwrap());
        assert_eq!(kind(&direct.err).as_deref(), Some(expected), "{path}: {direct:?}");
        assert_eq!(through, direct, "{path}");
        let hidden = alice.run(&ask).unwrap();
        assert_eq!(
            (hidden.code, kind(&hidden.err)),
            (direct.code, kind(&direct.err)),
            "{path}: {hidden:?}"
        );
        holds_nothing(&format!("{hidden:?}"), &path);
    }
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
