//! Rows A13 and A19: what a policy opens that takes upon itself what is opaque, and for whom it stays closed.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use gatewright_attacks::Attack;
use gatewright_e2e::{Scene, eventually, policies, wire};

/// FunctionCall with one argument of four bytes.
fn call_with_a_number(function: u32) -> Vec<u8> {
    wire::message(
        'F',
        &[&function.to_be_bytes()[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 42, 0, 1]].concat(),
    )
}

/// Rules that take what is opaque upon themselves.
fn opened(settings: &str) -> String {
    let settings = format!("allow_grades = [\"opaque\"]\n{settings}");
    let rules = policies::rules("rules", &settings).unwrap();
    rules.replace("[settings]", "allow_grades = [\"opaque\"]\n[settings]")
}

/// A call by number is what a query would be that calls the function by its name.
#[test]
fn a019_calls_for_large_objects_are_judged_as_queries() {
    let masks = policies::masks().unwrap();
    let read_only = policies::rules("rules", "read_only = true").unwrap();
    let functions = policies::rules("rules", "deny_functions = [\"lo_*\"]").unwrap();
    let everything = policies::rules("rules", "deny_effects = []").unwrap();
    let scenes = [
        (vec![("rules", &read_only)], "42501"),
        (vec![("rules", &functions)], "42501"),
        (vec![("rules", &everything), ("masks", &masks)], "0A000"),
    ];
    let objects = |attack: &Attack| {
        let count = "select count(*) from pg_largeobject_metadata";
        attack.scene.postgres.sql("postgres", count).unwrap()
    };
    for (documents, state) in scenes {
        let documents: Vec<(&str, &str)> = documents.iter().map(|(name, text)| (*name, &***text)).collect();
        let attack = Attack { scene: Scene::recorded(&documents).unwrap() };
        let mut client = attack.session().unwrap();
        // lo_unlink, lo_creat.
        for function in [964, 957] {
            client.send(&call_with_a_number(function)).unwrap();
            let answer = client.until_ready().unwrap();
            assert_eq!(wire::states(&answer), [state], "{function}: {answer:?}");
        }
        assert_eq!(objects(&attack), "0");
    }
    let attack = Attack { scene: Scene::recorded(&[("rules", &everything)]).unwrap() };
    let mut client = attack.session().unwrap();
    client.send(&call_with_a_number(957)).unwrap();
    assert_eq!(wire::tags(&client.until_ready().unwrap()), "VZ");
    assert_eq!(objects(&attack), "1");
}

/// Where the catalog can not be read, nobody says what is under a number.
#[test]
fn a019_calls_that_nobody_vouches_for_are_closed_until_a_policy_opens_what_is_opaque() {
    for (rules, tags) in [
        (policies::rules("rules", "deny_effects = []").unwrap(), "EZ"),
        (opened("deny_effects = []"), "VZ"),
        (opened("read_only = true"), "EZ"),
    ] {
        let attack = Attack { scene: Scene::recorded(&[("rules", &rules)]).unwrap() };
        let account = attack.scene.postgres.account();
        attack.scene.postgres.sql("postgres", &format!("alter role {account} connection limit 1")).unwrap();
        let mut client = attack.session().unwrap();
        client.send(&call_with_a_number(957)).unwrap();
        let answer = client.until_ready().unwrap();
        assert_eq!(wire::tags(&answer), tags, "{answer:?}");
    }
}

#[test]
fn a013_where_strings_are_read_otherwise_every_text_needs_a_policy_that_opens_what_is_opaque() {
    let everything = opened("deny_effects = []\nrequire_where = []");
    let attack = Attack { scene: Scene::recorded(&[("rules", &everything)]).unwrap() };
    let mut client = attack.session().unwrap();
    assert_eq!(wire::tags(&client.query("set standard_conforming_strings = off").unwrap()), "CSZ");
    let answer = client.query("select 'a\\'b'").unwrap();
    // The target warns of such strings.
    assert_eq!(wire::tags(&answer), "NTDCZ");
    assert_eq!(answer[2].row(), [Some("a'b".to_owned())], "{answer:?}");
    // It is for good: neither way back makes its texts readable again.
    client.query("set standard_conforming_strings = on").unwrap();
    let before = attack.scene.gateway.policy_set().unwrap();
    let rules = policies::rules("rules", "deny_effects = []").unwrap();
    attack.scene.gateway.write_policy("rules", &rules).unwrap();
    eventually("the new set is in use", || attack.scene.gateway.policy_set().unwrap() > before);
    attack.forget();
    for text in ["select 1", "select '\\'; delete from people --'", "commit"] {
        let answer = client.query(text).unwrap();
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
    let mut other = attack.session().unwrap();
    assert_eq!(wire::tags(&other.query("select 1").unwrap()), "TDCZ", "another session is read as before");
}

#[test]
fn a013_strings_are_not_switched_by_somebody_for_whom_anything_is_masked() {
    let everything = opened("deny_effects = []");
    let masks = policies::masks().unwrap();
    let attack = Attack { scene: Scene::recorded(&[("rules", &everything), ("masks", &masks)]).unwrap() };
    let mut client = attack.session().unwrap();
    attack.forget();
    for text in [
        "set standard_conforming_strings = off",
        "reset standard_conforming_strings",
        "select set_config('standard_conforming_strings', 'off', false)",
    ] {
        let answer = client.query(text).unwrap();
        assert_eq!(wire::states(&answer), ["42501"], "{text}: {answer:?}");
    }
    assert_eq!(attack.upstream_bytes(), 0);
}
