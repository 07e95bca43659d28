//! Modules that attack their host: threats A89 to A93.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use gatewright_model::decision::Decision;
use gatewright_policy::{ModuleError, SessionPolicies};

use support::*;

/// Each attack ends in the policy's block with this code, and the next event is served all the same.
async fn check(code: &str, attacks: &[&str]) {
    let host = host();
    for attack in attacks {
        let folder = Folder::new();
        folder.hostile("p", attack);
        let set = folder.set(&host);
        let mut instances = SessionPolicies::new();
        for _ in 0..2 {
            let session = session("alice", &[]);
            let evaluation = judge_again(&mut instances, &set, &session, &query("select 1")).await;
            assert_eq!(blocked(&evaluation), code, "{attack}");
            assert_eq!(evaluation.diagnostics[0].failure, Some(code), "{attack}");
            assert_eq!(evaluation.diagnostics[0].decision, "block", "{attack}");
        }
    }
}

#[tokio::test]
async fn a089_what_does_not_end_is_ended() {
    check("policy.timeout", &["loop", "host-calls", "big-fill"]).await;
}

#[tokio::test]
async fn a089_endless_recursion_traps() {
    check("policy.trap", &["recursion"]).await;
}

#[tokio::test]
async fn a089_a_module_that_does_not_end_when_it_is_configured_is_refused_at_load() {
    let folder = Folder::new();
    folder.hostile("p", "configure-loop");
    let problems = folder.load(&host()).unwrap_err();
    assert!(problems[0].contains("does not start: it took longer than it may"), "{problems:?}");
}

#[tokio::test]
async fn a089_while_one_loops_the_thread_serves_others() {
    let folder = Folder::new();
    folder.hostile("p", "loop-on-delete");
    let set = folder.set(&host());
    // One thread for both: only a loop that yields lets the other be judged meanwhile.
    let endless = query("delete from people");
    let mut slow = pin!(judge(&set, &endless));
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let evaluation = loop {
        if let Poll::Ready(evaluation) = slow.as_mut().poll(&mut context) {
            break evaluation;
        }
        polls += 1;
        let other = judge(&set, &query("select 1")).await;
        assert_eq!(other.decision, Decision::Allow);
    };
    assert_eq!(blocked(&evaluation), "policy.timeout");
    assert!(polls > 1, "it gave way {polls} times");
}

#[tokio::test]
async fn a090_memory_is_bounded() {
    check("policy.memory", &["memory"]).await;
}

#[tokio::test]
async fn a090_memory_that_is_refused_and_not_needed_is_no_failure() {
    let folder = Folder::new();
    folder.hostile("p", "memory-kept");
    assert_eq!(judge(&folder.set(&host()), &query("select 1")).await.decision, Decision::Allow);
}

#[tokio::test]
async fn a090_what_the_host_holds_for_a_module_is_bounded() {
    check("policy.invalid", &["big-string", "long-reason", "many-columns", "many-verdicts"]).await;
}

#[tokio::test]
async fn a091_traps_and_panics_block() {
    check("policy.trap", &["trap", "panic", "division"]).await;
}

#[tokio::test]
async fn a091_answers_that_can_not_be_block() {
    let attacks = [
        "bad-utf8",
        "cut-utf8",
        "empty-rule",
        "bad-rule",
        "control-characters",
        "unknown-method",
        "partial-out-of-range",
        "unknown-detector",
        "unknown-effect",
        "unknown-access",
        "statement-out-of-range",
        "quorum-out-of-range",
        "ttl-out-of-range",
        "allow-and-escalate",
        "empty-mask",
        "undeclared-parameters",
        "undeclared-clock",
    ];
    check("policy.invalid", &attacks).await;
}

