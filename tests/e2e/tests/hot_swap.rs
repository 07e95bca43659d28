//! Policies that change while sessions are open.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use gatewright_e2e::{Scene, eventually, evidence, policies, wire};

#[test]
fn an_open_session_is_judged_by_the_new_policy() {
    let scene = Scene::open().unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    psql.say("prepare emptying as delete from scratch;").unwrap();
    assert!(!psql.say("execute emptying;").unwrap().contains("ERROR"));

    let set = number(&scene);
    // What an EXECUTE runs can not be seen in its text: this document holds to the default and denies it.
    let rules = policies::rules("allow", "require_where = [\"delete\"]").unwrap();
    scene.gateway.write_policy("allow", &rules).unwrap();
    wait_for_swap(&scene, set);
    let answer = psql.say("delete from scratch;").unwrap();
    assert!(answer.contains("ERROR"), "the next statement of the same session is judged anew: {answer}");
    let answer = psql.say("execute emptying;").unwrap();
    assert!(answer.contains("ERROR"), "so is what was prepared before: {answer}");

    scene.gateway.write_policy("allow", &policies::allow().unwrap()).unwrap();
    wait_for_swap(&scene, set + 1);
    assert!(!psql.say("execute emptying;").unwrap().contains("ERROR"));

    let records = scene.evidence().unwrap();
    let swapped = records.of("policy_swapped");
    let record = swapped.last().unwrap();
    let digest = |field: &str| evidence::find(record, field).and_then(|set| set.get("digest")).cloned();
    assert!(
        digest("old").is_some() && digest("new").is_some() && digest("old") != digest("new"),
        "{record}"
    );
}

#[test]
fn f019_a_bad_policy_is_refused_and_the_old_one_stays() {
    let scene = Scene::with(&[("rules", &policies::where_required().unwrap())]).unwrap();
    let mut psql = scene.alice().unwrap().open().unwrap();
    let good = policies::where_required().unwrap();
    let cases = "\n[[case]]\nname = \"wrong on purpose\"\nsql = \"delete from people\"\nexpect = \"allow\"\n\
                 principal = { subject = \"alice\", groups = [], kind = \"human\" }\n";
    let garbage = scene.stage.directory().join("garbage.wasm");
    std::fs::write(&garbage, b"\0asm this is not a module").unwrap();
    let stays = || {
        let status = scene.gateway.get("/status").unwrap().body;
        // No more of it than that: a module may quote its settings.
        assert!(!status.contains("requires_where"), "{status}");
        status.contains("the old ones stay: rules.toml: ")
    };
    for (what, document) in [
        ("not TOML", "name = ".to_owned()),
        ("settings that the module refuses", good.replace("require_where", "requires_where")),
        ("a module that is not there", good.replace("statement_rules", "nowhere")),
        ("a module that is none", policies::document_of("rules", &garbage, "")),
        ("a case that fails", format!("{good}{cases}")),
        (
            "a digest of another module",
            good.replace("mode =", &format!("sha256 = \"{}\"\nmode =", "0".repeat(64))),
        ),
    ] {
        let refused = "gatewright_policy_swaps_total{result=\"refused\"}";
        let before = count(&scene, refused);
        scene.gateway.write_policy("rules", &document).unwrap();
        eventually("the set is refused", || count(&scene, refused) > before);
        assert!(stays(), "{what}: the status says so");
        assert!(scene.gateway.get("/readyz").unwrap().body.contains("degraded"), "{what}");
        assert!(psql.say("delete from people;").unwrap().contains("ERROR"), "{what}: the old rule holds");
        assert_eq!(psql.say("select 1;").unwrap(), "1\n", "{what}: the old set serves");
    }
    // Undone, which makes no new set.
    scene.gateway.write_policy("rules", &good).unwrap();
    eventually("nothing is refused any more", || !stays());
    let records = scene.evidence().unwrap();
    assert_eq!(records.of("policy_refused").len(), 6, "each refusal is in the record: {}", records.text());
}

