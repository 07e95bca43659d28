//! Documents, sets, combining and reuse, with the shipped modules and hand-made events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use expect_test::expect;
use gatewright_model::{
    decision::{Decision, Mode},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    id::EventId,
    mask::MaskMethod,
    sql::{
        Access, Analysis, Column, Effects, Function, FunctionClass, Grade, Parameter, Relation, SqlEvent,
        SqlPhase, Statement,
    },
};
use gatewright_policy::{Expect, SessionPolicies, author};

use support::*;

fn rules(rest: &str) -> String {
    document("rules", &shipped().join("statement_rules.wasm"), rest)
}

const MASK: &str = r#"
[settings]
exempt_groups = ["privacy"]
columns = [{ relation = "public.people", column = "ssn", method = { partial = 4 } }]
detectors = [{ detector = "email", method = "redact" }]
"#;

const ESCALATE: &str =
    "[settings]\nkinds = [\"drop_*\"]\nreviewers = [\"dba\"]\nquorum = 2\nttl = \"2h\"\n";

fn mask() -> String {
    document("mask", &shipped().join("mask_columns.wasm"), MASK)
}

fn escalate() -> String {
    document("escalate", &shipped().join("escalate_changes.wasm"), ESCALATE)
}

#[tokio::test]
async fn the_three_modules_decide_four_ways() {
    let folder = Folder::new();
    folder.write("1.toml", &rules("")).write("2.toml", &mask()).write("3.toml", &escalate());
    let set = folder.set(&host());
    let names: Vec<_> = set.policies().map(|policy| policy.name().to_string()).collect();
    assert_eq!(names, ["escalate", "mask", "rules"]);
    assert_eq!(set.reviewers().map(|group| &**group).collect::<Vec<_>>(), ["dba"]);

    assert_eq!(judge(&set, &query("begin")).await.decision, Decision::Allow);
    let Decision::Mask(plan) = judge(&set, &query("select 1")).await.decision else { panic!("not masked") };
    assert_eq!(&*plan.columns[0].relation, "people");
    assert_eq!(plan.columns[0].method, MaskMethod::Partial { keep: 4 });
    assert_eq!(&*plan.columns[0].rule, "mask/column");
    assert_eq!(&*plan.detectors[0].rule, "mask/email");

    let evaluation = judge(&set, &query("delete from people")).await;
    assert_eq!(blocked(&evaluation), "sql.denied");
    let words: Vec<_> = evaluation.diagnostics.iter().map(|diagnostic| diagnostic.decision).collect();
    assert_eq!(words, ["allow", "mask", "block"]);

    let evaluation = judge(&set, &query("drop table people")).await;
    let Decision::Escalate { escalation, masks } = evaluation.decision else { panic!("not held") };
    assert_eq!(&*escalation.rule, "escalate/kind");
    assert_eq!(escalation.quorum, 2);
    assert_eq!(escalation.ttl.as_secs(), 7200);
    assert_eq!(masks.columns.len(), 1, "what runs after an approval is masked all the same");
}

#[tokio::test]
async fn what_no_policy_covers_is_blocked() {
    let host = host();
    let folder = Folder::new();
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select 1")).await), "policy.no_match");
    folder.write("p.toml", &rules("[match]\ntargets = [\"crm-*\"]\n"));
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select 1")).await), "policy.no_match");
    folder.write("p.toml", &rules("[match]\ntargets = [\"de*\"]\nprincipal_kinds = [\"human\"]\n"));
    assert_eq!(judge(&folder.set(&host), &query("select 1")).await.decision, Decision::Allow);
}

#[tokio::test]
async fn a_policy_for_some_databases_covers_no_others() {
    let (host, folder) = (host(), Folder::new());
    folder.write("p.toml", &rules("[match]\ndatabases = [\"crm\", \"crm_*\"]\n"));
    let set = folder.set(&host);
    for (database, is_covered) in
        [(Some("crm"), true), (Some("crm_2"), true), (Some("crmx"), false), (None, false)]
    {
        let mut session = SessionContext::clone(&session("alice", &[]));
        session.attributes = database.map(|database| ("database", database.into())).into_iter().collect();
        let event = query("select 1");
        let evaluation = judge_again(&mut SessionPolicies::new(), &set, &Arc::new(session), &event).await;
        assert_eq!(evaluation.decision == Decision::Allow, is_covered, "{database:?}");
    }
    let cases = "[match]\ndatabases = [\"crm_*\"]\n[[case]]\nname = \"its own\"\nsql = \"select 1\"\nexpect = \"allow\"\n\
                 [[case]]\nname = \"another\"\nsql = \"select 1\"\ndatabase = \"hr\"\nexpect = \"no_match\"\n";
    folder.write("p.toml", &rules(cases));
    folder.set(&host);
}