#[tokio::test]
async fn a091_a_verdict_of_an_earlier_event_is_no_answer() {
    let folder = Folder::new();
    folder.hostile("p", "verdict-of-earlier-event");
    let set = folder.set(&host());
    let (mut instances, session) = (SessionPolicies::new(), session("alice", &[]));
    let first = judge_again(&mut instances, &set, &session, &query("select 1")).await;
    assert_eq!(first.decision, Decision::Allow);
    let second = judge_again(&mut instances, &set, &session, &query("select 2")).await;
    assert_eq!(blocked(&second), "policy.invalid");
}

#[tokio::test]
async fn a091_what_a_module_says_of_its_settings_is_shown_without_control_characters() {
    let folder = Folder::new();
    folder.hostile("p", "configure-lies");
    let problems = folder.load(&host()).unwrap_err();
    assert!(problems[0].contains("refuses its settings: [31mred"), "{problems:?}");
    assert!(!problems[0].contains(char::is_control) && problems[0].len() < 1000);
}

#[tokio::test]
async fn a089_what_does_not_end_is_ended_when_nothing_ran_for_long_before() {
    let folder = Folder::new();
    folder.hostile("p", "loop");
    let set = folder.set(&host());
    for _ in 0..2 {
        // The clock rests by now.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(blocked(&judge(&set, &query("select 1")).await), "policy.timeout");
    }
}

#[tokio::test]
async fn a092_what_one_session_leaves_behind_no_other_sees() {
    let folder = Folder::new();
    folder.hostile("p", "canary");
    let set = folder.set(&host());
    let mut instances = SessionPolicies::new();
    let alice = session("alice", &[]);
    judge_again(&mut instances, &set, &alice, &query("select 1")).await;
    let again = judge_again(&mut instances, &set, &alice, &query("select 2")).await;
    assert_eq!(reason(&again), "alice,alice", "an instance serves its session");
    // A driver that mixed up two sessions would not mix up their instances.
    let bob = session("bob", &[]);
    let other = judge_again(&mut instances, &set, &bob, &query("select 1")).await;
    assert_eq!(reason(&other), "bob");
    let back = judge_again(&mut instances, &set, &alice, &query("select 3")).await;
    assert_eq!(reason(&back), "alice");
}

#[tokio::test]
async fn a092_isolation_by_event_leaves_nothing_behind_at_all() {
    let folder = Folder::new();
    let rest = "isolation = \"event\"\n[settings]\nattack = \"canary\"\n";
    folder.write("p.toml", &document("p", hostile(), rest));
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    for text in ["select 1", "select 2"] {
        let evaluation = judge_again(&mut instances, &set, &alice, &query(text)).await;
        assert_eq!(reason(&evaluation), "alice");
    }
}

#[tokio::test]
async fn a092_after_a_trap_the_instance_is_gone() {
    let folder = Folder::new();
    folder.hostile("p", "canary-then-trap");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    for text in ["select 1", "select 2", "select 3"] {
        let evaluation = judge_again(&mut instances, &set, &alice, &query(text)).await;
        assert_eq!(blocked(&evaluation), "policy.trap");
    }
}

#[tokio::test]
async fn a092_an_evaluation_that_is_abandoned_takes_its_instance_along() {
    let folder = Folder::new();
    folder.hostile("p", "loop-on-delete");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    for _ in 0..3 {
        let event = query("delete from people");
        {
            let abandoned = judge_again(&mut instances, &set, &alice, &event);
            let mut abandoned = pin!(abandoned);
            let mut context = Context::from_waker(Waker::noop());
            assert!(abandoned.as_mut().poll(&mut context).is_pending());
        }
        let next = judge_again(&mut instances, &set, &alice, &query("select 1")).await;
        assert_eq!(next.decision, Decision::Allow);
    }
}