/// Another gateway with this folder may have it, so that is no reason to stay with what was.
#[test]
fn f040_a_name_that_no_target_has_is_told_where_it_is_used_and_is_an_error_of_check() {
    let scene = Scene::open().unwrap();
    let degraded = || scene.gateway.get("/status").unwrap().body.contains("that match nothing: 1");
    assert!(!degraded());
    let set = number(&scene);
    let rules = policies::where_required().unwrap();
    let misspelt = rules.replace("[settings]", "[match]\ntargets = [\"dmeo\"]\n[settings]");
    scene.gateway.write_policy("rules", &misspelt).unwrap();
    wait_for_swap(&scene, set);
    assert!(degraded());
    let told = "there is no target `dmeo`";
    eventually("the log says so", || scene.gateway.log().contains(told));
    let output = scene.gateway.attempt(&["check"]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("rules.toml:5: [match]: there is no target `dmeo`; did you mean `demo`?"),
        "{said}"
    );

    scene.gateway.write_policy("rules", &misspelt.replace("dmeo", "demo")).unwrap();
    wait_for_swap(&scene, set + 1);
    assert!(!degraded());
}

/// Row F18 at its full size: 10,000 statements while the policy is swapped 200 times.
#[test]
fn f018_no_swap_causes_an_error_and_each_record_names_one_set() {
    let scene = Scene::open().unwrap();
    let (swapping, sent) = (AtomicBool::new(true), AtomicUsize::new(0));
    let token = scene.gateway.token(&gatewright_e2e::Mint::default()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client =
                    wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token)
                        .unwrap();
                while swapping.load(Ordering::Relaxed) || sent.load(Ordering::Relaxed) < 10_000 {
                    let n = sent.fetch_add(1, Ordering::Relaxed);
                    let answer = client.query(&format!("select {n}")).unwrap();
                    assert_eq!(wire::tags(&answer), "TDCZ", "{answer:?}");
                    assert_eq!(answer[1].row(), [Some(n.to_string())]);
                    // Spread over the swaps, instead of as many as the machine can do between two of them.
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let documents = [
            policies::rules("allow", "require_where = [\"delete\"]\ndeny_effects = []").unwrap(),
            policies::allow().unwrap(),
        ];
        for document in documents.iter().cycle().take(200) {
            let before = number(&scene);
            scene.gateway.write_policy("allow", document).unwrap();
            wait_for_swap(&scene, before);
        }
        swapping.store(false, Ordering::Relaxed);
    });

    let records = scene.evidence().unwrap();
    let set = |record: &serde_json::Value, field: &str| {
        evidence::find(record, field).and_then(|set| set.get("number")).and_then(serde_json::Value::as_u64)
    };
    let active: BTreeSet<u64> =
        records.of("policy_swapped").iter().filter_map(|record| set(record, "new")).collect();
    assert!(active.len() > 200, "200 swaps and the set of the start: {}", active.len());
    let decisions = records.decisions_about("select");
    assert_eq!(decisions.len(), sent.into_inner());
    let used: BTreeSet<u64> = decisions.iter().map(|record| set(record, "set").unwrap()).collect();
    assert!(used.is_subset(&active), "a decision names a set that was never active");
    assert!(used.len() > 100, "the load ran while sets changed: {}", used.len());
}

/// The number of the set in use.
fn number(scene: &Scene) -> u64 {
    scene.gateway.policy_set().unwrap()
}

fn count(scene: &Scene, metric: &str) -> u64 {
    scene.gateway.metric(metric).unwrap() as u64
}

fn wait_for_swap(scene: &Scene, before: u64) {
    eventually("the new set is in use", || number(scene) > before);
}

/// A misspelt kind would be a rule that never fires.
#[test]
fn a_kind_that_no_statement_has_is_refused_with_what_to_write() {
    let scene = Scene::open().unwrap();
    let kinds = scene.gateway.run_alone(&["policy", "kinds"]).unwrap();
    assert!(kinds.lines().any(|kind| kind == "drop_table"), "{kinds}");
    let json = scene.gateway.run_alone(&["policy", "kinds", "--json"]).unwrap();
    let listed: Vec<String> = serde_json::from_str(&json).unwrap();
    assert_eq!(listed, kinds.lines().collect::<Vec<_>>());

    let folder = tempfile::tempdir().unwrap();
    for (kind, said) in
        [("drop table", "write `drop_table`"), ("delet", "`gatewright policy kinds` lists them")]
    {
        let rules = policies::rules("rules", &format!("deny_kinds = [\"{kind}\"]")).unwrap();
        std::fs::write(folder.path().join("rules.toml"), rules).unwrap();
        let checked = scene.gateway.run_alone(&["policy", "check", folder.path().to_str().unwrap()]);
        let refused = checked.unwrap_err().to_string();
        assert!(refused.contains("rules.toml:") && refused.contains(said), "{refused}");
    }
}
