//! Rules about what belongs together: a protocol and its tests, a module and its document, the contract and its hash.

use gatewright_tidy::{SourceFile, files};

fn manifests(files: &[SourceFile], directory: &str) -> Vec<SourceFile> {
    let depth = directory.split('/').count() + 2;
    let manifests = files.iter().filter(|file| file.is_in(directory) && file.name() == "Cargo.toml");
    manifests.filter(|file| file.path.split('/').count() == depth).cloned().collect()
}

/// `protocols/postgres/Cargo.toml` gives `postgres`.
fn folder(manifest: &SourceFile) -> &str {
    manifest.path.rsplit('/').nth(1).unwrap_or_default()
}

#[test]
fn every_protocol_has_a_playbook_and_a_fuzz_target() {
    let files = files();
    let protocols = manifests(&files, "protocols");
    assert!(!protocols.is_empty());
    for protocol in &protocols {
        let name = folder(protocol);
        let has = |directory: &str| {
            files
                .iter()
                .any(|file| file.is_in(directory) && file.name().starts_with(name) && file.is_rust())
                || files.iter().any(|file| file.is_in(&format!("{directory}/{name}")) && file.is_rust())
        };
        // Reading SQL is no conversation: only what has a session can be played.
        let speaks = files.iter().any(|file| file.path == format!("protocols/{name}/src/session.rs"));
        assert!(
            !speaks || has("tests/playbook/tests"),
            "protocols/{name} has no script in tests/playbook/tests"
        );
        assert!(has("tests/fuzz/src"), "protocols/{name} has no target in tests/fuzz/src");
    }
}

#[test]
fn every_module_has_a_document_with_cases() {
    let files = files();
    let modules = manifests(&files, "plugins");
    assert!(modules.len() >= 3, "three modules are shipped");
    for module in &modules {
        let wasm = format!("{}.wasm", folder(module).replace('-', "_"));
        let documents = files.iter().filter(|file| file.is_in("policies") && file.path.ends_with(".toml"));
        let cases =
            documents.filter(|file| file.text.contains(&wasm)).any(|file| file.text.contains("[[case]]"));
        assert!(cases, "plugins/{} has no document in policies/ with cases of its own", folder(module));
    }
}

#[test]
fn every_document_of_policies_has_cases_that_pass_and_cases_that_do_not() {
    for file in files().iter().filter(|file| file.is_in("policies") && file.path.ends_with(".toml")) {
        let document: toml::Table = file.text.parse().unwrap();
        let cases = document.get("case").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let expected: Vec<&str> = cases.iter().filter_map(|case| case.get("expect")?.as_str()).collect();
        assert!(expected.contains(&"allow"), "{} has no case that is allowed", file.path);
        assert!(
            expected.iter().any(|word| *word != "allow"),
            "{} has no case that is not simply allowed",
            file.path
        );
    }
}

#[test]
fn the_contract_is_held_by_its_hash() {
    let files = files();
    let wit: Vec<&SourceFile> = files.iter().filter(|file| file.is_in("plugin-sdk/wit")).collect();
    assert!(wit.iter().any(|file| file.path.ends_with(".wit")), "plugin-sdk/wit has no contract");
    assert!(wit.iter().any(|file| file.name() == "CHANGES.md"), "plugin-sdk/wit has no CHANGES.md");
    let held = files
        .iter()
        .any(|file| file.is_rust() && file.text.contains("plugin-sdk/wit") && file.text.contains("sha256"));
    let held = held
        || files
            .iter()
            .any(|file| file.is_rust() && file.text.contains(".wit\")") && file.text.contains("Sha256"));
    assert!(
        held,
        "no test holds the SHA-256 of plugin-sdk/wit: a published contract does not change by accident"
    );
}
