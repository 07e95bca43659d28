//! Which crate may know which. The table is ARCHITECTURE.md's.

// A rule that can not be looked at must fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use gatewright_tidy::repository;
use serde_json::Value;

/// Crates of ours that each crate may depend on. One that is not here may not exist.
const INSIDE: &[(&str, &[&str])] = &[
    ("gatewright-model", &[]),
    ("gatewright-policy", &["gatewright-model"]),
    ("gatewright-identity", &["gatewright-model"]),
    ("gatewright-approval", &["gatewright-model"]),
    ("gatewright-masking", &["gatewright-model"]),
    ("gatewright-evidence", &["gatewright-model"]),
    ("gatewright-sql", &["gatewright-model"]),
    ("gatewright-postgres", &["gatewright-model", "gatewright-masking", "gatewright-sql"]),
    ("gatewright-http", &["gatewright-model", "gatewright-masking"]),
    ("gatewright-kubernetes", &["gatewright-model", "gatewright-http", "gatewright-masking"]),
    ("gatewright-ssh", &["gatewright-model", "gatewright-masking"]),
    (
        "gatewright",
        &[
            "gatewright-model",
            "gatewright-policy",
            "gatewright-identity",
            "gatewright-approval",
            "gatewright-masking",
            "gatewright-evidence",
            "gatewright-sql",
            "gatewright-postgres",
            "gatewright-http",
            "gatewright-kubernetes",
            "gatewright-ssh",
        ],
    ),
    ("gatewright-testbed", &[]),
    ("gatewright-apiserver", &[]),
    ("xtask", &["gatewright-testbed"]),
];

/// Crates that look at others from outside, and may use any of them.
const OBSERVERS: &[&str] = &[
    "gatewright-benches",
    "gatewright-playbook",
    "gatewright-tidy",
    "gatewright-e2e",
    "gatewright-attacks",
    "gatewright-fuzz",
];

/// Crates of others that a crate must not reach, directly or through another, and why.
const OUTSIDE: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "gatewright-model",
            "gatewright-masking",
            "gatewright-sql",
            "gatewright-postgres",
            "gatewright-http",
            "gatewright-kubernetes",
            "gatewright-ssh",
        ],
        &["tokio", "wasmtime", "hyper", "russh", "rustls", "tokio-rustls", "socket2", "mio"],
        "a protocol is a value that takes bytes and gives bytes: sockets, tasks and policies live elsewhere",
    ),
    (
        &["gatewright-identity", "gatewright-approval", "gatewright-evidence"],
        &["tokio", "wasmtime", "hyper", "socket2", "pg_query", "sqlparser"],
        "they meet protocols, policies and sockets in core/proxy/src/enforce.rs and nowhere else",
    ),
    (
        &["gatewright-policy"],
        &["hyper", "rustls", "socket2", "pg_query", "sqlparser", "wasmtime-wasi"],
        "the policy host judges events; it knows no socket and no protocol",
    ),
];

/// Crates of others that a crate must not name in its own manifest, and why.
const UNNAMED: &[(&str, &[&str], &str)] = &[
    ("gatewright", &["wasmtime", "wit-component"], "only core/policy knows WebAssembly"),
    ("gatewright", &["pg_query", "sqlparser"], "only protocols/sql knows how SQL is read"),
    (
        "gatewright",
        &["ed25519-dalek", "jsonwebtoken"],
        "signatures are the business of evidence and identity",
    ),
    ("gatewright-postgres", &["pg_query", "sqlparser"], "only protocols/sql knows how SQL is read"),
];

struct Graph {
    /// Normal and build dependencies of each package id.
    edges: BTreeMap<String, BTreeSet<String>>,
    names: BTreeMap<String, String>,
    members: BTreeMap<String, String>,
    /// What each member's manifest names for its normal builds.
    named: BTreeMap<String, BTreeSet<String>>,
}

fn graph() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();

    let mut names = BTreeMap::new();
    let mut named = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        names.insert(text(&package["id"]), text(&package["name"]));
        let own = package["dependencies"].as_array().unwrap().iter();
        let own = own
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]));
        named.insert(text(&package["name"]), own.collect());
    }
    let members = metadata["workspace_members"].as_array().unwrap().iter();
    let members = members.map(|id| (names[&text(id)].clone(), text(id))).collect();

    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                edges.entry(text(&node["id"])).or_default().insert(text(&dependency["pkg"]));
            }
        }
    }
    Graph { edges, names, members, named }
}

impl Graph {
    fn direct(&self, package: &str) -> BTreeSet<&str> {
        let ids = self.edges.get(&self.members[package]).into_iter().flatten();
        ids.map(|id| self.names[id].as_str()).collect()
    }

    fn reached(&self, package: &str) -> BTreeSet<&str> {
        let mut open = vec![&self.members[package]];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(self.names[next].as_str()) {
                    open.push(next);
                }
            }
        }
        seen
    }
}

#[test]
fn every_edge_between_our_crates_is_one_that_the_architecture_names() {
    let graph = graph();
    let mut wrong = Vec::new();
    for package in graph.members.keys() {
        if OBSERVERS.contains(&package.as_str()) {
            continue;
        }
        let Some((_, allowed)) = INSIDE.iter().find(|(name, _)| name == package) else {
            wrong.push(format!("{package} has no line in the table of tests/tidy/tests/dependencies.rs"));
            continue;
        };
        let ours = graph.direct(package).into_iter().filter(|name| graph.members.contains_key(*name));
        let forbidden = ours.filter(|name| !allowed.contains(name));
        wrong.extend(forbidden.map(|name| format!("{package} must not depend on {name}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_line_of_the_tables_is_about_a_crate_that_exists() {
    let graph = graph();
    let lines = INSIDE
        .iter()
        .map(|(name, _)| *name)
        .chain(OUTSIDE.iter().flat_map(|(names, ..)| names.iter().copied()));
    for name in lines.chain(UNNAMED.iter().map(|(name, ..)| *name)) {
        assert!(graph.members.contains_key(name), "{name} is in a table and not in the workspace");
    }
}

#[test]
fn no_crate_reaches_what_it_must_not_know() {
    let graph = graph();
    let mut wrong = Vec::new();
    for (packages, forbidden, why) in OUTSIDE {
        for package in *packages {
            let reached = graph.reached(package);
            let bad = forbidden.iter().filter(|name| reached.contains(**name));
            wrong.extend(bad.map(|name| format!("{package} reaches {name}: {why}")));
        }
    }
    for (package, forbidden, why) in UNNAMED {
        let bad = forbidden.iter().filter(|name| graph.named[*package].contains(**name));
        wrong.extend(bad.map(|name| format!("{package} names {name}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_of_the_modules_reaches_into_the_host() {
    let files = gatewright_tidy::files();
    let manifests = files.iter().filter(|file| file.is_in("plugins") || file.is_in("plugin-sdk"));
    for manifest in manifests.filter(|file| file.name() == "Cargo.toml") {
        for part in ["core", "protocols"] {
            assert!(
                !manifest.text.contains(&format!("../{part}/")),
                "{} names a crate of the host: modules know the contract and nothing else",
                manifest.path
            );
        }
        assert!(!manifest.text.contains("wasi"), "{}: a module gets no WASI", manifest.path);
    }
}
