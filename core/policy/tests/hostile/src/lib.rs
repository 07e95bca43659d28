//! A policy module that misbehaves as its settings say. It uses the raw bindings, because the SDK does not
//! let its users do most of this.
#![cfg(target_family = "wasm")]

use std::cell::RefCell;

use gatewright_policy_sdk::bindings::{
    self,
    exports::gatewright::policy::module::{Event, Guest, Manifest, Verdict},
    gatewright::policy::{event::Principal, http::Http, sql::Sql},
};

thread_local! {
    static ATTACK: RefCell<String> = const { RefCell::new(String::new()) };
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static KEPT_VERDICT: RefCell<Option<Verdict>> = const { RefCell::new(None) };
    static KEPT_SQL: RefCell<Option<Sql>> = const { RefCell::new(None) };
    static KEPT_PRINCIPAL: RefCell<Option<Principal>> = const { RefCell::new(None) };
}

struct Module;

impl Guest for Module {
    fn describe() -> Manifest {
        let manifest = Manifest::new("hostile", "0.1.0");
        manifest.add_kind("sql.*");
        manifest.add_kind("http.*");
        manifest.add_kind("http.response");
        manifest.add_kind("kubernetes.*");
        manifest.add_kind("kubernetes.response");
        manifest.add_kind("ssh.*");
        manifest.add_input("body");
        manifest
    }

    /// The settings are the attack's name, as a JSON object with one key: `{"attack":"loop"}`.
    fn configure(settings: String) -> Result<(), String> {
        let attack = settings.split('"').nth(3).unwrap_or_default().to_owned();
        match &*attack {
            "configure-loop" => endless(),
            "configure-trap" => panic!(),
            "configure-lies" => return Err("\u{1b}[31mred\u{7}".repeat(1000)),
            _ => {}
        }
        ATTACK.set(attack);
        Ok(())
    }