#[tokio::test]
async fn a_monitor_is_recorded_and_does_not_count() {
    let host = host();
    let folder = Folder::new();
    folder.write("p.toml", &rules("mode = \"monitor\"\n"));
    // Alone it covers nothing: watching is not allowing.
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select 1")).await), "policy.no_match");
    folder.hostile("q", "none");
    let evaluation = judge(&folder.set(&host), &query("delete from people")).await;
    assert_eq!(evaluation.decision, Decision::Allow);
    let watched =
        evaluation.diagnostics.iter().find(|diagnostic| diagnostic.mode == Mode::Monitor).unwrap();
    assert_eq!((watched.decision, watched.rule.as_deref()), ("block", Some("where-required")));
}

/// A policy that only hides something would otherwise let everything through, were the one beside it taken away.
#[tokio::test]
async fn a_policy_that_restricts_lets_nothing_through_by_itself() {
    let host = host();
    let folder = Folder::new();
    folder.write("p.toml", &rules("mode = \"restrict\"\n"));
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select 1")).await), "policy.no_match");
    // Beside one that covers the request, its allow is nothing, and its block is one.
    folder.hostile("q", "none");
    assert_eq!(judge(&folder.set(&host), &query("select 1")).await.decision, Decision::Allow);
    assert_eq!(blocked(&judge(&folder.set(&host), &query("delete from people")).await), "sql.denied");
    // It takes no grade upon itself either.
    let settings = "[settings]\nattack = \"none\"\n";
    let taking = format!("mode = \"restrict\"\nallow_grades = [\"disputed\"]\n{settings}");
    folder.write("r.toml", &document("r", hostile(), &taking));
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select ?")).await), "sql.disputed");
}

#[tokio::test]
async fn a_grade_is_blocked_unless_a_policy_takes_it_upon_itself() {
    let host = host();
    let folder = Folder::new();
    folder.hostile("p", "none");
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select ???")).await), "sql.unparsed");
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select ?")).await), "sql.disputed");
    let settings = "[settings]\nattack = \"none\"\n";
    let allowing = format!("allow_grades = [\"disputed\"]\n{settings}");
    folder.write("q.toml", &document("q", hostile(), &allowing));
    assert_eq!(judge(&folder.set(&host), &query("select ?")).await.decision, Decision::Allow);
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select ???")).await), "sql.unparsed");
    // A monitor takes nothing upon itself.
    let watching = format!("mode = \"monitor\"\n{allowing}");
    folder.write("q.toml", &document("q", hostile(), &watching));
    assert_eq!(blocked(&judge(&folder.set(&host), &query("select ?")).await), "sql.disputed");
}

#[tokio::test]
async fn a_grade_that_the_document_allows_must_pass_the_module_too() {
    let folder = Folder::new();
    folder.write("p.toml", &rules("allow_grades = [\"opaque\"]\n"));
    let evaluation = judge(&folder.set(&host()), &query("select ???")).await;
    assert_eq!(evaluation.diagnostics[0].rule.as_deref(), Some("grade-opaque"));
}

#[tokio::test]
async fn an_answer_is_given_again_to_the_same_statement_only() {
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let text = analysis("select 1");
    let mut ask = async |phase| {
        let event = event_of(phase, &text);
        reason(&judge_again(&mut instances, &set, &alice, &event).await).to_owned()
    };
    assert_eq!(ask(SqlPhase::Parse).await, "alice");
    assert_eq!(ask(SqlPhase::Parse).await, "alice", "heard again, not asked again");
    assert_eq!(ask(SqlPhase::Execute).await, "alice,alice");
    let same_text = query("select 1");
    let other = judge_again(&mut instances, &set, &alice, &same_text).await;
    assert_eq!(reason(&other), "alice,alice,alice", "another analysis is another question");
}

