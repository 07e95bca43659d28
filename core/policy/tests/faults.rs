//! Faults around modules: F15 to F19.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gatewright_model::decision::Decision;
use gatewright_policy::{Change, Policies, PolicySet, SessionPolicies, WatchTimes, watch};
use parking_lot::Mutex;

use support::*;

#[tokio::test]
async fn f015_a_trap_denies_one_request_and_costs_no_memory() {
    let folder = Folder::new();
    folder.hostile("p", "trap");
    let set = folder.set(&host());
    let (mut instances, alice) = (SessionPolicies::new(), session("alice", &[]));
    let event = query("select 1");
    for _ in 0..100 {
        judge_again(&mut instances, &set, &alice, &event).await;
    }
    let before = resident_kilobytes();
    for _ in 0..2_000 {
        let evaluation = judge_again(&mut instances, &set, &alice, &event).await;
        assert_eq!(blocked(&evaluation), "policy.trap");
    }
    let grown = resident_kilobytes().saturating_sub(before);
    assert!(grown < 4096, "2000 traps left {grown} KiB behind");
}

fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f016_loops_do_not_keep_others_from_their_answers() {
    let folder = Folder::new();
    folder.hostile("p", "loop-on-delete");
    let set = folder.set(&host());
    let running = Arc::new(AtomicUsize::new(0));
    let loops: Vec<_> = (0..100)
        .map(|_| {
            let (set, running) = (Arc::clone(&set), Arc::clone(&running));
            tokio::spawn(async move {
                running.fetch_add(1, Ordering::SeqCst);
                let evaluation = judge(&set, &query("delete from people")).await;
                running.fetch_sub(1, Ordering::SeqCst);
                evaluation
            })
        })
        .collect();
    // Judged on the same threads, in between the loops: a loop that held its thread would be over first.
    let judged_meanwhile = tokio::spawn({
        let (set, running) = (Arc::clone(&set), Arc::clone(&running));
        async move {
            let mut meanwhile = 0;
            for _ in 0..20 {
                assert_eq!(judge(&set, &query("select 1")).await.decision, Decision::Allow);
                meanwhile += usize::from(running.load(Ordering::SeqCst) > 0);
                tokio::task::yield_now().await;
            }
            meanwhile
        }
    });
    assert!(judged_meanwhile.await.unwrap() > 0);
    for evaluation in loops {
        assert_eq!(blocked(&evaluation.await.unwrap()), "policy.timeout");
    }
}

#[tokio::test]
async fn f017_memory_is_capped_for_each_instance() {
    let folder = Folder::new();
    folder.hostile("p", "memory");
    let set = folder.set(&host());
    for _ in 0..5 {
        assert_eq!(blocked(&judge(&set, &query("select 1")).await), "policy.memory");
    }
}

