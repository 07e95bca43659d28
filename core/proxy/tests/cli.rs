//! The program as people and scripts run it: what it prints, and how it exits.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; the lints only know functions marked `#[test]`"
)]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a configuration that `check` likes.
fn folder() -> TempDir {
    prepared(tempfile::tempdir().unwrap())
}

fn prepared(folder: TempDir) -> TempDir {
    assert_eq!(code(&run(folder.path(), &["dev", "certificates", "."])), 0);
    fs::create_dir(folder.path().join("policies")).unwrap();
    let password = folder.path().join("app.password");
    fs::write(&password, "canary-9172\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("gatewright.toml"), CONFIG).unwrap();
    folder
}

/// The example that operators start from.
const CONFIG: &str = include_str!("../../../docs/gatewright.toml");

/// All examples of the docs. Each names the folder of the policies that go with it, or goes with those of `policies`.
const EXAMPLES: [&str; 3] = ["gatewright.toml", "http.toml", "kubernetes.toml"];

/// A folder with one of them, as somebody has it who tries it in a checkout.
fn checkout(example: &str) -> TempDir {
    // On a disk: of memory there would be a warning.
    let folder = prepared(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    fs::remove_dir(folder.path().join("policies")).unwrap();
    std::os::unix::fs::symlink(root.join("policies"), folder.path().join("policies")).unwrap();
    fs::copy(folder.path().join("ca.pem"), folder.path().join("cluster-ca.pem")).unwrap();
    let text = fs::read_to_string(root.join("docs").join(example)).unwrap();
    for line in text.lines() {
        let name = line.strip_prefix("password = { file = \"").and_then(|rest| rest.strip_suffix("\" }"));
        if let Some(secret) = name.map(|name| folder.path().join(name)) {
            fs::write(&secret, "canary-9173\n").unwrap();
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    fs::write(folder.path().join("gatewright.toml"), text).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatewright"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("GATEWRIGHT_TOKEN")
        .env_remove("GATEWRIGHT_CONFIG")
        .env_remove("GATEWRIGHT_ADMIN")
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn check_says_what_would_be_served() {
    let folder = folder();
    let output = run(folder.path(), &["check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("127.0.0.1:6432, TLS required"), "{}", out(&output));
    assert!(err(&output).contains("there is no policy"), "{}", err(&output));
    assert!(!folder.path().join("state").exists(), "check makes nothing");

    let output = run(folder.path(), &["check", "--json"]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["listeners"][0]["targets"][0]["tls"], "TLS verified");
}

#[test]
fn every_example_would_be_served_with_the_policies_that_go_with_it() {
    for example in EXAMPLES {
        let folder = checkout(example);
        let output = run(folder.path(), &["check", "--json"]);
        let report: Value = serde_json::from_str(&out(&output)).unwrap();
        // The modules are built by another step: where they are not there, nothing else may be wrong.
        let is_not_built = |problem: &Value| {
            let message = problem["message"].as_str().unwrap();
            message.starts_with("the module `") && message.contains("can not be opened")
        };
        let problems = report["problems"].as_array().unwrap();
        let others: Vec<&Value> = problems.iter().filter(|problem| !is_not_built(problem)).collect();
        assert!(others.is_empty(), "{example}: {others:#?}");
        if problems.is_empty() {
            assert_eq!(code(&output), 0, "{example}");
            assert!(!report["policies"]["policies"].as_array().unwrap().is_empty(), "{example}");
        } else {
            assert_eq!(code(&output), 1, "{example}");
        }
    }
}

#[test]
fn an_address_that_is_taken_is_named_with_who_wants_it_and_what_to_do() {
    let folder = folder();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    // Of two listeners the clients' is opened first.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let listener = CONFIG.replace("127.0.0.1:6432", &taken);
    let admin = format!("{}\n[admin]\nlisten = \"{}\"\n", CONFIG.replace("127.0.0.1:6432", &free), taken);
    for (config, who, remedy) in [
        (listener, "the listener `postgres`", "or change its `listen`"),
        (admin, "the admin listener", "or change `[admin] listen`"),
    ] {
        fs::write(folder.path().join("gatewright.toml"), config).unwrap();
        let output = run(folder.path(), &["serve"]);
        assert_eq!(code(&output), 3, "{}", err(&output));
        let said = err(&output);
        assert!(said.contains(&format!("{who} can not listen on {taken}: ")), "{said}");
        assert!(said.contains("`ss -ltnp`") && said.contains(remedy), "{said}");
    }
}

#[test]
fn f037_check_reports_errors_for_people_and_programs() {
    let folder = folder();
    fs::write(folder.path().join("gatewright.toml"), CONFIG.replace("ca.pem", "no.pem")).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("gatewright.toml:17:14"), "{}", err(&output));
    let output = run(folder.path(), &["check", "--json"]);
    assert_eq!(code(&output), 1);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["problems"][0]["line"], 17);
}

/// A document whose module is not there.
const DOCUMENT: &str = "name = \"p\"\nmodule = \"no.wasm\"\n[match]\nlisteners = [\"postgres\"]\ntargets = [\n  \"demo\",\n  \"dmeo\",\n]\n";

#[test]
fn f037_check_finds_what_is_wrong_with_a_configuration_and_its_policies_in_one_round() {
    let folder = folder();
    fs::write(folder.path().join("gatewright.toml"), CONFIG.replace("ca.pem", "no.pem")).unwrap();
    fs::write(folder.path().join("policies/p.toml"), DOCUMENT).unwrap();
    fs::write(folder.path().join("policies/q.toml"), "name = \"q\"\n").unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/revocations"), "torn").unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    for expected in [
        "gatewright.toml:17:14",
        "policies/p.toml:2: the module `policies/no.wasm` can not be opened",
        "policies/p.toml:7: [match]: there is no target `dmeo`; did you mean `demo`?",
        "policies/q.toml:1: `module` is missing",
        "state/revocations",
        "5 errors",
    ] {
        assert!(said.contains(expected), "{expected}\nis not in\n{said}");
    }
    let report: Value = serde_json::from_str(&out(&run(folder.path(), &["check", "--json"]))).unwrap();
    assert_eq!((report["ok"].as_bool(), report["problems"].as_array().unwrap().len()), (Some(false), 5));
}

#[test]
fn a099_no_output_of_check_shows_the_password() {
    let folder = folder();
    let wrong = CONFIG.replace("{ file = \"app.password\" }", "\"canary-1111\"");
    for source in [CONFIG, &wrong, &wrong.replace("[[", "[")] {
        fs::write(folder.path().join("gatewright.toml"), source).unwrap();
        for arguments in [&["check"][..], &["check", "--json"]] {
            let output = run(folder.path(), arguments);
            assert!(!out(&output).contains("canary") && !err(&output).contains("canary"), "{output:?}");
        }
    }
}

#[test]
fn tokens_are_minted_to_the_screen_or_to_a_private_file() {
    let folder = folder();
    let mint = ["token", "mint", "--subject", "alice", "--kind", "human", "--group", "analysts"];
    let output = run(folder.path(), &mint);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output).trim_end().split('.').count(), 3);

    let to_file: Vec<&str> = mint.into_iter().chain(["--out", "alice.token"]).collect();
    let output = run(folder.path(), &to_file);
    assert_eq!((code(&output), out(&output).as_str()), (0, ""));
    let mode = fs::metadata(folder.path().join("alice.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = run(folder.path(), &to_file);
    assert_eq!(code(&again), 3, "a file is not replaced by accident");
    assert!(err(&again).contains("`alice.token` is there already\n  help: "), "{}", err(&again));
    assert!(err(&again).contains("`--force`"), "{}", err(&again));

    // Whoever could read the old file, or where it leads, gets nothing of the new one.
    let token = folder.path().join("alice.token");
    fs::rename(&token, folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &token).unwrap();
    let old = fs::read(folder.path().join("elsewhere")).unwrap();
    fs::set_permissions(folder.path().join("elsewhere"), fs::Permissions::from_mode(0o644)).unwrap();
    let forced: Vec<&str> = to_file.iter().copied().chain(["--force", "--actor", "bot"]).collect();
    assert_eq!(code(&run(folder.path(), &forced)), 0);
    assert_eq!(fs::symlink_metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(fs::read(&token).unwrap(), old);
    assert_eq!(fs::read(folder.path().join("elsewhere")).unwrap(), old);
    let lonely: Vec<&str> = mint.into_iter().chain(["--force"]).collect();
    assert_eq!(code(&run(folder.path(), &lonely)), 2, "there is nothing to replace");

    let too_long: Vec<&str> = mint.into_iter().chain(["--ttl", "100h"]).collect();
    assert_eq!(code(&run(folder.path(), &too_long)), 3);
    assert_eq!(code(&run(folder.path(), &["token", "mint"])), 2);
}

#[test]
fn a_kubeconfig_holds_an_authority_and_no_secret() {
    let folder = folder();
    let run = |arguments: &[&str]| {
        run(folder.path(), &[&["kubeconfig", "--listener", "postgres"], arguments].concat())
    };
    let to_file = ["--ca", "ca.pem", "--token-file", "alice.token", "--output", "alice.kubeconfig"];
    let output = run(&to_file);
    assert_eq!((code(&output), out(&output).as_str()), (0, ""), "{}", err(&output));
    let file = folder.path().join("alice.kubeconfig");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("server: \"https://127.0.0.1:6432\""), "{text}");
    assert!(text.contains("certificate-authority-data: LS0tLS1CRUdJTi"), "{text}");
    assert!(text.contains("tokenFile: \"/") && text.contains("/alice.token\""), "{text}");
    assert_eq!(code(&run(&to_file)), 3, "a file is not replaced by accident");
    assert_eq!(code(&run(&[&to_file[..], &["--force"]].concat())), 0);

    let output = run(&["--server", "https://gw.example:6443", "--", "mint", "--for", "a \"b\""]);
    let text = out(&output);
    assert!(text.contains("server: \"https://gw.example:6443\""), "{text}");
    assert!(text.contains("command: \"mint\"") && text.contains(r#"- "a \"b\"""#), "{text}");

    // kubectl runs it from anywhere.
    let exec = ["--", "gatewright", "token", "exec-credential", "--subject", "alice", "--kind", "human"];
    let here = fs::canonicalize(folder.path()).unwrap();
    let written = |file: &str| format!("\"{}\"", here.join(file).display());
    let text = out(&run(&exec));
    assert!(text.contains("command: \"gatewright\""), "a name is looked for in PATH: {text}");
    assert!(text.ends_with(&format!("- \"--config\"\n      - {}\n", written("gatewright.toml"))), "{text}");
    let text = out(&run(&[&exec[..], &["--config", "other.toml"]].concat()));
    assert!(text.contains(&written("other.toml")) && !text.contains("gatewright.toml"), "{text}");
    let text = out(&run(&[&exec[..], &["--config=other.toml"]].concat()));
    assert!(text.contains(&format!("\"--config={}/other.toml\"", here.display())), "{text}");
    let text = out(&run(&["--", "bin/mint", "--config", "x"]));
    assert!(text.contains(&format!("command: {}", written("bin/mint"))), "{text}");
    assert!(
        text.ends_with("- \"--config\"\n      - \"x\"\n"),
        "another program's words are its own: {text}"
    );

    for (arguments, complaint) in [
        (&["--ca", "ca.pem"][..], "how the user gets a token"),
        (&["--token-file", "t", "--server", "gw.example"], "not where a server is"),
        (&["--token-file", "t", "--ca", "server.key"], "private key"),
        (&["--token-file", "t", "--ca", "gatewright.toml"], "no certificate"),
    ] {
        let output = run(arguments);
        assert!(code(&output) == 3 && err(&output).contains(complaint), "{}", err(&output));
    }
    assert_eq!(code(&run(&["--token-file", "t", "--", "mint"])), 2);
}

#[test]
fn a_credential_for_kubectl_says_when_it_ends() {
    let folder = folder();
    let mint = ["token", "exec-credential", "--subject", "alice", "--kind", "human", "--ttl", "10m"];
    let output = run(folder.path(), &mint);
    let credential: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(credential["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(credential["status"]["token"].as_str().unwrap().split('.').count(), 3);
    let end = credential["status"]["expirationTimestamp"].as_str().unwrap();
    assert!(end.len() == "2026-11-20T20:00:00Z".len() && end.ends_with('Z'), "{end}");
}

#[test]
fn reviewers_are_told_what_is_missing() {
    let folder = folder();
    let output = run(folder.path(), &["approvals", "list"]);
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("GATEWRIGHT_TOKEN"), "{}", err(&output));

    let token = folder.path().join("token");
    fs::write(&token, "abc").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(folder.path(), &["approvals", "list", "--token-file", "token"]);
    assert!(err(&output).contains("chmod 600"), "{}", err(&output));

    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let remote = ["approvals", "list", "--token-file", "token", "--admin", "http://192.0.2.1:9901"];
    let output = run(folder.path(), &remote);
    assert!(err(&output).contains("plain text"), "{}", err(&output));
}

#[test]
fn evidence_is_verified_with_the_key_alone() {
    let folder = folder();
    let evidence = folder.path().join("evidence");
    let key = gatewright_evidence::SigningKey::generate().unwrap();
    let verifying = key.verifying_key("gatewright.example/main").to_string();
    let options = gatewright_evidence::LogOptions::new("gatewright.example/main");
    let (log, _) = gatewright_evidence::Log::open(&evidence, options, key).unwrap();
    let stopped = gatewright_model::audit::Record::GatewayStopped;
    log.append(std::time::SystemTime::now(), &stopped).unwrap();
    log.close().unwrap();
    drop(log);

    let verify = ["evidence", "verify", "evidence", "--key", &verifying];
    let output = run(folder.path(), &verify);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("evidence: intact"), "{}", out(&output));
    let output = run(folder.path(), &["evidence", "show", "evidence"]);
    assert!(out(&output).contains("gateway_stopped"), "{}", out(&output));
    let of_kind = |kind| run(folder.path(), &["evidence", "show", "evidence", "--kind", kind]);
    for kind in ["gateway_stopped", "segment_opened"] {
        assert!(out(&of_kind(kind)).contains(kind), "{}", out(&of_kind(kind)));
    }
    let output = of_kind("gateway_stoped");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("segment_opened, gateway_started, gateway_stopped,"), "{}", err(&output));
    let output = run(folder.path(), &["evidence", "show", "evidence", "--decision", "deny"]);
    assert_eq!(code(&output), 2, "{}", out(&output));

    let segment = fs::read_dir(&evidence).unwrap().map(|entry| entry.unwrap().path());
    let segment =
        segment.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl")).min().unwrap();
    let changed = fs::read_to_string(&segment).unwrap().replace("gateway_stopped", "gateway_paused!");
    fs::write(&segment, changed).unwrap();
    let output = run(folder.path(), &verify);
    assert_eq!(code(&output), 1, "{}", out(&output));
    assert!(out(&output).contains("NOT INTACT"), "{}", out(&output));
}

#[test]
fn the_reference_is_printed_and_help_names_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(out(&run(folder.path(), &["config", "reference"])).contains("## `[[listener]]`"));
    assert!(out(&run(folder.path(), &["--help"])).contains("Exit codes:"));
    assert_eq!(code(&run(folder.path(), &["serv"])), 2);
}