    fn evaluate(event: &Event) -> Verdict {
        let attack = ATTACK.with_borrow(String::clone);
        match &*attack {
            "none" => Verdict::allow(),
            "block" => Verdict::block("always", "it always blocks", ""),
            "loop" => endless(),
            "loop-on-delete" if event.sql().unwrap().statement_kind(0) == "delete" => endless(),
            "loop-on-delete" => Verdict::allow(),
            "recursion" => recurse(1),
            "host-calls" => loop {
                event.kind();
            },
            "big-fill" => {
                let mut bytes = vec![0u8; 8 << 20];
                loop {
                    bytes.fill(std::hint::black_box(1));
                }
            }
            "memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1u8; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            "memory-kept" => {
                // Asks once for more than there is, notices, and goes on: that is allowed.
                let refused = Vec::<u8>::new().try_reserve(64 << 20).is_err();
                if refused { Verdict::allow() } else { Verdict::block("grew", "grew", "") }
            }
            "big-string" => Verdict::block("rule", &"x".repeat(1 << 20), ""),
            "long-reason" => Verdict::block("rule", &"x".repeat(513), ""),
            "many-columns" => {
                let mask = Verdict::mask();
                loop {
                    mask.add_column("public", "people", "ssn", "hash", "rule");
                }
            }
            "many-verdicts" => {
                let mut all = Vec::new();
                loop {
                    all.push(Verdict::allow());
                }
            }
            "trap" => core::arch::wasm32::unreachable(),
            "panic" => panic!("at the disco"),
            "division" => {
                let zero = std::hint::black_box(0);
                Verdict::block(&format!("r{}", 1 / zero), "", "")
            }
            "bad-utf8" => {
                let text = unsafe { std::str::from_utf8_unchecked(std::hint::black_box(b"\xff\xfe")) };
                Verdict::block("rule", text, "")
            }
            "cut-utf8" => {
                let text = unsafe { std::str::from_utf8_unchecked(&"é".as_bytes()[..1]) };
                Verdict::block("rule", text, "")
            }
            "empty-rule" => Verdict::block("", "why", ""),
            "bad-rule" => Verdict::block("a b", "why", ""),
            "control-characters" => Verdict::block("rule", "line one\nline two", ""),
            "unknown-method" => {
                let mask = Verdict::mask();
                mask.add_column("public", "people", "ssn", "shred", "rule");
                mask
            }
            "partial-out-of-range" => {
                let mask = Verdict::mask();
                mask.add_column("public", "people", "ssn", "partial:300", "rule");
                mask
            }
            "unknown-detector" => {
                let mask = Verdict::mask();
                mask.add_detector("passwords", "hash", "rule");
                mask
            }
            "unknown-effect" => {
                event.sql().unwrap().has_effect("writes");
                Verdict::allow()
            }
            "unknown-access" => {
                event.sql().unwrap().touches("public", "people", "delete");
                Verdict::allow()
            }
            "statement-out-of-range" => {
                event.sql().unwrap().statement_kind(99);
                Verdict::allow()
            }
            "quorum-out-of-range" => {
                let verdict = Verdict::escalate("rule", "why");
                verdict.set_quorum(0);
                verdict
            }
            "ttl-out-of-range" => {
                let verdict = Verdict::escalate("rule", "why");
                verdict.set_ttl(u64::MAX);
                verdict
            }
            "allow-and-escalate" => {
                let verdict = Verdict::allow();
                verdict.add_reviewers("me");
                verdict
            }
            "empty-mask" => Verdict::mask(),
            "undeclared-parameters" => {
                event.sql().unwrap().parameter_count();
                Verdict::allow()
            }
            "undeclared-clock" => {
                event.now();
                Verdict::allow()
            }
            "verdict-of-earlier-event" => {
                let kept = KEPT_VERDICT.take();
                KEPT_VERDICT.set(Some(Verdict::allow()));
                kept.unwrap_or_else(Verdict::allow)
            }
            // Says what it remembers of everyone it ever served.
            "canary" => {
                let subject = event.principal().subject();
                let seen = SEEN.with_borrow_mut(|seen| {
                    seen.push(subject);
                    seen.join(",")
                });
                Verdict::block("canary", &seen, "")
            }
            // Says every text that it ever read.
            "canary-of-texts" => {
                let text = event.sql().unwrap().text();
                let seen = SEEN.with_borrow_mut(|seen| {
                    seen.push(text);
                    seen.join(",")
                });
                Verdict::block("canary", &seen, "")
            }
            "canary-then-trap" => {
                let first = SEEN.with_borrow_mut(|seen| {
                    seen.push(String::new());
                    seen.len() == 1
                });
                if first {
                    core::arch::wasm32::unreachable()
                }
                Verdict::block("canary", "an instance was used again after its trap", "")
            }
            // Keeps the handle of one event's principal, and reads it at the next.
            "kept-principal" => {
                let kept = KEPT_PRINCIPAL.replace(Some(event.principal()));
                let subject = kept.unwrap_or_else(|| event.principal()).subject();
                Verdict::block("kept", &subject, "")
            }
            // Keeps the SQL facet of one event, and reads it at the next.
            "kept-sql" => {
                let kept = KEPT_SQL.take().or_else(|| event.sql()).unwrap();
                let text = kept.text();
                KEPT_SQL.set(Some(kept));
                Verdict::block("kept", &text, "")
            }
            "json-of-what-was-not-read" => asked(event, |http| http.json_kind("/a").is_none()),
            "json-by-no-pointer" => asked(event, |http| http.json_text("$.a").is_none()),
            "answer-header-with-space" => {
                asked(event, |http| http.response().is_some_and(|answer| answer.header("x y").is_none()))
            }
            "mask-json" => {
                let mask = Verdict::mask();
                mask.add_json_path("$..ssn", "partial:4", "json");
                mask
            }
            "mask-json-by-no-path" => {
                let mask = Verdict::mask();
                mask.add_json_path("$[?@.a]", "redact", "json");
                mask
            }
            "show-object" => {
                let mask = Verdict::mask();
                mask.show_object("demo", "*", "object");
                mask
            }
            "path-under-nothing" => asked(event, |http| http.path_under("")),
            "path-under-relative" => asked(event, |http| http.path_under("people")),
            "path-under-dots" => asked(event, |http| http.path_under("/people/..")),
            "header-without-name" => asked(event, |http| http.header("").is_none()),
            "header-with-space" => asked(event, |http| http.header("x tenant").is_none()),
            "query-out-of-range" => asked(event, |http| http.query_key(0).is_empty()),
            "header-out-of-range" => asked(event, |http| http.header_value(u32::MAX).is_empty()),
            "mask-column" => {
                let mask = Verdict::mask();
                mask.add_column("public", "people", "ssn", "hash", "column");
                mask
            }
            "mask-detector" => {
                let mask = Verdict::mask();
                mask.add_detector("ssn", "redact", "detector");
                mask
            }
            "escalate" => Verdict::escalate("held", "why"),
            "record" => recorded(Verdict::allow()),
            "record-and-escalate" => recorded(Verdict::escalate("held", "why")),
            "record-and-block" => recorded(Verdict::block("always", "it always blocks", "")),
            _ => Verdict::block("unknown-attack", "the test names an attack that there is not", ""),
        }
    }
}

fn recorded(verdict: Verdict) -> Verdict {
    verdict.require_recording();
    verdict
}

/// Allows whatever is answered: only the question can be what blocks.
fn asked(event: &Event, question: impl Fn(&Http) -> bool) -> Verdict {
    std::hint::black_box(question(&event.http().unwrap()));
    Verdict::allow()
}

fn endless() -> ! {
    let mut count = 0u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> Verdict {
    if depth == 0 {
        return Verdict::allow();
    }
    let big = std::hint::black_box([depth; 64]);
    let verdict = recurse(big[63] + 1);
    std::hint::black_box(big);
    verdict
}

bindings::export!(Module with_types_in bindings);
