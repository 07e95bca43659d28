//! What becomes of what is written and deleted at a real server.

use std::thread;

use gatewright_e2e::{approvals, cluster::python};

use crate::{ALICE, BOB, holds_nothing, open};

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
fn a_masked_secret_can_be_written_by_who_does_not_see_it() {
    let Some(real) = open() else { return };
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    let secret = |name: &str, word: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\nstringData: {{ word: S3cr3t-{word}, other: app_rw }}\n"
        )
    };
    let word = |name: &str| {
        real.admin(&["get", "secret", name, "-o", "go-template={{.data.word | base64decode}}"]).unwrap()
    };
    for (name, apply) in [
        ("client-side", &["apply", "-o", "yaml", "-f", "-"][..]),
        ("server-side", &["apply", "--server-side", "-o", "yaml", "-f", "-"]),
        ("replaced", &["replace", "--force=false", "-o", "yaml", "-f", "-"]),
    ] {
        if name == "replaced" {
            let made =
                alice.run_with(&["create", "-o", "yaml", "-f", "-"], secret(name, "zero").as_bytes());
            holds_nothing(&made.unwrap().out, &name);
        }
        // What kubectl reads is masked: what it makes of the difference is still what was written.
        for text in ["one", "one", "two"] {
            let said = alice.run_with(apply, secret(name, text).as_bytes()).unwrap();
            assert_eq!(said.code, Some(0), "{name} {text}: {said:?}");
            holds_nothing(&format!("{said:?}"), &name);
            assert_eq!(word(name), format!("S3cr3t-{text}"), "{name}");
        }
    }
    // Programs try again by the kind of an error, whatever is hidden in its message.
    let stale =
        secret("replaced", "old").replace("name: replaced", "name: replaced, resourceVersion: \"1\"");
    let said = alice.run_with(&["replace", "-f", "-"], stale.as_bytes()).unwrap();
    assert!(said.err.contains("(Conflict)"), "{said:?}");
    assert_eq!(word("replaced"), "S3cr3t-two");
}

#[test]
fn a_delete_is_done_once_when_it_is_approved_and_not_before() {
    let Some(real) = open() else { return };
    real.admin(&["create", "cm", "careful-1"]).unwrap();
    let alice = real.cluster.kubectl(&ALICE).unwrap();
    let gateway = &real.cluster.scene.gateway;
    let deletes = || real.audited().unwrap().iter().filter(|event| event.verb == "delete").count();
    thread::scope(|scope| {
        let held = scope.spawn(|| alice.run(&["delete", "cm", "careful-1"]).unwrap());
        let id = approvals::wait(gateway).unwrap();
        assert_eq!(deletes(), 0);
        real.admin(&["get", "cm", "careful-1"]).unwrap();
        let approved = approvals::answer(gateway, "approve", &id, &BOB).unwrap();
        assert!(approved.status.success(), "{approved:?}");
        assert_eq!(held.join().unwrap().out, "configmap \"careful-1\" deleted\n");
    });
    assert_eq!(deletes(), 1);
    assert!(real.admin.run(&["get", "cm", "careful-1"]).unwrap().err.contains("(NotFound)"));
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
fn the_python_client_works_with_a_real_server() {
    let Some(real) = open() else { return };
    for number in 0..7 {
        real.admin(&["create", "cm", &format!("page-{number}")]).unwrap();
    }
    let script = r#"
from kubernetes import client, config, watch
config.load_kube_config()
v1 = client.CoreV1Api()
names, token = [], None
while token != "":
    page = v1.list_namespaced_config_map("demo", limit=2, _continue=token)
    names += [item.metadata.name for item in page.items if item.metadata.name.startswith("page-")]
    token = page.metadata._continue or ""
print("pages", *names)
config_map = v1.create_namespaced_config_map("demo", client.V1ConfigMap(metadata={"name": "py"}, data={"a": "1"}))
v1.patch_namespaced_config_map("py", "demo", {"data": {"a": "2"}})
config_map.data["a"] = "3"
try:
    v1.replace_namespaced_config_map("py", "demo", config_map)
except client.exceptions.ApiException as error:
    print("replace", error.status, error.reason)
print("kept", v1.read_namespaced_config_map("py", "demo").data["a"])
for event in watch.Watch().stream(v1.list_namespaced_secret, "demo", timeout_seconds=2):
    print("event", event["type"], event["object"].metadata.name, event["object"].data)
try:
    v1.delete_collection_namespaced_secret("demo")
except client.exceptions.ApiException as error:
    print("delete", error.status)
"#;
    let out = python(&real.cluster.kubectl(&ALICE).unwrap(), script).unwrap();
    for line in [
        "pages page-0 page-1 page-2 page-3 page-4 page-5 page-6\n",
        "replace 409 Conflict\n",
        "kept 2\n",
        "event ADDED db-credentials {",
        "delete 403\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    holds_nothing(&out, &"python");
}