/// Two sets that answer differently, swapped 200 times while eight sessions ask: each answer is that of the
/// set that it names, and no swap costs anybody an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f018_every_event_is_judged_by_one_set_while_sets_are_swapped() {
    let host = host();
    let (allowing, blocking) = (Folder::new(), Folder::new());
    allowing.hostile("p", "none");
    blocking.hostile("p", "block");
    let policies = Policies::new(allowing.load(&host).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let judged = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..8)
        .map(|number| {
            let (policies, done, judged) = (policies.clone(), Arc::clone(&done), Arc::clone(&judged));
            tokio::spawn(async move {
                let session = session(&format!("s{number}"), &[]);
                let mut instances = SessionPolicies::new();
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let set = policies.current();
                    let evaluation = judge_again(&mut instances, &set, &session, &query("select 1")).await;
                    assert_eq!(evaluation.set, set.version());
                    assert!(evaluation.set.number >= last, "versions only go forward");
                    last = evaluation.set.number;
                    // Odd numbers are the allowing set.
                    match evaluation.decision {
                        Decision::Allow => assert_eq!(evaluation.set.number % 2, 1),
                        Decision::Block(block) => {
                            assert_eq!(&*block.code, "sql.denied");
                            assert_eq!(evaluation.set.number % 2, 0);
                        }
                        other => panic!("{other:?}"),
                    }
                    judged.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for swap in 1..=200 {
        let next = if swap % 2 == 1 { &blocking } else { &allowing };
        let set = next.load(&host).unwrap();
        let version = policies.swap::<()>(set, |_, _| Ok(())).unwrap();
        assert_eq!(version.number, swap + 1);
        let before = judged.load(Ordering::SeqCst);
        while judged.load(Ordering::SeqCst) < before + 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for asker in askers {
        asker.await.unwrap();
    }
}

#[test]
fn f018_a_swap_that_can_not_be_recorded_does_not_happen() {
    let host = host();
    let (one, other) = (Folder::new(), Folder::new());
    one.hostile("p", "none");
    other.hostile("p", "block");
    let policies = Policies::new(one.load(&host).unwrap());
    let before = policies.current().version();
    let error = policies.swap(other.load(&host).unwrap(), |_, _| Err("the disk is full")).unwrap_err();
    assert_eq!(error, "the disk is full");
    assert_eq!(policies.current().version(), before);
}

/// What the watcher reported, in order.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    fn watch(&self, folder: &Folder, policies: &Policies, times: WatchTimes) -> gatewright_policy::Watch {
        let reports = self.0.clone();
        let on_change = Box::new(move |change: Change<'_>| {
            reports.lock().push(match change {
                Change::Active { .. } | Change::Keep { .. } => return Ok(()),
                Change::Swap { old, new } => format!("{} -> {}", old.number, new.version().number),
                Change::Refuse { kept, problems } => format!("kept {}: {}", kept.number, problems[0]),
            });
            Ok(())
        });
        watch(folder.path(), policies.clone(), host(), Arc::new(Reader), times, on_change).unwrap()
    }

    fn wait(&self, count: usize) -> Vec<String> {
        for _ in 0..2_000 {
            if self.0.lock().len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.lock().clone()
    }
}

const QUICK: WatchTimes =
    WatchTimes { settle: Duration::from_millis(20), poll: Duration::from_millis(200), polls_unread: 30 };

#[test]
fn f019_a_bad_upload_is_refused_and_the_old_set_goes_on() {
    let folder = Folder::new();
    folder.hostile("p", "none");
    let policies = Policies::new(folder.load(&host()).unwrap());
    let reports = Reports::default();
    let _watch = reports.watch(&folder, &policies, QUICK);

    let module = folder.path().join("m.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0\xff\xff").unwrap();
    folder.write("p.toml", &document("p", &module, ""));
    let seen = reports.wait(1);
    assert!(seen[0].starts_with("kept 1: ") && seen[0].contains("p.toml:2: the module"), "{seen:?}");
    assert_eq!(policies.current().version().number, 1);

    // The module is mended and nothing else is touched: the folder of a module is watched too.
    fs::copy(hostile(), &module).unwrap();
    folder.write("p.toml", &document("p", &module, "[settings]\nattack = \"block\"\n"));
    let seen = reports.wait(2);
    assert_eq!(seen.last().unwrap(), "1 -> 2", "{seen:?}");

    // One step back is one more change.
    folder.hostile("p", "none");
    assert_eq!(reports.wait(seen.len() + 1).last().unwrap(), "2 -> 3");
}

#[test]
fn a_change_that_was_undone_is_told_as_well() {
    let folder = Folder::new();
    folder.hostile("p", "none");
    let policies = Policies::new(folder.load(&host()).unwrap());
    let reports = Reports::default();
    let seen = reports.0.clone();
    let on_change = Box::new(move |change: Change<'_>| {
        seen.lock().push(match change {
            Change::Keep { version } => format!("{} stays", version.number),
            Change::Refuse { problems, .. } => problems[0].brief().to_owned(),
            Change::Swap { .. } | Change::Active { .. } => "another set".to_owned(),
        });
        Ok(())
    });
    let _watch =
        watch(folder.path(), policies.clone(), host(), Arc::new(Reader), QUICK, on_change).unwrap();
    assert_eq!(reports.wait(1), ["1 stays"]);
    folder.hostile("p", "configure-lies");
    // What a module says of its settings may quote them.
    assert_eq!(reports.wait(2).last().unwrap(), "the module refuses its settings");
    folder.hostile("p", "none");
    assert_eq!(reports.wait(3).last().unwrap(), "1 stays");
}

#[test]
fn f019_a_module_that_denies_everything_fails_its_documents_case() {
    let folder = Folder::new();
    let case = "[[case]]\nname = \"reading is allowed\"\nsql = \"select 1\"\nexpect = \"allow\"\n";
    let rest = format!("[settings]\nattack = \"block\"\n{case}");
    folder.write("p.toml", &document("p", hostile(), &rest));
    let problems = folder.load(&host()).unwrap_err();
    assert!(
        problems[0].contains("p.toml:5: the case `reading is allowed` expects allow and gets block/always"),
        "{problems:?}"
    );
}

#[test]
fn f019_a_failure_is_not_the_block_that_a_case_expects() {
    let folder = Folder::new();
    let case = "[[case]]\nname = \"nothing is allowed\"\nsql = \"select 1\"\nexpect = \"block\"\n";
    let rest = format!("[settings]\nattack = \"trap\"\n{case}");
    folder.write("p.toml", &document("p", hostile(), &rest));
    let problems = folder.load(&host()).unwrap_err();
    assert!(problems[0].contains("gets no answer: policy.trap"), "{problems:?}");
}

#[test]
fn f019_a_change_without_a_notification_is_found_by_the_poll() {
    // The folder comes into being after the watch on it: no notification can tell.
    let parent = Folder::new();
    parent.hostile("p", "none");
    let policies = Policies::new(PolicySet::load(parent.path(), &host(), &Reader).unwrap());
    let inner = parent.path().join("later");
    let reports = Reports::default();
    let seen = reports.0.clone();
    let on_change = Box::new(move |change: Change<'_>| {
        seen.lock().push(match change {
            Change::Active { .. } | Change::Keep { .. } => return Ok(()),
            Change::Swap { old, new } => format!("{} -> {}", old.number, new.version().number),
            Change::Refuse { .. } => "refused".to_owned(),
        });
        Ok(())
    });
    let _watch = watch(&inner, policies.clone(), host(), Arc::new(Reader), QUICK, on_change).unwrap();
    assert_eq!(reports.wait(1), ["refused"]);
    fs::create_dir(&inner).unwrap();
    let text = document("p", hostile(), "[settings]\nattack = \"block\"\n");
    fs::write(inner.join("p.toml"), text).unwrap();
    let seen = reports.wait(2);
    assert_eq!(seen.last().unwrap(), "1 -> 2", "{seen:?}");
}