#[tokio::test]
async fn an_answer_holds_for_other_literals_unless_the_module_read_them() {
    let text = |text: &str, like: &Analysis| Analysis { text: text.into(), ..like.clone() };
    let one = analysis("select 1");
    let two = Arc::new(text("select 2", &one));
    for (module, expected) in [("canary", "alice"), ("canary-of-texts", "select 1,select 2")] {
        let folder = Folder::new();
        folder.hostile("p", module);
        let set = folder.set(&host());
        let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
        judge_again(&mut instances, &set, &alice, &event_of(SqlPhase::Query, &one)).await;
        let again = judge_again(&mut instances, &set, &alice, &event_of(SqlPhase::Query, &two)).await;
        assert_eq!(reason(&again), expected);
    }
    // Two texts without a statement have no meaning in common.
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    for (times, text) in [(1, ""), (2, " ")] {
        let nothing = judge_again(&mut instances, &set, &alice, &query(text)).await;
        assert_eq!(reason(&nothing), vec!["alice"; times].join(","));
    }
}

#[tokio::test]
async fn a018_a_module_that_reads_parameters_is_asked_at_each_execute() {
    let analysis = analysis("select $1");
    let execute = |value: &str| {
        let parameters = vec![Parameter::Text(value.into())];
        let facet =
            Facet::Sql(SqlEvent { phase: SqlPhase::Execute, analysis: analysis.clone(), parameters });
        Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet })
    };
    let (folder, host) = (Folder::new(), host());
    let mut said = Vec::new();
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    folder.write("p.toml", &document("p", &parameters(), ""));
    let set = folder.set(&host);
    for value in ["7", "8", "7"] {
        let evaluation = judge_again(&mut instances, &set, &alice, &execute(value)).await;
        said.push(reason(&evaluation).to_owned());
    }
    assert_eq!(said, [r#"[Text("7")]"#, r#"[Text("8")]"#, r#"[Text("7")]"#]);

    // The same question of a module that reads none: that is what is heard again.
    let set = folder.hostile("p", "canary").set(&host);
    for value in ["7", "8", "7"] {
        let evaluation = judge_again(&mut instances, &set, &alice, &execute(value)).await;
        assert_eq!(reason(&evaluation), "alice");
    }
}

#[tokio::test]
async fn f022_a_session_that_rests_holds_no_instance_and_is_judged_all_the_same() {
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let first = judge_again(&mut instances, &set, &alice, &query("select 1")).await;
    assert!(instances.holds_instances());
    instances.rest();
    assert!(!instances.holds_instances());
    let next = judge_again(&mut instances, &set, &alice, &query("select 2")).await;
    assert_eq!((reason(&first), reason(&next)), ("alice", "alice"), "the instance is a new one");
}

#[tokio::test]
async fn an_answer_does_not_outlive_its_set() {
    let host = host();
    let (one, other) = (Folder::new(), Folder::new());
    one.hostile("p", "none");
    other.hostile("p", "canary");
    let (one, other) = (one.set(&host), other.set(&host));
    let (mut instances, alice, event) = (SessionPolicies::new(), session("alice", &[]), query("select 1"));
    assert_eq!(judge_again(&mut instances, &one, &alice, &event).await.decision, Decision::Allow);
    let next = judge_again(&mut instances, &other, &alice, &event).await;
    assert_eq!((blocked(&next), next.set), ("sql.denied", other.version()));
}

#[test]
fn equal_folders_make_equal_sets_whatever_their_files_are_called() {
    let host = host();
    let (one, other) = (Folder::new(), Folder::new());
    one.write("1.toml", &rules("")).write("2.toml", &mask());
    other.write("b.toml", &rules("")).write("a.toml", &mask());
    let digest = |folder: &Folder| folder.load(&host).unwrap().version().digest;
    assert_eq!(digest(&one), digest(&other));
    other.write("b.toml", &rules("mode = \"monitor\"\n"));
    assert_ne!(digest(&one), digest(&other));
}

#[test]
fn everything_that_is_wrong_with_a_folder_is_said_at_once() {
    let folder = Folder::new();
    folder.write("a.toml", &rules("[settings]\nrequire_where = [\"insert\"]\n"));
    folder.write("b.toml", &document("b", &folder.path().join("gone.wasm"), ""));
    folder.write("c.toml", "name = 7\n");
    folder.write("d.toml", &mask()).write("e.toml", &mask());
    let case = "[[case]]\nname = \"c\"\nsql = \"delete from people\"\nexpect = \"allow\"\n";
    folder.write("f.toml", &document("f", &shipped().join("statement_rules.wasm"), case));
    let problems = folder.load(&host()).unwrap_err().join("\n");
    for expected in [
        "a.toml:3: the module refuses its settings: unknown variant `insert`, expected `update` or `delete`",
        "b.toml:2: the module",
        "gone.wasm` can not be opened",
        "c.toml:1: `name` has the wrong type",
        "e.toml: the name `mask` is used by",
    ] {
        assert!(problems.contains(expected), "{expected}\nis not in\n{problems}");
    }
}

#[test]
fn cases_are_reported_one_by_one() {
    let folder = Folder::new();
    let cases = r#"
[match]
groups = ["analysts"]
[[case]]
name = "a bare delete"
sql = "delete from people"
principal = { groups = ["analysts"] }
expect = "block"
rule = "where-required"
[[case]]
name = "prepared"
sql = "delete from people where id = $1"
parameters = ["7"]
principal = { groups = ["analysts"] }
expect = "allow"
[[case]]
name = "somebody else"
sql = "delete from people"
expect = "no_match"
[[case]]
name = "wrong"
sql = "delete from people"
principal = { groups = ["analysts"] }
expect = "block"
rule = "kind-denied"
"#;
    folder.write("p.toml", &rules(cases));
    let reports = author::test(folder.path(), &host(), &Reader).unwrap();
    let passed: Vec<_> = reports.iter().map(|report| (&*report.case, report.passed)).collect();
    let expected = [("a bare delete", true), ("prepared", true), ("somebody else", true), ("wrong", false)];
    assert_eq!(passed, expected);
    assert_eq!(reports[3].got, "block/where-required");
    assert_eq!(reports[3].expected, format!("{}/kind-denied", Expect::Block.as_str()));
}

#[test]
fn inspect_shows_the_manifest_and_the_settings() {
    let module = author::inspect(&shipped().join("escalate_changes.wasm"), &host()).unwrap();
    let manifest = module.manifest();
    assert_eq!((&*manifest.name, &*manifest.version), ("escalate-changes", "0.1.0"));
    assert_eq!(manifest.kinds, ["sql.*"]);
    assert!(manifest.inputs.allow_reuse());
    let schema: serde_json::Value = serde_json::from_str(&manifest.settings_schema).unwrap();
    let quorum = &schema["properties"]["quorum"]["description"];
    assert_eq!(quorum, "How many different reviewers must approve, 1 to 16. Default: 1.");
}

#[test]
fn a_module_is_compiled_once_for_as_long_as_it_is_used() {
    let host = host();
    let folder = Folder::new();
    folder.write("p.toml", &rules(""));
    let (one, other) = (folder.set(&host), folder.set(&host));
    let module = |set: &Arc<gatewright_policy::PolicySet>| {
        std::ptr::from_ref(set.policies().next().unwrap().module())
    };
    assert_eq!(module(&one), module(&other));
}

#[test]
fn a_new_module_builds_and_passes_its_cases() {
    let folder = Folder::new();
    let path = folder.path().join("no-delete");
    let sdk = root().join("plugin-sdk/rust");
    author::new(&author::NewModule { folder: &path, sdk: Some(&sdk) }).unwrap();
    let built = author::build(&path).unwrap();
    let text = std::fs::read_to_string(path.join("policy.toml")).unwrap();
    let (start, _) = text.split_once("module = ").unwrap();
    let (_, rest) = text.split_once(".wasm\"\n").unwrap();
    let module = built.modules[0].display();
    std::fs::write(path.join("policy.toml"), format!("{start}module = \"{module}\"\n{rest}")).unwrap();
    let reports = author::test(&path.join("policy.toml"), &host(), &Reader).unwrap();
    assert_eq!(reports.len(), 2);
    assert!(reports.iter().all(|report| report.passed), "{reports:?}");
}

/// Every function of the contract, called by a module through the SDK.
#[tokio::test]
async fn what_a_module_reads_is_what_the_event_holds() {
    let host = host();
    let folder = Folder::new();
    let mut session = SessionContext::clone(&session("alice", &["analysts", "staff"]));
    let principal = Arc::make_mut(&mut session.principal);
    principal.actors = vec!["agent-7".into()];
    principal.claims = vec![("team".into(), "crm".into())];
    session.attributes = vec![("database", "demo".into())];
    let session = Arc::new(session);
    let analysis = Arc::new(Analysis {
        text: "delete from people".into(),
        normalised: "DELETE FROM people".into(),
        fingerprint: "00ff".into(),
        grade: Grade::Verified,
        grade_reason: None,
        statements: Arc::new([Statement {
            kind: "delete",
            further_kinds: vec!["set_role"],
            effects: Effects { write: true, dynamic: true, ..Effects::default() },
            relations: vec![Relation {
                schema: Some("public".into()),
                name: "people".into(),
                access: Access::Write,
            }],
            columns: vec![Column { relation: None, name: "id".into() }],
            passive: Vec::new(),
            conditions: Vec::new(),
            fields: Vec::new(),
            functions: vec![Function {
                schema: Some("pg_catalog".into()),
                name: "now".into(),
                class: FunctionClass::Harmless,
            }],
            has_where: Some(false),
            outputs: None,
            prepared: None,
            fetches: None,
            declares: None,
            copies: None,
            has_star: false,
            renames_to: None,
        }]),
    });
    let parameters = vec![Parameter::Null, Parameter::Text("7".into()), Parameter::Binary([1].into())];
    let facet = Facet::Sql(SqlEvent { phase: SqlPhase::Execute, analysis, parameters });
    let event = Arc::new(Event { id: EventId::FIRST, payload: Digest::new([7; 32]), facet });
    let said = async |answer: &str| {
        let rest = format!("[settings]\nanswer = \"{answer}\"\n");
        folder.write("p.toml", &document("p", &everything(), &rest));
        let set = folder.set(&host);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        Arc::unwrap_or_clone(SessionPolicies::new().evaluate(&set, &session, &event, now).await)
    };
    let expected = expect![[
        r#"1000s alice test Human ["analysts", "staff"] true false ["agent-7"] true false Some("crm") None postgres postgres demo app Some("demo") None 127.0.0.1"#
    ]];
    expected.assert_eq(reason(&said("session").await));
    let expected = expect![[
        r#"sql.execute Verified None "delete from people" "DELETE FROM people" "00ff" true false true false false true true false [Null, Text("7"), Binary]"#
    ]];
    expected.assert_eq(reason(&said("statement").await));
    let expected = expect![[
        r#"delete+set_role [Write, Dynamic] Some(false) Some("public") people Write None id Some("pg_catalog") now Harmless"#
    ]];
    expected.assert_eq(reason(&said("parts").await));
    let expected = expect![[r#"
        Mask(
            MaskPlan {
                columns: [
                    ColumnMask {
                        schema: "public",
                        relation: "people",
                        column: "ssn",
                        method: Partial {
                            keep: 4,
                        },
                        conditions: Some(
                            3,
                        ),
                        rule: "p/column",
                    },
                ],
                json: [],
                objects: [],
                detectors: [
                    DetectorMask {
                        detector: CardNumber,
                        method: Hash,
                        rule: "p/detector",
                    },
                ],
            },
        )
    "#]];
    expected.assert_debug_eq(&said("mask").await.decision);
    let expected = expect![[r#"
        Escalate {
            escalation: Escalation {
                rule: "p/held",
                reason: "why",
                reviewers: [
                    "dba",
                    "sec",
                ],
                quorum: 2,
                ttl: 60s,
            },
            masks: MaskPlan {
                columns: [],
                json: [],
                objects: [],
                detectors: [],
            },
        }
    "#]];
    expected.assert_debug_eq(&said("escalate").await.decision);
}