#[tokio::test]
async fn a092_a_handle_that_is_kept_sees_its_own_session_only() {
    let folder = Folder::new();
    folder.hostile("p", "kept-principal");
    let set = folder.set(&host());
    let mut instances = SessionPolicies::new();
    for subject in ["alice", "bob"] {
        let session = session(subject, &[]);
        for text in ["select 1", "select 2"] {
            let evaluation = judge_again(&mut instances, &set, &session, &query(text)).await;
            assert_eq!(reason(&evaluation), subject);
        }
    }
}

#[test]
fn a093_a_module_imports_the_contract_and_nothing_else() {
    let host = host();
    let component =
        wat::parse_str(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#).unwrap();
    let error = host.module(&component).unwrap_err();
    assert!(matches!(&error, ModuleError::Import(name) if name == "wasi:cli/environment@0.2.0"), "{error}");
    let core =
        r#"(module (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32))))"#;
    let error = host.module(&wat::parse_str(core).unwrap()).unwrap_err();
    assert!(error.to_string().contains("wasi_snapshot_preview1"), "{error}");
    assert!(error.remedy().contains("WASI is not available"));
}

#[test]
fn a093_what_is_no_policy_is_refused_with_a_reason() {
    let host = host();
    let refused = |bytes: &[u8]| host.module(bytes).unwrap_err();
    assert!(matches!(refused(b""), ModuleError::NotWasm));
    assert!(matches!(refused(b"\x7fELF\x02\x01\x01\0"), ModuleError::NotWasm));
    assert!(matches!(refused(b"\0asm\x01\0\0\0\xff"), ModuleError::Compile(_)));
    assert!(matches!(refused(b"\0asm\x0d\0\x01\0\xff"), ModuleError::Compile(_)));
    let empty = wat::parse_str("(component)").unwrap();
    assert!(matches!(refused(&empty), ModuleError::Export(_)));
    let contract_of_tomorrow = r#"(component
        (import "gatewright:policy/event@1.0.0" (instance (export "tomorrow" (func)))))"#;
    assert!(matches!(refused(&wat::parse_str(contract_of_tomorrow).unwrap()), ModuleError::Contract(_)));
    let wrong_signature = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $module (export "describe" (func $f)) (export "configure" (func $f)) (export "evaluate" (func $f)))
        (export "gatewright:policy/module@1.0.0" (instance $module)))"#;
    assert!(matches!(refused(&wat::parse_str(wrong_signature).unwrap()), ModuleError::Contract(_)));
}

#[test]
fn a093_a_compile_bomb_is_refused_by_its_size() {
    let bomb = vec![0; (4 << 20) + 1];
    assert!(matches!(host().module(&bomb).unwrap_err(), ModuleError::TooLarge { .. }));
}

#[test]
fn a093_memory_is_bounded_before_the_module_runs() {
    let greedy = r#"(component
        (core module $m (memory (export "memory") 4096) (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $module (export "describe" (func $f)) (export "configure" (func $f)) (export "evaluate" (func $f)))
        (export "gatewright:policy/module@1.0.0" (instance $module)))"#;
    let error = host().module(&wat::parse_str(greedy).unwrap()).unwrap_err();
    assert!(
        matches!(&error, ModuleError::Describe(failure) if failure.code() == "policy.memory"),
        "{error}"
    );
}

#[tokio::test]
async fn a093_a_module_with_the_wrong_digest_is_refused_and_names_the_right_one() {
    let folder = Folder::new();
    let pinned = format!("sha256 = \"{}\"\n[settings]\nattack = \"none\"\n", "0".repeat(64));
    folder.write("p.toml", &document("p", hostile(), &pinned));
    let host = host();
    let problems = folder.load(&host).unwrap_err();
    let digest = host.module(&std::fs::read(hostile()).unwrap()).unwrap().digest();
    assert!(problems[0].contains(&digest.to_string()), "{problems:?}");
    let pinned = format!("sha256 = \"{digest}\"\n[settings]\nattack = \"none\"\n");
    folder.write("p.toml", &document("p", hostile(), &pinned));
    assert!(folder.load(&host).is_ok());
}
